"""Parse cells of text as numbers and truth values: strictly, vectorised, and by rules that hold for all cells of a column (`dates` too).

An empty cell is missing. In a column whose other cells are all numbers or all dates, so are the `MISSING` texts; in a column of text "NA"
is a text like any other. A number has no leading zeros (007 is a name), no thousands separators, and one decimal mark for a file.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hpsearch.data.cells import Array
from hpsearch.data.columns.table import Cells
from hpsearch.errors import counted, shown

MISSING = ("NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "?", "-", ".")  # beside the empty cell
TRUTH = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))  # compared without case; 0 and 1 are numbers
DIGITS_OF_TRUTH = (("0", "0.0"), ("1", "1.0"))  # which new rows may have for them

NUMBER = r"^[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?$"
THOUSANDS = r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?$"
LONG_NAME = r"^[+-]?\d{16,}$"
LEADING_ZEROS = r"^[+-]?0\d+$"
BLANK = r"[ \t\x{a0}\x{202f}]?"
BEFORE = rf"(?:[$€£¥₹]{BLANK}|Rs\.? ?|[A-Z]{{3}} )"  # a number: a currency
BEHIND = r"[$€£¥₹%‰]|°?[A-Za-zµ]{1,3}"
UNIT = rf"^\(?[+-]?{BEFORE}?[+-]?\d[\d.,]*(?:{BLANK}(?:{BEHIND}))?\)?$"
NOT_ZERO = r"^[^eE]*[1-9]"  # a number other than 0
INFINITE = r"(?i)^[+-]?inf(?:inity)?$"


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


def are_plain(cells: Any) -> bool:
    """Whether all text cells that are there are numbers as Python writes them."""
    return _cast(with_nulls(cells)) is not None


def unit(cells: Any) -> str:
    """Return the unit, currency or percent sign that stands with a number in every cell that is there; nothing where there is none."""
    full = cells.drop_null()
    if not len(full) or not matches(full, UNIT).all():
        return ""
    units = pc.replace_substring_regex(full, r"[\d,+()\s\x{a0}\x{202f}-]|\.\d", "").unique()
    return str(units[0].as_py()) if len(units) == 1 else ""


def vanished_notice(what: str, cells: Any, values: Array) -> Iterator[str]:
    """Yield how many text cells [N] are numbers other than 0 whose float64 [N] is 0, if some are; `what` names them."""
    zero: Array = np.equal(values, 0)
    if isinstance(cells, np.ndarray) or not zero.any():
        return
    places = np.flatnonzero(zero & matches(cells, NOT_ZERO))
    if len(places):
        example = shown(cells[int(places[0])].as_py())
        yield (
            f"{what}: {counted(len(places), 'cell')} too close to 0 for a number of 64 bits, as {example}, read as 0. "
            "Rescale the column if they differ."
        )


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
