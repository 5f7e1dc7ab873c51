"""Parse cells of text as dates: a column has one format, found from its cells; a date is the days since 1970-01-01 (UTC).

A cell is a date, in words or numbers, and perhaps a time of day with its zone. The date's pattern says which formats it may have; those
that read all cells of the column are its readings, and where two differ (3 April or 4 March) the first is taken and the other told.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from hpsearch.data.cells import Array
from hpsearch.data.columns.parsing import matches, missing

ISO = "ISO8601"
ISO_CELL = r"^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$"
DIGITS = r"\d{8}"  # by force only: they are numbers
# The pattern of a date, in English its month as three letters, and the formats it may have; the first that reads all cells is taken.
FORMATS: Mapping[str, tuple[str, ...]] = {
    r"\d{4}-\d\d-\d\d": (ISO,),
    DIGITS: ("%Y%m%d",),
    r"\d{4}/\d{1,2}/\d{1,2}": ("%Y/%m/%d",),
    r"\d{4}-\d{1,2}-\d{1,2}": ("%Y-%m-%d",),
    r"\d{4}\.\d{1,2}\.\d{1,2}\.?": ("%Y.%m.%d",),
    r"\d{1,2}\.\d{1,2}\.\d{4}": ("%d.%m.%Y",),
    r"\d{1,2}/\d{1,2}/\d{4}": ("%d/%m/%Y", "%m/%d/%Y"),
    r"\d{1,2}-\d{1,2}-\d{4}": ("%d-%m-%Y", "%m-%d-%Y"),
    r"\d{1,2}\.\d{1,2}\.\d\d": ("%d.%m.%y", "%y.%m.%d"),
    r"\d{1,2}/\d{1,2}/\d\d": ("%d/%m/%y", "%m/%d/%y", "%y/%m/%d"),
    r"\d{1,2}-\d{1,2}-\d\d": ("%d-%m-%y", "%m-%d-%y", "%y-%m-%d"),
    r"\d{1,2} [A-Za-z]{3} \d{4}": ("%d %b %Y",),
    r"\d{1,2} [A-Za-z]{3} \d\d": ("%d %b %y",),
    r"\d{1,2}-[A-Za-z]{3}-\d{4}": ("%d-%b-%Y",),
    r"\d{1,2}-[A-Za-z]{3}-\d\d": ("%d-%b-%y",),
    r"\d{1,2}/[A-Za-z]{3}/\d{4}": ("%d/%b/%Y",),
    r"\d{1,2}[A-Za-z]{3}\d{4}": ("%d%b%Y",),
    r"[A-Za-z]{3} \d{1,2} \d{4}": ("%b %d %Y",),
    r"\d{4}-[A-Za-z]{3}-\d{1,2}": ("%Y-%b-%d",),
    r"\d{4} [A-Za-z]{3} \d{1,2}": ("%Y %b %d",),
}
TIME = (
    r"(?:(?:[T ]|, ?)(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?(?: ?(?P<zone>[+-]\d\d(?::?\d\d)?))?)?(?: ?(?:Z|UTC|GMT))?"
)
EXAMPLE = datetime(2024, 12, 31, 18, 30)
READ = "2024-12-31, 31.12.2024, 12/31/2024, 31-Dec-2024 or Dec 31, 2024, with or without a time (18:30, 6:30 PM, 18:30 UTC, 18:30+01:00)"
MAYBE = r"(?:^|\D)(?:19|20)\d\d(?:\D|$)"  # a year, in a cell that may be a date
LONGEST = 40  # characters of a date
MICROSECONDS = 86_400_000_000  # in a day
HOUR = 3_600_000_000
MINUTE = 60_000_000

WORDS = (  # what is done to a cell with words in it, so that one of the patterns can fit
    (r"(?i)^(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\.?,? +", ""),
    (
        r"(?i)\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?:uary|ruary|ch|il|e|y|ust|t|tember|ober|ember)?\b\.?",
        r"\1",
    ),
    (r"(\d)(?:st|nd|rd|th)\b", r"\1"),
    (r" ?, ?(\d{4})\b", r" \1"),
    (r" +", " "),
    (r"^([A-Za-z]{3} \d{1,2}) (\d\d:\d\d:\d\d)(?: (UTC|GMT|[+-]\d{4}))? (\d{4})$", r"\1 \4 \2 \3"),  # of C's ctime
    (r" +$", ""),
)


def date_formats(cells: pa.Array) -> list[str]:
    """Return the formats that read all of the text cells, one for each reading; none where they are no dates."""
    distinct = _plain(cells.filter(pa.array(~missing(cells))).unique())
    if not len(distinct):
        return []
    first = distinct.slice(0, 1)
    for pattern, formats in FORMATS.items():
        if matches(first, f"^{pattern}{TIME}$")[0]:
            readings = {form: _days_by_format(distinct, pattern, form) for form in formats}
            found = _different({form: days for form, days in readings.items() if not np.isnan(days).any()})
            found.sort(key=lambda form: not _is_narrow(form, readings))
            if found:
                return [_with_time(form, first[0].as_py()) for form in found]
    return []


def _different(readings: Mapping[str, Array]) -> list[str]:
    """Return the formats of readings [N] that differ from those before."""
    found: dict[str, Array] = {}
    for form, days in readings.items():
        if not any(np.array_equal(days, known) for known in found.values()):
            found[form] = days
    return [*found]


def _is_narrow(form: str, readings: Mapping[str, Array]) -> bool:
    """Whether a reading with the year first (23/01/31) makes the dates lie much closer together than any other does."""
    spans = {name: np.ptp(days) for name, days in readings.items() if not np.isnan(days).any()}
    return form.startswith("%y") and all(2 * spans[form] < span for name, span in spans.items() if name != form)


def _with_time(form: str, cell: str) -> str:
    """Return a format with the time of day that a cell has."""
    if form == ISO:
        return form
    found = re.search(r"\d:\d\d(:\d\d)?(?:[.,]\d+)?( ?[APap]\.?[Mm])?", cell)
    if found is None:
        return form
    hour = "%I" if found[2] else "%H"
    return f"{form} {hour}:%M{':%S' * bool(found[1])}{' %p' * bool(found[2])}"


def date_example(form: str) -> str:
    """Return what a cell of a format should be, by an example."""
    written = "%Y-%m-%d" if form == ISO else form
    return f"a date like {EXAMPLE:{written}}"


def rows_by_date_pattern(cells: pa.Array) -> dict[str, Array]:
    """Return in which rows [N] text cells look like dates, for each pattern of `FORMATS` that one has and that is no number's."""
    plain = _plain(cells)
    by_pattern = {}
    free = np.ones(len(cells), dtype=bool)
    for pattern in FORMATS:
        if pattern != DIGITS:
            rows = matches(plain, rf"^{pattern}(?:\D|$)") & free
            free &= ~rows
            by_pattern[pattern] = rows
    return {pattern: rows for pattern, rows in by_pattern.items() if rows.any()}


def may_be_dates(cells: pa.Array) -> bool:
    """Whether short text cells all have a year and something else in them: perhaps dates in a format that is not read."""
    full = cells.drop_null()
    short = len(full) and pc.max(pc.utf8_length(full)).as_py() <= LONGEST
    return bool(short) and bool(matches(full, MAYBE).all()) and bool(matches(full, r"[^\d].*\d|\d.*[^\d]").all())


def read_days(cells: pa.Array, form: str) -> tuple[Array, Array]:
    """Return text cells as days since 1970-01-01 [N] (UTC; NaN where there is no date), and which are neither a date nor missing [N]."""
    encoded = cells.dictionary_encode()
    values = np.append(_days_of_distinct(encoded.dictionary, form), np.nan)
    codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    days = values[codes]
    return days, np.isnan(days) & ~missing(cells)


def days_of(times: Array) -> Array:
    """Return datetime64 as days since 1970-01-01, NaT as NaN."""
    exact = times.astype("datetime64[us]")
    return np.where(np.isnat(exact), np.nan, exact.astype(np.int64) / MICROSECONDS)


def _plain(cells: pa.Array) -> pa.Array:
    """Return cells in whose dates English words are as the patterns have them."""
    if not matches(cells, "[A-Za-z]{3}").any():
        return cells
    for pattern, plain in WORDS:
        cells = pc.replace_substring_regex(cells, pattern, plain)
    return cells


def _days_of_distinct(distinct: pa.Array, form: str) -> Array:
    date_format = re.split(r" %[HI]:", form)[0]
    for pattern, formats in FORMATS.items():
        if date_format in formats:
            return _days_by_format(_plain(distinct), pattern, date_format)
    return days_of(_parsed(distinct, form))  # a format of the user's own


def _days_by_format(cells: pa.Array, pattern: str, form: str) -> Array:
    """Return cells as days [N]: a date of a pattern in a format, and a time of day."""
    if form != ISO:
        return _days_by_parts(cells, pattern, form)
    simple = matches(cells, ISO_CELL)  # pandas reads these, and fast
    days = np.full(len(cells), np.nan)
    days[simple] = days_of(_parsed(cells.filter(pa.array(simple)), ISO))
    days[~simple] = _days_by_parts(cells.filter(pa.array(~simple)), pattern, "%Y-%m-%d")
    return days


def _days_by_parts(cells: pa.Array, pattern: str, form: str) -> Array:
    parts = pc.extract_regex(cells, f"^(?P<date>{pattern}){TIME}$")
    days = _parsed(pc.struct_field(parts, "date"), form)
    times, possible = _time_of_day(parts)
    known = possible & ~np.isnat(days)
    moments = np.where(known, days, np.datetime64(0, "us")).astype(np.int64) + times
    return np.where(known, moments / MICROSECONDS, np.nan)


def _parsed(cells: Any, form: str) -> Array:
    """Return cells as datetime64[us] [N], NaT where they have not this format."""
    texts = pd.Series(np.array(cells.to_numpy(zero_copy_only=False), dtype=object), dtype=object)
    try:
        read = pd.to_datetime(texts, format=form, errors="coerce", utc=True)
    except (ValueError, OverflowError, TypeError):
        return np.full(len(cells), np.datetime64("NaT"), dtype="datetime64[us]")
    return np.asarray(read.dt.tz_localize(None).to_numpy()).astype("datetime64[us]")


def _time_of_day(parts: Any) -> tuple[Array, Array]:
    """Return the times of day [N] in microseconds, less their zones, and which of them there are: 25:00 is none."""
    hour, minute, second = (_whole(pc.struct_field(parts, name)) for name in ("hour", "minute", "second"))
    fraction = _whole(pc.utf8_slice_codeunits(pc.utf8_rpad(pc.struct_field(parts, "fraction"), 6, "0"), 0, 6))
    half = pc.utf8_lower(pc.fill_null(pc.struct_field(parts, "half"), "")).to_numpy(zero_copy_only=False)
    halved = half != ""
    possible = np.where(halved, (hour >= 1) & (hour <= 12), hour <= 23) & (minute <= 59) & (second <= 59)
    hour = np.where(halved, hour % 12 + 12 * (half == "p"), hour)
    zones = pc.fill_null(pc.struct_field(parts, "zone"), "").dictionary_encode()
    offsets = np.array([_offset(zone) for zone in zones.dictionary.to_pylist()], dtype=np.int64)
    local = hour * HOUR + minute * MINUTE + second * 1_000_000 + fraction
    return np.asarray(local - offsets[zones.indices.to_numpy()]), possible


def _whole(texts: Any) -> Array:
    """Return digits as whole numbers [N], 0 where there are none."""
    filled = pc.if_else(pc.equal(pc.fill_null(texts, ""), ""), "0", pc.fill_null(texts, ""))
    return np.asarray(filled.cast(pa.int64()).to_numpy(zero_copy_only=False))


def _offset(zone: str) -> int:
    """Return by how many microseconds a zone such as +01:00 is before UTC."""
    digits = zone[1:].replace(":", "").ljust(4, "0")
    size = int(digits[:2]) * HOUR + int(digits[2:]) * MINUTE
    return -size if zone.startswith("-") else size
