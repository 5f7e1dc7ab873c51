"""Learning curves of an arm's winner: the median over seeds and the middle half of them, by updates, epochs and seconds."""

from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from hpsearch.comparison.analysis.times import ended, seconds_per_update, winner_of
from hpsearch.statistics.estimates import Array
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord

COLUMNS = ("metric", "validation_loss")


@dataclass(frozen=True, slots=True)
class Curve:
    """One arm's curve, a value at each evaluation; `low` to `high` holds the middle half of the seeds.

    A run that ended sooner keeps its last value; one that diverged has the worst metric, or an infinite loss, from there on.
    """

    optimizer: str
    batch_size: int
    runs: int
    updates: tuple[int, ...]
    epochs: tuple[float, ...]
    seconds: tuple[float, ...]
    median: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def axis(self, unit: str) -> tuple[float, ...]:
        """Return the evaluations in a unit: "updates", "epochs" or "seconds"."""
        values: tuple[float, ...] = getattr(self, unit)
        return values


def curve(record: ComparisonRecord, arm: ArmRecord, column: str = "metric") -> Curve | None:
    """Return the curve of one of `COLUMNS` of a history, None where the arm has no run that ended."""
    winner = winner_of(arm)
    runs = ended(winner.runs) if winner else []
    if not runs:
        return None
    updates = max((run.history.update for run in runs if run.history), key=len)
    failed = worst_metric(record) if column == "metric" else inf
    values = np.array([_extended(run, column, len(updates), failed) for run in runs])  # [N, E]
    seconds = seconds_per_update(runs) or 0.0
    return Curve(
        optimizer=arm.optimizer,
        batch_size=arm.batch_size,
        runs=len(runs),
        updates=updates,
        epochs=tuple(update * arm.batch_size / record.rows for update in updates),
        seconds=tuple(update * seconds for update in updates),
        median=_quantile(values, 0.5),
        low=_quantile(values, 0.25),
        high=_quantile(values, 0.75),
    )


def worst_metric(record: ComparisonRecord) -> float:
    """Return the metric's worst value, which a run that diverged has."""
    given = record.data.get("worst")
    if given is not None:
        return float(given)
    return -inf if record.direction == "maximize" else inf


def _extended(run: TrialRecord, column: str, length: int, failed: float) -> list[float]:
    """Return a run's values at `length` evaluations."""
    values: list[float] = list(getattr(run.history, column))[:length]
    values = [value if isfinite(value) else failed for value in values]
    last = failed if run.outcome == "diverged" else values[-1]
    return values + [last] * (length - len(values))


def _quantile(values: Array, share: float) -> tuple[float, ...]:
    """Return a quantile over the runs at each evaluation, one of the runs' own values."""
    return tuple(map(float, np.quantile(values, share, axis=0, method="inverted_cdf")))
