"""A model asked from Python: arrays, frames or tensors like those of its search in, predictions as NumPy arrays out."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hpsearch.data.cells import Array, read_inputs
from hpsearch.data.columns.reading import read_columns
from hpsearch.data.targets import label_text
from hpsearch.errors import UserError
from hpsearch.model.pipeline import InferencePipeline
from hpsearch.model.saved import Model
from hpsearch.model.unseen import unseen_categories

KINDS: Mapping[str, type] = {"text": np.str_, "integer": np.int64, "number": np.float64}


def predictions(
    model: Model, inputs: Any, tell: Callable[[str], None] = lambda sentence: None
) -> npt.NDArray[np.float64]:
    """Return a model's probabilities [N, C] or values [N, K] of inputs as they were searched on.

    Computed in float64, so that a row's prediction does not depend on the rows beside it. `tell` gets a sentence for each column that
    has categories which the model does not know.

    Raises:
        UserError: the inputs are not like those of the search.
    """
    numbers = numbers_of(model.preprocessing, inputs)
    for sentence in unseen_categories(
        model.preprocessing, lambda place, _: numbers[:, place], lambda _, row: f"in row {row}"
    ):
        tell(sentence)
    with torch.no_grad():
        return np.asarray(InferencePipeline(in_float64(model))(torch.from_numpy(numbers)).numpy(), dtype=np.float64)


def numbers_of(preprocessing: Mapping[str, Any], inputs: Any) -> npt.NDArray[np.float64]:
    """Return the numbers [N, P] of the columns that a model uses, by name from a frame and else by place; or images [N, C, H, W].

    Raises:
        UserError: a column is missing, or a cell or an image is not like those of the search.
    """
    if preprocessing["kind"] != "images":
        return np.asarray(read_columns(preprocessing, inputs))
    given = read_inputs(inputs)
    if list(given.shape) != list(preprocessing["shape"]):
        raise UserError(f"inputs: images of {given.shape}, {tuple(preprocessing['shape'])} expected.")
    return given.values.reshape(-1, *given.shape).astype(np.float64)


def in_float64(model: Model) -> Model:
    """Return a model with its weights in float64, on the CPU."""
    members = [
        replace(member, weights={name: weights.cpu().double() for name, weights in member.weights.items()})
        for member in model.members
    ]
    return replace(model, members=tuple(members))


def labels_of(classes: tuple[str, ...], targets: Array) -> Array:
    """Return the labels of classes (their texts, by class number) as the targets have them."""
    known = {label_text(value): value for value in np.unique(targets)}
    return np.array([known[text] for text in classes], dtype=targets.dtype)


def own_labels(model: Model) -> Array:
    """Return a model's labels [C] as what they were before they became text: truth values, whole numbers, numbers, or text."""
    if model.class_kind == "boolean":
        return np.array([text == "True" for text in model.classes])
    try:
        return np.array(model.classes).astype(KINDS[model.class_kind])
    except OverflowError:  # whole numbers beyond int64
        return np.array(model.classes)
