"""Targets: labels of any kind become class numbers from 0 or floating-point columns, or one line says why not.

Class numbers follow the natural order of the labels (2 before 10), and the labels are stored as text: training never meets a negative,
missing or odd label. (torch ignores rows of label -100, and CUDA asserts on a label that is too large.)
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hpsearch.data.cells import NUMBERS, Array, is_missing, to_array
from hpsearch.data.options import drop_hint
from hpsearch.errors import UserError, counted, listed, shown

# More distinct whole numbers than this are measurements and not classes, however many rows there are.
MANY_VALUES = 20

# What targets can hold, as the report words it.
Kind = Literal[
    "text",
    "truth values",
    "whole numbers",
    "numbers with fractions",
    "several columns of numbers",
    "several columns of 0 and 1",
]
KINDS_BY_DTYPE: dict[str, Kind] = {"O": "text", "b": "truth values", "f": "numbers with fractions"}


@dataclass(frozen=True, slots=True)
class Targets:
    """Encoded targets: class numbers [N] int64 with the `classes` as text, or values [N, K] float64 and no classes."""

    values: Array
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What decides the task: the kind of targets, how many `columns` they have, and how many `distinct` values (of one column)."""

    kind: Kind
    columns: int
    distinct: int

    @property
    def has_many_values(self) -> bool:
        """Whether the distinct values are too many to be classes, where they are numbers."""
        return self.distinct > MANY_VALUES

    @property
    def are_measurements(self) -> bool:
        """Whether they are whole numbers of too many values to be classes."""
        return self.has_many_values and self.kind == "whole numbers"

    @property
    def sentence(self) -> str:
        """The facts as the rest of a sentence that begins with "The"."""
        if self.columns > 1 or self.kind == "numbers with fractions":
            return f"target holds {self.kind}"
        return f"target holds {self.kind} with {counted(self.distinct, 'distinct value')}"


def facts_of(targets: Array) -> TargetFacts:
    """Return the facts of targets [N] or [N, K] that decide the task."""
    if targets.ndim == 2:
        several: Kind = "several columns of numbers"
        if are_labels(targets):
            several = "several columns of 0 and 1"
        return TargetFacts(several, columns=targets.shape[1], distinct=0)
    kind = KINDS_BY_DTYPE.get(targets.dtype.kind, "whole numbers")
    if kind == "numbers with fractions" and bool(np.all(targets == np.floor(targets))):
        kind = "whole numbers"
    return TargetFacts(kind, columns=1, distinct=len(np.unique(targets)))


def are_labels(targets: Array) -> bool:
    """Whether targets [N, K] are 0 or 1, in each column whether a row has a label."""
    return bool(np.all((targets == 0) | (targets == 1)))


def refuse_one_hot(targets: Array) -> None:
    """Refuse columns of 0 and 1 [N, K] with exactly one 1 in each row: they may be one class of K, or K labels."""
    if are_labels(targets) and bool(np.all(targets.sum(axis=1) == 1)):
        raise UserError(
            "target: one-hot rows (each has exactly one 1), which can mean two things. As one class a row: give one column of class "
            'numbers, targets.argmax(1). As labels of which a row may have several: task = "multilabel" (--task multilabel).'
        )


def read_targets(targets: Any) -> Array:
    """Read targets [N], [N, 1] (both give [N]) or [N, K]: numbers as they are, everything else as objects that are text.

    Raises:
        UserError: empty, missing or infinite values, another number of dimensions, text in several columns.
    """
    array = to_array(targets, "target")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or 0 in array.shape:
        raise UserError(
            f"target: shape {array.shape}, [rows] or [rows, columns] expected, neither empty. Give one target a row."
        )
    if array.dtype.kind not in NUMBERS:
        array = _objects(array)
    if array.dtype.kind == "f":
        _refuse_missing(~np.isfinite(array), bool(np.isinf(array).any()))
    if array.ndim == 2:
        _check_columns(array)
    return array


def encode_classes(targets: Array, names: Sequence[str] = ()) -> Targets:
    """Give the classes numbers from 0 in natural order; labels that have `names` are such numbers already."""
    distinct, codes = np.unique(targets, return_inverse=True)
    if names:
        return _named(targets.astype(np.int64), distinct, tuple(names))
    texts = [label_text(value) for value in distinct]
    if len(texts) < 2:
        raise UserError(f"target: 1 class ({shown(texts[0])}), at least 2 needed. Add rows of another class.")
    if len(texts) > MANY_VALUES and 2 * len(texts) > len(targets):
        raise UserError(
            f"target: {len(texts):,} different values in {len(targets):,} rows ({listed(texts, 2)}) are too many to be classes. "
            "Give another target; if they are numbers, write them without letters or units."
        )
    order = list(range(len(texts)))
    if targets.dtype.kind == "O":
        order.sort(key=lambda index: _natural(texts[index]))
    rank = np.argsort(order)
    return Targets(rank[codes.reshape(-1)], tuple(texts[index] for index in order))


def encode_values(targets: Array) -> Targets:
    """Return targets as float64 columns [N, K], each of which varies."""
    values = targets.astype(np.float64).reshape(len(targets), -1)
    for index in np.flatnonzero(values.min(axis=0) == values.max(axis=0)):
        which = f"column {index}" if values.shape[1] > 1 else "its value"
        raise UserError(
            f"target: {which} is {values[0, index]:g} in all rows. A constant needs no network; check the target."
        )
    return Targets(values, ())


def _objects(array: Array) -> Array:
    """Return an array of objects as numbers where all are, else as text."""
    cells = array.astype(object)
    _refuse_missing(np.array([is_missing(cell) for cell in cells.flat]).reshape(array.shape))
    if all(isinstance(cell, int | float | np.number | np.bool_) for cell in cells.flat):
        numbers = np.array(cells.tolist())
        if numbers.dtype.kind in NUMBERS:  # else whole numbers of more than 64 bits: labels, kept as text
            return numbers
    check_labels(cells)
    return np.array([_text(cell) for cell in cells.flat], dtype=object).reshape(array.shape)


def check_labels(labels: Array) -> None:
    """Refuse labels (objects) that are complex numbers, or numbers among texts: they have no order, and 1 and "1" would be one label."""
    if labels.dtype.kind != "O":
        return
    if any(isinstance(label, complex) for label in labels.flat):
        raise UserError("target: complex numbers, numbers or classes expected. Give real numbers.")
    texts = [isinstance(label, str | bytes) for label in labels.flat]
    if any(texts) and not all(texts):
        kinds = sorted({type(label).__name__ for label in labels.flat})
        raise UserError(f"target: labels of several kinds ({', '.join(kinds[:4])}). Give one kind: y.astype(str).")


def missing_targets(targets: Array) -> Array:
    """Return in which rows [N] a target is missing, of targets [N] or [N, K]."""
    if targets.dtype.kind == "O":
        cells = np.array([is_missing(cell) for cell in targets.flat], dtype=bool).reshape(targets.shape)
    elif targets.dtype.kind == "f":
        cells = np.isnan(targets)
    else:
        cells = np.zeros(targets.shape, dtype=bool)
    return np.asarray(cells.reshape(len(targets), -1).any(axis=1))


def _text(cell: Any) -> str:
    if isinstance(cell, bytes):
        return cell.decode(errors="replace")
    return str(cell)


def _refuse_missing(missing: Array, infinite: bool = False) -> None:
    if missing.any():
        rows = missing.reshape(len(missing), -1).any(axis=1)
        count = int(rows.sum())
        how = f": {drop_hint('missing-target')}" * (not infinite)
        raise UserError(
            f"target: {counted(count, 'missing or infinite value')}, the first in row {int(rows.argmax())}. "
            f"Drop those rows{how}."
        )


def _check_columns(array: Array) -> None:
    if array.dtype.kind == "O":
        raise UserError(
            f"target: text in {array.shape[1]} columns, one column of classes expected. Give one target a row."
        )


def _named(labels: Array, distinct: Array, names: tuple[str, ...]) -> Targets:
    unknown = [value for value in distinct.tolist() if not 0 <= value < len(names)]
    if unknown:
        raise UserError(
            f"target: labels {listed(unknown)} outside 0 … {len(names) - 1}. The label file is damaged: fetch it again."
        )
    return Targets(labels, names)


def label_text(value: Any) -> str:
    """Return the text that a label is known by: `1` of 1 and of 1.0."""
    if isinstance(value, np.number):
        value = int(value)
    return str(value)


def _natural(text: str) -> tuple[Any, ...]:
    """Return a key that sorts 'item2' before 'item10'; digits are compared as text, since a label may have thousands of them."""
    parts = re.split(r"(\d+)", text)  # words and digits in turn
    key: list[Any] = list(parts)
    for index in range(1, len(parts), 2):
        digits = parts[index].lstrip("0")
        key[index] = (len(digits), digits)
    return (*key, (0, ""), text)
