"""Escape from the proven bad minima of a small network: ten rectified units that learn ten (Safran and Shamir 2018).

GD on the closed-form loss leads each of many random starts to a minimum, which is certified: gradient norm below 1e-8, Hessian
positive, loss above 0. From the bad ones (and from a few good ones, as a control) begin SGD on fresh batches, GD, GD at larger
learning rates, and GD with Gaussian noise of two kinds: `frozen` has the covariance Σ / B of SGD's own noise at the minimum, strength
and shape, wherever the run goes; `isotropic` has the same total variance tr Σ / B in all directions alike. So SGD against frozen shows
what it does that the noise changes on the way, frozen against isotropic what its shape does. All arms begin at the same points.
At the good minimum every example's gradient is 0, so SGD's noise ends there; the Gaussian noise goes on. Each end
is polished by noise-free descent, certified again and classified: the good minimum, the own one, another bad one.

The best of many cells is so by chance too. What each method does at its best is therefore measured anew (`fresh`): from as many new
random starts, with new random numbers, at the settings that were best on the first ones, all methods at each of them.
"""

from collections.abc import Iterable
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
    Watch,
    columns,
    parallel,
    run_cells,
    tally,
)
from hpsearch.comparison.escape.streams import keys
from hpsearch.comparison.escape.student import (
    gradient_covariance,
    noisy_descent,
    polish,
    sample_descent,
    sharpness,
    square_root,
)
from hpsearch.statistics.estimates import finite
from hpsearch.training.compiled.jit import Array
from hpsearch.trial import derive_seed

FLAT = 1e-8  # a certified minimum's gradient norm
ZERO = 1e-10  # a global minimum's loss
NUDGE = 1e-5  # the deviation of each weight from the minimum at the start, so that an unstable one can be left
NOISE_EXAMPLES = 20_000  # from which the covariance of the gradient is estimated
POLISH_UPDATES = 30_000  # of GD in a polish, at most
START_NORM = 1e-6  # gradient norm at which GD from a random start stops and Newton's method begins
END_NORM = 1e-4  # likewise from the end of a run


Setting = dict[str, Any]  # learning rate and batch size of a cell
NOISY = ("sgd", "frozen", "isotropic")  # the methods that have a batch size


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    """Student and teacher of `units` rectified units and as many inputs; `starts` random networks, of which some get stuck.

    `good` of the others are the control. `step` is the learning rate of the descent that finds and polishes minima. Runs from certified
    minima are looked at after each of `marks` updates; `examples` is SGD's other budget, the others use the full distribution in each
    update. `unstable` are GD's larger learning rates.
    """

    units: int = 10
    starts: int = 300
    good: int = 10
    step: float = 0.5
    learning_rates: tuple[float, ...] = (0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.6)
    unstable: tuple[float, ...] = (0.64, 0.66, 0.68, 0.7, 1.0)
    batch_sizes: tuple[int, ...] = (1, 4, 16, 64)
    marks: tuple[int, ...] = (1_000, 2_000, 4_000, 8_000, 16_000)
    examples: int = 16_000


@dataclass(frozen=True, slots=True)
class Minimum:
    """Where GD led: weights [K, D], loss, gradient norm, extreme eigenvalues of the Hessian, a factor F [P, P] of Σ = FᵀF.

    Σ is the covariance of one example's gradient there.
    """

    weights: Array
    loss: float
    norm: float
    lowest: float
    highest: float
    factor: Array
    updates: int

    @property
    def trace(self) -> float:
        """The summed variance tr Σ of one example's gradient."""
        return float(np.sum(self.factor**2))

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
    key = keys(1, "trace", units, start)[0]
    factor = square_root(gradient_covariance(weights, teacher, key, NOISE_EXAMPLES))
    lowest, highest = sharpness(weights, teacher)
    return Minimum(weights, float(loss), float(norm), lowest, highest, factor, int(updates))


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


def labels_of(ends: Array, minimum: Minimum, settings: TeacherSettings, watch: Watch) -> list[int]:
    """Return the classes of the ends [M, K, D] of a run from a minimum; a run that stands still has one end, which is polished once.

    Raises:
        Halted: the watch says so.
    """
    found: list[int] = []
    for mark, end in enumerate(ends):
        watch.check()
        if mark and np.array_equal(end, ends[mark - 1], equal_nan=True):
            found.append(found[-1])
        else:
            found.append(label(end, minimum, settings))
    return found


def arms(settings: TeacherSettings) -> list[EscapeArm]:
    """Return the grid of SGD and of both kinds of noise from bad minima, SGD from good ones, and GD at all learning rates and larger ones.

    At a good minimum the frozen noise is 0.
    """
    starts = ("bad", "good")
    rates = settings.learning_rates
    result = []
    for method, rate in product(NOISY, rates):
        result += [EscapeArm(method, "bad", rate, size) for size in settings.batch_sizes]
    for rate in rates:
        result += [EscapeArm("sgd", "good", rate, size) for size in settings.batch_sizes]
    for start in starts:
        result += [EscapeArm("gd", start, rate, FULL) for rate in (*rates, *settings.unstable)]
    return result


def budgets(arm: EscapeArm, settings: TeacherSettings) -> list[tuple[str, int]]:
    """Return the names and updates of an arm's budgets. All but SGD use the full distribution: no count of examples limits them."""
    equal = [("updates", mark) for mark in settings.marks]
    if arm.method != "sgd":
        return equal
    return [*equal, ("examples", max(1, settings.examples // int(arm.batch_size)))]


def gaussian_noise(arm: EscapeArm, minimum: Minimum) -> tuple[Array, float]:
    """Return the factor [P, P] of the covariance of an arm's Gaussian noise, or one without rows and the deviation in all directions."""
    size = minimum.weights.size
    if arm.method == "frozen":
        return minimum.factor / sqrt(int(arm.batch_size)), 0.0
    deviation = 0.0
    if arm.method == "isotropic":
        deviation = sqrt(minimum.trace / int(arm.batch_size) / size)
    return np.empty((0, size)), deviation


def ends(arm: EscapeArm, minimum: Minimum, start: Array, key: Any, settings: TeacherSettings) -> Array:
    """Return the weights [M, K, D] at the end of each of an arm's budgets."""
    teacher = np.eye(settings.units)
    marks = np.array([updates for _, updates in budgets(arm, settings)])
    if arm.method == "sgd":
        return sample_descent(start, teacher, key, arm.learning_rate, int(arm.batch_size), marks)
    factor, deviation = gaussian_noise(arm, minimum)
    return noisy_descent(start, teacher, key, arm.learning_rate, factor, deviation, marks)


def run(
    arm: EscapeArm, minima: list[Minimum], settings: TeacherSettings, watch: Watch, part: str = ""
) -> list[CellCounts]:
    """Run an arm from every minimum and count the classes of its ends; another `part` of the test has other random numbers.

    Raises:
        Halted: the watch says so.
    """
    within = budgets(arm, settings)
    named = [arm.method, arm.start, arm.learning_rate, arm.batch_size, *([part] if part else [])]
    stream = keys(len(minima), "teacher", *named)
    labels = np.empty((len(minima), len(within)), dtype=np.int64)
    for row, (minimum, start, key) in enumerate(zip(minima, nudged(minima), stream, strict=True)):
        watch.check()
        labels[row] = labels_of(ends(arm, minimum, start, key, settings), minimum, settings, watch)
    return [tally(arm, budget, updates, labels[:, i], outcomes=True) for i, (budget, updates) in enumerate(within)]


# ---- the grid, and what was best on it measured anew


def teacher_test(settings: TeacherSettings, watch: Watch) -> dict[str, Any]:
    """Return GD's minima, the counts of all arms that begin at them, and the best settings with their fresh counts."""
    minima = find_minima(range(settings.starts), settings, watch)
    starts = certified(minima, settings.good)
    found = run_cells(lambda arm: run(arm, starts[arm.start], settings, watch), arms(settings), watch)
    best = best_settings(found, settings)
    anew = find_minima(range(settings.starts, 2 * settings.starts), settings, watch)
    fresh_starts = certified(anew, len(starts["bad"]))
    again = fresh_arms(best, settings)
    fresh = run_cells(lambda arm: run(arm, fresh_starts[arm.start], settings, watch, "fresh"), again, watch)
    return {
        "minima": summary(minima),
        "cells": columns(found),
        "best": best,
        "fresh": {"minima": summary(anew), "cells": columns(fresh)},
    }


def find_minima(starts: Iterable[int], settings: TeacherSettings, watch: Watch) -> list[Minimum]:
    """Return where GD leads from random starts."""
    return parallel(lambda start: descend(start, settings), starts, watch)


def certified(minima: list[Minimum], good: int) -> dict[str, list[Minimum]]:
    """Return the minima from which runs begin, all bad ones and at most so many good ones."""
    spurious = [minimum for minimum in minima if minimum.kind == "spurious"]
    perfect = [minimum for minimum in minima if minimum.kind == "global"]
    return {"bad": spurious, "good": perfect[:good]}


def best_settings(found: list[CellCounts], settings: TeacherSettings) -> dict[str, Setting]:
    """Return the setting at which each method left most bad minima: the noisy ones, SGD after the first mark, GD at larger rates."""
    first, *_ = settings.marks
    *_, last = settings.marks
    wanted = {method: (method, last, settings.learning_rates) for method in NOISY}
    wanted["sgd_early"] = ("sgd", first, settings.learning_rates)
    wanted["larger"] = ("gd", last, settings.unstable)
    result = {}
    for name, (method, updates, rates) in wanted.items():
        cells = [cell for cell in found if (cell.arm.method, cell.arm.start) == (method, "bad")]
        cells = [cell for cell in cells if (cell.budget, cell.updates) == ("updates", updates)]
        cells = [cell for cell in cells if cell.seeds and cell.arm.learning_rate in rates]
        if cells:
            arm = max(cells, key=lambda cell: cell.rank).arm
            result[name] = {"learning_rate": arm.learning_rate, "batch_size": arm.batch_size}
    return result


def fresh_arms(best: dict[str, Setting], settings: TeacherSettings) -> list[EscapeArm]:
    """Return the arms that are measured anew: all methods at each best setting, GD at all learning rates, and SGD from good minima."""
    pairs = {(setting["learning_rate"], setting["batch_size"]) for name, setting in best.items() if name != "larger"}
    chosen = sorted(pairs)
    result = [EscapeArm(method, "bad", *pair) for method, pair in product(NOISY, chosen)]
    result += [EscapeArm("sgd", "good", *pair) for pair in chosen]
    rates = list(settings.learning_rates)
    if "larger" in best:
        rates.append(best["larger"]["learning_rate"])
    return result + [EscapeArm("gd", start, rate, FULL) for start, rate in product(("bad", "good"), rates)]


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
