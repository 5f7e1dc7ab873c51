"""The numbers in a table's text cells: read by the marks that each column needs, and said, for files and frames alike.

A number may be text in a file, where all is text, and in a frame or Parquet file that was read from one. It is written anew, with the
table's decimal mark and nothing else, so that all that follows reads it as a number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from hpsearch.data.assumptions import Assumption, kind_option, listed_names, option
from hpsearch.data.columns import parsing
from hpsearch.data.columns.number_marks import (
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
    trained_rows,
)
from hpsearch.data.columns.table import Table
from hpsearch.data.columns.trained_table import TrainedTable
from hpsearch.data.options import ReadOptions
from hpsearch.errors import shown

OTHER = {".": ",", ",": "."}  # decimal marks
AS_TEXT = ("category", "boolean", "date", "drop")  # kinds by force whose cells stay as they are written


@dataclass(frozen=True, slots=True)
class TextNumbers:
    """A table's columns with plain numbers, by which decimal mark, and what each column said of it."""

    columns: tuple[Any, ...]
    decision: Decision
    evidence: Mapping[str, Evidence]
    changed: Mapping[str, Rewritten]
    of_file: bool

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
        yield Assumption("decimal mark", f"'{decimal}'", self.decision.why, self._option("decimal", OTHER[decimal]))
        grouped = [name for name, column in self.changed.items() if column.thousands]
        if grouped:
            marks = dict.fromkeys(self.changed[name].thousands for name in grouped)
            found = ", ".join(map(shown, marks))
            yield Assumption("thousands", found, f"in {self._shown(grouped)}", self._option("thousands", NO_THOUSANDS))
        else:
            otherwise = self._option("thousands", OTHER[decimal])
            yield Assumption("thousands", NO_THOUSANDS, "no number has a separator", otherwise)
        others = [name for name in self.changed if name not in grouped]
        if others:
            otherwise = kind_option(others[0], "category", of_file=self.of_file)
            yield Assumption("numbers", "in another form", self._shown(others), otherwise)

    def notices(self) -> Iterator[str]:
        """Yield which columns of numbers stay text, since they have another decimal mark than the one that was given."""
        decimal = self.decision.decimal
        for name, column in self.evidence.items():
            other = column.decimal not in (None, decimal) and name not in self.changed
            if other and column.share >= MOSTLY and not self.decision.by_column:
                what = "file" if self.of_file else "frame"
                as_numbers = kind_option(name, "number", of_file=self.of_file)
                advice = f" {as_numbers} reads them." if as_numbers else ""
                yield (
                    f"Column {shown(name)}: its cells are numbers with the decimal mark '{column.decimal}', the {what}'s is '{decimal}' "
                    f"({self.decision.why}): they stay text.{advice}"
                )

    def differences(self, trained: TrainedTable | None) -> Iterator[str]:
        """Yield how the numbers of new rows are written otherwise than those of the study's file."""
        if trained is None:
            return
        decimal = self.decision.decimal
        known = trained_rows(of_file=self.of_file)
        if trained.decimal != decimal:
            why = f"{self.decision.why}; {known} had '{trained.decimal}'"
            otherwise = option("decimal", trained.decimal) * self.of_file
            yield f"{Assumption('decimal mark', shown(decimal), why, otherwise).sentence}."
        others = [name for name in self.changed if trained.decimal_of(name) is None]
        if others:
            yield f"Numbers that are written otherwise than in {known}: {self._shown(others)}."

    def _option(self, name: str, value: str) -> str:
        return option(name, value, of_file=self.of_file)

    def _shown(self, names: Sequence[str]) -> str:
        told = []
        for name in names:
            column = self.changed[name]
            told.append(f"'{name}' ('{column.example}' is {plain_number(column.example, column.decimal)})")
        return listed_names(told)


def with_plain_numbers(table: Table, options: ReadOptions, trained: TrainedTable | None = None) -> Table:
    """Return a frame's or a Parquet file's table whose text numbers are plain, with what was assumed of them.

    A table without text numbers is returned as it is.

    Raises:
        UserError: numbers that may be read in two ways.
    """
    text = {name: cells for name, cells in zip(table.names, table.columns, strict=True) if isinstance(cells, pa.Array)}
    if trained is None:  # what the frame itself calls a category stays one
        stated = {name for name, kind in table.kinds.items() if kind in AS_TEXT and name not in options.columns}
        text = {name: cells for name, cells in text.items() if name not in stated}
    if not text:
        return table
    of_file = table.origin == "file"
    numbers = read_numbers(text, options, separator="", trained=trained, of_file=of_file)
    if not any(column.numbers for column in numbers.evidence.values()):
        return table
    found = dict(zip(text, numbers.columns, strict=True))
    columns = [found.get(name, cells) for name, cells in zip(table.names, table.columns, strict=True)]
    return replace(
        table,
        columns=tuple(columns),
        reading={**table.reading, "decimal": numbers.decision.decimal, **numbers.reading(options.thousands)},
        assumptions=(*table.assumptions, *numbers.assumptions()),
        notices=(*table.notices, *numbers.notices(), *numbers.differences(trained)),
    )


def read_numbers(
    columns: Mapping[str, Any],
    options: ReadOptions,
    separator: str,
    trained: TrainedTable | None,
    *,
    of_file: bool = True,
) -> TextNumbers:
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
    decision = find_decimal(evidence, options.decimal, options.thousands, separator, usual, of_file=of_file)
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
    return TextNumbers(tuple(found.values()), decision, evidence, changed, of_file)
