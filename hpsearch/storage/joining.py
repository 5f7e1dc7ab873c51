"""Joining a study that another process writes: wait, and take over when it dies, until the study is complete."""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from optuna.storages import BaseStorage

from hpsearch.storage import lease
from hpsearch.storage.lease import Ticket
from hpsearch.storage.retrying import Patience, transient

POLL = 2.0  # seconds between looks at the holder


@dataclass(slots=True)
class Watch:
    """Whether another machine's holder still beats, on this process's clock; time in which the storage is away does not count."""

    seen: tuple[int, int] | None = None  # ticket and beats
    since: float = 0.0

    def look(self, ticket: Ticket) -> float:
        """Return for how many seconds the holder has been silent."""
        if (seen := (ticket.number, ticket.beats)) != self.seen:
            self.seen, self.since = seen, time.monotonic()
        return time.monotonic() - self.since


def wait(
    storage: BaseStorage,
    tickets: int,
    patience: Patience,
    complete: Callable[[], bool],
    *,
    timeout: float = lease.TIMEOUT,
    poll: float = POLL,
) -> Ticket | None:
    """Return the lease once it is this process's, or None once the study is complete.

    `complete` is asked where the last holder left the study as complete: whether it is the study that this process would run.
    """
    watch, told = Watch(), None
    while True:
        last = patience.call(lambda: _looked(storage, tickets, watch))
        if last is not None and last.value == lease.COMPLETE and patience.call(complete):
            return None
        if last is None or not lease.held(last) or watch.look(last) > timeout:
            token = uuid.uuid4().hex
            if (ticket := patience.call(lambda: lease.claim(storage, tickets, last, token))) is not None:  # noqa: B023
                return ticket
            continue
        if told != last.number:
            patience.say(f"waiting: another process runs this study ({last.who}); this one takes over if that one dies")
            told = last.number
        time.sleep(poll * random.uniform(0.5, 1))  # noqa: S311


def _looked(storage: BaseStorage, tickets: int, watch: Watch) -> Ticket | None:
    try:
        return lease.current(storage, tickets)
    except Exception as error:
        if transient(error):
            watch.seen = None  # a holder cannot beat either while the storage is away
        raise
