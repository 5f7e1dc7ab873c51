# ruff: noqa: S608 - the statements are of our own
"""Rows that were lost, changed or written by another program: a storage is refused in one line before anything is written into it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest

from hpsearch.errors import HpsearchError, StorageError, UserError
from hpsearch.storage import ComparisonRecord
from hpsearch.storage.fingerprint import Fingerprint
from hpsearch.storage.reading import read, read_study
from hpsearch.storage.urls import check_location, sqlite_url
from hpsearch.storage.writing import StudyWriter
from tests.support.attacks import change_rows
from tests.support.stored import DATA, DEPTH, FINGERPRINT, SETTINGS, run_of, write_study

TRIALS = 4
OF_TRIALS = ("params", "values", "user_attributes", "system_attributes", "intermediate_values")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the content of a complete study of four trials, whose result names trial 1."""
    file = tmp_path_factory.mktemp("sound") / "study.db"
    result = {"trial": 1, "networks": [[1, None]], "search": {"trial": 1}, "confirmed": []}
    return write_study(file, TRIALS, result, complete=True).read_bytes()


@pytest.fixture
def file(sound: bytes, tmp_path: Path) -> Path:
    """Write a copy of the study."""
    file = tmp_path / "study.db"
    file.write_bytes(sound)
    return file


def lost(condition: str) -> list[str]:
    """Return the statements that delete trials with all that belongs to them."""
    trials = f"SELECT trial_id FROM trials WHERE {condition}"
    rows = [f"DELETE FROM trial_{table} WHERE trial_id IN ({trials})" for table in OF_TRIALS]
    return [*rows, f"DELETE FROM trials WHERE {condition}"]


def changed_places() -> list[str]:
    """Return the statements that give trial 0 all that belongs to trial 1, and the other way round."""
    first, second = (f"(SELECT trial_id FROM trials WHERE number = {number})" for number in (0, 1))
    statements = []
    for table in OF_TRIALS:
        update = f"UPDATE trial_{table} SET trial_id ="
        statements += [
            f"{update} -1 WHERE trial_id = {first}",
            f"{update} {first} WHERE trial_id = {second}",
            f"{update} {second} WHERE trial_id = -1",
        ]
    return statements


def attribute_emptied(key: str) -> list[str]:
    """Return the statement that leaves a table of the study's without its values and its checksum."""
    return [f"UPDATE study_user_attributes SET value_json = '{{}}' WHERE key = 'hpsearch:{key}'"]


def attribute_lost(key: str) -> list[str]:
    """Return the statement that deletes a table of the study's."""
    return [f"DELETE FROM study_user_attributes WHERE key = 'hpsearch:{key}'"]


OF_TRIAL_1 = "trial_id = (SELECT trial_id FROM trials WHERE number = 1)"
DAMAGE: dict[str, tuple[list[str], str]] = {
    "objective": ([f"UPDATE trial_values SET objective = 1 WHERE {OF_TRIAL_1}"], "trial 1 has not one value"),
    "value": ([f"DELETE FROM trial_values WHERE {OF_TRIAL_1}"], "trial 1 has not one value"),
    "another value": ([f"UPDATE trial_values SET value = 0.9 WHERE {OF_TRIAL_1}"], "trial 1 is not as it was written"),
    "parameter": ([f"DELETE FROM trial_params WHERE {OF_TRIAL_1}"], "trial 1 is not as it was written"),
    "curve": (
        [f"UPDATE trial_intermediate_values SET step = step + 7 WHERE {OF_TRIAL_1}"],
        "trial 1 is not as it was written",
    ),
    "state": (["UPDATE trials SET state = 'RUNNING' WHERE number = 1"], "3 of 4 trials are there"),
    "pruned": (["UPDATE trials SET state = 'PRUNED' WHERE number = 1"], "trial 1 is not as it was written"),
    "last trial": (lost("number = 3"), "3 of 4 trials are there"),
    "last trials": (lost("number > 0"), "1 of 4 trials are there"),
    "all trials": (lost("number >= 0"), "0 of 4 trials are there"),
    "two trials of changed places": (changed_places(), "trials are not those that were written"),
    "result": (attribute_lost("result"), "hpsearch:result is missing"),
    "settings": (attribute_lost("settings"), "hpsearch:settings is missing|not made by hpsearch|did not make"),
    "data": (attribute_lost("data"), "hpsearch:data is missing"),
    "an empty result": (attribute_emptied("result"), "hpsearch:result is not as it was written"),
    "empty settings": (attribute_emptied("settings"), "hpsearch:settings is not as it was written"),
    "empty data": (attribute_emptied("data"), "hpsearch:data is not as it was written"),
    "identity": (attribute_lost("identity"), "hpsearch:identity is missing|name or directions"),
    "schema": (
        [*attribute_lost("schema"), *attribute_lost("identity")],
        "hpsearch:identity is missing|name or directions",
    ),
    "name, and that of before": (
        [*attribute_lost("schema"), *attribute_lost("identity"), "UPDATE studies SET study_name = '0'"],
        "name or directions|is in it as '0'",
    ),
    "a word of Optuna's": (
        [f"UPDATE trial_intermediate_values SET intermediate_value_type = 'F' || char(7) || 'NITE' WHERE {OF_TRIAL_1}"],
        r"'F\\x07NITE'",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_study_is_told_in_a_line(damage: str, file: Path) -> None:
    """Whatever decides what is shown, once lost or changed, ends reading and running alike; the file stays byte for byte."""
    statements, reason = DAMAGE[damage]
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    content = file.read_bytes()

    def resume() -> None:
        StudyWriter.open(sqlite_url(file), FINGERPRINT).close()

    attempts: list[Callable[[], Any]] = [lambda: read_study(sqlite_url(file)), resume]
    for attempt in attempts:
        with pytest.raises(HpsearchError, match=reason) as caught:
            attempt()
        assert str(caught.value).isprintable()
        assert file.read_bytes() == content


@pytest.fixture
def compared(tmp_path: Path) -> Path:
    """Write a comparison of one batch size, its second stage and its winner's runs, and return its file."""
    file = tmp_path / "study.db"
    settings = {"study": {"name": "c"}, "compare": {"trials": 2}}
    writer = StudyWriter.open(sqlite_url(file), Fingerprint("c", ("maximize",), settings, DATA))
    arm, winner = "c/sgd/8", "c/sgd/8/trial 1 at 0.5"
    for name in (arm, f"{arm}/second stage", winner):
        part = {
            "space": {"optimizer": "sgd", "batch_size": 8},
            "winner": {"trial": 1, "params": {"depth": 1}},
            "part_of": "c",
        }
        runs = writer.open_part(Fingerprint(name, ("maximize",), part, DATA), curve_length=9)
        runs.previous_trials()
        for number in range(2):
            runs.begin(number, {"depth": 1}, DEPTH)
            runs.finish(run_of(number), 0.75, {1: 0.5}, seconds=1.0)
    runs.write_attribute("measured", {"0": {"path": {}}})
    plan = {"fastest": 1, "best": 1, "rates": {"fastest": 0.5, "best": 0.5}, "edges": {}}
    writer.write_attribute("made", {"device": "cpu"})
    writer.write_attribute("plan", {"target": 0.5, "given": True, "arms": {arm: plan}})
    writer.write_attribute("plain", {"winners": [winner], "seconds": {}, "engines": {}})
    writer.write_attribute("shared", {"sgd": {}})
    writer.write_attribute("shared_of", {"winners": [winner]})
    for key in ("textbook", "minima"):
        writer.write_attribute(key, {"rows": 3})
    writer.write_contents()
    writer.close()
    return file


COMPARISON_DAMAGE: dict[str, tuple[list[str], str]] = {
    **{
        key: ([f"{attribute_lost(key)[0]} AND study_id = 1"], f"hpsearch:{key} is missing")
        for key in ("settings", "data", "plan", "made", "shared")
    },
    **{
        key: ([attribute_lost(key)[0]], f"hpsearch:{key} of '.*' is not in it")
        for key in ("plain", "textbook", "minima", "measured")
    },
    "trials of a part": (
        [
            f"DELETE FROM {table} WHERE study_id = 4 {more}"
            for table, more in (("trials", ""), ("study_user_attributes", "AND key = 'hpsearch:trials'"))
        ],
        "hpsearch:trials of '.*' is not in it",
    ),
    **{
        f"{part}, renamed": (
            [f"UPDATE studies SET study_name = study_name || '{end}' WHERE study_name LIKE '{part}'"],
            "a study's name or directions are not as they were written",
        )
        for part, end in (("%stage", "2"), ("%0.5", "1"), ("%0.5", "/other"))
    },
    **{
        f"{part}, deleted": (
            [
                f"DELETE FROM {table} WHERE study_id IN (SELECT study_id FROM studies WHERE study_name LIKE '{part}')"
                for table in ("study_user_attributes", "trials", "studies")
            ],
            f"{part[1:]}' is not in it",
        )
        for part in ("%stage", "%0.5", "%sgd/8")
    },
}


@pytest.mark.parametrize("damage", COMPARISON_DAMAGE)
def test_a_damaged_comparison_is_told_in_a_line(damage: str, compared: Path) -> None:
    """A table or a part of a comparison that is lost or has another name is no comparison that has not come so far yet."""
    url = sqlite_url(compared)
    record = read(url, "c")
    assert isinstance(record, ComparisonRecord)
    assert record.arms[0].fastest is not None
    statements, reason = COMPARISON_DAMAGE[damage]
    with closing(sqlite3.connect(compared)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    content = compared.read_bytes()
    with pytest.raises(StorageError, match=reason) as caught:
        read(url, "c", foreign=True)
    assert str(caught.value).isprintable()
    assert compared.read_bytes() == content


def test_a_folder_that_was_renamed_keeps_its_study(file: Path) -> None:
    """A new study does not begin in the storage of a folder that holds another one's report and model."""
    content = file.read_bytes()
    other = Fingerprint("other", ("maximize",), SETTINGS | {"study": {"name": "other"}}, DATA)
    with pytest.raises(UserError, match="the folder holds study 's', whose report and best network"):
        StudyWriter.open(sqlite_url(file), other, alone=True)
    assert file.read_bytes() == content
    StudyWriter.open(sqlite_url(file), FINGERPRINT, alone=True).close()
    StudyWriter.open(sqlite_url(file), other).close()  # a storage of several studies


def test_a_long_name_that_hpsearch_did_not_give_is_shortened(tmp_path: Path) -> None:
    """A study of another program's is refused in a line, however long its name is."""
    url = sqlite_url(tmp_path / "study.db")
    optuna.create_study(storage=url, study_name="[" * 500)
    with pytest.raises(UserError, match="was not made by hpsearch") as caught:
        read_study(url)
    assert len(str(caught.value)) < 400


def test_a_study_without_the_count_of_its_trials_opens(file: Path) -> None:
    """A study of an earlier version, which did not count its trials, is read and run on; what its result names must be there."""
    change_rows(file, *attribute_lost("trials"))
    assert len(read_study(sqlite_url(file)).trials) == TRIALS
    for statement in lost("number > 0"):
        change_rows(file, statement)
    with pytest.raises(StorageError, match="the result names trial 1, which is not there"):
        read_study(sqlite_url(file))


def test_a_study_that_goes_on_counts_its_trials_anew(file: Path) -> None:
    """More trials are no damage while they are written, and the end of the process counts them too."""
    url = sqlite_url(file)
    writer = StudyWriter.open(url, FINGERPRINT)
    writer.previous_trials()
    writer.begin(TRIALS, {"depth": 1}, DEPTH)
    writer.finish(run_of(TRIALS), 0.75, {}, seconds=1.0)
    writer.flush()
    assert len(read_study(url).trials) == TRIALS + 1
    writer.close()
    for statement in lost(f"number = {TRIALS}"):
        change_rows(file, statement)
    with pytest.raises(StorageError, match="4 of 5 trials are there"):
        read_study(url)


def test_a_process_that_trains_nothing_leaves_the_count(file: Path) -> None:
    """A process that opens a study for another reason than its trials does not count them as none."""
    StudyWriter.open(sqlite_url(file), FINGERPRINT).close()
    for statement in lost("number = 3"):
        change_rows(file, statement)
    with pytest.raises(StorageError, match="3 of 4 trials are there"):
        read_study(sqlite_url(file))


def test_rows_without_their_trial_are_not_given_to_another(file: Path) -> None:
    """Where trials went and their values stayed, a new trial would have these: the file is refused before it is written into."""
    change_rows(file, *attribute_lost("trials"))
    change_rows(file, "DELETE FROM trials WHERE number = 3")
    content = file.read_bytes()
    with pytest.raises(StorageError, match="without those of trials"):
        StudyWriter.open(sqlite_url(file), FINGERPRINT)
    assert file.read_bytes() == content


FOREIGN = {
    "newer": ["UPDATE alembic_version SET version_num = 'v99.0.0'"],
    "older": ["UPDATE alembic_version SET version_num = 'v2.6.0.a'"],
    "two versions": ["INSERT INTO alembic_version VALUES ('v99')"],
    "no version": ["DELETE FROM alembic_version"],
    "no table of versions": ["DROP TABLE alembic_version"],
    "no maker": ["DELETE FROM version_info"],
    "a column less": ["ALTER TABLE trials DROP COLUMN datetime_complete"],
    "a table less": ["DROP TABLE trial_heartbeats"],
    "another program's": ["DROP TABLE trials", "CREATE TABLE trials (id INTEGER, patient TEXT)"],
    "triggers": ["CREATE TRIGGER t AFTER INSERT ON trials BEGIN DELETE FROM trial_values; END"],
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_tables_of_another_schema(kind: str, file: Path, tmp_path: Path) -> None:
    """Tables that this version of Optuna did not make are refused in one line that says so, and nothing is written."""
    for statement in FOREIGN[kind]:
        change_rows(file, statement)
    content = file.read_bytes()
    with pytest.raises((UserError, StorageError), match=r"Nothing was written|It was not changed") as caught:
        StudyWriter.open(sqlite_url(file), FINGERPRINT)
    assert "\n" not in str(caught.value)
    assert file.read_bytes() == content
    if kind != "triggers":  # which nothing sets off that only reads
        with pytest.raises((UserError, StorageError)):
            read(sqlite_url(file), foreign=True)


def test_a_write_of_another_program_is_not_undone(tmp_path: Path) -> None:
    """A file whose last write was cut short is known to be another program's before anything undoes that write."""
    live = tmp_path / "live.db"
    file = tmp_path / "study.db"
    with closing(sqlite3.connect(live)) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
        connection.executemany("INSERT INTO customers VALUES (?)", [("x" * 1000,)] * 200)
        connection.commit()
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("UPDATE customers SET name = 'y' || name")
        file.write_bytes(live.read_bytes())
        (tmp_path / "study.db-journal").write_bytes((tmp_path / "live.db-journal").read_bytes())
        connection.rollback()
    content = file.read_bytes()
    with pytest.raises(UserError, match="another program's"):
        StudyWriter.open(sqlite_url(file), FINGERPRINT)
    assert file.read_bytes() == content


@pytest.fixture
def foreign(tmp_path: Path) -> str:
    """Return the URL of a study of two objectives that Optuna alone made."""
    url = sqlite_url(tmp_path / "foreign.db")
    study = optuna.create_study(storage=url, study_name="f", directions=["minimize", "maximize"])
    for value in range(3):
        study.add_trial(optuna.trial.create_trial(values=[value, 1.0]))
    return url


def test_values_of_another_programs_study(foreign: str, tmp_path: Path) -> None:
    """In a study that hpsearch did not make, too, a trial has one value of each objective."""
    assert [trial.values for trial in read(foreign, foreign=True).trials] == [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)]  # type: ignore[union-attr]
    change_rows(tmp_path / "foreign.db", "UPDATE trial_values SET objective = 2 WHERE objective = 1 AND trial_id = 2")
    with pytest.raises(StorageError, match="trial 1 has not one value of each objective"):
        read(foreign, foreign=True)


def test_a_location_of_several_lines(tmp_path: Path) -> None:
    """A `storage.txt` with a line break is shown in one line."""
    (tmp_path / "storage.txt").write_text("a\nb\x1b[2J")
    with pytest.raises(UserError) as caught:
        check_location(tmp_path, "study.db")
    assert str(caught.value).isprintable()
