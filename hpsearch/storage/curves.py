"""A trial's details, all but its state: its learning curve as Optuna's intermediate values, and its attributes.

Optuna's dashboard and figures draw the intermediate values; the pruner was told those at the rungs only, and a resumed study tells it
no others. On a database all of it is one transaction, since each waits for the disk: twenty values one by one took twice the time of
everything else that a study writes.
"""

from collections.abc import Mapping
from typing import Any

from optuna.storages import BaseStorage, RDBStorage

from hpsearch.trial import History

CURVE = 100  # evaluations kept of a learning curve: a few kilobytes a trial
SHOWN = 20  # of them those that are intermediate values, the rungs included


def shown_curve(history: History, rungs: Mapping[int, float]) -> dict[int, float]:
    """Return the metric by evaluation: at the rungs, and at some spread over the whole history, at most `SHOWN` in all."""
    curve = history.thinned(max(2, SHOWN - len(rungs)))
    return dict(sorted({**dict(zip(curve.evaluation, curve.metric, strict=True)), **rungs}.items()))


def reported(values: Mapping[int, float], run: object) -> dict[int, float]:
    """Return what the pruner was told of a trial's intermediate values; the others are its learning curve.

    `run` is the attribute with the trial's details; without one that says which are rungs, all values are.
    """
    rungs = run.get("rungs") if isinstance(run, dict) else None
    return {step: value for step, value in values.items() if step in rungs} if isinstance(rungs, list) else dict(values)


def write_details(
    storage: BaseStorage,
    trial_id: int,
    curve: Mapping[int, float],
    attributes: Mapping[str, Any],
    system: Mapping[str, Any],
) -> None:
    """Write intermediate values, user attributes and system attributes of a trial that is running."""
    if isinstance(storage, RDBStorage):
        _write_at_once(storage, trial_id, curve, attributes, system)
        return
    for evaluation, metric in curve.items():
        storage.set_trial_intermediate_value(trial_id, evaluation, metric)
    for key, value in attributes.items():
        storage.set_trial_user_attr(trial_id, key, value)
    for key, value in system.items():
        storage.set_trial_system_attr(trial_id, key, value)


def _write_at_once(
    storage: RDBStorage,
    trial_id: int,
    curve: Mapping[int, float],
    attributes: Mapping[str, Any],
    system: Mapping[str, Any],
) -> None:
    """Do the same in one transaction, by what Optuna's own calls are made of."""
    from optuna.storages._rdb.models import TrialSystemAttributeModel, TrialUserAttributeModel

    with storage.scoped_session() as session, session.begin(), session.no_autoflush:
        for evaluation, metric in curve.items():
            storage._set_trial_intermediate_value_without_commit(session, trial_id, evaluation, metric)
        for key, value in attributes.items():
            storage._set_trial_attr_without_commit(session, TrialUserAttributeModel, trial_id, key, value)
        for key, value in system.items():
            storage._set_trial_attr_without_commit(session, TrialSystemAttributeModel, trial_id, key, value)
