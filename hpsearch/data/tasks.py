"""Tasks: what a network predicts, as a literal table of rows. A new task is one row here and its loss in each engine.

A network gives raw outputs (logits). The loss works on those, where it is numerically stable; the head turns them into predictions:
values or probabilities. `infer_task` picks the row from the targets. Importing this module imports neither torch nor NumPy.

Shapes: regression outputs and targets [N, K]; binary outputs and targets [N, 1]; multiclass outputs [N, C], targets [N]; multilabel
outputs and targets [N, L].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from hpsearch.data.metrics import METRICS, Metric, name_of
from hpsearch.errors import UserError, look_up

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from hpsearch.data.targets import TargetFacts, Targets

Loss = Callable[["Tensor", "Tensor"], "Tensor"]


def _as_is(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True, slots=True)
class Task:
    """A row of `TASKS`.

    Which targets it takes: `infers(facts)` gives the conclusion for which the row is chosen from the targets alone, "" where another row
    is; the first row that has one is chosen. `needs(facts)` says what the task needs and the targets lack, or "".

    Encoding: `encode(targets, class_names)` gives numbers, `loss_targets(numbers)` lays them out as the loss takes them, and
    `outputs(columns, classes)` is how many outputs a network needs.

    Training: `loss(outputs, targets)` is the mean over rows (and target columns), a scalar tensor with a gradient;
    `row_losses(outputs, targets)` are those of each row before the mean, [N]. `smoothed(targets, outputs, share)` are the targets of which
    every class has an equal part of a share, in a form that both losses take; None where there are no labels.

    Decoding: `head(outputs)` gives the predictions, from which metrics are computed; `decode(predictions)` gives one column for each class
    [N, C] (values stay as they are), and `undo_decode` takes that back.

    `predicts` says which metrics fit: those of `METRICS` with the same word. `description` says what is predicted, `reason` why
    this head and this loss belong together.
    """

    name: str
    title: str
    description: str
    reason: str
    predicts: Literal["values", "classes", "labels"]
    infers: Callable[[TargetFacts], str]
    needs: Callable[[TargetFacts], str]
    encode: Callable[[npt.NDArray[Any], Sequence[str]], Targets]
    outputs: Callable[[int, int], int]
    loss_name: str
    loss: Loss
    row_losses: Loss | None  # None: a loss of the user's own has none
    head_name: str
    head: Callable[[Tensor], Tensor]
    loss_targets: Callable[[Tensor], Tensor] = _as_is
    smoothed: Callable[[Tensor, Tensor, float], Tensor] | None = None
    decode: Callable[[Tensor], Tensor] = _as_is
    undo_decode: Callable[[Tensor], Tensor] = _as_is

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a task by its name, since a row holds functions that have none; with the loss where that is the user's own."""
        if self.has_own_loss:
            return task_with_loss, (self.name, self.loss)
        return task_named, (self.name,)

    @property
    def has_own_loss(self) -> bool:
        """Whether the loss is another one than the row's."""
        return self.loss is not TASKS[self.name].loss

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that fit; the first is the default."""
        return tuple(name for name, metric in METRICS.items() if metric.predicts == self.predicts)

    @property
    def noun(self) -> str:
        """The task as errors call it."""
        if self.name == "regression":
            return "a regression"
        return f"a {self.name} task"

    @property
    def standardises(self) -> bool:
        """Whether targets are standardised for training."""
        return self.predicts == "values"

    @property
    def has_classes(self) -> bool:
        """Whether each row has a class."""
        return self.predicts == "classes"


def _torch_loss(name: str, reduction: str = "mean") -> Loss:
    """Return a loss of torch.nn.functional, which is imported when it is first used."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        import torch.nn.functional as F

        losses: Tensor = getattr(F, name)(outputs, targets, reduction=reduction)
        return losses

    return loss


def _smoothed_labels(targets: Tensor, outputs: Tensor, share: float) -> Tensor:
    """Return labels 0 and 1 [N, K] of which either class has half of a share."""
    return targets * (1 - share) + share / 2


def _smoothed_classes(targets: Tensor, outputs: Tensor, share: float) -> Tensor:
    """Return the probabilities [N, C] of classes [N], of which each has an equal part of a share."""
    import torch.nn.functional as F

    classes = outputs.shape[-1]
    return F.one_hot(targets, classes).to(outputs.dtype) * (1 - share) + share / classes


def _mean_of_columns(name: str) -> Loss:
    """Return the losses [N] of rows that have several numbers [N, K] each."""
    each = _torch_loss(name, "none")
    return lambda outputs, targets: each(outputs, targets).mean(dim=1)


def _infer_regression(facts: TargetFacts) -> str:
    if facts.kind == "several columns of 0 and 1":
        return ""
    if facts.columns > 1:
        return f"{facts.columns} numbers are predicted by one network"
    if facts.kind == "numbers with fractions":
        return "a number is predicted"
    if facts.are_measurements:
        return "a number is predicted (task 'multiclass' predicts one of them as a class instead)"
    return ""


def _regression_needs(facts: TargetFacts) -> str:
    return "numbers" if facts.kind == "text" else ""


def _encode_values(targets: npt.NDArray[Any], class_names: Sequence[str]) -> Targets:
    from hpsearch.data.targets import encode_values

    return encode_values(targets)


def _encode_classes(targets: npt.NDArray[Any], class_names: Sequence[str]) -> Targets:
    from hpsearch.data.targets import encode_classes

    return encode_classes(targets, class_names)


def _infer_binary(facts: TargetFacts) -> str:
    return "one of two classes is predicted" * (facts.distinct == 2)


def _binary_needs(facts: TargetFacts) -> str:
    return _class_needs(facts) or ("2 classes" if facts.distinct != 2 else "")


def _class_needs(facts: TargetFacts) -> str:
    usable = facts.columns == 1 and facts.kind != "numbers with fractions"
    return "one column of classes (text or whole numbers)" * (not usable)


def _both_classes(predictions: Tensor) -> Tensor:
    """Return the probabilities of both classes [N, 2] from that of the second [N, 1]."""
    import torch

    return torch.cat([1 - predictions, predictions], dim=1)


def _infer_multilabel(facts: TargetFacts) -> str:
    several = f"for each of {facts.columns} labels it is predicted whether a row has it; task 'regression' predicts numbers instead"
    return several * (facts.kind == "several columns of 0 and 1")


def _multilabel_needs(facts: TargetFacts) -> str:
    return "several columns of 0 and 1" * (facts.kind != "several columns of 0 and 1")


def _infer_multiclass(facts: TargetFacts) -> str:
    if facts.columns > 1:
        return ""
    is_number = facts.kind == "whole numbers"
    order = "; their order plays no part (task 'regression' predicts a number instead)" * is_number
    return f"one of several classes is predicted{order}"


TASKS = {
    "regression": Task(
        name="regression",
        title="Regression",
        description="regression: for each row a number is predicted",
        predicts="values",
        infers=_infer_regression,
        needs=_regression_needs,
        encode=_encode_values,
        loss_targets=lambda values: values.float(),
        outputs=lambda columns, classes: columns,
        loss_name="squared error",
        loss=_torch_loss("mse_loss"),
        row_losses=_mean_of_columns("mse_loss"),
        head_name="linear",
        head=_as_is,
        reason="A linear output can take every real value, and the squared error is the negative log-likelihood of a target "
        "scattered normally around it, so the output learns the target's mean.",
    ),
    "binary": Task(
        name="binary",
        title="Binary classification",
        description="classification: each row belongs to one of two classes",
        predicts="classes",
        infers=_infer_binary,
        needs=_binary_needs,
        encode=_encode_classes,
        loss_targets=lambda codes: codes[:, None].float(),
        outputs=lambda columns, classes: 1,
        loss_name="binary cross-entropy",
        loss=_torch_loss("binary_cross_entropy_with_logits"),
        row_losses=_mean_of_columns("binary_cross_entropy_with_logits"),
        smoothed=_smoothed_labels,
        head_name="sigmoid",
        head=lambda outputs: outputs.sigmoid(),
        decode=_both_classes,
        undo_decode=lambda probabilities: probabilities[:, 1:],
        reason="The sigmoid turns one logit into the probability of the second class, and the cross-entropy is that probability's "
        "negative log-likelihood; together their gradient is prediction minus target, which does not fade while the network is wrong.",
    ),
    "multiclass": Task(
        name="multiclass",
        title="Multiclass classification",
        description="classification: each row belongs to one of several classes",
        predicts="classes",
        infers=_infer_multiclass,
        needs=_class_needs,
        encode=_encode_classes,
        outputs=lambda columns, classes: classes,
        loss_name="cross-entropy",
        loss=_torch_loss("cross_entropy"),
        row_losses=_torch_loss("cross_entropy", "none"),
        smoothed=_smoothed_classes,
        head_name="softmax",
        head=lambda outputs: outputs.softmax(dim=-1),
        reason="The softmax turns one logit for each class into probabilities that sum to one, and the cross-entropy is their "
        "negative log-likelihood; together their gradient is prediction minus target, which does not fade while the network is wrong.",
    ),
    "multilabel": Task(
        name="multilabel",
        title="Multi-label classification",
        description="classification: each row has any number of several labels",
        predicts="labels",
        infers=_infer_multilabel,
        needs=_multilabel_needs,
        encode=_encode_values,
        loss_targets=lambda values: values.float(),
        outputs=lambda columns, classes: columns,
        loss_name="mean binary cross-entropy",
        loss=_torch_loss("binary_cross_entropy_with_logits"),
        row_losses=_mean_of_columns("binary_cross_entropy_with_logits"),
        smoothed=_smoothed_labels,
        head_name="sigmoid",
        head=lambda outputs: outputs.sigmoid(),
        reason="Each sigmoid turns one logit into the probability that a row has its label, whatever others it has, and the cross-entropy "
        "is that probability's negative log-likelihood; its mean over the labels gives each of them the same weight.",
    ),
}


def task_named(name: str) -> Task:
    """Return the row of `TASKS` of a name."""
    return TASKS[name]


def task_with_loss(name: str, loss: Loss) -> Task:
    """Return a task with a loss of the user's own: `loss(outputs, targets)`, as `Task.loss`."""
    return replace(TASKS[name], loss=loss, loss_name=name_of(loss), row_losses=None, smoothed=None)


def class_task(classes: int) -> Task:
    """Return the task of so many classes that are all known."""
    return TASKS["binary" if classes == 2 else "multiclass"]


def class_numbers(targets: Tensor) -> Tensor:
    """Return the class numbers [N] of targets as a loss of classes takes them."""
    return targets.flatten().long()


def mean_loss(
    task: Task, outputs: Tensor, targets: Tensor, weights: Tensor | None, label_smoothing: float = 0.0
) -> Tensor:
    """Return the loss that is trained on: the mean over rows of weight [N] times loss; None weighs all rows alike.

    The mean divides by the number of rows, not by their weights as torch's losses do: a batch of one row would else have none.
    `label_smoothing` is that of `TrialSpec`.
    """
    if label_smoothing:
        assert task.smoothed is not None  # `check_labels` refuses the others
        targets = task.smoothed(targets, outputs, label_smoothing)
    if weights is None:
        return task.loss(outputs, targets)
    assert task.row_losses is not None  # `Data.with_loss` refuses weights
    return (weights * task.row_losses(outputs, targets)).mean()


def weighted(task: Task, weights: Tensor) -> Task:
    """Return a task of classes whose loss is `mean_loss` with the weights [C] of the classes."""
    if not task.has_classes:
        raise ValueError(f"a {task.name} task has no classes to weigh")

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return mean_loss(task, outputs, targets, weights[class_numbers(targets)])

    return replace(task, loss=loss)


def choose_metric(task: Task, name: str | None) -> Metric:
    """Return the named metric, or the task's default one.

    Raises:
        UserError: no such metric, or one that does not fit the task.
    """
    metric = look_up(METRICS, name or task.metrics[0], "metric")
    if metric.name not in task.metrics:
        raise UserError(f"metric '{name}' does not fit a {task.name} task. Choose one of: {', '.join(task.metrics)}.")
    return metric


def infer_task(targets: npt.NDArray[Any], asked: str | None = None, named_classes: int = 0) -> tuple[Task, str]:
    """Return the task of targets ([N] or [N, K], numbers or objects that are text) and one sentence that says why.

    The rule: several target columns of 0 and 1 → multilabel. Numbers with fractions and other target columns → regression.
    Text, truth values and whole numbers (floats without fractions too) are classes: 2 distinct values → binary, more → multiclass;
    but whole numbers with more than 20 distinct values → regression, at any number of rows. `asked` names the task instead; a data set
    that names its classes (`named_classes` of them) has classes.

    Raises:
        UserError: no such task, or one that these targets cannot have.
    """
    from hpsearch.data.targets import facts_of, refuse_one_hot

    if asked is None and named_classes:
        return class_task(named_classes), f"The data set names its {named_classes} classes."
    facts = facts_of(targets)
    if asked is None:
        if facts.columns > 1:
            refuse_one_hot(targets)
        claims = ((task, task.infers(facts)) for task in TASKS.values())
        task, conclusion = next(claim for claim in claims if claim[1])
        return task, f"The {facts.sentence}, so {conclusion}."
    task = look_up(TASKS, asked, "task")
    needs = task.needs(facts)
    if needs:
        raise UserError(
            f"task '{asked}' needs {needs}, but the {facts.sentence}. Choose another task, or leave it out."
        )
    return task, f"Asked for by name; the {facts.sentence}."
