"""The table that a network was trained on, as far as new rows are read alike: how it was read, its columns, and which are numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch.data.columns.table import target_names


@dataclass(frozen=True, slots=True)
class TrainedTable:
    """How the table was read (`reading`), its columns but the target, those that are numbers, and the target.

    With `has_dropped` some columns are no inputs; they stand behind the others in `columns`, wherever they were in the table.
    """

    reading: Mapping[str, Any]
    columns: tuple[str, ...]
    numbers: frozenset[str]
    targets: tuple[str, ...]
    has_dropped: bool

    @classmethod
    def of(cls, preprocessing: Mapping[str, Any]) -> "TrainedTable":
        """Return the table of a preprocessing."""
        entries = preprocessing["columns"]
        columns = (*entries, *preprocessing.get("dropped", ()))
        numbers = frozenset(entry["name"] for entry in entries if entry["kind"] == "number")
        names = tuple(entry["name"] for entry in columns)
        reading = preprocessing.get("reading") or {}
        targets = target_names(preprocessing.get("target"))
        return cls(reading, names, numbers, targets, len(columns) > len(entries))

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
