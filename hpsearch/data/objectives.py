"""Objectives: what a study can optimise at once, as a literal table: every metric, and the size of the network.

The first objective of a study is its metric, which training tracks and by which the best network is chosen. The others are computed
once, when a trial ends, of the network at its best evaluation. Importing this module does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpsearch.data.metrics import METRICS, Metric
from hpsearch.trial import Direction, TrainingRun

if TYPE_CHECKING:
    from torch import Tensor

    from hpsearch.data.dataset import Data

Outputs = Callable[[], "Tensor"]


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


def _of(metric: Metric) -> Objective:
    """Return a metric as an objective."""

    def of_run(run: TrainingRun, data: Data, outputs: Outputs) -> float:
        return data.measure(metric, outputs(), data.validation.targets)

    return Objective(
        metric.name, metric.direction, of_run, lambda data, largest: metric.worst(data.original(data.training.targets))
    )


OBJECTIVES: dict[str, Objective] = {
    **{name: _of(metric) for name, metric in METRICS.items()},
    "parameters": Objective(
        "parameters",
        "minimize",
        lambda run, data, outputs: float(run.parameters),
        lambda data, largest: float(largest),
        of_rows=False,
    ),
}
