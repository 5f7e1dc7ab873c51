"""Cross-validation: between a search, whose trials have one value each, and an engine, which trains on one fold at a time.

A trial trains once on each fold, with the same hyperparameters, initial weights and seeds; its history is the mean over the folds,
evaluation by evaluation, and what ends a run early (patience, target, pruner) looks at that mean. So the answer does not depend on
which fold is faster: one that runs ahead goes on until the mean of an earlier evaluation is known, and what it did after the trial's
end does not count. Every fold makes the updates that the budget buys on the first fold's training rows.

The end of a trial is a pair: the first evaluation that does not count, and the fold that failed in it (`NOBODY`: the mean has ended the
trial before it). The smallest pair is the end, whichever was known first; a fold trains on as long as it could make a smaller one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from hpsearch.data.dataset import Data
from hpsearch.training import Engine, Several, TrialSource
from hpsearch.training.progress import Progress
from hpsearch.training.reference import train_safely
from hpsearch.trial import Outcome, TrainingRun, TrialSpec

NOBODY = -1


class FoldedTrial:
    """A trial on its way: what its folds have answered so far, and where it ends; `rows` are the training rows of each fold."""

    def __init__(self, spec: TrialSpec, rows: Sequence[int], maximize: bool) -> None:
        self.spec, self.rows, self.maximize = spec, rows, maximize
        self.metrics: list[Sequence[float]] = [()] * len(rows)  # of each fold, by evaluation
        self.runs: dict[int, TrainingRun] = {}  # fold → its answer
        self.begun = 0
        self.mean = Progress(spec, maximize, 0)  # of the metric alone: all that decides
        self.decided: TrainingRun | None = None
        self.end = (len(spec.evaluate_at) + 1, NOBODY)

    def begin(self, most: int) -> list[TrialSpec]:
        """Return at most so many of the folds that have not begun and still matter."""
        count = min(most, len(self.rows) - self.begun) if self._matters(self.begun, 1) else 0
        self.begun += count
        return [self._of_fold(fold) for fold in range(self.begun - count, self.begun)]

    def report(self, fold: int, metric: float, source: TrialSource) -> bool:
        """Take a fold's next evaluation; True where nothing matters that the fold does after it."""
        self.metrics[fold] = (*self.metrics[fold], metric)
        self._decide(source)
        return not self._matters(fold, len(self.metrics[fold]) + 1)

    def finish(self, fold: int, run: TrainingRun, source: TrialSource) -> bool:
        """Take a fold's answer; True where the trial is over."""
        self.runs[fold] = run
        self.metrics[fold] = max(self.metrics[fold], run.history.metric, key=len)
        if run.outcome.failed:
            self.end = min(self.end, (len(run.history) + 1, fold))
        self._decide(source)
        return len(self.runs) == self.begun and not (self.begun < len(self.rows) and self._matters(self.begun, 1))

    def answer(self) -> TrainingRun:
        """Return the run of the whole trial, kept as every run is, from the means over its folds."""
        (end, failed), parts = self.end, [self.runs[fold] for fold in sorted(self.runs)]
        pruned = self.decided is not None and self.decided.outcome is Outcome.PRUNED
        source = Several(ask=lambda evaluation, metric: pruned and evaluation == end - 1)
        progress = Progress(self.spec, self.maximize, max(run.parameters for run in parts))
        for index in range(end - 1):
            entries = [run.history for run in parts]
            losses = torch.tensor([_mean([e.training_loss[index] for e in entries])], dtype=torch.float64)
            score = _mean([e.validation_loss[index] for e in entries]), _mean([e.metric[index] for e in entries])
            run = progress.record(losses, score, sum(e.seconds[index] for e in entries), dict, source)
            if run is not None:
                best = tuple(e.metric[run.best - 1] for e in entries) if run.best else ()
                return replace(run, weights=None, folds=best)
        last = self.runs[failed] if failed != NOBODY else self.decided
        assert last is not None, "without a failure the mean decides, at the last evaluation if not before"
        where = f"fold {failed + 1} of {len(self.rows)}: " if failed != NOBODY else ""
        return progress.run(last.outcome, where + last.detail)

    def _matters(self, fold: int, evaluation: int) -> bool:
        return (evaluation, fold) < self.end

    def _of_fold(self, fold: int) -> TrialSpec:
        """Return what one fold trains: it reports every evaluation, and ends where it is told to. A full batch is the fold's rows."""
        spec, rows = self.spec, self.rows[fold]
        return replace(
            spec,
            number=spec.number * len(self.rows) + fold,
            batch_size=rows if spec.batch_size == self.rows[0] else min(spec.batch_size, rows),
            rungs=tuple(range(1, len(spec.evaluate_at))),
            patience=None,
            target=None,
            fold=fold,
        )

    def _decide(self, source: TrialSource) -> None:
        """Look at the mean of every evaluation that all folds have behind them."""
        known = min(map(len, self.metrics))
        while (index := len(self.mean.history)) < min(known, self.end[0] - 1):
            metric = _mean([metrics[index] for metrics in self.metrics])
            self.decided = self.mean.record(torch.zeros(1), (0.0, metric), 0.0, dict, source)
            if self.decided is not None:
                self.end = (len(self.decided.history) + 1, NOBODY)


class FoldSource:
    """The source that an engine pulls folds from, over a source of trials."""

    def __init__(self, source: TrialSource, rows: Sequence[int], maximize: bool) -> None:
        self.source, self.rows, self.maximize = source, rows, maximize
        self.trials: dict[int, FoldedTrial] = {}

    @property
    def stopping(self) -> bool:
        """Whether to drop what is in flight (see `TrialSource`)."""
        return self.source.stopping

    def take(self, room: int) -> list[TrialSpec]:
        """Return at most `room` folds: those that wait, then those of new trials; one whose folds do not all fit begins anyway."""
        specs: list[TrialSpec] = []
        for trial in self.trials.values():
            specs += trial.begin(room - len(specs))
        for spec in self.source.take(-(-(room - len(specs)) // len(self.rows))):
            trial = self.trials[spec.number] = FoldedTrial(spec, self.rows, self.maximize)
            specs += trial.begin(room - len(specs))
        return specs

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Take an evaluation of a fold (see `TrialSource`)."""
        trial, fold = divmod(number, len(self.rows))
        return self.trials[trial].report(fold, metric, self.source)

    def wants(self, run: TrainingRun) -> bool:
        """Want none: a trial's run is a mean over its folds (see `TrialSource`)."""
        return False

    def finish(self, run: TrainingRun) -> None:
        """Take a fold's answer, and hand on the trial's once it is whole (see `TrialSource`)."""
        number, fold = divmod(run.number, len(self.rows))
        if self.trials[number].finish(fold, run, self.source):
            self.source.finish(self.trials.pop(number).answer())


def fold_source(source: TrialSource, data: Data) -> FoldSource:
    """Return the source of the folds of these data."""
    return FoldSource(source, [len(fold.training) for fold in data.folds], data.metric.direction == "maximize")


@dataclass(frozen=True, slots=True)
class FoldEngine:
    """An engine whose trials are cross-validated: each fold takes one place of the `engine` inside."""

    engine: Engine
    data: Data

    def run(self, source: TrialSource) -> None:
        """Train until the source has nothing left."""
        self.engine.run(fold_source(source, self.data))


def train_alone(
    spec: TrialSpec,
    data: Data,
    ask: Callable[[int, float], bool] = lambda evaluation, metric: False,
    build: Callable[[], nn.Module] | None = None,
) -> TrainingRun:
    """Train one trial with the reference, on every fold of the data; `ask` and `build` are those of `Several` and `train_safely`."""
    several = Several([spec], ask=ask)
    source = fold_source(several, data) if data.folds else several
    while specs := source.take(1):
        run = train_safely(specs[0], data, source, build)
        assert run is not None, "nobody stops it"
        source.finish(run)
    return several.runs[spec.number]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
