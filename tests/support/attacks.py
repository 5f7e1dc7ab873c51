"""What the tests of attacks bring: a pickle that runs code when it is read, rows that a stranger wrote, a Redis journal in memory."""

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._base import BaseJournalSnapshot


class PickleBomb:
    """An object that makes a folder when it is unpickled: proof that a pickle was read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


class MemoryJournal(BaseJournalBackend, BaseJournalSnapshot):
    """A journal as Redis keeps it, in memory, with a snapshot that anybody can replace."""

    logs: list[dict[str, Any]] = []
    snapshot = b""

    def __init__(self, url: str) -> None:
        self.url = url

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs.extend(json.loads(json.dumps(logs)))

    def save_snapshot(self, snapshot: bytes) -> None:
        type(self).snapshot = snapshot

    def load_snapshot(self) -> bytes:
        return self.snapshot


def change_rows(database: Path, statement: str, *rows: Sequence[Any]) -> int:
    """Execute a statement on a SQLite file, once for each row of parameters, and return how many rows it changed."""
    with closing(sqlite3.connect(database)) as connection, connection:
        return connection.executemany(statement, rows or [()]).rowcount
