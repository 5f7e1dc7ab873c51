"""The line that says which cell of a column is not what is expected, and what may be done about it."""

import re

from hpsearch.data.cells import shown
from hpsearch.data.tables import texts
from hpsearch.data.tables.table import Table
from hpsearch.errors import UserError

# What a cell may be that is no number, and what to do then.
HINTS = {
    texts.THOUSANDS: "Write numbers without separators of thousands",
    r"^[+-]?\d+,\d+$": "If the comma is a decimal mark, give decimal ','",
    texts.INFINITE: "Give a finite number or an empty cell",
    texts.LEADING_ZEROS: "Write it without leading zeros, or give the column the kind category (columns)",
}
OTHERWISE = "Mend it, name it in missing_values, or give the column another kind (columns)"


def misread(table: Table, name: str, expected: str, row: int, count: int) -> UserError:
    """Return the error about the cell of a column in a row (counted from 0), the first of `count` such cells."""
    cell = str(texts.as_text(table.column(name))[row].as_py())
    more = f" (and {count - 1:,} more cell{'s' * (count != 2)})" if count > 1 else ""
    hint = next((hint for pattern, hint in HINTS.items() if re.match(pattern, cell)), OTHERWISE)
    return UserError(
        f"column {shown(name)}: {table.where(row)} holds {shown(cell)}, {expected} expected{more}. {hint}."
    )
