"""Cross-validation: between a search, whose trials have one value each, and an engine, which trains on one fold at a time.

A trial trains once on each fold, with the same hyperparameters, initial weights and seeds; its history is the mean over the folds,
evaluation by evaluation, and what ends a run early (patience, target, pruner) looks at that mean. So the answer does not depend on
which fold is faster: one that runs ahead goes on until the mean of an earlier evaluation is known, and what it did after the trial's
end does not count. Every fold makes the updates that the budget buys on the first fold's training rows.

The end of a trial is a pair: the first evaluation that does not count, and the fold that failed in it (`NO_FOLD`: the mean has ended the
trial before it). The smallest pair is the end, whichever was known first; a fold trains on as long as it could make a smaller one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from hpsearch.data.dataset import Data
from hpsearch.training import Engine, Prunes, TrialQueue, TrialSource
from hpsearch.training.own import NO_GRADIENT
from hpsearch.training.progress import Progress, Window
from hpsearch.training.reference import train_safely
from hpsearch.trial import Outcome, TrainingRun, TrialSpec

NO_FOLD = -1


class FoldedTrial:
    """A trial in training: the results of its folds so far, and where it ends; `rows` are the training rows of each fold."""

    def __init__(self, spec: TrialSpec, rows: Sequence[int], maximize: bool) -> None:
        self.spec = spec
        self.rows = rows
        self.maximize = maximize
        self.metrics: list[Sequence[float]] = [()] * len(rows)  # of each fold, by evaluation
        self.runs: dict[int, TrainingRun] = {}  # by fold
        self.begun = 0
        self.mean = Progress(spec, maximize, 0)  # of the metric only, which is all that decides
        self.decided: TrainingRun | None = None
        self.end = (len(spec.evaluate_at) + 1, NO_FOLD)

    def begin(self, room: int) -> list[TrialSpec]:
        """Return at most `room` of the folds that have not begun and still matter."""
        if not self._matters(self.begun, 1):
            return []
        count = min(room, len(self.rows) - self.begun)
        self.begun += count
        return [self._fold_spec(fold) for fold in range(self.begun - count, self.begun)]

    def report(self, fold: int, metric: float, source: TrialSource) -> bool:
        """Take a fold's next evaluation; True where nothing matters that the fold does after it."""
        self.metrics[fold] = (*self.metrics[fold], metric)
        self._decide(source)
        return not self._matters(fold, len(self.metrics[fold]) + 1)

    def finish(self, fold: int, run: TrainingRun, source: TrialSource) -> bool:
        """Take a fold's run; True where the trial is over."""
        self.runs[fold] = run
        self.metrics[fold] = max(self.metrics[fold], run.history.metric, key=len)
        if run.outcome.failed or run.outcome is Outcome.TIMED_OUT:
            self.end = min(self.end, (run.history.last + 1, fold))
        self._decide(source)
        in_training = len(self.runs) < self.begun
        to_begin = self.begun < len(self.rows) and self._matters(self.begun, 1)
        return not in_training and not to_begin

    def result(self) -> TrainingRun:
        """Return the run of the trial, recorded as every run is, from the means over its folds."""
        end, failed_fold = self.end
        runs = [self.runs[fold] for fold in sorted(self.runs)]
        pruned = self.decided is not None and self.decided.outcome is Outcome.PRUNED
        source = TrialQueue(prunes=lambda evaluation, metric: pruned and evaluation == end - 1)
        progress = Progress(self.spec, self.maximize, max(run.parameters for run in runs))
        for index in range(end - 1):
            run = progress.record(_mean_window(runs, index), dict, source)
            if run is not None:
                untrained = (fold.detail for fold in runs if fold.detail.startswith(NO_GRADIENT))
                detail = run.detail or next(untrained, "")
                return replace(run, detail=detail, weights=None, folds=_metrics_at(runs, run.best))
        if failed_fold != NO_FOLD:
            failed = self.runs[failed_fold]
            run = progress.run(failed.outcome, f"fold {failed_fold + 1} of {len(self.rows)}: {failed.detail}")
            return replace(run, weights=None, folds=_metrics_at(runs, run.best))
        assert self.decided is not None, "without a failure the mean decides, at the last evaluation if not before"
        return progress.run(self.decided.outcome, self.decided.detail)

    def _matters(self, fold: int, evaluation: int) -> bool:
        return (evaluation, fold) < self.end

    def _fold_spec(self, fold: int) -> TrialSpec:
        """Return what one fold trains: it reports every evaluation, and ends where it is told to. A full batch is the fold's rows."""
        spec = self.spec
        max_seconds = spec.max_seconds
        if max_seconds is not None:
            max_seconds /= len(self.rows)
        return replace(
            spec,
            number=spec.number * len(self.rows) + fold,
            batch_size=batch_size_on(self.rows[fold], spec.batch_size, self.rows[0]),
            rungs=tuple(range(1, len(spec.evaluate_at))),
            patience=None,
            target=None,
            fold=fold,
            max_seconds=max_seconds,
        )

    def _decide(self, source: TrialSource) -> None:
        """Look at the mean of every evaluation that all folds have done."""
        done = min(map(len, self.metrics))
        while (index := len(self.mean.history)) < min(done, self.end[0] - 1):
            metric = _mean([metrics[index] for metrics in self.metrics])
            self.decided = self.mean.record(Window(torch.zeros(1), (0.0, metric), 0.0), dict, source)
            if self.decided is not None:
                self.end = (len(self.decided.history) + 1, NO_FOLD)


def batch_size_on(rows: int, batch_size: int, first_rows: int) -> int:
    """Return a batch size on a fold of so many training rows: what is the full batch of the first fold's rows is that of this one."""
    if batch_size == first_rows:
        return rows
    return min(batch_size, rows)


class FoldSource:
    """The source that an engine takes folds from, over a source of trials."""

    def __init__(self, source: TrialSource, rows: Sequence[int], maximize: bool) -> None:
        self.source = source
        self.rows = rows
        self.maximize = maximize
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
        new_trials = -(-(room - len(specs)) // len(self.rows))
        for spec in self.source.take(new_trials):
            trial = FoldedTrial(spec, self.rows, self.maximize)
            self.trials[spec.number] = trial
            specs += trial.begin(room - len(specs))
        return specs

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Take an evaluation of a fold (see `TrialSource`)."""
        trial, fold = divmod(number, len(self.rows))
        return self.trials[trial].report(fold, metric, self.source)

    def wants(self, run: TrainingRun) -> bool:
        """Want no weights: a trial's run is a mean over its folds (see `TrialSource`)."""
        return False

    def finish(self, run: TrainingRun) -> None:
        """Take a fold's run, and hand on the trial's once it is over (see `TrialSource`)."""
        number, fold = divmod(run.number, len(self.rows))
        if self.trials[number].finish(fold, run, self.source):
            self.source.finish(self.trials.pop(number).result())


def fold_source(source: TrialSource, data: Data) -> FoldSource:
    """Return the source of the folds of these data."""
    return FoldSource(source, [len(fold.training) for fold in data.folds], data.metric.direction == "maximize")


@dataclass(frozen=True, slots=True)
class FoldEngine:
    """An engine whose trials are cross-validated: each fold takes one slot of the `engine` inside."""

    engine: Engine
    data: Data

    def run(self, source: TrialSource) -> None:
        """Train until the source has nothing left."""
        self.engine.run(fold_source(source, self.data))


def train_trial(spec: TrialSpec, data: Data, prunes: Prunes | None = None) -> TrainingRun:
    """Train one trial with the reference, on every fold of the data; `prunes` is that of `TrialQueue`."""
    queue = TrialQueue([spec], prunes)
    source = fold_source(queue, data) if data.folds else queue
    while specs := source.take(1):
        run = train_safely(specs[0], data, source)
        assert run is not None, "nothing stops a queue"
        source.finish(run)
    return queue.runs[spec.number]


def _mean_window(runs: Sequence[TrainingRun], index: int) -> Window:
    """Return the mean over folds of what their histories have at an evaluation (from 0); seconds add up."""
    histories = [run.history for run in runs]
    training_loss = _mean([history.training_loss[index] for history in histories])
    validation_loss = _mean([history.validation_loss[index] for history in histories])
    metric = _mean([history.metric[index] for history in histories])
    seconds = sum(history.seconds[index] for history in histories)
    return Window(torch.tensor([training_loss], dtype=torch.float64), (validation_loss, metric), seconds)


def _metrics_at(runs: Sequence[TrainingRun], evaluation: int) -> tuple[float, ...]:
    """Return each fold's metric at an evaluation (from 1); none for evaluation 0."""
    if evaluation == 0:
        return ()
    return tuple(run.history.metric[evaluation - 1] for run in runs)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
