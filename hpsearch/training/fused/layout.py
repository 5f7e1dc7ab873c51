"""The layout: where each trial's weights lie in the cohort's flat buffers, and such buffers with views of them.

Trials are ordered by depth, the deepest first, so that hidden layer l is a prefix of them; trials of one depth, a *segment*, share the
product of their output layers. What acts on the inputs (the first hidden layer, or the outputs of a linear model) has a row for each
unit in a buffer of its own, [U, I], unpadded: every trial sees the same batch, so it is one product. The rest is a row for each trial,
[T, P]: output layers, then hidden layer after hidden layer, padded to its widest trial.

`Parameters` has one number for each weight of the cohort: weights, their gradients and their two moments are four of these. Padding is
zero in all of them from the start, and stays so.

Letters of shapes: T trials, U units on the inputs, I inputs, C outputs, B rows, N trials in a prefix, H padded units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

import torch

from hpsearch.trial import Architecture, TrialSpec

ALIGNMENT = 8  # units; the fast kernels for matrix products read 16 bytes at a time
LAUNCH_COST = 2**15  # numbers that are updated in the time that one more launch takes


def ordered(specs: Sequence[TrialSpec]) -> list[TrialSpec]:
    """Return the trials by depth, the deepest first, then by activation, back and forth, so that equal ones meet at a depth's end."""

    def depth(spec: TrialSpec) -> int:
        return len(spec.dense_architecture.widths)

    in_order: list[TrialSpec] = []
    deepest_first = sorted(specs, key=depth, reverse=True)
    for segment, (_, trials) in enumerate(groupby(deepest_first, depth)):
        backwards = segment % 2 == 1
        in_order += sorted(trials, key=lambda spec: spec.dense_architecture.activation, reverse=backwards)
    return in_order


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A part of the [T, P] buffer that is in use: its first so many rows, between two columns."""

    rows: int
    start: int
    stop: int


class Layout:
    """The layout of a cohort of architectures, the deepest first.

    `counts` and `widths` are the trials and padded units of each hidden layer; `segments` the rows of each depth; `units` each trial's
    rows among the units on the inputs; `output_bias`, `output_weight`, `biases`, `weights` columns of the [T, P] buffer, `columns` is P.
    """

    def __init__(self, architectures: Sequence[Architecture]) -> None:
        depths = [len(architecture.widths) for architecture in architectures]
        self.architectures = architectures
        self.trials = len(architectures)
        self.inputs = architectures[0].sizes[0]
        self.outputs = architectures[0].outputs
        self.counts = [sum(depth > layer for depth in depths) for layer in range(max(depths))]
        self.widths = [self._padded_width(layer) for layer in range(len(self.counts))]
        self.segments: dict[int, slice] = {}
        for depth in dict.fromkeys(depths):
            first = depths.index(depth)
            self.segments[depth] = slice(first, first + depths.count(depth))
        ends = accumulate((architecture.sizes[1] for architecture in architectures), initial=0)
        self.units = [slice(start, stop) for start, stop in pairwise(ends)]
        self._reserve_columns()

    def _padded_width(self, layer: int) -> int:
        having_it = self.architectures[: self.counts[layer]]
        return _aligned(max(architecture.widths[layer] for architecture in having_it))

    def _reserve_columns(self) -> None:
        self.columns = 0
        last = max((self.widths[depth - 1] for depth in self.segments if depth), default=0)
        self.output_bias = self._reserve(self.outputs)
        self.output_weight = self._reserve(self.outputs * last)
        self.biases: list[slice] = []
        self.weights: list[slice] = []
        ends = [self.columns]
        for below, width in pairwise((0, *self.widths)):  # the first layer's weights lie elsewhere
            self.biases.append(self._reserve(width))
            self.weights.append(self._reserve(width * below))
            ends.append(self.columns)
        layers = [Rectangle(count, a, b) for count, (a, b) in zip(self.counts, pairwise(ends), strict=True)]
        self.rectangles = _merged([Rectangle(self.trials, 0, ends[0]), *layers])

    def _reserve(self, size: int) -> slice:
        start = self.columns
        self.columns += _aligned(size)
        return slice(start, start + size)

    @property
    def hidden_units(self) -> int:
        """Units on the inputs that are hidden ones; those of linear models, at the end, are outputs."""
        return self.units[self.counts[0] - 1].stop if self.counts else 0

    @property
    def padded_index(self) -> list[int] | None:
        """Where each hidden unit on the inputs lies in [N, H] padded ones, as one index; None where there is no padding."""
        if not self.counts or self.hidden_units == self.counts[0] * self.widths[0]:
            return None
        index: list[int] = []
        for trial, architecture in enumerate(self.architectures[: self.counts[0]]):
            start = trial * self.widths[0]
            index += range(start, start + architecture.widths[0])
        return index

    @property
    def numbers(self) -> int:
        """Sums of all units for one row of a batch: what memory grows with."""
        hidden = sum(count * width for count, width in zip(self.counts, self.widths, strict=True))
        return self.units[-1].stop + hidden + self.trials * self.outputs


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _merged(rectangles: list[Rectangle]) -> list[Rectangle]:
    """Join neighbours where that updates fewer unused numbers than the launches cost which it saves."""
    merged = rectangles[:1]
    for rectangle in rectangles[1:]:
        before = merged[-1]
        columns = rectangle.stop - rectangle.start
        if (before.rows - rectangle.rows) * columns <= LAUNCH_COST:
            merged[-1] = Rectangle(before.rows, before.start, rectangle.stop)
        else:
            merged.append(rectangle)
    return merged


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
        layout = self.layout
        weights = self.rest[: layout.counts[layer], layout.weights[layer]]
        return weights.view(-1, layout.widths[layer], layout.widths[layer - 1])

    def _outputs(self, depth: int) -> torch.Tensor:
        layout = self.layout
        below = layout.widths[depth - 1]
        start = layout.output_weight.start
        columns = slice(start, start + layout.outputs * below)
        return self.rest[layout.segments[depth], columns].view(-1, layout.outputs, below)

    def of(self, trial: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return views of one trial's own numbers, without padding: weight [units, inputs] and bias [units] of each layer."""
        layout = self.layout
        sizes = layout.architectures[trial].sizes
        depth = len(sizes) - 2
        biases = [*layout.biases[:depth], layout.output_bias]
        layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        for layer, (inputs, units) in enumerate(pairwise(sizes)):
            weight = self._weight(trial, layer, depth)[:units, :inputs]
            bias = self.rest[trial, biases[layer]][:units]
            layers.append((weight, bias))
        return layers

    def _weight(self, trial: int, layer: int, depth: int) -> torch.Tensor:
        if layer == 0:
            return self.first[self.layout.units[trial]]
        if layer < depth:
            return self.hidden[layer][trial]
        return self.outputs[depth][trial - self.layout.segments[depth].start]


def copy_trial(source: Parameters, trial: int, target: Parameters, target_trial: int) -> None:
    """Copy one trial's numbers from one layout into another."""
    for old, new in zip(source.of(trial), target.of(target_trial), strict=True):
        for old_part, new_part in zip(old, new, strict=True):
            new_part.copy_(old_part)
