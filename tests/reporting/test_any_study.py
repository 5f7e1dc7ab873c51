"""Reports of Optuna studies that hpsearch did not run: every kind of study gives an honest page."""

import json
import re
import time
from math import inf, nan
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import Trial, TrialState, create_trial

import hpsearch
from hpsearch.cli import main
from hpsearch.errors import UserError
from hpsearch.reporting.tables import frames
from hpsearch.storage import StudyRecord
from hpsearch.storage.optuna_internals import database_of, study_id_of
from hpsearch.storage.reading import any_record

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

UNKNOWN = ("validation rows", "test rows", "training rows", "network", "Parameters and hyperparameters")


def study(**given: object) -> optuna.Study:
    """A study in memory."""
    sampler = optuna.samplers.RandomSampler(seed=0)
    return optuna.create_study(sampler=sampler, **given)  # type: ignore[arg-type]


def record_of(made: optuna.Study) -> StudyRecord:
    record = any_record(database_of(made), study_id_of(made))
    assert isinstance(record, StudyRecord)
    return record


def text_of(path: Path) -> str:
    """What a reader sees of a page, without its scripts."""
    page = re.sub(r"<(script|style).*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def figures_of(path: Path) -> list[str]:
    return re.findall(r'id="about-(\w+)"', path.read_text(encoding="utf-8"))


def square(trial: Trial) -> float:
    """The objective of Optuna's tutorial."""
    return (trial.suggest_float("x", -10, 10) - 2) ** 2


def test_a_plain_study_has_its_full_page(tmp_path: Path) -> None:
    """History, hyperparameters, times and outcomes are shown, and nothing is said of data, test rows and networks."""
    made = study(study_name="plain")
    made.optimize(square, n_trials=30)
    page = hpsearch.report(made, tmp_path)
    text = text_of(page)
    assert {"history", "axes", "timeline"} <= set(figures_of(page))
    assert f"Trial {made.best_trial.number}" in text
    assert [word for word in UNKNOWN if word in text] == []
    table = pd.read_csv(tmp_path / "tables" / "trials.csv")
    assert table["value"].tolist() == [trial.value for trial in made.trials]
    assert table["x"].tolist() == [trial.params["x"] for trial in made.trials]


def test_several_objectives_begin_with_the_pareto_front(tmp_path: Path) -> None:
    """The front is Optuna's, the names are the study's, the Pareto figure comes first and every objective is a column."""
    made = study(directions=["maximize", "minimize"])
    made.set_metric_names(["accuracy", "latency"])
    made.optimize(lambda trial: (trial.suggest_float("a", 0, 1), trial.suggest_float("b", 0, 1) + trial.number % 3), 40)
    page = hpsearch.report(made, tmp_path)
    figures = figures_of(page)
    assert figures[0] == "pareto"
    assert [name for name in figures if "history" in name] == ["history", "history_2"]
    assert [name for name in figures if "importance" in name] == ["importance", "importance_2"]
    board = pd.read_csv(tmp_path / "tables" / "pareto.csv")
    front = set(board.loc[board["front"] == "yes", "trial"])
    assert front == {trial.number for trial in made.best_trials}
    assert {"accuracy", "latency"} <= {*board.columns}
    for title in ("Course of the search: accuracy", "Course of the search: latency", "What mattered: latency"):
        assert title in text_of(page)
    latency = [trial.values[1] for trial in made.trials]
    assert f"{min(latency):.4g}, trial {latency.index(min(latency))}." in text_of(page)
    assert re.search(r"What mattered: accuracy .{0,80}The best trials are set apart most by a", text_of(page))
    assert re.search(r"What mattered: latency .{0,80}The best trials are set apart most by b", text_of(page))
    assert "accuracy (higher is better) and latency (lower is better)" in text_of(page)


def test_a_study_of_failed_trials_is_a_short_honest_page(tmp_path: Path) -> None:
    """Where every trial failed, the page says so, draws no history and names no best trial."""

    def fail(trial: Trial) -> float:
        trial.suggest_float("x", 0, 1)
        if trial.number % 2:
            return nan
        raise RuntimeError

    made = study()
    made.optimize(fail, n_trials=6, catch=(RuntimeError,))
    page = hpsearch.report(made, tmp_path)
    assert "None of 6 trials has a usable value: 6 failed." in text_of(page)
    assert not {"history", "axes", "importance", "parallel", "curves"} & set(figures_of(page))


@pytest.mark.parametrize("trials", [1, 6])
@pytest.mark.parametrize("kind", ["square", "failed", "without parameters"])
def test_contents_lead_to_sections_that_are_there(trials: int, kind: str, tmp_path: Path) -> None:
    """Whatever a study lacks, every link of its contents has a section on the page."""
    functions = {"square": square, "failed": lambda trial: nan, "without parameters": lambda trial: float(trial.number)}
    made = study()
    made.optimize(functions[kind], n_trials=trials)
    html = hpsearch.report(made, tmp_path / "page.html").read_text(encoding="utf-8")
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(re.findall(r' id="([^"]+)"', html))


def test_an_empty_study_has_a_page(tmp_path: Path) -> None:
    """A study without trials says that none has begun."""
    assert "No trial has begun yet." in text_of(hpsearch.report(study(), tmp_path))


def test_outcomes_of_other_programs() -> None:
    """An infinite value, an error, a broken constraint and a pruned trial are told apart, and none of them is the best."""
    made = study()

    def ending(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.report(-5.0, 0)
        if trial.number == 1:
            return -inf
        if trial.number == 2:
            raise ValueError
        if trial.number == 3:
            raise optuna.TrialPruned
        if trial.number == 4:
            trial.set_constraint("memory", 1.0)
            return -2.0
        return 1 + x

    made.optimize(ending, n_trials=6, catch=(ValueError,))
    made.ask()
    record = record_of(made)
    outcomes = [trial.outcome for trial in record.trials]
    assert outcomes == ["finished", "infinite value", "failed", "pruned", "infeasible", "finished", ""]
    board = frames(record)["leaderboard"]
    assert board["trial"].tolist() == sorted([0, 5], key=lambda number: record.trials[number].value or 0)
    assert record.best_trial == board["trial"][0]


def test_values_on_the_way_are_curves(tmp_path: Path) -> None:
    """What trials report is drawn step by step; a value that is no number, and steps far apart, are fine."""

    def reporting(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in (0, 10, 500):
            trial.report(nan if step == 10 and trial.number == 3 else x / (step + 1), step)
        return x

    made = study()
    made.optimize(reporting, n_trials=9)
    page = hpsearch.report(made, tmp_path)
    assert "curves" in figures_of(page)
    assert "9 of 9 trials reported values on the way." in text_of(page)
    curves = pd.read_csv(tmp_path / "tables" / "curves.csv")
    assert list(curves.columns) == ["trial", "evaluation", "metric"]
    assert curves.loc[curves["trial"] == 0, "evaluation"].tolist() == [0, 10, 500]


def test_conditional_and_categorical_hyperparameters() -> None:
    """The space is the union of what trials were drawn from: choices of every type, ranges that grew, hyperparameters of some trials."""

    def mixed(trial: Trial) -> float:
        kind = trial.suggest_categorical("kind", ["a", None, 3, True])
        if kind == "a":
            return trial.suggest_float("rate", 1e-4, 1.0 if trial.number < 20 else 10.0, log=True)
        return float(trial.suggest_int("units", 2, 8, step=2))

    made = study()
    made.optimize(mixed, n_trials=40)
    space = record_of(made).settings["space"]
    assert space["kind"] == ["a", "None", 3, True]
    assert space["rate"] == {"low": 1e-4, "high": 10.0, "log": True, "step": None}
    assert space["units"] == {"low": 2, "high": 8, "log": False, "step": 2}


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
@pytest.mark.parametrize("storage", [None, "sqlite"])
def test_choices_that_are_lists(storage: str | None, tmp_path: Path) -> None:
    """Choices that are lists or tables, which Optuna takes with a warning, are shown as text."""
    made = study(storage=None if storage is None else f"sqlite:///{tmp_path}/lists.db")
    layers: list[Any] = [[64, 32], [128], {"units": 3}]

    def length(trial: Trial) -> float:
        chosen: Any = trial.suggest_categorical("layers", layers)
        return float(len(chosen))

    made.optimize(length, n_trials=25)
    assert record_of(made).settings["space"]["layers"] == ["[64, 32]", "[128]", "{'units': 3}"]
    assert "layers [128]" in text_of(hpsearch.report(made, tmp_path / "page"))


def test_user_attributes_are_columns(tmp_path: Path) -> None:
    """A trial's user attributes are columns beside its hyperparameters, each under a name of its own; the study's are facts."""
    made = study()
    made.set_user_attr("owner", "Ann")

    def noted(trial: Trial) -> float:
        trial.set_user_attr("gpu", "H200")
        trial.set_user_attr("x", trial.number)
        trial.set_user_attr("seconds", 7)
        trial.set_user_attr("folds", [1, 2])
        return trial.suggest_float("x", 0, 1)

    made.optimize(noted, n_trials=3)
    text = text_of(hpsearch.report(made, tmp_path))
    table = pd.read_csv(tmp_path / "tables" / "trials.csv")
    assert table["gpu"].tolist() == ["H200"] * 3
    assert table["x (attribute)"].tolist() == [0, 1, 2]
    assert table["seconds (attribute)"].tolist() == [7, 7, 7]
    assert table["folds"].tolist() == ["[1, 2]"] * 3
    assert "owner" in text
    assert "Ann" in text


def test_names_with_markup_stay_text(tmp_path: Path) -> None:
    """No name of a study, hyperparameter, attribute or choice becomes an element of the page or of a figure."""
    evil = "<img src=x onerror=alert(1)>"
    made = study(study_name=evil)
    made.set_metric_names([f"metric {evil}"])
    made.set_user_attr(evil, evil)

    def marked(trial: Trial) -> float:
        trial.set_user_attr(f"note {evil}", evil)
        trial.suggest_categorical(f"choice {evil}", [evil, "b"])
        return trial.suggest_float(f"x {evil}", 0, 1)

    made.optimize(marked, n_trials=25)
    html = hpsearch.report(made, tmp_path).read_text(encoding="utf-8")
    assert "<img" not in html
    figures = re.search(r'<script[^>]*application/json[^>]*id="figures"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert figures is not None
    for figure in json.loads(figures[1]).values():
        figure["layout"].get("meta", {}).pop("brush", None)  # texts of the filter's field, which are never markup
        assert "<img" not in json.dumps(figure)


@pytest.mark.slow
def test_five_thousand_trials_are_quick(tmp_path: Path) -> None:
    """A page of 5,000 trials takes seconds."""
    space: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    made = study()
    for number in range(5000):
        params = {"x": number * 0.618 % 1, "y": number * 0.414 % 1}
        curve = {step: params["x"] + 1 / (step + 1) for step in range(3)}
        made.add_trial(create_trial(value=params["x"], params=params, distributions=space, intermediate_values=curve))
    start = time.process_time()
    page = hpsearch.report(made, tmp_path)
    assert time.process_time() - start < 30
    assert page.stat().st_size < 8_000_000


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_the_command_reports_any_storage(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`report URL --study NAME` does the same, and the storage is not changed by it."""
    file = tmp_path / "any.store"
    url = f"{kind}:///{file}"
    storage = url if kind == "sqlite" else JournalStorage(JournalFileBackend(str(file)))
    for name in ("one", "two"):
        made = study(study_name=name, storage=storage)
        made.optimize(square, n_trials=3)
    before = file.read_bytes()
    reports = tmp_path / "reports"
    address = url if kind == "sqlite" else f"journal:///{file}"
    assert main(["report", address, "--study", "two", "--reports", str(reports)]) == 0
    assert "Optuna study" in text_of(reports / "two" / "report.html")
    assert file.read_bytes() == before
    assert main(["report", address, "--reports", str(reports)]) == 2
    assert "2 studies" in capsys.readouterr().err


def test_trials_left_behind_are_told(tmp_path: Path) -> None:
    """A trial that still runs is said to run, or to be left behind; a queued one is no trial that ended."""
    made = study()
    made.optimize(square, n_trials=2)
    made.ask()
    made.enqueue_trial({"x": 1})
    text = text_of(hpsearch.report(made, tmp_path))
    assert "2 trials have ended and 1 is running" in text
    assert [trial.state for trial in made.trials].count(TrialState.WAITING) == 1


def test_a_study_of_objective_has_sizes_and_outcomes(tmp_path: Path) -> None:
    """What `Objective` kept with its trials is read: the networks' sizes, and outcomes as hpsearch calls them."""
    objective = hpsearch.Objective("iris", training={"epochs": 2}, device="cpu")
    made = study(direction=objective.direction)
    made.optimize(objective, n_trials=6)
    page = hpsearch.report(made, tmp_path)
    assert "size" in figures_of(page)
    table = pd.read_csv(tmp_path / "tables" / "trials.csv")
    assert table["parameters"].tolist() == [trial.user_attrs["parameters"] for trial in made.trials]
    assert table["outcome"].tolist() == [trial.user_attrs["outcome"] for trial in made.trials]


def test_settings_and_data_that_objective_keeps_make_the_full_page(tmp_path: Path) -> None:
    """With data and settings in the study's attributes the page tells of rows, metric and losses, and that nothing is unfinished."""
    objective = hpsearch.Objective("iris", training={"epochs": 2}, device="cpu")
    made = study(direction=objective.direction)
    made.optimize(objective, n_trials=4)
    settings = objective.config.settings() | {"search": {"metric": "accuracy"}}
    made.set_user_attr("hpsearch:data", dict(objective.data.summary))
    made.set_user_attr("hpsearch:settings", settings)
    text = text_of(hpsearch.report(made, tmp_path))
    assert "for training" in text
    assert "Networks are compared by accuracy" in text
    assert "Not finished" not in text


def test_what_is_no_study_is_told() -> None:
    """A name or a path is no study: the message says what to give."""
    with pytest.raises(UserError, match=r"no Optuna study. Give one \(optuna.load_study"):
        hpsearch.report("mine")
