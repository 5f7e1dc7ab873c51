"""The lease: one process writes a study, a second one is refused with the name of the first, one that waits takes over when it dies.

Processes that want a study draw tickets: trials of a study of their own, `lease of NAME`, which is there while one of them runs. A
trial is the one thing that every storage of Optuna's numbers without gaps and writes whole. A ticket says who drew it and whose it
comes `after`. Read in the order of numbers, a ticket takes the lease if it comes after the ticket that has it; so of many that saw one
holder die the first wins, all agree on who that is, and nobody needs a lock (a compare-and-set by total order, as in a replicated log).

A holder on this machine that is no longer alive is replaced at once. The end of one on another machine cannot be noticed from here:
its writer counts a `beat` up every `BEAT` seconds, and one whose count stands still for `TIMEOUT` seconds, on the waiting process's own
clock, is gone; so is one that was stopped for as long, on whichever machine. No two machines' clocks are compared.
"""

import os
import random
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, GrpcStorageProxy
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpsearch.errors import CompletedElsewhere, StorageError, UserError
from hpsearch.platforms import is_running, steady_time
from hpsearch.storage.attributes import CHECKSUM, read_table, with_checksum
from hpsearch.storage.failures import StorageRetry, is_transient
from hpsearch.storage.fingerprint import Fingerprint
from hpsearch.storage.optuna_internals import create_study_once, trial_id

PREFIX = "lease of "  # of the name of the study of a study's tickets
BEAT = 10.0  # seconds between two signs of life
TIMEOUT = 60.0  # seconds of silence after which a holder on another machine is gone
POLL = 2.0  # seconds between looks at the holder
NOBODY = ""  # whom the first ticket comes after


@dataclass(frozen=True, slots=True)
class Ticket:
    """A process's claim to a study; it takes the lease if it comes after the ticket that has it."""

    id: int  # the storage's, of the trial that it is
    token: str
    after: str  # token of the ticket before
    holder: Mapping[str, Any]  # the process that drew it
    beats: int = 0
    held: bool = True  # not given back yet

    @property
    def who(self) -> str:
        """The process in words."""
        holder = self.holder
        return f"{holder.get('host')}, process {holder.get('pid')}, since {holder.get('since')}"


def holder() -> dict[str, Any]:
    """Return what identifies this process among all machines, boots and containers."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "boot": _read("/proc/sys/kernel/random/boot_id"),
        "space": _pid_namespace(),
        "started": _start_time(os.getpid()),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def alive(holder: Mapping[str, Any]) -> bool:
    """Whether a process may still write: one of another machine or container always may, one of this one if it runs."""
    if holder.get("host") != socket.gethostname() or holder.get("space") != _pid_namespace():
        return True
    here = holder.get("boot") == _read("/proc/sys/kernel/random/boot_id")
    return here and _start_time(holder.get("pid")) == holder.get("started")


def tickets_of(storage: BaseStorage, name: str) -> int:
    """Return the id of the study of a study's tickets, made where it is missing."""
    try:
        return storage.get_study_id_from_name(PREFIX + name)
    except KeyError:
        return create_study_once(storage, PREFIX + name, [StudyDirection.MAXIMIZE])


def current(storage: BaseStorage, tickets: int) -> Ticket | None:
    """Return the last ticket that took the lease, given back or not."""
    last: Ticket | None = None
    for ticket in map(_ticket, storage.get_all_trials(tickets, deepcopy=False)):
        if ticket is not None and ticket.after == _token(last):
            last = ticket
    return last


def held(ticket: Ticket) -> bool:
    """Whether a ticket's process may write, and is not this one."""
    own = holder()
    here = all(ticket.holder.get(name) == own[name] for name in ("host", "space", "boot", "pid", "started"))
    return ticket.held and not here and alive(ticket.holder)


def is_held(storage: BaseStorage, name: str) -> bool:
    """Whether another process runs a study of this name now, as far as this machine can tell."""
    try:
        last = current(storage, storage.get_study_id_from_name(PREFIX + name))
    except KeyError:  # nobody drew a ticket
        return False
    return last is not None and held(last)


def claim(storage: BaseStorage, tickets: int, last: Ticket | None, token: str) -> Ticket | None:
    """Draw a ticket after the last one that took the lease; return it, or None where another process was faster.

    The `token` is drawn for this claim alone: by it a ticket is known again whose answer was lost.
    """
    after = _token(last)
    taken = current(storage, tickets)
    if _token(taken) == after:
        drawn = {"token": token, "after": after, "holder": holder()}
        storage.create_new_trial(tickets, template_trial=create_trial(state=TrialState.RUNNING, user_attrs=drawn))
        taken = current(storage, tickets)
    return taken if _token(taken) == token else None


class HeldLease:
    """The lease in this process's hands: its ticket in the study `tickets` of a storage, and when it was last renewed."""

    def __init__(self, storage: BaseStorage, tickets: int, ticket: Ticket) -> None:
        self.storage = storage
        self.tickets = tickets
        self.ticket = ticket
        self.beats = ticket.beats
        self.renewed = steady_time()

    def renew(self) -> None:
        """Show that this process lives, if the last time is `BEAT` seconds ago.

        Raises:
            StorageError: another process took the lease over, as it may where this one was suspended for long.
        """
        if steady_time() - self.renewed < BEAT:
            return
        self.beat(self.beats + 1)
        self.beats += 1
        self.renewed = steady_time()

    def beat(self, beats: int) -> None:
        """Write a sign of life.

        Raises:
            StorageError: the lease is another process's by now.
        """
        self.check()
        self.storage.set_trial_user_attr(self.ticket.id, "beats", beats)

    def check(self) -> None:
        """Refuse to go on where the lease is another process's by now.

        Raises:
            StorageError: it is.
        """
        try:
            last = current(self.storage, self.tickets)
        except KeyError:  # whoever took over has ended too
            last = None
        if last is None or last.token != self.ticket.token:
            by = f": {last.who}" if last else ""
            raise StorageError(
                f"another process took this study over{by}. This one ends; the results so far are stored."
            )

    def release(self) -> None:
        """Give the lease back, if it is still this ticket's: the tickets go, which happens at once or not at all.

        Where they cannot (another one was drawn at that moment, or a gRPC proxy's clients would go on to see them) this one is marked.
        """
        with suppress(KeyError):  # they are gone
            last = current(self.storage, self.tickets)
            if last is None or last.token != self.ticket.token or not last.held:
                return
            if not isinstance(self.storage, GrpcStorageProxy):
                self.storage.delete_study(self.tickets)
                current(self.storage, self.tickets)
            self.storage.set_trial_state_values(self.ticket.id, TrialState.COMPLETE, [0.0])


# ------------------------------------------------------------------ taking it at once


def take_lease(storage: BaseStorage, name: str, retry: StorageRetry, *, take_over: bool) -> HeldLease:
    """Take the lease of a study at once.

    Raises:
        UserError: another process holds it, and this one is not to `take_over`.
    """
    token = uuid.uuid4().hex
    return retry.call(lambda: acquire(storage, name, token, take_over=take_over))


def acquire(storage: BaseStorage, name: str, token: str, *, take_over: bool = False) -> HeldLease:
    """Take the lease of a study at once, by a `token` of this process (see `claim`).

    Raises:
        UserError: another process holds it.
    """
    while True:
        with suppress(KeyError):  # the tickets went since they were found: the last holder ended
            tickets = tickets_of(storage, name)
            last = current(storage, tickets)
            if last is not None and last.token == token:
                return HeldLease(storage, tickets, last)
            if last is not None and held(last) and not take_over:
                raise UserError(
                    f"another process runs this study: {last.who}. Wait for it or stop it; --join waits and takes over when it is "
                    "gone, --take-over writes all the same."
                )
            if (ticket := claim(storage, tickets, last, token)) is not None:
                return HeldLease(storage, tickets, ticket)
            take_over = False  # from the one that was there, not from whoever was faster


# ------------------------------------------------------------------ waiting until its holder is gone


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


def join_lease(storage: BaseStorage, study_id: int, study: Fingerprint, retry: StorageRetry) -> HeldLease:
    """Wait for the lease of a study while another process runs it.

    Raises:
        CompletedElsewhere: the study is complete, with these very settings.
    """

    def completion() -> dict[str, Any]:
        table = read_table(storage.get_study_user_attrs(study_id), "complete")
        same = table.get("settings") == settings_checksum(study.settings)
        return table if same else {}

    own = wait_for_lease(storage, study.name, retry, lambda: bool(completion()))
    if own is None:
        raise CompletedElsewhere(f"study '{study.name}' is complete (by {retry.call(completion).get('by')})")
    return own


def settings_checksum(settings: Mapping[str, Any]) -> int:
    """Return the checksum by which a completed study's settings are compared."""
    return int(with_checksum(settings)[CHECKSUM])


def wait_for_lease(
    storage: BaseStorage,
    name: str,
    retry: StorageRetry,
    is_complete: Callable[[], bool],
    *,
    timeout: float = TIMEOUT,
    poll: float = POLL,
) -> HeldLease | None:
    """Return the lease of a study once its holder is gone, or None if the study is complete by then."""
    monitor = HolderMonitor()
    announced = ""
    while True:
        with suppress(KeyError):  # the tickets were deleted meanwhile: the last holder ended
            last = retry.call(lambda: _last_ticket(storage, name, monitor))
            if last is None or not held(last) or monitor.silence(last) > timeout:
                if retry.call(is_complete):
                    return None
                own = _claim(storage, name, last, retry)
                if own is not None:
                    return own
                continue
            if announced != last.token:
                retry.announce(f"waiting: another process runs this study ({last.who}); this one takes over if it dies")
                announced = last.token
            time.sleep(poll * random.uniform(0.5, 1))  # noqa: S311


def _last_ticket(storage: BaseStorage, name: str, monitor: HolderMonitor) -> Ticket | None:
    try:
        return current(storage, storage.get_study_id_from_name(PREFIX + name))
    except KeyError:  # nobody runs it
        return None
    except Exception as error:
        if is_transient(error):
            monitor.reset()
        raise


def _claim(storage: BaseStorage, name: str, last: Ticket | None, retry: StorageRetry) -> HeldLease | None:
    """Claim the lease after its last ticket; None where another process was faster."""
    token = uuid.uuid4().hex
    tickets = retry.call(lambda: tickets_of(storage, name))
    ticket = retry.call(lambda: claim(storage, tickets, last, token))
    if ticket is None:
        return None
    return HeldLease(storage, tickets, ticket)


def _token(ticket: Ticket | None) -> str:
    return NOBODY if ticket is None else ticket.token


def _ticket(trial: FrozenTrial) -> Ticket | None:
    """Return a trial as a ticket, None where it is none."""
    token, after, drawer, beats = (trial.user_attrs.get(key) for key in ("token", "after", "holder", "beats"))
    if not (isinstance(token, str) and isinstance(after, str) and isinstance(drawer, dict)):
        return None
    count = beats if isinstance(beats, int) else 0
    return Ticket(trial_id(trial), token, after, drawer, count, held=not trial.state.is_finished())


def _pid_namespace() -> str:
    """Return the name of this process's own numbering of processes: two containers have two."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, ValueError):
        return ""


def _start_time(pid: object) -> str:
    """Return when a process started, in ticks since boot; empty where there is no such process (or no /proc)."""
    if not isinstance(pid, int):
        return ""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields and not Path("/proc/self").exists():
        return "running" if is_running(pid) else ""
    return fields[19] if len(fields) > 19 and fields[0] != "Z" else ""
