"""The runs that were measured update by update: which arms have them, and how the values of several runs are combined.

There are few such runs, so a mean over them stands beside their range, which is no confidence interval. Values of several runs are
compared at the updates at which all of them were measured.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol, TypeVar

from hpsearch.comparison.analysis.times import nearest_size, regimes
from hpsearch.storage import ArmRecord, ComparisonRecord

REGIMES = 3
FEW = 3  # updates that runs must have in common, else the run that was measured most often stands for all


class HasBatchSize(Protocol):
    """Whatever belongs to a batch size."""

    @property
    def batch_size(self) -> int:
        """Rows of an update."""


T = TypeVar("T", bound=HasBatchSize)
Item = TypeVar("Item")
Entry = Mapping[str, Any]  # one stored measurement


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over measured runs, the lowest and the highest of them, and how many there are; infinite values are values."""

    value: float
    low: float
    high: float
    runs: int


def spread(values: Iterable[float]) -> Spread:
    """Return the mean and the range of one value a run, of at least one."""
    given = list(map(float, values))
    return Spread(sum(given) / len(given), min(given), max(given), len(given))


def column(entries: Iterable[Entry], name: str) -> list[float]:
    """Return a value of each entry that has it."""
    return [float(entry[name]) for entry in entries if entry.get(name) is not None]


def spread_of(entries: Iterable[Entry], name: str) -> Spread | None:
    """Return the mean and the range of a value over the entries that have it, None where none has it."""
    values = column(entries, name)
    return spread(values) if values else None


def measured_arms(record: ComparisonRecord, optimizer: str) -> list[ArmRecord]:
    """Return the arms of an optimizer that have measured runs, smallest batch size first."""
    arms = [arm for arm in record.arms if arm.optimizer == optimizer and measured_runs(arm)]
    return sorted(arms, key=lambda arm: arm.batch_size)


def measured_runs(arm: ArmRecord) -> list[Entry]:
    """Return what was measured of the runs of an arm's fastest winner, in the order of their seeds."""
    if arm.fastest is None:
        return []
    return [arm.fastest.measured[seed] for seed in sorted(arm.fastest.measured)]


def three_regimes(record: ComparisonRecord, optimizer: str, items: Sequence[T]) -> list[T]:
    """Return the items of the three regimes of `times`; where one was not measured: the smallest, a middle and the largest batch size."""
    wanted = regimes(record, optimizer) or ()
    chosen = [item for item in items if item.batch_size in wanted]
    if len(chosen) < REGIMES:
        return smallest_middle_largest(items, lambda item: item.batch_size)
    return sorted(chosen, key=lambda item: item.batch_size)


def smallest_middle_largest(items: Iterable[Item], size: Callable[[Item], int]) -> list[Item]:
    """Return the items of the smallest batch size, the one between nearest to `REFERENCE`, and the largest, as far as there are."""
    ordered = sorted(items, key=size)
    between = {size(item): item for item in ordered[1:-1]}
    middle = [between[nearest_size(between)]] if between else []
    return [*ordered[:1], *middle, *ordered[1:][-1:]]


def by_update(runs: Iterable[Sequence[Entry]]) -> dict[int, list[Entry]]:
    """Return the entries of runs at the updates that they share, by update; of runs that share fewer than `FEW`, those of the longest."""
    tables = [{int(entry["update"]): entry for entry in run} for run in runs if run]
    if not tables:
        return {}
    shared = set.intersection(*map(set, tables))
    if len(shared) < min(FEW, *map(len, tables)):
        tables = [max(tables, key=len)]
        shared = set(tables[0])
    return {update: [table[update] for table in tables] for update in sorted(shared)}


def entries_on(run: Entry, topic: str, *names: str) -> list[Entry]:
    """Return a run's entries on a topic ("noise", "sharpness") that have these values."""
    return [entry for entry in run.get(topic, []) if all(entry.get(name) is not None for name in names)]


def at_moment(measured: Entry, topic: str, moment: str, *names: str) -> Entry | None:
    """Return a run's entry on a topic at a named moment, None where it did not get there."""
    update = measured.get("moments", {}).get(moment)
    return next((entry for entry in entries_on(measured, topic, *names) if entry["update"] == update), None)


def by_moment(arm: ArmRecord, topic: str, moments: Sequence[str], *names: str) -> dict[str, list[Entry]]:
    """Return the entries of an arm's runs on a topic at named moments, of the runs that got there; without the moments of none."""
    result: dict[str, list[Entry]] = {}
    for moment in moments:
        for run in measured_runs(arm):
            entry = at_moment(run, topic, moment, *names)
            if entry is not None:
                result.setdefault(moment, []).append(entry)
    return result


def or_infinite(value: float | None) -> float:
    """Return a stored number; JSON has no infinity, so that None stands for it."""
    return inf if value is None else float(value)
