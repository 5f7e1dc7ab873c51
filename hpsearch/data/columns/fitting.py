"""From a table to standardised inputs: choose the columns' types, read their cells as numbers, fit and apply the preprocessing.

Types and categories come from the training rows, or with folds from all rows but the test rows, so that every fold has the same inputs.
What fills, centres and scales comes from each division's own training rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import compress
from typing import Any

import numpy as np

from hpsearch.data.cells import Array
from hpsearch.data.columns.column_selection import DROPPED, Dropped, choose_type
from hpsearch.data.columns.column_types import COLUMN_TYPES, Entry, sample_of
from hpsearch.data.columns.preprocessing import FILLS, VERSION, apply, fit, width
from hpsearch.data.columns.reading import missing_cells, read_column
from hpsearch.data.columns.table import Table, meant
from hpsearch.data.scaling import Scaled
from hpsearch.data.splits import Split
from hpsearch.errors import UserError, listed, shown, suggestion

FEWEST_MISSING = 5  # rows with a missing cell from which on an input says so: from fewer nothing is learned of it
MOST_SUMMARIES = 500  # columns of a summary
MOST_NOTICES = 20  # of one kind


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
        if kind not in (*COLUMN_TYPES, "drop"):
            raise UserError(
                f"columns: unknown kind {shown(kind)} for {shown(name)}. {suggestion(str(kind), (*COLUMN_TYPES, 'drop'))}"
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
    entries, dropped = _choose_types(table_inputs, split.seen)
    if not entries:
        reasons = listed([f"{one['name']} ({one['reason']})" for one in dropped])
        raise UserError(f"no column is left as input: {reasons}. Check the table, or give columns a kind.")
    table = table_inputs.table
    cells = [read_column(entry, table, table_inputs.missing_values) for entry in entries]
    numbers = np.stack(cells, axis=1)  # [N, columns]
    if table_inputs.missing == "refuse":
        _refuse_missing(table, entries, numbers)
    entries = _with_indicators(entries, numbers[split.seen])
    fitted = [fit(entries, numbers[training], table_inputs.missing) for training, _ in split.divisions]
    divisions = []
    for columns, (training, validation) in zip(fitted, split.divisions, strict=True):
        divisions.append((apply(columns, numbers[training]), apply(columns, numbers[validation])))
    test = apply(fitted[0], numbers[split.test])
    return Scaled(
        tuple(divisions),
        test,
        shape=(test.shape[1],),
        notices=(*table.notices, *_notices(entries, dropped, numbers, table_inputs.missing)),
        preprocessing=_preprocessing(table_inputs, fitted[0], dropped),
        columns=tuple(_column_summaries(entries, dropped, numbers)),
    )


def _choose_types(table_inputs: TableInputs, rows: Array) -> tuple[list[Entry], list[dict[str, str]]]:
    """Return the entries of the columns that are used, and the columns that are not, with reasons."""
    entries: list[Entry] = []
    dropped: list[dict[str, str]] = []
    for name in table_inputs.table.names:
        reason = table_inputs.excluded.get(name)
        if reason is not None and name not in table_inputs.forced:
            dropped.append({"name": name, "reason": reason, "note": DROPPED[reason]})
            continue
        sample = sample_of(table_inputs.table, name, rows, table_inputs.missing_values)
        chosen = choose_type(sample, table_inputs.forced.get(name))
        if isinstance(chosen, Dropped):
            dropped.append({"name": name, "reason": chosen.reason, "note": chosen.note})
        else:
            entries.append(chosen)
    return entries, dropped


def _refuse_missing(table: Table, entries: Sequence[Entry], numbers: Array) -> None:
    for entry, values in zip(entries, numbers.T, strict=True):
        if np.isnan(values).any():
            raise missing_cells(table, entry["name"], values)


def _with_indicators(entries: Sequence[Entry], numbers: Array) -> list[Entry]:
    """Return entries that say which columns get an input for missing cells: those that have enough of them to learn from."""
    counts = np.isnan(numbers).sum(axis=0)  # [columns]
    return [
        entry if entry["kind"] == "category" else {**entry, "indicator": bool(count >= FEWEST_MISSING)}
        for entry, count in zip(entries, counts, strict=True)
    ]


def _preprocessing(
    table_inputs: TableInputs, fitted: list[Entry], dropped: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    return {
        "kind": "table",
        "version": VERSION,
        "target": table_inputs.target,
        "reading": {**table_inputs.table.reading, "missing_values": list(table_inputs.missing_values)},
        "columns": fitted,
        "dropped": [{"name": one["name"], "reason": one["reason"]} for one in dropped],
    }


def _notices(
    entries: Sequence[Entry], dropped: Sequence[Mapping[str, str]], numbers: Array, missing: str
) -> Iterator[str]:
    """Yield what a reader should know: which columns are not used, how missing cells are filled, how columns were read."""
    for one in dropped[:MOST_NOTICES]:
        yield f"Column {shown(one['name'])} is not used ({one['reason']}): {one['note']}."
    if len(dropped) > MOST_NOTICES:
        yield f"{len(dropped) - MOST_NOTICES:,} more columns are not used."
    yield from _missing_notices(entries, numbers, missing)
    noted = [entry for entry in entries if "note" in entry]
    for entry in noted[:MOST_NOTICES]:
        yield f"Column {shown(entry['name'])}: {entry['note']}."


def _missing_notices(entries: Sequence[Entry], numbers: Array, missing: str) -> Iterator[str]:
    """Yield how missing cells are filled, those of numbers and those of categories, where there are some."""
    counts = np.isnan(numbers).sum(axis=0).tolist()  # [columns]
    incomplete = list(compress(entries, counts))
    plain = [entry for entry in incomplete if entry["kind"] != "category"]
    if plain:
        unmarked = [entry["name"] for entry in plain if not entry["indicator"]]
        where = ", and an input says where" if len(unmarked) < len(plain) else ""
        rare = f" (not of {listed(unmarked)}: fewer than {FEWEST_MISSING} rows)" if where and unmarked else ""
        yield f"{_missing_in(plain)}: the training rows' {missing} takes the place of a number{where}{rare}."
    if categories := [entry for entry in incomplete if entry["kind"] == "category"]:
        yield f"{_missing_in(categories)}: a missing category is one of its own."


def _missing_in(entries: Sequence[Entry]) -> str:
    names = listed([entry["name"] for entry in entries])
    return f"Missing cells in {len(entries)} column{'s' * (len(entries) != 1)} ({names})"


def _column_summaries(
    entries: Sequence[Entry], dropped: Sequence[Mapping[str, str]], numbers: Array
) -> list[dict[str, Any]]:
    """Return what a report says of each column, of the first ones if there are many."""
    missing = np.isnan(numbers).sum(axis=0).tolist()
    used = [
        {"name": e["name"], "kind": e["kind"], "inputs": width(e), "missing": count, "note": e.get("note", "")}
        for e, count in zip(entries, missing, strict=True)
    ]
    unused = [{"name": d["name"], "kind": "dropped", "inputs": 0, "missing": 0, "note": d["reason"]} for d in dropped]
    return [*used, *unused][:MOST_SUMMARIES]
