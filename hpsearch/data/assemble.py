"""From what a loader gives to `Data`: decide the task, encode the targets, split, standardise, hash, and describe all that in a summary."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hpsearch.data.cells import Array, Inputs, read_inputs
from hpsearch.data.dataset import Data, Fold, Rows
from hpsearch.data.leaks import leak_notice, leaks
from hpsearch.data.metrics import Metric
from hpsearch.data.options import SplitOptions, TaskOptions
from hpsearch.data.raw import Raw
from hpsearch.data.scaling import Scaled, scale_inputs, scale_targets
from hpsearch.data.splits import Constraints, Split, split_rows
from hpsearch.data.summary import describe, digest_of, question
from hpsearch.data.targets import Targets, class_weights_of, read_targets
from hpsearch.data.tasks import Task, choose_metric, infer_task
from hpsearch.errors import UserError, shown, suggestion

LONGEST_NAME = 200
WEIGHTS = ("none", "balanced")


@contextmanager
def prefixed_errors(name: str) -> Iterator[None]:
    """Let every error begin with the data set's name."""
    if not (isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable()):
        raise UserError(f"data: name {shown(name)}: 1 to {LONGEST_NAME} printable characters expected.")
    try:
        yield
    except UserError as error:
        raise UserError(f"data {shown(name)}: {error}") from None


def assemble(raw: Raw, name: str, title: str, task: TaskOptions, split: SplitOptions) -> Data:
    """Return raw arrays, or a table, as `Data`; every error begins with the data set's name.

    Raises:
        UserError: see `hpsearch.data.loaders.arrays.from_arrays`.
    """
    with prefixed_errors(name):
        return _assemble(raw, name, title, task, split)


def _assemble(raw: Raw, name: str, title: str, asked: TaskOptions, options: SplitOptions) -> Data:
    inputs, labels = _read(raw)
    task, reason = infer_task(labels, asked.task, len(raw.classes))
    metric = choose_metric(task, asked.metric)
    targets = task.encode(labels, raw.classes)
    codes = targets.values if targets.classes else None
    constraints = Constraints(raw.groups, raw.times, raw.given_test)
    split = options.split or split_rows(codes, len(labels), targets.classes, options, constraints)
    scaled = _scaled(inputs, split)
    folds = _folds(scaled, targets, task, split)
    first = folds[0]
    outputs = task.outputs(first.target_mean.numel(), len(targets.classes))
    notices = (*raw.notices, *_several_notice(targets), *_leak_notice(raw, scaled, targets, split))
    summary = {
        "name": name,
        "title": title,
        "source": raw.source,
        "hash": digest_of(inputs, labels, split),
        **question(task, reason, metric, _worst(metric, targets, first, split)),
        **describe(replace(raw, notices=notices), scaled, outputs, targets.classes, split, options),
    }
    return Data(
        name=name,
        title=title,
        task=task,
        metric=metric,
        training=first.training,
        validation=first.validation,
        test=_rows(scaled.test, _loss_targets(targets, task, split.training)[0], split.test),
        shape=scaled.shape,
        outputs=outputs,
        classes=targets.classes,
        target_mean=first.target_mean,
        target_scale=first.target_scale,
        summary=summary,
        preprocessing={**scaled.preprocessing, **raw.images},
        folds=folds if split.folds else (),
        class_weights=_class_weights(asked.class_weights, codes, targets.classes, split),
    )


def _read(raw: Raw) -> tuple[Any, Array]:
    """Return checked inputs (a `TableInputs` as it is) and targets, one of each for a row."""
    inputs = raw.inputs if hasattr(raw.inputs, "digest") else read_inputs(raw.inputs)
    labels = read_targets(raw.targets)
    if len(inputs) != len(labels):
        raise UserError(
            f"{len(inputs):,} rows of inputs, but {len(labels):,} of targets. Give one target for each row."
        )
    return inputs, labels


def _scaled(inputs: Any, split: Split) -> Scaled:
    if isinstance(inputs, Inputs):
        return scale_inputs(inputs, split)
    from hpsearch.data.columns.fitting import scale_table

    return scale_table(inputs, split)


def _worst(metric: Metric, targets: Targets, first: Fold, split: Split) -> float:
    """Return the value of a trial that failed, from the training rows' targets in their own units."""
    if targets.classes:
        return metric.worst(first.training.targets)
    return metric.worst(torch.from_numpy(targets.values[split.training]))


def _several_notice(targets: Targets) -> list[str]:
    """Say that one network predicts several numbers: who meant one target gave a column too many."""
    columns = 1 if targets.classes else targets.values.shape[1]
    if columns == 1:
        return []
    return [f"The target has {columns} columns: one network predicts all of them as numbers (regression)."]


def _leak_notice(raw: Raw, scaled: Scaled, targets: Targets, split: Split) -> list[str]:
    if scaled.preprocessing.get("kind") != "table":
        return []
    known = targets.values[split.training]
    names = leaks(scaled.preprocessing["columns"], scaled.training.numpy(), known, bool(targets.classes))
    of_file = getattr(getattr(raw.inputs, "table", None), "origin", "") == "file"
    return [leak_notice(names, of_file)] if names else []


def _folds(scaled: Scaled, targets: Targets, task: Task, split: Split) -> tuple[Fold, ...]:
    """Return each division of the rows; a split without folds has one."""
    inputs = scaled.folds or ((scaled.training, scaled.validation),)
    folds = []
    for (training_inputs, validation_inputs), (training, validation) in zip(inputs, split.divisions, strict=True):
        values, mean, scale = _loss_targets(targets, task, training)
        own = _rows(training_inputs, values, training)
        folds.append(Fold(own, _rows(validation_inputs, values, validation), mean, scale))
    return tuple(folds)


def _rows(inputs: Tensor, values: Tensor, rows: Array) -> Rows:
    return Rows(inputs, values[torch.from_numpy(rows)])


def _loss_targets(targets: Targets, task: Task, training: Array) -> tuple[Tensor, Tensor, Tensor]:
    """Return all targets as the loss takes them, and the mean and scale by which the `training` rows standardise them."""
    if not targets.classes:
        values, mean, scale = scale_targets(targets.values, training)
        return task.loss_targets(values), mean, scale
    codes = torch.from_numpy(targets.values)
    return task.loss_targets(codes), torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)


def _class_weights(name: str, codes: Array | None, classes: Sequence[str], split: Split) -> Tensor | None:
    if name not in WEIGHTS:
        raise UserError(f"unknown class weights {shown(name)}. {suggestion(str(name), WEIGHTS)}")
    if name == "none":
        return None
    if codes is None:
        raise UserError("class weights: a regression has no classes. Leave class_weights out.")
    return torch.from_numpy(class_weights_of(codes[split.training], len(classes))).to(torch.float32)
