"""Joining a study that another process writes: wait, and take over when it dies, until the study is complete."""

import random
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from optuna.storages import BaseStorage

from hpsearch.storage import lease
from hpsearch.storage.lease import Ticket
from hpsearch.storage.retrying import Patience, transient

POLL = 2.0  # seconds between looks at the holder


@dataclass(slots=True)
class Watch:
    """Whether another machine's holder still beats, on this process's clock; time in which the storage is away does not count."""

    seen: tuple[str, int] | None = None  # ticket and beats
    since: float = 0.0

    def look(self, ticket: Ticket) -> float:
        """Return for how many seconds the holder has been silent."""
        if (seen := (ticket.token, ticket.beats)) != self.seen:
            self.seen, self.since = seen, time.monotonic()
        return time.monotonic() - self.since


def wait(
    storage: BaseStorage,
    name: str,
    patience: Patience,
    complete: Callable[[], bool],
    *,
    timeout: float = lease.TIMEOUT,
    poll: float = POLL,
) -> tuple[int, Ticket] | None:
    """Return the lease of a study as `lease.acquire` does, once it is this process's, or None once the study is complete.

    `complete` is asked where nobody holds it: whether the study that this process would run is complete.
    """
    watch, told = Watch(), ""
    while True:
        with suppress(KeyError):  # the tickets went since they were found: the last holder ended
            last = patience.call(lambda: _looked(storage, name, watch))
            if last is None or not lease.held(last) or watch.look(last) > timeout:
                if patience.call(complete):
                    return None
                token, tickets = uuid.uuid4().hex, patience.call(partial(lease.tickets_of, storage, name))
                ticket = patience.call(partial(lease.claim, storage, tickets, last, token))
                if ticket is not None:
                    return tickets, ticket
                continue
            if told != last.token:
                patience.say(f"waiting: another process runs this study ({last.who}); this one takes over if it dies")
                told = last.token
            time.sleep(poll * random.uniform(0.5, 1))  # noqa: S311


def _looked(storage: BaseStorage, name: str, watch: Watch) -> Ticket | None:
    try:
        return lease.current(storage, storage.get_study_id_from_name(lease.PREFIX + name))
    except KeyError:  # nobody runs it
        return None
    except Exception as error:
        if transient(error):
            watch.seen = None  # a holder cannot beat either while the storage is away
        raise
