"""The line that says which cell of a column is not what is expected, and what may be done about it.

What can be done depends on the table's origin: how a file is read can be set, a frame's cells can be changed with pandas, and new rows
for a network are read as its training rows were.
"""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from hpsearch.data.cells import Array
from hpsearch.data.columns import parsing
from hpsearch.data.columns.table import Table
from hpsearch.errors import UserError, counted, listed, shown

FEW_TEXTS = 5  # that a column of numbers may have for missing cells; more are not listed

# What a cell may be that is no number, and what to do then: in a file, and elsewhere.
HINTS = {
    parsing.THOUSANDS: (
        "Write numbers without separators of thousands, or name it (--thousands ,)",
        "Write numbers without separators of thousands",
    ),
    r"^[+-]?\d+,\d+$": (
        "If the comma is a decimal mark, write a point as in the other cells",
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
    cells = parsing.as_text(table.column(name)).take(pa.array(rows))
    first = str(cells[0].as_py())
    others = len(rows) - 1
    more = f" (and {counted(others, 'more cell')})" * bool(others)
    hint = hint or _advice_by_form(table, first) or _general_advice(table, name, expected, cells.unique().to_pylist())
    return UserError(
        f"column {shown(name)}: {table.where(int(rows[0]))} holds {shown(first)}, {expected} expected{more}. {hint}."
    )


def missing_cells(table: Table, name: str, missing: Array, advice: str) -> UserError:
    """Return the error about missing cells [N] in a column that may have none; the advice ends the sentence, or is the next one."""
    count = int(missing.sum())
    first = table.where(int(missing.argmax()))
    return UserError(f"column {shown(name)} has {counted(count, 'missing cell')}, the first in {first}{advice}")


def refuse_infinite(table: Table, name: str, values: Array, expected: str = "") -> None:
    """Refuse a column of numbers [N] that has an infinite one."""
    infinite = np.isinf(values)
    if infinite.any():
        where = table.where(int(infinite.argmax()))
        raise UserError(f"column {shown(name)}: {where} holds an infinite number{expected}. Drop or replace it.")


def as_missing(table: Table, name: str, texts: Sequence[str], expected: str = "a number") -> str:
    """Return what to write so that texts are read as missing cells."""
    if table.origin == "file":
        each = " ".join(f"--missing-value {shown(text)}" for text in texts)
        return f"missing_values = [{listed(texts, FEW_TEXTS)}] reads them so ({each})"
    return f"pandas.{_converter(expected)}(frame[{shown(name)}], errors='coerce') makes them so"


def _advice_by_form(table: Table, cell: str) -> str:
    """Return what to do about a cell whose form says what it is, or nothing."""
    for pattern, (in_file, elsewhere) in HINTS.items():
        if re.match(pattern, cell):
            return in_file if table.origin == "file" else elsewhere
    return ""


def _general_advice(table: Table, name: str, expected: str, texts: Sequence[str]) -> str:
    if table.origin == "new":
        return "Mend it, or leave the cell empty"
    advice = f"Mend it; if it means a missing cell, {as_missing(table, name, texts, expected)}"
    if len(texts) > FEW_TEXTS:
        advice = "Mend those cells"
        if table.origin == "frame":
            advice += f": pandas.{_converter(expected)} finds them"
    if table.origin == "file":
        advice += "; or give the column another kind (columns)"
    return advice


def _converter(expected: str) -> str:
    is_date = expected.startswith("a date")
    return "to_datetime" if is_date else "to_numeric"
