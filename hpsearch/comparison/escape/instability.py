"""Selection by instability: which of two global minima an optimizer can stay at (the toy of Wu, Ma and E 2018).

    f_i(x) = min(x², c_i (x − 1)²),    c_i = 0.1 for one half of the sum, 1.9 for the other.

At x = 0 and at x = 1 every f_i is 0 and the mean curvature is 2, so GD cannot tell them apart. At x = 1 a batch has the curvature
h_B = 2 mean c, which differs from batch to batch; near it the distance is multiplied by |1 − ηh_B| in each update. It grows,
for almost every run, exactly if E log |1 − ηh_B| > 0 (the Lyapunov exponent); that its mean square grows is necessary for that, no
more. The state is y = x − 1, so that distances far below the rounding of 1 stay numbers. Names in shapes: S seeds.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import inf, log, sqrt
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import hypergeom

from hpsearch.comparison.escape.cells import FULL, CellCounts, EscapeArm, Watch, classes, in_chunks, run_arms, tally
from hpsearch.comparison.escape.streams import fill_normal, keys, shuffle_front
from hpsearch.statistics.estimates import finite
from hpsearch.training.compiled.jit import Array, compiled, inlined

LOW = 0.1  # c_i of one half of the sum
HIGH = 1.9  # and of the other
NUDGE = 1e-5  # the distance from the minimum at the start
GONE = 1e-200  # a distance from the minimum so small that a run stays there
FAR = 1e6  # a distance from which nothing comes back


@dataclass(frozen=True, slots=True)
class InstabilitySettings:
    """Learning rates × batch sizes of the selection test; `updates` and `examples` are the two budgets of a run."""

    seeds: int = 100
    examples_in_sum: int = 100
    learning_rates: tuple[float, ...] = tuple(round(0.05 * i, 2) for i in range(1, 23))
    batch_sizes: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 16, 32)
    updates: int = 2_000
    examples: int = 20_000


# ---- theory


def exponent(learning_rate: float, batch_size: int, size: int) -> float:
    """Return E log |1 − ηh_B| at x = 1, exactly, over all batches without replacement from a sum of `size`."""
    low = np.arange(batch_size + 1)  # losses with the small curvature in a batch
    chance = hypergeom.pmf(low, size, size // 2, batch_size)
    factor = np.abs(1 - 2 * learning_rate * (LOW * low + HIGH * (batch_size - low)) / batch_size)
    possible = chance > 0
    logarithms = [log(f) if f > 0 else -inf for f in factor[possible]]
    return float(sum(p * value for p, value in zip(chance[possible], logarithms, strict=True)))


def lyapunov_boundary(batch_size: int, size: int, below: float = 1.0) -> float | None:
    """Return the smallest learning rate in (0, below) at which x = 1 becomes unstable for almost every run, or None."""
    grid = np.arange(1e-3, below, 1e-3)
    for left, right in pairwise(grid):
        if exponent(left, batch_size, size) < 0 < exponent(right, batch_size, size):
            return float(brentq(exponent, left, right, args=(batch_size, size)))
    return None


def mean_square_boundary(batch_size: int, size: int) -> float:
    """Return the learning rate above which E (1 − ηh_B)² > 1 at x = 1: 2a / (a² + s²(n − B) / (B(n − 1))) (Wu, Ma and E 2018)."""
    mean = LOW + HIGH
    spread = (HIGH - LOW) ** 2
    return 2 * mean / (mean**2 + spread * (size - batch_size) / (batch_size * (size - 1)))


# ---- runs


@inlined
def slope(y: float, weights: Array, count: int) -> float:
    """Return the mean gradient of the first `count` losses at x = 1 + y."""
    x = 1.0 + y
    total = 0.0
    for i in range(count):
        if x * x < weights[i] * y * y:
            total += 2.0 * x
        else:
            total += 2.0 * weights[i] * y
    return total / count


@compiled
def passages(
    weights: Array,
    start: float,
    target: float,
    radius: float,
    stream: Array,
    learning_rate: float,
    batch_size: int,
    deviation: float,
    updates: int,
) -> tuple[Array, Array]:
    """Return the update [S] of the first passage into y = target ± radius, and where a noise-free polish ends [S].

    A batch is drawn without replacement; the full batch with a `deviation` has Gaussian noise added to its gradient.
    """
    times = np.full(stream.size, updates)
    ends = np.empty(stream.size)
    noise = np.zeros(1)
    for seed in range(stream.size):
        values = weights.copy()
        y = start
        for update in range(1, updates + 1):
            if batch_size < values.size:
                shuffle_front(stream[seed], update * batch_size, values, batch_size)
            if deviation > 0:
                fill_normal(stream[seed], 2 * update, noise)
            y -= learning_rate * (slope(y, values, batch_size) + deviation * noise[0])
            if abs(y - target) < radius or not abs(y) < FAR:
                times[seed] = update
                break
            if abs(y) < GONE and deviation == 0:
                break
        for _ in range(400):
            y -= 0.1 * slope(y, values, values.size)
        ends[seed] = y
    return times, ends


def arms(settings: InstabilitySettings) -> list[EscapeArm]:
    """Return the map of x = 1, and the controls: isotropic noise there, and the map of x = 0 for GD and the smallest batch."""
    smallest = settings.batch_sizes[0]
    wanted: list[tuple[str, str, tuple[int | str, ...]]] = [
        ("x = 1", "sgd", (*settings.batch_sizes, FULL)),
        ("x = 0", "sgd", (smallest, FULL)),
        ("x = 1", "isotropic", (smallest,)),
    ]
    result = []
    for start, method, sizes in wanted:
        for rate in settings.learning_rates:
            result += [EscapeArm("gd" if size == FULL else method, start, rate, size) for size in sizes]
    return result


def run(arm: EscapeArm, settings: InstabilitySettings, watch: Watch) -> list[CellCounts]:
    """Run all seeds of an arm once and count them within both budgets."""
    size = settings.examples_in_sum
    batch = arm.examples_per_update(size)
    budgets = {"updates": settings.updates, "examples": max(1, settings.examples // batch)}
    noisy = arm.method == "isotropic"
    bad = arm.start == "x = 1"
    start = NUDGE
    target = -1.0
    radius = sqrt(LOW) / (1 + sqrt(LOW))  # within it all losses of the sum take the branch of the target
    if not bad:
        start = NUDGE - 1
        target = 0.0
        radius = 1 / (1 + sqrt(HIGH))
    sum_weights = np.repeat([LOW, HIGH], size // 2)
    drawn = size if noisy else batch
    deviation = noise_deviation(batch, size) if noisy else 0.0
    longest = max(budgets.values())

    def chunk(stream: Array) -> tuple[Array, Array]:
        return passages(sum_weights, start, target, radius, stream, arm.learning_rate, drawn, deviation, longest)

    stream = keys(settings.seeds, "instability", arm.method, arm.start, arm.learning_rate, batch)
    times, ends = in_chunks(chunk, stream, watch)
    predicted = exponent(arm.learning_rate, batch, size) if bad else inf
    theory = {"exponent": finite(predicted)}
    found = labels(ends, bad)
    return [tally(arm, budget, updates, found, times, theory) for budget, updates in budgets.items()]


def noise_deviation(batch_size: int, size: int) -> float:
    """Return the deviation of a batch's gradient at the start; at x = 1 itself it is 0."""
    return NUDGE * (HIGH - LOW) * sqrt((size - batch_size) / (batch_size * (size - 1)))


def labels(ends: Array, bad: bool) -> Array:
    """Return the class [S] of polished ends y; `bad` runs began at x = 1."""
    at_one = np.abs(ends) < 1e-6
    at_zero = np.abs(ends + 1) < 1e-6
    far = ~(np.abs(ends) < FAR)
    if bad:
        return classes(at_one, at_zero, far)
    return classes(at_zero, at_one, far)


def instability_test(settings: InstabilitySettings, watch: Watch) -> dict[str, Any]:
    """Return the counts of all arms beside the exact boundaries by batch size; "x = 1" is what a run of the map may leave."""
    size = settings.examples_in_sum
    boundaries = []
    for batch in (*settings.batch_sizes, size):
        label = batch if batch < size else FULL
        theory = {"lyapunov": lyapunov_boundary(batch, size), "mean_square": mean_square_boundary(batch, size)}
        boundaries.append({"batch_size": label, **theory})
    return {"cells": run_arms(lambda arm: run(arm, settings, watch), arms(settings), watch), "boundaries": boundaries}
