"""What every log has of a trial: its hyperparameters, and its learning curve as numbers by name and update."""

from collections.abc import Iterator
from math import isfinite

from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.trial import FAILED


def ended_trials(record: StudyRecord) -> list[TrialRecord]:
    """Return the trials that have ended; the others can still change."""
    return [trial for trial in record.trials if trial.history is not None]


def points(record: StudyRecord, trial: TrialRecord) -> Iterator[tuple[str, int, float]]:
    """Yield (name, update, value) of a learning curve, values that are no finite numbers left out."""
    assert trial.history is not None
    columns = {
        "training_loss": trial.history.training_loss,
        "validation_loss": trial.history.validation_loss,
        metric_of(record): trial.history.metric,
    }
    for name, values in columns.items():
        yield from ((name, u, v) for u, v in zip(trial.history.update, values, strict=True) if isfinite(v))


def scores(record: StudyRecord, trial: TrialRecord) -> dict[str, float]:
    """Return what a trial is compared by: its value, its size, its time; a failed trial has no value."""
    failed = trial.outcome in FAILED
    if failed or trial.value is None:
        value = {}
    else:
        value = {f"best_{metric_of(record)}": trial.value}
    return {**value, "parameters": float(trial.parameters or 0), "seconds": trial.seconds or 0.0}


def metric_of(record: StudyRecord) -> str:
    """Return the name of the study's metric."""
    return str(record.data.get("metric", "metric"))
