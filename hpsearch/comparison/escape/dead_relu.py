"""The negative control: a rectified unit that is off for every example, so that no optimizer has a gradient to follow.

    f_i(w, b) = ½ (relu(w x_i + b) − x_i)²,    x_i in [0.5, 1.5],    start w = −1, b = −0.5: every w x_i + b < 0.

Each g_i is 0 there, so every batch's gradient and tr Σ are 0, at any batch size and learning rate: a test that reports an escape
is broken. The loss at the start is far above the reachable 0 (w = 1, b = 0), and flat: no minimum could be certified. A
start whose unit is on is the positive control. Names in shapes: S seeds, N examples.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from hpsearch.comparison.escape.cells import FULL, CellCounts, EscapeArm, Watch, classes, in_chunks, run_arms, tally
from hpsearch.comparison.escape.streams import fill_normal, keys, shuffle_front
from hpsearch.training.compiled.jit import Array, compiled, inlined
from hpsearch.trial import derive_seed

STARTS = {"dead": (-1.0, -0.5), "alive": (0.5, 0.5)}
FAR = 1e3


@dataclass(frozen=True, slots=True)
class DeadSettings:
    """Learning rates × batch sizes of the case that no optimizer can leave."""

    seeds: int = 100
    examples_in_sum: int = 64
    learning_rates: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0)
    batch_sizes: tuple[int, ...] = (1, 4, 16)
    updates: int = 1_000
    examples: int = 4_000


@inlined
def slopes(w: float, b: float, inputs: Array, count: int) -> tuple[float, float]:
    """Return the mean gradient in w and in b of the first `count` losses."""
    in_w = 0.0
    in_b = 0.0
    for i in range(count):
        value = w * inputs[i] + b
        residual = value - inputs[i] if value > 0 else 0.0
        in_w += residual * inputs[i]
        in_b += residual
    return in_w / count, in_b / count


@compiled
def passages(
    inputs: Array,
    start: tuple[float, float],
    stream: Array,
    learning_rate: float,
    batch_size: int,
    deviation: float,
    updates: int,
) -> tuple[Array, Array]:
    """Return the update [S] at which a run first moves, and where a noise-free polish of its last point ends [S, 2]."""
    times = np.full(stream.size, updates)
    ends = np.empty((stream.size, 2))
    noise = np.zeros(2)
    for seed in range(stream.size):
        values = inputs.copy()
        w, b = start
        for update in range(1, updates + 1):
            if batch_size < values.size:
                shuffle_front(stream[seed], update * batch_size, values, batch_size)
            if deviation > 0:
                fill_normal(stream[seed], 2 * update, noise)
            in_w, in_b = slopes(w, b, values, batch_size)
            w -= learning_rate * (in_w + deviation * noise[0])
            b -= learning_rate * (in_b + deviation * noise[1])
            if (w, b) != start:
                times[seed] = min(times[seed], update)
            if not max(abs(w), abs(b)) < FAR:
                break
        for _ in range(4000):
            in_w, in_b = slopes(w, b, values, values.size)
            w -= 0.5 * in_w
            b -= 0.5 * in_b
        ends[seed] = w, b
    return times, ends


def example_inputs(size: int) -> Array:
    """Return x [N]."""
    return np.random.default_rng(derive_seed("dead", size)).uniform(0.5, 1.5, size)


def noise_trace(inputs: Array, start: tuple[float, float]) -> float:
    """Return tr Σ of one example's gradient at a start, exactly."""
    value = start[0] * inputs + start[1]
    residual = np.where(value > 0, value - inputs, 0.0)
    return float(np.var(residual * inputs) + np.var(residual))


def arms(settings: DeadSettings) -> list[EscapeArm]:
    """Return every optimizer from the dead start, and from the live one the positive control at the smallest learning rates."""
    result = []
    for method in ("sgd", "isotropic"):
        for rate in settings.learning_rates:
            result += [EscapeArm(method, "dead", rate, size) for size in settings.batch_sizes]
    result += [EscapeArm("gd", "dead", rate, FULL) for rate in settings.learning_rates]
    lowest = min(settings.learning_rates)
    result.append(EscapeArm("gd", "alive", lowest, FULL))
    return result + [EscapeArm("sgd", "alive", lowest, size) for size in settings.batch_sizes]


def run(arm: EscapeArm, settings: DeadSettings, watch: Watch) -> list[CellCounts]:
    """Run all seeds of an arm once, to the longer of both budgets, and count them within each."""
    size = settings.examples_in_sum
    inputs = example_inputs(size)
    start = STARTS[arm.start]
    batch = arm.examples_per_update(size)
    budgets = {"updates": settings.updates, "examples": max(1, settings.examples // batch)}
    trace = noise_trace(inputs, start)
    share = (size - batch) / (batch * (size - 1))
    noisy = arm.method == "isotropic"
    drawn = batch if arm.method == "sgd" else size
    deviation = sqrt(trace * share / 2) if noisy else 0.0
    longest = max(budgets.values())

    def chunk(stream: Array) -> tuple[Array, Array]:
        return passages(inputs, start, stream, arm.learning_rate, drawn, deviation, longest)

    stream = keys(settings.seeds, "dead", arm.method, arm.start, arm.learning_rate, batch)
    times, ends = in_chunks(chunk, stream, watch)
    found = labels(ends, start)
    return [tally(arm, budget, cap, found, times, {"noise_trace": trace}) for budget, cap in budgets.items()]


def labels(ends: Array, start: tuple[float, float]) -> Array:
    """Return the class [S] of polished ends [S, 2]: at the good minimum, where the run began, or neither."""
    good = np.abs(ends - np.array([1.0, 0.0])).max(axis=1) < 1e-6
    at_start = (ends == np.array(start)).all(axis=1)
    return classes(at_start, good, ~(np.abs(ends).max(axis=1) < FAR))


def dead_relu_test(settings: DeadSettings, watch: Watch) -> dict[str, Any]:
    """Return the counts of all arms; each from the dead start must be stuck, whatever the optimizer."""
    return {"cells": run_arms(lambda arm: run(arm, settings, watch), arms(settings), watch)}
