"""Targets that Python gives apart from the inputs, as texts: the numbers that they are, where no classes can be meant."""

from typing import Any

import numpy as np
import pyarrow as pa

from hpsearch.data.assumptions import Assumption
from hpsearch.data.cells import is_missing, to_array
from hpsearch.data.columns import parsing
from hpsearch.data.columns.table import Table
from hpsearch.data.columns.text_numbers import with_plain_numbers
from hpsearch.data.options import ReadOptions
from hpsearch.data.targets import facts_of

NAME = "target"


def number_targets(
    targets: Any, options: ReadOptions, task: str | None
) -> tuple[Any, tuple[Assumption, ...], tuple[str, ...]]:
    """Return targets [N] that are texts as the numbers [N] that they are, with what was assumed of them and notices; others as they are.

    Labels may be texts like "1" and "2,3": those that can be classes stay texts, unless a regression is asked for.

    Raises:
        UserError: the numbers may be read in two ways.
    """
    as_given = (targets, (), ())
    if task not in (None, "regression") or hasattr(targets, "detach"):
        return as_given
    cells = to_array(targets, NAME)
    if cells.dtype.kind not in "OU" or cells.ndim != 1:
        return as_given
    full = [None if is_missing(cell) else cell for cell in cells.tolist()]
    if not any(full) or not all(cell is None or isinstance(cell, str) for cell in full):
        return as_given
    text = pa.array([None if cell is None else cell.strip() for cell in full], pa.string())
    table = with_plain_numbers(Table((NAME,), (text,), "arrays", range(len(full))), options)
    plain = parsing.with_nulls(table.column(NAME), options.missing_values)
    values, other = parsing.numbers(plain, table.decimal)
    known = values[~np.isnan(values)]
    if other.any() or not len(known):
        return as_given
    if task is None and not facts_of(known).has_many_values:
        return as_given
    return values, table.assumptions, tuple(parsing.vanished_notice("Target", plain, values))
