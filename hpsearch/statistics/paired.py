"""Two arms that share their seeds: a pair has the same split, initial weights and seed, so that what remains is the arms' difference.

Costs may be infinite (never reached). A pair of two infinities does not show which arm is better; a ratio leaves it out.
"""

from collections.abc import Mapping, Sequence
from math import exp, inf

import numpy as np

from hpsearch.statistics.estimates import Array, Estimate, median_interval, medians, numbers, student_mean, wilson
from hpsearch.trial import derive_seed

EXACT = 16  # pairs; 2^16 sign patterns are listed, more are drawn
ROUNDING = 1e-9  # relative; sums that differ by less are equal


def seed_pairs(a: Mapping[int, float], b: Mapping[int, float]) -> tuple[list[float], list[float]]:
    """Return the values of two arms by seed as pairs: of the seeds that both have, in their order."""
    common = sorted(a.keys() & b.keys())
    return [a[seed] for seed in common], [b[seed] for seed in common]


def paired_ratio(a: Sequence[float], b: Sequence[float]) -> Estimate:
    """Return how many times as costly A is as B: the median of log(a / b) over pairs with its interval, as a ratio.

    One infinite cost makes a log-ratio of ±inf, which a median takes; between the two lies a ratio of 1. Pairs of two infinite
    costs are left out. One pair alone bounds nothing.

    Raises:
        ValueError: not pairs, a cost that is not positive, or no pair with a finite cost.
    """
    left, right = _pairs(a, b)
    usable = np.isfinite(left) | np.isfinite(right)
    if not usable.any() or min(left.min(), right.min()) <= 0:
        raise ValueError("expected positive costs, and a finite one in at least one pair")
    ratios = np.log(left[usable]) - np.log(right[usable])
    value = exp(float(medians(ratios)))
    if len(ratios) == 1:
        return Estimate(value, 0.0, inf)
    low, high = median_interval(ratios)
    return Estimate(value, exp(low), exp(high))


def paired_difference(a: Sequence[float], b: Sequence[float], groups: Sequence[int] = ()) -> Estimate:
    """Return the mean of a - b over pairs with Student's interval; one pair alone bounds nothing.

    Pairs of one group (those whose rows were divided alike) are not independent: with `groups`, one number a pair, the mean and its
    interval are those of the groups' means, unless all pairs are of one group.

    Raises:
        ValueError: not pairs, or a value that is not finite: a mean cannot hold it, `paired_ratio` can.
    """
    left, right = _pairs(a, b)
    if not np.isfinite(left).all() or not np.isfinite(right).all():
        raise ValueError("expected finite values; paired_ratio compares costs that may be infinite")
    differences = left - right
    known = sorted(set(groups))
    if len(known) < 2:
        return student_mean(differences.tolist())
    chosen = np.asarray(groups)
    return student_mean([float(differences[chosen == group].mean()) for group in known])


def probability_of_improvement(a: Sequence[float], b: Sequence[float]) -> Estimate:
    """Return P(A < B) + P(A = B) / 2 over pairs, two infinities being equal, with Wilson's interval for this share.

    A bootstrap of the pairs has no width where one arm wins all of them, as it does too often with ten seeds.

    Raises:
        ValueError: not pairs.
    """
    left, right = _pairs(a, b)
    return wilson(float((left < right).sum() + (left == right).sum() / 2), len(left))


def sign_flip_p(a: Sequence[float], b: Sequence[float], seed: int = 0, draws: int = 100_000) -> float:
    """Return the two-sided p-value of the paired permutation test on the mean of a - b (Fisher 1935).

    If the arms are alike, each pair could as well be swapped. All sign patterns are listed up to `EXACT` pairs; above, `draws` of
    them are drawn and the observed one added, so that p is never 0. Two infinities differ by 0; a difference that is infinite
    outweighs all finite ones together. (`scipy.stats.permutation_test` knows no infinities, and would draw other samples.)

    Raises:
        ValueError: not pairs.
    """
    differences = _finite_differences(*_pairs(a, b))
    count = len(differences)
    observed = abs(float(differences.sum()))
    least = observed - ROUNDING * float(np.abs(differences).sum())
    if count <= EXACT:
        signs = 1 - 2 * (np.arange(2**count)[:, None] >> np.arange(count) & 1)  # [2^N, N]
        return int((np.abs(signs @ differences) >= least).sum()) / len(signs)
    generator = np.random.default_rng(derive_seed("sign flips", seed, count))
    drawn = (1 - 2 * generator.integers(0, 2, (draws, count), dtype=np.int8)).astype(np.int8)  # [draws, N]
    return (int((np.abs(drawn @ differences) >= least).sum()) + 1) / (draws + 1)


def _finite_differences(left: Array, right: Array) -> Array:
    finite = np.isfinite(left) & np.isfinite(right)
    differences = np.where(finite, np.where(finite, left, 0.0) - np.where(finite, right, 0.0), 0.0)
    beyond = 4 * float(np.abs(differences).sum()) or 1.0
    sides = np.sign(left) * np.isinf(left) - np.sign(right) * np.isinf(right)  # of the infinities
    found: Array = np.where(finite, differences, beyond * sides)
    return found


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
