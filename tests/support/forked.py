"""The command line in a process of its own, without the seconds of its imports: forked from one that has imported everything.

`python tests/support/forked.py` reads a line of JSON for each run (arguments, file for what it prints), forks, and answers with
the process's id and then its exit status. The forked process is as real as another: it can be killed, stopped, interrupted.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import hpsearch


class Command:
    """A run of the command line: its process, its exit status once it has ended (-9 where it was killed), what it printed."""

    def __init__(self, forge: "Forge", process: int, file: Path) -> None:
        self.forge, self.process, self.file = forge, process, file
        self.status: int | None = None

    def send(self, number: int) -> None:
        os.kill(self.process, number)

    def wait(self, seconds: float = 60) -> int:
        """Wait for the end; a run that takes too long is killed and told."""
        if self.status is None:
            self.status = self.forge.answer(seconds)
        if self.status is None:
            self.end()
            raise AssertionError(f"still running after {seconds} s: {self.printed}")
        return self.status

    def end(self) -> None:
        """Kill it, if it still runs."""
        if self.status is None:
            with suppress(ProcessLookupError):
                self.send(signal.SIGKILL)
            self.status = self.forge.answer(60)

    @property
    def printed(self) -> str:
        return self.file.read_text(errors="replace") if self.file.exists() else ""


class Forge:
    """The process that forks."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, 0
        command = [sys.executable, __file__]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(hpsearch.__file__).parents[1])}
        self.parent = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.last: Command | None = None

    def __enter__(self) -> "Forge":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.parent.kill()
        self.parent.communicate()

    def start(self, *arguments: str) -> Command:
        """Start a run; one at a time: what a test that failed left running ends."""
        assert self.parent.stdin is not None
        if self.last is not None:
            self.last.end()
        self.runs += 1
        file = self.folder / f"printed-{id(self)}-{self.runs}"
        self.parent.stdin.write(json.dumps([arguments, str(file)]) + "\n")
        self.parent.stdin.flush()
        process = self.answer(120)
        assert process is not None, "nothing was forked"
        self.last = Command(self, process, file)
        return self.last

    def run(self, *arguments: str) -> tuple[int, str]:
        command = self.start(*arguments)
        return command.wait(), command.printed

    def answer(self, seconds: float) -> int | None:
        import select

        assert self.parent.stdout is not None
        if not select.select([self.parent.stdout], [], [], seconds)[0]:
            return None
        return int(self.parent.stdout.readline())


def _child(arguments: list[str], file: str) -> None:
    """Run the command line, and end."""
    os.setsid()
    printed = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["hpsearch", *arguments]
    status = 1
    try:
        from hpsearch.cli import main

        status = main(arguments)
    except BaseException:  # told as Python itself would
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def serve() -> None:
    """Fork at each line, and tell the process's id and its end."""
    import torch

    torch.set_num_threads(1)
    for line in sys.stdin:
        arguments, file = json.loads(line)
        child = os.fork()
        if child == 0:
            _child(arguments, file)
        print(child, flush=True)
        _, ended = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)


if __name__ == "__main__":
    serve()
