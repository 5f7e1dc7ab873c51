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

    Each trial has its own number of updates behind it. `position` [1] is the row of the next update in the block. `trials` [T, 4] are each
    trial's first update in the block, how many it makes there (one with fewer than others rests after its last), its order of batches, and
    how many orders O there are, 0 for a full batch. `steps` [K, T, 3] are those of `step_table`; `batches` begins with row numbers
    [K, O, B]; `losses` [K, T] are to be written. There is room for so many `trials` (None: these).
    """

    def __init__(self, specs: Sequence[TrialSpec], rows: Rows, trials: int | None = None) -> None:
        self.specs = specs
        self.rows = len(rows)
        self.batch_size = specs[0].batch_size
        self.drawn = self.batch_size < self.rows
        room = trials or len(specs)  # T
        # At most: trials at different updates have batches of their own.
        orders = trials or len({spec.order_seed for spec in specs})
        longest = max(b - a for a, b in pairwise((0, *specs[0].evaluate_at)))
        most = NUMBERS // (3 * room + orders * self.batch_size)
        self.updates = max(1, min(longest, UPDATES, most))  # K
        like = rows.inputs
        self.position = like.new_zeros(1, dtype=torch.long)
        self.trials = like.new_zeros(room, 4, dtype=torch.long)
        self.steps = like.new_zeros(self.updates, room, 3)
        self.losses = like.new_zeros(self.updates, room)
        numbers = self.updates * orders * self.batch_size
        self.batches = like.new_zeros(numbers if self.drawn else 1, dtype=torch.long)

    def load(self, updates: Sequence[range]) -> None:
        """Write the tables of each trial's next updates, a block at most, and begin with the first of them."""
        count = max(map(len, updates))
        steps = np.zeros((count, *self.steps.shape[1:]))
        trials = np.zeros(self.trials.shape, dtype=np.int64)
        orders: dict[tuple[int, int], int] = {}
        batches: list[torch.Tensor] = []
        for trial, (spec, own) in enumerate(zip(self.specs, updates, strict=True)):
            if not own:
                continue
            steps[: len(own), trial] = step_table(spec, own.start, own.stop)
            key = (spec.order_seed, own.start)
            if self.drawn and key not in orders:
                orders[key] = len(orders)
                batches.append(self._batches(spec, own, count))
            trials[trial, :3] = (own.start, len(own), orders.get(key, 0))
        trials[:, 3] = len(orders)
        upload(torch.from_numpy(steps), self.steps[:count])
        upload(torch.from_numpy(trials), self.trials)
        if batches:
            drawn = torch.stack(batches, dim=1).flatten()
            upload(drawn, self.batches[: len(drawn)])
        upload(torch.zeros(1), self.position)

    def _batches(self, spec: TrialSpec, updates: range, count: int) -> torch.Tensor:
        """Return row numbers [count, B] of the batches of updates; further ones are of no use."""
        batches = torch.zeros(count, self.batch_size, dtype=torch.long)
        batches[: len(updates)] = draws.batch_rows(spec, updates.start, updates.stop, self.rows)
        return batches

    def end(self) -> None:
        """Go on to the next update."""
        self.position.add_(1)


def upload(values: torch.Tensor, target: torch.Tensor) -> None:
    """Copy to the device without waiting for it."""
    values = values.to(target.dtype)
    if target.is_cuda:
        values = values.pin_memory()
    target.copy_(values, non_blocking=True)
