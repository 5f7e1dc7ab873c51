"""How good a network became, told three ways so that no unit of the budget decides: within a budget, at saturation, at equal training loss.

Columns are those of a history: one entry for each evaluation, nothing interpolated between them. An entry that is NaN is of a run that
diverged there, and counts as no result.
"""

from collections.abc import Sequence
from math import isfinite


def best_within(progress: Sequence[float], metric: Sequence[float], limit: float, maximize: bool) -> float | None:
    """Return the best metric up to a limit of the progress (updates, examples or seconds so far), None if there is none.

    Equal steps favour large batches, equal examples small ones (Shallue et al. 2019, fig 11): show both.
    """
    inside = [value for done, value in zip(progress, metric, strict=True) if done <= limit and isfinite(value)]
    return (max if maximize else min)(inside, default=None)


def saturated(progress: Sequence[float], validation_loss: Sequence[float], share: float = 0.2) -> bool:
    """Return whether the best validation loss lies before the last `share` of the run: training longer has stopped to help."""
    known = [(loss, done) for done, loss in zip(progress, validation_loss, strict=True) if isfinite(loss)]
    return bool(known) and min(known)[1] <= (1 - share) * progress[-1]


def gap_at_loss(training_loss: Sequence[float], validation_loss: Sequence[float], level: float) -> float | None:
    """Return validation loss - training loss at the first evaluation with a training loss of at most `level`, None if there is none.

    Comparing arms at one training loss keeps "trained less" apart from "generalises better" (Keskar et al. 2016).
    """
    rows = zip(training_loss, validation_loss, strict=True)
    return next((validation - training for training, validation in rows if training <= level), None)


def matched_level(training_losses: Sequence[Sequence[float]]) -> float | None:
    """Return the lowest training loss that all runs reach, None where a run has none (or there is no run)."""
    lowest = [min(filter(isfinite, losses), default=None) for losses in training_losses]
    return None if not lowest or None in lowest else max(loss for loss in lowest if loss is not None)
