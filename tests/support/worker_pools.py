"""A worker pool of threads, engines that die, and a run's workers as processes, for the tests of workers."""

import os
import pickle
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import torch

from hpsearch.data import Data
from hpsearch.training import Engine, TrialQueue, TrialSource
from hpsearch.training.engines import make_engine, single_fold_engine
from hpsearch.training.progress import Weights
from hpsearch.training.workers.messages import Commands, Event, Lost, Ready
from hpsearch.training.workers.worker import RemoteSource
from hpsearch.trial import History, Outcome, TrainingRun, TrialSpec
from tests.support.forked import ForkedCommand
from tests.support.small import small_spec

WORKER_READY = ": room for"  # in the line of a worker that is ready (-v)

Message = TypeVar("Message")


def transmitted(message: Message) -> Message:
    """Return what arrives of a message that is sent to another process."""
    arrived: Message = pickle.loads(pickle.dumps(message))  # noqa: S301
    return arrived


class DeadError(Exception):
    """The scripted end of a worker."""


class ThreadWorkerPool:
    """Workers that are threads; what goes between them and the coordinator is pickled on its way, as it would be between processes."""

    def __init__(self, build: Callable[[], Engine], workers: int, slots: int = 1, charged: bool = True) -> None:
        self.build = build
        self.workers = workers
        self.slots = slots
        self.charged = charged
        self.sources: dict[int, RemoteSource] = {}
        self.queue: SimpleQueue[tuple[int, Event]] = SimpleQueue()
        self.begun = 0
        self.received: Counter[str] = Counter()  # events by the name of their class

    def open(self) -> None:
        while len(self.sources) < self.workers:
            self._start(self.begun)
            self.begun += 1

    def _start(self, number: int) -> None:
        source = RemoteSource(lambda event: self.queue.put((number, event)))
        self.sources[number] = source
        self.queue.put((number, Ready(self.slots)))
        threading.Thread(target=self._work, args=(number, source), daemon=True).start()

    def _work(self, number: int, source: RemoteSource) -> None:
        try:
            self.build().run(source)
        except DeadError:
            self.queue.put((number, Lost("scripted", self.charged)))

    def events(self, seconds: float) -> list[tuple[int, Event]]:
        self.open()
        events: list[tuple[int, Event]] = []
        try:
            events.append(self.queue.get(timeout=seconds))
            while not self.queue.empty():
                events.append(self.queue.get())
        except Empty:
            return []
        for number, event in events:
            self.received[type(event).__name__] += 1
            if isinstance(event, Lost):
                del self.sources[number]
        return transmitted(events)

    def command(self, worker: int, commands: Commands) -> None:
        if worker in self.sources:
            self.sources[worker].receive(transmitted(commands))

    def end(self, worker: int, reason: str) -> Lost:
        del self.sources[worker]
        return Lost(reason)

    def close(self) -> None:
        self.sources.clear()

    def disconnect(self) -> None: ...


class Sleeper:
    """An engine with one slot, whose trials take their time and train nothing; `busy` collects when each began and ended."""

    def __init__(self, seconds: float, busy: list[tuple[float, float]]) -> None:
        self.seconds = seconds
        self.busy = busy

    def run(self, source: TrialSource) -> None:
        while specs := source.take(1):
            began = time.monotonic()
            time.sleep(self.seconds)
            self.busy.append((began, time.monotonic()))
            history = History((1,), (1,), (1,), (0.0,), (0.0,), (0.0,), (0.5,))
            source.finish(TrainingRun(specs[0].number, Outcome.FINISHED, history, 1, 0.5, 0.0, weights={}))


class WatchedSource:
    """A source that notes the rungs and the runs of another; `at_rung` is called at each rung."""

    def __init__(self, source: TrialSource, at_rung: Callable[[int, int], None] | None = None) -> None:
        self.source = source
        self.at_rung = at_rung
        self.rungs: list[tuple[int, int]] = []
        self.ended: list[int] = []

    @property
    def stopping(self) -> bool:
        return self.source.stopping

    def take(self, room: int) -> Sequence[TrialSpec]:
        return self.source.take(room)

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        self.rungs.append((number, evaluation))
        if self.at_rung is not None:
            self.at_rung(number, evaluation)
        return self.source.prune(number, evaluation, metric)

    def wants(self, run: TrainingRun) -> bool:
        return self.source.wants(run)

    def finish(self, run: TrainingRun) -> None:
        self.ended.append(run.number)
        self.source.finish(run)


def specs_with_rungs(data: Data, count: int, **changes: Any) -> list[TrialSpec]:
    """Return trials that differ in seed and learning rate, with rungs."""
    specs = [small_spec(data, number=n, seed=n, learning_rate=0.02 * (n + 1), rungs=(1, 2)) for n in range(count)]
    return [replace(spec, **changes) for spec in specs]


def reference_runs(specs: Sequence[TrialSpec], data: Data) -> dict[int, TrainingRun]:
    """Train with the reference engine in this process."""
    source = TrialQueue(specs)
    make_engine("reference", data).run(source)
    return source.runs


def timeless(run: TrainingRun) -> TrainingRun:
    """Return a run without its seconds and weights."""
    return replace(run, history=replace(run.history, seconds=()), weights=None, last_weights=None)


def equal(one: TrainingRun, other: TrainingRun) -> bool:
    """Whether two runs are the same, best and last weights included, bit for bit; seconds aside."""
    if timeless(one) != timeless(other):
        return False
    return _equal_weights(one.weights, other.weights) and _equal_weights(one.last_weights, other.last_weights)


def _equal_weights(one: Weights | None, other: Weights | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def children(pid: int) -> set[int]:
    """Return the processes that a process began, and theirs."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    own = {child for child, parent in parents.items() if parent == pid}
    return own | {grandchild for child in own for grandchild in children(child)}


def workers(command: ForkedCommand) -> list[int]:
    """Return the processes of a run's workers."""
    pids = sorted(children(command.process))
    return [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def kill_worker(command: ForkedCommand, draws: random.Random) -> float:
    """Kill a worker and return the seconds until a new one is ready, or until the study is done."""
    began = time.monotonic()
    before = command.output.count(WORKER_READY)
    os.kill(draws.choice(workers(command)), signal.SIGKILL)
    with suppress(AssertionError):  # the study was done before
        command.wait_for_output(WORKER_READY, before + 1)
    return time.monotonic() - began


class PoisonedEngine:
    """An engine whose process is killed by a trial, as the kernel kills one for its memory."""

    def __init__(self, engine: Engine, number: int) -> None:
        self.engine = engine
        self.number = number

    def run(self, source: TrialSource) -> None:
        self.engine.run(_PoisonedSource(source, self.number))


class _PoisonedSource(WatchedSource):
    def __init__(self, source: TrialSource, poison: int) -> None:
        super().__init__(source)
        self.poison = poison

    def take(self, room: int) -> Sequence[TrialSpec]:
        specs = self.source.take(room)
        if any(spec.number == self.poison for spec in specs):
            os.kill(os.getpid(), signal.SIGKILL)
        return specs


def poisoned(number: int, slots: int, data: Data) -> tuple[Engine, int]:
    """Build an engine (see `Job`) that one trial kills."""
    return PoisonedEngine(single_fold_engine("reference", data, slots, "float64"), number), slots


def build_nothing(data: Data) -> tuple[Engine, int]:
    """Build no engine (see `Job`)."""
    raise RuntimeError("no driver")
