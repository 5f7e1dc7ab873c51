"""A comparison: its arms, its tuning and fresh seeds, what is measured, and that it goes on where it stopped."""

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hpsearch.comparison import escape
from hpsearch.comparison.analysis.contrasts import better_than_full, knows_test_rows, last_part
from hpsearch.comparison.arms import best, common_target, fastest, make_arms, reached
from hpsearch.comparison.context import STRIDE, ComparisonContext, RoundRobinSource
from hpsearch.comparison.escape.cells import Watch, parallel
from hpsearch.comparison.instrumentation import measure_run, measured_rows, plan_measurements
from hpsearch.comparison.replicates import BLOCKS, Winner, blocks, scores
from hpsearch.comparison.shared_plane import shared_out
from hpsearch.comparison.stages import updates_in
from hpsearch.comparison.study import open_comparison, run_comparison, with_recorded_protocol
from hpsearch.comparison.timing import REPEATS, time_plain_loop
from hpsearch.config import StudyConfig, check_config
from hpsearch.data import load_file
from hpsearch.data.options import ReadOptions
from hpsearch.errors import SearchFailed, Stopped, UserError
from hpsearch.progress import PhaseProgress
from hpsearch.searching.run_options import RunOptions, prepare_data, prepare_engine
from hpsearch.searching.specifications import replicate
from hpsearch.storage import ArmRecord, ComparisonRecord
from hpsearch.storage.reading import read
from hpsearch.storage.urls import sqlite_url
from hpsearch.training import TrialQueue
from hpsearch.training.engines import make_engine
from hpsearch.training.network import DNN
from hpsearch.training.recording import CompiledRecorder, TorchRecorder, make_recorder
from hpsearch.training.reference import ReferenceTrial
from hpsearch.trial import Budget, History, Outcome, TrainingRun
from tests.support.observers import RecordingObserver
from tests.support.small import small_data, small_spec

RAW: dict[str, Any] = {
    "study": {"name": "small"},
    "data": {"name": "iris"},
    "space": {"depth": 1, "width": 8, "optimizer": "sgd", "learning_rate": {"low": 0.01, "high": 1.0, "log": True}},
    "training": {"epochs": 6},
    "compare": {"batch_sizes": [1, 16, "full"], "trials": 3, "seeds": 2, "measured": 1, "target": 0.6},
}


def config(**changes: Any) -> StudyConfig:
    """The small comparison, tables of it updated."""
    raw = {name: {**RAW.get(name, {}), **changes.get(name, {})} for name in {**RAW, **changes}}
    return check_config(raw, "small")


def run(folder: Path, settings: StudyConfig, stop_after: int | None = None) -> ComparisonRecord:
    """Run a comparison in a folder, as a signal after so many shown stages would end it; return its record."""
    run_options = RunOptions(folder, sqlite_url(folder / "study.db"), parallel=2)
    settings = with_recorded_protocol(settings, run_options)
    data = prepare_data(settings, run_options)
    shown: list[PhaseProgress] = []

    def show(progress: PhaseProgress) -> None:
        shown.append(progress)
        if len(shown) == stop_after:
            os.kill(os.getpid(), signal.SIGTERM)

    engine = prepare_engine(settings, run_options, data)
    with open_comparison(settings, run_options, data) as opened:
        run_comparison(opened, engine, RecordingObserver(show))
    found = read(run_options.storage)
    assert isinstance(found, ComparisonRecord)
    return found


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> ComparisonRecord:
    """The small comparison, run once."""
    return run(tmp_path_factory.mktemp("small"), config())


def curve(metric: list[float], loss: float = 0.5, number: int = 0) -> TrainingRun:
    """A run whose metric after updates 10, 20, … is this."""
    n = len(metric)
    updates = tuple(10 * (i + 1) for i in range(n))
    history = History(tuple(range(1, n + 1)), updates, updates, (0.0,) * n, (loss,) * n, (loss,) * n, tuple(metric))
    return TrainingRun(number, Outcome.FINISHED, history, value=max(metric), loss=loss)


# ---- budgets and targets


@pytest.mark.parametrize(("batch_size", "rows"), [(1, 1257), (32, 1257), (1257, 1257), (1, 55_000)])
def test_any_update_is_known_to_within_the_resolution(batch_size: int, rows: int) -> None:
    """Evaluations lie a 200th of a pass apart, or further by 2 % of the updates so far; the last one is the budget's end."""
    budget = Budget("epochs", 20, 20, resolution=0.02)
    at = np.array(budget.evaluate_at(batch_size, rows))
    gaps = np.diff(at, prepend=0)
    finest = max(1, rows // (200 * batch_size))
    assert at[-1] == budget.updates(batch_size, rows)
    assert (gaps >= 1).all()
    assert (gaps <= np.maximum(finest, 0.02 * at)).all()
    assert len(at) < 100 + 50 + np.log(at[-1]) / np.log(1.02)


def test_a_run_stops_once_its_metric_is_strictly_better_than_the_target() -> None:
    """With a target a run is the same run, cut at the first evaluation that passes it strictly."""
    data = small_data()
    spec = small_spec(data, evaluate_at=tuple(range(1, 61)), learning_rate=0.5)
    engine = make_engine("auto", data, 1)
    whole = TrialQueue([spec])
    engine.run(whole)
    metrics = whole.runs[3].history.metric
    target = sorted(set(metrics))[-3]
    first = next(i for i, metric in enumerate(metrics) if metric > target)
    for name in ("auto", "reference", "fused"):
        cut = TrialQueue([replace(spec, target=target)])
        make_engine(name, data, 1).run(cut)
        assert cut.runs[3].outcome is Outcome.REACHED
        assert cut.runs[3].history.metric == pytest.approx(metrics[: first + 1])


# ---- slow motion


@pytest.mark.parametrize("batch_size", [1, 10, "full"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_recorder_trains_the_engines_run(batch_size: int | str, optimizer: str) -> None:
    """A recorder's weights after the last update are the engine's, bit for bit, however often it stopped on the way."""
    data = small_data()
    size = len(data.training) if batch_size == "full" else int(batch_size)
    spec = small_spec(data, batch_size=size, optimizer=optimizer, learning_rate=0.02, evaluate_at=(12, 13))
    source = TrialQueue([replace(spec, evaluate_at=(13,))])
    make_engine("compiled", data, 1).run(source)
    recorder = make_recorder(spec, data)
    assert isinstance(recorder, CompiledRecorder)
    for until in (1, 5, 6, 13):
        recorder.advance(until)
    weights = source.runs[3].weights
    assert weights is not None
    assert all(torch.equal(weights[name], tensor) for name, tensor in recorder.weights().items())


@pytest.mark.parametrize("batch_size", [1, 10])
def test_step_lengths_are_distances_between_weights(batch_size: int) -> None:
    """Each step's length is the distance of the weights before and after it, for both recorders, which agree."""
    data = small_data()
    spec = small_spec(data, batch_size=batch_size, optimizer="momentum", dropout=0.2)
    found = []
    for recorder in (CompiledRecorder(spec, data), TorchRecorder(spec, data)):
        before = recorder.weights()
        steps = []
        for until in range(1, 6):
            (length,) = recorder.advance(until)
            after = recorder.weights()
            assert length == pytest.approx(sum(float((after[n] - before[n]).square().sum()) for n in after) ** 0.5)
            before = after
            steps.append(length)
        found.append(steps)
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_a_diverged_run_has_no_steps_after_its_last() -> None:
    """After the loss is not finite, step lengths are NaN in both recorders, and nothing is raised."""
    data = small_data("regression")
    spec = small_spec(data, learning_rate=1e200, activation="relu")
    for recorder in (CompiledRecorder(spec, data), TorchRecorder(spec, data)):
        assert np.isnan(recorder.advance(12)[-1])


# ---- arms and sources


def test_arms_have_equal_means() -> None:
    """Every optimizer has every batch size once, ascending, each with the same number of trials and the same budget."""
    settings = config(
        space={"optimizer": ["sgd", "adam"], "momentum": 0.9} | {"optimizer": ["sgd", "momentum"]},
        compare={"batch_sizes": [64, 1, "full", 500], "space": {"momentum": {"learning_rate": 0.3}}},
    )
    arms = make_arms(settings, rows=105)
    assert [(a.optimizer, a.batch_size) for a in arms] == [(o, b) for o in ("sgd", "momentum") for b in (1, 64, 105)]
    assert len({a.config.budget for a in arms}) == 1
    plain = [a.config.space.plain() for a in arms]
    assert all("momentum" not in space for space in plain[:3]), "sgd has no momentum to vary"
    assert [space["learning_rate"] for space in plain[3:]] == [0.3] * 3
    assert plain[0]["learning_rate"] == RAW["space"]["learning_rate"]


class Listed:
    """A source of specifications that keeps what is finished."""

    def __init__(self, specs: list[Any]) -> None:
        self.specs = specs
        self.finished: list[int] = []
        self.stopping = False

    def take(self, room: int) -> list[Any]:
        taken, self.specs = self.specs[:room], self.specs[room:]
        return taken

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        return number == 1

    def wants(self, run: TrainingRun) -> bool:
        return False

    def finish(self, run: TrainingRun) -> None:
        self.finished.append(run.number)


def test_sources_take_turns_and_get_their_own_answers() -> None:
    """Trials are taken one of each source in turn; runs, under the sources' own numbers, come back to where they came from."""
    data = small_data()
    sources = [Listed([small_spec(data, number=n) for n in range(count)]) for count in (1, 3)]
    course = Listed([])
    together = RoundRobinSource(sources, course, 0.5)
    taken = [*together.take(3), *together.take(9)]
    assert [spec.number for spec in taken] == [0, STRIDE, STRIDE + 1, STRIDE + 2]
    assert {spec.target for spec in taken} == {0.5}
    assert together.prune(STRIDE + 1, 1, 0.0)
    assert not together.prune(0, 1, 0.0)
    for spec in reversed(taken):
        together.finish(TrainingRun(spec.number, Outcome.FINISHED, History()))
    assert [source.finished for source in sources] == [[0], [2, 1, 0]]
    course.stopping = True
    assert together.stopping


def test_fresh_runs_are_paired() -> None:
    """Run k has the same seeds whatever the arm, and other ones than run k + 1 and than the tuning trials."""
    data = small_data()
    small = small_spec(data, batch_size=1)
    large = small_spec(data, batch_size=30, learning_rate=0.7)
    a = replicate(small, 5, 0)
    b = replicate(large, 5, 0)
    c = replicate(small, 5, 1)
    assert (a.seed, a.order_seed) == (b.seed, b.order_seed)
    assert len({a.seed, c.seed, small.seed}) == len({a.order_seed, c.order_seed, small.order_seed}) == 3


# ---- winners


def test_who_wins() -> None:
    """The fastest reaches the target first, equals are told apart by loss and number; the best has the best metric."""
    runs = {
        0: curve([0.5, 0.6, 0.9]),
        1: curve([0.5, 0.81, 0.82], loss=0.3),
        2: curve([0.5, 0.81, 0.82], loss=0.2),
        3: curve([0.8, 0.8, 0.8]),
    }
    assert fastest(runs, 0.8, "maximize") == 2, "0.8 itself does not pass a target of 0.8"
    assert fastest(runs, 0.95, "maximize") is None
    assert best(runs, "maximize") == 0
    assert reached(runs[0].history, 0.8, "maximize") == 30
    assert reached(runs[3].history, 0.8, "maximize") == inf
    lost = TrainingRun(4, Outcome.DIVERGED, History())
    assert best({4: lost}, "maximize") is None


def test_a_target_that_all_can_reach() -> None:
    """Without a given target it is just below the best of the worst arm: every arm's leader passes it strictly."""
    arms = [{0: curve([0.5, 0.9])}, {0: curve([0.7, 0.6]), 1: curve([0.4, 0.65])}, {}]
    target = common_target(arms, "maximize")
    assert target == 0.6
    assert all(fastest(runs, target, "maximize") is not None for runs in arms[:2])
    errors = [{0: curve([0.5, 0.1])}, {0: curve([0.7, 0.4])}]
    low = [{n: replace(r, value=min(r.history.metric)) for n, r in runs.items()} for runs in errors]
    assert common_target(low, "minimize") == 0.7
    assert common_target([{}], "maximize") is None


# ---- moments


def test_moments_are_at_the_same_losses() -> None:
    """The middle is where the validation loss is the geometric mean of start and target; windows begin at the target."""
    data = small_data()
    spec = small_spec(data, batch_size=10)
    n = 50
    losses = tuple(2.0 * 0.9**i for i in range(n))
    updates = tuple(range(2, 2 * n + 2, 2))
    history = History(
        tuple(range(n)), updates, updates, (0.0,) * n, losses, losses, tuple(1 - loss / 2 for loss in losses)
    )
    plan = plan_measurements(spec, history, 0.9, "maximize", (2.0, 0.2), rows=60)
    assert plan.named["target"] == 46, "the first update after which the metric is above 0.9"
    middle = updates.index(plan.named["middle"])
    assert losses[middle] <= (2.0 * 0.2) ** 0.5 < losses[middle - 1]
    assert plan.window[0] == plan.passes[0] == 46
    assert np.diff(plan.passes).tolist() == [6] * (len(plan.passes) - 1), "60 rows in batches of 10"
    assert plan.before == tuple(range(46)), "every update to the target"
    assert set(plan.named.values()) <= set(plan.marks) <= set(plan.stops)
    never = plan_measurements(spec, history, 2.0, "maximize", (2.0, 0.2), rows=60)
    assert set(never.named) == {"start", "end"}
    assert not never.window
    assert never.before == tuple(range(100)), "a run that never gets there is on its way until its end"


def test_of_many_updates_before_the_target_evenly_spread_ones_are_measured() -> None:
    """A run of 40,000 updates to the target stops at the two ends of 250 updates, the first and the last of them among these."""
    data = small_data()
    history = History((1, 2), (40_000, 80_000), (1, 2), (0.0,) * 2, (0.1,) * 2, (0.1,) * 2, (0.95, 0.96))
    plan = plan_measurements(small_spec(data), history, 0.9, "maximize", (2.0, 0.1), rows=60)
    assert len(plan.before) == 250
    assert (plan.before[0], plan.before[-1]) == (0, 39_999)
    assert set(np.diff(plan.before)) <= {160, 161}
    assert {update + 1 for update in plan.before} <= set(plan.stops)
    assert len(plan.stops) < 500 + 100 + 12 + 12


def test_what_is_seen_of_a_run() -> None:
    """Path, variability, noise and curvature are those of the run's own weights; the storage gets plain JSON."""
    data = small_data()
    rows = len(data.training)
    spec = small_spec(data, batch_size=rows, learning_rate=0.05, evaluate_at=tuple(range(1, 41)))
    source = TrialQueue([spec])
    make_engine("auto", data, 1).run(source)
    history = source.runs[3].history
    plan = plan_measurements(spec, history, sorted(history.metric)[0] - 0.01, "maximize", (1.2, 1.0), rows=rows)
    found = measure_run(spec, data, plan, [1, rows], lambda: False)
    assert found is not None
    assert found == json.loads(json.dumps(found))
    batches = {batch["batch_size"]: batch for batch in found["batches"]["start"]}
    assert batches[rows]["cosine"] == pytest.approx(1)
    assert batches[rows]["variance"] == pytest.approx(0, abs=1e-20)
    assert batches[1]["cosine"] < 1
    assert found["variability"]["updates"]["rising"] == 0, (
        "gradient descent with a small rate goes down in every update"
    )
    assert found["variability"]["updates"]["total_variation"] == pytest.approx(1)
    before = found["variability"]["before"]
    assert (before["rising"], before["jump"], before["count"]) == (0, 0, plan.named["target"])
    assert before["of"] == before["count"]
    assert before["total_variation"] == pytest.approx(1)
    assert 0 < found["path"]["end"]["efficiency"] <= 1
    assert found["path"]["end"]["distance"] == pytest.approx(
        found["path"]["end"]["length"] * found["path"]["end"]["efficiency"]
    )
    assert measure_run(spec, data, plan, [], lambda: True) is None


def test_large_data_are_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many rows the same random part is looked at every time; few rows are looked at whole."""
    data = small_data()
    assert measured_rows(data) is data.training
    monkeypatch.setattr("hpsearch.comparison.instrumentation.MEASURED_ROWS", 20)
    one = measured_rows(data)
    other = measured_rows(data)
    assert len(one) == 20
    assert torch.equal(one.inputs, other.inputs)


# ---- the whole


def test_everything_is_in_the_record(record: ComparisonRecord) -> None:
    """Each arm has its trials, winners with one run for each seed and their scores, measurements of some; paths are compared."""
    assert [arm.batch_size for arm in record.arms] == [1, 16, 104] or record.rows == record.arms[-1].batch_size
    assert record.target == 0.6
    assert record.target_given
    for arm in record.arms:
        assert len(arm.trials) == 3
        assert arm.fastest is not None
        assert arm.best is not None
        assert [run.number for run in arm.fastest.runs] == [0, 1]
        for run in (*arm.fastest.runs, *arm.best.runs):
            assert set(run.scores) == {"training", "test", "last"}
            assert {part: len(values) for part, values in run.left_out.items()} == {"test": BLOCKS, "last": BLOCKS}
        assert arm.trials[arm.fastest.trial].params.keys() == arm.fastest.params.keys()
        assert set(arm.fastest.measured) == {0}
        assert record.passed(arm.fastest.runs[0]) < inf
    assert set(record.shared) == {"sgd"}
    assert len(record.shared["sgd"]["plane"]["paths"]) == 3
    starts = {(path["x"][0], path["y"][0]) for path in record.shared["sgd"]["plane"]["paths"]}
    assert len(starts) == 1, "the paths begin at the same weights"


def test_the_last_networks_and_the_test_rows_reach_the_verdict(record: ComparisonRecord) -> None:
    """From the storage the last networks are compared on test rows, and the interval of either knows which rows test."""
    longer = replace(record, arms=tuple(map(_on_more_seeds, record.arms)))
    assert last_part(longer) == "test"
    assert knows_test_rows(longer)
    for where in ("test", "last"):
        assert better_than_full(longer, where) is not None
    old = replace(record, arms=tuple(_on_more_seeds(arm, old=True) for arm in record.arms))
    assert last_part(old) == "validation"
    assert not knows_test_rows(old)
    assert better_than_full(old, "test") is not None


def _on_more_seeds(arm: ArmRecord, old: bool = False) -> ArmRecord:
    """The arm with two more runs than it has; as an earlier version recorded it, where it is to be old."""
    assert arm.best is not None
    runs = [replace(run, number=run.number + more) for run in arm.best.runs for more in (0, 2)]
    if old:
        known = ("training", "test")
        runs = [replace(run, scores={part: run.scores[part] for part in known}, left_out={}) for run in runs]
    return replace(arm, best=replace(arm.best, runs=tuple(sorted(runs, key=lambda run: run.number))))


def test_scores_are_those_of_both_networks() -> None:
    """Loss and metric of the best and of the last network, and the metric without each block of test rows, computed anew."""
    data = small_data()
    spec = small_spec(data, learning_rate=1.5, evaluate_at=tuple(range(2, 42, 2)), keep_last=True)
    source = TrialQueue([spec])
    make_engine("reference", data).run(source)
    run = source.runs[3]
    found = scores(spec, run, data)
    assert run.best < run.history.last
    for part, weights in (("test", run.weights), ("last", run.last_weights)):
        network = DNN(spec.dense_architecture).to(dtype=torch.float64)
        assert weights is not None
        network.load_state_dict(dict(weights))
        outputs = network(data.test.inputs)
        loss, metric = data.score(outputs, data.test)
        assert found[part] == pytest.approx({"loss": loss, "metric": metric})
        right = (outputs.argmax(1) == data.test.targets).double()
        block = blocks(data.test)
        for left_out, value in enumerate(found["left_out"][part]):
            assert value == pytest.approx(float(right[block != left_out].mean()))
    assert scores(spec, replace(run, weights=None, last_weights=None), data) == {}
    assert set(scores(spec, replace(run, last_weights=None), data)) == {"training", "test", "left_out"}


def test_a_row_is_in_one_block_in_every_division(tmp_path: Path) -> None:
    """Test rows that several divisions drew have one number, and so one block, in all of them; blocks are about equally many."""
    settings = config(data={"name": "digits"}, compare={"divisions": 5})
    data = prepare_data(settings, RunOptions(tmp_path, sqlite_url(tmp_path / "study.db")))
    targets: dict[int, int] = {}
    block_of: dict[int, int] = {}
    drawn = 0
    for number in range(1, 6):
        test = data.fold(number).test
        assert test.units is not None
        rows = zip(test.units.tolist(), test.targets.tolist(), blocks(test).tolist(), strict=True)
        for unit, target, block in rows:
            assert targets.setdefault(unit, target) == target
            assert block_of.setdefault(unit, block) == block
            drawn += 1
    assert len(targets) < drawn, "divisions share rows"
    counts = np.bincount(list(block_of.values()), minlength=BLOCKS)
    assert counts.min() > 0.4 * counts.mean()


def test_rows_of_a_group_are_in_one_block(tmp_path: Path) -> None:
    """Rows that belong together are left out together."""
    generator = np.random.default_rng(1)
    lines = [f"{generator.normal():.3f},{row % 3},person {row // 4}" for row in range(120)]
    table = tmp_path / "people.csv"
    table.write_text("\n".join(["size,kind,who", *lines]))
    data = load_file(table, "kind", read=ReadOptions(group="who"))
    assert data.test.units is not None
    units = data.test.units.tolist()
    assert len(set(units)) == len(units) / 4
    assert len({*zip(units, blocks(data.test).tolist(), strict=True)}) == len(set(units))


def test_paths_are_drawn_update_by_update_to_the_target_with_their_true_length(record: ComparisonRecord) -> None:
    """A path has a point after each of its updates, and the length and distance in all weights that the measured run has."""
    for arm, path in zip(record.arms, record.shared["sgd"]["plane"]["paths"], strict=True):
        assert arm.fastest is not None
        measured = arm.fastest.measured[0]
        assert path["reached"]
        assert path["updates"] == list(range(measured["moments"]["target"] + 1))
        assert len(path["x"]) == len(path["y"]) == len(path["updates"])
        assert path["length"] == pytest.approx(measured["path"]["target"]["length"], rel=1e-5)
        assert path["distance"] == pytest.approx(measured["path"]["target"]["distance"], rel=1e-5)


def test_points_are_shared_out() -> None:
    """Short paths get all the points that they want, long ones share the rest; together they are never more than there are."""
    assert shared_out(2000, [1084, 92, 33]) == [1084, 92, 33]
    assert shared_out(2000, [40_000, 92, 1500]) == [954, 92, 954]
    assert shared_out(10, [100, 100, 100]) == [3, 3, 4]


def test_updates_of_the_plain_loop_are_timed_and_the_engine_is_named(record: ComparisonRecord) -> None:
    """Each batch size has five repeats of the seconds of an update in plain torch, and the compiled engine is on record."""
    timed = record.plain_seconds_of("sgd")
    assert sorted(timed) == [arm.batch_size for arm in record.arms]
    assert all(len(seconds) == REPEATS for seconds in timed.values())
    assert all(0 < second < 1 for seconds in timed.values() for second in seconds)
    assert record.engines == ("compiled",)
    assert record.plain_seconds_of("adam") == {}


def facts(record: ComparisonRecord) -> Any:
    """Everything of a record that must not depend on interruptions: all but times."""

    def of(trial: Any) -> Any:
        history = replace(trial.history, seconds=()) if trial.history else None
        return (
            trial.number,
            trial.state,
            dict(trial.params),
            trial.outcome,
            trial.value,
            trial.validation_loss,
            history,
            dict(trial.scores),
            dict(trial.left_out),
        )

    return [
        (
            arm.batch_size,
            [of(t) for t in (*arm.trials, *arm.refined)],
            [
                (w.trial, w.params, w.edge, [of(r) for r in w.runs], dict(w.measured))
                for w in (arm.fastest, arm.best)
                if w
            ],
        )
        for arm in record.arms
    ], record.shared


@pytest.mark.slow
def test_a_signal_ends_escape_tests_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal in the midst of an escape test ends it, though its parts would run for ever; the tests before it are kept."""
    made: list[str] = []

    def ends(settings: Any, watch: Watch) -> dict[str, Any]:
        made.append("ends")
        return {"cells": {}}

    def endless(settings: Any, watch: Watch) -> dict[str, Any]:
        def part(number: int) -> None:
            if number == 0:
                os.kill(os.getpid(), signal.SIGTERM)
            while True:
                watch.check()
                time.sleep(0.001)

        parallel(part, range(4), watch)
        return {}

    for name in escape.TESTS:
        monkeypatch.setitem(escape.TESTS, name, endless if name == "thermal" else ends)
    settings = config(
        compare={"seeds": 2, "measured": 0, "batch_sizes": [16, "full"]}, minima={"seeds": 10, "starts": 10}
    )
    with pytest.raises(Stopped):
        run(tmp_path, settings)
    monkeypatch.setitem(escape.TESTS, "thermal", ends)
    record = run(tmp_path, settings)
    assert set(record.minima) >= set(escape.TESTS)
    assert len(made) == len(escape.TESTS), "the first test was not made again"


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [3, 20, 49, 55])
def test_an_interrupted_comparison_goes_on_to_the_same_end(
    record: ComparisonRecord, tmp_path: Path, stop_after: int
) -> None:
    """Stopped by a signal in either stage of tuning, in training again or in measuring, and run once more, all is as without."""
    with pytest.raises(Stopped):
        run(tmp_path, config(), stop_after)
    assert facts(run(tmp_path, config())) == facts(record)


def test_the_plain_loop_is_timed_in_turns_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch sizes take turns, so that a slow second of the machine hits all alike; the same winners are not timed again."""
    settings = config()
    run_options = RunOptions(tmp_path, sqlite_url(tmp_path / "study.db"), parallel=1)
    data = prepare_data(settings, run_options)
    timed: list[int] = []
    trained = ReferenceTrial.train

    def train(trial: ReferenceTrial, until: int, stopping: Any) -> Any:
        timed.append(trial.spec.batch_size)
        return trained(trial, until, stopping)

    monkeypatch.setattr(ReferenceTrial, "train", train)
    with open_comparison(settings, run_options, data) as opened:
        engine = make_engine("reference", data, 1)
        context = ComparisonContext(settings, data, engine, opened.writer, RecordingObserver())
        winners = [
            Winner(f"sgd/{size}", small_spec(data, batch_size=size, optimizer="sgd"), opened.writer) for size in (1, 16)
        ]
        time_plain_loop(context, winners)
        opened.writer.flush()
        assert timed[4:] == [1, 16] * REPEATS, "after two windows of each to warm up"
        time_plain_loop(context, winners)
        assert len(timed) == 4 + 2 * REPEATS
        time_plain_loop(context, winners[:1])
        opened.writer.flush()
        assert len(timed) == 4 + 2 * REPEATS + 2 + REPEATS, "other winners are timed anew"
        assert opened.writer.read_attribute("plain")["engines"] == {"sgd": {"1": "reference"}}


@pytest.mark.slow
def test_more_trials_and_seeds_go_on(tmp_path: Path) -> None:
    """Trials and seeds are totals: a comparison that is asked for more keeps what it has."""
    few = run(tmp_path, config(compare={"trials": 2, "seeds": 2, "measured": 0, "refine": 0}))
    more = run(tmp_path, config(compare={"trials": 3, "seeds": 3, "measured": 0, "refine": 0}))
    assert [len(arm.trials) for arm in more.arms] == [3, 3, 3]
    assert facts(few)[0][0][1] == facts(more)[0][0][1][:2]


@pytest.mark.slow
def test_changed_settings_are_refused(tmp_path: Path) -> None:
    """Another target under the same name is another comparison, and so is another second stage, where the file names it."""
    run(tmp_path, config(compare={"trials": 2, "measured": 0}))
    with pytest.raises(UserError, match=r"compare\.target was 0\.6, now 0\.7"):
        run(tmp_path, config(compare={"trials": 2, "measured": 0, "target": 0.7}))
    with pytest.raises(UserError, match=r"compare\.refine was 2, now 1"):
        run(tmp_path, config(compare={"trials": 2, "measured": 0, "refine": 1}))


def test_hopeless_learning_rates_end_in_one_line(tmp_path: Path) -> None:
    """Where every trial diverges there is nothing to train again, and the error says what to do."""
    rates = {"learning_rate": {"low": 1e30, "high": 1e38, "log": True}}
    hopeless = config(space={**rates, "activation": "relu"}, compare={"batch_sizes": [16, "full"], "trials": 2})
    with pytest.raises(SearchFailed, match=r"4 diverged\. Lower the upper end of the learning rate"):
        run(tmp_path, hopeless)


@pytest.mark.slow
def test_a_budget_in_seconds_is_turned_into_updates_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds become updates by a measurement that the storage keeps; a resumed comparison does not measure again."""
    calls: Iterator[int] = iter([7, 9])
    monkeypatch.setattr("hpsearch.comparison.stages.updates_in", lambda *_: next(calls))
    settings = config(
        training={"epochs": None}, compare={"batch_sizes": [16, "full"], "seconds": 0.1, "trials": 2, "measured": 0}
    )
    first, again = (run(tmp_path, settings) for _ in range(2))
    lasts = [
        arm.fastest.runs[0].history.update[-1] for arm in first.arms if arm.fastest and arm.fastest.runs[0].history
    ]
    assert lasts == [7, 9]
    assert facts(first) == facts(again)


@pytest.mark.slow
def test_a_probe_finds_about_the_updates_of_a_time() -> None:
    """Twice the seconds are about twice the updates."""
    settings = config()
    data = prepare_data(settings, RunOptions(Path(), ""))
    arm = make_arms(settings, len(data.training))[1]
    engine = make_engine("auto", data, 1)
    short, long = (updates_in(seconds, arm, data, engine) for seconds in (1.0, 8.0))
    assert 1 < short < long


# ---- bad input


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"compare": {"batch_sizes": ["all"]}}, r"compare\.batch_sizes"),
        ({"compare": {"batch_sizes": []}}, r"compare\.batch_sizes"),
        ({"compare": {"trails": 3}}, r"compare\.trails: unknown key\. Did you mean 'trials'"),
        ({"space": {"batch_size": [1, 2]}}, r"space\.batch_size: the batch sizes stand in compare\.batch_sizes"),
        ({"search": {"sampler": "tpe"}}, r"search\.sampler is 'tpe'; .* qmc or random"),
        ({"search": {"trials": 3}}, r"search\.trials: .*Give compare\.trials"),
        ({"search": {"pruner": "median"}}, r"search\.pruner: .*Remove it"),
        ({"training": {"evaluations": 3}}, r"training\.evaluations: .*Remove it"),
        ({"compare": {"target": None, "tune_until": "target"}}, r"compare\.tune_until is 'target', but there is none"),
        ({"compare": {"seconds": 3.0}}, r"compare\.seconds: there is a budget in \[training\]"),
        ({"compare": {"space": {"adam": {}}}}, r"compare\.space\.adam: the comparison has no such optimizer"),
    ],
)
def test_bad_comparisons(changes: dict[str, Any], told: str) -> None:
    """What a comparison cannot keep to is told in a line that names the key."""
    raw = {name: {**RAW.get(name, {}), **changes.get(name, {})} for name in {**RAW, **changes}}
    with pytest.raises(UserError, match=told):
        check_config(raw, "small")


def test_two_batch_sizes_tell_the_noise_scale(record: ComparisonRecord) -> None:
    """The two-batch estimate is made of the smallest and the largest mini-batch of the arm that draws batches, at each named moment."""
    drawn = [run for arm in record.arms if arm.fastest for run in arm.fastest.measured.values() if run["two_batch"]]
    assert len(drawn) == 1
    for moment, told in drawn[0]["two_batch"].items():
        small, large = (b for b in drawn[0]["batches"][moment] if b["batch_size"] < record.rows)
        trace = (small["squared_norm"] - large["squared_norm"]) / (1 / 1 - 1 / 16)
        norm = (16 * large["squared_norm"] - small["squared_norm"]) / 15
        assert (told["small"], told["large"]) == (1, 16)
        assert told["scale"] == (pytest.approx(trace / norm) if norm > 0 else None)


@pytest.mark.slow
def test_hopeless_trials_end_early_and_the_fastest_is_the_same(tmp_path: Path) -> None:
    """Tuned towards the target, no trial goes beyond twice the best two before it, and the same trial wins as with whole budgets."""
    means = {"batch_sizes": [16, "full"], "trials": 6, "seeds": 2, "measured": 0}
    whole = run(tmp_path / "whole", config(compare=means))
    cut = run(tmp_path / "cut", config(compare={**means, "tune_until": "target"}))
    for arm, other in zip(whole.arms, cut.arms, strict=True):
        assert arm.fastest
        assert other.fastest
        assert arm.fastest.trial == other.fastest.trial
        times = [cut.passed(trial) for trial in other.trials]
        assert times[other.fastest.trial] == whole.passed(arm.trials[arm.fastest.trial])
        for number, trial in enumerate(other.trials):
            cap = 2 * min(times[: max(0, number - 1)], default=inf)
            assert trial.history is None or not len(trial.history) or trial.history.update[-1] <= max(cap, 1)
        assert any(len(a.history or ()) > len(b.history or ()) for a, b in zip(arm.trials, other.trials, strict=True))


@pytest.mark.slow
def test_a_capped_search_goes_on_to_the_same_end(tmp_path: Path) -> None:
    """What ends a trial early is decided by numbers: interrupted and with other places in flight, the trials are the same."""
    means = {"batch_sizes": [16, "full"], "trials": 6, "seeds": 2, "measured": 0, "tune_until": "target"}
    whole = run(tmp_path / "whole", config(compare=means))
    with pytest.raises(Stopped):
        run(tmp_path / "cut", config(compare=means), stop_after=5)
    assert facts(run(tmp_path / "cut", config(compare=means))) == facts(whole)
