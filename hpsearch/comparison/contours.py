"""The textbook's picture on the study's own data: two weights, their exact loss, and the paths of three batch sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from math import inf, isfinite
from typing import Any

import numpy as np

from hpsearch.comparison.measurements.descent import PathOf, tuned_paths
from hpsearch.comparison.measurements.textbook import Problem, loss_grid, minimum, two_weight_problem
from hpsearch.data.dataset import Data
from hpsearch.errors import UserError

MINI = 32
BEYOND = 4  # times the updates to the minimum's neighbourhood that a path shows
GRID = 61  # points of the surface, along each side
MARGIN = 0.12  # of the paths' extent, around them
DIGITS = 6


def two_weights(data: Data, seed: int) -> dict[str, Any]:
    """Return the two-weight model of the training rows as plain values; empty where no two columns vary independently."""
    try:
        problem = two_weight_problem(data)
    except UserError:
        return {}
    best = minimum(problem)
    paths = tuned_paths(problem, sorted({1, min(MINI, len(problem)), len(problem)}), seed)
    shown = [_path(path) for path in paths]
    x, y = (_ticks(shown, axis, float(best[axis])) for axis in (0, 1))
    return {
        "columns": list(problem.columns),
        "rows": len(problem),
        "logistic": problem.logistic,
        "x": x,
        "y": y,
        "loss": _surface(problem, x, y),
        "minimum": [_short(value) for value in best],
        "paths": shown,
    }


def _surface(problem: Problem, x: Sequence[float], y: Sequence[float]) -> list[list[float | None]]:
    return [[_short(value) for value in line] for line in loss_grid(problem, x, y)]


def _path(path: PathOf) -> dict[str, Any]:
    """Return a path as plain values, a while beyond its arrival: what follows would only hide how it came there."""
    last = BEYOND * path.updates_to_near if path.updates_to_near else inf
    count = max(2, sum(update <= last for update in path.updates))
    path = replace(path, updates=path.updates[:count], path=path.path[:count], losses=path.losses[:count])
    points = [[_short(a), _short(b)] for a, b in path.path]
    return {
        **asdict(path),
        "updates": list(path.updates),
        "path": points,
        "losses": [_short(loss) for loss in path.losses],
    }


def _ticks(paths: Sequence[Mapping[str, Any]], axis: int, best: float) -> list[float]:
    along = [best, *(point[axis] for path in paths for point in path["path"] if point[axis] is not None)]
    low, high = np.percentile(along, [0.2, 99.8])  # a single far leap must not shrink the picture
    pad = MARGIN * float(high - low)
    return [float(f"{tick:.{DIGITS}g}") for tick in np.linspace(low - pad, high + pad, GRID)]


def _short(value: float) -> float | None:
    return float(f"{float(value):.{DIGITS}g}") if isfinite(value) else None
