"""Fit a table's preprocessing on training rows, and apply it: what fills, centres and scales each column, as plain JSON values.

A column is an `Entry`: its name, its type, and what was fitted. `hpsearch.data.transform` turns entries into one torch module, which makes
a network's inputs here, in `predict`, and in exported files alike.

Inputs come in the columns' order. Those of one column: a number, or a date's parts, standardised, then 1 where the cell was missing, else 0
(`indicator`; standardised, one that is rare would drown all others); a category's one-hot inputs, then one for any other text (`other`),
then one for a missing cell (`missing`), 0 or 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from hpsearch.data.cells import Array
from hpsearch.data.columns import dates
from hpsearch.data.columns.column_types import Entry
from hpsearch.data.transform import TableTransform
from hpsearch.errors import UserError, shown

VERSION = 1
ROWS_AT_ONCE = 65_536
FILLS = ("median", "mean", "refuse")


def width(entry: Mapping[str, Any]) -> int:
    """Return how many inputs a column becomes."""
    if entry["kind"] == "category":
        return len(entry["categories"]) + int(entry["other"]) + int(entry["missing"])
    return len(entry.get("parts", [0])) + int(entry["indicator"])


def fit(entries: Sequence[Entry], numbers: Array, missing: str) -> list[Entry]:
    """Return entries with what scikit-learn fits on training rows [N, columns]: `fill`, `mean` and `scale`.

    `missing` is one of `FILLS`; a column has no `fill` where missing cells are refused.

    Raises:
        UserError: numbers too large to square.
    """
    fitted = [{key: value for key, value in entry.items() if key != "note"} for entry in entries]
    if missing == "refuse":
        for entry in fitted:
            entry["fill"] = None
    for places in _groups(entries):
        with np.errstate(over="ignore", invalid="ignore"):
            _fit_group([fitted[place] for place in places], numbers[:, places], missing)
    return fitted


def _fit_group(entries: Sequence[Entry], numbers: Array, missing: str) -> None:
    """Fit columns that are transformed alike [N, columns] and write the result into their entries."""
    filler = SimpleImputer(strategy="mean" if missing == "mean" else "median", keep_empty_features=True)
    values = filler.fit_transform(numbers)
    if "parts" in entries[0]:
        values = np.concatenate([dates.part(values, part) for part in entries[0]["parts"]], axis=1)
    scaler = StandardScaler().fit(values)  # [parts × columns], the first part of all columns first
    for place, entry in enumerate(entries):
        mean = scaler.mean_[place :: len(entries)].tolist()
        scale = scaler.scale_[place :: len(entries)].tolist()
        if not np.isfinite([*mean, *scale]).all():
            raise _too_large(entry["name"])
        entry["fill"] = None if missing == "refuse" else float(filler.statistics_[place])
        entry["mean"] = [*mean, 0.0] if entry["indicator"] else mean
        entry["scale"] = [*scale, 1.0] if entry["indicator"] else scale


def _groups(entries: Sequence[Entry]) -> list[list[int]]:
    """Return the places of columns that are fitted alike: thousands of numbers are one step. Categories need no fit."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, entry in enumerate(entries):
        if entry["kind"] != "category":
            alike = (bool(entry["indicator"]), *entry.get("parts", ()))
            groups.setdefault(alike, []).append(place)
    return list(groups.values())


def apply(fitted: Sequence[Entry], numbers: Array) -> Tensor:
    """Return inputs [N, F] float32 of numbers [N, columns], a few rows at a time.

    Raises:
        UserError: an input is too large for float32.
    """
    transform = TableTransform({"columns": fitted})
    inputs = torch.empty(len(numbers), transform.inputs)
    for start in range(0, len(numbers), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        inputs[rows] = transform(torch.from_numpy(numbers[rows]))
    finite = inputs.isfinite().all(dim=0)  # [F]
    if not bool(finite.all()):
        raise _too_large(transform.names[int((~finite).int().argmax())])
    return inputs


def _too_large(name: str) -> UserError:
    return UserError(
        f"column {shown(name)} has values too large for float32 after standardising. Rescale it (its logarithm, perhaps)."
    )
