"""Workers: the same study whoever trains it, and nothing lost whoever dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from hpsearch.data import from_arrays
from hpsearch.data.options import SplitOptions, TaskOptions
from hpsearch.errors import UserError
from hpsearch.searching.run_options import RunOptions
from hpsearch.testing import ScriptedEngine
from hpsearch.training import Several
from hpsearch.training.devices import several_devices
from hpsearch.training.engines import make_engine
from hpsearch.training.folds import FoldEngine
from hpsearch.training.workers import dispatcher, remote, starts
from hpsearch.training.workers.dispatcher import truncated
from hpsearch.training.workers.engine import WorkersEngine
from hpsearch.training.workers.local import LocalCrew
from hpsearch.training.workers.messages import Alive, Ready
from hpsearch.training.workers.pools import Settings, devices_engine
from hpsearch.training.workers.serialization import pack, unpack
from hpsearch.training.workers.work import Job
from hpsearch.trial import Outcome, TrainingRun, TrialSpec
from tests.support.observers import logged
from tests.support.scripted import Stage, hill
from tests.support.small import small_data
from tests.support.worker_pools import DeadError, Sleeper, ThreadCrew, Watching, children, helpless, poisoned, specs_of

SETTINGS = Settings("reference", "float64", None, 4)


def scripted(script=hill, room: int = 1):
    return lambda: ScriptedEngine(script, "maximize", room=room, seed=3)


def run_stage(stage: Stage, crew: ThreadCrew, trials: int = 24) -> Watching:
    search = stage.search(trials)
    source = Watching(search)
    WorkersEngine(crew, small_data()).run(source)
    search.writer.flush()
    source.search = search
    return source


@pytest.mark.parametrize(("workers", "room"), [(1, 1), (2, 1), (4, 3)])
@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_workers_change_nothing(pruner: str, workers: int, room: int) -> None:
    """A pruned study is the same trial by trial with one, two and four workers as with an engine in this process."""
    alone, spread = (Stage(sampler="tpe", pruner=pruner, lag=6) for _ in range(2))
    alone.run()
    run_stage(spread, ThreadCrew(scripted(room=room), workers, room))
    assert spread.trials() == alone.trials()


def test_nobody_waits_for_an_answer_that_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that never wait train past the evaluation where a trial is pruned, and the study is the same."""
    monkeypatch.setattr(remote, "SHARE", 0.0)
    monkeypatch.setattr(remote, "LEAST", 0.0)
    trained: list[tuple[int, int]] = []

    def script(spec: TrialSpec, evaluation: int) -> float:
        trained.append((spec.number, evaluation))
        return hill(spec, evaluation)

    alone, spread = (Stage(sampler="random", pruner="median", lag=6) for _ in range(2))
    needed = []
    alone.run(script=lambda spec, evaluation: needed.append(evaluation) or hill(spec, evaluation))
    run_stage(spread, ThreadCrew(scripted(script), 3))
    assert spread.trials() == alone.trials()
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

    alone, spread = (Stage(sampler="tpe", pruner="median", lag=6) for _ in range(2))
    alone.run()
    source = run_stage(spread, ThreadCrew(scripted(script, 2), 2, 2, charged))
    assert spread.trials() == alone.trials()
    assert len(deadly) < 5
    assert len(source.rungs) == len(set(source.rungs))


def test_a_poison_trial_ends_in_its_outcome() -> None:
    """A trial that kills each of its workers ends at the third one with the worst value; those that trained beside it are acquitted."""
    beside: list[set[int]] = []

    class Deadly(ScriptedEngine):
        def run(self, source):
            flying: set[int] = set()

            def script(spec, evaluation):
                flying.add(spec.number)
                if spec.number == 5:
                    beside.append(set(source.rungs))
                    raise DeadError
                return hill(spec, evaluation)

            self.script = script
            super().run(source)

    stage = Stage(sampler="random", pruner="none", lag=12)
    crew = ThreadCrew(lambda: Deadly(hill, "maximize", room=4, seed=1), 2, 4)
    search = run_stage(stage, crew).search
    ended = {run.number: run for run in search.runs.values()}
    assert ended[5].outcome is Outcome.KILLED
    assert "3 workers died" in ended[5].detail
    assert [run.number for run in ended.values() if run.outcome is Outcome.KILLED] == [5]
    assert len(beside) == 3
    assert beside[-1] == {5}
    trial = stage.storage.get_all_trials(stage.study_id)[5]
    assert (trial.values, trial.constraints) == ([0.0], {"failed": 1.0})
    assert (search.status.done, search.status.killed, search.status.failed) == (24, 1, ended_badly(ended))


def ended_badly(runs: dict[int, TrainingRun]) -> int:
    return sum(run.outcome.failed for run in runs.values())


def test_the_loss_of_a_machine_is_nobodys_fault() -> None:
    """A trial whose machines leave five times is still trained to its end."""
    left = iter(range(5))

    def script(spec: TrialSpec, evaluation: int) -> float:
        if spec.number == 2 and next(left, None) is not None:
            raise DeadError
        return hill(spec, evaluation)

    search = run_stage(Stage(lag=4), ThreadCrew(scripted(script), 1, charged=False), 6).search
    assert search.runs[2].outcome in (Outcome.FINISHED, Outcome.DIVERGED)


def test_only_wanted_weights_travel() -> None:
    """Weights are fetched where a run is the best so far, and the best one has them."""
    stage, best, rises = Stage(sampler="random", pruner="none", lag=2), None, 0
    crew = ThreadCrew(scripted(), 1)
    search = run_stage(stage, crew).search
    for number in sorted(search.runs):
        run = search.runs[number]
        if run.value is not None and (best is None or (-run.value, run.loss) < best):
            best, rises = (-run.value, run.loss), rises + 1
    assert crew.said["Sent"] == rises < 24
    assert search.best.weights is not None


def test_places_are_kept_full() -> None:
    """Of 16 places with trials of 0.25 s at least 90 % are busy, start and end aside."""
    started = time.monotonic()
    stage = Stage(sampler="random", pruner="none", lag=32)
    run_stage(stage, ThreadCrew(lambda: Sleeper(0.25), 16), 128)
    assert 128 * 0.25 / 16 / (time.monotonic() - started) > 0.9 * 0.9  # the last wave of 8 ends together


def test_a_cut_run_is_the_pruned_one() -> None:
    """What is left of a run that trained on is what pruning it at that evaluation gives."""
    data = small_data()
    (spec,) = specs_of(data, 1, evaluate_at=(3, 6, 9, 12, 15))
    whole, pruned = Several([replace(spec, rungs=())]), Several([spec], ask=lambda evaluation, metric: evaluation == 2)
    for source in (whole, pruned):
        make_engine("reference", data).run(source)
    cut, known = truncated(whole.runs[0], spec, 2, True), pruned.runs[0]
    assert timeless(cut) == timeless(replace(known, weights=None))
    assert cut.outcome is Outcome.PRUNED


def timeless(run: TrainingRun) -> TrainingRun:
    return replace(run, history=replace(run.history, seconds=()), weights=None)


def equal(one: TrainingRun, other: TrainingRun) -> bool:
    weights = (one.weights or {}, other.weights or {})
    same = all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    return timeless(one) == timeless(other) and weights[0].keys() == weights[1].keys() and same


def test_data_arrive_without_test_rows() -> None:
    """What a worker gets is what it trains and validates on, bit for bit, on every fold; test rows stay behind."""
    rows = torch.randn(60, 3, generator=torch.Generator().manual_seed(1)).numpy()
    data = from_arrays(
        rows, rows[:, 0] > 0, name="d", task=TaskOptions(class_weights="balanced"), split=SplitOptions(folds=3)
    ).to("cpu", torch.float64)
    got = unpack(pack(data))
    for fold in range(3):
        for part in ("training", "validation"):
            sent, arrived = getattr(data.fold(fold), part), getattr(got.fold(fold), part)
            assert torch.equal(sent.inputs, arrived.inputs)
            assert torch.equal(sent.targets, arrived.targets)
    assert torch.equal(data.class_weights, got.class_weights)
    assert (len(data.test) > 0, len(got.test)) == (True, 0)
    assert (got.task, got.metric) == (data.task, data.metric)


@pytest.fixture(scope="module")
def pair() -> WorkersEngine:
    """Two processes on the CPU."""
    engine = devices_engine(["cpu", "cpu"], small_data(), SETTINGS)
    engine.run(Several(specs_of(small_data(), 2)))
    yield engine
    engine.end()


def test_processes_train_as_this_one_does(pair: WorkersEngine) -> None:
    """Two processes give the runs of the reference in this one, weights included, bit for bit."""
    data = small_data()
    here, there = Several(specs_of(data, 5)), Several(specs_of(data, 5))
    make_engine("reference", data).run(here)
    pair.run(there)
    assert set(there.runs) == set(range(5))
    assert all(equal(here.runs[number], there.runs[number]) for number in here.runs)


def test_processes_prune_and_are_used_again(pair: WorkersEngine) -> None:
    """The same processes train a second batch of trials, and those that are ended at a rung end there."""
    source = Several(specs_of(small_data(), 4), ask=lambda evaluation, metric: evaluation == 2)
    before = pair.crew.pids()
    pair.run(source)
    assert {(run.outcome, len(run.history)) for run in source.runs.values()} == {(Outcome.PRUNED, 2)}
    assert len(before) == 2
    assert pair.crew.pids() == before


def test_a_killed_process_costs_nothing(pair: WorkersEngine) -> None:
    """A worker killed with signal 9 between two evaluations is replaced, and every run is what it would have been."""
    data = small_data()
    here, lines = Several(specs_of(data, 4)), []
    make_engine("reference", data).run(here)
    there = Several(specs_of(data, 4))
    source, victims = Watching(there), pair.crew.pids()

    def kill(number: int, evaluation: int) -> None:
        if (number, evaluation) == (1, 2):
            for pid in victims:
                os.kill(pid, signal.SIGKILL)

    source.at_rung = kill
    with logged(lines.append):
        pair.run(source)
    assert all(equal(here.runs[number], there.runs[number]) for number in range(4))
    assert len(source.rungs) == len(set(source.rungs)) == 8
    assert sorted(source.ended) == [0, 1, 2, 3]
    assert any("ended by SIGKILL" in line and "#1" in line for line in lines)
    assert not set(victims) & set(pair.crew.pids())


@pytest.mark.parametrize(("seconds", "silence", "lost"), [(0.7, 60.0, False), (60.0, 2.5, True)])
def test_a_stopped_process_tells_nothing_twice(
    pair: WorkersEngine, monkeypatch: pytest.MonkeyPatch, seconds: float, silence: float, lost: bool
) -> None:
    """Processes that are stopped with trials in them and soon continued go on; after the stated time they are lost; all is told once."""
    data, lines = small_data(), []
    here, there = Several(specs_of(data, 4)), Several(specs_of(data, 4))
    make_engine("reference", data).run(here)
    source, victims = Watching(there), pair.crew.pids()
    going_on = threading.Timer(seconds, signalled, (victims, signal.SIGCONT))

    def stop(number: int, evaluation: int) -> None:
        if (number, evaluation) == (0, 1):
            signalled(victims, signal.SIGSTOP)
            going_on.start()

    source.at_rung = stop
    monkeypatch.setattr(pair, "silence", silence)
    with logged(lines.append):
        pair.run(source)
    going_on.cancel()
    assert all(equal(here.runs[number], there.runs[number]) for number in range(4))
    assert sorted(source.ended) == [0, 1, 2, 3]
    assert len(source.rungs) == len(set(source.rungs)) == 8
    assert any("no sign of life for 2.5 s" in line and "#0" in line for line in lines) == lost
    assert bool(set(victims) & set(pair.crew.pids())) != lost
    assert not lost or not [pid for pid in victims if Path(f"/proc/{pid}").exists()]


def signalled(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def test_time_in_which_the_writer_stood_still_is_no_silence() -> None:
    """Only looks count, a second each at most, and only at workers that hold trials: whoever wakes from a long sleep hears them first."""
    book = dispatcher.Desk(Several(specs_of(small_data(), 1)), {}, True, torch.device("cpu"))
    for worker in (0, 1):
        book.hear(worker, Ready(1))
    assert book.fill()
    assert [book.hung(1.0, 2.5) for _ in range(3)] == [[], [], [0]]
    book.hear(0, Alive())
    assert book.hung(1.0, 2.5) == []


def test_a_trial_that_kills_its_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that has each of its processes killed ends in its outcome (here at the second); the others are trained."""
    monkeypatch.setattr(dispatcher, "DEATHS", 2)
    data = small_data()
    crew = LocalCrew([Job(partial(poisoned, 1, 1), "cpu", torch.float64, 1, "")], data)
    source = Several(specs_of(data, 3))
    engine = WorkersEngine(crew, data)
    engine.run(source)
    engine.end()
    assert source.runs[1].outcome is Outcome.KILLED
    assert "SIGKILL" in source.runs[1].detail
    assert {source.runs[n].outcome for n in (0, 2)} == {Outcome.FINISHED}
    assert crew.begun == 3


def test_workers_that_do_not_start_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that no worker can build ends in one line with the reason, not in a loop."""
    monkeypatch.setattr(starts, "TRIES", 1)
    crew = LocalCrew([Job(helpless, "cpu", torch.float64, 1, "")], small_data())
    with pytest.raises(
        UserError, match=r"--devices: no worker starts, cpu: 'RuntimeError: no driver .*Give other devices"
    ):
        WorkersEngine(crew, small_data()).run(Several(specs_of(small_data(), 1)))
    assert crew.pids() == []


def test_starts_are_tried_three_times() -> None:
    """A place where workers die young is given up after the third, and a ready one clears its record."""
    record = starts.Starts()
    record.fail("a")
    assert not record.due
    record.after = 0.0
    assert record.due
    record.succeed()
    for _ in range(3):
        record.fail("b")
    assert record.over


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
    for line in process.stdout:
        if "room for" in line:
            break
    began = children(process.pid)
    assert len(began) >= len(devices.split(","))
    process.send_signal(sent)
    start = time.monotonic()
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - start < 10
    assert process.returncode == status
    assert "Traceback" not in errors
    until = time.monotonic() + 5
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


def test_folds_train_in_processes() -> None:
    """Cross-validated trials whose folds train in a process are those of this one."""
    rows = torch.randn(40, 3, generator=torch.Generator().manual_seed(1)).numpy()
    data = from_arrays(rows, rows[:, 0] > 0, name="d", split=SplitOptions(folds=2)).to("cpu", torch.float64)
    specs = specs_of(data, 2, batch_size=10)
    here, there = Several(list(specs)), Several(list(specs))
    make_engine("reference", data).run(here)
    engine = devices_engine(["cpu"], data, SETTINGS)
    FoldEngine(engine, data).run(there)
    engine.end()
    assert [timeless(here.runs[n]) for n in range(2)] == [timeless(there.runs[n]) for n in range(2)]
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
