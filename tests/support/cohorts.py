"""Cohorts of trials that differ in everything, and the comparison of an engine's runs with the reference's."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import pytest
import torch

from hpsearch.data import Data
from hpsearch.training import TrialQueue
from hpsearch.training.compiled.group import CompiledTrial
from hpsearch.training.fused.group import FusedGroup
from hpsearch.training.groups import ConcurrentEngine, Plan
from hpsearch.training.layers import ACTIVATIONS
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.training.progress import TrialGroup
from hpsearch.training.reference import train
from hpsearch.training.schedules import SCHEDULES
from hpsearch.trial import TrainingRun, TrialSpec
from tests.support.small import small_data, small_spec

WIDTHS = [(9,), (4, 7), (16, 3, 8), (5, 5, 2, 6), (), (8, 1), (12,), (3, 17, 4)]  # depths 0 to 4
WITH_FORMULA = [name for name, row in OPTIMIZERS.items() if row.formula]  # what every engine trains
TASKS = ["regression", "binary", "multiclass", "multilabel"]


def varied_spec(data: Data, number: int, **changes: Any) -> TrialSpec:
    """Return a trial that differs from its neighbours in almost everything."""
    optimizer = changes.get("optimizer", WITH_FORMULA[number % len(WITH_FORMULA)])
    varied = {
        "number": number,
        "seed": 100 + number,
        "widths": WIDTHS[number % 8],
        "activation": [*ACTIVATIONS][number % len(ACTIVATIONS)],
        "dropout": (0.0, 0.0, 0.3)[number % 3],
        "optimizer": optimizer,
        "schedule": [*SCHEDULES][number % len(SCHEDULES)],
        "learning_rate": OPTIMIZERS[optimizer].learning_rate,
        "weight_decay": (0.0, 0.02)[number % 2],
        "label_smoothing": (0.0, 0.1, 0.0, 0.4)[number % 4] if data.task.smoothed else 0.0,
    }
    return small_spec(data, **{**varied, **changes})


def cohort(task: str = "multiclass", trials: int = 9, **changes: Any) -> list[TrialSpec]:
    return [varied_spec(small_data(task), number, **changes) for number in range(trials)]


def finished(spec: TrialSpec, data: Data) -> TrainingRun:
    """Train one trial with the reference to its end."""
    run = train(spec, data, TrialQueue())
    assert run is not None
    return run


def reference(spec: TrialSpec, task: str = "multiclass") -> TrainingRun:
    """Return the reference's run on the small data; trials are trained once however often they are asked for."""
    assert not spec.coefficients, "a dict cannot be a cache's key"
    return _cached_reference(tuple(getattr(spec, name) for name in _HASHABLE), task)


_HASHABLE = [field.name for field in fields(TrialSpec) if field.name != "coefficients"]


@cache
def _cached_reference(values: tuple[Any, ...], task: str) -> TrainingRun:
    return finished(TrialSpec(**dict(zip(_HASHABLE, values, strict=True))), small_data(task))


def plan_of(engine: str, trials: int, **arguments: Any) -> Plan:
    """Return how an engine trains, in groups of so many trials."""

    def open_fused(specs: Sequence[TrialSpec], data: Data) -> TrialGroup:
        return FusedGroup(specs, data, **arguments)

    def open_compiled(specs: Sequence[TrialSpec], data: Data) -> TrialGroup:
        return CompiledTrial(specs[0], data)

    groups: dict[str, tuple[int, Callable[[Sequence[TrialSpec], Data], TrialGroup]]] = {
        "fused": (trials, open_fused),
        "compiled": (1, open_compiled),
    }
    size, open_group = groups[engine]
    return Plan(engine, "for the test", size, open_group)


def train_with(
    plan: Plan, specs: Sequence[TrialSpec], data: Data, max_concurrency: int | None = None
) -> dict[int, TrainingRun]:
    """Train as a plan says on one thread, all trials in flight at once unless `max_concurrency` says otherwise."""
    source = TrialQueue(specs)
    slots = max_concurrency or len(specs)
    ConcurrentEngine(data, lambda spec: plan, max_concurrency=slots, threads=1).run(source)
    return source.runs


def trained(
    specs: Sequence[TrialSpec],
    task: str = "multiclass",
    engine: str = "fused",
    max_concurrency: int | None = None,
    **arguments: Any,
) -> dict[int, TrainingRun]:
    """Train on the small data with an engine."""
    plan = plan_of(engine, max_concurrency or len(specs), **arguments)
    return train_with(plan, specs, small_data(task), max_concurrency)


def assert_equal(run: TrainingRun, expected: TrainingRun) -> None:
    """Compare whole runs: history, best evaluation and its weights, to 1e-10; seconds aside."""
    assert (run.outcome, run.detail, run.best) == (expected.outcome, expected.detail, expected.best)
    columns = run.history.columns()
    for name, column in expected.history.columns().items():
        if name != "seconds":
            assert columns[name] == pytest.approx(column, abs=1e-10, rel=1e-10), (run.number, name)
    assert (run.weights is None) == (expected.weights is None)
    assert list(run.weights or ()) == list(expected.weights or ())
    for name, weight in (expected.weights or {}).items():
        assert run.weights is not None
        torch.testing.assert_close(run.weights[name], weight, atol=1e-10, rtol=1e-10)


def assert_parity(specs: Sequence[TrialSpec], task: str = "multiclass", **arguments: Any) -> None:
    """Compare an engine's runs on the small data with the reference's."""
    runs = trained(specs, task, **arguments)
    assert sorted(runs) == sorted(spec.number for spec in specs)
    for spec in specs:
        assert_equal(runs[spec.number], reference(spec, task))
