"""How a text table is written: its separator, and whether it has a line of names; found with a reason, or given."""

import re
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from hpsearch.data.columns import number_marks
from hpsearch.data.columns.dates import rows_by_date_pattern
from hpsearch.data.loaders.csv_layout import SPACES, splits_by_spaces
from hpsearch.errors import UserError, percent_text, shown

SEPARATORS = {"\t": "tab", ";": "semicolon", "|": "bar", ",": "comma"}  # of equals the first: a comma may be decimal
NAMES = {**SEPARATORS, SPACES: "spaces"}
LOOKED_AT = 100  # lines
LEAST_AGREEMENT = 0.5  # of the lines; text with commas in it has less


def find_separator(content: bytes, given: str | None) -> tuple[str, str]:
    """Return the separator and why: the one with which most of the first lines have the same number of cells, two at least."""
    if given is not None:
        if not _can_separate(given):
            raise UserError(f"separator {shown(given)}: one of , ; | or a tab expected.")
        return given, "as given"
    lines = _first_lines(content)
    scores = {mark: _agreement([line.count(mark) for line in lines]) for mark in SEPARATORS}
    best = max(scores, key=lambda mark: scores[mark])
    if _are_aligned(lines, best if scores[best] else None):
        return SPACES, f"they separate the same number of cells in the first {len(lines):,} lines"
    if 0 < scores[best] < LEAST_AGREEMENT:
        raise UserError(
            f"no table: only {percent_text(scores[best])} of the first {len(lines):,} lines have the same number of cells, whatever "
            "separates them. Give a table, or its separator (--separator)."
        )
    if scores[best] == 0:
        raise UserError(
            "only one column: no comma, semicolon, tab or bar separates cells in most lines. "
            "Give the separator (--separator), and a table with a target and at least one other column."
        )
    return best, f"{percent_text(scores[best])} of the first {len(lines):,} lines have the same number of cells with it"


def find_header(first: Sequence[str], given: bool | None, expected: Sequence[str]) -> tuple[bool, str]:
    """Return whether the first line holds names, and why; `expected` are names that are asked for."""
    if given is not None:
        return given, "as given"
    if list(first) == column_numbers(len(first)):
        return True, "it counts the columns"
    asked = [name for name in expected if name in first]
    named = [name for name in asked if not _is_column_number(name, len(first))]
    if named:
        return True, f"it has {shown(named[0])}"
    value = next((cell for cell in first if _is_value(cell)), None)
    if value is not None:
        return False, f"its {shown(value)} is a value, not a name"
    return True, "its cells are texts and no values"


def column_numbers(count: int) -> list[str]:
    """Return the names of columns that have none: "0", "1" and so on."""
    return [str(number) for number in range(count)]


def may_be_names(cells: Sequence[str]) -> bool:
    """Whether cells can be a line of names: each has one, none twice, and none is a value."""
    return all(cells) and len(set(cells)) == len(cells) and not any(map(_is_value, cells))


def _can_separate(mark: str) -> bool:
    """Whether a text is one mark of ASCII that may stand between cells."""
    return len(mark) == 1 and mark.isascii() and not mark.isalnum() and mark not in '"\n\r\0'


def _first_lines(content: bytes) -> list[str]:
    """Return the first rows, a letter in place of what stands in quotes."""
    start = content[:1_000_000].decode(errors="replace")
    rows = re.sub(r'"(?:[^"]|"")*"', "q", start).split("\n")
    complete = rows[:-1] if len(rows) > 1 else rows
    return [row for row in complete if row][:LOOKED_AT] or rows[:1]


def _are_aligned(lines: Sequence[str], best: str | None) -> bool:
    """Whether spaces separate cells: no other mark does, or the comma does and is a decimal mark wherever it stands."""
    if best not in (None, ",") or not splits_by_spaces(lines):
        return False
    if best is None:
        return True
    cells = " ".join(lines[1:]).split()
    if not all(number_marks.is_number(cell) for cell in cells if "," in cell):
        return False
    return all("  " in line or line.startswith(" ") for line in lines) or all(map(number_marks.is_number, cells))


def _agreement(counts: Sequence[int]) -> float:
    """Return the share of lines with the most common number of separators; 0 where most have none."""
    number, lines = Counter(counts).most_common(1)[0]
    return lines / len(counts) if number else 0.0


def _is_column_number(name: str, columns: int) -> bool:
    """Whether a name may be that of a column without one, which a cell of the first line may equal by chance."""
    return name.isdecimal() and len(name) < 9 and int(name) < columns


def _is_value(cell: str) -> bool:
    """Whether a cell is a number, with either decimal mark, or a date."""
    if number_marks.is_number(cell):
        return True
    return bool(rows_by_date_pattern(pa.array([cell], pa.string())))
