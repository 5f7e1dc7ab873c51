"""A table's inputs written down in NumPy, column by column: the specification that the torch transform is compared with."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hpsearch.data.columns.fitting import date_part

Array = npt.NDArray[Any]


def inputs_by_numpy(preprocessing: Mapping[str, Any], numbers: Array) -> Array:
    """Return inputs [N, F] float32 of numbers [N, columns], as the preprocessing's JSON says."""
    columns = zip(preprocessing["columns"], numbers.T, strict=True)
    blocks = [
        one_hot(entry, cells) if entry["kind"] == "category" else scaled(entry, cells) for entry, cells in columns
    ]
    return np.concatenate(blocks, axis=1).astype(np.float32)


def scaled(entry: Mapping[str, Any], cells: Array) -> Array:
    """Return the inputs [N, inputs] of a number, truth value or date."""
    missing = np.isnan(cells)
    filled = np.where(missing, 0.0 if entry["fill"] is None else entry["fill"], cells)
    values = [date_part(filled, name) for name in entry.get("parts", ["days"])]
    if entry["indicator"]:
        values.append(missing.astype(np.float64))
    return np.asarray((np.stack(values, axis=1) - np.array(entry["mean"])) / np.array(entry["scale"]))


def one_hot(entry: Mapping[str, Any], cells: Array) -> Array:
    """Return the inputs [N, inputs] of a category; a text that has no input of its own is all zeros."""
    codes = [float(code) for code in range(len(entry["categories"]) + entry["other"])]
    hot = [cells == code for code in codes]
    if entry["missing"]:
        hot.append(np.isnan(cells))
    return np.stack(hot, axis=1).astype(np.float64)
