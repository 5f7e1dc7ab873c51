"""A cohort on the device: layout, network, optimizers and feed of its trials, and the step that trains all of them by one update.

The step reads and writes tensors only: no number of an update passes through Python, nothing waits for the device.
"""

from collections.abc import Sequence

import torch

from hpsearch.data.dataset import Data, Rows
from hpsearch.training import draws
from hpsearch.training.feed import Feed, upload
from hpsearch.training.fused.activations import Activations, Dropout
from hpsearch.training.fused.layout import Layout, Parameters, copy_trial
from hpsearch.training.fused.network import LOSSES, Network
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
        self.feed = CohortFeed(specs, data.training, data.row_weights, len(self.layout.counts))
        self.rows = torch.arange(specs[0].batch_size, device=like.device)  # [B]
        self.loss = LOSSES[data.task.name]
        self.smoothing = _smoothing(specs, like)

    @property
    def state(self) -> tuple[Parameters, ...]:
        """What training goes on from: weights and moments."""
        return self.network.weights, self.update.firsts, self.update.seconds

    def draw(self) -> None:
        """Set every trial's initial weights."""
        for trial, spec in enumerate(self.specs):
            draws.draw_layers(self.network.weights.of(trial), spec)

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
        inputs, targets, weights = self.feed.batch(part)
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
        loss, errors = self.loss(outputs, targets, len(self.rows), weights, self.smoothing)
        self.network.backward(inputs, activations, slopes, errors, add)
        return loss

    def outputs(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return outputs [T, C, B] of inputs [B, I], without dropout."""
        parts = [inputs[part] for part in _parts(inputs, self.layout)]
        return torch.cat([self.network.forward(part, self.activations.values)[1] for part in parts], dim=2)


def _smoothing(specs: Sequence[TrialSpec], like: torch.Tensor) -> torch.Tensor | None:
    """Return each trial's smoothing of labels [T, 1, 1], None where no trial has any."""
    shares = [spec.label_smoothing for spec in specs]
    return like.new_tensor(shares).view(-1, 1, 1) if any(shares) else None


def _parts(batch: torch.Tensor, layout: Layout) -> list[slice]:
    """Return the rows of a batch in parts of like size that memory holds, whatever the batch."""
    rows = len(batch)
    count = -(-rows * layout.numbers // MAX_SUMS[batch.device.type])
    size = -(-rows // min(max(count, 1), rows))
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


class CohortFeed:
    """The tables of a cohort, the dropout's `keys` [K, layers] besides, and the batch of the present update."""

    def __init__(self, specs: Sequence[TrialSpec], rows: Rows, weights: torch.Tensor | None, layers: int) -> None:
        assert len({spec.order_seed for spec in specs}) == 1, "the trials of a cohort belong to one study"
        self.rows = rows
        self.weights = weights  # in the loss, of all rows [N]; None: all alike
        self.noise_seed = draws.noise_seed(specs[0].order_seed)
        self.tables = Feed(specs, rows)
        self.row = self.tables.position  # [1], of the present update in the tables
        self.batches = self.tables.batches  # [K, B], of one order; of no use to a full batch
        if self.tables.drawn:
            self.batches = self.batches.view(self.tables.updates, -1)
        self.keys = self.row.new_zeros(self.tables.updates, layers)

    def load(self, start: int, stop: int) -> None:
        """Write the tables of updates start … stop - 1, a block at most, and begin with the first of them."""
        self.tables.load([range(start, stop)] * len(self.tables.specs))
        updates = torch.arange(start, stop)
        keys = [draws.noise_key(self.noise_seed, updates, layer) for layer in range(self.keys.shape[1])]
        if keys:
            upload(torch.stack(keys, dim=1), self.keys[: stop - start])

    def batch(self, part: slice) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return inputs [B, I], targets [B, ...] and weights [B] (None: all alike) of a part of the update's batch."""
        inputs, targets = self.rows.inputs, self.rows.targets
        if not self.tables.drawn:
            return inputs[part], targets[part], None if self.weights is None else self.weights[part]
        index = self.batches.index_select(0, self.row)[0, part]
        weights = self.weights
        if weights is not None:
            weights = weights.index_select(0, index)
        return inputs.index_select(0, index), targets.index_select(0, index), weights

    def key(self, layer: int) -> torch.Tensor:
        """Return the update's dropout key [] of a layer."""
        return self.keys.index_select(0, self.row)[0, layer]

    def table(self) -> torch.Tensor:
        """Return the update's step, scale and shrink [T, 3]."""
        return self.tables.steps.index_select(0, self.row)[0]

    def end(self, losses: torch.Tensor) -> None:
        """Keep the update's losses [T], and go on to the next update."""
        self.tables.losses.index_copy_(0, self.row, losses.unsqueeze(0))
        self.tables.end()
