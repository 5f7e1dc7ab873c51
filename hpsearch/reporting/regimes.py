"""The trials of a search by regime: SGD with one row an update, mini-batches, gradient descent on all training rows at once.

A search draws batch sizes as it draws everything else: it tunes the regimes neither alike nor to the same depth. A comparison does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median

from hpsearch.reporting.ranking import space_of
from hpsearch.space.hyperparameters import HYPERPARAMETERS
from hpsearch.storage import StudyRecord, TrialRecord

FULL = "full"  # the batch size of gradient descent, in a study's file
REGIMES = ("one", "some", "full")  # SGD, mini-batches, gradient descent


@dataclass(frozen=True, slots=True)
class RegimeTrials:
    """The ended trials of one regime; `sizes` are their batch sizes in rows, ascending."""

    name: str  # of REGIMES
    sizes: Sequence[int]
    trials: Sequence[TrialRecord]
    best: TrialRecord | None

    @property
    def pruned(self) -> int:
        """Trials that were ended early."""
        return sum(trial.state == "pruned" for trial in self.trials)

    @property
    def failed(self) -> int:
        """Trials without a value of their own, as those that diverged."""
        return sum(trial.failed for trial in self.trials)

    @property
    def median(self) -> float | None:
        """The median of the usable trials' values, None where there is none."""
        values = [trial.value for trial in self.trials if trial.usable and trial.value is not None]
        return median(values) if values else None

    @property
    def seconds(self) -> float:
        """Wall time of all its trials together."""
        return sum(trial.seconds for trial in self.trials if trial.seconds and isfinite(trial.seconds))


def regimes(record: StudyRecord) -> list[RegimeTrials]:
    """Return the three regimes, one without trials included; none where a study does not say its batch sizes or rows."""
    rows = (record.data.get("rows") or {}).get("training")
    if not isinstance(rows, int):
        return []
    fixed = space_of(record).get("batch_size", None if record.foreign else HYPERPARAMETERS["batch_size"].default)
    sizes = {trial.number: _batch_size(trial.params.get("batch_size", fixed), rows) for trial in record.trials}
    if not any(sizes.values()):
        return []
    return [_of_regime(record, name, rows, sizes) for name in REGIMES]


def regime(batch_size: int, rows: int) -> str:
    """Return "full" for gradient descent, "one" for SGD, "some" for a mini-batch."""
    if batch_size >= rows:
        return "full"
    return "one" if batch_size <= 1 else "some"


def _of_regime(record: StudyRecord, name: str, rows: int, sizes: Mapping[int, int | None]) -> RegimeTrials:
    own = {number: size for number, size in sizes.items() if size and regime(size, rows) == name}
    trials = [trial for trial in record.trials if trial.number in own and trial.state not in ("running", "waiting")]
    usable = [trial for trial in trials if trial.usable]
    best = min(usable, key=lambda trial: trial.rank(record.direction), default=None)
    return RegimeTrials(name, sorted({own[trial.number] for trial in trials}), trials, best)


def _batch_size(given: object, rows: int) -> int | None:
    """Return the rows of an update, None where they are not known."""
    if given == FULL:
        return rows
    return given if isinstance(given, int) else None
