"""A model whole: preprocessing, networks and head as one torch module, from a source's numbers to predictions."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hpsearch.data.transform import transform_of
from hpsearch.errors import StorageError
from hpsearch.model.predicting import Predictor
from hpsearch.model.saved import Model

MISSING_SHARE = 0.1  # of plausible cells


class InferencePipeline(nn.Module):
    """A table's numbers [N, P], or images [N, C, H, W] → probabilities [N, C] (binary: [N, 2]), or values [N, K] float64.

    Raises (when made):
        StorageError: the model's preprocessing is missing or damaged.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.transform = transform_of(model.preprocessing)
        self.predictor = Predictor(model)
        given, taken = self.transform.inputs, model.members[0].architecture.inputs
        if given != taken:
            raise StorageError(
                f"the model's preprocessing gives {given} inputs, its network takes {taken}. Copy its files again."
            )

    def forward(self, numbers: Tensor) -> Tensor:
        """Return predictions of a source's numbers."""
        predictions: Tensor = self.predictor(self.transform(numbers))
        return predictions


def plausible(model: Model, rows: int, seed: int = 0) -> Tensor:
    """Return rows such as a source might have: numbers around the training rows', every category, unseen and missing ones.

    A table's are numbers [rows, P], images [rows, C, H, W] bytes on the scale of its own; float64.
    """
    generator = torch.Generator().manual_seed(seed)
    given = model.preprocessing
    if given["kind"] == "images":
        pixels: Tensor = torch.randint(0, 256, (rows, *given["shape"]), generator=generator)
        return pixels.double() / float(given["divisor"])
    numbers = torch.stack([_drawn(column, rows, generator) for column in given["columns"]], dim=1)  # [rows, P]
    return numbers.masked_fill(torch.rand(numbers.shape, generator=generator) < MISSING_SHARE, torch.nan)


def _drawn(column: Mapping[str, Any], rows: int, generator: torch.Generator) -> Tensor:
    """Return a column's numbers [rows]."""
    if column["kind"] in ("category", "boolean"):
        codes = len(column["categories"]) + 1 if column["kind"] == "category" else 2
        return torch.randint(0, codes, (rows,), generator=generator).double()
    mean, spread = float(column["mean"][0]), float(column["scale"][0])  # a date's are those of its days
    return mean + spread * torch.randn(rows, generator=generator, dtype=torch.float64)
