"""One cell of an escape test: how many seeds left the minimum that they began at, within a budget, and when.

Every run ends in exactly one class, decided after a noise-free polish of where it ended: `ESCAPED` to the minimum of the other kind,
`STUCK` at its own, in some `OTHER` one, `DIVERGED`, or `UNRESOLVED` where the polish found no minimum. Times are in updates; a run
that did not escape is censored at the end of its budget.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import chain
from threading import Event
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from hpsearch.statistics.estimates import finite
from hpsearch.training.compiled.jit import Array

ESCAPED, STUCK, OTHER, DIVERGED, UNRESOLVED = range(5)
FULL = "full"  # the batch size of gradient descent
Item = TypeVar("Item")
Result = TypeVar("Result")
Show = Callable[[int, int], None]  # is told how many of how many parts of a test are done
GOLDEN = 0.6180339887498949  # the golden ratio's fraction
CHUNK = 10  # seeds that run without a look at whether the test is to end


class Halted(Exception):
    """A test ends before it is done, since a signal asked for it or another part of it failed."""


class Watch:
    """Shows how far a test is, and ends its parts: they look at it often, so that nobody waits for those that are running."""

    def __init__(self, show: Show = lambda done, total: None, stopping: Callable[[], bool] = lambda: False) -> None:
        self.show = show
        self.stopping = stopping
        self.ended = Event()

    def check(self) -> None:
        """Raise `Halted` where the test is to end."""
        if self.ended.is_set() or self.stopping():
            raise Halted


@dataclass(frozen=True, slots=True)
class EscapeArm:
    """One optimizer at one start: `method` is "sgd", "gd", or GD with Gaussian noise as strong as this batch size's at the start.

    The noise is "isotropic", or "frozen": with the covariance of SGD's own at the start.
    """

    method: str
    start: str
    learning_rate: float
    batch_size: int | str

    def examples_per_update(self, full: int) -> int:
        """Return the batch size as a number; the full batch has `full` examples."""
        size = self.batch_size
        return full if isinstance(size, str) else size


def classes(at_start: Array, at_target: Array, far: Array) -> Array:
    """Return the class [S] of polished ends that are where the run began, at the minimum of the other kind, far from both, or neither."""
    return np.select([at_start, at_target, far], [STUCK, ESCAPED, DIVERGED], UNRESOLVED)


@dataclass(frozen=True, slots=True)
class CellCounts:
    """The counts of an arm's runs within a budget of `updates`, the same updates or the same examples for all arms.

    `total_time` sums the updates of all runs, each to its passage or its end: divided by `escaped` it estimates the mean time
    to escape from censored runs. `median_time` is None where half the runs or more did not escape, `total_time` where
    only the ends of the runs are known. `outcomes` are the classes of the runs, one digit each, where pairs of runs are compared.
    """

    arm: EscapeArm
    budget: str
    updates: int
    seeds: int
    escaped: int
    stuck: int
    other: int
    diverged: int
    unresolved: int
    median_time: float | None
    total_time: int | None
    theory: dict[str, float | None] = field(default_factory=dict)
    outcomes: str | None = None

    @property
    def rank(self) -> tuple[int, int]:
        """What the best cell of a method has most of: escapes, then runs that did not diverge."""
        return self.escaped, -self.diverged

    def row(self) -> dict[str, Any]:
        """Return the cell as one flat row of a table."""
        columns = asdict(self)
        arm = columns.pop("arm")
        theory = columns.pop("theory")
        if self.outcomes is None:
            del columns["outcomes"]
        return {**arm, **columns, **theory}


def tally(
    arm: EscapeArm,
    budget: str,
    updates: int,
    labels: Array,
    times: Array | None = None,
    theory: dict[str, float | None] | None = None,
    outcomes: bool = False,
) -> CellCounts:
    """Count runs [S] by label; one that passed or diverged after `updates` was still stuck then. `outcomes` keeps each run's class."""
    median_time = None
    total_time = None
    if times is not None:
        labels = np.where(times <= updates, labels, STUCK)
        if times.size:
            median_time = finite(float(np.median(np.where(labels == ESCAPED, times, np.inf))))
        total_time = int(np.minimum(times, updates).sum())
    counts: list[int] = np.bincount(labels, minlength=5).tolist()
    return CellCounts(
        arm=arm,
        budget=budget,
        updates=updates,
        seeds=labels.size,
        escaped=counts[ESCAPED],
        stuck=counts[STUCK],
        other=counts[OTHER],
        diverged=counts[DIVERGED],
        unresolved=counts[UNRESOLVED],
        median_time=median_time,
        total_time=total_time,
        theory=theory or {},
        outcomes="".join(map(str, labels)) if outcomes else None,
    )


def columns(cells: Sequence[CellCounts]) -> dict[str, list[Any]]:
    """Return the cells as columns of one length, numbers to six digits: what a data frame is made of."""
    rows = [cell.row() for cell in cells]
    if not rows:
        return {}
    table = zip(*(row.values() for row in rows), strict=True)
    return {name: list(map(_six_digits, values)) for name, values in zip(rows[0], table, strict=True)}


def _six_digits(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def parallel(function: Callable[[Item], Result], items: Iterable[Item], watch: Watch) -> list[Result]:
    """Return the results in the order of the items, computed by one thread per core; compiled loops hold no lock.

    They are computed in a mixed order, always the same one, so that the share that is done tells how long the rest takes.

    Raises:
        Halted: the watch says so.
    """
    todo = list(items)
    # neighbours far from each other, the first one first
    mixed = sorted(range(len(todo)), key=lambda place: place * GOLDEN % 1)
    results: dict[int, Result] = {}

    def run(place: int) -> Result:
        watch.check()
        return function(todo[place])

    with threadpool_limits(limits=1), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            for place, result in zip(mixed, pool.map(run, mixed), strict=True):
                results[place] = result
                watch.show(len(results), len(todo))
        except BaseException:  # a signal's too: the pool waits for what is running
            watch.ended.set()
            raise
    return [results[place] for place in range(len(todo))]


def in_chunks(passages: Callable[[Array], tuple[Array, Array]], stream: Array, watch: Watch) -> tuple[Array, Array]:
    """Return the times [S] and ends [S, ...] of all runs of an arm, one for each key of its stream [S], which know nothing of each other.

    Raises:
        Halted: the watch says so.
    """
    found = []
    for first in range(0, stream.size, CHUNK):
        watch.check()
        found.append(passages(stream[first : first + CHUNK]))
    times, ends = zip(*found, strict=True)
    return np.concatenate(times), np.concatenate(ends)


def run_cells(
    run: Callable[[EscapeArm], Sequence[CellCounts]], arms: Iterable[EscapeArm], watch: Watch
) -> list[CellCounts]:
    """Run all arms in parallel and return their cells."""
    return list(chain.from_iterable(parallel(run, arms, watch)))


def run_arms(
    run: Callable[[EscapeArm], Sequence[CellCounts]], arms: Iterable[EscapeArm], watch: Watch
) -> dict[str, list[Any]]:
    """Run all arms in parallel and return their cells as columns."""
    return columns(run_cells(run, arms, watch))
