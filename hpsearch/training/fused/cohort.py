"""A cohort on the device: layout, network, optimizers and feed of its trials, and the step that trains all of them by one update.

The step reads and writes tensors only: no number of an update passes through Python, nothing waits for the device.
"""

from collections.abc import Sequence

import torch

from hpsearch.data.dataset import Data
from hpsearch.training import draws
from hpsearch.training.fused.activations import Activations, Dropout
from hpsearch.training.fused.feed import Feed
from hpsearch.training.fused.layout import Layout, Parameters, copy_trial
from hpsearch.training.fused.losses import LOSSES
from hpsearch.training.fused.network import Network
from hpsearch.training.fused.precision import Products
from hpsearch.training.fused.update import CohortUpdate
from hpsearch.trial import TrialSpec

# sums of units that are computed at a time; a larger batch goes in parts: a CPU has caches, a GPU wants large products
MAX_SUMS = {"cpu": 2**22, "cuda": 2**26}


class Cohort:
    """The state of trials in the order of their layout, at zero until `draw` or `take_over`."""

    def __init__(self, specs: Sequence[TrialSpec], data: Data, products: Products) -> None:
        like = data.training.inputs
        self.specs = specs
        self.data = data
        self.layout = Layout([spec.dense_architecture for spec in specs])
        self.network = Network(self.layout, like, products)
        self.activations = Activations(self.layout, like.device)
        self.dropout = Dropout(self.layout, like)
        self.update = CohortUpdate(specs, self.layout, self.network.weights, self.network.gradients)
        self.feed = Feed(specs, data.training, len(self.layout.counts))
        self.rows = torch.arange(specs[0].batch_size, device=like.device)  # [B]
        self.loss = LOSSES[data.task.name]

    @property
    def state(self) -> tuple[Parameters, ...]:
        """What training goes on from: weights and moments."""
        return self.network.weights, self.update.firsts, self.update.seconds

    def draw(self) -> None:
        """Set every trial's initial weights."""
        for trial, spec in enumerate(self.specs):
            own = self.network.weights.of(trial)
            drawn = draws.initial_weights(spec.dense_architecture, spec.seed)
            for (weight, _), values in zip(own, drawn, strict=True):
                weight.copy_(values)

    def take_over(self, other: "Cohort") -> None:
        """Go on from the state of these trials in another cohort."""
        trials = {spec.number: trial for trial, spec in enumerate(other.specs)}
        for trial, spec in enumerate(self.specs):
            for old, new in zip(other.state, self.state, strict=True):
                if not new.first.is_meta:  # a moment that none of these trials needs
                    copy_trial(old, trials[spec.number], new, trial)

    def step(self) -> None:
        """Train every trial by one update."""
        losses = [self._gradients(part, index > 0) for index, part in enumerate(_parts(self.rows, self.layout))]
        self.update(self.feed.table())
        self.feed.end(torch.stack(losses).sum(0))

    def _gradients(self, part: slice, add: bool) -> torch.Tensor:
        """Compute the gradients of a part of the batch, or add them; return its share of the losses [T]."""
        inputs, targets = self.feed.batch(part)
        slopes: list[torch.Tensor] = []

        def activate(layer: int, sums: torch.Tensor) -> torch.Tensor:
            values, slope = self.activations.with_slopes(layer, sums)
            if self.dropout.layers[layer]:
                keep = self.dropout.keep(layer, self.feed.key(layer), self.rows[part], sums)
                values = values * keep
                slope = slope * keep
            slopes.append(slope)
            return values

        activations, outputs = self.network.forward(inputs, activate)
        loss, errors = self.loss(outputs, targets, len(self.rows), self.data.class_weights)
        self.network.backward(inputs, activations, slopes, errors, add)
        return loss

    def outputs(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return outputs [T, C, B] of inputs [B, I], without dropout."""
        parts = [inputs[part] for part in _parts(inputs, self.layout)]
        return torch.cat([self.network.forward(part, self.activations.values)[1] for part in parts], dim=2)


def _parts(batch: torch.Tensor, layout: Layout) -> list[slice]:
    """Return the rows of a batch in parts of like size that memory holds, whatever the batch."""
    rows = len(batch)
    count = -(-rows * layout.numbers // MAX_SUMS[batch.device.type])
    size = -(-rows // min(max(count, 1), rows))
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
