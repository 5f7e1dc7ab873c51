"""A new sampler or pruner is one row of its table."""

from pathlib import Path
from typing import Any

import pytest
from optuna.pruners import PercentilePruner
from optuna.samplers import RandomSampler

from hpsearch.config import check_config
from hpsearch.searching.opening import open_study
from hpsearch.searching.pruners import PRUNERS, Pruner
from hpsearch.searching.run_options import RunOptions
from hpsearch.searching.samplers import SAMPLERS, Sampler
from hpsearch.searching.study import run_study
from hpsearch.storage import StudyRecord
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from hpsearch.training.engines import make_engine
from tests.support.small import small_data


class LowestSampler(RandomSampler):
    """Proposes the lowest value of each hyperparameter, of a choice the first."""

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        choices = getattr(param_distribution, "choices", None)
        return choices[0] if choices else param_distribution.low


def searched(folder: Path, **search: str) -> StudyRecord:
    """Run a tiny study of real trials and return its record."""
    settings = {
        "study": {"name": "tiny"},
        "data": {"name": "small"},
        "space": {"depth": [1, 2], "width": 4, "batch_size": 10, "learning_rate": {"low": 0.01, "high": 0.1}},
        "training": {"epochs": 4},
        "search": {"trials": 5, "lag": 1, "sampler": "random", "pruner": "none", **search},
        "confirm": {"trials": 0},
    }
    config = check_config(settings, "test")
    run_options = RunOptions(folder, sqlite_url(folder / "study.db"), "cpu", engine="reference")
    data = small_data()
    with open_study(config, run_options, data) as study:
        run_study(study, make_engine("reference", data))
    return read_study(run_options.storage, "tiny")


def test_a_sampler_is_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sampler that hpsearch does not have proposes the trials of a study once it has a row."""
    row = Sampler("the lowest values", lambda study_seed, seed: LowestSampler(seed=seed))
    monkeypatch.setitem(SAMPLERS, "lowest", row)
    record = searched(tmp_path, sampler="lowest")
    assert record.settings["search"]["sampler"] == "lowest"
    rates = [trial.params["learning_rate"] for trial in record.trials]
    assert rates[1:] == [0.01] * 4  # the first trial has the known-good values of the space
    assert record.result["trial"] in range(5)


def test_a_pruner_is_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pruner of Optuna's that hpsearch does not have ends the trials of a study once it has a row."""
    row = Pruner(
        "worse than the best at a rung",
        lambda budget, bracket: PercentilePruner(0.0, n_startup_trials=1),
    )
    monkeypatch.setitem(PRUNERS, "best_only", row)
    record = searched(tmp_path, pruner="best_only")
    assert {trial.outcome for trial in record.trials} == {"finished", "pruned"}


@pytest.mark.parametrize("row", [*SAMPLERS.values(), *PRUNERS.values()])
def test_every_row_is_described(row: Sampler | Pruner) -> None:
    """Each row says in one line what it is, for `list`, the help texts and the documentation."""
    assert row.description
    assert "\n" not in row.description
