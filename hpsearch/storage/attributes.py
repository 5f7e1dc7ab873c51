"""The attributes that hpsearch writes into a study and its trials, each a table with a checksum of its values.

A database checks that its pages are consistent, not that a number in them is still the one that was written: of a thousand flipped
bytes in a study's file most change a value and break no page. The checksum is CRC-32 of the values as JSON, which finds every change of
up to four bytes in a row, and others but for one in four billion; it is against accidents, not against people.

A trial's checksum covers what Optuna stores of it. How many trials have ended, and the checksums of all, stand in the table `trials`, which
is written whenever a process gives a study back: so no row is lost, and no two trials change places, without a word.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

from optuna.storages import BaseStorage

from hpsearch.errors import StorageError, counted, damaged, shown
from hpsearch.storage.optuna_internals import TrialRow, read_trials

SCHEMA = 2  # from 2 on everything has a checksum
PREFIX = "hpsearch:"
RUN = f"{PREFIX}run"
CHECKSUM = "seal"  # key of the checksum in a table
LATER = (
    "trials",
    "result",
    "complete",
    "plan",
    "made",
    "measured",
    "plain",
    "shared",
    "shared_of",
    "textbook",
    "minima",
    "contents",
)
OF_COMPARISONS = ("plain", "shared", "shared_of", "textbook")  # of these, written once the winners are planned


def with_checksum(table: Mapping[str, Any], *context: Any) -> dict[str, Any]:
    """Return a table with the checksum of its values and of the `context` that is stored elsewhere."""
    plain = json.loads(json.dumps(table))  # as it will be read: a number that is a key is text then
    return {**plain, CHECKSUM: _checksum(plain, context)}


def verified(table: Mapping[str, Any], what: str, *context: Any, required: bool = False) -> dict[str, Any]:
    """Return a table without its checksum; a table of an early version, which has none, passes unless it is `required`.

    Raises:
        StorageError: the table or its context was changed after it was written.
    """
    plain = {key: value for key, value in table.items() if key != CHECKSUM}
    checksum = table.get(CHECKSUM)
    missing = checksum is None and required
    wrong = checksum is not None and checksum != _checksum(plain, context)
    if missing or wrong:
        raise damaged(f"{what} is not as it was written")
    return plain


def trial_facts(
    params: Mapping[str, Any], state: str, values: Sequence[float], intermediate_values: Mapping[int, float]
) -> list[Any]:
    """Return what the checksum of a trial's attribute covers beside it, each number as a storage gives it back."""
    numbers = {name: float(value) if type(value) is int else value for name, value in params.items()}
    curve = [[step, float(intermediate_values[step])] for step in sorted(intermediate_values)]
    return [numbers, state.lower(), [float(value) for value in values], curve]


def identity(storage: BaseStorage, study_id: int) -> dict[str, Any]:
    """Return what Optuna itself stores about a study, to be written once more with a checksum."""
    directions = [direction.name.lower() for direction in storage.get_study_directions(study_id)]
    return {"name": storage.get_study_name_from_id(study_id), "directions": directions}


def check_identity(storage: BaseStorage, study_id: int, attributes: Mapping[str, Any]) -> None:
    """Compare a study's name and directions with those that it was made with.

    Raises:
        StorageError: they differ.
    """
    if _has_checksums(attributes) and read_table(attributes, "identity") != identity(storage, study_id):
        raise damaged("a study's name or directions are not as they were written")


def read_table(attributes: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the verified table that a study has under a key, empty where there is none.

    Raises:
        StorageError: it is damaged.
    """
    value = attributes.get(PREFIX + key, {})
    if not isinstance(value, dict):
        raise StorageError(f"storage damaged: study attribute {PREFIX}{key} is a {type(value).__name__}, not a table.")
    required = PREFIX + key in attributes and _has_checksums(attributes)
    return verified(value, f"study attribute {PREFIX}{key}", key, required=required)


def read_run(row: TrialRow, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the verified details of a trial of a study with these attributes, empty before the trial has ended.

    Raises:
        StorageError: they are damaged.
    """
    if not row.state.is_finished():
        return {}
    run = row.attributes.get(RUN)
    facts = trial_facts(row.params, row.state.name, row.values, row.intermediate_values)
    table = run if isinstance(run, dict) else {}
    return verified(table, f"trial {row.number}", facts, required=_has_checksums(attributes))


def read_runs(
    storage: BaseStorage, study_id: int, attributes: Mapping[str, Any]
) -> list[tuple[TrialRow, dict[str, Any]]]:
    """Return the trials of a study with these attributes in the order of their numbers, each with its verified details.

    Raises:
        StorageError: a trial, or a table of the study's, is damaged or not there.
    """
    rows = read_trials(storage, study_id, RUN)
    check_tables(attributes, has_trials=bool(rows))
    runs = [(row, read_run(row, attributes)) for row in rows]
    _check_written(rows, read_table(attributes, "trials"))
    _check_named(rows, read_table(attributes, "result"))
    return runs


def trials_table(checksums: Sequence[Any]) -> dict[str, Any]:
    """Return the table `trials` of a study, given the checksum of each trial from the first to the last that has ended."""
    return {"count": len(checksums), "checksums": _checksum({}, checksums)}


def contents_of(storage: BaseStorage, study_id: int) -> dict[str, list[str]]:
    """Return the tables that a comparison and each of its parts have, by the names of these studies."""
    comparison = storage.get_study_name_from_id(study_id)
    studies = {study.study_name: study.user_attrs for study in storage.get_all_studies()}
    parts = [name for name, own in studies.items() if part_of(own) == comparison]
    return {name: [key for key in studies[name] if key.startswith(PREFIX)] for name in (comparison, *parts)}


def part_of(attributes: Mapping[str, Any]) -> str | None:
    """Return the name of the comparison that a study is a part of, None where it is none."""
    settings = attributes.get(f"{PREFIX}settings")
    return settings.get("part_of") if isinstance(settings, dict) else None


def check_tables(attributes: Mapping[str, Any], *, has_trials: bool) -> None:
    """Refuse a study that lacks a table which was written before others that it has.

    Raises:
        StorageError: it does.
    """
    if not _has_checksums(attributes):
        return
    expected = []
    if has_trials or any(PREFIX + key in attributes for key in ("settings", *LATER)):
        expected = ["data", "identity", "settings"]
    if f"{PREFIX}complete" in attributes:
        expected.append("result")
    if any(PREFIX + key in attributes for key in OF_COMPARISONS):
        expected += ["made", "plan"]
    if f"{PREFIX}shared_of" in attributes:
        expected.append("shared")
    for key in expected:
        if PREFIX + key not in attributes:
            raise StorageError(f"storage damaged: study attribute {PREFIX}{key} is missing")


def _check_written(rows: Sequence[TrialRow], written: Mapping[str, Any]) -> None:
    """Compare the trials that are there with those that were written."""
    count = written.get("count", 0)
    ended = [row for row in rows[:count] if row.state.is_finished()]
    if len(ended) < count:
        raise damaged(f"{len(ended):,} of {counted(count, 'trial')} are there")
    if written and trials_table([checksum_of(row) for row in ended]) != written:
        raise damaged("trials are not those that were written")


def _check_named(rows: Sequence[TrialRow], result: Mapping[str, Any]) -> None:
    """Refuse a result that names a trial which is not there, or has not ended."""
    confirmed = [table.get("trial") for table in result.get("confirmed") or ()]
    networks = [trial for trial, _ in result.get("networks") or ()]
    searched = (result.get("search") or {}).get("trial")
    ended = {row.number for row in rows if row.state.is_finished()}
    for number in (result.get("trial"), searched, *networks, *confirmed):
        if number is not None and number not in ended:
            raise damaged(f"the result names trial {number}, which is not there")


def checksum_of(row: TrialRow) -> Any:
    """Return the checksum that a trial was written with; None of a trial of an early version, which has none."""
    run = row.attributes.get(RUN)
    return run.get(CHECKSUM) if isinstance(run, dict) else None


def _has_checksums(attributes: Mapping[str, Any]) -> bool:
    """Whether a study is of a version that writes checksums."""
    schema = attributes.get(f"{PREFIX}schema")
    if schema not in (None, 1, SCHEMA):
        raise StorageError(
            f"study attribute {PREFIX}schema is {shown(schema)}: damaged, or of a later version of hpsearch."
        )
    settings = attributes.get(f"{PREFIX}settings")
    is_lost = schema is None and isinstance(settings, dict) and CHECKSUM in settings
    return schema == SCHEMA or is_lost


def _checksum(table: Mapping[str, Any], context: Sequence[Any]) -> int:
    return crc32(json.dumps([table, *context], sort_keys=True).encode())
