"""Damaged tables: whatever bytes a file holds, it becomes `Data` or one line that says what is wrong, and soon."""

import io
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpsearch.data import Data, load_file
from hpsearch.errors import UserError

SHORT, LONG = 200, 5_000
SLOWEST = 5.0  # seconds


def plain(rows: int = 60) -> str:
    draw = np.random.RandomState(0)
    lines = [
        f"{a:.3f},{b},{'yes' if b % 2 else 'no'},{a * 2 + b:.2f}"
        for a, b in zip(draw.normal(size=rows), range(3, rows + 3), strict=True)
    ]
    return "\n".join(["length,count,member,price", *lines]) + "\n"


def german(rows: int = 60) -> str:
    draw = np.random.RandomState(1)
    cells = zip(
        draw.normal(50, 9, rows), draw.choice(["Köln", "Ulm", "Aachen"], rows), draw.randint(1, 28, rows), strict=True
    )
    lines = [
        f"{a:.2f};{city};{day:02d}.03.2024;{'gut' if a > 50 else 'schlecht'}".replace(".", ",", 1)
        for a, city, day in cells
    ]
    return "\r\n".join(["größe;stadt;tag;urteil", *lines]) + "\r\n"


def quoted(rows: int = 60) -> str:
    draw = np.random.RandomState(2)
    lines = [
        f'"{"tall, dark" if a > 0 else "say hi"}","two\nlines",{a:.4f},{"" if a > 1 else b},{b % 3}'
        for a, b in zip(draw.normal(size=rows), draw.randint(0, 9, rows), strict=True)
    ]
    return "\n".join(["looks,note,a,b,price", *lines]) + "\n"


def bare(rows: int = 60) -> str:
    draw = np.random.RandomState(3)
    return "".join(f"{a:.5f}\t{b:.5f}\t{a > b:d}\n" for a, b in draw.normal(size=(rows, 2)))


SOURCES = {
    "plain": (plain().encode(), "price"),
    "german": (german().encode("cp1252"), "urteil"),
    "quoted": (quoted().encode(), "price"),
    "bare": (bare().encode(), "2"),
    "wide": (german().encode("utf-16"), "urteil"),
    "marked": (plain().encode("utf-8-sig"), "price"),
}
PIECES = [
    *(
        b'"',
        b'""',
        b",",
        b";",
        b"\t",
        b"|",
        b"\n",
        b"\r",
        b"\r\n",
        b"\0",
        b" ",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xfe\xff",
        b"\xff",
    ),
    *(
        "é".encode(),
        "\u202e".encode(),
        "𝟙".encode(),
        b"\x1b[2J",
        b"NA",
        b"nan",
        b"inf",
        b"-inf",
        b"1e999",
        b"007",
        b"1,234",
        b"=1+1",
    ),
    *(
        b"9" * 400,
        b"x" * 70_000,
        b"\n" * 50,
        b",,,,",
        b"1_000",
        b"0x10",
        b"2024-02-30",
        b"99999-01-01",
        b"<script>",
        b"\xc3",
    ),
]


def flip(data: bytearray, draw: random.Random) -> None:
    for _ in range(draw.choice([1, 3, 20])):
        data[draw.randrange(len(data))] = draw.randrange(256)


def insert(data: bytearray, draw: random.Random) -> None:
    for _ in range(draw.choice([1, 1, 2, 5])):
        place = draw.randrange(len(data) + 1)
        data[place:place] = draw.choice(PIECES)


def delete(data: bytearray, draw: random.Random) -> None:
    place = draw.randrange(len(data))
    del data[place : place + draw.choice([1, 1, 2, 10, 200])]


def truncate(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(len(data)) :]


def swap(data: bytearray, draw: random.Random) -> None:
    rows = data.split(b"\n")
    one, other = draw.randrange(len(rows)), draw.randrange(len(rows))
    rows[one], rows[other] = rows[other], rows[one]
    data[:] = b"\n".join(rows)


def double(data: bytearray, draw: random.Random) -> None:
    rows = data.split(b"\n")
    row = draw.choice([0, draw.randrange(len(rows))])
    data[:] = b"\n".join([*rows[: row + 1], *rows[row : row + 1] * draw.choice([1, 3, 100]), *rows[row + 1 :]])


def rename(data: bytearray, draw: random.Random) -> None:
    head, _, rest = bytes(data).partition(b"\n")
    separator = max((b",", b";", b"\t"), key=head.count)
    names = head.split(separator)
    names[draw.randrange(len(names))] = draw.choice([names[0], b"", b" ", b"id", b"price", b"\x00", b"x" * 5000])
    data[:] = separator.join(names) + b"\n" + rest


def exchange(data: bytearray, draw: random.Random) -> None:
    data[:] = bytes(data).replace(draw.choice(PIECES[:8]), draw.choice(PIECES), draw.choice([1, 5, -1]))[:2_000_000]


def cells(data: bytearray, draw: random.Random) -> None:
    """Replace whole cells, which leaves the table's form sound."""
    rows = [row.split(b",") for row in bytes(data).split(b"\n")]
    for _ in range(draw.choice([1, 5, 60])):
        row = draw.choice(rows)
        row[draw.randrange(len(row))] = draw.choice([*PIECES[16:], b"", b"?"])
    data[:] = b"\n".join(b",".join(row) for row in rows)


MUTATIONS = [flip, insert, delete, truncate, swap, double, rename, exchange, cells, cells]


def mutant(number: int) -> tuple[bytes, str]:
    draw = random.Random(number)  # noqa: S311
    content, target = SOURCES[draw.choice(sorted(SOURCES))]
    data = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        if data:
            draw.choice(MUTATIONS)(data, draw)
    return bytes(data), target


@pytest.mark.parametrize("name", SOURCES)
def test_the_sources_are_sound(tmp_path: Path, name: str) -> None:
    """Each table that is mutated is one that is read without complaint."""
    path = tmp_path / "table.csv"
    path.write_bytes(SOURCES[name][0])
    assert len(load_file(path, SOURCES[name][1]).training) == 42


def test_damaged_tables(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Every mutated table is data with finite inputs, or one printable line; none takes long, and both happen often."""
    ends: Counter[str] = Counter()
    slowest, path = (0.0, -1), tmp_path / "table.csv"
    count = LONG if request.config.getoption("--long") else SHORT
    for number in range(count):
        content, target = mutant(number)
        path.write_bytes(content)
        began = time.monotonic()
        try:
            data = load_file(path, target)
        except UserError as error:
            text = str(error)
            assert text.isprintable(), (number, text)
            assert text.startswith("data 'table.csv': "), (number, text)
            assert len(text) < 1_000, (number, text)
            ends["refused"] += 1
        else:
            assert isinstance(data, Data)
            assert data.training.inputs.isfinite().all(), number
            assert data.test.inputs.isfinite().all(), number
            ends["read"] += 1
        slowest = max(slowest, (time.monotonic() - began, number))
    print(f"\n{count:,} mutated tables: {dict(ends)}, the slowest {slowest[0]:.2f} s (number {slowest[1]})")
    assert slowest[0] < SLOWEST, slowest
    assert min(ends["read"], ends["refused"]) > count / 10


def test_damaged_parquet(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Every mutated Parquet file is data, or one printable line."""
    path = tmp_path / "table.parquet"
    pd.read_csv(io.BytesIO(SOURCES["plain"][0])).to_parquet(path)
    sound, read, refused = path.read_bytes(), 0, []
    for number in range(LONG // 5 if request.config.getoption("--long") else SHORT // 4):
        data, draw = bytearray(sound), random.Random(number)  # noqa: S311
        draw.choice([flip, insert, delete, truncate])(data, draw)
        path.write_bytes(data)
        try:
            load_file(path, "price")
            read += 1
        except UserError as error:
            refused.append(str(error))
    assert all(text.isprintable() for text in refused)
    assert len(refused) > read
