"""Predictions as CSV, written as they come: a label (or number) for each row, and for classes the probability of each.

Columns of the rows that are kept stand before them. Cells that a spreadsheet would run as formulas are made inert; numbers stay numbers.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import StringIO
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from torch import Tensor

from hpsearch.data.cells import Array
from hpsearch.data.columns import parsing
from hpsearch.data.columns.table import Table
from hpsearch.data.metrics import HALF
from hpsearch.errors import UserError, shown
from hpsearch.files import FORMULAS, inert


def write_predictions(
    file: BinaryIO,
    classes: Sequence[str],
    cells: Sequence[str],
    columns: int,
    chunks: Iterable[Tensor],
    kept: Mapping[str, pa.Array],
    labels: Sequence[str] = (),
    intervals: Callable[[Array], Array] | None = None,
) -> Iterator[Tensor]:
    """Write chunks of predictions [n, C] or [n, K] in order, and yield each once it is written.

    `classes` [C] name the columns of probabilities, and `cells` [C] stand for them in a row; there are none of both for numbers.
    `columns` is C or K; `kept` are columns of text [N] that stand before the predictions, by name. `labels` [L] of a multilabel task have a
    column of 0 and 1 each, and one of its probability. `intervals`, which gives predicted numbers [n, K] their ends [n, K, 2], adds the
    columns `low` and `high`.

    Raises:
        UserError: a kept column is called as one of the predictions.
    """
    schema = _schema(kept, classes, columns, labels, intervals is not None)
    head = StringIO()
    csv.writer(head, lineterminator="\n").writerow(map(inert, schema.names))
    file.write(head.getvalue().encode())
    texts = pa.array(cells, pa.string())
    needs_quotes = any(map(_has_special, (texts, *kept.values())))
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed" if needs_quotes else "none")
    start = 0
    with pyarrow.csv.CSVWriter(file, schema, write_options=options) as writer:
        for chunk in chunks:
            values = chunk.numpy()
            arrays = [pa.array(column) for column in np.ascontiguousarray(values.T)]
            if cells:
                arrays.insert(0, texts.take(pa.array(values.argmax(axis=1))))
            if labels:
                arrays = [pa.array(column) for column in (values.T >= HALF).astype(np.int8)] + arrays
            if intervals is not None:
                ends = intervals(values)
                arrays += [pa.array(column) for column in [*ends[..., 0].T, *ends[..., 1].T]]
            arrays = [*(column.slice(start, len(values)) for column in kept.values()), *arrays]
            start += len(values)
            typed = [array.cast(field.type) for array, field in zip(arrays, schema, strict=True)]
            writer.write_batch(pa.record_batch(typed, schema=schema))
            yield chunk


def kept_columns(table: Table, names: Sequence[str]) -> dict[str, pa.Array]:
    """Return columns of a table as text [N] to be written beside predictions, missing cells as null.

    Raises:
        UserError: no such column.
    """
    return {name: _inert(parsing.as_text(table.column(name)), table.decimal) for name in names}


def kept_texts(name: str, texts: Sequence[str]) -> dict[str, pa.Array]:
    """Return texts [N] of the rows to be written beside predictions under a name."""
    return {name: _inert(pa.array(texts, pa.string()), ".")}


def _inert(cells: pa.Array, decimal: str) -> pa.Array:
    """Return text whose cells are as `inert` makes them, but for numbers, whose sign is no formula."""
    begins = pc.match_substring_regex(cells, f"^[{re.escape(''.join(FORMULAS))}]")
    if pc.any(begins).as_py():
        _, other = parsing.numbers(cells, decimal)
        risky = pc.and_(pc.fill_null(begins, False), pa.array(other))
        cells = pc.if_else(risky, pc.binary_join_element_wise("'", cells, ""), cells)
    return pc.replace_substring(pc.replace_substring(cells, "\r\n", "\n"), "\r", "\n")


def _has_special(cells: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring_regex(cells, '[",\r\n]')).as_py())


def _schema(
    kept: Iterable[str], classes: Sequence[str], columns: int, labels: Sequence[str], interval: bool
) -> pa.Schema:
    if labels:
        predicted = {f"prediction_{label}": pa.int8() for label in labels}
        predicted |= {f"probability_{label}": pa.float32() for label in labels}
    elif classes:
        predicted = {"prediction": pa.string(), **{f"probability_{label}": pa.float32() for label in classes}}
    elif columns == 1:
        predicted = {"prediction": pa.float64()}
    else:
        predicted = {f"prediction_{number}": pa.float64() for number in range(1, columns + 1)}
    if interval:
        numbers = [name.removeprefix("prediction") for name in predicted]
        predicted |= {f"{end}{number}": pa.float64() for end in ("low", "high") for number in numbers}
    for name in kept:
        if name in predicted:
            raise UserError(
                f"--keep: {shown(name)} is what a column of the predictions is called. Rename it, or keep others."
            )
    return pa.schema([*((name, pa.string()) for name in kept), *predicted.items()])
