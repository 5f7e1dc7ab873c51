"""Arrays in files: NumPy's .npz (several by name) and .npy (one), never as pickles.

`array_headers` looks at what a file declares, `array_names` says which arrays are the inputs and which the targets.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from hpsearch.data.cells import Array, Raw
from hpsearch.data.loaders.array_headers import check_archive, check_single, explained
from hpsearch.data.loaders.array_names import Parts, choose_arrays, inputs_of
from hpsearch.errors import UserError, shown

ENDS = (".npz", ".npy")


def read_array_file(path: Path, target: str | None = None) -> Raw:
    """Return the inputs and targets of an .npz or .npy file.

    Args:
        path: an .npz with arrays named by convention (see `array_names`), or an .npy of inputs.
        target: the name of an .npz's array of targets; of an .npy's targets the file beside it, or the number of their column.

    Raises:
        UserError: no file, damaged, objects or records in it, more than memory holds, no targets.
    """
    with explained(path):
        return _named(path, target) if path.suffix.lower() == ".npz" else _single(path, target)


def read_inputs_file(path: Path) -> Array:
    """Return the inputs alone of an .npz or .npy file.

    Raises:
        UserError: see `read_array_file`.
    """
    with explained(path):
        if path.suffix.lower() == ".npy":
            return _load(path)
        name = inputs_of(check_archive(path))
        return _read(path, (name,))[0]


def images_of_arrays(values: Array) -> dict[str, Any]:
    """Return what `Raw.images` says of images [N, H, W] or [N, C, H, W] that came as arrays.

    Their scale is known by their type: truth values and floats in [0, 1] are bytes divided by 255, everything else bytes as they are.
    """
    in_unit_range = values.dtype.kind == "b"
    if values.dtype.kind == "f" and values.size > 0:
        in_unit_range = bool(values.min() >= 0 and values.max() <= 1)
    return {"source": "arrays", "size": None, "divisor": 255 if in_unit_range else 1}


def _named(path: Path, target: str | None) -> Raw:
    parts = choose_arrays(check_archive(path), target)
    inputs, targets, given_test = _gathered(path, parts)
    notices = (
        (f"The rows of {parts.training[1][0]!r} joined those of {parts.training[0][0]!r}.",)
        if parts.training[1:]
        else ()
    )
    return _raw(inputs, targets, path, given_test, notices)


def _gathered(path: Path, parts: Parts) -> tuple[Array, Array, int]:
    """Return inputs, targets, and how many of the last rows are test rows."""
    pairs = [*parts.training, *([parts.test] if parts.test else [])]
    read = [_read(path, pair) for pair in pairs]
    for (x, y), (inputs, targets) in zip(pairs, read, strict=True):
        if inputs.ndim == 0 or targets.ndim == 0 or len(inputs) != len(targets):
            shapes = f"{shown(x)} has shape {inputs.shape}, {shown(y)} {targets.shape}"
            raise UserError(f"{shapes}. Give one target for each row.")
    if len(read) == 1:
        return read[0][0], read[0][1], 0
    for which in (0, 1):
        if len({arrays[which].shape[1:] for arrays in read}) > 1:
            shapes = ", ".join(
                f"{shown(pair[which])} {arrays[which].shape}" for pair, arrays in zip(pairs, read, strict=True)
            )
            raise UserError(f"parts of different shapes: {shapes}. Give all parts rows of one shape.")
    inputs = np.concatenate([arrays[0] for arrays in read])
    targets = np.concatenate([arrays[1] for arrays in read])
    return inputs, targets, len(read[-1][1]) if parts.test else 0


def _single(path: Path, target: str | None) -> Raw:
    if target is None:
        raise UserError(
            "no target. Name the file of the targets beside it (labels.npy), or the number of their column."
        )
    inputs = _load(path)
    if re.fullmatch(r"-?\d{1,9}", target):
        return _column(inputs, int(target), path)
    beside = path.parent / target
    if beside.suffix.lower() != ".npy":
        raise UserError(f"target {shown(target)}: an .npy file beside it expected, or the number of a column.")
    with explained(beside):
        return _raw(inputs, _load(beside), path)


def _column(values: Array, number: int, path: Path) -> Raw:
    """Return a table one of whose columns is the target; the others keep their numbers as names."""
    if values.ndim != 2 or not -values.shape[1] <= number < values.shape[1]:
        raise UserError(
            f"target {number}: shape {values.shape} has no such column. Give a number from 0, or a file of targets."
        )
    frame = pandas.DataFrame(values)
    return Raw(frame.drop(columns=frame.columns[number]), values[:, number], _source(path))


def _raw(inputs: Array, targets: Array, path: Path, given_test: int = 0, notices: tuple[str, ...] = ()) -> Raw:
    if inputs.ndim == 4 and inputs.shape[3] in (1, 3, 4) and inputs.shape[1] > 4:
        notices += (f"Channels are the last axis of {inputs.shape}: moved to position 1.",)
        inputs = inputs.transpose(0, 3, 1, 2)
    images = images_of_arrays(inputs) if inputs.ndim in (3, 4) else {}
    return Raw(inputs, targets, _source(path), given_test=given_test, images=images, notices=notices)


def _source(path: Path) -> str:
    return f"file {shown(path.name)}"


def _read(path: Path, names: tuple[str, ...]) -> list[Array]:
    with np.load(path, allow_pickle=False) as archive:
        return [archive[name] for name in names]


def _load(path: Path) -> Array:
    """Return the array of an .npy file, once its header has passed."""
    check_single(path)
    array: Array = np.load(path, allow_pickle=False)
    return array
