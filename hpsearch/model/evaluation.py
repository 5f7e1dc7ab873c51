"""How good predictions are on rows whose targets are known: the metric of the search, over the rows that have a target it knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hpsearch.data.columns import parsing
from hpsearch.data.metrics import METRICS
from hpsearch.data.tasks import TASKS
from hpsearch.model.models import Model

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A metric's value over `rows` rows; `left_out` have no target, or one that the model does not know."""

    metric: str
    value: float
    rows: int
    left_out: int


def evaluate(model: Model, chunks: Sequence[Tensor], targets: Any, decimal: str = ".") -> Evaluation | None:
    """Return how good predictions (chunks of [N, C] or [N, K]) are for targets (cells or numbers); None where no target is known."""
    task = TASKS[model.task]
    known, values = _codes(model, targets) if task.has_classes else _numbers(targets, decimal)
    used = torch.from_numpy(known)
    if not bool(used.any()):
        return None
    found = task.undo_decode(torch.cat(list(chunks))[used])
    right = torch.from_numpy(values)[used]
    if task.has_classes:
        right = task.loss_targets(right)
    name = _metric(model.metrics, model.task)
    rows = int(used.sum())
    return Evaluation(name, METRICS[name].compute(found, right), rows, len(known) - rows)


def _metric(figures: Mapping[str, Any], task: str) -> str:
    """Return the metric that the model was chosen by, the task's first where nothing says which."""
    test = figures.get("test")
    name = figures.get("metric") or (test.get("metric") if isinstance(test, dict) else None)
    return name if name in TASKS[task].metrics else TASKS[task].metrics[0]


def _codes(model: Model, targets: Any) -> tuple[Array, Array]:
    """Return which rows have a class that is known, and the class numbers [N]."""
    codes = parsing.positions(parsing.as_text(targets), model.classes)
    known = ~np.isnan(codes) & (codes < len(model.classes))
    return known, np.where(known, codes, 0).astype(np.int64)


def _numbers(targets: Any, decimal: str) -> tuple[Array, Array]:
    """Return which rows have numbers, and the numbers [N, K]."""
    values = targets if isinstance(targets, np.ndarray) else parsing.numbers(parsing.with_nulls(targets), decimal)[0]
    columns: Array = values.astype(np.float64).reshape(len(values), -1)
    known: Array = np.isfinite(columns).min(axis=1)
    return known, columns
