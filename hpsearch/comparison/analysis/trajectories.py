"""Where runs of several batch sizes went, on one plane through their paths, and what lies on the straight line between their ends.

The plane is that of the two principal components of all paths together (Li et al. 2018, arXiv:1712.09913, §7); the barrier is what the loss
on the line exceeds the line between its ends by (Goodfellow et al. 2015, arXiv:1412.6544).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot, inf
from typing import Any

from hpsearch.storage import ComparisonRecord

SMALL = 0.1  # of the higher end: a barrier below it is called none


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One run on the plane: where it was (`x`, `y`) after which `updates`."""

    batch_size: int
    updates: tuple[int, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]

    @property
    def distance(self) -> float:
        """How far the end lies from the start, on the plane."""
        return hypot(self.x[-1] - self.x[0], self.y[-1] - self.y[0])

    @property
    def length(self) -> float:
        """How long the path is on the plane, between the updates that were kept."""
        steps = zip(self.x, self.x[1:], self.y, self.y[1:], strict=False)
        return sum(hypot(b - a, d - c) for a, b, c, d in steps)


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
    """The loss at `alphas` of the way from the end of one batch size's run to that of another; `height` of the barrier."""

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
        (float(first), float(second)),
        tuple(plane["x"]),
        tuple(plane["y"]),
        tuple(tuple(_number(loss) for loss in line) for line in plane["loss"]),
        tuple(_trajectory(path) for path in plane["paths"]),
    )


def _trajectory(path: Mapping[str, Any]) -> Trajectory:
    kept = [(u, x, y) for u, x, y in zip(path["updates"], path["x"], path["y"], strict=True) if None not in (x, y)]
    updates, x, y = ([point[i] for point in kept] for i in range(3))
    return Trajectory(int(path["batch_size"]), tuple(updates), tuple(x), tuple(y))


def barriers(record: ComparisonRecord, optimizer: str) -> list[BarrierBetween]:
    """Return the barriers between the ends of an optimizer's runs, as far as there are."""
    return [_barrier(found) for found in record.shared.get(optimizer, {}).get("barriers", []) if found["alphas"]]


def _barrier(found: Mapping[str, Any]) -> BarrierBetween:
    first, second = found["batch_sizes"]
    losses: Sequence[Any] = found["losses"]
    return BarrierBetween(
        (int(first), int(second)),
        _number(found["height"]),
        tuple(float(alpha) for alpha in found["alphas"]),
        tuple(_number(loss) for loss in losses),
    )


def _number(value: float | None) -> float:
    return inf if value is None else float(value)
