"""What lies in a database before Optuna opens it, since Optuna adds its tables to whatever it is given.

A database of another program is refused, and so is one of another version of Optuna: nothing is written into either.
"""

from collections.abc import Set
from pathlib import Path
from typing import Any

import optuna
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from hpsearch.errors import StorageError, UserError, listed, masked
from hpsearch.storage.optuna_internals import schema_versions, table_names

VERSION = "alembic_version"  # a table that other programs have too, MLflow for one
ESSENTIAL = {"studies": {"study_id", "study_name"}, "trials": {"trial_id", "study_id", "state"}}


def check_contents(engine_url: str, connect_args: dict[str, Any], url: str, file: Path | None) -> None:
    """Look at a database, and refuse what this version of Optuna cannot use.

    Args:
        engine_url: the database as SQLAlchemy opens it; a file so that nothing is written.
        connect_args: settings of its driver.
        url: the storage as the user gave it.
        file: the SQLite file, None for a server, on which Optuna may share a database with others.

    Raises:
        UserError: it is another program's, or of another version of Optuna.
        StorageError: a table of Optuna's is missing beside others.
    """
    engine = create_engine(engine_url, poolclass=NullPool, connect_args=connect_args)
    with engine.connect() as connection:
        names = set(inspect(connection).get_table_names())
        own = names & table_names()
        if _is_foreign(connection, names, own, file):
            others = listed(sorted(names - {VERSION}) or [VERSION], 3)
            raise UserError(
                f"storage {masked(url)}: it is another program's (its tables: {others}). Nothing was written; give another URL."
            )
        if VERSION in names:
            _check_version(connection, url)
        if file is not None:
            _check_complete(connection, names, own, file)


def _is_foreign(connection: Connection, names: Set[str], own: Set[str], file: Path | None) -> bool:
    """Whether tables are another program's: none is Optuna's, or one that is called like Optuna's has not its columns."""
    if not own:
        return bool(names) and (file is not None or VERSION in names)
    for table, columns in ESSENTIAL.items():
        if table in own:
            known = {column["name"] for column in inspect(connection).get_columns(table)}
            if not columns <= known:
                return True
    return False


def _check_version(connection: Connection, url: str) -> None:
    """Refuse tables of another version of Optuna."""
    found = connection.execute(text(f"SELECT version_num FROM {VERSION}")).scalar()  # noqa: S608 - our own name
    current, known = schema_versions()
    if found in (None, current):
        return
    given = f"storage {masked(url)}: its tables are of {_maker(connection)}"
    if found in known:
        raise UserError(
            f"{given}, which Optuna {optuna.__version__} cannot read. Nothing was written; copy it, then upgrade the copy: "
            "optuna storage upgrade --storage URL."
        )
    raise UserError(
        f"{given}, which Optuna {optuna.__version__} does not know. Nothing was written; install that version, or give another URL."
    )


def _maker(connection: Connection) -> str:
    """Return which version of Optuna made the tables, as far as they say."""
    try:
        version = connection.execute(text("SELECT library_version FROM version_info")).scalar()
    except SQLAlchemyError:
        version = None
    if not version:
        return "another version of Optuna"
    return f"Optuna {version}"


def _check_complete(connection: Connection, names: Set[str], own: Set[str], file: Path) -> None:
    """Refuse a SQLite file in which a table is missing, because Optuna would make an empty one instead.

    A file without tables is fine: it gets them all. So is one whose making was cut short: it holds no study yet.
    """
    missing = table_names() - own
    has_study = "studies" in own and connection.execute(text("SELECT 1 FROM studies LIMIT 1")).scalar()
    if missing and (has_study or names - own - {VERSION}):
        raise StorageError(
            f"storage damaged: {file} (no table {', '.join(sorted(missing))}). It was not changed; restore a copy."
        )
