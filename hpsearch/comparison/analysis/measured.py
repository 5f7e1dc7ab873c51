"""The runs that were measured update by update: which arms have them, and how their values are put together.

There are few such runs, so a mean over them stands beside their range, which is no confidence interval. Values of several runs are
compared at the updates at which all of them were looked at.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol, TypeVar

from hpsearch.comparison.analysis.times import regimes
from hpsearch.storage import ArmRecord, ComparisonRecord

REGIMES = 3
REFERENCE = 32  # the batch size that stands for mini-batches is the one nearest to it, as in the plane of shared paths
FEW = 3  # updates that runs must have in common, else the run that was looked at most often stands alone


class Sized(Protocol):
    """Whatever belongs to a batch size."""

    @property
    def batch_size(self) -> int:
        """Rows of an update."""


Kind = TypeVar("Kind", bound=Sized)


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over measured runs, the lowest and the highest of them, and how many there are; infinite values are values."""

    value: float
    low: float
    high: float
    runs: int


def spread(values: Sequence[float]) -> Spread | None:
    """Return the mean and the range of one value a run; None without any."""
    return Spread(sum(values) / len(values), min(values), max(values), len(values)) if values else None


def measured_arms(record: ComparisonRecord, optimizer: str) -> list[ArmRecord]:
    """Return the arms of an optimizer that have measured runs, smallest batch size first."""
    arms = [arm for arm in record.arms if arm.optimizer == optimizer and measured_runs(arm)]
    return sorted(arms, key=lambda arm: arm.batch_size)


def measured_runs(arm: ArmRecord) -> list[Mapping[str, Any]]:
    """Return what was measured of the runs of an arm's fastest winner, in the order of their seeds."""
    return [arm.fastest.measured[seed] for seed in sorted(arm.fastest.measured)] if arm.fastest else []


def three(record: ComparisonRecord, optimizer: str, found: Sequence[Kind]) -> list[Kind]:
    """Return what belongs to the three regimes of `times`, as far as they were measured.

    Where one of them was not: to the smallest batch size, the one inside nearest to `REFERENCE`, and the largest, as far as there are.
    """
    wanted = regimes(record, optimizer) or ()
    ordered = sorted(found, key=lambda one: one.batch_size)
    chosen = [one for one in ordered if one.batch_size in wanted]
    inner = sorted(ordered[1:-1], key=lambda one: abs(one.batch_size - REFERENCE))[:1]
    return chosen if len(chosen) == REGIMES else [*ordered[:1], *inner, *ordered[1:][-1:]]


def by_update(runs: Iterable[Sequence[Mapping[str, Any]]]) -> dict[int, list[Mapping[str, Any]]]:
    """Return what runs saw at the updates that they share, by update; of runs that share fewer than `FEW`, the one that saw most."""
    tables = [{int(seen["update"]): seen for seen in run} for run in runs if run]
    if not tables:
        return {}
    shared = set.intersection(*(set(table) for table in tables))
    if len(shared) < min(FEW, *(len(table) for table in tables)):
        tables = [max(tables, key=len)]
        shared = set(tables[0])
    return {update: [table[update] for table in tables] for update in sorted(shared)}


def at_moment(measured: Mapping[str, Any], topic: str, moment: str) -> Mapping[str, Any] | None:
    """Return what one run saw of a topic ("noise", "sharpness") at a named moment, None where it did not get there."""
    update = measured.get("moments", {}).get(moment)
    return next((seen for seen in measured.get(topic, []) if seen["update"] == update), None)


def finite_or_infinite(value: float | None) -> float:
    """Return a stored number; JSON has no infinity, so that None stands for it."""
    return inf if value is None else float(value)
