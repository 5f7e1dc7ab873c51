"""The command line in processes of their own, without the seconds of its imports: forked from one that has imported everything.

`python tests/support/forked.py` reads a line of JSON for each run: its arguments, a file and preparations. It forks a process that
runs the command line and prints into that file, and one that waits for the end. The process's id is written to FILE.id, its exit status
to FILE.status. The forked process is as real as another: it can be killed, stopped, interrupted. Preparations are the names of functions
of `prepared` that the process calls first.
"""

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import hpsearch

# What hpsearch and torch import only when they need it.
PRELOADED = ("alembic", "plotly.io", "scipy.stats", "sklearn.datasets", "sqlalchemy.orm", "torch._dynamo")


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Wait until a condition holds; fail when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


class ForkedCommand:
    """A run of the command line."""

    def __init__(self, file: Path) -> None:
        self.file = file
        wait_until(lambda: self._number("id") is not None, 120)
        self.process = self._number("id") or 0

    def _number(self, suffix: str) -> int | None:
        file = self.file.with_suffix(f".{suffix}")
        return int(file.read_text()) if file.exists() else None

    @property
    def status(self) -> int | None:
        """The exit status, once it has ended; -9 where it was killed."""
        return self._number("status")

    @property
    def output(self) -> str:
        """What it has printed so far, errors included."""
        return self.file.read_text(errors="replace") if self.file.exists() else ""

    def send(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.process, number)

    def stop(self) -> None:
        """Stop it, unless it has ended, until SIGCONT; wait until every thread stands."""
        self.send(signal.SIGSTOP)
        wait_until(lambda: set(self._states()) <= set("TZ"))

    def _states(self) -> list[str]:
        files = Path(f"/proc/{self.process}/task").glob("*/stat")
        return [file.read_text().rpartition(")")[2].split()[0] for file in files]

    def wait(self, seconds: float = 300) -> int:
        """Wait for the end and return the exit status; kill the process and fail when it takes longer."""
        try:
            wait_until(lambda: self.status is not None, seconds)
        except AssertionError:
            self.send(signal.SIGKILL)
            raise AssertionError(f"still running after {seconds} s: {self.output}") from None
        assert self.status is not None
        return self.status

    def wait_for_output(self, text: str, count: int = 1, seconds: float = 300) -> None:
        """Wait until it has printed a text so many times."""
        wait_until(lambda: self.output.count(text) >= count, seconds)


class ForkServer:
    """The process that forks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands: list[ForkedCommand] = []
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(hpsearch.__file__).parents[1])}
        self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, text=True, env=environment)

    def __enter__(self) -> "ForkServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for command in self.commands:
            if command.status is None:
                command.send(signal.SIGKILL)
        self.process.kill()
        self.process.communicate()

    def start(self, *arguments: str, prepare: Sequence[str] = ()) -> ForkedCommand:
        """Start a run, beside those that still run, after these preparations."""
        assert self.process.stdin is not None
        file = self.folder / f"output-{len(self.commands)}"
        self.process.stdin.write(json.dumps([arguments, str(file), list(prepare)]) + "\n")
        self.process.stdin.flush()
        self.commands.append(ForkedCommand(file))
        return self.commands[-1]

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run to the end; return the exit status and what was printed."""
        command = self.start(*arguments)
        return command.wait(), command.output


def preload() -> None:
    """Import all of hpsearch, and what its runs import."""
    for module in pkgutil.walk_packages(hpsearch.__path__, "hpsearch."):
        if not module.name.endswith("__main__"):
            with suppress(ImportError):  # of what is optional
                importlib.import_module(module.name)
    for name in PRELOADED:
        importlib.import_module(name)


def run_command(arguments: list[str], file: Path, prepare: Sequence[str]) -> None:
    """Run the command line, print into a file, and end this process."""
    os.setsid()
    output = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["hpsearch", *arguments]
    status = 1
    try:
        from hpsearch.cli import main
        from tests.support import prepared

        for name in prepare:
            getattr(prepared, name)()
        status = main(arguments)
    except BaseException:  # printed as Python itself would
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def write_number(file: Path, number: int) -> None:
    """Write a number so that a reader sees all of it or no file."""
    part = file.with_name(f"{file.name}.part")
    part.write_text(str(number))
    part.replace(file)


def supervise(arguments: list[str], file: Path, prepare: Sequence[str]) -> None:
    """Fork the run, write its id and, when it has ended, its exit status; end this process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        run_command(arguments, file, prepare)
    write_number(file.with_suffix(".id"), child)
    _, status = os.waitpid(child, 0)
    write_number(file.with_suffix(".status"), os.waitstatus_to_exitcode(status))
    os._exit(0)


def serve() -> None:
    """Fork a supervisor for each line of standard input."""
    import torch

    torch.set_num_threads(1)
    preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for supervisors
    for line in sys.stdin:
        arguments, file, prepare = json.loads(line)
        if os.fork() == 0:
            supervise(arguments, Path(file), prepare)


if __name__ == "__main__":
    serve()
