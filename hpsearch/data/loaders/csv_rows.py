"""The rows of a text table: where each begins, and that all have the same number of cells, before any of it is taken for data.

A lenient reader (a short row filled up, a quote that swallows the rest of the file) gives wrong data in silence. So the bytes are checked
first: quotes open and close a full cell (RFC 4180; one inside is written twice), every row has as many separators.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.data.cells import Array
from hpsearch.errors import UserError, shown

NEWLINE = ord("\n")
QUOTE = ord('"')


@dataclass(frozen=True, slots=True)
class RowBounds:
    """How many `cells` a row has, the `lines` on which rows begin (from 1), and the `longest` row in bytes."""

    cells: int
    lines: Sequence[int]
    longest: int


def find_rows(content: bytes, separator: str) -> RowBounds:
    r"""Return the rows of UTF-8 text that ends in \n; empty lines are none.

    Raises:
        UserError: a quote that stays open or stands inside a cell, rows of different lengths.
    """
    letters = np.frombuffer(content, dtype=np.uint8)
    inside = _inside_quotes(letters, ord(separator)) if b'"' in content else None
    ends = _outside(letters == NEWLINE, inside)  # [rows, empty lines with them]
    starts = np.concatenate(([0], ends[:-1] + 1))
    marks = _outside(letters == ord(separator), inside)
    cells = np.diff(np.searchsorted(marks, ends), prepend=0) + 1
    full = ends > starts
    lines = _lines(letters, starts, inside)
    lines_of_rows: Sequence[int] = range(1, len(ends) + 1)
    if lines is not None or not full.all():
        numbers = np.arange(1, len(ends) + 1) if lines is None else lines
        lines_of_rows = numbers[full].tolist()
    _check_lengths(cells[full], lines_of_rows, separator)
    return RowBounds(int(cells[full][0]), lines_of_rows, int((ends - starts).max()) + 1)


def _inside_quotes(letters: Array, separator: int) -> Array:
    """Return which bytes lie within quotes, the opening one with them.

    Raises:
        UserError: a quote that stays open or stands inside a cell.
    """
    quotes = letters == QUOTE
    inside = np.bitwise_xor.accumulate(quotes.view(np.uint8)).view(bool)
    places = np.flatnonzero(quotes)
    opening = inside[places]
    edges = np.array([separator, NEWLINE, QUOTE], dtype=np.uint8)
    before = np.isin(letters[places - 1], edges) | (places == 0)
    after = np.isin(letters[np.minimum(places + 1, len(letters) - 1)], edges)
    wrong = places[np.where(opening, ~before, ~after)]
    if len(wrong):
        line = _line(letters, int(wrong[0]))
        raise UserError(
            f'line {line:,} has a quote (") inside a cell. Put such a cell in quotes and write the one inside twice: "5"" pipe".'
        )
    if inside[-1]:
        line = _line(letters, int(places[opening][-1]))
        raise UserError(f'the quote (") that opens in line {line:,} is never closed. Close or remove it.')
    return inside


def _outside(marks: Array, inside: Array | None) -> Array:
    """Return the positions of marks that are not inside quotes."""
    return np.flatnonzero(marks if inside is None else marks & ~inside)


def _line(letters: Array, place: int) -> int:
    return int((letters[:place] == NEWLINE).sum()) + 1


def _lines(letters: Array, starts: Array, inside: Array | None) -> Array | None:
    """Return the line on which each row begins; None where each row is one line."""
    if inside is None or not bool((inside & (letters == NEWLINE)).any()):
        return None
    return np.searchsorted(np.flatnonzero(letters == NEWLINE), starts) + 1


def _check_lengths(cells: Array, lines: Sequence[int], separator: str) -> None:
    wrong = np.flatnonzero(cells != cells[0])
    if len(wrong):
        row = int(wrong[0])
        more = f" (and {len(wrong) - 1:,} more lines)" if len(wrong) > 1 else ""
        raise UserError(
            f"line {lines[row]:,} has {cells[row]:,} cell{'s' * int(cells[row] != 1)}, line {lines[0]:,} has {cells[0]:,}{more}; "
            f"the separator is {shown(separator)}. Mend that line, or give another separator."
        )
