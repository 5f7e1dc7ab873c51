"""Thermal escape over a barrier: a double well with a noise that does not depend on where the run is.

    V(w) = (w² − 1)² / 4 + 0.12 w,    f_i(w) = V(w) + ξ_i w,    Σ ξ_i = 0,    so that the sum is V and a batch's gradient V' + mean ξ_B.

Near w = −1.06 lies the good minimum, near 0.93 the bad one, between them the saddle. A batch without replacement has gradient
variance σ²/B · (n − B)/(n − 1), which acts as a temperature T = η/2 times that variance; Kramers (1940) gives the mean time to escape

    τ = 2π / (η √(V''(bad) |V''(saddle)|)) · exp(ΔV / T)    updates, for T ≪ ΔV and small η,

so log τ grows as B/η. In one dimension Gaussian noise of equal variance must obey the same law. Names in shapes: S seeds, n losses.
"""

from dataclasses import dataclass
from math import exp, inf, pi, sqrt
from typing import Any

import numpy as np
from scipy.integrate import cumulative_trapezoid, trapezoid

from hpsearch.comparison.escape.cells import FULL, CellCounts, EscapeArm, Watch, classes, in_chunks, run_arms, tally
from hpsearch.comparison.escape.streams import fill_normal, keys, shuffle_front
from hpsearch.statistics.estimates import finite
from hpsearch.training.compiled.jit import Array, compiled, inlined
from hpsearch.trial import derive_seed

TILT = 0.12
COLDEST = 1e-3  # below it an escape takes more than 1e60 updates, and exponentials overflow
NUDGE = 1e-5  # the distance from the minimum at the start, so that an unstable one can be left
FAR = 1e3


@dataclass(frozen=True, slots=True)
class ThermalSettings:
    """Learning rates × ratios batch size / learning rate, the axis of Kramers' law; `unstable` are GD's larger learning rates.

    A run ends at its first passage, after `updates`, or after `examples`, whichever comes first; `equal_updates` and
    `equal_examples` are the two budgets within which all arms are compared.
    """

    seeds: int = 100
    examples_in_sum: int = 1_000
    deviation: float = 4.0
    learning_rates: tuple[float, ...] = (0.02, 0.04, 0.1)
    ratios: tuple[int, ...] = (50, 100, 200, 300, 400, 500)
    unstable: tuple[float, ...] = (0.5, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
    updates: int = 1_000_000
    examples: int = 4_000_000
    equal_updates: int = 20_000
    equal_examples: int = 400_000


# ---- theory


def wells() -> tuple[float, float, float]:
    """Return the good minimum, the saddle and the bad minimum of V, to rounding."""
    good, saddle, bad = sorted(float(root.real) for root in np.roots([1, 0, -1, TILT]))
    return good, saddle, bad


def energy(w: Any) -> Any:
    """Return V(w) of a number or an array."""
    return (w * w - 1) ** 2 / 4 + TILT * w


def variance(batch_size: int, settings: ThermalSettings) -> float:
    """Return the variance of a batch's gradient, drawn without replacement."""
    size = settings.examples_in_sum
    return settings.deviation**2 / batch_size * (size - batch_size) / (size - 1)


def temperature(learning_rate: float, batch_size: int, settings: ThermalSettings) -> float:
    """Return the temperature that a batch's noise acts as."""
    return learning_rate / 2 * variance(batch_size, settings)


def kramers(learning_rate: float, batch_size: int, settings: ThermalSettings, good: bool = False) -> float:
    """Return Kramers' mean time to escape in updates, from the bad minimum or from the good one; infinite below `COLDEST`."""
    low, saddle, high = wells()
    start = low if good else high
    heat = temperature(learning_rate, batch_size, settings)
    if heat < COLDEST:
        return inf
    curvatures = (3 * start**2 - 1) * abs(3 * saddle**2 - 1)
    return 2 * pi / (learning_rate * sqrt(curvatures)) * exp((energy(saddle) - energy(start)) / heat)


def mean_passage(learning_rate: float, batch_size: int, settings: ThermalSettings, good: bool = False) -> float:
    """Return the exact mean time, in updates, of the diffusion of which Kramers' law is the cold limit; infinite below `COLDEST`.

    From start s to target a it is ∫ dy exp(V(y)/T) ∫ dz exp(−V(z)/T) / (ηT), y between a and s, z from beyond s to y (Gardiner, §5.5).
    """
    low, _, high = wells()
    heat = temperature(learning_rate, batch_size, settings)
    if heat < COLDEST:
        return inf
    start, target, beyond = (low, high, -2.5) if good else (high, low, 2.5)
    y = np.linspace(beyond, target, 20_001)
    first = np.argmin(np.abs(y - start))
    step = abs(y[1] - y[0])
    inner = cumulative_trapezoid(np.exp(-energy(y) / heat), dx=step, initial=0)[first:]
    return float(trapezoid(np.exp(energy(y[first:]) / heat) * inner, dx=step) / (learning_rate * heat))


def predictions(arm: EscapeArm, batch: int, settings: ThermalSettings) -> dict[str, float | None]:
    """Return an arm's temperature, Kramers' time and the exact one of the diffusion; None where they are infinite."""
    good = arm.start == "good"
    return {
        "temperature": temperature(arm.learning_rate, batch, settings),
        "kramers": finite(kramers(arm.learning_rate, batch, settings, good)),
        "diffusion": finite(mean_passage(arm.learning_rate, batch, settings, good)),
    }


# ---- runs


@inlined
def slope(w: float) -> float:
    """Return V'(w)."""
    return w * w * w - w + TILT


@compiled
def passages(
    noise: Array,
    start: float,
    target: float,
    stream: Array,
    learning_rate: float,
    batch_size: int,
    deviation: float,
    updates: int,
) -> tuple[Array, Array]:
    """Return the update [S] at which a run first reaches the target's side, and where a noise-free polish ends [S].

    A batch's gradient has the mean of `noise` [n] over it, drawn without replacement; the full batch has Gaussian noise of this deviation.
    """
    times = np.full(stream.size, updates)
    ends = np.empty(stream.size)
    side = np.sign(target - start)
    block = 64
    normal = np.zeros(64)
    for seed in range(stream.size):
        values = noise.copy()
        w = start
        for update in range(1, updates + 1):
            push = 0.0
            if batch_size < values.size:
                shuffle_front(stream[seed], update * batch_size, values, batch_size)
                for i in range(batch_size):
                    push += values[i]
                push /= batch_size
            elif deviation > 0:
                if update % block == 1:
                    fill_normal(stream[seed], update, normal)
                push = deviation * normal[(update - 1) % block]
            moved = w - learning_rate * (slope(w) + push)
            still = moved == w and batch_size == values.size and deviation == 0
            w = moved
            if (w - target) * side >= 0 or not abs(w) < FAR:
                times[seed] = update
                break
            if still:
                break
        for _ in range(2000):
            w -= 0.1 * slope(w) if abs(w) < 2 else 0.5 * (w - np.sign(w))
        ends[seed] = w
    return times, ends


def sum_noise(settings: ThermalSettings) -> Array:
    """Return ξ [n]: normal numbers shifted and scaled to a mean of 0 and exactly the deviation asked for."""
    size = settings.examples_in_sum
    values = np.random.default_rng(derive_seed("thermal", size)).normal(size=size)
    centred: Array = values - values.mean()
    scaled: Array = centred * (settings.deviation / centred.std())
    return scaled


def arms(settings: ThermalSettings) -> list[EscapeArm]:
    """Return SGD over the grid, the same with isotropic noise, SGD from the good minimum, and GD, also at larger rates."""
    grid = []
    for rate in settings.learning_rates:
        grid += [(rate, max(1, round(ratio * rate))) for ratio in settings.ratios]
    largest = max(settings.learning_rates)
    descent_rates = (*settings.learning_rates, *settings.unstable)
    return [
        *(EscapeArm("sgd", "bad", rate, size) for rate, size in grid),
        *(EscapeArm("isotropic", "bad", rate, size) for rate, size in grid),
        *(EscapeArm("sgd", "good", rate, size) for rate, size in grid if rate == largest),
        *(EscapeArm("gd", "bad", rate, FULL) for rate in descent_rates),
        *(EscapeArm("gd", "good", rate, FULL) for rate in descent_rates),
    ]


def budgets(arm: EscapeArm, settings: ThermalSettings) -> dict[str, int]:
    """Return the updates of the longest run and of both equal budgets."""
    batch = arm.examples_per_update(settings.examples_in_sum)
    equal = {"updates": settings.equal_updates, "examples": max(1, settings.equal_examples // batch)}
    longest = settings.updates
    if arm.method != "gd":
        longest = min(longest, settings.examples // batch)
    return {"longest": max(longest, *equal.values()), **equal}


def run(arm: EscapeArm, settings: ThermalSettings, watch: Watch) -> list[CellCounts]:
    """Run all seeds of an arm once, to the first passage or the longest budget, and count them there and within both equal budgets."""
    good, _, bad = wells()
    start, target = (bad, good) if arm.start == "bad" else (good, bad)
    size = settings.examples_in_sum
    batch = arm.examples_per_update(size)
    within = budgets(arm, settings)
    noisy = arm.method == "isotropic"
    noise = sum_noise(settings)
    begin = start + NUDGE
    drawn = batch if arm.method == "sgd" else size
    deviation = sqrt(variance(batch, settings)) if noisy else 0.0

    def chunk(stream: Array) -> tuple[Array, Array]:
        return passages(noise, begin, target, stream, arm.learning_rate, drawn, deviation, within["longest"])

    stream = keys(settings.seeds, "thermal", arm.method, arm.start, arm.learning_rate, batch)
    times, ends = in_chunks(chunk, stream, watch)
    theory = predictions(arm, batch, settings)
    found = labels(ends, start, target)
    return [tally(arm, budget, updates, found, times, theory) for budget, updates in within.items()]


def labels(ends: Array, start: float, target: float) -> Array:
    """Return the class [S] of polished ends."""
    at_start = np.abs(ends - start) < 1e-6
    at_target = np.abs(ends - target) < 1e-6
    return classes(at_start, at_target, ~(np.abs(ends) < FAR))


def thermal_test(settings: ThermalSettings, watch: Watch) -> dict[str, Any]:
    """Return the counts and times of all arms beside Kramers' times, and the wells; the mean time is total time by escapes."""
    good, saddle, bad = wells()
    return {
        "cells": run_arms(lambda arm: run(arm, settings, watch), arms(settings), watch),
        "wells": {"good": good, "saddle": saddle, "bad": bad, "barrier": energy(saddle) - energy(bad)},
        "certificate": {"gradient": abs(slope(bad)), "curvature": 3 * bad**2 - 1, "above": energy(bad) - energy(good)},
    }
