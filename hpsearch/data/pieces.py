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
    def fit(cls, inputs: Tensor, counts: Sequence[int]) -> "Pieces":
        """Return so many intervals of each of the training rows' inputs [N, F]."""
        edges = [_spread(_edges(inputs[:, place]), count) for place, count in enumerate(counts) if count]
        none = inputs.new_zeros(0).double()
        low = torch.cat([none, *(own[:-1] for own in edges)])
        high = torch.cat([none, *(own[1:] for own in edges)])
        return cls(tuple(counts), low.to(inputs), (high - low).clamp(min=NARROWEST).to(inputs))

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


def piece_counts(inputs: Tensor) -> tuple[int, ...]:
    """Return how many pieces each of the training rows' inputs [N, F] gets; one of few distinct values has none.

    Of many inputs each gets fewer, of more than `MOST_PIECES / FEWEST_PIECES` none any.
    """
    counts = [len(_edges(column)) - 1 for column in inputs.T]
    numbers = sum(count >= FEWEST_PIECES for count in counts)
    most = MOST_PIECES // max(numbers, 1)
    return tuple(min(count, most) if min(count, most) >= FEWEST_PIECES else 0 for count in counts)


def _edges(column: Tensor) -> Tensor:
    """Return the quantiles that bound up to `PIECES` pieces of a column [N], distinct, from the least value to the largest.

    A value that many rows have, such as 0, counts as no more than one piece's share of the rows, so that the others are divided too.
    """
    values, rows = column.double().unique(return_counts=True)
    passed = rows.clamp(max=len(column) / PIECES).double().cumsum(0)
    levels = torch.linspace(0, 1, PIECES + 1, dtype=torch.float64, device=column.device)
    places = torch.searchsorted(passed / passed[-1], levels).clamp(max=len(values) - 1)
    edges: Tensor = values[places].unique()
    return edges


def _spread(edges: Tensor, count: int) -> Tensor:
    """Return edges of so many pieces: these, some of them, or points between them where other rows have fewer values."""
    if len(edges) == count + 1:
        return edges
    at = torch.linspace(0, len(edges) - 1, count + 1, dtype=torch.float64, device=edges.device)
    below = at.floor().long()
    above = (below + 1).clamp(max=len(edges) - 1)
    return torch.lerp(edges[below], edges[above], at - below)


def _columns(counts: Sequence[int]) -> Tensor:
    """Return the input of each piece [P], on the CPU even where networks are made without memory."""
    return torch.repeat_interleave(
        torch.arange(len(counts), device="cpu"), torch.tensor(counts, dtype=torch.int64, device="cpu")
    )


def _encoded(inputs: Tensor, columns: Tensor, low: Tensor, width: Tensor) -> Tensor:
    """Return inputs [N, F], and after them the place of the inputs `columns` [P] in each piece, from -1/2 to 1/2: [N, F + P]."""
    places = ((inputs.index_select(1, columns) - low) / width).clamp(0, 1)
    return torch.cat([inputs, places - CENTRE], dim=1)
