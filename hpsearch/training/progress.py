"""The bookkeeping of a run, one code for every engine: history, best evaluation, and when a run ends."""

from collections.abc import Callable, Mapping
from math import isfinite

import torch

from hpsearch.training import TrialSource
from hpsearch.trial import History, Outcome, TrainingRun, TrialSpec

Weights = Mapping[str, torch.Tensor]


class Progress:
    """Takes one evaluation after another of one trial and knows when it is over."""

    def __init__(self, spec: TrialSpec, maximize: bool, parameters: int) -> None:
        self.spec, self.maximize, self.parameters = spec, maximize, parameters
        self.history = History()
        self.best = self.risen = 0  # the best evaluation, and the last one whose metric was better than all before
        self.value: float | None = None
        self.loss: float | None = None
        self.weights: Weights | None = None

    def record(
        self,
        losses: torch.Tensor,  # [updates since the evaluation before]
        score: tuple[float, float],  # loss and metric on the validation rows
        seconds: float,
        weights: Callable[[], Weights],
        source: TrialSource,
    ) -> TrainingRun | None:
        """Take the next evaluation; return the run if it ends here."""
        if diverged := self._diverged(losses, score):
            return diverged
        evaluation = len(self.history) + 1
        update = self.spec.evaluate_at[evaluation - 1]
        self.history = self.history.append(
            evaluation=evaluation,
            update=update,
            examples=update * self.spec.batch_size,
            seconds=seconds,
            training_loss=float(losses.mean()) if len(losses) else self.history.training_loss[-1],
            validation_loss=score[0],
            metric=score[1],
        )
        self.risen = evaluation if self.value is None or self._passes(score[1], self.value) else self.risen
        if self._better(*score):
            self.best, self.value, self.loss, self.weights = evaluation, score[1], score[0], weights()
        outcome = self._ended(evaluation, source)
        return None if outcome is None else self.run(outcome)

    def run(self, outcome: Outcome, detail: str = "") -> TrainingRun:
        """Return the answer; a failed run has no value and no weights."""
        if outcome.failed:
            return TrainingRun(self.spec.number, outcome, self.history, detail=detail, parameters=self.parameters)
        return TrainingRun(
            self.spec.number,
            outcome,
            self.history,
            self.best,
            self.value,
            self.loss,
            detail,
            self.parameters,
            self.weights,
        )

    def _better(self, loss: float, metric: float) -> bool:
        """Whether an evaluation is the best so far; on few rows metrics are often equal, and then the loss tells them apart."""
        if self.value is None or self.loss is None or self._passes(metric, self.value):
            return True
        return metric == self.value and loss < self.loss

    def _passes(self, metric: float, mark: float) -> bool:
        return metric > mark if self.maximize else metric < mark

    def _ended(self, evaluation: int, source: TrialSource) -> Outcome | None:
        if self.spec.target is not None and self._passes(self.history.metric[-1], self.spec.target):
            return Outcome.REACHED
        if evaluation == len(self.spec.evaluate_at):
            return Outcome.FINISHED
        if self.spec.patience is not None and evaluation - self.risen >= self.spec.patience:
            return Outcome.STOPPED_EARLY
        if evaluation in self.spec.rungs and source.prune(self.spec.number, evaluation, self.history.metric[-1]):
            return Outcome.PRUNED
        return None

    def _diverged(self, losses: torch.Tensor, score: tuple[float, float]) -> TrainingRun | None:
        """Look at every loss of the window: NaN outputs have an argmax, so an accuracy would look finite."""
        finite = torch.isfinite(losses)
        if not bool(finite.all()):
            index = int((~finite).to(torch.uint8).argmax())
            update = (self.history.update[-1] if len(self.history) else 0) + index + 1
            return self.run(Outcome.DIVERGED, f"diverged at update {update} (loss = {float(losses[index])})")
        if not all(map(isfinite, score)):
            update = self.spec.evaluate_at[len(self.history)]
            what, value = ("validation metric", score[1]) if isfinite(score[0]) else ("validation loss", score[0])
            return self.run(Outcome.DIVERGED, f"diverged by update {update} ({what} = {value})")
        return None
