"""Activations and dropout of a cohort: each activation applied to the trials that have it, with its slope.

An activation is a row of `ACTIVATIONS`; its slope by hand is a row of `SLOPES`. One that has no row there yet gets its slope from
autograd. Dropout uses the noise of `draws.Noise`, one for all trials; a trial's rate decides which units it silences.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from math import pi, sqrt

import torch

from hpsearch.training import draws
from hpsearch.training.fused.layout import Layout
from hpsearch.training.layers import ACTIVATIONS

Pair = tuple[torch.Tensor, torch.Tensor]


def _relu(x: torch.Tensor) -> Pair:
    return x.relu(), (x > 0).to(x.dtype)


def _leaky_relu(x: torch.Tensor) -> Pair:
    slope = (x > 0).to(x.dtype).clamp_(min=0.01)
    return x * slope, slope


def _tanh(x: torch.Tensor) -> Pair:
    value = x.tanh()
    return value, 1 - value * value


def _sigmoid(x: torch.Tensor) -> Pair:
    value = x.sigmoid()
    return value, value - value * value


def _gelu(x: torch.Tensor) -> Pair:
    below = (x * sqrt(0.5)).erf().add_(1).mul_(0.5)  # the normal distribution function
    density = (x * x).mul_(-0.5).exp_().mul_(1 / sqrt(2 * pi))
    return x * below, torch.addcmul(below, x, density)


def _silu(x: torch.Tensor) -> Pair:
    share = x.sigmoid()
    value = x * share
    return value, torch.addcmul(share, value, 1 - share)


SLOPES: dict[str, Callable[[torch.Tensor], Pair]] = {
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "gelu": _gelu,
    "silu": _silu,
}


def with_slope(name: str, x: torch.Tensor) -> Pair:
    """Return value and derivative of an activation, elementwise."""
    if name in SLOPES:
        return SLOPES[name](x)
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = ACTIVATIONS[name](x)
        (slope,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), slope


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbours in a layer with one activation; `real` [N, H, 1] where their padding has to be silenced."""

    rows: slice
    name: str
    real: torch.Tensor | None

    def value(self, sums: torch.Tensor) -> torch.Tensor:
        """Return the activation of these trials [N, H, B], out of sums of all of the layer."""
        return self._silent(ACTIVATIONS[self.name](sums[self.rows]))

    def with_slope(self, sums: torch.Tensor) -> Pair:
        """Return the activation and its derivative."""
        value, slope = with_slope(self.name, sums[self.rows])
        return self._silent(value), slope

    def _silent(self, value: torch.Tensor) -> torch.Tensor:
        if self.real is None:
            return value
        return torch.where(self.real, value, 0)


class Activations:
    """The activations of a cohort, layer by layer."""

    def __init__(self, layout: Layout, device: torch.device) -> None:
        self.layers = [_runs(layout, layer, device) for layer in range(len(layout.counts))]

    def values(self, layer: int, sums: torch.Tensor) -> torch.Tensor:
        """Return the activations [N, H, B] of a layer's sums."""
        return _joined([run.value(sums) for run in self.layers[layer]])

    def with_slopes(self, layer: int, sums: torch.Tensor) -> Pair:
        """Return the activations and their derivatives, [N, H, B] each."""
        values, slopes = zip(*(run.with_slope(sums) for run in self.layers[layer]), strict=True)
        return _joined(values), _joined(slopes)


def _joined(parts: "list[torch.Tensor] | tuple[torch.Tensor, ...]") -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _runs(layout: Layout, layer: int, device: torch.device) -> list[Run]:
    names = [architecture.activation for architecture in layout.architectures[: layout.counts[layer]]]
    runs: list[Run] = []
    start = 0
    for name, group in groupby(names):
        rows = slice(start, start + len(list(group)))
        real = None
        if _nonzero_at_zero(name):
            real = _real_units(layout, layer, rows, device)
        runs.append(Run(rows, name, real))
        start = rows.stop
    return runs


def _nonzero_at_zero(name: str) -> bool:
    """Whether a unit without input has an activation: then padding has to be silenced."""
    return bool(ACTIVATIONS[name](torch.zeros(())) != 0)


def _real_units(layout: Layout, layer: int, rows: slice, device: torch.device) -> torch.Tensor | None:
    """Return which units [N, H, 1] of these trials are no padding; None where there is none."""
    units = [architecture.widths[layer] for architecture in layout.architectures[rows]]
    padded = layout.widths[layer]
    if min(units) == padded:
        return None
    return (torch.arange(padded) < torch.tensor(units)[:, None]).unsqueeze(2).to(device)


class Dropout:
    """The dropout of a cohort's hidden layers."""

    def __init__(self, layout: Layout, like: torch.Tensor) -> None:
        rates = [architecture.dropout for architecture in layout.architectures]
        self.layers = [any(rates[:count]) for count in layout.counts]  # whether a layer has any
        thresholds = torch.tensor([draws.noise_threshold(rate) for rate in rates], device=like.device)
        self.thresholds = thresholds[:, None, None]  # [T, 1, 1]
        self.factors = like.new_tensor([1 / (1 - rate) for rate in rates])[:, None, None]
        self.none = like.new_zeros(())

    def keep(self, layer: int, key: torch.Tensor, rows: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Return the mask for activations `like` [N, H, B] of these rows [B]; `key` [] is the layer's in this update."""
        units = torch.arange(like.shape[1], device=like.device).unsqueeze(1)
        bits = draws.hashed((draws.hashed(rows ^ key) + units) & draws.BITS)  # [H, B]
        kept = bits >= self.thresholds[: len(like)]
        return torch.where(kept, self.factors[: len(like)], self.none)
