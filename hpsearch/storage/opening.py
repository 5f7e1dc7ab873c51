"""From a URL to an Optuna storage: SQLite in the study's folder by default, any URL of Optuna's by choice.

SQLite keeps its rollback journal (before 3.51.3 its write-ahead log could lose a reset), and waits a minute for a lock, not five
seconds. Reading opens the file read-only, so that a report never writes.
"""

import fcntl
import os
import random
import re
import sqlite3
import time
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalStorage
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from hpsearch.errors import HpsearchError, StorageError, UserError, masked
from hpsearch.storage.journals import FileJournal, RedisJournal
from hpsearch.storage.retrying import cause_of, remote
from hpsearch.storage.sqlite_files import WAIT_FOR_LOCK, check, check_tables, readable

optuna.logging.set_verbosity(optuna.logging.ERROR)

SQLITE = "sqlite:///"
JOURNAL = "journal:///"
REDIS = ("redis://", "rediss://")
GRPC = "grpc://"
CONNECT = 10  # seconds that a server has to accept a connection
TABLES = 10  # tries to make a database's tables, which other processes may be making
NO_TABLES = (  # of a database in which Optuna has not made its tables, or some of them so far
    r"version_info.* does(n't| not) exist|no such table: version_info"
    r"|readonly database[\s\S]*(INTO version_info|TABLE alembic_version|INTO alembic_version)"
)
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}
PROMPT: dict[str, dict[str, int]] = {  # driver → its settings by which a server that is gone is noticed within a minute
    "psycopg": {"connect_timeout": CONNECT, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
    | {"tcp_user_timeout": 30_000},
    "pymysql": {"connect_timeout": CONNECT, "read_timeout": 60, "write_timeout": 60},
}
EXTRAS = {"psycopg": "postgres", "pymysql": "mysql", "redis": "redis", "grpc": "grpc"}  # package → extra that brings it
DEFAULT = "study.db"  # in the study's folder
HOME = "storage.txt"  # in the study's folder: where the study is kept


def sqlite_url(file: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"{SQLITE}{file}"


def open_storage(url: str, *, read_only: bool = False) -> BaseStorage:
    """Open a storage; `read_only` demands that it exists and, on SQLite, cannot write.

    Raises:
        UserError: no such storage, or a URL that Optuna does not know.
        StorageError: it is damaged or cannot be reached.
    """
    check_url(url)
    file = local_file(url)
    with explained(url):
        if file is not None:
            _check_file(file, url, read_only)
        if url.startswith(GRPC):
            return _proxy(url)
        if file is not None and url.startswith(JOURNAL):
            return JournalStorage(FileJournal(file))
        if url.startswith(REDIS):
            return _redis(url)
        if file is not None and file.exists() and file.stat().st_size:
            return _sqlite(file, read_only)
        return _database(url, read_only)


def close_storage(storage: BaseStorage) -> None:
    """End a storage's connections; one that is used again opens new ones."""
    if isinstance(storage, RDBStorage):
        storage.remove_session()
        storage.engine.dispose()
    elif isinstance(storage, optuna.storages.GrpcStorageProxy):
        storage.close()
    elif isinstance(storage, JournalStorage) and isinstance(storage._backend, RedisJournal):
        storage._backend.client.close()


def load_study(url: str, name: str) -> optuna.Study:
    """Return a stored study as Optuna's own functions take it.

    Raises:
        UserError, StorageError: there is no such storage, or it cannot be read.
    """
    return optuna.load_study(study_name=name, storage=open_storage(url, read_only=True))


def open_existing(url: str) -> BaseStorage:
    """Open a storage that is there, to work on it.

    Raises:
        UserError, StorageError: see `open_storage`.
    """
    with reading(url) as storage:
        storage.get_all_studies()  # what is no storage, or too old a one, is told now
    return open_storage(url)


def check_url(url: str) -> None:
    """Refuse what cannot be a storage's URL, before anything is made.

    Raises:
        UserError: no URL, a kind of storage that Optuna does not know, or one that keeps nothing.
    """
    example = "Write for example sqlite:///study.db or postgresql://user@host/db"
    if "://" not in url:
        raise UserError(f"storage '{masked(url)}': not a URL. {example}.")
    if url.rstrip("/") in ("sqlite:", "journal:") or ":memory:" in url:
        raise UserError(f"storage {masked(url)}: names no file, so nothing would be kept. {example}.")
    if url.startswith(GRPC):
        _address(url)
    elif not url.startswith((JOURNAL, *REDIS)):
        with explained(url):
            try:
                make_url(_driven(url)).get_dialect()
            except ValueError:  # a port that is no number
                raise UserError(f"storage {masked(url)}: not a URL. {example}.") from None


def local_file(url: str) -> Path | None:
    """Return the file of a SQLite or journal URL."""
    prefix = next((p for p in (SQLITE, JOURNAL) if url.startswith(p)), None)
    return Path(url.removeprefix(prefix)) if prefix else None


def home(folder: Path, url: str) -> str:
    """Return where the study of a folder is kept: the name of a file in it, else the storage's URL without its password."""
    file = local_file(url)
    if file is None:
        return masked(url)
    return (
        file.name if file.parent.absolute() == folder.absolute() else f"{url.partition('///')[0]}///{file.absolute()}"
    )


def check_home(folder: Path, url: str) -> None:
    """Refuse a folder whose report and best network are of a study in another storage: this one's would take their place.

    Raises:
        UserError: names both storages.
    """
    own, note, default = home(folder, url), folder / HOME, folder / DEFAULT
    owner = DEFAULT if os.access(default, os.F_OK) else own
    if os.access(note, os.R_OK):
        owner = note.read_text(encoding="utf-8", errors="replace")
    if owner != own:
        raise UserError(
            f"{folder} holds the report and the best network of a study kept in {owner}, and this one is kept in {own}. "
            "Give it another name (--name) or another folder (--reports DIR)."
        )


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn a storage's exceptions into one line that names the storage."""
    try:
        yield
    except ArgumentError as error:
        raise UserError(
            f"storage {masked(url)}: {error}. Give a URL that Optuna knows, e.g. sqlite:///FILE."
        ) from error
    except ImportError as error:
        name = error.name or getattr(error.__cause__, "name", None) or "of its driver"
        extra = f"'hpsearch[{EXTRAS[name]}]'" if name in EXTRAS else f"'{name}'"
        raise UserError(
            f"storage {masked(url)}: needs the package '{name}'. Install it: pip install {extra}."
        ) from error
    except HpsearchError:
        raise
    except Exception as error:
        known = isinstance(error, SQLAlchemyError | optuna.exceptions.StorageInternalError | OSError | sqlite3.Error)
        if not known and not remote(error):
            raise
        raise _explained(error, url) from error


@contextmanager
def read_whole(url: str) -> Iterator[None]:
    """Explain a reading's exceptions too: what cannot be understood of a storage that is there is damage."""
    try:
        with explained(url):
            yield
    except HpsearchError:
        raise
    except (LookupError, ValueError, TypeError, AttributeError, AssertionError, RecursionError) as error:
        reason = masked(" ".join(f"{type(error).__name__} {error}".split())[:120])
        raise StorageError(f"storage damaged: {masked(url)} ({reason}). It was not changed; restore a copy.") from error


@contextmanager
def reading(url: str) -> Iterator[BaseStorage]:
    """Open a storage to read it, and close it; see `read_whole`."""
    with read_whole(url):
        storage = open_storage(url, read_only=True)
        try:
            yield storage
        finally:
            close_storage(storage)


def _explained(error: Exception, url: str) -> StorageError:
    details = getattr(error, "details", None)  # of a gRPC proxy's error
    text = str(details() if remote(error) and callable(details) else cause_of(error)) or type(error).__name__
    cause = masked(text.splitlines()[0])
    if re.search(r"malformed|not a database|disk image", cause):
        return StorageError(f"storage damaged: {masked(url)} ({cause}). It was not changed; restore a copy.")
    if "disk is full" in cause or "No space" in cause:
        return StorageError(f"disk full writing {masked(url)}: free space, then run the same command.")
    return StorageError(
        f"storage {masked(url)}: {cause.rstrip('.')}. Check that it can be reached and written, then run the same command."
    )


def _check_file(file: Path, url: str, must_exist: bool) -> None:
    if not file.exists():
        if must_exist:
            raise UserError(
                f"no storage {url}: the file does not exist. Run the study first, or give another name or URL."
            )
        _check_folder(file, url)


def _check_folder(file: Path, url: str) -> None:
    if not file.parent.is_dir():
        raise UserError(f"storage {url}: there is no folder {file.parent}. Make it, or give another URL.")


@contextmanager
def alone(url: str) -> Iterator[None]:
    """Let one process of this machine at a time make or open a storage that is a file: a fresh schema is not made in one step."""
    file = local_file(url)
    if file is None:
        yield
        return
    _check_folder(file, url)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)  # and with it the lock, as a crash would


def _sqlite(file: Path, read_only: bool) -> RDBStorage:
    """Open a SQLite file that is there, once its pages are looked at."""
    if not read_only:
        from optuna.storages._rdb.models import BaseModel

        check(file, "rw")
        check_tables(file, {*BaseModel.metadata.tables})
        return _database(sqlite_url(file), read_only)
    whole, folder = readable(file)
    storage = _database(sqlite_url(whole), read_only)
    if folder is not None:
        weakref.finalize(storage, folder.cleanup)
    return storage


def _database(url: str, read_only: bool) -> RDBStorage:
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


def _redis(url: str) -> JournalStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return JournalStorage(RedisJournal(url))


def _proxy(url: str) -> BaseStorage:
    """Connect with Optuna's gRPC proxy of a database."""
    import grpc  # noqa: F401 - the client imports it lazily, and fails obscurely without it

    host, port = _address(url)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = optuna.storages.GrpcStorageProxy(host=host, port=port)
    storage.wait_server_ready(CONNECT)
    return storage


def _address(url: str) -> tuple[str, int]:
    parts = re.fullmatch(r"grpc://([^/:@\s]+|\[[0-9a-fA-F:]+\]):(\d{1,5})/?", url)
    if not parts:
        raise UserError(f"storage '{masked(url)}': write grpc://HOST:PORT, the address of an Optuna gRPC proxy.")
    return parts[1], int(parts[2])


def _driven(url: str) -> str:
    """Return a database's URL with the driver that hpsearch's extra brings, where it names none."""
    scheme, separator, rest = url.partition("://")
    return DRIVERS.get(scheme, scheme) + separator + rest


def _engine_url(url: str, read_only: bool) -> str:
    if read_only and url.startswith(SQLITE):
        url = f"{SQLITE}file:{Path(url.removeprefix(SQLITE)).absolute()}?mode=ro&uri=true"
    return _driven(url).replace("{", "{{").replace("}", "}}")  # Optuna fills in a template


def _engine_kwargs(url: str) -> dict[str, Any]:
    if url.startswith(SQLITE):
        return {"connect_args": {"timeout": WAIT_FOR_LOCK}}
    given = make_url(_driven(url))
    limits = PROMPT.get(given.get_driver_name(), {})
    return {"pool_pre_ping": True, "connect_args": {k: v for k, v in limits.items() if k not in given.query}}
