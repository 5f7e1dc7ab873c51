"""Taking the lease of a study, at once or once its holder is gone, and holding it while this process writes."""

import random
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from optuna.storages import BaseStorage

from hpsearch.errors import CompletedElsewhere
from hpsearch.storage import lease
from hpsearch.storage.attributes import CHECKSUM, read_table, with_checksum
from hpsearch.storage.failures import StorageRetry, is_transient
from hpsearch.storage.fingerprint import Fingerprint
from hpsearch.storage.lease import Ticket

POLL = 2.0  # seconds between looks at the holder


class HeldLease:
    """The lease in this process's hands: its ticket in the study `tickets`, and when it was last renewed."""

    def __init__(self, tickets: int, ticket: Ticket) -> None:
        self.tickets = tickets
        self.ticket = ticket
        self.beats = ticket.beats
        self.renewed = _now()

    def renew(self, storage: BaseStorage) -> None:
        """Show that this process lives, if the last time is `lease.BEAT` seconds ago.

        Raises:
            StorageError: another process took the lease over, as it may where this one was suspended for long.
        """
        if _now() - self.renewed < lease.BEAT:
            return
        lease.beat(storage, self.tickets, self.ticket, self.beats + 1)
        self.beats += 1
        self.renewed = _now()

    def release(self, storage: BaseStorage) -> None:
        """Give the lease back."""
        lease.release(storage, self.tickets, self.ticket)


@dataclass(slots=True)
class HolderMonitor:
    """For how long a holder on another machine has been silent, on this process's clock."""

    last_beat: tuple[str, int] | None = None  # token and beats
    since: float = 0.0

    def silence(self, ticket: Ticket) -> float:
        """Return the seconds since the holder's last beat that was seen."""
        beat = (ticket.token, ticket.beats)
        if beat != self.last_beat:
            self.last_beat = beat
            self.since = time.monotonic()
        return time.monotonic() - self.since

    def reset(self) -> None:
        """Begin anew: time in which the storage is away does not count, since a holder cannot beat either."""
        self.last_beat = None


def take_lease(storage: BaseStorage, name: str, retry: StorageRetry, *, take_over: bool) -> HeldLease:
    """Take the lease of a study at once.

    Raises:
        UserError: another process holds it, and this one is not to `take_over`.
    """
    token = uuid.uuid4().hex
    return HeldLease(*retry.call(lambda: lease.acquire(storage, name, token, take_over=take_over)))


def join_lease(storage: BaseStorage, study_id: int, study: Fingerprint, retry: StorageRetry) -> HeldLease:
    """Wait for the lease of a study while another process runs it.

    Raises:
        CompletedElsewhere: the study is complete, with these very settings.
    """

    def completion() -> dict[str, Any]:
        table = read_table(storage.get_study_user_attrs(study_id), "complete")
        same = table.get("settings") == settings_checksum(study.settings)
        return table if same else {}

    held = wait_for_lease(storage, study.name, retry, lambda: bool(completion()))
    if held is None:
        raise CompletedElsewhere(f"study '{study.name}' is complete (by {retry.call(completion).get('by')})")
    return held


def settings_checksum(settings: Mapping[str, Any]) -> int:
    """Return the checksum by which a completed study's settings are compared."""
    return int(with_checksum(settings)[CHECKSUM])


def wait_for_lease(
    storage: BaseStorage,
    name: str,
    retry: StorageRetry,
    is_complete: Callable[[], bool],
    *,
    timeout: float = lease.TIMEOUT,
    poll: float = POLL,
) -> HeldLease | None:
    """Return the lease of a study once its holder is gone, or None if the study is complete by then."""
    monitor = HolderMonitor()
    announced = ""
    while True:
        with suppress(KeyError):  # the tickets were deleted meanwhile: the last holder ended
            last = retry.call(lambda: _last_ticket(storage, name, monitor))
            if last is None or not lease.held(last) or monitor.silence(last) > timeout:
                if retry.call(is_complete):
                    return None
                held = _claim(storage, name, last, retry)
                if held is not None:
                    return held
                continue
            if announced != last.token:
                retry.announce(f"waiting: another process runs this study ({last.who}); this one takes over if it dies")
                announced = last.token
            time.sleep(poll * random.uniform(0.5, 1))  # noqa: S311


def _last_ticket(storage: BaseStorage, name: str, monitor: HolderMonitor) -> Ticket | None:
    try:
        return lease.current(storage, storage.get_study_id_from_name(lease.PREFIX + name))
    except KeyError:  # nobody runs it
        return None
    except Exception as error:
        if is_transient(error):
            monitor.reset()
        raise


def _claim(storage: BaseStorage, name: str, last: Ticket | None, retry: StorageRetry) -> HeldLease | None:
    """Claim the lease after its last ticket; None where another process was faster."""
    token = uuid.uuid4().hex
    tickets = retry.call(lambda: lease.tickets_of(storage, name))
    ticket = retry.call(lambda: lease.claim(storage, tickets, last, token))
    return None if ticket is None else HeldLease(tickets, ticket)


def _now() -> float:
    """Return seconds that go on while the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
