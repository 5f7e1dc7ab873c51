"""The update of a cohort: every optimizer as the one formula of `optimizers.Update`, a row of coefficients for each trial.

It runs over few large pieces of the flat buffers; terms that no trial of the cohort needs are left out. Padding has gradient and
moments zero, and so has its change: its denominator is epsilon.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from hpsearch.training.fused.layout import Layout, Parameters
from hpsearch.training.optimizers import COEFFICIENTS, Rule, coefficient_row, make_rule
from hpsearch.trial import TrialSpec


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
        rules = [make_rule(spec) for spec in specs]
        self.terms = _terms(specs, rules)
        like = weights.first
        self.firsts = Parameters(layout, like if self.terms.first else like.to("meta"))
        self.seconds = Parameters(layout, like if self.terms.second else like.to("meta"))
        table = like.new_tensor([coefficient_row(rule) for rule in rules])
        epsilon = table[:, -1]
        epsilon.clamp_(min=torch.finfo(like.dtype).tiny)  # one that rounds to 0 must not divide padding by 0
        self.pieces = list(_pieces(layout, table, (weights, gradients, self.firsts, self.seconds)))

    def __call__(self, table: torch.Tensor) -> None:
        """Update the weights; `table` [T, 3] holds step, scale and shrink of each trial. Gradients are used up."""
        for piece in self.pieces:
            if piece.owners is None:
                rows = table[: len(piece.weights)]
            else:
                rows = table.index_select(0, piece.owners)
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
        if terms.through:
            change.addcmul_(piece.firsts, step * c["through"])
        return change


def _terms(specs: Sequence[TrialSpec], rules: Sequence[Rule]) -> Terms:
    return Terms(
        decay=any(rule.decay for rule in rules),
        shrink=any(spec.weight_decay and not rule.decay for spec, rule in zip(specs, rules, strict=True)),
        first=any(rule.first for rule in rules),
        second=any(rule.second for rule in rules),
        direct=any(rule.direct for rule in rules),
        through=any(rule.through for rule in rules),
    )


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
