"""The learning-rate schedules, one row each: the factor of the learning rate as a function of progress through the budget.

One table of factors serves every engine, so that no two can differ in a step size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi

WARM_UP = 0.1  # share of the updates in which the learning rate rises


@dataclass(frozen=True, slots=True)
class Schedule:
    """`factor` maps progress in [0, 1) (0 at the first update) to the factor of the learning rate."""

    factor: Callable[[float], float]

    def factors(self, updates: int) -> list[float]:
        """Return the factor at each of the updates of a budget."""
        return [self.factor(update / updates) for update in range(updates)]


def _warm_up(progress: float) -> float:
    return min(1.0, progress / WARM_UP + 0.01)  # the first update moves already


SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule(lambda progress: 1.0),
    "cosine": Schedule(lambda progress: (1 + cos(pi * progress)) / 2),  # Loshchilov, Hutter 2017, one cycle
    "step": Schedule(lambda progress: 0.1 ** (int(progress >= 1 / 2) + int(progress >= 3 / 4))),
    "warm_up": Schedule(_warm_up),  # linear, then constant; Goyal et al. 2017
    "warm_up_cosine": Schedule(lambda progress: _warm_up(progress) * (1 + cos(pi * progress)) / 2),
}
