"""The trials of a stored study, only what hpsearch reads of them: the one place that knows the tables of Optuna's databases.

`get_all_trials` makes an object of every cell: 24 seconds for 10,000 trials of ten hyperparameters, where this takes 2. A database
is read some trials at a time, so that a study's writer never waits long; their states first, since a trial's details are written
before its state, and a trial that was running then is given without them. A distribution, of which a study has few, is parsed
once. Other storages hold their trials in memory already.
"""

import gc
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

from hpsearch.errors import StorageError

AT_ONCE = 1000  # trials
SPECIAL = {"INF_POS": float("inf"), "INF_NEG": float("-inf"), "NAN": float("nan")}  # numbers that are stored by name


@dataclass(frozen=True, slots=True)
class Row:
    """A trial as it is stored; `id` is the storage's own; `run` is the attribute that hpsearch keeps, whatever is there."""

    id: int
    number: int
    state: TrialState
    begun: float | None  # seconds since 1970
    params: dict[str, Any] = field(default_factory=dict)
    values: dict[int, float] = field(default_factory=dict)  # by objective
    reported: dict[int, float] = field(default_factory=dict)  # by evaluation
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def told(self) -> tuple[float, ...]:
        """The values in each objective; none before the trial was told."""
        return tuple(self.values[objective] for objective in sorted(self.values))


def read_rows(storage: BaseStorage, study_id: int, key: str) -> Iterator[Row]:
    """Yield a study's trials in the order of their numbers, each with its user attribute `key` if it has ended.

    Raises:
        StorageError: what is stored is no study's.
    """
    if not isinstance(storage, RDBStorage):
        yield from (_of_memory(trial, key) for trial in storage.get_all_trials(study_id, deepcopy=False))
        return
    last = -1
    while rows := _explained(storage, study_id, key, last):
        yield from rows.values()
        last = max(rows)


@contextmanager
def uncollected() -> Iterator[None]:
    """Do without Python's search for cycles of objects: a study has none, and looking at its millions takes half the time of reading."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _of_memory(trial: FrozenTrial, key: str) -> Row:
    begun = trial.datetime_start.timestamp() if trial.datetime_start else None
    attributes = {key: trial.user_attrs[key]} if key in trial.user_attrs and trial.state.is_finished() else {}
    values = dict(enumerate(trial.values or ()))
    return Row(
        trial._trial_id, trial.number, trial.state, begun, trial.params, values, trial.intermediate_values, attributes
    )


def _explained(storage: RDBStorage, study_id: int, key: str, last: int) -> dict[int, Row]:
    try:
        return _some(storage, study_id, key, last)
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise StorageError(f"storage damaged: trials after {last} are none ({reason}). Restore a copy.") from None


def _some(storage: RDBStorage, study_id: int, key: str, last: int) -> dict[int, Row]:
    """Return the next trials after an id, by id."""
    from optuna.storages._rdb import models

    param, value, attribute = models.TrialParamModel, models.TrialValueModel, models.TrialUserAttributeModel
    step = models.TrialIntermediateValueModel
    with storage.engine.connect() as connection:
        rows = _states(connection, study_id, last)
        for trial, name, number, content in _cells(
            connection, study_id, rows, param, param.param_name, param.param_value, param.distribution_json
        ):
            rows[trial].params[name] = _distribution(content).to_external_repr(number)
        for trial, at, number, kind in _cells(
            connection, study_id, rows, step, step.step, step.intermediate_value, step.intermediate_value_type
        ):
            rows[trial].reported[at] = SPECIAL.get(kind.name, number)
        ended = {trial: row for trial, row in rows.items() if row.state.is_finished()}
        for trial, objective, number, kind in _cells(
            connection, study_id, ended, value, value.objective, value.value, value.value_type
        ):
            if trial in ended:
                ended[trial].values[objective] = SPECIAL.get(kind.name, number)
        kept = _cells(connection, study_id, ended, attribute, attribute.value_json, where=attribute.key == key)
        for trial, content in kept:
            if trial in ended:
                ended[trial].attributes[key] = _json(content)
    return rows


def _states(connection: Any, study_id: int, last: int) -> dict[int, Row]:
    from optuna.storages._rdb.models import TrialModel
    from sqlalchemy import select

    begun: Any = TrialModel._datetime_start_utc
    wanted = select(TrialModel.trial_id, TrialModel.number, TrialModel.state, begun)
    wanted = wanted.where(TrialModel.study_id == study_id, TrialModel.trial_id > last)
    found = connection.execute(wanted.order_by(TrialModel.trial_id).limit(AT_ONCE))
    return {
        trial: Row(trial, number, state, start.replace(tzinfo=UTC).timestamp() if start else None)
        for trial, number, state, start in found
    }


def _cells(
    connection: Any, study_id: int, rows: Mapping[int, Row], table: Any, *columns: Any, where: Any = True
) -> Iterator[Any]:
    """Yield (trial's id, columns …) of a table for some trials, in the order in which they were written."""
    from optuna.storages._rdb.models import TrialModel
    from sqlalchemy import and_, inspect, select, true

    if not rows:
        return
    wanted = select(table.trial_id, *columns).join(TrialModel, TrialModel.trial_id == table.trial_id)
    within = table.trial_id.between(min(rows), max(rows))
    wanted = wanted.where(and_(TrialModel.study_id == study_id, within, true() if where is True else where))
    yield from connection.execute(wanted.order_by(*inspect(table).primary_key)).all()


@lru_cache(maxsize=1000)
def _distribution(content: str) -> BaseDistribution:
    return json_to_distribution(content)


def _json(content: str) -> Any:
    """Return an attribute's value, None where it is no JSON that Python can read: too deep, a number too long."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
