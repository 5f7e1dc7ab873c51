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

from hpsearch.errors import StorageError, UserError, damaged, listed, masked
from hpsearch.storage.optuna_internals import check_json_size, schema_versions, table_columns, table_names

VERSION = "alembic_version"  # a table that other programs have too, MLflow for one
ESSENTIAL = {"studies": {"study_id", "study_name"}, "trials": {"trial_id", "study_id", "state"}}


def check_contents(
    engine_url: str, connect_args: dict[str, Any], url: str, file: Path | None, *, read_only: bool
) -> None:
    """Look at a database, and refuse what this version of Optuna cannot use.

    Args:
        engine_url: the database as SQLAlchemy opens it; a file so that nothing is written.
        connect_args: settings of its driver.
        url: the storage as the user gave it.
        file: the SQLite file, None for a server, on which Optuna may share a database with others.
        read_only: whether nothing will be written into it.

    Raises:
        UserError: it is another program's, or of another version of Optuna, or would change what is written into it, or there is not
            memory enough for what its studies say.
        StorageError: a table of Optuna's, or a column of one, is missing.
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
        _check_version(connection, names, own, url)
        if file is not None:
            _check_complete(connection, names, own, file)
            if not read_only:
                _check_triggers(connection, url)
        if "study_user_attributes" in own:
            query = text("SELECT SUM(LENGTH(value_json)) FROM study_user_attributes")
            check_json_size(int(connection.execute(query).scalar() or 0), f"what the studies in {masked(url)} say")


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


def _check_version(connection: Connection, names: Set[str], own: Set[str], url: str) -> None:
    """Refuse tables of another version of Optuna; those of a database that is being made have none yet."""
    found = set()
    if VERSION in names:
        found = set(connection.execute(text(f"SELECT version_num FROM {VERSION}")).scalars())  # noqa: S608 - our own name
    current, known = schema_versions()
    if found == {current} or not (found or _has_study(connection, own)):
        return
    given = f"storage {masked(url)}: its tables are of {_maker(connection)} ({_listed_versions(found)})"
    if found and found <= known - {current}:
        raise UserError(
            f"{given}, which Optuna {optuna.__version__} cannot read. Nothing was written; copy it, then upgrade the copy: "
            "optuna storage upgrade --storage URL."
        )
    raise UserError(
        f"{given}, which Optuna {optuna.__version__} does not know. Nothing was written; install a version that does, or give another URL."
    )


def _has_study(connection: Connection, own: Set[str]) -> bool:
    return "studies" in own and bool(connection.execute(text("SELECT 1 FROM studies LIMIT 1")).scalar())


def _listed_versions(found: Set[Any]) -> str:
    if not found:
        return "no version"
    return f"version {listed(sorted(map(str, found)), 2)}"


def _maker(connection: Connection) -> str:
    """Return which version of Optuna made the tables, as far as they say."""
    try:
        version = connection.execute(text("SELECT library_version FROM version_info")).scalar()
    except SQLAlchemyError:
        version = None
    if not version:
        return "another version of Optuna"
    return f"Optuna {str(version)[:40]}"


def _check_complete(connection: Connection, names: Set[str], own: Set[str], file: Path) -> None:
    """Refuse a SQLite file in which a table is missing, because Optuna would make an empty one instead, or a column of one.

    A file without tables is fine: it gets them all. So is one whose making was cut short: it holds no study yet.
    """
    missing = table_names() - own
    has_study = _has_study(connection, own)
    if missing and (has_study or names - own - {VERSION}):
        raise _lacking(file, f"table {', '.join(sorted(missing))}")
    if has_study and not connection.execute(text("SELECT 1 FROM version_info LIMIT 1")).scalar():
        raise _lacking(file, "row in version_info")
    for table, columns in table_columns().items():
        if table in own:
            known = {column["name"] for column in inspect(connection).get_columns(table)}
            if lost := columns - known:
                raise _lacking(file, f"column {', '.join(sorted(lost))} in {table}")


def _lacking(file: Path, what: str) -> StorageError:
    return damaged(f"{file} (no {what})")


def _check_triggers(connection: Connection, url: str) -> None:
    """Refuse a SQLite file that runs statements of its own when it is written into: Optuna makes none."""
    query = "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    if triggers := list(connection.execute(text(query)).scalars()):
        raise UserError(
            f"storage {masked(url)}: it has triggers ({listed(triggers, 3)}), which would change what is written. "
            "Nothing was written; drop them, or give another URL."
        )
