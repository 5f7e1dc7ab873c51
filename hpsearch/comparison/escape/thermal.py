"""Thermal escape over a barrier: a double well with a noise that does not depend on where the run is.

    V(w) = (w² − 1)² / 4 + 0.12 w,    f_i(w) = V(w) + ξ_i w,    Σ ξ_i = 0,    so that the sum is V and a batch's gradient V' + mean ξ_B.

Near w = −1.06 lies the good minimum, near 0.93 the bad one, between them the saddle. A batch without replacement has gradient
variance σ²/B · (n − B)/(n − 1), which acts as a temperature T = η/2 times that variance; Kramers (1940) gives the mean time to escape

    τ = 2π / (η √(V''(bad) |V''(saddle)|)) · exp(ΔV / T)    updates, for T ≪ ΔV and small η,

so log τ grows as B/η. In one dimension Gaussian noise of equal variance must obey the same law. Names in shapes: S seeds, n losses.
"""

from math import inf, sqrt
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
from hpsearch.comparison.escape.settings import ThermalSettings
from hpsearch.comparison.escape.streams import fill_normal, keys, shuffle_front
from hpsearch.comparison.escape.well import TILT, energy, kramers, mean_passage, variance, wells
from hpsearch.training.compiled.jit import Array, compiled, inlined
from hpsearch.trial import derive_seed

NUDGE = 1e-5  # the distance from the minimum at the start, so that an unstable one can be left
FAR = 1e3


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
    times, ends = np.full(stream.size, updates), np.empty(stream.size)
    side, normal, block = np.sign(target - start), np.zeros(64), 64
    for seed in range(stream.size):
        values, w = noise.copy(), start
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
    values = np.random.default_rng(derive_seed("thermal", settings.examples_in_sum)).normal(
        size=settings.examples_in_sum
    )
    centred: Array = values - values.mean()
    scaled: Array = centred * (settings.deviation / centred.std())
    return scaled


def arms(settings: ThermalSettings) -> list[Arm]:
    """Return SGD over the grid, the same with isotropic noise, the way back from the good minimum, and GD, also at larger rates."""
    grid = [(rate, max(1, round(ratio * rate))) for rate in settings.learning_rates for ratio in settings.ratios]
    back = [(rate, size) for rate, size in grid if rate == max(settings.learning_rates)]
    whole = (*settings.learning_rates, *settings.unstable)
    return [
        *(Arm("sgd", "bad", rate, size) for rate, size in grid),
        *(Arm("isotropic", "bad", rate, size) for rate, size in grid),
        *(Arm("sgd", "good", rate, size) for rate, size in back),
        *(Arm("gd", start, rate, FULL) for start in ("bad", "good") for rate in whole),
    ]


def run(arm: Arm, settings: ThermalSettings) -> list[Cell]:
    """Run all seeds of an arm once, to the first passage or the cap, and count them there and within both equal budgets."""
    low, _, high = wells()
    start, target = (high, low) if arm.start == "bad" else (low, high)
    size = settings.examples_in_sum
    batch = size if isinstance(arm.batch_size, str) else arm.batch_size
    equal = {"updates": settings.equal_updates, "examples": max(1, settings.equal_examples // batch)}
    bought = settings.updates if arm.method == "gd" else min(settings.updates, settings.examples // batch)
    caps = {"longest": max(bought, *equal.values())} | equal
    deviation = sqrt(variance(batch, settings)) if arm.method == "isotropic" else 0.0
    stream = keys(settings.seeds, "thermal", arm.method, arm.start, arm.learning_rate, batch)
    sampled = batch if arm.method == "sgd" else size
    times, ends = passages(
        sum_noise(settings), start + NUDGE, target, stream, arm.learning_rate, sampled, deviation, caps["longest"]
    )
    theory, found = predictions(arm, batch, settings), labels(ends, start, target)
    return [tally(arm, budget, updates, found, times, theory) for budget, updates in caps.items()]


def predictions(arm: Arm, batch: int, settings: ThermalSettings) -> dict[str, float | None]:
    """Return an arm's temperature, Kramers' time and the exact one of the diffusion; None where they are infinite."""
    good, rate = arm.start == "good", arm.learning_rate
    times = {"kramers": kramers(rate, batch, settings, good), "diffusion": mean_passage(rate, batch, settings, good)}
    return {"temperature": rate / 2 * variance(batch, settings)} | {k: t if t < inf else None for k, t in times.items()}


def labels(ends: Array, start: float, target: float) -> Array:
    """Return the class [S] of polished ends."""
    stay, left = np.abs(ends - start) < 1e-6, np.abs(ends - target) < 1e-6
    return np.select([stay, left, ~(np.abs(ends) < FAR)], [STUCK, ESCAPED, DIVERGED], UNRESOLVED)


def thermal(settings: ThermalSettings) -> dict[str, Any]:
    """Return the counts and times of all arms beside Kramers' times, and the wells; the mean time is total time by escapes."""
    cells = [cell for several in parallel(lambda arm: run(arm, settings), arms(settings)) for cell in several]
    good, saddle, bad = wells()
    return {
        "cells": columns(cells),
        "wells": {"good": good, "saddle": saddle, "bad": bad, "barrier": energy(saddle) - energy(bad)},
        "certificate": {"gradient": abs(slope(bad)), "curvature": 3 * bad**2 - 1, "above": energy(bad) - energy(good)},
    }
