"""Parse cells of text as numbers, truth values and dates: strictly, vectorised, and by rules that hold for all cells of a column.

An empty cell is missing. In a column whose other cells are all numbers or all dates, so are the `MISSING` texts; in a column of text "NA"
is a text like any other. A number has no leading zeros (007 is a name), no thousands separators, and one decimal mark for a file. Dates
have one format for a column, found from its cells; a date is the days since 1970-01-01.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from hpsearch.data.cells import Array
from hpsearch.data.columns.table import Cells

MISSING = ("NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "?", "-", ".")  # beside the empty cell
TRUTH = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))  # compared without case; 0 and 1 are numbers
DIGITS_OF_TRUTH = (("0", "0.0"), ("1", "1.0"))  # which new rows may have for them

NUMBER = r"^[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?$"
THOUSANDS = r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?$"
LEADING_ZEROS = r"^[+-]?0\d+$"
UNIT = r"^(?:[$€£¥]\s?)?[+-]?\d[\d.,]*(?:\s?(?:[$€£¥%‰]|°?[A-Za-zµ]{1,3}))?$"
INFINITE = r"(?i)^[+-]?inf(?:inity)?$"

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
TIMES = {0: "", 1: " %H:%M", 2: " %H:%M:%S"}  # by the colons of a cell
EXAMPLE = datetime(2024, 12, 31, 18, 30)
MICROSECONDS = 86_400_000_000  # in a day


def with_nulls(cells: Cells, missing_values: Sequence[str] = ()) -> Any:
    """Return text cells with null where one is empty or one of the user's own `missing_values`."""
    gone = pc.is_in(cells, value_set=pa.array(["", *missing_values], pa.string()))
    return pc.if_else(gone, pa.scalar(None, pa.string()), cells)


def as_text(cells: Cells) -> Any:
    """Return any cells as text: whole numbers without a fraction, missing cells as null."""
    if not isinstance(cells, np.ndarray):
        return cells
    if cells.dtype.kind == "f":
        whole = np.isfinite(cells) & (cells == np.floor(cells)) & (np.abs(cells) < 2**53)
        if bool((whole | np.isnan(cells)).all()):
            return pa.array(np.where(whole, cells, 0).astype(np.int64), mask=~whole).cast(pa.string())
    return pa.array(cells, from_pandas=True).cast(pa.string())


def numbers(cells: Any, decimal: str) -> tuple[Array, Array]:
    """Return text cells as float64 [N] (NaN where there is no number) and which are neither a number nor missing [N].

    A number too large for float64 is infinite; "inf" is no number.
    """
    if decimal == ".":
        cast = _cast(cells)
        if cast is not None:
            return cast, np.zeros(len(cells), dtype=bool)
        with_point = cells
        valid = matches(cells, NUMBER)
    else:
        with_point = pc.replace_substring(cells, decimal, ".")
        valid = matches(with_point, NUMBER) & ~_mask(pc.match_substring(cells, "."))
    values = np.full(len(cells), np.nan)
    values[valid] = _parsed(with_point.filter(pa.array(valid)))
    return values, ~valid & ~missing(cells)


def unit(cells: Any) -> str:
    """Return the unit, currency or percent sign that stands with a number in every cell that is there; nothing where there is none."""
    full = cells.drop_null()
    if not len(full) or not matches(full, UNIT).all():
        return ""
    units = pc.replace_substring_regex(full, r"[\d.,+\s-]", "").unique()
    return str(units[0].as_py()) if len(units) == 1 else ""


def missing(cells: Any) -> Array:
    """Return which cells [N] are missing in a column of numbers or dates."""
    return _mask(pc.is_null(cells)) | _mask(pc.is_in(cells, value_set=pa.array(MISSING)))


def matches(cells: Any, pattern: str) -> Array:
    """Return which cells [N] match a pattern; null matches none."""
    return _mask(pc.match_substring_regex(cells, pattern))


def truth_pair(distinct: pa.Array) -> tuple[str, str] | None:
    """Return the pair (false, true) that the distinct texts are, as they are written, or None."""
    if len(distinct) != 2:
        return None
    lower = {text.lower(): text for text in distinct.to_pylist()}
    for no, yes in TRUTH:
        if lower.keys() == {no, yes}:
            return lower[no], lower[yes]
    return None


def truth_words(entry: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return all that a column of truth values reads as false and as true, in lower case: how one writes them, others may."""
    words = []
    for own, alike, digits in zip(
        (entry["false"], entry["true"]), zip(*TRUTH, strict=True), DIGITS_OF_TRUTH, strict=True
    ):
        words.append(list(dict.fromkeys((own.lower(), *alike, *digits))))
    return words[0], words[1]


def positions(cells: Any, known: Sequence[str]) -> Array:
    """Return each text's position among the known ones as float64 [N]; NaN for missing, len(known) for another text."""
    indices = pc.fill_null(pc.index_in(cells, value_set=pa.array(known, pa.string())), len(known))
    values = indices.to_numpy(zero_copy_only=False).astype(np.float64)
    values[_mask(pc.is_null(cells))] = np.nan
    return np.asarray(values)


def date_formats(cells: pa.Array) -> list[str]:
    """Return the formats that read all of the text cells, at most two; none where they are no dates."""
    distinct = cells.filter(pa.array(~missing(cells))).unique()
    if not len(distinct):
        return []
    first = distinct[0].as_py()
    for pattern, formats in FORMATS.items():
        if matches(distinct.slice(0, 1), pattern)[0]:
            timed = [_with_time(form, first) for form in formats]
            return [form for form in timed if not np.isnan(_days_of_distinct(distinct, form)).any()]
    return []


def _with_time(form: str, cell: str) -> str:
    """Return a format with the time of day that a cell has."""
    if form == ISO:
        return form
    return form + TIMES.get(cell.count(":"), " %H:%M:%S")


def date_example(form: str) -> str:
    """Return what a cell of a format should be, by an example."""
    written = "%Y-%m-%d" if form == ISO else form
    return f"a date like {EXAMPLE:{written}}"


def rows_by_date_pattern(cells: pa.Array) -> dict[str, Array]:
    """Return in which rows [N] text cells look like dates, for each pattern of `FORMATS` that one has and that is no number's."""
    by_pattern = {pattern: matches(cells, pattern) for pattern in FORMATS if pattern != DIGITS}
    return {pattern: rows for pattern, rows in by_pattern.items() if rows.any()}


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


def _days_of_distinct(distinct: pa.Array, form: str) -> Array:
    cells = np.array(distinct.to_numpy(zero_copy_only=False), dtype=object)
    if form == ISO:
        cells[~matches(distinct, ISO_CELL)] = None
    try:
        read = pd.to_datetime(pd.Series(cells, dtype=object), format=form, errors="coerce", utc=True)
    except (ValueError, OverflowError, TypeError):
        return np.full(len(cells), np.nan)
    return days_of(read.dt.tz_localize(None).to_numpy())


def _cast(cells: Any) -> Array | None:
    """Return cells as numbers where all of them are simple ones: fast, and enough for most columns."""
    try:
        cast = pc.cast(cells, pa.float64())
    except pa.ArrowInvalid:
        return None
    values = np.array(cast.to_numpy(zero_copy_only=False))
    odd = not bool(np.isfinite(values[~_mask(pc.is_null(cells))]).all())
    if odd or bool(pc.any(pc.match_substring_regex(cells, r"^[+-]?0\d")).as_py()):
        return None
    return values


def _parsed(cells: Any) -> Array:
    """Return valid numbers as float64; Python reads those that overflow."""
    bare = pc.replace_substring_regex(cells, r"^\+", "")
    try:
        return np.asarray(pc.cast(bare, pa.float64()).to_numpy(zero_copy_only=False))
    except pa.ArrowInvalid:
        return np.array([float(text) for text in bare.to_pylist()], dtype=np.float64)


def _mask(cells: Any) -> Array:
    return np.asarray(pc.fill_null(cells, False).to_numpy(zero_copy_only=False), dtype=bool)
