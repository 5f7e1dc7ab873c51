"""A data set as training sees it: tensors in memory, three parts, one task, one metric. Frozen; `to` gives a copy elsewhere.

There is no loader and no transform: an epoch is an index into two tensors that live on the device.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from hpsearch.data.metrics import Metric
from hpsearch.data.tasks import Task


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of one part: `inputs` [N, F], standardised; `targets` as the task's loss takes them.

    Regression: [N, K], standardised. Binary: [N, 1], 0 or 1. Multiclass: [N] int64.
    """

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Rows":
        """Return the rows on a device; floating-point tensors get the type, class numbers stay int64."""
        targets = self.targets.to(device, dtype if self.targets.is_floating_point() else None)
        return Rows(self.inputs.to(device, dtype), targets)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """A data set that is ready to train on.

    `shape` is that of one input, (F,) of a table or (channels, height, width); inputs themselves are flat. `classes` are the labels
    as text by class number, none for regression. `target_mean` and `target_scale` [K] undo the standardising of regression targets
    (0 and 1 for classes); they stay float64, since a mean may be large beside the scale. `summary` can be written as JSON. The search
    sees training and validation rows; `test` is for the finally chosen network, once.
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

    @property
    def inputs(self) -> int:
        """Numbers in one input."""
        return self.training.inputs.shape[1]

    def predict(self, outputs: Tensor) -> Tensor:
        """Turn a network's raw outputs into probabilities, or into values in the target's units ([N, K], float64)."""
        return self._original(self.task.head(outputs))

    def score(self, outputs: Tensor, rows: Rows) -> tuple[float, float]:
        """Return the mean loss that is trained on, and the metric, of raw outputs for rows.

        NaN outputs make the loss NaN, yet they have an argmax and so an accuracy: look at the loss first.
        """
        loss = float(self.task.loss(outputs, rows.targets).detach())
        return loss, self.metric.compute(self.predict(outputs.detach()), self._original(rows.targets))

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Data":
        """Return the data on a device, floating-point tensors of one type."""
        return replace(
            self,
            training=self.training.to(device, dtype),
            validation=self.validation.to(device, dtype),
            test=self.test.to(device, dtype),
            target_mean=self.target_mean.to(device),
            target_scale=self.target_scale.to(device),
        )

    def _original(self, values: Tensor) -> Tensor:
        return values if self.classes else values * self.target_scale + self.target_mean
