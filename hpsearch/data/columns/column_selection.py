"""What becomes of a column: a type of `COLUMN_TYPES`, or nothing. `DROPPED` has the reasons for nothing, each with its sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hpsearch.data.columns import dates, parsing
from hpsearch.data.columns.column_types import COLUMN_TYPES, MOST_CATEGORIES, ColumnSample, Entry, plan_date_as
from hpsearch.data.columns.error_messages import FEW_TEXTS, as_missing, misread
from hpsearch.data.columns.identifiers import names_rows
from hpsearch.data.columns.table import absent
from hpsearch.errors import UserError, listed, percent_text, shown

LONG_TEXT = 40  # characters
MANY_DATES = 6  # categories that may be dates: fewer are names
MOST = 0.5  # of the cells are numbers or dates: what the few other texts mean is worth a question

DROPPED: Mapping[str, str] = {
    "constant": "it has one value, from which nothing can be learned",
    "identifier": "it names rows, so that what is learned from it holds for no new row",
    "text": "free text, which a dense network cannot read",
    "asked": "as asked for",
    "group": "it says which rows belong together",
    "time": "it says in which order rows came",
    "weight": "it says how much a row counts",
}


@dataclass(frozen=True, slots=True)
class Dropped:
    """A column that is no input: the `reason` is a name of `DROPPED`, the `note` what a reader should know."""

    reason: str
    note: str


def choose_type(sample: ColumnSample, forced: str | None) -> Entry | Dropped:
    """Return a column's entry, or why it is dropped."""
    constant = _constant(sample)
    if constant:
        return Dropped("constant", constant)
    stated = forced or sample.table.kinds.get(sample.name)
    if stated is not None:
        return _forced(sample, stated)
    plans = (column_type.plan(sample) for column_type in COLUMN_TYPES.values())
    entry = next(plan for plan in plans if plan is not None)  # every column can be a category
    if entry["kind"] != "category":
        return _counting(sample, entry) or entry
    mixed = _among_numbers(sample) or _among_dates(sample, MOST)
    dropped = _identifier_or_text(sample)
    if dropped is not None:
        mixed = mixed or _perhaps_dates(sample)
        return Dropped(dropped.reason, _joined(dropped.note, mixed))
    if len(entry["categories"]) >= MANY_DATES:
        mixed = mixed or _perhaps_dates(sample)
    if mixed:
        return {**entry, "note": _joined(entry.get("note", ""), mixed)}
    return entry


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def _forced(sample: ColumnSample, name: str) -> Entry:
    name, _, form = name.partition(":")
    if form:
        return plan_date_as(sample, form)
    column_type = COLUMN_TYPES[name]
    entry = column_type.plan(sample)
    if entry is not None:
        return entry
    rows = sample.rows[:1]
    if name == "number" and sample.is_text:
        rows = sample.rows[parsing.numbers(sample.text, sample.table.decimal)[1]]
    if name == "date" and sample.is_text:
        why = _among_dates(sample, 0)
        if why:
            raise UserError(f"column {shown(sample.name)} (kind date): {why}.")
    raise misread(sample.table, sample.name, f"{column_type.expected} (kind {name})", rows)


def _constant(sample: ColumnSample) -> str:
    """Return what all cells are, where they are one thing; else nothing."""
    if sample.is_text:
        distinct = sample.text.unique()
        only = distinct[0].as_py()
        varies = len(distinct) > 1
    else:
        missing = absent(sample.cells)
        only = None if missing.all() else sample.cells[0]
        varies = only is not None and bool(missing.any() or (sample.cells != only).any())
    if varies:
        return ""
    if only is None:
        return "all cells are empty"
    return f"all cells are {shown(str(only))}"


def _counting(sample: ColumnSample, entry: Entry) -> Dropped | None:
    """Return why a column of numbers names rows: it counts them, or has distinct whole numbers and is called an id."""
    if entry["kind"] != "number":
        return None
    cells = sample.text if sample.is_text else sample.cells
    values, _ = COLUMN_TYPES["number"].read(entry, cells, sample.table.decimal)
    if not bool((np.isfinite(values) & (values == np.floor(values))).all()):
        return None
    if len(np.unique(values - sample.rows)) == 1:
        return Dropped("identifier", "it counts the rows")
    if names_rows(sample.name) and len(np.unique(values)) == len(values):
        option = sample.table.column_option(sample.name, "number")
        return Dropped("identifier", f"distinct whole numbers called {shown(sample.name)} ({option} keeps it)")
    return None


def _identifier_or_text(sample: ColumnSample) -> Dropped | None:
    """Return why texts are no categories: all are distinct, or they are free text, long or many that hardly come again."""
    distinct = sample.text.drop_null().unique()
    if len(distinct) == len(sample.rows):
        return Dropped("identifier", "every row has another text")
    if len(distinct) <= MOST_CATEGORIES:
        return None
    is_long = pc.mean(pc.utf8_length(distinct)).as_py() > LONG_TEXT
    if is_long or 2 * len(distinct) > len(sample.rows):
        return Dropped("text", f"{len(distinct):,} distinct texts in {len(sample.rows):,} rows")
    return None


def _among_numbers(sample: ColumnSample) -> str:
    """Return the sentence on a column of texts that are numbers with a unit, or mostly numbers beside a few texts; else nothing."""
    cells = sample.text
    unit = parsing.unit(cells)
    if unit:
        return f"its cells are numbers with {shown(unit)}: write the numbers alone, and the column is a number"
    values, other = parsing.numbers(cells, sample.table.decimal)
    known = int((~np.isnan(values)).sum())
    part = known / max(1, known + int(other.sum()))
    strays = cells.filter(pa.array(other)).unique().to_pylist()
    few = 0 < len(strays) <= FEW_TEXTS and part >= MOST
    if not few or parsing.matches(cells, parsing.LEADING_ZEROS).any():
        return ""
    return _beside_strays(sample, part, "number", strays)


def _among_dates(sample: ColumnSample, share: float) -> str:
    """Return the sentence on a column of texts that are mostly dates, written in several ways or beside a few other texts; else nothing."""
    cells = sample.text
    by_pattern = dates.rows_by_date_pattern(cells)
    if not by_pattern:
        return ""
    dated = np.logical_or.reduce([*by_pattern.values()])  # [N]
    other = ~dated & ~parsing.missing(cells)
    strays = cells.filter(pa.array(other)).unique().to_pylist()
    part = dated.sum() / (dated.sum() + other.sum())
    if part < share or len(strays) > FEW_TEXTS:
        return ""
    if len(by_pattern) > 1:
        firsts = listed([cells[int(rows.argmax())].as_py() for rows in by_pattern.values()])
        return (
            f"{percent_text(part)} of its cells are dates, written in {len(by_pattern)} ways ({firsts}): "
            "write them in one, and the column is a date"
        )
    if not strays:
        return f"its cells look like dates, but some are none that is read: write them as {dates.READ}, and the column is a date"
    return _beside_strays(sample, part, "date", strays)


def _perhaps_dates(sample: ColumnSample) -> str:
    """Return which dates are read, where a column that is dropped or a category may have others; else nothing."""
    return f"if its cells are dates, write them as {dates.READ}" * dates.may_be_dates(sample.text)


def _beside_strays(sample: ColumnSample, part: float, what: str, strays: Sequence[str]) -> str:
    """Return the sentence on a column of which a part are numbers or dates, beside a few other texts."""
    return (
        f"{percent_text(part)} of its cells are {what}s, the others {listed(strays)}: if these mean a missing cell, "
        f"{as_missing(sample.table, sample.name, strays, f'a {what}')}, and the column is a {what}"
    )
