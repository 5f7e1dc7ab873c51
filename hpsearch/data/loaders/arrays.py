"""Data that a Python user has at hand: `from_arrays` for inputs and targets apart, `from_frame` for a frame that holds its target."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hpsearch.data.assemble import assemble, prefixed_errors
from hpsearch.data.cells import Raw
from hpsearch.data.dataset import Data
from hpsearch.data.options import ReadOptions, SplitOptions, TaskOptions
from hpsearch.errors import UserError


def from_arrays(
    inputs: Any,
    targets: Any,
    *,
    name: str = "arrays",
    title: str | None = None,
    task: TaskOptions = TaskOptions(),
    split: SplitOptions = SplitOptions(),
    read: ReadOptions = ReadOptions(),
    weights: Any = None,
) -> Data:
    """Return NumPy arrays, tensors, pandas frames or lists as `Data`, float32 on the CPU.

    Numbers without missing cells are standardised as they are. A frame with other columns (text, categories, dates) is read as a table;
    so is any for which one of `group`, `time`, `columns`, `missing` is given, an array's columns being called "0", "1", …

    Args:
        inputs: a table [N, F], or images [N, H, W] or [N, C, H, W].
        targets: one of each row [N], several numbers for regression [N, K], or labels of 0 and 1 [N, L]; a frame names its labels.
        name: 1 to 200 printable characters.
        title: what people read; the name if left out.
        task: what is predicted.
        split: which rows train, validate and test.
        read: how columns are read; missing cells are refused unless `missing` says how they are filled.
        weights: how much each row counts in loss and metrics [N]; all alike if left out.

    Raises:
        UserError: something cannot be used; one line says what, where, and what to do.
    """
    with prefixed_errors(name):
        raw = _raw(inputs, targets, read)
        if weights is not None and read.weight is not None:
            raise UserError("weights and a column of weights: rows have one weight each. Give one of the two.")
        if weights is not None:
            raw = replace(raw, weights=weights, weighted_by="sample_weight")
    return assemble(raw, name, title or name, task, split)


def from_frame(
    frame: Any,
    target: str | Sequence[str],
    *,
    name: str = "frame",
    title: str | None = None,
    task: TaskOptions = TaskOptions(),
    split: SplitOptions = SplitOptions(),
    read: ReadOptions = ReadOptions(),
) -> Data:
    """Return a pandas frame that holds its target as `Data`, float32 on the CPU.

    Columns may hold numbers, text, categories, truth values or dates. The options are those of `from_arrays`; missing cells are refused
    unless `missing` says how they are filled.

    Raises:
        UserError: something cannot be used; one line says what, where, and what to do.
    """
    from hpsearch.data.columns.roles import assign_roles
    from hpsearch.data.columns.table import table_of

    with prefixed_errors(name):
        raw = assign_roles(table_of(frame), target, _refusing(read))
    return assemble(raw, name, title or name, task, split)


def _raw(inputs: Any, targets: Any, read: ReadOptions) -> Raw:
    names = _names_of(targets)
    asked = read.group is not None or read.time is not None or read.columns or read.missing is not None
    asked = asked or read.weight is not None
    if not asked and not _has_other_cells(inputs):
        return Raw(inputs, targets, "arrays", target_names=names, drop_rows=read.drop_rows)
    from hpsearch.data.columns.roles import assign_roles
    from hpsearch.data.columns.table import table_of, table_of_array

    to_table = table_of if hasattr(inputs, "iloc") else table_of_array
    return replace(assign_roles(to_table(inputs), None, _refusing(read), targets), target_names=names)


def _names_of(targets: Any) -> tuple[str, ...]:
    """Return the names of the columns of targets [N, K] that are a frame, none of others."""
    columns = getattr(targets, "columns", ())
    return tuple(map(str, columns)) if len(columns) > 1 else ()


def _refusing(read: ReadOptions) -> ReadOptions:
    """Return options that refuse missing cells, unless they say how those are filled."""
    return replace(read, missing=read.missing or "refuse")


def _has_other_cells(inputs: Any) -> bool:
    """Whether a frame has columns that are no numbers; arrays have none, or are refused."""
    if not hasattr(inputs, "iloc") or not hasattr(inputs, "dtypes"):
        return False
    from hpsearch.data.columns.table import is_number_column

    return not all(is_number_column(inputs.iloc[:, index]) for index in range(inputs.shape[1]))
