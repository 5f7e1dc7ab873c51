"""A stored trial as a `TrialRecord`: what a storage holds is used as far as it is of the kind that it should be."""

from collections.abc import Mapping
from typing import Any, TypeGuard

from hpsearch.storage.optuna_internals import TrialRow
from hpsearch.storage.records import TrialRecord
from hpsearch.storage.trial_writing import rung_values
from hpsearch.trial import History

SCORED = ("training", "test", "last")
HISTORY_COLUMNS = frozenset(History().columns())
LARGEST = 2**62  # no count is larger
COUNTS = ("evaluation", "update", "examples")


def trial_record(row: TrialRow, first_start: float, run: Mapping[str, Any]) -> TrialRecord:
    """Return a trial, given when the study's first one began and the details that hpsearch keeps of each."""
    return TrialRecord(
        number=row.number,
        state=row.state.name.lower(),
        params=row.params,
        outcome=_text(run.get("outcome")),
        detail=_text(run.get("detail")),
        value=row.values_by_objective.get(0),
        values=row.values,
        validation_loss=_number(run.get("validation_loss")),
        best_evaluation=_count(run.get("best")) or 0,
        parameters=_count(run.get("parameters")),
        started=None if row.started is None else row.started - first_start,
        seconds=_number(run.get("seconds")),
        history=history_of(run.get("history")),
        rungs=rung_values(row.intermediate_values, run),
        repeats=_count(run.get("repeats")),
        scores={part: run[part] for part in SCORED if isinstance(run.get(part), dict)},
        folds=_numbers(run.get("folds")),
        left_out=_left_out(run.get("left_out")),
    )


def _left_out(value: object) -> dict[str, tuple[float, ...]]:
    if not isinstance(value, dict):
        return {}
    return {part: _numbers(value[part]) for part in SCORED if part in value}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    if type(value) is int and 0 <= value < LARGEST:
        return value
    return None


def _number(value: object) -> float | None:
    """Return a number, None where the storage holds something else, or one so large that no float is."""
    return value if _is_number(value) else None


def _numbers(values: object) -> tuple[float, ...]:
    """Return a list of numbers as it is, none where the storage holds something else."""
    if not isinstance(values, list | tuple) or not all(_is_number(value) for value in values):
        return ()
    return tuple(float(value) for value in values)


def history_of(columns: object) -> History | None:
    """Return the learning curve, or None where the storage holds something else."""
    if not isinstance(columns, dict) or columns.keys() != HISTORY_COLUMNS:
        return None
    if not all(isinstance(column, list | tuple) for column in columns.values()):
        return None
    if len({len(column) for column in columns.values()}) != 1:
        return None
    for name, column in columns.items():
        types = {type(value) for value in column}
        if name in COUNTS and (not types <= {int} or max(column, default=0) >= LARGEST):
            return None
        if not types <= {int, float}:
            return None
    return History(**{name: tuple(column) for name, column in columns.items()})


def _is_number(value: object) -> TypeGuard[float]:
    return type(value) is float or (type(value) is int and abs(value) < LARGEST)
