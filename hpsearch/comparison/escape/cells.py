"""One cell of an escape test: how many seeds left the minimum that they began at, within a budget, and when.

Every run ends in exactly one class, told after a noise-free polish of where it ended: `ESCAPED` to the minimum of the other kind,
`STUCK` at its own, in some `OTHER` one, `DIVERGED`, or `UNRESOLVED` where the polish found no minimum. Times are in updates; a run
that did not escape is censored at the end of its budget.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from hpsearch.training.compiled.jit import Array

ESCAPED, STUCK, OTHER, DIVERGED, UNRESOLVED = range(5)
FULL = "full"  # the batch size of gradient descent
Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Arm:
    """One optimizer at one start: `method` is "sgd", "gd" or "isotropic" (GD with Gaussian noise as strong as this batch size's)."""

    method: str
    start: str
    learning_rate: float
    batch_size: int | str


@dataclass(frozen=True, slots=True)
class Cell:
    """The counts of an arm's runs within a budget of `updates`, the same updates or the same examples for all arms.

    `total_time` sums the updates of all runs, each to its passage or its end: divided by `escaped` it estimates the mean time
    to escape from censored runs. `median_time` is None where half the runs or more did not escape, `total_time` where
    only the ends of the runs are known.
    """

    arm: Arm
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

    def row(self) -> dict[str, Any]:
        """Return the cell as one flat row of a table."""
        names = [f.name for f in fields(self) if f.name not in ("arm", "theory")]
        arm = {f.name: getattr(self.arm, f.name) for f in fields(self.arm)}
        return arm | {name: getattr(self, name) for name in names} | self.theory


def tally(
    arm: Arm,
    budget: str,
    updates: int,
    labels: Array,
    times: Array | None = None,
    theory: dict[str, float | None] | None = None,
) -> Cell:
    """Count runs [S] by label; one that passed or diverged after `updates` was still stuck then."""
    times_known = times is not None
    times = np.zeros(labels.shape, dtype=np.int64) if times is None else times
    classes = np.bincount(np.where(times <= updates, labels, STUCK), minlength=5)
    passed = np.where((labels == ESCAPED) & (times <= updates), times, np.inf)
    median = float(np.median(passed)) if passed.size and times_known else np.inf
    middle = median if np.isfinite(median) else None
    total = int(np.minimum(times, updates).sum()) if times_known else None
    escaped, stuck, other, diverged, unresolved = (int(count) for count in classes)
    return Cell(
        arm, budget, updates, labels.size, escaped, stuck, other, diverged, unresolved, middle, total, theory or {}
    )


def columns(cells: Sequence[Cell]) -> dict[str, list[Any]]:
    """Return the cells as columns of one length, numbers to six digits: what a data frame is made of."""
    rows = [cell.row() for cell in cells]
    return {name: [_short(row[name]) for row in rows] for name in (rows[0] if rows else ())}


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def parallel(function: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """Return the answers in the order of the items, worked out by one thread per core; compiled loops hold no lock."""
    with threadpool_limits(limits=1), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(function, items))
