"""Cost until a target: updates until the validation metric is better than asked for, and what they cost in seconds.

After Shallue et al. (JMLR 20(112), 2019): strictly better, on the evaluations that there were, nothing interpolated. A run that
never got there is `inf`, and medians take it as it is.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import inf

import numpy as np

from hpsearch.statistics.resampling import (
    RESAMPLES,
    Estimate,
    medians,
    numbers,
    percentile_interval,
    resampled,
)


def first_reached(updates: Sequence[int], metric: Sequence[float], target: float, maximize: bool) -> float:
    """Return the first evaluated update at which the metric is strictly better than the target, `inf` if it never is."""
    better = (value > target if maximize else value < target for value in metric)
    return next((float(update) for update, there in zip(updates, better, strict=True) if there), inf)


def median_estimate(values: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Return the median over seeds with its percentile bootstrap interval; infinite values are values and are never dropped.

    Of an even number of values it is the mean of the middle two, so infinite if one of them is. The interval can be no wider than
    from the smallest to the largest value, hence covers less than 95 % for fewer than 6 values; one value alone bounds nothing.

    Raises:
        ValueError: there is no value, or one is NaN.
    """
    observed = numbers(values)
    value = float(medians(observed))
    if len(observed) == 1:
        return Estimate(value, -inf, inf)
    return Estimate(value, *percentile_interval(medians(observed[resampled(len(observed), resamples, "median", seed)])))


def step_seconds(updates: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the seconds of one update: the median over evaluation windows of Δseconds / Δupdates, from running totals.

    The first window holds the warm-up, so it is left out where there are others; a window without an update is none.

    Raises:
        ValueError: there is no window.
    """
    ends = zip((0, *updates), (0.0, *seconds), strict=True)
    windows = [
        (later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in pairwise(ends) if later[0] > earlier[0]
    ]
    if not windows:
        raise ValueError("no update was timed, expected at least one evaluation after an update")
    return float(np.median(windows[1:] or windows))


def resolution(updates: Sequence[int], reached: float) -> float:
    """Return how coarsely the reaching update is known: its distance from the evaluation before it (or the start), as a share of it.

    Raises:
        ValueError: the network was not evaluated at that update; one that never reached has no resolution.
    """
    if reached not in updates:
        raise ValueError(f"expected an evaluated update, not {reached}")
    before = max((update for update in updates if update < reached), default=0)
    return (reached - before) / reached
