"""Data that a Python user has at hand: `from_arrays` for inputs and targets apart, `from_frame` for a frame that holds its target."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hpsearch.data.assemble import assemble, prefixed_errors
from hpsearch.data.cells import Raw
from hpsearch.data.dataset import Data
from hpsearch.data.given import as_given, as_inputs, is_torch_set, joined
from hpsearch.data.options import ReadOptions, SplitOptions, TaskOptions
from hpsearch.errors import UserError, shown


def from_arrays(
    inputs: Any,
    targets: Any = None,
    *,
    validation: Any = None,
    name: str = "arrays",
    title: str | None = None,
    task: TaskOptions = TaskOptions(),
    split: SplitOptions = SplitOptions(),
    read: ReadOptions = ReadOptions(),
    weights: Any = None,
) -> Data:
    """Return NumPy arrays, tensors, frames (pandas, polars, Arrow), lists, or a torch `Dataset` as `Data`, float32 on the CPU.

    Numbers without missing cells are standardised as they are. A frame with other columns (text, categories, dates) is read as a table;
    so is any for which one of `group`, `time`, `columns`, `missing` is given, an array's columns being called "0", "1", …

    Args:
        inputs: a table [N, F], or images [N, H, W] or [N, C, H, W]; or a torch `Dataset` or `DataLoader` of (input, target).
        targets: one of each row [N], several numbers for regression [N, K], or labels of 0 and 1 [N, L], which a frame names; or the
            name of its column in a frame.
        validation: rows of your own to compare networks on: (inputs, targets), a `Dataset`, or a frame that holds its target.
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
        inputs, targets = as_given(inputs, targets)
        if weights is not None and read.weight is not None:
            raise UserError("weights and a column of weights: rows have one weight each. Give one of the two.")
        if weights is not None and validation is not None:
            raise UserError(
                "weights: validation rows of your own would have none. Name a column of weights in both (weight)."
            )
        count = 0
        if validation is not None:
            inputs, targets, count = _with_validation(inputs, targets, validation)
            split = replace(split, validation="given")
        raw = replace(_raw(inputs, targets, read, task.task), given_validation=count)
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
    """Return a frame (pandas, polars, Arrow) that holds its target as `Data`, float32 on the CPU.

    Columns may hold numbers, text, categories, truth values or dates. The options are those of `from_arrays`; missing cells are refused
    unless `missing` says how they are filled.

    Raises:
        UserError: something cannot be used; one line says what, where, and what to do.
    """
    with prefixed_errors(name):
        frame = as_inputs(frame)
        raw = _raw_of_frame(frame, target, read)
    return assemble(raw, name, title or name, task, split)


def _raw_of_frame(frame: Any, target: str | Sequence[str], read: ReadOptions) -> Raw:
    from hpsearch.data.columns.roles import assign_roles
    from hpsearch.data.columns.table import table_of
    from hpsearch.data.columns.text_numbers import with_plain_numbers

    return assign_roles(with_plain_numbers(table_of(frame), read), target, _refusing(read))


def _with_validation(inputs: Any, targets: Any, validation: Any) -> tuple[Any, Any, int]:
    """Return inputs and targets with the validation rows behind the others, and how many they are."""
    own: tuple[Any, Any] = (validation, None)
    if isinstance(validation, tuple) and len(validation) == 2:
        own = validation
    elif not is_torch_set(validation) and not isinstance(targets, str):
        raise UserError(
            "validation: (X, y) of rows of your own, a share or a number of rows expected. Give one of these."
        )
    if isinstance(targets, str) and own[1] is None:
        own = (own[0], targets)
    others, labels = as_given(*own)
    count = len(others)
    inputs = joined(inputs, others, "inputs")
    if isinstance(targets, str):
        if labels != targets:
            raise UserError(f"validation: the target is column {shown(targets)}. Give a frame that holds it.")
        return inputs, targets, count
    return inputs, joined(targets, labels, "target"), count


def _raw(inputs: Any, targets: Any, read: ReadOptions, task: str | None) -> Raw:
    if isinstance(targets, str):
        return _raw_of_frame(inputs, targets, read)
    from hpsearch.data.columns.text_targets import number_targets

    names = _names_of(targets)
    targets, assumptions, notices = number_targets(targets, read, task)
    of_columns = (read.group, read.time, read.weight, read.missing)
    asked = bool(read.columns) or any(option is not None for option in of_columns)
    if not asked and not _has_other_cells(inputs):
        raw = Raw(inputs, targets, "arrays", reading=assumptions, target_names=names, drop_rows=read.drop_rows)
        return replace(raw, notices=notices)
    from hpsearch.data.columns.roles import assign_roles
    from hpsearch.data.columns.table import table_of, table_of_array
    from hpsearch.data.columns.text_numbers import with_plain_numbers

    table = table_of(inputs) if hasattr(inputs, "iloc") else table_of_array(inputs)
    table = with_plain_numbers(table, read)
    raw = assign_roles(table, None, _refusing(read), targets)
    return replace(raw, reading=(*assumptions, *raw.reading), target_names=names, notices=(*notices, *raw.notices))


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
