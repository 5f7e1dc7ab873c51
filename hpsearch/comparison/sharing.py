"""What only several runs together show: their paths in one plane with the loss on it, and the loss between their ends.

The runs are those of the smallest, a middle and the largest batch size on the same seed, so that they begin at the same weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch

from hpsearch.comparison.instrumentation import looked_at, walk
from hpsearch.comparison.measurements.landscape import Plane, barrier, principal_plane, surface
from hpsearch.comparison.measuring import REFERENCE, Measured, history_of
from hpsearch.comparison.winners import reached
from hpsearch.data.dataset import Data
from hpsearch.searching.replicate_seeds import fresh
from hpsearch.training.devices import one_thread

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


def share(
    winners: Sequence[Measured], data: Data, *, seed: int, target: float, stopping: Callable[[], bool]
) -> dict[str, Any] | None:
    """Return, by optimizer, the plane with its paths and the barriers; None where `stopping` said so."""
    found: dict[str, Any] = {}
    for optimizer in dict.fromkeys(winner.spec.optimizer for winner in winners):
        chosen = _regimes([winner for winner in winners if winner.spec.optimizer == optimizer])
        if len(chosen) < 2:
            continue
        with one_thread(data):
            paths = [_path(winner, data, seed, target) for winner in chosen]
            if stopping():
                return None
            found[optimizer] = _together(chosen, paths, data)
    return found


def _regimes(winners: Sequence[Measured]) -> list[Measured]:
    """Return the winners of the smallest, a middle and the largest batch size, as far as there are."""
    ordered = sorted(winners, key=lambda winner: winner.spec.batch_size)
    inner = sorted(ordered[1:-1], key=lambda winner: abs(winner.spec.batch_size - REFERENCE))[:1]
    return [*ordered[:1], *inner, *ordered[1:][-1:]]


def _path(winner: Measured, data: Data, seed: int, target: float) -> _Path:
    history = history_of(winner.writer.previous_trials()[0].run)
    last = history.update[-1]
    shown = int(min(last, BEYOND * reached(history, target, data.metric.direction)))
    updates = sorted({0, *(round(shown ** (k / (POINTS - 2))) for k in range(POINTS - 1))})
    rows = data.training
    vectors = {
        update: state.vector(rows).cpu()
        for update, state, _ in walk(fresh(winner.spec, seed, 0), data, sorted({*updates, last}))
    }
    return _Path(winner.spec.batch_size, updates, torch.stack([vectors[u] for u in updates]), vectors[last])


def _together(winners: Sequence[Measured], paths: Sequence[_Path], data: Data) -> dict[str, Any]:
    rows, architecture = looked_at(data), winners[0].spec.architecture
    assert architecture is not None, "a comparison trains dense networks"
    if any(winner.spec.architecture != architecture for winner in winners):
        return {}  # tuned to different shapes: they have no plane in common
    plane = principal_plane([path.points for path in paths])
    x, y = (_ticks(plane, axis) for axis in (0, 1))
    return {
        "plane": {
            "shares": [round(share, DIGITS) for share in plane.shares],
            "x": x,
            "y": y,
            "loss": _short(surface(architecture, data.trained_task, plane, rows, x, y)),
            "paths": [
                {"batch_size": path.batch_size, "updates": path.updates, "x": _short(at[:, 0]), "y": _short(at[:, 1])}
                for path, at in zip(paths, plane.coordinates, strict=True)
            ],
        },
        "barriers": [
            {"batch_sizes": [one.batch_size, other.batch_size], "height": wall.height}
            | {"alphas": list(wall.alphas), "losses": [float(f"{loss:.{DIGITS}g}") for loss in wall.losses]}
            for one, other in combinations(paths, 2)
            for wall in (barrier(architecture, data.trained_task, one.end, other.end, rows),)
        ],
        "rows": len(rows),
    }


def _ticks(plane: Plane, axis: int) -> list[float]:
    along = torch.cat([at[:, axis] for at in plane.coordinates])
    low, high = float(along.min()), float(along.max())
    pad = MARGIN * ((high - low) or 1.0)
    return [float(f"{tick:.{DIGITS}g}") for tick in np.linspace(low - pad, high + pad, GRID)]


def _short(values: torch.Tensor) -> Any:
    """Return a tensor as nested lists of numbers with `DIGITS` digits; None where one is not finite."""
    if values.ndim:
        return [_short(part) for part in values]
    return float(f"{float(values):.{DIGITS}g}") if bool(torch.isfinite(values)) else None
