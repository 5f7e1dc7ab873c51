"""What hpsearch keeps in a study beside what is Optuna's: its attributes and its trials', their seals broken where they are read."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.storages import BaseStorage

from hpsearch.errors import StorageError, shown
from hpsearch.storage.checksums import opened, trial_facts
from hpsearch.storage.rows import Row

SCHEMA = 2  # from 2 on everything has a seal
PREFIX = "hpsearch:"
RUN = f"{PREFIX}run"


def identity(storage: BaseStorage, study_id: int) -> dict[str, Any]:
    """Return what Optuna itself keeps of a study, for its seal."""
    directions = [direction.name.lower() for direction in storage.get_study_directions(study_id)]
    return {"name": storage.get_study_name_from_id(study_id), "directions": directions}


def check_identity(storage: BaseStorage, study_id: int, attributes: Mapping[str, Any]) -> None:
    """Compare a study's name and directions with those that it was made with.

    Raises:
        StorageError: they differ.
    """
    if _sealed(attributes) and read_table(attributes, "identity") != identity(storage, study_id):
        raise StorageError(
            "storage damaged: a study's name or directions are not as they were written. Restore a copy."
        )


def read_table(attributes: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return what a study keeps under a key, its seal broken; nothing where nothing is kept.

    Raises:
        StorageError: it is damaged.
    """
    value = attributes.get(PREFIX + key, {})
    if not isinstance(value, dict):
        raise StorageError(f"storage damaged: study attribute {PREFIX}{key} is a {type(value).__name__}, not a table.")
    return opened(value, f"study attribute {PREFIX}{key}", key, demanded=_sealed(attributes) and bool(value))


def read_run(row: Row, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what hpsearch keeps of a trial of a study with these attributes, its seal broken; nothing before the trial has ended.

    Raises:
        StorageError: it is damaged.
    """
    if not row.state.is_finished():
        return {}
    run = row.attributes.get(RUN)
    facts = trial_facts(row.params, row.state.name, row.told, row.reported)
    run = run if isinstance(run, dict) else {}
    return opened(run, f"trial {row.number}", facts, demanded=_sealed(attributes))


def check_numbers(rows: Sequence[Row]) -> None:
    """Refuse trials between which one is missing.

    Raises:
        StorageError: there is a gap.
    """
    if [row.number for row in rows] != [*range(len(rows))]:
        raise StorageError(
            "storage damaged: there are gaps in the trials' numbers. It was not changed; restore a copy."
        )


def _sealed(attributes: Mapping[str, Any]) -> bool:
    """Whether a study is of a version that seals everything."""
    schema = attributes.get(f"{PREFIX}schema")
    if schema not in (None, 1, SCHEMA):
        raise StorageError(
            f"study attribute {PREFIX}schema is {shown(schema)}: damaged, or of a later version of hpsearch."
        )
    return schema == SCHEMA
