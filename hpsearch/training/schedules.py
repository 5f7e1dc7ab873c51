"""The learning-rate schedules, one row each: the factor of the learning rate as a function of progress through the budget.

One table of factors serves every engine, so that no two can differ in a step size.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

WARM_UP = 0.1  # share of the updates in which the learning rate rises


@dataclass(frozen=True, slots=True)
class Schedule:
    """`factor` maps progress in [0, 1) (0 at the first update) to the factor of the learning rate, elementwise."""

    factor: Callable[[Floats], Floats]

    def factors(self, start: int, stop: int, updates: int) -> Floats:
        """Return the factors of updates start … stop - 1 (counted from 0) of a budget of so many."""
        return self.factor(np.arange(start, stop) / updates)


def _cosine(progress: Floats) -> Floats:
    return (1 + np.cos(np.pi * progress)) / 2


def _warm_up(progress: Floats) -> Floats:
    return np.minimum(1.0, progress / WARM_UP + 0.01)  # the first update moves already


SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule(np.ones_like),
    "cosine": Schedule(_cosine),  # Loshchilov, Hutter 2017, one cycle
    "step": Schedule(lambda progress: np.where(progress < 1 / 2, 1.0, np.where(progress < 3 / 4, 0.1, 0.01))),
    "warm_up": Schedule(_warm_up),  # linear, then constant; Goyal et al. 2017
    "warm_up_cosine": Schedule(lambda progress: _warm_up(progress) * _cosine(progress)),
}
