"""From a storage to a `StudyRecord`. Reading never writes, and never trusts what it reads to be more than JSON."""

import time
from collections.abc import Mapping
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from hpsearch.data.objectives import OBJECTIVES
from hpsearch.errors import UserError, masked, suggestion
from hpsearch.storage.attributes import (
    PREFIX,
    RUN,
    check_identity,
    check_numbers,
    read_run,
    read_table,
)
from hpsearch.storage.curves import reported
from hpsearch.storage.lease import PREFIX as LEASE
from hpsearch.storage.opening import reading
from hpsearch.storage.records import (
    ArmRecord,
    ComparisonRecord,
    StudyRecord,
    TrialRecord,
    WinnerRecord,
)
from hpsearch.storage.rows import Row, read_rows, uncollected
from hpsearch.trial import History

WINNER = "/trial "  # in the name of the study of a winner's runs, before the number of the trial that won
SCORED = ("training", "test")
CURVES = frozenset(History().columns())
MOST = 2**62  # no count is larger
COUNTS = ("evaluation", "update", "examples")


def read_study(url: str, name: str | None = None) -> StudyRecord:
    """Read a study; without a name, the storage's only one.

    Raises:
        UserError: there is no such study, or hpsearch did not make it.
        StorageError: the storage cannot be read.
    """
    with reading(url) as storage:
        return _study(storage, _find(storage, url, name), url)


def _study(storage: BaseStorage, study_id: int, url: str) -> StudyRecord:
    if f"{PREFIX}settings" not in storage.get_study_user_attrs(study_id):
        name = storage.get_study_name_from_id(study_id)
        raise UserError(f"study '{name}' in {masked(url)} was not made by hpsearch.")
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


def read(url: str, name: str | None = None) -> StudyRecord | ComparisonRecord:
    """Read a study or a comparison, whichever it is; without a name, the storage's only one (a comparison's parts are no studies).

    Raises:
        UserError: there is none of that name, or hpsearch did not make it.
        StorageError: the storage cannot be read.
    """
    with reading(url) as storage:
        study_id = _find(storage, url, name)
        settings = storage.get_study_user_attrs(study_id).get(f"{PREFIX}settings", {})
        if "compare" in settings or "minima" in settings:
            return _comparison(storage, study_id)
        return _study(storage, study_id, url)


def _comparison(storage: BaseStorage, study_id: int) -> ComparisonRecord:
    attributes, name = storage.get_study_user_attrs(study_id), storage.get_study_name_from_id(study_id)
    check_identity(storage, study_id, attributes)
    plan = read_table(attributes, "plan")
    parts = {study.study_name: study._study_id for study in storage.get_all_studies()}
    arms = [
        _arm(storage, parts, arm, plan.get("arms", {}).get(arm, {}))
        for arm in parts
        if arm.startswith(f"{name}/") and WINNER not in arm
    ]
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
    )


def _arm(storage: BaseStorage, parts: Mapping[str, int], name: str, chosen: Mapping[str, int | None]) -> ArmRecord:
    attributes = storage.get_study_user_attrs(parts[name])
    settings = read_table(attributes, "settings")
    winners = {
        number: _winner(storage, parts[f"{name}{WINNER}{number}"])
        for number in {chosen.get("fastest"), chosen.get("best")}
        if f"{name}{WINNER}{number}" in parts
    }
    return ArmRecord(
        optimizer=str(settings["space"]["optimizer"]),
        batch_size=int(settings["space"]["batch_size"]),
        settings=settings,
        trials=_trials(storage, parts[name], attributes),
        fastest=winners.get(chosen.get("fastest")),
        best=winners.get(chosen.get("best")),
    )


def _winner(storage: BaseStorage, study_id: int) -> WinnerRecord:
    attributes = storage.get_study_user_attrs(study_id)
    winner = read_table(attributes, "settings")["winner"]
    return WinnerRecord(
        trial=int(winner["trial"]),
        params=winner["params"],
        runs=_trials(storage, study_id, attributes),
        measured={int(number): measured for number, measured in read_table(attributes, "measured").items()},
    )


def _find(storage: BaseStorage, url: str, name: str | None) -> int:
    names = [study.study_name for study in storage.get_all_studies() if not _part_of(study.user_attrs)]
    names = [n for n in names if not (n.startswith(LEASE) and n.removeprefix(LEASE) in names)]
    if name is None and len(names) == 1:
        name = names[0]
    if name is None or name not in names:
        asked = f"no study '{name}'" if name else f"{len(names)} studies"
        raise UserError(f"{asked} in {masked(url)}. Name one with --study. {suggestion(name or '', names)}")
    return storage.get_study_id_from_name(name)


def _part_of(attributes: Mapping[str, Any]) -> str | None:
    settings = attributes.get(f"{PREFIX}settings")
    return settings.get("part_of") if isinstance(settings, dict) else None


def _direction(storage: BaseStorage, study_id: int) -> str:
    return "maximize" if storage.get_study_directions(study_id)[0] == StudyDirection.MAXIMIZE else "minimize"


def _objectives(storage: BaseStorage, study_id: int, settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the directions of several objectives by name; none where there is one, or where the settings do not name them all."""
    directions = [direction.name.lower() for direction in storage.get_study_directions(study_id)]
    search = settings.get("search")
    names = search.get("objectives") if isinstance(search, dict) else None
    if len(directions) < 2 or not isinstance(names, list) or len({*map(str, names)}) != len(directions):
        return {}
    known = all(name in OBJECTIVES for name in map(str, names))
    return dict(zip(map(str, names), directions, strict=True)) if known else {}


def _trials(storage: BaseStorage, study_id: int, attributes: Mapping[str, Any]) -> tuple[TrialRecord, ...]:
    with uncollected():
        rows = [*read_rows(storage, study_id, RUN)]
        check_numbers(rows)
        first = min((row.begun for row in rows if row.begun is not None), default=0.0)
        return tuple(_record(row, first, read_run(row, attributes)) for row in rows)


def _record(row: Row, first: float, run: Mapping[str, Any]) -> TrialRecord:
    return TrialRecord(
        number=row.number,
        state=row.state.name.lower(),
        params=row.params,
        outcome=_text(run.get("outcome")),
        detail=_text(run.get("detail")),
        value=row.values.get(0),
        values=row.told,
        validation_loss=_number(run.get("validation_loss")),
        best_evaluation=_count(run.get("best")) or 0,
        parameters=_count(run.get("parameters")),
        started=None if row.begun is None else row.begun - first,
        seconds=_number(run.get("seconds")),
        history=history_of(run.get("history")),
        rungs=reported(row.reported, run),
        repeats=_count(run.get("repeats")),
        scores={part: run[part] for part in SCORED if isinstance(run.get(part), dict)},
        folds=_numbers(run.get("folds")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < MOST else None


def _number(value: object) -> float | None:
    """Return a number, None where the storage holds something else, or one so large that no float is."""
    return value if type(value) is float or (type(value) is int and abs(value) < MOST) else None


def _numbers(values: object) -> tuple[float, ...]:
    """Return a list of numbers as it is, none where the storage holds something else."""
    if not isinstance(values, list | tuple) or any(_number(value) is None for value in values):
        return ()
    return tuple(map(float, values))


def history_of(columns: object) -> History | None:
    """Return the learning curve, or None where the storage holds something else."""
    if not isinstance(columns, dict) or columns.keys() != CURVES:
        return None
    lists = [column for column in columns.values() if isinstance(column, list | tuple)]
    if len({len(column) for column in lists}) != 1 or len(lists) < len(CURVES):
        return None
    whole = all({*map(type, columns[name])} <= {int} and max(columns[name], default=0) < MOST for name in COUNTS)
    real = all({*map(type, column)} <= {int, float} for column in lists)
    return History(**{name: tuple(column) for name, column in columns.items()}) if whole and real else None
