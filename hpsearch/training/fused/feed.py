"""The feed: what changes from update to update, as tables on the device; a counter on the device is the row of the next update.

A table holds a block of updates, so that a window of any length needs little memory, and is written in place: a recorded step reads
from the same addresses every time.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from hpsearch.data.dataset import Rows
from hpsearch.training import draws
from hpsearch.training.schedules import step_table
from hpsearch.trial import TrialSpec

UPDATES = 1024  # of a block, at most
ROWS = 2**20  # of a block's batches, at most


class Feed:
    """The tables of a cohort: `steps` [K, T, 3], `keys` of dropout [K, layers], `indices` of rows [K, B], `losses` [K, T]."""

    def __init__(self, specs: Sequence[TrialSpec], rows: Rows, layers: int) -> None:
        self.specs = specs
        self.rows = rows
        self.batch_size = specs[0].batch_size
        assert len({spec.order_seed for spec in specs}) == 1, "the trials of a cohort belong to one study"
        longest = max(b - a for a, b in pairwise((0, *specs[0].evaluate_at)))
        self.updates = max(1, min(longest, UPDATES, ROWS // self.batch_size))
        like = rows.inputs
        integers = like.new_zeros(0, dtype=torch.long)
        self.counter = integers.new_zeros(1)
        self.steps = like.new_zeros(self.updates, len(specs), 3)
        self.losses = like.new_zeros(self.updates, len(specs))
        self.keys = integers.new_zeros(self.updates, layers)
        self.full = self.batch_size == len(rows)
        self.indices = integers.new_zeros(0 if self.full else self.updates, self.batch_size)
        self.pass_ = -1  # the pass that `order` [rows] belongs to
        self.order = integers

    def load(self, start: int, stop: int) -> None:
        """Write the tables of updates start … stop - 1, a block at most, and begin with the first of them."""
        tables = np.stack([step_table(spec, start, stop) for spec in self.specs], axis=1)
        _upload(torch.from_numpy(tables), self.steps[: stop - start])
        updates = torch.arange(start, stop)
        seed = draws.noise_seed(self.specs[0].order_seed)
        keys = [draws.noise_key(seed, updates, layer) for layer in range(self.keys.shape[1])]
        if keys:
            _upload(torch.stack(keys, dim=1), self.keys[: stop - start])
        if not self.full:
            _upload(self._chosen(start, stop), self.indices[: stop - start])
        self.counter.zero_()

    def batch(self, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs [B, I] and targets [B, ...] of a part of the update's batch."""
        inputs, targets = self.rows.inputs, self.rows.targets
        if self.full:
            return inputs[part], targets[part]
        index = self.indices.index_select(0, self.counter)[0, part]
        return inputs.index_select(0, index), targets.index_select(0, index)

    def key(self, layer: int) -> torch.Tensor:
        """Return the update's dropout key [] of a layer."""
        return self.keys.index_select(0, self.counter)[0, layer]

    def table(self) -> torch.Tensor:
        """Return the update's step, scale and shrink [T, 3]."""
        return self.steps.index_select(0, self.counter)[0]

    def end(self, losses: torch.Tensor) -> None:
        """Keep the update's losses [T], and go on to the next update."""
        self.losses.index_copy_(0, self.counter, losses.unsqueeze(0))
        self.counter.add_(1)

    def _chosen(self, start: int, stop: int) -> torch.Tensor:
        """Return the rows [updates, B] of the batches, which may lie in several passes."""
        per_pass = len(self.rows) // self.batch_size
        parts: list[torch.Tensor] = []
        while start < stop:
            pass_, index = divmod(start, per_pass)
            taken = min(stop - start, per_pass - index)
            parts.append(self._order(pass_)[index * self.batch_size : (index + taken) * self.batch_size])
            start += taken
        return torch.cat(parts).view(-1, self.batch_size)

    def _order(self, pass_: int) -> torch.Tensor:
        if self.pass_ != pass_:
            self.order = draws.batch_order(self.specs[0].order_seed, self.batch_size, pass_, len(self.rows))
            self.pass_ = pass_
        return self.order


def _upload(values: torch.Tensor, target: torch.Tensor) -> None:
    """Copy to the device without waiting for it."""
    values = values.to(target.dtype)
    target.copy_(values.pin_memory() if target.is_cuda else values, non_blocking=True)
