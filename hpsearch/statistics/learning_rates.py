"""Which learning rates work at a batch size: classes, the stable range (Masters & Luschi 2018), and whether the search saw its ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, log2
from typing import Literal

import numpy as np

from hpsearch.statistics.estimates import numbers

HALF = 0.5  # of the seeds diverged: the cell counts as diverged
LATE = 2.0  # times the best steps of the batch size


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
    usable = [inf if share >= HALF else step for step, share in zip(steps, diverged_shares, strict=True)]
    limit = LATE * min(usable, default=inf)
    return tuple(_classify(step, share, limit) for step, share in zip(usable, diverged_shares, strict=True))


def _classify(step: float, diverged_share: float, limit: float) -> RateClass:
    if diverged_share >= HALF:
        return RateClass.DIVERGED
    if step == inf:
        return RateClass.NEVER
    return RateClass.LATE if step > limit else RateClass.REACHED


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
