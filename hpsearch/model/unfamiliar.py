"""Cells of new rows that are unlike those of training: missing, never seen, or out of the range; sentences on each column of such cells."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from hpsearch.data.cells import Array
from hpsearch.data.columns import parsing
from hpsearch.data.columns.column_types import Entry
from hpsearch.data.columns.reading import read_cells
from hpsearch.data.columns.table import Table
from hpsearch.errors import shown

MOST_SENTENCES = 20


def unfamiliar_cells(preprocessing: Mapping[str, Any], table: Table, *, rare_only: bool = False) -> Iterator[str]:
    """Yield a sentence for each kind of unfamiliar cells in each column, of many the first ones.

    Args:
        preprocessing: of the model, of kind "table".
        table: the new rows.
        rare_only: leave out what new rows may well have: numbers out of the range, and missing cells where training had some.
    """
    sentences = _sentences(preprocessing, table, rare_only)
    yield from islice(sentences, MOST_SENTENCES)
    more = sum(1 for _ in sentences)
    if more:
        yield f"{more:,} more lines of missing, unseen and out-of-range cells in other columns."


def _sentences(preprocessing: Mapping[str, Any], table: Table, rare_only: bool) -> Iterator[str]:
    missing_values = tuple((preprocessing.get("reading") or {}).get("missing_values") or ())
    for entry in preprocessing.get("columns", ()):
        values, unseen = read_cells(entry, table, missing_values)
        missing = np.isnan(values) & ~unseen
        if missing.any() and not (rare_only and _had_missing(entry)):
            yield _missing(entry, missing)
        if unseen.any():
            yield _unseen(entry, unseen, table)
        limits = entry.get("range")
        if limits and not rare_only:
            with np.errstate(invalid="ignore"):
                outside = (values < limits[0]) | (values > limits[1])
            if outside.any():
                yield _outside(entry, outside, table)


def _had_missing(entry: Entry) -> bool:
    """Whether training had missing cells in a column, or a model of an early version does not say."""
    return bool(entry.get("missing", True) or entry.get("indicator"))


def _missing(entry: Entry, missing: Array) -> str:
    count = int(missing.sum())
    cells = f"{count:,} of {len(missing):,} cells {'is' if count == 1 else 'are'} missing"
    never = ", which training never had" * (not _had_missing(entry))
    return f"Column {shown(entry['name'])}: {cells}{never}: {_meaning_of_missing(entry)}."


def _meaning_of_missing(entry: Entry) -> str:
    """Return what a model takes a missing cell of a column for."""
    if entry["kind"] != "category":
        return f"taken as {_written(entry, entry.get('fill') or 0.0)}"
    if entry.get("missing"):
        return "a category of its own"
    return "taken as none of its categories"


def _unseen(entry: Entry, unseen: Array, table: Table) -> str:
    rare = "that training never saw"
    if entry.get("other"):
        rare = "that was rare in training or never there"
    as_missing = "; read as missing" * (entry["kind"] == "boolean")
    first = _first(entry, unseen, table)
    return f"Column {shown(entry['name'])}: {_rows(unseen)} a value {rare}, the first {first}{as_missing}."


def _outside(entry: Entry, outside: Array, table: Table) -> str:
    low, high = (_written(entry, limit) for limit in entry["range"])
    between = f"outside the range of training, {low} to {high}"
    return (
        f"Column {shown(entry['name'])}: {_rows(outside)} a value {between}, the first {_first(entry, outside, table)}."
    )


def _rows(chosen: Array) -> str:
    count = int(chosen.sum())
    return "1 row has" if count == 1 else f"{count:,} rows have"


def _first(entry: Entry, chosen: Array, table: Table) -> str:
    row = int(chosen.argmax())
    text = str(parsing.as_text(table.column(entry["name"])[row : row + 1])[0])
    return f"{shown(text)} in {table.where(row)}"


def _written(entry: Entry, number: float) -> str:
    """Return a number as a column's cells are written: a date as a date."""
    if entry["kind"] == "date":
        return str(np.datetime64("1970-01-01") + np.timedelta64(int(np.floor(number)), "D"))
    if entry["kind"] == "boolean" and number in (0, 1):
        return shown(entry["true"] if number else entry["false"])
    return f"{number:.6g}"
