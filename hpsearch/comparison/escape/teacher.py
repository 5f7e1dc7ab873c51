"""Escape from the proven bad minima of a small network: ten rectified units that learn ten (Safran and Shamir 2018).

GD on the closed-form loss leads each of many random starts to a minimum, which is certified: gradient norm below 1e-8, Hessian
positive, loss above 0. From the bad ones (and from a few good ones, as a control) begin SGD on fresh batches, GD, GD at larger
learning rates, and GD with isotropic Gaussian noise of the same total variance tr Σ / B, tr Σ being that at the minimum.
At the good minimum every example's gradient is 0, so SGD's noise ends there; the isotropic noise goes on. Each end
is polished by noise-free descent, certified again and classified: the good minimum, the own one, another bad one.
"""

from dataclasses import dataclass
from itertools import product
from math import sqrt
from typing import Any

import numpy as np

from hpsearch.comparison.escape.cells import (
    DIVERGED,
    ESCAPED,
    FULL,
    OTHER,
    STUCK,
    UNRESOLVED,
    CellCounts,
    EscapeArm,
    parallel,
    run_arms,
    tally,
)
from hpsearch.comparison.escape.streams import keys
from hpsearch.comparison.escape.student import noise_trace, noisy_descent, polish, sample_descent, sharpness
from hpsearch.statistics.estimates import finite
from hpsearch.training.compiled.jit import Array
from hpsearch.trial import derive_seed

FLAT = 1e-8  # a certified minimum's gradient norm
ZERO = 1e-10  # a global minimum's loss
NUDGE = 1e-5  # the deviation of each weight from the minimum at the start, so that an unstable one can be left
TRACE_EXAMPLES = 20_000
POLISH_UPDATES = 30_000  # of GD in a polish, at most
START_NORM = 1e-6  # gradient norm at which GD from a random start stops and Newton's method begins
END_NORM = 1e-4  # likewise from the end of a run


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    """Student and teacher of `units` rectified units and as many inputs; `starts` random networks, of which some get stuck.

    `good` of the others are the control. `step` is the learning rate of the descent that finds and polishes minima. `updates` and
    `examples` are the two budgets of each run from a certified minimum; GD uses the full distribution in each update. `unstable` are
    GD's larger learning rates.
    """

    units: int = 10
    starts: int = 120
    good: int = 10
    step: float = 0.5
    learning_rates: tuple[float, ...] = (0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.6)
    unstable: tuple[float, ...] = (0.64, 0.66, 0.68, 0.7, 1.0)
    batch_sizes: tuple[int, ...] = (1, 4, 16, 64)
    updates: int = 1_000
    examples: int = 16_000


@dataclass(frozen=True, slots=True)
class Minimum:
    """Where GD led: weights [K, D], loss, gradient norm, extreme eigenvalues of the Hessian, tr Σ of one example's gradient."""

    weights: Array
    loss: float
    norm: float
    lowest: float
    highest: float
    trace: float
    updates: int

    @property
    def kind(self) -> str:
        """The class: a minimum is "global" or "spurious" only if certified."""
        if not (self.norm < FLAT and self.lowest > 0):
            return "uncertified"
        return "global" if self.loss < ZERO else "spurious"


def descend(start: int, settings: TeacherSettings) -> Minimum:
    """Return where GD leads from random start number `start`, weights ~ N(0, 1/K)."""
    units = settings.units
    generator = np.random.default_rng(derive_seed("teacher", units, start))
    teacher = np.eye(units)
    begin = generator.normal(size=(units, units)) / sqrt(units)
    weights, loss, norm, updates = polish(begin, teacher, settings.step, POLISH_UPDATES, START_NORM)
    trace = noise_trace(weights, teacher, keys(1, "trace", units, start)[0], TRACE_EXAMPLES)
    lowest, highest = sharpness(weights, teacher)
    return Minimum(weights, float(loss), float(norm), lowest, highest, float(trace), int(updates))


def nudged(minima: list[Minimum]) -> list[Array]:
    """Return the points at which all arms begin: each minimum moved by `NUDGE` in a random direction."""
    generator = np.random.default_rng(derive_seed("teacher", "nudge"))
    return [minimum.weights + NUDGE * generator.normal(size=minimum.weights.shape) for minimum in minima]


def label(end: Array, minimum: Minimum, settings: TeacherSettings) -> int:
    """Return the class of an end [K, D] of a run from a minimum, after a polish."""
    if not np.isfinite(end).all():
        return DIVERGED
    teacher = np.eye(settings.units)
    weights, loss, norm, _ = polish(end, teacher, settings.step, POLISH_UPDATES, END_NORM)
    if not norm < FLAT:
        return UNRESOLVED
    if np.abs(weights - minimum.weights).max() < 1e-6:
        return STUCK
    if loss < ZERO:
        return ESCAPED if minimum.kind == "spurious" else OTHER
    if sharpness(weights, teacher)[0] <= 0:
        return UNRESOLVED
    return OTHER if minimum.kind == "spurious" else ESCAPED


def arms(settings: TeacherSettings) -> list[EscapeArm]:
    """Return the grid of SGD and of isotropic noise from both kinds of minima, and GD at all learning rates and larger ones."""
    starts = ("bad", "good")
    rates = settings.learning_rates
    result = []
    for start, method, rate in product(starts, ("sgd", "isotropic"), rates):
        result += [EscapeArm(method, start, rate, size) for size in settings.batch_sizes]
    for start in starts:
        result += [EscapeArm("gd", start, rate, FULL) for rate in (*rates, *settings.unstable)]
    return result


def budgets(arm: EscapeArm, settings: TeacherSettings) -> dict[str, int]:
    """Return the updates of both budgets. GD and isotropic noise use the full distribution, so that no count of examples limits them."""
    if arm.method != "sgd":
        return {"updates": settings.updates}
    return {"updates": settings.updates, "examples": max(1, settings.examples // int(arm.batch_size))}


def ends(arm: EscapeArm, minimum: Minimum, start: Array, key: Any, settings: TeacherSettings) -> Array:
    """Return the weights [M, K, D] at the end of each of an arm's budgets."""
    teacher = np.eye(settings.units)
    marks = np.array(list(budgets(arm, settings).values()))
    if arm.method == "sgd":
        return sample_descent(start, teacher, key, arm.learning_rate, int(arm.batch_size), marks)
    deviation = 0.0
    if arm.method == "isotropic":
        deviation = sqrt(minimum.trace / int(arm.batch_size) / start.size)
    return noisy_descent(start, teacher, key, arm.learning_rate, deviation, marks)


def run(arm: EscapeArm, minima: list[Minimum], settings: TeacherSettings) -> list[CellCounts]:
    """Run an arm from every minimum and count the classes of its ends."""
    within = budgets(arm, settings)
    stream = keys(len(minima), "teacher", arm.method, arm.start, arm.learning_rate, arm.batch_size)
    labels = np.empty((len(minima), len(within)), dtype=np.int64)
    for row, (minimum, start, key) in enumerate(zip(minima, nudged(minima), stream, strict=True)):
        labels[row] = [label(end, minimum, settings) for end in ends(arm, minimum, start, key, settings)]
    return [tally(arm, budget, updates, labels[:, i]) for i, (budget, updates) in enumerate(within.items())]


def teacher_test(settings: TeacherSettings) -> dict[str, Any]:
    """Return GD's minima and the counts of all arms that begin at them."""
    minima = parallel(lambda start: descend(start, settings), range(settings.starts))
    bad = [minimum for minimum in minima if minimum.kind == "spurious"]
    good = [minimum for minimum in minima if minimum.kind == "global"]
    starts = {"bad": bad, "good": good[: settings.good]}
    return {
        "minima": summary(minima),
        "cells": run_arms(lambda arm: run(arm, starts[arm.start], settings), arms(settings)),
    }


def summary(minima: list[Minimum]) -> dict[str, Any]:
    """Return what GD's minima are: how many of each kind, and for each kind and loss the sharpness, 2 / sharpness, tr Σ."""
    groups: dict[tuple[str, float], list[Minimum]] = {}
    for minimum in minima:
        groups.setdefault((minimum.kind, round(minimum.loss, 7)), []).append(minimum)
    kinds = [minimum.kind for minimum in minima]
    counts = {kind: kinds.count(kind) for kind in ("global", "spurious", "uncertified")}
    rows = [_group_summary(kind, loss, groups[kind, loss]) for kind, loss in sorted(groups)]
    return {"starts": len(minima), **counts, "kinds": rows}


def _group_summary(kind: str, loss: float, group: list[Minimum]) -> dict[str, Any]:
    highest = float(np.median([minimum.highest for minimum in group]))
    return {
        "kind": kind,
        "loss": loss,
        "count": len(group),
        "largest_norm": finite(max(minimum.norm for minimum in group)),
        "lowest_eigenvalue": float(np.median([minimum.lowest for minimum in group])),
        "highest_eigenvalue": highest,
        "stable_below": 2 / highest,
        "noise_trace": float(np.median([minimum.trace for minimum in group])),
        "most_updates": max(minimum.updates for minimum in group),
    }
