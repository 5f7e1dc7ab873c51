"""Parameters: one number for each weight of the cohort, in the flat buffers of its layout, and views of them.

Weights, their gradients and their two moments are four of these. Padding is zero in all of them from the start, and stays so.
"""

from itertools import pairwise

import torch

from hpsearch.training.fused.layout import Layout


class Parameters:
    """Flat buffers `first` [U, I] and `rest` [T, P], zero at first, and views of `rest`.

    `hidden[layer]` [N, H, H below] from layer 1 on, `biases[layer]` [N, H, 1]; `outputs[depth]` [trials of that depth, C, H below]
    from depth 1 on, `output_bias` [T, C, 1].
    """

    def __init__(self, layout: Layout, like: torch.Tensor) -> None:
        self.layout = layout
        self.first = like.new_zeros(layout.units[-1].stop, layout.inputs)
        self.rest = like.new_zeros(layout.trials, layout.columns)
        self.output_bias = self.rest[:, layout.output_bias].unsqueeze(2)
        prefixes = [self.rest[:count] for count in layout.counts]
        self.biases = [rows[:, part].unsqueeze(2) for rows, part in zip(prefixes, layout.biases, strict=True)]
        self.hidden = {layer: self._hidden(layer) for layer in range(1, len(layout.counts))}
        self.outputs = {depth: self._outputs(depth) for depth in layout.segments if depth}

    def _hidden(self, layer: int) -> torch.Tensor:
        below, width = self.layout.widths[layer - 1 : layer + 1]
        return self.rest[: self.layout.counts[layer], self.layout.weights[layer]].view(-1, width, below)

    def _outputs(self, depth: int) -> torch.Tensor:
        layout = self.layout
        below, start = layout.widths[depth - 1], layout.output_weight.start
        columns = slice(start, start + layout.outputs * below)
        return self.rest[layout.segments[depth], columns].view(-1, layout.outputs, below)

    def of(self, trial: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return views of one trial's own numbers, without padding: weight [units, inputs] and bias [units] of each layer."""
        layout = self.layout
        sizes = layout.architectures[trial].sizes
        biases = [*layout.biases[: len(sizes) - 2], layout.output_bias]
        return [
            (self._weight(trial, layer, len(sizes) - 2)[:units, :inputs], self.rest[trial, biases[layer]][:units])
            for layer, (inputs, units) in enumerate(pairwise(sizes))
        ]

    def _weight(self, trial: int, layer: int, depth: int) -> torch.Tensor:
        if layer == 0:
            return self.first[self.layout.units[trial]]
        if layer < depth:
            return self.hidden[layer][trial]
        return self.outputs[depth][trial - self.layout.segments[depth].start]


def copy_trial(source: Parameters, trial: int, target: Parameters, place: int) -> None:
    """Copy one trial's numbers from one layout into another."""
    for old, new in zip(source.of(trial), target.of(place), strict=True):
        new[0].copy_(old[0])
        new[1].copy_(old[1])
