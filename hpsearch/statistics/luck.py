"""Tuning luck: how much more, or less, an arm costs because its learning rate was picked from noisy runs.

Tuned again, an arm would get another learning rate and other costs; fresh seeds of one winner do not show that. Luck is the standard
deviation over such tunings, in octaves (of log2 of the cost). What a record shows of it are variances with few degrees of freedom each,
so that they are moderated (Smyth 2004, Statistical Applications in Genetics 3, eq 1): averaged with a usual value, by degrees of freedom.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp2, hypot, inf, isfinite, log2, sqrt

import numpy as np

from hpsearch.statistics.estimates import NORMAL_95, Estimate, numbers

LEAST = 0.12  # octaves; 9 %, where nothing else is known, and never below
PRIOR = 4.0  # degrees of freedom of that usual value
CLOSE = 2.0  # standard errors from the best, up to which a setting might be the best


@dataclass(frozen=True, slots=True)
class Variance:
    """A variance in squared octaves, and its degrees of freedom."""

    value: float
    freedom: float


def tuning_luck(variances: Sequence[Variance]) -> float:
    """Return the luck in octaves that a record's variances show together, at least `LEAST`."""
    freedom = PRIOR + sum(one.freedom for one in variances)
    total = PRIOR * LEAST**2 + sum(one.freedom * one.value for one in variances)
    return max(LEAST, sqrt(total / freedom))


def near_best_variance(settings: Sequence[Sequence[float]]) -> Variance | None:
    """Return the variance of mean log2 costs over the settings that might be the best, None where there are not two.

    `settings` has the costs of each setting's seeds; one with an infinite cost is left out. A setting might be the best if its mean is
    within `CLOSE` standard errors of the least, from the variance within all settings.
    """
    octaves = [np.log2(numbers(costs)) for costs in settings if len(costs) and np.isfinite(costs).all()]
    freedom = sum(len(one) - 1 for one in octaves)
    if len(octaves) < 2 or not freedom:
        return None
    within = sum(float(((one - one.mean()) ** 2).sum()) for one in octaves) / freedom
    means = np.array([one.mean() for one in octaves])
    error = sqrt(2 * within / min(map(len, octaves)))
    near = means[means <= means.min() + CLOSE * error]
    if len(near) < 2:
        return None
    return Variance(float(near.var(ddof=1)), len(near) - 1.0)


def with_luck(ratio: Estimate, luck: float) -> Estimate:
    """Return the ratio of two arms' costs with the luck of both added to its interval.

    In log2 the distances of the ends and the luck's add up as squares (MOVER; Zou & Donner 2008, eq 1).
    """
    half = NORMAL_95 * hypot(luck, luck)
    value, low, high = map(_octaves, (ratio.value, ratio.low, ratio.high))
    if isfinite(value):
        low = value - hypot(value - low, half)
        high = value + hypot(high - value, half)
    elif isfinite(low):  # so often never reached that the median is infinite
        low -= half
    elif isfinite(high):
        high += half
    return Estimate(ratio.value, exp2(low), exp2(high))


def _octaves(ratio: float) -> float:
    return log2(ratio) if ratio > 0 else -inf
