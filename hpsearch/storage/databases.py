"""Databases by way of SQLAlchemy: SQLite files, looked at before they are used, and servers that are noticed when they are gone."""

import random
import re
import time
import weakref
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from hpsearch.errors import UserError, masked
from hpsearch.storage.retrying import cause_of
from hpsearch.storage.sqlite_files import WAIT_FOR_LOCK, check, check_tables, readable
from hpsearch.storage.urls import SQLITE, sqlite_url, with_driver

CONNECT = 10  # seconds that a server has to accept a connection
TABLES = 10  # tries to make a database's tables, which other processes may be making
NO_TABLES = (  # of a database in which Optuna has not made its tables, or some of them so far
    r"version_info.* does(n't| not) exist|no such table: version_info"
    r"|readonly database[\s\S]*(INTO version_info|TABLE alembic_version|INTO alembic_version)"
)
PROMPT: dict[str, dict[str, int]] = {  # driver → its settings by which a server that is gone is noticed within a minute
    "psycopg": {"connect_timeout": CONNECT, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
    | {"tcp_user_timeout": 30_000},
    "pymysql": {"connect_timeout": CONNECT, "read_timeout": 60, "write_timeout": 60},
}


def sqlite(file: Path, read_only: bool) -> RDBStorage:
    """Open a SQLite file that is there, once its pages are looked at."""
    if not read_only:
        from optuna.storages._rdb.models import BaseModel

        check(file, "rw")
        check_tables(file, {*BaseModel.metadata.tables})
        return database(sqlite_url(file), read_only)
    whole, folder = readable(file)
    storage = database(sqlite_url(whole), read_only)
    if folder is not None:
        weakref.finalize(storage, folder.cleanup)
    return storage


def database(url: str, read_only: bool) -> RDBStorage:
    """Open a database; one that is fresh gets its tables, though several processes may make them at once."""
    for tries_left in reversed(range(TABLES)):
        try:
            kwargs = _engine_kwargs(url) | (
                {"poolclass": NullPool} if read_only else {}
            )  # a reader leaves nothing open
            return RDBStorage(_engine_url(url, read_only), engine_kwargs=kwargs, skip_table_creation=read_only)
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            if read_only and re.search(NO_TABLES, str(cause_of(error))):
                raise UserError(
                    f"no study in {masked(url)}: it has not Optuna's tables (yet). Run the study first, or give another URL."
                ) from error
            if not tries_left or not re.search(r"already exists|duplicate", str(cause_of(error)), re.IGNORECASE):
                raise
            time.sleep(random.uniform(0.05, 0.5))  # noqa: S311
    raise AssertionError("the last try returns or raises")


def _engine_url(url: str, read_only: bool) -> str:
    if read_only and url.startswith(SQLITE):
        url = f"{SQLITE}file:{Path(url.removeprefix(SQLITE)).absolute()}?mode=ro&uri=true"
    return with_driver(url).replace("{", "{{").replace("}", "}}")  # Optuna fills in a template


def _engine_kwargs(url: str) -> dict[str, Any]:
    if url.startswith(SQLITE):
        return {"connect_args": {"timeout": WAIT_FOR_LOCK}}
    given = make_url(with_driver(url))
    limits = PROMPT.get(given.get_driver_name(), {})
    return {"pool_pre_ping": True, "connect_args": {k: v for k, v in limits.items() if k not in given.query}}
