"""Progress of a run: what a search or a comparison reports while it runs, and the protocol of whoever shows it.

An `Observer` is passed once, from the door that the user opened down to whatever takes long. What explains or warns, and needs no
observer (which engine trains and why, a worker that is lost, a storage that does not answer), goes through `logging`.
"""

from dataclasses import dataclass
from typing import Protocol


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
    """The state of one phase of a run: how many of its steps are done."""

    name: str
    done: int
    total: int


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
