"""What a study is: its settings and data, written as it is made and compared before each run. Another one under its name is refused."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from hpsearch.errors import StorageError, UserError, shown
from hpsearch.storage.attributes import PREFIX, SCHEMA, check_identity, identity, read_table
from hpsearch.storage.changes import data_change
from hpsearch.storage.checksums import sealed

FREE = {  # settings that may change from run to run
    *("study.question", "data.root", "data.file", "search.trials", "search.timeout"),
    *("confirm.trials", "confirm.seeds", "confirm.ensemble"),
    *("compare.batch_sizes", "compare.trials", "compare.seeds", "compare.measured"),
}

UNSET: tuple[Any, ...] = (
    None,
    [],
    "none",
    False,
)  # of a setting that the version which made a study did not have: nothing is changed by it


def find_or_create(storage: BaseStorage, name: str, directions: Sequence[str]) -> int:
    """Return the storage's id of a study, made where it is missing.

    Raises:
        StorageError: it is there under another name than it was given.
    """
    try:
        return storage.get_study_id_from_name(name)
    except KeyError:
        _refuse_renamed(storage, name)
        try:
            return storage.create_new_study([StudyDirection[direction.upper()] for direction in directions], name)
        except DuplicatedStudyError:  # another process made it just now
            return storage.get_study_id_from_name(name)


def _refuse_renamed(storage: BaseStorage, name: str) -> None:
    """Refuse to begin a study anew that is there under a name that it was not given."""
    for study in storage.get_all_studies():
        if read_table(study.user_attrs, "identity").get("name") == name:
            raise StorageError(
                f"storage damaged: study '{name}' is in it as {shown(study.study_name)}. It was not changed; restore a copy."
            )


def describe(storage: BaseStorage, study_id: int, settings: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Write what the study is, the settings last, since they make it one; what an earlier version began keeps its schema."""
    attributes = storage.get_study_user_attrs(study_id)
    tables = {"data": data, "identity": identity(storage, study_id), "settings": settings}
    described = {key: sealed(value, key) for key, value in tables.items()}
    described = {"schema": attributes.get(f"{PREFIX}schema", SCHEMA), **described}
    for key, value in described.items():
        if attributes.get(PREFIX + key) != value:
            storage.set_study_user_attr(study_id, PREFIX + key, value)


def refuse_another(
    storage: BaseStorage, study_id: int, name: str, settings: Mapping[str, Any], data: Mapping[str, Any]
) -> None:
    """Refuse a study of this name that is another one, or not hpsearch's.

    Raises:
        UserError: it is.
        StorageError: it is damaged.
    """
    attributes = storage.get_study_user_attrs(study_id)
    if f"{PREFIX}settings" in attributes:
        check_identity(storage, study_id, attributes)
    _refuse_changes(name, attributes, settings, data)
    _refuse_foreign_trials(name, storage, study_id, attributes)


def _refuse_foreign_trials(name: str, storage: BaseStorage, study_id: int, attributes: Mapping[str, Any]) -> None:
    foreign = f"{PREFIX}settings" not in attributes and storage.get_all_trials(study_id, deepcopy=False)
    if foreign or storage.get_all_trials(study_id, deepcopy=False, states=(TrialState.WAITING,)):
        raise UserError(f"study '{name}' has trials that hpsearch did not make. Give the study another name (--name).")


def _refuse_changes(
    name: str, attributes: Mapping[str, Any], settings: Mapping[str, Any], data: Mapping[str, Any]
) -> None:
    """Compare the fingerprint: a study keeps its space, data, metric, budget, sampler and seed.

    Raises:
        UserError: shows each difference.
    """
    if f"{PREFIX}settings" not in attributes:
        return
    before = read_table(attributes, "settings")
    old = {**_flat(before), "data.hash": read_table(attributes, "data").get("hash")}
    new = {**_flat(settings), "data.hash": data.get("hash")}
    newer = {key for key, value in new.items() if key not in old and value in UNSET}
    keys = sorted((old.keys() | new.keys()) - FREE - newer)
    changes = [key for key in keys if old.get(key) != new.get(key)]
    if changes == ["data.hash"]:
        said = data_change(read_table(attributes, "data"), data, new.get("data.file"))
        raise UserError(
            f"study '{name}': {said}. Give the study another name (--name) for the new data, or the old data back to go on."
        )
    changes = [key for key in changes if key != "data.hash"]  # other settings divide the rows otherwise
    if changes:
        shown = "; ".join(f"{key} was {old.get(key)!r}, now {new.get(key)!r}" for key in changes)
        raise UserError(
            f"study '{name}' exists and differs: {shown}. Give it another name (--name) or the old settings."
        )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        nested = isinstance(value, dict)
        flat |= _flat(cast("Mapping[str, Any]", value), f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat
