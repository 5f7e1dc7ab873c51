"""What every stage of a comparison works with, and how several trial sources are fed to its one engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hpsearch.comparison.forecast import RunPace
from hpsearch.config import CompareSection, StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.progress import Observer, PhaseProgress
from hpsearch.searching.specifications import replicate
from hpsearch.searching.stopping import Stoppable
from hpsearch.storage.fingerprint import Fingerprint
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine, TrialSource
from hpsearch.training.folds import batch_size_on
from hpsearch.trial import Direction, Outcome, TrainingRun, TrialSpec

CURVE_LENGTH = 100_000  # evaluations of a stored learning curve: all, since the time to a target is read from them
STRIDE = 1_000_000  # more trials than a source has: engine's number = source · STRIDE + trial


@dataclass(eq=False)
class ComparisonContext:
    """What every stage of a comparison works with; `stopping` is set by a signal. The rows of `data` itself are those that tune."""

    config: StudyConfig
    data: Data
    engine: Engine
    writer: StudyWriter
    observer: Observer
    pace: RunPace = field(default_factory=RunPace)
    stopping: bool = False

    @property
    def compare(self) -> CompareSection:
        """The table [compare]."""
        assert self.config.compare is not None, "a comparison has one"
        return self.config.compare

    @property
    def direction(self) -> Direction:
        """Whether the metric is to be high or low."""
        return self.data.metric.direction

    def replicate(self, spec: TrialSpec, number: int) -> TrialSpec:
        """Return run `number` of a winner on fresh seeds, on its own division of the rows where there are several.

        It keeps the last network beside the best one.
        """
        fresh = replace(replicate(spec, self.config.study.seed, number), keep_last=True)
        divisions = len(self.data.folds) - 1  # the first tunes
        if divisions < 1:
            return fresh
        fold = 1 + number % divisions
        rows = len(self.data.folds[fold].training)
        return replace(fresh, fold=fold, batch_size=batch_size_on(rows, spec.batch_size, len(self.data.training)))

    def rows_of(self, spec: TrialSpec) -> Data:
        """Return the data that a run trains on and is judged by."""
        return self.data.fold(spec.fold)

    def open(self, name: str, settings: Mapping[str, Any]) -> StudyWriter:
        """Open a part of the comparison, under the lease of the comparison."""
        part = {**settings, "part_of": self.config.study.name}
        study = Fingerprint(name, (self.direction,), part, self.data.summary)
        return self.writer.open_part(study, curve_length=CURVE_LENGTH)


class RoundRobinSource:
    """Several sources as one (a `TrialSource`): trial k of each, then trial k + 1 of each; runs end at `target` where there is one.

    `stops` says when to stop, `on_begin` gets the number and the source of each trial that is taken, `on_finish` gets each run.
    """

    def __init__(
        self,
        sources: Sequence[TrialSource],
        stops: Stoppable,
        target: float | None = None,
        on_begin: Callable[[int, int], None] = lambda number, source: None,
        on_finish: Callable[[TrainingRun], None] = lambda run: None,
    ) -> None:
        self.sources = sources
        self.stops = stops
        self.target = target
        self.on_begin = on_begin
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
            for spec in specs:
                number = index * STRIDE + spec.number
                self.on_begin(number, index)
                taken.append(replace(spec, number=number, target=self.target))
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
        self.on_finish(run)


def train_together(
    context: ComparisonContext,
    arms: Sequence[str],
    sources: Sequence[TrialSource],
    target: float | None,
    progress: Callable[[], PhaseProgress],
) -> None:
    """Train what several sources, each of one of the `arms`, ask for, in turn, on the one engine."""
    pace = context.pace
    pace.begin_stage(arms)

    def begin(number: int, source: int) -> None:
        pace.begin(number, arms[source])

    def finish(run: TrainingRun) -> None:
        pace.end(run.number, whole=run.outcome is not Outcome.DIVERGED)
        context.observer.phase(progress())

    context.engine.run(RoundRobinSource(sources, context, target, begin, finish))
    context.observer.phase(progress())
