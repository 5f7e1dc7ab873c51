"""Tables on the device for the GPU's kernels: what the trials of a group are, where their numbers lie, which tiles there are to compute.

The state of the trials is flat arrays of all of them: a layer's weights are [inputs, units], then comes its bias. Letters of shapes: P
numbers of all trials, T trials, L layers of the deepest, a and b inputs and units of a layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch

from hpsearch.training import draws
from hpsearch.training.compiled.activations import CODES
from hpsearch.training.compiled.group import layers_of
from hpsearch.training.optimizers import coefficient_row, make_rule
from hpsearch.trial import TrialSpec


def weight_parts(specs: Sequence[TrialSpec]) -> list[slice]:
    """Return where each trial's weights lie among those of all."""
    ends = accumulate((spec.dense_architecture.parameters for spec in specs), initial=0)
    return [slice(start, stop) for start, stop in pairwise(ends)]


def units_of(specs: Sequence[TrialSpec]) -> int:
    """Return the units of all layers of all trials."""
    return sum(sum(spec.dense_architecture.sizes[1:]) for spec in specs)


def order_seeds(specs: Sequence[TrialSpec]) -> list[int]:
    """Return the orders of batches that trials have, each once."""
    return list(dict.fromkeys(spec.order_seed for spec in specs))


def integers(specs: Sequence[TrialSpec], rows_of_data: int) -> torch.Tensor:
    """Return a row of integers for each trial [T, 11].

    Layers, activation, dropout's threshold and seed, if there is a first and a second moment, where its layers begin in `layers`; its order
    of batches, how many orders there are (0: batches are not drawn), the batch size; T.
    """
    rows: list[tuple[int, ...]] = []
    layers_of_a_trial = _deepest(specs)
    orders = order_seeds(specs)
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
            5 * layers_of_a_trial * trial,
            orders.index(spec.order_seed),
            len(orders) if spec.batch_size < rows_of_data else 0,
            spec.batch_size,
            len(specs),
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


def layers(specs: Sequence[TrialSpec]) -> torch.Tensor:
    """Return inputs, units, where weights begin, units before the inputs' and before the units' own [T, L, 5]; zeros below its depth.

    The inputs of a first layer are the data's.
    """
    table = torch.zeros(len(specs), _deepest(specs), 5, dtype=torch.int64)
    weights = below = here = 0
    for trial, spec in enumerate(specs):
        for layer, (a, b) in enumerate(pairwise(spec.dense_architecture.sizes)):
            table[trial, layer] = torch.tensor((a, b, weights, below, here))
            weights += (a + 1) * b
            below = here
            here += b
    return table


def _deepest(specs: Sequence[TrialSpec]) -> int:
    return max(len(spec.dense_architecture.sizes) - 1 for spec in specs)


@dataclass(frozen=True, slots=True)
class Work:
    """The tiles of each launch: `forward` [tiles, 3] of each layer, `backward` [tiles, 3] of each but the first, `learn` [tiles, 4]."""

    forward: list[torch.Tensor]
    backward: list[torch.Tensor]
    learn: torch.Tensor

    def to(self, device: torch.device) -> "Work":
        """Return the tables on a device."""
        forward = [table.to(device) for table in self.forward]
        return Work(forward, [table.to(device) for table in self.backward], self.learn.to(device))


def work(specs: Sequence[TrialSpec], side: int) -> Work:
    """Return the tiles of trials, `side` inputs and units each; the last of a layer have fewer."""
    forward: list[list[tuple[int, ...]]] = [[] for _ in range(_deepest(specs))]
    backward: list[list[tuple[int, ...]]] = [[] for _ in range(_deepest(specs))]
    learn: list[tuple[int, ...]] = []
    for trial, spec in enumerate(specs):
        for layer, (a, b) in enumerate(pairwise(spec.dense_architecture.sizes)):
            forward[layer] += [(trial, layer, unit) for unit in range(0, b, side)]
            backward[layer] += [(trial, layer, first) for first in range(0, a, side)]
            learn += [(trial, layer, first, unit) for first in range(0, a, side) for unit in range(0, b, side)]
    return Work(
        forward=[torch.tensor(tiles) for tiles in forward],
        backward=[torch.tensor(tiles) for tiles in backward[1:]],
        learn=torch.tensor(learn),
    )


def initial(specs: Sequence[TrialSpec], like: torch.Tensor) -> list[torch.Tensor]:
    """Return weights as drawn and moments of zero [P], on the device of `like`."""
    weights = torch.zeros(weight_parts(specs)[-1].stop, dtype=like.dtype)
    for spec, part in zip(specs, weight_parts(specs), strict=True):
        draws.draw_layers(layers_of(weights[part], spec.dense_architecture), spec)
    weights = weights.to(like.device)
    return [weights, torch.zeros_like(weights), torch.zeros_like(weights)]


def packed(state: Sequence[torch.Tensor], specs: Sequence[TrialSpec], staying: Sequence[int]) -> list[torch.Tensor]:
    """Return the state of the trials that stay."""
    parts = [weight_parts(specs)[trial] for trial in staying]
    return [torch.cat([numbers[part] for part in parts]) for numbers in state]
