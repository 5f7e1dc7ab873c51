"""The lease: of many that want a study exactly one has it, whoever dies, pauses or is faster."""

import itertools
import multiprocessing
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import TrialState
from sqlalchemy import event

from hpsearch.errors import StorageError
from hpsearch.platforms import steady_time
from hpsearch.storage import lease
from hpsearch.storage.failures import StorageRetry
from hpsearch.storage.lease import HeldLease, HolderMonitor, wait_for_lease
from hpsearch.storage.opening import close_storage, open_storage
from hpsearch.storage.writing import StudyWriter
from tests.support.servers import postgres
from tests.support.stored import DEPTH, FINGERPRINT, is_locked, run_of

PROCESSES = multiprocessing.get_context("fork")


def drawn(storage: BaseStorage, tickets: int, token: str, after: str, **holder: Any) -> None:
    """Draw a ticket as a process elsewhere does."""
    who = {**lease.holder(), "host": "elsewhere", **holder}
    attributes = {"token": token, "after": after, "holder": who}
    storage.create_new_trial(tickets, optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=attributes))


def test_the_first_ticket_after_the_holders_takes_the_lease() -> None:
    """Tickets are read in the order of their numbers; one that comes after a holder who is no longer one has lost."""
    storage = InMemoryStorage()
    tickets = lease.tickets_of(storage, "s")
    expected = None
    for token, after, wins in [
        ("a", "", True),
        ("b", "", False),  # saw nobody, but a was faster
        ("c", "a", True),
        ("d", "a", False),  # saw a die, but c was faster
        ("e", "b", False),  # b never had it
        ("f", "c", True),
    ]:
        drawn(storage, tickets, token, after)
        expected = token if wins else expected
        last = lease.current(storage, tickets)
        assert last is not None
        assert last.token == expected


def test_what_is_no_ticket_is_none() -> None:
    """Whatever else somebody writes among the tickets takes nothing."""
    storage = InMemoryStorage()
    tickets = lease.tickets_of(storage, "s")
    storage.create_new_trial(tickets)
    wrong: list[dict[str, Any]] = [
        {"token": 1, "after": "", "holder": {}},
        {"token": "x", "after": None, "holder": {}},
    ]
    for attributes in wrong:
        storage.create_new_trial(tickets, optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=attributes))
    assert lease.current(storage, tickets) is None


def _claim(url: str, last: lease.Ticket | None, start: Any, won: Any) -> None:
    """Try, at one moment with the others, to take over from the same holder."""
    with open_claims(url) as (storage, tickets):
        start.wait()
        ticket = lease.claim(storage, tickets, last, f"{os.getpid()} {time.time_ns()}")
        won.put(ticket.token if ticket else None)


class open_claims:  # noqa: N801 - a context, used as a function
    def __init__(self, url: str) -> None:
        self.storage = open_storage(url)

    def __enter__(self) -> tuple[BaseStorage, int]:
        return self.storage, lease.tickets_of(self.storage, "s")

    def __exit__(self, *error: object) -> None:
        close_storage(self.storage)


def _race(url: str, many: int, rounds: int) -> None:
    """In each round many processes see one holder die and claim its lease at once: one wins, and all agree on who."""
    last: lease.Ticket | None = None
    for _ in range(rounds):
        start, won = PROCESSES.Barrier(many), PROCESSES.Queue()
        racers = [PROCESSES.Process(target=_claim, args=(url, last, start, won)) for _ in range(many)]
        for racer in racers:
            racer.start()
        tokens = [won.get(timeout=300) for _ in racers]
        for racer in racers:
            racer.join(300)
        assert [racer.exitcode for racer in racers] == [0] * many
        winners = [token for token in tokens if token]
        with open_claims(url) as (storage, tickets):
            last = lease.current(storage, tickets)
        assert last is not None
        assert winners == [last.token]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("many", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["sqlite", "journal", pytest.param("postgres", marks=pytest.mark.slow)])
def test_races(kind: str, many: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Of two or four processes that take over at one moment exactly one wins, on every kind of storage (with --long 20 rounds each)."""
    rounds = 20 if request.config.getoption("--long") else 2
    if kind != "postgres":
        url = f"{kind}:///{tmp_path}/study.db"
        close_storage(open_storage(url))
        _race(url, many, rounds)
        return
    pytest.importorskip("psycopg")
    with postgres() as server:
        if server is None:
            pytest.skip("PostgreSQL is not installed")
        _race(server.url, many, rounds)


def _open(url: str, start: Any, said: Any) -> None:
    start.wait()
    try:
        writer = StudyWriter.open(url, FINGERPRINT)
    except Exception as error:  # every kind is told
        said.put(f"{type(error).__name__}: {error}")
        return
    said.put("writes")
    time.sleep(1.5)
    writer.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_many_begin_one_study_in_a_fresh_database(request: pytest.FixtureRequest) -> None:
    """Four processes that find a database without tables make one study together: one writes, the others are told (--long: 20 rounds)."""
    psycopg = pytest.importorskip("psycopg")
    with postgres() as server:
        if server is None:
            pytest.skip("PostgreSQL is not installed")
        for _ in range(20 if request.config.getoption("--long") else 1):
            with psycopg.connect(server.url) as connection:
                connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            start, said = PROCESSES.Barrier(4), PROCESSES.Queue()
            racers = [PROCESSES.Process(target=_open, args=(server.url, start, said)) for _ in range(4)]
            for racer in racers:
                racer.start()
            answers = sorted(said.get(timeout=300) for _ in racers)
            for racer in racers:
                racer.join(300)
            assert answers[3] == "writes", answers
            assert all(answer.startswith("UserError: another process runs this study") for answer in answers[:3]), (
                answers
            )


def _waits(storage: BaseStorage, said: list[str], **more: Any) -> Callable[[], Any]:
    """Wait for a study in a thread; return the answer once it is there."""
    answers: list[Any] = []
    retry = StorageRetry(announce=said.append)

    def run() -> None:
        answers.append(wait_for_lease(storage, "s", retry, lambda: False, poll=0.02, **more))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def answer() -> Any:
        thread.join(300)
        assert answers, "nobody took over"
        return answers[0]

    return answer


def test_a_dead_holder_of_this_machine_is_replaced_at_once() -> None:
    """A process that waits takes over within its next look, without any time-out."""
    storage = InMemoryStorage()
    tickets = lease.tickets_of(storage, "s")
    child = PROCESSES.Process(target=time.sleep, args=(60,))
    child.start()
    here = {"host": lease.holder()["host"], "pid": child.pid, "started": lease._start_time(child.pid)}
    drawn(storage, tickets, "theirs", "", **here)
    said: list[str] = []
    answer = _waits(storage, said, timeout=1e9)
    while not said:
        time.sleep(0.01)
    child.kill()
    child.join()
    ticket = answer().ticket
    assert ticket.after == "theirs"
    assert said[0].startswith("waiting: another process runs this study")


@pytest.mark.slow
def test_a_silent_holder_elsewhere_is_replaced_after_the_time_out() -> None:
    """One that beats is waited for, however long; one that does not is gone after the time-out."""
    storage = InMemoryStorage()
    tickets = lease.tickets_of(storage, "s")
    drawn(storage, tickets, "theirs", "")
    last = lease.current(storage, tickets)
    assert last is not None
    answer = _waits(storage, [], timeout=2.0)
    for beats in range(1, 11):
        last_beat = time.monotonic()
        HeldLease(storage, tickets, last).beat(beats)
        time.sleep(0.1)
    ticket = answer().ticket
    assert time.monotonic() - last_beat >= 2.0
    assert ticket.after == "theirs"


def test_time_in_which_the_storage_is_away_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder cannot beat while nobody reaches the storage: its time-out begins anew when it is back."""
    clock = [100.0]
    monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monitor, ticket = HolderMonitor(), lease.Ticket(0, "a", "", {})
    monitor.silence(ticket)
    clock[0] += 7
    assert monitor.silence(ticket) == 7
    monitor.reset()
    assert monitor.silence(ticket) == 0


def test_a_writer_that_slept_writes_nothing_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that was stopped for long finds its lease taken before it writes, and ends; the new holder's study is untouched."""
    url = f"sqlite:///{tmp_path}/study.db"
    slept = StudyWriter.open(url, FINGERPRINT)
    slept.begin(0, {"depth": 1}, DEPTH)
    slept.flush()
    other = StudyWriter.open(url, FINGERPRINT, take_over=True)
    other.previous_trials()
    now = steady_time()
    monkeypatch.setattr(lease, "steady_time", lambda: now + 1000)
    slept.begin(1, {"depth": 2}, DEPTH)
    with pytest.raises(StorageError, match="another process took this study over"):
        slept.close()
    assert [trial.params["depth"] for trial in other.storage.get_all_trials(other.study_id)] == [1]
    other.close()


def write_a_trial(writer: StudyWriter) -> None:
    """Write a trial, as every process that runs the study would."""
    writer.begin(0, {"depth": 1}, DEPTH)
    writer.finish(run_of(0), 0.75, {1: 0.5}, seconds=1.5)
    writer.flush()


@pytest.mark.slow
def test_a_writer_that_was_stopped_before_any_statement(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that is stopped before any statement of a write, and loses its lease meanwhile, changes nothing and says no other reason."""
    later = itertools.count(step=1000)
    monkeypatch.setattr(lease, "steady_time", lambda: float(next(later)))  # each write shows that the writer lives
    told = []
    for statement in range(_statements(tmp_path / "alone.db")):
        file = tmp_path / f"{statement}.db"
        told.append(_stopped_before(statement, file))
        storage = open_storage(f"sqlite:///{file}", read_only=True)
        (trial,) = storage.get_all_trials(storage.get_study_id_from_name(FINGERPRINT.name))
        assert trial.state is TrialState.COMPLETE
        assert trial.values == [0.75]
        with closing(sqlite3.connect(file)) as connection:
            assert (
                connection.execute("PRAGMA foreign_key_check").fetchall() == []
            )  # as of a sign of life after the ticket went
    reasons = [reason for reason in told if reason]
    assert len(reasons) > 5
    assert all("another process took this study over" in reason for reason in reasons), reasons


def _statements(file: Path) -> int:
    """Return in how many statements a trial is written."""
    writer = StudyWriter.open(f"sqlite:///{file}", FINGERPRINT)
    statements: list[object] = []
    with _before_statements(writer, lambda: statements.append(None)):
        write_a_trial(writer)
    writer.close()
    return len(statements)


def _stopped_before(statement: int, file: Path) -> str:
    """Write a trial while another process does so and ends before a statement, if SQLite lets it; return what this one is told."""
    url = f"sqlite:///{file}"
    slept = StudyWriter.open(url, FINGERPRINT)
    statements = itertools.count()

    def take_over() -> None:
        if next(statements) == statement and not is_locked(file):
            other = StudyWriter.open(url, FINGERPRINT, take_over=True)
            write_a_trial(other)
            other.close()

    try:
        with _before_statements(slept, take_over):
            write_a_trial(slept)
        slept.close()
    except StorageError as error:
        return str(error)
    return ""


@contextmanager
def _before_statements(writer: StudyWriter, function: Callable[[], None]) -> Iterator[None]:
    """Call a function before each statement that a writer sends to its database."""
    assert isinstance(writer.storage, RDBStorage)
    arguments = (writer.storage.engine, "before_cursor_execute", lambda *_: function())
    event.listen(*arguments)
    yield
    event.remove(*arguments)


def test_a_writer_beats(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A writer that has nothing to write still shows that it lives."""
    monkeypatch.setattr(lease, "BEAT", 0.05)
    writer = StudyWriter.open(f"sqlite:///{tmp_path}/study.db", FINGERPRINT)
    assert writer.thread.lease is not None
    until = time.monotonic() + 300
    last = None
    while time.monotonic() < until and (last is None or last.beats < 2):
        time.sleep(0.05)
        last = lease.current(writer.storage, writer.thread.lease.tickets)
    assert last is not None
    assert last.beats >= 2
    writer.close()


def test_containers_are_machines_of_their_own() -> None:
    """A process number of another container says nothing here, though host and boot are the same."""
    here = lease.holder()
    assert not lease.alive({**here, "pid": 2**22 + 1})
    assert lease.alive({**here, "pid": 2**22 + 1, "space": "pid:[1]"})
