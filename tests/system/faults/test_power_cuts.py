"""Power cuts: whatever part of what was written had not reached the disk, a study reads as before a transaction or as after it.

SQLite's order of writes makes the states possible: a transaction writes its rollback journal and waits for the disk, then writes
pages of the database and waits, then deletes the journal. So a power cut leaves the old database with any beginning of the journal, any
mixture of old and new pages with the whole journal, or the new database. A journal file of Optuna's operations may end at any byte.
"""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy
from sqlalchemy import event

from hpsearch.errors import HpsearchError
from hpsearch.storage.opening import close_storage
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from hpsearch.storage.writing import StudyWriter
from tests.support.stored import DEPTH, FINGERPRINT, run_of, write_study

TRIALS = 4
SECTOR = 512  # bytes that a disk writes whole
RESULT = {"trial": 1, "networks": [[1, None]]}


class Transaction(NamedTuple):
    """What a transaction wrote: the database before and after it, and its rollback journal."""

    before: bytes
    after: bytes
    journal: bytes


@contextmanager
def recorded(file: Path, folder: Path) -> Iterator[list[Transaction]]:
    """Record each transaction on a database; a second name keeps a journal that SQLite deletes."""
    transactions: list[Transaction] = []
    journal = file.with_name(f"{file.name}-journal")
    state: dict[str, Any] = {"before": b"", "kept": None}

    def executed(*_: Any) -> None:
        if journal.exists() and state["kept"] is None:
            kept = folder / f"{len(transactions)}.journal"
            os.link(journal, kept)
            state["kept"] = kept

    def keep(*_: Any) -> None:
        if state["kept"] is not None and not journal.exists():
            after = file.read_bytes()
            transactions.append(Transaction(state["before"], after, state["kept"].read_bytes()))
            state.update(before=after, kept=None)

    def next_statement(*_: Any) -> None:
        keep()

    event.listen(sqlalchemy.Engine, "before_cursor_execute", next_statement)
    event.listen(sqlalchemy.Engine, "after_cursor_execute", executed)
    try:
        yield transactions
    finally:
        event.remove(sqlalchemy.Engine, "before_cursor_execute", next_statement)
        event.remove(sqlalchemy.Engine, "after_cursor_execute", executed)
        keep()


def mixed(transaction: Transaction, draw: random.Random) -> bytes:
    """Return a database of which some new pages have reached the disk."""
    size = 4096
    before, after = transaction.before, transaction.after
    starts = range(0, max(len(before), len(after)), size)
    pages = [(after if draw.random() < 0.5 and after[start:] else before)[start : start + size] for start in starts]
    return b"".join(pages)


def cuts(transaction: Transaction, draw: random.Random, count: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield database and journal as power cuts leave them."""
    for _ in range(count):
        yield transaction.before, transaction.journal[: SECTOR * draw.randrange(1 + len(transaction.journal) // SECTOR)]
        yield mixed(transaction, draw), transaction.journal
    yield transaction.after, b""


def trials_of(url: str) -> list[tuple[int, str, float | None]]:
    """Return what a study's trials are, none before there is a study."""
    with suppress(HpsearchError):
        return [(trial.number, trial.state, trial.value) for trial in read_study(url).trials]
    return []


@pytest.mark.slow
def test_a_power_cut_at_every_transaction(tmp_path: Path, long: bool) -> None:
    """After a power cut within any transaction of a small study it reads as before or after it, and goes on; no trial is lost."""
    file = tmp_path / "study.db"
    with recorded(file, tmp_path) as transactions:
        write_study(file, TRIALS, RESULT, complete=True)
    assert len(transactions) > 3 * TRIALS
    draw = random.Random(1)  # noqa: S311
    after = tmp_path / "after.db"
    broken = tmp_path / "broken.db"
    tried = 0
    known: list[tuple[int, str, float | None]] = []
    for transaction in transactions:
        after.write_bytes(transaction.after)
        wanted = trials_of(sqlite_url(after))
        for database, journal in cuts(transaction, draw, 20 if long else 1):
            for left in tmp_path.glob("broken.db*"):
                left.unlink()
            broken.write_bytes(database)
            if journal:
                broken.with_name("broken.db-journal").write_bytes(journal)
            found = trials_of(sqlite_url(broken))
            assert found in (known, wanted), (found, known, wanted)
            assert database != transaction.after or found == wanted
            tried += 1
        _goes_on(broken, wanted)
        known = wanted
    assert [number for number, *_ in known] == list(range(TRIALS))
    print(f"power cuts: {tried} within {len(transactions)} transactions, each read as before or after its transaction")


def _goes_on(file: Path, trials: list[tuple[int, str, float | None]]) -> None:
    """Check that a run finds all trials that had ended, and can write."""
    writer = StudyWriter.open(sqlite_url(file), FINGERPRINT)
    ended = [trial for trial in writer.previous_trials() if trial.run]
    assert len(ended) == len([state for _, state, _ in trials if state == "complete"])
    writer.close()
    close_storage(writer.storage)


@pytest.mark.slow
def test_a_journal_that_ends_at_any_byte(tmp_path: Path, long: bool) -> None:
    """A journal file that ends at any byte of its last kilobyte has the trials that were complete, and a run goes on behind."""
    sound = tmp_path / "sound.log"
    writer = StudyWriter.open(f"journal:///{sound}", FINGERPRINT)
    for number in range(TRIALS):
        writer.begin(number, {"depth": 1 + number % 3}, DEPTH)
        writer.finish(run_of(number), 0.75, {1: 0.5}, seconds=1.5)
    writer.close()
    content = sound.read_bytes()
    wanted = trials_of(f"journal:///{sound}")
    torn = tmp_path / "torn.log"
    url = f"journal:///{torn}"
    tried = 0
    for length in range(len(content) - 1024, len(content), 1 if long else 41):
        torn.write_bytes(content[:length])
        found = trials_of(url)
        lost = [trial for trial, known in zip(found, wanted, strict=False) if trial != known]
        assert all(trial == (found[-1][0], "running", None) for trial in lost), (
            length
        )  # the last one, whose end was not written
        again = StudyWriter.open(url, FINGERPRINT)
        assert len(again.previous_trials()) == len(found), length
        again.close()
        assert trials_of(url) == found, length
        tried += 1
    print(f"torn journals: {tried} ends, each read up to its last whole line and written on")
