"""Tables as files: CSV, the leaderboard as Markdown, and cells as text that is pleasant to read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hpsearch.errors import StorageError
from hpsearch.files import inert, make_folder, write_file
from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.formatting import MetricFormat, duration, number, visible
from hpsearch.reporting.tables import TABLES, Column, Frames

# read as the metric is
METRIC_COLUMNS = ("value", "metric", "standard_error", "value_low", "value_high", "best", "best_value", "median_value")
TIME_COLUMNS = ("seconds", "started", "start", "end", "median_seconds")
PLAIN_COLUMNS = ("trial", "rank", "repeats", "evaluation", "seed")  # numbers without a separator of thousands


def write(tables: Frames, folder: Path, metric: MetricFormat | None = None, texts: Texts = ENGLISH) -> list[Path]:
    """Write each table as `folder/NAME.csv`, the leaderboard as Markdown too, and what the columns mean as `columns.csv`.

    An optional table without rows does not apply to the study: it is not written, and one of an earlier version is removed.

    Args:
        tables: what `frames` returned.
        folder: made where it is missing.
        metric: writes the leaderboard's values as percentages where they are; None leaves plain numbers.
        texts: says what the columns mean; those of another program's study have other meanings, and no table without rows is written.

    Returns:
        The files written.

    Raises:
        StorageError: a file cannot be written; the one before it is left as it was.

    """
    make_folder(folder)
    files = {}
    meanings: list[tuple[str, ...]] = []
    for name, table in tables.items():
        if (TABLES[name].optional or texts.variant) and not len(table):
            _remove(folder / f"{name}.csv")
            continue
        files[f"{name}.csv"] = _csv(table)
        columns = columns_of(name, table)
        meanings += [(name, one.name, one.unit, meaning(name, one, texts, with_unit=False)) for one in columns]
    files["columns.csv"] = _csv(pd.DataFrame(meanings, columns=["table", "column", "unit", "meaning"]))
    files["leaderboard.md"] = markdown(leaders(tables), metric)
    for name, content in files.items():
        write_file(folder / name, content.encode("utf-8", "backslashreplace"))  # a name may hold half a character
    return [folder / name for name in files]


def columns_of(name: str, table: pd.DataFrame) -> list[Column]:
    """Return the declared columns that a table has, those that stand for several included."""
    declared = TABLES[name].columns
    return [column for column in declared if column.name.startswith("<") or column.name in table.columns]


def meaning(table: str, column: Column, texts: Texts = ENGLISH, *, with_unit: bool = True) -> str:
    """Return what a column means, in the page's language where it is translated, and its unit."""
    text = texts.get(f"search.column.{table}.{column.name}", texts.word(column.meaning))
    if column.unit and with_unit:
        return texts("search.numbers.with_unit", meaning=text, unit=texts.word(column.unit))
    return text


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}. Mend the folder, then run the same command.") from error


def leaders(tables: Frames) -> pd.DataFrame:
    """Return the leaderboard as readers see it: without what only a cross-validation has where there was none."""
    board = tables["leaderboard"]
    if "standard_error" in board and board["standard_error"].isna().all():
        return board.drop(columns="standard_error")
    return board


def _csv(table: pd.DataFrame) -> str:
    """Return a table as CSV whose texts no spreadsheet takes for formulas."""
    safe = table.rename(columns=inert)
    for i, name in enumerate(table.columns):
        if table[name].dtype.kind in "OUT":
            safe.isetitem(i, pd.Series(map(inert, table[name]), index=table.index, dtype="object"))
    return str(safe.to_csv(index=False, lineterminator="\n"))


def markdown(table: pd.DataFrame, metric: MetricFormat | None = None) -> str:
    """Return a table as Markdown, its cells as the report shows them."""
    lines = [_markdown_row(table.columns), f"|{' --- |' * len(table.columns)}"]
    lines += [_markdown_row(row) for row in cells(table, metric)]
    return "".join(f"{line}\n" for line in lines)


def _markdown_row(row: Any) -> str:
    return f"| {' | '.join(map(_markdown_cell, row))} |"


def _markdown_cell(text: object) -> str:
    escaped = visible(text).replace("\\", "\\\\").replace("|", "\\|").replace("&", "&amp;").replace("<", "&lt;")
    return escaped.replace("[", "\\[").replace("`", "\\`")


def cells(
    table: pd.DataFrame, metric: MetricFormat | None = None, objectives: Mapping[str, MetricFormat] | None = None
) -> list[list[str]]:
    """Return a table's cells as readable text: rounded numbers, shares and seconds with their unit, "" where empty.

    Columns of the metric are written as it is, those named in `objectives` as these are.
    """
    names = list(table.columns)
    formats = dict.fromkeys(METRIC_COLUMNS, metric) | dict(objectives or {})
    rows = table.to_numpy(dtype=object)
    return [
        [_cell_text(name, value, formats.get(name)) for name, value in zip(names, row, strict=True)] for row in rows
    ]


def _cell_text(name: str, value: Any, metric: MetricFormat | None) -> str:
    if pd.isna(value):
        return ""
    if metric and isinstance(value, int | float):
        return metric.text(float(value))
    if name in TIME_COLUMNS:
        return duration(float(value))
    if name in PLAIN_COLUMNS:
        return str(value)
    return number(value.item() if hasattr(value, "item") else value)
