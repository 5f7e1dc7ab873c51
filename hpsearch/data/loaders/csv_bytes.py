"""The bytes of a text table: rows whose quotes are sound and whose lengths are equal, before any of it is taken for data.

What is no table is told as that. A lenient reader (a short row filled up, a quote that swallows the rest of the file) gives wrong data in
silence. So the bytes are checked first: quotes open and close a full cell (RFC 4180; one inside is written twice), every row has as many
separators.
"""

import gzip
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

import numpy as np

from hpsearch.data.cells import Array
from hpsearch.data.memory import available, size_text
from hpsearch.errors import UserError, shown

# How files begin that are no text, and what to do with them.
SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook. Save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook. Save the sheet as CSV",
    b"\x89PNG": "a PNG image. Give a table, or a folder of images",
    b"\xff\xd8\xff": "a JPEG image. Give a table, or a folder of images",
    b"%PDF": "a PDF document. Save its table as CSV",
    b"\x93NUMPY": "a NumPy array. Name the file .npy",
    b"SQLite format 3": "an SQLite database. Export the table as CSV",
    b"\x89HDF": "an HDF5 file. Save the table as CSV or Parquet",
    b"BZh": "compressed by bzip2. Unpack it, or compress it by gzip",
    b"\xfd7zXZ": "compressed by xz. Unpack it, or compress it by gzip",
    b"\x28\xb5\x2f\xfd": "compressed by zstd. Unpack it, or compress it by gzip",
}
# Bytes of memory that a byte of a text file takes until it is an input, and those that a cell takes besides. Measured on 8 MB, libraries
# of some 40 MB with them: 39 bytes a byte where cells are single digits, 12 where they have 17.
MEMORY_A_BYTE = 5
MEMORY_A_CELL = 64
SAMPLE = 2**22  # bytes in which the cells of a file are counted
BLOCK = 2**24  # bytes that are read, or unpacked, before their number is looked at again
UNKNOWN = 2**34  # bytes of memory where the system does not say how many are free
SEPARATORS = b",;\t|"
NEWLINE = ord("\n")
QUOTE = ord('"')


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a text: how many `cells` each has, the line on which it begins (from 1), and its bytes from `starts` to `ends`."""

    cells: Array
    lines: Sequence[int]
    starts: Array
    ends: Array

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def longest(self) -> int:
        """The bytes of the longest row."""
        return int((self.ends - self.starts).max()) + 1


def find_file(path: str | Path) -> Path:
    """Return the path of a file; refuse a web address, a directory, no such file, or no file at all (a pipe, a device)."""
    given = os.fspath(path)
    name = shown(given, 200)
    if "://" in given[:20]:
        raise UserError(f"{shown(given)} is a web address, only local files are read. Download it first.")
    try:
        file = Path(given).expanduser()
        mode = file.stat().st_mode
    except FileNotFoundError:
        raise UserError(f"no file {name}. Check the path; it begins in {shown(str(Path.cwd()), 200)}.") from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{name}: {reason}. Check the path.") from None
    if file.is_dir():
        raise UserError(f"{name} is a directory, a file expected. Give the path of one table.")
    if not S_ISREG(mode):
        raise UserError(f"{name} is no ordinary file. Save the table in one.")
    return file


def read_bytes(file: Path) -> bytes:
    """Return a file's bytes, those within a gzip; refuse one that is empty, no text, damaged, or larger than the memory that is free."""
    try:
        with file.open("rb") as opened:
            is_packed = opened.read(2) == b"\x1f\x8b"
        if is_packed:
            content = _unpacked(file)
        else:
            content = _plain(file)
    except OSError as error:
        raise UserError(f"{error.strerror or error}. Give a file that can be read.") from None
    for start, what in SIGNATURES.items():
        if content.startswith(start):
            raise UserError(f"not a text table but {what}.")
    if not content.strip():
        raise UserError("the file is empty. Give one with a line of names and rows of cells.")
    return content


def find_rows(content: bytes, separator: str) -> Rows:
    r"""Return the rows of UTF-8 text that ends in \n; empty lines are none. Refuse wrong quotes."""
    letters = np.frombuffer(content, dtype=np.uint8)
    outside: Array | bool = True
    if b'"' in content:
        outside = ~_inside_quotes(content, ord(separator))
    newlines = letters == NEWLINE
    ends = np.flatnonzero(newlines & outside)  # [rows, empty lines with them]
    starts = np.concatenate(([0], ends[:-1] + 1))
    separators = np.flatnonzero((letters == ord(separator)) & outside)
    cells = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
    full = ends > starts
    lines: Sequence[int] = range(1, len(ends) + 1)
    if len(ends) < np.count_nonzero(newlines) or not full.all():
        lines = (np.searchsorted(np.flatnonzero(newlines), starts) + 1)[full].tolist()
    return Rows(cells[full], lines, starts[full], ends[full])


def check_lengths(rows: Rows, separator: str) -> None:
    """Refuse rows of different lengths."""
    wrong = np.flatnonzero(rows.cells != rows.cells[0])
    if not len(wrong):
        return
    row = int(wrong[0])
    others = len(wrong) - 1
    more = f" (and {others:,} more lines)" if others else ""
    hint = "Mend that line, or give another separator (--separator)."
    if (rows.cells[1:] == rows.cells[1]).all():
        hint = f"Complete line {rows.lines[0]:,}; if it stands above the table, remove it; or give another separator (--separator)."
    elif (rows.cells[row:] == 1).all():
        hint = "If it is a note below the table, remove it; else give another separator (--separator)."
    raise UserError(
        f"line {rows.lines[row]:,} has {rows.cells[row]:,} cell{'s' * int(rows.cells[row] != 1)}, "
        f"line {rows.lines[0]:,} has {rows.cells[0]:,}{more}; the separator is {shown(separator)}. {hint}"
    )


def free_memory() -> int:
    """Return the bytes of memory that are free for this process."""
    free = available()
    return UNKNOWN if free is None else free


def line_of(content: bytes, position: int) -> int:
    """Return the line of a byte, from 1."""
    return content.count(b"\n", 0, position) + 1


def _plain(file: Path) -> bytes:
    with file.open("rb") as opened:
        limit = _largest(opened.read(SAMPLE))
        if file.stat().st_size > limit:
            raise _too_large(f"it has {size_text(file.stat().st_size)}", limit)
        opened.seek(0)
        return opened.read()


def _unpacked(file: Path) -> bytes:
    """Return what a gzip holds, unpacked until it is known to be too much."""
    try:
        with gzip.open(file) as packed:
            blocks = [packed.read(SAMPLE)]
            limit = _largest(blocks[0])
            size = len(blocks[0])
            while size <= limit and (block := packed.read(min(BLOCK, limit + 1 - size))):
                blocks.append(block)
                size += len(block)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"the gzip is damaged ({shown(str(error))}). Fetch it again.") from None
    if size > limit:
        raise _too_large("unpacked it has more", limit)
    return b"".join(blocks)


def _largest(sample: bytes) -> int:
    """Return how many bytes a text file may have whose beginning this is: its cells take memory, the more the narrower they are."""
    cells = max(sample.count(separator) for separator in SEPARATORS) + sample.count(NEWLINE)
    a_byte = MEMORY_A_BYTE + MEMORY_A_CELL * cells / max(1, len(sample))
    return int(free_memory() / a_byte)


def _too_large(what: str, limit: int) -> UserError:
    return UserError(
        f"{what}, and a text file of at most {size_text(limit)} with such cells fits in the memory that is free. "
        "Take a sample of its rows."
    )


def _inside_quotes(content: bytes, separator: int) -> Array:
    """Return which bytes lie within quotes, the opening one with them; refuse quotes that stay open or stand inside a cell."""
    letters = np.frombuffer(content, dtype=np.uint8)
    quotes = letters == QUOTE
    inside = np.bitwise_xor.accumulate(quotes.view(np.uint8)).view(bool)
    positions = np.flatnonzero(quotes)
    opening = inside[positions]
    edges = np.array([separator, NEWLINE, QUOTE], dtype=np.uint8)
    before = np.isin(letters[positions - 1], edges) | (positions == 0)
    after = np.isin(letters[np.minimum(positions + 1, len(letters) - 1)], edges)
    wrong = positions[np.where(opening, ~before, ~after)]
    if len(wrong):
        line = line_of(content, int(wrong[0]))
        raise UserError(
            f'line {line:,} has a quote (") inside a cell. Put such a cell in quotes and write the one inside twice: "5"" pipe".'
        )
    if inside[-1]:
        line = line_of(content, int(positions[opening][-1]))
        raise UserError(f'the quote (") that opens in line {line:,} is never closed. Close or remove it.')
    return inside
