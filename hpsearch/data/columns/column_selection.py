"""What becomes of a column: a kind of `KINDS`, or nothing. `DROPPED` are the reasons for nothing, each with the sentence that says it."""

from collections.abc import Mapping

import numpy as np
import pyarrow.compute as pc

from hpsearch.data.columns import parsing
from hpsearch.data.columns.column_types import KINDS, MOST_CATEGORIES, Entry, Seen
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


def find_kind(seen: Seen, forced: str | None) -> Entry | tuple[str, str]:
    """Return a column's entry, or (why it is dropped, what a reader should know).

    Raises:
        UserError: the forced kind does not fit the cells, or most cells are numbers or dates and some are not.
    """
    if forced == "drop":
        return "asked", "as asked for"
    stated = forced or seen.table.kinds.get(seen.name)
    if (constant := _constant(seen)) is not None:
        return "constant", constant
    if stated is not None:
        return _forced(seen, stated)
    entry = next((entry for kind in KINDS.values() if (entry := kind.plan(seen)) is not None), None)
    assert entry is not None  # every column can be a category
    strays = _strays(seen) if entry["kind"] == "category" else ""
    if reason := _identifier(seen, entry) or _prose(seen, entry):
        return reason[0], "; ".join(filter(None, (reason[1], strays)))
    return {**entry, "note": "; ".join(filter(None, (entry.get("note"), strays)))} if strays else entry


def _strays(seen: Seen) -> str:
    """Return what keeps a column of texts from being numbers or dates, where most of its cells are."""
    return next(
        filter(None, (among(seen.table, seen.name, seen.text, MOST) for among in (among_numbers, among_dates))), ""
    )


def _forced(seen: Seen, name: str) -> Entry:
    kind = KINDS[name]
    entry = kind.plan(seen)
    if entry is None:
        cells = seen.text if seen.is_text else seen.cells
        rows = seen.rows[:1]
        if name == "number" and seen.is_text:
            rows = seen.rows[parsing.numbers(cells, seen.table.decimal)[1]]
        if name == "date" and seen.is_text and (why := among_dates(seen.table, seen.name, seen.text, 0)):
            raise UserError(f"column {shown(seen.name)} (kind date): {why}.")
        raise misread(seen.table, seen.name, f"{kind.expected} (kind {name})", rows)
    return entry


def _constant(seen: Seen) -> str | None:
    """Return what all cells are, where they are one thing."""
    if seen.is_text:
        distinct = seen.text.unique()
        same = len(distinct) == 1
        first = distinct[0].as_py() if same else None
    else:
        gone = absent(seen.cells)
        known = seen.cells[~gone]
        same = bool(gone.all()) or (not gone.any() and bool((known == known[0]).all()))
        first = None if gone.all() else known[0]
    if not same:
        return None
    return "all cells are empty" if first is None else f"all cells are {shown(str(first))}"


def _identifier(seen: Seen, entry: Entry) -> tuple[str, str] | None:
    """Return why a column names rows: texts that are all distinct, numbers that count rows, distinct whole numbers called an id."""
    if entry["kind"] == "category":
        distinct = seen.text.drop_null().unique()
        return ("identifier", "every row has another text") if len(distinct) == len(seen.rows) else None
    if entry["kind"] != "number":
        return None
    values = KINDS["number"].read(entry, seen.text if seen.is_text else seen.cells, seen.table.decimal)[0]
    if not bool((np.isfinite(values) & (values == np.floor(values))).all()):
        return None
    if len(np.unique(values - seen.rows)) == 1:
        return "identifier", "it counts the rows"
    name = seen.name.lower().replace(" ", "_").split(":")[0]
    called = name in NAMES_OF_IDENTIFIERS or name.endswith("_id")
    distinct_numbers = called and len(np.unique(values)) == len(values)
    return ("identifier", f"distinct whole numbers called {shown(seen.name)}") if distinct_numbers else None


def _prose(seen: Seen, entry: Entry) -> tuple[str, str] | None:
    """Return why a category's texts are free text: many distinct ones that hardly come again, or long ones."""
    if entry["kind"] != "category" or seen.table.kinds.get(seen.name):
        return None
    distinct = seen.text.drop_null().unique()
    if len(distinct) <= MOST_CATEGORIES:
        return None
    long = pc.mean(pc.utf8_length(distinct)).as_py() > LONG_TEXT
    if long or 2 * len(distinct) > len(seen.rows):
        return "text", f"{len(distinct):,} distinct texts in {len(seen.rows):,} rows"
    return None
