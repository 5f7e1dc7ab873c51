"""Tuning towards a target: a trial that used `LATE` times the updates of the best one before it cannot be the fastest, and ends there.

Which trials are before it is decided by numbers, as in any search (its lag), so that the same trials end at the same updates with one
place in flight or many, and after any interruption. The fastest trial is the same as without a cap.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from typing import Any

from hpsearch.comparison.winners import reached
from hpsearch.searching.loop import Search
from hpsearch.trial import Direction, TrialSpec

LATE = 2.0
LAG = 2  # trial k knows the results of trials 0 … k - LAG

Specify = Callable[[Mapping[str, Any], int], TrialSpec]


def capped(search: Search, target: float, direction: Direction) -> Specify:
    """Return the search's way from hyperparameters to a trial, with its budget cut by what the trials before it needed."""
    specify = search.specify

    def cut(values: Mapping[str, Any], number: int) -> TrialSpec:
        spec = specify(values, number)
        known = (run for before, run in search.runs.items() if before <= number - LAG)
        cap = LATE * min((reached(run.history, target, direction) for run in known), default=inf)
        kept = [update for update in spec.evaluate_at if update <= cap] or list(spec.evaluate_at[:1])
        return replace(spec, evaluate_at=tuple(kept))

    return cut
