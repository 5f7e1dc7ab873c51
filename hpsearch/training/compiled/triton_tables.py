"""Tables on the device for the GPU's kernel: what the trials of a lane are, where their numbers lie, and what a launch trains with.

Letters of shapes: T trials, L layers of the deepest, B rows of a batch, N training rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import torch

from hpsearch.training import batch_order, draws
from hpsearch.training.compiled.activations import CODES
from hpsearch.training.compiled.updates import Rule, make_rule
from hpsearch.training.steps import step_table
from hpsearch.trial import Architecture, TrialSpec

COEFFICIENTS = Rule._fields[2:]  # decay, first_keep, first_take, second_keep, second_take, direct, through, epsilon


def architecture(spec: TrialSpec) -> Architecture:
    """Return the trial's architecture."""
    assert spec.architecture is not None, "a network of one's own trains in the reference engine"
    return spec.architecture


def weight_parts(specs: Sequence[TrialSpec]) -> list[slice]:
    """Return where each trial's weights lie among those of all."""
    ends = accumulate((architecture(spec).parameters for spec in specs), initial=0)
    return [slice(start, stop) for start, stop in pairwise(ends)]


def layer_parts(network: Architecture) -> list[slice]:
    """Return where each layer's weights and bias lie among those of its trial."""
    ends = accumulate(((a + 1) * b for a, b in pairwise(network.sizes)), initial=0)
    return [slice(start, stop) for start, stop in pairwise(ends)]


def room(specs: Sequence[TrialSpec]) -> int:
    """Return how many inputs and values of all layers the batches of all trials have."""
    return sum(spec.batch_size * sum(architecture(spec).sizes) for spec in specs)


def integers(specs: Sequence[TrialSpec]) -> torch.Tensor:
    """Return depth, activation, dropout's threshold and seed, if there is a first and a second moment, where layers begin [T, 7]."""
    rows, depths = [], _depths(specs)
    for trial, spec in enumerate(specs):
        network, rule = architecture(spec), make_rule(spec)
        noise = draws.noise_threshold(network.dropout), draws.noise_seed(spec.order_seed)
        rows.append(
            (len(network.sizes) - 1, CODES[network.activation], *noise, rule.first, rule.second, 5 * depths * trial)
        )
    return torch.tensor(rows, dtype=torch.int64)


def numbers(specs: Sequence[TrialSpec], share: float) -> torch.Tensor:
    """Return the update's coefficients, dropout's scale and the losses' `share` [T, 10]; without a second moment the divisor is 1."""
    rows = []
    for spec in specs:
        rule = make_rule(spec)
        rule = rule if rule.second else rule._replace(epsilon=1.0)
        scale = 1 / (1 - architecture(spec).dropout)
        rows.append((*(getattr(rule, name) for name in COEFFICIENTS), scale, share))
    return torch.tensor(rows, dtype=torch.float64)


def layers(specs: Sequence[TrialSpec]) -> torch.Tensor:
    """Return inputs, units, where weights, inputs' values and units' values begin [T, L, 5]; zeros below a trial's depth."""
    table = torch.zeros(len(specs), _depths(specs), 5, dtype=torch.int64)
    weights = values = 0
    for trial, spec in enumerate(specs):
        for layer, (a, b) in enumerate(pairwise(architecture(spec).sizes)):
            above = values + spec.batch_size * a
            table[trial, layer] = torch.tensor((a, b, weights, values, above))
            weights, values = weights + (a + 1) * b, above
        values += spec.batch_size * architecture(spec).outputs
    return table


def _depths(specs: Sequence[TrialSpec]) -> int:
    return max(len(architecture(spec).sizes) - 1 for spec in specs)


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
    tables = torch.from_numpy(steps), _batches(specs[0], start, count, rows)
    return Launch(start, count, *(_upload(table, like.device) for table in tables))


def _batches(spec: TrialSpec, start: int, count: int, rows: int) -> torch.Tensor:
    """Return the row numbers [count, B] of batches that may lie in several passes."""
    size, parts = spec.batch_size, [torch.empty(0, dtype=torch.int64)]
    per_pass = rows // size
    while count:
        pass_, index = divmod(start, per_pass)
        taken = min(count, per_pass - index)
        order = batch_order.batch_order(spec.order_seed, size, pass_, rows)
        parts.append(torch.from_numpy(order[index * size : (index + taken) * size].copy()))
        start, count = start + taken, count - taken
    return torch.cat(parts).view(-1, size)


def _upload(table: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy to the device without waiting for what it does."""
    return table.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else table
