"""Progress of a run: what a search or a comparison reports while it runs, and the protocol of whoever shows it.

A command or a function of Python's makes one `Observer`, and passes it down to whatever takes long. What explains or warns, and needs
no observer (which engine trains and why, a worker that is lost, a storage that does not answer), goes through `logging`.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from statistics import fmean
from typing import Protocol

EVIDENCE = 3  # whole trials, or runs of a phase, that have to end before a time left is said
LAST = 30  # trials that say how long the next ones take, at least
ROUNDS = 4  # or as many as train beside each other in so many rounds


@dataclass(frozen=True, slots=True)
class SearchStatus:
    """The state of a search: counts of its trials, the best value and its trial, the seconds of this run."""

    done: int
    total: int
    best: float | None
    best_number: int | None
    pruned: int
    diverged: int
    out_of_memory: int
    repeated: int
    seconds: float
    trained: int  # trials trained in this run, for the rate
    killed: int = 0
    errors: int = 0  # trials whose own code raised one
    timed_out: int = 0  # of usable trials
    out_of_time: int = 0
    left: float | None = None  # seconds to the end of the search and of what is trained after it, once known

    @property
    def failed(self) -> int:
        """Trials without a usable value."""
        return self.diverged + self.out_of_memory + self.killed + self.errors + self.out_of_time

    @property
    def rate(self) -> float:
        """Trials per second of this run."""
        return self.trained / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """The state of one phase of a run: how many of its steps are done.

    `further` counts steps of later phases that take as long each; `recalled` counts the steps that are done without this process, by an
    earlier one. `left` has the seconds of all that follows where whoever reports knows them; else they are told from the steps.
    """

    name: str
    done: int
    total: int
    further: int = 0
    recalled: int = 0
    left: float | None = None


class Compiler:
    """When machine code was last compiled in this process: seconds that say nothing of how fast training is.

    Whoever compiles calls `begin` and `end`, in any thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._running = 0
        self._ended = -inf

    def begin(self) -> None:
        """Note that a compilation begins."""
        self._running += 1

    def end(self) -> None:
        """Note that a compilation is over."""
        self._running -= 1
        self._ended = self.clock()

    @property
    def until(self) -> float:
        """Until when machine code was compiled, by the clock: now while it still is, -inf before the first time."""
        return self.clock() if self._running else self._ended


COMPILER = Compiler()


class Pace:
    """How long the trials of a search take, from which follows how long the rest does.

    A short trial ends before a long one that began beside it: the mean of those that have ended is too short, and after a burst of pruned
    trials far too short. Hence the last trials that *began* count, whether or not they have ended: one in training is expected to
    take as long as those of them that took longer than it has so far. Trials that began before the first one ended, or before the
    compiler did, say nothing, since what is loaded and compiled for them is once for all.
    """

    def __init__(self, compiler: Compiler = COMPILER) -> None:
        self.compiler = compiler
        self._first_end = inf
        self._most = 0  # trials beside each other
        self._in_flight: dict[int, float] = {}  # number → when it began
        self._ended: list[tuple[float, float]] = []  # when a trial began that counts, and its seconds
        self._whole: deque[float] = deque(maxlen=LAST)  # seconds of those that trained to their end
        self._counted = 0  # trials that have ended, of those that count
        self._looked = -inf
        self._busy = 0.0  # seconds of all trials together
        self._span = 0.0  # seconds of the clock

    def begin(self, number: int) -> None:
        """Note that a trial begins."""
        self._look()
        self._in_flight[number] = self.compiler.clock()
        self._most = max(self._most, len(self._in_flight))

    def end(self, number: int, *, whole: bool) -> None:
        """Note that a trial ends: whether it trained to its end."""
        self._look()
        now = self.compiler.clock()
        began = self._in_flight.pop(number)
        if began >= self._settled:
            self._counted += 1
            self._ended = sorted([*self._ended, (began, now - began)])[-self._last :]
            if whole:
                self._whole.append(now - began)
        self._first_end = min(self._first_end, now)

    def left(self, trials: int, further: float) -> float | None:
        """Return the seconds of so many trials, those in training included, and of `further` whole ones; None before there is evidence."""
        self._look()
        if len(self._whole) < EVIDENCE or self._counted < self._most or not self._busy:
            return None
        now = self.compiler.clock()
        passed = [now - max(began, self.compiler.until) for began in self._in_flight.values()]
        begun = [self._expected(seconds) - seconds for seconds in passed]
        waiting = max(0, trials - len(begun))
        seconds = sum(begun) + waiting * self._mean + further * fmean(self._whole)
        beside = self._busy / self._span
        if waiting:
            seconds += beside * self._idle_end(beside)
        return max(seconds / beside, max(begun, default=0.0))

    def _idle_end(self, beside: float) -> float:
        """Return the seconds that the last trial of a search trains while others have none left: more, the more train beside each other."""
        return max(0.0, (1 - 1 / beside) * fmean(self._whole) - self._mean / 2)

    @property
    def _settled(self) -> float:
        """From when on trials that begin say something."""
        return max(self._first_end, self.compiler.until)

    @property
    def _last(self) -> int:
        """How many trials say how long the next ones take."""
        return max(LAST, ROUNDS * self._most)

    @property
    def _mean(self) -> float:
        """The expected seconds of a trial: the mean of the last that began."""
        now = self.compiler.clock()
        begun = [(began, self._expected(now - began)) for began in self._in_flight.values() if began >= self._settled]
        last = sorted([*self._ended, *begun])[-self._last :]
        return fmean(seconds for _, seconds in last)

    def _expected(self, passed: float) -> float:
        """Return the expected seconds of a trial that has been in training for so long: the mean of those that took longer."""
        longer = [seconds for _, seconds in self._ended if seconds > passed]
        return fmean(longer) if longer else passed + fmean(seconds for _, seconds in self._ended)

    def _look(self) -> None:
        """Add up how many trials trained beside each other since the last look, the seconds of the compiler aside."""
        now = self.compiler.clock()
        since = max(self._looked, self._settled)
        if now > since and self._in_flight:
            self._busy += len(self._in_flight) * (now - since)
            self._span += now - since
        self._looked = now


class StepPace:
    """How fast the steps of one phase after another are done, from which follows how long the rest takes.

    It begins anew with each phase, and where something was compiled meanwhile.
    """

    def __init__(self, compiler: Compiler = COMPILER) -> None:
        self.compiler = compiler
        self._phase = ("", 0)
        self._before = 0  # steps that were done when it began
        self._began = -inf

    def left(self, progress: PhaseProgress) -> float | None:
        """Return the seconds of the steps to come, and of the `further` ones; None before `EVIDENCE` steps, and at the end of the phase."""
        now = self.compiler.clock()
        done = progress.done - progress.recalled
        phase = (progress.name, progress.total)
        if phase != self._phase or done < self._before or self.compiler.until > self._began:
            self._phase = phase
            self._before = done
            self._began = now
        since = done - self._before
        if since < EVIDENCE or progress.done >= progress.total:
            return None
        return (progress.total - progress.done + progress.further) * (now - self._began) / since


class Observer(Protocol):
    """Whoever follows a run: the screen, or a test."""

    def announce(self, sentence: str) -> None:
        """Show a sentence."""

    def status(self, status: SearchStatus) -> None:
        """Show the state of the search, after each trial."""

    def phase(self, progress: PhaseProgress) -> None:
        """Show the state of a phase, after each of its steps."""


class SilentObserver:
    """An observer that shows nothing."""

    def announce(self, sentence: str) -> None:
        """Show nothing."""

    def status(self, status: SearchStatus) -> None:
        """Show nothing."""

    def phase(self, progress: PhaseProgress) -> None:
        """Show nothing."""


SILENT = SilentObserver()
