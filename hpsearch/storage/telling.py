"""Beginning a trial and telling its result, each such that it may be done twice: an answer can be lost where the deed was done.

A trial is begun under the number that it must have: where one of that number is there, it is taken if it is the same, and refused if
not. On a database the look and the deed are one transaction; Optuna's own `create_new_trial` would try again by itself, and leave a
second trial. A result is told by the one call that changes the trial's state, which a storage refuses for a trial that is told.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

from hpsearch.errors import StorageError, UserError
from hpsearch.storage.curves import write_details


def begin_trial(storage: BaseStorage, study_id: int, number: int, trial: FrozenTrial) -> int:
    """Write a trial whole under its number, if it is not there, and return the storage's id of it.

    Raises:
        UserError: another trial has this number, or the next one to be written has another.
    """
    begin = _begin_at_once if isinstance(storage, RDBStorage) else _begin
    trial_id, written = begin(storage, study_id, number, trial)  # type: ignore[arg-type]
    there = trial if written else storage.get_trial(trial_id)
    if there.params != trial.params or there.state is not trial.state:
        raise _foreign(number)
    return trial_id


def finish_trial(
    storage: BaseStorage,
    trial_id: int,
    state: TrialState,
    values: Sequence[float],
    curve: Mapping[int, float],
    attributes: Mapping[str, Any],
    system: Mapping[str, Any],
) -> None:
    """Tell a trial's result, if it is not told: details first, the state last.

    Raises:
        StorageError: another result is told.
    """
    try:
        write_details(storage, trial_id, curve, attributes, system)
        storage.set_trial_state_values(trial_id, state, values)
    except UpdateFinishedTrialError:
        told = storage.get_trial(trial_id)
        if (told.state, list(told.values or ())) != (state, list(values)):
            raise StorageError(
                f"another process told trial {told.number} with another result, which is kept. Run the same command."
            ) from None


def _begin(storage: BaseStorage, study_id: int, number: int, trial: FrozenTrial) -> tuple[int, bool]:
    """Return the id of the trial of a number, and whether it was written now."""
    try:
        return storage.get_trial_id_from_study_id_trial_number(study_id, number), False
    except KeyError:
        trial_id = storage.create_new_trial(study_id, template_trial=trial)
    if storage.get_trial_number_from_id(trial_id) != number:
        raise _foreign(number)
    return trial_id, True


def _begin_at_once(storage: RDBStorage, study_id: int, number: int, trial: FrozenTrial) -> tuple[int, bool]:
    """Do the same in one transaction, by what Optuna's own call is made of."""
    from optuna.storages._rdb.models import StudyModel, TrialModel

    with storage.scoped_session() as session, session.begin(), session.no_autoflush:
        StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
        there = session.query(TrialModel.trial_id).filter_by(study_id=study_id, number=number).one_or_none()
        if there is not None:
            return int(there.trial_id), False
        written = storage._get_prepared_new_trial(study_id, trial, session)
        if written.number != number:
            raise _foreign(number)  # and nothing is written
        return int(written.trial_id), True


def _foreign(number: int) -> UserError:
    return UserError(f"another program wrote trial {number} into this study. Give hpsearch a study of its own.")
