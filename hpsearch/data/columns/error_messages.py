"""The line that says which cell of a column is not what is expected, and what may be done about it.

What can be done depends on the table's origin: how a file is read can be set, a frame's cells can be changed with pandas, and new rows
for a network are read as its training rows were.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from hpsearch.data.cells import Array
from hpsearch.data.columns import dates, parsing
from hpsearch.data.columns.table import Table
from hpsearch.errors import UserError, listed, shown

FEW_TEXTS = 5  # that a column of numbers may have for missing cells; more are not listed

# What a cell may be that is no number, and what to do then: in a file, and elsewhere.
HINTS = {
    parsing.THOUSANDS: ("Write numbers without separators of thousands",) * 2,
    r"^[+-]?\d+,\d+$": (
        "If the comma is a decimal mark, give decimal ',' (--set data.decimal=,)",
        "If the comma is a decimal mark, write a point",
    ),
    parsing.INFINITE: ("Give a finite number or an empty cell",) * 2,
    parsing.LEADING_ZEROS: (
        "Write it without leading zeros, or give the column the kind category (columns)",
        "Write it without leading zeros",
    ),
}


def misread(table: Table, name: str, expected: str, rows: Array, hint: str = "") -> UserError:
    """Return the error about the cells of a column in some rows (counted from 0), the first of which is shown."""
    cells = parsing.as_text(table.column(name))
    cell = str(cells[int(rows[0])].as_py())
    count = len(rows)
    more = f" (and {count - 1:,} more cell{'s' * (count != 2)})" if count > 1 else ""
    hint = hint or _advice_by_form(table, cell) or _general_advice(table, name, expected, cells.take(pa.array(rows)))
    return UserError(
        f"column {shown(name)}: {table.where(int(rows[0]))} holds {shown(cell)}, {expected} expected{more}. {hint}."
    )


def as_missing(table: Table, name: str, found: Sequence[str], expected: str = "a number") -> str:
    """Return what to write so that texts are read as missing cells."""
    if table.origin == "file":
        each = " ".join(f"--missing-value {shown(text)}" for text in found)
        return f"missing_values = [{listed(found, FEW_TEXTS)}] reads them so ({each})"
    return f"pandas.{_converter(expected)}(frame[{shown(name)}], errors='coerce') makes them so"


def _advice_by_form(table: Table, cell: str) -> str:
    """Return what to do about a cell whose form says what it is, or nothing."""
    place = 0 if table.origin == "file" else 1
    return next((hints[place] for pattern, hints in HINTS.items() if re.match(pattern, cell)), "")


def _general_advice(table: Table, name: str, expected: str, cells: Any) -> str:
    if table.origin == "new":
        return "Mend it, or leave the cell empty"
    found = cells.unique().to_pylist()
    advice = f"Mend it; if it means a missing cell, {as_missing(table, name, found, expected)}"
    if len(found) > FEW_TEXTS:
        advice = "Mend those cells"
        if table.origin == "frame":
            advice += f": pandas.{_converter(expected)} finds them"
    if table.origin == "file":
        advice += "; or give the column another kind (columns)"
    return advice


def _converter(expected: str) -> str:
    return "to_datetime" if expected.startswith("a date") else "to_numeric"


def among_numbers(table: Table, name: str, cells: Any, share: float) -> str:
    """Return the sentence on a column of texts that are numbers with a unit, or mostly numbers beside a few texts; else nothing."""
    if found := parsing.unit(cells):
        return f"its cells are numbers with {shown(found)}: write the numbers alone, and the column is a number"
    values, other = parsing.numbers(cells, table.decimal)
    known = int((~np.isnan(values)).sum())
    present = known + int(other.sum())
    strays = cells.filter(pa.array(other)).unique().to_pylist()
    few = 0 < len(strays) <= FEW_TEXTS and known >= share * present
    if not few or parsing.matches(cells, parsing.LEADING_ZEROS).any():
        return ""
    part = known / present
    return (
        f"{part:.0%} of its cells are numbers, the others {listed(strays)}: if these mean a missing cell, "
        f"{as_missing(table, name, strays)}, and the column is a number"
    )


def among_dates(table: Table, name: str, cells: Any, share: float) -> str:
    """Return the sentence on a column of texts that are mostly dates, written in several ways or beside a few other texts; else nothing."""
    by_pattern = dates.rows_by_pattern(cells)
    if not by_pattern:
        return ""
    dated = np.logical_or.reduce([*by_pattern.values()])  # [N]
    other = ~dated & ~parsing.missing(cells)
    strays = cells.filter(pa.array(other)).unique().to_pylist()
    part = dated.sum() / (dated.sum() + other.sum())
    if part < share or len(strays) > FEW_TEXTS:
        return ""
    if len(by_pattern) > 1:
        firsts = listed([cells[int(rows.argmax())].as_py() for rows in by_pattern.values()])
        return (
            f"{part:.0%} of its cells are dates, written in {len(by_pattern)} ways ({firsts}): "
            "write them in one, and the column is a date"
        )
    if not strays:
        return "its cells look like dates, but some are none: mend these, and the column is a date"
    return (
        f"{part:.0%} of its cells are dates, the others {listed(strays)}: if these mean a missing cell, "
        f"{as_missing(table, name, strays, 'a date')}, and the column is a date"
    )
