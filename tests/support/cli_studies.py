"""A study that the command line runs, in a folder of a test's own, and what is compared of its trials."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from hpsearch.errors import UserError
from hpsearch.model import load_model
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from tests.support.forked import ForkServer, wait_until

TRIALS = 12
STUDY = f"""
[data]
name = "iris"
[space]
depth = {{ low = 0, high = 2 }}
width = [4, 8]
learning_rate = {{ low = 1e-3, high = 1e-1, log = true }}
batch_size = [16, "full"]
[training]
epochs = 4
[search]
trials = {TRIALS}
[confirm]
trials = 2
seeds = 2
"""
COMPARISON = """
[data]
name = "iris"
[space]
depth = 1
width = 8
learning_rate = { low = 0.01, high = 1.0, log = true }
[training]
epochs = 6
[compare]
batch_sizes = [1, 16, "full"]
trials = 3
seeds = 2
measured = 1
target = 0.6
"""
LONG_STUDY = STUDY.replace("epochs = 4", "epochs = 3000\nevaluations = 100")  # some seconds of training


class CliStudy:
    """A study's file and folder, and the command that runs it."""

    def __init__(
        self,
        folder: Path,
        text: str = STUDY,
        *options: str,
        name: str = "flowers",
        storage: str | None = None,
        devices: str = "--device=cpu",
        verb: str = "run",
    ) -> None:
        self.name = name
        self.reports = folder / "out"
        self.folder = self.reports / name
        self.url = storage or sqlite_url(self.folder / "study.db")
        file = folder / "flowers.toml"
        file.write_text(text)
        self.command = [verb, str(file), "--reports", str(self.reports), devices, *options]
        if name != "flowers":
            self.command += ["--name", name]
        if storage:
            self.command += ["--storage", storage]

    def record(self) -> StudyRecord:
        """Read what the storage has."""
        return read_study(self.url, self.name)

    def ended_trials(self) -> list[TrialRecord]:
        """Return the trials that have ended by now; none before there is a study."""
        try:
            return [trial for trial in self.record().trials if trial.state != "running"]
        except UserError:  # not made yet
            return []

    def wait_for_trials(self, count: int) -> None:
        """Wait until so many trials have ended."""
        wait_until(lambda: len(self.ended_trials()) >= count)


class Uninterrupted(NamedTuple):
    """A study that nothing broke: its trials, how long it took, and its files."""

    trials: list[TrialRecord]
    seconds: float
    study: CliStudy


def timeless(trial: TrialRecord) -> TrialRecord:
    """Return a trial without its times, which differ between two runs."""
    history = trial.history and replace(trial.history, seconds=())
    return replace(trial, started=None, seconds=None, history=history)


def comparable(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return trials as two runs of one study must have them."""
    return [timeless(trial) for trial in trials]


def is_clean(output: str) -> bool:
    """Tell whether no traceback was printed."""
    return "Traceback" not in output and "Error:" not in output


def assert_unchanged(before: list[TrialRecord], after: list[TrialRecord]) -> None:
    """Check that every trial that had ended is still there as it was."""
    trials = {trial.number: trial for trial in comparable(after)}
    for trial in comparable(before):
        assert trials.get(trial.number) == trial


def assert_finished(study: CliStudy, trials: list[TrialRecord]) -> None:
    """Check that a study has these trials, a result, a network and a page, and that nothing runs."""
    record = study.record()
    assert [trial.state for trial in record.trials] == ["complete"] * TRIALS
    assert comparable(record.trials) == trials
    assert len(record.result["networks"]) == 1
    load_model(study.folder)
    assert (study.folder / "report.html").stat().st_size > 10_000


def assert_resumes(server: ForkServer, study: CliStudy, trials: list[TrialRecord]) -> None:
    """Run a study's command to its end and check that it ends with these trials."""
    before = study.ended_trials()
    status, output = server.run(*study.command)
    assert (status, is_clean(output)) == (0, True), output
    assert_unchanged(before, study.ended_trials())
    assert_finished(study, trials)
