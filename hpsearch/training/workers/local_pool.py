"""A worker pool on this machine: a process for each device, over a pipe. Nothing listens, and a worker ends with its pipe.

Signals are the coordinator's business: workers are born with them blocked, so that a Ctrl-C in the terminal, or a scheduler's SIGTERM
for the whole group, does not take a worker away before the coordinator has decided what it means.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from queue import Empty, SimpleQueue

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError, shown
from hpsearch.platforms import signals_blocked
from hpsearch.training.workers.messages import (
    Alive,
    Commands,
    Event,
    Failed,
    Lost,
    Ready,
    SerializedDataset,
    Started,
    serialize,
)
from hpsearch.training.workers.worker import Job, RemoteSource, StartAttempts, work

SPAWN = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
ALIVE_SECONDS = 1.0  # after which a worker with nothing to say sends that it is there
GRACE_SECONDS = 5.0  # that a worker whose pipe has closed may take to be gone


@dataclass(eq=False)
class WorkerSlot:
    """The slot of one worker: its job, and the process that does it now."""

    job: Job
    attempts: StartAttempts = field(default_factory=StartAttempts)
    number: int = -1
    process: BaseProcess | None = None
    pipe: "Connection | None" = None
    ready: bool = False
    failure: str = ""  # what the worker itself says that ended it


class LocalPool:
    """Processes on this machine, one for each job."""

    def __init__(self, jobs: Sequence[Job], data: Data) -> None:
        self.slots = [WorkerSlot(job) for job in jobs]
        self.data = data
        self.dataset: SerializedDataset | None = None
        self.begun = 0

    def open(self) -> None:
        """Start a process where there is none (see `WorkerPool`)."""
        for slot in self.slots:
            if slot.process is None and slot.attempts.due:
                self._start(slot)

    def events(self, seconds: float) -> list[tuple[int, Event]]:
        """Return the workers' events (see `WorkerPool`)."""
        self.open()
        self._check_starts()
        pipes = [slot.pipe for slot in self.slots if slot.pipe is not None]
        ready = wait(pipes, seconds)
        if not pipes:
            time.sleep(seconds)
        events: list[tuple[int, Event]] = []
        for slot in self.slots:
            if slot.pipe in ready:
                number = slot.number
                events += [(number, event) for event in self._read(slot)]
        return events

    def command(self, worker: int, commands: Commands) -> None:
        """Send commands to a worker (see `WorkerPool`)."""
        for slot in self.slots:
            if slot.number == worker and slot.pipe is not None:
                _send(slot.pipe, commands)

    def end(self, worker: int, reason: str) -> Lost:
        """End a worker that hangs (see `WorkerPool`)."""
        for slot in self.slots:
            if slot.number == worker and slot.process is not None:
                slot.process.kill()
                self._end(slot)
        return Lost(reason)

    def close(self) -> None:
        """End all workers (see `WorkerPool`)."""
        for slot in self.slots:
            self._end(slot)

    def disconnect(self) -> None:
        """Do nothing: the pool holds its workers only (see `WorkerPool`)."""

    def pids(self) -> list[int]:
        """Return the processes that run."""
        return [slot.process.pid or 0 for slot in self.slots if slot.process is not None]

    def _start(self, slot: WorkerSlot) -> None:
        pipe, worker_end = SPAWN.Pipe()
        slot.number = self.begun
        self.begun += 1
        slot.process = SPAWN.Process(
            target=serve, args=(worker_end, slot.job), daemon=True, name=f"worker {slot.number}"
        )
        with signals_blocked():
            slot.process.start()
        worker_end.close()
        slot.pipe = pipe
        slot.ready = False
        slot.failure = ""

    def _read(self, slot: WorkerSlot) -> list[Event]:
        """Return all events that have come; the data go to a worker once it is there to take them."""
        events: list[Event] = []
        assert slot.pipe is not None
        try:
            while slot.pipe.poll():
                event: Event = slot.pipe.recv()
                events.append(event)
                self._note(slot, event)
        except (EOFError, OSError):
            return [*events, self._lost(slot)]
        return events

    def _note(self, slot: WorkerSlot, event: Event) -> None:
        if isinstance(event, Started):
            self._send_data(slot)
        elif isinstance(event, Failed):
            slot.failure = event.reason
        elif isinstance(event, Ready):
            slot.ready = True
            slot.attempts.succeed()

    def _send_data(self, slot: WorkerSlot) -> None:
        assert slot.pipe is not None
        self.dataset = self.dataset or serialize(self.data)
        _send(slot.pipe, self.dataset)

    def _lost(self, slot: WorkerSlot) -> Lost:
        """Clear the slot of a worker that is gone; a start has failed if it never was ready."""
        reason = self._end(slot)
        if not slot.ready:
            slot.attempts.fail(reason)
        return Lost(reason)

    def _end(self, slot: WorkerSlot) -> str:
        """End a worker, if it has not ended, and return how it ended."""
        if slot.process is None or slot.pipe is None:
            return ""
        slot.pipe.close()
        slot.process.join(GRACE_SECONDS if slot.failure else 0.1)
        slot.process.kill()
        slot.process.join()
        status = slot.process.exitcode or 0
        slot.process.close()
        slot.process = None
        slot.pipe = None
        return slot.failure or _how_ended(status)

    def _check_starts(self) -> None:
        """Raise where no worker runs and none can be started."""
        if all(slot.attempts.exhausted and slot.process is None for slot in self.slots):
            first = self.slots[0]
            raise UserError(
                f"--devices: no worker starts, {first.job.device}: {shown(first.attempts.reason)}. "
                "Give other devices, or leave it out."
            )


def serve(pipe: Connection, job: Job) -> None:
    """Be a worker (the process's main function), until the pipe closes."""
    outbox: SimpleQueue[Event | None] = SimpleQueue()
    source = RemoteSource(outbox.put)
    sender = threading.Thread(target=_send_events, args=(pipe, outbox), daemon=True)
    sender.start()

    def receive_data() -> SerializedDataset:
        dataset: SerializedDataset = pipe.recv()
        threading.Thread(target=_receive_commands, args=(pipe, source), daemon=True).start()
        return dataset

    work(job, receive_data, source, outbox.put, "")
    outbox.put(None)
    sender.join()
    os._exit(1)


def _send_events(pipe: Connection, outbox: "SimpleQueue[Event | None]") -> None:
    while (event := _next_event(outbox)) is not None:
        if not _send(pipe, event):
            os._exit(0)


def _next_event(outbox: "SimpleQueue[Event | None]") -> Event | None:
    try:
        return outbox.get(timeout=ALIVE_SECONDS)
    except Empty:
        return Alive()


def _receive_commands(pipe: Connection, source: RemoteSource) -> None:
    """Take commands until there is no coordinator left to give them: then the process has no purpose."""
    try:
        while True:
            source.receive(pipe.recv())
    except (EOFError, OSError):
        os._exit(0)


def _send(pipe: Connection, message: object) -> bool:
    """Send, if the other end is still there."""
    try:
        pipe.send(message)
    except OSError:
        return False
    return True


def _how_ended(status: int) -> str:
    """Return in words how a process ended."""
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"
