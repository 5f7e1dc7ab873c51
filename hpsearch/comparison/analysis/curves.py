"""Learning curves of an arm's winner: the median over seeds and the middle half of them, by updates, epochs and seconds."""

from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from hpsearch.comparison.analysis.times import ended, seconds_per_update, winner_of
from hpsearch.statistics.resampling import Array
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


def curve(record: ComparisonRecord, arm: ArmRecord, column: str = "metric") -> Curve | None:
    """Return the curve of one of `COLUMNS` of a history, None where the arm has no run that ended."""
    winner = winner_of(arm)
    runs = ended(winner.runs) if winner else []
    histories = [run.history for run in runs if run.history]
    if not histories:
        return None
    updates = max((history.update for history in histories), key=len)
    failed = worst(record) if column == "metric" else inf
    values = np.array([_filled(run, column, len(updates), failed) for run in runs])  # [N, E]
    low, middle, high = (_rows(np.quantile(values, q, axis=0, method="inverted_cdf")) for q in (0.25, 0.5, 0.75))
    each = seconds_per_update(runs) or 0.0
    return Curve(
        arm.optimizer,
        arm.batch_size,
        len(runs),
        updates,
        tuple(update * arm.batch_size / record.rows for update in updates),
        tuple(update * each for update in updates),
        middle,
        low,
        high,
    )


def worst(record: ComparisonRecord) -> float:
    """Return the metric's worst value, which a run that diverged has."""
    given = record.data.get("worst")
    return float(given) if given is not None else -inf if record.direction == "maximize" else inf


def _filled(run: TrialRecord, column: str, length: int, failed: float) -> list[float]:
    """Return a run's values at `length` evaluations."""
    values: list[float] = list(getattr(run.history, column))[:length]
    values = [value if isfinite(value) else failed for value in values]
    return values + [failed if run.outcome == "diverged" else values[-1]] * (length - len(values))


def _rows(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
