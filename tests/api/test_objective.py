"""`Objective` in plain Optuna: its samplers, pruners, storages, conditional spaces, and networks of one's own."""

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
from optuna.study import StudyDirection
from torch import nn

from hpsearch import Objective
from hpsearch.errors import UserError
from tests.support.small import small_data

SPACE = {
    "depth": {"low": 1, "high": 2},
    "width": {"low": 4, "high": 8},
    "optimizer": ["sgd", "momentum", "adam"],
    "momentum": {"low": 0.5, "high": 0.9},
    "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
    "batch_size": [10, "full"],
}
SHORT = {"epochs": 4}


def objective(task: str = "multiclass", **changes: Any) -> Objective:
    settings: dict[str, Any] = {"space": SPACE, "training": SHORT, "device": "cpu", **changes}
    return Objective(small_data(task, torch.float32), **settings)


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_plain_optuna_optimizes_it(task: str) -> None:
    """A study of plain Optuna runs it for every task; conditional parameters exist only where they apply."""
    function = objective(task)
    direction = StudyDirection[function.direction.upper()]
    sampler = optuna.samplers.TPESampler(seed=1)
    study = optuna.create_study(direction=direction, sampler=sampler, pruner=optuna.pruners.NopPruner())
    study.optimize(function, n_trials=12)
    assert len(study.trials) == 12
    for trial in study.trials:
        assert ("momentum" in trial.params) == (trial.params["optimizer"] == "momentum")
        assert trial.state.is_finished()
        assert trial.user_attrs["parameters"] > 0
        assert len(trial.intermediate_values) == 3  # evaluations before the last


def test_by_name_with_its_default_space() -> None:
    """`Objective("iris")` is all that it takes; the known-good defaults can be enqueued."""
    function = Objective("iris", training={"epochs": 3}, device="cpu")
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial(function.defaults())
    study.optimize(function, n_trials=1)
    assert study.trials[0].params["optimizer"] == "adam"
    assert study.best_value > 0


def test_arrays() -> None:
    """A pair of arrays is a data set."""
    data = small_data()
    function = Objective(
        (data.training.inputs.numpy(), data.training.targets.numpy()), SPACE, training=SHORT, device="cpu"
    )
    assert (function.direction, function.data.outputs) == ("maximize", 3)


def test_runs_repeat() -> None:
    """The same trial gives the same value, bit for bit."""
    fixed = {"depth": 1, "width": 6, "optimizer": "adam", "learning_rate": 0.01, "batch_size": 10}
    values = set()
    for _ in range(2):
        study = optuna.create_study(direction="maximize")
        study.enqueue_trial(fixed)
        study.optimize(objective(), n_trials=1)
        values.add((study.trials[0].value, *study.trials[0].intermediate_values.values()))
    assert len(values) == 1


def test_pruning() -> None:
    """The study's pruner is asked at every evaluation and ends the trial as PRUNED."""
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=2.0))
    study.optimize(objective(), n_trials=2)
    assert [t.state.name for t in study.trials] == ["PRUNED", "PRUNED"]
    assert [len(t.intermediate_values) for t in study.trials] == [1, 1]


def test_divergence_is_told_as_the_worst_value() -> None:
    """A run that diverges returns the finite worst value and breaks a constraint; the study goes on."""
    function = objective("regression", space={"optimizer": "sgd", "learning_rate": [1e30]}, training={"epochs": 20})
    study = optuna.create_study(direction="minimize")
    study.optimize(function, n_trials=1)
    trial = study.trials[0]
    assert (trial.value, trial.constraints, trial.user_attrs["outcome"]) == (
        function.worst,
        {"failed": 1.0},
        "diverged",
    )


def test_wrong_direction_is_refused() -> None:
    """A study that would maximise an error is refused, with the direction to use."""
    with pytest.raises(UserError, match="create_study\\(direction='minimize'\\)"):
        optuna.create_study(direction="maximize").optimize(objective("regression"), n_trials=1)


def test_storage_and_resume(tmp_path: Path) -> None:
    """It runs on a storage of Optuna's and goes on where the study was."""
    url = f"sqlite:///{tmp_path}/own.db"
    for _ in range(2):
        study = optuna.create_study(direction="maximize", storage=url, study_name="own", load_if_exists=True)
        study.optimize(objective(), n_trials=2)
    assert len(study.trials) == 4


def convolution(trial: optuna.Trial, shape: tuple[int, ...], outputs: int) -> nn.Module:
    """A network of one's own with a hyperparameter of its own."""
    channels = trial.suggest_int("channels", 2, 4)
    return nn.Sequential(
        nn.Conv2d(shape[0], channels, 3), nn.ReLU(), nn.Dropout(0.1), nn.Flatten(), nn.LazyLinear(outputs)
    )


def test_network_of_ones_own() -> None:
    """`build` gets the trial, the inputs' shape and the outputs; hpsearch's own architecture is then not asked for."""
    function = Objective("digits", {"batch_size": [128]}, build=convolution, training={"epochs": 3}, device="cpu")
    values: list[float] = []
    for _ in range(2):
        torch.manual_seed(len(values))
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
        study.optimize(function, n_trials=1)
        values.append(study.best_value)
    assert study.trials[0].params.keys() == {"channels"}
    assert values[0] == values[1] > 0.5


class Trap(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layers = [nn.Linear(5, 4), nn.Linear(4, outputs)]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda trial, shape, outputs: Trap(outputs), r"Trap\.layers is a plain list.*nn\.ModuleList"),
        (lambda trial, shape, outputs: nn.Linear(5, 7), r"expected \(2, 3\)"),
        (lambda trial, shape, outputs: None, "expected a torch.nn.Module"),
    ],
)
def test_unusable_networks_are_refused(build: Any, message: str) -> None:
    """A network that hides its layers in a list, has other outputs, or is none, is refused with what to do."""
    with pytest.raises(UserError, match=message):
        optuna.create_study(direction="maximize").optimize(objective(build=build, space={"batch_size": 10}), n_trials=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": {"learning_rat": 0.1}}, "Did you mean 'learning_rate'"),
        ({"training": {"epoch": 3}}, "Did you mean 'epochs'"),
        ({"device": "cuda:99"}, "CUDA devices"),
    ],
)
def test_unusable_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    """Unknown keys and devices are refused at once."""
    with pytest.raises(UserError, match=message):
        objective(**changes)


def test_unknown_data_set_is_refused() -> None:
    """An unknown data set gets a suggestion."""
    with pytest.raises(UserError, match="Did you mean 'digits'"):
        Objective("digist")


def test_missing_cells_are_filled_where_it_is_asked_for() -> None:
    """The hint of a refusal names a setting that `Objective` takes, and with it the cells are filled; a named data set refuses it."""
    frame = pd.DataFrame({"a": [*[None] * 8, *range(32)], "b": ["u", "v"] * 20})
    target = np.arange(40) % 2
    with pytest.raises(UserError, match="give missing 'median'"):
        Objective((frame, target))
    assert Objective((frame, target), missing="median").data.inputs == 4  # a, where it is missing, and two categories
    with pytest.raises(UserError, match="missing: only arrays and frames"):
        Objective("iris", missing="median")
