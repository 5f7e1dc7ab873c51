"""Metrics: what a search makes better, as a literal table of rows. A new metric is one row.

Each is computed from predictions *after* the head (probabilities for classes, original units for regression), like the function of
scikit-learn that it is tested against; several target columns are averaged with equal weight. `worst` is what the sampler is told for
a trial that failed: finite, and no better than any sane network, yet near enough to real values not to ruin a sampler's scale.

Shapes: predictions and targets of regression and of binary tasks are [N, K] and [N, 1]; multiclass predictions are [N, C] and targets
[N], class numbers from 0. Importing this module does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of `METRICS`: `compute(predictions, targets)` on any rows, `worst(targets)` from the training rows; both give floats."""

    name: str
    title: str
    direction: Literal["maximize", "minimize"]
    compute: Callable[[Tensor, Tensor], float]
    worst: Callable[[Tensor], float]


def _accuracy(predictions: Tensor, targets: Tensor) -> float:
    labels, known = (predictions.argmax(dim=1), targets) if targets.dim() == 1 else (predictions >= 0.5, targets >= 0.5)
    return float((labels == known).double().mean())


def _log_loss(predictions: Tensor, targets: Tensor) -> float:
    """Clip at the precision of the predictions, as scikit-learn does: a certain and wrong prediction costs 15.9 in float32."""
    import torch

    several = targets.dim() == 1
    right = (
        predictions.gather(1, targets[:, None])
        if several
        else torch.where(targets >= 0.5, predictions, 1 - predictions)
    )
    tiny = torch.finfo(predictions.dtype).eps
    return float(-right.clamp(tiny, 1 - tiny).double().log().mean())


def _root_mean_squared_error(predictions: Tensor, targets: Tensor) -> float:
    return float((predictions.double() - targets.double()).square().mean(dim=0).sqrt().mean())


def _mean_absolute_error(predictions: Tensor, targets: Tensor) -> float:
    return float((predictions.double() - targets.double()).abs().mean())


def _determination(predictions: Tensor, targets: Tensor) -> float:
    """1 − squared error / squared error of the mean; where the targets do not vary, 1 for no error and 0 for any."""
    import torch

    known = targets.double()
    error = (predictions.double() - known).square().sum(dim=0)  # [K]
    spread = (known - known.mean(dim=0)).square().sum(dim=0)  # [K]
    varies = spread > 0
    constant = torch.where(error > 0, 0.0, 1.0).to(error)
    # A NaN prediction is not "no error": it stays NaN, so that nobody takes it for a result.
    return float(torch.where(varies | error.isnan(), 1 - error / spread, constant).mean())


def _ten_times_constant_rmse(targets: Tensor) -> float:
    return 10 * _root_mean_squared_error(targets.double().mean(dim=0), targets)


def _ten_times_constant_mae(targets: Tensor) -> float:
    return 10 * _mean_absolute_error(targets.double().median(dim=0).values, targets)


def _ten_times_guessing(targets: Tensor) -> float:
    """Guessing all classes alike costs log(classes)."""
    return 10 * log(2 if targets.dim() == 2 else max(2, int(targets.max()) + 1))


def _no_hit(targets: Tensor) -> float:
    return 0.0


def _twice_the_spread(targets: Tensor) -> float:
    """-1 is twice the squared error of the best constant, whose own is 0; a lower value would drown a Gaussian process's scale."""
    return -1.0


METRICS = {
    "accuracy": Metric("accuracy", "Accuracy", "maximize", _accuracy, _no_hit),
    "log_loss": Metric("log_loss", "Log loss", "minimize", _log_loss, _ten_times_guessing),
    "rmse": Metric("rmse", "Root mean squared error", "minimize", _root_mean_squared_error, _ten_times_constant_rmse),
    "mae": Metric("mae", "Mean absolute error", "minimize", _mean_absolute_error, _ten_times_constant_mae),
    "r2": Metric("r2", "Coefficient of determination R²", "maximize", _determination, _twice_the_spread),
}
