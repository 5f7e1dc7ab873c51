"""From a file to a `Table`: CSV, TSV and Parquet.

Arrow's reader reads text as text (17 times as fast as pandas', measured), after `csv_bytes` has checked every row. What the file leaves
open (separator, header, encoding, decimal mark) is inferred, and stated with its reason.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from hpsearch.data.columns import parsing
from hpsearch.data.columns.table import Table, check_names, table_of_arrow
from hpsearch.data.loaders.csv_bytes import (
    MEMORY_A_BYTE,
    RowBounds,
    decode,
    find_file,
    find_rows,
    memory,
    read_bytes,
)
from hpsearch.data.loaders.csv_dialect import SEPARATORS, column_numbers, find_decimal, find_header, find_separator
from hpsearch.data.options import ReadOptions
from hpsearch.errors import UserError, shown

MOST_COLUMNS = 50_000
LONGEST_ROW = 2**30  # bytes; Arrow reads blocks of less than 2 GiB


def read_table(path: str | Path, options: ReadOptions = ReadOptions(), expected: Sequence[str] = ()) -> Table:
    """Return a CSV, TSV (gzipped or not) or Parquet file as a table.

    Args:
        path: a local file; Parquet is recognised by its first bytes.
        options: `separator`, `header`, `encoding` and `decimal`; what is left out is found in the file.
        expected: names of columns that the caller will ask for; a first line with one of them is a header.

    Raises:
        UserError: the file cannot be read as a table; one line says where and why.
    """
    file = find_file(path)
    if _is_parquet(file):
        return _read_parquet(file)
    return _read_text(file, options, expected)


def read_like(path: str | Path, preprocessing: dict[str, Any]) -> Table:
    """Return a file of new rows for a network whose table was read before: with or without header as that one, the rest found afresh."""
    header = preprocessing.get("reading", {}).get("header")
    expected = [column["name"] for column in preprocessing["columns"]]
    table = replace(read_table(path, ReadOptions(header=header), expected), origin="new")
    other = "," if table.decimal == "." else "."
    unread = _unread(table, preprocessing["columns"], table.decimal)
    if not unread or _unread(table, preprocessing["columns"], other) >= unread:
        return table
    return replace(table, reading={**table.reading, "decimal": other})


def _unread(table: Table, entries: Sequence[dict[str, Any]], decimal: str) -> int:
    """Return how many cells of a network's numbers are none with this decimal mark: a single mistake must not decide which it is."""
    unread = 0
    for entry in entries:
        if entry["kind"] == "number" and entry["name"] in table.names:
            cells = table.column(entry["name"])
            if isinstance(cells, pa.Array):
                unread += int(parsing.numbers(parsing.with_nulls(cells), decimal)[1].sum())
    return unread


def _is_parquet(file: Path) -> bool:
    """Whether a file is Parquet, by its first bytes or by its name."""
    try:
        with file.open("rb") as opened:
            start = opened.read(4)
    except OSError as error:
        raise UserError(f"{error.strerror}. Give a file that can be read.") from None
    return start == b"PAR1" or file.suffix.lower() in (".parquet", ".pq")


def _read_parquet(file: Path) -> Table:
    """Return a Parquet file as a table; rows count from 1."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as opened:
            _check_size(opened.metadata)
            table = opened.read()
        table.validate(full=True)  # texts may be no UTF-8, offsets may lead nowhere
    except UserError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise UserError(f"no readable Parquet file ({shown(str(error), 120)}). Fetch or write it again.") from None
    table = table.select([name for name in table.column_names if not name.startswith("__index_level_")])
    check_names(table.column_names)
    read = table_of_arrow(table.column_names, table.columns, file.name, range(1, table.num_rows + 1))
    return replace(read, sentences=("Parquet",), origin="file")


def _check_size(metadata: Any) -> None:
    stored = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    size = max(stored, metadata.num_rows * metadata.num_columns)  # a value that repeats takes no byte in the file
    if size * MEMORY_A_BYTE > memory() * 2:
        raise UserError(f"{size / 1e9:,.1f} GB are more than fits in this machine's memory. Take a sample of its rows.")


def _read_text(file: Path, options: ReadOptions, expected: Sequence[str]) -> Table:
    content, encoding, why_encoding = decode(read_bytes(file), options.encoding)
    separator, why_separator = find_separator(content, options.separator)
    rows = find_rows(content, separator)
    columns = _columns(content, separator, rows)
    first = [cells[0].as_py() for cells in columns]
    header, why_header = find_header(first, options.header, expected)
    names = _names(first, header)
    columns = [pc.utf8_trim_whitespace(cells.slice(1 if header else 0)) for cells in columns]
    if not len(columns[0]):
        raise UserError("only a line of names, no rows. Give a table with rows.")
    decimal, why_decimal = find_decimal(columns, names, options.decimal, separator)
    return Table(
        names,
        tuple(columns),
        file.name,
        row_numbers=rows.lines[1:] if header else rows.lines,
        row_name="line",
        reading={"separator": separator, "header": header, "encoding": encoding, "decimal": decimal},
        sentences=(
            f"separator {SEPARATORS.get(separator, separator)}: {why_separator}",
            f"the first line holds {'names' if header else 'values'}: {why_header}",
            f"encoding {encoding}: {why_encoding}",
            f"decimal mark '{decimal}': {why_decimal}",
        ),
        notices=_encoding_notice(encoding, why_encoding, asked=options.encoding is not None),
        origin="file",
    )


def _columns(content: bytes, separator: str, rows: RowBounds) -> list[Any]:
    """Return the cells of each column as text, the first line with them."""
    if rows.cells > MOST_COLUMNS or rows.longest > LONGEST_ROW:
        raise UserError(
            f"rows of {rows.cells:,} cells and up to {rows.longest:,} bytes; at most {MOST_COLUMNS:,} cells expected. "
            "Is this the right separator? Give another."
        )
    names = column_numbers(rows.cells)
    block = min(max(2**24, 2 * rows.longest), 2**31 - 1)
    try:
        read = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            pyarrow.csv.ReadOptions(column_names=names, block_size=block, use_threads=False),
            pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowException as error:
        raise UserError(f"not readable as a table ({shown(str(error), 120)}). Mend the file.") from None
    if read.num_rows != len(rows.lines):
        raise UserError(f"{read.num_rows:,} rows read, {len(rows.lines):,} expected. Check the quotes of the file.")
    return [column.combine_chunks() for column in read.columns]


def _names(first: Sequence[str], header: bool) -> tuple[str, ...]:
    if not header:
        return tuple(column_numbers(len(first)))
    names = [name.strip() for name in first]
    if not names[0] and all(names[1:]):
        names[0] = "unnamed"  # pandas writes a frame's index so
    check_names(names)
    return tuple(names)


def _encoding_notice(encoding: str, reason: str, *, asked: bool) -> tuple[str, ...]:
    """Return the notice of an encoding that may not be the right one."""
    guessed = encoding in ("cp1252", "latin-1") and not asked
    return (f"Read as {encoding}, since {reason}.",) if guessed else ()
