"""A storage's exceptions as one line that names the storage and says what to do."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from hpsearch.errors import HpsearchError, StorageError, UserError, masked
from hpsearch.storage.retrying import cause_of, remote

EXTRAS = {"psycopg": "postgres", "pymysql": "mysql", "redis": "redis", "grpc": "grpc"}  # package → extra that brings it


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
