"""Options of a data set, as three frozen values: what is predicted, which rows go where, and how a source is read.

The keyword arguments of `hpsearch.search`, of the estimators and of a study's `[data]` become these values once; every loader takes them
as they are. Importing this module imports nothing heavy.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from hpsearch.data.splits import Split

COLUMN_SETTING = "data.columns."  # before a column's name, which may have dots itself

Size = float | int | None
Validation = float | int | str | None  # a text is "given", "last" or "last:N"
DROPS = ("missing-target", "rare-classes")  # rows that take no part where that is asked for
OF_IMAGES = ("size", "parts", "background")
OF_EVERY_SOURCE = (*OF_IMAGES, "drop_rows")  # options for reading that not only tables have
Folds = int | Literal["auto"] | None


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """What is predicted, and how it is judged.

    Attributes:
        task: a name of `TASKS`; inferred from the targets if left out, see `infer_task`.
        metric: a name of `METRICS` that fits the task; the task's first if left out.
        class_weights: "balanced" weighs each class by N / (C · its training rows).
        target_transform: of numbers, what networks learn in their place: see `hpsearch.data.target_form`.
        target_range: of numbers, the lowest and the highest that are possible; "none": no limit; found in the training rows if left out.
    """

    task: str | None = None
    metric: str | None = None
    class_weights: str = "none"
    target_transform: str | None = None
    target_range: Sequence[float] | Literal["none"] | None = None


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """Which rows train, validate and test.

    Attributes:
        seed: decides which rows go where.
        validation: a share of the rows that are not given test rows, or a number of rows; 0.15 if left out; "given": the source's own;
            "last": the last 0.15 of the rows in the source's order; "last:5000" or "last:0.1": so many.
        test: likewise; 0 for no test rows.
        rows: at most so many training rows, classes in equal shares.
        folds: divide all rows but the test rows in so many parts, each of which validates in turn; "auto": 5 for few rows.
        full: train on all rows but the test rows; the validation rows are the same.
        split: the rows of each part, in place of all other options.
        divisions: so many further divisions of the rows, each with validation and test rows of its own, beside the one that tunes;
            1: none further.
    """

    seed: int = 0
    validation: Validation = None
    test: Size = None
    rows: int | None = None
    folds: Folds = None
    full: bool = False
    split: Split | None = None
    divisions: int = 1


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How a source is read. All but those `OF_EVERY_SOURCE` concern the columns and cells of a table.

    Attributes:
        group: the column whose equal cells keep rows in one part; it is no input.
        time: the column by which the earliest rows train and the latest test.
        columns: a type of `COLUMN_TYPES` for columns by name, or "drop"; "date:%m/%d/%Y" is a date of this format.
        missing: what takes the place of a missing number: "median", "mean"; "refuse" refuses missing cells.
        missing_values: texts that mean a missing cell, besides the usual.
        separator: what separates the cells of a text file; found if left out, as are `header`, `encoding`, `decimal` and
            `thousands`.
        header: whether the first line of a text file holds the columns' names; without one they are called "0", "1", …
        encoding: of a text file, as Python calls it.
        decimal: the decimal mark of a text file, "." or ",".
        thousands: what separates thousands in a text file: ",", ".", " ", "'" or "_" (any form of a space or an apostrophe), or "none".
        size: the side in pixels that images of a folder, or of torchvision's, are resized to.
        parts: what sub-folders of a folder of images are, by name: "train", "validation", "test", "drop", or "class"; found if left out.
        background: what transparent images of a folder are laid over, "white" or "black"; left out, their colours are taken as they are.
        drop_rows: of `DROPS`: "missing-target" drops rows without a target, "rare-classes" those of classes with too few rows.
        weight: the column that says how much a row counts in loss and metrics; it is no input.
    """

    group: str | None = None
    time: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    missing: str | None = None
    missing_values: Sequence[str] = ()
    separator: str | None = None
    header: bool | None = None
    encoding: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    size: int | None = None
    parts: Mapping[str, str] | None = None
    background: str | None = None
    drop_rows: Sequence[str] = ()
    weight: str | None = None

    @property
    def of_table(self) -> list[str]:
        """Names of the options that are given and that only a table has."""
        given = [option.name for option in fields(self) if option.name not in OF_EVERY_SOURCE]
        return [name for name in given if getattr(self, name)]

    @property
    def of_images(self) -> list[str]:
        """Names of the options that are given and that only images have."""
        return [name for name in OF_IMAGES if getattr(self, name)]


def column_setting(name: str, kind: str) -> str:
    """Return the option of the command line that gives a column a kind, as it can be pasted into a shell."""
    return f"--set {shlex.quote(f'{COLUMN_SETTING}{name}={kind}')}"


def drop_hint(name: str) -> str:
    """Return how rows of a kind are dropped, in a study's file or Python, and on the command line."""
    return f'drop_rows = ["{name}"] (--drop-rows {name})'
