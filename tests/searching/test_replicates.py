"""Confirmation: the best trials on fresh seeds, the best mean, the network that is kept; resumable, and the same in any order."""

import time
from dataclasses import replace
from itertools import pairwise
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from optuna.trial import FixedTrial
from scipy import stats

from hpsearch.commands.recorded import show_model
from hpsearch.config import StudyConfig, check_config
from hpsearch.data import Data
from hpsearch.data.dataset import Fold, Rows
from hpsearch.data.metrics import METRICS
from hpsearch.errors import Stopped
from hpsearch.model import Member, Model, load_model, model_of, predict
from hpsearch.model.combination import ALONE
from hpsearch.model.models import single_member
from hpsearch.reporting.screen import Screen
from hpsearch.searching import ensemble, held_out
from hpsearch.searching import result as result_module
from hpsearch.searching.ensemble import SEEDS
from hpsearch.searching.held_out import Fitted
from hpsearch.searching.opening import open_study
from hpsearch.searching.replicates import Replicates, confirm, metric_mean, rank_confirmed
from hpsearch.searching.run_options import RunOptions
from hpsearch.searching.scoring import score_test
from hpsearch.searching.specifications import replicate, specification
from hpsearch.searching.stopping import train_until_stopped
from hpsearch.searching.study import run_study
from hpsearch.statistics.estimates import student_mean
from hpsearch.storage.urls import sqlite_url
from hpsearch.testing import CrashError, ScriptedEngine
from hpsearch.training import TrialQueue
from hpsearch.training.engines import make_engine
from hpsearch.training.reference import train
from hpsearch.trial import TrialSpec, derive_seed
from tests.support.observers import RecordingObserver
from tests.support.scripted import Stage, hill
from tests.support.small import small_data

# ------------------------------------------------------------------ scripted


def luck(spec: TrialSpec, evaluation: int) -> float:
    """The hill, on which a seed has luck: up to 0.2 better or worse."""
    return hill(spec, evaluation) + 0.4 * (derive_seed("luck", spec.seed) % 1_000 / 1_000 - 0.5)


def searched() -> Stage:
    """A study of 24 trials whose values are part luck, searched to its end."""
    stage = Stage(sampler="random")
    stage.run(24, luck)
    return stage


def source(stage: Stage, trials: int = 3, seeds: int = 5, **more: Any) -> tuple[Any, Replicates]:
    """The search of a stage as a new process has it, and the runs that confirm it."""
    search = stage.search(24)
    ScriptedEngine(luck, "maximize").run(search)
    leaders = search.leaders(trials)
    specs = [spec for _, spec in leaders]
    return leaders, Replicates(specs, seeds, 0, search.writer, "maximize", **more)


def confirmed(stage: Stage, trials: int = 3, seeds: int = 5, script: Any = luck, **engine: Any) -> list[Any]:
    """The outcome of a confirmation by a scripted engine."""
    leaders, runs = source(stage, trials, seeds)
    try:
        confirm(runs, ScriptedEngine(script, "maximize", **engine))
    finally:
        runs.writer.flush()
    return rank_confirmed(leaders, runs, METRICS["accuracy"], 0.0)


def plain(trials: list[Any]) -> list[Any]:
    return [(trial.search_run.number, trial.runs, trial.mean) for trial in trials]


def test_leaders_are_the_best_trials_of_different_hyperparameters() -> None:
    """Ranked by value, no failed one among them, and each with the specification that it was trained by."""
    stage = searched()
    search = stage.search(24)
    ScriptedEngine(luck, "maximize").run(search)
    values = sorted((t.values[0] for t in stage.storage.get_all_trials(stage.study_id)), reverse=True)
    leaders = search.leaders(4)
    assert [run.value for run, _ in leaders] == values[:4]
    assert next(run.number for run, _ in leaders) == search.best.number  # type: ignore[union-attr]
    assert all(luck(spec, 9) == run.value for run, spec in leaders)


def test_the_best_mean_wins_and_not_the_luckiest_run() -> None:
    """Means and intervals are those of scipy over the runs; the order is that of the means; the search's value has no part in them."""
    stage = searched()
    trials = confirmed(stage, trials=5)
    for trial in trials:
        values = [luck(replace(trial.spec, seed=derive_seed(0, "fresh", seed)), 9) for seed in range(5)]
        assert [run["value"] for run in trial.runs.values()] == values
        low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
        found = (trial.mean.value, trial.mean.low, trial.mean.high)
        assert found == pytest.approx((np.mean(values), max(low, 0.0), min(high, 1.0)))
    assert [t.mean.value for t in trials] == sorted((t.mean.value for t in trials), reverse=True)
    best = max(trials, key=lambda trial: trial.search_run.value)
    assert best.mean.value < best.search_run.value  # the winner's curse
    assert best is not trials[0]


def test_every_trial_has_the_same_fresh_seeds() -> None:
    """Run k of each trial has one seed and one order of rows, others than the search's, and none may be pruned."""
    _, runs = source(searched())
    specs = runs.source.take(100)
    assert len(specs) == 15
    assert len({spec.seed for spec in specs}) == len({spec.order_seed for spec in specs}) == 5
    assert [runs.runs[spec.number][1] for spec in specs] == [seed for seed in range(5) for _ in range(3)]
    assert all(spec.rungs == () for spec in specs)
    assert {spec.order_seed for spec in specs}.isdisjoint({0})


def test_order_and_interruptions_change_nothing() -> None:
    """With one place or seven, in any order, crashed again and again: the same runs, means and winner; no told run is trained twice."""
    whole = plain(confirmed(searched()))
    assert plain(confirmed(searched(), room=7, seed=3)) == whole
    broken, trained = searched(), list[tuple[int, int]]()

    def script(spec: TrialSpec, evaluation: int) -> float:
        trained.append((spec.number, evaluation)) if evaluation == 9 else None
        return luck(spec, evaluation)

    for crash in (20, 31, 44):
        with pytest.raises(CrashError):
            confirmed(broken, script=script, room=3, seed=crash, crash_after=crash)
    assert plain(confirmed(broken, script=script, room=2)) == whole
    assert len(trained) == len(set(trained)) == 15


def test_more_seeds_or_trials_train_the_missing_runs_alone() -> None:
    """What was confirmed before is taken as it is, and the answer is that of one longer confirmation; fewer use the first ones."""
    stage, count = searched(), list[int]()

    def script(spec: TrialSpec, evaluation: int) -> float:
        count.append(1) if evaluation == 1 else None
        return luck(spec, evaluation)

    confirmed(stage, 2, 3, script)
    longer = plain(confirmed(stage, 4, 5, script))
    assert len(count) == 20
    assert longer == plain(confirmed(searched(), 4, 5))
    assert plain(confirmed(stage, 2, 3, script)) == plain(confirmed(searched(), 2, 3))
    assert len(count) == 20


def test_a_run_that_fails_counts_as_the_worst() -> None:
    """A trial that diverges on a fresh seed has that run in its mean with the metric's worst value, and can lose by it."""
    trials = confirmed(searched())
    loser, seed = trials[0].search_run.number, derive_seed(0, "fresh", 2)

    def script(spec: TrialSpec, evaluation: int) -> float:
        same = spec.seed == seed and spec.learning_rate == trials[0].spec.learning_rate
        return nan if same else luck(spec, evaluation)

    again = {trial.search_run.number: trial for trial in confirmed(searched(), script=script)}
    values = [run["value"] for run in again[loser].runs.values()]
    assert values[2] is None
    assert again[loser].runs[2]["outcome"] == "diverged"
    assert again[loser].mean.value == pytest.approx(sum(value or 0.0 for value in values) / 5)
    assert next(iter(again)) != loser


def test_only_seeds_that_all_trials_have_are_compared() -> None:
    """Where time ran out in the middle of a seed, that seed counts for none; where no seed is whole, the search's best stands alone."""
    stage = searched()
    leaders, runs = source(stage)
    for spec in runs.source.take(7):  # seeds 0 and 1 of all three, seed 2 of the first
        one = source(stage)[1]
        one.source.waiting = [spec]
        ScriptedEngine(luck, "maximize").run(one.source)
        one.writer.flush()
    _, runs = source(stage, deadline=time.monotonic())
    observer = RecordingObserver()
    confirm(runs, ScriptedEngine(luck, "maximize"), observer)
    assert "time is up: 7 of 15 runs on fresh seeds saved; the same command goes on" in observer.sentences
    assert [sorted(trial.runs) for trial in rank_confirmed(leaders, runs, METRICS["accuracy"], 0.0)] == [[0, 1]] * 3
    leaders, none = source(searched(), deadline=time.monotonic())
    confirm(none, ScriptedEngine(luck, "maximize"))
    (alone,) = rank_confirmed(leaders, none, METRICS["accuracy"], 0.0)
    assert (alone.search_run, alone.runs, alone.mean) == (leaders[0][0], {}, None)


def test_of_the_winners_runs_the_best_validation_value_is_kept() -> None:
    """The network is that of the highest value of all its runs, that in the search among them; where a low value is better, the lowest."""
    for trial in confirmed(searched(), trials=5):
        values = {None: trial.search_run.value, **{seed: run["value"] for seed, run in trial.runs.items()}}
        network = trial.best(0, "maximize")
        assert network.value == max(value for value in values.values())
        assert values[network.seed] == network.value
        assert luck(network.spec, 9) == network.value
        assert trial.best(0, "minimize").value == min(value for value in values.values())


# ------------------------------------------------------------------ real

RAW: dict[str, Any] = {
    "study": {"name": "flowers"},
    "data": {"name": "data"},
    "space": {"depth": {"low": 0, "high": 2}, "width": [4, 8], "batch_size": [8, 16]}
    | {"learning_rate": {"low": 0.01, "high": 1.0, "log": True}},
    "training": {"epochs": 3},
    "search": {"trials": 5, "sampler": "random"},
    "confirm": {"trials": 2, "seeds": 3},
}
SPACE_POINT = {"depth": 1, "width": 4, "batch_size": 8, "learning_rate": 0.1}


def config(**confirm_: Any) -> StudyConfig:
    return check_config({**RAW, "confirm": {**RAW["confirm"], **confirm_}}, "test")


def run(
    folder: Path, data: Data, asked: StudyConfig, places: int = 2, after_phase: Any = lambda progress: None
) -> tuple[dict[str, Any], list[str]]:
    """Run a study on the CPU and return its result and what was announced."""
    run_options = RunOptions(folder, sqlite_url(folder.absolute() / "study.db"), "cpu", engine="fused", parallel=places)
    observer = RecordingObserver(after_phase)
    with open_study(asked, run_options, data) as study:
        engine = make_engine("fused", data, places, asked.training.precision)
        return run_study(study, engine, observer), observer.sentences


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder, small_data(), config())[0]


def without_device(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key not in ("device", "versions")}


def test_the_result_says_how_far_to_trust_it(whole: tuple[Path, dict[str, Any]]) -> None:
    """Search value, mean over seeds and test score stand side by side, and their gaps are their differences."""
    _, result = whole
    first, fresh = result["confirmed"][0], result["fresh"]
    assert first["trial"] == result["trial"]
    assert fresh["value"] == pytest.approx(np.mean([run["value"] for run in first["runs"]]))
    assert [len(row["runs"]) for row in result["confirmed"]] == [3, 3]
    own = next(row for row in result["confirmed"] if row["trial"] == result["search"]["trial"])
    assert result["gaps"]["search"]["value"] == pytest.approx(result["search"]["value"] - own["value"])
    assert result["gaps"]["test"]["value"] == pytest.approx(fresh["value"] - result["test"]["value"])
    assert result["search"]["value"] == max(row["search"] for row in result["confirmed"])
    assert result["validation"] == max(first["search"], *(run["value"] for run in first["runs"]))
    assert result["looks"] == 1


def test_the_saved_model_is_the_kept_network(whole: tuple[Path, dict[str, Any]]) -> None:
    """The files' predictions have the result's metric on the test rows."""
    folder, result = whole
    data, model = small_data(), load_model(folder)
    right = (predict(model, data.test.inputs).argmax(dim=1) == data.test.targets).double().mean()
    assert float(right) == pytest.approx(result["test"]["value"])
    assert model.provenance["trials"] == [result["trial"]]
    assert model.metrics["fresh"] == result["fresh"]


def test_the_same_command_changes_nothing(whole: tuple[Path, dict[str, Any]]) -> None:
    """Run again, nothing is trained, scored or written anew; without its files the same network is trained again."""
    folder, result = whole
    files = {file.name: file.read_bytes() for file in folder.glob("best.*")}
    again, lines = run(folder, small_data(), config())
    assert again == result
    assert not any("fresh" in line for line in lines)
    assert {file.name: file.read_bytes() for file in folder.glob("best.*")} == files
    for file in folder.glob("best.*"):
        file.unlink()
    assert run(folder, small_data(), config())[0] == result
    assert (folder / "best.safetensors").read_bytes() == files["best.safetensors"]


def test_places_and_an_interruption_change_no_result(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """With one place, killed in the middle and gone on with, the study ends with the same result."""
    done = 0

    def stop(progress: Any) -> None:
        nonlocal done
        done = progress.done
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, small_data(), config(), places=1, after_phase=stop)
    assert done == 3
    result, lines = run(tmp_path, small_data(), config(), places=1)
    assert "training the best 2 trials again on fresh seeds: 3 runs (3 of 6 are stored)" in lines
    assert without_device(result) == without_device(whole[1])
    file = (tmp_path / "best.safetensors").read_bytes()
    assert file == (whole[0] / "best.safetensors").read_bytes()


def test_a_signal_stops_the_confirmation(tmp_path: Path) -> None:
    """A first Ctrl-C while runs train ends with status 130 and what to know; what was told is kept."""
    import signal

    def stop(progress: Any) -> None:
        if progress.done == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Stopped, match="stopped: 2 of 6 runs on fresh seeds saved") as stopped:
        run(tmp_path, small_data(), config(), places=1, after_phase=stop)
    assert stopped.value.status == 130
    assert any("(2 of 6 are stored)" in line for line in run(tmp_path, small_data(), config())[1])


@pytest.mark.slow
def test_an_extended_confirmation_scores_again_only_for_another_network(tmp_path: Path) -> None:
    """More seeds that leave the kept network as it is use the test rows no second time; another one is counted as another look."""
    asked = (
        config(trials=0),
        config(trials=1),
        config(trials=2, seeds=4),
        config(trials=3, seeds=5),
        config(trials=3, seeds=5),
    )
    results = [run(tmp_path, small_data(), confirm_)[0] for confirm_ in asked]
    changes = [a["networks"] != b["networks"] for a, b in pairwise(results)]
    assert [b["looks"] - a["looks"] for a, b in pairwise(results)] == [int(change) for change in changes]
    assert set(changes) == {True, False}


def test_without_confirmation_the_search_s_best_is_kept(tmp_path: Path) -> None:
    """With confirm.trials = 0 nothing is trained again and the result is the search's best as it is."""
    result, lines = run(tmp_path, small_data(), config(trials=0))
    assert (result["fresh"], result["confirmed"], result["seed"]) == (None, [], None)
    assert result["trial"] == result["search"]["trial"]
    assert result["validation"] == result["search"]["value"]
    assert not any("fresh" in line for line in lines)


def halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have two candidates selected, with equal shares."""
    monkeypatch.setattr(held_out, "greedy_counts", lambda held, chosen: torch.ones(2))
    monkeypatch.setattr(ensemble, "_keeps_several", lambda *values: True)


def alone(model: Model, member: Member) -> Model:
    """One network of a model as a model."""
    return replace(model, members=(member,), combination=ALONE)


def by_hand(predictions: torch.Tensor, rows: Rows, data: Data) -> float:
    """The metric of probabilities or values for rows: accuracy or root mean squared error."""
    known, found = rows.targets.numpy(), predictions.numpy()
    if data.task.name == "regression":
        true = known * data.target_scale.numpy() + data.target_mean.numpy()
        return float(np.sqrt(((found - true) ** 2).mean()))
    return float((found.argmax(axis=1) == known.ravel()).mean())


def stored_trials(folder: Path, data: Data, asked: StudyConfig) -> list[Any]:
    run_options = RunOptions(folder, sqlite_url(folder.absolute() / "study.db"), "cpu")
    with open_study(asked, run_options, data) as study:
        return study.writer.previous_trials()


def kept_evaluation(result: dict[str, Any], stored: list[Any], trial: int, seed: int | None) -> int:
    """The best evaluation of one run of a trial."""
    if seed is None:
        return int(stored[trial].run["best"])
    row = next(row for row in result["confirmed"] if row["trial"] == trial)
    return int(next(run["best"] for run in row["runs"] if run["seed"] == seed))


def judged_by_hand(result: dict[str, Any], folder: Path, data: Data, asked: StudyConfig) -> list[float]:
    """The winner's value on each seed, each run trained by the reference."""
    found, stored = [], stored_trials(folder, data, asked)
    for seed in range(SEEDS):
        values = []
        for number in range(max(1, len(data.folds))):
            part, networks = data.fold(number), []
            for trial, run in result["choice"]["candidates"][:1]:
                spec = specification(asked, asked.space.suggest(FixedTrial(stored[trial].params)), trial, data)
                if data.folds:
                    evaluation = kept_evaluation(result, stored, trial, run)
                    passes = spec.evaluate_at[evaluation - 1] * spec.batch_size / len(data.training)
                    rows = len(part.training)
                    spec = replace(spec, evaluate_at=(max(1, round(passes * rows / spec.batch_size)),))
                judging = replace(replicate(spec, derive_seed(0, "judging"), seed), rungs=())
                again = train(judging, part, TrialQueue([]))
                assert again is not None
                networks.append(Member(spec.architecture, again.weights, trial, judging.seed))  # type: ignore[arg-type]
            model = model_of(part, networks, metrics={}, provenance={})
            values.append(by_hand(predict(model, part.validation.inputs), part.validation, part))
        found.append(float(np.mean(values)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "folds"])
def test_the_ensemble_is_judged_against_one_network_by_runs_that_chose_nothing(tmp_path: Path, task: str) -> None:
    """On further seeds the winner's value is that of the reference's runs; several are kept unless one is better by more than the error."""
    data, asked = folded() if task == "folds" else small_data(task), config(ensemble=2)
    result, lines = run(tmp_path, data, asked)
    choice, seeds = result["choice"], judged_by_hand(result, tmp_path, data, asked)
    assert choice["single"]["value"] == pytest.approx(np.mean(seeds))
    better = choice["loss"]["ensemble"] < choice["loss"]["single"] + choice["loss"]["error"]
    assert choice["kept"] == ("ensemble" if better else "single")
    assert result["networks"] == choice["candidates"][: 2 if better else 1]
    assert len(result["combination"]["shares"]) == len(result["networks"])
    assert sum(result["combination"]["shares"]) == pytest.approx(1)
    assert result["held_out"]["rows"] == sum(len(data.fold(k).validation) for k in range(max(1, len(data.folds))))
    assert [member.trial for member in load_model(tmp_path).members] == [trial for trial, _ in result["networks"]]
    assert (
        f"judging an ensemble of up to 2 networks against one of them on 3 further seeds: {6 * max(1, len(data.folds))} runs"
        in lines
    )


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["ensemble", "single"])
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_the_model_that_is_kept_alone_sees_the_test_rows(
    tmp_path: Path, task: str, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look, by the kept model's networks; its figure is that of their mean prediction, computed by hand, and is not taken again."""
    scored = list[list[int]]()

    def score(data: Data, members: Any, combination: Any, outputs: Any) -> dict[str, Any]:
        scored.append([member.trial for member in members])
        return score_test(data, members, combination, outputs)

    monkeypatch.setattr(result_module, "score_test", score)
    halves(monkeypatch)
    monkeypatch.setattr(ensemble, "_keeps_several", lambda *values: kept == "ensemble")
    data = small_data(task)
    result, _ = run(tmp_path, data, config(ensemble=2))
    model = load_model(tmp_path)
    assert len(model.members) == (2 if kept == "ensemble" else 1)
    singles = [predict(replace(alone(model, one), target_form=None), data.test.inputs) for one in model.members]
    together = torch.stack(singles).mean(dim=0)
    if data.target_form is not None:  # the mean is kept within what is possible, not each network's numbers
        together = data.target_form.bounded(together)
    assert result["test"]["value"] == pytest.approx(by_hand(together, data.test, data))
    again, lines = run(tmp_path, data, config(ensemble=2))
    assert again == result
    assert not any("judging" in line for line in lines)
    assert scored == [[trial for trial, _ in result["networks"]]]
    assert result["looks"] == 1
    value = result["choice"]["ensemble"]["value"] if kept == "ensemble" else result["fresh"]["value"]
    sign = -1 if task == "regression" else 1
    assert result["gaps"]["test"]["value"] == pytest.approx(sign * (value - result["test"]["value"]))


@pytest.mark.slow
def test_the_single_network_of_an_ensemble_can_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the first of the ensemble, predicts as that one does, and claims none of the ensemble's figures."""
    halves(monkeypatch)
    data = small_data()
    run(tmp_path, data, config(ensemble=2))
    model = load_model(tmp_path)
    one = single_member(model)
    first = predict(alone(model, model.members[0]), data.test.inputs)
    assert torch.equal(predict(one, data.test.inputs), first)
    assert not torch.equal(predict(model, data.test.inputs), first)
    assert one.provenance["trials"] == [model.members[0].trial]
    assert {"test", "validation", "choice"} & set(one.metrics) == set()
    assert single_member(one) is one


def test_a_single_network_is_told_as_one_of_the_ensemble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands say of `--model single` that the ensemble is selected, without the values that chose it; of the ensemble why it is."""
    halves(monkeypatch)
    run(tmp_path, small_data(), config(ensemble=2))
    model = load_model(tmp_path)
    show_model(Screen(""), "predict", "3 rows with", single_member(model))
    said = capsys.readouterr().out
    assert f"3 rows with one network (trial {model.members[0].trial})\n" in said
    assert "This is the first network of an ensemble of 2 networks; the study's selected model is the ensemble." in said
    assert "together reach" not in said
    show_model(Screen(""), "predict", "3 rows with", model)
    assert "the ensemble is selected." in capsys.readouterr().out


def test_equal_losses_are_the_single_network_s() -> None:
    """A tie, also one up to rounding, keeps one network; so does one that is better by more than the error, else several are kept."""

    def of_loss(loss: float) -> Fitted:
        return Fitted(torch.ones(2), 1.0, torch.ones(1), loss, loss)

    assert not ensemble._keeps_several(of_loss(0.9), of_loss(0.9), 0.02)
    assert not ensemble._keeps_several(of_loss(0.9 - 1e-12), of_loss(0.9), 0.02)
    assert not ensemble._keeps_several(of_loss(0.93), of_loss(0.9), 0.02)
    assert ensemble._keeps_several(of_loss(0.91), of_loss(0.9), 0.02)
    assert ensemble._keeps_several(of_loss(0.898), of_loss(0.9), 0.0)


@pytest.mark.parametrize("failing", [0, 1])
def test_a_candidate_that_fails_on_a_further_seed_takes_no_part(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another than the winner diverges the winner is judged without it; where the winner does, nothing is said by held-out rows."""

    def failed(*arguments: Any) -> list[Any]:
        runs = train_until_stopped(*arguments)
        return [replace(run, weights=None) if place % 2 == failing else run for place, run in enumerate(runs)]

    monkeypatch.setattr("hpsearch.searching.ensemble.train_until_stopped", failed)
    result, _ = run(tmp_path, small_data(), config(ensemble=2))
    assert len(result["networks"]) == 1
    assert (result["choice"] is None) == (failing == 0)
    assert (result["held_out"]["rows"] == 0) == (failing == 0)
    again, lines = run(tmp_path, small_data(), config(ensemble=2))
    assert again == result
    assert not any("judging" in line for line in lines)


def test_when_the_time_is_up_one_network_is_kept(tmp_path: Path) -> None:
    """An ensemble that nobody judged is not kept; the same command with more time judges it."""
    data, observer = small_data(), RecordingObserver()
    run(tmp_path, data, config())
    run_options = RunOptions(tmp_path, sqlite_url(tmp_path.absolute() / "study.db"), "cpu", engine="fused")
    short = config(ensemble=2)
    short = short.model_copy(update={"search": short.search.model_copy(update={"timeout": 1e-9})})
    with open_study(short, run_options, data) as study:
        result = run_study(study, make_engine("fused", data, 2, "float32"), observer)
    assert (
        "time is up: one network is kept, since no ensemble was judged against it; the same command goes on"
        in observer.sentences
    )
    assert (len(result["networks"]), result["choice"]) == (1, None)
    assert run(tmp_path, data, config(ensemble=2))[0]["choice"] is not None


def test_an_ensemble_of_more_than_is_confirmed_is_told(tmp_path: Path) -> None:
    """A line says so, and as many networks as there are predict together."""
    result, lines = run(tmp_path, small_data(), config(ensemble=9))
    assert "ensemble reduced to the 2 confirmed networks (confirm.ensemble = 9)" in lines
    assert len(result["choice"]["candidates"]) == 2
    assert len(load_model(tmp_path).members) == len(result["networks"])


def test_without_test_rows_nothing_unbiased_is_claimed(tmp_path: Path) -> None:
    """No test row: no test score, no gap to it, no look counted."""
    data = small_data()
    empty = replace(data, test=Rows(data.test.inputs[:0], data.test.targets[:0]))
    result, _ = run(tmp_path, empty, config())
    assert result["test"] == {}
    assert "test" not in result["gaps"]
    assert "looks" not in result


def test_weights_of_other_data_are_not_taken(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """A model's file of another study or other data is passed over, and the right network is trained."""
    folder, _ = whole
    run(tmp_path, small_data(), config())
    for name, data in (("best.json", b"{}"), ("best.safetensors", b"\0" * 64)):
        (tmp_path / name).write_bytes(data)
    run(tmp_path, small_data(), config())
    assert (tmp_path / "best.safetensors").read_bytes() == (folder / "best.safetensors").read_bytes()


def folded() -> Data:
    """Small data whose rows that are not test rows are divided twice."""
    data = small_data()
    scaling = (data.target_mean, data.target_scale)
    half = Rows(data.training.inputs[:18], data.training.targets[:18])
    folds = (Fold(data.training, data.validation, *scaling), Fold(half, data.validation, *scaling))
    return replace(data, folds=folds)


def test_a_mean_of_replicates_is_that_of_their_values() -> None:
    """An R² of -3 on a fresh seed counts as -3: the mean is not that of values cut off at the sampler's worst."""
    mean = metric_mean([0.5, -3.0, 0.7], METRICS["r2"], -1.0)
    assert mean.value == pytest.approx((0.5 - 3.0 + 0.7) / 3)
    assert (mean.low, mean.high) == (-3.0, 1.0)
    within = metric_mean([0.8, 0.7, 0.9], METRICS["accuracy"], 0.0)
    assert within == student_mean([0.8, 0.7, 0.9], 0.0, 1.0)
