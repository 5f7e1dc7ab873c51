"""Selection by instability: which of two global minima an optimizer can stay at (the toy of Wu, Ma and E 2018).

    f_i(x) = min(x², c_i (x − 1)²),    c_i = 0.1 for one half of the sum, 1.9 for the other.

At x = 0 and at x = 1 every f_i is 0 and the mean curvature is 2, so GD cannot tell them apart. At x = 1 a batch has the curvature
h_B = 2 mean c, which differs from batch to batch; near it the distance is multiplied by |1 − ηh_B| in each update. It grows,
for almost every run, exactly if E log |1 − ηh_B| > 0 (the Lyapunov exponent); that its mean square grows is necessary for that, no
more. The state is y = x − 1, so that distances far below the rounding of 1 stay numbers. Names in shapes: S seeds.
"""

from math import sqrt
from typing import Any

import numpy as np

from hpsearch.comparison.escape.cells import (
    DIVERGED,
    ESCAPED,
    FULL,
    STUCK,
    UNRESOLVED,
    Arm,
    Cell,
    columns,
    parallel,
    tally,
)
from hpsearch.comparison.escape.settings import InstabilitySettings
from hpsearch.comparison.escape.stability import (
    HIGH,
    LOW,
    exponent,
    lyapunov_boundary,
    mean_square_boundary,
)
from hpsearch.comparison.escape.streams import fill_normal, keys, shuffle_front
from hpsearch.training.compiled.jit import Array, compiled, inlined

NUDGE = 1e-5  # the distance from the minimum at the start
GONE, FAR = 1e-200, 1e6  # distances from which nothing comes back


@inlined
def slope(y: float, weights: Array, count: int) -> float:
    """Return the mean gradient of the first `count` losses at x = 1 + y."""
    x, total = 1.0 + y, 0.0
    for i in range(count):
        total += 2.0 * x if x * x < weights[i] * y * y else 2.0 * weights[i] * y
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
    times, ends = np.full(stream.size, updates), np.empty(stream.size)
    noise = np.zeros(1)
    for seed in range(stream.size):
        values, y = weights.copy(), start
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


def arms(settings: InstabilitySettings) -> list[Arm]:
    """Return the map of x = 1, and the controls: isotropic noise there, and the map of x = 0 for GD and the smallest batch."""
    few: tuple[int | str, ...] = settings.batch_sizes[:1]
    sizes: tuple[int | str, ...] = (*settings.batch_sizes, FULL)
    wanted = [
        ("x = 1", "sgd", sizes),
        ("x = 0", "sgd", (*few, FULL)),
        ("x = 1", "isotropic", few),
    ]
    return [
        Arm("gd" if size == FULL else method, start, rate, size)
        for start, method, chosen in wanted
        for rate in settings.learning_rates
        for size in chosen
    ]


def run(arm: Arm, settings: InstabilitySettings) -> list[Cell]:
    """Run all seeds of an arm once and count them within both budgets."""
    size = settings.examples_in_sum
    batch = size if isinstance(arm.batch_size, str) else arm.batch_size
    caps = {"updates": settings.updates, "examples": max(1, settings.examples // batch)}
    weights = np.repeat([LOW, HIGH], size // 2)
    bad = arm.start == "x = 1"
    # there all losses of the sum take the branch of the other minimum
    target, radius = (-1.0, sqrt(LOW) / (1 + sqrt(LOW))) if bad else (0.0, 1 / (1 + sqrt(HIGH)))
    noisy = arm.method == "isotropic"
    deviation = noise_deviation(batch, size) if noisy else 0.0
    stream = keys(settings.seeds, "instability", arm.method, arm.start, arm.learning_rate, batch)
    times, ends = passages(
        weights,
        NUDGE if bad else NUDGE - 1,
        target,
        radius,
        stream,
        arm.learning_rate,
        size if noisy else batch,
        deviation,
        max(caps.values()),
    )
    theory: dict[str, float | None] = (
        {"exponent": _finite(exponent(arm.learning_rate, batch, size))} if bad else {"exponent": None}
    )
    return [tally(arm, budget, cap, labels(ends, bad), times, theory) for budget, cap in caps.items()]


def noise_deviation(batch_size: int, size: int) -> float:
    """Return the deviation of a batch's gradient at the start; at x = 1 itself it is 0."""
    return NUDGE * (HIGH - LOW) * sqrt((size - batch_size) / (batch_size * (size - 1)))


def labels(ends: Array, bad: bool) -> Array:
    """Return the class [S] of polished ends y; `bad` runs began at x = 1."""
    at_one, at_zero = np.abs(ends) < 1e-6, np.abs(ends + 1) < 1e-6
    stay, left = (at_one, at_zero) if bad else (at_zero, at_one)
    return np.select([stay, left, ~(np.abs(ends) < FAR)], [STUCK, ESCAPED, DIVERGED], UNRESOLVED)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def instability(settings: InstabilitySettings) -> dict[str, Any]:
    """Return the counts of all arms beside the exact boundaries by batch size; "x = 1" is what a run of the map may leave."""
    cells = [cell for pair in parallel(lambda arm: run(arm, settings), arms(settings)) for cell in pair]
    size = settings.examples_in_sum
    return {
        "cells": columns(cells),
        "boundaries": [
            {
                "batch_size": batch if batch < size else FULL,
                "lyapunov": lyapunov_boundary(batch, size),
                "mean_square": mean_square_boundary(batch, size),
            }
            for batch in (*settings.batch_sizes, size)
        ],
    }
