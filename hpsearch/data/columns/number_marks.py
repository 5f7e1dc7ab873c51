"""How numbers are written in text: decimal mark, thousands separators, and the forms of a minus sign.

A cell may be a number with a decimal point (1,234.5), with a decimal comma (1.234,5), with either (1 234), or be one thing with the one and
another with the other (1.234). So each column says for itself which mark its numbers need; what a column leaves open is decided by the
other columns, and what they leave open by the user. Cells that need it are written anew, with the file's decimal mark and a plain minus,
so that all that follows knows one way of writing a number.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import decimal as digit_of

import pyarrow as pa
import pyarrow.compute as pc

from hpsearch.data.assumptions import option
from hpsearch.data.cells import Array
from hpsearch.data.columns import parsing
from hpsearch.data.columns.error_messages import FEW_TEXTS
from hpsearch.errors import UserError, shown

DECIMALS = (".", ",")
THOUSANDS = (",", ".", " ", "'", "_")  # a space of any width, an apostrophe of any form
NO_THOUSANDS = "none"
LOOKED_AT = 10_000  # cells of a column, before all of it
VOTES = 0.5  # of a column's cells are numbers: it may say which mark is the decimal one
MOSTLY = 0.9  # of a column's cells are numbers: they are written anew, whatever the others are

SPACES = "\u00a0\u2002-\u200a\u202f"
APOSTROPHES = "\u2019\u2018\u02bc\u00b4`"
INVISIBLE = "\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\u061c\ufeff"  # direction, width of nothing, byte order
MINUSES = "\u2212\u2010-\u2015\ufe63\uff0d"  # typographic ones; the plain one is none of them
FORMS = (  # what is written in many ways → as it is read here, in turn
    (f"[{INVISIBLE}]", ""),
    ("[\u066b\uff0e]", "."),  # Arabic, and of full width
    ("\uff0c", ","),
    ("\u066c", "'"),
    ("\uff0b", "+"),
    (f"[{SPACES}]", " "),
    (f"[{APOSTROPHES}]", "'"),
    (f"^([+(]?)[{MINUSES}]", r"\1-"),
    (f"^([^-+()].*?) ?[{MINUSES}-]$", r"-\1"),  # behind the number
    (r"^\( *([^-+()].*?) *\)$", r"-\1"),  # as in accounts
    ("^([-+]) +", r"\1"),
)
IN_PARENTHESES = r"^\(.*\)$"
IP_ADDRESS = r"^(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$"
EXPONENT = r"(?:[eE][+-]?\d{1,4})?"


@dataclass(frozen=True, slots=True)
class Marks:
    """A decimal mark, and the thousands separators that may stand beside it."""

    decimal: str
    thousands: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """The pattern of a number that is written with them."""
        mark = rf"\{self.decimal}"
        groups = "|".join(map(self._groups, self.thousands))
        whole = rf"(?:0|[1-9]\d*)(?:{mark}\d*)?{EXPONENT}|{mark}\d+{EXPONENT}"
        if groups:
            whole = rf"{whole}|(?:{groups})(?:{mark}\d*)?"
        return f"^[+-]?(?:{whole})$"

    @staticmethod
    def _groups(mark: str) -> str:
        """Return the pattern of digits in groups of three; commas also separate groups of two before the last, as in India."""
        if mark == ",":
            return r"[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d\d)*,\d{3}"
        own = rf"\{mark}" if mark == "." else mark
        return rf"[1-9]\d{{0,2}}(?:{own}\d{{3}})+"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the cells of a column say: how many are numbers with a decimal point only, with a decimal comma only, or either of two numbers.

    `full` cells are there, `numbers` of them are numbers; `example` is one that may be either of two.
    """

    point: int = 0
    comma: int = 0
    either: int = 0
    numbers: int = 0
    full: int = 0
    example: str = ""

    @property
    def share(self) -> float:
        """The share of the cells that are numbers."""
        return self.numbers / max(1, self.full)

    @property
    def decimal(self) -> str | None:
        """The mark that most of the column's numbers need, None where they need neither."""
        if self.point == self.comma:
            return None
        return "." if self.point > self.comma else ","


@dataclass(frozen=True, slots=True)
class Decision:
    """A file's decimal mark, and why; `by_column` says that columns with the other mark are read by that."""

    decimal: str
    why: str
    by_column: bool


def allowed_marks(thousands: str | None) -> Mapping[str, Marks]:
    """Return the marks that may stand beside a decimal point and a decimal comma; those that are given, if they are.

    Raises:
        UserError: no such separator.
    """
    given: tuple[str, ...] = THOUSANDS
    if thousands == NO_THOUSANDS:
        given = ()
    elif thousands is not None:
        given = (thousands,)
    if not set(given) <= set(THOUSANDS):
        known = ", ".join(map(shown, THOUSANDS))
        raise UserError(f"thousands {shown(thousands)}: one of {known}, or {NO_THOUSANDS} expected.")
    return {decimal: Marks(decimal, tuple(mark for mark in given if mark != decimal)) for decimal in DECIMALS}


def evidence_of(cells: Any, marks: Mapping[str, Marks]) -> Evidence:
    """Return what text cells say of the decimal mark: the first of them, and all where these are numbers with marks."""
    first = _counted(cells.slice(0, LOOKED_AT), marks)
    if len(cells) <= LOOKED_AT or first.share < VOTES:
        return first
    is_open = first.decimal is None and first.either
    plain = not is_open and first.share == 1 and parsing.are_plain(cells)
    return first if plain else _counted(cells, marks)


def find_decimal(
    evidence: Mapping[str, Evidence],
    given: str | None,
    thousands: str | None,
    separator: str,
    usual: str | None = None,
    *,
    of_file: bool = True,
) -> Decision:
    """Return a table's decimal mark. Columns that are numbers throughout decide, else those that mostly are; `usual` is the last resort.

    Raises:
        UserError: both marks are possible.
    """
    if given is not None:
        if given not in DECIMALS:
            raise UserError(f"decimal {shown(given)}: '.' or ',' expected.")
        if given == thousands:
            raise UserError(f"decimal and thousands are both {shown(given)}. Give two marks, or one of the options.")
        return Decision(given, "as given", by_column=False)
    if thousands in DECIMALS:
        other = "." if thousands == "," else ","
        return Decision(other, f"{shown(thousands)} separates thousands, as given", by_column=True)
    votes = {name: column for name, column in evidence.items() if column.share == 1}
    if not any(column.decimal for column in votes.values()):
        votes = {name: column for name, column in evidence.items() if column.share >= VOTES}
    return _decided(votes, separator, usual, of_file=of_file)


def trained_rows(*, of_file: bool) -> str:
    """Return how the rows that a network was trained on are called beside new ones."""
    return "the study's file" if of_file else "the rows of training"


def _decided(votes: Mapping[str, Evidence], separator: str, usual: str | None, *, of_file: bool) -> Decision:
    certain = {mark: [name for name, column in votes.items() if column.decimal == mark] for mark in DECIMALS}
    undecided = {name: column for name, column in votes.items() if column.decimal is None}
    open_ = [name for name, column in undecided.items() if column.either]
    if certain["."] and separator == ",":
        return Decision(".", f"column {shown(certain['.'][0])} has numbers with a point", by_column=False)
    if len(list(filter(None, certain.values()))) == 1:
        mark = "." if certain["."] else ","
        name = "point" if certain["."] else "comma"
        return Decision(mark, f"column {shown(certain[mark][0])} has numbers with a {name}", by_column=True)
    if usual is not None:
        return Decision(usual, f"as in {trained_rows(of_file=of_file)}", by_column=True)
    if open_:
        _refuse_open(votes, open_, separator, of_file=of_file)
    if certain[","]:
        why = f"column {shown(certain['.'][0])} has numbers with a point, {shown(certain[','][0])} with a comma"
        return Decision(".", why, by_column=True)
    if separator == ",":
        return Decision(".", "the comma separates cells", by_column=True)
    return Decision(".", "no column has numbers with commas only", by_column=True)


def _refuse_open(votes: Mapping[str, Evidence], names: list[str], separator: str, *, of_file: bool) -> None:
    """Refuse a column whose numbers may be read in two ways; points in a file whose commas separate cells are decimal points."""
    if separator == ",":
        names = [name for name in names if "," in votes[name].example]
    if not names:
        return
    cell = votes[names[0]].example
    mark = next(letter for letter in cell if letter in DECIMALS)
    other = "." if mark == "," else ","
    name = "comma" if mark == "," else "point"
    decimal = f"{option('decimal', mark, of_file=of_file)} ({cell.replace(mark, '.')})"
    thousands = f"{option('decimal', other, of_file=of_file)} ({cell.replace(mark, '')})"
    in_study = "; in a study's file data.decimal" * of_file
    raise UserError(
        f"column {shown(names[0])}: in {shown(cell)} the {name} may be a decimal mark or separate thousands, and no column decides. "
        f"Give {decimal} or {thousands}{in_study}."
    )


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A column's cells with its numbers in plain form; an `example` of one that was changed ("": none), and its thousands separator."""

    cells: Any
    decimal: str
    example: str = ""
    thousands: str = ""


def rewritten(
    cells: Any, marks: Marks, decimal: str, *, missing_values: Sequence[str] = (), new: bool = False
) -> Rewritten:
    """Return text cells with each number that has `marks` in plain form with the file's decimal mark.

    Cells of which too few are numbers stay as they are, as do those that are all in parentheses: these count, and take nothing away. In
    `new` rows a column is known to be one of numbers.
    """
    as_given = Rewritten(cells, marks.decimal)
    if decimal == "." == marks.decimal and parsing.are_plain(cells):
        return as_given
    bare = _bare(cells)
    full = ~parsing.missing(parsing.with_nulls(cells, missing_values))
    fits = parsing.matches(bare, marks.pattern) & full
    if not new and not _are_numbers(cells, full, fits):
        return as_given
    plain = bare
    for mark in marks.thousands:
        plain = pc.replace_substring(plain, mark, "")
    if marks.decimal != decimal:
        plain = pc.replace_substring(plain, marks.decimal, decimal)
    plain = pc.if_else(pa.array(fits), plain, cells)
    changed = pc.fill_null(pc.not_equal(plain, cells), False)
    example, thousands = _example(cells.filter(changed), bare.filter(changed), marks)
    return Rewritten(plain, marks.decimal, example, thousands)


def _are_numbers(cells: Any, full: Array, fits: Array) -> bool:
    """Whether a column is one of numbers but for a few texts, given which cells are there and which are numbers; not all in parentheses."""
    share = fits.sum() / max(1, full.sum())
    if share < VOTES or parsing.matches(cells, IN_PARENTHESES)[full].all():
        return False
    return bool(share >= MOSTLY) or len(cells.filter(pa.array(full & ~fits)).unique()) <= FEW_TEXTS


def _example(cells: Any, bare: Any, marks: Marks) -> tuple[str, str]:
    """Return one of the cells that were changed, and the thousands separator in it; one with a separator, where there is one."""
    for mark in marks.thousands:
        with_mark = cells.filter(pc.match_substring(bare, mark))
        if len(with_mark):
            return str(with_mark[0]), mark
    return (str(cells[0]) if len(cells) else ""), ""


def plain_number(cell: str, decimal: str) -> str:
    """Return a number with this decimal mark as Python writes it."""
    return str(rewritten(pa.array([cell], pa.string()), allowed_marks(None)[decimal], ".", new=True).cells[0])


def is_number(cell: str) -> bool:
    """Whether a cell is a number, however it is written; one in parentheses may be a name."""
    text = pa.array([cell], pa.string())
    if cell.startswith("("):
        return False
    return any(bool(parsing.matches(_bare(text), marks.pattern)[0]) for marks in allowed_marks(None).values())


def _counted(cells: Any, marks: Mapping[str, Marks]) -> Evidence:
    full = cells.filter(pa.array(~parsing.missing(parsing.with_nulls(cells))))
    bare = _bare(full)
    with_point = parsing.matches(bare, marks["."].pattern)
    with_comma = parsing.matches(bare, marks[","].pattern)
    if with_comma.any() and parsing.matches(bare, IP_ADDRESS).all():  # 192.168.100.101 is no number of twelve digits
        with_comma[:] = False
    either = with_point & with_comma & parsing.matches(bare, "[.,]")
    return Evidence(
        point=int((with_point & ~with_comma).sum()),
        comma=int((with_comma & ~with_point).sum()),
        either=int(either.sum()),
        numbers=int((with_point | with_comma).sum()),
        full=len(full),
        example=str(full[int(either.argmax())]) if either.any() else "",
    )


def _bare(cells: Any) -> Any:
    """Return cells with one form of each mark and sign."""
    odd = parsing.matches(cells, r"[^\d.,eE+-]|-$|^[-+] ")
    if not odd.any():
        return cells
    if parsing.matches(cells, r"[^\x00-\x7f]").any():
        cells = _with_plain_digits(cells)
    for pattern, form in FORMS:
        cells = pc.replace_substring_regex(cells, pattern, form)
    return cells


def _with_plain_digits(cells: Any) -> Any:
    """Return cells with 0 to 9 for the digits of other scripts."""
    encoded = cells.dictionary_encode()
    plain = [re.sub(r"\d", lambda digit: str(digit_of(digit[0])), text) for text in encoded.dictionary.to_pylist()]
    return pa.array(plain, pa.string()).take(encoded.indices)
