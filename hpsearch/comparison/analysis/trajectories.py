"""Paths as the storage has them: of runs of several batch sizes in one plane, the barriers between their ends, the textbook's model.

The plane is that of the two principal components of all paths together (Li et al. 2018, arXiv:1712.09913, §7); the barrier is what the loss
on the straight line between two ends exceeds the line between their losses by (Goodfellow et al. 2015, arXiv:1412.6544). The textbook's
model has two weights, so that its loss can be drawn exactly (`hpsearch.comparison.measurements.textbook`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise
from math import dist, isfinite
from typing import Any

from hpsearch.comparison.analysis.measured import or_infinite
from hpsearch.storage import ComparisonRecord

SMALL = 0.1  # of the higher end: a barrier below it is called none


# ---- runs in one plane


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One run in the plane: where it was (`x`, `y`) after which `updates`.

    `detour` is the length of all its updates in the space of all weights by the straight line from the first to the last of these points,
    None where it is not known. `reached`: the last point is where the run reached the target; False: its end; None: neither.
    """

    batch_size: int
    updates: tuple[int, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    detour: float | None
    reached: bool | None

    @property
    def count(self) -> int:
        """Updates that the path has."""
        return self.updates[-1]

    @property
    def shown(self) -> int:
        """Updates of them after which it is drawn."""
        return sum(update > 0 for update in self.updates)

    @property
    def detour_on_plane(self) -> float | None:
        """The length of the drawn line by the straight line from its start to its end, both on the plane; None where these are one."""
        distance = dist((self.x[0], self.y[0]), (self.x[-1], self.y[-1]))
        length = sum(dist(a, b) for a, b in pairwise(zip(self.x, self.y, strict=True)))
        return length / distance if distance else None


@dataclass(frozen=True, slots=True)
class SharedPlane:
    """The plane: its axes' `shares` of the paths' variance, and the `loss` [len(y), len(x)] on it, infinite where not finite."""

    shares: tuple[float, float]
    x: tuple[float, ...]
    y: tuple[float, ...]
    loss: tuple[tuple[float, ...], ...]
    trajectories: tuple[Trajectory, ...]


@dataclass(frozen=True, slots=True)
class BarrierBetween:
    """The loss at `alphas` of the line from the end of one batch size's run to that of another; `height` of the barrier."""

    batch_sizes: tuple[int, int]
    height: float
    alphas: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def separate(self) -> bool:
        """Whether the barrier is high against the higher of the two ends."""
        return self.height > SMALL * max(self.losses[0], self.losses[-1])


def shared_plane(record: ComparisonRecord, optimizer: str) -> SharedPlane | None:
    """Return the plane of an optimizer's paths, None where there is none."""
    plane = record.shared.get(optimizer, {}).get("plane")
    if not plane or not plane["paths"]:
        return None
    first, second = plane["shares"]
    return SharedPlane(
        shares=(float(first), float(second)),
        x=tuple(plane["x"]),
        y=tuple(plane["y"]),
        loss=tuple(tuple(map(or_infinite, line)) for line in plane["loss"]),
        trajectories=tuple(_trajectory(path) for path in plane["paths"]),
    )


def _trajectory(path: Mapping[str, Any]) -> Trajectory:
    updates, x, y = _finite_columns(path["updates"], path["x"], path["y"])
    length = path.get("length")
    distance = path.get("distance")
    detour = length / distance if length and distance else None
    return Trajectory(int(path["batch_size"]), updates, x, y, detour, path.get("reached"))


def _finite_columns(*columns: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the columns without the points at which one of them is not finite."""
    finite = [all(value is not None and isfinite(value) for value in point) for point in zip(*columns, strict=True)]
    return [tuple(compress(column, finite)) for column in columns]


def barriers(record: ComparisonRecord, optimizer: str) -> list[BarrierBetween]:
    """Return the barriers between the ends of an optimizer's runs, as far as there are."""
    stored = record.shared.get(optimizer, {}).get("barriers", [])
    result = []
    for entry in stored:
        first, second = entry["batch_sizes"]
        losses = tuple(map(or_infinite, entry["losses"]))
        if losses:
            result.append(BarrierBetween((first, second), or_infinite(entry["height"]), tuple(entry["alphas"]), losses))
    return result


# ---- the textbook's model


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
    stored = record.textbook
    if not stored or not stored["paths"]:
        return None
    first, second = stored["minimum"]
    paths = [_drawn_path(path) for path in stored["paths"]]
    return Textbook(
        columns=tuple(int(column) for column in stored["columns"]),
        rows=int(stored["rows"]),
        logistic=bool(stored["logistic"]),
        x=tuple(stored["x"]),
        y=tuple(stored["y"]),
        loss=tuple(tuple(line) for line in stored["loss"]),
        minimum=(float(first), float(second)),
        paths=tuple(sorted(paths, key=lambda path: path.batch_size)),
    )


def _drawn_path(path: Mapping[str, Any]) -> DrawnPath:
    updates, x, y, losses = _finite_columns(path["updates"], *zip(*path["path"], strict=True), path["losses"])
    return DrawnPath(
        batch_size=int(path["batch_size"]),
        learning_rate=float(path["learning_rate"]),
        updates=updates,
        x=x,
        y=y,
        losses=losses,
        updates_to_near=path["updates_to_near"],
        examples_to_near=path["examples_to_near"],
        edge=bool(path["edge"]),
    )
