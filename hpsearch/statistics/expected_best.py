"""How much tuning an optimizer needs: the expected best of n trials against n, and the share of trials that reach the target.

Only for trials drawn independently (random search): the best of n that a sampler with memory proposes is not the best of any n.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from hpsearch.statistics.estimates import RESAMPLES, Array, Estimate, middle, resampled, wilson


@dataclass(frozen=True, slots=True, eq=False)
class BestCurve:
    """The expected best of 1 ... N trials and its 95 % interval, [N] each."""

    value: Array
    low: Array
    high: Array


def expected_best(values: Sequence[float | None], maximize: bool) -> Array:
    """Return the expected best [N] of n = 1 ... N of the trials, drawn without replacement.

    Σ_{j≥n} C(j-1, n-1) / C(N, n) · v_(j), v sorted from worst to best, has no bias; the formula of Dodge et al. (2019, §3.1) draws with
    replacement and is too low. A diverged trial (None or NaN) enters with the worst value of the others. An infinitely bad value (a
    target never reached) stays: the expectation is infinite until n trials cannot all be such.

    Raises:
        ValueError: no trial has a value, or one is infinitely good.
    """
    curve: Array = _curves(_ascending(values, maximize)[None], maximize)[0]
    return curve


def expected_best_interval(
    values: Sequence[float | None], maximize: bool, seed: int = 0, resamples: int = RESAMPLES
) -> BestCurve:
    """Return the curve of `expected_best` with its percentile bootstrap interval over trials.

    Near n = N it is too narrow: no resample holds a better trial than the best one seen.

    Raises:
        ValueError: as `expected_best`.
    """
    ascending = _ascending(values, maximize)
    drawn = ascending[np.sort(resampled(len(ascending), resamples, "best", seed), axis=1)]  # [R, N]
    return BestCurve(expected_best(values, maximize), *middle(_curves(drawn, maximize)))


def share_reaching(reached: Sequence[bool]) -> Estimate:
    """Return the share of trials that reached the target, with Wilson's interval.

    Raises:
        ValueError: there is no trial.
    """
    return wilson(sum(map(bool, reached)), len(reached))


def _ascending(values: Sequence[float | None], maximize: bool) -> Array:
    """Return the values [N] from worst to best, the higher the better."""
    signed = np.array(values, np.float64) * (1 if maximize else -1)
    if np.isnan(signed).all() or np.isposinf(signed).any():
        raise ValueError("expected at least one trial with a value, and none that is infinitely good")
    return np.sort(np.where(np.isnan(signed), np.nanmin(signed), signed))


def _curves(ascending: Array, maximize: bool) -> Array:
    """Return the expected best [R, N] of each row of sorted values [R, N]."""
    never = np.isneginf(ascending)
    curves: Array = np.where(never, 0.0, ascending) @ _weights(ascending.shape[1]).T
    curves[np.arange(1, ascending.shape[1] + 1) <= never.sum(1, keepdims=True)] = -inf
    return curves if maximize else -curves


def _weights(count: int) -> Array:
    """Return C(j-1, n-1) / C(N, n) [n, j], the chance that the j-th worst is the best of n.

    The last of each row is n / N, each one before it (j - n) / (j - 1) of the next, so that no large number appears.
    """
    n = np.arange(1, count + 1)[:, None]
    j = np.arange(2, count + 1)
    steps = np.maximum(j - n, 0) / (j - 1)  # [n, j - 1], of j into j - 1
    factors = np.hstack([steps, n / count])
    return np.cumprod(factors[:, ::-1], axis=1)[:, ::-1]
