"""Whatever a stranger writes into a storage, a journal, a model's file or a study's file is reported, or refused in one line."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from copy import copy
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from optuna.storages import RDBStorage

from hpsearch.cli import main
from hpsearch.errors import StorageError
from hpsearch.model import load_model
from hpsearch.reporting import write_report
from hpsearch.storage.attributes import PREFIX, RUN
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from tests.support.attacks import change_rows
from tests.support.big_study import write_study
from tests.support.records import confirmed, study
from tests.support.scripted import Stage

Capture = pytest.CaptureFixture[str]
NESTED = "[" * 5000 + "]" * 5000
LONG = "9" * 5000
BOMBS = {
    "nested": NESTED,
    "long": LONG,
    "nan": "NaN",
    "infinite": "1e999",
    "none": "null",
    "text": '"<b>"',
    "list": "[[1]]",
    "torn": '{"outcome": "fini',
    "empty": "",
    "wrong": '{"outcome": 3, "history": {"metric": "x"}, "best": "1", "seconds": []}',
}


@pytest.fixture(scope="module")
def sound_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a sound study of 12 trials and return its SQLite file."""
    file = tmp_path_factory.mktemp("sound") / "study.db"
    write_study(file, 12)
    return file


@pytest.fixture
def database(sound_database: Path, tmp_path: Path) -> Path:
    """Return a copy of a sound study's SQLite file, to be damaged."""
    return Path(shutil.copy(sound_database, tmp_path / "study.db"))


def set_schema(database: Path, version: str) -> None:
    """Say which version wrote a study; version 1 demands no checksums, so that anybody can make one."""
    statement = "update study_user_attributes set value_json = ? where key = 'hpsearch:schema'"
    assert change_rows(database, statement, (version,)) == 1


def set_study_attribute(database: Path, key: str, value: str) -> None:
    """Replace or add an attribute of the study."""
    update = "update study_user_attributes set value_json = ? where key = ?"
    insert = "insert into study_user_attributes (study_id, value_json, key) values (1, ?, ?)"
    if not change_rows(database, update, (value, key)):
        change_rows(database, insert, (value, key))


def report(database: Path, capsys: Capture) -> tuple[int, str]:
    """Run `report` on a SQLite file; return its status and what it wrote to standard error."""
    status = main(["report", sqlite_url(database), "--reports", str(database.parent / "out")])
    return status, capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("key", ["settings", "data", "result", "schema", "lease"])
def test_a_studys_attributes_may_hold_anything(key: str, bomb: str, database: Path, capsys: Capture) -> None:
    """Whatever stands in a study's attributes, `report` makes a page or says in a line that the storage is damaged."""
    set_schema(database, "1")
    set_study_attribute(database, PREFIX + key, BOMBS[bomb])
    status, error = report(database, capsys)
    assert status in (0, 2, 3)
    assert len(error.splitlines()) == (status != 0)
    assert "Traceback" not in error


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_trials_attribute_may_hold_anything(bomb: str, database: Path, sound_database: Path) -> None:
    """A trial whose attribute is no result of hpsearch's is read as Optuna's trial, or refused where checksums are demanded."""
    set_schema(database, "1")
    change_rows(database, "update trial_user_attributes set value_json = ? where key = ?", (BOMBS[bomb], RUN))
    values = [trial.value for trial in read_study(sqlite_url(sound_database)).trials]
    trials = read_study(sqlite_url(database)).trials
    assert [(trial.value, trial.outcome, trial.history) for trial in trials] == [(value, "", None) for value in values]
    set_schema(database, "2")
    with pytest.raises(StorageError, match="trial 0 is not as it was written"):
        read_study(sqlite_url(database))


def test_trials_without_results_are_reported(database: Path, capsys: Capture) -> None:
    """A study whose trials have only what Optuna keeps of them gets its report."""
    set_schema(database, "1")
    change_rows(database, "update trial_user_attributes set value_json = 'null' where key = ?", (RUN,))
    assert report(database, capsys) == (0, "")


WRONG_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**30,
    float("nan"),
    float("inf"),
    "<b>",
    [],
    ["x"],
    {},
    {"x": [1]},
    [[1]],
)


def paths(value: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value within a value; of a list only those within its first two items."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    if isinstance(value, list):
        inner = list(enumerate(value))[:2]
    for key, item in inner:
        yield (key,)
        for path in paths(item):
            yield (key, *path)


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a copy of a value with another value at a path."""
    if not path:
        return new
    changed = copy(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], new)
    return changed


@pytest.mark.slow
def test_any_value_of_a_record_may_be_any_other(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value of another type anywhere in settings, data or result gives a report, or an error that says it cannot be made."""
    monkeypatch.setattr("hpsearch.reporting.tables.space.importances", lambda record: ())
    record = confirmed(study(24))
    cases: list[tuple[str, tuple[Any, ...], Any]] = []
    for attribute in ("settings", "data", "result"):
        for path in paths(getattr(record, attribute)):
            cases += [(attribute, path, value) for value in WRONG_VALUES]
    count = 200 if request.config.getoption("--long") else 8
    for attribute, path, value in Random(0).sample(cases, count):  # noqa: S311
        changed = replaced(getattr(record, attribute), path, value)
        with suppress(StorageError):
            write_report(replace(record, **{attribute: changed}), tmp_path)


ROWS = {
    "state": "update trials set state = 'GONE'",
    "number": "update trials set number = 'seven' where trial_id = 7",
    "distribution": f"update trial_params set distribution_json = '{NESTED}'",  # noqa: S608
    "class of distribution": 'update trial_params set distribution_json = \'{"name": "Evil", "attributes": {}}\'',
    "parameter": "update trial_params set param_value = 'x'",
    "category": "update trial_params set param_value = 99",
    "value": "update trial_values set value = 'x'",
    "type of value": "update trial_values set value_type = 'PICKLE'",
    "start": "update trials set datetime_start = 'yesterday'",
}


@pytest.mark.parametrize("row", ROWS)
def test_rows_of_wrong_types(row: str, database: Path, capsys: Capture) -> None:
    """A row that Optuna never writes is refused in one line with status 3 as a damaged storage, or shown as the text that it is."""
    assert change_rows(database, ROWS[row]) > 0
    status, error = report(database, capsys)
    assert status in (0, 3)
    assert len(error.splitlines()) == (status == 3)
    assert "Traceback" not in error


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_search_does_not_resume_from_a_hostile_trial(bomb: str, tmp_path: Path) -> None:
    """A resumed search needs every result: without one it stops with an error before it trains or writes anything."""
    database = tmp_path / "study.db"
    stage = Stage(RDBStorage(sqlite_url(database)))
    stage.run(4)
    statement = "update trial_user_attributes set value_json = ? where key = ? and trial_id = 2"
    assert change_rows(database, statement, (BOMBS[bomb], RUN)) == 1
    with pytest.raises(StorageError, match="trial 1 has ended without a result"):
        stage.search(8)


@pytest.mark.parametrize(
    "line",
    [
        '{"op_code": "x"}',
        "[]",
        '{"op_code": 0, "worker_id": 3}',
        NESTED,
        LONG,
        '{"op_code": 99, "worker_id": "a"}',
    ],
    ids=["text as code", "list", "number as worker", "nested", "long", "unknown code"],
)
def test_a_hostile_journal(line: str, tmp_path: Path, capsys: Capture) -> None:
    """A journal with lines that no Optuna wrote is refused in one line."""
    (tmp_path / "x.log").write_text(f"{line}\n{line}\n")
    assert main(["report", f"journal:///{tmp_path}/x.log"]) in (2, 3)
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("bomb", ["nested", "long", "nan", "infinite", "torn", "text", "list"])
@pytest.mark.parametrize("template", ["{}", '{{"format": 1, "sha256": {}}}'], ids=["file", "field"])
def test_bombs_in_a_models_file(template: str, bomb: str, tmp_path: Path) -> None:
    """A `best.json` that is, or holds, 5,000 brackets, a number of 5,000 digits or no object is refused in one line."""
    (tmp_path / "best.safetensors").write_bytes(b"")
    (tmp_path / "best.json").write_text(template.format(BOMBS[bomb]))
    with pytest.raises(StorageError) as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [f"x = {NESTED}", f"[search]\ntrials = {LONG}", "[search]\ntrials = nan", "[training]\nepochs = 1e999"],
    ids=["nested", "long", "nan", "infinite"],
)
def test_bombs_in_a_studys_file(text: str, study_folder: Path, capsys: Capture) -> None:
    """A study's file of 5,000 brackets or digits, or of numbers that are none, is refused in short lines with status 2."""
    (study_folder / "my.toml").write_text(text)
    assert main(["run", "my.toml"]) == 2
    for line in capsys.readouterr().err.splitlines():
        assert line.startswith("error: my.toml")
        assert len(line) < 300
