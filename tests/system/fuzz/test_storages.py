"""Mutated SQLite studies: refused in a line, or read as they were written, by a report and by a run that goes on."""
# ruff: noqa: S608 - the statements are of our own

import json
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from tests.support.fuzzing import Fuzz
from tests.support.mutants import OF_BYTES, VALUES, mutated, mutated_values
from tests.support.stored import plain, reopened, write_study

TRIALS = 12
RESULT = {"trial": 1, "networks": [[1, None]], "search": {"trial": 1}, "confirmed": [], "validation": 0.75}
CELLS: Sequence[Any] = [
    None,
    "",
    "x",
    0,
    1,
    -1,
    2**62,
    1.5,
    -1e300,
    b"\xff",
    "NaN",
    "COMPLETE",
    "RUNNING",
    "FAIL",
    "[]",
    "{}",
    "[" * 5_000,
]
STATEMENTS = [  # what a program does to a table, or to all
    *("DELETE FROM {table}", "DELETE FROM {table} WHERE rowid % 2", "DROP TABLE {table}", "ALTER TABLE {table} RENAME TO other"),
    *("ALTER TABLE {table} ADD COLUMN more", "ALTER TABLE {table} RENAME COLUMN {column} TO other"),
    *("CREATE TABLE more (a)", "CREATE VIEW more AS SELECT * FROM {table}", "PRAGMA user_version = 9", "PRAGMA application_id = 7"),
    *("CREATE TRIGGER more AFTER INSERT ON {table} BEGIN DELETE FROM trials; END", "UPDATE {table} SET {column} = {column} || 'x'"),
    *("UPDATE {table} SET {column} = (SELECT max({column}) FROM {table})", "REINDEX", "VACUUM", "UPDATE {table} SET rowid = -rowid"),
]  # fmt: skip


def change_rows(file: Path, draw: random.Random) -> None:
    """Change a study by statements, as a program does that may write into it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for _ in range(draw.choice([1, 1, 1, 2, 4])):
            with suppress(sqlite3.Error):  # what is not allowed is not done
                _change(connection, draw)


def _change(connection: sqlite3.Connection, draw: random.Random) -> None:
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    filled = [name for name in names if connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]]
    table = draw.choice(filled)
    column = draw.choice([row[1] for row in connection.execute(f"PRAGMA table_info({table})")])
    (row,) = draw.choice(connection.execute(f"SELECT rowid FROM {table}").fetchall())
    (value,) = connection.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", [row]).fetchone()
    how = draw.choice(["cell", "cell", "cell", "near", "near", "row", "copy", "statement"])
    if how == "statement":
        connection.execute(draw.choice(STATEMENTS).format(table=table, column=column))
    elif how == "row":
        connection.execute(f"DELETE FROM {table} WHERE rowid = ?", [row])
    elif how == "copy":
        columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")][1:]
        listed = ", ".join(columns)
        connection.execute(f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {table} WHERE rowid = ?", [row])
    else:
        new = draw.choice(CELLS) if how == "cell" else _near(value, draw)
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", [new, row])


def _near(value: Any, draw: random.Random) -> Any:
    """Return a cell of the same kind: JSON with another value in it, another number."""
    with suppress(ValueError, TypeError):
        parsed = json.loads(value)
        if isinstance(parsed, dict | list):
            return json.dumps(mutated_values(parsed, draw, VALUES))
    if isinstance(value, int | float):
        return value + draw.choice([1, -1, 0.5, 1e-9])
    return f"{value}x"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the content of a complete study of twelve trials."""
    return write_study(tmp_path_factory.mktemp("sound") / "study.db", TRIALS, RESULT, complete=True).read_bytes()


def by_sqlite(file: Path) -> list[tuple[Any, ...]]:
    """Return number, state and value of each trial by SQL alone."""
    query = (
        "SELECT number, state, value FROM trials JOIN trial_values USING (trial_id) WHERE objective = 0 ORDER BY number"
    )
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def test_mutated_studies(fuzz: Fuzz, sound: bytes, memory_folder: Path) -> None:
    """A SQLite study whose bytes or rows were changed is refused, or is read as it was written; reading changes no byte."""
    file = memory_folder / "study.db"
    file.write_bytes(sound)
    record = plain(read_study(sqlite_url(file), "s"))
    trials = reopened(file)

    def attempt(draw: random.Random) -> bool:
        for left in memory_folder.glob("study.db*"):
            left.unlink()
        if draw.random() < 0.5:
            file.write_bytes(mutated(sound, draw, OF_BYTES))
        else:
            file.write_bytes(sound)
            change_rows(file, draw)
        content = file.read_bytes()
        with suppress(HpsearchError):
            assert reopened(file) == trials
        file.write_bytes(content)
        found = read_study(sqlite_url(file))
        assert file.read_bytes() == content
        assert plain(found) == record
        assert by_sqlite(file) == [(trial.number, trial.state.upper(), trial.value) for trial in found.trials]
        return True

    fuzz.run("SQLite studies", attempt)
