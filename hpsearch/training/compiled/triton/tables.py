"""Tables on the device for the GPU's kernels: what the trials of a group are, where their numbers lie, which tiles there are to compute.

The state of the trials is flat arrays of all of them: a layer's weights are [inputs, units], then comes its bias. Letters of shapes: P
numbers of all trials, T trials, L layers of the deepest, a and b inputs and units of a layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hpsearch.training import draws
from hpsearch.training.compiled.activations import CODES
from hpsearch.training.compiled.group import layers_of
from hpsearch.training.optimizers import coefficient_row, make_rule
from hpsearch.trial import TrialSpec

Integers = npt.NDArray[np.integer[Any]]
NO_TRIAL = -1  # of a tile that is not there


def weight_parts(specs: Sequence[TrialSpec]) -> list[slice]:
    """Return where each trial's weights lie among those of all."""
    ends = accumulate((spec.dense_architecture.parameters for spec in specs), initial=0)
    return [slice(start, stop) for start, stop in pairwise(ends)]


def units_of(specs: Sequence[TrialSpec]) -> int:
    """Return the units of all layers of all trials."""
    return sum(sum(spec.dense_architecture.sizes[1:]) for spec in specs)


def integers(specs: Sequence[TrialSpec], room: int, layers: int) -> torch.Tensor:
    """Return a row of integers for each trial [T, 9], where there is `room` for so many trials, of so many `layers`.

    Layers, activation, dropout's threshold and seed, if there is a first and a second moment, where its layers begin in `layers`, the batch
    size, the room.
    """
    rows: list[tuple[int, ...]] = []
    for trial, spec in enumerate(specs):
        network = spec.dense_architecture
        rule = make_rule(spec)
        row = (
            len(network.sizes) - 1,
            CODES[network.activation],
            draws.noise_threshold(network.dropout),
            draws.noise_seed(spec.order_seed),
            rule.first,
            rule.second,
            5 * layers * trial,
            spec.batch_size,
            room,
        )
        rows.append(row)
    return torch.tensor(rows, dtype=torch.int64)


def numbers(specs: Sequence[TrialSpec], share: float) -> torch.Tensor:
    """Return the update's coefficients, dropout's scale, the losses' `share` and the smoothing of labels [T, 11]."""
    rows: list[list[float]] = []
    for spec in specs:
        dropout_scale = 1 / (1 - spec.dense_architecture.dropout)
        rows.append([*coefficient_row(make_rule(spec)), dropout_scale, share, spec.label_smoothing])
    return torch.tensor(rows, dtype=torch.float64)


def layers(specs: Sequence[TrialSpec], most: int) -> torch.Tensor:
    """Return inputs, units, where weights begin, units before the inputs' and before the units' own [T, L, 5]; zeros below its depth.

    L is `most`, no less than the deepest trial has.

    The inputs of a first layer are the data's.
    """
    table = torch.zeros(len(specs), most, 5, dtype=torch.int64)
    weights = below = here = 0
    for trial, spec in enumerate(specs):
        for layer, (a, b) in enumerate(pairwise(spec.dense_architecture.sizes)):
            table[trial, layer] = torch.tensor((a, b, weights, below, here))
            weights += (a + 1) * b
            below = here
            here += b
    return table


def deepest(specs: Sequence[TrialSpec]) -> int:
    """Return the layers of the deepest trial."""
    return max(len(spec.dense_architecture.sizes) - 1 for spec in specs)


@dataclass(frozen=True, slots=True)
class Work:
    """The tiles of each launch: `forward` [tiles, 3] of each layer, `backward` [tiles, 3] of each but the first, `learn` [tiles, 4]."""

    forward: list[torch.Tensor]
    backward: list[torch.Tensor]
    learn: torch.Tensor

    @property
    def launches(self) -> list[torch.Tensor]:
        """The tables of all launches."""
        return [*self.forward, *self.backward, self.learn]


def work(specs: Sequence[TrialSpec], side: int, layers: int) -> Work:
    """Return the tiles of trials, `side` inputs and units each; the last of a layer have fewer. There are launches for so many layers."""
    shapes = [spec.dense_architecture.sizes for spec in specs]
    return Work(
        forward=[_of_trials([_starts(sizes, layer, side, 1) for sizes in shapes]) for layer in range(layers)],
        backward=[_of_trials([_starts(sizes, layer, side, 0) for sizes in shapes]) for layer in range(1, layers)],
        learn=_of_trials([_matrix_tiles(sizes, side) for sizes in shapes]),
    )


def no_work(layers: int, sizes: Sequence[int], device: torch.device) -> Work:
    """Return tables for so many tiles of each launch, in the order of `Work.launches`, in which there are none yet."""
    launches = [torch.full((size, 3), NO_TRIAL, device=device) for size in sizes[:-1]]
    return Work(launches[:layers], launches[layers:], torch.full((sizes[-1], 4), NO_TRIAL, device=device))


def _of_trials(tiles: Sequence[Integers]) -> torch.Tensor:
    """Return the tiles of all trials [tiles, C + 1], which begin with the trial, of those of each [tiles, C]."""
    trials = np.repeat(np.arange(len(tiles)), [len(own) for own in tiles])
    return torch.from_numpy(np.column_stack([trials, np.concatenate(tiles)]))


@lru_cache(maxsize=4096)
def _starts(sizes: tuple[int, ...], layer: int, side: int, end: int) -> Integers:
    """Return layer and first input (`end` 0) or first unit (1) of a layer's tiles [tiles, 2]; none below a network's depth."""
    if layer >= len(sizes) - 1:
        return np.empty((0, 2), dtype=np.int64)
    starts = np.arange(0, sizes[layer + end], side)
    return np.column_stack([np.full(len(starts), layer), starts])


@lru_cache(maxsize=1024)
def _matrix_tiles(sizes: tuple[int, ...], side: int) -> Integers:
    """Return layer, first input and first unit of the tiles of all weights of a network [tiles, 3]."""
    tiles: list[tuple[int, int, int]] = []
    for layer, (a, b) in enumerate(pairwise(sizes)):
        tiles += [(layer, first, unit) for first in range(0, a, side) for unit in range(0, b, side)]
    return np.array(tiles)


def initial(specs: Sequence[TrialSpec], like: torch.Tensor) -> list[torch.Tensor]:
    """Return weights as drawn and moments of zero [P], on the device of `like`."""
    weights = torch.zeros(weight_parts(specs)[-1].stop, dtype=like.dtype)
    for spec, part in zip(specs, weight_parts(specs), strict=True):
        draws.draw_layers(layers_of(weights[part], spec.dense_architecture), spec)
    weights = weights.to(like.device)
    return [weights, torch.zeros_like(weights), torch.zeros_like(weights)]


def packed(state: Sequence[torch.Tensor], specs: Sequence[TrialSpec], staying: Sequence[int]) -> list[torch.Tensor]:
    """Return the state [P] of the trials that stay; there may be room for more in the present one."""
    parts = [weight_parts(specs)[trial] for trial in staying]
    return [torch.cat([numbers[:0], *(numbers[part] for part in parts)]) for numbers in state]
