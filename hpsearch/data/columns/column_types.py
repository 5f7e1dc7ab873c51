"""Kinds of columns: a literal table of what a column can be, how that is seen from its cells, and how its cells are read.

`plan` looks at the cells of the rows that may be looked at (no test row among them) and gives the column's entry in the preprocessing,
or None where the cells are no such thing; `read` turns the cells of any rows into one number each, by that entry alone. A kind is found
in the table's order; a new one is one row.
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
class Seen:
    """A column's cells in the rows from which its kind is found; `rows` are those rows' numbers."""

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
class Kind:
    """A row of `KINDS`: what becomes of such a column and why, and the functions that see and read it.

    `read(entry, cells, decimal)` gives numbers [N] (NaN: missing) and which cells [N] cannot be read so; `expected` says in an error
    what they should be.
    """

    title: str
    reason: str
    expected: str
    plan: Callable[[Seen], Entry | None]
    read: Callable[[Entry, Any, str], tuple[Array, Array]]


def see(table: Table, name: str, rows: Array, missing_values: tuple[str, ...]) -> Seen:
    """Return a column in some rows."""
    return Seen(name, take(table.column(name), rows), rows, table, missing_values)


def distinct_texts(seen: Seen) -> list[tuple[str, int]]:
    """Return a column's texts and how often each occurs, the most frequent first, equals by their letters."""
    counts = pc.value_counts(seen.text.drop_null())
    found = zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _plan_number(seen: Seen) -> Entry | None:
    if not seen.is_text:
        return {"name": seen.name, "kind": "number"} if seen.cells.dtype.kind in "biuf" else None
    values, other = parsing.numbers(seen.text, seen.table.decimal)
    if not other.any():
        return {"name": seen.name, "kind": "number"}
    known = ~np.isnan(values)
    mostly = known.sum() >= MOSTLY * (known.sum() + other.sum()) and len(np.unique(values[known])) > FEW_VALUES
    infinite = known.any() and bool(parsing.matches(seen.text.filter(other), parsing.INFINITE).all())
    codes = parsing.matches(seen.text, parsing.LEADING_ZEROS).any()  # 01067 among 10115: names, not numbers
    if not codes and (mostly or infinite or _has_thousands(seen, known | other)):
        raise misread(seen.table, seen.name, "a number", seen.rows[other])
    return None


def _has_thousands(seen: Seen, full: Array) -> bool:
    """Whether a column would be numbers but for separators of thousands: its other cells are told as mistakes."""
    plain = seen.text if seen.table.decimal == "." else pc.replace_substring(seen.text, ".", ";")
    plain = (
        plain if seen.table.decimal == "." else pc.replace_substring(pc.replace_substring(plain, ",", "."), ";", ",")
    )
    thousands = parsing.matches(plain, parsing.THOUSANDS)
    return bool(thousands.any()) and not (full & ~thousands & ~parsing.matches(plain, parsing.NUMBER)).any()


def _read_number(entry: Entry, cells: Any, decimal: str) -> tuple[Array, Array]:
    if isinstance(cells, np.ndarray):
        usable = cells.dtype.kind in "biuf"
        values = cells.astype(np.float64) if usable else np.full(len(cells), np.nan)
        return values, np.full(len(cells), not usable) & ~absent(cells)
    return parsing.numbers(cells, decimal)


def _plan_date(seen: Seen) -> Entry | None:
    if not seen.is_text:
        if seen.cells.dtype.kind != "M":
            return None
        return _date_entry(seen, dates.ISO, dates.days_of(seen.cells))
    found = dates.find_format(seen.text)
    if found is None:
        return None
    form, other = found
    entry = _date_entry(seen, form, dates.read_days(seen.text, form)[0])
    return {**entry, "note": f"read as {form}, {other} would fit too"} if other else entry


def _date_entry(seen: Seen, form: str, days: Array) -> Entry:
    timed = bool((np.nan_to_num(days) % 1 != 0).any())
    return {"name": seen.name, "kind": "date", "format": form, "parts": dates.parts(timed)}


def _read_date(entry: Entry, cells: Any, decimal: str) -> tuple[Array, Array]:
    if isinstance(cells, np.ndarray):
        usable = cells.dtype.kind == "M"
        values = dates.days_of(cells) if usable else np.full(len(cells), np.nan)
        return values, np.full(len(cells), not usable) & ~absent(cells)
    return dates.read_days(cells, entry["format"])


def _plan_boolean(seen: Seen) -> Entry | None:
    if not seen.is_text:
        return None
    distinct = seen.text.drop_null().unique()
    pair = parsing.truth_pair(distinct.to_pylist()) if len(distinct) == 2 else None
    return None if pair is None else {"name": seen.name, "kind": "boolean", "false": pair[0], "true": pair[1]}


def _read_boolean(entry: Entry, cells: Any, decimal: str) -> tuple[Array, Array]:
    known = [entry["false"].lower(), entry["true"].lower()]
    values = parsing.positions(pc.utf8_lower(parsing.as_text(cells)), known)
    other = values == len(known)
    return np.where(other, np.nan, values), other


def _plan_category(seen: Seen) -> Entry:
    counted = distinct_texts(seen)
    many = len(counted) > MOST_CATEGORIES
    kept = counted[: MOST_CATEGORIES - 1] if many else counted
    missing = bool(seen.text.null_count)
    entry = {"categories": sorted(text for text, _ in kept), "other": many, "missing": missing}
    note = {"note": f"the {len(kept)} most frequent of {len(counted):,} values, the others together"} if many else {}
    return {"name": seen.name, "kind": "category", **entry, **note}


def _read_category(entry: Entry, cells: Any, decimal: str) -> tuple[Array, Array]:
    return parsing.positions(parsing.as_text(cells), entry["categories"]), np.zeros(len(cells), dtype=bool)


KINDS: Mapping[str, Kind] = {
    "number": Kind(
        "Number",
        "All its cells are numbers: it is standardised by the training rows' mean and deviation.",
        "a number",
        _plan_number,
        _read_number,
    ),
    "date": Kind(
        "Date",
        "All its cells are dates: the days since 1970 say how things change, sine and cosine of the year and the week what comes again.",
        "a date",
        _plan_date,
        _read_date,
    ),
    "boolean": Kind(
        "Truth value",
        "It has two values that mean no and yes: one input is enough.",
        "one of the column's two values",
        _plan_boolean,
        _read_boolean,
    ),
    "category": Kind(
        "Category",
        "Its cells are texts that come again, without an order: each has an input of its own (one-hot).",
        "a text",
        _plan_category,
        _read_category,
    ),
}
