"""Cells: what a loader gives, and how it (arrays, tensors, frames, lists) becomes plain NumPy arrays, or one line says why not.

Nothing is guessed: text is not parsed into numbers, and missing or infinite cells are named by column and first row (rows count
from 0). pandas and torch objects are recognised by their methods, so this module needs neither.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isnan, prod
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from hpsearch.data.assumptions import Assumption
from hpsearch.errors import UserError, counted, listed, shown

Array = npt.NDArray[Any]
NUMBERS = "biuf"  # NumPy's kinds: truth values, integers, unsigned integers, floats


@dataclass(frozen=True, slots=True)
class Raw:
    """Inputs and targets as a source gives them, before anything of them is checked or interpreted.

    Attributes:
        inputs: anything that `read_inputs` reads, or the `TableInputs` of a table.
        targets: anything that `read_targets` reads.
        source: what people read of where they come from.
        classes: names of labels that count from 0; without it the labels themselves are the names.
        given_test: so many of the last rows are the source's own test rows.
        given_validation: so many rows before those are the source's own validation rows.
        groups: numbers [N], equal for rows that stay in one part.
        times: numbers [N] by which rows are ordered.
        reading: what was assumed in reading it.
        images: empty for a table and for arrays; else where images come from (`source`), the side in pixels that they were resized to
            (`size`, None: they were not), and what `image_scale` says of their scale.
        notices: sentences for the reader of a report.
        target_names: of several target columns, where they have some.
        drop_rows: which rows are to take no part, of `DROPS`.
        weights: how much each row counts [N], None: all alike; `weighted_by` says in words where they come from.
    """

    inputs: Any
    targets: Any
    source: str
    classes: tuple[str, ...] = ()
    given_test: int = 0
    given_validation: int = 0
    groups: Array | None = None
    times: Array | None = None
    reading: tuple[Assumption, ...] = ()
    images: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    drop_rows: Sequence[str] = ()
    weights: Any = None
    weighted_by: str = "the weights that were given"


@dataclass(frozen=True, slots=True)
class Inputs:
    """Checked inputs: `values` [N, F] of any real type, finite; `shape` of one input; the `columns`' names (none for images)."""

    values: Array
    shape: tuple[int, ...]
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Array) -> "Inputs":
        """Return some of the rows."""
        return replace(self, values=self.values[rows])


def read_inputs(inputs: Any) -> Inputs:
    """Read a table [N, F] or images [N, H, W], [N, C, H, W].

    Raises:
        UserError: no rows, another number of dimensions, channels last, text, missing or infinite cells, two columns of one name.
    """
    array = to_array(inputs, "inputs")
    shape = _shape_of_one(array)
    columns: tuple[str, ...] = ()
    if len(shape) == 1:  # a table
        columns = tuple(map(str, getattr(inputs, "columns", range(prod(shape)))))
    refuse_repeated(columns, "inputs: ")
    values = array.reshape(len(array), -1)
    if values.dtype.kind not in NUMBERS:
        values = np.column_stack([to_numbers(values[:, i], label(columns, i)) for i in range(values.shape[1])])
    _check_finite(values, columns)
    return Inputs(values, shape, columns)


def refuse_repeated(columns: Sequence[str], where: str = "") -> None:
    """Refuse names that more than one column has; the error begins with `where`."""
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        raise UserError(f"{where}{listed(repeated)} names more than one column. Rename or drop the others.")


def to_array(given: Any, what: str) -> Array:
    """Return tensors, frames, series, lists and masked arrays as one array in this machine's byte order."""
    if hasattr(given, "tocsr"):  # SciPy's matrices and arrays
        raise UserError(f"{what}: a sparse matrix, a dense array expected. Give {what}.toarray().")
    if hasattr(given, "detach"):  # a tensor
        given = _of_tensor(given, what)
    elif hasattr(given, "to_numpy"):  # a frame or a series
        given = given.to_numpy()
    elif isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):  # NumPy would show what lies under the mask
        hidden = np.ma.getmaskarray(given)
        given = given.data.astype(object)
        given[hidden] = None
    try:
        array = np.asarray(given)
    except ValueError:
        raise UserError(f"{what}: rows of different lengths. Give every row the same number of columns.") from None
    if isinstance(given, list | tuple) and array.dtype.kind == "U":
        array = _unless_text(given, array)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _of_tensor(tensor: Any, what: str) -> Array:
    """Return a tensor as an array; one that NumPy cannot have (sparse, quantized, without data) is refused."""
    try:
        tensor = tensor.detach().cpu()
        is_half = tensor.is_floating_point() and tensor.element_size() < 4  # NumPy has no bfloat16
        return np.asarray((tensor.float() if is_half else tensor).numpy())
    except (TypeError, RuntimeError) as error:
        raise UserError(f"{what}: a tensor of numbers, dense and with data, expected ({shown(str(error))}).") from None


def _unless_text(given: Any, array: Array) -> Array:
    """Return a list's cells as they are where some are no text: NumPy makes the texts "nan", "1" and "True" of NaN, 1 and True."""
    cells = np.asarray(given, dtype=object)
    if all(isinstance(cell, str) for cell in cells.flat):
        return array
    return cells


def label(columns: Sequence[str], index: int) -> str:
    """Return how errors call a column; images have none."""
    if columns:
        return f"column {shown(columns[index])}"
    return f"value {index}"


def to_numbers(cells: Array, where: str) -> Array:
    """Return one column of objects as float64, missing cells as NaN.

    Raises:
        UserError: a cell is no number.
    """
    if cells.dtype.kind in NUMBERS:
        return cells
    for row, cell in enumerate(cells):
        if not (is_missing(cell) or isinstance(cell, Real | np.bool_)):
            kind = "text" if isinstance(cell, str) else type(cell).__name__
            raise UserError(
                f"inputs: {where} holds {kind} (row {row}: {shown(cell)}), numbers expected. "
                "Encode it, with pandas.get_dummies for example, or drop it."
            )
    try:
        return np.array([np.nan if is_missing(cell) else float(cell) for cell in cells], dtype=np.float64)
    except OverflowError:
        raise UserError(f"inputs: {where} has a whole number too large for float64. Rescale or drop it.") from None


def is_missing(cell: object) -> bool:
    """Whether a cell is None, NaN, or what pandas has for them."""
    return cell is None or type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, float) and isnan(cell))


def _shape_of_one(array: Array) -> tuple[int, ...]:
    """Return the shape of one input: (F,) of a table, (channels, height, width) of an image."""
    shape = array.shape
    if array.ndim not in (2, 3, 4):
        advice = " For one column give inputs.reshape(-1, 1)." * (array.ndim == 1)
        raise UserError(f"inputs: shape {shape}, [rows, columns], [N, H, W] or [N, C, H, W] expected.{advice}")
    if 0 in shape:
        raise UserError(f"inputs: empty (shape {shape}). At least one row and one column are needed.")
    if array.ndim == 4 and shape[3] in (1, 3, 4) and shape[1] > 4:
        raise UserError(
            f"inputs: shape {shape} has its channels last, [N, C, H, W] expected. Move the last axis to position 1."
        )
    return (1, *shape[1:]) if array.ndim == 3 else shape[1:]


def _check_finite(values: Array, columns: tuple[str, ...]) -> None:
    if values.dtype.kind != "f":
        return
    bad = ~np.isfinite(values)  # [N, F]
    if not bad.any():
        return
    column = int(bad.any(axis=0).argmax())
    row = int(bad[:, column].argmax())
    count = int(bad[:, column].sum())
    others = int(bad.any(axis=0).sum()) - 1
    also = f" ({counted(others, 'more column')} too)" * bool(others)
    is_nan = np.isnan(values[row, column])
    kind = "missing (NaN)" if is_nan else "infinite"
    advice = "Fill those cells or drop"
    if is_nan and columns:
        advice = "Give missing 'median' (--set data.missing=median), or drop"
    raise UserError(
        f"inputs: {label(columns, column)} has {counted(count, 'missing or infinite cell')}{also}, the first, {kind}, in row "
        f"{row}. {advice} those rows or columns."
    )
