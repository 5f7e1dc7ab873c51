"""Categories of new rows that a model does not know: it takes them as "other", and whoever asks is told."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hpsearch.data.cells import Array
from hpsearch.data.columns.column_types import Entry
from hpsearch.errors import shown


def unseen_categories(
    preprocessing: Mapping[str, Any], read: Callable[[int, Entry], Array], name: Callable[[Entry, int], str]
) -> Iterator[str]:
    """Yield a sentence for each column in which rows have categories that the model does not know.

    `read` returns the numbers [N] of a column, by its place and itself; `name` the first such cell of a column, by its row.
    """
    for place, column in enumerate(preprocessing.get("columns", ())):
        if column["kind"] != "category":
            continue
        other = read(place, column) == len(column["categories"])  # [N]
        if count := int(other.sum()):
            rows = "1 row has" if count == 1 else f"{count:,} rows have"
            rare = "that was rare in training or never there" if column.get("other") else "that training never saw"
            first = name(column, int(other.argmax()))
            yield f"Column {shown(column['name'])}: {rows} a value {rare}, the first {first}."
