"""Synthetic escape tests: in the network runs are drawn from given shares, and kept as the real one is: grid, best settings, fresh runs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from hpsearch.comparison.escape.cells import DIVERGED, ESCAPED, STUCK, CellCounts, EscapeArm, columns, tally
from hpsearch.comparison.escape.teacher import TeacherSettings, arms, best_settings, fresh_arms
from tests.support import escapes

Share = Callable[[EscapeArm], float]  # of an arm's runs that escape in the end

SETTINGS = TeacherSettings(
    learning_rates=(0.03, 0.1, 0.3),
    unstable=(0.68, 1.0),
    batch_sizes=(1, 4, 16),
    marks=(1_000, 4_000, 16_000),
)


def shares(good: float = 0.0, larger: float = 0.0, **by_method: float) -> Share:
    """Shares of escapes by method, the same at all settings, from bad minima and from good ones; of GD at larger rates `larger`."""

    def share(arm: EscapeArm) -> float:
        if arm.start == "good":
            return good
        if arm.learning_rate in SETTINGS.unstable:
            return larger
        return by_method.get(arm.method, 0.0)

    return share


# Records of which each sentence on escapes is said of one at least.
EXAMPLES: tuple[Share, ...] = (
    shares(sgd=0.8, isotropic=0.1, frozen=0.3, good=0.3, larger=0.7),
    shares(sgd=0.98, isotropic=0.1, frozen=0.98),
    shares(sgd=0.5, isotropic=0.1, frozen=0.45),
    shares(sgd=0.5, isotropic=0.1, frozen=0.95),
    shares(sgd=0.98, isotropic=0.98),
    shares(sgd=0.25, isotropic=0.25),
    shares(sgd=0.3, isotropic=0.9),
)


def drawn(
    share: Share, seed: int, minima: int = 100, made: bool = False, diverging: Share = lambda arm: 0.0
) -> dict[str, Any]:
    """The escape tests with a network in which each run of an arm escapes with the arm's share, and of the rest diverges with another.

    Each run's time to escape is drawn too, so that what escaped by a mark has escaped by the next. `made` says whether SGD and GD differ
    on the made loss.
    """
    generator = np.random.default_rng(seed)

    def run(arm: EscapeArm) -> list[CellCounts]:
        escaping = generator.random(minima) < share(arm)
        diverging_runs = ~escaping & (generator.random(minima) < diverging(arm))
        times = generator.uniform(1, SETTINGS.marks[-1], minima)
        cells = []
        for mark in SETTINGS.marks:
            labels = np.where(escaping & (times <= mark), ESCAPED, np.where(diverging_runs, DIVERGED, STUCK))
            cells.append(tally(arm, "updates", mark, labels, outcomes=True))
        return cells

    grid = [cell for arm in arms(SETTINGS) for cell in run(arm)]
    best = best_settings(grid, SETTINGS)
    fresh = [cell for arm in fresh_arms(best, SETTINGS) for cell in run(arm)]
    counts = {"starts": 3 * minima, "global": 2 * minima, "spurious": minima, "uncertified": 0, "kinds": []}
    table = {
        "minima": counts,
        "cells": columns(grid),
        "best": best,
        "fresh": {"minima": counts, "cells": columns(fresh)},
    }
    tests = escapes.minima()
    if not made:
        tests["instability"]["cells"] = escapes.columns([escapes.row("sgd", "x = 1", 0.6, 1, exponent=0.1)])
    return {**tests, "teacher": table}
