"""How a text table is written: its separator, whether it has a line of names, its decimal mark; found with a reason, or given."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hpsearch.data.columns import parsing
from hpsearch.data.columns.dates import rows_by_date_pattern
from hpsearch.errors import UserError, shown

SEPARATORS = {"\t": "tab", ";": "semicolon", "|": "bar", ",": "comma"}  # of equals the first: a comma may be decimal
LOOKED_AT = 100  # lines
LEAST_AGREEMENT = 0.5  # of the lines; text with commas in it has less
LOOKED_AT_CELLS = 10_000  # of each column, for the decimal mark


def find_separator(content: bytes, given: str | None) -> tuple[str, str]:
    """Return the separator and why: the one with which most of the first lines have the same number of cells, two at least."""
    if given is not None:
        if len(given) != 1 or not given.isascii() or given in '"\n\r\0' or given.isalnum():
            raise UserError(f"separator {shown(given)}: one of , ; | or a tab expected.")
        return given, "as given"
    lines = _first_lines(content)
    scores = {mark: _agreement([line.count(mark) for line in lines]) for mark in SEPARATORS}
    best = max(scores, key=lambda mark: scores[mark])
    if 0 < scores[best] < LEAST_AGREEMENT:
        raise UserError(
            f"no table: only {scores[best]:.0%} of the first {len(lines):,} lines have the same number of cells, whatever separates them. "
            "Give a table, or its separator."
        )
    if scores[best] == 0:
        raise UserError(
            "only one column: no comma, semicolon, tab or bar separates cells in most lines. "
            "Give the separator, and a table with a target and at least one other column."
        )
    return best, f"{scores[best]:.0%} of the first {len(lines):,} lines have the same number of cells with it"


def find_header(first: Sequence[str], given: bool | None, expected: Sequence[str]) -> tuple[bool, str]:
    """Return whether the first line holds names, and why; `expected` are names that are asked for."""
    if given is not None:
        return given, "as given"
    if list(first) == column_numbers(len(first)):
        return True, "it counts the columns"
    named = [name for name in expected if name in first and not _is_column_number(name, len(first))]
    if named:
        return True, f"it has {shown(named[0])}"
    value = next((cell for cell in first if _is_value(cell)), None)
    if value is not None:
        return False, f"its {shown(value)} is a value, not a name"
    return True, "its cells are texts and no values"


def column_numbers(count: int) -> list[str]:
    """Return the names of columns that have none: "0", "1" and so on."""
    return [str(number) for number in range(count)]


def find_decimal(
    columns: Sequence[pa.Array], names: Sequence[str], given: str | None, separator: str
) -> tuple[str, str]:
    """Return the decimal mark and why: a comma where a column has numbers with one, and no column numbers with a point.

    Commas that may be decimal marks or thousands separators are refused.
    """
    if given is not None:
        if given not in (".", ","):
            raise UserError(f"decimal {shown(given)}: '.' or ',' expected.")
        return given, "as given"
    parts = [parsing.with_nulls(cells.slice(0, LOOKED_AT_CELLS)) for cells in columns]
    with_comma = {name: part for name, part in zip(names, parts, strict=True) if _are_numbers_with(part, ",")}
    if not with_comma or any(_are_numbers_with(part, ".") for part in parts):
        if separator == ",":
            return ".", "the comma separates cells"
        return ".", "no column has numbers with commas only"
    certain = [name for name, part in with_comma.items() if not _are_thousands(part)]
    if not certain:
        raise UserError(
            f"column {shown(next(iter(with_comma)))}: the comma may be a decimal mark or separate thousands (1,234). "
            "Give decimal ',' or '.'; without thousands separators if it is '.'."
        )
    return ",", f"column {shown(certain[0])} has numbers with a comma"


def _first_lines(content: bytes) -> list[str]:
    """Return the first rows, what stands in quotes taken out."""
    start = content[:1_000_000].decode(errors="replace")
    rows = re.sub(r'"(?:[^"]|"")*"', "", start).split("\n")
    complete = rows[:-1] if len(rows) > 1 else rows
    return [row for row in complete if row][:LOOKED_AT] or rows[:1]


def _agreement(counts: Sequence[int]) -> float:
    """Return the share of lines with the most common number of separators; 0 where most have none."""
    number, lines = Counter(counts).most_common(1)[0]
    return lines / len(counts) if number else 0.0


def _is_column_number(name: str, columns: int) -> bool:
    """Whether a name may be that of a column without one, which a cell of the first line may equal by chance."""
    return name.isdecimal() and len(name) < 9 and int(name) < columns


def _is_value(cell: str) -> bool:
    """Whether a cell is a number, with either decimal mark, or a date."""
    text = pa.array([cell], pa.string())
    with_point = pc.replace_substring(text, ",", ".")
    if parsing.matches(with_point, parsing.NUMBER)[0]:
        return True
    return bool(rows_by_date_pattern(text))


def _are_numbers_with(cells: pa.Array, decimal: str) -> bool:
    """Whether the cells are numbers with this decimal mark, in one of them at least."""
    if not bool(pc.any(pc.match_substring(cells, decimal)).as_py()):
        return False
    values, other = parsing.numbers(cells, decimal)
    return not other.any() and not bool(np.isnan(values).all())


def _are_thousands(cells: pa.Array) -> bool:
    """Whether every cell with a comma may be a number with thousands separators."""
    commas = cells.filter(pc.fill_null(pc.match_substring(cells, ","), False))
    return bool(parsing.matches(commas, parsing.THOUSANDS).all())
