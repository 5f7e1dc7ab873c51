"""Cohorts of trials that differ in everything, and the comparison of an engine's runs with the reference's."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import pytest
import torch

from hpsearch.data import Data
from hpsearch.training import Several
from hpsearch.training.activations import ACTIVATIONS
from hpsearch.training.compiled import ResidentLane
from hpsearch.training.fused import FusedLane
from hpsearch.training.groups import Lane, Plan, PullingEngine
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.training.reference import train
from hpsearch.training.schedules import SCHEDULES
from hpsearch.trial import TrainingRun, TrialSpec
from tests.support.small import small_data, small_spec

WIDTHS = [(9,), (4, 7), (16, 3, 8), (5, 5, 2, 6), (), (8, 1), (12,), (3, 17, 4)]  # depths 0 to 4
TASKS = ["regression", "binary", "multiclass"]


def spec_of(data: Data, number: int, **changes: Any) -> TrialSpec:
    """A trial that differs from its neighbours in almost everything."""
    optimizer = changes.get("optimizer", list(OPTIMIZERS)[number % 7])
    defaults = {
        "number": number,
        "seed": 100 + number,
        "widths": WIDTHS[number % 8],
        "activation": list(ACTIVATIONS)[number % 6],
        "dropout": (0.0, 0.0, 0.3)[number % 3],
        "optimizer": optimizer,
        "schedule": list(SCHEDULES)[number % 5],
        "learning_rate": OPTIMIZERS[optimizer].learning_rate,
        "weight_decay": (0.0, 0.02)[number % 2],
    }
    return small_spec(data, **{**defaults, **changes})


def cohort(task: str = "multiclass", trials: int = 9, **changes: Any) -> list[TrialSpec]:
    return [spec_of(small_data(task), number, **changes) for number in range(trials)]


def reference(spec: TrialSpec, task: str = "multiclass") -> TrainingRun:
    return _reference(tuple(getattr(spec, field.name) for field in fields(spec) if field.name != "coefficients"), task)


@cache
def _reference(values: tuple[Any, ...], task: str) -> TrainingRun:
    names = [field.name for field in fields(TrialSpec) if field.name != "coefficients"]
    run = train(TrialSpec(**dict(zip(names, values, strict=True))), small_data(task), Several())
    assert run is not None
    return run


def plans(engine: str, trials: int, **arguments: Any) -> Plan:
    """Return how an engine trains, in lanes of so many trials."""
    lanes: dict[str, tuple[int, Callable[[Sequence[TrialSpec], Data], Lane]]] = {
        "fused": (trials, lambda specs, data: FusedLane(specs, data, **arguments)),
        "resident": (1, lambda specs, data: ResidentLane(specs[0], data)),
    }
    size, opened = lanes[engine]
    return Plan(engine, "for the test", size, opened)


def trained(specs: Sequence[TrialSpec], task: str = "multiclass", **arguments: Any) -> dict[int, TrainingRun]:
    """Train as an engine does, all trials in flight at once unless `places` says otherwise."""
    data, source = small_data(task), Several(list(specs))
    places, workers = arguments.pop("places", len(specs)), arguments.pop("workers", 1)
    plan = plans(arguments.pop("engine", "fused"), places, **arguments)
    PullingEngine(data, lambda spec: plan, places=places, workers=workers).run(source)
    return source.runs


def assert_equal(run: TrainingRun, expected: TrainingRun) -> None:
    """Compare whole runs: history, best evaluation and its weights, to 1e-10; seconds aside."""
    assert (run.outcome, run.detail, run.best) == (expected.outcome, expected.detail, expected.best)
    columns = run.history.columns()
    for name, column in expected.history.columns().items():
        if name != "seconds":
            assert columns[name] == pytest.approx(column, abs=1e-10, rel=1e-10), (run.number, name)
    assert (run.weights is None) == (expected.weights is None)
    for name, weight in (expected.weights or {}).items():
        assert run.weights is not None
        torch.testing.assert_close(run.weights[name], weight, atol=1e-10, rtol=1e-10)
    assert list(run.weights or ()) == list(expected.weights or ())


def assert_parity(specs: Sequence[TrialSpec], task: str = "multiclass", **arguments: Any) -> None:
    runs = trained(specs, task, **arguments)
    assert sorted(runs) == sorted(spec.number for spec in specs)
    for spec in specs:
        assert_equal(runs[spec.number], reference(spec, task))
