"""Measuring: each cell is calibrated once to take about the same time, then visited once in every round."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from hpsearch.data import Data
from hpsearch.training.reference import Batches
from tests.benchmarks.cells import Cell
from tests.benchmarks.contestants import REFERENCE
from tests.benchmarks.machine import matrix_peak

SECONDS = 0.2  # of one visit to a cell
LONGEST = 3.0  # of a visit to the reference
STALL = 1.0  # longer than other programs stop a run, mostly

Show = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """`microseconds` per trial and update of every cell, one a round; the matrix `peak` in GFLOP/s."""

    microseconds: dict[Cell, list[float]]
    peak: float


def measure(data: Mapping[str, Data], cells: Sequence[Cell], rounds: int, show: Show) -> Measured:
    """Visit every cell in every round, and once before to calibrate it; `show` is told of each visit."""
    times: dict[Cell, list[float]] = {cell: [] for cell in _calibrate(data, cells, show)}
    peak = 0.0
    for number in range(1, rounds + 1):
        peak = max(peak, *(matrix_peak(part.training.inputs.device) for part in data.values()))
        for cell, seen in times.items():
            show(f"round {number} of {rounds}")
            seen.append(1e6 * training_seconds(cell, data[cell.data]) / (cell.updates * cell.trials))
    return Measured(times, peak)


def _calibrate(data: Mapping[str, Data], cells: Sequence[Cell], show: Show) -> Iterator[Cell]:
    """Yield the cells calibrated; the second optimizer of a setting begins with an eighth of the first one's updates."""
    found: dict[Cell, int] = {}
    for cell in cells:
        show("warming up")
        alike = replace(cell, optimizer="")
        ready = calibrated(replace(cell, updates=max(1, found.get(alike, 1) // 8)), data[cell.data])
        found[alike] = ready.updates
        yield ready


def training_seconds(cell: Cell, data: Data) -> float:
    """Return how long the cell's updates take, for all of its trials together.

    Where noise is larger than the difference, the whole run counts.
    """
    short, long = runs(cell, data)
    return long - short if long > short else long


def runs(cell: Cell, data: Data) -> tuple[float, float]:
    """Return the seconds of a run of one update and of a run with the cell's updates more."""
    return cell.run(data, 1), cell.run(data, cell.updates + 1)


def calibrated(cell: Cell, data: Data) -> Cell:
    """Return the cell with as many updates as take `SECONDS`, or as long as what is not counted; at least half of that.

    The first run only warms up.
    """
    cell.run(data, 1)
    while (looked := _look(cell, data)).share < 1 / 2:
        factor = min(8, 1 / looked.share) if looked.share > 0 else 8
        cell = replace(cell, updates=max(cell.updates + 1, round(cell.updates * factor)))
    return whole_blocks(cell, data, looked.seconds) if cell.engine == REFERENCE else cell


class Look(NamedTuple):
    """What calibration sees of a cell: the seconds of its updates, and their `share` of the time that they should take."""

    seconds: float
    share: float


def _look(cell: Cell, data: Data) -> Look:
    """Return the shortest of several looks at a cell, which tells a stall of a busy machine; one that is too short needs no other."""
    looks = []
    for _ in range(4 if cell.updates == 1 else 2):  # a single update that takes as long is rare, a stall is not
        short, long = runs(cell, data)
        looks.append(Look(long - short, (long - short) / max(SECONDS, short)))
        if looks[0].share < 1 / 2 or long > STALL:
            break
    return min(looks)


def whole_blocks(cell: Cell, data: Data, seconds: float) -> Cell:
    """Return the reference's cell, which takes so many seconds, with whole blocks of rows where those take at most `LONGEST`.

    The reference gathers many batches at once, and its first update, which is not counted, the first of them.
    """
    batches = Batches(data.training, cell.specifications(data, 1)[0])
    block = min(batches.per_block, batches.per_pass)
    updates = -(-cell.updates // block) * block
    return replace(cell, updates=updates) if seconds * updates / cell.updates <= LONGEST else cell
