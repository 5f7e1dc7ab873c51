"""From a URL to an Optuna storage: SQLite in the study's folder by default, any URL of Optuna's by choice.

SQLite keeps its rollback journal (before 3.51.3 its write-ahead log could lose a reset), and waits a minute for a lock, not five
seconds. Reading opens the file read-only, so that a report never writes.
"""

import fcntl
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalStorage

from hpsearch.errors import UserError
from hpsearch.storage.databases import CONNECT, database, sqlite
from hpsearch.storage.explaining import explained, read_whole
from hpsearch.storage.journals import FileJournal, RedisJournal
from hpsearch.storage.urls import GRPC, JOURNAL, REDIS, check_url, local_file, proxy_address

optuna.logging.set_verbosity(optuna.logging.ERROR)


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
            return sqlite(file, read_only)
        return database(url, read_only)


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


@contextmanager
def reading(url: str) -> Iterator[BaseStorage]:
    """Open a storage to read it, and close it; see `read_whole`."""
    with read_whole(url):
        storage = open_storage(url, read_only=True)
        try:
            yield storage
        finally:
            close_storage(storage)


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


def _redis(url: str) -> JournalStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return JournalStorage(RedisJournal(url))


def _proxy(url: str) -> BaseStorage:
    """Connect with Optuna's gRPC proxy of a database."""
    import grpc  # noqa: F401 - the client imports it lazily, and fails obscurely without it

    host, port = proxy_address(url)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = optuna.storages.GrpcStorageProxy(host=host, port=port)
    storage.wait_server_ready(CONNECT)
    return storage
