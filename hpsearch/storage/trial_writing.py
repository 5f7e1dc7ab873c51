"""Writing a trial, first as running, then its result, each safe to do twice: an answer can be lost although the write was done.

A trial is created under the number that it must have: an existing trial of that number is taken if it is the same, and refused if not.
A result is written details first: the call that changes the trial's state comes last, and a storage refuses it for a finished trial.

Of a learning curve Optuna's dashboard and figures draw the intermediate values. A pruner knew only those at the rungs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from hpsearch.errors import StorageError
from hpsearch.storage.optuna_internals import create_trial_once, foreign_trial, write_trial_details
from hpsearch.trial import History

CURVE_LENGTH = 100  # evaluations of a learning curve that are stored: a few kilobytes a trial
INTERMEDIATE_VALUES = 20  # at most, rungs included


@dataclass(frozen=True, slots=True)
class FinishedTrial:
    """What is written when a trial has ended: `attributes` are user attributes, `system` the system attributes."""

    state: TrialState
    values: Sequence[float]  # in each objective
    intermediate_values: Mapping[int, float]  # by evaluation
    attributes: Mapping[str, Any]
    system: Mapping[str, Any]


def fixed_trial(params: Mapping[str, Any], number: int) -> FixedTrial:
    """Return a trial that answers with these parameters, for what asks a trial for hyperparameters."""
    return FixedTrial(dict(params), number)


def begin_trial(storage: BaseStorage, study_id: int, number: int, trial: FrozenTrial) -> int:
    """Create a trial under its number unless it exists, and return the storage's id of it.

    Raises:
        UserError: another trial has this number, or the next one to be created has another.
    """
    if isinstance(storage, RDBStorage):
        trial_id, created = create_trial_once(storage, study_id, number, trial)
    else:
        trial_id, created = _create_trial(storage, study_id, number, trial)
    stored = trial if created else storage.get_trial(trial_id)
    if stored.params != trial.params or stored.state is not trial.state:
        raise foreign_trial(number)
    return trial_id


def finish_trial(storage: BaseStorage, trial_id: int, trial: FinishedTrial) -> Mapping[str, Any]:
    """Write a trial's result unless it is there; return the user attributes that are stored with it.

    Raises:
        StorageError: another result is there.
    """
    try:
        _write_details(storage, trial_id, trial)
        storage.set_trial_state_values(trial_id, trial.state, trial.values)
        return trial.attributes
    except UpdateFinishedTrialError:
        stored = storage.get_trial(trial_id)
        if stored.state is not trial.state or list(stored.values or ()) != list(trial.values):
            raise StorageError(
                f"another process wrote another result of trial {stored.number}, which stays. Run the same command."
            ) from None
        return stored.user_attrs


def intermediate_values(history: History, rungs: Mapping[int, float]) -> dict[int, float]:
    """Return the metric by evaluation, at the rungs and at some evaluations spread over the history."""
    curve = history.thinned(max(2, INTERMEDIATE_VALUES - len(rungs)))
    metric_at = dict(zip(curve.evaluation, curve.metric, strict=True))
    return dict(sorted({**metric_at, **rungs}.items()))


def rung_values(values: Mapping[int, float], run: object) -> dict[int, float]:
    """Return which of a trial's intermediate values the pruner knew.

    `run` is the attribute with the trial's details. Where it does not name the rungs, as in old studies, all of them are.
    """
    rungs = run.get("rungs") if isinstance(run, dict) else None
    if not isinstance(rungs, list):
        return dict(values)
    return {evaluation: value for evaluation, value in values.items() if evaluation in rungs}


def _create_trial(storage: BaseStorage, study_id: int, number: int, trial: FrozenTrial) -> tuple[int, bool]:
    """Do as `create_trial_once` on a storage that is no database."""
    try:
        return storage.get_trial_id_from_study_id_trial_number(study_id, number), False
    except KeyError:
        trial_id = storage.create_new_trial(study_id, template_trial=trial)
    if storage.get_trial_number_from_id(trial_id) != number:
        raise foreign_trial(number)
    return trial_id, True


def _write_details(storage: BaseStorage, trial_id: int, trial: FinishedTrial) -> None:
    if isinstance(storage, RDBStorage):
        write_trial_details(storage, trial_id, trial.intermediate_values, trial.attributes, trial.system)
        return
    for evaluation, metric in trial.intermediate_values.items():
        storage.set_trial_intermediate_value(trial_id, evaluation, metric)
    for key, value in trial.attributes.items():
        storage.set_trial_user_attr(trial_id, key, value)
    for key, value in trial.system.items():
        storage.set_trial_system_attr(trial_id, key, value)
