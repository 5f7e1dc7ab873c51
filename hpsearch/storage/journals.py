"""Journals: storages that are a list of operations, one JSON line each, in a file or in Redis, as Optuna writes and reads them.

Optuna's own file backend leaves half a line where a disk is full or a process is killed, and the next line is written behind it, so
that nobody can read the journal again: here a line is written whole, behind whole ones, or not at all. Its Redis backend unpickles
what it finds under the name of a snapshot, which is code of whoever may write there, and its client sends a line again whose
answer was lost: here no snapshot is read or written, and a line is sent once.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileSymlinkLock, JournalRedisBackend
from optuna.storages.journal._file import get_lock_file

CONNECT, ANSWER = 10, 30  # seconds that a Redis server has to accept a connection, to answer


class FileJournal(BaseJournalBackend):
    """A journal in a file of Optuna's format."""

    def __init__(self, file: Path) -> None:
        self.file, self.reader = file, JournalFileBackend(str(file))
        self.lock = JournalFileSymlinkLock(str(file))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the operations from a number on; a last line that is not whole is none."""
        return self.reader.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write operations behind the last whole line, all or none."""
        with get_lock_file(self.lock), self.file.open("rb+", buffering=0) as file:
            end = _end_of_lines(file.fileno())
            file.truncate(end)
            try:
                _write(file.fileno(), _lines(logs), end)
            except OSError:
                file.truncate(end)
                raise


class RedisJournal(BaseJournalBackend):
    """A journal in Redis, under the keys of Optuna's own."""

    def __init__(self, url: str) -> None:
        self.backend = JournalRedisBackend(url)
        self.backend._redis = self.client = _client(url)
        self.client.ping()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the operations from a number on."""
        return self.backend.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write operations."""
        self.backend.append_logs(logs)


def _client(url: str) -> Any:
    """Return a connection to a Redis server that sends nothing twice, and notices when the server is gone."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    once = Retry(NoBackoff(), 0)
    return redis.Redis.from_url(url, socket_connect_timeout=CONNECT, socket_timeout=ANSWER, retry=once)


def _lines(logs: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()


def _write(descriptor: int, content: bytes, place: int) -> None:
    """Write all of it, on the disk when this returns."""
    while content:
        written = os.pwrite(descriptor, content, place)
        content, place = content[written:], place + written
    os.fsync(descriptor)


def _end_of_lines(descriptor: int) -> int:
    """Return where the last whole line of a file ends."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - 65_536)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
