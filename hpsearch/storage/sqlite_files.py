"""SQLite files: whether one hangs together, and one that a killed process left in the middle of a write.

SQLite undoes such a write by the journal beside the file as soon as anyone opens it who may write. Who may not, or does not want to, as
a report, reads a copy in which it is undone. Values are another matter (see `seals`).
"""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path

from hpsearch.errors import StorageError

WAIT_FOR_LOCK = 60  # seconds
THOROUGH = 256 * 2**20  # bytes up to which each index is compared with its table too: a second or two


def readable(file: Path) -> tuple[Path, tempfile.TemporaryDirectory[str] | None]:
    """Return a file that can be read without being written: itself, or a copy in a folder that lasts as long as it is held.

    Raises:
        StorageError: the file is damaged.
    """
    try:
        check(file, "ro")
    except sqlite3.OperationalError as error:
        if "readonly" not in str(error):
            raise
        folder = tempfile.TemporaryDirectory(prefix="hpsearch-")
        copy = Path(folder.name) / file.name
        for name in (file.name, f"{file.name}-journal"):
            shutil.copyfile(file.with_name(name), copy.with_name(name))
        check(copy, "rw")
        return copy, folder
    return file, None


def check(file: Path, mode: str) -> None:
    """Look whether the pages of a file hang together; `mode` is ro or rw, which undoes a write that was cut short.

    Raises:
        StorageError: they do not.
        sqlite3.Error: they cannot be looked at.
    """
    how = "integrity_check" if file.stat().st_size <= THOROUGH else "quick_check"
    address = f"{file.absolute().as_uri()}?mode={mode}"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=WAIT_FOR_LOCK)) as connection:
            connection.text_factory = partial(str, encoding="utf-8", errors="replace")
            found = str(connection.execute(f"PRAGMA {how}(1)").fetchone()[0])
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        reason = " ".join(found.split())[:120]
        raise StorageError(f"storage damaged: {file} ({reason}). It was not changed; restore a copy.")


def check_tables(file: Path, expected: set[str]) -> None:
    """Refuse a file in which a table is missing: Optuna would make an empty one in its place.

    A file without any, which may be another program's, gets them all; one whose making was cut short has no study yet, and the rest.

    Raises:
        StorageError: a table is missing beside others.
    """
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=WAIT_FOR_LOCK)) as connection:
        there = {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        missing = expected - there
        begun = missing and "studies" in there and connection.execute("SELECT 1 FROM studies LIMIT 1").fetchone()
    if begun or (missing and missing != expected and there - expected - {"alembic_version"}):
        raise StorageError(
            f"storage damaged: {file} (no table {', '.join(sorted(missing))}). It was not changed; restore a copy."
        )
