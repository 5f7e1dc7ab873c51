"""The trials of a search by regime: SGD with one row an update, mini-batches, or gradient descent on all training rows at once.

A search draws batch sizes as it draws everything else: it tunes the regimes neither alike nor to the same depth. A comparison does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from statistics import median
from typing import Any

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.formatting import number
from hpsearch.reporting.ranking import ended, space_of
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.trial import Outcome

DEFAULT = 32  # rows of an update of a study whose space does not say
FULL = "full"  # the batch size of gradient descent, in a study's file


class Regime(StrEnum):
    """A range of batch sizes, from one row to all rows."""

    ONE = "one"
    SOME = "some"
    FULL = "full"


def regime_of(batch_size: Any, rows: int | None) -> Regime:
    """Return the regime of a batch size; one of all rows or more is the full batch."""
    if batch_size == FULL or (rows is not None and isinstance(batch_size, int | float) and batch_size >= rows):
        return Regime.FULL
    return Regime.ONE if batch_size == 1 else Regime.SOME


@dataclass(frozen=True, slots=True)
class RegimeTrials:
    """The ended trials of one regime, repeats aside; `sizes` are the batch sizes of its mini-batches in rows, ascending."""

    regime: Regime
    sizes: Sequence[int]
    trials: Sequence[TrialRecord]
    best: TrialRecord | None

    @property
    def usable(self) -> list[TrialRecord]:
        """The trials that trained to their end and have a value."""
        return [trial for trial in self.trials if trial.usable and trial.value is not None]

    @property
    def pruned(self) -> int:
        """Trials that the pruner ended early."""
        return sum(trial.outcome == Outcome.PRUNED for trial in self.trials)

    @property
    def diverged(self) -> int:
        """Trials whose loss was no longer finite."""
        return sum(trial.outcome == Outcome.DIVERGED for trial in self.trials)

    @property
    def failed(self) -> int:
        """Trials without a usable network: those that diverged, among others."""
        return sum(trial.failed for trial in self.trials)

    @property
    def median(self) -> float | None:
        """The median of the usable trials' values, None where there is none."""
        if not self.usable:
            return None
        return median(trial.value or 0.0 for trial in self.usable)

    @property
    def median_seconds(self) -> float | None:
        """The median wall time of a usable trial, None where none is known."""
        seconds = [trial.seconds for trial in self.usable if trial.seconds is not None and isfinite(trial.seconds)]
        return median(seconds) if seconds else None


def regimes(record: StudyRecord) -> list[RegimeTrials]:
    """Return the three regimes, from one row to all, one without trials included; none where batch sizes or rows are not known."""
    rows = (record.data.get("rows") or {}).get("training")  # of a cross-validation those of its first fold
    if record.foreign or not isinstance(rows, int):
        return []
    found: dict[Regime, list[TrialRecord]] = {regime: [] for regime in Regime}
    for trial in record.trials:
        if ended(trial) and trial.repeats is None:
            found[regime_of(batch_size_of(trial, record), rows)].append(trial)
    return [_of_regime(record, regime, trials) for regime, trials in found.items()]


def sampled(record: StudyRecord) -> list[RegimeTrials]:
    """Return the regimes that have trials."""
    return [one for one in regimes(record) if one.trials]


def batch_size_of(trial: TrialRecord, record: StudyRecord) -> Any:
    """Return a trial's batch size as the study has it: a number, or "full"."""
    given = space_of(record).get("batch_size", DEFAULT)
    return trial.params.get("batch_size", given if isinstance(given, int | str) else DEFAULT)


def _of_regime(record: StudyRecord, regime: Regime, trials: Sequence[TrialRecord]) -> RegimeTrials:
    sizes = set()
    if regime is Regime.SOME:
        sizes = {batch_size_of(trial, record) for trial in trials}
    usable = [trial for trial in trials if trial.usable]
    best = min(usable, key=lambda trial: trial.rank(record.direction), default=None)
    return RegimeTrials(regime, sorted(map(int, sizes)), trials, best)


def regime_name(one: RegimeTrials, texts: Texts = ENGLISH) -> str:
    """Return `mini-batches (8 to 256)`, `batch size 1 (SGD)`, `the full batch (GD)`."""
    if not one.sizes:
        return texts(f"search.regime.{one.regime}")
    if len(one.sizes) == 1:
        return texts("search.regime.some_of_size", size=number(one.sizes[0]))
    return texts("search.regime.some_of_sizes", low=number(one.sizes[0]), high=number(one.sizes[-1]))
