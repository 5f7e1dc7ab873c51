"""Tuning luck: how much more, or less, an arm costs because its learning rate was picked from noisy runs.

Tuned again, an arm would get another learning rate and other costs; fresh seeds of one winner do not show that. Luck is the standard
deviation over such tunings, in octaves (of log2 of the cost). A record shows little of it: variances with few degrees of freedom. So it
has a usual value, `LEAST`, which a record's variance replaces where it is greater by more than chance.
"""

from collections.abc import Sequence
from math import exp2, hypot, sqrt

import numpy as np
from scipy.special import chdtri, stdtrit

from hpsearch.statistics.estimates import NORMAL_95, TAIL, Estimate, Variance, numbers, product

LEAST = 0.12  # octaves, or 9 %: the usual luck, and never less
MOST = 0.5  # octaves; where a record seems to show more, it is the model of the batch sizes that does not fit
LEVEL = 0.2  # of the chi-square test whether a variance is greater than the usual one
CLOSE = 2.0  # standard errors from the best, up to which a setting might be the best


def tuning_luck(*variances: Variance) -> float:
    """Return the luck in octaves: the greatest that one of the variances (in squared octaves) shows, at least `LEAST` and at most `MOST`.

    A variance counts where it is greater than the usual one by a chi-square test, and then with the width of Student's interval, as it
    has few degrees of freedom.
    """
    return min(MOST, max((_shown_luck(one) for one in variances), default=LEAST))


def _shown_luck(variance: Variance) -> float:
    if variance.freedom * variance.value <= LEAST**2 * float(chdtri(variance.freedom, LEVEL)):
        return LEAST
    freedom = variance.freedom + 1  # the usual value counts as one
    moderated = (LEAST**2 + variance.freedom * variance.value) / freedom
    return sqrt(moderated) * -float(stdtrit(freedom, TAIL)) / NORMAL_95


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
    """Return the ratio of two arms' costs with the luck of both added to its interval."""
    half = NORMAL_95 * hypot(luck, luck)
    return product(ratio, Estimate(1.0, exp2(-half), exp2(half)))
