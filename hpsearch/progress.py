"""Progress of a run: what a search or a comparison reports while it runs, and the protocol of whoever shows it.

An `Observer` is passed once, from the door that the user opened down to whatever takes long. What explains or warns, and needs no
observer (which engine trains and why, a worker that is lost, a storage that does not answer), goes through `logging`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Protocol

EVIDENCE = 3  # trials, or runs of a phase, that have to end before a time left is said


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
    """How fast the trials of a search end, from which follows how long the rest takes.

    The first round of trials, which train beside each other and end together, says nothing about the pace: it is measured from the end of
    that round on, and known once as many trials again have ended. Where something was compiled meanwhile, all of this begins anew.
    """

    def __init__(self, compiler: Compiler = COMPILER) -> None:
        self.compiler = compiler
        self._begin()

    def _begin(self) -> None:
        self._began = self.compiler.until
        self._first_round = 0  # trials
        self._ended = 0
        self._since = 0.0  # when the first round was over
        self._seconds = 0.0  # of all trials after it
        self._whole = (0, 0.0)  # those that ran to their end, and their seconds

    def end(self, seconds: float, *, whole: bool, in_flight: int) -> None:
        """Count a trial that ended after so many seconds: whether no pruner ended it, and how many were in training, itself included."""
        if self.compiler.until > self._began:
            self._begin()
        self._first_round = self._first_round or in_flight
        self._ended += 1
        if self._ended <= self._first_round:
            self._since = self.compiler.clock()
            return
        self._seconds += seconds
        if whole:
            count, total = self._whole
            self._whole = (count + 1, total + seconds)

    def left(self, trials: int, further: float) -> float | None:
        """Return the seconds that so many trials take, and `further` ones that run to their end; None before there is evidence."""
        since = self._ended - self._first_round
        if since < max(EVIDENCE, self._first_round):
            return None
        each = (self.compiler.clock() - self._since) / since
        return each * (trials + further * self._whole_share)

    @property
    def _whole_share(self) -> float:
        """How long a trial that runs to its end takes, relative to the mean of all."""
        count, total = self._whole
        if not count or not self._seconds:
            return 1.0
        return (total / count) / (self._seconds / (self._ended - self._first_round))


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
