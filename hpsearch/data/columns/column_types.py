"""Types of columns: a literal table of what a column can be, how that shows in its cells, and how its cells are read.

`plan` takes the cells of a sample of rows (without test rows) and gives the column's entry in the preprocessing, or None where the
column is not of this type; `read` turns the cells of any rows into one number each, by that entry alone. The first row that has a plan
is the column's type; a new type is one row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pyarrow.compute as pc

from hpsearch.data.cells import NUMBERS, Array
from hpsearch.data.columns import dates, parsing
from hpsearch.data.columns.error_messages import misread
from hpsearch.data.columns.table import Cells, Table, absent
from hpsearch.data.transform import PERIODS
from hpsearch.errors import counted, listed

MOST_CATEGORIES = 50
MOSTLY = 0.9  # of the cells are numbers or dates: the others are taken for mistakes
FEW_VALUES = 20  # numbers among texts may still be codes

Entry = dict[str, Any]  # a column of the preprocessing: plain JSON values


@dataclass(frozen=True, slots=True)
class ColumnSample:
    """A column's cells in the rows from which its type is found; `rows` are those rows' numbers."""

    name: str
    cells: Cells
    rows: Array
    table: Table
    missing_values: tuple[str, ...]

    @property
    def is_text(self) -> bool:
        """Whether the cells are text, of which nothing is known yet."""
        return not isinstance(self.cells, np.ndarray)

    @property
    def text(self) -> Any:
        """The cells as text, empty ones null."""
        return parsing.with_nulls(parsing.as_text(self.cells), self.missing_values)


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A row of `COLUMN_TYPES`: the functions that recognise and read such a column; `expected` says in an error what its cells should be.

    `read(entry, cells, decimal)` gives numbers [N] (NaN: missing) and which cells [N] cannot be read so.
    """

    expected: str
    plan: Callable[[ColumnSample], Entry | None]
    read: Callable[[Entry, Any, str], tuple[Array, Array]]


def mostly_numbers(values: Array, other: Array, share: float) -> bool:
    """Whether many different numbers [N] (NaN: none) are at least a share of the cells that are there; `other` [N] are no numbers."""
    known = ~np.isnan(values)
    enough = known.sum() >= share * (known.sum() + other.sum())
    return bool(enough) and len(np.unique(values[known])) > FEW_VALUES


def _plan_number(sample: ColumnSample) -> Entry | None:
    entry = {"name": sample.name, "kind": "number"}
    if not sample.is_text:
        return entry if sample.cells.dtype.kind in NUMBERS else None
    values, other = parsing.numbers(sample.text, sample.table.decimal)
    if not other.any():
        return entry
    if parsing.matches(sample.text, parsing.LEADING_ZEROS).any():  # 01067 among 10115: names, not numbers
        return None
    known = ~np.isnan(values)
    infinite = known.any() and bool(parsing.matches(sample.text.filter(other), parsing.INFINITE).all())
    if infinite or mostly_numbers(values, other, MOSTLY) or _has_thousands(sample, known | other):
        raise misread(sample.table, sample.name, "a number", sample.rows[other])
    return None


def _has_thousands(sample: ColumnSample, full: Array) -> bool:
    """Whether a column would be numbers but for separators of thousands, which are then reported as mistakes."""
    text = sample.text
    if sample.table.decimal == ",":  # exchange comma and point
        for old, new in ((".", ";"), (",", "."), (";", ",")):
            text = pc.replace_substring(text, old, new)
    thousands = parsing.matches(text, parsing.THOUSANDS)
    return bool(thousands.any()) and not (full & ~thousands & ~parsing.matches(text, parsing.NUMBER)).any()


def _read_number(entry: Entry, cells: Any, decimal: str) -> tuple[Array, Array]:
    if isinstance(cells, np.ndarray):
        return _read_typed(cells)
    values, other = parsing.numbers(cells, decimal)
    if other.any() and entry.get("range") == [0, 1]:  # True and False for the 1 and 0 of the training rows
        truth, unread = _read_boolean({"false": "false", "true": "true"}, cells, decimal)
        if not unread.any():
            return truth, unread
    return values, other


def _read_typed(cells: Array) -> tuple[Array, Array]:
    """Read numbers of NumPy's; of cells of any other kind, those that are there cannot be read."""
    if cells.dtype.kind in NUMBERS:
        return cells.astype(np.float64), np.zeros(len(cells), dtype=bool)
    return np.full(len(cells), np.nan), ~absent(cells)


def _plan_date(sample: ColumnSample) -> Entry | None:
    if not sample.is_text:
        if sample.cells.dtype.kind != "M":
            return None
        return _date_entry(sample, dates.ISO, dates.days_of(sample.cells))
    formats = dates.date_formats(sample.text)
    if not formats:
        return None
    entry = _date_entry(sample, formats[0], dates.read_days(sample.text, formats[0])[0])
    note = _other_readings(sample, formats)
    return {**entry, "note": note} if note else entry


def _other_readings(sample: ColumnSample, formats: Sequence[str]) -> str:
    """Return what else a column of dates may mean, with the options that say so; nothing where there is one reading."""
    notes = []
    for other in formats[1:]:
        option = sample.table.column_option(sample.name, f"date:{other}")
        notes.append(f"{other} would fit too ({option})")
    if "%y" in formats[0]:
        years = "years of two digits are 1969 to 2068"
        text = sample.table.column_option(sample.name, "category")
        notes.append(f"{years}; if these are no dates: {text}")
    if not notes:
        return ""
    return ", ".join([f"read as {formats[0]}", *notes])


def plan_date_as(sample: ColumnSample, form: str) -> Entry:
    """Return the entry of a column of dates in a format that the user gives.

    Raises:
        UserError: a cell is no such date.
    """
    days, other = _read_date({"format": form}, sample.cells if not sample.is_text else sample.text, ".")
    if other.any():
        raise misread(sample.table, sample.name, dates.date_example(form), sample.rows[other])
    return _date_entry(sample, form, days)


def _date_entry(sample: ColumnSample, form: str, days: Array) -> Entry:
    """Return the entry of dates: the days, and sine and cosine of each period, that of the day where they have an hour."""
    timed = bool((np.nan_to_num(days) % 1 != 0).any())
    periods = list(PERIODS)
    if not timed:
        periods.remove("day")
    parts = ["days", *map("_".join, product(periods, ("sin", "cos")))]
    return {"name": sample.name, "kind": "date", "format": form, "parts": parts}


def _read_date(entry: Entry, cells: Any, decimal: str) -> tuple[Array, Array]:
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        return dates.days_of(cells), np.zeros(len(cells), dtype=bool)
    return dates.read_days(parsing.as_text(cells), entry["format"])


def _plan_boolean(sample: ColumnSample) -> Entry | None:
    if not sample.is_text:
        return None
    pair = parsing.truth_pair(sample.text.drop_null().unique())
    if pair is None:
        return None
    return {"name": sample.name, "kind": "boolean", "false": pair[0], "true": pair[1]}


def _read_boolean(entry: Entry, cells: Any, decimal: str) -> tuple[Array, Array]:
    if isinstance(cells, np.ndarray):
        known = np.zeros(len(cells), dtype=bool)
        if cells.dtype.kind in NUMBERS:
            known = np.isin(cells, (0, 1))
        return np.where(known, cells, np.nan), ~known & ~absent(cells)
    words = parsing.truth_words(entry)
    values = parsing.positions(pc.utf8_lower(cells), [*words[0], *words[1]])
    count = len(words[0])
    other = values == count + len(words[1])
    return np.where(other | np.isnan(values), np.nan, values >= count), other


def _plan_category(sample: ColumnSample) -> Entry:
    text = sample.text
    found = pc.value_counts(text.drop_null())
    counts = dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))
    texts = sorted(counts, key=lambda value: (-counts[value], value))  # the most frequent first
    other = len(texts) > MOST_CATEGORIES
    kept = texts[: MOST_CATEGORIES - 1] if other else texts
    entry = {
        "name": sample.name,
        "kind": "category",
        "categories": sorted(kept),
        "other": other,
        "missing": bool(text.null_count),
    }
    if other:
        entry["note"] = f"the {len(kept)} most frequent of {len(texts):,} values, the others together"
    elif note := _nearly_truth(counts):
        entry["note"] = note
    return entry


def _nearly_truth(counts: Mapping[str, int]) -> str:
    """Return what a reader should know of a column whose cells [count by text] are truth values but for a few; "" of any other."""
    for pair in parsing.TRUTH:
        odd = [text for text in counts if text.lower() not in pair]
        few = sum(counts[text] for text in odd) <= (1 - MOSTLY) * sum(counts.values())
        if odd and few and {text.lower() for text in counts} >= {*pair}:
            cells = counted(sum(counts[text] for text in odd), "cell")
            return f"{listed(odd, 3)} in {cells} beside {pair[1]} and {pair[0]}, so it is a category, not a truth value"
    return ""


def _read_category(entry: Entry, cells: Any, decimal: str) -> tuple[Array, Array]:
    return parsing.positions(parsing.as_text(cells), entry["categories"]), np.zeros(len(cells), dtype=bool)


COLUMN_TYPES: Mapping[str, ColumnType] = {
    # All its cells are numbers: it is standardised by the training rows' mean and deviation.
    "number": ColumnType("a number", _plan_number, _read_number),
    # All its cells are dates: the days since 1970 say how things change, sine and cosine of the year and the week what comes again.
    "date": ColumnType("a date", _plan_date, _read_date),
    # It has two values that mean no and yes: one input is enough.
    "boolean": ColumnType("one of the column's two values", _plan_boolean, _read_boolean),
    # Its cells are texts that come again, without an order: each has an input of its own (one-hot).
    "category": ColumnType("a text", _plan_category, _read_category),
}
