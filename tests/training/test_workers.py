"""Workers: the same study whoever trains it, and nothing lost whoever dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from hpsearch.data import from_arrays
from hpsearch.data.options import SplitOptions, TaskOptions
from hpsearch.errors import UserError
from hpsearch.searching.loop import Search
from hpsearch.searching.run_options import RunOptions
from hpsearch.testing import Script, ScriptedEngine
from hpsearch.training import TrialQueue
from hpsearch.training.devices import several_devices
from hpsearch.training.engines import make_engine
from hpsearch.training.folds import FoldEngine
from hpsearch.training.workers import dispatcher, worker
from hpsearch.training.workers.dispatcher import truncated
from hpsearch.training.workers.engine import WorkersEngine, WorkerSettings, devices_engine
from hpsearch.training.workers.local_pool import LocalPool
from hpsearch.training.workers.messages import (
    Alive,
    Ready,
    deserialize,
    serialize,
    weights_sent,
    with_weights,
    without_weights,
)
from hpsearch.training.workers.worker import Job
from hpsearch.trial import History, Outcome, TrainingRun, TrialSpec
from tests.support.observers import logged
from tests.support.scripted import Stage, hill
from tests.support.small import small_data
from tests.support.worker_pools import (
    DeadError,
    Sleeper,
    ThreadWorkerPool,
    WatchedSource,
    build_nothing,
    children,
    equal,
    poisoned,
    reference_runs,
    specs_with_rungs,
    timeless,
)

SETTINGS = WorkerSettings("reference", "float64", None, 4)


def scripted(script: Script = hill, room: int = 1) -> Callable[[], ScriptedEngine]:
    return lambda: ScriptedEngine(script, "maximize", room=room, seed=3)


def run_stage(stage: Stage, pool: ThreadWorkerPool, trials: int = 24) -> tuple[Search, WatchedSource]:
    """Run a search in a pool's workers; return it, and what it was asked."""
    search = stage.search(trials)
    source = WatchedSource(search)
    WorkersEngine(pool, small_data()).run(source)
    search.writer.flush()
    return search, source


@pytest.mark.parametrize(("workers", "room"), [(1, 1), (2, 1), (4, 3)])
@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_workers_change_nothing(pruner: str, workers: int, room: int) -> None:
    """A pruned study is the same trial by trial with one, two and four workers as with an engine in this process."""
    here, spread = (Stage(sampler="tpe", pruner=pruner, lag=6) for _ in range(2))
    here.run()
    run_stage(spread, ThreadWorkerPool(scripted(room=room), workers, room))
    assert spread.trials() == here.trials()


def test_nobody_waits_for_an_answer_that_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that never wait train past the evaluation where a trial is pruned, and the study is the same."""
    monkeypatch.setattr(worker, "WAITING_SHARE", 0.0)
    monkeypatch.setattr(worker, "MIN_WAIT", 0.0)
    trained: list[tuple[int, int]] = []

    def script(spec: TrialSpec, evaluation: int) -> float:
        trained.append((spec.number, evaluation))
        return hill(spec, evaluation)

    needed: list[int] = []

    def counting(spec: TrialSpec, evaluation: int) -> float:
        needed.append(evaluation)
        return hill(spec, evaluation)

    here, spread = (Stage(sampler="random", pruner="median", lag=6) for _ in range(2))
    here.run(script=counting)
    run_stage(spread, ThreadWorkerPool(scripted(script), 3))
    assert spread.trials() == here.trials()
    assert len(trained) > len(needed)


@pytest.mark.parametrize("charged", [True, False])
def test_lost_trials_are_trained_again(charged: bool) -> None:
    """Workers that die at their trials' second evaluation cost nothing: the study is the same, and no rung is told twice."""
    deadly = {(number, 2) for number in range(0, 24, 5)}

    def script(spec: TrialSpec, evaluation: int) -> float:
        if (spec.number, evaluation) in deadly:
            deadly.discard((spec.number, evaluation))
            raise DeadError
        return hill(spec, evaluation)

    here, spread = (Stage(sampler="tpe", pruner="median", lag=6) for _ in range(2))
    here.run()
    _, source = run_stage(spread, ThreadWorkerPool(scripted(script, 2), 2, 2, charged))
    assert spread.trials() == here.trials()
    assert len(deadly) < 5
    assert len(source.rungs) == len(set(source.rungs))


def test_a_poison_trial_ends_in_its_outcome() -> None:
    """A trial that kills each of its workers ends at the third one with the worst value; those that trained beside it are acquitted."""
    beside: list[set[int]] = []

    class Deadly(ScriptedEngine):
        def run(self, source: Any) -> None:
            def script(spec: TrialSpec, evaluation: int) -> float:
                if spec.number == 5:
                    beside.append(set(source.rungs))
                    raise DeadError
                return hill(spec, evaluation)

            self.script = script
            super().run(source)

    stage = Stage(sampler="random", pruner="none", lag=12)
    search, _ = run_stage(stage, ThreadWorkerPool(lambda: Deadly(hill, "maximize", room=4, seed=1), 2, 4))
    ended = {run.number: run for run in search.runs.values()}
    assert ended[5].outcome is Outcome.KILLED
    assert "3 workers died" in ended[5].detail
    assert [run.number for run in ended.values() if run.outcome is Outcome.KILLED] == [5]
    assert len(beside) == 3
    assert beside[-1] == {5}
    trial = stage.storage.get_all_trials(stage.study_id)[5]
    assert (trial.values, trial.constraints) == ([0.0], {"failed": 1.0})
    assert (search.status.done, search.status.killed, search.status.failed) == (
        24,
        1,
        sum(run.outcome.failed for run in ended.values()),
    )


def test_the_loss_of_a_machine_is_nobodys_fault() -> None:
    """A trial whose machines leave five times is still trained to its end."""
    left = iter(range(5))

    def script(spec: TrialSpec, evaluation: int) -> float:
        if spec.number == 2 and next(left, None) is not None:
            raise DeadError
        return hill(spec, evaluation)

    search, _ = run_stage(Stage(lag=4), ThreadWorkerPool(scripted(script), 1, charged=False), 6)
    assert search.runs[2].outcome in (Outcome.FINISHED, Outcome.DIVERGED)


def test_only_wanted_weights_travel() -> None:
    """Weights are fetched where a run is the best so far, and the best one has them."""
    pool = ThreadWorkerPool(scripted(), 1)
    search, _ = run_stage(Stage(sampler="random", pruner="none", lag=2), pool)
    best: tuple[float, float] | None = None
    rises = 0
    for number in sorted(search.runs):
        run = search.runs[number]
        if run.value is None or run.loss is None:
            continue
        if best is None or (-run.value, run.loss) < best:
            best = (-run.value, run.loss)
            rises += 1
    assert pool.received["WeightsSent"] == rises < 24
    assert search.best is not None
    assert search.best.weights is not None


@pytest.mark.slow
def test_slots_are_kept_full() -> None:
    """Of 16 slots with trials of half a second at least 90 % are busy until the last trial starts."""
    busy: list[tuple[float, float]] = []
    stage = Stage(sampler="random", pruner="none", lag=32)
    run_stage(stage, ThreadWorkerPool(lambda: Sleeper(0.5, busy), 16), 96)
    assert len(busy) == 96
    start = min(began for began, _ in busy)
    last_start = max(began for began, _ in busy)
    trained = sum(min(ended, last_start) - began for began, ended in busy)
    assert trained / (16 * (last_start - start)) > 0.9


def test_a_cut_run_is_the_pruned_one() -> None:
    """What is left of a run that trained on is what pruning it at that evaluation gives."""
    data = small_data()
    (spec,) = specs_with_rungs(data, 1, evaluate_at=(3, 6, 9, 12, 15))
    complete = reference_runs([replace(spec, rungs=())], data)[0]
    pruned = TrialQueue([spec], prunes=lambda evaluation, metric: evaluation == 2)
    make_engine("reference", data).run(pruned)
    cut = truncated(complete, spec, 2, True)
    assert timeless(cut) == timeless(pruned.runs[0])
    assert cut.outcome is Outcome.PRUNED


def test_data_arrive_without_test_rows() -> None:
    """What a worker gets is what it trains and validates on, bit for bit, on every fold; test rows stay behind."""
    rows = torch.randn(60, 3, generator=torch.Generator().manual_seed(1)).numpy()
    task, split = TaskOptions(class_weights="balanced"), SplitOptions(folds=3)
    data = from_arrays(rows, rows[:, 0] > 0, name="d", task=task, split=split).to("cpu", torch.float64)
    got = deserialize(serialize(data))
    for fold in range(3):
        for part in ("training", "validation"):
            sent, arrived = getattr(data.fold(fold), part), getattr(got.fold(fold), part)
            assert torch.equal(sent.inputs, arrived.inputs)
            assert torch.equal(sent.targets, arrived.targets)
    assert data.class_weights is not None
    assert got.class_weights is not None
    assert torch.equal(data.class_weights, got.class_weights)
    assert (len(data.test) > 0, len(got.test)) == (True, 0)
    assert (got.task, got.metric) == (data.task, data.metric)


@pytest.fixture(scope="module")
def pair() -> Iterator[WorkersEngine]:
    """Two processes on the CPU."""
    engine = devices_engine(["cpu", "cpu"], small_data(), SETTINGS)
    engine.run(TrialQueue(specs_with_rungs(small_data(), 2)))
    yield engine
    engine.end()


def pids_of(engine: WorkersEngine) -> list[int]:
    assert isinstance(engine.pool, LocalPool)
    return engine.pool.pids()


@pytest.mark.slow
def test_processes_train_as_this_one_does(pair: WorkersEngine) -> None:
    """Two processes give the runs of the reference in this one, weights and last weights included, bit for bit."""
    specs = specs_with_rungs(small_data(), 5, keep_last=True)
    here = reference_runs(specs, small_data())
    there = TrialQueue(specs)
    pair.run(there)
    assert set(there.runs) == set(range(5))
    assert all(equal(here[number], there.runs[number]) for number in here)
    assert all(run.last_weights is not None for run in there.runs.values() if run.weights is not None)


def test_weights_of_both_networks_travel() -> None:
    """A run travels without weights; with the message that brings them it is the same run again, with or without a last network."""
    weights = {"layers.0.bias": torch.arange(3.0)}
    last = {"layers.0.bias": torch.arange(3.0) + 1}
    for run in (
        TrainingRun(2, Outcome.FINISHED, History(), weights=weights, last_weights=last),
        TrainingRun(2, Outcome.FINISHED, History(), weights=weights),
    ):
        light = without_weights(run)
        assert (light.weights, light.last_weights) == (None, None)
        back = with_weights(light, weights_sent(run), torch.device("cpu"))
        assert back.weights is not None
        assert torch.equal(back.weights["layers.0.bias"], weights["layers.0.bias"])
        assert (back.last_weights is None) == (run.last_weights is None)
        assert back.last_weights is None or torch.equal(back.last_weights["layers.0.bias"], last["layers.0.bias"])


@pytest.mark.slow
def test_processes_prune_and_are_used_again(pair: WorkersEngine) -> None:
    """The same processes train a second batch of trials, and those that are ended at a rung end there."""
    source = TrialQueue(specs_with_rungs(small_data(), 4), prunes=lambda evaluation, metric: evaluation == 2)
    before = pids_of(pair)
    pair.run(source)
    assert {(run.outcome, len(run.history)) for run in source.runs.values()} == {(Outcome.PRUNED, 2)}
    assert len(before) == 2
    assert pids_of(pair) == before


def assert_all_reported_once(source: WatchedSource, queue: TrialQueue) -> None:
    """Four trials with two rungs each are the reference's, and each rung and run was reported once."""
    here = reference_runs(specs_with_rungs(small_data(), 4), small_data())
    assert all(equal(here[number], queue.runs[number]) for number in range(4))
    assert sorted(source.ended) == [0, 1, 2, 3]
    assert len(source.rungs) == len(set(source.rungs)) == 8


@pytest.mark.slow
def test_a_killed_process_costs_nothing(pair: WorkersEngine) -> None:
    """A worker killed with signal 9 between two evaluations is replaced, and every run is what it would have been."""
    queue = TrialQueue(specs_with_rungs(small_data(), 4))
    victims = pids_of(pair)
    lines: list[str] = []

    def kill(number: int, evaluation: int) -> None:
        if (number, evaluation) == (1, 2):
            send_signal(victims, signal.SIGKILL)

    source = WatchedSource(queue, kill)
    with logged(lines.append):
        pair.run(source)
    assert_all_reported_once(source, queue)
    assert any("ended by SIGKILL" in line and "#1" in line for line in lines)
    assert not set(victims) & set(pids_of(pair))


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "silence", "lost"), [(0.7, 60.0, False), (60.0, 2.5, True)])
def test_a_stopped_process_reports_nothing_twice(
    pair: WorkersEngine, monkeypatch: pytest.MonkeyPatch, seconds: float, silence: float, lost: bool
) -> None:
    """Processes that are stopped with trials in them and soon continued go on; after the stated time they are lost; all is told once."""
    queue = TrialQueue(specs_with_rungs(small_data(), 4))
    victims = pids_of(pair)
    lines: list[str] = []
    going_on = threading.Timer(seconds, send_signal, (victims, signal.SIGCONT))

    def stop(number: int, evaluation: int) -> None:
        if (number, evaluation) == (0, 1):
            send_signal(victims, signal.SIGSTOP)
            going_on.start()

    source = WatchedSource(queue, stop)
    monkeypatch.setattr(pair, "silence", silence)
    with logged(lines.append):
        pair.run(source)
    going_on.cancel()
    assert_all_reported_once(source, queue)
    assert any("no sign of life for 2.5 s" in line and "#0" in line for line in lines) == lost
    assert bool(set(victims) & set(pids_of(pair))) != lost
    if lost:
        assert not [pid for pid in victims if Path(f"/proc/{pid}").exists()]


def send_signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def test_only_workers_with_trials_can_hang() -> None:
    """The seconds between checks add up for workers that hold trials only, and a sign of life starts anew."""
    books = dispatcher.Dispatcher(TrialQueue(specs_with_rungs(small_data(), 1)), {}, True, torch.device("cpu"))
    for number in (0, 1):
        books.handle(number, Ready(1))
    assert books.assign()
    assert [books.hung(1.0, 2.5) for _ in range(3)] == [[], [], [0]]
    books.handle(0, Alive())
    assert books.hung(1.0, 2.5) == []


@pytest.mark.slow
def test_a_trial_that_kills_its_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that has each of its processes killed ends in its outcome (here at the second); the others are trained."""
    monkeypatch.setattr(dispatcher, "MAX_DEATHS", 2)
    data = small_data()
    pool = LocalPool([Job(partial(poisoned, 1, 1), "cpu", torch.float64, 1, "")], data)
    source = TrialQueue(specs_with_rungs(data, 3))
    engine = WorkersEngine(pool, data)
    engine.run(source)
    engine.end()
    assert source.runs[1].outcome is Outcome.KILLED
    assert "SIGKILL" in source.runs[1].detail
    assert {source.runs[n].outcome for n in (0, 2)} == {Outcome.FINISHED}
    assert pool.begun == 3


@pytest.mark.slow
def test_workers_that_do_not_start_end_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that no worker can build ends in one line with the reason, not in a loop."""
    monkeypatch.setattr(worker, "MAX_ATTEMPTS", 1)
    pool = LocalPool([Job(build_nothing, "cpu", torch.float64, 1, "")], small_data())
    with pytest.raises(
        UserError, match=r"--devices: no worker starts, cpu: 'RuntimeError: no driver .*Give other devices"
    ):
        WorkersEngine(pool, small_data()).run(TrialQueue(specs_with_rungs(small_data(), 1)))
    assert pool.pids() == []


def test_starts_are_tried_three_times() -> None:
    """A worker that dies before it is ready is given up after the third attempt, and a ready one starts the count anew."""
    attempts = worker.StartAttempts()
    attempts.fail("a")
    assert not attempts.due
    attempts.retry_at = 0.0
    assert attempts.due
    attempts.succeed()
    for _ in range(3):
        attempts.fail("b")
    assert attempts.exhausted


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize(("sent", "status", "devices"), [(signal.SIGINT, 130, "cpu,cpu"), (signal.SIGKILL, -9, "cpu")])
def test_nothing_is_left_behind(tmp_path: Path, sent: int, status: int, devices: str) -> None:
    """Ctrl-C ends a study on two processes at once, and not even signal 9 leaves one of them behind."""
    (tmp_path / "long.toml").write_text(LONG)
    command = [sys.executable, "-m", "hpsearch", "run", str(tmp_path / "long.toml"), "--reports", str(tmp_path), "-v"]
    process = subprocess.Popen(
        [*command, "--devices", devices, "--engine", "reference"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "room for" in line:
            break
    began = children(process.pid)
    assert len(began) >= len(devices.split(","))
    process.send_signal(sent)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == status
    assert "Traceback" not in errors
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in began) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [pid for pid in began if Path(f"/proc/{pid}").exists()]


LONG = """
[study]
question = "Which flower?"
[data]
name = "iris"
[space]
depth = { low = 0, high = 2 }
width = [4, 8]
learning_rate = { low = 1e-3, high = 1e-1, log = true }
batch_size = [1]
[training]
epochs = 4000000
[search]
trials = 5
"""


@pytest.mark.slow
def test_folds_train_in_processes() -> None:
    """Cross-validated trials whose folds train in a process are those of this one."""
    rows = torch.randn(40, 3, generator=torch.Generator().manual_seed(1)).numpy()
    data = from_arrays(rows, rows[:, 0] > 0, name="d", split=SplitOptions(folds=2)).to("cpu", torch.float64)
    specs = specs_with_rungs(data, 2, batch_size=10)
    here = reference_runs(specs, data)
    there = TrialQueue(specs)
    engine = devices_engine(["cpu"], data, SETTINGS)
    FoldEngine(engine, data).run(there)
    engine.end()
    assert [timeless(here[n]) for n in range(2)] == [timeless(there.runs[n]) for n in range(2)]
    assert len(there.runs[0].folds) == 2


def test_options_are_checked(tmp_path: Path) -> None:
    """Options that cannot be meant are refused in a line each."""
    run_options = partial(RunOptions, tmp_path, "sqlite://")
    for given, words in (
        ({"devices": "cpu", "ray": "local"}, "give one of --device, --devices and --ray"),
        ({"worker_gpus": 1.0}, "Give --ray too"),
        ({"ray": "local", "worker_gpus": -1.0}, "--worker-gpus -1"),
        ({"ray": "local", "worker_cpus": 1.5}, "a whole number"),
    ):
        with pytest.raises(UserError, match=words):
            run_options(**given)
    for devices, words in ((" , ", "no device given"), ("cpu,tpu", "'tpu'")):
        with pytest.raises(UserError, match=words):
            several_devices(devices)
    assert several_devices("cpu, cpu") == ["cpu", "cpu"]
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="has no CUDA device"):
            several_devices("all")
    assert run_options(devices="cpu,cpu").own == replace(run_options(), device="cpu")
