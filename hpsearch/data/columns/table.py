"""A table as it was read: names, columns and where each row stands in its source. Nothing of it is interpreted yet.

pandas frames and Arrow columns become one through a single conversion by Arrow, which keeps their types; arrays are one already.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hpsearch.data.assumptions import Assumption
from hpsearch.data.cells import Array, refuse_repeated, to_array, to_numbers
from hpsearch.data.options import column_setting
from hpsearch.errors import UserError, listed, shown

# One column: a NumPy array of numbers or datetime64[us] (missing: NaN, NaT), or a pyarrow array of text (missing: null or empty).
Cells = Any

MOST_NAMES = 11  # of columns in an error


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name, in the source's order.

    Attributes:
        names: of the columns.
        columns: their cells.
        source: what people read of where the table comes from.
        row_numbers: where each row stands in the source: the number of its line in a text file, of its row in another.
        row_name: what such a number is called: "line" or "row".
        reading: how a file was read: `separator`, `header`, `encoding`, `decimal`, the `names` of its first line; and, where they matter,
            `thousands` as given and `numbers`, the marks of columns whose numbers were not plain.
        assumptions: the same in words, with the reasons, and what says otherwise.
        notices: sentences for the reader of a report.
        kinds: types of columns that the source itself states (a pandas category), which no rule overrules.
        origin: what can be done about a cell: "file" (it can be read otherwise), "frame" (pandas can change it), "new" (rows for a network,
            which reads them as its own).
        refused: why columns cannot be read, by name: one that is not asked for may hold anything.
    """

    names: tuple[str, ...]
    columns: tuple[Cells, ...]
    source: str
    row_numbers: Sequence[int]
    row_name: str = "row"
    reading: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()
    notices: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    origin: str = "frame"
    refused: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.row_numbers)

    @property
    def decimal(self) -> str:
        """The decimal mark of numbers in text."""
        return str(self.reading.get("decimal", "."))

    def column(self, name: str, what: str = "column") -> Cells:
        """Return a column by its name.

        Raises:
            UserError: there is none, or it cannot be read.
        """
        if name in self.refused:
            has_option = what == "column" and self.origin != "new"
            option = f" ({self.column_option(name, 'drop')})" if has_option else ""
            raise UserError(f"{self.refused[name]}{option}.")
        if name in self.names:
            return self.columns[self.names.index(name)]
        why = ""
        if self.reading.get("header") is False:
            why = (
                " The first line holds values, so columns are called by their numbers (header = true: it holds names)."
            )
        raise UserError(f"no {what} {shown(name)}.{why} {meant(name, self.names)}")

    def column_option(self, name: str, kind: str) -> str:
        """Return the option that gives a column a kind, as it is given where the table comes from."""
        if self.origin == "frame":
            return f"columns={{{shown(name)}: {shown(kind)}}}"
        return column_setting(name, kind)

    def where(self, row: int) -> str:
        """Return how errors call a row, counted from 0 here."""
        return f"{self.row_name} {self.row_numbers[row]:,}"

    def without(self, *names: str) -> "Table":
        """Return the table without some of its columns."""
        columns = {own: cells for own, cells in zip(self.names, self.columns, strict=True) if own not in names}
        return replace(self, names=tuple(columns), columns=tuple(columns.values()))

    def take(self, rows: Array) -> "Table":
        """Return some of the rows, which keep their numbers in the source."""
        columns = tuple(cells.take(pa.array(rows) if isinstance(cells, pa.Array) else rows) for cells in self.columns)
        return replace(self, columns=columns, row_numbers=[self.row_numbers[row] for row in rows])

    def digest(self) -> str:
        """Return the sha256 of names and cells, however they lie in memory, in hexadecimal."""
        total = sha256()
        for name, cells in zip(self.names, self.columns, strict=True):
            total.update(f"{name!r} {len(cells)}\n".encode(errors="surrogatepass"))
            for part in _bytes(cells):
                total.update(part)
        return total.hexdigest()


def _bytes(cells: Cells) -> Iterable[bytes]:
    if isinstance(cells, np.ndarray):
        yield cells.dtype.str.encode()
        yield cells.tobytes()
        return
    full = pc.fill_null(cells, "")
    _, offsets, letters = full.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[full.offset : full.offset + len(full) + 1]
    yield np.diff(ends).tobytes()
    if letters is not None:
        yield letters.slice(ends[0], ends[-1] - ends[0]).to_pybytes()


def target_names(target: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the target's columns: one, several, or none."""
    if target is None:
        return ()
    return (target,) if isinstance(target, str) else tuple(target)


def meant(name: str, names: Sequence[str]) -> str:
    """Return which of the names may have been meant, and the first and the last of them (a target is often the last)."""
    return f"{nearest(name, names)} Columns: {ends(names)}.".lstrip()


def nearest(name: str, names: Sequence[str]) -> str:
    """Return the question which of the names is meant, if one is near: equal but for capitals, alike, or one that begins alike."""
    known = [known for known in names[:1000] if len(known) <= 200]
    lower = name.lower()
    near = [candidate for candidate in known if candidate.lower() == lower]
    near = near or get_close_matches(name[:200], known, n=1)
    if not near and lower:
        near = [candidate for candidate in known if _begin_alike(candidate.lower(), lower)]
    return f"Did you mean {shown(near[0])}?" if near else ""


def _begin_alike(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def ends(names: Sequence[str]) -> str:
    """Return the names, of many the first ones and the last."""
    if len(names) <= MOST_NAMES:
        return listed(names, MOST_NAMES)
    return f"{', '.join(map(shown, names[:9]))} … {shown(names[-1])} ({len(names):,} in all)"


def absent(cells: Array) -> Array:
    """Return which cells [N] of numbers or dates are missing."""
    if cells.dtype.kind == "M":
        return np.asarray(np.isnat(cells))
    if cells.dtype.kind == "f":
        return np.asarray(np.isnan(cells))
    return np.zeros(len(cells), dtype=bool)


def table_of(frame: Any, source: str = "pandas frame") -> Table:
    """Return a pandas frame as a table; rows count from 0, as in arrays.

    Raises:
        UserError: columns of one name. One with cells that are neither numbers, text, truth values nor dates is refused where it is used.
    """
    names = [str(name) for name in frame.columns]
    check_names(names)
    columns = []
    refused = {}
    for index, name in enumerate(names):
        try:
            columns.append(_arrow(frame.iloc[:, index], name))
        except UserError as error:
            columns.append(pa.nulls(len(frame)))
            refused[name] = str(error)
    table = table_of_arrow(names, columns, source, range(len(frame)))
    return replace(table, refused={**table.refused, **refused})


def table_of_array(inputs: Any) -> Table:
    """Return numbers [N, F] as a table whose columns are called by their numbers (or as a frame's are) and stay numbers.

    Raises:
        UserError: images, or cells that are no numbers.
    """
    given = getattr(inputs, "columns", None)
    array = to_array(inputs, "inputs")
    if array.ndim != 2 or 0 in array.shape:
        raise UserError(
            f"inputs: shape {array.shape}, [rows, columns] expected, neither empty, where columns are asked for."
        )
    values = np.column_stack([to_numbers(array[:, i], f"column {shown(str(i))}") for i in range(array.shape[1])])
    names = tuple(map(str, range(values.shape[1]) if given is None else given))
    columns = tuple(np.ascontiguousarray(column, dtype=np.float64) for column in values.T)
    return Table(names, columns, "arrays", range(len(values)), kinds=dict.fromkeys(names, "number"))


def table_of_arrow(names: Sequence[str], columns: Sequence[Any], source: str, rows: range) -> Table:
    """Return Arrow columns as a table, whose rows have these numbers."""
    by_name = list(zip(names, columns, strict=True))
    cells = []
    refused = {}
    for name, column in by_name:
        try:
            cells.append(_cells(column, name))
        except UserError as error:
            cells.append(np.full(len(column), np.nan))
            refused[name] = str(error)
    return Table(
        tuple(names),
        tuple(cells),
        source,
        rows,
        reading={"separator": None, "header": True, "encoding": None, "decimal": ".", "names": list(names)},
        kinds={name: "category" for name, column in by_name if pa.types.is_dictionary(column.type)},
        refused=refused,
    )


def check_names(names: Sequence[str]) -> None:
    """Refuse names that are empty, or that more than one column has."""
    if "" in names:
        raise UserError(f"column {names.index('') + 1:,} has no name. Give it one, or say that there is no header.")
    refuse_repeated(names)


def is_number_column(series: Any) -> bool:
    """Whether a frame's column is numbers, truth values or missing cells, which need no kind."""
    from pandas.api.types import infer_dtype, is_bool_dtype, is_numeric_dtype

    if is_numeric_dtype(series.dtype) or is_bool_dtype(series.dtype):
        return True
    numbers = ("floating", "integer", "mixed-integer-float", "boolean", "decimal", "complex", "empty")
    return series.dtype == object and infer_dtype(series, skipna=True) in numbers


def _arrow(series: Any, name: str) -> Any:
    try:
        return pa.array(_plain(series), from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        what = " and ".join(sorted({type(cell).__name__ for cell in series.head(1000)})[:4])
        raise UserError(
            f"column {shown(name)} holds {what} mixed, one kind of numbers, text, truth values or dates expected. Convert or drop it"
        ) from None


def _plain(series: Any) -> Any:
    """Return a column as Arrow has it: intervals (of `pandas.cut`) as the texts that pandas shows, periods as their first day."""
    kind = series.dtype
    inside = getattr(getattr(kind, "categories", None), "dtype", None)
    if str(inside).startswith(("interval", "period")):
        return series.cat.rename_categories([str(category) for category in kind.categories])
    if str(kind).startswith("interval"):
        return series.astype(str).where(series.notna(), None)
    if str(kind).startswith("period"):
        return series.dt.to_timestamp()
    return series


def _cells(column: Any, name: str) -> Cells:
    """Return an Arrow column in one of the two forms that a table has."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_boolean(kind):
        return pc.if_else(column, "True", "False")  # as Python and pandas write them; null where it is missing
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view():
        return pc.utf8_trim_whitespace(column.cast(pa.string()))
    if pa.types.is_temporal(kind) and not (pa.types.is_time(kind) or pa.types.is_duration(kind)):
        return _times(column, name)
    if pa.types.is_integer(kind) and not column.null_count:
        return column.to_numpy(zero_copy_only=False)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        cast = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return np.array(cast, dtype=np.float64)
    raise UserError(
        f"column {shown(name)} holds {shown(str(kind))}; numbers, text, truth values or dates expected. Convert or drop it"
    )


def _times(column: Any, name: str) -> Array:
    try:
        exact = column.cast(pa.timestamp("us", tz=getattr(column.type, "tz", None)), safe=False)
        return np.asarray(exact.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)).astype("datetime64[us]")
    except pa.ArrowException:
        raise UserError(f"column {shown(name)} has a date out of range. Drop those rows, or drop it") from None
