"""An estimate with its interval, and the bootstrap that most intervals here come from (Efron 1979).

The percentile bootstrap draws the seeds again with replacement, computes the statistic for each draw, and takes the middle 95 %.
Ends are order statistics, never interpolated: between a number and infinity there is nothing to interpolate.
"""

from dataclasses import dataclass
from math import ceil, floor, inf, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit

from hpsearch.trial import derive_seed

Array: TypeAlias = NDArray[np.float64]
RESAMPLES = 10_000
TAIL = 0.025  # of a two-sided 95 % interval


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % interval; infinite where something was never reached, or where one observation says nothing of the spread."""

    value: float
    low: float
    high: float


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
    low, high = ordered[..., (count - 1) // 2], ordered[..., count // 2]
    opposite = np.isinf(low) & np.isinf(high) & (low != high)
    middle: Array = np.where(opposite, 0.0, (low + np.where(opposite, 0.0, high)) / 2)
    return middle


def expanded_tail(count: int) -> float:
    """Return the tail that gives a bootstrapped mean of few values the width of Student's interval (Hesterberg 2015, §5.2)."""
    return float(ndtr(sqrt(count / (count - 1)) * stdtrit(count - 1, TAIL)))


def percentile_interval(
    draws: Array, unknown: tuple[float, float] = (-inf, inf), tail: float = TAIL
) -> tuple[float, float]:
    """Return the middle 95 % of the draws [R]; a draw without an answer (NaN) counts as beyond either end of the interval."""
    (low, _), (_, high) = (middle(np.where(np.isnan(draws), end, draws), tail) for end in unknown)
    return float(low), float(high)


def middle(draws: Array, tail: float = TAIL) -> tuple[Array, Array]:
    """Return the draws [R, ...] beyond which a share `tail` of them lies, at either end of the first axis."""
    ordered, last = np.sort(draws, axis=0), len(draws) - 1
    return ordered[floor(tail * last)], ordered[ceil((1 - tail) * last)]
