"""From a storage to a `StudyRecord`. Reading never writes, and never trusts what it reads to be more than JSON."""

import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from hpsearch.data.metrics import OBJECTIVES
from hpsearch.errors import StorageError, UserError, damaged, masked, shown, suggestion
from hpsearch.storage.attributes import PREFIX, check_identity, check_tables, part_of, read_runs, read_table
from hpsearch.storage.fingerprint import stated
from hpsearch.storage.foreign import foreign_record
from hpsearch.storage.lease import PREFIX as LEASE
from hpsearch.storage.lease import is_held
from hpsearch.storage.opening import open_for_reading
from hpsearch.storage.optuna_internals import last_ended
from hpsearch.storage.records import ArmRecord, ComparisonRecord, StoredStudy, StudyRecord, TrialRecord, WinnerRecord
from hpsearch.storage.trial_records import trial_record

WINNER = "/trial "  # in the name of the study of a winner's runs, before the number of the trial that won
REFINED = "/second stage"  # after the name of an arm: the study of the second stage of its tuning
SEED = "seed"  # the parameter of runs on fresh seeds


def winner_study(arm: str, trial: int, learning_rate: float | None) -> str:
    """Return the name of the study of a winner's runs; a learning rate of the second stage is a part of it."""
    name = f"{arm}{WINNER}{trial}"
    if learning_rate is None:
        return name
    return f"{name} at {learning_rate:g}"


def read_study(url: str, name: str | None = None) -> StudyRecord:
    """Read a study; without a name, the storage's only one.

    Raises:
        UserError: there is no such study, or hpsearch did not make it.
        StorageError: the storage cannot be read.
    """
    with open_for_reading(url) as storage:
        return _study(storage, _find(storage, url, name), url)


def read_attribute(url: str, name: str, key: str) -> dict[str, Any]:
    """Return the table that a study has under a key, empty where it has none.

    Raises:
        UserError: there is no such study.
        StorageError: the storage cannot be read.
    """
    with open_for_reading(url) as storage:
        return read_table(storage.get_study_user_attrs(_find(storage, url, name)), key)


def settings_begun(url: str, name: str) -> dict[str, Any] | None:
    """Return the settings that a search of this name began with, as a study's file has them; None where there is none that can be read."""
    with suppress(UserError, StorageError), open_for_reading(url) as storage:
        attributes = storage.get_study_user_attrs(_find(storage, url, name))
        settings = read_table(attributes, "settings")
        if "space" in settings and "compare" not in settings:
            return stated(settings, read_table(attributes, "data"))
    return None


def _study(storage: BaseStorage, study_id: int, url: str) -> StudyRecord:
    if f"{PREFIX}settings" not in storage.get_study_user_attrs(study_id):
        name = storage.get_study_name_from_id(study_id)
        raise UserError(
            f"study {shown(name)} in {masked(url)} was not made by hpsearch, which can report it (python -m hpsearch report) and no more."
        )
    return record_of(storage, study_id)


def record_of(storage: BaseStorage, study_id: int) -> StudyRecord:
    """Return what an open storage says about a study of hpsearch's."""
    attributes = storage.get_study_user_attrs(study_id)
    check_identity(storage, study_id, attributes)
    settings = read_table(attributes, "settings")
    return StudyRecord(
        name=storage.get_study_name_from_id(study_id),
        direction=_direction(storage, study_id),
        settings=settings,
        data=read_table(attributes, "data"),
        result=read_table(attributes, "result"),
        trials=_trials(storage, study_id, attributes),
        as_of=time.strftime("%Y-%m-%d %H:%M"),
        objectives=_objectives(storage, study_id, settings),
    )


def read(url: str, name: str | None = None, *, foreign: bool = False) -> StudyRecord | ComparisonRecord:
    """Read a study or a comparison, whichever it is; without a name, the storage's only one (a comparison's parts are no studies).

    Args:
        url: its storage.
        name: its name.
        foreign: whether a study that hpsearch did not make will do.

    Raises:
        UserError: there is none of that name, or hpsearch did not make it.
        StorageError: the storage cannot be read.
    """
    with open_for_reading(url) as storage:
        study_id = _find(storage, url, name)
        if foreign:
            return any_record(storage, study_id)
        if _is_comparison(storage, study_id):
            return _comparison(storage, study_id)
        return _study(storage, study_id, url)


def read_all(url: str) -> list[StoredStudy]:
    """Read all studies of a storage, whoever made them, in the order of their names; a comparison's parts are no studies.

    Raises:
        StorageError: the storage cannot be read.
    """
    with open_for_reading(url) as storage:
        ids = _ids(storage)
        return [_stored(storage, ids, name) for name in sorted(_names(storage))]


def read_stored(url: str, name: str | None = None) -> StoredStudy:
    """Read a study, whoever made it; without a name, the storage's only one.

    Raises:
        UserError: there is none of that name.
        StorageError: the storage cannot be read.
    """
    with open_for_reading(url) as storage:
        study_id = _find(storage, url, name)
        return _stored(storage, _ids(storage), storage.get_study_name_from_id(study_id))


def _ids(storage: BaseStorage) -> dict[str, int]:
    """Return the storage's own ids of its studies, parts of comparisons included, by name."""
    names = [study.study_name for study in storage.get_all_studies()]
    return {name: storage.get_study_id_from_name(name) for name in names}


def _stored(storage: BaseStorage, ids: Mapping[str, int], name: str) -> StoredStudy:
    parts = [ids[part] for part in ids if part == name or part.startswith(f"{name}/")]
    ends = [last_ended(storage, part) for part in parts]
    record = any_record(storage, ids[name])
    return StoredStudy(record, is_held(storage, name), max((end for end in ends if end is not None), default=None))


def any_record(storage: BaseStorage, study_id: int) -> StudyRecord | ComparisonRecord:
    """Return what an open storage says about any study, whoever made it.

    Raises:
        StorageError: it is damaged.
    """
    if _is_comparison(storage, study_id):
        return _comparison(storage, study_id)
    if _is_run(storage.get_study_user_attrs(study_id)):
        return record_of(storage, study_id)
    with _without_garbage_collection():
        return foreign_record(storage, study_id)


def _is_run(attributes: Mapping[str, Any]) -> bool:
    """Whether hpsearch itself ran a study; where Optuna ran `Objective`, nothing says how many trials were wanted."""
    if f"{PREFIX}schema" in attributes:
        return True
    settings = attributes.get(f"{PREFIX}settings")
    search = isinstance(settings, dict) and settings.get("search")
    return isinstance(search, dict) and "trials" in search


def _is_comparison(storage: BaseStorage, study_id: int) -> bool:
    settings = storage.get_study_user_attrs(study_id).get(f"{PREFIX}settings", {})
    return "compare" in settings or "minima" in settings


def _comparison(storage: BaseStorage, study_id: int) -> ComparisonRecord:
    attributes = storage.get_study_user_attrs(study_id)
    name = storage.get_study_name_from_id(study_id)
    check_tables(attributes, has_trials=False)
    check_identity(storage, study_id, attributes)
    plan = read_table(attributes, "plan")
    studies = {study.study_name: study.user_attrs for study in storage.get_all_studies()}
    names = list(studies)
    parts = [part for part in names if part.startswith(f"{name}/")]
    arm_names = [part for part in parts if not _is_stage(part)]
    _check_parts(storage, name, studies)
    arms = [_arm(storage, names, arm, plan.get("arms", {}).get(arm, {})) for arm in arm_names]
    order = list(dict.fromkeys(arm.optimizer for arm in arms))
    return ComparisonRecord(
        name=name,
        direction=_direction(storage, study_id),
        settings=read_table(attributes, "settings"),
        data=read_table(attributes, "data"),
        target=plan.get("target"),
        target_given=bool(plan.get("given")),
        arms=tuple(sorted(arms, key=lambda arm: (order.index(arm.optimizer), arm.batch_size))),
        shared=read_table(attributes, "shared"),
        textbook=read_table(attributes, "textbook"),
        minima=read_table(attributes, "minima"),
        as_of=time.strftime("%Y-%m-%d %H:%M"),
        made=read_table(attributes, "made"),
        plain=read_table(attributes, "plain"),
    )


def _check_parts(storage: BaseStorage, comparison: str, studies: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a comparison that has lost a part, or one of whose parts has another name than it was given.

    `studies` are the attributes of all studies of the storage, by name.

    Raises:
        StorageError: it is damaged.
    """
    attributes = studies[comparison]
    for name, own in studies.items():
        if part_of(own) == comparison:
            check_identity(storage, storage.get_study_id_from_name(name), own)
    arms = read_table(attributes, "plan").get("arms", {})
    refined = [f"{arm}{REFINED}" for arm, plan in arms.items() if plan.get("rates")]
    timed = read_table(attributes, "plain").get("winners", [])
    compared = read_table(attributes, "shared_of").get("winners", [])
    for part in (*arms, *refined, *timed, *compared):
        if part not in studies:
            raise damaged(f"{shown(part)} is not in it")
    for name, keys in read_table(attributes, "contents").items():
        for key in keys:
            if key not in studies.get(name, {}):
                raise damaged(f"{key} of {shown(name)} is not in it")


def _is_stage(name: str) -> bool:
    """Whether a part of a comparison is no arm but a later stage of one."""
    return WINNER in name or name.endswith(REFINED)


def _arm(storage: BaseStorage, names: Sequence[str], name: str, plan: Mapping[str, Any]) -> ArmRecord:
    study_id = storage.get_study_id_from_name(name)
    attributes = storage.get_study_user_attrs(study_id)
    settings = read_table(attributes, "settings")
    trials = _trials(storage, study_id, attributes)
    studies = {}  # of the winners, by what they won
    for won in ("fastest", "best"):
        if plan.get(won) is not None:
            _check_winner(name, plan[won], trials)
            studies[won] = winner_study(name, plan[won], plan.get("rates", {}).get(won))
    edges = {study: plan.get("edges", {}).get(won) for won, study in studies.items()}
    winners = {study: _winner(storage, study, edge) for study, edge in edges.items() if study in names}
    return ArmRecord(
        optimizer=str(settings["space"]["optimizer"]),
        batch_size=int(settings["space"]["batch_size"]),
        settings=settings,
        trials=trials,
        fastest=winners.get(studies.get("fastest", "")),
        best=winners.get(studies.get("best", "")),
        refined=_refined(storage, f"{name}{REFINED}") if f"{name}{REFINED}" in names else (),
    )


def _check_winner(arm: str, number: int, trials: Sequence[TrialRecord]) -> None:
    """Refuse a winner that is none of its arm's trials, or has not ended."""
    if not 0 <= number < len(trials) or trials[number].value is None:
        raise damaged(f"trial {number}, a winner, is not in {shown(arm)}")


def _refined(storage: BaseStorage, name: str) -> tuple[TrialRecord, ...]:
    """Return the runs of the second stage of an arm; their parameters are hyperparameters alone."""
    study_id = storage.get_study_id_from_name(name)
    runs = _trials(storage, study_id, storage.get_study_user_attrs(study_id))
    return tuple(replace(run, params={key: run.params[key] for key in run.params if key != SEED}) for run in runs)


def _winner(storage: BaseStorage, name: str, edge: str | None) -> WinnerRecord:
    study_id = storage.get_study_id_from_name(name)
    attributes = storage.get_study_user_attrs(study_id)
    winner = read_table(attributes, "settings")["winner"]
    return WinnerRecord(
        trial=int(winner["trial"]),
        params=winner["params"],
        runs=_trials(storage, study_id, attributes),
        measured={int(number): measured for number, measured in read_table(attributes, "measured").items()},
        edge=edge,
    )


def _names(storage: BaseStorage) -> list[str]:
    """Return the names of a storage's studies, without leases and the parts of comparisons."""
    names = [study.study_name for study in storage.get_all_studies() if not part_of(study.user_attrs)]
    leases = {LEASE + name for name in names}
    return [candidate for candidate in names if candidate not in leases]


def _find(storage: BaseStorage, url: str, name: str | None) -> int:
    names = _names(storage)
    if name is None and len(names) == 1:
        name = names[0]
    if name is None or name not in names:
        problem = f"no study '{name}'" if name else f"{len(names)} studies"
        raise UserError(f"{problem} in {masked(url)}. Name one with --study. {suggestion(name or '', names)}")
    return storage.get_study_id_from_name(name)


def _direction(storage: BaseStorage, study_id: int) -> str:
    if storage.get_study_directions(study_id)[0] == StudyDirection.MAXIMIZE:
        return "maximize"
    return "minimize"


def _objectives(storage: BaseStorage, study_id: int, settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the directions of several objectives by name; none where there is one, or where the settings do not name them all."""
    directions = [direction.name.lower() for direction in storage.get_study_directions(study_id)]
    search = settings.get("search")
    if len(directions) < 2 or not isinstance(search, dict):
        return {}
    names = search.get("objectives")
    if not isinstance(names, list):
        return {}
    known = [str(name) for name in names if str(name) in OBJECTIVES]
    if len(set(known)) != len(directions) or len(known) != len(names):
        return {}
    return dict(zip(known, directions, strict=True))


def _trials(storage: BaseStorage, study_id: int, attributes: Mapping[str, Any]) -> tuple[TrialRecord, ...]:
    with _without_garbage_collection():
        runs = read_runs(storage, study_id, attributes)
        first_start = min((row.started for row, _ in runs if row.started is not None), default=0.0)
        return tuple(trial_record(row, first_start, run) for row, run in runs)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Pause Python's search for cycles of objects: a study has none, and the search takes half the time of reading one."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
