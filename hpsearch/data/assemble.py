"""From what a loader gives to `Data`: decide the task, encode the targets, split, standardise, hash, and describe all that in a summary."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from json import dumps
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.data.assumptions import Assumption, of_columns
from hpsearch.data.cells import Array, Inputs, Raw, read_inputs, refuse_repeated
from hpsearch.data.dataset import Data, Fold, Rows
from hpsearch.data.dropping import without_rows
from hpsearch.data.image_scale import scale_of
from hpsearch.data.leaks import leak_notice, leaks
from hpsearch.data.metrics import Metric
from hpsearch.data.options import SplitOptions, TaskOptions
from hpsearch.data.partition import is_last
from hpsearch.data.repeats import repeats_notice
from hpsearch.data.scaling import Scaled, scale_inputs, scale_targets
from hpsearch.data.splits import Constraints, Split, split_rows
from hpsearch.data.target_form import TargetForm, form_assumptions, target_form
from hpsearch.data.target_looks import looks_of
from hpsearch.data.targets import Targets, read_targets
from hpsearch.data.tasks import Task, choose_metric, infer_task
from hpsearch.data.weights import balanced_weights, check_row_weights, read_weights, scaled_weights, weights_notice
from hpsearch.errors import UserError, listed, shown, suggestion

LONGEST_NAME = 200
Weigher = Callable[[Array], Tensor | None]  # training rows → weights of all rows [N]
WEIGHTS = ("none", "balanced")
MOST_CLASSES = 100  # of a summary


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
    raw = without_rows(raw, asked, options)
    inputs, labels = _read(raw)
    task, reason = infer_task(labels, asked.task, len(raw.classes))
    metric = choose_metric(task, asked.metric)
    looks = tuple(looks_of(labels)) if task.has_classes else ()
    with _prefixed_by(looks):
        targets = task.encode(labels, raw.classes)
        codes = targets.values if targets.classes else None
        constraints = Constraints(raw.groups, raw.times, raw.given_test, raw.given_validation)
        split = options.split or split_rows(codes, len(labels), targets.classes, options, constraints)
    weights = None
    if raw.weights is not None:
        weights = read_weights(raw.weights, len(labels))
        check_row_weights(weights, inputs, split)
    class_weights = _class_weights(asked.class_weights, targets, task, split)
    weigh = _weigher(weights, targets, class_weights)
    scaled = _scaled(inputs, split)
    units = _units(raw.groups, len(labels))
    form = _target_form(targets, task, split, asked, in_order=raw.times is not None)
    folds = _folds(scaled, targets, task, split, weigh, units, form)
    first = folds[0]
    outputs = task.outputs(first.target_mean.numel(), len(targets.classes))
    doubts = [*_leak_notice(raw, scaled, targets, split), *_repeats_notice(scaled)]
    summary = {
        "name": name,
        "title": title,
        "source": raw.source,
        "hash": _digest(inputs, labels, split, weights),
        **_question(task, reason, metric),
        "worst": metric.worst(_own_units(targets, first, split)),
        **_sizes(scaled, outputs, targets, split),
        **_reading(raw, scaled, _form_assumptions(form, raw, targets, split)),
        "notices": [*looks, *_notices(raw, scaled, targets, task, split, options, doubts)],
        "doubts": doubts,  # those of the notices that question what a score is worth
    }
    names = _label_names(raw, targets, task)
    if names:
        summary["labels"] = list(names[:MOST_CLASSES])
    if weights is not None:
        summary["notices"].append(weights_notice(weights, raw.weighted_by))
    return Data(
        name=name,
        title=title,
        task=task,
        metric=metric,
        training=first.training,
        validation=first.validation,
        test=_rows(
            scaled.test, _loss_targets(targets, task, split.training, form)[0], split.test, weigh(split.training), units
        ),
        shape=scaled.shape,
        outputs=outputs,
        classes=targets.classes,
        target_mean=first.target_mean,
        target_scale=first.target_scale,
        summary=summary,
        preprocessing={**scaled.preprocessing, **_images(raw, inputs)},
        folds=folds if split.folds else (),
        separate=bool(split.tests),
        class_weights=class_weights,
        labels=names,
        target_form=form,
    )


@contextmanager
def _prefixed_by(looks: Sequence[str]) -> Iterator[None]:
    """Let an error about classes begin with what the target's texts look like, where they look like something else."""
    try:
        yield
    except UserError as error:
        if not looks:
            raise
        raise UserError(f"{' '.join(looks)} As classes: {error}") from None


def _label_names(raw: Raw, targets: Targets, task: Task) -> tuple[str, ...]:
    """Return the names of the labels; their numbers where they have none."""
    if task.predicts != "labels":
        return ()
    refuse_repeated(raw.target_names, "target: ")
    return raw.target_names or tuple(map(str, range(targets.values.shape[1])))


def _read(raw: Raw) -> tuple[Any, Array]:
    """Return checked inputs (a `TableInputs` as it is) and targets, one of each for a row."""
    is_read = hasattr(raw.inputs, "digest") or isinstance(raw.inputs, Inputs)
    inputs = raw.inputs if is_read else read_inputs(raw.inputs)
    labels = read_targets(raw.targets)
    if len(inputs) != len(labels):
        raise UserError(
            f"{len(inputs):,} rows of inputs, but {len(labels):,} of targets. Give one target for each row."
        )
    return inputs, labels


def _images(raw: Raw, inputs: Any) -> Mapping[str, Any]:
    """Return what a model keeps of images besides how they are standardised; arrays say their scale themselves."""
    if raw.images or not isinstance(inputs, Inputs) or len(inputs.shape) == 1:
        return raw.images
    return scale_of(inputs.values)


def _scaled(inputs: Any, split: Split) -> Scaled:
    if isinstance(inputs, Inputs):
        return scale_inputs(inputs, split)
    from hpsearch.data.columns.fitting import scale_table

    return scale_table(inputs, split)


def _weigher(weights: Array | None, targets: Targets, class_weights: Tensor | None) -> Weigher:
    """Return what gives the weights of all rows [N], scaled by some training rows; None where all rows weigh alike."""
    if weights is None:
        return lambda training: None
    return lambda training: scaled_weights(weights, torch.from_numpy(targets.values), class_weights, training)


def _target_form(
    targets: Targets, task: Task, split: Split, asked: TaskOptions, *, in_order: bool
) -> TargetForm | None:
    """Return the range and scale of numbers, by the training rows of all divisions; None of classes and labels."""
    if task.predicts == "values":
        return target_form(targets.values[split.seen], asked.target_transform, asked.target_range, in_order=in_order)
    for option in ("target_transform", "target_range"):
        if getattr(asked, option) not in (None, "none"):
            raise UserError(f"{option}: {task.noun} predicts no numbers. Leave it out.")
    return None


def _form_assumptions(form: TargetForm | None, raw: Raw, targets: Targets, split: Split) -> list[Assumption]:
    if form is None:
        return []
    return form_assumptions(form, targets.values[split.seen], of_file=_of_file(raw))


def _folds(
    scaled: Scaled,
    targets: Targets,
    task: Task,
    split: Split,
    weigh: Weigher,
    units: Tensor,
    form: TargetForm | None,
) -> tuple[Fold, ...]:
    """Return each division of the rows; a split without folds has one."""
    folds = []
    for number, (training, validation) in enumerate(split.divisions):
        own, others = scaled.divisions[number]
        values, mean, scale = _loss_targets(targets, task, training, form)
        weights = weigh(training)
        parts = _rows(own, values, training, weights), _rows(others, values, validation, weights)
        test = None
        if split.tests:
            test = _rows(scaled.tests[number], values, split.tests[number], weights, units)
        folds.append(Fold(*parts, mean, scale, test))
    return tuple(folds)


def _units(groups: Array | None, count: int) -> Tensor:
    """Return the number of each row's group, of the row itself where there are no groups."""
    if groups is None:
        return torch.arange(count)
    _, numbers = np.unique(groups, return_inverse=True)
    return torch.from_numpy(numbers)


def _rows(inputs: Tensor, values: Tensor, rows: Array, weights: Tensor | None, units: Tensor | None = None) -> Rows:
    chosen = torch.from_numpy(rows)
    own = None if weights is None else weights[chosen].float()
    return Rows(inputs, values[chosen], own, None if units is None else units[chosen])


def _loss_targets(
    targets: Targets, task: Task, training: Array, form: TargetForm | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return all targets as the loss takes them, and the mean and scale by which the `training` rows standardise them."""
    if form is not None:
        values, mean, scale = scale_targets(targets.values, training, form)
        return task.loss_targets(values), mean, scale
    known = torch.from_numpy(targets.values)
    columns = 1 if targets.classes else known.shape[1]
    return task.loss_targets(known), torch.zeros(columns, dtype=torch.float64), torch.ones(columns, dtype=torch.float64)


def _class_weights(name: str, targets: Targets, task: Task, split: Split) -> Tensor | None:
    """Return the weights [C] that are asked for, None for none."""
    if name not in WEIGHTS:
        raise UserError(f"unknown class weights {shown(name)}. {suggestion(str(name), WEIGHTS)}")
    if name == "none":
        return None
    if not targets.classes:
        raise UserError(f"class weights: {task.noun} has no classes. Leave class_weights out.")
    codes = torch.from_numpy(targets.values[split.training])
    return balanced_weights(codes, len(targets.classes))


def _digest(inputs: Any, labels: Array, split: Split, weights: Array | None) -> str:
    """Return the sha256 of the raw cells (types and shapes with them), of the rows of each part, and of weights, in hexadecimal."""
    digest = sha256()
    arrays = [labels, split.training, split.validation, split.test, *(rows for _, rows in split.folds), *split.tests]
    if weights is not None:
        arrays.append(weights)
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


def _question(task: Task, reason: str, metric: Metric) -> dict[str, Any]:
    """Return what is predicted, why, and by which metric it is judged."""
    return {
        "task": task.name,
        "task_reason": reason,
        "head": task.head_name,
        "loss": task.loss_name,
        "metric": metric.name,
        "direction": metric.direction,
    }


def _own_units(targets: Targets, first: Fold, split: Split) -> Tensor:
    """Return the training rows' targets as a metric takes them: class numbers, or values that are not standardised."""
    if targets.classes:
        return first.training.targets
    return torch.from_numpy(targets.values[split.training])


def _sizes(scaled: Scaled, outputs: int, targets: Targets, split: Split) -> dict[str, Any]:
    rows = {"training": len(split.training), "validation": len(split.validation), "test": len(split.test)}
    drawn_anew: dict[str, Any] = {}
    if split.tests:
        tests_drawn = any(not np.array_equal(test, split.test) for test in split.tests)
        drawn_anew = {"divisions": len(split.divisions) - 1, "own_rows": True, "tests_drawn": tests_drawn}
    elif split.folds:
        rows["folds"] = len(split.folds)
    return {
        **drawn_anew,
        "inputs": scaled.test.shape[1],
        "shape": list(scaled.shape),
        "outputs": outputs,
        "classes": list(targets.classes[:MOST_CLASSES]),
        "rows": rows,
    }


def _reading(raw: Raw, scaled: Scaled, of_target: Sequence[Assumption]) -> dict[str, Any]:
    """Return how a file was read and what its columns became, for files and tables; and what was assumed of the target."""
    reading: dict[str, Any] = {}
    columns = [dict(column) for column in scaled.columns]
    assumed = [*raw.reading, *of_columns(columns, of_file=_of_file(raw)), *of_target]
    if assumed:
        reading["reading"] = [assumption.sentence for assumption in assumed]
    if columns:
        reading["columns"] = columns
    return reading


def _notices(
    raw: Raw,
    scaled: Scaled,
    targets: Targets,
    task: Task,
    split: Split,
    options: SplitOptions,
    doubts: Sequence[str],
) -> list[str]:
    """Return what a reader should know of how the data were read, columns used and rows divided."""
    notices = [*raw.notices, *_last_notice(options, split)]
    notices += _columns_notice(raw, targets, task, split)
    notices += [*doubts, *scaled.notices]
    if options.folds == "auto" and split.folds:
        rows = len(split.training) + len(split.validation)
        notices.append(
            f"Cross-validated on {len(split.folds)} folds, since one division of {rows:,} rows would decide by chance."
        )
    return [*notices, *_cap_notice(options, len(split.training))]


def _last_notice(options: SplitOptions, split: Split) -> list[str]:
    """Return which rows validate, where they are the last ones in the source's order."""
    if not is_last(options.validation):
        return []
    rows = sum(len(validation) for _, validation in split.divisions)
    return [f"The validation rows are the last {rows:,} in the source's order, test rows aside."]


def _columns_notice(raw: Raw, targets: Targets, task: Task, split: Split) -> list[str]:
    """Return what several target columns are taken for: who meant one target gave a column too many."""
    columns = 1 if targets.classes else targets.values.shape[1]
    if columns == 1:
        return []
    if task.predicts == "values":
        return [f"The target has {columns} columns: one network predicts all of them as numbers (regression)."]
    names = _label_names(raw, targets, task)
    notices = [
        f"The target has {columns} columns of 0 and 1: one network predicts them as labels, any number a row (multilabel); "
        'as numbers: task = "regression" (--task regression).'
    ]
    parts = {"training": split.training, "validation": split.validation, "test": split.test}
    for part, rows in parts.items():
        few = [name for name, rate in zip(names, targets.values[rows].T, strict=True) if rate.min() == rate.max()]
        if len(rows) and few:
            notices.append(
                f"In the {part} rows all are alike in {listed(few)}: nothing is learned or measured of it there."
            )
    return notices


def _leak_notice(raw: Raw, scaled: Scaled, targets: Targets, split: Split) -> list[str]:
    if scaled.preprocessing.get("kind") != "table":
        return []
    known = targets.values[split.training]
    training, _ = scaled.divisions[0]
    names = leaks(scaled.preprocessing["columns"], training.numpy(), known, bool(targets.classes))
    return [leak_notice(names, _of_file(raw))] if names else []


def _repeats_notice(scaled: Scaled) -> list[str]:
    """Return a sentence on test rows that are training rows too; on validation rows where no test rows are."""
    training, validation = scaled.divisions[0]
    if len(scaled.test):
        return repeats_notice("test", scaled.test, training)
    return repeats_notice("validation", validation, training)


def _of_file(raw: Raw) -> bool:
    """Whether a table was read from a file."""
    return getattr(getattr(raw.inputs, "table", None), "origin", "") == "file"


def _cap_notice(options: SplitOptions, used: int) -> list[str]:
    asked = options.rows
    if asked is None or options.full:
        return []
    if used == asked:
        return [f"Training rows capped at {asked:,}."]
    return [f"{asked:,} training rows asked for, all {used:,} used."]
