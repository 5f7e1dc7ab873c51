"""Tasks: what is predicted, and the output head, loss and metrics that belong to it, as a literal table of rows.

A network gives raw outputs (logits). The loss works on those, where it is numerically stable; the head turns them into predictions:
values or probabilities. `infer_task` picks the row from the targets. Importing this module does not import torch.

Shapes: regression outputs and targets [N, K]; binary outputs and targets [N, 1]; multiclass outputs [N, C], targets [N].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hpsearch.data.metrics import METRICS, Metric
from hpsearch.errors import UserError, look_up

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

# More distinct whole numbers than this, with fewer rows than this for each, are measurements and not classes.
MANY_VALUES = 20

# What targets can hold, as the report says it.
TEXT, TRUTH, WHOLE = "text", "truth values", "whole numbers"
FRACTIONS, SEVERAL = "numbers with fractions", "several columns of numbers"


@dataclass(frozen=True, slots=True)
class Task:
    """A row of `TASKS`.

    `loss(outputs, targets)` is the mean over rows (and target columns), a scalar tensor with a gradient; `row_losses(outputs, targets)`
    are those of a task of classes before the mean, [N], None where rows have no class; `head(outputs)` gives the predictions;
    `outputs(targets, classes)` how many outputs a network needs; `metrics` are names of `METRICS`, the first is the default;
    `reason` says in one sentence why this head and this loss belong together.
    """

    name: str
    title: str
    head_name: str
    loss_name: str
    metrics: tuple[str, ...]
    loss: Callable[[Tensor, Tensor], Tensor]
    row_losses: Callable[[Tensor, Tensor], Tensor] | None
    head: Callable[[Tensor], Tensor]
    outputs: Callable[[Tensor, int], int]
    reason: str


def _squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    import torch.nn.functional as F

    return F.mse_loss(outputs, targets)


def _binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    import torch.nn.functional as F

    return F.binary_cross_entropy_with_logits(outputs, targets)


def _binary_row_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    import torch.nn.functional as F

    return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").squeeze(1)


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    import torch.nn.functional as F

    return F.cross_entropy(outputs, targets)


def _row_cross_entropies(outputs: Tensor, targets: Tensor) -> Tensor:
    import torch.nn.functional as F

    return F.cross_entropy(outputs, targets, reduction="none")


TASKS = {
    "regression": Task(
        name="regression",
        title="Regression",
        head_name="linear",
        loss_name="squared error",
        metrics=("rmse", "mae", "r2"),
        loss=_squared_error,
        row_losses=None,
        head=lambda outputs: outputs,
        outputs=lambda targets, classes: targets.shape[1],
        reason="A linear output can take every real value, and the squared error is the negative log-likelihood of a target "
        "scattered normally around it, so the output learns the target's mean.",
    ),
    "binary": Task(
        name="binary",
        title="Binary classification",
        head_name="sigmoid",
        loss_name="binary cross-entropy",
        metrics=("accuracy", "balanced_accuracy", "f1", "roc_auc", "log_loss"),
        loss=_binary_cross_entropy,
        row_losses=_binary_row_losses,
        head=lambda outputs: outputs.sigmoid(),
        outputs=lambda targets, classes: 1,
        reason="The sigmoid turns one logit into the probability of the second class, and the cross-entropy is that probability's "
        "negative log-likelihood; together their gradient is prediction minus target, which does not fade while the network is wrong.",
    ),
    "multiclass": Task(
        name="multiclass",
        title="Multiclass classification",
        head_name="softmax",
        loss_name="cross-entropy",
        metrics=("accuracy", "balanced_accuracy", "f1", "roc_auc", "log_loss"),
        loss=_cross_entropy,
        row_losses=_row_cross_entropies,
        head=lambda outputs: outputs.softmax(dim=-1),
        outputs=lambda targets, classes: classes,
        reason="The softmax turns one logit for each class into probabilities that sum to one, and the cross-entropy is their "
        "negative log-likelihood; together their gradient is prediction minus target, which does not fade while the network is wrong.",
    ),
}


def class_numbers(targets: Tensor) -> Tensor:
    """Return the class numbers [N] of targets as a loss of classes takes them."""
    return targets.flatten().long()


def weighted(task: Task, weights: Tensor) -> Task:
    """Return a task of classes whose loss is the mean over rows of weight times loss, the weights [C] being those of the classes.

    The mean divides by the number of rows, not by their weights as torch's losses do: a batch of one row would else have none.
    """
    row_losses = task.row_losses
    assert row_losses is not None, "a regression has no classes"

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return (weights[class_numbers(targets)] * row_losses(outputs, targets)).mean()

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


def infer_task(targets: npt.NDArray[Any], override: str | None = None, named: int = 0) -> tuple[Task, str]:
    """Return the task of targets ([N] or [N, K], numbers or objects that are text) and one sentence that says why.

    The rule: numbers with fractions and several target columns → regression. Text, truth values and whole numbers (floats without
    fractions too) are classes: 2 distinct values → binary, more → multiclass; but whole numbers with more than 20 distinct values
    and on average fewer than 20 rows for each → regression. `override` names the task instead;
    a data set that names its classes (`named` of them) has classes.

    Raises:
        UserError: no such task, or one that these targets cannot have.
    """
    kind, distinct = _nature(targets)
    values = f"{distinct:,} distinct value{'s' * (distinct != 1)}"
    facts = f"the target holds {kind}" + ("" if kind in (FRACTIONS, SEVERAL) else f" with {values}")
    if override is None and named:
        return TASKS["binary" if named == 2 else "multiclass"], f"The data set names its {named} classes."
    if override is None:
        name, conclusion = _rule(kind, distinct, targets.shape)
        return TASKS[name], f"{facts[0].upper()}{facts[1:]}, so {conclusion}."
    task = look_up(TASKS, override, "task")
    needs = _obstacle(task, kind, distinct)
    if needs:
        raise UserError(f"task '{override}' needs {needs}, but {facts}. Choose another task, or leave it out.")
    return task, f"Asked for by name; {facts}."


def _nature(targets: npt.NDArray[Any]) -> tuple[str, int]:
    """Return what the targets hold, and how many distinct values."""
    import numpy as np

    if targets.ndim == 2:
        return SEVERAL, 0
    kinds = {"O": TEXT, "b": TRUTH, "f": FRACTIONS}
    kind = kinds.get(targets.dtype.kind, WHOLE)
    if kind == FRACTIONS and bool(np.all(targets == np.floor(targets))):
        kind = WHOLE
    return kind, len(np.unique(targets))


def _rule(kind: str, distinct: int, shape: tuple[int, ...]) -> tuple[str, str]:
    rows = shape[0]
    if kind == SEVERAL:
        return "regression", f"{shape[1]} numbers are predicted by one network"
    if kind == FRACTIONS:
        return "regression", "a number is predicted"
    if kind == WHOLE and distinct > MANY_VALUES and rows < MANY_VALUES * distinct:
        return "regression", f"with only {rows / distinct:.1f} rows for each a number is predicted, not a class"
    if distinct == 2:
        return "binary", "one of two classes is predicted"
    order = "; their order plays no part (task 'regression' predicts a number instead)" if kind == WHOLE else ""
    return "multiclass", f"one of several classes is predicted{order}"


def _obstacle(task: Task, kind: str, distinct: int) -> str:
    """Return what the task needs and the targets lack, or nothing."""
    if task.name == "regression":
        return "numbers" if kind == TEXT else ""
    if kind in (FRACTIONS, SEVERAL):
        return "one column of classes (text or whole numbers)"
    return "2 classes" if task.name == "binary" and distinct != 2 else ""
