"""Instrumentation: train a recorded run again and measure it on the way, as plain values for the storage.

`plan_measurements` chooses the updates at which a run is measured, from its learning curve. `measure_run` replays the run through them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hpsearch.comparison.arms import reached
from hpsearch.comparison.measurements.noise import batch_noise, noise_scale, two_batch_noise
from hpsearch.comparison.measurements.stability import (
    Variability,
    path_efficiency,
    sampled_variability,
    sharpness,
    variability,
)
from hpsearch.comparison.measurements.state import State, mean_loss
from hpsearch.data.dataset import Data, Rows
from hpsearch.training import draws
from hpsearch.training.recording import make_recorder
from hpsearch.trial import Direction, History, TrialSpec

Floats = npt.NDArray[np.float64]
MEASURED_ROWS = 5_000  # training rows on which loss, noise and sharpness are measured, always the same ones
BATCHES = 50  # random batches of each size
FEWEST_BATCHES = 4
MOST_BATCH_ROWS = 200_000  # rows in all batches of one size
MARKS = 8  # measurements of noise and sharpness between the first and the last update, evenly on a logarithmic scale
PAIRS = 250  # updates before the target, at most, whose losses before and after are compared
WINDOW = 100  # updates after the target whose losses are compared one by one
PASSES = 12  # passes over the rows after the target, likewise


@dataclass(frozen=True, slots=True)
class MeasurementPlan:
    """Updates of one run: `named` is start, middle, target and end; at `marks` noise and sharpness are measured.

    For each update of `before` the loss is taken before and after the next one: these are all updates from the start to the target (to the
    end, where it was not reached), or `PAIRS` of them, evenly spread. `window` and `passes` are the updates after which the loss is taken
    beyond the target, for its variability from update to update and from pass to pass; empty where it was not reached.
    """

    named: Mapping[str, int]
    marks: tuple[int, ...]
    before: tuple[int, ...] = field(default=())
    window: tuple[int, ...] = field(default=())
    passes: tuple[int, ...] = field(default=())

    @property
    def stops(self) -> list[int]:
        """All updates at which something is measured, in order."""
        after = (update + 1 for update in self.before)
        return sorted({*self.named.values(), *self.marks, *self.before, *after, *self.window, *self.passes})

    @property
    def descent(self) -> int:
        """Updates from the start to the target, to the end where it was not reached."""
        return self.named.get("target", self.named["end"])


def plan_measurements(
    spec: TrialSpec, history: History, target: float, direction: Direction, losses: tuple[float, float], rows: int
) -> MeasurementPlan:
    """Return the updates at which a recorded run is measured.

    `losses` are the validation losses at the start and, usually, at the target. The middle is halfway between on a logarithmic scale: the
    same loss for every batch size, so that differences there do not come from how far training has come.
    """
    last = history.update[-1] if len(history) else 0
    marks = {0, *(round(last ** (k / (MARKS - 1))) for k in range(MARKS))} if last else {0}
    reached_at = reached(history, target, direction)
    if reached_at > last:
        return MeasurementPlan({"start": 0, "end": last}, tuple(sorted(marks)), before=_spread(last))
    at_target = int(reached_at)
    middle = _first_below(history, sqrt(losses[0] * losses[1]), at_target)
    named = {"start": 0, "middle": middle, "target": at_target, "end": last}
    updates_in_pass = max(1, rows // spec.batch_size)
    return MeasurementPlan(
        named=named,
        marks=tuple(sorted({*marks, *named.values()})),
        before=_spread(at_target),
        window=tuple(range(at_target, min(last, at_target + WINDOW) + 1)),
        passes=tuple(range(at_target, last + 1, updates_in_pass)[: PASSES + 1]),
    )


def _spread(updates: int) -> tuple[int, ...]:
    """Return all of so many updates, counted from 0, or `PAIRS` of them, evenly spread with the first and the last."""
    if updates <= PAIRS:
        return tuple(range(updates))
    return tuple(round(k * (updates - 1) / (PAIRS - 1)) for k in range(PAIRS))


def _first_below(history: History, loss: float, default: int) -> int:
    """Return the first evaluated update with a validation loss of at most `loss`."""
    evaluations = zip(history.update, history.validation_loss, strict=True)
    return next((update for update, value in evaluations if value <= loss), default)


def measured_rows(data: Data) -> Rows:
    """Return the fixed training rows that are measured: all of a small data set, else a random choice of `MEASURED_ROWS`."""
    rows = data.training
    if len(rows) <= MEASURED_ROWS:
        return rows
    chosen = torch.randperm(len(rows), generator=draws.generator("looked at", len(rows)))[:MEASURED_ROWS]
    chosen = chosen.to(rows.inputs.device)
    return Rows(rows.inputs[chosen], rows.targets[chosen])


def replay(spec: TrialSpec, data: Data, stops: Sequence[int]) -> Iterator[tuple[int, State, Floats]]:
    """Train a run again; yield its state at each of the updates, and the lengths of the steps since the one before."""
    assert spec.architecture is not None, "a comparison trains dense networks"
    recorder = make_recorder(spec, data)
    done = 0
    for update in stops:
        steps = recorder.advance(update) if update > done else np.empty(0)
        done = update
        yield update, State(spec.architecture, data.trained_task, recorder.weights()), steps


def measure_run(
    spec: TrialSpec, data: Data, plan: MeasurementPlan, batch_sizes: Sequence[int], stopping: Callable[[], bool]
) -> dict[str, Any] | None:
    """Train a run again and measure it; None where `stopping` asks to stop.

    `batch_sizes` are those whose batches are drawn at the named moments, to compare their gradients with that of all rows.
    """
    rows = measured_rows(data)
    losses: dict[int, float] = {}
    weights: dict[int, torch.Tensor] = {}  # at the named moments
    lengths: dict[int, Floats] = {}  # of the steps up to each stop
    result: dict[str, Any] = {"moments": dict(plan.named), "noise": [], "sharpness": [], "batches": {}, "two_batch": {}}
    for update, state, steps in replay(spec, data, plan.stops):
        if stopping():
            return None
        lengths[update] = steps
        vector = state.vector(rows)
        losses[update] = mean_loss(state.architecture, state.task, vector, rows)
        if update in plan.named.values():
            weights[update] = vector
        if update in plan.marks and isfinite(losses[update]):
            _add_mark(result, update, state, rows, losses[update], full=len(rows) == len(data.training))
            _add_batches(result, plan, update, state, data.training, batch_sizes)
    result["variability"] = _variability(plan, losses)
    result["path"] = _paths(plan, weights, lengths)
    plain: dict[str, Any] = _plain(result)
    return plain


def _add_mark(result: dict[str, Any], update: int, state: State, rows: Rows, loss: float, full: bool) -> None:
    """Measure noise scale and curvature at one update; `full` where the rows are all training rows."""
    noise = noise_scale(state, rows)
    entry = {"update": update, "loss": loss, **asdict(noise.distribution)}
    if full:
        entry["scale_of_rows"] = noise.rows.scale
    result["noise"].append(entry)
    curvature = sharpness(state, rows)
    found = {"value": curvature.value, "products": curvature.products, "converged": curvature.converged}
    result["sharpness"].append({"update": update, **found})


def _add_batches(
    result: dict[str, Any], plan: MeasurementPlan, update: int, state: State, rows: Rows, sizes: Sequence[int]
) -> None:
    """Compare random batches with all rows at the named moments of one update, the end aside."""
    for name, at in plan.named.items():
        if sizes and at == update and name != "end":
            batches = [_batch(state, rows, size) for size in sizes]
            result["batches"][name] = batches
            result["two_batch"][name] = _two_batch(batches, len(rows))


def _batch(state: State, rows: Rows, size: int) -> dict[str, Any]:
    """Compare random batches of one size with all rows; of large ones fewer are drawn, of the full batch one."""
    most = max(FEWEST_BATCHES, min(BATCHES, MOST_BATCH_ROWS // size))
    count = most if size < len(rows) else 1
    measured = asdict(batch_noise(state, rows, [size], count, seed=0)[0])
    return {"cosine": measured.pop("cosine_mean"), **measured, "count": count}


def _two_batch(batches: Sequence[Mapping[str, Any]], rows: int) -> dict[str, Any]:
    """Return the noise scale estimated from the smallest and the largest batch size below the full one; empty with fewer sizes."""
    smaller = [batch for batch in batches if batch["batch_size"] < rows]
    if len(smaller) < 2:
        return {}
    first, last = smaller[0], smaller[-1]
    small: int = first["batch_size"]
    large: int = last["batch_size"]
    estimate = two_batch_noise([first["squared_norm"]], [last["squared_norm"]], small, large)
    return {"small": small, "large": large, "scale": estimate.scale}


def _variability(plan: MeasurementPlan, losses: Mapping[int, float]) -> dict[str, Any]:
    """Return how the loss varied from update to update before the target, and after it from update to update and from pass to pass."""
    result: dict[str, Any] = {}
    if plan.before:
        result["before"] = {**asdict(_descent(plan, losses)), "count": len(plan.before), "of": plan.descent}
    for unit, updates in (("updates", plan.window), ("epochs", plan.passes)):
        if len(updates) > 2:
            values = variability([losses[update] for update in updates])
            result[unit] = {**asdict(values), "count": len(updates) - 1}
    return result


def _descent(plan: MeasurementPlan, losses: Mapping[int, float]) -> Variability:
    """Return how the loss varied in the updates before the target."""
    old = [losses[update] for update in plan.before]
    new = [losses[update + 1] for update in plan.before]
    return sampled_variability(old, new, plan.descent, losses[0] - losses[plan.descent])


def _paths(plan: MeasurementPlan, weights: Mapping[int, torch.Tensor], lengths: Mapping[int, Floats]) -> dict[str, Any]:
    """Return how straight the path was from the start to the target and to the end."""
    result = {}
    for name in ("target", "end"):
        update = plan.named.get(name, 0)
        if update in weights and update > 0:
            steps = np.concatenate([part for stop, part in lengths.items() if stop <= update])
            result[name] = asdict(path_efficiency(weights[0], weights[update], steps.tolist()))
    return result


def _plain(value: Any) -> Any:
    """Return values as JSON has them: Python's own numbers, and None for an infinity."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not isfinite(value) else value
