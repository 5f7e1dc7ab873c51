"""A fuzz run: many mutants of one kind of file, each of which is refused in a line or read as another program reads it, soon and in
little memory.

A case is a function of its generator, so a failure is found again by its seed and number.
"""

import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from hpsearch.errors import HpsearchError

SLOWEST = 5.0  # seconds of a case that it computes
LONGEST = 60.0  # seconds of a case by the clock, on a machine that other work uses too
MOST_MEMORY = 1.5e9  # bytes above what the process had before
LONGEST_LINE = 1_000  # characters of an error
STATUS = Path("/proc/self/status")
PEAK = Path("/proc/self/clear_refs")

Attempt = Callable[[random.Random], bool]


class Hung(BaseException):
    """A case took too long; no `except Exception` takes it for a damaged file's."""


@dataclass
class Fuzz:
    """How many cases to run, and the seed of all of them."""

    seed: int
    cases: int
    ends: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)

    def run(self, what: str, attempt: Attempt, most_lines: int = 1, least: float = 0.05) -> None:
        """Run all cases, print a line, and fail with the first failures.

        Args:
            what: the name of the mutants.
            attempt: makes and reads a mutant. It raises an `HpsearchError` of one that is refused, and returns whether a second reader
                read one that is accepted, and alike; an AssertionError says that it did not.
            most_lines: of an error.
            least: the share of cases that must be refused, and of those that must be accepted: neither end proves anything alone.
        """
        with suppress(Exception):
            attempt(random.Random(f"{self.seed} 0"))  # noqa: S311 - what is imported first takes seconds and memory
        before = memory("VmRSS")
        forget_peak()
        for number in range(self.cases):
            began = time.process_time()
            end = self._one(number, attempt, most_lines)
            self.ends[end] += 1
            self.slowest = max(self.slowest, (time.process_time() - began, number))
        taken = max(0, memory("VmHWM") - before)
        refused = self.ends["refused"]
        print(
            f"\n{what}, seed {self.seed}: {self.cases:,} mutants, {refused:,} refused, {self.cases - refused:,} accepted, of which "
            f"{self.ends['compared']:,} were read alike by a second reader; the slowest {self.slowest[0]:.2f} s (number "
            f"{self.slowest[1]}), at most {taken / 1e6:,.0f} MB more memory, {len(self.failures)} failures"
        )
        assert not self.failures, f"{what}, seed {self.seed}, {len(self.failures)} failures:\n" + "\n".join(
            self.failures[:5]
        )
        assert taken < MOST_MEMORY, f"{what}, seed {self.seed}: {taken / 1e9:.1f} GB of memory"
        assert least * self.cases <= refused <= (1 - least) * self.cases, self.ends

    def _one(self, number: int, attempt: Attempt, most_lines: int) -> str:
        draw = random.Random(f"{self.seed} {number}")  # noqa: S311
        try:
            with time_limit():
                return "compared" if attempt(draw) else "accepted"
        except HpsearchError as error:
            lines = str(error).splitlines()
            sound = all(line.isprintable() and len(line) < LONGEST_LINE for line in lines)
            if not sound or not 1 <= len(lines) <= most_lines:
                self.failures.append(f"number {number}: no clear line: {str(error)[:2_000]!r}")
            return "refused"
        except Hung:
            self.failures.append(
                f"number {number}: more than {SLOWEST} s of computing, or {LONGEST} s in all\n{traceback.format_exc()[-2_000:]}"
            )
        except Exception:
            self.failures.append(f"number {number}:\n{traceback.format_exc()[-3_000:]}")
        return "failed"


@contextmanager
def time_limit() -> Iterator[None]:
    """Raise `Hung` in what takes longer."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hung

    before = [signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, SLOWEST)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
            signal.signal(number, handler)


def memory(name: str) -> int:
    """Return the bytes of memory that this process has (VmRSS) or had at most (VmHWM); 0 where the system does not say."""
    with suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith(name):
                return 1024 * int(line.split()[1])
    return 0


def forget_peak() -> None:
    """Let the most memory that this process had count from now on."""
    with suppress(OSError):
        PEAK.write_text("5")
