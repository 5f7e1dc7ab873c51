"""Numbers from a run's learning curve: when it reached a target and at what cost, and how good its network became.

Columns are those of a history: one entry for each evaluation, nothing interpolated between them. An entry that is NaN is of a run that
diverged there, and counts as no result. After Shallue et al. (JMLR 20(112), 2019) a target is reached where the metric is strictly
better; a run that never got there is `inf`. How good a network became is answered in three ways, so that no unit of the budget
decides: within a budget, at saturation, at equal training loss.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import inf, isfinite

import numpy as np

from hpsearch.trial import is_better

FALL = 0.1  # of a loss while the progress doubles, below which it has stopped to fall
FITTED = 0.01  # of the first training loss, at which the training rows are fitted


def first_reached(updates: Sequence[int], metric: Sequence[float], target: float, maximize: bool) -> float:
    """Return the first evaluated update at which the metric is strictly better than the target, `inf` if it never is."""
    for update, value in zip(updates, metric, strict=True):
        if is_better(value, target, maximize):
            return float(update)
    return inf


def step_seconds(updates: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the seconds of one update: the median over evaluation windows of Δseconds / Δupdates, from running totals.

    The first window holds the warm-up, so it is left out where there are others; a window without an update is none.

    Raises:
        ValueError: there is no window.
    """
    ends = zip((0, *updates), (0.0, *seconds), strict=True)
    windows = []
    for (begin, begin_seconds), (end, end_seconds) in pairwise(ends):
        if end > begin:
            windows.append((end_seconds - begin_seconds) / (end - begin))
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


def best_within(progress: Sequence[float], metric: Sequence[float], limit: float, maximize: bool) -> float | None:
    """Return the best metric up to a limit of the progress (updates, examples or seconds so far), None if there is none.

    Equal steps favour large batches, equal examples small ones (Shallue et al. 2019, fig 11): show both.
    """
    inside = [value for done, value in zip(progress, metric, strict=True) if done <= limit and isfinite(value)]
    best = max if maximize else min
    return best(inside, default=None)


def saturated(progress: Sequence[float], training_loss: Sequence[float], validation_loss: Sequence[float]) -> bool:
    """Return whether training longer has stopped to help: neither loss fell by a tenth while the progress doubled.

    A training loss of at most `FITTED` of the first one counts as fallen as far as it can: near zero it falls for ever, to no use. The
    training loss decides, since the validation loss of a run that is far from its end may pause; the validation loss is the second test.
    """
    half = progress[-1] / 2 if progress else 0.0
    training = _halves(progress, training_loss, half)
    validation = _halves(progress, validation_loss, half)
    if training is None or validation is None:
        return False
    first = next(loss for loss in training_loss if isfinite(loss))
    fitted = training[1] <= FITTED * first
    return (fitted or _stopped(*training)) and _stopped(*validation)


def _halves(progress: Sequence[float], losses: Sequence[float], half: float) -> tuple[float, float] | None:
    """Return the least loss up to half of the progress, and of all; None where one is not known."""
    known = [(done, loss) for done, loss in zip(progress, losses, strict=True) if isfinite(loss)]
    before = min((loss for done, loss in known if done <= half), default=None)
    if before is None:
        return None
    return before, min(loss for _, loss in known)


def _stopped(before: float, after: float) -> bool:
    return after >= before - FALL * abs(before)


def gap_at_loss(training_loss: Sequence[float], validation_loss: Sequence[float], level: float) -> float | None:
    """Return validation loss - training loss at the first evaluation with a training loss of at most `level`, None if there is none.

    Comparing arms at one training loss keeps "trained less" apart from "generalises better" (Keskar et al. 2016).
    """
    rows = zip(training_loss, validation_loss, strict=True)
    return next((validation - training for training, validation in rows if training <= level), None)


def matched_level(training_losses: Sequence[Sequence[float]]) -> float | None:
    """Return the lowest training loss that all runs reach, None where a run has none (or there is no run)."""
    lowest = [min(filter(isfinite, losses), default=None) for losses in training_losses]
    known = [loss for loss in lowest if loss is not None]
    if not known or len(known) < len(lowest):
        return None
    return max(known)
