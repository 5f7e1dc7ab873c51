"""The engine at the coordinator's end: it keeps every worker full and hands on their runs."""

import logging
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Protocol

from joblib import cpu_count

from hpsearch.data.dataset import Data
from hpsearch.errors import counted, shown
from hpsearch.training import TrialSource
from hpsearch.training.devices import device_of
from hpsearch.training.workers.dispatcher import Dispatcher, WorkerState
from hpsearch.training.workers.local_pool import LocalPool
from hpsearch.training.workers.messages import Commands, Event, Logged, Lost, Ready
from hpsearch.training.workers.worker import Job, build_engine

LOGGER = logging.getLogger(__name__)
SILENCE = 60.0  # seconds without a sign of life after which a worker that holds trials counts as lost
WAIT = 0.1  # seconds after which a signal is looked at
MAX_STEP = 1.0  # seconds of silence between two checks, at most: while the coordinator stood still it read nothing


class WorkerPool(Protocol):
    """Workers in other processes, and the connection to them."""

    def open(self) -> None:
        """Start workers, where there are none."""

    def events(self, seconds: float) -> Sequence[tuple[int, Event]]:
        """Return the workers' events, each with its worker's number, waiting for at most so long; replace workers that are gone.

        A worker's events come in its order, and `Lost` is the last of them; the worker that replaces it has another number.

        Raises:
            UserError: no worker can be started.
        """

    def command(self, worker: int, commands: Commands) -> None:
        """Send commands to a worker; nothing happens where it is gone."""

    def end(self, worker: int, reason: str) -> Lost:
        """End a worker that hangs; nothing that it sent or may send is read any more."""

    def close(self) -> None:
        """End all workers at once."""

    def disconnect(self) -> None:
        """Release what the pool holds beside its workers, such as the connection to a cluster."""


class WorkersEngine:
    """An engine whose trials train in a pool's workers, which start with the first trial and live as long as the engine.

    Which engine they train with and why is logged, and as a warning which are lost. A worker that holds trials and gives no sign of life
    for `silence` seconds is ended, and its trials are trained again elsewhere.
    """

    def __init__(self, pool: WorkerPool, data: Data, silence: float = SILENCE) -> None:
        self.pool = pool
        self.silence = silence
        self.maximize = data.metric.direction == "maximize"
        self.device = device_of(data)
        self.workers: dict[int, WorkerState] = {}
        self.logged: set[str] = set()
        self.checked_at = time.monotonic()
        self.end = weakref.finalize(self, _end, pool)

    def run(self, source: TrialSource) -> None:
        """Train until the source has nothing left."""
        dispatcher = Dispatcher(source, self.workers, self.maximize, self.device)
        try:
            while not source.stopping and dispatcher.assign():
                self.pool.open()
                self._send(dispatcher)
                for worker, event in self.pool.events(WAIT):
                    self._handle(dispatcher, worker, event)
                self._end_hung(dispatcher)
            self._send(dispatcher)
        except BaseException:
            self._close()
            raise
        if source.stopping:
            self._close()

    def _handle(self, dispatcher: Dispatcher, worker: int, event: Event) -> None:
        if isinstance(event, Logged):
            self._log_once(event.line, event.level)
        elif isinstance(event, Ready):
            self._log_once(f"worker {worker}: room for {counted(event.slots, 'trial')}")
        again = dispatcher.handle(worker, event)
        if isinstance(event, Lost):
            trials = ", ".join(f"#{number}" for number in again)
            consequence = f"; training again: {trials}" if again else ""
            LOGGER.warning(f"worker {worker} is lost ({shown(event.reason)}){consequence}")

    def _end_hung(self, dispatcher: Dispatcher) -> None:
        now = time.monotonic()
        passed = min(now - self.checked_at, MAX_STEP)
        self.checked_at = now
        for worker in dispatcher.hung(passed, self.silence):
            self._handle(dispatcher, worker, self.pool.end(worker, f"no sign of life for {self.silence:g} s"))

    def _log_once(self, line: str, level: int = logging.INFO) -> None:
        if line not in self.logged:
            self.logged.add(line)
            LOGGER.log(level, line)

    def _send(self, dispatcher: Dispatcher) -> None:
        for worker, commands in dispatcher.commands().items():
            self.pool.command(worker, commands)

    def _close(self) -> None:
        self.workers.clear()
        self.pool.close()


def _end(pool: WorkerPool) -> None:
    pool.close()
    pool.disconnect()


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What workers train with: the engine's name, its precision, and at most how many trials are in flight in all.

    `parameters` are those of the largest network, which decide how many fit on a device; None where the user has decided.
    """

    engine: str
    precision: str
    parameters: int | None
    max_concurrency: int

    def job(
        self,
        data: Data,
        device: str,
        cores: int,
        workers: int,
        load: Callable[[], Data] | None = None,
        share: float = 1.0,
    ) -> Job:
        """Return the job of one of so many workers, which has a share of its GPU."""
        max_slots = ceil(self.max_concurrency / workers)
        build = partial(build_engine, self.engine, self.precision, self.parameters, max_slots)
        return Job(build, device, data.training.inputs.dtype, cores, str(data.summary.get("hash")), load, share)


def devices_engine(
    devices: Sequence[str], data: Data, settings: WorkerSettings, cores: int | None = None
) -> WorkersEngine:
    """Return the engine with a worker on each of these devices; they share the cores, or have `cores` each."""
    cores = cores or max(1, cpu_count() // len(devices))
    shares = [1 / devices.count(device) for device in devices]  # of a GPU that is named more than once
    jobs = [
        settings.job(data, device, cores, len(devices), share=share)
        for device, share in zip(devices, shares, strict=True)
    ]
    return WorkersEngine(LocalPool(jobs, data), data)


def cluster_engine(
    address: str,
    gpus: float | None,
    cpus: float | None,
    data: Data,
    load: Callable[[], Data] | None,
    settings: WorkerSettings,
) -> WorkersEngine:
    """Return the engine with as many workers as a Ray cluster has room for, each taking so many GPUs and CPUs.

    `load` gives data that have a name; a machine that cannot load them, or has others by that name, gets them from Ray's store.

    Raises:
        UserError: Ray is missing, the cluster cannot be joined, or no machine of it has room for a worker.
    """
    from hpsearch.training.workers.ray_connection import connect
    from hpsearch.training.workers.ray_pool import WorkerResources

    pool = connect(address, WorkerResources(gpus, 1 if cpus is None else cpus))
    device = "cuda" if pool.resources.gpus else "cpu"
    share = min(1.0, pool.resources.gpus or 1.0)
    job = settings.job(data, device, max(1, int(pool.resources.cpus)), pool.room(), load, share)
    pool.set_job(job, data)
    return WorkersEngine(pool, data)
