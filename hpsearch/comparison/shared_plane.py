"""What only several runs together show: their paths in one plane with the loss on it, and the loss between their ends.

The runs are those of the smallest, a middle and the largest batch size on the same seed, so that they begin at the same weights. A path is
drawn from the start to the target. Its length is that of all its updates in the space of all weights, however many of them are drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isfinite
from typing import Any

import numpy as np
import torch

from hpsearch.comparison.analysis.measured import smallest_middle_largest
from hpsearch.comparison.arms import reached
from hpsearch.comparison.context import ComparisonContext
from hpsearch.comparison.instrumentation import measured_rows, replay
from hpsearch.comparison.measurements.landscape import barrier, principal_plane, surface
from hpsearch.comparison.measuring import history_of
from hpsearch.comparison.replicates import Winner
from hpsearch.data.dataset import Data, Rows
from hpsearch.training.devices import device_of, one_thread
from hpsearch.trial import Architecture

LAYING = 60  # points of a path that lay the plane, evenly in the logarithm of updates: each path counts about the same
DRAWN = 2_000  # points of all paths of a plane
KEPT = 50_000_000  # numbers of all these points together: memory, 200 MB in float32
ROWS = 256  # points taken to the plane at a time
GRID = 41  # points of the plane, along each side
MARGIN = 0.15  # of the paths' extent, around them
DIGITS = 6
PLACE_DIGITS = 4  # of a point of a path


@dataclass(frozen=True, slots=True)
class _Path:
    """One run: where it was [T, P] after which updates, how long its path was in all of them together, and where it ended [P].

    The path ends at the target, or where it was not reached at the end of the run (`reached`).
    """

    batch_size: int
    updates: list[int]
    points: torch.Tensor
    length: float
    reached: bool
    end: torch.Tensor

    @property
    def laying(self) -> torch.Tensor:
        """Some of the points [T', P], which lay the plane together with those of the other paths."""
        chosen = set(_laying(self.updates[-1]))
        return self.points[[update in chosen for update in self.updates]]


def compare_paths(context: ComparisonContext, winners: Sequence[Winner], target: float) -> dict[str, Any] | None:
    """Return, by optimizer, the plane with its paths and the barriers; None where a signal asks to stop."""
    result: dict[str, Any] = {}
    for optimizer in dict.fromkeys(winner.spec.optimizer for winner in winners):
        own = [winner for winner in winners if winner.spec.optimizer == optimizer]
        chosen = smallest_middle_largest(own, lambda winner: winner.spec.batch_size)
        if len(chosen) < 2:
            continue
        data = context.rows_of(context.replicate(chosen[0].spec, 0))  # the same for all, as their initial weights
        runs = [_Run(winner, context, data, target) for winner in chosen]
        points = min(DRAWN, KEPT // runs[0].spec.dense_architecture.parameters)
        counts = shared_out(points, [run.until + 1 for run in runs])
        with one_thread(device_of(data)):
            paths = [run.path(count) for run, count in zip(runs, counts, strict=True)]
            if context.stopping:
                return None
            result[optimizer] = _planes_and_barriers(chosen, paths, data)
    return result


def shared_out(total: int, wanted: Sequence[int]) -> list[int]:
    """Return how many of so many points each path gets: what it wants, or as many as any other that gets less than it wants."""
    given = [0] * len(wanted)
    left = total
    for place, index in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        given[index] = min(wanted[index], left // (len(wanted) - place))
        left -= given[index]
    return given


def _laying(until: int) -> list[int]:
    """Return the updates up to one after which a path's points lay the plane."""
    return sorted({0, *(round(until ** (k / (LAYING - 2))) for k in range(LAYING - 1))})


class _Run:
    """A winner's first run, from the start to the target (`until`), or to its end."""

    def __init__(self, winner: Winner, context: ComparisonContext, data: Data, target: float) -> None:
        history = history_of(winner.writer.previous_trials()[0].run)
        at_target = reached(history, target, data.metric.direction)
        self.batch_size = winner.spec.batch_size
        self.spec = context.replicate(winner.spec, 0)
        self.data = data
        self.last = history.update[-1]
        self.reached = at_target <= self.last
        self.until = int(min(self.last, at_target))

    def path(self, count: int) -> _Path:
        """Train the run again and record where it was after `count` of its updates, evenly spread; where these are all, after each."""
        even = np.linspace(0, self.until, count).round().astype(int).tolist()
        updates = sorted({*even, *_laying(self.until)})
        vectors = {}
        length = 0.0
        for update, state, steps in replay(self.spec, self.data, sorted({*updates, self.last})):
            vectors[update] = state.vector(self.data.training).cpu()
            if update <= self.until:
                length += float(steps.sum())
        points = torch.stack([vectors[update] for update in updates])
        return _Path(self.batch_size, updates, points, length, self.reached, vectors[self.last])


def _planes_and_barriers(winners: Sequence[Winner], paths: Sequence[_Path], data: Data) -> dict[str, Any]:
    """Return the paths' plane and the barriers between their ends; empty where shapes differ, which have no plane in common."""
    architecture = winners[0].spec.architecture
    assert architecture is not None, "a comparison trains dense networks"
    if any(winner.spec.architecture != architecture for winner in winners):
        return {}
    rows = measured_rows(data)
    pairs = combinations(paths, 2)
    return {
        "plane": _plane(architecture, data, paths, rows),
        "barriers": [_barrier(architecture, data, one, other, rows) for one, other in pairs],
        "rows": len(rows),
    }


def _plane(architecture: Architecture, data: Data, paths: Sequence[_Path], rows: Rows) -> dict[str, Any]:
    plane = principal_plane([path.laying for path in paths])
    places = [torch.cat([plane.place(part) for part in path.points.split(ROWS)]) for path in paths]  # [T_i, 2]
    x = _ticks(places, 0)
    y = _ticks(places, 1)
    drawn = []
    for path, at in zip(paths, places, strict=True):
        position = {"x": _rounded(at[:, 0], PLACE_DIGITS), "y": _rounded(at[:, 1], PLACE_DIGITS)}
        distance = float(torch.linalg.vector_norm((path.points[-1] - path.points[0]).double()))
        lengths = {"length": _number(path.length, DIGITS), "distance": _number(distance, DIGITS)}
        facts = {"batch_size": path.batch_size, "reached": path.reached, **lengths}
        drawn.append({**facts, "updates": path.updates, **position})
    return {
        "shares": [round(share, DIGITS) for share in plane.shares],
        "x": x,
        "y": y,
        "loss": _rounded(surface(architecture, data.trained_task, plane, rows, x, y)),
        "paths": drawn,
    }


def _barrier(architecture: Architecture, data: Data, one: _Path, other: _Path, rows: Rows) -> dict[str, Any]:
    found = barrier(architecture, data.trained_task, one.end, other.end, rows)
    return {
        "batch_sizes": [one.batch_size, other.batch_size],
        "height": found.height,
        "alphas": list(found.alphas),
        "losses": [float(f"{loss:.{DIGITS}g}") for loss in found.losses],
    }


def _ticks(places: Sequence[torch.Tensor], axis: int) -> list[float]:
    """Return the grid along an axis, around all paths."""
    along = torch.cat([at[:, axis] for at in places])
    low = float(along.min())
    high = float(along.max())
    pad = MARGIN * ((high - low) or 1.0)
    return [float(f"{tick:.{DIGITS}g}") for tick in np.linspace(low - pad, high + pad, GRID)]


def _rounded(values: torch.Tensor, digits: int = DIGITS) -> Any:
    """Return a tensor as nested lists of numbers with so many digits; None where one is not finite."""
    if values.ndim:
        return [_rounded(part, digits) for part in values]
    return _number(float(values), digits)


def _number(value: float, digits: int) -> float | None:
    return float(f"{value:.{digits}g}") if isfinite(value) else None
