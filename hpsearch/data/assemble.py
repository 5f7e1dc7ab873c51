"""From raw arrays to `Data`: decide the task, encode, split, standardise, hash, and tell all that in a summary.

`from_arrays` is the way in for a Python user; named data sets come through `assemble` with their own test rows, class names and title.
"""

from hashlib import sha256
from json import dumps
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.data.cells import Array, Inputs, read_inputs, shown
from hpsearch.data.dataset import Data, Rows
from hpsearch.data.metrics import Metric
from hpsearch.data.scaling import Scaled, scale_inputs, scale_targets
from hpsearch.data.sources import Raw
from hpsearch.data.splits import Size, Sizes, Split, split_rows
from hpsearch.data.targets import Targets, encode, read_targets
from hpsearch.data.tasks import Task, choose_metric, infer_task
from hpsearch.errors import UserError

LONGEST_NAME = 200


def from_arrays(
    inputs: Any,
    targets: Any,
    *,
    name: str = "arrays",
    title: str | None = None,
    seed: int = 0,
    validation: Size = None,
    test: Size = None,
    task: str | None = None,
    metric: str | None = None,
    rows: int | None = None,
    split: Split | None = None,
) -> Data:
    """Return NumPy arrays, tensors, pandas frames or lists as `Data`, float32 on the CPU.

    Args:
        inputs: a table [N, F], or images [N, H, W] or [N, C, H, W].
        targets: one of each row [N], or several numbers for regression [N, K].
        name: 1 to 200 printable characters.
        title: what people read; the name if left out.
        seed: decides which rows go where.
        validation: a share of all rows, or a number of rows; 0.15 if left out.
        test: likewise.
        task: a name of `TASKS`; inferred from the targets if left out, see `infer_task`.
        metric: a name of `METRICS` that fits the task; the task's first if left out.
        rows: at most so many training rows, classes in equal shares.
        split: which rows go where, in place of `validation`, `test` and `rows`.

    Raises:
        UserError: something cannot be used; one line says what, where, and what to do.
    """
    raw = Raw(inputs, targets, "arrays")
    sizes = Sizes(validation, test, rows)
    return assemble(raw, name, title or name, sizes, seed=seed, task=task, metric=metric, split=split)


def assemble(
    raw: Raw,
    name: str,
    title: str,
    sizes: Sizes,
    *,
    seed: int,
    task: str | None = None,
    metric: str | None = None,
    split: Split | None = None,
) -> Data:
    """Return raw arrays as `Data`; every complaint begins with the data set's name.

    Raises:
        UserError: see `from_arrays`.
    """
    if not (isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable()):
        raise UserError(f"data: name {shown(name)}: 1 to {LONGEST_NAME} printable characters expected.")
    try:
        return _assemble(raw, name, title, sizes, seed=seed, task_name=task, metric_name=metric, split=split)
    except UserError as error:
        raise UserError(f"data {shown(name)}: {error}") from None


def _assemble(
    raw: Raw,
    name: str,
    title: str,
    sizes: Sizes,
    *,
    seed: int,
    task_name: str | None,
    metric_name: str | None,
    split: Split | None,
) -> Data:
    inputs, labels = read_inputs(raw.inputs), read_targets(raw.targets)
    if len(inputs.values) != len(labels):
        raise UserError(
            f"{len(inputs.values):,} rows of inputs, but {len(labels):,} of targets. Give one target for each row."
        )
    task, reason = infer_task(labels, task_name, len(raw.classes))
    metric = choose_metric(task, metric_name)
    targets = encode(labels, task, raw.classes)
    codes = targets.values if targets.classes else None
    split = split or split_rows(codes, len(labels), targets.classes, sizes, seed)
    scaled = scale_inputs(inputs, split)
    values, mean, scale = _target_tensors(targets, task, split)
    training, validation, test = _parts(scaled, values, split)
    original = targets.values[split.training] if codes is None else None
    worst = metric.worst(training.targets if original is None else torch.from_numpy(original))
    outputs = task.outputs(training.targets, len(targets.classes))
    summary = {
        **_identity(name, title, raw.source, _hash(inputs, labels, split)),
        **_question(task, reason, metric, worst),
        **_sizes(scaled, outputs, targets.classes, split),
        "notices": [*scaled.notices, *_cap_notice(sizes.training, len(training))],
    }
    return Data(
        name,
        title,
        task,
        metric,
        training,
        validation,
        test,
        scaled.shape,
        outputs,
        targets.classes,
        mean,
        scale,
        summary,
        scaled.preprocessing,
    )


def _target_tensors(targets: Targets, task: Task, split: Split) -> tuple[Tensor, Tensor, Tensor]:
    """Return the targets as the loss takes them, and what undoes their scaling."""
    if not targets.classes:
        values, mean, scale = scale_targets(targets.values, split)
        return values.to(torch.float32), mean, scale
    codes = torch.from_numpy(targets.values)
    values = codes[:, None].to(torch.float32) if task.name == "binary" else codes
    return values, torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)


def _parts(scaled: Scaled, targets: Tensor, split: Split) -> tuple[Rows, Rows, Rows]:
    return (
        Rows(scaled.training, targets[torch.from_numpy(split.training)]),
        Rows(scaled.validation, targets[torch.from_numpy(split.validation)]),
        Rows(scaled.test, targets[torch.from_numpy(split.test)]),
    )


def _hash(inputs: Inputs, labels: Array, split: Split) -> str:
    """Return the sha256 of the raw arrays (types and shapes with them) and of the rows of each part, in hexadecimal."""
    digest = sha256()
    for array in (inputs.values, labels, split.training, split.validation, split.test):
        digest.update(f"{array.dtype.str} {array.shape}\n".encode())
        text = array.dtype.kind == "O"
        digest.update(
            dumps(array.tolist()).encode() if text else np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        )
    return digest.hexdigest()


def _identity(name: str, title: str, source: str, digest: str) -> dict[str, Any]:
    return {"name": name, "title": title, "source": source, "hash": digest}


def _question(task: Task, reason: str, metric: Metric, worst: float) -> dict[str, Any]:
    question = {"task": task.name, "task_reason": reason, "head": task.head_name, "loss": task.loss_name}
    return {**question, "metric": metric.name, "direction": metric.direction, "worst": worst}


def _sizes(scaled: Scaled, outputs: int, classes: tuple[str, ...], split: Split) -> dict[str, Any]:
    rows = {"training": len(split.training), "validation": len(split.validation), "test": len(split.test)}
    inputs = scaled.training.shape[1]
    return {
        "inputs": inputs,
        "shape": list(scaled.shape),
        "outputs": outputs,
        "classes": list(classes[:100]),
        "rows": rows,
    }


def _cap_notice(asked: int | None, used: int) -> list[str]:
    if asked is None:
        return []
    return [
        f"Training rows capped at {asked:,}."
        if used == asked
        else f"{asked:,} training rows asked for, all {used:,} used."
    ]
