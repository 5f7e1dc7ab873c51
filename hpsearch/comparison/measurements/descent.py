"""Paths of gradient descent, stochastic gradient descent and mini-batches on a problem of two weights (`textbook`).

Each batch size gets the learning rate that suits it, as in every fair comparison (Shallue et al. 2019, arXiv:1811.03600, §5), and all
start at one point, placed so that the steep and the flat direction hold the same loss.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from math import inf, isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from hpsearch.comparison.measurements.textbook import (
    Array,
    Problem,
    gradient,
    hessian,
    loss,
    loss_grid,
    minimum,
    two_weight_problem,
)
from hpsearch.data.dataset import Data
from hpsearch.errors import UserError
from hpsearch.training.draws import batch_order

RATES = tuple(2.0**power for power in range(-12, 11))
DISTANCE = 3.0  # from the start to the minimum; weights are of standardised columns
NEAR = 0.05  # of the loss between start and minimum: a path within this has arrived
PASSES = 20  # over the rows, of a path
LEAST = 300  # updates of a path
MOST = 5_000
POINTS = 300  # of a path, at which the loss is computed and which are drawn
MINI_BATCH = 32
BEYOND = 4  # times the updates to the minimum's neighbourhood that a path shows
GRID = 61  # points of the surface, along each side
MARGIN = 0.12  # of the paths' extent, around them
DIGITS = 6


@dataclass(frozen=True, slots=True)
class TunedPath:
    """The path of a batch size at its best learning rate.

    `updates` are the numbers of the updates after which `path` (two weights each) and `losses` (over all rows) are recorded, closer
    together at first; `updates_to_near` is the first of them from which the loss stays within `NEAR` of the minimum up to the end, None
    where no learning rate gets there (then that of the lowest last loss is shown). `edge`: the best rate is the least or greatest tried.
    """

    batch_size: int
    learning_rate: float
    updates: tuple[int, ...]
    path: tuple[tuple[float, float], ...]
    losses: tuple[float, ...]
    updates_to_near: int | None
    examples_to_near: int | None
    edge: bool


def starting_point(problem: Problem) -> Array:
    """Return the weights [2] at `DISTANCE` from the minimum.

    To second order, half of the loss there is in the steep direction and half in the flat one.
    """
    best = minimum(problem)
    values, vectors = np.linalg.eigh(hessian(problem, best))
    vectors = vectors * np.where(vectors[0] < 0, -1, 1)  # the solver's signs are arbitrary
    away = vectors @ (1 / np.sqrt(values))
    return np.asarray(best + DISTANCE * away / np.linalg.norm(away))


def descend(problem: Problem, batch_size: int, learning_rate: float, updates: int, start: Array, seed: int) -> Array:
    """Return the weights after each update, [updates + 1, 2], the start first; batches as in training, those of the seed.

    Where it diverges, the rest of the path is not finite.
    """
    return _descend(problem, batch_size, np.array([learning_rate]), updates, start, seed)[:, 0]


def _descend(problem: Problem, batch_size: int, rates: Array, updates: int, start: Array, seed: int) -> Array:
    """Return the paths of several learning rates [L], which see the same batches: [updates + 1, L, 2]."""
    path = np.empty((updates + 1, len(rates), 2))
    path[0] = start
    batches = _batches(len(problem), batch_size, seed)
    with np.errstate(over="ignore", invalid="ignore"):
        for update in range(updates):
            path[update + 1] = path[update] - rates[:, None] * gradient(problem, path[update], next(batches))
    return path


def _batches(rows: int, batch_size: int, seed: int) -> Iterator[npt.NDArray[np.intp]]:
    """Return batches as training has them: pass by pass in a new order, rows that do not fill a batch left out."""
    pass_ = 0
    while True:
        order = batch_order(seed, batch_size, pass_, rows).numpy()
        yield from order[: rows // batch_size * batch_size].reshape(-1, batch_size)
        pass_ += 1


def tuned_paths(problem: Problem, batch_sizes: Sequence[int], seed: int) -> list[TunedPath]:
    """Return the path of each batch size from one start, at the learning rate of `RATES` that first comes near the minimum.

    At one batch size fewest updates are fewest examples too. The budget grows with the passes that small batches save.

    Raises:
        ValueError: a batch size is not between 1 and the number of rows.
    """
    for size in batch_sizes:
        if not 1 <= size <= len(problem):
            raise ValueError(f"batch size {size}: 1 to {len(problem)} expected, as there are so many rows")
    start = starting_point(problem)
    least = float(loss(problem, minimum(problem)))
    near = least + NEAR * (float(loss(problem, start)) - least)
    return [_tuned_path(problem, size, seed, start, near) for size in batch_sizes]


def _tuned_path(problem: Problem, batch_size: int, seed: int, start: Array, near: float) -> TunedPath:
    updates = int(np.clip(PASSES * len(problem) // batch_size, LEAST, MOST))
    recorded = np.unique(np.append(0, np.geomspace(1, updates, POINTS).round().astype(int)))  # [K]
    paths = _descend(problem, batch_size, np.array(RATES), updates, start, seed)[recorded]  # [K, L, 2]
    with np.errstate(over="ignore", invalid="ignore"):
        losses = np.nan_to_num(loss(problem, paths), nan=np.inf, posinf=np.inf)  # [K, L]
    arrivals = [_arrival(column <= near) for column in losses.T]
    best = min(range(len(RATES)), key=lambda rate: (arrivals[rate], losses[-1, rate]))
    updates_to_near = None
    examples_to_near = None
    if arrivals[best] < len(recorded):
        updates_to_near = int(recorded[arrivals[best]])
        examples_to_near = updates_to_near * batch_size
    return TunedPath(
        batch_size=batch_size,
        learning_rate=RATES[best],
        updates=tuple(recorded.tolist()),
        path=tuple((float(a), float(b)) for a, b in paths[:, best]),
        losses=tuple(losses[:, best].tolist()),
        updates_to_near=updates_to_near,
        examples_to_near=examples_to_near,
        edge=best in (0, len(RATES) - 1),
    )


def _arrival(inside: npt.NDArray[np.bool_]) -> int:
    """Return the first index from which all are inside, their number where the last one is not."""
    outside = np.flatnonzero(~inside)
    return int(outside[-1]) + 1 if len(outside) else 0


def two_weights(data: Data, seed: int) -> dict[str, Any]:
    """Return the two-weight model of the training rows as plain values; empty where no two columns vary independently."""
    try:
        problem = two_weight_problem(data)
    except UserError:
        return {}
    best = minimum(problem)
    paths = tuned_paths(problem, sorted({1, min(MINI_BATCH, len(problem)), len(problem)}), seed)
    shown = [_plain_path(path) for path in paths]
    x = _ticks(shown, 0, float(best[0]))
    y = _ticks(shown, 1, float(best[1]))
    return {
        "columns": list(problem.columns),
        "rows": len(problem),
        "logistic": problem.logistic,
        "x": x,
        "y": y,
        "loss": [list(map(_short, line)) for line in loss_grid(problem, x, y)],
        "minimum": [_short(value) for value in best],
        "paths": shown,
    }


def _plain_path(path: TunedPath) -> dict[str, Any]:
    """Return a path as plain values, until some time after its arrival: what follows would only hide how it came there."""
    last = inf
    if path.updates_to_near:
        last = BEYOND * path.updates_to_near
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
    points = chain.from_iterable(path["path"] for path in paths)
    along = [best, *(point[axis] for point in points if point[axis] is not None)]
    low, high = np.percentile(along, [0.2, 99.8])  # a single far leap must not shrink the picture
    pad = MARGIN * float(high - low)
    return [float(f"{tick:.{DIGITS}g}") for tick in np.linspace(low - pad, high + pad, GRID)]


def _short(value: float) -> float | None:
    if not isfinite(value):
        return None
    return float(f"{float(value):.{DIGITS}g}")
