"""From a text file to a `Table`: its bytes, encoding, separator, layout, names and numbers, each given, or found and said.

Arrow's reader reads text as text (17 times as fast as pandas', measured), after `csv_bytes` has checked every row. A file of new rows is
read as the file that the network was trained on, where it leaves anything open.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from hpsearch.data.assumptions import Assumption, option
from hpsearch.data.columns.table import Table, check_names
from hpsearch.data.columns.text_numbers import read_numbers
from hpsearch.data.columns.trained_table import TrainedTable
from hpsearch.data.loaders.csv_bytes import read_bytes
from hpsearch.data.loaders.csv_dialect import NAMES, column_numbers, find_header, find_separator, may_be_names
from hpsearch.data.loaders.csv_encoding import Decoded, decode
from hpsearch.data.loaders.csv_layout import Layout, find_layout, take_directive
from hpsearch.data.loaders.trained_file import names_of, separator_of
from hpsearch.data.options import ReadOptions
from hpsearch.errors import UserError, counted, rows_text, shown

MOST_COLUMNS = 50_000
LONGEST_ROW = 2**30  # bytes; Arrow reads blocks of less than 2 GiB


def read_text(file: Path, options: ReadOptions, expected: Sequence[str], trained: TrainedTable | None = None) -> Table:
    """Return a text file as a table; new rows like the file that a network was `trained` on.

    Raises:
        UserError: it cannot be read as a table, or in two ways.
    """
    decoded = decode(read_bytes(file), options.encoding, trained.encoding if trained else None)
    content, directive = take_directive(decoded.content)
    separator, why_separator = _separator(content, options, directive, trained)
    layout = find_layout(content, separator, expected, may_be_names)
    columns = [pc.utf8_trim_whitespace(cells) for cells in _columns(layout)]
    first = [cells[0].as_py() for cells in columns]
    header, why_header = find_header(first, options.header, expected)
    columns = [cells.slice(int(header)) for cells in columns]
    if not len(columns[0]):
        raise UserError("only a line of names, no rows. Give a table with rows.")
    names, columns, notes = _named(first if header else (), columns)
    if trained is not None:
        names = names_of(trained, names, header=header)
    lines = layout.rows.lines[int(header) :]
    if trained is None:
        columns, lines, more = _without_empty_rows(columns, lines)
        notes += more
    numbers = read_numbers(dict(zip(names, columns, strict=True)), options, separator, trained)
    return Table(
        names,
        numbers.columns,
        file.name,
        row_numbers=lines,
        row_name="line",
        reading={
            "separator": separator,
            "header": header,
            "encoding": decoded.encoding,
            "decimal": numbers.decision.decimal,
            **({"names": list(names)} if header else {}),
            **numbers.reading(options.thousands),
        },
        assumptions=(
            _separator_assumption(separator, why_separator),
            *(Assumption("layout", note) for note in (*layout.notes, *notes)),
            _header_assumption(header, why_header),
            _encoding_assumption(decoded),
            *numbers.assumptions(),
        ),
        notices=(*_encoding_notices(decoded), *numbers.notices(), *numbers.differences(trained)),
        origin="file",
    )


def _separator(
    content: bytes, options: ReadOptions, directive: str | None, trained: TrainedTable | None
) -> tuple[str, str]:
    given = options.separator
    if given is None and directive is not None:
        separator, _ = find_separator(content, directive)
        return separator, f"the first line says so (sep={directive})"
    if given is None and trained is not None:
        found = separator_of(trained, content, header=options.header)
        if found is not None:
            return found, "with it the first line has the columns' names"
    return find_separator(content, given)


def _columns(layout: Layout) -> list[Any]:
    """Return the cells of each column as text, the first line with them."""
    rows = layout.rows
    count = int(rows.cells[0])
    if count > MOST_COLUMNS or rows.longest > LONGEST_ROW:
        raise UserError(
            f"rows of {count:,} cells and up to {rows.longest:,} bytes; at most {MOST_COLUMNS:,} cells expected. "
            "Is this the right separator? Give another (--separator)."
        )
    names = column_numbers(count)
    block = min(max(2**24, 2 * rows.longest), 2**31 - 1)
    try:
        read = pyarrow.csv.read_csv(
            pa.BufferReader(memoryview(layout.content)[int(rows.starts[0]) :]),
            pyarrow.csv.ReadOptions(column_names=names, block_size=block, use_threads=False),
            pyarrow.csv.ParseOptions(delimiter=layout.separator, newlines_in_values=True),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowException as error:
        raise UserError(f"not readable as a table ({shown(str(error), 120)}). Mend the file.") from None
    if read.num_rows != len(rows):
        raise UserError(f"{read.num_rows:,} rows read, {len(rows):,} expected. Check the quotes of the file.")
    return [column.combine_chunks() for column in read.columns]


def _named(first: Sequence[str], columns: Sequence[Any]) -> tuple[tuple[str, ...], list[Any], list[str]]:
    """Return the columns' names, the columns, and what was left out: columns without a name and without a cell."""
    if not first:
        return tuple(column_numbers(len(columns))), list(columns), []
    kept = [place for place, name in enumerate(first) if name or pc.any(pc.not_equal(columns[place], "")).as_py()]
    names = [first[place] for place in kept]
    left_out = len(first) - len(kept)
    if names and not names[0] and all(names[1:]):
        names[0] = "unnamed"  # pandas writes a frame's index so
    check_names(names)
    notes = [f"{counted(left_out, 'column')} without name and cells: left out"] * bool(left_out)
    return tuple(names), [columns[place] for place in kept], notes


def _without_empty_rows(columns: Sequence[Any], lines: Sequence[int]) -> tuple[list[Any], Sequence[int], list[str]]:
    """Return the columns and lines without the rows in which no cell is filled, which separators alone make."""
    empty = np.ones(len(lines), dtype=bool)
    for cells in columns:
        empty &= pc.equal(cells, "").to_numpy(zero_copy_only=False)
        if not empty.any():
            return list(columns), lines, []
    if empty.all():
        return list(columns), lines, []
    kept = pa.array(~empty)
    numbers = np.asarray(lines)
    count = int(empty.sum())
    note = f"{rows_text(count)} without a cell: left out, the first in line {int(numbers[empty][0]):,}"
    return [cells.filter(kept) for cells in columns], numbers[~empty].tolist(), [note]


def _separator_assumption(separator: str, why: str) -> Assumption:
    return Assumption("separator", NAMES.get(separator, separator), why, option("separator", _other(separator, ",;")))


def _encoding_assumption(decoded: Decoded) -> Assumption:
    otherwise = option("encoding", _other(decoded.encoding, ("utf-8", "cp1252")))
    return Assumption("encoding", decoded.encoding, decoded.why, otherwise)


def _header_assumption(header: bool, why: str) -> Assumption:
    what = "names" if header else "values"
    return Assumption("the first line holds", what, why, option("header", "no" if header else "yes"))


def _encoding_notices(decoded: Decoded) -> tuple[str, ...]:
    return (decoded.notice,) if decoded.notice else ()


def _other(found: str, known: Sequence[str]) -> str:
    """Return what else may be meant: the first that is known and was not found."""
    return next(value for value in known if value != found)
