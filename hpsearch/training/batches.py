"""Batches by update, as slices of tensors that lie on the device.

A pass visits the rows in a fresh order, in batches of exactly B; rows that do not fill a last batch wait for another pass.
"""

import torch

from hpsearch.data.dataset import Rows
from hpsearch.training import draws
from hpsearch.trial import TrialSpec

BLOCK = 8192  # rows gathered at a time: few calls at batch size 1, no second copy of the data set


class Batches:
    """The batches of a trial; `batches[update]` is inputs [B, F] and targets [B, ...]."""

    def __init__(self, rows: Rows, spec: TrialSpec) -> None:
        self.rows = rows
        self.spec = spec
        self.count = len(rows)
        self.per_pass = self.count // spec.batch_size
        self.per_block = max(1, BLOCK // spec.batch_size)
        self._pass = -1  # the pass that `_order` [N] belongs to
        self._order = torch.empty(0, dtype=torch.long)
        self._block = (-1, -1)  # the pass and the block that are gathered
        self._gathered = (rows.inputs, rows.targets)

    def __getitem__(self, update: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the batch of an update; the full batch is the rows themselves."""
        size = self.spec.batch_size
        if size == self.count:
            return self.rows.inputs, self.rows.targets
        pass_, index = divmod(update, self.per_pass)
        block, offset = divmod(index, self.per_block)
        if self._block != (pass_, block):
            self._gathered = self._gather(pass_, block * self.per_block * size)
            self._block = (pass_, block)
        inputs, targets = self._gathered
        batch = slice(offset * size, (offset + 1) * size)
        return inputs[batch], targets[batch]

    def _gather(self, pass_: int, start: int) -> tuple[torch.Tensor, torch.Tensor]:
        if self._pass != pass_:
            order = draws.batch_order(self.spec.order_seed, self.spec.batch_size, pass_, self.count)
            self._order = order.to(self.rows.inputs.device)
            self._pass = pass_
        chosen = self._order[start : start + self.per_block * self.spec.batch_size]
        return self.rows.inputs.index_select(0, chosen), self.rows.targets.index_select(0, chosen)
