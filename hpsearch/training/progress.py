"""The bookkeeping of a run, one code for every engine: its way from evaluation to evaluation, its history, and when it ends."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from time import monotonic
from typing import Protocol, cast

import torch

from hpsearch.training import TrialSource
from hpsearch.trial import History, Outcome, TrainingRun, TrialSpec, is_better

Weights = Mapping[str, torch.Tensor]
Score = tuple[float, float]  # the loss and the metric on the validation rows
Stopping = Callable[[], bool]


def named_weights(layers: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> Weights:
    """Return copies of the layers' weights [units, inputs] and biases [units], by their names in `DNN`."""
    copies: dict[str, torch.Tensor] = {}
    for layer, (weight, bias) in enumerate(layers):
        copies[f"layers.{layer}.weight"] = weight.clone(memory_format=torch.contiguous_format)
        copies[f"layers.{layer}.bias"] = bias.clone()
    return copies


@dataclass(frozen=True, slots=True)
class Window:
    """What a trial did since its previous evaluation: the losses [updates] of its batches; `seconds` is the time in training so far."""

    losses: torch.Tensor
    score: Score
    seconds: float


Windows = Mapping[int, Window] | None


class TrialGroup(Protocol):
    """Trials that train side by side; all have one fold, one order of batches and the same evaluations, and start together.

    `seconds` is the time in training so far, each trial's share of it.
    """

    seconds: float

    def train(self, until: int, stopping: Stopping) -> Mapping[int, torch.Tensor] | None:
        """Train every trial to an update; return each one's losses [updates] by its number, None where `stopping` said so."""

    def scores(self) -> Mapping[int, Score]:
        """Return each trial's score by its number."""

    def weights(self, number: int) -> Weights:
        """Return a copy of a trial's weights as they are now, by their names in `DNN`."""

    def drop(self, numbers: Collection[int]) -> None:
        """Forget trials that have ended; at least one stays."""


class GrowingGroup(TrialGroup, Protocol):
    """A group that others may join, so that its trials have different numbers of updates behind them."""

    def join(self, specs: Sequence[TrialSpec]) -> None:
        """Take trials that begin with the next window; what their memory lacks, the next `train` or `train_each` says."""

    def train_each(self, until: Callable[[int], int], stopping: Stopping) -> Mapping[int, torch.Tensor] | None:
        """Train every trial to an update of its own, by its number (see `train`)."""


@dataclass(frozen=True, slots=True)
class Joined:
    """When a trial came to a group under way: the windows, and the seconds of each trial, that were over by then."""

    windows: int
    seconds: float


FROM_THE_START = Joined(0, 0.0)


class Evaluations:
    """A group on its way from evaluation to evaluation, which come after these numbers of updates; `done` of them are done.

    In each window every trial goes on to its own next evaluation; trials that joined later have done fewer.

    With `max_seconds` in training, whatever else the machine does, it is `expired` where the next window did not end in time.
    """

    def __init__(self, group: TrialGroup, evaluate_at: Sequence[int], max_seconds: float | None = None) -> None:
        self.left = inf if max_seconds is None else max_seconds  # seconds
        self.expired = False
        self.group = group
        self.evaluate_at = evaluate_at
        self.done = 0
        self.joined: dict[int, Joined] = {}
        self.scores: Mapping[int, Score] = {}

    def join(self, specs: Sequence[TrialSpec]) -> None:
        """Take further trials, with the same evaluations, into a `GrowingGroup`."""
        cast("GrowingGroup", self.group).join(specs)
        for spec in specs:
            self.joined[spec.number] = Joined(self.done, self.group.seconds)

    def done_by(self, number: int) -> int:
        """Return how many evaluations of a trial are done."""
        return self.done - self._start(number).windows

    def advance(self, stopping: Stopping) -> Windows:
        """Train every trial to its next evaluation; return each one's window by its number, None where `stopping` said so."""
        deadline = monotonic() + self.left
        losses = self._train(lambda: stopping() or monotonic() >= deadline)
        self.left = deadline - monotonic()
        if losses is None:
            self.expired = self.left <= 0 and not stopping()
            return None
        if any(len(own) for own in losses.values()):
            self.scores = self.group.scores()
        self.done += 1
        return {
            number: Window(own, self.scores[number], self.group.seconds - self._start(number).seconds)
            for number, own in losses.items()
        }

    def _train(self, stopping: Stopping) -> Mapping[int, torch.Tensor] | None:
        if not self.joined:
            return self.group.train(self.evaluate_at[self.done], stopping)
        return cast("GrowingGroup", self.group).train_each(
            lambda number: self.evaluate_at[self.done_by(number)], stopping
        )

    def _start(self, number: int) -> Joined:
        return self.joined.get(number, FROM_THE_START)


def recorded_window(history: History, index: int) -> Window:
    """Return what a history has at an evaluation, counted from 0, as the window that gives it again."""
    losses = torch.tensor([history.training_loss[index]], dtype=torch.float64)
    return Window(losses, (history.validation_loss[index], history.metric[index]), history.seconds[index])


class Progress:
    """Takes one evaluation of a trial after another and knows when the run is over."""

    def __init__(self, spec: TrialSpec, maximize: bool, parameters: int) -> None:
        self.spec = spec
        self.maximize = maximize
        self.parameters = parameters
        self.history = History()
        self.best = 0  # the best evaluation
        self.improved = 0  # the last evaluation whose metric was better than all before
        self.value: float | None = None
        self.loss: float | None = None
        self.weights: Weights | None = None

    @property
    def updates_left(self) -> int:
        """Updates of the budget after the last evaluation that is recorded."""
        return self.spec.updates - (self.history.update[-1] if len(self.history) else 0)

    def record(self, window: Window, weights: Callable[[], Weights], source: TrialSource) -> TrainingRun | None:
        """Take the next evaluation; return the run if it ends here."""
        diverged = self._divergence(window)
        if diverged is not None:
            return self.run(Outcome.DIVERGED, diverged)
        loss, metric = window.score
        best_so_far = self._best_so_far(loss, metric)
        if best_so_far:
            self.weights = weights()  # first: nothing is recorded where memory does not hold the copy
        evaluation = len(self.history) + 1
        update = self.spec.evaluate_at[evaluation - 1]
        self.history = self.history.append(
            evaluation=evaluation,
            update=update,
            examples=update * self.spec.batch_size,
            seconds=window.seconds,
            training_loss=self._training_loss(window),
            validation_loss=loss,
            metric=metric,
        )
        if self.value is None or is_better(metric, self.value, self.maximize):
            self.improved = evaluation
        if best_so_far:
            self.best = evaluation
            self.value = metric
            self.loss = loss
        outcome = self._outcome(evaluation, source)
        if outcome is None:
            return None
        run = self.run(outcome)
        if not self.spec.keep_last:
            return run
        last = self.weights if self.best == evaluation else weights()
        return replace(run, last_weights=last)

    def run(self, outcome: Outcome, detail: str = "") -> TrainingRun:
        """Return the run; a failed one has no value and no weights."""
        run = TrainingRun(self.spec.number, outcome, self.history, detail=detail, parameters=self.parameters)
        if outcome.failed:
            return run
        return replace(run, best=self.best, value=self.value, loss=self.loss, weights=self.weights)

    def out_of_time(self) -> TrainingRun:
        """Return the run that ends here because its seconds are over; it has a value if it was evaluated."""
        limit = f"max_seconds = {self.spec.max_seconds:g}"
        if self.value is None:
            return self.run(Outcome.OUT_OF_TIME, f"no evaluation within {limit}")
        done = f"after evaluation {len(self.history)} of {len(self.spec.evaluate_at)}"
        return self.run(Outcome.TIMED_OUT, f"{limit}, {done}; another run may come less or more far")

    def _training_loss(self, window: Window) -> float:
        """Return the mean loss of a window's batches; one without updates has that of the window before."""
        if len(window.losses):
            return float(window.losses.mean())
        return self.history.training_loss[-1]

    def _best_so_far(self, loss: float, metric: float) -> bool:
        """Whether an evaluation is the best so far; on few rows metrics are often equal, and then the loss decides."""
        if self.value is None or self.loss is None or is_better(metric, self.value, self.maximize):
            return True
        return metric == self.value and loss < self.loss

    def _outcome(self, evaluation: int, source: TrialSource) -> Outcome | None:
        """Return how the run ends at this evaluation; None where it goes on."""
        metric = self.history.metric[-1]
        if self.spec.target is not None and is_better(metric, self.spec.target, self.maximize):
            return Outcome.REACHED
        if evaluation == len(self.spec.evaluate_at):
            return Outcome.FINISHED
        if self.spec.patience is not None and evaluation - self.improved >= self.spec.patience:
            return Outcome.STOPPED_EARLY
        if evaluation in self.spec.rungs and source.prune(self.spec.number, evaluation, metric):
            return Outcome.PRUNED
        return None

    def _divergence(self, window: Window) -> str | None:
        """Return where a loss or the metric stopped being finite; every loss counts, since NaN outputs still have an accuracy."""
        finite = torch.isfinite(window.losses)
        if not bool(finite.all()):
            index = int((~finite).to(torch.uint8).argmax())
            before = self.history.update[-1] if len(self.history) else 0
            return f"diverged at update {before + index + 1} (loss = {float(window.losses[index])})"
        update = self.spec.evaluate_at[len(self.history)]
        for name, value in zip(("validation loss", "validation metric"), window.score, strict=True):
            if not isfinite(value):
                return f"diverged by update {update} ({name} = {value})"
        return None


def out_of_memory_run(spec: TrialSpec) -> TrainingRun:
    """Return the run of a trial that does not fit into memory."""
    detail = f"out of memory with batch size {spec.batch_size}"
    return TrainingRun(spec.number, Outcome.OUT_OF_MEMORY, History(), detail=detail)
