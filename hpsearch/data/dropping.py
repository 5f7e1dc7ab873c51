"""Rows that take no part: those without a target, and those of classes that are too rare for every part of the data to have one.

Neither is dropped unless it is asked for (`drop_rows`); a notice then says how many rows it was, and of which classes.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hpsearch.data.cells import Array, Raw, read_inputs, to_array
from hpsearch.data.options import DROPS, SplitOptions, TaskOptions
from hpsearch.data.partition import SHARE
from hpsearch.data.targets import label_text, missing_targets, read_targets
from hpsearch.data.tasks import TASKS, infer_task
from hpsearch.data.weights import read_weights
from hpsearch.errors import UserError, look_up, rows_text, shown, suggestion

MOST_NAMED = 5  # classes in a notice


def without_rows(raw: Raw, asked: TaskOptions, options: SplitOptions) -> Raw:
    """Return a source without the rows that it is asked to drop; its notices say how many.

    Raises:
        UserError: no such kind of rows, or too few rows or classes are left.
    """
    if not raw.drop_rows:
        return raw
    _check(raw)
    is_table = hasattr(raw.inputs, "digest")
    inputs = raw.inputs if is_table else read_inputs(raw.inputs)
    raw = replace(raw, inputs=inputs, targets=to_array(raw.targets, "target"))
    if len(inputs) != len(raw.targets):
        return raw  # refused later, in words of its own
    if raw.weights is not None:
        raw = replace(raw, weights=read_weights(raw.weights, len(inputs)))
    if "missing-target" in raw.drop_rows:
        raw = _without_missing(raw)
    if "rare-classes" in raw.drop_rows:
        raw = _without_rare(raw, asked, options)
    return raw


def kept_rows(
    targets: Any, drop_rows: Sequence[str], asked: TaskOptions, options: SplitOptions
) -> tuple[Array, tuple[str, ...]]:
    """Return which rows stay of targets [N], ascending, and the notices about the others.

    Raises:
        UserError: see `without_rows`.
    """
    array = to_array(targets, "target")
    numbers = np.arange(len(array), dtype=np.int64).reshape(-1, 1)
    raw = without_rows(Raw(numbers, array, "arrays", drop_rows=drop_rows), asked, options)
    return np.asarray(raw.inputs.values[:, 0]), raw.notices


def _check(raw: Raw) -> None:
    if isinstance(raw.drop_rows, str):
        raise UserError(f"drop_rows {shown(raw.drop_rows)}: a list expected, of: {', '.join(DROPS)}.")
    for name in raw.drop_rows:
        if name not in DROPS:
            raise UserError(f"unknown drop_rows {shown(name)}. {suggestion(str(name), DROPS)}")


def _without_missing(raw: Raw) -> Raw:
    missing = missing_targets(raw.targets)  # [N]
    count = int(missing.sum())
    if not count:
        return raw
    if count == len(missing):
        raise UserError(f"target: missing in all {count:,} rows. Give another target.")
    notice = f"{rows_text(count)} of {len(missing):,} dropped: no target (drop_rows missing-target)."
    return _taken(raw, np.flatnonzero(~missing), notice)


def _without_rare(raw: Raw, asked: TaskOptions, options: SplitOptions) -> Raw:
    labels = read_targets(raw.targets)
    if asked.task:
        task = look_up(TASKS, asked.task, "task")
    else:
        task, _ = infer_task(labels, None, len(raw.classes))
    if not task.has_classes or labels.ndim > 1:
        notice = f"No class is rare, since a {task.name} task has none: no row dropped (drop_rows rare-classes)."
        return replace(raw, notices=(*raw.notices, notice))
    distinct, codes = np.unique(labels, return_inverse=True)
    if raw.classes:
        distinct, codes = np.arange(len(raw.classes)), labels.astype(np.int64)
    kept, fewest = _frequent(codes, len(distinct), raw.given_test, options)
    if kept.all():
        return raw
    if kept.sum() < 2:
        raise UserError(
            f"target: {int(kept.sum())} of {len(distinct):,} classes has {fewest} rows or more, and 2 classes are needed. "
            "Give more rows, or leave rare-classes out of drop_rows."
        )
    counts = np.bincount(codes, minlength=len(distinct))
    names = raw.classes or tuple(label_text(value) for value in distinct)
    raw = _taken(raw, np.flatnonzero(kept[codes]), _rare_notice(names, counts, kept, fewest))
    if not raw.classes:
        return raw
    numbers = np.cumsum(kept) - 1  # of the classes that are left
    left = tuple(name for name, stays in zip(raw.classes, kept, strict=True) if stays)
    return replace(raw, classes=left, targets=numbers[labels[kept[codes]].astype(np.int64)])


def _frequent(codes: Array, classes: int, given_test: int, options: SplitOptions) -> tuple[Array, int]:
    """Return which classes [C] have enough rows, and how many those are."""
    counts = np.bincount(codes, minlength=classes)
    if given_test:
        pool = np.bincount(codes[: len(codes) - given_test], minlength=classes)
        fewest = _fewest(options, len(codes), tests=False)
        return (pool >= fewest) & (counts > pool), fewest + 1
    tests = not (type(options.test) is int and options.test == 0)
    fewest = _fewest(options, len(codes), tests=tests)
    return counts >= fewest, fewest


def _fewest(options: SplitOptions, total: int, *, tests: bool) -> int:
    """Return how many rows of a class give each part, or each fold and the test rows, at least one."""
    others = options.folds if isinstance(options.folds, int) else 2
    if not tests:
        return others
    share = SHARE if options.test is None else options.test
    if share >= 1:
        share = share / total
    return next(rows for rows in range(others + 1, 10**6) if rows - max(1, np.ceil(share * rows)) >= others)


def _rare_notice(names: tuple[str, ...], counts: Array, kept: Array, fewest: int) -> str:
    rare = [f"{shown(name)} ({rows})" for name, rows, stays in zip(names, counts, kept, strict=True) if not stays]
    more = f" and {len(rare) - MOST_NAMED:,} more" * (len(rare) > MOST_NAMED)
    classes = f"{len(rare):,} of {len(names):,} classes"
    return (
        f"{rows_text(int(counts[~kept].sum()))} of {int(counts.sum()):,} dropped: {classes} had fewer than {fewest} rows: "
        f"{', '.join(rare[:MOST_NAMED])}{more} (drop_rows rare-classes)."
    )


def _taken(raw: Raw, rows: Array, notice: str) -> Raw:
    """Return some rows of a source, ascending, with one more notice."""
    first_test = len(raw.targets) - raw.given_test
    return replace(
        raw,
        inputs=raw.inputs.take(rows),
        targets=raw.targets[rows],
        groups=_part(raw.groups, rows),
        times=_part(raw.times, rows),
        weights=_part(raw.weights, rows),
        given_test=int((rows >= first_test).sum()),
        given_validation=int(((rows >= first_test - raw.given_validation) & (rows < first_test)).sum()),
        notices=(*raw.notices, notice),
    )


def _part(values: Array | None, rows: Array) -> Array | None:
    return None if values is None else values[rows]
