"""Optuna's private names, and the tables of its databases: the only file of hpsearch that knows them.

Each function does what a public one of Optuna's does, but in one transaction, or for many trials at once: `get_all_trials` makes an
object of every cell, 24 seconds for 10,000 trials of ten hyperparameters, where `read_trials` takes 2; and a trial's
twenty intermediate values are one transaction here and twenty there, each of which waits for the disk.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.exceptions import DuplicatedStudyError
from optuna.samplers import BaseSampler
from optuna.samplers._tpe import _truncnorm
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend, JournalRedisBackend, JournalStorage
from optuna.study import StudyDirection
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from hpsearch.data.memory import check_memory
from hpsearch.errors import StorageError, UserError, damaged
from hpsearch.trial import Direction

_NORMAL: Any = _truncnorm  # TPE's normal distribution: a module, in which a function is replaced
_NORMAL_LOCK = threading.RLock()
LIBRARY = "optuna"  # whose loggers all have names that begin so
PARSED = 6  # bytes of memory that a character of JSON takes with what is made of it: 4 of a learning curve, more of many small values
BATCH = 1000  # trials that are read at once, so that a study's writer never waits long
SPECIAL_NUMBERS = {"INF_POS": float("inf"), "INF_NEG": float("-inf"), "NAN": float("nan")}  # by Optuna's names for them


class _QuietThread(logging.Filter):
    """Passes no line of Optuna's below an error that the thread which made this filter logs."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line passes."""
        own = record.thread == self.thread and record.name.partition(".")[0] == LIBRARY
        return not own or record.levelno >= logging.ERROR


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna's lines about what hpsearch asks of it to itself, but its errors: they are nobody's news.

    Only this thread is quiet, and only until the end: other threads' studies log as their program wants, at the level that it set.
    """
    optuna.logging.get_verbosity()  # Optuna makes its handler when it is first asked
    library = logging.getLogger(LIBRARY)
    handlers = [*library.handlers, *(logging.root.handlers if library.propagate else [])]
    quiet = _QuietThread()
    for handler in handlers:
        handler.addFilter(quiet)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(quiet)


@contextmanager
def normal_cdf_of_tpe(log_normal_cdf: Callable[[Any], Any]) -> Iterator[None]:
    """Have Optuna's TPE sampler take logarithms of the normal distribution function, of arrays, from another function until the end.

    One thread at a time: the others wait.
    """
    with _NORMAL_LOCK:
        own = log_normal_cdf_of_tpe()
        _NORMAL._log_ndtr = log_normal_cdf
        try:
            yield
        finally:
            _NORMAL._log_ndtr = own


def log_normal_cdf_of_tpe() -> Callable[[Any], Any]:
    """Return the function from arrays to the logarithms of the normal distribution function that Optuna's TPE sampler uses."""
    return cast("Callable[[Any], Any]", _NORMAL._log_ndtr)


def quiet_study(*directions: Direction, name: str | None = None, sampler: BaseSampler | None = None) -> optuna.Study:
    """Return a new study in memory, without Optuna's line about it; it minimizes one value where no direction is given."""
    with quiet_optuna():
        return optuna.create_study(study_name=name, directions=directions or ["minimize"], sampler=sampler)


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A trial as it is stored: `id` is the storage's own, `attributes` has the user attributes that were asked for, whatever their values.

    `ended`, `domains` and `constraints` are read where all attributes are asked for.
    """

    id: int
    number: int
    state: TrialState
    started: float | None  # seconds since 1970
    params: dict[str, Any] = field(default_factory=dict)
    values_by_objective: dict[int, float] = field(default_factory=dict)
    intermediate_values: dict[int, float] = field(default_factory=dict)  # by evaluation
    attributes: dict[str, Any] = field(default_factory=dict)
    ended: float | None = None  # seconds since 1970
    domains: dict[str, BaseDistribution] = field(default_factory=dict)  # of the hyperparameters
    constraints: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> tuple[float, ...]:
        """The values in the order of the objectives; none before the trial has ended."""
        return tuple(self.values_by_objective[objective] for objective in sorted(self.values_by_objective))


CONSTRAINTS = "constraints"  # key of the system attributes with a trial's constraints
_distribution = lru_cache(maxsize=1000)(json_to_distribution)  # a study has few, so each is parsed once


def trial_id(trial: BaseTrial | FrozenTrial) -> int:
    """Return the storage's own id of a trial."""
    return int(trial._trial_id)  # type: ignore[union-attr]


def renumber(trial: FrozenTrial, number: int) -> None:
    """Give a trial that no storage holds another number, and make it its id too."""
    trial.number = number
    trial._trial_id = number


def metric_names(storage: BaseStorage, study_id: int) -> list[str]:
    """Return the names that a study's objectives were given, none where they were not."""
    names = storage.get_study_system_attrs(study_id).get("study:metric_names")
    if not isinstance(names, list):
        return []
    return list(map(str, names))


def study_id_of(study: optuna.Study) -> int:
    """Return the storage's own id of a study."""
    return int(study._study_id)


def database_of(study: optuna.Study) -> BaseStorage:
    """Return a study's storage, of a database that itself and not the cache that Optuna keeps before it."""
    from optuna.storages._cached_storage import _CachedStorage

    storage = storage_of(study)
    if isinstance(storage, _CachedStorage):
        return storage._backend
    return storage


def url_of_database(study: optuna.Study) -> str | None:
    """Return the URL of a study's database or journal file, None where it has none, or one of a database in memory."""
    storage = database_of(study)
    if isinstance(storage, RDBStorage):
        url = str(storage.url)
        is_in_memory = ":memory:" in url or url.rstrip("/") == "sqlite:"
        return None if is_in_memory else url
    file = getattr(getattr(storage, "_backend", None), "_file_path", None)
    return f"journal:///{file}" if file else None


def storage_of(study: optuna.Study) -> BaseStorage:
    """Return a study's storage; an in-memory study has no URL by which to open it."""
    return study._storage


def journal_backend(storage: JournalStorage) -> BaseJournalBackend:
    """Return what a journal storage writes to."""
    return storage._backend


def redis_backend(url: str, client: Any) -> JournalRedisBackend:
    """Return Optuna's Redis backend, with a client of our own."""
    backend = JournalRedisBackend(url)
    backend._redis = client
    return backend


def table_columns() -> dict[str, set[str]]:
    """Return the names of the columns of each table of an Optuna database."""
    from optuna.storages._rdb.models import BaseModel

    return {name: {*table.columns.keys()} for name, table in BaseModel.metadata.tables.items()}


def table_names() -> set[str]:
    """Return the names of the tables of an Optuna database."""
    return {*table_columns()}


@cache
def schema_versions() -> tuple[str | None, frozenset[str]]:
    """Return the version of the tables that this Optuna reads and writes, and all that it knows how to upgrade from."""
    from alembic.script import ScriptDirectory
    from optuna.storages import _rdb

    scripts = ScriptDirectory(str(Path(_rdb.__file__).parent / "alembic"))
    return scripts.get_current_head(), frozenset(script.revision for script in scripts.walk_revisions())


def create_study_once(storage: BaseStorage, name: str, directions: Sequence[StudyDirection]) -> int:
    """Return the storage's id of a study that was missing, which another process may have made just now."""
    try:
        with quiet_optuna():
            return storage.create_new_study(directions, name)
    except DuplicatedStudyError:
        return storage.get_study_id_from_name(name)


def foreign_trial(number: int) -> UserError:
    """Return the error of a trial that is not the one that hpsearch would write under its number."""
    return UserError(f"another program wrote trial {number} into this study. Give hpsearch a study of its own.")


def create_trial_once(storage: RDBStorage, study_id: int, number: int, trial: FrozenTrial) -> tuple[int, bool]:
    """Create the trial of a number unless it exists, in one transaction; return the storage's id of it, and whether it was created now.

    Optuna's own `create_new_trial` would try again by itself after a lost answer, and leave a second trial.

    Raises:
        UserError: the next trial would have another number; nothing is written.
    """
    from optuna.storages._rdb.models import StudyModel, TrialModel

    with storage.scoped_session() as session, session.begin(), session.no_autoflush:
        StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
        existing = session.query(TrialModel.trial_id).filter_by(study_id=study_id, number=number).one_or_none()
        if existing is not None:
            return int(existing.trial_id), False
        created = storage._get_prepared_new_trial(study_id, trial, session)
        if created.number != number:
            raise foreign_trial(number)
        return int(created.trial_id), True


def write_trial_details(
    storage: RDBStorage,
    trial_id: int,
    curve: Mapping[int, float],
    attributes: Mapping[str, Any],
    system: Mapping[str, Any],
) -> None:
    """Write intermediate values, user attributes and system attributes of a running trial in one transaction."""
    from optuna.storages._rdb.models import TrialSystemAttributeModel, TrialUserAttributeModel

    with storage.scoped_session() as session, session.begin(), session.no_autoflush:
        for evaluation, metric in curve.items():
            storage._set_trial_intermediate_value_without_commit(session, trial_id, evaluation, metric)
        for key, value in attributes.items():
            storage._set_trial_attr_without_commit(session, TrialUserAttributeModel, trial_id, key, value)
        for key, value in system.items():
            storage._set_trial_attr_without_commit(session, TrialSystemAttributeModel, trial_id, key, value)


def read_trials(storage: BaseStorage, study_id: int, key: str | None) -> list[TrialRow]:
    """Return a study's trials in the order of their numbers, each with its user attribute `key` if it has ended; None: all of them.

    Raises:
        StorageError: what is stored is no study's, or a trial or a value is missing.
        UserError: there is not memory enough for them.
    """
    rows: list[TrialRow] = []
    if isinstance(storage, RDBStorage):
        _check_size(storage, study_id, key)
        last = -1
        while batch := _read_batch(storage, study_id, key, last):
            rows += batch.values()
            last = max(batch)
    else:
        rows += [_row_of(trial, key) for trial in storage.get_all_trials(study_id, deepcopy=False)]
    if [row.number for row in rows] != list(range(len(rows))):
        raise damaged("there are gaps in the trials' numbers")
    objectives = [*range(len(storage.get_study_directions(study_id)))]
    for row in rows:
        if not _has_values(row, objectives):
            raise damaged(f"trial {row.number} has not one value of each objective")
    return rows


def check_json_size(characters: int, what: str) -> None:
    """Refuse `what` where so many characters of JSON do not fit into memory once they are parsed.

    Raises:
        UserError: they do not.
    """
    check_memory(
        PARSED * characters, what, "Take a machine with more memory, or a study of its own for what is not hpsearch's."
    )


def _check_size(storage: RDBStorage, study_id: int, key: str | None) -> None:
    """Refuse trials that do not fit into memory, before any of them is read."""
    from optuna.storages._rdb import models
    from sqlalchemy import func, select

    def characters(table: Any, text: Any, *conditions: Any) -> int:
        """Return how long the texts of a column are in all, of the study's trials."""
        query = select(func.sum(func.length(text))).join(
            models.TrialModel, models.TrialModel.trial_id == table.trial_id
        )
        return int(connection.execute(query.where(models.TrialModel.study_id == study_id, *conditions)).scalar() or 0)

    attribute = models.TrialUserAttributeModel
    param = models.TrialParamModel
    wanted = [] if key is None else [attribute.key == key]
    with storage.engine.connect() as connection:
        total = characters(attribute, attribute.value_json, *wanted) + characters(param, param.distribution_json)
    check_json_size(total, "the study's trials")


def _has_values(row: TrialRow, objectives: Sequence[int]) -> bool:
    """Whether a trial has the value of each objective, or may have none."""
    if not row.values_by_objective:
        return row.state is not TrialState.COMPLETE
    return sorted(row.values_by_objective) == objectives


def _row_of(trial: FrozenTrial, key: str | None) -> TrialRow:
    start = trial.datetime_start
    end = trial.datetime_complete
    attributes = {}
    if trial.state.is_finished():
        attributes = {name: value for name, value in trial.user_attrs.items() if key in (None, name)}
    return TrialRow(
        id=trial_id(trial),
        number=trial.number,
        state=trial.state,
        started=None if start is None else start.timestamp(),
        params=trial.params,
        values_by_objective=dict(enumerate(trial.values or ())),
        intermediate_values=trial.intermediate_values,
        attributes=attributes,
        ended=None if end is None else end.timestamp(),
        domains=trial.distributions,
        constraints=trial.constraints,
    )


def _read_batch(storage: RDBStorage, study_id: int, key: str | None, last: int) -> dict[int, TrialRow]:
    """Return the next trials after an id, by id.

    Raises:
        StorageError: a value of them cannot be understood.
    """
    try:
        return _read_tables(storage, study_id, key, last)
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise StorageError(f"storage damaged: trials after {last} are none ({reason}). Restore a copy.") from None


def _read_tables(storage: RDBStorage, study_id: int, key: str | None, last: int) -> dict[int, TrialRow]:
    """Read the states first: a trial's details are written before its state, so one that was running is given without them."""
    from optuna.storages._rdb import models

    param = models.TrialParamModel
    step = models.TrialIntermediateValueModel
    value = models.TrialValueModel
    attribute = models.TrialUserAttributeModel
    with storage.engine.connect() as connection:
        rows = _read_states(connection, study_id, last)
        columns: tuple[Any, ...] = (param.param_name, param.param_value, param.distribution_json)
        for trial, name, number, distribution in _read_cells(connection, study_id, rows, param, columns):
            domain = _distribution(distribution)
            rows[trial].params[name] = domain.to_external_repr(number)
            rows[trial].domains[name] = domain
        columns = (step.step, step.intermediate_value, step.intermediate_value_type)
        for trial, evaluation, number, kind in _read_cells(connection, study_id, rows, step, columns):
            rows[trial].intermediate_values[evaluation] = SPECIAL_NUMBERS.get(kind.name, number)
        ended = {trial: row for trial, row in rows.items() if row.state.is_finished()}
        columns = (value.objective, value.value, value.value_type)
        for trial, objective, number, kind in _read_cells(connection, study_id, ended, value, columns):
            if trial in ended:
                ended[trial].values_by_objective[objective] = SPECIAL_NUMBERS.get(kind.name, number)
        condition = None if key is None else attribute.key == key
        columns = (attribute.key, attribute.value_json)
        for trial, name, content in _read_cells(connection, study_id, ended, attribute, columns, condition):
            if trial in ended:
                ended[trial].attributes[name] = _json_or_none(content)
        if key is None:
            _read_constraints(connection, study_id, ended)
    return rows


def _read_constraints(connection: Any, study_id: int, ended: Mapping[int, TrialRow]) -> None:
    """Read the constraints of trials: since Optuna 5 a system attribute each, before one list of them."""
    from optuna.storages._rdb import models

    system = models.TrialSystemAttributeModel
    columns = (system.key, system.value_json)
    condition = system.key.startswith(CONSTRAINTS)
    for trial, name, content in _read_cells(connection, study_id, ended, system, columns, condition):
        value = _json_or_none(content)
        if trial in ended and isinstance(value, list):
            ended[trial].constraints.update({str(place): one for place, one in enumerate(value)})
        elif trial in ended:
            ended[trial].constraints[name.removeprefix(f"{CONSTRAINTS}:")] = value


def _read_states(connection: Any, study_id: int, last: int) -> dict[int, TrialRow]:
    from optuna.storages._rdb.models import TrialModel
    from sqlalchemy import select

    start: Any = TrialModel._datetime_start_utc
    end: Any = TrialModel._datetime_complete_utc
    query = select(TrialModel.trial_id, TrialModel.number, TrialModel.state, start, end)
    query = query.where(TrialModel.study_id == study_id, TrialModel.trial_id > last)
    rows = {}
    for trial, number, state, *times in connection.execute(query.order_by(TrialModel.trial_id).limit(BATCH)):
        started, ended = map(_seconds, times)
        rows[trial] = TrialRow(trial, number, state, started, ended=ended)
    return rows


def _seconds(time: datetime | None) -> float | None:
    """Return a time as the tables have it, in UTC, in seconds since 1970."""
    return time.replace(tzinfo=UTC).timestamp() if time else None


def last_ended(storage: BaseStorage, study_id: int) -> float | None:
    """Return when the last trial of a study ended, in seconds since 1970; None where none has."""
    if not isinstance(storage, RDBStorage):
        times = [trial.datetime_complete for trial in storage.get_all_trials(study_id, deepcopy=False)]
        return max((time.timestamp() for time in times if time is not None), default=None)
    from optuna.storages._rdb.models import TrialModel
    from sqlalchemy import func, select

    end: Any = TrialModel._datetime_complete_utc
    with storage.engine.connect() as connection:
        return _seconds(connection.execute(select(func.max(end)).where(TrialModel.study_id == study_id)).scalar())


def _read_cells(
    connection: Any,
    study_id: int,
    rows: Mapping[int, TrialRow],
    table: Any,
    columns: tuple[Any, ...],
    condition: Any = None,
) -> Iterator[Any]:
    """Yield (trial's id, columns …) of a table for some trials, in the order in which they were written."""
    from optuna.storages._rdb.models import TrialModel
    from sqlalchemy import inspect, select

    if not rows:
        return
    query = select(table.trial_id, *columns).join(TrialModel, TrialModel.trial_id == table.trial_id)
    query = query.where(TrialModel.study_id == study_id, table.trial_id.between(min(rows), max(rows)))
    if condition is not None:
        query = query.where(condition)
    yield from connection.execute(query.order_by(*inspect(table).primary_key)).all()


def _json_or_none(content: str) -> Any:
    """Return an attribute's value, None where it is no JSON that Python can read: too deep, a number too long."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
