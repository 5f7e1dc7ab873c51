"""Types of columns: a literal table of what a column can be, how that shows in its cells, and how its cells are read.

`plan` takes the cells of a sample of rows (without test rows) and gives the column's entry in the preprocessing, or None where the
column is not of this type; `read` turns the cells of any rows into one number each, by that entry alone. The first row that has a plan
is the column's type; a new type is one row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from hpsearch.data.cells import Array
from hpsearch.data.columns import dates, parsing
from hpsearch.data.columns.error_messages import misread
from hpsearch.data.columns.table import Cells, Table, absent, take

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
        return parsing.plain(parsing.as_text(self.cells), self.missing_values)


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A row of `COLUMN_TYPES`: what becomes of such a column and why, and the functions that recognise and read it.

    `read(entry, cells, decimal)` gives numbers [N] (NaN: missing) and which cells [N] cannot be read so; `expected` says in an error
    what they should be.
    """

    title: str
    reason: str
    expected: str
    plan: Callable[[ColumnSample], Entry | None]
    read: Callable[[Entry, Any, str], tuple[Array, Array]]


def sample_of(table: Table, name: str, rows: Array, missing_values: tuple[str, ...]) -> ColumnSample:
    """Return a column in some rows."""
    return ColumnSample(name, take(table.column(name), rows), rows, table, missing_values)


def distinct_texts(sample: ColumnSample) -> list[tuple[str, int]]:
    """Return a column's texts and how often each occurs, the most frequent first, equals by their letters."""
    counts = pc.value_counts(sample.text.drop_null())
    found = zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _plan_number(sample: ColumnSample) -> Entry | None:
    if not sample.is_text:
        return {"name": sample.name, "kind": "number"} if sample.cells.dtype.kind in "biuf" else None
    values, other = parsing.numbers(sample.text, sample.table.decimal)
    if not other.any():
        return {"name": sample.name, "kind": "number"}
    known = ~np.isnan(values)
    mostly = known.sum() >= MOSTLY * (known.sum() + other.sum()) and len(np.unique(values[known])) > FEW_VALUES
    infinite = known.any() and bool(parsing.matches(sample.text.filter(other), parsing.INFINITE).all())
    codes = parsing.matches(sample.text, parsing.LEADING_ZEROS).any()  # 01067 among 10115: names, not numbers
    if not codes and (mostly or infinite or _has_thousands(sample, known | other)):
        raise misread(sample.table, sample.name, "a number", sample.rows[other])
    return None


def _has_thousands(sample: ColumnSample, full: Array) -> bool:
    """Whether a column would be numbers but for separators of thousands, which are then reported as mistakes."""
    plain = sample.text
    if sample.table.decimal == ",":  # exchange comma and point
        for old, new in ((".", ";"), (",", "."), (";", ",")):
            plain = pc.replace_substring(plain, old, new)
    thousands = parsing.matches(plain, parsing.THOUSANDS)
    return bool(thousands.any()) and not (full & ~thousands & ~parsing.matches(plain, parsing.NUMBER)).any()


def _read_number(entry: Entry, cells: Any, decimal: str) -> tuple[Array, Array]:
    if isinstance(cells, np.ndarray):
        usable = cells.dtype.kind in "biuf"
        values = cells.astype(np.float64) if usable else np.full(len(cells), np.nan)
        return values, np.full(len(cells), not usable) & ~absent(cells)
    return parsing.numbers(cells, decimal)


def _plan_date(sample: ColumnSample) -> Entry | None:
    if not sample.is_text:
        if sample.cells.dtype.kind != "M":
            return None
        return _date_entry(sample, dates.ISO, dates.days_of(sample.cells))
    found = dates.find_format(sample.text)
    if found is None:
        return None
    entry = _date_entry(sample, found.form, dates.read_days(sample.text, found.form)[0])
    if found.other:
        entry["note"] = f"read as {found.form}, {found.other} would fit too"
    return entry


def _date_entry(sample: ColumnSample, form: str, days: Array) -> Entry:
    timed = bool((np.nan_to_num(days) % 1 != 0).any())
    return {"name": sample.name, "kind": "date", "format": form, "parts": dates.parts(timed)}


def _read_date(entry: Entry, cells: Any, decimal: str) -> tuple[Array, Array]:
    if isinstance(cells, np.ndarray):
        usable = cells.dtype.kind == "M"
        values = dates.days_of(cells) if usable else np.full(len(cells), np.nan)
        return values, np.full(len(cells), not usable) & ~absent(cells)
    return dates.read_days(cells, entry["format"])


def _plan_boolean(sample: ColumnSample) -> Entry | None:
    if not sample.is_text:
        return None
    distinct = sample.text.drop_null().unique()
    pair = parsing.truth_pair(distinct.to_pylist()) if len(distinct) == 2 else None
    return None if pair is None else {"name": sample.name, "kind": "boolean", "false": pair[0], "true": pair[1]}


def _read_boolean(entry: Entry, cells: Any, decimal: str) -> tuple[Array, Array]:
    known = [entry["false"].lower(), entry["true"].lower()]
    values = parsing.positions(pc.utf8_lower(parsing.as_text(cells)), known)
    other = values == len(known)
    return np.where(other, np.nan, values), other


def _plan_category(sample: ColumnSample) -> Entry:
    counted = distinct_texts(sample)
    many = len(counted) > MOST_CATEGORIES
    kept = counted[: MOST_CATEGORIES - 1] if many else counted
    missing = bool(sample.text.null_count)
    entry = {"categories": sorted(text for text, _ in kept), "other": many, "missing": missing}
    note = {"note": f"the {len(kept)} most frequent of {len(counted):,} values, the others together"} if many else {}
    return {"name": sample.name, "kind": "category", **entry, **note}


def _read_category(entry: Entry, cells: Any, decimal: str) -> tuple[Array, Array]:
    return parsing.positions(parsing.as_text(cells), entry["categories"]), np.zeros(len(cells), dtype=bool)


COLUMN_TYPES: Mapping[str, ColumnType] = {
    "number": ColumnType(
        "Number",
        "All its cells are numbers: it is standardised by the training rows' mean and deviation.",
        "a number",
        _plan_number,
        _read_number,
    ),
    "date": ColumnType(
        "Date",
        "All its cells are dates: the days since 1970 say how things change, sine and cosine of the year and the week what comes again.",
        "a date",
        _plan_date,
        _read_date,
    ),
    "boolean": ColumnType(
        "Truth value",
        "It has two values that mean no and yes: one input is enough.",
        "one of the column's two values",
        _plan_boolean,
        _read_boolean,
    ),
    "category": ColumnType(
        "Category",
        "Its cells are texts that come again, without an order: each has an input of its own (one-hot).",
        "a text",
        _plan_category,
        _read_category,
    ),
}
