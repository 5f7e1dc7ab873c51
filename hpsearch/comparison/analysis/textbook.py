"""The paths on the loss of two weights, as the storage has them.

Its form: `columns` of the data, `rows`, `logistic`; `x`, `y` and the exact `loss` [len(y), len(x)]; `minimum` [2]; `paths`, each a
`diagnostics.descent.PathOf` as a table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from hpsearch.storage import ComparisonRecord


@dataclass(frozen=True, slots=True)
class DrawnPath:
    """A batch size's path at its tuned learning rate: weights (`x`, `y`) and loss after `updates`, up to where they are finite.

    `updates_to_near` is when it came near the minimum for good, None if never; `edge`: the best rate tried was an end of the range.
    """

    batch_size: int
    learning_rate: float
    updates: tuple[int, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    losses: tuple[float, ...]
    updates_to_near: int | None
    examples_to_near: int | None
    edge: bool

    def until(self, update: int) -> int:
        """Return how many points the path has up to an update."""
        return sum(kept <= update for kept in self.updates)


@dataclass(frozen=True, slots=True)
class Textbook:
    """The loss of two weights over its grid, its minimum, and the paths, smallest batch size first."""

    columns: tuple[int, ...]
    rows: int
    logistic: bool
    x: tuple[float, ...]
    y: tuple[float, ...]
    loss: tuple[tuple[float, ...], ...]
    minimum: tuple[float, float]
    paths: tuple[DrawnPath, ...]


def textbook(record: ComparisonRecord) -> Textbook | None:
    """Return the two-weight model of a record, None where it was not made."""
    found = record.textbook
    if not found or not found["paths"]:
        return None
    first, second = found["minimum"]
    return Textbook(
        tuple(int(column) for column in found["columns"]),
        int(found["rows"]),
        bool(found["logistic"]),
        tuple(found["x"]),
        tuple(found["y"]),
        tuple(tuple(line) for line in found["loss"]),
        (float(first), float(second)),
        tuple(sorted((_path(path) for path in found["paths"]), key=lambda path: path.batch_size)),
    )


def _path(path: Mapping[str, Any]) -> DrawnPath:
    points = zip(path["updates"], path["path"], path["losses"], strict=True)
    kept = [(update, x, y, loss) for update, (x, y), loss in points if _finite(x, y, loss)]
    updates, x, y, losses = (tuple(point[i] for point in kept) for i in range(4))
    size, rate, edge = int(path["batch_size"]), float(path["learning_rate"]), bool(path["edge"])
    return DrawnPath(size, rate, updates, x, y, losses, path["updates_to_near"], path["examples_to_near"], edge)


def _finite(*values: float | None) -> bool:
    return all(value is not None and isfinite(value) for value in values)
