"""The summary of a data set: what it is, what is asked of it, how its rows are divided; plain values, kept with the study."""

from hashlib import sha256
from json import dumps
from typing import Any

import numpy as np

from hpsearch.data.cells import Array, Inputs
from hpsearch.data.metrics import Metric
from hpsearch.data.options import Folds, SplitOptions
from hpsearch.data.raw import Raw
from hpsearch.data.scaling import Scaled
from hpsearch.data.splits import Split
from hpsearch.data.tasks import Task


def digest_of(inputs: Any, labels: Array, split: Split) -> str:
    """Return the sha256 of the raw cells (types and shapes with them) and of the rows of each part, in hexadecimal."""
    digest = sha256()
    arrays = [labels, split.training, split.validation, split.test, *(rows for _, rows in split.folds)]
    if isinstance(inputs, Inputs):
        arrays.insert(0, inputs.values)
    else:
        digest.update(inputs.digest())
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}\n".encode())
        if array.dtype.kind == "O":  # text
            digest.update(dumps(array.tolist()).encode())
        else:
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def describe(
    raw: Raw, scaled: Scaled, outputs: int, classes: tuple[str, ...], split: Split, options: SplitOptions
) -> dict[str, Any]:
    """Return what a summary says of inputs, rows and columns."""
    return {
        **_sizes(scaled, outputs, classes, split),
        **_reading(raw, scaled),
        "notices": [
            *raw.notices,
            *scaled.notices,
            *_folds_notice(options.folds, split),
            *_cap_notice(options, len(split.training)),
        ],
    }


def question(task: Task, reason: str, metric: Metric, worst: float) -> dict[str, Any]:
    """Return what a summary says of the task and its metric."""
    return {
        "task": task.name,
        "task_reason": reason,
        "head": task.head_name,
        "loss": task.loss_name,
        "metric": metric.name,
        "direction": metric.direction,
        "worst": worst,
    }


def _sizes(scaled: Scaled, outputs: int, classes: tuple[str, ...], split: Split) -> dict[str, Any]:
    rows = {"training": len(split.training), "validation": len(split.validation), "test": len(split.test)}
    if split.folds:
        rows["folds"] = len(split.folds)
    return {
        "inputs": scaled.training.shape[1],
        "shape": list(scaled.shape),
        "outputs": outputs,
        "classes": list(classes[:100]),
        "rows": rows,
    }


def _reading(raw: Raw, scaled: Scaled) -> dict[str, Any]:
    """Return how a file was read and what its columns became, for files and tables."""
    summary: dict[str, Any] = {}
    if raw.reading:
        summary["reading"] = list(raw.reading)
    if scaled.columns:
        summary["columns"] = [dict(column) for column in scaled.columns]
    return summary


def _folds_notice(asked: Folds, split: Split) -> list[str]:
    if asked != "auto" or not split.folds:
        return []
    rows = len(split.training) + len(split.validation)
    return [f"Cross-validated on {len(split.folds)} folds, since one division of {rows:,} rows would decide by chance."]


def _cap_notice(options: SplitOptions, used: int) -> list[str]:
    asked = options.rows
    if asked is None or options.full:
        return []
    if used == asked:
        return [f"Training rows capped at {asked:,}."]
    return [f"{asked:,} training rows asked for, all {used:,} used."]
