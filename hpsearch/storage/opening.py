"""From a URL to an Optuna storage: SQLite in the study's folder by default, any URL of Optuna's by choice.

SQLite keeps its rollback journal (before 3.51.3 its write-ahead log could lose a reset), and waits a minute for a lock, not five
seconds. Reading opens the file read-only, so that a report never writes.
"""

import fcntl
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalStorage
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from hpsearch.errors import HpsearchError, StorageError, UserError, masked

optuna.logging.set_verbosity(optuna.logging.ERROR)

SQLITE = "sqlite:///"
JOURNAL = "journal:///"
REDIS = "redis://"
SQLITE_MAGIC = b"SQLite format 3\0"
WAIT_FOR_LOCK = 60  # seconds
CLIENTS = ("redis", "grpc")  # packages whose errors say that a server is away
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
        if url.startswith(JOURNAL):
            if not read_only:
                _cut_torn_line(file)
            return JournalStorage(JournalFileBackend(str(file)))
        if url.startswith(REDIS):
            from optuna.storages.journal import JournalRedisBackend

            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return JournalStorage(LogsAlone(JournalRedisBackend(url)))
        return RDBStorage(_engine_url(url, read_only), engine_kwargs=_engine_kwargs(url), skip_table_creation=read_only)


class LogsAlone(BaseJournalBackend):
    """A journal without its snapshots: Optuna keeps those as pickles, and whoever may write to the server could run code by one."""

    def __init__(self, backend: BaseJournalBackend) -> None:
        self._backend = backend

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Return the entries from a number on."""
        return self._backend.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries."""
        self._backend.append_logs(logs)


def load_study(url: str, name: str) -> optuna.Study:
    """Return a stored study as Optuna's own functions take it.

    Raises:
        UserError, StorageError: there is no such storage, or it cannot be read.
    """
    return optuna.load_study(study_name=name, storage=open_storage(url, read_only=True))


def open_existing(url: str) -> BaseStorage:
    """Open a storage that is there, to look at it: a journal that another process writes is not mended under its hands.

    Raises:
        UserError, StorageError: see `open_storage`.
    """
    storage = open_storage(url, read_only=True)
    with explained(url):
        storage.get_all_studies()  # what is no storage, or too old a one, is told now
    return storage if url.startswith(JOURNAL) else open_storage(url)


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
    if not url.startswith((JOURNAL, REDIS)):
        with explained(url):
            try:
                make_url(url).get_dialect()
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
    except HpsearchError:
        raise
    except ArgumentError as error:
        raise UserError(
            f"storage {masked(url)}: {error}. Give a URL that Optuna knows, e.g. sqlite:///FILE."
        ) from error
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, OSError) as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        if re.search(r"malformed|not a database|disk image", cause):
            raise StorageError(
                f"storage damaged: {masked(url)} ({cause}). It was not changed; restore a copy."
            ) from error
        if "disk is full" in cause or "No space" in cause:
            raise StorageError(f"disk full writing {masked(url)}: free space, then run the same command.") from error
        raise StorageError(
            f"storage {masked(url)}: {masked(cause)}. Check that it can be reached and written."
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError) as error:
        reason = masked(" ".join(f"{type(error).__name__} {error}".split())[:120])
        raise StorageError(
            f"storage damaged: {masked(url)} holds what no study is ({reason}). Restore a copy."
        ) from error
    except ImportError as error:
        name = error.name or getattr(error.__cause__, "name", None) or "of its driver"
        raise UserError(f"storage {masked(url)}: needs the package '{name}'. Install it with pip.") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in CLIENTS:
            raise
        cause = masked(" ".join(str(error).split())).rstrip(".")
        raise StorageError(f"storage {masked(url)}: {cause}. Check that it can be reached and written.") from error


def _check_file(file: Path, url: str, must_exist: bool) -> None:
    if not file.exists():
        if must_exist:
            raise UserError(
                f"no storage {url}: the file does not exist. Run the study first, or give another name or URL."
            )
        _check_folder(file, url)
        return
    with file.open("rb") as stream:
        start = stream.read(len(SQLITE_MAGIC))
    if url.startswith(SQLITE) and start not in (b"", SQLITE_MAGIC):
        raise StorageError(f"storage damaged: {file} is not a SQLite file. It was not changed; restore a copy.")


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


def _cut_torn_line(file: Path | None) -> None:
    """Cut a journal back to its last whole line: a write that was cut short would make every later one unreadable."""
    if file is None or not file.exists():
        return
    with file.open("rb+") as journal:
        content = journal.read()
        if content and not content.endswith(b"\n"):
            journal.truncate(content.rfind(b"\n") + 1)


def _engine_url(url: str, read_only: bool) -> str:
    if read_only and url.startswith(SQLITE):
        return f"{SQLITE}file:{Path(url.removeprefix(SQLITE)).absolute()}?mode=ro&uri=true"
    return url


def _engine_kwargs(url: str) -> dict[str, Any]:
    return {"connect_args": {"timeout": WAIT_FOR_LOCK}} if url.startswith(SQLITE) else {"pool_pre_ping": True}
