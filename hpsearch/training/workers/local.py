"""A crew on this machine: a process for each device, over a pipe. Nothing listens, and a worker ends with its pipe.

Signals are the writer's business: workers are born with them blocked, so that a Ctrl-C in the terminal, or a scheduler's SIGTERM for
the whole group, does not take a worker away before the writer has decided what it means.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from queue import Empty, SimpleQueue

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError, shown
from hpsearch.platforms import signals_blocked
from hpsearch.training.workers.messages import Alive, Began, Broken, Event, Lost, Orders, Ready
from hpsearch.training.workers.remote import RemoteSource
from hpsearch.training.workers.serialization import Parcel, pack
from hpsearch.training.workers.starts import Starts
from hpsearch.training.workers.work import Job, work

SPAWN = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
PULSE = 1.0  # seconds after which a worker with nothing to say says that it is there
GRACE = 5.0  # seconds that a worker whose pipe has closed may take to be gone


@dataclass(eq=False)
class Bench:
    """Where one worker sits: its job, and the process that does it now."""

    job: Job
    starts: Starts
    number: int = -1
    process: multiprocessing.process.BaseProcess | None = None
    pipe: "Connection | None" = None
    ready: bool = False
    last_words: str = ""


class LocalCrew:
    """Processes on this machine, one for each job."""

    def __init__(self, jobs: Sequence[Job], data: Data) -> None:
        self.benches = [Bench(job, Starts()) for job in jobs]
        self.data = data
        self.parcel: Parcel | None = None
        self.begun = 0

    def open(self) -> None:
        """Start a process where there is none (see `Crew`)."""
        for bench in self.benches:
            if bench.process is None and bench.starts.due:
                self._start(bench)

    def events(self, seconds: float) -> list[tuple[int, Event]]:
        """Return what workers said (see `Crew`)."""
        self.open()
        self._refuse_nothing()
        pipes = [bench.pipe for bench in self.benches if bench.pipe is not None]
        ready = wait(pipes, seconds)
        if not pipes:
            time.sleep(seconds)
        found: list[tuple[int, Event]] = []
        for bench in self.benches:
            if bench.pipe in ready:
                number = bench.number
                found += [(number, event) for event in self._read(bench)]
        return found

    def order(self, worker: int, orders: Orders) -> None:
        """Tell a worker something (see `Crew`)."""
        for bench in self.benches:
            if bench.number == worker and bench.pipe is not None:
                _send(bench.pipe, orders)

    def end(self, worker: int, reason: str) -> Lost:
        """End a worker that hangs (see `Crew`)."""
        for bench in self.benches:
            if bench.number == worker and bench.process is not None:
                bench.process.kill()
                self._end(bench)
        return Lost(reason)

    def close(self) -> None:
        """End all workers (see `Crew`)."""
        for bench in self.benches:
            self._end(bench)

    def leave(self) -> None:
        """Let go of nothing else: there is nothing (see `Crew`)."""

    def pids(self) -> list[int]:
        """Return the processes that are there."""
        return [bench.process.pid or 0 for bench in self.benches if bench.process is not None]

    def _start(self, bench: Bench) -> None:
        pipe, other = SPAWN.Pipe()
        bench.number, self.begun = self.begun, self.begun + 1
        bench.process = SPAWN.Process(target=serve, args=(other, bench.job), daemon=True, name=f"worker {bench.number}")
        with signals_blocked():
            bench.process.start()
        other.close()
        bench.pipe, bench.ready, bench.last_words = pipe, False, ""

    def _read(self, bench: Bench) -> list[Event]:
        """Return all that has come; the data go to a worker once it is there to take them."""
        found: list[Event] = []
        assert bench.pipe is not None
        try:
            while bench.pipe.poll():
                found.append(bench.pipe.recv())
                if isinstance(found[-1], Began):
                    self._send_data(bench)
                elif isinstance(found[-1], Broken):
                    bench.last_words = found[-1].reason
                elif isinstance(found[-1], Ready):
                    bench.ready = True
                    bench.starts.succeed()
        except (EOFError, OSError):
            return [*found, self._lost(bench)]
        return found

    def _send_data(self, bench: Bench) -> None:
        assert bench.pipe is not None
        self.parcel = self.parcel or pack(self.data)
        _send(bench.pipe, self.parcel)

    def _lost(self, bench: Bench) -> Lost:
        """Clear the place of a worker that is gone; it died young if it never was ready."""
        reason = self._end(bench)
        if not bench.ready:
            bench.starts.fail(reason)
        return Lost(reason)

    def _end(self, bench: Bench) -> str:
        """End a worker, if it has not, and return how it ended."""
        if bench.process is None or bench.pipe is None:
            return ""
        bench.pipe.close()
        bench.process.join(GRACE if bench.last_words else 0.1)
        bench.process.kill()
        bench.process.join()
        status = bench.process.exitcode or 0
        bench.process.close()
        bench.process = bench.pipe = None
        return bench.last_words or _ended(status)

    def _refuse_nothing(self) -> None:
        if all(bench.starts.over and bench.process is None for bench in self.benches):
            first = self.benches[0]
            raise UserError(
                f"--devices: no worker starts, {first.job.device}: {shown(first.starts.reason)}. Give other devices, or leave it out."
            )


def serve(pipe: Connection, job: Job) -> None:
    """Be a worker (the process's main function), until the pipe closes."""
    outbox: SimpleQueue[Event | None] = SimpleQueue()
    source = RemoteSource(outbox.put)
    sender = threading.Thread(target=_post, args=(pipe, outbox), daemon=True)
    sender.start()

    def parcel() -> Parcel:
        found: Parcel = pipe.recv()
        threading.Thread(target=_listen, args=(pipe, source), daemon=True).start()
        return found

    work(job, parcel, source, outbox.put, "")
    outbox.put(None)
    sender.join()
    os._exit(1)


def _post(pipe: Connection, outbox: "SimpleQueue[Event | None]") -> None:
    while (event := _next(outbox)) is not None:
        if not _send(pipe, event):
            os._exit(0)


def _next(outbox: "SimpleQueue[Event | None]") -> Event | None:
    try:
        return outbox.get(timeout=PULSE)
    except Empty:
        return Alive()


def _listen(pipe: Connection, source: RemoteSource) -> None:
    """Take orders until there is nobody left to give them: then the process has no purpose."""
    try:
        while True:
            source.receive(pipe.recv())
    except (EOFError, OSError):
        os._exit(0)


def _send(pipe: Connection, message: object) -> bool:
    """Send, if the other end is still there."""
    try:
        pipe.send(message)
    except (BrokenPipeError, ConnectionResetError, OSError):
        return False
    return True


def _ended(status: int) -> str:
    """Return in words how a process ended."""
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"
