"""From a table to standardised inputs: choose the columns' types, read their cells as numbers, fit and apply the preprocessing.

Types and categories come from the training rows, or with folds from all rows but the test rows, so that every fold has the same inputs.
What fills, centres and scales comes from each division's own training rows. A fitted column is an `Entry`: its name, its type, and what
was fitted, as plain JSON values. `hpsearch.data.transform` turns entries into one torch module, which makes a network's inputs here, in
`predict`, and in exported files alike.

Inputs come in the columns' order. Those of one column: a number, or a date's parts, standardised, then 1 where the cell was missing, else 0
(`indicator`; standardised, one that is rare would drown all others); a category's one-hot inputs, then one for any other text (`other`),
then one for a missing cell (`missing`), 0 or 1.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import compress, islice
from math import tau
from typing import Any

import numpy as np
import torch
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from hpsearch.data.cells import Array
from hpsearch.data.columns import parsing
from hpsearch.data.columns.column_selection import DROPPED, Dropped, choose_type
from hpsearch.data.columns.column_types import COLUMN_TYPES, ColumnSample, Entry
from hpsearch.data.columns.reading import read_cells
from hpsearch.data.columns.table import Table, meant, target_names
from hpsearch.data.options import ReadOptions
from hpsearch.data.scaling import Scaled
from hpsearch.data.splits import Split
from hpsearch.data.transform import PERIODS, TableTransform, width
from hpsearch.errors import UserError, counted, listed, shown, suggestion

VERSION = 1
ROWS_AT_ONCE = 65_536
FILLS = ("median", "mean", "refuse")
FEWEST_MISSING = 5  # rows with a missing cell from which on an input says so: from fewer nothing is learned of it
SUMMARY = ("name", "kind", "inputs", "missing", "note")  # of a column
MOST_SUMMARIES = 500  # columns of a summary
MOST_NOTICES = 20  # of one kind


@dataclass(frozen=True, slots=True)
class TableInputs:
    """A table without its target (the column's name, or those of several), and how its columns are read."""

    table: Table
    target: str | tuple[str, ...] | None
    options: ReadOptions

    def __len__(self) -> int:
        return len(self.table)

    def take(self, rows: Array) -> "TableInputs":
        """Return some of the rows."""
        return replace(self, table=self.table.take(rows))

    def digest(self) -> bytes:
        """Return the sha256 of the cells as they were read."""
        return sha256(self.table.digest().encode()).digest()


def scale_table(table_inputs: TableInputs, split: Split) -> Scaled:
    """Return a table's inputs for each part and fold, standardised, with the preprocessing that makes them."""
    table = table_inputs.table
    options = table_inputs.options
    missing = options.missing or "refuse"
    _check(table_inputs, missing)
    entries, dropped = _choose_types(table, options, split.seen)
    if not entries:
        reasons = listed([f"{name} ({why.reason})" for name, why in dropped.items()])
        raise UserError(f"no column is left as input: {reasons}. Check the table, or give columns a kind.")
    refused = {"fill": None} if missing == "refuse" else {}
    cells = [read_cells({**entry, **refused}, table, options.missing_values) for entry in entries]
    numbers = np.stack([values for values, _ in cells], axis=1)  # [N, columns]
    unknown = np.stack([other for _, other in cells], axis=1)  # [N, columns]
    entries = _with_indicators(entries, numbers[split.seen])
    fitted = [_fit(entries, numbers[training], missing) for training, _ in split.divisions]
    divisions = []
    for columns, (training, validation) in zip(fitted, split.divisions, strict=True):
        divisions.append((_apply(columns, numbers[training]), _apply(columns, numbers[validation])))
    test = _apply(fitted[0], numbers[split.test])
    own_tests = zip(fitted, split.tests, strict=bool(split.tests))
    return Scaled(
        tuple(divisions),
        test,
        shape=(test.shape[1],),
        notices=(
            *table.notices,
            *_notices(entries, dropped, numbers, missing),
            *_vanished(table, entries, numbers),
            *_unknown_truths(entries, unknown),
        ),
        preprocessing=_preprocessing(table_inputs, fitted[0], dropped),
        columns=tuple(_column_summaries(entries, dropped, numbers)),
        tests=tuple(_apply(columns, numbers[rows]) for columns, rows in own_tests),
    )


def _check(table_inputs: TableInputs, missing: str) -> None:
    """Refuse options that do not fit the table."""
    names = table_inputs.table.names
    kinds = (*COLUMN_TYPES, "drop")
    for name, kind in table_inputs.options.columns.items():
        if name not in names:
            is_target = name in target_names(table_inputs.target)
            why = "it is the target." if is_target else meant(name, names)
            raise UserError(f"columns: no input column {shown(name)}: {why}")
        if kind not in kinds and not str(kind).startswith("date:%"):
            raise UserError(f"columns: unknown kind {shown(kind)} for {shown(name)}. {suggestion(str(kind), kinds)}")
    if missing not in FILLS:
        raise UserError(f"unknown missing {shown(missing)}. {suggestion(str(missing), FILLS)}")


def _choose_types(table: Table, options: ReadOptions, rows: Array) -> tuple[list[Entry], dict[str, Dropped]]:
    """Return the entries of the columns that are used, and why the others are not, by name."""
    entries: list[Entry] = []
    dropped: dict[str, Dropped] = {}
    excluded = {options.group: "group", options.time: "time", options.weight: "weight"}
    missing_values = tuple(options.missing_values)
    for name in table.names:
        forced = options.columns.get(name)
        reason = excluded.get(name)
        if forced == "drop":
            reason = "asked"
        says_format = reason == "time" and str(forced).startswith("date:")  # how its dates are read, and no more
        if reason is not None and (forced in (None, "drop") or says_format):
            dropped[name] = Dropped(reason, DROPPED[reason])
            continue
        cells = table.column(name).take(rows)
        chosen = choose_type(ColumnSample(name, cells, rows, table, missing_values), forced)
        if isinstance(chosen, Dropped):
            dropped[name] = chosen
        else:
            entries.append(chosen)
    return entries, dropped


def _with_indicators(entries: Sequence[Entry], numbers: Array) -> list[Entry]:
    """Return entries that say which columns get an input for missing cells: those that have enough of them to learn from."""
    counts = np.isnan(numbers).sum(axis=0)  # [columns]
    marked = []
    for entry, count in zip(entries, counts, strict=True):
        if entry["kind"] == "category":
            marked.append(entry)
        else:
            marked.append({**entry, "indicator": bool(count >= FEWEST_MISSING)})
    return marked


def _fit(entries: Sequence[Entry], numbers: Array, missing: str) -> list[Entry]:
    """Return entries with what scikit-learn fits on training rows [N, columns]: `fill` (None: refused), `mean` and `scale`."""
    fitted = [{key: value for key, value in entry.items() if key != "note"} for entry in entries]
    if missing == "refuse":
        for entry in fitted:
            entry["fill"] = None
    for indices in _groups(entries):
        with np.errstate(over="ignore", invalid="ignore"):
            _fit_group([fitted[index] for index in indices], numbers[:, indices], missing)
    return fitted


def _groups(entries: Sequence[Entry]) -> list[list[int]]:
    """Return the indices of columns that are fitted alike: thousands of numbers are one step. Categories need no fit."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, entry in enumerate(entries):
        if entry["kind"] != "category":
            alike = (entry["indicator"], *entry.get("parts", ()))
            groups.setdefault(alike, []).append(index)
    return list(groups.values())


def _fit_group(entries: Sequence[Entry], numbers: Array, missing: str) -> None:
    """Fit columns that are transformed alike [N, columns] and write the result into their entries."""
    filler = SimpleImputer(strategy="mean" if missing == "mean" else "median", keep_empty_features=True)
    values = filler.fit_transform(numbers)
    if "parts" in entries[0]:
        values = np.concatenate([date_part(values, part) for part in entries[0]["parts"]], axis=1)
    scaler = StandardScaler().fit(values)  # [parts × columns], the first part of all columns first
    gaps = np.isnan(numbers).sum(axis=0)  # [columns]
    for index, entry in enumerate(entries):
        entry["missing"] = int(gaps[index])
        entry["range"] = _range(numbers[:, index])
        mean = scaler.mean_[index :: len(entries)].tolist()
        scale = scaler.scale_[index :: len(entries)].tolist()
        if not np.isfinite([*mean, *scale]).all():
            raise _too_large(entry["name"])
        if missing != "refuse":
            entry["fill"] = float(filler.statistics_[index])
        entry["mean"] = [*mean, 0.0] if entry["indicator"] else mean
        entry["scale"] = [*scale, 1.0] if entry["indicator"] else scale


def _range(numbers: Array) -> list[float] | None:
    """Return the least and the largest number of a column [N], None where all are missing."""
    there = numbers[~np.isnan(numbers)]
    if not len(there):
        return None
    return [float(there.min()), float(there.max())]


def date_part(days: Array, name: str) -> Array:
    """Return one part of dates: the days themselves, or the sine or cosine of 2π · days / period."""
    if name == "days":
        return days
    period, wave = name.split("_")
    turns = days / PERIODS[period]
    angle = tau * (turns - np.floor(turns))
    return np.sin(angle) if wave == "sin" else np.cos(angle)


def _apply(fitted: Sequence[Entry], numbers: Array) -> Tensor:
    """Return inputs [N, F] float32 of numbers [N, columns], a few rows at a time."""
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


def _preprocessing(table_inputs: TableInputs, fitted: list[Entry], dropped: Mapping[str, Dropped]) -> dict[str, Any]:
    return {
        "kind": "table",
        "version": VERSION,
        "target": table_inputs.target,
        "reading": {**table_inputs.table.reading, "missing_values": list(table_inputs.options.missing_values)},
        "columns": fitted,
        "dropped": [{"name": name, "reason": why.reason} for name, why in dropped.items()],
    }


def _notices(entries: Sequence[Entry], dropped: Mapping[str, Dropped], numbers: Array, missing: str) -> Iterator[str]:
    """Yield what a reader should know: which columns are not used, how missing cells are filled, how columns were read."""
    for name, why in islice(dropped.items(), MOST_NOTICES):
        yield f"Column {shown(name)} is not used ({why.reason}): {why.note}."
    if len(dropped) > MOST_NOTICES:
        yield f"{len(dropped) - MOST_NOTICES:,} more columns are not used."
    yield from _missing_notices(entries, numbers, missing)
    noted = [entry for entry in entries if "note" in entry]
    for entry in noted[:MOST_NOTICES]:
        yield f"Column {shown(entry['name'])}: {entry['note']}."


def _missing_notices(entries: Sequence[Entry], numbers: Array, missing: str) -> Iterator[str]:
    """Yield how missing cells are filled, those of numbers and those of categories, where there are some."""
    incomplete = list(compress(entries, np.isnan(numbers).sum(axis=0).tolist()))
    filled = [entry for entry in incomplete if entry["kind"] != "category"]
    if filled:
        unmarked = [entry["name"] for entry in filled if not entry["indicator"]]
        where = ", and an input says where" * (len(unmarked) < len(filled))
        rare = ""
        if where and unmarked:
            rare = f" (not of {listed(unmarked)}: fewer than {FEWEST_MISSING} rows)"
        yield f"{_missing_in(filled)}: the training rows' {missing} takes the place of a number{where}{rare}."
    categories = [entry for entry in incomplete if entry["kind"] == "category"]
    if categories:
        yield f"{_missing_in(categories)}: a missing category is one of its own."


def _vanished(table: Table, entries: Sequence[Entry], numbers: Array) -> Iterator[str]:
    """Yield which columns of text have numbers so close to 0 that they are read as 0."""
    for entry, values in zip(entries, numbers.T, strict=True):
        if entry["kind"] == "number":
            name = entry["name"]
            yield from parsing.vanished_notice(f"Column {shown(name)}", table.column(name), values)


def _unknown_truths(entries: Sequence[Entry], unknown: Array) -> Iterator[str]:
    """Yield which columns of truth values have another one, which can only be in rows that no type is found from."""
    for entry, count in zip(entries, unknown.sum(axis=0).tolist(), strict=True):
        if count and entry["kind"] == "boolean":
            pair = f"{shown(entry['false'])} nor {shown(entry['true'])}"
            cells = "1 cell is" if count == 1 else f"{count:,} cells are"
            yield f"Column {shown(entry['name'])}: {cells} neither {pair}, outside the training rows: read as missing."


def _missing_in(entries: Sequence[Entry]) -> str:
    names = listed([entry["name"] for entry in entries])
    return f"Missing cells in {counted(len(entries), 'column')} ({names})"


def _column_summaries(entries: Sequence[Entry], dropped: Mapping[str, Dropped], numbers: Array) -> list[dict[str, Any]]:
    """Return what a report says of each column, of the first ones if there are many."""
    missing = np.isnan(numbers).sum(axis=0).tolist()
    rows = []
    for entry, count in zip(entries, missing, strict=True):
        rows.append((entry["name"], entry["kind"], width(entry), count, entry.get("note", "")))
    rows += [(name, "dropped", 0, 0, why.reason) for name, why in dropped.items()]
    return [dict(zip(SUMMARY, row, strict=True)) for row in rows[:MOST_SUMMARIES]]
