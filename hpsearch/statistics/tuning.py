"""What the trials of a search say: which learning rates work, and how much tuning an optimizer needs.

The expected best of n trials is only for trials drawn independently (random search): the best of n that a sampler with memory proposes
is not the best of any n.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, log2
from typing import Literal

import numpy as np

from hpsearch.statistics.estimates import RESAMPLES, Array, Estimate, middle, numbers, resampled, wilson

HALF = 0.5  # of the seeds diverged: the cell counts as diverged
LATE = 2.0  # times the best steps of the batch size
BANDED = 3  # the expected best of more than one in so many trials has no interval


# ---- learning rates


class RateClass(StrEnum):
    """The class of the seeds of one (learning rate, batch size)."""

    REACHED = "reached"
    LATE = "late"
    NEVER = "never"
    DIVERGED = "diverged"


def classified(steps: Sequence[float], diverged_shares: Sequence[float]) -> tuple[RateClass, ...]:
    """Return the class of each learning rate of one batch size, from its median steps (`inf`: never) and its share of diverged seeds.

    Diverged: half of the seeds or more. Late: later than twice the best of those that did not diverge.
    """
    diverged = np.asarray(diverged_shares) >= HALF
    usable = np.where(diverged, inf, np.asarray(steps, np.float64))
    late = usable > LATE * usable.min(initial=inf)
    conditions = [diverged, usable == inf, late]
    chosen = np.select(conditions, [RateClass.DIVERGED, RateClass.NEVER, RateClass.LATE], RateClass.REACHED)
    return tuple(map(RateClass, chosen))


@dataclass(frozen=True, slots=True)
class StableRange:
    """From the lowest learning rate that reaches in the budget to the highest that does not diverge; `octaves` is log2 of their ratio.

    An open end is the end of the search space: the range may well go on there.
    """

    lowest: float
    highest: float
    octaves: float
    open_low: bool
    open_high: bool


def stable_range(
    rates: Sequence[float], reached: Sequence[bool], diverged_shares: Sequence[float]
) -> StableRange | None:
    """Return the stable learning rates of one batch size, or None where none that is stable reaches.

    The highest is the last, going up, before half of the seeds or more diverge; a rate beyond one that diverges works by chance.
    """
    rows = sorted(zip(rates, reached, diverged_shares, strict=True))
    stop = next((i for i, row in enumerate(rows) if row[2] >= HALF), len(rows))
    lowest = next((rate for rate, reaches, _ in rows[:stop] if reaches), None)
    if lowest is None:
        return None
    highest = rows[stop - 1][0]
    return StableRange(lowest, highest, log2(highest / lowest), lowest == rows[0][0], stop == len(rows))


def edge(rates: Sequence[float], costs: Sequence[float]) -> Literal["low", "high", "both"] | None:
    """Return on which side the best learning rate has no worse one, so that a better may lie outside the search space; None: on neither.

    A cost that is infinite (never reached, diverged) is worse than any other; one that is equal is not worse. Where no rate has
    a finite cost there is no best, and both sides are open.

    Raises:
        ValueError: there is no rate, or a number is NaN.
    """
    ordered = numbers(costs)[np.argsort(numbers(rates), kind="stable")]
    best = ordered.min()
    if ordered[0] == best:
        return "both" if ordered[-1] == best else "low"
    return "high" if ordered[-1] == best else None


# ---- the expected best


@dataclass(frozen=True, slots=True, eq=False)
class BestCurve:
    """The expected best of 1 ... N trials and its 95 % interval, [N] each; the ends are NaN where an interval would be too narrow."""

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
    """Return the curve of `expected_best` with its percentile bootstrap interval over trials, NaN beyond n = N / `BANDED`.

    Near n = N the interval would be too narrow, since no resample holds a better trial than the best one seen: at n = N it holds the
    truth in half of the cases.

    Raises:
        ValueError: as `expected_best`.
    """
    ascending = _ascending(values, maximize)
    drawn = ascending[np.sort(resampled(len(ascending), resamples, "best", seed), axis=1)]  # [R, N]
    low, high = middle(_curves(drawn, maximize))
    unknown = np.arange(1, len(ascending) + 1) > len(ascending) / BANDED
    return BestCurve(expected_best(values, maximize), np.where(unknown, np.nan, low), np.where(unknown, np.nan, high))


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
