"""What changes from update to update of a group, as tables on the device, so that a step is a function of the device's state.

A table holds a block of K updates, so that a window of any length needs little memory, and is written in place: a recorded step reads from
the same addresses every time.
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
NUMBERS = 2**22  # of a block's tables, about, at most


class Feed:
    """The tables of trials of one batch size and the same evaluations, on the device of their rows and in the type of its numbers.

    `position` [2] is the row of the next update in the block, and its number among all. `steps` [K, T, 3] are those of `step_table`;
    `batches` [K, O, B] row numbers in each of the trials' O orders, of no use to a full batch; `losses` [K, T] are to be written.
    """

    def __init__(self, specs: Sequence[TrialSpec], rows: Rows) -> None:
        self.specs = specs
        self.rows = len(rows)
        self.batch_size = specs[0].batch_size
        self.drawn = self.batch_size < self.rows
        self.orders = list({spec.order_seed: spec for spec in specs}.values())  # a trial of each order
        longest = max(b - a for a, b in pairwise((0, *specs[0].evaluate_at)))
        most = NUMBERS // (3 * len(specs) + len(self.orders) * self.batch_size)
        self.updates = max(1, min(longest, UPDATES, most))  # K
        like = rows.inputs
        self.position = like.new_zeros(2, dtype=torch.long)
        self.steps = like.new_zeros(self.updates, len(specs), 3)
        self.losses = like.new_zeros(self.updates, len(specs))
        shape = (self.updates, len(self.orders), self.batch_size)
        self.batches = like.new_zeros(shape if self.drawn else (1, 1, 1), dtype=torch.long)

    def load(self, start: int, stop: int) -> None:
        """Write the tables of updates start … stop - 1, a block at most, and begin with the first of them."""
        tables = np.stack([step_table(spec, start, stop) for spec in self.specs], axis=1)
        upload(torch.from_numpy(tables), self.steps[: stop - start])
        if self.drawn:
            chosen = [draws.batch_rows(spec, start, stop, self.rows) for spec in self.orders]
            upload(torch.stack(chosen, dim=1), self.batches[: stop - start])
        upload(torch.tensor([0, start]), self.position)

    def end(self) -> None:
        """Go on to the next update."""
        self.position.add_(1)


def upload(values: torch.Tensor, target: torch.Tensor) -> None:
    """Copy to the device without waiting for it."""
    values = values.to(target.dtype)
    if target.is_cuda:
        values = values.pin_memory()
    target.copy_(values, non_blocking=True)
