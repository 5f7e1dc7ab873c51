"""The role of each column of a table: the target, the group or time that divides the rows, all others inputs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.compute as pc

from hpsearch.data.assumptions import of_missing
from hpsearch.data.cells import Array, Raw, refuse_repeated
from hpsearch.data.columns import dates, parsing
from hpsearch.data.columns.column_types import mostly_numbers
from hpsearch.data.columns.error_messages import misread, missing_cells, refuse_infinite
from hpsearch.data.columns.fitting import TableInputs
from hpsearch.data.columns.reading import refuse_missing
from hpsearch.data.columns.table import Table, absent, meant, target_names
from hpsearch.data.options import ReadOptions, drop_hint
from hpsearch.errors import UserError, shown

MOSTLY_TARGET = 0.5  # of the cells are many different numbers: the other texts are no classes beside them
EXACT = 2**53  # whole numbers up to here are exact in float64; longer ones that are written out are names
FEWEST_ROWS = 2  # of a class, on average
NEEDED = "; a group or time is needed in every row. Drop those rows."
TARGET_NEEDED = f"; a target is needed in every row. Drop those rows: {drop_hint('missing-target')}."
TRUTHS = {"false": 0.0, "true": 1.0}
Target = str | Sequence[str] | None


def assign_roles(table: Table, target: Target, options: ReadOptions, targets: Any = None) -> Raw:
    """Return a table as inputs and targets; those of the column `target` or of several columns, or `targets` [N] themselves.

    Raises:
        UserError: no such column, no other column than the target, missing cells in target, group or time.
    """
    missing_values = _checked_texts(options.missing_values)
    options = replace(options, missing_values=missing_values)
    if options.group is not None and options.time is not None:
        raise UserError("group and time: rows are divided by the one or the other. Leave one out.")
    names = target_columns(target, table.names)
    may_lack = "missing-target" in options.drop_rows
    if targets is None and len(names) > 1:
        targets = _read_several(table, names, missing_values, may_lack)
    elif targets is None:
        targets = _read_target(table, names[0] if names else None, missing_values, may_lack)
    inputs = table.without(*names)
    if options.weight is not None and options.weight in names:
        raise UserError(f"weight {shown(options.weight)}: it is the target. Give another column.")
    if not inputs.names:
        raise UserError("only one column. Give a table with a target and at least one other column.")
    groups = _groups(inputs, options.group, missing_values)
    weights = _weights(inputs, options.weight, missing_values)
    vanished = [*_vanished(table, names, targets)]
    if weights is not None:
        vanished += _vanished(table, [str(options.weight)], weights)
    return Raw(
        TableInputs(inputs, names if len(names) > 1 else "".join(names) or None, options),
        targets,
        table.source,
        groups=groups,
        times=_times(inputs, options, missing_values),
        reading=(*table.assumptions, of_missing(missing_values, of_file=table.origin == "file")),
        notices=(*_group_notice(options.group, groups), *vanished),
        target_names=names if len(names) > 1 else (),
        drop_rows=options.drop_rows,
        weights=weights,
        weighted_by=f"column {shown(options.weight)}",
    )


def target_columns(target: Target, names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that a target names: a text that is no column's name is split at its commas.

    Raises:
        UserError: it names one twice.
    """
    if isinstance(target, str) and target not in names and "," in target:
        target = [part.strip() for part in target.split(",")]
    columns = target_names(target)
    refuse_repeated(columns, "target: ")
    return columns


def _read_several(table: Table, names: Sequence[str], missing_values: tuple[str, ...], may_lack: bool) -> Array:
    """Return several columns of numbers, or of truth values as 0 and 1, [N, K]; NaN where a cell may lack and does."""
    columns = []
    for name in names:
        cells = _read_target(table, name, missing_values, may_lack)
        if cells.dtype.kind == "O":
            cells = _truths(table, name, cells)
        columns.append(cells.astype(np.float64))
    return np.column_stack(columns)


def _truths(table: Table, name: str, cells: Array) -> Array:
    """Return the numbers of truth values; a UserError refuses other texts."""
    lower = [None if cell is None else cell.lower() for cell in cells]
    other = np.array([cell is not None and cell not in TRUTHS for cell in lower])
    if other.any():
        advice = "Several columns are predicted as labels (0 or 1, false or true) or as numbers: write it so, or name one column"
        raise misread(table, name, "a label or number (target)", np.flatnonzero(other), advice)
    return np.array([np.nan if cell is None else TRUTHS[cell] for cell in lower])


def _group_notice(name: str | None, groups: Array | None) -> tuple[str, ...]:
    if groups is None or len(np.unique(groups)) < len(groups):
        return ()
    return (
        f"Group {shown(name)} has another value in every row: no rows are kept together, as if there were no group.",
    )


def _vanished(table: Table, names: Sequence[str], values: Array) -> Iterator[str]:
    """Yield which columns, read as numbers [N] or [N, columns], have some so close to 0 that they are read as 0."""
    if names and values.dtype.kind == "f":
        for name, column in zip(names, values.reshape(len(values), -1).T, strict=True):
            yield from parsing.vanished_notice(f"Column {shown(name)}", table.column(name), column)


def label_numbers(cells: Any, decimal: str) -> Array:
    """Return a column of several targets as numbers [N]: truth values are 0 and 1, what is neither is NaN."""
    if isinstance(cells, np.ndarray):
        return cells.astype(np.float64)
    numbers: Array = np.array(parsing.numbers(parsing.with_nulls(cells), decimal)[0])
    lower = np.array(pc.fill_null(pc.utf8_lower(cells), "").to_pylist(), dtype=object)
    for text, value in TRUTHS.items():
        numbers[lower == text] = value
    return numbers


def _read_target(table: Table, name: str | None, missing_values: tuple[str, ...], may_lack: bool) -> Array:
    """Return the target's cells [N] as numbers where all are numbers, else as text; a few texts among numbers are refused.

    Where cells may lack, those that do are NaN, or None among texts.
    """
    if name is None:
        numbered = table.reading.get("header") is False
        why = " The first line holds values, so columns are called by their numbers." * numbered
        raise UserError(
            f"no target: which column is predicted? Name it (--target COLUMN).{why} {meant('', table.names)}"
        )
    cells = table.column(name, "target")
    if isinstance(cells, np.ndarray):
        return _typed_target(table, name, cells, may_lack)
    text = parsing.with_nulls(cells, missing_values)
    if not may_lack:
        _refuse_absent(table, name, np.asarray(pc.is_null(text)), TARGET_NEEDED)
    values, other = parsing.numbers(text, table.decimal)
    if not other.any():
        if not may_lack:
            _refuse_absent(table, name, np.isnan(values), TARGET_NEEDED)
        refuse_infinite(table, name, values)
        known = values[~np.isnan(values)]
        if (np.abs(known) < EXACT).all() or (known != np.floor(known)).any() or not _are_names(text):
            return values
    elif mostly_numbers(values, other, MOSTLY_TARGET) and not parsing.matches(text, parsing.LEADING_ZEROS).any():
        advice = "A target is needed in every row: mend or drop those"
        raise misread(table, name, "a number", np.flatnonzero(other), advice)
    return np.asarray(text.to_numpy(zero_copy_only=False), dtype=object)


def _are_names(text: Any) -> bool:
    """Whether whole numbers that float64 does not hold exactly are classes: written out, and each in many rows."""
    distinct = len(text.unique())
    return bool(parsing.matches(text, parsing.LONG_NAME).any()) and distinct * FEWEST_ROWS <= len(text)


def _typed_target(table: Table, name: str, cells: Array, may_lack: bool) -> Array:
    if cells.dtype.kind == "M":
        raise UserError(f"target {shown(name)} holds dates; numbers or classes expected. Give another target.")
    if not may_lack:
        _refuse_absent(table, name, absent(cells), TARGET_NEEDED)
    refuse_infinite(table, name, cells)
    return cells


def _groups(table: Table, name: str | None, missing_values: tuple[str, ...]) -> Array | None:
    """Return a number for the group of each row [N]; None without a column of groups."""
    if name is None:
        return None
    text = parsing.with_nulls(parsing.as_text(table.column(name, "group column")), missing_values)
    _refuse_absent(table, name, np.asarray(pc.is_null(text)))
    return np.asarray(text.dictionary_encode().indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def _times(table: Table, options: ReadOptions, missing_values: tuple[str, ...]) -> Array | None:
    """Return the time of each row [N] as a number: itself, or the days of a date; None without a column of times."""
    name = options.time
    if name is None:
        return None
    cells = table.column(name, "time column")
    if not isinstance(cells, np.ndarray):
        form = options.columns.get(name, "").partition(":")[2]
        values = _times_of_texts(table, name, parsing.with_nulls(cells, missing_values), form)
    elif cells.dtype.kind == "M":
        values = dates.days_of(cells)
    else:
        values = cells.astype(np.float64)
    refuse_missing(table, name, values)
    refuse_infinite(table, name, values)
    return values


def _times_of_texts(table: Table, name: str, text: Any, form: str) -> Array:
    values, other = parsing.numbers(text, table.decimal)
    if not other.any() and not form:
        return values
    formats = [form] if form else dates.date_formats(text)
    if len(formats) > 1:
        both = " and ".join(formats[:2])
        choices = " or ".join(table.column_option(name, f"date:{one}") for one in formats[:2])
        raise UserError(f"time {shown(name)}: {both} both fit. Write its dates as 2024-12-31, or say which: {choices}.")
    if formats:
        values, other = dates.read_days(text, formats[0])
    if other.any():
        advice = "A time is needed in every row: mend or drop those"
        raise misread(table, name, "a date or number (time)", np.flatnonzero(other), advice)
    return values


def _weights(table: Table, name: str | None, missing_values: tuple[str, ...]) -> Array | None:
    """Return the weight of each row [N], NaN where it is missing; None without a column of weights."""
    if name is None:
        return None
    cells = table.column(name, "weight column")
    if not isinstance(cells, np.ndarray):
        values, other = parsing.numbers(parsing.with_nulls(cells, missing_values), table.decimal)
        if other.any():
            raise misread(table, name, "a number from 0 (weight)", np.flatnonzero(other), "Mend or drop those rows")
        return np.asarray(values)
    if cells.dtype.kind == "M":
        raise UserError(f"weight {shown(name)} holds dates; numbers from 0 expected. Give another column.")
    return cells.astype(np.float64)


def _refuse_absent(table: Table, name: str, missing: Array, needed: str = NEEDED) -> None:
    if missing.any():
        raise missing_cells(table, name, missing, needed)


def _checked_texts(missing_values: Sequence[str]) -> tuple[str, ...]:
    if isinstance(missing_values, str) or not all(isinstance(text, str) for text in missing_values):
        raise UserError(f"missing_values {shown(missing_values)}: a list of texts expected.")
    return tuple(text.strip() for text in missing_values)
