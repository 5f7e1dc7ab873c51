"""`Step`: one update of all trials of a group, as launches of the GPU's kernels; it reads and writes the device's state only."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch

from hpsearch.data.dataset import Data, Rows
from hpsearch.training.compiled import losses
from hpsearch.training.compiled.triton import kernels, tables
from hpsearch.training.devices import free_bytes
from hpsearch.training.feed import Feed, upload
from hpsearch.trial import TrialSpec

SIDE = 32  # inputs and units of a tile of weights
ROWS = (16, 64)  # of a tile, at least and at most: the tensor cores' least, and what registers hold
LOSSES = 2**12  # numbers of a tile of outputs, at most
EVALUATED = 4096  # rows at a time
MEMORY_SHARE = 1 / 8  # of the free memory of a GPU for the values of a batch
CPU_BYTES = 2**28  # for them on a CPU
TERMS = 1024  # of a tile's sums at a time, of all rows: more of them a row where there are few rows
STAGES = 2
WARPS = 4  # of 32 threads in a block
SPARE = 1 / 2  # of a step's room more than its first trials need


@dataclass(frozen=True, slots=True)
class Tiles:
    """The tiles that a group's kernels are compiled for; they follow from batch size, outputs and type of numbers, not from the trials."""

    rows: int
    depth: int  # terms of a sum at a time
    batch_depth: int  # likewise, of a sum over the batch
    loss_rows: int
    outputs: int

    @classmethod
    def of(cls, spec: TrialSpec, dtype: torch.dtype) -> "Tiles":
        """Return the tiles of a trial's group."""
        least, most = ROWS
        rows = min(most, max(least, _power_of_two(spec.batch_size)))
        if dtype == torch.float64:
            rows = least  # registers hold half as many of these numbers
        outputs = _power_of_two(spec.dense_architecture.outputs)
        return cls(rows, TERMS // rows, min(rows, 2 * least), min(rows, max(1, LOSSES // outputs)), outputs)


def _power_of_two(size: int) -> int:
    """Return the smallest power of two that is not below a size."""
    return 1 << (size - 1).bit_length()


def rows_of_a_part(units: int, batch_size: int, like: torch.Tensor) -> int:
    """Return how many rows of a batch are computed at a time: all, or a multiple of all tiles that memory holds the values of."""
    free = CPU_BYTES / MEMORY_SHARE
    if like.is_cuda:
        free = free_bytes(like.device)
    bytes_of_a_row = 3 * units * like.element_size()
    fitting = int(free * MEMORY_SHARE / bytes_of_a_row)
    if fitting >= batch_size:
        return batch_size
    return max(ROWS[1], fitting // ROWS[1] * ROWS[1])


@dataclass(frozen=True, slots=True)
class Room:
    """How much a step can hold: trials, numbers of their weights, units, tiles of each launch."""

    trials: int
    numbers: int
    units: int
    tiles: tuple[int, ...]

    @classmethod
    def of(cls, specs: Sequence[TrialSpec], work: tables.Work) -> "Room":
        """Return what trials need."""
        numbers = tables.weight_parts(specs)[-1].stop
        return cls(len(specs), numbers, tables.units_of(specs), tuple(map(len, work.launches)))

    def with_spare(self) -> "Room":
        """Return room for some more trials like these; one that is alone gets none, since memory may hold no other."""
        if self.trials == 1:
            return self
        tiles = tuple(map(_with_spare, self.tiles))
        return Room(_with_spare(self.trials), _with_spare(self.numbers), _with_spare(self.units), tiles)

    def holds(self, other: "Room") -> bool:
        """Whether there is room for what needs another one."""
        here = (self.trials, self.numbers, self.units, *self.tiles)
        there = (other.trials, other.numbers, other.units, *other.tiles)
        return all(a >= b for a, b in zip(here, there, strict=True))


def _with_spare(size: int) -> int:
    return ceil(size * (1 + SPARE))


class Step:
    """An update of trials of one batch size and the same evaluations; calling it trains all of them once.

    There is room for some more of them, and `use` changes in place which they are: a recording of the step is one of all of them.
    """

    def __init__(self, specs: Sequence[TrialSpec], data: Data, state: Sequence[torch.Tensor], precision: str) -> None:
        like = data.training.inputs
        self.like = like
        self.batch = specs[0].batch_size
        self.layers = tables.deepest(specs)
        self.room = Room.of(specs, tables.work(specs, SIDE, self.layers)).with_spare()
        self.work = tables.no_work(self.layers, self.room.tiles, like.device)
        self.part = rows_of_a_part(self.room.units, self.batch, like)
        self.tiles = Tiles.of(specs[0], like.dtype)
        self.feed = Feed(specs, data.training, self.room.trials)
        self.loss_tiles = -(-self.batch // self.tiles.loss_rows)
        gradient = like.new_zeros(self.room.numbers if self.part < self.batch else 1)
        weights, first, second = (like.new_zeros(self.room.numbers) for _ in state)
        self.state = kernels.State(weights, first, second, gradient)
        self.scratch = _scratch(self.part * self.room.units, like)
        self.rows = _rows(data.training, data.row_weights)
        self.weighted = data.row_weights is not None
        self.validation = _rows(data.validation, None)
        self.task = losses.CODES[data.task.name]
        self.share = 1 / self.batch  # of a loss in the update's
        if self.task != losses.MULTICLASS:
            self.share /= data.outputs
        self.trials = kernels.Trials(
            like.new_zeros(self.room.trials, 9, dtype=torch.long),
            like.new_zeros(self.room.trials, 11),
            like.new_zeros(self.room.trials, self.layers, 5, dtype=torch.long),
        )
        shares = like.new_zeros(self.room.trials, self.loss_tiles)
        feed = self.feed
        self.changing = kernels.Feed(feed.position, feed.trials, feed.steps, feed.batches, feed.losses, shares)
        self.common = {
            "side": SIDE,
            "precision": PRODUCTS[precision],
            "num_warps": WARPS,
            "num_stages": STAGES,
        }
        self.use(specs, state)

    def holds(self, specs: Sequence[TrialSpec]) -> bool:
        """Whether there is room for these trials."""
        if tables.deepest(specs) > self.layers:
            return False
        return self.room.holds(Room.of(specs, tables.work(specs, SIDE, self.layers)))

    def use(self, specs: Sequence[TrialSpec], state: Sequence[torch.Tensor]) -> None:
        """Train these trials from now on, for which there is room, from a state: weights and moments [P]."""
        self.feed.specs = specs
        for own, numbers in zip(self.state[:3], state, strict=True):
            own[: len(numbers)].copy_(numbers)
        work = tables.work(specs, SIDE, self.layers)
        for table, tiles in zip(self.work.launches, work.launches, strict=True):
            table.fill_(tables.NO_TRIAL)
            upload(tiles, table[: len(tiles)])
        count = len(specs)
        upload(tables.integers(specs, self.room.trials, self.layers), self.trials.integers[:count])
        upload(tables.numbers(specs, self.share), self.trials.numbers[:count])
        upload(tables.layers(specs, self.layers), self.trials.layers[:count])

    def __call__(self) -> None:
        """Train every trial by one update."""
        with torch.cuda.device(self.like.get_device()):  # -1, the CPU, changes nothing
            for first_row in range(0, self.batch, self.part):
                self._part(first_row, min(self.part, self.batch - first_row))
        self.feed.end()

    def _part(self, first_row: int, count: int) -> None:
        """Compute some rows of the batch; the last of them update the weights."""
        part = (first_row, count, self.part)
        row_tiles = -(-count // self.tiles.rows)
        self._forward(self.scratch, self.rows, part, training=True)
        kernels.loss[self.room.trials, -(-count // self.tiles.loss_rows)](
            self.scratch,
            self.rows,
            self.trials,
            self.changing,
            *part,
            self.loss_tiles,
            weighted=self.weighted,
            task=self.task,
            loss_rows=self.tiles.loss_rows,
            output_tile=self.tiles.outputs,
        )
        for tiles in reversed(self.work.backward):
            kernels.backward[len(tiles), row_tiles](
                tiles,
                self.state,
                self.scratch,
                self.trials,
                self.changing,
                count,
                self.part,
                row_tile=self.tiles.rows,
                depth=self.tiles.depth,
                **self.common,
            )
        kernels.learn[(len(self.work.learn),)](
            self.work.learn,
            self.state,
            self.scratch,
            self.rows,
            self.trials,
            self.changing,
            *part,
            self.loss_tiles,
            parts=self.part < self.batch,
            depth=self.tiles.batch_depth,
            **self.common,
        )

    def _forward(self, scratch: Any, rows: Any, part: tuple[int, int, int], *, training: bool) -> None:
        """Compute the values of all layers, in `training` their slopes too."""
        row_tiles = -(-part[1] // self.tiles.rows)
        for tiles in self.work.forward:
            kernels.forward[len(tiles), row_tiles](
                tiles,
                self.state,
                scratch,
                rows,
                self.trials,
                self.changing,
                *part,
                training=training,
                row_tile=self.tiles.rows,
                depth=self.tiles.depth,
                **self.common,
            )

    def outputs(self, specs: Sequence[TrialSpec]) -> torch.Tensor:
        """Return the outputs [T, rows, K] of the trials for the validation rows, without dropout."""
        rows = len(self.validation.inputs)
        outputs = self.like.new_empty(len(specs), rows, specs[0].dense_architecture.outputs)
        room = min(rows, EVALUATED)
        values = self.like.new_empty(room * tables.units_of(specs))
        scratch = kernels.Scratch(values, values, values)
        with torch.cuda.device(self.like.get_device()):
            for first_row in range(0, rows, room):
                count = min(room, rows - first_row)
                part = (first_row, count, room)
                self._forward(scratch, self.validation, part, training=False)
                _collect(values, specs, outputs[:, first_row : first_row + count])
        return outputs


def _scratch(size: int, like: torch.Tensor) -> Any:
    return kernels.Scratch(like.new_empty(size), like.new_empty(size), like.new_empty(size))


def _rows(rows: Rows, weights: torch.Tensor | None) -> Any:
    targets = rows.targets
    return kernels.Rows(rows.inputs, targets, rows.inputs if weights is None else weights)


def _collect(values: torch.Tensor, specs: Sequence[TrialSpec], outputs: torch.Tensor) -> None:
    """Copy the last layers' values of all trials to `outputs` [T, rows, K], by a launch for many of them."""
    room = len(values) // tables.units_of(specs)
    found: list[torch.Tensor] = []
    end = 0
    for spec in specs:
        sizes = spec.dense_architecture.sizes
        end += sum(sizes[1:])
        last = values[(end - sizes[-1]) * room : end * room].view(room, sizes[-1])
        found.append(last[: outputs.shape[1]])
    torch._foreach_copy_(list(outputs), found)


PRODUCTS = {"float32": "ieee", "tf32": "tf32", "bfloat16": "bfloat16"}  # → `tl.dot`'s word, or the type of its operands
