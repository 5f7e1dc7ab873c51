"""Means of a few runs, and the difference of two estimates that know nothing of each other."""

from collections.abc import Sequence
from math import hypot, inf, sqrt

from scipy.special import stdtrit

from hpsearch.statistics.resampling import TAIL, Estimate, numbers


def student_mean(values: Sequence[float], lowest: float = -inf, highest: float = inf) -> Estimate:
    """Return the mean of runs that differ by chance alone, with Student's interval (Biometrika 1908), n - 1 degrees of freedom.

    No value lies below `lowest` or above `highest`, so that neither do the ends; one run alone bounds nothing but that.

    Raises:
        ValueError: there is no value, or one is NaN.
    """
    given = numbers(values)
    mean = float(given.mean())
    if len(given) == 1:
        return Estimate(mean, lowest, highest)
    half = -float(stdtrit(len(given) - 1, TAIL)) * float(given.std(ddof=1)) / sqrt(len(given))
    return Estimate(mean, max(lowest, mean - half), min(highest, mean + half))


def difference(a: Estimate, b: Estimate) -> Estimate:
    """Return a - b of two independent estimates, its interval recovered from theirs (MOVER; Zou & Donner 2008, eq 1).

    Each end squares and adds up how far the two ends that could make it lie from their values; of two shares with Wilson's intervals
    this is Newcombe's method 10 (1998).
    """
    value = a.value - b.value
    low = value - hypot(a.value - a.low, b.high - b.value)
    high = value + hypot(a.high - a.value, b.value - b.low)
    return Estimate(value, low, high)
