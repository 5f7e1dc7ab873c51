"""What a study is: its settings and data, written when it is made and compared before each run; another one of its name is refused.

A hash says that the data changed; the rows and columns of both may say how.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from hpsearch.data.options import COLUMN_SETTING, column_setting
from hpsearch.errors import UserError, damaged, listed, shortened, shown
from hpsearch.storage.attributes import (
    PREFIX,
    SCHEMA,
    check_identity,
    check_tables,
    identity,
    part_of,
    read_table,
    with_checksum,
)
from hpsearch.storage.optuna_internals import create_study_once

MAY_CHANGE = {  # settings that may differ from run to run
    "study.question",
    "data.root",
    "data.file",
    "search.trials",
    "search.timeout",
    "search.patience",
    "search.target_value",
    "confirm.trials",
    "confirm.seeds",
    "confirm.ensemble",
    "confirm.refit",
    "compare.batch_sizes",
    "compare.trials",
    "compare.seeds",
    "compare.measured",
    "minima.seeds",  # what was tested at other sizes is tested anew
    "minima.starts",
}
ANSWERS = {  # how data are read: what was found once may be given later, where the rows stay the same
    "data.task",
    "data.separator",
    "data.header",
    "data.encoding",
    "data.decimal",
    "data.thousands",
}
NO_EFFECT: tuple[Any, ...] = (None, [], "none", False)  # values of a setting that an earlier version did not have
FOUND_DATES = re.compile(r"read as (%.*?)(?=, %.* would fit|, years of two digits|$)")  # a column's note
BEFORE = {"compare.refine": 0, "compare.divisions": 1}  # what studies of before such a setting did
NAMES_SHOWN = 3  # of columns
RESTORED = {"dropped": "drop"}  # what a column's kind in a summary is called as a setting, where that differs


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a study is: its name, the direction of each objective, its settings as its file says, its data as they are summed up."""

    name: str
    directions: tuple[str, ...]  # the metric's first
    settings: Mapping[str, Any]
    data: Mapping[str, Any]


def find_or_create(storage: BaseStorage, study: Fingerprint, *, alone: bool = False) -> int:
    """Return the storage's id of a study, created where it is missing; `alone`: the storage is to hold no other one.

    Raises:
        UserError: it holds another one, whose report and models are beside it.
        StorageError: it is there under another name than it was given.
    """
    try:
        return storage.get_study_id_from_name(study.name)
    except KeyError:
        _refuse_renamed(storage, study.name)
        if alone:
            _refuse_another(storage)
        directions = [StudyDirection[direction.upper()] for direction in study.directions]
        return create_study_once(storage, study.name, directions)


def write_fingerprint(storage: BaseStorage, study_id: int, study: Fingerprint) -> None:
    """Write what differs of a study's schema, data, identity and settings; the settings come last and make it a study of hpsearch's."""
    stored = storage.get_study_user_attrs(study_id)
    attributes = {
        "schema": stored.get(f"{PREFIX}schema", SCHEMA),  # an early version's study keeps its own
        "data": with_checksum(study.data, "data"),
        "identity": with_checksum(identity(storage, study_id), "identity"),
        "settings": with_checksum(study.settings, "settings"),
    }
    for key, value in attributes.items():
        if stored.get(PREFIX + key) != value:
            storage.set_study_user_attr(study_id, PREFIX + key, value)


def check_fingerprint(storage: BaseStorage, study_id: int, study: Fingerprint) -> None:
    """Refuse a study of this name that is another one, or not hpsearch's.

    Raises:
        UserError: it is; the message has each difference.
        StorageError: it is damaged.
    """
    attributes = storage.get_study_user_attrs(study_id)
    foreign_states = None  # no trial of a study that hpsearch did not make is its own
    if f"{PREFIX}settings" in attributes:
        check_tables(attributes, has_trials=False)
        check_identity(storage, study_id, attributes)
        _refuse_changes(study, attributes)
        foreign_states = (TrialState.WAITING,)
    if storage.get_all_trials(study_id, deepcopy=False, states=foreign_states):
        raise UserError(
            f"study '{study.name}' has trials that hpsearch did not make. Give the study another name (--name)."
        )


def describe_data_change(before: Mapping[str, Any], now: Mapping[str, Any], file: str | None) -> str:
    """Return the sentence on two summaries of data whose hashes differ; `file` is where the data come from, if anywhere."""
    differences = list(_data_differences(before, now))
    known = "; ".join(differences) or "as many rows and the same columns, but other cells or another order"
    return f"the data changed since the study began ({known}{_modification_time(file)})"


def _refuse_renamed(storage: BaseStorage, name: str) -> None:
    """Refuse to begin a study anew that is there under a name that it was not given."""
    for study in storage.get_all_studies():
        settings = read_table(study.user_attrs, "settings")
        names = (read_table(study.user_attrs, "identity").get("name"), settings.get("study", {}).get("name"))
        if name in names:
            raise damaged(f"study '{name}' is in it as {shown(study.study_name)}")


def _refuse_another(storage: BaseStorage) -> None:
    """Refuse to begin a study in the folder of another one, as one that was renamed is."""
    for study in storage.get_all_studies():
        settings = study.user_attrs.get(f"{PREFIX}settings")
        if isinstance(settings, dict) and not part_of(study.user_attrs):
            raise UserError(
                f"the folder holds study {shown(study.study_name)}, whose report and best network would be overwritten. "
                "Give that one's folder its name again, or the new study another name (--name)."
            )


def _refuse_changes(study: Fingerprint, attributes: Mapping[str, Any]) -> None:
    stored_data = read_table(attributes, "data")
    old = {**BEFORE, **dict(_flat(read_table(attributes, "settings")))}
    new = dict(_flat(study.settings))
    changes = _changed(old, new)
    reread = _reread_columns(stored_data, study.data) | _other_dates(stored_data, old, new)
    is_same = stored_data.get("hash") == study.data.get("hash")
    stated = [key for key in changes if key.startswith(COLUMN_SETTING) and key not in old]
    if not reread or (is_same and all(key.removeprefix(COLUMN_SETTING) in reread for key in stated)):
        changes = [key for key in changes if key not in stated]  # the kinds that columns had before may be stated
    answers = [key for key in changes if key in ANSWERS and old.get(key) is None]
    if is_same and not reread:
        changes = [key for key in changes if key not in answers]
    elif changes and changes == answers:
        given = ", ".join(f"{key} = {new[key]!r}" for key in answers)
        raise UserError(
            f"study '{study.name}': with {given} the file does not hold the study's rows. Give another reading of it, or the study "
            "another name (--name)."
        )
    if changes:  # with other settings the rows are divided otherwise, and their hash says nothing more
        raise UserError(
            f"study '{study.name}' exists and differs: {_told(changes, old, new)}. Give it another name (--name) or the old settings."
        )
    if reread and is_same:
        raise _reread_error(study.name, reread)
    if not is_same:
        change = describe_data_change(stored_data, study.data, new.get("data.file"))
        raise UserError(
            f"study '{study.name}': {change}. Give the study another name (--name) for the new data, or the old data back to go on."
        )


def stated(settings: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recorded study's settings, with the value that stands for what its version did where that had no such setting.

    An earlier version limited no predictions.
    """
    if data.get("task") != "regression":
        return dict(settings)
    return {**settings, "data": {"target_range": "none", **settings["data"]}}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return how the settings of a study differ from those of before, apart from what may differ from run to run; "" where they do not."""
    old, new = {**BEFORE, **dict(_flat(before))}, dict(_flat(now))
    return _told(_changed(old, new), old, new)


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [key for key in sorted((old.keys() - BEFORE.keys()) | new.keys()) if _differs(key, old, new)]


def _told(keys: Sequence[str], old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return "; ".join(f"{shortened(key)} was {shown(old.get(key))}, now {shown(new.get(key))}" for key in keys)


def refuse_other_inputs(record: Fingerprint, now: Fingerprint) -> None:
    """Refuse data whose cells are those of a recorded study, but whose columns become other inputs.

    Raises:
        UserError: the options for the kinds that they had.
    """
    old, new = dict(_flat(record.settings)), dict(_flat(now.settings))
    reread = _reread_columns(record.data, now.data) | _other_dates(record.data, old, new)
    if reread:
        raise _reread_error(record.name, reread)


def _reread_error(name: str, reread: Mapping[str, str]) -> UserError:
    was = "; ".join(f"{shown(column)} was {kind}" for column, kind in reread.items())
    options = " ".join(column_setting(column, RESTORED.get(kind, kind)) for column, kind in reread.items())
    return UserError(
        f"study '{name}': this version reads columns otherwise ({was}). "
        f"Give {options} to go on, or the study another name (--name)."
    )


def _other_dates(before: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns of dates that now have another format by force than the one that was found, with that."""
    others = {}
    for column in before.get("columns") or ():
        key = f"{COLUMN_SETTING}{column['name']}"
        found = FOUND_DATES.match(str(column.get("note") or ""))
        if found and key not in old and str(new.get(key, "")).startswith("date:"):
            kind = f"date:{found[1]}"
            if new[key] != kind:
                others[str(column["name"])] = kind
    return others


def _reread_columns(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns that become other inputs than they did, with the kinds they had; none where it is not known."""
    known = {column["name"]: (column["kind"], column["inputs"]) for column in now.get("columns") or ()}
    reread = {}
    for column in before.get("columns") or ():
        name = column["name"]
        if name in known and known[name] != (column["kind"], column["inputs"]):
            reread[str(name)] = str(column["kind"])
    return reread


def _differs(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a setting differs such that the study is another one."""
    if key in MAY_CHANGE:
        return False
    if key not in old and new[key] in NO_EFFECT:
        return False
    return bool(old.get(key) != new.get(key))


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested tables, each with its dotted key."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _data_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    tasks = (before.get("task"), now.get("task"))
    if None not in tasks and tasks[0] != tasks[1]:
        yield f"the task was {tasks[0]}, now {tasks[1]}: --task {tasks[0]} goes on as before"
    if _rows(before) != _rows(now):
        yield f"rows were {_rows(before):,}, now {_rows(now):,}"
    if _width(before) != _width(now):
        yield f"columns were {_width(before):,}, now {_width(now):,}"
    old_names = _names(before)
    new_names = _names(now)
    if gone := [name for name in old_names if name not in new_names]:
        yield f"gone: {listed(gone, NAMES_SHOWN)}"
    if added := [name for name in new_names if name not in old_names]:
        yield f"new: {listed(added, NAMES_SHOWN)}"


def _rows(summary: Mapping[str, Any]) -> int:
    rows = summary.get("rows") or {}
    return sum(int(rows.get(part, 0)) for part in ("training", "validation", "test"))


def _width(summary: Mapping[str, Any]) -> int:
    return len(_names(summary)) or int(summary.get("inputs") or 0)


def _names(summary: Mapping[str, Any]) -> list[str]:
    return [str(column.get("name")) for column in summary.get("columns") or ()]


def _modification_time(file: str | None) -> str:
    """Return when the file was last written, nothing where it is not there."""
    if file is None:
        return ""
    with suppress(OSError, ValueError):
        time = datetime.fromtimestamp(Path(file).stat().st_mtime)
        return f"; {shown(Path(file).name)} was last written {time:%Y-%m-%d %H:%M}"
    return ""
