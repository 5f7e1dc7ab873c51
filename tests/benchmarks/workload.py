"""What is trained: the data sets, the cohorts of networks, and the operations that an update of them counts."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log

import numpy as np

from hpsearch.data import Data, from_arrays, load
from hpsearch.data.options import SplitOptions
from hpsearch.trial import Architecture

CLASSES = 10
SPARE = 200  # validation rows, few, since evaluations are not timed; random data has as many test rows
RANDOM = {"digits": (64, 1_257), "MNIST": (784, 10_000)}  # name → inputs and training rows of random data of this size
WIDTHS = (128, 128)  # of equal networks
DEPTHS, SPAN = (1, 4), (16, 512)  # hidden layers of mixed networks, and their width, log-uniform
SEED = 0  # of the draw of mixed networks


@dataclass(frozen=True, slots=True)
class Cohort:
    """A row of `COHORTS`: `draw(inputs, outputs, count)` returns so many networks; a shorter cohort begins a longer one."""

    title: str
    draw: Callable[[int, int, int], list[Architecture]]


def equal(inputs: int, outputs: int, count: int) -> list[Architecture]:
    """Return networks of one shape; their trials differ in their seeds."""
    return [Architecture(inputs, WIDTHS, outputs)] * count


def mixed(inputs: int, outputs: int, count: int) -> list[Architecture]:
    """Return networks as a random sampler draws them: each has its depth, and one width for all of its layers."""
    stream, (low, high) = np.random.default_rng(SEED), map(log, SPAN)
    drawn = [(int(stream.integers(*DEPTHS, endpoint=True)), stream.uniform(low, high)) for _ in range(count)]
    return [Architecture(inputs, (round(exp(width)),) * depth, outputs) for depth, width in drawn]


COHORTS = {
    "equal": Cohort(f"hidden layers {'-'.join(map(str, WIDTHS))}", equal),
    "mixed": Cohort(
        f"depth {DEPTHS[0]}–{DEPTHS[1]}, width {SPAN[0]}–{SPAN[1]} (log-uniform), drawn once; "
        "contestants of one number of trials train the same networks",
        mixed,
    ),
}


def bench_data(root: str | None) -> dict[str, Data]:
    """Return MNIST, or random data of two sizes where there is no folder."""
    if root is not None:
        return {"MNIST": load("mnist", root=root, split=SplitOptions(validation=SPARE))}
    return {name: _random(name, *size) for name, size in RANDOM.items()}


def _random(name: str, inputs: int, training: int) -> Data:
    stream, rows = np.random.default_rng(0), training + 2 * SPARE
    values, labels = stream.standard_normal((rows, inputs), dtype=np.float32), np.arange(rows) % CLASSES
    title = f"random numbers of the size of {name}"
    return from_arrays(values, labels, name="random", title=title, split=SplitOptions(validation=SPARE, test=SPARE))


def operations(architecture: Architecture) -> int:
    """Return the operations of an update for each row of the batch, by matrix products alone.

    A weight takes a product and a sum forward, as many for its gradient, and as many for the gradient of its input, which the first
    layer does not need.
    """
    first, *rest = (a * b for a, b in pairwise(architecture.sizes))
    return 4 * first + 6 * sum(rest)
