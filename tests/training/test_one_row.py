"""A new optimizer, activation, schedule or initialization is one row of its table: a study that names it is searched and trained."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hpsearch
from hpsearch.training import ENGINES, TrialQueue
from hpsearch.training.engines import make_engine
from hpsearch.training.layers import ACTIVATIONS, INITIALIZATIONS, Activation, Initialization
from hpsearch.training.optimizers import OPTIMIZERS, Optimizer
from hpsearch.training.schedules import SCHEDULES, Floats, Schedule
from tests.support.cohorts import assert_equal
from tests.support.observers import logged
from tests.support.small import small_data, small_spec
from tests.support.worker_pools import reference_runs

TABLES: list[dict[str, Any]] = [OPTIMIZERS, ACTIVATIONS, SCHEDULES, INITIALIZATIONS, ENGINES]


def linear(progress: Floats) -> Floats:
    return 1 - progress


ROWS: dict[str, tuple[dict[str, Any], str, Any]] = {
    "optimizer": (
        OPTIMIZERS,
        "nadam",
        Optimizer("NAdam", 2e-3, "Adam with a look ahead", {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}),
    ),
    "activation": (ACTIVATIONS, "softplus", Activation("softplus", "log(1 + exp(x))")),
    "schedule": (SCHEDULES, "linear", Schedule(linear, "falls to zero along a line")),
    "initialization": (INITIALIZATIONS, "orthogonal", Initialization("orthogonal_", "a random rotation")),
}
TRAINED_BY = {  # with the engine `auto` on a CPU
    "optimizer": "reference engine, since the optimizer 'nadam' has no formula",
    "activation": "fused engine, since the compiled engine has no activation 'softplus'",
    "schedule": "compiled engine, a trial a core, unpadded: on a CPU ahead of batched trials at every size",
    "initialization": "compiled engine, a trial a core, unpadded: on a CPU ahead of batched trials at every size",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ROWS)
def test_a_study_can_name_a_new_row(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row alone makes the name known to a study, which trains it, in the reference engine with a notice where no other can."""
    table, name, row = ROWS[kind]
    monkeypatch.setitem(table, name, row)
    inputs = np.random.default_rng(5).normal(size=(60, 3))
    lines: list[str] = []
    with logged(lines.append, logging.INFO):
        result = hpsearch.search(
            inputs,
            inputs[:, 0] > 0,
            trials=2,
            space={"depth": 1, "width": [4, 6], kind: name},
            training={"epochs": 2},
            folds=2,
            confirm=0,
            reports=tmp_path,
            device="cpu",
        )
    assert set(result.trials["outcome"]) == {"finished"}
    assert lines.count(TRAINED_BY[kind]) == 1  # by the engine of the folds, not again by that of all rows


def test_only_the_reference_engine_is_worth_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """That an optimizer without a formula trains slowly is a warning, once; who trains the others is not."""
    monkeypatch.setitem(OPTIMIZERS, "nadam", ROWS["optimizer"][2])
    names = ("adam", "nadam", "sgd", "nadam")
    specs = [small_spec(small_data(), number=number, optimizer=name) for number, name in enumerate(names)]
    warnings: list[str] = []
    source = TrialQueue(specs)
    with logged(warnings.append, logging.WARNING):
        make_engine("auto", small_data(), 4).run(source)
    assert warnings == [TRAINED_BY["optimizer"]]
    expected = reference_runs(specs, small_data())
    for number, run in source.runs.items():
        assert_equal(run, expected[number])


def test_coefficients_of_a_new_optimizer_are_torchs_keywords() -> None:
    """A coefficient that has no name of ours reaches torch's class by its own."""
    row = Optimizer("NAdam", 2e-3, "", {"beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8, "momentum_decay": 0.01})
    assert row.arguments({"beta1": 0.8}) == {"betas": (0.8, 0.99), "eps": 1e-8, "momentum_decay": 0.01}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: type(next(iter(table.values()))).__name__)
def test_every_row_has_a_line_on_it(table: dict[str, Any]) -> None:
    """Each row of each table says in one line what it is."""
    for row in table.values():
        assert row.description
        assert "\n" not in row.description
