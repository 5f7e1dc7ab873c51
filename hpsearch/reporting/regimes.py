"""Which regime a trial trained in: SGD of one row an update, mini-batches, or the full batch of gradient descent."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from hpsearch.reporting.formatting import number
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.ranking import settings_of, space_of
from hpsearch.storage import StudyRecord, TrialRecord

FULL = "full"
DEFAULT = 32  # of a study whose space does not say


class Regime(StrEnum):
    """A range of batch sizes, from one row to all rows."""

    ONE = "one"
    SOME = "some"
    FULL = "full"


def rows_of(record: StudyRecord) -> int | None:
    """Return the number of training rows, None where it is not known; of a cross-validation that of its first fold."""
    rows = (record.data.get("rows") or {}).get("training")
    return rows if isinstance(rows, int) and rows > 0 else None


def batch_size_of(trial: TrialRecord, record: StudyRecord) -> Any:
    """Return a trial's batch size as the study has it: a number, or "full"."""
    given = space_of(record).get("batch_size", DEFAULT)
    return trial.params.get("batch_size", given if isinstance(given, int | str) else DEFAULT)


def regime_of(batch_size: Any, rows: int | None) -> Regime:
    """Return the regime of a batch size; one of all rows or more is the full batch."""
    if batch_size == FULL or (rows is not None and isinstance(batch_size, int | float) and batch_size >= rows):
        return Regime.FULL
    return Regime.ONE if batch_size == 1 else Regime.SOME


def by_regime(record: StudyRecord) -> Mapping[Regime, list[TrialRecord]]:
    """Return the trials that ended, by the regime in which they trained, from one row to all; regimes without trials are left out."""
    rows = rows_of(record)
    found: dict[Regime, list[TrialRecord]] = {regime: [] for regime in Regime}
    for trial in record.trials:
        if trial.state not in ("running", "waiting") and trial.repeats is None:
            found[regime_of(batch_size_of(trial, record), rows)].append(trial)
    return {regime: trials for regime, trials in found.items() if trials}


def regime_name(regime: Regime, trials: Sequence[TrialRecord], record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Return `mini-batches (8 to 256)`, `batch size 1`, `the full batch`."""
    if regime is not Regime.SOME:
        return texts(f"search.regime.{regime}")
    sizes = sorted({int(batch_size_of(trial, record)) for trial in trials})
    if len(sizes) == 1:
        return texts("search.regime.some_one", size=number(sizes[0]))
    return texts("search.regime.some", low=number(sizes[0]), high=number(sizes[-1]))


def is_known(record: StudyRecord) -> bool:
    """Whether the study's trials train networks whose batch size is known."""
    return not record.foreign and (bool(settings_of(record, "space")) or "batch_size" in space_of(record))
