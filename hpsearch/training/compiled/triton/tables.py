"""Tables on the device for the GPU's kernel: what the trials of a group are, where their numbers lie, what a launch trains with.

The state of the trials is flat arrays of all of them: a layer's weights are [inputs, units], then comes its bias. Letters of shapes: P
numbers of all trials, T trials, L layers of the deepest, B rows of a batch, N training rows, a and b inputs and units of a layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import torch

from hpsearch.training import draws
from hpsearch.training.compiled.activations import CODES
from hpsearch.training.compiled.group import layers_of
from hpsearch.training.layers import ACTIVATIONS
from hpsearch.training.optimizers import coefficient_row, make_rule
from hpsearch.training.schedules import step_table
from hpsearch.trial import Architecture, TrialSpec

EVALUATED = 8192  # validation rows at a time


def weight_parts(specs: Sequence[TrialSpec]) -> list[slice]:
    """Return where each trial's weights lie among those of all."""
    ends = accumulate((spec.dense_architecture.parameters for spec in specs), initial=0)
    return [slice(start, stop) for start, stop in pairwise(ends)]


def scratch_size(specs: Sequence[TrialSpec]) -> int:
    """Return how many inputs and values of all layers the batches of all trials have."""
    return sum(spec.batch_size * sum(spec.dense_architecture.sizes) for spec in specs)


def integers(specs: Sequence[TrialSpec]) -> torch.Tensor:
    """Return depth, activation, dropout's threshold and seed, if there is a first and a second moment, where layers begin [T, 7]."""
    rows: list[tuple[int, ...]] = []
    layers_of_a_trial = _deepest(specs)
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
        )
        rows.append(row)
    return torch.tensor(rows, dtype=torch.int64)


def numbers(specs: Sequence[TrialSpec], share: float) -> torch.Tensor:
    """Return the update's coefficients, dropout's scale and the losses' `share` [T, 10]."""
    rows: list[list[float]] = []
    for spec in specs:
        dropout_scale = 1 / (1 - spec.dense_architecture.dropout)
        rows.append([*coefficient_row(make_rule(spec)), dropout_scale, share])
    return torch.tensor(rows, dtype=torch.float64)


def layers(specs: Sequence[TrialSpec]) -> torch.Tensor:
    """Return inputs, units, where weights, inputs' values and units' values begin [T, L, 5]; zeros below a trial's depth."""
    table = torch.zeros(len(specs), _deepest(specs), 5, dtype=torch.int64)
    weights = values = 0
    for trial, spec in enumerate(specs):
        for layer, (a, b) in enumerate(pairwise(spec.dense_architecture.sizes)):
            above = values + spec.batch_size * a
            table[trial, layer] = torch.tensor((a, b, weights, values, above))
            weights += (a + 1) * b
            values = above
        values += spec.batch_size * spec.dense_architecture.outputs
    return table


def _deepest(specs: Sequence[TrialSpec]) -> int:
    return max(len(spec.dense_architecture.sizes) - 1 for spec in specs)


@dataclass(frozen=True, slots=True)
class Launch:
    """What a launch trains with: updates `start` … `start + count - 1`; `steps` [count, T, 3], `batches` [count, B]."""

    start: int
    count: int
    steps: torch.Tensor
    batches: torch.Tensor


def launch(specs: Sequence[TrialSpec], like: torch.Tensor, start: int, count: int, rows: int) -> Launch:
    """Return the tables of a launch on the device of `like` and in its type, on their way there."""
    steps = np.stack([step_table(spec, start, start + count) for spec in specs], axis=1)
    steps = steps.astype(np.float32 if like.dtype == torch.float32 else np.float64)
    batches = draws.batch_rows(specs[0], start, start + count, rows)
    return Launch(start, count, _upload(torch.from_numpy(steps), like.device), _upload(batches, like.device))


def _upload(table: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy to the device without waiting for what it does."""
    if device.type != "cuda":
        return table
    return table.pin_memory().to(device, non_blocking=True)


def initial(specs: Sequence[TrialSpec], like: torch.Tensor) -> list[torch.Tensor]:
    """Return weights as drawn and moments of zero [P], and that all trials are alive [T], on the device of `like`."""
    weights = torch.zeros(weight_parts(specs)[-1].stop, dtype=like.dtype)
    for spec, part in zip(specs, weight_parts(specs), strict=True):
        draws.draw_layers(layers_of(weights[part], spec.dense_architecture), spec)
    first = like.new_zeros(len(weights))
    second = like.new_zeros(len(weights))
    alive = like.new_ones(len(specs), dtype=torch.int32)
    return [weights.to(like.device), first, second, alive]


def packed(state: Sequence[torch.Tensor], specs: Sequence[TrialSpec], staying: Sequence[int]) -> list[torch.Tensor]:
    """Return the state of the trials that stay."""
    *flat, alive = state
    parts = [weight_parts(specs)[trial] for trial in staying]
    packed_flat = [torch.cat([numbers[part] for part in parts]) for numbers in flat]
    return [*packed_flat, alive[list(staying)]]


def outputs(flat: torch.Tensor, network: Architecture, inputs: torch.Tensor) -> torch.Tensor:
    """Return a trial's raw outputs [n, K] of inputs [n, F]."""
    return torch.cat([_outputs(flat, network, rows) for rows in torch.split(inputs, EVALUATED)])


def _outputs(flat: torch.Tensor, network: Architecture, hidden: torch.Tensor) -> torch.Tensor:
    *below, (weight, bias) = layers_of(flat, network)
    for weights, biases in below:
        hidden = ACTIVATIONS[network.activation](torch.addmm(biases, hidden, weights.t()))
    return torch.addmm(bias, hidden, weight.t())
