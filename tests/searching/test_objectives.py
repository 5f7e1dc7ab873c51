"""Several objectives: proposed, told, resumed and reported as one study, each figure against an independent calculation."""

import re
from dataclasses import replace
from html import unescape
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import sklearn.metrics
import torch
from optuna.trial import FixedTrial, TrialState

from hpsearch.config import StudyConfig, check_config
from hpsearch.data import Data, Rows
from hpsearch.data.dataset import Fold
from hpsearch.data.metrics import METRICS, OBJECTIVES, Objective
from hpsearch.errors import UserError
from hpsearch.reporting import page
from hpsearch.reporting.figures import FIGURES
from hpsearch.reporting.figures.pareto import trade_off
from hpsearch.reporting.formatting import MetricFormat
from hpsearch.reporting.protocol import protocol
from hpsearch.reporting.ranking import ranked
from hpsearch.reporting.screen import Screen
from hpsearch.reporting.selection import off_front
from hpsearch.reporting.tables import frames
from hpsearch.searching.objectives import Objectives, study_objectives
from hpsearch.searching.opening import make_view, open_in_memory, open_study
from hpsearch.searching.run_options import RunOptions
from hpsearch.searching.samplers import SAMPLERS
from hpsearch.searching.specifications import specification
from hpsearch.searching.study import run_study
from hpsearch.statistics.pareto import on_front
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.storage.reading import read_study, record_of
from hpsearch.testing import CrashError
from hpsearch.training import TrialQueue
from hpsearch.training.engines import make_engine
from hpsearch.training.network import DNN
from hpsearch.training.reference import train
from tests.support.records import confirmed, study
from tests.support.scripted import SMALL, Stage, hill
from tests.support.small import small_data

LENGTH = Objective(
    "length", "maximize", lambda run, data, outputs: float(len(run.history)) - run.parameters % 7, lambda data, n: -9.0
)
SEVERAL = Objectives(small_data(), (OBJECTIVES["parameters"], LENGTH), (70_000.0, -9.0))


def dominated(values: np.ndarray, maximize: list[bool]) -> list[bool]:
    """Which rows another one dominates, by comparing all pairs."""
    signed = values * np.where(maximize, 1, -1)
    return [any((b >= a).all() and (b > a).any() for b in signed) for a in signed]


@pytest.mark.parametrize("maximize", [[True, False], [True, True, False], [False, False, True, True]])
@pytest.mark.parametrize("levels", [3, 1000])
def test_front_is_what_no_pair_dominates(maximize: list[bool], levels: int) -> None:
    """The front is that of comparing all pairs, with many equal values and with few; equal rows are on it together."""
    generator = np.random.default_rng(levels)
    for rows in (1, 2, 7, 90):
        values = generator.integers(0, levels, (rows, len(maximize))).astype(float)
        assert (~on_front(values, maximize)).tolist() == dominated(values, maximize)
    assert on_front([], [True, False]).tolist() == []


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe", "nsga2"])
def test_places_and_interruptions_change_nothing(sampler: str) -> None:
    """With three objectives the same trials come out with one place, with four, and after interruptions at any evaluation."""
    whole = Stage(sampler=sampler, objectives=SEVERAL)
    whole.run(trials=60)
    crowd = Stage(sampler=sampler, objectives=SEVERAL)
    crowd.run(trials=60, room=4, seed=1)
    assert crowd.trials() == whole.trials()
    broken = Stage(sampler=sampler, objectives=SEVERAL)
    for crash in (0, 17, 131, 2, 244):
        with pytest.raises(CrashError):
            broken.run(trials=60, room=3, seed=crash, crash_after=crash)
    broken.run(trials=60, room=2)
    assert broken.trials() == whole.trials()
    assert {len(trial[2]) for trial in whole.trials()} == {3}


def test_gaussian_process_resumes_exactly() -> None:
    """The Gaussian process takes several objectives, and proposes the same trials after an interruption."""
    whole, broken = Stage(sampler="gp", objectives=SEVERAL), Stage(sampler="gp", objectives=SEVERAL)
    whole.run(trials=13)
    with pytest.raises(CrashError):
        broken.run(trials=13, crash_after=95)
    broken.run(trials=13)
    assert broken.trials() == whole.trials()


@pytest.mark.parametrize("pruner", ["none", "median"])
def test_genetic_algorithm_takes_one_objective_too(pruner: str) -> None:
    """NSGA-II searches for one objective as well, past its first generation, and resumes exactly."""
    whole, broken = Stage(sampler="nsga2", pruner=pruner), Stage(sampler="nsga2", pruner=pruner)
    whole.run(trials=50)
    with pytest.raises(CrashError):
        broken.run(trials=50, room=3, crash_after=150)
    broken.run(trials=50, room=4)
    assert broken.trials() == whole.trials()


def test_samplers_see_all_objectives() -> None:
    """TPE and NSGA-II propose other trials where only the second objective differs: it reaches them."""
    flat = Objectives(small_data(), (replace(LENGTH, of_run=lambda run, data, outputs: 0.0),), (-9.0,))
    varied = Objectives(small_data(), (LENGTH,), (-9.0,))
    for sampler in ("tpe", "nsga2"):
        stages = [Stage(sampler=sampler, objectives=objectives) for objectives in (flat, varied)]
        for stage in stages:
            stage.run(trials=50)
        proposed = [[trial[3] for trial in stage.trials()] for stage in stages]
        assert proposed[0] != proposed[1], sampler


def test_failed_trials_are_told_the_worst_of_each() -> None:
    """A diverged trial is complete, with the worst value in every objective and a broken constraint; it never becomes the best."""
    stage = Stage(sampler="random", seed=3, objectives=SEVERAL)
    search = stage.run(trials=40)
    lost = [trial for trial in stage.trials() if trial[5].get("failed", -1) > 0]
    assert lost
    assert {(trial[1], tuple(trial[2])) for trial in lost} == {(TrialState.COMPLETE, (0.0, 70_000.0, -9.0))}
    assert search.best is not None
    assert search.best.number not in {trial[0] for trial in lost}
    front = {trial.number for trial in optuna.load_study(study_name="stage", storage=stage.storage).best_trials}
    assert not front & {trial[0] for trial in lost}


def test_repeats_take_over_all_values() -> None:
    """A trial with the hyperparameters of an earlier one has its value in every objective, also after a resumption."""
    stage = Stage(sampler="random", space=SMALL, objectives=SEVERAL)
    stage.run(trials=6)
    stage.run(trials=20, room=3)
    values: dict[str, set[tuple[float, ...]]] = {}
    for trial in stage.trials():
        values.setdefault(str(trial[3]), set()).add(tuple(trial[2]))
    assert len(values) < 20
    assert {len(known) for known in values.values()} == {1}


def test_values_beyond_the_worst_reach_the_sampler_as_the_worst() -> None:
    """A value worse than the stated worst is stored as it is and told as the worst."""
    low = Objectives(small_data(), (replace(LENGTH, of_run=lambda run, data, outputs: -1e9),), (-9.0,))
    stage = Stage(sampler="random", objectives=low)
    search = stage.run(trials=6)
    assert {trial[2][1] for trial in stage.trials() if trial[5]["failed"] < 0} == {-1e9}
    assert {told.others for told in search.view.results.values()} == {(-9.0,)}


def config_of(**tables: Any) -> StudyConfig:
    """A study of four short trials of several objectives."""
    raw: dict[str, Any] = {
        "study": {"name": "several", "seed": 3},
        "data": {"name": "small"},
        "space": {
            "width": {"low": 2, "high": 32},
            "depth": [0, 1],
            "learning_rate": {"low": 1e-3, "high": 0.5, "log": True},
        },
        "training": {"epochs": 4},
        "search": {"trials": 6, "sampler": "random", "objectives": ["accuracy", "parameters", "f1", "log_loss"]},
        "confirm": {"trials": 0},
    }
    return check_config({name: {**raw.get(name, {}), **tables.get(name, {})} for name in raw}, "study.toml")


@pytest.mark.slow
def test_values_are_those_of_the_network(tmp_path: Path) -> None:
    """Each trial's values are its network's: parameters counted, F1 and log loss by scikit-learn of the trial trained again."""
    data, config = small_data("multiclass"), config_of()
    record = _run(config, data, tmp_path)
    assert record.objectives == {
        "accuracy": "maximize",
        "parameters": "minimize",
        "f1": "maximize",
        "log_loss": "minimize",
    }
    for trial in record.trials:
        spec = specification(config, config.space.suggest(FixedTrial(dict(trial.params))), trial.number, data)
        run = train(spec, data, TrialQueue())
        assert run is not None
        assert spec.architecture is not None
        network = DNN(spec.architecture).double()
        network.load_state_dict(dict(run.weights or {}))
        chances = network(data.validation.inputs).softmax(1).detach().numpy()
        known, taken = data.validation.targets.numpy(), chances.argmax(1)
        expected = (
            sklearn.metrics.accuracy_score(known, taken),
            sum(parameter.numel() for parameter in network.parameters()),
            sklearn.metrics.f1_score(known, taken, average="macro"),
            sklearn.metrics.log_loss(known, chances),
        )
        assert trial.values == pytest.approx(expected, abs=1e-9)
        assert trial.value == trial.values[0]


def _run(config: StudyConfig, data: Data, folder: Path) -> StudyRecord:
    run_options = RunOptions(storage="memory", folder=folder)
    with open_in_memory(config, run_options, data) as opened:
        run_study(opened, make_engine("auto", data, 2))
        opened.writer.flush()
        return record_of(opened.writer.storage, opened.writer.study_id)


def test_a_study_in_a_file_goes_on_and_keeps_its_objectives(tmp_path: Path) -> None:
    """A study of several objectives is stored with its directions, goes on with all values, and refuses other objectives."""
    data, run_options = small_data("binary"), RunOptions(storage=f"sqlite:///{tmp_path}/study.db", folder=tmp_path)
    for trials in (3, 5):
        config = config_of(search={"trials": trials})
        with open_study(config, run_options, data) as opened:
            run_study(opened, make_engine("auto", data, 2))
    record = read_study(run_options.storage)
    assert [len(trial.values) for trial in record.trials] == [4] * 5
    other = config_of(search={"objectives": ["accuracy", "parameters"]})
    with (
        pytest.raises(UserError, match=r"search\.objectives was .*, now \['accuracy', 'parameters'\]"),
        open_study(other, run_options, data),
    ):
        pass


def test_with_folds_the_parameters_are_an_objective(tmp_path: Path) -> None:
    """A cross-validated study can have the parameters as its second objective."""
    data = small_data("binary")
    halves = [(slice(0, 20), slice(20, 40)), (slice(20, 40), slice(0, 20))]
    rows = data.training
    folds = tuple(
        Fold(
            Rows(rows.inputs[a], rows.targets[a]),
            Rows(rows.inputs[b], rows.targets[b]),
            data.target_mean,
            data.target_scale,
        )
        for a, b in halves
    )
    folded = replace(data, folds=folds, training=folds[0].training, validation=folds[0].validation)
    config = config_of(search={"objectives": ["roc_auc", "parameters"]}, data={"folds": 2})
    record = _run(config, replace(folded, metric=METRICS["roc_auc"]), tmp_path)
    assert [trial.values[1] for trial in record.trials] == [trial.parameters for trial in record.trials]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"search": {"objectives": ["accuracy", "parameter"]}},
            "no metric is called 'parameter'. Did you mean 'parameters'",
        ),
        ({"search": {"objectives": ["parameters", "f1"]}}, "'parameters' is the first, which training tracks"),
        ({"search": {"objectives": ["f1", "accuracy"], "metric": "accuracy"}}, "search.metric: the first of"),
        ({"search": {"pruner": "median"}}, "search.pruner: a trial of several objectives"),
        ({"search": {"objectives": ["f1", "f1"]}}, "search.objectives names one twice"),
        ({"data": {"folds": 3}}, "with folds only the first is measured on rows. Remove 'f1'"),
        ({"search": {"objectives": 5}}, "search.objectives is 5; expected a list"),
    ],
)
def test_objectives_that_cannot_be(tables: dict[str, Any], message: str) -> None:
    """Objectives that contradict the rest of the study are refused in a line, before any data are read."""
    with pytest.raises(UserError, match=re.escape(message)):
        config_of(**tables)


def test_the_first_objective_is_the_metric() -> None:
    """The first of several objectives is the metric for all who ask for it."""
    assert config_of().search.metric == "accuracy"
    assert config_of(search={"objectives": ["f1", "parameters"]}).search.metric == "f1"
    again = config_of().settings()
    assert check_config(again, "again").settings() == again


def test_objectives_that_the_data_cannot_have() -> None:
    """A metric of another task, a sampler of one objective, and a metric without a value on rows of one class, are refused."""
    with pytest.raises(UserError, match="metric 'rmse' does not fit a binary task"):
        study_objectives(config_of(search={"objectives": ["accuracy", "rmse"]}), small_data("binary"))
    able = ", ".join(name for name in SAMPLERS if name != "cmaes")
    with pytest.raises(
        UserError,
        match=f"sampler 'cmaes' takes one objective, search.objectives names 2. Choose one of: {able}.",
    ):
        make_view(config_of(search={"sampler": "cmaes"}), "maximize", "minimize")
    data = small_data("binary")
    ones = replace(data, validation=Rows(data.validation.inputs, torch.ones_like(data.validation.targets)))
    with pytest.raises(
        UserError, match="metric 'roc_auc' has no value on the 9 validation rows: they are all of one class"
    ):
        study_objectives(config_of(search={"objectives": ["accuracy", "roc_auc"]}), ones)
    single = check_config(_single("roc_auc"), "study.toml")
    with pytest.raises(UserError, match="metric 'roc_auc' has no value"):
        study_objectives(single, replace(ones, metric=METRICS["roc_auc"]))
    assert study_objectives(single, replace(data, metric=METRICS["roc_auc"])).others == ()


def _single(metric: str) -> dict[str, Any]:
    return {"data": {"name": "small"}, "space": {"learning_rate": 0.1}, "search": {"metric": metric}}


def several(objectives: dict[str, str], trials: int = 64) -> StudyRecord:
    """A finished study whose trials have values in all objectives: the third falls with the number of layers."""
    record = study(trials)

    def with_values(trial: TrialRecord) -> TrialRecord:
        assert trial.value is not None
        values = (trial.value, float(trial.parameters or 0), 1 - trial.params["depth"] / 10)
        return replace(trial, values=values[: len(objectives)])

    return replace(record, trials=tuple(map(with_values, record.trials)), objectives=objectives)


TWO = {"accuracy": "maximize", "parameters": "minimize"}
THREE = {**TWO, "f1": "maximize"}


@pytest.mark.parametrize("objectives", [TWO, THREE])
def test_table(objectives: dict[str, str]) -> None:
    """The table has every usable trial with its values, and says which ones no other trial dominates; the front comes first."""
    record = several(objectives)
    table = frames(record)["pareto"]
    assert list(table.columns) == ["trial", *objectives, "front"]
    usable = {t.number: t.values for t in record.trials if t.outcome in ("finished", "stopped early")}
    assert set(table["trial"]) == set(usable)
    values = np.array([usable[number] for number in table["trial"]])
    assert np.array_equal(table[list(objectives)].to_numpy(dtype=float), values)
    expected = dominated(values, [better == "maximize" for better in objectives.values()])
    assert [front == "yes" for front in table["front"]] == [not worse for worse in expected]
    assert list(table["front"]) == sorted(table["front"], key=lambda front: front != "yes")
    assert frames(study(12))["pareto"].empty


@pytest.mark.parametrize("objectives", [TWO, THREE])
def test_figure(objectives: dict[str, str]) -> None:
    """The front is drawn apart, in the order of the second objective; labels tell all objectives and the hyperparameters."""
    record = several(objectives)
    tables = frames(record)
    figure = FIGURES["pareto"].draw(tables, record)
    assert figure is not None
    *others, front, ring = figure.data
    assert [ring.name] == ["best so far" if not record.result else "selected"]
    on = tables["pareto"][tables["pareto"]["front"] == "yes"].sort_values("parameters")
    assert list(front.x) == list(on["parameters"])
    assert sum(len(trace.x) for trace in (*others, front)) == len(tables["pareto"])
    assert all("parameters" in text and "learning_rate" in text for text in front.text)
    assert (front.mode == "lines+markers") == (len(objectives) == 2)
    if len(objectives) == 3:
        assert all("F1" in text for text in front.text)
        assert list(front.marker.color) == pytest.approx(
            [1 - record.trials[n].params["depth"] / 10 for n in on["trial"]]
        )


@pytest.mark.slow
def test_reading_and_page() -> None:
    """The report says what the trade-off is and has the figure; that of a study of one objective has neither."""
    record = several(TWO)
    said = trade_off(record)
    trials = [t for t in record.trials if t.outcome in ("finished", "stopped early")]
    leader = max(trials, key=lambda t: t.value or 0.0)
    near = [t for t in trials if (leader.value or 0.0) - (t.value or 0.0) <= 0.01]
    small = min(near, key=lambda t: t.parameters or 0)
    assert f"with {small.parameters:,} parameters instead of {leader.parameters:,}" in said
    assert said.endswith(f": trial {small.number}.")
    document = page(record, frames(record))
    assert said in unescape(document)
    assert 'id="figure-pareto"' in document
    assert "pareto" not in page(study(), frames(study()))
    assert FIGURES["pareto"].reading(frames(record), record).endswith(said)


@pytest.mark.slow
def test_readings_of_few_and_of_equal_trials() -> None:
    """One trial, none, and trials that are all alike give sentences instead of errors."""
    for count in (0, 1, 2):
        record = several(TWO, count)
        assert FIGURES["pareto"].reading(frames(record), record).endswith(".")
        page(record, frames(record))
    alike = several(THREE)
    alike = replace(alike, trials=tuple(replace(t, values=(0.5, 0.0, 0.5), value=0.5) for t in alike.trials))
    best = ranked(alike)[0].number
    assert trade_off(alike).startswith(
        f"No trial within 1.0 percentage point of the search's best accuracy, trial {best}'s, has fewer parameters."
    )
    page(alike, frames(alike))


def test_a_kept_trial_off_the_front_is_told() -> None:
    """Where a trial of the search is better in every objective, the page says which, and by what the kept one was chosen all the same."""
    record = confirmed(several(TWO))
    kept, best = record.result["trial"], record.result["search"]["trial"]
    worse = {kept: (0.9, 1e6), best: (0.99, 10.0)}
    beaten = replace(
        record, trials=tuple(replace(t, values=worse[t.number]) if t.number in worse else t for t in record.trials)
    )
    said = off_front(beaten)
    assert said.startswith(
        f"The selected trial, {kept}, is not on the Pareto front: in the search, trial {best} is at "
    )
    assert f"by its mean over fresh seeds: 97.3\u00a0% against 96.9\u00a0% for trial {best}." in said
    document = page(beaten, frames(beaten))
    assert document.count(f"The selected trial, {kept}, is not on the Pareto front") == 2
    worse[kept] = (0.9, 1.0)
    on = replace(
        record, trials=tuple(replace(t, values=worse[t.number]) if t.number in worse else t for t in record.trials)
    )
    assert off_front(on) == ""
    assert off_front(confirmed(study())) == ""


def test_the_budget_that_a_study_left_out_is_told() -> None:
    """A study without a budget has the default one, and the page says that as the terminal does."""
    record = several(TWO)
    training = {"epochs": None, "updates": None, "examples": None, "patience": None}
    unsaid = replace(record, settings={**record.settings, "training": training})
    assert dict(protocol(unsaid))["Budget of a trial"] == "20 epochs"


def test_words() -> None:
    """Objectives are written as readers know them: counts whole, shares in percent, F1 and ROC AUC by their names."""
    every = MetricFormat.objectives(
        several({"balanced_accuracy": "maximize", "parameters": "minimize", "roc_auc": "maximize", "f1": "maximize"})
    )
    assert [metric.name for metric in every][1:] == ["parameters", "ROC AUC", "F1"]
    assert [metric.text(1234.0) for metric in every][1] == "1,234"
    assert every[2].text(0.91236) == "0.9124"


def test_screen(capsys: pytest.CaptureFixture[str]) -> None:
    """The screen says what is better in each objective, and which one chooses."""
    Screen("accuracy").introduce(config_of(), {**small_data().summary, "notices": []}, "cpu", "folder")
    assert "accuracy (higher is better), parameters (lower is better), f1 (higher is better)" in capsys.readouterr().out


def test_every_metric_is_an_objective() -> None:
    """All metrics, and the parameters, are rows of the table, with the metric's direction and worst value."""
    assert set(OBJECTIVES) == {*METRICS, "parameters"}
    for (name, metric), task in product(METRICS.items(), ("regression", "binary", "multiclass")):
        data = small_data(task)
        if name in data.task.metrics:
            assert OBJECTIVES[name].direction == metric.direction
            own = replace(data, metric=metric)
            assert OBJECTIVES[name].worst(data, 5) == pytest.approx(_worst(own), rel=1e-9)


def _worst(data: Data) -> float:
    return data.metric.worst(data.original(data.training.targets))


def test_script_has_no_weights() -> None:
    """The scripted engine's runs know their parameters, so that a study of several objectives can be rehearsed with it."""
    assert Stage(objectives=SEVERAL).run(trials=3, script=hill).status.done == 3
