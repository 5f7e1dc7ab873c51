"""One run in slow motion: everything that is measured of it between its first and its last update, as plain values for the storage."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

import numpy as np
import torch

from hpsearch.comparison.measurements.curvature import sharpness
from hpsearch.comparison.measurements.noise import batch_noise, noise_scale, two_batch_noise
from hpsearch.comparison.measurements.paths import path_efficiency, variability
from hpsearch.comparison.measurements.state import State, mean_loss
from hpsearch.comparison.moments import Moments
from hpsearch.data.dataset import Data, Rows
from hpsearch.training import draws
from hpsearch.training.recording import make_recorder
from hpsearch.trial import TrialSpec

LOOKED_AT = 5_000  # training rows on which loss, noise and sharpness are measured, always the same ones
BATCHES = 50  # random batches of each size
MOST = 200_000  # rows in the batches of one size


def looked_at(data: Data) -> Rows:
    """Return the fixed training rows that measurements look at: all of a small data set, else a random choice of `LOOKED_AT`."""
    rows = data.training
    if len(rows) <= LOOKED_AT:
        return rows
    chosen = torch.randperm(len(rows), generator=draws.generator("looked at", len(rows)))[:LOOKED_AT]
    chosen = chosen.to(rows.inputs.device)
    return Rows(rows.inputs[chosen], rows.targets[chosen])


def look(
    spec: TrialSpec, data: Data, when: Moments, batch_sizes: Sequence[int], stopping: Callable[[], bool]
) -> dict[str, Any] | None:
    """Train a run again and measure it; None where `stopping` said so.

    `batch_sizes` are those whose batches are drawn at the named moments, to compare their gradients with that of all rows.
    """
    rows, losses = looked_at(data), {}
    found: dict[str, Any] = {"moments": dict(when.named), "noise": [], "sharpness": [], "batches": {}, "two_batch": {}}
    points: dict[str, tuple[torch.Tensor, int]] = {}
    norms: list[np.ndarray[Any, Any]] = []
    for update, state, steps in walk(spec, data, when.stops):
        if stopping():
            return None
        norms.append(steps)
        vector = state.vector(rows)
        losses[update] = mean_loss(state.architecture, state.task, vector, rows)
        points |= {name: (vector, len(norms)) for name, at in when.named.items() if at == update}
        if update in when.marks and isfinite(losses[update]):
            _at_mark(found, update, state, rows, losses[update], whole=len(rows) == len(data.training))
            names = [name for name, at in when.named.items() if at == update and name != "end"]
            drawn = {name: _batches(state, data.training, batch_sizes) for name in names if batch_sizes}
            found["batches"] |= drawn
            found["two_batch"] |= {name: _two_batch(batches, len(data.training)) for name, batches in drawn.items()}
    found["variability"] = {
        name: {**asdict(variability([losses[u] for u in at])), "count": len(at) - 1}
        for name, at in (("updates", when.window), ("epochs", when.passes))
        if len(at) > 2
    }
    found["path"] = {
        name: asdict(
            path_efficiency(points["start"][0], points[name][0], np.concatenate(norms[: points[name][1]]).tolist())
        )
        for name in ("target", "end")
        if name in points and when.named[name] > 0
    }
    plain: dict[str, Any] = _plain(found)
    return plain


def walk(spec: TrialSpec, data: Data, stops: Sequence[int]) -> Iterator[tuple[int, State, "np.ndarray[Any, Any]"]]:
    """Yield a run's state at each of the updates, and the lengths of the steps since the one before."""
    assert spec.architecture is not None, "a comparison trains dense networks"
    recorder, done = make_recorder(spec, data), 0
    for update in stops:
        steps = recorder.advance(update) if update > done else np.empty(0)
        done = update
        yield update, State(spec.architecture, data.trained_task, recorder.weights()), steps


def _at_mark(found: dict[str, Any], update: int, state: State, rows: Rows, loss: float, whole: bool) -> None:
    """Measure noise and curvature at one update."""
    noise, curvature = noise_scale(state, rows), sharpness(state, rows)
    of_rows = {"scale_of_rows": noise.rows.scale} if whole else {}
    found["noise"].append({"update": update, "loss": loss, **asdict(noise.distribution), **of_rows})
    told = {"value": curvature.value, "products": curvature.products, "converged": curvature.converged}
    found["sharpness"].append({"update": update, **told})


def _batches(state: State, rows: Rows, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Compare random batches of each size with all rows; of large ones fewer are drawn."""
    return [_batch(state, rows, size, max(4, min(BATCHES, MOST // size))) for size in sizes]


def _batch(state: State, rows: Rows, size: int, count: int) -> dict[str, Any]:
    measured = asdict(batch_noise(state, rows, [size], count if size < len(rows) else 1, seed=0)[0])
    return {"cosine": measured.pop("cosine_mean"), **measured, "count": count if size < len(rows) else 1}


def _two_batch(batches: Sequence[Mapping[str, Any]], rows: int) -> dict[str, Any]:
    """Return the noise scale as batches of the smallest and the largest size below the full one tell it; empty with fewer sizes."""
    mini = [batch for batch in batches if batch["batch_size"] < rows]
    if len(mini) < 2:
        return {}
    small, large = mini[0], mini[-1]
    sizes = small["batch_size"], large["batch_size"]
    estimate = two_batch_noise([small["squared_norm"]], [large["squared_norm"]], *sizes)
    return {"small": sizes[0], "large": sizes[1], "scale": estimate.scale}


def _plain(value: Any) -> Any:
    """Return values as JSON has them: numbers of Python's own, and no infinity, which is None."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not isfinite(value) else value
