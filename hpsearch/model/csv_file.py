"""Predictions as CSV, written as they come: a label (or number) for each row, and for classes the probability of each."""

from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
from torch import Tensor


def write_predictions(
    file: BinaryIO, labels: Sequence[str], columns: int, chunks: Iterable[Tensor]
) -> Iterator[Tensor]:
    """Write chunks of predictions [n, C] or [n, K] in order, and yield each once it is written.

    `labels` are the classes [C] as they are written, none for numbers; `columns` is C or K.
    """
    schema = _schema(labels, columns)
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    known = pa.array(labels, pa.string())
    with pyarrow.csv.CSVWriter(file, schema, write_options=options) as writer:
        for chunk in chunks:
            values = chunk.numpy()
            arrays = [pa.array(column) for column in np.ascontiguousarray(values.T)]
            if labels:
                arrays.insert(0, known.take(pa.array(values.argmax(axis=1))))
            writer.write_batch(
                pa.record_batch([a.cast(f.type) for a, f in zip(arrays, schema, strict=True)], schema=schema)
            )
            yield chunk


def _schema(labels: Sequence[str], columns: int) -> pa.Schema:
    if labels:
        probabilities = [(f"probability_{label}", pa.float32()) for label in labels]
        return pa.schema([("prediction", pa.string()), *probabilities])
    names = ["prediction"] if columns == 1 else [f"prediction_{number}" for number in range(1, columns + 1)]
    return pa.schema([(name, pa.float64()) for name in names])
