"""Studies that landed versions of this project recorded, as its history has them, open, go on and are reported."""

import shutil
import subprocess
from pathlib import Path

import pytest

from hpsearch.cli import main
from hpsearch.storage.fingerprint import Fingerprint
from hpsearch.storage.opening import close_storage
from hpsearch.storage.reading import read
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.urls import sqlite_url
from hpsearch.storage.writing import StudyWriter
from tests.support.pages import ROOT


def git(*arguments: str) -> bytes:
    """Return what git prints, nothing where there is no history."""
    if shutil.which("git") is None:
        return b""
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False).stdout


def recorded_studies() -> list[str]:
    """Return git's names of all SQLite studies that the project's history has."""
    lines = git("log", "--format=", "--raw", "--no-abbrev", "--", "reports/*.db").decode().splitlines()
    return sorted({line.split()[3] for line in lines if line.split()[4] != "D"})


@pytest.mark.slow
def test_studies_of_earlier_versions(tmp_path: Path, long: bool) -> None:
    """Every recorded study opens, a run of it finds each trial, and its report is made; the short form takes the oldest and the newest."""
    names = recorded_studies()
    if len(names) < 2:
        pytest.skip("the history of the project is not here")
    if not long:
        dates = {name: git("log", "-1", f"--find-object={name}", "--format=%ct") for name in names}
        ordered = sorted(names, key=lambda name: int(dates[name]))
        names = [ordered[0], ordered[-1]]
    for name in names:
        file = tmp_path / f"{name}.db"
        file.write_bytes(git("cat-file", "blob", name))
        url = sqlite_url(file)
        record = read(url)
        assert main(["report", url, "--study", record.name, "--reports", str(tmp_path / name)]) == 0
        if isinstance(record, StudyRecord):
            goes_on(url, record)
    print(f"studies of earlier versions: {len(names)} opened and reported")


def goes_on(url: str, record: StudyRecord) -> None:
    """Check that a run with the recorded settings and data finds each trial as it was."""
    fingerprint = Fingerprint(record.name, (record.direction,), record.settings, record.data)
    writer = StudyWriter.open(url, fingerprint)
    params = [dict(trial.params) for trial in writer.previous_trials()]
    writer.close()
    close_storage(writer.storage)
    assert params == [dict(trial.params) for trial in record.trials]
