"""Several trial sources fed to one engine in turn, so that its slots stay full and all sources progress at one pace."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from hpsearch.searching.stopping import Stoppable
from hpsearch.training import TrialSource
from hpsearch.trial import TrainingRun, TrialSpec

STRIDE = 1_000_000  # more trials than a source has: engine's number = source · STRIDE + trial


class RoundRobinSource:
    """Several sources as one (a `TrialSource`): trial k of each, then trial k + 1 of each; runs end at `target` where there is one.

    `stops` says when to stop, `on_finish` is called after each run.
    """

    def __init__(
        self, sources: Sequence[TrialSource], stops: Stoppable, target: float | None, on_finish: Callable[[], None]
    ) -> None:
        self.sources = sources
        self.stops = stops
        self.target = target
        self.on_finish = on_finish
        self.next = 0

    @property
    def stopping(self) -> bool:
        """Whether to drop what is in flight (see `TrialSource`)."""
        return self.stops.stopping

    def take(self, room: int) -> list[TrialSpec]:
        """Return at most `room` trials, one of each source in turn (see `TrialSource`)."""
        taken: list[TrialSpec] = []
        empty = 0  # sources in a row that had no trial
        while len(taken) < room and empty < len(self.sources):
            index = self.next
            self.next = (index + 1) % len(self.sources)
            specs = self.sources[index].take(1)
            empty = 0 if specs else empty + 1
            taken += [replace(spec, number=index * STRIDE + spec.number, target=self.target) for spec in specs]
        return taken

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Ask the trial's own source (see `TrialSource`)."""
        index, own = divmod(number, STRIDE)
        return self.sources[index].prune(own, evaluation, metric)

    def wants(self, run: TrainingRun) -> bool:
        """Ask the run's own source (see `TrialSource`)."""
        index, own = divmod(run.number, STRIDE)
        return self.sources[index].wants(replace(run, number=own))

    def finish(self, run: TrainingRun) -> None:
        """Hand a run to its own source (see `TrialSource`)."""
        index, own = divmod(run.number, STRIDE)
        self.sources[index].finish(replace(run, number=own))
        self.on_finish()
