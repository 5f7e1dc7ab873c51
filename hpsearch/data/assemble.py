"""From raw arrays or a table to `Data`: decide the task, encode, split, standardise, hash, and tell all that in a summary.

Arrays come from `arrays`, named data sets from `datasets` with their own test rows, class names and title, files and frames from `doors`
with what was asked of their columns.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hpsearch.data.cells import Array, Inputs, read_inputs
from hpsearch.data.dataset import Data, Fold, Rows
from hpsearch.data.leaks import leak_notice, leaks
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
    inputs = raw.inputs if hasattr(raw.inputs, "digest") else read_inputs(raw.inputs)
    labels = read_targets(raw.targets)
    if len(inputs) != len(labels):
        raise UserError(
            f"{len(inputs):,} rows of inputs, but {len(labels):,} of targets. Give one target for each row."
        )
    task, reason = infer_task(labels, asked.task, len(raw.classes))
    metric = choose_metric(task, asked.metric)
    targets = task.encode(labels, raw.classes)
    codes = targets.values if targets.classes else None
    constraints = Constraints(raw.groups, raw.times, raw.given_test)
    split = options.split or split_rows(codes, len(labels), targets.classes, options, constraints)
    scaled = _scaled(inputs, split)
    (training, validation, mean, scale), test, folds = _parts(scaled, targets, task, split)
    original = targets.values[split.training] if codes is None else None
    worst = metric.worst(training.targets if original is None else torch.from_numpy(original))
    outputs = task.outputs(mean.numel(), len(targets.classes))
    notices = [*_several_notice(targets), *_leak_notice(raw, scaled, targets, split)]
    summary = {
        **{"name": name, "title": title, "source": raw.source, "hash": digest_of(inputs, labels, split)},
        **question(task, reason, metric, worst),
        **describe(replace(raw, notices=(*raw.notices, *notices)), scaled, outputs, targets.classes, split, options),
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
        {**scaled.preprocessing, **raw.images},
        folds,
        _weights(asked.class_weights, codes, targets.classes, split),
    )


def _scaled(inputs: Any, split: Split) -> Scaled:
    if isinstance(inputs, Inputs):
        return scale_inputs(inputs, split)
    from hpsearch.data.columns.fitting import scale_table

    return scale_table(inputs, split)


def _several_notice(targets: Targets) -> list[str]:
    """Say that one network predicts several numbers: who meant one target gave a column too many."""
    columns = 1 if targets.classes else targets.values.shape[1]
    return (
        [f"The target has {columns} columns: one network predicts all of them as numbers (regression)."]
        if columns > 1
        else []
    )


def _leak_notice(raw: Raw, scaled: Scaled, targets: Targets, split: Split) -> list[str]:
    if scaled.preprocessing.get("kind") != "table":
        return []
    known = targets.values[split.training]
    names = leaks(scaled.preprocessing["columns"], scaled.training.numpy(), known, bool(targets.classes))
    of_file = getattr(getattr(raw.inputs, "table", None), "door", "") == "file"
    return [leak_notice(names, of_file)] if names else []


def _targets(targets: Targets, task: Task, rows: Array) -> tuple[Tensor, Tensor, Tensor]:
    """Return the targets as the loss takes them, and what undoes their scaling by the training `rows`."""
    if not targets.classes:
        values, mean, scale = scale_targets(targets.values, rows)
        return task.loss_targets(values), mean, scale
    codes = torch.from_numpy(targets.values)
    return task.loss_targets(codes), torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)


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
