"""The learning-rate schedules, one row each, and the numbers that change from update to update.

A schedule is the factor of the learning rate as a function of progress through the budget. One table of steps serves every engine, so
that no two can differ in a step size.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.trial import TrialSpec

Floats = npt.NDArray[np.float64]

BLOCK = 4096  # learning rates that are made at once
WARM_UP = 0.1  # share of the updates in which the learning rate rises


@dataclass(frozen=True, slots=True)
class Schedule:
    """`factor` maps progress in [0, 1) (0 at the first update) to the factor of the learning rate, elementwise."""

    factor: Callable[[Floats], Floats]
    description: str

    def factors(self, start: int, stop: int, updates: int) -> Floats:
        """Return the factors of updates start … stop - 1 (counted from 0) of a budget of `updates`."""
        return self.factor(np.arange(start, stop) / updates)


def _cosine(progress: Floats) -> Floats:
    return (1 + np.cos(np.pi * progress)) / 2


def _step(progress: Floats) -> Floats:
    return np.where(progress < 1 / 2, 1.0, np.where(progress < 3 / 4, 0.1, 0.01))


def _warm_up(progress: Floats) -> Floats:
    return np.minimum(1.0, progress / WARM_UP + 0.01)  # the first update moves already


def _warm_up_cosine(progress: Floats) -> Floats:
    return _warm_up(progress) * _cosine(progress)


SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule(np.ones_like, "the learning rate stays what it is"),
    "cosine": Schedule(_cosine, "falls to zero along half a cosine (Loshchilov, Hutter 2017, one cycle)"),
    "step": Schedule(_step, "falls to a tenth after half of the updates, to a hundredth after three quarters"),
    "warm_up": Schedule(_warm_up, "rises over the first tenth of the updates, then stays (Goyal et al. 2017)"),
    "warm_up_cosine": Schedule(
        _warm_up_cosine, "rises over the first tenth of the updates while it falls along a cosine"
    ),
}


def learning_rates(spec: TrialSpec, start: int, stop: int) -> Floats:
    """Return the learning rate [stop - start] of updates start … stop - 1, counted from 0."""
    return spec.learning_rate * SCHEDULES[spec.schedule].factors(start, stop, spec.planned or spec.updates)


def each_learning_rate(spec: TrialSpec, start: int, stop: int) -> Iterator[float]:
    """Yield the learning rate of each of updates start … stop - 1, made a block at a time, however many there are."""
    for first in range(start, stop, BLOCK):
        yield from learning_rates(spec, first, min(first + BLOCK, stop)).tolist()


def step_table(spec: TrialSpec, start: int, stop: int) -> Floats:
    """Return `step`, `scale` and `shrink` of `optimizers.Update` [stop - start, 3] for updates start … stop - 1, counted from 0."""
    update = OPTIMIZERS[spec.optimizer].update(spec.coefficients)
    rates = learning_rates(spec, start, stop)
    table = np.ones((stop - start, 3))
    table[:, 0] = rates
    if update.corrected:  # Kingma, Ba 2015, section 3
        count = np.arange(start, stop) + 1.0
        table[:, 0] /= 1 - update.first_keep**count
        table[:, 1] = 1 / np.sqrt(1 - update.second_keep**count)
    if update.decoupled:
        table[:, 2] = 1 - rates * spec.weight_decay
    return table
