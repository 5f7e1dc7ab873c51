"""Estimates with their intervals: medians, means, shares and times, and the bootstrap where there is no formula (Efron 1979).

The percentile bootstrap draws the seeds again with replacement, computes the statistic for each draw, and takes the middle 95 %.
Its ends are order statistics, never interpolated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, comb, exp, floor, hypot, inf, isfinite, isinf, log, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, ndtri, stdtrit

from hpsearch.trial import derive_seed

Array: TypeAlias = NDArray[np.float64]
RESAMPLES = 10_000
TAIL = 0.025  # of a two-sided 95 % interval
NORMAL_95 = float(ndtri(1 - TAIL))  # standard deviations


def finite(value: float | None) -> float | None:
    """Return a number, None for one that is not finite: a time that was never reached, the area under a curve of one class."""
    return value if value is not None and isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % interval; infinite where something was never reached, or where one observation says nothing of the spread."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Variance:
    """An estimated variance, and its degrees of freedom."""

    value: float
    freedom: float


def numbers(values: ArrayLike) -> Array:
    """Return values as floats [N].

    Raises:
        ValueError: there is none, or one is not a number.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not array.size or np.isnan(array).any():
        raise ValueError("expected a sequence of numbers, at least one and none of them NaN")
    return array


def resampled(count: int, resamples: int, *seed: int | str) -> NDArray[np.int64]:
    """Return which of `count` observations each bootstrap sample holds [resamples, count], a function of the arguments alone."""
    generator = np.random.default_rng(derive_seed("bootstrap", *seed, count))
    return generator.integers(0, count, (resamples, count))


def medians(values: Array) -> Array:
    """Return the median along the last axis, where ±inf are values: between -inf and inf lies 0, so that swapping arms swaps signs."""
    ordered = np.sort(values, axis=-1)
    count = values.shape[-1]
    low = ordered[..., (count - 1) // 2]
    high = ordered[..., count // 2]
    opposite = np.isinf(low) & np.isinf(high) & (low != high)
    middle: Array = np.where(opposite, 0.0, (low + np.where(opposite, 0.0, high)) / 2)
    return middle


def percentile_interval(
    draws: Array, unknown: tuple[float, float] = (-inf, inf), tail: float = TAIL
) -> tuple[float, float]:
    """Return the middle 95 % of the draws [R]; a draw without an answer (NaN) counts as beyond either end of the interval."""
    low, _ = middle(np.where(np.isnan(draws), unknown[0], draws), tail)
    _, high = middle(np.where(np.isnan(draws), unknown[1], draws), tail)
    return float(low), float(high)


def middle(draws: Array, tail: float = TAIL) -> tuple[Array, Array]:
    """Return the draws [R, ...] beyond which a share `tail` of them lies, at either end of the first axis."""
    ordered = np.sort(draws, axis=0)
    last = len(draws) - 1
    return ordered[floor(tail * last)], ordered[ceil((1 - tail) * last)]


def median_estimate(values: Sequence[float]) -> Estimate:
    """Return the median over seeds with its interval; infinite values are values and are never dropped.

    Of an even number of values it is the mean of the middle two, so infinite if one of them is. One value alone bounds nothing.

    Raises:
        ValueError: there is no value, or one is NaN.
    """
    observed = numbers(values)
    value = float(medians(observed))
    if len(observed) == 1:
        return Estimate(value, -inf, inf)
    return Estimate(value, *median_interval(observed))


def median_interval(values: Array) -> tuple[float, float]:
    """Return the interval of the median of values [N]: order statistics of the sign test, interpolated to 95 %.

    Hettmansperger & Sheather (Statistics & Probability Letters 4, 1986). Next to infinity there is nothing to interpolate, and the end
    is the outer one of the two. Of fewer than six values it runs from the least to the greatest, which covers less than 95 %
    (75 % of three, 93.8 % of five).
    """
    ordered = np.sort(values)
    depth, weight = _median_depth(len(ordered))
    low = _interpolated(ordered[depth - 1], ordered[min(depth, len(ordered) - 1)], weight)
    high = _interpolated(ordered[-depth], ordered[max(-depth - 1, -len(ordered))], weight)
    return low, high


@cache
def _median_depth(count: int) -> tuple[int, float]:
    """Return the depth of the order statistics whose interval covers at least 95 %, and the weight of the ones further in."""
    depth = 1
    while _sign_test_level(count, depth + 1) >= 1 - 2 * TAIL:
        depth += 1
    outer = _sign_test_level(count, depth)
    if outer < 1 - 2 * TAIL:
        return depth, 0.0
    share = (outer - (1 - 2 * TAIL)) / (outer - _sign_test_level(count, depth + 1))
    return depth, (count - depth) * share / (depth + (count - 2 * depth) * share)


def _sign_test_level(count: int, depth: int) -> float:
    """Return the chance that the median lies between the order statistics of a depth, counted from both ends."""
    return float(1 - 2 * sum(comb(count, below) for below in range(depth)) / 2**count)


def _interpolated(outer: float, inner: float, weight: float) -> float:
    if isinf(outer) or isinf(inner):
        return float(outer)
    return float((1 - weight) * outer + weight * inner)


def student_mean(
    values: Sequence[float], lowest: float = -inf, highest: float = inf, shared: Variance | None = None
) -> Estimate:
    """Return the mean of runs that differ by chance alone, with Student's interval (Biometrika 1908), n - 1 degrees of freedom.

    No value lies below `lowest` or above `highest`, so that neither do the ends; one run alone bounds nothing but that. What moves all
    values together does not show in how they differ: it is the variance `shared`.

    Raises:
        ValueError: there is no value, or one is NaN.
    """
    given = numbers(values)
    mean = float(given.mean())
    if len(given) == 1:
        return Estimate(mean, lowest, highest)
    error = added(Variance(float(given.var(ddof=1)) / len(given), len(given) - 1), shared)
    half = -float(stdtrit(error.freedom, TAIL)) * sqrt(error.value)
    return Estimate(mean, max(lowest, mean - half), min(highest, mean + half))


def added(one: Variance, other: Variance | None) -> Variance:
    """Return the sum of two estimated variances, with Satterthwaite's degrees of freedom (Biometrics Bulletin 2, 1946)."""
    if other is None or not other.value:
        return one
    total = one.value + other.value
    return Variance(total, total**2 / (one.value**2 / one.freedom + other.value**2 / other.freedom))


def bounded_mean(values: Sequence[float], maximize: bool, worst: float | None, perfect: float | None) -> Estimate:
    """Return the mean of a metric's values; its interval ends at the `perfect` value, and at the `worst` or a value that is worse still.

    An end that is None has no bound.

    Raises:
        ValueError: there is no value, or one is NaN.
    """
    if maximize:
        lowest = -inf if worst is None else min(worst, *values)
        return student_mean(values, lowest, inf if perfect is None else perfect)
    highest = inf if worst is None else max(worst, *values)
    return student_mean(values, -inf if perfect is None else perfect, highest)


def difference(a: Estimate, b: Estimate) -> Estimate:
    """Return a - b of two independent estimates, its interval recovered from theirs (MOVER; Zou & Donner 2008, eq 1).

    Each end squares and adds up how far the two ends that could make it lie from their values; of two shares with Wilson's intervals
    this is Newcombe's method 10 (1998).
    """
    value = a.value - b.value
    low = value - hypot(a.value - a.low, b.high - b.value)
    high = value + hypot(a.high - a.value, b.value - b.low)
    return Estimate(value, low, high)


def product(a: Estimate, b: Estimate) -> Estimate:
    """Return a · b of two independent positive estimates: `difference` in logarithms, of a and 1 / b.

    Where a value is 0 or infinite nothing is known of its distance from the ends, and the ends are multiplied.
    """
    value = _times(a.value, b.value)
    if not 0 < value < inf:
        return Estimate(value, _times(a.low, b.low), _times(a.high, b.high))
    logarithms = [Estimate(*map(_log, (one.value, one.low, one.high))) for one in (a, b)]
    added = difference(logarithms[0], Estimate(-logarithms[1].value, -logarithms[1].high, -logarithms[1].low))
    return Estimate(value, exp(added.low), exp(added.high))


def _times(a: float, b: float) -> float:
    """Return a product; infinity wins over 0, since a cost that was never paid stays unpaid."""
    return inf if inf in (a, b) else a * b


def _log(value: float) -> float:
    return log(value) if value > 0 else -inf


def wilson(successes: float, count: int) -> Estimate:
    """Return a share of `count` independent cases with Wilson's interval (JASA 1927); a tie may count as half a success.

    Unlike a bootstrap of the cases it has a width where all or none of them succeeded. (`scipy.stats.binomtest` takes no half successes.)

    Raises:
        ValueError: there are no cases, or more successes than cases.
    """
    if count < 1 or not 0 <= successes <= count:
        raise ValueError(f"expected 0 to {count} successes of at least one case, not {successes}")
    share = successes / count
    z2 = NORMAL_95**2 / count
    centre = share + z2 / 2
    half = NORMAL_95 * sqrt(share * (1 - share) / count + z2 / (4 * count))
    low = (centre - half) / (1 + z2) if successes else 0.0  # 0 and 1 themselves, not up to rounding
    high = (centre + half) / (1 + z2) if successes < count else 1.0
    return Estimate(share, max(0.0, low), min(1.0, high))


def first_passage(times: Sequence[float], censored: Sequence[bool]) -> Estimate:
    """Return the mean time to escape at a constant rate: total time watched / escapes, the censored maximum likelihood.

    A run that did not escape counts with the time for which it was watched. The interval is Garwood's (1936) for the Poisson count
    of escapes in the total time: at least 95 % where all are watched for the same time. Without an escape the value is infinite
    and `low` the one-sided bound: a shorter mean time would have given an escape with a probability of 95 %.

    Raises:
        ValueError: the columns differ in length, or a time is not a positive finite number.
    """
    watched = numbers(times)
    escapes = len(censored) - int(np.sum(censored))
    if len(censored) != len(watched) or not np.all((watched > 0) & np.isfinite(watched)):
        raise ValueError("expected one positive finite time, and whether it is censored, for each run")
    total = float(watched.sum())
    if not escapes:
        return Estimate(inf, 2 * total / float(chdtri(2, 2 * TAIL)), inf)
    low = 2 * total / float(chdtri(2 * escapes + 2, TAIL))
    high = 2 * total / float(chdtri(2 * escapes, 1 - TAIL))
    return Estimate(total / escapes, low, high)
