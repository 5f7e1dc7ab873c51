"""Escape from the proven bad minima of a small network: ten rectified units that learn ten (Safran and Shamir 2018).

GD on the closed-form loss leads each of many random starts to a minimum, which is certified: gradient norm below 1e-8, Hessian
positive, loss above 0. From the bad ones (and from a few good ones, as a control) begin SGD on fresh batches, GD, GD at larger
learning rates, and GD with isotropic Gaussian noise of the same total variance tr Σ / B, tr Σ being that at the minimum.
At the good minimum every example's gradient is 0, so SGD's noise ends there; the isotropic noise goes on. Each end
is polished by noise-free descent, certified again and told apart: the good minimum, the own one, another bad one.
"""

from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np

from hpsearch.comparison.escape.cells import (
    DIVERGED,
    ESCAPED,
    FULL,
    OTHER,
    STUCK,
    UNRESOLVED,
    Arm,
    Cell,
    columns,
    parallel,
    tally,
)
from hpsearch.comparison.escape.descent import noise_trace, noisy_descent, polish, sample_descent
from hpsearch.comparison.escape.settings import TeacherSettings
from hpsearch.comparison.escape.streams import keys
from hpsearch.comparison.escape.student import sharpness
from hpsearch.training.compiled.jit import Array
from hpsearch.trial import derive_seed

FLAT = 1e-8  # a certified minimum's gradient norm
ZERO = 1e-10  # a global minimum's loss
NUDGE = 1e-5  # the deviation of each weight from the minimum at the start, so that an unstable one can be left
TRACE_EXAMPLES = 20_000
PATIENCE, NEAR_START, NEAR_END = 30_000, 1e-6, 1e-4  # of GD in a polish: updates at most, gradient norm to stop at


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
    weights, loss, norm, updates = polish(
        generator.normal(size=(units, units)) / sqrt(units), teacher, settings.step, PATIENCE, NEAR_START
    )
    trace = noise_trace(weights, teacher, keys(1, "trace", units, start)[0], TRACE_EXAMPLES)
    return Minimum(weights, float(loss), float(norm), *sharpness(weights, teacher), float(trace), int(updates))


def nudged(minima: list[Minimum]) -> list[Array]:
    """Return the points at which all arms begin: each minimum moved by `NUDGE` in a random direction."""
    generator = np.random.default_rng(derive_seed("teacher", "nudge"))
    return [m.weights + NUDGE * generator.normal(size=m.weights.shape) for m in minima]


def label(end: Array, minimum: Minimum, settings: TeacherSettings) -> int:
    """Return the class of an end [K, D] of a run from a minimum, after a polish."""
    if not np.isfinite(end).all():
        return DIVERGED
    teacher = np.eye(settings.units)
    weights, loss, norm, _ = polish(end, teacher, settings.step, PATIENCE, NEAR_END)
    if not norm < FLAT:
        return UNRESOLVED
    if np.abs(weights - minimum.weights).max() < 1e-6:
        return STUCK
    if loss < ZERO:
        return ESCAPED if minimum.kind == "spurious" else OTHER
    if sharpness(weights, teacher)[0] <= 0:
        return UNRESOLVED
    return OTHER if minimum.kind == "spurious" else ESCAPED


def arms(settings: TeacherSettings) -> list[Arm]:
    """Return the grid of SGD and of isotropic noise from both kinds of minima, and GD at all learning rates and larger ones."""
    starts, rates = ("bad", "good"), settings.learning_rates
    noisy = [Arm(m, s, r, b) for s in starts for m in ("sgd", "isotropic") for r in rates for b in settings.batch_sizes]
    return [*noisy, *(Arm("gd", start, rate, FULL) for start in starts for rate in (*rates, *settings.unstable))]


def budgets(arm: Arm, settings: TeacherSettings) -> dict[str, int]:
    """Return the updates of both budgets. GD and isotropic noise see the whole distribution, so that no count of examples binds them."""
    if arm.method != "sgd":
        return {"updates": settings.updates}
    return {"updates": settings.updates, "examples": max(1, settings.examples // int(arm.batch_size))}


def ends(arm: Arm, minimum: Minimum, start: Array, key: Any, settings: TeacherSettings) -> Array:
    """Return the weights [M, K, D] at the end of each of an arm's budgets."""
    teacher, marks = np.eye(settings.units), np.array(list(budgets(arm, settings).values()))
    if arm.method == "sgd":
        return sample_descent(start, teacher, key, arm.learning_rate, int(arm.batch_size), marks)
    deviation = sqrt(minimum.trace / int(arm.batch_size) / start.size) if arm.method == "isotropic" else 0.0
    return noisy_descent(start, teacher, key, arm.learning_rate, deviation, marks)


def run(arm: Arm, minima: list[Minimum], settings: TeacherSettings) -> list[Cell]:
    """Run an arm from every minimum and count the classes of its ends."""
    stream = keys(len(minima), "teacher", arm.method, arm.start, arm.learning_rate, arm.batch_size)
    found = [
        [label(end, minimum, settings) for end in ends(arm, minimum, start, key, settings)]
        for minimum, start, key in zip(minima, nudged(minima), stream, strict=True)
    ]
    by_budget = np.array(found, dtype=np.int64).reshape(len(minima), len(budgets(arm, settings))).T
    named = zip(budgets(arm, settings).items(), by_budget, strict=True)
    return [tally(arm, budget, updates, labels) for (budget, updates), labels in named]


def summary(minima: list[Minimum]) -> dict[str, Any]:
    """Return what GD's minima are: how many of each kind, and for each kind and loss the sharpness, 2 / sharpness, tr Σ."""
    kinds: dict[tuple[str, float], list[Minimum]] = {}
    for m in minima:
        kinds.setdefault((m.kind, round(m.loss, 7)), []).append(m)
    return {
        "starts": len(minima),
        **{kind: sum(m.kind == kind for m in minima) for kind in ("global", "spurious", "uncertified")},
        "kinds": [
            {
                "kind": kind,
                "loss": loss,
                "count": len(group),
                "largest_norm": _largest([m.norm for m in group]),
                "lowest_eigenvalue": float(np.median([m.lowest for m in group])),
                "highest_eigenvalue": float(np.median([m.highest for m in group])),
                "stable_below": 2 / float(np.median([m.highest for m in group])),
                "noise_trace": float(np.median([m.trace for m in group])),
                "most_updates": max(m.updates for m in group),
            }
            for (kind, loss), group in sorted(kinds.items(), key=lambda item: item[0])
        ],
    }


def _largest(values: list[float]) -> float | None:
    largest = max(values, default=inf)
    return largest if isfinite(largest) else None


def teacher(settings: TeacherSettings) -> dict[str, Any]:
    """Return GD's minima and the counts of all arms that begin at them."""
    minima = parallel(lambda start: descend(start, settings), range(settings.starts))
    bad = [m for m in minima if m.kind == "spurious"]
    begin = {"bad": bad, "good": [m for m in minima if m.kind == "global"][: settings.good]}
    cells = [
        c for several in parallel(lambda arm: run(arm, begin[arm.start], settings), arms(settings)) for c in several
    ]
    return {"minima": summary(minima), "cells": columns(cells)}
