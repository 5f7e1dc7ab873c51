"""A data set as training sees it: tensors in memory, three parts, one task, one metric. Frozen; `to` gives a copy elsewhere.

There is no loader and no transform: an epoch is an index into two tensors that live on the device.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from hpsearch.data.metrics import Metric, Number, mean
from hpsearch.data.pieces import Pieces, piece_counts
from hpsearch.data.target_form import TargetForm
from hpsearch.data.tasks import Loss, Task, class_numbers, mean_loss, task_with_loss, weighted
from hpsearch.data.weights import balanced_weights
from hpsearch.errors import UserError, mistakes, shown
from hpsearch.trial import Architecture

SCORED = 2**26  # numbers of outputs that are scored at a time, at most


def check_weights(weights: Mapping[Any, float]) -> None:
    """Refuse weights of classes in the loss that would turn it round, or leave a class out: any that is no finite number > 0."""
    for label, weight in weights.items():
        if not (isfinite(weight) and weight > 0):
            raise UserError(
                f"class weights: that of {shown(label)} is {shown(weight)}, a finite number > 0 expected. "
                "Give one, or drop the class's rows."
            )


def _read(numbers: Sequence[Tensor]) -> list[float]:
    """Return the numbers of tensors [n], those on one device copied together."""
    if len({part.device for part in numbers}) == 1:
        return list(torch.cat([*numbers]).tolist())
    return [number for part in numbers for number in part.tolist()]


def _tensor(numbers: Number | Sequence[float]) -> Tensor:
    """Return numbers as a tensor [n], which stays where it is."""
    if isinstance(numbers, Tensor):
        return numbers.flatten()
    return torch.tensor(numbers, dtype=torch.float64).flatten()


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of one part: `inputs` [N, F], standardised; `targets` as the task's loss takes them; the rows' own `weights` [N], if any.

    Regression: [N, K], standardised. Binary: [N, 1], 0 or 1. Multiclass: [N] int64. Multilabel: [N, L], 0 or 1.

    Test rows have `units` [N]: the number of each row's group in the data set, of the row itself where it has no groups.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None = None
    units: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Rows":
        """Return the rows on a device; floating-point tensors get the type, class numbers stay int64."""
        targets = self.targets.to(device)
        if targets.is_floating_point():
            targets = targets.to(dtype)
        weights = self.weights
        if weights is not None:
            weights = weights.to(device, dtype)
        return Rows(self.inputs.to(device, dtype), targets, weights, self.units)

    def take(self, chosen: Tensor | slice) -> "Rows":
        """Return some of the rows."""
        weights = None if self.weights is None else self.weights[chosen]
        units = None if self.units is None else self.units[chosen]
        return Rows(self.inputs[chosen], self.targets[chosen], weights, units)


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One division of the rows, scaled by its own training rows; the width is that of the other folds.

    `test` are its own test rows; None where all folds share those of the data. `pieces` are those of the data, fitted on its training rows.
    """

    training: Rows
    validation: Rows
    target_mean: Tensor
    target_scale: Tensor
    test: Rows | None = None
    pieces: Pieces | None = None

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Fold":
        """Return the fold on a device, floating-point tensors of one type (mean and scale stay float64)."""
        return Fold(
            self.training.to(device, dtype),
            self.validation.to(device, dtype),
            self.target_mean.to(device),
            self.target_scale.to(device),
            None if self.test is None else self.test.to(device, dtype),
            None if self.pieces is None else self.pieces.to(device, dtype),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """A data set that is ready to train on.

    `shape` is that of one input, (F,) of a table or (channels, height, width); inputs themselves are flat. `classes` are the labels
    as text by class number, none for regression. `target_mean` and `target_scale` [K] undo the standardising of regression targets
    (0 and 1 for classes); they stay float64, since a mean may be large beside the scale. `target_form` is the range and scale of such
    targets, None of classes and labels. `summary` can be written as JSON. The search
    sees training and validation rows; `test` is for the selected model, once, and empty where no rows were held out for it.

    `preprocessing` is what turned a source's columns or images into inputs, fitted on the training rows, as plain JSON values: a saved
    network carries it. `folds` are divisions of the rows, the first one's being `training` and `validation`; there are none where one
    division is enough. They are those of a cross-validation, unless they are `separate`: then a run trains on one of them alone.
    `class_weights` [C] multiply each class's part of the loss; None weighs all rows alike. `labels` are the names of the labels of a
    multilabel task. `pieces` encode the numbers of a table for networks whose encoding is piecewise, None where the study has none.
    """

    name: str
    title: str
    task: Task
    metric: Metric
    training: Rows
    validation: Rows
    test: Rows
    shape: tuple[int, ...]
    outputs: int
    classes: tuple[str, ...]
    target_mean: Tensor
    target_scale: Tensor
    summary: Mapping[str, Any]
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    folds: tuple[Fold, ...] = ()
    class_weights: Tensor | None = None
    labels: tuple[str, ...] = ()
    separate: bool = False
    pieces: Pieces | None = None
    target_form: TargetForm | None = None

    def __post_init__(self) -> None:
        """Check that class weights fit.

        Raises:
            UserError: the targets are no classes, or a weight is no number > 0.
        """
        if self.class_weights is None:
            return
        if not self.classes:
            raise UserError(f"training.class_weights: {self.task.noun} has no classes to weigh. Remove it.")
        if self.class_weights.shape != (len(self.classes),):
            raise ValueError(
                f"class weights of shape {tuple(self.class_weights.shape)}: [{len(self.classes)}] expected"
            )
        check_weights(dict(zip(self.classes, self.class_weights.tolist(), strict=True)))

    @property
    def cross_validated(self) -> bool:
        """Whether a trial trains on every fold, and its value is the mean."""
        return bool(self.folds) and not self.separate

    @property
    def has_own_functions(self) -> bool:
        """Whether the loss or the metric is a function of the user's own."""
        return self.task.has_own_loss or self.metric.function is not None

    def judged_by(self, metric: Metric) -> "Data":
        """Return the data with another metric of their task."""
        worst = metric.worst(self.original(self.training.targets))
        judged = {"metric": metric.name, "direction": metric.direction, "worst": worst}
        return replace(self, metric=metric, summary={**self.summary, **judged})

    def with_loss(self, loss: Loss) -> "Data":
        """Return the data with a loss of the user's own: `loss(outputs, targets)`, the mean over rows.

        Raises:
            UserError: classes or rows have weights, which such a loss knows nothing of.
        """
        if self.class_weights is not None:
            raise UserError(
                "training.class_weights: a loss of your own weighs the classes itself. Give one of the two."
            )
        if self.training.weights is not None:
            raise UserError(
                "weights of rows: a loss of your own is a mean that cannot weigh them. Give one of the two."
            )
        task = task_with_loss(self.task.name, loss)
        return replace(self, task=task, summary={**self.summary, "loss": task.loss_name})

    def balanced(self) -> "Data":
        """Return the data with `balanced_weights` of the classes."""
        if self.task.has_own_loss or not self.classes:
            raise UserError("training.class_weights: only the loss of a task of classes has them. Leave it out.")
        return replace(self, class_weights=balanced_weights(class_numbers(self.training.targets), len(self.classes)))

    @property
    def trained_task(self) -> Task:
        """The task with the loss that is trained on: rows weighted by their class, where classes have weights."""
        if self.class_weights is None:
            return self.task
        return weighted(self.task, self.class_weights)

    @property
    def row_weights(self) -> Tensor | None:
        """The weight of each training row in the loss, [N]; None where all weigh alike."""
        return self.weights_of(self.training)

    def weights_of(self, rows: Rows) -> Tensor | None:
        """Return the weight of each of some rows in the loss [N], its own times its class's; None where all weigh alike."""
        if self.class_weights is None:
            return rows.weights
        weights = self.class_weights[class_numbers(rows.targets)]
        return weights if rows.weights is None else weights * rows.weights

    @property
    def inputs(self) -> int:
        """Numbers in one input."""
        return self.training.inputs.shape[1]

    def predict(self, outputs: Tensor) -> Tensor:
        """Turn a network's raw outputs into probabilities, or into values in the target's units ([N, K], float64)."""
        return self.predicted(self.task.head(outputs))

    def score(self, outputs: Tensor, rows: Rows) -> tuple[float, float]:
        """Return the mean loss that is trained on, and the metric, of raw outputs for rows.

        NaN outputs make the loss NaN, yet they have an argmax and so an accuracy: look at the loss first.
        """
        outputs = outputs.detach()
        loss, metric = _read([self._loss(outputs, rows).flatten(), _tensor(self._metric(outputs, rows))])
        return loss, metric

    def scores(self, outputs: Tensor, rows: Rows) -> list[tuple[float, float]]:
        """Return the score of each of several networks (see `score`) by their raw outputs [T, N, K].

        It takes as many operations as for one network, and waits for their device once; a loss or a metric of the user's own is computed
        network by network.
        """
        parts = outputs.detach().split(max(1, SCORED // outputs[0].numel()))
        losses = [self._losses(part, rows) for part in parts]
        metrics = [self._metrics(part, rows) for part in parts]
        read = _read([*losses, *metrics])
        return list(zip(read[: len(outputs)], read[len(outputs) :], strict=True))

    def _loss(self, outputs: Tensor, rows: Rows) -> Tensor:
        """Return the mean loss [] that is trained on, of outputs [N, K]."""
        return mean_loss(self.task, outputs, rows.targets, self.weights_of(rows))

    def _losses(self, outputs: Tensor, rows: Rows) -> Tensor:
        """Return the mean losses [T] of outputs [T, N, K]."""
        row_losses = self.task.row_losses
        if row_losses is None:
            return torch.stack([self._loss(own, rows) for own in outputs])
        networks = len(outputs)
        targets = rows.targets.expand(networks, *rows.targets.shape).flatten(0, 1)
        losses = row_losses(outputs.flatten(0, 1), targets).view(networks, -1)  # [T, N]
        weights = self.weights_of(rows)
        return mean(losses if weights is None else losses * weights)

    def _metric(self, outputs: Tensor, rows: Rows) -> Number:
        """Return the metric of outputs [N, K], or the metrics [T] of outputs [T, N, K]."""
        return self.metric.unread(self.predict(outputs), self.original(rows.targets), rows.weights)

    def _metrics(self, outputs: Tensor, rows: Rows) -> Tensor:
        """Return the metrics [T] of outputs [T, N, K]."""
        if self.metric.function is not None:
            return _tensor([float(self._metric(own, rows)) for own in outputs])
        return _tensor(self._metric(outputs, rows))

    def measure(self, metric: Metric, outputs: Tensor, rows: Rows) -> float:
        """Return any metric of the task, of raw outputs for rows."""
        return metric.of(self.predict(outputs.detach()), self.original(rows.targets), rows.weights)

    def metric_of(self, predictions: Tensor, rows: Rows) -> float:
        """Return the metric of predictions, as `predict` gives them, for rows.

        Raises:
            UserError: a metric of the user's own failed.
        """
        with mistakes(f"metric {self.metric.name}", self.metric.function is not None):
            return self.metric.of(predictions, self.original(rows.targets), rows.weights)

    def fold(self, number: int) -> "Data":
        """Return the data of one fold: its rows and its scaling of the target in place of the first one's.

        Data that are divided once are their own fold 0.
        """
        if not self.folds and number == 0:
            return self
        fold = self.folds[number]
        return replace(
            self,
            training=fold.training,
            validation=fold.validation,
            test=self.test if fold.test is None else fold.test,
            target_mean=fold.target_mean,
            target_scale=fold.target_scale,
            folds=(),
            separate=False,
            pieces=fold.pieces,
        )

    @property
    def piece_counts(self) -> tuple[int, ...]:
        """The pieces of each input [F], () where no input has any."""
        return self.pieces.counts if self.pieces and any(self.pieces.counts) else ()

    def with_pieces(self) -> "Data":
        """Return the data with pieces of a table's numbers; images have none."""
        counts = piece_counts(self.training.inputs) if len(self.shape) == 1 else ()
        folds = tuple(replace(fold, pieces=Pieces.fit(fold.training.inputs, counts)) for fold in self.folds)
        return replace(self, pieces=Pieces.fit(self.training.inputs, counts), folds=folds)

    def encoded_for(self, architecture: Architecture | None) -> "Data":
        """Return the data as the layers of a dense network see their training and validation rows: with pieces, if it has any."""
        if architecture is None or not architecture.pieces:
            return self
        assert self.pieces is not None, "a network that sees pieces trains on data that have them"
        training, validation = (
            replace(rows, inputs=self.pieces.encode(rows.inputs)) for rows in (self.training, self.validation)
        )
        return replace(self, training=training, validation=validation)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Data":
        """Return the data on a device, floating-point tensors of one type."""
        weights = self.class_weights
        return replace(
            self,
            training=self.training.to(device, dtype),
            validation=self.validation.to(device, dtype),
            test=self.test.to(device, dtype),
            target_mean=self.target_mean.to(device),
            target_scale=self.target_scale.to(device),
            folds=tuple(fold.to(device, dtype) for fold in self.folds),
            class_weights=None if weights is None else weights.to(device, dtype),
            pieces=None if self.pieces is None else self.pieces.to(device, dtype),
        )

    def original(self, values: Tensor) -> Tensor:
        """Return standardised targets in their own units, float64; classes as they are."""
        if self.classes:
            return values
        learned = values * self.target_scale + self.target_mean
        return learned if self.target_form is None else self.target_form.restored(learned)

    def predicted(self, predictions: Tensor) -> Tensor:
        """Return predictions after the task's head in the target's units, kept within what is possible; probabilities as they are."""
        values = self.original(predictions)
        return values if self.target_form is None else self.target_form.bounded(values)
