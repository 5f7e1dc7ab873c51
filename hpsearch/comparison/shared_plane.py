"""What only several runs together show: their paths in one plane with the loss on it, and the loss between their ends.

The runs are those of the smallest, a middle and the largest batch size on the same seed, so that they begin at the same weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch

from hpsearch.comparison.analysis.measured import smallest_middle_largest
from hpsearch.comparison.arms import reached
from hpsearch.comparison.context import ComparisonContext
from hpsearch.comparison.instrumentation import measured_rows, replay
from hpsearch.comparison.measurements.landscape import Plane, barrier, principal_plane, surface
from hpsearch.comparison.measuring import history_of
from hpsearch.comparison.replicates import Winner
from hpsearch.data.dataset import Data, Rows
from hpsearch.training.devices import one_thread
from hpsearch.trial import Architecture

POINTS = 60  # of a path, evenly on a logarithmic scale of updates
BEYOND = 3  # times the updates to the target that a path shows
GRID = 41  # points of the plane, along each side
MARGIN = 0.15  # of the paths' extent, around them
DIGITS = 6


@dataclass(frozen=True, slots=True)
class _Path:
    """One run: where it was [T, P] after which updates, and where it ended [P]."""

    batch_size: int
    updates: list[int]
    points: torch.Tensor
    end: torch.Tensor


def compare_paths(context: ComparisonContext, winners: Sequence[Winner], target: float) -> dict[str, Any] | None:
    """Return, by optimizer, the plane with its paths and the barriers; None where a signal asks to stop."""
    result: dict[str, Any] = {}
    for optimizer in dict.fromkeys(winner.spec.optimizer for winner in winners):
        own = [winner for winner in winners if winner.spec.optimizer == optimizer]
        chosen = smallest_middle_largest(own, lambda winner: winner.spec.batch_size)
        if len(chosen) < 2:
            continue
        data = context.rows_of(
            context.replicate(chosen[0].spec, 0)
        )  # the same for all: runs are paired by their rows too
        with one_thread(data):
            paths = [_path(winner, context, data, target) for winner in chosen]
            if context.stopping:
                return None
            result[optimizer] = _planes_and_barriers(chosen, paths, data)
    return result


def _path(winner: Winner, context: ComparisonContext, data: Data, target: float) -> _Path:
    """Train a winner's first run again and record where it was."""
    history = history_of(winner.writer.previous_trials()[0].run)
    last = history.update[-1]
    shown = int(min(last, BEYOND * reached(history, target, data.metric.direction)))
    updates = sorted({0, *(round(shown ** (k / (POINTS - 2))) for k in range(POINTS - 1))})
    stops = sorted({*updates, last})
    vectors = {}
    for update, state, _ in replay(context.replicate(winner.spec, 0), data, stops):
        vectors[update] = state.vector(data.training).cpu()
    points = torch.stack([vectors[update] for update in updates])
    return _Path(winner.spec.batch_size, updates, points, vectors[last])


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
    plane = principal_plane([path.points for path in paths])
    x = _ticks(plane, 0)
    y = _ticks(plane, 1)
    drawn = []
    for path, at in zip(paths, plane.coordinates, strict=True):
        position = {"x": _rounded(at[:, 0]), "y": _rounded(at[:, 1])}
        drawn.append({"batch_size": path.batch_size, "updates": path.updates, **position})
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


def _ticks(plane: Plane, axis: int) -> list[float]:
    """Return the grid along an axis, around all paths."""
    along = torch.cat([at[:, axis] for at in plane.coordinates])
    low = float(along.min())
    high = float(along.max())
    pad = MARGIN * ((high - low) or 1.0)
    return [float(f"{tick:.{DIGITS}g}") for tick in np.linspace(low - pad, high + pad, GRID)]


def _rounded(values: torch.Tensor) -> Any:
    """Return a tensor as nested lists of numbers with `DIGITS` digits; None where one is not finite."""
    if values.ndim:
        return [_rounded(part) for part in values]
    return float(f"{float(values):.{DIGITS}g}") if bool(torch.isfinite(values)) else None
