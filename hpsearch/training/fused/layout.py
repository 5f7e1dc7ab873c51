"""The layout: where each trial's weights lie in the cohort's flat buffers.

Trials are ordered by depth, the deepest first, so that hidden layer l is a prefix of them; trials of one depth, a *segment*, share the
product of their output layers. What acts on the inputs (the first hidden layer, or the outputs of a linear model) has a row for each
unit in a buffer of its own, [U, I], unpadded: every trial sees the same batch, so it is one product. The rest is a row for each trial,
[T, P]: output layers, then hidden layer after hidden layer, padded to its widest trial.

Letters of shapes: T trials, U units on the inputs, I inputs, C outputs, B rows, N trials in a prefix, H padded units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

from hpsearch.trial import Architecture, TrialSpec

ALIGNMENT = 8  # units; the fast kernels for matrix products read 16 bytes at a time
LAUNCH = 2**15  # numbers that are updated in the time that one more launch takes


def ordered(specs: Sequence[TrialSpec]) -> list[TrialSpec]:
    """Return the trials by depth, the deepest first, then by activation, back and forth, so that equal ones meet at a depth's end."""
    ranked = sorted(specs, key=lambda spec: -len(architecture(spec).widths))
    segments = [list(group) for _, group in groupby(ranked, lambda spec: len(architecture(spec).widths))]
    return [
        spec
        for turn, segment in enumerate(segments)
        for spec in sorted(segment, key=lambda spec: architecture(spec).activation, reverse=bool(turn % 2))
    ]


def architecture(spec: TrialSpec) -> Architecture:
    """Return the trial's architecture; the fused engine trains dense networks only."""
    assert spec.architecture is not None, "a network of one's own trains in the reference engine"
    return spec.architecture


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
        depths = [len(a.widths) for a in architectures]
        self.architectures, self.trials = architectures, len(architectures)
        self.inputs, self.outputs = architectures[0].inputs, architectures[0].outputs
        self.counts = [sum(depth > layer for depth in depths) for layer in range(max(depths))]
        self.widths = [
            _aligned(max(a.widths[layer] for a in architectures[:count])) for layer, count in enumerate(self.counts)
        ]
        self.segments = {d: slice(depths.index(d), depths.index(d) + depths.count(d)) for d in dict.fromkeys(depths)}
        self.units = [slice(a, b) for a, b in pairwise(accumulate((a.sizes[1] for a in architectures), initial=0))]
        self._reserve_columns()

    def _reserve_columns(self) -> None:
        self.columns = 0
        last = max((self.widths[depth - 1] for depth in self.segments if depth), default=0)
        self.output_bias, self.output_weight = self._reserve(self.outputs), self._reserve(self.outputs * last)
        self.biases, self.weights, ends = [], [], [self.columns]
        for below, width in pairwise((0, *self.widths)):  # the first layer's weights lie elsewhere
            self.biases.append(self._reserve(width))
            self.weights.append(self._reserve(width * below))
            ends.append(self.columns)
        layers = [Rectangle(count, a, b) for count, (a, b) in zip(self.counts, pairwise(ends), strict=True)]
        self.rectangles = _merged([Rectangle(self.trials, 0, ends[0]), *layers])

    def _reserve(self, size: int) -> slice:
        start, self.columns = self.columns, self.columns + _aligned(size)
        return slice(start, start + size)

    @property
    def hidden_units(self) -> int:
        """Units on the inputs that are hidden ones; those of linear models, at the end, are outputs."""
        return self.units[self.counts[0] - 1].stop if self.counts else 0

    @property
    def places(self) -> list[int] | None:
        """Where each hidden unit on the inputs goes in [N, H] padded ones, as one index; None where there is no padding."""
        if not self.counts or self.hidden_units == self.counts[0] * self.widths[0]:
            return None
        firsts = [a.widths[0] for a in self.architectures[: self.counts[0]]]
        return [trial * self.widths[0] + unit for trial, width in enumerate(firsts) for unit in range(width)]

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
        before, columns = merged[-1], rectangle.stop - rectangle.start
        if (before.rows - rectangle.rows) * columns <= LAUNCH:
            merged[-1] = Rectangle(before.rows, before.start, rectangle.stop)
        else:
            merged.append(rectangle)
    return merged
