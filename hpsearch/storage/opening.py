"""From a URL to an Optuna storage: by default SQLite in the study's folder, by choice any URL that Optuna knows.

SQLite keeps its rollback journal (before 3.51.3 its write-ahead log could lose a reset), and waits a minute for a lock, not five
seconds. Reading opens the file read-only, so that a report never writes.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalStorage

from hpsearch.errors import UserError
from hpsearch.storage.databases import CONNECT_TIMEOUT, open_database, open_sqlite
from hpsearch.storage.failures import reading_errors, storage_errors
from hpsearch.storage.journals import FileJournal, RedisJournal
from hpsearch.storage.optuna_internals import check_json_size, journal_backend, quiet_optuna
from hpsearch.storage.urls import GRPC, JOURNAL, REDIS, absolute_hint, check_url, local_file, proxy_address


def open_storage(url: str, *, read_only: bool = False) -> BaseStorage:
    """Open a storage; `read_only` demands that it exists and, on SQLite, cannot write.

    Raises:
        UserError: no such storage, or a URL that Optuna does not know.
        StorageError: it is damaged or cannot be reached.
    """
    check_url(url)
    file = local_file(url)
    with storage_errors(url):
        if file is not None:
            _check_file(file, url, read_only)
        if url.startswith(GRPC):
            return _proxy(url)
        if file is not None and url.startswith(JOURNAL):
            if file.exists():
                check_json_size(file.stat().st_size, f"the journal {file}")
            return JournalStorage(FileJournal(file))
        if url.startswith(REDIS):
            return _redis(url)
        if file is not None and file.exists() and file.stat().st_size:
            return open_sqlite(file, read_only)
        return open_database(url, read_only)


def close_storage(storage: BaseStorage) -> None:
    """End a storage's connections; one that is used again opens new ones."""
    if isinstance(storage, RDBStorage):
        storage.remove_session()
        storage.engine.dispose()
    elif isinstance(storage, optuna.storages.GrpcStorageProxy):
        storage.close()
    elif isinstance(storage, JournalStorage):
        backend = journal_backend(storage)
        if isinstance(backend, RedisJournal):
            backend.client.close()


def load_study(url: str, name: str) -> optuna.Study:
    """Return a stored study as Optuna's own functions take it; it may fail as `open_storage` may."""
    return optuna.load_study(study_name=name, storage=open_storage(url, read_only=True))


def open_existing(url: str) -> BaseStorage:
    """Open a storage that exists, to work on it; it may fail as `open_storage` may."""
    with open_for_reading(url) as storage:
        storage.get_all_studies()  # raises now if it is no storage, or too old a one
    return open_storage(url)


@contextmanager
def open_for_reading(url: str) -> Iterator[BaseStorage]:
    """Open a storage to read it, and close it.

    Raises:
        UserError, StorageError: see `open_storage`; content that cannot be understood is damage.
    """
    with reading_errors(url), quiet_optuna():
        storage = open_storage(url, read_only=True)
        try:
            yield storage
        finally:
            close_storage(storage)


@contextmanager
def creation_lock(url: str) -> Iterator[None]:
    """Let one process at a time create or open a storage that is a file, since its tables are not made in one step."""
    check_url(url)
    file = local_file(url)
    if file is None:
        yield
        return
    from filelock import FileLock

    _check_folder(file, url)
    with storage_errors(url), FileLock(file.with_name(f".{file.name}.lock"), mode=0o666):
        yield


def _check_file(file: Path, url: str, must_exist: bool) -> None:
    if not file.exists():
        if must_exist:
            raise UserError(
                f"no storage {url}: the file does not exist. Run the study first, or give another name or URL."
            )
        _check_folder(file, url)
    elif not file.is_file():
        raise UserError(f"storage {url}: a folder, or no ordinary file. Give the URL of a file.")


def _check_folder(file: Path, url: str) -> None:
    if not file.parent.is_dir():
        raise UserError(
            f"storage {url}: there is no folder {file.parent}. {absolute_hint(url, file)}Make it, or give another URL."
        )


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
    storage.wait_server_ready(CONNECT_TIMEOUT)
    return storage
