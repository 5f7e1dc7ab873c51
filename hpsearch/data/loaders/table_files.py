"""From a file to a `Table`: CSV, TSV and Parquet, for training and for new rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from hpsearch.data.assumptions import Assumption
from hpsearch.data.columns.table import Table, check_names, table_of_arrow
from hpsearch.data.columns.text_numbers import with_plain_numbers
from hpsearch.data.columns.trained_table import TrainedTable
from hpsearch.data.loaders.csv_bytes import find_file
from hpsearch.data.loaders.text_tables import read_text
from hpsearch.data.memory import check_memory
from hpsearch.data.options import ReadOptions
from hpsearch.errors import UserError, shown

MEMORY_A_BYTE = 6  # bytes of memory that a byte of a Parquet file's columns takes until it is an input


def read_table(path: str | Path, options: ReadOptions = ReadOptions(), expected: Sequence[str] = ()) -> Table:
    """Return a CSV, TSV (gzipped or not) or Parquet file as a table.

    Args:
        path: a local file; Parquet is recognised by its first bytes.
        options: `separator`, `header`, `encoding`, `decimal` and `thousands`; what is left out is found in the file.
        expected: names of columns that the caller will ask for; a first line with one of them is a header.

    Raises:
        UserError: the file cannot be read as a table; one line says where and why.
    """
    file = find_file(path)
    if _is_parquet(file):
        return with_plain_numbers(_read_parquet(file), options)
    return read_text(file, options, expected)


def read_like(path: str | Path, preprocessing: Mapping[str, Any], options: ReadOptions = ReadOptions()) -> Table:
    """Return a file of new rows for a network, read as the file of its study was where neither `options` nor the rows say otherwise.

    Raises:
        UserError: see `read_table`; or the rows have other columns than the study's file.
    """
    trained = TrainedTable.of(preprocessing)
    file = find_file(path)
    if _is_parquet(file):
        return replace(with_plain_numbers(_read_parquet(file), options, trained), origin="new")
    header = options.header
    if header is None:
        header = trained.reading.get("header")
    asked = replace(options, header=header, missing_values=trained.reading.get("missing_values", ()))
    return replace(read_text(file, asked, trained.columns, trained), origin="new")


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
    return replace(read, assumptions=(Assumption("Parquet"),), origin="file")


def _check_size(metadata: Any) -> None:
    stored = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    size = max(stored, metadata.num_rows * metadata.num_columns)  # a value that repeats takes no byte in the file
    check_memory(MEMORY_A_BYTE * size, "the table", "Take a sample of its rows.")
