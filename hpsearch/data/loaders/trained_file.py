"""The file that a network was trained on, as far as a file of new rows is read alike: separator, encoding, marks, names and width."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.data.columns.table import target_names
from hpsearch.data.loaders.csv_dialect import SEPARATORS
from hpsearch.data.loaders.csv_layout import SPACES
from hpsearch.errors import UserError, listed

LOOKED_AT = 65_536  # bytes, for the line of names


@dataclass(frozen=True, slots=True)
class TrainedFile:
    """How the file was read (`reading`), its columns but the target, those that are numbers, and the target."""

    reading: Mapping[str, Any]
    columns: tuple[str, ...]
    numbers: frozenset[str]
    targets: tuple[str, ...]

    @classmethod
    def of(cls, preprocessing: Mapping[str, Any]) -> "TrainedFile":
        """Return the file of a table's preprocessing."""
        entries = preprocessing["columns"]
        columns = (*entries, *preprocessing.get("dropped", ()))
        numbers = frozenset(entry["name"] for entry in entries if entry["kind"] == "number")
        names = tuple(entry["name"] for entry in columns)
        return cls(preprocessing.get("reading") or {}, names, numbers, target_names(preprocessing.get("target")))

    @property
    def encoding(self) -> str | None:
        """The encoding, None of a source that has none."""
        return self.reading.get("encoding")

    @property
    def decimal(self) -> str:
        """The decimal mark."""
        return str(self.reading.get("decimal", "."))

    @property
    def thousands(self) -> str | None:
        """The thousands separator that the study was given."""
        return self.reading.get("thousands")

    def is_number(self, name: str) -> bool:
        """Whether a column is one of numbers, or one whose numbers were written anew."""
        return name in self.numbers or name in self.reading.get("numbers", {})

    def decimal_of(self, name: str) -> str | None:
        """Return the decimal mark of a column that had its own, else None."""
        own = self.reading.get("numbers", {}).get(name)
        return str(own["decimal"]) if own else None

    def separator_of(self, content: bytes) -> str | None:
        """Return the separator with which the first line has most of the columns' names, None where none has one.

        Of equals it is the study's. One column needs none: then it is one that does not occur. Without names the width decides.
        """
        first = next(filter(None, content[:LOOKED_AT].decode(errors="replace").split("\n")), "")
        marks = list(dict.fromkeys((self.reading.get("separator") or ",", *SEPARATORS, SPACES)))
        if self.reading.get("header") is False:
            widths = [len(names) for names in self._by_number()]
            return next((mark for mark in marks if len(_names(first, mark)) in widths), None)
        known = {*self.columns, *self.targets}
        found = {mark: len(known & set(_names(first, mark))) for mark in marks}
        best = max(marks, key=lambda mark: found[mark])
        if not found[best]:
            return None
        if len(_names(first, best)) > 1:
            return best
        return next((mark for mark in marks if mark.encode() not in content), best)

    def names_of(self, names: Sequence[str], *, header: bool) -> tuple[str, ...]:
        """Return the names of new rows' columns; those without a line of names are the study's, by their number.

        Raises:
            UserError: the study's file had names and these have none, or there are more or fewer columns than it had.
        """
        if not self.reading or (header and (self.reading.get("header") is not False or set(names) & set(self.columns))):
            return tuple(names)
        if self.reading.get("header") is not False:
            raise UserError(
                "no line of names, which the study's file had. Write the columns' names into the first line."
            )
        known, without = self._by_number()
        for expected in (known, without):
            if len(names) == len(expected):
                return tuple(expected)
        raise UserError(
            f"{len(names):,} columns without names; {len(known):,} expected, as in the study's file, or {len(without):,}: "
            f"all but the target {listed(self.targets)}. Give one of these."
        )

    def _by_number(self) -> tuple[list[str], list[str]]:
        """Return the names of columns that are called by their numbers: all, and all but the target."""
        known = sorted({*self.columns, *self.targets}, key=int)
        return known, [name for name in known if name not in self.targets]


def _names(line: str, separator: str) -> list[str]:
    parts = line.split(None if separator == SPACES else separator)
    return [part.strip().strip('"').strip() for part in parts]
