"""Mutated tables: whatever bytes a file holds, it becomes the data that pandas or polars read too, or one line that says what is wrong."""

import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars
import pytest

from hpsearch.data import load_file
from hpsearch.data.loaders.table_files import read_table
from tests.support.fuzzing import Fuzz
from tests.support.mutants import OF_BYTES, OF_TABLES, flip_bit, mutated
from tests.support.second_readers import assert_same_cells, assert_same_inputs, assert_same_targets, text_cells

ROWS = 60


def plain() -> str:
    draw = np.random.RandomState(0)
    lines = [
        f"{a:.3f},{b},{'yes' if b % 2 else 'no'},{a * 2 + b:.2f}"
        for a, b in zip(draw.normal(size=ROWS), range(3, ROWS + 3), strict=True)
    ]
    return "\n".join(["length,count,member,price", *lines]) + "\n"


def german() -> str:
    draw = np.random.RandomState(1)
    cells = zip(
        draw.normal(50, 9, ROWS), draw.choice(["Köln", "Ulm", "Aachen"], ROWS), draw.randint(1, 28, ROWS), strict=True
    )
    lines = [
        f"{a:.2f};{city};{day:02d}.03.2024;{'gut' if a > 50 else 'schlecht'}".replace(".", ",", 1)
        for a, city, day in cells
    ]
    return "\r\n".join(["größe;stadt;tag;urteil", *lines]) + "\r\n"


def quoted() -> str:
    draw = np.random.RandomState(2)
    lines = [
        f'"{"tall, dark" if a > 0 else "say hi"}","two\nlines",{a:.4f},{"" if a > 1 else b},{b % 3}'
        for a, b in zip(draw.normal(size=ROWS), draw.randint(0, 9, ROWS), strict=True)
    ]
    return "\n".join(["looks,note,a,b,price", *lines]) + "\n"


def bare() -> str:
    draw = np.random.RandomState(3)
    return "".join(f"{a:.5f}\t{b:.5f}\t{a > b:d}\n" for a, b in draw.normal(size=(ROWS, 2)))


SOURCES = {
    "plain": (plain().encode(), "price"),
    "german": (german().encode("cp1252"), "urteil"),
    "quoted": (quoted().encode(), "price"),
    "bare": (bare().encode(), "2"),
    "wide": (german().encode("utf-16"), "urteil"),
    "marked": (plain().encode("utf-8-sig"), "price"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_sources_are_sound(tmp_path: Path, name: str) -> None:
    """Each table that is mutated is one that is read without complaint, and as pandas reads it."""
    path = tmp_path / "table.csv"
    path.write_bytes(SOURCES[name][0])
    assert read_alike(path, SOURCES[name][1])


def read_alike(path: Path, target: str) -> bool:
    """Read a text table and check it by pandas; return whether pandas reads such a one."""
    data = load_file(path, target)
    assert data.training.inputs.isfinite().all()
    assert data.test.inputs.isfinite().all()
    table = read_table(path, expected=[target])
    cells = text_cells(path, table)
    if cells is None:
        return False
    assert_same_cells(table, cells)
    columns = {
        name: [*map(str.strip, column.to_pylist())] for name, column in zip(table.names, table.columns, strict=True)
    }
    assert_same_inputs(data, columns, table.decimal)
    assert_same_targets(data, columns[target], table.decimal)
    return True


def test_mutated_text_tables(fuzz: Fuzz, tmp_path: Path) -> None:
    """Every mutated text table is refused in a line, or has the cells that pandas reads and the inputs that these cells make."""
    path = tmp_path / "table.csv"

    def attempt(draw: random.Random) -> bool:
        content, target = SOURCES[draw.choice(sorted(SOURCES))]
        path.write_bytes(mutated(content, draw, OF_TABLES))
        return read_alike(path, target)

    fuzz.run("text tables", attempt)


# Mostly of numbers and texts in pages: what tells of the pages is refused whatever it says.
OF_PAGES = (*OF_BYTES, *[flip_bit] * len(OF_BYTES))


def parquet_sources() -> list[bytes]:
    """Return Parquet files of one frame, as programs write them: compressed or not, with dictionaries, old and new pages."""
    draw = np.random.RandomState(4)
    frame = pd.read_csv(io.BytesIO(SOURCES["plain"][0]))
    frame["day"] = pd.date_range("2024-01-01", periods=ROWS)
    frame["town"] = draw.choice(["Köln", "Ulm", "Aachen"], ROWS)
    frame["gap"] = np.where(draw.rand(ROWS) < 0.2, np.nan, draw.rand(ROWS))
    frame["whole"] = pd.array([None if number % 7 == 0 else number for number in range(ROWS)], "Int64")
    frame["truth"] = draw.rand(ROWS) < 0.5
    ways: list[dict[str, Any]] = [
        {},
        {"compression": "none"},
        {"compression": "none", "use_dictionary": False},
        {"compression": "gzip", "data_page_version": "2.0", "row_group_size": 20},
        {"compression": "zstd", "write_page_checksum": True},
    ]
    files = []
    for way in ways:
        opened = io.BytesIO()
        frame.to_parquet(opened, **way)
        files.append(opened.getvalue())
    return files


def polars_columns(path: Path, names: Sequence[str]) -> dict[str, list[Any]]:
    """Return columns of a Parquet file by polars: texts without space around them, truth values as texts, dates as days since 1970."""
    frame = polars.read_parquet(path, columns=list(names))
    columns = {}
    for name in names:
        cells = frame[name]
        if cells.dtype.is_temporal():
            cells = cells.cast(polars.Datetime("us")).cast(polars.Int64) / 86_400e6
        columns[name] = [_cell(cell) for cell in cells.to_list()]
    return columns


def _cell(cell: Any) -> Any:
    if isinstance(cell, bool):
        return str(cell)
    return cell.strip() if isinstance(cell, str) else cell


def test_mutated_parquet_files(fuzz: Fuzz, tmp_path: Path) -> None:
    """Every mutated Parquet file is refused in a line, or has the cells that polars reads."""
    path = tmp_path / "table.parquet"
    sources = parquet_sources()

    def attempt(draw: random.Random) -> bool:
        path.write_bytes(mutated(draw.choice(sources), draw, OF_PAGES))
        data = load_file(path, "price")
        try:
            columns = polars_columns(path, read_table(path).names)
        except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError):
            return False
        assert_same_inputs(data, columns)
        assert_same_targets(data, columns["price"])
        return True

    fuzz.run("Parquet files", attempt)
