"""Read the cells of a table as a matrix of numbers, by the preprocessing of a network.

A number is itself, a truth value 0 or 1, a date the days since 1970-01-01, a category its place among the known ones (their number for
another text), a missing cell NaN. `fitting` makes inputs of these numbers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hpsearch.data.cells import NUMBERS, Array
from hpsearch.data.columns import dates, parsing
from hpsearch.data.columns.column_types import COLUMN_TYPES, Entry
from hpsearch.data.columns.error_messages import misread, missing_cells, refuse_infinite
from hpsearch.data.columns.table import Table, ends, meant, nearest, table_of, target_names
from hpsearch.data.columns.text_numbers import with_plain_numbers
from hpsearch.data.columns.trained_table import TrainedTable
from hpsearch.data.options import ReadOptions
from hpsearch.errors import UserError, listed, shown

FILL_THEM = ". Fill them, drop the rows or the column, or give missing 'median'."


def read_columns(preprocessing: Mapping[str, Any], source: Any) -> Array:
    """Return the columns of new rows as numbers [N, columns] float64, NaN for missing cells.

    Args:
        preprocessing: of kind "table", see `hpsearch.data.columns.fitting`.
        source: a `Table`, a pandas frame, or an array [N, columns] where the network was trained on one.

    Raises:
        UserError: a column is missing; a cell is no number, no date, infinite, or missing where nothing takes its place.
    """
    table = table_for(preprocessing, source)
    missing_values = (preprocessing.get("reading") or {}).get("missing_values") or ()
    entries = preprocessing["columns"]
    _check_names(table, entries)
    numbers = np.empty((len(table), len(entries)))
    for index, entry in enumerate(entries):
        numbers[:, index] = read_column(entry, table, missing_values)
    return numbers


def _check_names(table: Table, entries: Sequence[Entry]) -> None:
    """Refuse rows without a column, and name the one that may be meant: none that is another column already."""
    known = {entry["name"] for entry in entries}
    absent = [entry["name"] for entry in entries if entry["name"] not in table.names]
    if absent and table.reading.get("header") is not False:
        others = [name for name in table.names if name not in known]
        more = f" (and {len(absent) - 1:,} more)" * (len(absent) > 1)
        hint = f"{nearest(absent[0], others)} Columns: {ends(table.names)}.".lstrip()
        if len(absent) == len(entries) and table.origin == "new" and table.row_name == "line":
            hint += " If the first line holds values: --header no."
        raise UserError(f"no column {shown(absent[0])}{more}. {hint}")


def read_column(entry: Entry, table: Table, missing_values: Sequence[str] = ()) -> Array:
    """Return one column's numbers [N]; see `read_columns`."""
    return read_cells(entry, table, missing_values)[0]


def read_cells(entry: Entry, table: Table, missing_values: Sequence[str] = ()) -> tuple[Array, Array]:
    """Return one column's numbers [N], and which cells [N] hold a category or a truth value that it does not know (NaN of the latter)."""
    name = entry["name"]
    column_type = COLUMN_TYPES[entry["kind"]]
    cells = table.column(name)
    if not isinstance(cells, np.ndarray):
        cells = parsing.with_nulls(cells, missing_values)
    values, other = column_type.read(entry, cells, table.decimal)
    can_miss = entry.get("fill", 0) is not None
    if entry["kind"] == "category":
        other = values == len(entry["categories"])
    elif other.any() and not (can_miss and entry["kind"] == "boolean"):
        expected = column_type.expected
        if entry["kind"] == "date":
            expected = dates.date_example(entry["format"])
        raise misread(table, name, expected, np.flatnonzero(other))
    refuse_infinite(table, name, values, ", a finite one expected")
    if not can_miss:
        refuse_missing(table, name, values)
    return values, other


def refuse_missing(table: Table, name: str, values: Array) -> None:
    """Refuse a column of numbers [N] in which a cell is missing (NaN)."""
    missing = np.isnan(values)
    if missing.any():
        raise missing_cells(table, name, missing, FILL_THEM)


def unused(preprocessing: Mapping[str, Any], source: Any) -> str | None:
    """Return the notice about columns of new rows that the network does not know, or None."""
    columns = getattr(source, "columns", ())
    if isinstance(source, Table):
        columns = source.names
    known = {entry["name"] for entry in (*preprocessing["columns"], *preprocessing.get("dropped", ()))}
    known.update(target_names(preprocessing.get("target")))
    extra = [name for name in map(str, columns) if name not in known]
    if not extra:
        return None
    return f"Columns that are not used: {listed(extra)}."


def table_for(preprocessing: Mapping[str, Any], source: Any) -> Table:
    """Return new rows as a table; see `read_columns`."""
    if isinstance(source, Table):
        return source
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        return with_plain_numbers(table_of(source), ReadOptions(), TrainedTable.of(preprocessing))
    values = np.asarray(source)
    if values.ndim != 2 or values.dtype.kind not in NUMBERS:
        raise UserError(
            f"rows of shape {values.shape}, a frame or numbers [rows, columns] expected. Give one of these."
        )
    known = [entry["name"] for entry in (*preprocessing["columns"], *preprocessing.get("dropped", ()))]
    names = tuple(map(str, range(values.shape[1])))
    if len(known) != len(names) or set(known) != set(names):
        raise UserError(f"{len(names):,} columns without names, {meant('', known)} Give a frame with these.")
    return Table(names, tuple(values.T), "arrays", range(len(values)))
