"""What a lane of the GPU's resident engine keeps of its trials: flat arrays of all of them, and what is read out of them.

A layer's weights are [inputs, units], then comes its bias. Letters of shapes: P numbers of all trials, T trials, a and b inputs and units.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch

from hpsearch.training import draws
from hpsearch.training.activations import ACTIVATIONS
from hpsearch.training.compiled.triton_tables import architecture, layer_parts, weight_parts
from hpsearch.training.progress import Weights
from hpsearch.trial import Architecture, TrialSpec

EVALUATED = 8192  # validation rows at a time


def initial(specs: Sequence[TrialSpec], like: torch.Tensor) -> list[torch.Tensor]:
    """Return weights as drawn and moments of zero [P], and that all trials are alive [T], on the device of `like`."""
    weights = torch.zeros(weight_parts(specs)[-1].stop, dtype=like.dtype)
    for spec, part in zip(specs, weight_parts(specs), strict=True):
        drawn = draws.initial_weights(architecture(spec), spec.seed)
        for (weight, _), values in zip(layers_of(weights[part], architecture(spec)), drawn, strict=True):
            weight.copy_(values.t())
    moments = (like.new_zeros(len(weights)) for _ in range(2))
    return [weights.to(like.device), *moments, like.new_ones(len(specs), dtype=torch.int32)]


def packed(state: Sequence[torch.Tensor], specs: Sequence[TrialSpec], staying: Sequence[int]) -> list[torch.Tensor]:
    """Return the state of the trials that stay."""
    *flat, alive = state
    parts = [weight_parts(specs)[trial] for trial in staying]
    return [*(torch.cat([kept[part] for part in parts]) for kept in flat), alive[list(staying)]]


def layers_of(flat: torch.Tensor, network: Architecture) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return weight [a, b] and bias [b] of each layer, as views into a trial's numbers."""
    shapes = pairwise(network.sizes)
    parts = [flat[part] for part in layer_parts(network)]
    return [(part[: a * b].view(a, b), part[a * b :]) for part, (a, b) in zip(parts, shapes, strict=True)]


def named(flat: torch.Tensor, network: Architecture) -> Weights:
    """Return copies of a trial's weights by their names in `DNN`."""
    weights = {}
    for layer, (weight, bias) in enumerate(layers_of(flat, network)):
        weights[f"layers.{layer}.weight"] = weight.t().clone(memory_format=torch.contiguous_format)
        weights[f"layers.{layer}.bias"] = bias.clone()
    return weights


def outputs(flat: torch.Tensor, network: Architecture, inputs: torch.Tensor) -> torch.Tensor:
    """Return a trial's raw outputs [n, K] of inputs [n, F]."""
    return torch.cat([_outputs(flat, network, rows) for rows in torch.split(inputs, EVALUATED)])


def _outputs(flat: torch.Tensor, network: Architecture, hidden: torch.Tensor) -> torch.Tensor:
    *below, (weight, bias) = layers_of(flat, network)
    for weights, biases in below:
        hidden = ACTIVATIONS[network.activation](torch.addmm(biases, hidden, weights))
    return torch.addmm(bias, hidden, weight)
