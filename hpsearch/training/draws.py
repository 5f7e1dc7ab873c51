"""Every random number that a trial uses, each a function of where it is used, never of what was drawn before it.

Three streams: initial weights by (trial seed, layer); batch order by (study seed, batch size, pass over the rows); dropout by
(study seed, update, layer, row, unit). Order and dropout know nothing of the trial, so that trials which train beside each other
see the same batches and the same noise, and none depends on its neighbours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from hpsearch.training.layers import INITIALIZATIONS
from hpsearch.trial import Architecture, TrialSpec, derive_seed

BITS = 0xFFFFFFFF
Integers = TypeVar("Integers", int, torch.Tensor)


def generator(*parts: int | str) -> torch.Generator:
    """Return a CPU generator seeded from the parts; drawing on the CPU gives every device the same numbers."""
    return torch.Generator().manual_seed(derive_seed(*parts))


def initial_weights(architecture: Architecture, seed: int) -> list[torch.Tensor]:
    """Return the weight matrix [units, inputs] of each layer in float64, so that every precision starts from the same draws."""
    initialization = INITIALIZATIONS[architecture.initialization]
    weights = [torch.empty(units, inputs, dtype=torch.float64) for inputs, units in pairwise(architecture.sizes)]
    for layer, weight in enumerate(weights):
        initialization.fill(weight, generator("weights", seed, layer))
    return weights


def draw_layers(layers: Iterable[tuple[torch.Tensor, torch.Tensor]], spec: TrialSpec) -> None:
    """Write a trial's initial weights to its layers, weight [units, inputs] and bias of each; biases stay what they are."""
    drawn = initial_weights(spec.dense_architecture, spec.seed)
    for (weight, _), values in zip(layers, drawn, strict=True):
        weight.copy_(values)


def batch_order(order_seed: int, batch_size: int, pass_: int, rows: int) -> torch.Tensor:
    """Return the order [rows] in which a pass visits the training rows; a full batch needs no order and gets the natural one."""
    if batch_size == rows:
        return torch.arange(rows)
    return torch.randperm(rows, generator=generator("order", order_seed, batch_size, pass_))


@lru_cache(maxsize=64)
def batch_order_array(order_seed: int, batch_size: int, pass_: int, rows: int) -> "npt.NDArray[np.integer[Any]]":
    """Return `batch_order` as a read-only array, cached: trials of one batch size that train at the same time visit the rows alike."""
    order = batch_order(order_seed, batch_size, pass_, rows).numpy()
    order.flags.writeable = False
    return order


def batch_rows(spec: TrialSpec, start: int, stop: int, rows: int) -> torch.Tensor:
    """Return the row numbers [stop - start, B] of the batches of updates start … stop - 1, which may lie in several passes."""
    size = spec.batch_size
    per_pass = rows // size
    parts = [torch.empty(0, dtype=torch.int64)]
    while start < stop:
        pass_, index = divmod(start, per_pass)
        taken = min(stop - start, per_pass - index)
        order = batch_order_array(spec.order_seed, size, pass_, rows)
        parts.append(torch.from_numpy(order[index * size : (index + taken) * size].copy()))
        start += taken
    return torch.cat(parts).view(-1, size)


def hashed(x: Integers) -> Integers:
    """Return 32 well-mixed bits of each 32-bit number (int, or int64 tensor): `lowbias32` of github.com/skeeto/hash-prospector.

    Products stay below 2^63, so that every device and precision gets the same integers.
    """
    x = ((x ^ (x >> 16)) * 0x21F0AAAD) & BITS
    x = ((x ^ (x >> 15)) * 0x735A2D97) & BITS
    return x ^ (x >> 15)


def noise_seed(order_seed: int) -> int:
    """Return the 32 bits that a study's dropout noise begins with."""
    return derive_seed("dropout", order_seed) & BITS


def noise_key(seed: int, update: Integers, layer: int) -> Integers:
    """Return the 32 bits that the noise of an update and hidden layer begins with; integers, or an int64 tensor of updates."""
    return hashed((hashed((update ^ seed) & BITS) + layer) & BITS)


def noise_threshold(rate: float) -> int:
    """Return the number below which a unit's 32 bits silence it: with this probability, rounded down to 2^-32."""
    return int(rate * 2**32)


@dataclass(frozen=True, slots=True)
class Noise:
    """The dropout noise of one update."""

    order_seed: int
    update: int

    def keep(self, layer: int, rate: float, like: torch.Tensor) -> torch.Tensor:
        """Return the mask for activations `like` [B, H]: 0 with probability `rate`, else 1 / (1 - rate), so that the mean stays.

        Unit j of row i has one noise whatever the width, so that a padded layer sees what the narrow one sees.
        """
        key = noise_key(noise_seed(self.order_seed), self.update, layer)
        rows = torch.arange(like.shape[0], device=like.device)
        units = torch.arange(like.shape[1], device=like.device)
        bits = hashed((hashed(rows ^ key).unsqueeze(1) + units) & BITS)  # [B, H]
        return (bits >= noise_threshold(rate)).to(like.dtype) / (1 - rate)
