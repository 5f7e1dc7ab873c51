"""A worker: data, an engine for its device, and the search as that engine sees it, until the process ends.

A worker waits for an answer (to a metric at a rung, or for the next trial after a run) as long as all its waiting has been no more
than a twentieth of its time: an answer that comes soon spares a pruned trial the training up to its next evaluation, one that comes late
must not stall the device. A trial that went on is looked at in each of its evaluations.
"""

import logging
import os
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Condition

import torch

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError
from hpsearch.training import Engine, engine_name
from hpsearch.training.devices import default_concurrency, use_share
from hpsearch.training.engines import single_fold_engine
from hpsearch.training.workers.messages import (
    Commands,
    Event,
    Failed,
    Logged,
    Ready,
    RunFinished,
    RungReported,
    SerializedDataset,
    Started,
    deserialize,
    weights_sent,
    without_test,
    without_weights,
)
from hpsearch.trial import TrainingRun, TrialSpec

WAITING_SHARE = 0.05  # of its time that a worker may wait for answers while it has something to train
MIN_WAIT = 0.01  # seconds that it may wait in any case
MAX_ATTEMPTS = 3
PAUSE = 1.0  # seconds before the second attempt, twice as long before the third

Send = Callable[[Event], None]
Build = Callable[[Data], tuple[Engine, int]]  # an engine for the data, and its slots


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker gets when it starts.

    `load` gives data that have a name, as every machine can load them itself: used where they are those of `hash`, else serialized data
    come. `cores` are those of a CPU that the worker may use, `share` is its part of a GPU's memory.
    """

    build: Build
    device: str
    dtype: torch.dtype
    cores: int
    hash: str
    load: Callable[[], Data] | None = None
    share: float = 1.0


@dataclass(eq=False)
class StartAttempts:
    """The failed starts of a worker since one was ready last: it starts again, a little later each time, until it is given up."""

    failed: int = 0
    reason: str = ""
    retry_at: float = 0.0

    @property
    def exhausted(self) -> bool:
        """Whether there is no further attempt."""
        return self.failed >= MAX_ATTEMPTS

    @property
    def due(self) -> bool:
        """Whether a worker may be started now."""
        return not self.exhausted and time.monotonic() >= self.retry_at

    def fail(self, reason: str) -> None:
        """Record that a worker died before it was ready."""
        self.failed += 1
        self.reason = reason
        self.retry_at = time.monotonic() + PAUSE * self.failed

    def succeed(self) -> None:
        """Record that a worker is ready."""
        self.failed = 0


def build_engine(name: str, precision: str, parameters: int | None, max_slots: int, data: Data) -> tuple[Engine, int]:
    """Return the engine of a name and its slots: `max_slots`, fewer where the device holds fewer trials.

    `parameters` are those of the largest network; None: the user has chosen how many fit.
    """
    slots = max_slots
    if parameters is not None:
        slots = min(max_slots, default_concurrency(data, parameters))
    engine = single_fold_engine(name, data, slots, precision)
    return engine, 1 if engine_name(name) == "reference" else slots


def work(
    job: Job, receive_data: Callable[[], SerializedDataset], source: "RemoteSource", send: Send, machine: str
) -> None:
    """Train until the process ends; an error ends the worker, and its last event says which."""
    try:
        os.environ["LOKY_MAX_CPU_COUNT"] = str(job.cores)  # what joblib counts as this process's cores
        send(Started(os.getpid(), machine))
        _send_logs(send)
        engine, slots = job.build(_data(job, receive_data))
        send(Ready(slots))
        engine.run(source)
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        origin = f"{socket.gethostname()}, {last.name}, line {last.lineno}"
        send(Failed(f"{type(error).__name__}: {error} ({origin})"))


class _LogSender(logging.Handler):
    """Sends what is logged in a worker to the coordinator."""

    def __init__(self, send: Send) -> None:
        super().__init__(logging.INFO)
        self.send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record's message."""
        self.send(Logged(record.getMessage(), record.levelno))


def _send_logs(send: Send) -> None:
    """Have what hpsearch logs in this process sent to the coordinator, and nowhere else."""
    logger = logging.getLogger("hpsearch")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [_LogSender(send)]


def _data(job: Job, receive_data: Callable[[], SerializedDataset]) -> Data:
    data = _loaded(job)
    if data is None:
        data = deserialize(receive_data())
    device = torch.device(job.device)
    use_share(device, job.share)
    return data.to(device, job.dtype)


def _loaded(job: Job) -> Data | None:
    """Return the data as this machine loads them; None where it cannot, or has others by that name."""
    if job.load is None:
        return None
    try:
        data = job.load()
    except UserError:
        return None
    if data.summary.get("hash") != job.hash:
        return None
    return without_test(data)


class RemoteSource:
    """The `TrialSource` of a worker's engine: the search, in another process.

    `send` brings an event to the coordinator and never waits; the coordinator's commands come in by `receive`.
    """

    def __init__(self, send: Send) -> None:
        self.send = send
        self.changed = Condition()
        self.waiting: list[TrialSpec] = []
        self.rungs: dict[int, tuple[int, ...]] = {}  # of each trial in flight
        self.ending: set[int] = set()
        self.kept: dict[int, TrainingRun] = {}  # on whose weights the coordinator has not decided
        self.sent = 0
        self.acknowledged = 0
        self.waited = 0.0
        self.since = time.monotonic()

    @property
    def stopping(self) -> bool:
        """A worker is not asked to stop: its process ends."""
        return False

    def receive(self, commands: Commands) -> None:
        """Take the coordinator's commands (on another thread than the engine's)."""
        with self.changed:
            self.waiting += commands.train
            self.ending |= set(commands.end)
            answers = [weights_sent(self.kept.pop(number)) for number in commands.send_weights]
            for number in commands.drop_weights:
                self.kept.pop(number, None)
            self.acknowledged = max(self.acknowledged, commands.acknowledged)
            self.sent += len(answers)
            self.changed.notify_all()
        for event in answers:
            self.send(event)

    def take(self, room: int) -> list[TrialSpec]:
        """Return the next trials (see `TrialSource`); without any in flight wait for one, since the engine would end."""
        with self.changed:
            if not self.rungs:
                self.changed.wait_for(lambda: self.waiting)
            else:
                self._wait(lambda: len(self.waiting) >= room or self.acknowledged >= self.sent)
            taken = self.waiting[:room]
            self.waiting = self.waiting[room:]
            self.rungs |= {spec.number: spec.rungs for spec in taken}
        return [_with_every_rung(spec) for spec in taken]

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Report the metric at a rung, and look whether the trial has been ended (see `TrialSource`)."""
        with self.changed:
            if evaluation in self.rungs[number]:
                report = self._send(RungReported(number, evaluation, metric))
                self._wait(lambda: self.acknowledged >= report)
            return number in self.ending

    def wants(self, run: TrainingRun) -> bool:
        """Keep every run's weights until the coordinator has decided (see `TrialSource`)."""
        return True

    def finish(self, run: TrainingRun) -> None:
        """Send a run (see `TrialSource`)."""
        with self.changed:
            del self.rungs[run.number]
            self.ending.discard(run.number)
            if run.weights is not None:
                self.kept[run.number] = run
            self._send(RunFinished(without_weights(run)))

    def _send(self, event: Event) -> int:
        """Send an event; return its number, from 1."""
        self.sent += 1
        self.send(event)
        return self.sent

    def _wait(self, answered: Callable[[], bool]) -> None:
        """Wait until there is an answer, or as long as the share of time allows."""
        start = time.monotonic()
        allowed = max(MIN_WAIT, WAITING_SHARE * (start - self.since) - self.waited)
        self.changed.wait_for(answered, allowed)
        self.waited += time.monotonic() - start


def _with_every_rung(spec: TrialSpec) -> TrialSpec:
    """Return a trial that has rungs with one at every evaluation, so that it is looked at in each."""
    if not spec.rungs:
        return spec
    return replace(spec, rungs=tuple(range(1, len(spec.evaluate_at))))
