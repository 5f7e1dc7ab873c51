"""The piecewise-linear encoding of numbers: each keeps its place, and gains its place in each of a few intervals between quantiles.

A dense network fits a function of one number that bends often only slowly; given which interval the number lies in, and where, it fits one
at once (Gorishniy, Rubachev, Babenko, On Embeddings for Numerical Features in Tabular Deep Learning, 2022, equation 1; the ends of the
outer intervals are clamped here, since the number itself, which is not, stays among the inputs).

N rows, F inputs, P pieces.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

PIECES = 16  # of an input, at most
MOST_PIECES = 2_048  # of all inputs together
FEWEST_PIECES = 3  # of an input: fewer say no more than the input itself, as of a category's 0 and 1
NARROWEST = 1e-6  # of an interval, in standard deviations: a step where two quantiles of other rows are one
CENTRE = 0.5  # of a piece, which lies from 0 to 1


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The intervals of inputs, fitted on training rows: `counts` [F] of each input, and of each piece where it begins and its width [P]."""

    counts: tuple[int, ...]
    low: Tensor
    width: Tensor

    @classmethod
    def fit(cls, inputs: Tensor, levels: Sequence[Tensor]) -> "Pieces":
        """Return the intervals between the quantiles of training rows' inputs [N, F] at each one's levels."""
        edges = [
            torch.quantile(inputs[:, place].double(), own, interpolation="lower")
            for place, own in enumerate(levels)
            if len(own)
        ]
        low = torch.cat([inputs.new_zeros(0).double(), *(own[:-1] for own in edges)])
        high = torch.cat([inputs.new_zeros(0).double(), *(own[1:] for own in edges)])
        counts = tuple(max(len(own) - 1, 0) for own in levels)
        return cls(counts, low.to(inputs), (high - low).clamp(min=NARROWEST).to(inputs))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return inputs [N, F] with their pieces [N, F + P]."""
        return _encoded(inputs, _columns(self.counts).to(inputs.device), self.low, self.width)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Pieces":
        """Return the intervals on a device, as numbers of a type."""
        return Pieces(self.counts, self.low.to(device, dtype), self.width.to(device, dtype))


class PiecewiseLinear(nn.Module):
    """The encoding as the first part of a network: inputs [N, F] → inputs and pieces [N, F + P]. Nothing of it is trained."""

    columns: Tensor
    low: Tensor
    width: Tensor

    def __init__(self, counts: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("columns", _columns(counts), persistent=False)  # [P]
        self.register_buffer("low", torch.zeros(sum(counts)))  # [P]
        self.register_buffer("width", torch.ones(sum(counts)))  # [P]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return inputs with their pieces."""
        return _encoded(inputs, self.columns, self.low, self.width)


def quantile_levels(inputs: Tensor) -> tuple[Tensor, ...]:
    """Return the quantiles that bound the pieces of each of the training rows' inputs [N, F], as levels from 0 to 1.

    An input of few distinct values has none. Of many inputs each gets fewer pieces, of more than `MOST_PIECES / FEWEST_PIECES` none any.
    """
    fine = [_levels(column, PIECES) for column in inputs.T]
    numbers = sum(len(levels) > 0 for levels in fine)
    most = MOST_PIECES // max(numbers, 1)
    if most >= PIECES:
        return tuple(fine)
    return tuple(_levels(column, most) for column in inputs.T)


def _levels(column: Tensor, most: int) -> Tensor:
    """Return levels whose quantiles differ, none where they bound too few pieces."""
    levels = torch.linspace(0, 1, most + 1, dtype=torch.float64, device=column.device)
    edges = torch.quantile(column.double(), levels, interpolation="lower")
    is_new = torch.cat([edges.new_ones(1, dtype=torch.bool), edges[1:] > edges[:-1]])
    if int(is_new.sum()) <= FEWEST_PIECES:
        return levels[:0]
    return levels[is_new]


def _columns(counts: Sequence[int]) -> Tensor:
    """Return the input of each piece [P], on the CPU even where networks are made without memory."""
    return torch.repeat_interleave(
        torch.arange(len(counts), device="cpu"), torch.tensor(counts, dtype=torch.int64, device="cpu")
    )


def _encoded(inputs: Tensor, columns: Tensor, low: Tensor, width: Tensor) -> Tensor:
    """Return inputs [N, F], and after them the place of the inputs `columns` [P] in each piece, from -1/2 to 1/2: [N, F + P]."""
    places = ((inputs.index_select(1, columns) - low) / width).clamp(0, 1)
    return torch.cat([inputs, places - CENTRE], dim=1)
