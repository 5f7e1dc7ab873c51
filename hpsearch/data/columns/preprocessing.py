"""TRANSFORM: a matrix of numbers (see `columns`) as a network's inputs: filled, dates in parts, standardised, one-hot.

In training it is scikit-learn's `ColumnTransformer`, fitted on training rows; what it found is written into the columns' entries, plain
JSON values, from which `transform` makes the same inputs without scikit-learn. Inputs come in the columns' order; those of one column:
a number, or a date's parts, standardised, then 1 where the cell was missing, else 0 (`indicator`; standardised, one that is rare would
drown all others); a category's one-hot inputs, then one for any other text (`other`), then one for a missing cell (`missing`), 0 or 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from hpsearch.data.cells import Array
from hpsearch.data.columns import dates
from hpsearch.data.columns.column_types import Entry
from hpsearch.errors import UserError, shown

VERSION = 1
ROWS_AT_ONCE = 65_536


def width(entry: Mapping[str, Any]) -> int:
    """Return how many inputs a column becomes."""
    if entry["kind"] == "category":
        return len(entry["categories"]) + int(entry["other"]) + int(entry["missing"])
    return len(entry.get("parts", [0])) + int(entry["indicator"])


def fit(entries: Sequence[Entry], numbers: Array, strategy: str) -> ColumnTransformer:
    """Return scikit-learn's transformer, fitted on training rows [N, columns]; `strategy` fills missing numbers (median, mean).

    Raises:
        UserError: numbers too large to square.
    """
    groups = _groups(entries)
    steps = [(f"group {n}", _steps(entries, places, strategy), places) for n, places in enumerate(groups)]
    with np.errstate(over="ignore", invalid="ignore"):
        fitted = ColumnTransformer(steps, sparse_threshold=0).fit(numbers)
    for entry in written(fitted, entries, strategy):
        if not np.isfinite([*entry.get("mean", ()), *entry.get("scale", ())]).all():
            raise _too_large(entry["name"])
    return fitted


def apply(fitted: ColumnTransformer, entries: Sequence[Entry], numbers: Array) -> Array:
    """Return inputs [N, F] float32 in the columns' order, a few rows at a time.

    Raises:
        UserError: an input is too large for float32.
    """
    owners = np.concatenate([_owners(entries, places) for places in _groups(entries)])
    order = np.argsort(owners, kind="stable")
    inputs = np.empty((len(numbers), len(order)), dtype=np.float32)  # [N, F]
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(numbers), ROWS_AT_ONCE):
            part = fitted.transform(numbers[start : start + ROWS_AT_ONCE])
            inputs[start : start + ROWS_AT_ONCE] = part[:, order]
            _check(inputs[start : start + ROWS_AT_ONCE], [entries[owner]["name"] for owner in owners[order]])
    return inputs


def written(fitted: ColumnTransformer, entries: Sequence[Entry], strategy: str | None) -> list[Entry]:
    """Return the entries with what was fitted: `fill`, `mean`, `scale`; no `fill` where missing cells are refused (None)."""
    found = [{key: value for key, value in entry.items() if key != "note"} for entry in entries]
    for entry in found if strategy is None else ():
        entry["fill"] = None
    for (_, step, _), places in zip(fitted.transformers_, _groups(entries), strict=True):
        if entries[places[0]]["kind"] != "category":
            _write_group(step, found, places, strategy)
    return found


def _write_group(
    step: Pipeline | FeatureUnion, found: list[Entry], places: Sequence[int], strategy: str | None
) -> None:
    value = step if isinstance(step, Pipeline) else dict(step.transformer_list)["value"]
    filler, scaler = value.named_steps["fill"], value.named_steps["scale"]
    indicators = len(places) * bool(found[places[0]]["indicator"])
    mean, scale = np.append(scaler.mean_, np.zeros(indicators)), np.append(scaler.scale_, np.ones(indicators))
    owners = _owners(found, places)
    for n, place in enumerate(places):
        mine = np.flatnonzero(owners == place)
        found[place]["fill"] = None if strategy is None else float(filler.statistics_[n])
        found[place]["mean"], found[place]["scale"] = mean[mine].tolist(), scale[mine].tolist()


def transform(preprocessing: Mapping[str, Any], numbers: Array) -> Array:
    """Return inputs [N, F] float32 of numbers [N, columns], as the preprocessing's JSON says.

    Raises:
        UserError: an input is too large for float32.
    """
    entries = preprocessing["columns"]
    names = [entry["name"] for entry in entries for _ in range(width(entry))]
    inputs = np.empty((len(numbers), len(names)), dtype=np.float32)  # [N, F]
    place = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for column, entry in enumerate(entries):
            block = (
                _hot(entry, numbers[:, column]) if entry["kind"] == "category" else _scaled(entry, numbers[:, column])
            )
            inputs[:, place : place + width(entry)] = block
            place += width(entry)
    _check(inputs, names)
    return inputs


def _scaled(entry: Mapping[str, Any], numbers: Array) -> Array:
    """Return the inputs of a number, truth value or date, [N, inputs]; `mean` and `scale` of the indicator are 0 and 1."""
    gone = np.isnan(numbers)
    full = np.where(gone, 0.0 if entry["fill"] is None else entry["fill"], numbers)
    values = [dates.part(full, name) for name in entry["parts"]] if "parts" in entry else [full]
    values += [gone.astype(np.float64)] if entry["indicator"] else []
    return np.asarray((np.stack(values, axis=1) - np.array(entry["mean"])) / np.array(entry["scale"]))


def _hot(entry: Mapping[str, Any], numbers: Array) -> Array:
    """Return the one-hot inputs of a category, [N, inputs]; a text that has no place is all zeros."""
    known = len(entry["categories"]) + entry["other"]
    places = np.where(np.isnan(numbers), known, numbers)
    places = np.where((numbers >= known) | (np.isnan(numbers) & (not entry["missing"])), -1, places)
    return np.asarray(places[:, None] == np.arange(width(entry))[None], dtype=np.float32)


def _groups(entries: Sequence[Entry]) -> list[list[int]]:
    """Return the places of columns that are transformed alike: thousands of numbers are one step, not thousands."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, entry in enumerate(entries):
        groups.setdefault(("category",) if entry["kind"] == "category" else _form(entry), []).append(place)
    return list(groups.values())


def _form(entry: Entry) -> tuple[Any, ...]:
    return (bool(entry["indicator"]), *entry.get("parts", ()))


def _owners(entries: Sequence[Entry], places: Sequence[int]) -> Array:
    """Return which column each output of a group's step belongs to."""
    if entries[places[0]]["kind"] == "category":
        return np.repeat(places, [width(entries[place]) for place in places])
    return np.tile(places, width(entries[places[0]]))


def _steps(entries: Sequence[Entry], places: Sequence[int], strategy: str) -> Any:
    first = entries[places[0]]
    if first["kind"] == "category":
        return OneHotEncoder(
            categories=[_codes(entries[place]) for place in places],
            handle_unknown="ignore",
            sparse_output=False,
            dtype=np.float32,
        )
    filler = SimpleImputer(strategy=strategy, keep_empty_features=True)
    parts = FunctionTransformer(_dates_in_parts, kw_args={"parts": tuple(first.get("parts", ()))})
    between = [("parts", parts)] if "parts" in first else []
    value = Pipeline([("fill", filler), *between, ("scale", StandardScaler())])
    if not first["indicator"]:
        return value
    return FeatureUnion([("value", value), ("indicator", MissingIndicator(features="all"))])


def _codes(entry: Entry) -> Array:
    codes = np.arange(len(entry["categories"]) + entry["other"], dtype=np.float64)
    return np.append(codes, np.nan) if entry["missing"] else codes


def _dates_in_parts(days: Array, parts: Sequence[str]) -> Array:
    """Return days [N, columns] as [N, parts × columns], the first part of all columns first."""
    return np.concatenate([dates.part(days, part) for part in parts], axis=1)


def _check(inputs: Array, names: Sequence[str]) -> None:
    wrong = ~np.isfinite(inputs)
    if wrong.any():
        raise _too_large(names[int(wrong.any(axis=0).argmax())])


def _too_large(name: str) -> UserError:
    return UserError(
        f"column {shown(name)} has values too large for float32 after standardising. Rescale it (its logarithm, perhaps)."
    )
