"""The update of a cohort: every optimizer as the one formula of `optimizers.Update`, a row of coefficients for each trial.

It runs over few large pieces of the flat buffers; terms that no trial of the cohort needs are left out. Padding has gradient and
moments zero, and so has its change: its denominator is epsilon.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import torch

from hpsearch.training.fused.layout import Layout, Parameters
from hpsearch.training.optimizers import OPTIMIZERS, Update
from hpsearch.trial import TrialSpec

COEFFICIENTS = ("decay", "first_keep", "first_take", "second_keep", "second_take", "direct", "through", "epsilon")


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of the formula that some trial needs."""

    decay: bool
    shrink: bool
    first: bool
    second: bool
    direct: bool
    through: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """Numbers [R, S] to update, each row of one trial, and the coefficients [R, 1] of the rows; `owners` [R] names the trials."""

    weights: torch.Tensor
    gradients: torch.Tensor
    firsts: torch.Tensor
    seconds: torch.Tensor
    coefficients: dict[str, torch.Tensor]
    owners: torch.Tensor | None  # None: row by row


class CohortUpdate:
    """The optimizers of a cohort, with their moments."""

    def __init__(self, specs: Sequence[TrialSpec], layout: Layout, weights: Parameters, gradients: Parameters) -> None:
        rows = [OPTIMIZERS[spec.optimizer].update(spec.coefficients) for spec in specs]
        self.terms = _terms(specs, rows)
        like = weights.first
        self.firsts = Parameters(layout, like if self.terms.first else like.to("meta"))
        self.seconds = Parameters(layout, like if self.terms.second else like.to("meta"))
        table = like.new_tensor([_coefficients(spec, row) for spec, row in zip(specs, rows, strict=True)])
        epsilon = table[:, -1]
        epsilon.clamp_(min=torch.finfo(like.dtype).tiny)  # one that rounds to 0 must not divide padding by 0
        self.pieces = list(_pieces(layout, table, (weights, gradients, self.firsts, self.seconds)))

    def __call__(self, table: torch.Tensor) -> None:
        """Update the weights; `table` [T, 3] holds step, scale and shrink of each trial. Gradients are used up."""
        for piece in self.pieces:
            rows = table[: len(piece.weights)] if piece.owners is None else table.index_select(0, piece.owners)
            self._update(piece, *torch.split(rows, 1, dim=1))

    def _update(self, piece: Piece, step: torch.Tensor, scale: torch.Tensor, shrink: torch.Tensor) -> None:
        c = piece.coefficients
        terms = self.terms
        if terms.decay:
            piece.gradients.addcmul_(piece.weights, c["decay"])
        if terms.first:
            piece.firsts.mul_(c["first_keep"]).addcmul_(piece.gradients, c["first_take"])
        if terms.second:
            piece.seconds.mul_(c["second_keep"]).addcmul_(piece.gradients * c["second_take"], piece.gradients)
        change = self._change(piece, step)
        if terms.shrink:
            piece.weights.mul_(shrink)
        if terms.second:
            piece.weights.addcdiv_(change, torch.addcmul(c["epsilon"], piece.seconds.sqrt(), scale), value=-1)
        else:
            piece.weights.sub_(change)

    def _change(self, piece: Piece, step: torch.Tensor) -> torch.Tensor:
        """Return step · (direct · g + through · m)."""
        c = piece.coefficients
        terms = self.terms
        if not terms.direct:
            return piece.firsts * (step * c["through"])
        change = piece.gradients.mul_(step * c["direct"])
        return change.addcmul_(piece.firsts, step * c["through"]) if terms.through else change


def _terms(specs: Sequence[TrialSpec], rows: Sequence[Update]) -> Terms:
    decays = [(row.decoupled, spec.weight_decay != 0) for row, spec in zip(rows, specs, strict=True)]
    return Terms(
        decay=(False, True) in decays,
        shrink=(True, True) in decays,
        first=any(row.first for row in rows),
        second=any(row.second for row in rows),
        direct=any(row.direct for row in rows),
        through=any(row.through for row in rows),
    )


def _coefficients(spec: TrialSpec, row: Update) -> list[float]:
    """Return the numbers of `COEFFICIENTS`; without a second moment the denominator is 1."""
    values = asdict(row)
    values["decay"] = 0.0 if row.decoupled else spec.weight_decay
    values["epsilon"] = row.epsilon if row.second else 1.0
    return [values[name] for name in COEFFICIENTS]


def _pieces(layout: Layout, table: torch.Tensor, buffers: Sequence[Parameters]) -> Iterator[Piece]:
    counts = torch.tensor([units.stop - units.start for units in layout.units])
    owners = torch.arange(layout.trials).repeat_interleave(counts).to(table.device)  # [U]
    weights, gradients, firsts, seconds = (buffer.first for buffer in buffers)
    yield Piece(weights, gradients, firsts, seconds, _columns(table[owners]), owners)
    for part in layout.rectangles:
        weights, gradients, firsts, seconds = (b.rest[: part.rows, part.start : part.stop] for b in buffers)
        yield Piece(weights, gradients, firsts, seconds, _columns(table[: part.rows]), None)


def _columns(table: torch.Tensor) -> dict[str, torch.Tensor]:
    return dict(zip(COEFFICIENTS, torch.split(table, 1, dim=1), strict=True))
