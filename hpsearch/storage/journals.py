"""Journals: storages that are a list of operations, one JSON line each, in a file or in Redis, as Optuna writes and reads them.

Optuna's own file backend leaves half a line where a disk is full or a process is killed, and writes the next line behind it, so that
nobody can read the journal again. Here a line is written completely, behind complete ones, or not at all. Optuna's Redis backend
unpickles what it finds under the name of a snapshot, which is code of whoever may write there, and its client sends a line again whose
answer was lost. Here no snapshot is read or written, and a line is sent once.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileOpenLock, JournalFileSymlinkLock

from hpsearch.storage.databases import CONNECT_TIMEOUT
from hpsearch.storage.optuna_internals import redis_backend

ANSWER_TIMEOUT = 30  # seconds that a Redis server has to answer
BLOCK = 65_536  # bytes in which the end of a journal is read
LOCKS = {"nt": JournalFileOpenLock}  # a symbolic link needs a privilege on Windows


class FileJournal(BaseJournalBackend):
    """A journal in a file of Optuna's format."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.reader = JournalFileBackend(str(file))
        self.lock = LOCKS.get(os.name, JournalFileSymlinkLock)(str(file))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the operations from a number on; an incomplete last line is left out."""
        return self.reader.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write operations behind the last complete line, all or none."""
        content = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        self.lock.acquire()
        try:
            with self.file.open("rb+", buffering=0) as file:
                _append(file, content)
        finally:
            self.lock.release()


class RedisJournal(BaseJournalBackend):
    """A journal in Redis, under the keys of Optuna's own."""

    def __init__(self, url: str) -> None:
        self.client = _client(url)
        self.backend = redis_backend(url, self.client)
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
    return redis.Redis.from_url(url, socket_connect_timeout=CONNECT_TIMEOUT, socket_timeout=ANSWER_TIMEOUT, retry=once)


def _append(file: BinaryIO, content: bytes) -> None:
    """Write all of it behind the last complete line, on the disk when this returns, or nothing."""
    end = _end_of_lines(file)
    file.truncate(end)
    file.seek(end)
    try:
        while content:
            content = content[file.write(content) :]  # an unbuffered file may write a part
        os.fsync(file.fileno())
    except OSError:
        file.truncate(end)
        raise


def _end_of_lines(file: BinaryIO) -> int:
    """Return where the last complete line of a file ends."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - BLOCK)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
