"""A process's turn at writing a study: its ticket of the lease, taken at once or waited for, and its beats."""

import time
import uuid
from collections.abc import Mapping
from typing import Any

from optuna.storages import BaseStorage

from hpsearch.errors import CompletedElsewhere
from hpsearch.storage import lease
from hpsearch.storage.attributes import read_table
from hpsearch.storage.checksums import SEAL, sealed
from hpsearch.storage.joining import wait
from hpsearch.storage.lease import Ticket
from hpsearch.storage.retrying import Patience


class Turn:
    """A process's turn at writing: its ticket, and when it last showed that it lives; `settings` are a checksum of the study's."""

    def __init__(self, tickets: int, ticket: Ticket, settings: int) -> None:
        self.tickets, self.ticket, self.settings = tickets, ticket, settings
        self.beats, self.kept = ticket.beats, _clock()

    def keep(self, storage: BaseStorage) -> None:
        """Beat, if it is time to; where this process slept for long, another one may have its turn.

        Raises:
            StorageError: it has.
        """
        if _clock() - self.kept < lease.BEAT:
            return
        lease.beat(storage, self.tickets, self.ticket, self.beats + 1)
        self.beats, self.kept = self.beats + 1, _clock()


def _clock() -> float:
    """Return seconds that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def take_turn(
    storage: BaseStorage,
    study_id: int,
    name: str,
    settings: Mapping[str, Any],
    patience: Patience,
    *,
    take_over: bool,
    join: bool,
) -> Turn:
    """Take the lease, or wait for it."""
    asked = sealed(settings)[SEAL]
    if take_over or not join:
        token = uuid.uuid4().hex
        return Turn(*patience.call(lambda: lease.acquire(storage, name, token, take_over=take_over)), asked)

    def complete() -> dict[str, Any]:
        kept = read_table(storage.get_study_user_attrs(study_id), "complete")
        return kept if kept.get("settings") == asked else {}

    turn = wait(storage, name, patience, lambda: bool(complete()))
    if turn is None:
        raise CompletedElsewhere(f"study '{name}' is complete (by {patience.call(complete).get('by')})")
    return Turn(*turn, asked)
