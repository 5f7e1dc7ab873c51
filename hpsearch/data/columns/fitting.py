"""From a table to standardised inputs: which columns are used and how, seen in rows that are no test rows, then scaled by training rows.

Kinds and categories come from the rows that train, or where folds take turns from all rows but the test rows, so that inputs are the
same in every fold; what fills, centres and scales comes from each division's own training rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.data.cells import Array
from hpsearch.data.columns.column_selection import DROPPED, find_kind
from hpsearch.data.columns.column_types import KINDS, Entry, see
from hpsearch.data.columns.preprocessing import VERSION, apply, fit, width, written
from hpsearch.data.columns.reading import missing_cells, read_column
from hpsearch.data.columns.table import Table, meant
from hpsearch.data.scaling import Scaled
from hpsearch.data.splits import Split
from hpsearch.errors import UserError, listed, shown, suggestion

FEWEST_MISSING = 5  # rows with a missing cell from which on an input says so: from fewer nothing is learned of it
MOST_TOLD = 500  # columns that a summary has
FILLS = ("median", "mean", "refuse")


@dataclass(frozen=True, slots=True)
class TableInputs:
    """A table without its target, and what was asked of its columns.

    `forced` gives columns a kind, or "drop"; `missing` is one of `FILLS`; `excluded` are columns that are no inputs, with the reason (a row
    of `DROPPED`).
    """

    table: Table
    target: str | None
    forced: Mapping[str, str]
    missing: str
    missing_values: tuple[str, ...]
    excluded: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.table)

    def digest(self) -> bytes:
        """Return the sha256 of the cells as they were read."""
        return sha256(self.table.digest().encode()).digest()


def _check(table_inputs: TableInputs) -> None:
    """Refuse options that do not fit the table.

    Raises:
        UserError: a column or kind that there is not.
    """
    for name, kind in table_inputs.forced.items():
        if name not in table_inputs.table.names:
            is_target = name == table_inputs.target
            why = "it is the target" if is_target else meant(name, table_inputs.table.names)
            raise UserError(f"columns: no input column {shown(name)}: {why}" + "." * is_target)
        if kind not in (*KINDS, "drop"):
            raise UserError(
                f"columns: unknown kind {shown(kind)} for {shown(name)}. {suggestion(str(kind), (*KINDS, 'drop'))}"
            )
    if table_inputs.missing not in FILLS:
        raise UserError(
            f"unknown missing {shown(table_inputs.missing)}. {suggestion(str(table_inputs.missing), FILLS)}"
        )


def scale_table(table_inputs: TableInputs, split: Split) -> Scaled:
    """Return a table's inputs for each part and fold, standardised, with the preprocessing that makes them.

    Raises:
        UserError: cells that do not fit their column, missing cells that are refused, no column left.
    """
    _check(table_inputs)
    entries, dropped = _plan(table_inputs, split.seen)
    if not entries:
        gone = listed([f"{one['name']} ({one['reason']})" for one in dropped])
        raise UserError(f"no column is left as input: {gone}. Check the table, or give columns a kind.")
    numbers = np.stack(
        [read_column(entry, table_inputs.table, table_inputs.missing_values) for entry in entries], axis=1
    )
    _mark_missing(entries, numbers, table_inputs, split)
    strategy = "mean" if table_inputs.missing == "mean" else "median"
    fitted = [fit(entries, numbers[training], strategy) for training, _ in split.divisions]
    inputs = [
        (_tensor(apply(one, entries, numbers[training])), _tensor(apply(one, entries, numbers[validation])))
        for one, (training, validation) in zip(fitted, split.divisions, strict=True)
    ]
    test = apply(fitted[0], entries, numbers[split.test]) if len(split.test) else np.empty((0, inputs[0][0].shape[1]))
    found = written(fitted[0], entries, None if table_inputs.missing == "refuse" else strategy)
    return Scaled(
        *inputs[0],
        _tensor(test.astype(np.float32)),
        (inputs[0][0].shape[1],),
        (*table_inputs.table.notices, *_notices(entries, dropped, numbers, table_inputs)),
        _preprocessing(table_inputs, found, dropped),
        tuple(inputs) if split.folds else (),
        tuple(_told(entries, dropped, numbers)),
    )


def _plan(table_inputs: TableInputs, rows: Array) -> tuple[list[Entry], list[dict[str, str]]]:
    """Return the entries of the columns that are used and the ones that are not, with reasons."""
    entries, dropped = [], []
    for name in table_inputs.table.names:
        if name in table_inputs.excluded and name not in table_inputs.forced:
            dropped.append(
                {"name": name, "reason": table_inputs.excluded[name], "note": DROPPED[table_inputs.excluded[name]]}
            )
            continue
        found = find_kind(
            see(table_inputs.table, name, rows, table_inputs.missing_values), table_inputs.forced.get(name)
        )
        if isinstance(found, tuple):
            dropped.append({"name": name, "reason": found[0], "note": found[1]})
        else:
            entries.append(found)
    return entries, dropped


def _mark_missing(entries: list[Entry], numbers: Array, table_inputs: TableInputs, split: Split) -> None:
    """Give columns with missing cells an input that says so, where there are some; refuse them where that is asked for."""
    for entry, values in zip(entries, numbers.T, strict=True):
        gone = np.isnan(values)
        if gone.any() and table_inputs.missing == "refuse":
            raise missing_cells(table_inputs.table, entry["name"], values)
        if entry["kind"] != "category":
            entry["indicator"] = bool(gone[split.seen].sum() >= FEWEST_MISSING)


def _preprocessing(
    table_inputs: TableInputs, found: list[Entry], dropped: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    reading = {**table_inputs.table.reading, "missing_values": list(table_inputs.missing_values)}
    gone = [{"name": one["name"], "reason": one["reason"]} for one in dropped]
    head = {"kind": "table", "version": VERSION, "target": table_inputs.target, "reading": reading}
    return {**head, "columns": found, "dropped": gone}


def _notices(
    entries: Sequence[Entry], dropped: Sequence[Mapping[str, str]], numbers: Array, table_inputs: TableInputs
) -> list[str]:
    said = [f"Column {shown(one['name'])} is not used ({one['reason']}): {one['note']}." for one in dropped[:20]]
    if len(dropped) > 20:
        said.append(f"{len(dropped) - 20:,} more columns are not used.")
    notes = [f"Column {shown(entry['name'])}: {entry['note']}." for entry in entries if "note" in entry]
    return [*said, *_gaps(entries, numbers, table_inputs.missing), *notes[:20]]


def _gaps(entries: Sequence[Entry], numbers: Array, missing: str) -> Iterator[str]:
    """Yield what becomes of missing cells, of numbers and of categories where there are some."""
    gaps = [entry for entry, cells in zip(entries, numbers.T, strict=True) if np.isnan(cells).any()]
    plain = [entry for entry in gaps if entry["kind"] != "category"]
    if plain:
        untold = [entry["name"] for entry in plain if not entry["indicator"]]
        where = ", and an input says where" if len(untold) < len(plain) else ""
        rare = f" (not of {listed(untold)}: fewer than {FEWEST_MISSING} rows)" if where and untold else ""
        yield f"{_columns(plain)}: the training rows' {missing} takes the place of a number{where}{rare}."
    if categories := [entry for entry in gaps if entry["kind"] == "category"]:
        yield f"{_columns(categories)}: a missing category is one of its own."


def _columns(entries: Sequence[Entry]) -> str:
    return f"Missing cells in {len(entries)} column{'s' * (len(entries) != 1)} ({listed([e['name'] for e in entries])})"


def _told(entries: Sequence[Entry], dropped: Sequence[Mapping[str, str]], numbers: Array) -> list[dict[str, Any]]:
    """Return what a report says of each column, the first of them."""
    missing = np.isnan(numbers).sum(axis=0).tolist()
    used = [
        {"name": e["name"], "kind": e["kind"], "inputs": width(e), "missing": gone, "note": e.get("note", "")}
        for e, gone in zip(entries, missing, strict=True)
    ]
    gone = [{"name": d["name"], "kind": "dropped", "inputs": 0, "missing": 0, "note": d["reason"]} for d in dropped]
    return [*used, *gone][:MOST_TOLD]


def _tensor(inputs: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(inputs))
