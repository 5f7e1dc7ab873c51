"""Predictions as CSV, written as they come: a label (or number) for each row, and for classes the probability of each."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
from torch import Tensor

from hpsearch.files import inert

SPECIAL = frozenset('",\r\n')  # characters for which a cell needs quotes


def write_predictions(
    file: BinaryIO, classes: Sequence[str], cells: Sequence[str], columns: int, chunks: Iterable[Tensor]
) -> Iterator[Tensor]:
    """Write chunks of predictions [n, C] or [n, K] in order, and yield each once it is written.

    `classes` [C] name the columns of probabilities, and `cells` [C] stand for them in a row; there are none of both for numbers.
    `columns` is C or K.
    """
    schema = _schema(classes, columns)
    head = StringIO()
    csv.writer(head, lineterminator="\n").writerow(map(inert, schema.names))
    file.write(head.getvalue().encode())
    plain = not any(SPECIAL & set(cell) for cell in cells)
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none" if plain else "needed")
    known = pa.array(cells, pa.string())
    with pyarrow.csv.CSVWriter(file, schema, write_options=options) as writer:
        for chunk in chunks:
            values = chunk.numpy()
            arrays = [pa.array(column) for column in np.ascontiguousarray(values.T)]
            if cells:
                arrays.insert(0, known.take(pa.array(values.argmax(axis=1))))
            typed = [array.cast(field.type) for array, field in zip(arrays, schema, strict=True)]
            writer.write_batch(pa.record_batch(typed, schema=schema))
            yield chunk


def _schema(classes: Sequence[str], columns: int) -> pa.Schema:
    if classes:
        probabilities = [(f"probability_{label}", pa.float32()) for label in classes]
        return pa.schema([("prediction", pa.string()), *probabilities])
    names = ["prediction"] if columns == 1 else [f"prediction_{number}" for number in range(1, columns + 1)]
    return pa.schema([(name, pa.float64()) for name in names])
