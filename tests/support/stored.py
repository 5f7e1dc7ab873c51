"""A small study as the tests of storages write it: what it is, its one hyperparameter, and runs of its trials."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution

from hpsearch.errors import HpsearchError
from hpsearch.storage import StudyRecord
from hpsearch.storage.fingerprint import Fingerprint
from hpsearch.storage.opening import close_storage
from hpsearch.storage.urls import sqlite_url
from hpsearch.storage.writing import StudyWriter
from hpsearch.trial import History, Outcome, TrainingRun

SETTINGS: dict[str, Any] = {
    "study": {"name": "s", "seed": 0, "question": ""},
    "space": {"depth": {"low": 1, "high": 3}},
    "search": {"trials": 4},
}
DATA: dict[str, Any] = {"name": "digits", "hash": "abc", "rows": {"training": 10}}
FINGERPRINT = Fingerprint("s", ("maximize",), SETTINGS, DATA)
DEPTH: dict[str, BaseDistribution] = {"depth": optuna.distributions.IntDistribution(1, 3)}


def run_of(number: int, outcome: Outcome = Outcome.FINISHED) -> TrainingRun:
    """A run of two evaluations."""
    history = History((1, 2), (5, 10), (50, 100), (0.1, 0.2), (0.9, 0.5), (0.8, 0.6), (0.5, 0.75))
    if outcome.failed:
        return TrainingRun(number, outcome, history, detail="diverged at update 7 (loss = nan)", parameters=9)
    return TrainingRun(number, outcome, history, 2, 0.75, 0.6, "", 9, {})


def write_study(file: Path, trials: int, result: Mapping[str, Any], *, complete: bool = False) -> Path:
    """Write a study of so many finished trials with a result, and return its SQLite file."""
    writer = StudyWriter.open(sqlite_url(file), FINGERPRINT)
    for number in range(trials):
        writer.begin(number, {"depth": 1 + number % 3}, DEPTH)
        writer.finish(run_of(number), 0.75, {1: 0.5}, seconds=1.5)
    writer.write_attribute("result", result)
    writer.complete = complete
    writer.close()
    return file


def plain(record: StudyRecord) -> dict[str, Any]:
    """Return all that a report reads, but when it was read and when trials started."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return values | {"as_of": "", "trials": [replace(trial, started=None) for trial in record.trials]}


def reopened(file: Path) -> list[Any]:
    """Return what a run reads that goes on."""
    writer = StudyWriter.open(sqlite_url(file), FINGERPRINT)
    try:
        return [(t.params, t.state, t.values, t.rungs, t.run) for t in writer.previous_trials()]
    finally:
        with suppress(HpsearchError):
            writer.close()
        close_storage(writer.storage)


def long_run(number: int, evaluations: int) -> TrainingRun:
    """A run of so many evaluations."""
    steps = range(1, evaluations + 1)
    curve = tuple(1 - 1 / step for step in steps)
    history = History(*(tuple(steps) for _ in range(3)), *(curve for _ in range(4)))
    return TrainingRun(number, Outcome.FINISHED, history, evaluations, curve[-1], curve[-1], "", 9, {})


def is_locked(file: Path) -> bool:
    """Tell whether a process reads or writes a SQLite file just now."""
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return True
        connection.execute("ROLLBACK")
        return False
