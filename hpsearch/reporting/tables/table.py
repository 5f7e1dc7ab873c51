"""`Table`: a study's numbers as a pandas frame with declared columns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hpsearch.storage import StudyRecord, TrialRecord

Frames = Mapping[str, pd.DataFrame]
Row = Mapping[str, Any]
LARGEST = 2**62  # integers beyond do not fit into an Int64 column


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, its unit ("" for none) and what it says."""

    name: str
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `build` makes it from the record and the tables listed before it.

    An `optional` one is of some kinds of study only: without rows it has no file.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    build: Callable[[StudyRecord, Frames], pd.DataFrame]
    optional: bool = False

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or len({column.name for column in self.columns}) != len(self.columns):
            raise ValueError(f"table '{self.name}': its name and its columns' names must be plain and distinct")


def frame(columns: Sequence[Column], rows: Iterable[Row], extra: Iterable[str] = ()) -> pd.DataFrame:
    """Return rows as a frame with the declared columns, also where there is no row.

    `extra` are the columns that stand for the one in angle brackets.
    """
    names: list[str] = []
    for column in columns:
        names += extra if column.name.startswith("<") else [column.name]
    rows = list(rows)
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=_dtype(rows, name)) for name in names})


def _dtype(rows: Sequence[Row], column: str) -> str:
    """Return the type that keeps numbers as numbers, integers as integers with their gaps; a column with any text is kept as it is."""
    kinds = {type(row.get(column)) for row in rows} - {type(None)}
    if kinds == {int} and all(abs(row.get(column) or 0) < LARGEST for row in rows):
        return "Int64"
    return "float64" if kinds and kinds <= {int, float} else "object"


def plain(value: Any) -> Any:
    """Return numbers and text as they are, anything else as text."""
    if value is None or type(value) in (int, float, str):
        return value
    return str(value)


def end_of(trial: TrialRecord) -> float:
    """Return when a trial ended, in seconds since the study's first one began."""
    return (trial.started or 0.0) + (trial.seconds or 0.0)


TRIAL = Column("trial", "", "the trial's number, from 0, in the order in which they were proposed")
OUTCOME = Column("outcome", "", "how the trial ended, or its state while it has not")
VALUE = Column("value", "metric", "the study's metric on the validation rows, at the trial's best evaluation")
