"""Two arms that share their seeds: a pair has the same split, initial weights and seed, so that what remains is the arms' difference.

Costs may be infinite (never reached). A pair of two infinities does not show which arm is better; a ratio leaves it out.
"""

from collections.abc import Sequence
from math import exp, inf, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from hpsearch.statistics.estimates import (
    Array,
    Estimate,
    Variance,
    median_interval,
    medians,
    numbers,
    student_mean,
    wilson,
)

FEWEST = 5  # groups whose least and greatest value are an interval of their median, which covers 93.8 %


def paired_ratio(a: Sequence[float], b: Sequence[float], groups: Sequence[int] = ()) -> Estimate:
    """Return how many times as costly A is as B: the median of log(a / b) over pairs with its interval, as a ratio.

    One infinite cost makes a log-ratio of ±inf, which a median takes; between the two lies a ratio of 1. Pairs of two infinite
    costs are left out. One pair alone bounds nothing.

    Of several `groups` (see `paired_difference`) it is the mean of the groups' mean log-ratios with Student's interval; where one is
    infinite, the median of the groups' medians, which bounds nothing below `FEWEST` groups.

    Raises:
        ValueError: not pairs, a cost that is not positive, or no pair with a finite cost.
    """
    left, right = _pairs(a, b)
    usable = np.isfinite(left) | np.isfinite(right)
    if not usable.any() or min(left.min(), right.min()) <= 0:
        raise ValueError("expected positive costs, and a finite one in at least one pair")
    ratios = np.log(left[usable]) - np.log(right[usable])
    chosen = np.zeros(len(ratios))
    if len(groups):
        chosen = np.asarray(groups)[usable]
    return _exponential(_middle(ratios, _by_group(ratios, chosen)))


def _middle(ratios: Array, groups: list[Array]) -> Estimate:
    """Return the middle of log-ratios that are of these groups, or all of one."""
    if len(groups) == 1:
        bounds = median_interval(ratios) if len(ratios) > 1 else (-inf, inf)
        return Estimate(float(medians(ratios)), *bounds)
    if np.isfinite(ratios).all():
        return student_mean([float(group.mean()) for group in groups])
    middles = np.array([float(medians(group)) for group in groups])
    bounds = (-inf, inf)
    if len(middles) >= FEWEST:
        bounds = median_interval(middles)
    return Estimate(float(medians(middles)), *bounds)


def _exponential(logarithm: Estimate) -> Estimate:
    return Estimate(*(exp(value) for value in (logarithm.value, logarithm.low, logarithm.high)))


def paired_difference(
    a: Sequence[float], b: Sequence[float], groups: Sequence[int] = (), shared: Variance | None = None
) -> Estimate:
    """Return the mean of a - b over pairs with Student's interval; one pair alone bounds nothing.

    Pairs of one group (those whose rows were divided alike) are not independent: with `groups`, one number a pair, the mean and its
    interval are those of the groups' means, unless all pairs are of one group. `shared` is the variance of what moves all of them alike
    (see `shared_rows`).

    Raises:
        ValueError: not pairs, or a value that is not finite: a mean cannot hold it, `paired_ratio` can.
    """
    return student_mean(_mean_differences(a, b, groups), shared=shared)


def paired_p(a: Sequence[float], b: Sequence[float], groups: Sequence[int] = ()) -> float:
    """Return the two-sided p-value of Student's test that belongs to the interval of `paired_difference`; 1 of one pair alone.

    Raises:
        ValueError: as of `paired_difference`.
    """
    means = numbers(_mean_differences(a, b, groups))
    count = len(means)
    if count == 1 or not means.any():
        return 1.0
    error = float(means.std(ddof=1)) / sqrt(count)
    if not error:
        return 0.0
    return float(2 * stdtr(count - 1, -abs(float(means.mean())) / error))


def _mean_differences(a: Sequence[float], b: Sequence[float], groups: Sequence[int]) -> list[float]:
    """Return the mean of a - b of each group, or of each pair where there is one group alone."""
    left, right = _pairs(a, b)
    if not np.isfinite(left).all() or not np.isfinite(right).all():
        raise ValueError("expected finite values; paired_ratio compares costs that may be infinite")
    differences = left - right
    grouped = _by_group(differences, np.asarray(groups))
    if len(grouped) < 2:
        return [float(value) for value in differences]
    return [float(group.mean()) for group in grouped]


def _by_group(values: Array, groups: NDArray[np.generic]) -> list[Array]:
    """Return the values of each group, in the order of the groups' numbers."""
    return [values[groups == group] for group in np.unique(groups)]


def probability_of_improvement(a: Sequence[float], b: Sequence[float]) -> Estimate:
    """Return P(A < B) + P(A = B) / 2 over pairs, two infinities being equal, with Wilson's interval for this share.

    A bootstrap of the pairs has no width where one arm wins all of them, as it does too often with ten seeds.

    Raises:
        ValueError: not pairs.
    """
    left, right = _pairs(a, b)
    return wilson(float((left < right).sum() + (left == right).sum() / 2), len(left))


def holm(p_values: Sequence[float]) -> Array:
    """Return p-values [N] adjusted for so many comparisons (Holm 1979), in the order given: below 5 % means significant among all.

    Raises:
        ValueError: there is none, or one is NaN.
    """
    given = numbers(p_values)
    order = np.argsort(given, kind="stable")
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)))
    return adjusted


def _pairs(a: Sequence[float], b: Sequence[float]) -> tuple[Array, Array]:
    left = numbers(a)
    right = numbers(b)
    if len(left) != len(right):
        raise ValueError(f"expected pairs, not {len(left)} and {len(right)} values")
    return left, right
