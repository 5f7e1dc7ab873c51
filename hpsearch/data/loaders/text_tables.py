"""From a text file to a `Table`: its bytes, encoding, separator, layout, names and numbers, each given, or found and said.

Arrow's reader reads text as text (17 times as fast as pandas', measured), after `csv_bytes` has checked every row. A file of new rows is
read as the file that the network was trained on, where it leaves anything open.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from hpsearch.data.assumptions import Assumption, kind_option, listed_names, option
from hpsearch.data.columns import parsing
from hpsearch.data.columns.table import Table, check_names
from hpsearch.data.loaders.csv_bytes import read_bytes
from hpsearch.data.loaders.csv_dialect import NAMES, column_numbers, find_header, find_separator, may_be_names
from hpsearch.data.loaders.csv_encoding import Decoded, decode
from hpsearch.data.loaders.csv_layout import Layout, find_layout, take_directive
from hpsearch.data.loaders.number_marks import (
    MOSTLY,
    NO_THOUSANDS,
    VOTES,
    Decision,
    Evidence,
    Rewritten,
    allowed_marks,
    evidence_of,
    find_decimal,
    plain_number,
    rewritten,
)
from hpsearch.data.loaders.trained_file import TrainedFile
from hpsearch.data.options import ReadOptions
from hpsearch.errors import UserError, shown

MOST_COLUMNS = 50_000
LONGEST_ROW = 2**30  # bytes; Arrow reads blocks of less than 2 GiB
AS_TEXT = ("category", "boolean", "date", "drop")  # kinds by force whose cells stay as they are written


def read_text(file: Path, options: ReadOptions, expected: Sequence[str], trained: TrainedFile | None = None) -> Table:
    """Return a text file as a table; new rows like the file that a network was `trained` on.

    Raises:
        UserError: it cannot be read as a table, or in two ways.
    """
    decoded = decode(read_bytes(file), options.encoding, trained.encoding if trained else None)
    content, directive = take_directive(decoded.content)
    separator, why_separator = _separator(content, options.separator, directive, trained)
    layout = find_layout(content, separator, expected, may_be_names)
    columns = [pc.utf8_trim_whitespace(cells) for cells in _columns(layout)]
    first = [cells[0].as_py() for cells in columns]
    header, why_header = find_header(first, options.header, expected)
    columns = [cells.slice(int(header)) for cells in columns]
    if not len(columns[0]):
        raise UserError("only a line of names, no rows. Give a table with rows.")
    names, columns, notes = _named(first if header else (), columns)
    if trained is not None:
        names = trained.names_of(names, header=header)
    lines = layout.rows.lines[int(header) :]
    if trained is None:
        columns, lines, more = _without_empty_rows(columns, lines)
        notes += more
    numbers = _read_numbers(dict(zip(names, columns, strict=True)), options, separator, trained)
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


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A table's columns with plain numbers, by which decimal mark, and what each column said of it."""

    columns: tuple[Any, ...]
    decision: Decision
    evidence: Mapping[str, Evidence]
    changed: Mapping[str, Rewritten]

    def reading(self, thousands: str | None) -> dict[str, Any]:
        """Return what new rows need to be read alike: how the columns were written whose numbers were changed."""
        reading: dict[str, Any] = {}
        if thousands is not None:
            reading["thousands"] = thousands
        if self.changed:
            reading["numbers"] = {
                name: {"decimal": column.decimal, "thousands": column.thousands}
                for name, column in self.changed.items()
            }
        return reading

    def assumptions(self) -> Iterator[Assumption]:
        """Yield what was assumed of the numbers' marks."""
        decimal = self.decision.decimal
        yield Assumption("decimal mark", f"'{decimal}'", self.decision.why, option("decimal", _other(decimal, ".,")))
        grouped = [name for name, column in self.changed.items() if column.thousands]
        if grouped:
            marks = dict.fromkeys(self.changed[name].thousands for name in grouped)
            found = ", ".join(map(shown, marks))
            yield Assumption("thousands", found, f"in {self._shown(grouped)}", option("thousands", NO_THOUSANDS))
        else:
            yield Assumption(
                "thousands", NO_THOUSANDS, "no number has a separator", option("thousands", _other(decimal, ",."))
            )
        others = [name for name in self.changed if name not in grouped]
        if others:
            yield Assumption("numbers", "in another form", self._shown(others), kind_option(others[0], "category"))

    def notices(self) -> Iterator[str]:
        """Yield which columns of numbers stay text, since they have another decimal mark than the one that was given."""
        decimal = self.decision.decimal
        for name, column in self.evidence.items():
            other = column.decimal not in (None, decimal) and name not in self.changed
            if other and column.share >= MOSTLY and not self.decision.by_column:
                yield (
                    f"Column {shown(name)}: its cells are numbers with the decimal mark '{column.decimal}', the file's is '{decimal}' "
                    f"({self.decision.why}): they stay text. {kind_option(name, 'number')} reads them."
                )

    def differences(self, trained: TrainedFile | None) -> Iterator[str]:
        """Yield how the numbers of new rows are written otherwise than those of the study's file."""
        if trained is None:
            return
        decimal = self.decision.decimal
        if trained.decimal != decimal:
            why = f"{self.decision.why}; the study's file had '{trained.decimal}'"
            yield f"{Assumption('decimal mark', shown(decimal), why, option('decimal', trained.decimal)).sentence}."
        others = [name for name in self.changed if trained.decimal_of(name) is None]
        if others:
            yield f"Numbers that are written otherwise than in the study's file: {self._shown(others)}."

    def _shown(self, names: Sequence[str]) -> str:
        told = []
        for name in names:
            column = self.changed[name]
            told.append(f"'{name}' ('{column.example}' is {plain_number(column.example, column.decimal)})")
        return listed_names(told)


def _read_numbers(
    columns: Mapping[str, Any], options: ReadOptions, separator: str, trained: TrainedFile | None
) -> _Numbers:
    """Return the columns with plain numbers."""
    marks = allowed_marks(options.thousands or (trained.thousands if trained else None))
    as_text = {name for name, kind in options.columns.items() if kind in AS_TEXT} | {options.group}
    looked_at = [
        name
        for name in columns
        if name not in as_text and (trained is None or trained.is_number(name) or name in trained.targets)
    ]
    cells = {name: parsing.with_nulls(columns[name], options.missing_values) for name in looked_at}
    evidence = {name: evidence_of(cells[name], marks) for name in looked_at}
    usual = trained.decimal if trained else None
    decision = find_decimal(evidence, options.decimal, options.thousands, separator, usual)
    found = dict(columns)
    changed = {}
    for name in looked_at:
        own = evidence[name].decimal if decision.by_column or options.columns.get(name) == "number" else None
        if own is None and trained is not None and options.decimal is None and usual == decision.decimal:
            own = trained.decimal_of(name)
        known = trained is not None and trained.is_number(name)
        if not known and evidence[name].share < VOTES:
            continue
        column = rewritten(
            columns[name],
            marks[own or decision.decimal],
            decision.decimal,
            missing_values=options.missing_values,
            new=known,
        )
        if column.example:
            found[name] = column.cells
            changed[name] = column
    return _Numbers(tuple(found.values()), decision, evidence, changed)


def _separator(
    content: bytes, given: str | None, directive: str | None, trained: TrainedFile | None
) -> tuple[str, str]:
    if given is None and directive is not None:
        separator, _ = find_separator(content, directive)
        return separator, f"the first line says so (sep={directive})"
    if given is None and trained is not None:
        found = trained.separator_of(content)
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
    notes = [f"{left_out} column{'s' * (left_out != 1)} without name and cells: left out"] * bool(left_out)
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
    note = f"{count:,} row{'s' * (count != 1)} without a cell: left out, the first in line {int(numbers[empty][0]):,}"
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
