"""Read the cells of a table as a matrix of numbers, by the preprocessing of a network.

A number is itself, a truth value 0 or 1, a date the days since 1970-01-01, a category its place among the known ones (their number for
another text), a missing cell NaN. `preprocessing` makes inputs of these numbers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hpsearch.data.cells import Array
from hpsearch.data.columns import dates, parsing
from hpsearch.data.columns.column_types import COLUMN_TYPES, Entry
from hpsearch.data.columns.error_messages import misread
from hpsearch.data.columns.frames import table_of
from hpsearch.data.columns.table import Cells, Table, ends, meant, nearest
from hpsearch.errors import UserError, listed, shown


def read_columns(preprocessing: Mapping[str, Any], source: Any) -> Array:
    """Return the columns of new rows as numbers [N, columns] float64, NaN for missing cells.

    Args:
        preprocessing: of kind "table", see `hpsearch.data.columns.preprocessing`.
        source: a `Table`, a pandas frame, or an array [N, columns] where the network was trained on one.

    Raises:
        UserError: a column is missing; a cell is no number, no date, infinite, or missing where nothing takes its place.
    """
    table = source if isinstance(source, Table) else _table_of(preprocessing, source)
    missing_values = missing_values_of(preprocessing)
    entries = preprocessing["columns"]
    _check_names(table, entries)
    numbers = np.empty((len(table), len(entries)))
    for place, entry in enumerate(entries):
        numbers[:, place] = read_column(entry, table, missing_values)
    return numbers


def missing_values_of(preprocessing: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the user's own texts for a missing cell."""
    reading = preprocessing.get("reading") or {}
    return tuple(reading.get("missing_values") or ())


def _check_names(table: Table, entries: Sequence[Entry]) -> None:
    """Refuse rows without a column, and name the one that may be meant: none that is another column already."""
    known = {entry["name"] for entry in entries}
    absent = [entry["name"] for entry in entries if entry["name"] not in table.names]
    if absent and table.reading.get("header") is not False:
        others = [name for name in table.names if name not in known]
        more = f" (and {len(absent) - 1:,} more)" if len(absent) > 1 else ""
        hint = f"{nearest(absent[0], others)} Columns: {ends(table.names)}.".lstrip()
        raise UserError(f"no column {shown(absent[0])}{more}. {hint}")


def read_column(entry: Entry, table: Table, missing_values: Sequence[str] = ()) -> Array:
    """Return one column's numbers [N]; see `read_columns`."""
    name = entry["name"]
    column_type = COLUMN_TYPES[entry["kind"]]
    cells: Cells = table.column(name)
    if not isinstance(cells, np.ndarray):
        cells = parsing.plain(cells, missing_values)
    values, other = column_type.read(entry, cells, table.decimal)
    if other.any():
        is_date = entry["kind"] == "date"
        expected = dates.expected(entry["format"]) if is_date else column_type.expected
        raise misread(table, name, expected, np.flatnonzero(other))
    infinite = np.isinf(values)
    if infinite.any():
        row = int(infinite.argmax())
        raise UserError(
            f"column {shown(name)}: {table.where(row)} holds an infinite number, a finite one expected. Drop or replace it."
        )
    if entry.get("fill", 0) is None and np.isnan(values).any():
        raise missing_cells(table, name, values)
    return values


def missing_cells(table: Table, name: str, values: Array) -> UserError:
    """Return the error about missing cells in a column that may have none."""
    gone = np.isnan(values)
    count = int(gone.sum())
    return UserError(
        f"column {shown(name)} has {count:,} missing cell{'s' * (count != 1)}, the first in {table.where(int(gone.argmax()))}. "
        "Fill them, drop the rows or the column, or give missing 'median'."
    )


def unused(preprocessing: Mapping[str, Any], source: Any) -> str | None:
    """Return the notice about columns of new rows that the network does not know, or None."""
    names = source.names if isinstance(source, Table) else map(str, getattr(source, "columns", ()))
    known = {entry["name"] for entry in (*preprocessing["columns"], *preprocessing.get("dropped", ()))}
    known.add(preprocessing.get("target"))
    extra = [name for name in names if name not in known]
    return f"Columns that are not used: {listed(extra)}." if extra else None


def _table_of(preprocessing: Mapping[str, Any], source: Any) -> Table:
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        return table_of(source)
    values = np.asarray(source)
    entries = [*preprocessing["columns"], *preprocessing.get("dropped", ())]
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise UserError(
            f"rows of shape {values.shape}, a frame or numbers [rows, columns] expected. Give one of these."
        )
    if values.shape[1] != len(entries) or {entry["name"] for entry in entries} != set(map(str, range(len(entries)))):
        raise UserError(
            f"{values.shape[1]:,} columns without names, {meant('', [entry['name'] for entry in entries])} Give a frame with these."
        )
    names = tuple(map(str, range(values.shape[1])))
    return Table(names, tuple(values.T), "arrays", range(len(values)))
