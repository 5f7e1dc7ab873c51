"""Files that were cut, changed or written in part are refused, or read as they were written: never a wrong value."""

import json
import random
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from hpsearch.cli import main
from hpsearch.errors import HpsearchError, StorageError, UserError
from hpsearch.model import load_model
from hpsearch.storage.opening import close_storage
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from hpsearch.storage.writing import StudyWriter
from tests.support.cli_studies import TRIALS, CliStudy
from tests.support.stored import FINGERPRINT, write_study


def cut(content: bytes, draws: random.Random) -> bytes:
    """Return the start of a file."""
    return content[: draws.randrange(len(content))]


def flip(content: bytes, draws: random.Random) -> bytes:
    """Change some bytes."""
    damaged = bytearray(content)
    for position in draws.choices(range(len(content)), k=draws.choice((1, 2, 8, 64))):
        damaged[position] ^= draws.randrange(1, 256)
    return bytes(damaged)


def swap(content: bytes, draws: random.Random) -> bytes:
    """Swap two pages."""
    size = 4096 if len(content) > 3 * 4096 else 64
    pages = [content[start : start + size] for start in range(0, len(content), size)]
    first, second = draws.sample(range(max(2, len(content) // size)), 2)
    pages[first], pages[second] = pages[second], pages[first]
    return b"".join(pages)


def damaged(content: bytes, draws: random.Random) -> bytes:
    """Return a file's content with one kind of damage."""
    return draws.choice((cut, flip, flip, swap))(content, draws)


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a study of twelve trials and return its SQLite file."""
    file = tmp_path_factory.mktemp("sound") / "study.db"
    return write_study(file, TRIALS, {"trial": 0, "validation": 0.75})


def read(file: Path) -> dict[str, Any]:
    """Return all that a report reads, but when it was read and when trials started."""
    record = read_study(sqlite_url(file), "s")
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return values | {"as_of": "", "trials": [replace(trial, started=None) for trial in record.trials]}


def reopened(file: Path) -> list[Any]:
    """Return what a resumed run reads."""
    writer = StudyWriter.open(sqlite_url(file), FINGERPRINT)
    try:
        return [(t.params, t.state, t.values, t.rungs, t.run) for t in writer.previous_trials()]
    finally:
        with suppress(HpsearchError):
            writer.close()
        close_storage(writer.storage)


@pytest.mark.slow
def test_damaged_storages(study_file: Path, tmp_path: Path, long: bool) -> None:
    """A SQLite file that was cut, flipped or shuffled is refused in a line, or read as it was written."""
    content = study_file.read_bytes()
    record = read(study_file)
    trials = reopened(Path(shutil.copy(study_file, tmp_path / "copy.db")))
    draws = random.Random(11)  # noqa: S311
    cases = 500 if long else 40
    refused = 0
    for number in range(cases):
        file = tmp_path / f"{number}.db"
        before = damaged(content, draws)
        file.write_bytes(before)
        try:
            assert read(file) == record, number
        except (StorageError, UserError) as error:
            refused += "\n" not in str(error)
        assert file.read_bytes() == before
        with suppress(StorageError, UserError):
            assert reopened(file) == trials, number
        for left in tmp_path.glob(f"{number}.db*"):
            left.unlink()
    assert refused > cases / 4
    print(f"damaged storages: {refused} of {cases} refused, the others read as they were written")


def test_damaged_models(tmp_path: Path, long: bool) -> None:
    """A model's file that was cut, flipped or shuffled is refused, or the change is in its white space."""
    study = CliStudy(tmp_path)
    assert main([*study.command, "--trials", "1"]) == 0
    folder = study.folder
    sound = json.loads((folder / "best.json").read_bytes())
    draws = random.Random(12)  # noqa: S311
    cases = 500 if long else 40
    refused = 0
    for number in range(cases):
        file = folder / ("best.json" if number % 2 else "best.safetensors")
        content = file.read_bytes()
        changed = damaged(content, draws)
        file.write_bytes(changed)
        try:
            load_model(folder)
            assert file.suffix == ".json"
            assert json.loads(changed) == sound, number
        except StorageError as error:
            refused += "\n" not in str(error)
        file.write_bytes(content)
    assert refused > 0.9 * cases
    print(f"damaged models: {refused} of {cases} refused")


def test_a_write_that_was_cut_short(study_file: Path, tmp_path: Path) -> None:
    """A report of a file with half a transaction reads what was before, and writes nothing; the next run undoes the transaction."""
    live = tmp_path / "live.db"
    file = tmp_path / "study.db"
    journal = tmp_path / "study.db-journal"
    shutil.copy(study_file, live)
    with closing(sqlite3.connect(live)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("UPDATE trial_user_attributes SET value_json = '1' || value_json")
        connection.execute("UPDATE trial_values SET value = 2")
        shutil.copy(live, file)
        shutil.copy(tmp_path / "live.db-journal", journal)
        connection.rollback()
    content = file.read_bytes()
    journal_content = journal.read_bytes()
    assert content != study_file.read_bytes()
    assert read(file) == read(study_file)
    assert file.read_bytes() == content
    assert journal.read_bytes() == journal_content
    assert len(reopened(file)) == TRIALS
    assert not journal.exists()
