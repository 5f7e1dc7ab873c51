"""What becomes of a column: a type of `COLUMN_TYPES`, or nothing. `DROPPED` has the reasons for nothing, each with its sentence."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from hpsearch.data.columns import parsing
from hpsearch.data.columns.column_types import COLUMN_TYPES, MOST_CATEGORIES, ColumnSample, Entry
from hpsearch.data.columns.error_messages import among_dates, among_numbers, misread
from hpsearch.data.columns.table import absent
from hpsearch.errors import UserError, shown

LONG_TEXT = 40  # characters
MOST = 0.5  # of the cells are numbers or dates: what the few other texts mean is worth a question
NAMES_OF_IDENTIFIERS = ("id", "index", "uuid", "guid", "unnamed")

DROPPED: Mapping[str, str] = {
    "constant": "it has one value, from which nothing can be learned",
    "identifier": "it names rows, so that what is learned from it holds for no new row",
    "text": "free text, which a dense network cannot read",
    "asked": "as asked for",
    "group": "it says which rows belong together",
    "time": "it says in which order rows came",
}


@dataclass(frozen=True, slots=True)
class Dropped:
    """A column that is no input: the `reason` is a name of `DROPPED`, the `note` what a reader should know."""

    reason: str
    note: str


def choose_type(sample: ColumnSample, forced: str | None) -> Entry | Dropped:
    """Return a column's entry, or why it is dropped.

    Raises:
        UserError: the forced type does not fit the cells, or most cells are numbers or dates and some are not.
    """
    if forced == "drop":
        return Dropped("asked", DROPPED["asked"])
    constant = _constant(sample)
    if constant is not None:
        return Dropped("constant", constant)
    stated = forced or sample.table.kinds.get(sample.name)
    if stated is not None:
        return _forced(sample, stated)
    plans = (column_type.plan(sample) for column_type in COLUMN_TYPES.values())
    entry = next(plan for plan in plans if plan is not None)  # every column can be a category
    mixed = _mixed_note(sample) if entry["kind"] == "category" else ""
    dropped = _identifier(sample, entry) or _free_text(sample, entry)
    if dropped is not None:
        return Dropped(dropped.reason, _joined(dropped.note, mixed))
    return {**entry, "note": _joined(entry.get("note", ""), mixed)} if mixed else entry


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def _mixed_note(sample: ColumnSample) -> str:
    """Return what keeps a column of texts from being numbers or dates, where most of its cells are."""
    return among_numbers(sample.table, sample.name, sample.text, MOST) or among_dates(
        sample.table, sample.name, sample.text, MOST
    )


def _forced(sample: ColumnSample, name: str) -> Entry:
    column_type = COLUMN_TYPES[name]
    entry = column_type.plan(sample)
    if entry is not None:
        return entry
    rows = sample.rows[:1]
    if name == "number" and sample.is_text:
        rows = sample.rows[parsing.numbers(sample.text, sample.table.decimal)[1]]
    if name == "date" and sample.is_text:
        why = among_dates(sample.table, sample.name, sample.text, 0)
        if why:
            raise UserError(f"column {shown(sample.name)} (kind date): {why}.")
    raise misread(sample.table, sample.name, f"{column_type.expected} (kind {name})", rows)


def _constant(sample: ColumnSample) -> str | None:
    """Return what all cells are, where they are one thing."""
    if sample.is_text:
        distinct = sample.text.unique()
        if len(distinct) > 1:
            return None
        return _all_cells(distinct[0].as_py())
    missing = absent(sample.cells)
    if missing.all():
        return _all_cells(None)
    if missing.any() or not bool((sample.cells == sample.cells[0]).all()):
        return None
    return _all_cells(sample.cells[0])


def _all_cells(value: object) -> str:
    return "all cells are empty" if value is None else f"all cells are {shown(str(value))}"


def _identifier(sample: ColumnSample, entry: Entry) -> Dropped | None:
    """Return why a column names rows: texts that are all distinct, numbers that count rows, distinct whole numbers called an id."""
    if entry["kind"] == "category":
        distinct = sample.text.drop_null().unique()
        return Dropped("identifier", "every row has another text") if len(distinct) == len(sample.rows) else None
    if entry["kind"] != "number":
        return None
    cells = sample.text if sample.is_text else sample.cells
    values, _ = COLUMN_TYPES["number"].read(entry, cells, sample.table.decimal)
    if not bool((np.isfinite(values) & (values == np.floor(values))).all()):
        return None
    if len(np.unique(values - sample.rows)) == 1:
        return Dropped("identifier", "it counts the rows")
    if _is_called_identifier(sample.name) and len(np.unique(values)) == len(values):
        return Dropped("identifier", f"distinct whole numbers called {shown(sample.name)}")
    return None


def _is_called_identifier(name: str) -> bool:
    first = name.lower().replace(" ", "_").split(":")[0]
    return first in NAMES_OF_IDENTIFIERS or first.endswith("_id")


def _free_text(sample: ColumnSample, entry: Entry) -> Dropped | None:
    """Return why a category's texts are free text: many distinct ones that hardly come again, or long ones."""
    if entry["kind"] != "category" or sample.table.kinds.get(sample.name):
        return None
    distinct = sample.text.drop_null().unique()
    if len(distinct) <= MOST_CATEGORIES:
        return None
    is_long = pc.mean(pc.utf8_length(distinct)).as_py() > LONG_TEXT
    if is_long or 2 * len(distinct) > len(sample.rows):
        return Dropped("text", f"{len(distinct):,} distinct texts in {len(sample.rows):,} rows")
    return None
