"""A crew of threads, and engines that die, for the tests of workers."""

import os
import pickle
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from hpsearch.data import Data
from hpsearch.training import Engine, TrialSource
from hpsearch.training.engines import fold_engine
from hpsearch.training.workers.messages import Event, Lost, Orders, Ready
from hpsearch.training.workers.remote import RemoteSource
from hpsearch.trial import TrainingRun, TrialSpec
from tests.support.small import small_spec


def sent(message: Any) -> Any:
    """Return what arrives of a message that is sent to another process."""
    return pickle.loads(pickle.dumps(message))  # noqa: S301


class DeadError(Exception):
    """The scripted end of a worker."""


class ThreadCrew:
    """Workers that are threads; what goes between them and the writer is pickled on its way, as it would be between processes."""

    def __init__(self, build: Callable[[], Engine], workers: int, places: int = 1, charged: bool = True) -> None:
        self.build, self.workers, self.places, self.charged = build, workers, places, charged
        self.sources: dict[int, RemoteSource] = {}
        self.queue: SimpleQueue[tuple[int, Event]] = SimpleQueue()
        self.begun = 0
        self.said: Counter[str] = Counter()

    def open(self) -> None:
        while len(self.sources) < self.workers:
            number, self.begun = self.begun, self.begun + 1
            self.sources[number] = RemoteSource(lambda event, number=number: self.queue.put((number, event)))
            self.queue.put((number, Ready(self.places)))
            threading.Thread(target=self._live, args=(number, self.sources[number]), daemon=True).start()

    def _live(self, number: int, source: RemoteSource) -> None:
        try:
            self.build().run(source)
        except DeadError:
            self.queue.put((number, Lost("scripted", self.charged)))

    def events(self, seconds: float) -> list[tuple[int, Event]]:
        self.open()
        found: list[tuple[int, Event]] = []
        try:
            found.append(self.queue.get(timeout=seconds))
            while not self.queue.empty():
                found.append(self.queue.get())
        except Empty:
            return []
        for number, event in found:
            self.said[type(event).__name__] += 1
            if isinstance(event, Lost):
                del self.sources[number]
        return sent(found)

    def order(self, worker: int, orders: Orders) -> None:
        if worker in self.sources:
            self.sources[worker].receive(sent(orders))

    def end(self, worker: int, reason: str) -> Lost:
        del self.sources[worker]
        return Lost(reason)

    def close(self) -> None:
        self.sources.clear()

    def leave(self) -> None: ...


class Sleeper:
    """An engine with one place, whose trials take their time and nothing else."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def run(self, source: TrialSource) -> None:
        from hpsearch.trial import History, Outcome

        while specs := source.take(1):
            time.sleep(self.seconds)
            history = History().append(
                evaluation=1, update=1, examples=1, seconds=0.0, training_loss=0.0, validation_loss=0.0, metric=0.5
            )
            source.finish(TrainingRun(specs[0].number, Outcome.FINISHED, history, 1, 0.5, 0.0, weights={}))


class Watching:
    """A source that notes what is asked and answered."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.rungs: list[tuple[int, int]] = []
        self.ended: list[int] = []
        self.at_rung: Callable[[int, int], None] = lambda number, evaluation: None

    @property
    def stopping(self) -> bool:
        return bool(self.source.stopping)

    def take(self, room: int) -> Sequence[TrialSpec]:
        return self.source.take(room)

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        self.rungs.append((number, evaluation))
        self.at_rung(number, evaluation)
        return self.source.prune(number, evaluation, metric)

    def wants(self, run: TrainingRun) -> bool:
        return self.source.wants(run)

    def finish(self, run: TrainingRun) -> None:
        self.ended.append(run.number)
        self.source.finish(run)


def specs_of(data: Data, count: int, **changes: Any) -> list[TrialSpec]:
    """Trials that differ, with rungs."""
    made = [small_spec(data, number=n, seed=n, learning_rate=0.02 * (n + 1), rungs=(1, 2)) for n in range(count)]
    return [replace(spec, **changes) for spec in made]


def children(pid: int) -> set[int]:
    """Processes that a process began, and theirs."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stats[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {child for child, parent in stats.items() if parent == pid}
    return found | {grandchild for child in found for grandchild in children(child)}


class Poisoned:
    """An engine whose process is killed by a trial, as the kernel kills one for its memory."""

    def __init__(self, engine: Engine, number: int) -> None:
        self.engine, self.number = engine, number

    def run(self, source: TrialSource) -> None:
        self.engine.run(_Bitter(source, self.number))


class _Bitter(Watching):
    def __init__(self, source: TrialSource, number: int) -> None:
        super().__init__(source)
        self.poison = number

    def take(self, room: int) -> Sequence[TrialSpec]:
        specs = self.source.take(room)
        if any(spec.number == self.poison for spec in specs):
            os.kill(os.getpid(), signal.SIGKILL)
        return specs


def poisoned(number: int, places: int, data: Data) -> tuple[Engine, int]:
    """Build an engine (see `Job`) that one trial kills."""
    return Poisoned(fold_engine("reference", data, places, "float64"), number), places


def helpless(data: Data) -> tuple[Engine, int]:
    """Build no engine (see `Job`)."""
    raise RuntimeError("no driver")
