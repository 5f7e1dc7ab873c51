"""What a Python user has at hand, made one of the forms that all else reads: a pandas frame with names, or an array.

Frames of other libraries (polars, Arrow, DuckDB, …) come by Arrow's C stream interface; a series is a frame of one column; rows as dicts
become a frame; torch's data sets and loaders are read once into memory (`loaders.torch_sets`). What cannot be rows of data is refused here
by its type.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from hpsearch.data.cells import Array, is_missing, to_array
from hpsearch.errors import UserError, counted, listed, shown

EXPECTED = "a table [N, F] (a frame or an array) or images [N, H, W], [N, C, H, W]"


def as_given(inputs: Any, targets: Any) -> tuple[Any, Any]:
    """Return inputs as a pandas frame or an array, and targets as they can be read; the name of a column stays a name.

    Raises:
        UserError: they are nothing of that kind, or the one is in the other's place.
    """
    if is_torch_set(inputs):
        from hpsearch.data.loaders.torch_sets import read_set

        _refuse_targets(targets)
        return read_set(inputs)
    inputs = as_inputs(inputs)
    if isinstance(targets, str):
        _check_name(inputs, targets)
        return inputs, targets
    if targets is None:
        raise UserError(
            "target: none is given. Give one of each row, or the name of its column in a frame: (frame, 'price')."
        )
    targets = as_targets(targets)
    _refuse_empty(inputs)
    _refuse_swapped(inputs, targets)
    _refuse_other_order(inputs, targets)
    return (inputs.to_frame() if _is_series(inputs) else inputs), targets


def new_rows(inputs: Any) -> Any:
    """Return rows to predict as a pandas frame or an array."""
    inputs = as_inputs(inputs)
    if hasattr(inputs, "tocsr"):
        return to_array(inputs, "inputs")  # refuses it
    return inputs.to_frame() if _is_series(inputs) else inputs


def as_inputs(inputs: Any) -> Any:
    """Return inputs as a pandas frame, a series with a name, or an array."""
    if _is_pandas(inputs):
        return _named(inputs)
    if hasattr(inputs, "__arrow_c_stream__") or hasattr(inputs, "__arrow_c_array__"):
        return _named(_from_arrow(inputs, "inputs"))
    _refuse_kind(inputs, "inputs", EXPECTED)
    if isinstance(inputs, Mapping):
        return _frame_of(inputs)
    if isinstance(inputs, list | tuple) and inputs and all(isinstance(row, Mapping) for row in inputs):
        return _frame_of(list(inputs))
    mixed = _frame_of_mixed(inputs)
    if isinstance(mixed, list | tuple):
        return to_array(mixed, "inputs")
    return mixed


def as_targets(targets: Any) -> Any:
    """Return targets as pandas, NumPy or lists have them; exact decimal numbers as floats."""
    if not _is_pandas(targets) and (hasattr(targets, "__arrow_c_stream__") or hasattr(targets, "__arrow_c_array__")):
        targets = _from_arrow(targets, "target")
    _refuse_kind(targets, "target", "one target of each row")
    if isinstance(targets, Mapping):
        raise UserError("target: a dict, one target of each row expected. Give a list or an array in the rows' order.")
    if hasattr(targets, "tocsr") or hasattr(targets, "detach"):
        return targets
    array = to_array(targets, "target")
    if array.dtype.kind == "S" or (array.dtype.kind == "O" and any(isinstance(cell, bytes) for cell in array.flat)):
        return _decoded(array)
    if array.dtype.kind in "mM" or (array.dtype.kind == "O" and any(isinstance(cell, date) for cell in array.flat)):
        raise UserError("target: dates or times, numbers or classes expected. Give numbers (days since a date, say).")
    if array.dtype.kind == "O" and any(isinstance(cell, Decimal) for cell in array.flat):
        return np.array([None if is_missing(cell) else float(cell) for cell in array.flat]).reshape(array.shape)
    return targets


def _decoded(labels: Array) -> Array:
    """Return labels that are bytes as text."""
    cells = labels.astype(object)
    for place, cell in enumerate(labels.flat):
        if isinstance(cell, bytes):
            cells.flat[place] = cell.decode(errors="replace")
    return cells


def is_torch_set(given: Any) -> bool:
    """Whether something is torch's `Dataset` or `DataLoader`."""
    from torch.utils.data import DataLoader, Dataset

    return isinstance(given, Dataset | DataLoader)


def joined(first: Any, second: Any, what: str) -> Any:
    """Return the rows of both, one below the other; frames by the first one's columns.

    Raises:
        UserError: they do not fit together.
    """
    if hasattr(first, "iloc") and hasattr(second, "iloc") and first.ndim == second.ndim:
        import pandas as pd

        if first.ndim > 1:
            absent = [name for name in first.columns if name not in second.columns]
            if absent:
                raise UserError(f"{what} of the validation rows: no column {listed(absent)}. Give the same columns.")
            second = second[list(first.columns)]
        return pd.concat([first, second], ignore_index=True)
    one = to_array(first, what)
    other = to_array(second, f"{what} of the validation rows")
    if one.ndim != other.ndim or one.shape[1:] != other.shape[1:]:
        raise UserError(
            f"{what} of the validation rows: shape {other.shape}, those to train on {one.shape}. Make them alike."
        )
    return np.concatenate([one, other])


def refuse_missing_labels(targets: Any) -> None:
    """Refuse labels (objects) among which some are missing."""
    if hasattr(targets, "isna"):
        labels = np.asarray(targets, dtype=object)
    else:
        labels = to_array(targets, "target")
    if labels.dtype.kind != "O" or labels.ndim != 1:
        return
    missing = np.array([is_missing(label) for label in labels])
    if missing.any():
        count = int(missing.sum())
        raise UserError(
            f"target: {counted(count, 'missing label')}, the first in row {int(missing.argmax())}. Drop those rows."
        )


def _is_pandas(given: Any) -> bool:
    return hasattr(given, "iloc")


def _is_series(given: Any) -> bool:
    return _is_pandas(given) and given.ndim == 1


def _named(frame: Any) -> Any:
    """Return a frame without sparse columns, and a series with a name, which its column has."""
    if has_sparse_columns(frame):
        return frame.apply(_dense)
    if frame.ndim == 1 and frame.name is None:
        return frame.rename("0")
    return frame


def has_sparse_columns(frame: Any) -> bool:
    """Whether a pandas frame has columns that keep only the cells that differ from one value."""
    return frame.ndim > 1 and any(_is_sparse(kind) for kind in frame.dtypes)


def _is_sparse(kind: Any) -> bool:
    return str(kind).startswith("Sparse")


def _dense(column: Any) -> Any:
    if not _is_sparse(column.dtype):
        return column
    return column.sparse.to_dense()


def _from_arrow(given: Any, what: str) -> Any:
    """Return a frame, or a series, of what speaks Arrow's C interface."""
    import pyarrow as pa

    try:
        if hasattr(given, "__arrow_c_stream__"):
            read = pa.chunked_array(given)
        else:
            read = pa.chunked_array([pa.array(given)])
        if pa.types.is_struct(read.type):
            return pa.Table.from_batches(
                map(pa.RecordBatch.from_struct_array, read.chunks), pa.schema(read.type)
            ).to_pandas(date_as_object=False)
        return read.to_pandas(date_as_object=False).rename(getattr(given, "name", None) or None)
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = shown(" ".join(str(error).split()), 120)
        raise UserError(f"{what}: {_kind(given)} that Arrow cannot read ({reason}). Give X.to_pandas().") from None


def _frame_of(rows: Any) -> Any:
    """Return rows as dicts, or columns by name, as a frame."""
    import pandas as pd

    try:
        return pd.DataFrame(rows)
    except (TypeError, ValueError) as error:
        raise UserError(f"inputs: no table of columns by name ({shown(str(error), 100)}). Give a frame.") from None


def _frame_of_mixed(inputs: Any) -> Any:
    """Return rows with text in some columns as a frame whose columns are called "0", "1", …; all else as it is."""
    if not isinstance(inputs, list | tuple | np.ndarray):
        return inputs
    if isinstance(inputs, np.ndarray) and inputs.dtype.names and inputs.ndim == 1:
        return _frame_of(inputs)
    array = inputs
    if _is_rows(inputs):
        array = np.asarray(inputs, dtype=object)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "OU" or array.ndim != 2:
        return inputs
    if not any(isinstance(cell, str) for cell in array.flat):
        return inputs
    import pandas as pd

    columns = {str(index): pd.Series(column.tolist()) for index, column in enumerate(array.T)}
    return pd.DataFrame(columns)


def _is_rows(inputs: Any) -> bool:
    """Whether inputs are rows (lists or tuples) of one length, of which the first holds text."""
    if isinstance(inputs, np.ndarray):
        return False
    first = inputs[0] if len(inputs) else None
    if not isinstance(first, list | tuple) or not any(isinstance(cell, str) for cell in first):
        return False
    return all(isinstance(row, list | tuple) and len(row) == len(first) for row in inputs)


def _refuse_kind(given: Any, what: str, expected: str) -> None:
    """Refuse what holds no rows, by its type."""
    advice = "Give a list or an array."
    if what == "inputs":
        advice = "Give one of these."
    if isinstance(given, str | bytes):
        advice = "For a file give hpsearch.data.load_file(path, target), or the command: run --data FILE."
    elif hasattr(given, "collect") and not hasattr(given, "__array__"):
        advice = "It is lazy: give X.collect()."
    elif isinstance(given, Iterator | set | frozenset):
        advice = f"Give list({'X' if what == 'inputs' else 'y'})."
    elif _holds_rows(given):
        return
    raise UserError(f"{what}: {_kind(given)}, {expected} expected. {advice}")


def _holds_rows(given: Any) -> bool:
    if isinstance(given, Sequence | Mapping):
        return True
    return any(hasattr(given, name) for name in ("__array__", "tocsr", "detach"))


def _kind(given: Any) -> str:
    if given is None:
        return "None"
    name = type(given).__name__
    begins_with_vowel = name[:1].lower() in "aeiou" or name.startswith("nd")  # an ndarray
    article = "an" if begins_with_vowel else "a"
    return f"{article} {name}"


def _check_name(inputs: Any, name: str) -> None:
    if not hasattr(inputs, "columns"):
        raise UserError(
            f"target {shown(name)}: the name of a column, but the inputs ({_kind(inputs)}) have no names. "
            "Give a frame, or one target of each row."
        )
    if name not in [str(column) for column in inputs.columns]:
        from hpsearch.data.columns.table import meant

        raise UserError(f"no target {shown(name)}. {meant(name, [str(column) for column in inputs.columns])}")


def _refuse_targets(targets: Any) -> None:
    if targets is not None:
        raise UserError("target: a torch Dataset gives (input, target) itself. Leave the targets out.")


def _refuse_empty(inputs: Any) -> None:
    shape = getattr(inputs, "shape", (1,))
    if 0 in tuple(shape):
        raise UserError(f"inputs: empty (shape {tuple(shape)}). At least one row and one column are needed.")


def _refuse_other_order(inputs: Any, targets: Any) -> None:
    """Refuse a frame and targets whose indexes hold the same labels in another order: rows and targets are matched by their place."""
    if not _is_pandas(inputs) or not _is_pandas(targets) or len(inputs) != len(targets):
        return
    index = inputs.index
    other = targets.index
    if index.equals(other) or not index.is_unique or not index.isin(other).all():
        return
    raise UserError(
        "target: its index has the labels of the inputs' index in another order, and rows are matched by their place. Give y.loc[X.index]; "
        "if the order is right as it is, y.to_numpy()."
    )


def _refuse_swapped(inputs: Any, targets: Any) -> None:
    """Refuse one column of inputs beside several of targets: the other way round is likelier."""
    if np.ndim(inputs) != 1:
        return
    if hasattr(targets, "tocsr") or (np.ndim(targets) > 1 and np.shape(targets)[1] > 1):
        raise UserError(
            f"inputs of shape {np.shape(inputs)} and targets of shape {np.shape(targets)} look swapped. Give (X, y); "
            "if one input is meant, X.to_frame() or X.reshape(-1, 1)."
        )
    if not _is_series(inputs):
        raise UserError(
            f"inputs: shape {np.shape(inputs)}, [rows, columns] expected. For one column give X.reshape(-1, 1)."
        )
