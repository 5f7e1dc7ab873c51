"""From raw arrays or a table to `Data`: decide the task, encode, split, standardise, hash, and tell all that in a summary.

`from_arrays` is the way in for arrays; named data sets come through `assemble` with their own test rows, class names and title, files
and frames through `doors` with the preprocessing of their columns.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from json import dumps
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.data.cells import Array, Inputs, read_inputs, shown
from hpsearch.data.dataset import Data, Fold, Rows
from hpsearch.data.metrics import Metric
from hpsearch.data.scaling import Scaled, scale_inputs, scale_targets
from hpsearch.data.sources import Raw
from hpsearch.data.splits import Order, Size, Sizes, Split, split_rows
from hpsearch.data.targets import Targets, class_weights_of, encode, read_targets
from hpsearch.data.tasks import Task, choose_metric, infer_task
from hpsearch.errors import UserError, suggestion

LONGEST_NAME = 200
WEIGHTS = ("none", "balanced")


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
    folds: int | None = None,
    group: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str] | None = None,
    missing: str | None = None,
    missing_values: Sequence[str] = (),
    whole: bool = False,
    class_weights: str = "none",
) -> Data:
    """Return NumPy arrays, tensors, pandas frames or lists as `Data`, float32 on the CPU.

    Numbers without missing cells are standardised as they are. A frame with other columns (text, categories, dates) is read as a table;
    so is any for which one of `group`, `time`, `columns`, `missing` is given, an array's columns being called "0", "1", …

    Args:
        inputs: a table [N, F], or images [N, H, W] or [N, C, H, W].
        targets: one of each row [N], or several numbers for regression [N, K].
        name: 1 to 200 printable characters.
        title: what people read; the name if left out.
        seed: decides which rows go where.
        validation: a share of all rows, or a number of rows; 0.15 if left out.
        test: likewise; 0 for no test rows.
        task: a name of `TASKS`; inferred from the targets if left out, see `infer_task`.
        metric: a name of `METRICS` that fits the task; the task's first if left out.
        rows: at most so many training rows, classes in equal shares.
        folds: divide all rows but the test rows in so many parts, each of which validates in turn.
        group: the column whose equal cells keep rows in one part.
        time: the column by which the earliest rows train and the latest test.
        columns: a kind of `KINDS` for columns by name, or "drop".
        missing: what takes the place of a missing number: "median", "mean"; "refuse" (also if left out) refuses missing cells.
        missing_values: texts that mean a missing cell, besides the usual.
        whole: train on all rows but the test rows; the validation rows are the same.
        class_weights: "balanced" weighs each class by N / (C · its training rows).

    Raises:
        UserError: something cannot be used; one line says what, where, and what to do.
    """
    sizes = Sizes(validation, test, rows, folds=folds, whole=whole)
    options: dict[str, Any] = {"seed": seed, "task": task, "metric": metric, "class_weights": class_weights}
    asked = group is not None or time is not None or columns or missing is not None
    if not asked and not _has_other_cells(inputs):
        return assemble(Raw(inputs, targets, "arrays"), name, title or name, sizes, **options)
    from hpsearch.data.tables.choosing import choose

    with told(name):
        raw = choose(
            _table(inputs),
            None,
            targets,
            group=group,
            time=time,
            columns=columns or {},
            missing=missing or "refuse",
            missing_values=missing_values,
        )
    return assemble(raw, name, title or name, sizes, **options)


@contextmanager
def told(name: str) -> Iterator[None]:
    """Let every complaint begin with the data set's name."""
    if not (isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable()):
        raise UserError(f"data: name {shown(name)}: 1 to {LONGEST_NAME} printable characters expected.")
    try:
        yield
    except UserError as error:
        raise UserError(f"data {shown(name, LONGEST_NAME + 2)}: {error}") from None


def assemble(
    raw: Raw,
    name: str,
    title: str,
    sizes: Sizes,
    *,
    seed: int,
    task: str | None = None,
    metric: str | None = None,
    class_weights: str = "none",
) -> Data:
    """Return raw arrays, or a table, as `Data`; every complaint begins with the data set's name.

    Raises:
        UserError: see `from_arrays`.
    """
    with told(name):
        return _assemble(raw, name, title, sizes, seed, task, metric, class_weights)


def _assemble(
    raw: Raw,
    name: str,
    title: str,
    sizes: Sizes,
    seed: int,
    task_name: str | None,
    metric_name: str | None,
    weights: str,
) -> Data:
    inputs = raw.inputs if hasattr(raw.inputs, "digest") else read_inputs(raw.inputs)
    labels = read_targets(raw.targets)
    if len(inputs) != len(labels):
        raise UserError(
            f"{len(inputs):,} rows of inputs, but {len(labels):,} of targets. Give one target for each row."
        )
    task, reason = infer_task(labels, task_name, len(raw.classes))
    metric = choose_metric(task, metric_name)
    targets = encode(labels, task, raw.classes)
    codes = targets.values if targets.classes else None
    split = split_rows(codes, len(labels), targets.classes, sizes, seed, Order(raw.groups, raw.times))
    scaled = _scaled(inputs, split)
    (training, validation, mean, scale), test, folds = _parts(scaled, targets, task, split)
    original = targets.values[split.training] if codes is None else None
    worst = metric.worst(training.targets if original is None else torch.from_numpy(original))
    outputs = task.outputs(training.targets, len(targets.classes))
    summary = {
        **_identity(name, title, raw.source, _hash(inputs, labels, split)),
        **_question(task, reason, metric, worst),
        **_sizes(scaled, outputs, targets.classes, split),
        **_reading(raw, scaled),
        "notices": [*scaled.notices, *_cap_notice(sizes.training, len(split.training), sizes.whole)],
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
        folds,
        _weights(weights, codes, targets.classes, split),
    )


def _has_other_cells(inputs: Any) -> bool:
    """Whether a frame has columns that are no numbers; arrays have none, or are refused."""
    if not hasattr(inputs, "iloc") or not hasattr(inputs, "dtypes"):
        return False
    from hpsearch.data.tables.frames import is_number_column

    return not all(is_number_column(inputs.iloc[:, place]) for place in range(inputs.shape[1]))


def _table(inputs: Any) -> Any:
    from hpsearch.data.tables.frames import table_of, table_of_array

    return table_of(inputs) if hasattr(inputs, "iloc") else table_of_array(inputs)


def _scaled(inputs: Any, split: Split) -> Scaled:
    if isinstance(inputs, Inputs):
        return scale_inputs(inputs, split)
    from hpsearch.data.tables.fitting import scale_table

    return scale_table(inputs, split)


def _targets(targets: Targets, task: Task, rows: Array) -> tuple[Tensor, Tensor, Tensor]:
    """Return the targets as the loss takes them, and what undoes their scaling by the training `rows`."""
    if not targets.classes:
        values, mean, scale = scale_targets(targets.values, rows)
        return values.to(torch.float32), mean, scale
    codes = torch.from_numpy(targets.values)
    values = codes[:, None].to(torch.float32) if task.name == "binary" else codes
    return values, torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)


def _parts(
    scaled: Scaled, targets: Targets, task: Task, split: Split
) -> tuple[tuple[Rows, Rows, Tensor, Tensor], Rows, tuple[Fold, ...]]:
    """Return training and validation rows with the target's mean and scale, the test rows, and the folds."""
    divisions = []
    inputs = scaled.folds or ((scaled.training, scaled.validation),)
    for (training, validation), (rows, others) in zip(inputs, split.divisions, strict=True):
        values, mean, scale = _targets(targets, task, rows)
        parts = [
            Rows(part, values[torch.from_numpy(where)]) for part, where in ((training, rows), (validation, others))
        ]
        divisions.append((parts[0], parts[1], mean, scale))
    values = _targets(targets, task, split.divisions[0][0])[0]
    test = Rows(scaled.test, values[torch.from_numpy(split.test)])
    return divisions[0], test, tuple(Fold(*division) for division in divisions) if split.folds else ()


def _weights(name: str, codes: Array | None, classes: Sequence[str], split: Split) -> Tensor | None:
    if name not in WEIGHTS:
        raise UserError(f"unknown class weights {shown(name)}. {suggestion(str(name), WEIGHTS)}")
    if name == "none":
        return None
    if codes is None:
        raise UserError("class weights: a regression has no classes. Leave class_weights out.")
    return torch.from_numpy(class_weights_of(codes[split.training], len(classes))).to(torch.float32)


def _hash(inputs: Any, labels: Array, split: Split) -> str:
    """Return the sha256 of the raw cells (types and shapes with them) and of the rows of each part, in hexadecimal."""
    digest = sha256()
    if not isinstance(inputs, Inputs):
        digest.update(inputs.digest())
    values = [inputs.values] if isinstance(inputs, Inputs) else []
    folds = [rows for _, rows in split.folds]
    for array in (*values, labels, split.training, split.validation, split.test, *folds):
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
    rows |= {"folds": len(split.folds)} if split.folds else {}
    inputs = scaled.training.shape[1]
    return {
        "inputs": inputs,
        "shape": list(scaled.shape),
        "outputs": outputs,
        "classes": list(classes[:100]),
        "rows": rows,
    }


def _reading(raw: Raw, scaled: Scaled) -> dict[str, Any]:
    """Return how a file was read and what became of its columns, where there is something to say."""
    reading = {"reading": list(raw.reading)} if raw.reading else {}
    return {**reading, **({"columns": [dict(column) for column in scaled.columns]} if scaled.columns else {})}


def _cap_notice(asked: int | None, used: int, whole: bool) -> list[str]:
    if asked is None or whole:
        return []
    return [
        f"Training rows capped at {asked:,}."
        if used == asked
        else f"{asked:,} training rows asked for, all {used:,} used."
    ]
