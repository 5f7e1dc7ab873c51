"""pandas frames, arrays and Arrow columns as a `Table`: types are kept, through one conversion by Arrow."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hpsearch.data.cells import Array, refuse_repeated, to_array, to_numbers
from hpsearch.data.columns.table import Cells, Table
from hpsearch.errors import UserError, shown


def table_of(frame: Any, source: str = "pandas frame") -> Table:
    """Return a pandas frame as a table; rows count from 0, as in arrays.

    Raises:
        UserError: columns of one name, or with cells that are neither numbers, text, truth values nor dates.
    """
    names = [str(name) for name in frame.columns]
    check_names(names)
    columns = [_arrow(frame.iloc[:, place], name) for place, name in enumerate(names)]
    return table_of_arrow(names, columns, source, range(len(frame)))


def is_number_column(series: Any) -> bool:
    """Whether a frame's column is numbers, truth values or missing cells, which need no kind."""
    from pandas.api.types import infer_dtype, is_bool_dtype, is_numeric_dtype

    if is_numeric_dtype(series.dtype) or is_bool_dtype(series.dtype):
        return True
    numbers = ("floating", "integer", "mixed-integer-float", "boolean", "decimal", "complex", "empty")
    return series.dtype == object and infer_dtype(series, skipna=True) in numbers


def table_of_array(inputs: Any) -> Table:
    """Return numbers [N, F] as a table whose columns are called by their numbers and stay numbers.

    Raises:
        UserError: images, or cells that are no numbers.
    """
    array = to_array(inputs, "inputs")
    if array.ndim != 2 or 0 in array.shape:
        raise UserError(
            f"inputs: shape {array.shape}, [rows, columns] expected, neither empty, where columns are asked for."
        )
    values = np.column_stack([to_numbers(array[:, i], f"column {shown(str(i))}") for i in range(array.shape[1])])
    names = tuple(str(place) for place in range(values.shape[1]))
    columns = tuple(np.ascontiguousarray(column, dtype=np.float64) for column in values.T)
    return Table(names, columns, "arrays", range(len(values)), kinds=dict.fromkeys(names, "number"))


def check_names(names: Sequence[str]) -> None:
    """Refuse names that are empty, or that more than one column has.

    Raises:
        UserError: there are some.
    """
    if "" in names:
        raise UserError(f"column {names.index('') + 1:,} has no name. Give it one, or say that there is no header.")
    refuse_repeated(names)


def table_of_arrow(names: Sequence[str], columns: Sequence[Any], source: str, rows: range) -> Table:
    """Return Arrow columns as a table, whose rows have these numbers."""
    by_name = list(zip(names, columns, strict=True))
    return Table(
        tuple(names),
        tuple(_cells(column, name) for name, column in by_name),
        source,
        rows,
        reading={"separator": None, "header": True, "encoding": None, "decimal": "."},
        kinds={name: "category" for name, column in by_name if pa.types.is_dictionary(column.type)},
    )


def _arrow(series: Any, name: str) -> Any:
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        what = " and ".join(sorted({type(cell).__name__ for cell in series.head(1000)})[:4])
        raise UserError(
            f"column {shown(name)} holds {what} mixed, one kind of numbers, text, truth values or dates expected. Convert or drop it."
        ) from None


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
        f"column {shown(name)} holds {shown(str(kind))}; numbers, text, truth values or dates expected. Convert or drop it."
    )


def _times(column: Any, name: str) -> Array:
    try:
        exact = column.cast(pa.timestamp("us", tz=getattr(column.type, "tz", None)), safe=False)
        return np.asarray(exact.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)).astype("datetime64[us]")
    except pa.ArrowException:
        raise UserError(f"column {shown(name)} has a date out of range. Drop those rows.") from None
