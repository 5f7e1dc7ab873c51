"""A storage that comes and goes: every call is made until it answers, and nothing is begun or told twice."""

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.storages.journal import JournalStorage
from optuna.trial import TrialState

from hpsearch.errors import StorageError
from hpsearch.storage import failures, lease
from hpsearch.storage.failures import StorageRetry, is_transient, storage_errors
from hpsearch.storage.journals import FileJournal
from hpsearch.storage.opening import close_storage, open_storage
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from hpsearch.storage.writer_thread import WriterThread
from hpsearch.storage.writing import StudyWriter
from tests.support.scripted import Stage
from tests.support.servers import Server, postgres
from tests.support.stored import DEPTH, FINGERPRINT, run_of

RATE = 0.25  # of calls that fail, half of them after the deed


class Flaky:
    """A storage of which calls fail at random but seeded times: before the deed, or after it, when only its answer is lost."""

    def __init__(self, storage: BaseStorage, seed: int, say: Callable[[str], None] = lambda name: None) -> None:
        self.storage, self.random, self.say = storage, random.Random(seed), say  # noqa: S311

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.storage, name)
        return (lambda *given, **named: self._call(name, real, *given, **named)) if callable(real) else real

    def _call(self, name: str, real: Callable[..., Any], *given: Any, **named: Any) -> Any:
        drawn = self.random.random()
        if drawn < RATE / 2:
            self.say(f"before {name}")
            raise ConnectionResetError(104, "Connection reset by peer")
        answer = real(*given, **named)
        if drawn < RATE:
            self.say(f"after {name}")
            raise ConnectionResetError(104, "Connection reset by peer")
        return answer


@contextmanager
def flaky_commits(storage: RDBStorage, seed: int, said: list[str]) -> Iterator[None]:
    """Let a database's commits fail, before or after they are done."""
    draws, real = random.Random(seed), storage.engine.dialect.do_commit  # noqa: S311

    def commit(connection: Any) -> None:
        drawn = draws.random()
        if drawn < RATE / 2:
            said.append("before")
            raise sqlite3.OperationalError("database is locked")
        real(connection)
        if drawn < RATE:
            said.append("after")
            raise sqlite3.OperationalError("database is locked")

    storage.engine.dialect.do_commit = commit  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        storage.engine.dialect.do_commit = real  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a millisecond."""
    monkeypatch.setattr(failures, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(failures, "LONGEST_PAUSE", 0.002)
    monkeypatch.setattr(StorageRetry.__init__, "__defaults__", (60.0, lambda sentence: None))


@pytest.fixture(scope="module")
def unbroken() -> list[tuple[Any, ...]]:
    stage = Stage()
    stage.run(16)
    return stage.trials()


@pytest.mark.parametrize(
    ("kind", "seed"),
    [*(("memory", seed) for seed in range(6)), pytest.param("journal", 6, marks=pytest.mark.slow)],
)
def test_a_flaky_storage(kind: str, seed: int, unbroken: list[Any], tmp_path: Path) -> None:
    """With every fourth call failing, before or after the deed, the study is trial by trial the one of a storage that never fails."""
    said: list[str] = []
    plain = InMemoryStorage() if kind == "memory" else JournalStorage(FileJournal(tmp_path / "study.log"))
    stage = Stage(plain)
    stage.storage = Flaky(plain, seed, said.append)  # type: ignore[assignment]
    stage.run(16)
    stage.storage = plain
    assert stage.trials() == unbroken
    assert {sentence.partition(" ")[0] for sentence in said} == {"before", "after"}


@pytest.mark.parametrize("seed", range(3))
def test_a_flaky_database(seed: int, unbroken: list[Any], tmp_path: Path) -> None:
    """The same with a database whose commits fail, before or after they are done."""
    said: list[str] = []
    storage = open_storage(sqlite_url(tmp_path / "study.db"))
    assert isinstance(storage, RDBStorage)
    stage = Stage(storage)
    with flaky_commits(storage, seed, said):
        stage.run(16)
    assert stage.trials() == unbroken
    assert said.count("after") >= 3
    close_storage(storage)


@pytest.mark.parametrize("seed", range(10))
def test_a_flaky_lease(seed: int) -> None:
    """A lease is taken, shown and given back once, though every fourth call fails; nobody else's ticket is in between."""
    plain = InMemoryStorage()
    storage: Any = Flaky(plain, seed)
    retry = StorageRetry()
    held = retry.call(lambda: lease.acquire(storage, "s", f"token {seed}"))
    for beats in range(1, 6):
        retry.call(lambda: held.beat(beats))  # noqa: B023
    last = lease.current(plain, held.tickets)
    assert last is not None
    assert (last.token, last.beats) == (f"token {seed}", 5)
    retry.call(held.release)
    assert plain.get_all_studies() == []


def test_training_goes_on_while_the_storage_is_away() -> None:
    """What is told meanwhile waits; nobody who tells does."""
    storage = InMemoryStorage()
    writer = StudyWriter(
        WriterThread("memory", storage), storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "s")
    )
    away, real = threading.Event(), storage.create_new_trial
    away.set()

    def create(*given: Any, **named: Any) -> int:
        if away.is_set():
            raise ConnectionRefusedError(111, "Connection refused")
        return real(*given, **named)

    storage.create_new_trial = create  # type: ignore[method-assign]
    before = time.monotonic()
    for number in range(20):
        writer.begin(number, {"depth": 1}, DEPTH)
        writer.finish(run_of(number), 0.75, {1: 0.5}, 1.0, None)
    assert time.monotonic() - before < 30  # the storage is waited for far longer
    assert storage.get_all_trials(writer.study_id) == []
    away.clear()
    writer.close()
    assert [trial.state for trial in storage.get_all_trials(writer.study_id)] == [TrialState.COMPLETE] * 20


def test_the_budget_ends() -> None:
    """A storage that stays away longer than the budget is an error; what was said on the way has the seconds."""
    said: list[str] = []

    def away() -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    retry, before = StorageRetry(0.3, said.append), time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        retry.call(away)
    assert time.monotonic() - before >= 0.3
    assert said[0] == "storage unreachable, retrying (0 s)"


def test_a_wait_is_cut_short() -> None:
    """Setting `deadline` ends a wait at once, as a second Ctrl-C does."""
    retry = StorageRetry(60, lambda sentence: None)
    threading.Timer(0.2, lambda: setattr(retry, "deadline", time.monotonic())).start()
    before = time.monotonic()
    with pytest.raises(ConnectionError):
        retry.call(lambda: _raise(ConnectionResetError()))
    assert time.monotonic() - before < 30


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (ConnectionRefusedError(111, "refused"), True),
        (TimeoutError(), True),
        (OSError(116, "Stale file handle"), True),
        (OSError(28, "No space left on device"), False),
        (PermissionError(13, "Permission denied"), False),
        (ValueError("a mistake of ours"), False),
        (KeyError("no such study"), False),
        (sqlalchemy.exc.OperationalError("", {}, sqlite3.OperationalError("database is locked")), True),
        (sqlalchemy.exc.OperationalError("", {}, sqlite3.OperationalError("database or disk is full")), False),
        (sqlalchemy.exc.OperationalError("", {}, sqlite3.OperationalError("disk I/O error")), False),
        (sqlalchemy.exc.OperationalError("", {}, Exception("the database system is starting up")), True),
        (sqlalchemy.exc.OperationalError("", {}, Exception("password authentication failed for user")), False),
        (sqlalchemy.exc.IntegrityError("", {}, Exception("duplicate key")), False),
        (sqlalchemy.exc.TimeoutError("QueuePool limit"), True),
    ],
    ids=lambda value: str(value)[:40].replace("\n", " "),
)
def test_what_is_waited_for(error: Exception, waits: bool) -> None:
    """A storage that is away or busy is waited for; a full disk, a wrong password and mistakes are told at once."""
    assert is_transient(error) is waits


def test_a_storage_that_is_away_for_the_report_is_waited_for() -> None:
    """A failure that was made one line for the user is still known as the storage's absence, so that the report is written later."""
    answers = iter([sqlalchemy.exc.OperationalError("", {}, Exception("the database system is starting up")), None])

    def read() -> str:
        with storage_errors("postgresql://localhost/studies"):
            if error := next(answers):
                raise error
        return "the study"

    assert StorageRetry(5).call(read) == "the study"


def test_the_errors_of_redis_and_grpc_are_known() -> None:
    """The clients' own errors are told apart: a server that is away from one that refuses."""
    redis, grpc = pytest.importorskip("redis"), pytest.importorskip("grpc")

    class Answer(grpc.RpcError):  # type: ignore[name-defined,misc]
        def __init__(self, code: Any) -> None:
            self.code = lambda: code

    assert is_transient(redis.exceptions.ConnectionError())
    assert is_transient(redis.exceptions.BusyLoadingError())
    assert not is_transient(redis.exceptions.ResponseError())
    assert is_transient(Answer(grpc.StatusCode.UNAVAILABLE))
    assert not is_transient(Answer(grpc.StatusCode.INVALID_ARGUMENT))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg")
    with postgres() as started:
        if started is None:
            pytest.skip("PostgreSQL is not installed")
        yield started


def _write(server: Server, name: str, stop: Callable[[], None], retry: StorageRetry) -> list[str]:
    """Write 40 trials while the server ends and starts in the middle of it; return the states that are stored."""
    writer = StudyWriter.open(server.url, replace(FINGERPRINT, name=name), retry=retry)
    outage = threading.Timer(0.2, stop)
    outage.start()
    for number in range(40):
        writer.begin(number, {"depth": 1 + number % 3}, DEPTH)
        writer.finish(run_of(number), 0.75, {1: 0.5}, 1.0, None)
        time.sleep(0.02)
    outage.join()
    writer.close()
    record = read_study(server.url, name)
    assert [trial.params["depth"] for trial in record.trials] == [1 + number % 3 for number in range(40)]
    return [trial.state for trial in record.trials]


@pytest.mark.slow
def test_postgres_is_restarted(server: Server) -> None:
    """A restart of PostgreSQL in the middle of a study costs nothing: each trial once, each told once."""
    said: list[str] = []

    def restart() -> None:
        server.stop()
        server.start()

    assert _write(server, "restarted", restart, StorageRetry(60, said.append)) == ["complete"] * 40
    assert any("storage unreachable, retrying" in sentence for sentence in said)
    assert any("storage answers again" in sentence for sentence in said)


@pytest.mark.slow
def test_postgres_is_away(server: Server, request: pytest.FixtureRequest) -> None:
    """Nor does an absence of some seconds (with --long of ten)."""
    seconds = 10 if request.config.getoption("--long") else 2

    def stop() -> None:
        server.stop()
        time.sleep(seconds)
        server.start()

    assert _write(server, "away", stop, StorageRetry(60)) == ["complete"] * 40


@pytest.mark.slow
def test_postgres_stays_away(server: Server) -> None:
    """After the budget the study ends with a storage error; once the server is back, the study goes on where it was."""
    gone = replace(FINGERPRINT, name="gone")
    writer = StudyWriter.open(server.url, gone, retry=StorageRetry(0.5, lambda line: None))
    writer.begin(0, {"depth": 1}, DEPTH)
    writer.flush()
    server.stop()
    writer.begin(1, {"depth": 1}, DEPTH)
    with pytest.raises(StorageError, match="Check that it can be reached"):
        writer.close()
    server.start()
    again = StudyWriter.open(server.url, gone)
    assert len(again.previous_trials()) == 1
    again.close()
