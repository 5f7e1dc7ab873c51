"""A write that was cut short leaves what was before it. What else damages a file: `tests/system/fuzz`, `test_power_cuts`."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from tests.support.cli_studies import TRIALS
from tests.support.stored import plain, reopened, write_study


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a study of twelve trials and return its SQLite file."""
    file = tmp_path_factory.mktemp("sound") / "study.db"
    return write_study(file, TRIALS, {"trial": 0, "validation": 0.75})


def read(file: Path) -> dict[str, Any]:
    """Return all that a report of the study reads."""
    return plain(read_study(sqlite_url(file), "s"))


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
