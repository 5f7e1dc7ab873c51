"""Mutants: files and plain values with a few changes that are drawn, as accidents and strangers make them.

Bytes are flipped, cut, doubled, exchanged; text gets quotes, marks, other encodings and extreme numbers; values of JSON and TOML are
renamed, retyped, made extreme. Whoever draws twice with the same generator gets the same mutant.
"""

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

Mutation = Callable[[bytearray, random.Random], None]

LARGEST = 2_000_000  # bytes of a mutant
MARKS = [
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
]
NUMBERS = [
    b"inf",
    b"-inf",
    b"nan",
    b"1e999",
    b"1e-400",
    b"-0.0",
    b"9" * 400,
    b"1,234",
    b"1_000",
    b"0x10",
    b"007",
    b"1e308",
    b"2e-45",
]
TEXTS = [
    *("é".encode(), "\u202e".encode(), "𝟙".encode(), b"\x1b[2J", b"NA", b"=1+1", b"x" * 70_000, b"\n" * 50, b",,,,"),
    *(b"2024-02-30", b"99999-01-01", b"<script>", b"\xc3", b"", b"?", b"True", b"null", b"''", b"[", b"{", b"#", b"\\u0000", b"\\"),
]  # fmt: skip
PIECES = [*MARKS, *NUMBERS, *TEXTS]
VALUES: list[Any] = [
    *(None, True, False, "", " ", "x", "NaN", "\u202e", "\x1b[2J", "1e-400", "x" * 5_000, [], {}, [[]], [None], {"": None}),
    *(0, -1, 1, 2, 10**6, 2**31, 2**63, 10**30, -(10**30), 0.0, -0.5, 0.5, 1e-300, 5e-324, 1e300, -1e300, [0], [1.5, "x"]),
]  # fmt: skip
NOT_JSON: list[Any] = [float("nan"), float("inf"), float("-inf")]  # which Python writes into it nevertheless


def flip(data: bytearray, draw: random.Random) -> None:
    """Change some bytes."""
    for _ in range(draw.choice([1, 3, 20])):
        data[draw.randrange(len(data))] = draw.randrange(256)


def flip_bit(data: bytearray, draw: random.Random) -> None:
    """Change one bit."""
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def insert(data: bytearray, draw: random.Random) -> None:
    """Insert marks, numbers or texts."""
    for _ in range(draw.choice([1, 1, 2, 5])):
        place = draw.randrange(len(data) + 1)
        data[place:place] = draw.choice(PIECES)


def delete(data: bytearray, draw: random.Random) -> None:
    """Delete bytes in a row."""
    place = draw.randrange(len(data))
    del data[place : place + draw.choice([1, 1, 2, 10, 200])]


def truncate(data: bytearray, draw: random.Random) -> None:
    """Keep the beginning alone."""
    del data[draw.randrange(len(data)) :]


def double(data: bytearray, draw: random.Random) -> None:
    """Write a part twice."""
    start = draw.randrange(len(data))
    part = data[start : start + draw.choice([1, 8, 64, 4096])]
    data[start:start] = part


def swap(data: bytearray, draw: random.Random) -> None:
    """Exchange two blocks, which may be pages."""
    size = draw.choice([16, 64, 512, 4096])
    blocks = [bytes(data[start : start + size]) for start in range(0, len(data), size)]
    one, other = draw.randrange(len(blocks)), draw.randrange(len(blocks))
    blocks[one], blocks[other] = blocks[other], blocks[one]
    data[:] = b"".join(blocks)


def blank(data: bytearray, draw: random.Random) -> None:
    """Put zeros in the place of a part, as a disk does that lost it."""
    start = draw.randrange(len(data))
    length = min(draw.choice([1, 4, 64, 4096]), len(data) - start)
    data[start : start + length] = bytes(length)


def swap_lines(data: bytearray, draw: random.Random) -> None:
    """Exchange two lines."""
    lines = data.split(b"\n")
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    data[:] = b"\n".join(lines)


def double_line(data: bytearray, draw: random.Random) -> None:
    """Write a line several times; it may be the first."""
    lines = data.split(b"\n")
    place = draw.choice([0, draw.randrange(len(lines))])
    copies = lines[place : place + 1] * draw.choice([1, 3, 100])
    data[:] = b"\n".join([*lines[: place + 1], *copies, *lines[place + 1 :]])


def exchange(data: bytearray, draw: random.Random) -> None:
    """Put another piece in the place of a mark, once or everywhere."""
    data[:] = bytes(data).replace(draw.choice(MARKS[:8]), draw.choice(PIECES), draw.choice([1, 5, -1]))


def rename_column(data: bytearray, draw: random.Random) -> None:
    """Give a column of the first line another name."""
    head, _, rest = bytes(data).partition(b"\n")
    separator = max((b",", b";", b"\t"), key=head.count)
    names = head.split(separator)
    names[draw.randrange(len(names))] = draw.choice([names[0], b"", b" ", b"id", b"price", b"\x00", b"x" * 5000])
    data[:] = separator.join(names) + b"\n" + rest


def change_cells(data: bytearray, draw: random.Random) -> None:
    """Put other texts and numbers into whole cells, which leaves the table's form sound."""
    rows = [row.split(b",") for row in bytes(data).split(b"\n")]
    for _ in range(draw.choice([1, 5, 60])):
        row = draw.choice(rows)
        row[draw.randrange(len(row))] = draw.choice([*NUMBERS, *TEXTS])
    data[:] = b"\n".join(b",".join(row) for row in rows)


def encode(data: bytearray, draw: random.Random) -> None:
    """Write a text in another encoding."""
    text = bytes(data).decode(errors="replace")
    data[:] = text.encode(draw.choice(["utf-16", "utf-16-le", "utf-8-sig", "cp1252", "utf-32", "shift_jis"]), "replace")


OF_BYTES: Sequence[Mutation] = (flip, flip_bit, delete, truncate, double, swap, blank)
OF_TEXT: Sequence[Mutation] = (
    flip,
    insert,
    insert,
    delete,
    truncate,
    double,
    swap_lines,
    double_line,
    exchange,
    encode,
)
OF_TABLES: Sequence[Mutation] = (*OF_TEXT, rename_column, *[change_cells] * 6)


def mutated(content: bytes, draw: random.Random, mutations: Sequence[Mutation] = OF_BYTES) -> bytes:
    """Return a content with one to three mutations."""
    data = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        if data:
            draw.choice(mutations)(data, draw)
    return bytes(data[:LARGEST])


def mutated_values(plain: Any, draw: random.Random, values: Sequence[Any] = VALUES) -> Any:
    """Return plain values, as of JSON, with one to three of them changed."""
    changed = copy.deepcopy(plain)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        place = _draw_place(changed, draw)
        if place is not None:
            _change(*place, draw, values)
    return changed


def _draw_place(plain: Any, draw: random.Random) -> tuple[Any, Any] | None:
    """Return a table or list anywhere in plain values and one of its keys, None where there is none; all depths are as likely."""
    found = None
    here = plain
    while isinstance(here, dict | list) and here:
        key = draw.choice(list(here) if isinstance(here, dict) else range(len(here)))
        if found is None or draw.random() < 0.7:
            found = here, key
        here = here[key]
    return found


def _change(table: Any, key: Any, draw: random.Random, values: Sequence[Any]) -> None:
    """Change what a table or list has under a key."""
    value = table[key]
    kinds: list[Callable[[], Any]] = [
        lambda: copy.deepcopy(draw.choice(values)),
        lambda: _near(value, draw),
        lambda: [value],
        lambda: {"x": value},
        lambda: str(value),
    ]
    how = draw.choice(["value", "value", "value", "value", "remove", "rename", "double"])
    if how == "value":
        table[key] = draw.choice([*kinds[:2], *kinds])()
    elif how == "remove":
        del table[key]
    elif isinstance(table, list):
        table.insert(key, copy.deepcopy(value))
    elif how == "rename":
        table[draw.choice([f"{key}x", str(key)[:-1], str(key).upper(), "", *map(str, table)])] = table.pop(key)
    else:
        table[draw.choice(["x", *map(str, table)])] = copy.deepcopy(value)


def _near(value: Any, draw: random.Random) -> Any:
    """Return a value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return draw.choice([-value, value + 1, value * 2, value / 2, value * 1e30, 0])
    if isinstance(value, str):
        data = bytearray(value.encode() or b"x")
        draw.choice([flip_bit, double, truncate])(data, draw)
        return data.decode(errors="replace")
    if isinstance(value, list):
        return draw.choice([value[:-1], value + value, value[::-1]])
    return value
