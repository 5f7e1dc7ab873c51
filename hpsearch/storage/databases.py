"""Databases by way of SQLAlchemy: SQLite files, checked before they are used, and servers, whose loss is noticed within a minute.

SQLite undoes a write that a killed process left unfinished, by the journal beside the file, as soon as a process opens the file that
may write. A reader that may not write, as a report, reads a copy in which the write is undone. Whether the values in a healthy file
are those that were written is another matter (see the checksums in `attributes`).
"""

import random
import re
import shutil
import sqlite3
import tempfile
import time
import weakref
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from hpsearch.errors import UserError, damaged, masked
from hpsearch.storage.contents import check_contents
from hpsearch.storage.failures import cause_of
from hpsearch.storage.urls import SQLITE, local_file, sqlite_url, with_driver

LOCK_TIMEOUT = 60  # seconds that SQLite waits for another process's write
THOROUGH = 256 * 2**20  # bytes up to which each index is compared with its table too: a second or two
CONNECT_TIMEOUT = 10  # seconds that a server has to accept a connection
TRIES = 10  # to make a database's tables, which other processes may be making too
NO_TABLES = (  # of a database in which Optuna has not made its tables, or some of them so far
    r"version_info.* does(n't| not) exist|no such table: version_info"
    r"|readonly database[\s\S]*(INTO version_info|TABLE alembic_version|INTO alembic_version)"
)
DRIVER_SETTINGS = {  # with which a server that is gone is noticed within a minute
    "psycopg": {
        "connect_timeout": CONNECT_TIMEOUT,
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    },
    "pymysql": {"connect_timeout": CONNECT_TIMEOUT, "read_timeout": 60, "write_timeout": 60},
}


class Connection(sqlite3.Connection):
    """A connection that refuses rows of a trial that is gone, as servers do; SQLite does so only where it is told.

    A process that was stopped in the midst of a write, and whose trial another one deleted meanwhile, would leave such rows: damage.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.execute("PRAGMA foreign_keys = ON")


def open_sqlite(file: Path, read_only: bool) -> RDBStorage:
    """Open an existing SQLite file once it is checked; before that nothing is written, not even a write undone.

    Raises:
        UserError: it is another program's, or another version's of Optuna.
        StorageError: it is damaged.
    """
    readable, folder = _readable_copy(file)
    try:
        if read_only:
            storage = open_database(sqlite_url(readable), read_only)
            if folder is not None:
                weakref.finalize(storage, folder.cleanup)
            return storage
        _check_database(sqlite_url(file), readable, read_only)
        _check_rows(readable)
    except BaseException:
        if folder is not None:
            folder.cleanup()
        raise
    if folder is not None:
        folder.cleanup()
        check_pages(file, "rw")
    return open_database(sqlite_url(file), read_only)


def open_database(url: str, read_only: bool) -> RDBStorage:
    """Open a database; a fresh one gets its tables, though several processes may make them at once.

    Raises:
        UserError: `read_only`, and it has no tables of Optuna's; or it is another program's, or another version's of Optuna.
        StorageError: a SQLite file lacks a table.
    """
    engine_url = _engine_url(url, read_only)
    engine_kwargs = _engine_kwargs(url, read_only)
    file = local_file(url)
    if file is None or file.exists():
        _check_database(url, file, read_only)
    template = engine_url.replace("{", "{{").replace("}", "}}")  # Optuna fills it in
    for tries_left in reversed(range(TRIES)):
        try:
            return RDBStorage(template, engine_kwargs=engine_kwargs, skip_table_creation=read_only)
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            cause = str(cause_of(error))
            if read_only and re.search(NO_TABLES, cause):
                raise UserError(
                    f"no study in {masked(url)}: it has not Optuna's tables (yet). Run the study first, or give another URL."
                ) from error
            if not tries_left or not re.search(r"already exists|duplicate", cause, re.IGNORECASE):
                raise
            time.sleep(random.uniform(0.05, 0.5))  # noqa: S311
    raise AssertionError("the last try returns or raises")


def _check_database(url: str, file: Path | None, read_only: bool) -> None:
    """Look into a database, of a SQLite file that has this content, without writing; see `check_contents`."""
    readable = url if file is None else sqlite_url(file)
    connect_args = _engine_kwargs(url, read_only=True)["connect_args"]
    check_contents(_engine_url(readable, read_only=True), connect_args, url, local_file(url), read_only=read_only)


def _check_rows(file: Path) -> None:
    """Check that no row of a SQLite file belongs to one that is not there: a new one would take its place, and have its values.

    Raises:
        StorageError: there is one.
    """
    with closing(_connect(file, "ro")) as connection:
        orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
    if orphan is not None:
        raise damaged(f"{file} (rows of {orphan[0]} without those of {orphan[2]})")


def check_pages(file: Path, mode: str) -> None:
    """Check that a SQLite file's pages are consistent; with `mode` "rw" an unfinished write is undone, with "ro" nothing is written.

    Raises:
        StorageError: they are not.
        sqlite3.Error: the file cannot be opened.
    """
    pragma = "integrity_check"
    if file.stat().st_size > THOROUGH:
        pragma = "quick_check"
    try:
        with closing(_connect(file, mode)) as connection:
            connection.text_factory = partial(str, encoding="utf-8", errors="replace")
            problem = str(connection.execute(f"PRAGMA {pragma}(1)").fetchone()[0])
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        problem = str(error)
    if problem != "ok":
        reason = " ".join(problem.split())[:120]
        raise damaged(f"{file} ({reason})")


def _connect(file: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode={mode}", uri=True, timeout=LOCK_TIMEOUT)


def _readable_copy(file: Path) -> tuple[Path, tempfile.TemporaryDirectory[str] | None]:
    """Return a file that can be read without writing: itself, or a copy in a temporary folder that the caller deletes."""
    try:
        check_pages(file, "ro")
    except sqlite3.OperationalError as error:
        if "readonly" not in str(error):
            raise
        folder = tempfile.TemporaryDirectory(prefix="hpsearch-")
        copy = Path(folder.name) / file.name
        try:
            for name in (file.name, f"{file.name}-journal"):
                shutil.copyfile(file.with_name(name), copy.with_name(name))
            check_pages(copy, "rw")
        except BaseException:
            folder.cleanup()
            raise
        return copy, folder
    return file, None


def _engine_url(url: str, read_only: bool) -> str:
    """Return the URL that SQLAlchemy opens; a file's is SQLite's own, in which every character of its name can stand."""
    file = local_file(url)
    if file is None:
        return with_driver(url)
    query = {"uri": "true"}
    if read_only:
        query["mode"] = "ro"
    return URL.create("sqlite", database=file.absolute().as_uri(), query=query).render_as_string()


def _engine_kwargs(url: str, read_only: bool) -> dict[str, Any]:
    """Return SQLAlchemy's settings; a reader keeps no connection open, and what the URL says itself stays."""
    kwargs: dict[str, Any] = {"poolclass": NullPool} if read_only else {}
    if url.startswith(SQLITE):
        return {**kwargs, "connect_args": {"timeout": LOCK_TIMEOUT, "factory": Connection}}
    given = make_url(with_driver(url))
    settings = DRIVER_SETTINGS.get(given.get_driver_name(), {})
    connect_args = {key: value for key, value in settings.items() if key not in given.query}
    return {**kwargs, "pool_pre_ping": True, "connect_args": connect_args}
