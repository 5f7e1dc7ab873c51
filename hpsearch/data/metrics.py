"""Metrics and objectives: what a search optimises, as literal tables of rows. A new metric is one row, and an objective with it.

A metric is computed from predictions *after* the head (probabilities for classes, original units for regression), like the function of
scikit-learn that it is tested against; several target columns are averaged with equal weight. `worst` is what the sampler gets for
a trial that failed: finite, and no better than any sane network, yet near enough to real values not to ruin a sampler's scale: 0 for
a share, -1 for R² and correlations.

A class that rows lack: balanced accuracy and the area under the ROC curve leave it out, and so does the macro F1 where no row is taken
for it either. The area of rows that are all of one class is NaN, as scikit-learn's.

Shapes: predictions and targets of regression and of binary tasks are [N, K] and [N, 1], of multilabel ones [N, L]; multiclass predictions
are [N, C] and targets [N], class numbers from 0. A row of `METRICS` takes predictions of several networks as well, [..., N, K], and gives a
number for each [...]: on a GPU that is as many launches as for one.

The first objective of a study is its metric, which training tracks and by which the best network is chosen. The others are computed
once, when a trial ends, of the network at its best evaluation. Importing this module does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from math import ceil, isfinite, log, prod, sqrt
from typing import TYPE_CHECKING, Any, Literal, Optional, Union

from hpsearch.trial import Direction, TrainingRun

if TYPE_CHECKING:
    from torch import Tensor

    from hpsearch.data.dataset import Data

Outputs = Callable[[], "Tensor"]
Number = Union[float, "Tensor"]
Predicts = Literal["values", "classes", "labels"]
Weights = Optional["Tensor"]  # of rows [N]; None: all alike
OWN_BASELINES = {"values": "mean", "classes": "most_frequent", "labels": "frequent_labels"}  # of a user's own metrics
HALF = 0.5  # of a probability, from which on a row has a label or is of the second of two classes
OF_PROBABILITIES = ("y_score", "y_prob", "y_proba")  # how scikit-learn calls the argument of a metric of probabilities


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of `METRICS`: `number(predictions, targets)` on any rows, `worst(targets)` from the training rows.

    Where rows have weights [N], `number` gets them as a third argument (see `of`). It is a float, or a tensor [] where nobody needs to wait
    for the device; a tensor [T] of predictions [T, N, K], which the user's own function does not take.

    `predicts` says which tasks have it: those of `TASKS` with the same word. `baseline` is the strategy of the best predictor that sees no
    input: one of scikit-learn's `DummyClassifier` or `DummyRegressor` ("constant" is always the second of two classes), of labels one of
    `LABEL_STRATEGIES`.

    One that is `by_class` depends on which classes its rows have: where rows are drawn again, each class keeps its number of rows.
    One that `is_share` is written in percent; one that `counts_rows` is the share of rows that are right. `short_title` is for axes and
    tables; the name where there is none. `row_values(predictions, targets)` are there where the metric is a mean over rows.
    """

    name: str
    title: str
    description: str
    direction: Direction
    predicts: Predicts
    number: Callable[..., Number]
    worst: Callable[[Tensor], float]
    baseline: str
    by_class: bool = False
    is_share: bool = False
    counts_rows: bool = False
    short_title: str = ""
    perfect: float | None = None  # no value is better; None: there may always be one
    row_values: Callable[[Tensor, Tensor], Tensor] | None = None  # [N, K]: their mean over rows, then over columns
    is_root: bool = False  # of the mean over rows
    function: Callable[..., float] | None = None  # the user's own, of which the metric was made

    def of(self, predictions: Tensor, targets: Tensor, weights: Weights = None) -> float:
        """Return the metric of predictions for targets, rows weighing as their weights [N] say (None: all alike)."""
        return float(self.unread(predictions, targets, weights))

    def unread(self, predictions: Tensor, targets: Tensor, weights: Weights = None) -> Number:
        """Return the metric (see `of`), which may be on the device still."""
        if weights is None:
            return self.number(predictions, targets)
        return self.number(predictions, targets, weights)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a metric by its name, or by the user's function."""
        if self.function is not None:
            return own_metric, (self.function, self.direction, self.predicts)
        return metric_named, (self.name,)


def metric_named(name: str) -> Metric:
    """Return the row of `METRICS` of a name."""
    return METRICS[name]


def name_of(function: object) -> str:
    """Return the name of a user's function, as reports write it."""
    return str(getattr(function, "__name__", type(function).__name__))


def own_metric(function: Callable[..., float], direction: Direction, predicts: Predicts) -> Metric:
    """Return the metric of a function of the user's own with scikit-learn's order of arguments: `function(y_true, y_pred)`.

    Both are NumPy arrays [N]: numbers in the target's units ([N, K] of several targets), or class numbers in the order of `classes`. A
    function whose second argument is called as one of `OF_PROBABILITIES` gets probabilities: [N] of the second of two classes, else [N, C].
    """
    name = name_of(function)
    of_probabilities = predicts == "classes" and _second_argument(function) in OF_PROBABILITIES

    def compute(predictions: Tensor, targets: Tensor, weights: Weights = None) -> float:
        options = {}
        if weights is not None:
            options["sample_weight"] = _numbers(weights)
        if predicts != "values" and not of_probabilities:
            taken, known = labels(predictions, targets)
            return float(function(_numbers(known.long()), _numbers(taken.long()), **options))
        return float(function(_numbers(targets), _numbers(predictions), **options))

    return Metric(
        name=name,
        title=name,
        description=f"the function {name} of the study",
        direction=direction,
        predicts=predicts,
        number=compute,
        worst=lambda targets: _worse_than_constant(compute, direction, predicts, targets),
        baseline=OWN_BASELINES[predicts],
        by_class=predicts == "classes",
        function=function,
    )


def takes_weights(function: Callable[..., float]) -> bool:
    """Whether a function of the user's own takes the weights of rows, as scikit-learn's metrics do."""
    return "sample_weight" in _arguments(function)


def _second_argument(function: Callable[..., float]) -> str:
    """Return the name of a function's second argument, empty where it tells none."""
    names = _arguments(function)
    return names[1] if len(names) > 1 else ""


def _arguments(function: Callable[..., float]) -> list[str]:
    """Return the names of a function's arguments, none where it does not tell them."""
    try:
        return [*signature(function).parameters]
    except (TypeError, ValueError):
        return []


def _numbers(tensor: Tensor) -> Any:
    """Return a tensor [N, K] as an array; of one column [N]."""
    array = tensor.detach().cpu().numpy()
    has_one_column = array.ndim == 2 and array.shape[1] == 1
    return array[:, 0] if has_one_column else array


def _worse_than_constant(
    compute: Callable[[Tensor, Tensor], float],
    direction: Direction,
    predicts: Predicts,
    targets: Tensor,
) -> float:
    """Return a value that no sane network has: worse than the best constant's by as much as that is away from 0, at least by 1."""
    constant = compute(_constant(targets, predicts), targets)
    if not isfinite(constant):
        constant = 0.0
    if direction == "minimize":
        return constant + max(1.0, 9 * abs(constant))
    return constant - max(1.0, abs(constant))


def _constant(targets: Tensor, predicts: Predicts) -> Tensor:
    """Return the mean of the targets, or the shares of the classes, as the predictions for each row."""
    import torch.nn.functional as F

    if predicts == "classes" and targets.dim() == 1:
        return F.one_hot(targets.long()).double().mean(dim=0).expand(len(targets), -1)
    return targets.double().mean(dim=0).expand(len(targets), -1)


def total(values: Tensor, dim: int = -1) -> Tensor:
    """Return the sums over a dimension, of which each is added in an order that its length alone decides.

    On a GPU torch's sums are spread over threads by how many of them there are, so that a trial's would depend on the trials beside it.
    Pooling has one thread for a window.
    """
    if not values.is_cuda:
        return values.sum(dim)
    values = values.movedim(dim, -1)
    windows = _sums_of_windows(values, ceil(sqrt(values.shape[-1])))
    return _sums_of_windows(windows, windows.shape[-1]).squeeze(-1)


def _sums_of_windows(values: Tensor, size: int) -> Tensor:
    """Return the sums [..., W] of so many neighbours each in values [..., N]."""
    import torch.nn.functional as F

    count = values.shape[-1]
    if count == 1:
        return values
    rows = values.reshape(-1, 1, 1, count)
    if count % size:
        rows = F.pad(rows, (0, -count % size))
    return F.avg_pool2d(rows, (1, size), divisor_override=1).view(*values.shape[:-1], -1)


def mean(values: Tensor, dim: int = -1) -> Tensor:
    """Return the means over a dimension, added as `total` does."""
    return total(values, dim) / values.shape[dim]


def _mean(values: Tensor, weights: Weights) -> Tensor:
    """Return the mean [...] of values [..., N], weighted where rows have weights."""
    if weights is None:
        return mean(values)
    return total(values * weights) / total(weights.double())


def _columns(values: Tensor, weights: Weights) -> Tensor:
    """Return the mean [..., K] of each column of values [..., N, K], weighted where rows have weights."""
    if weights is None:
        return mean(values, -2)
    return total(values * weights.double()[:, None], -2) / total(weights.double())


def _not_zero(amounts: Tensor) -> Tensor:
    """Return amounts to divide by, 1 in the place of 0."""
    return amounts.where(amounts > 0, 1.0)


def labels(predictions: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the classes that rows are taken for and those that they have: numbers [..., N], or truth values [..., N, 1] of two classes."""
    if targets.dim() == 1:
        return predictions.argmax(dim=-1), targets
    return predictions >= HALF, targets >= HALF


def _by_row(values: Tensor, targets: Tensor) -> Tensor:
    """Return values [..., N] of rows, where they may have a column as targets [N, 1] do."""
    return values if targets.dim() == 1 else values.flatten(-2)


def _accuracy(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    taken, known = labels(predictions, targets)
    return _mean(_by_row((taken == known).double(), targets), weights)


def confusion(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    """Return how many rows of each class were taken for each class, or their weights: [..., C, C], the known class first, float64."""
    import torch

    taken, known = labels(predictions, targets)
    classes = predictions.shape[-1] if targets.dim() == 1 else 2
    pairs = _by_row(known.long() * classes + taken.long(), targets)  # [..., N]
    networks = pairs.shape[:-1]
    if networks:  # each has its own part of the counts
        firsts = classes**2 * torch.arange(prod(networks), device=pairs.device)
        pairs = pairs + firsts.view(*networks, 1)
    amounts = None if weights is None else weights.double().expand(pairs.shape).flatten()
    counts = pairs.flatten().bincount(amounts, minlength=prod(networks) * classes**2)
    return counts.view(*networks, classes, classes).double()


def _of_tables(score: Callable[[Tensor], float], tables: Tensor) -> Number:
    """Return the score of each confusion [..., C, C]; the device is waited for once."""
    import torch

    tables = tables.cpu()
    if tables.dim() == 2:
        return score(tables)
    scores = [score(table) for table in tables.flatten(0, -3)]
    return torch.tensor(scores, dtype=torch.float64).view(tables.shape[:-2])


def _balanced_accuracy(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Number:
    """Return the share of hits among the rows of a class, its mean over the classes."""

    def score(table: Tensor) -> float:
        rows = table.sum(dim=1)  # [C]
        return float((table.diagonal() / rows)[rows > 0].mean())

    return _of_tables(score, confusion(predictions, targets, weights))


def _f1(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Number:
    """Return the harmonic mean of precision and recall: of the second of two classes, or its mean over several classes."""

    def score(table: Tensor) -> float:
        involved = table.sum(dim=0) + table.sum(dim=1)  # [C], rows of a class and rows taken for it
        scores = 2 * table.diagonal() / _not_zero(involved)
        if targets.dim() == 2:
            return float(scores[1])
        return float(scores[involved > 0].mean())

    return _of_tables(score, confusion(predictions, targets, weights))


def _matthews(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Number:
    """Return the correlation of taken and known classes (Matthews 1975; Gorodkin 2004 for several); 0 where one of them does not vary."""

    def score(table: Tensor) -> float:
        rows, taken, known = table.sum(), table.sum(dim=0), table.sum(dim=1)  # [], [C], [C]
        spread = (rows**2 - taken.square().sum()) * (rows**2 - known.square().sum())
        shared = rows * table.diagonal().sum() - (taken * known).sum()
        return float(shared / spread.sqrt()) if spread > 0 else 0.0

    return _of_tables(score, confusion(predictions, targets, weights))


def _area_under_curve(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    """Of several classes each against the rest, all with equal weight (macro average)."""
    import torch

    # Ranks are computed on the host.
    predictions, targets = predictions.cpu(), targets.cpu()
    weights = None if weights is None else weights.cpu()
    scores = predictions.transpose(-1, -2)  # [..., C, N]
    if targets.dim() == 2:
        area = _areas(scores, targets.T >= HALF, weights).mean(dim=-1)
    else:
        classes = torch.arange(predictions.shape[-1])
        area = _areas(scores, targets == classes[:, None], weights).nanmean(dim=-1)
    return area.where(~predictions.isnan().flatten(-2).any(dim=-1), float("nan"))


def _areas(scores: Tensor, hits: Tensor, weights: Weights) -> Tensor:
    """Return the areas [..., C] of scores [..., C, N], where `hits` [C, N] are the rows that should be high; NaN if these are all or none.

    It is the chance that a row of the class has a higher score than another row, ties counting half: Mann and Whitney's (1947) statistic
    over the number of pairs, computed from ranks, with no loop over thresholds or classes.
    """
    import torch
    from scipy.stats import rankdata

    if weights is not None:
        pairs = zip(scores.reshape(-1, scores.shape[-1]), hits.expand(scores.shape).flatten(0, -2), strict=True)
        return torch.stack([_weighted_area(*pair, weights.double()) for pair in pairs]).view(scores.shape[:-1])
    ranks = torch.from_numpy(rankdata(scores.numpy(), axis=-1))  # [..., C, N]
    count = hits.sum(dim=-1).double()  # [C]
    above = (ranks * hits).sum(dim=-1) - count * (count + 1) / 2  # pairs in the right order
    return above / (count * (scores.shape[-1] - count))


def _weighted_area(scores: Tensor, hits: Tensor, weights: Tensor) -> Tensor:
    """Return the area of one class, as in `_areas`, each pair of rows weighing the product of their weights [N]."""
    import torch

    _, places = scores.unique(return_inverse=True)  # [N], ascending
    low = torch.zeros(int(places.max()) + 1, dtype=torch.float64)
    low = low.index_add(0, places, torch.where(hits, 0.0, weights))  # of the rows that should be low, by score
    below = low.cumsum(0) - low / 2
    above = (torch.where(hits, weights, 0.0) * below[places]).sum()
    return above / (weights[hits].sum() * weights[~hits].sum())


def _log_losses(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the log loss of each row, and of each label of several.

    Clip at the precision of the predictions, as scikit-learn does: a certain and wrong prediction costs 15.9 in float32.
    """
    import torch

    if targets.dim() == 1:
        right = predictions.gather(-1, targets[:, None].expand(*predictions.shape[:-1], 1))
    else:
        right = torch.where(targets >= HALF, predictions, 1 - predictions)
    tiny = torch.finfo(predictions.dtype).eps
    return -right.clamp(tiny, 1 - tiny).double().log()


def _log_loss(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    return _mean(_log_losses(predictions, targets).flatten(-2), weights)


def _squared_errors(predictions: Tensor, targets: Tensor) -> Tensor:
    return (predictions.double() - targets.double()).square()


def _distances(predictions: Tensor, targets: Tensor) -> Tensor:
    return (predictions.double() - targets.double()).abs()


def _root_mean_squared_error(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    return mean(_columns(_squared_errors(predictions, targets), weights).sqrt())


def _mean_absolute_error(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    distances = _distances(predictions, targets)
    if weights is None:
        return mean(distances.flatten(-2))
    return mean(_columns(distances, weights))


def _determination(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    """1 − squared error / squared error of the mean; where the targets do not vary, 1 for no error and 0 for any."""
    import torch

    known = targets.double()
    parts = 1 if weights is None else weights.double()[:, None]
    error = total(parts * (predictions.double() - known).square(), -2)  # [..., K]
    spread = total(parts * (known - _columns(known, weights)).square(), -2)  # [K]
    varies = spread > 0
    constant = torch.where(error > 0, 0.0, 1.0).to(error)
    # A NaN prediction is not "no error": it stays NaN, so that nobody takes it for a result.
    return mean(torch.where(varies | error.isnan(), 1 - error / spread, constant))


def label_counts(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    """Return for each label the rows (or their weights) that have it not or have it, by whether they were taken for it.

    It is [..., L, 2, 2], whether it has it first, float64.
    """
    import torch

    taken = (predictions >= HALF).double()
    known = (targets >= HALF).double()
    parts = 1 if weights is None else weights.double()[:, None]
    both = total(parts * known * taken, -2)  # [..., L]
    only_known = total(parts * known * (1 - taken), -2)
    only_taken = total(parts * (1 - known) * taken, -2)
    neither = total(parts * (1 - known) * (1 - taken), -2)
    counts = torch.stack([neither, only_taken, only_known, both], dim=-1)
    return counts.view(*counts.shape[:-1], 2, 2)


def _label_f1(hits: Tensor, misses: Tensor) -> Tensor:
    """Return the F1 of so many hits, and rows that were missed or wrongly taken; 0 where there are none of either."""
    return 2 * hits / _not_zero(2 * hits + misses)


def _f1_micro(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    counts = total(label_counts(predictions, targets, weights), -3)
    return _label_f1(counts[..., 1, 1], counts[..., 0, 1] + counts[..., 1, 0])


def _f1_macro(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    counts = label_counts(predictions, targets, weights)
    return mean(_label_f1(counts[..., 1, 1], counts[..., 0, 1] + counts[..., 1, 0]))


def _subset_accuracy(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    return _mean(((predictions >= HALF) == (targets >= HALF)).all(dim=-1).double(), weights)


def _label_accuracy(predictions: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    return mean(_columns(((predictions >= HALF) == (targets >= HALF)).double(), weights))


def _ten_times_constant_rmse(targets: Tensor) -> float:
    return 10 * float(_root_mean_squared_error(targets.double().mean(dim=0), targets))


def _ten_times_constant_mae(targets: Tensor) -> float:
    return 10 * float(_mean_absolute_error(targets.double().median(dim=0).values, targets))


def _ten_times_guessing(targets: Tensor) -> float:
    """Guessing all classes alike costs log(classes)."""
    return 10 * log(2 if targets.dim() == 2 else max(2, int(targets.max()) + 1))


METRICS = {
    "accuracy": Metric(
        name="accuracy",
        title="Accuracy",
        description="share of rows that are taken for their class",
        direction="maximize",
        perfect=1.0,
        predicts="classes",
        number=_accuracy,
        worst=lambda targets: 0.0,
        baseline="most_frequent",
        is_share=True,
        counts_rows=True,
    ),
    "balanced_accuracy": Metric(
        name="balanced_accuracy",
        title="Balanced accuracy",
        description="share of rows of a class that are taken for it, mean over the classes",
        direction="maximize",
        perfect=1.0,
        predicts="classes",
        number=_balanced_accuracy,
        worst=lambda targets: 0.0,
        baseline="most_frequent",
        by_class=True,
        is_share=True,
    ),
    "f1": Metric(
        name="f1",
        title="Harmonic mean F1 of precision and recall",
        description="harmonic mean of precision and recall: of the second of two classes, or its mean over several classes",
        direction="maximize",
        perfect=1.0,
        predicts="classes",
        number=_f1,
        worst=lambda targets: 0.0,
        baseline="constant",
        by_class=True,
        short_title="F1",
    ),
    "mcc": Metric(
        name="mcc",
        title="Matthews correlation coefficient",
        description="correlation of the classes that rows are taken for and those that they have: 1 is exact, 0 as guessing",
        direction="maximize",
        predicts="classes",
        number=_matthews,
        worst=lambda targets: -1.0,
        baseline="most_frequent",
        by_class=True,
        short_title="MCC",
        perfect=1.0,
    ),
    "roc_auc": Metric(
        name="roc_auc",
        title="Area under the ROC curve",
        description="chance that a row of a class has a higher probability of it than another row, mean over the classes",
        direction="maximize",
        perfect=1.0,
        predicts="classes",
        number=_area_under_curve,
        worst=lambda targets: 0.0,
        baseline="prior",
        by_class=True,
        short_title="ROC AUC",
    ),
    "log_loss": Metric(
        name="log_loss",
        title="Log loss",
        description="mean negative logarithm of the probability that a row's class was given",
        direction="minimize",
        perfect=0.0,
        predicts="classes",
        number=_log_loss,
        row_values=_log_losses,
        worst=_ten_times_guessing,
        baseline="prior",
    ),
    "rmse": Metric(
        name="rmse",
        title="Root mean squared error",
        description="root of the mean squared error, in the target's units",
        direction="minimize",
        perfect=0.0,
        predicts="values",
        number=_root_mean_squared_error,
        row_values=_squared_errors,
        is_root=True,
        worst=_ten_times_constant_rmse,
        baseline="mean",
        short_title="RMSE",
    ),
    "mae": Metric(
        name="mae",
        title="Mean absolute error",
        description="mean distance of prediction and target, in the target's units",
        direction="minimize",
        perfect=0.0,
        predicts="values",
        number=_mean_absolute_error,
        row_values=_distances,
        worst=_ten_times_constant_mae,
        baseline="median",
        short_title="MAE",
    ),
    "r2": Metric(
        name="r2",
        title="Coefficient of determination R²",
        description="share of the target's variance that is predicted: 1 is exact, 0 as good as the mean",
        direction="maximize",
        perfect=1.0,
        predicts="values",
        number=_determination,
        # Twice the squared error of the best constant, whose own is 0; a lower value would drown a Gaussian process's scale.
        worst=lambda targets: -1.0,
        baseline="mean",
        short_title="R²",
    ),
    "f1_micro": Metric(
        name="f1_micro",
        title="Micro F1",
        description="harmonic mean of precision and recall over all rows and labels together",
        direction="maximize",
        predicts="labels",
        number=_f1_micro,
        worst=lambda targets: 0.0,
        baseline="frequent_labels",
        perfect=1.0,
    ),
    "f1_macro": Metric(
        name="f1_macro",
        title="Macro F1",
        description="harmonic mean of precision and recall of a label, mean over the labels; 0 for one that no row has or is taken for",
        direction="maximize",
        predicts="labels",
        number=_f1_macro,
        worst=lambda targets: 0.0,
        baseline="every_label",
        perfect=1.0,
    ),
    "subset_accuracy": Metric(
        name="subset_accuracy",
        title="Subset accuracy",
        description="share of rows whose labels are all right",
        direction="maximize",
        predicts="labels",
        number=_subset_accuracy,
        worst=lambda targets: 0.0,
        baseline="most_frequent_row",
        is_share=True,
        counts_rows=True,
        perfect=1.0,
    ),
    "label_accuracy": Metric(
        name="label_accuracy",
        title="Mean accuracy of a label",
        description="share of right labels, mean over the labels (1 less the Hamming loss)",
        direction="maximize",
        predicts="labels",
        number=_label_accuracy,
        worst=lambda targets: 0.0,
        baseline="majority",
        is_share=True,
        short_title="label accuracy",
        perfect=1.0,
    ),
}


@dataclass(frozen=True, slots=True)
class Objective:
    """A row of `OBJECTIVES`.

    `of_run(run, data, outputs)` is its value for a run that has not failed; `outputs()` computes the network's raw outputs [N, ...] for
    the validation rows of the data, where they are asked for. `worst(data, largest)` is the value of a failed trial, `largest` being
    the parameters of the largest network of the space. `of_rows`: it is measured on validation rows, and so has one value a fold.
    """

    name: str
    direction: Direction
    of_run: Callable[[TrainingRun, Data, Outputs], float]
    worst: Callable[[Data, int], float]
    of_rows: bool = True


def _objective(metric: Metric) -> Objective:
    return Objective(
        metric.name,
        metric.direction,
        lambda run, data, outputs: data.measure(metric, outputs(), data.validation),
        lambda data, largest: metric.worst(data.original(data.training.targets)),
    )


OBJECTIVES: dict[str, Objective] = {
    **{name: _objective(metric) for name, metric in METRICS.items()},
    "parameters": Objective(
        "parameters",
        "minimize",
        lambda run, data, outputs: float(run.parameters),
        lambda data, largest: float(largest),
        of_rows=False,
    ),
}
