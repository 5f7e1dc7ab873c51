"""Dates: one format for a column, found from its cells; a date is the days since 1970-01-01, its parts are functions of those alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from math import tau

import numpy as np
import pandas as pd
import pyarrow as pa

from hpsearch.data.cells import Array
from hpsearch.data.columns import parsing
from hpsearch.data.transform import PERIODS

ISO = "ISO8601"
ISO_CELL = r"^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$"
DIGITS = r"^\d{8}$"  # by force only: they are numbers
# The pattern that a cell has, and the formats it may mean; the first that reads all cells is taken.
FORMATS: Mapping[str, tuple[str, ...]] = {
    ISO_CELL: (ISO,),
    DIGITS: ("%Y%m%d",),
    r"^\d{4}/\d{1,2}/\d{1,2}": ("%Y/%m/%d",),
    r"^\d{1,2}\.\d{1,2}\.\d{4}": ("%d.%m.%Y",),
    r"^\d{1,2}/\d{1,2}/\d{4}": ("%d/%m/%Y", "%m/%d/%Y"),
    r"^\d{1,2}-\d{1,2}-\d{4}": ("%d-%m-%Y", "%m-%d-%Y"),
    r"^\d{1,2} [A-Za-z]{3} \d{4}": ("%d %b %Y",),
    r"^\d{1,2}-[A-Za-z]{3}-\d{4}": ("%d-%b-%Y",),
}
TIMES = ("", " %H:%M", " %H:%M:%S")
EXAMPLE = datetime(2024, 12, 31, 18, 30)
MICROSECONDS = 86_400_000_000  # in a day


@dataclass(frozen=True, slots=True)
class DateFormat:
    """The `form` that reads all cells of a column, and the `other` one that would read them as well, if there is one."""

    form: str
    other: str | None = None


def find_format(cells: pa.Array) -> DateFormat | None:
    """Return the format of text cells; None where they are no dates."""
    distinct = cells.filter(pa.array(~parsing.missing(cells))).unique()
    if not len(distinct):
        return None
    for pattern, formats in FORMATS.items():
        if parsing.matches(distinct.slice(0, 1), pattern)[0]:
            fitting = [form for form in _with_times(formats, distinct[0].as_py()) if not _unread(distinct, form).any()]
            return DateFormat(*fitting[:2]) if fitting else None
    return None


def _with_times(formats: Sequence[str], cell: str) -> list[str]:
    """Return formats with the time of day that a cell has, by its number of colons."""
    if formats == (ISO,):
        return [ISO]
    times = [time for time in TIMES if time.count(":") == cell.count(":")]
    return [form + time for form, time in product(formats, times)]


def expected(form: str) -> str:
    """Return what a cell of a format should be, by an example."""
    example = f"{EXAMPLE:%Y-%m-%d}" if form == ISO else f"{EXAMPLE:{form}}"
    return f"a date like {example}"


def rows_by_pattern(cells: pa.Array) -> dict[str, Array]:
    """Return in which rows [N] text cells look like dates, for each pattern of `FORMATS` that one has and that is no number's."""
    found = {pattern: parsing.matches(cells, pattern) for pattern in FORMATS if pattern != DIGITS}
    return {pattern: rows for pattern, rows in found.items() if rows.any()}


def read_days(cells: pa.Array, form: str) -> tuple[Array, Array]:
    """Return text cells as days since 1970-01-01 [N] (UTC; NaN where there is no date), and which are neither a date nor missing [N]."""
    encoded = cells.dictionary_encode()
    values = np.append(_days_of_distinct(encoded.dictionary, form), np.nan)
    codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    days = values[codes]
    return days, np.isnan(days) & ~parsing.missing(cells)


def days_of(times: Array) -> Array:
    """Return datetime64 as days since 1970-01-01, NaT as NaN."""
    exact = times.astype("datetime64[us]")
    return np.where(np.isnat(exact), np.nan, exact.astype(np.int64) / MICROSECONDS)


def parts(timed: bool) -> list[str]:
    """Return the names of what a date becomes; those of the hour where the dates have one."""
    periods = [name for name in PERIODS if timed or name != "day"]
    return ["days", *(f"{name}_{wave}" for name, wave in product(periods, ("sin", "cos")))]


def part(days: Array, name: str) -> Array:
    """Return one part of dates: the days themselves, or the sine or cosine of 2π · days / period."""
    if name == "days":
        return days
    period, _, wave = name.rpartition("_")
    turns = days / PERIODS[period]
    angle = tau * (turns - np.floor(turns))
    return np.sin(angle) if wave == "sin" else np.cos(angle)


def _unread(distinct: pa.Array, form: str) -> Array:
    return np.isnan(_days_of_distinct(distinct, form))


def _days_of_distinct(distinct: pa.Array, form: str) -> Array:
    cells = np.array(distinct.to_numpy(zero_copy_only=False), dtype=object)
    if form == ISO:
        cells[~parsing.matches(distinct, ISO_CELL)] = None
    try:
        read = pd.to_datetime(pd.Series(cells, dtype=object), format=form, errors="coerce", utc=True)
    except (ValueError, OverflowError, TypeError):
        return np.full(len(cells), np.nan)
    return days_of(read.dt.tz_localize(None).to_numpy())
