"""What happens when a storage fails: a call is tried again while the storage is away, any other failure becomes one line.

A writer calls its storage through `StorageRetry` alone. The pauses grow exponentially and are drawn at random, so that many processes
do not come back at one moment (exponential back-off with jitter; Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog
2015). A call may have been done although its answer was lost: whatever is called here may be called twice (see `trial_writing` and
`lease`). `storage_errors` and `reading_errors` turn what is raised into a sentence that names the storage and says what to do.
"""

import errno
import logging
import random
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import TypeVar

import optuna
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hpsearch.errors import HpsearchError, StorageError, UserError, damaged, masked

Result = TypeVar("Result")
LOGGER = logging.getLogger(__name__)

RETRY_SECONDS = 600.0  # how long a storage may be away
FIRST_PAUSE = 0.25  # seconds before the second try
LONGEST_PAUSE = 10.0  # seconds
TICK = 0.1  # seconds between a pause's checks whether it is cut short

TRANSIENT_ERRNOS = {errno.ESTALE, errno.EAGAIN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH}
TRANSIENT_REDIS = {"ConnectionError", "TimeoutError", "BusyLoadingError", "ReadOnlyError", "TryAgainError"}
TRANSIENT_GRPC = {
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "ABORTED",
    "CANCELLED",
    "UNKNOWN",
}  # the last: its database is away
PERMANENT_DATABASE_ERROR = (
    r"disk|space left|no such|malformed|readonly|authentication|denied|does not exist|unknown database|unable to open"
)
EXTRAS = {"psycopg": "postgres", "pymysql": "mysql", "redis": "redis", "grpc": "grpc"}  # package → extra that brings it


class StorageRetry:
    """How long one process waits for its storage: `seconds` for a call, and no call beyond `deadline` (monotonic seconds)."""

    def __init__(self, seconds: float = RETRY_SECONDS, announce: Callable[[str], None] = LOGGER.warning) -> None:
        self.seconds = seconds
        self.announce = announce
        self.deadline = inf

    def call(self, function: Callable[[], Result]) -> Result:
        """Return what a function returns, called again while the storage is away; it must be safe to call twice.

        Raises:
            Exception: the function's own, if it is not transient or the time is over.
        """
        start = time.monotonic()
        pause = FIRST_PAUSE
        failed = False
        while True:
            try:
                result = function()
            except Exception as error:
                elapsed = time.monotonic() - start
                if not is_transient(error) or elapsed >= self.seconds or time.monotonic() >= self.deadline:
                    raise
                self.announce(f"storage unreachable, retrying ({elapsed:.0f} s)")
                self._sleep(min(pause * random.uniform(0.5, 1), self.seconds - elapsed))  # noqa: S311
                pause = min(2 * pause, LONGEST_PAUSE)
                failed = True
                continue
            if failed:
                self.announce(f"storage answers again (after {time.monotonic() - start:.0f} s)")
            return result

    def _sleep(self, seconds: float) -> None:
        """Sleep, but not beyond the deadline, which another thread may set meanwhile."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < min(end, self.deadline):
            time.sleep(min(TICK, end - now))


def is_transient(error: BaseException) -> bool:
    """Whether an error says that the storage is away or busy, so that the same call may succeed later."""
    cause = cause_of(error)
    if isinstance(cause, DBAPIError):
        return _is_transient_of_database(cause)
    if isinstance(cause, OSError):
        return isinstance(cause, ConnectionError | TimeoutError) or cause.errno in TRANSIENT_ERRNOS
    if isinstance(cause, PoolTimeout):
        return True
    if _is_grpc(cause):
        code = getattr(cause, "code", None)
        return callable(code) and code().name in TRANSIENT_GRPC
    return _is_redis(cause) and any(base.__name__ in TRANSIENT_REDIS for base in type(cause).__mro__)


def cause_of(error: BaseException) -> BaseException:
    """Return what lies behind an error of Optuna's or our own."""
    while isinstance(error, optuna.exceptions.StorageInternalError | StorageError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _is_transient_of_database(error: DBAPIError) -> bool:
    text = str(error.orig)
    if isinstance(error.orig, sqlite3.Error):
        return isinstance(error, OperationalError) and "locked" in text
    if error.connection_invalidated:
        return True
    permanent = re.search(PERMANENT_DATABASE_ERROR, text, re.IGNORECASE)
    return isinstance(error, OperationalError | InterfaceError) and not permanent


def _is_grpc(error: BaseException) -> bool:
    return _has_base(error, "grpc", "RpcError")


def _is_redis(error: BaseException) -> bool:
    return _has_base(error, "redis", "RedisError")


def _has_base(error: BaseException, package: str, name: str) -> bool:
    """Whether an error is of a class of a package that may not be installed."""
    return any(base.__name__ == name and base.__module__.split(".")[0] == package for base in type(error).__mro__)


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn a storage's exceptions into one line that names the storage.

    Raises:
        UserError: the URL is none that Optuna knows, or its driver is not installed.
        StorageError: anything else.
    """
    try:
        yield
    except ArgumentError as error:
        raise UserError(
            f"storage {masked(url)}: {error}. Give a URL that Optuna knows, e.g. sqlite:///FILE."
        ) from error
    except ImportError as error:
        raise UserError(f"storage {masked(url)}: {_missing_package(error)}") from error
    except HpsearchError:
        raise
    except Exception as error:
        if not _is_of_storage(error):
            raise
        raise _explained(error, url) from error


@contextmanager
def reading_errors(url: str) -> Iterator[None]:
    """Do as `storage_errors`, and call it damage if an existing storage's content cannot be understood."""
    try:
        with storage_errors(url):
            yield
    except HpsearchError:
        raise
    except (LookupError, ValueError, TypeError, AttributeError, AssertionError, RecursionError) as error:
        reason = masked(" ".join(f"{type(error).__name__} {error}".split())[:120])
        raise damaged(f"{masked(url)} ({reason})") from error


def _missing_package(error: ImportError) -> str:
    name = error.name or getattr(error.__cause__, "name", None) or "of its driver"
    package = f"hpsearch[{EXTRAS[name]}]" if name in EXTRAS else name
    return f"needs the package '{name}'. Install it: pip install '{package}'."


def _is_of_storage(error: Exception) -> bool:
    known = (SQLAlchemyError, optuna.exceptions.StorageInternalError, OSError, sqlite3.Error)
    return isinstance(error, known) or _is_grpc(error) or _is_redis(error)


def _explained(error: Exception, url: str) -> StorageError:
    cause = masked(_text_of(error).splitlines()[0])
    if re.search(r"malformed|not a database|disk image", cause):
        return damaged(f"{masked(url)} ({cause})")
    if "disk is full" in cause or "No space" in cause:
        return StorageError(f"disk full writing {masked(url)}: free space, then run the same command.")
    return StorageError(
        f"storage {masked(url)}: {cause.rstrip('.')}. Check that it can be reached and written, then run the same command."
    )


def _text_of(error: Exception) -> str:
    details = getattr(error, "details", None)  # of a gRPC proxy's error
    if _is_grpc(error) and callable(details):
        text = str(details())
    else:
        text = str(cause_of(error))
    return text or type(error).__name__
