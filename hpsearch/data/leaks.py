"""Columns that give the target away: what predicts exactly in the training rows is more often a copy of the answer than a finding.

S. Kaufman, S. Rosset, C. Perlich, "Leakage in data mining", KDD 2011. Only what is certain is reported: a column alone, in all rows.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from hpsearch.data.cells import Array
from hpsearch.data.options import column_setting
from hpsearch.data.transform import width
from hpsearch.errors import listed

EXACT = 0.99995  # of a correlation: what rounding to four digits leaves of a copy
FEW = 20  # rows, and 5 of each class: with fewer a column fits by chance
RARE = 5
MOST_SETTINGS = 5  # columns whose setting is told
FIRST = 1_000  # rows that are looked at before all


def leaks(columns: Sequence[Mapping[str, Any]], inputs: Array, targets: Array, classes: bool) -> list[str]:
    """Return the names of the columns from which alone the targets are known exactly; none of several targets.

    Args:
        columns: of a table's preprocessing, in the order of the inputs.
        inputs: of the training rows [N, F].
        targets: their class numbers [N], or their values [N, K].
        classes: whether targets are classes.
    """
    if len(inputs) < FEW or (classes and np.bincount(targets)[np.unique(targets)].min() < RARE):
        return []
    if not classes and targets.shape[1] > 1:
        return []
    target = targets.reshape(len(targets))
    names = []
    start = 0
    for column in columns:
        stop = start + width(column)
        cells = _cells(column, inputs[:, start:stop])
        start = stop
        if cells is not None and _determines(cells, target, classes, column["kind"] == "number"):
            names.append(str(column["name"]))
    return names


def leak_notice(names: Sequence[str], of_file: bool) -> str:
    """Return the sentence on such columns; those of a file are dropped by a setting."""
    settings = " ".join(column_setting(name, "drop") for name in names[:MOST_SETTINGS])
    setting = f" ({settings})" * of_file
    advice = "What is known only with the target gives the answer away and is of no use for new rows: drop"
    if len(names) == 1:
        return f"Column {listed(names)} alone tells the target exactly. {advice} it then{setting}."
    return f"Columns {listed(names)} alone tell the target exactly, each of them. {advice} them then{setting}."


def _cells(column: Mapping[str, Any], block: Array) -> Array | None:
    """Return one number for each cell [N]; dates tell too much together to be looked at alone."""
    if column["kind"] == "category":
        return np.asarray(block.argmax(axis=1))
    return None if column["kind"] == "date" else block[:, 0]


def _determines(cells: Array, target: Array, classes: bool, is_number: bool) -> bool:
    in_order = _apart if classes else _straight
    if is_number and in_order(cells, target):
        return True
    return _one_for_each(cells[:FIRST], target[:FIRST])[0] and all(_one_for_each(cells, target))


def _apart(cells: Array, codes: Array) -> bool:
    """Whether each class has an interval of numbers to itself."""
    ends = [(part.min(), part.max()) for code in np.unique(codes) if len(part := cells[codes == code])]
    ends.sort()
    return all(before[1] < after[0] for before, after in pairwise(ends))


def _straight(cells: Array, values: Array) -> bool:
    """Whether numbers and targets lie on a straight line."""
    centred_cells = cells - cells.mean(dtype=np.float64)
    centred_values = values - values.mean()
    spread = float(np.sqrt(np.square(centred_cells).sum() * np.square(centred_values).sum()))
    return spread > 0 and abs(float((centred_cells * centred_values).sum())) >= EXACT * spread


def _one_for_each(cells: Array, targets: Array) -> tuple[bool, bool]:
    """Whether equal cells have equal targets, and whether cells come again often enough for that to say something."""
    order = np.argsort(cells, kind="stable")
    cells = cells[order]
    targets = targets[order]
    starts = np.flatnonzero(np.concatenate(([True], cells[1:] != cells[:-1])))
    same = np.minimum.reduceat(targets, starts) == np.maximum.reduceat(targets, starts)
    return bool(same.all()), 1 < len(starts) <= len(cells) / 2
