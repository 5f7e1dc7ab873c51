"""The textbook's bowl: gradient descent, a mini-batch and SGD down a sum of quadratic losses whose conditioning is known.

The loss of two weights w is the mean over `ROWS` rows of (x·w - y)². The inputs are scaled so that its Hessian is exactly
diag(1, 1 / κ): κ, the condition number, is how many times as steep the bowl is one way as the other. The targets y are residuals that no
weights explain, orthogonal to the inputs, so that the minimum is at 0 and its loss is `RESIDUAL`². Batches are rows without replacement,
in a new order each pass, as in training. All start where the steep and the flat direction hold the same loss.

Each batch size has the constant learning rate of `RATES` with which the median of `ORDERS` orders of the rows is near the minimum for good
soonest; drawn is the order that is the median. Nothing here depends on a study: it takes a fraction of a second and is the same each time.
"""

from dataclasses import dataclass
from functools import cache
from math import inf, sqrt

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
CONDITIONS = (1, 3, 10, 30, 100)
ROWS = 64
BATCH_SIZES = (1, 8, ROWS)
RESIDUAL = 0.1  # root mean square of the targets, beside a loss of 1 that a start has above the minimum
RATES = tuple(2.0 ** (power / 4) for power in range(-16, 5))
ORDERS = 5
NEAR = 0.05  # of the loss between start and minimum: within this a path has arrived
BUDGETS = {1: 1500, 8: 600, ROWS: 300}  # updates; who is near up to their end is so for good
BEYOND = 1.25  # times the updates to the minimum's neighbourhood that a path has
SEED = 1


@dataclass(frozen=True, slots=True)
class BowlPath:
    """A batch size's path at its best learning rate: the weights (`flat`, `steep`) after every update, the start first."""

    batch_size: int
    learning_rate: float
    flat: tuple[float, ...]
    steep: tuple[float, ...]
    updates_to_near: int

    @property
    def examples_to_near(self) -> int:
        """Rows that these updates looked at."""
        return self.updates_to_near * self.batch_size


@dataclass(frozen=True, slots=True)
class Bowl:
    """The paths in the bowl of a condition number, smallest batch size first."""

    condition: int
    paths: tuple[BowlPath, ...]


@cache
def bowls() -> tuple[Bowl, ...]:
    """Return the bowls of `CONDITIONS`."""
    found = []
    for condition in CONDITIONS:
        inputs, targets = least_squares(condition)
        paths = [_path(inputs, targets, condition, size) for size in BATCH_SIZES]
        found.append(Bowl(condition, tuple(paths)))
    return tuple(found)


def bowl_loss(flat: Array, steep: Array, condition: int) -> Array:
    """Return the loss at weights, as they are given: RESIDUAL² + ½ (steep² + flat² / κ)."""
    return RESIDUAL**2 + (steep**2 + flat**2 / condition) / 2


def least_squares(condition: int) -> tuple[Array, Array]:
    """Return the inputs [ROWS, 2], steep column first, and the targets [ROWS]."""
    generator = np.random.default_rng(SEED)
    raw = generator.normal(size=(ROWS, 2))
    whitened = np.linalg.qr(raw - raw.mean(0))[0] * sqrt(ROWS)  # columns of length sqrt(ROWS), at right angles
    inputs = whitened * np.sqrt([0.5, 0.5 / condition])  # the Hessian of a mean square is 2 XᵀX / ROWS
    noise = generator.normal(size=ROWS)
    noise -= inputs @ np.linalg.lstsq(inputs, noise, rcond=None)[0]
    targets: Array = RESIDUAL * noise / np.sqrt(np.mean(noise**2))
    return inputs, targets


def descend(inputs: Array, targets: Array, batch_size: int, rates: Array, orders: int, updates: int) -> Array:
    """Return the weights after each update, [updates + 1, orders, rates, 2], of several orders of the rows and learning rates."""
    condition = round(float((inputs[:, 0] @ inputs[:, 0]) / (inputs[:, 1] @ inputs[:, 1])))
    path = np.empty((updates + 1, orders, len(rates), 2))
    path[0] = (1.0, sqrt(condition))
    generators = [np.random.default_rng([SEED, order]) for order in range(orders)]
    batches = len(inputs) // batch_size
    with np.errstate(over="ignore", invalid="ignore"):
        for update in range(updates):
            if update % batches == 0:
                passes = np.array([generator.permutation(len(inputs)) for generator in generators])  # [O, N]
            first = update % batches * batch_size
            rows = passes[:, first : first + batch_size]  # [O, B]
            errors = path[update] @ inputs[rows].transpose(0, 2, 1) - targets[rows][:, None]  # [O, L, B]
            slopes = 2 * errors @ inputs[rows] / batch_size  # [O, L, 2]
            path[update + 1] = path[update] - rates[:, None] * slopes
    return path


def _path(inputs: Array, targets: Array, condition: int, batch_size: int) -> BowlPath:
    orders = 1 if batch_size == ROWS else ORDERS  # all rows are one batch in any order
    paths = descend(inputs, targets, batch_size, np.array(RATES), orders, BUDGETS[batch_size])
    with np.errstate(over="ignore", invalid="ignore"):
        above = bowl_loss(paths[..., 1], paths[..., 0], condition) - RESIDUAL**2  # [U + 1, O, L]
    arrivals = _arrivals(above <= NEAR * above[0, 0, 0])  # [O, L]
    best = int(np.median(arrivals, axis=0).argmin())
    order = int(np.argsort(arrivals[:, best], kind="stable")[orders // 2])
    arrival = int(arrivals[order, best])
    drawn = paths[: round(BEYOND * arrival) + 1, order, best]
    return BowlPath(
        batch_size=batch_size,
        learning_rate=RATES[best],
        flat=tuple(drawn[:, 1].tolist()),
        steep=tuple(drawn[:, 0].tolist()),
        updates_to_near=arrival,
    )


def _arrivals(inside: npt.NDArray[np.bool_]) -> Array:
    """Return the first update [O, L] from which all of `inside` [U + 1, O, L] is true, infinite where the last one is not."""
    outside = ~inside
    after_last = len(inside) - np.argmax(outside[::-1], axis=0)
    found = np.where(outside.any(axis=0), after_last, 0)
    return np.where(found < len(inside), found, inf)
