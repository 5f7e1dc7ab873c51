"""`report`: one study has one folder, another study's page is never overwritten, and odd paths are paths."""

import shutil
import sqlite3
from pathlib import Path

import optuna
import pytest

import hpsearch
from hpsearch.cli import main
from hpsearch.errors import UserError
from hpsearch.storage.folders import LOCATION_FILE
from hpsearch.storage.opening import close_storage, open_storage
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import local_file, sqlite_url
from hpsearch.storage.writing import StudyWriter
from tests.support.stored import FINGERPRINT

ODD = ("what?", "a?b=c", "no#1", "50%20off", "100%", "two words", "Größe", "{x}", "a&b;c", "'quoted'", "模型")


def study_in(folder: Path, name: str = "s") -> Path:
    """A study of hpsearch's in a folder of its own, without trials."""
    folder.mkdir(parents=True)
    StudyWriter.open(sqlite_url(folder / "study.db"), FINGERPRINT).close()
    (folder / LOCATION_FILE).write_text("study.db", encoding="utf-8")
    return folder / "study.db"


def folders(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


@pytest.mark.parametrize("source", ["reports/s", "./reports/s", "reports/s/", "reports/../reports/s", "s"])
def test_a_study_has_one_folder(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the study's folder is spelled, its page is written into it, and no other folder is made."""
    study_in(tmp_path / "reports" / "s")
    monkeypatch.chdir(tmp_path)
    assert main(["report", source]) == 0
    assert (tmp_path / "reports" / "s" / "report.html").is_file()
    assert folders(tmp_path) == {"reports"}
    assert folders(tmp_path / "reports") == {"s"}


def test_another_studys_page_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study of the same name in another storage is refused with both storages, and nothing is written."""
    study_in(tmp_path / "reports" / "s")
    other = study_in(tmp_path / "other" / "s")
    monkeypatch.chdir(tmp_path)
    assert main(["report", "s"]) == 0
    before = (tmp_path / "reports" / "s" / "report.html").stat().st_mtime_ns
    capsys.readouterr()
    assert main(["report", sqlite_url(other)]) == 2
    error = capsys.readouterr().err
    assert "kept in 'study.db'" in error
    assert str(other) in error
    assert "--reports" in error
    assert (tmp_path / "reports" / "s" / "report.html").stat().st_mtime_ns == before
    assert main(["report", "sqlite:///reports/s/study.db"]) == 0
    assert main(["report", sqlite_url(other), "--reports", "other"]) == 0


def test_two_foreign_studies_of_one_name_are_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder notes whose page it holds, so that a study of the same name elsewhere does not take it; the same one may again."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        optuna.create_study(storage=f"sqlite:///{name}.db", study_name="same")
    assert main(["report", "sqlite:///a.db"]) == 0
    assert main(["report", "sqlite:///b.db"]) == 2
    assert main(["report", "sqlite:///a.db"]) == 0
    assert hpsearch.report(optuna.load_study(study_name="same", storage="sqlite:///a.db")) == Path(
        "reports/same/report.html"
    )
    with pytest.raises(UserError, match="the memory of a program"):
        hpsearch.report(optuna.create_study(study_name="same"))


@pytest.mark.parametrize("odd", ODD)
def test_odd_names_of_folders(odd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `?`, `#` or `%20` in a folder's name is one: the study is written and read there, and no stray file is left."""
    monkeypatch.chdir(tmp_path)
    file = study_in(tmp_path / odd / "s")
    assert folders(tmp_path) == {odd}
    assert local_file(sqlite_url(file)) == file
    assert read_study(sqlite_url(file), "s").name == "s"
    assert main(["report", "s", "--reports", odd]) == 0
    assert main(["report", f"sqlite:///{odd}/s/study.db", "--reports", odd]) == 0
    assert folders(tmp_path) == {odd}
    assert folders(tmp_path / odd) == {"s"}


def test_urls_name_files_in_every_spelling(tmp_path: Path) -> None:
    """A URL may quote a blank, ask for a timeout, or be SQLite's own; a file that is there under the very name goes first."""
    blank = tmp_path / "my study.db"
    blank.touch()
    quoted = tmp_path / "my%2Fstudy.db"
    assert local_file(f"sqlite:///{tmp_path}/my%20study.db") == blank
    assert local_file(f"sqlite:///{blank}?timeout=9") == blank
    assert local_file(f"sqlite:///{blank.as_uri()}?mode=ro&uri=true") == blank
    quoted.touch()
    assert local_file(f"sqlite:///{quoted}") == quoted
    assert local_file(sqlite_url(tmp_path / "new%20?.db")) == tmp_path / "new%20?.db"


def tables(file: Path) -> list[str]:
    with sqlite3.connect(file) as connection:
        return sorted(name for (name,) in connection.execute("SELECT name FROM sqlite_master"))


@pytest.mark.parametrize(
    "made",
    ["CREATE TABLE bookmarks (id)", "CREATE TABLE trials (id, title)", "CREATE TABLE alembic_version (version_num)"],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_another_programs_database_is_left_alone(made: str, read_only: bool, tmp_path: Path) -> None:
    """A SQLite file of another program is refused in one line, whatever its tables are called, and nothing is written into it."""
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute(made)
    before = file.read_bytes()
    with pytest.raises(UserError, match="another program's"):
        open_storage(sqlite_url(file), read_only=read_only)
    assert file.read_bytes() == before
    assert folders(tmp_path) == {"other.db"}


@pytest.mark.parametrize(
    ("version", "advice"), [("v2.6.0.a", "optuna storage upgrade"), ("v99.0.0.a", "install a version")]
)
@pytest.mark.parametrize("read_only", [True, False])
def test_another_version_of_optuna(version: str, advice: str, read_only: bool, tmp_path: Path) -> None:
    """Tables of an earlier or a later Optuna are refused in one line that says what to do, and stay as they are."""
    file = tmp_path / "old.db"
    optuna.create_study(storage=sqlite_url(file), study_name="s")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])
        connection.execute("UPDATE version_info SET library_version = '2.10.1'")
        connection.execute("DROP TABLE trial_heartbeats")
    before = file.read_bytes()
    with pytest.raises(UserError, match=rf"Optuna 2\.10\.1.*{advice}"):
        open_storage(sqlite_url(file), read_only=read_only)
    assert file.read_bytes() == before


def test_an_empty_file_becomes_a_storage(tmp_path: Path) -> None:
    """An empty file, and one with Optuna's tables but no study, are no other program's."""
    file = tmp_path / "new.db"
    file.touch()
    close_storage(open_storage(sqlite_url(file)))
    assert "studies" in tables(file)
    shutil.copy(file, tmp_path / "copy.db")
    close_storage(open_storage(sqlite_url(tmp_path / "copy.db")))


def test_a_study_whose_trials_all_failed_is_reported_as_ended(tmp_path: Path) -> None:
    """Where all trials of a run diverged the page says so, without figures of nothing and without "not finished"."""
    from dataclasses import replace

    from hpsearch.reporting import write_report
    from tests.support.records import study, trials

    lost = tuple(replace(trial, outcome="diverged", value=0.0, state="complete", history=None) for trial in trials(20))
    html = write_report(replace(study(20), trials=lost, result={}), tmp_path).read_text(encoding="utf-8")
    assert "No trial ended with a usable network" in html
    assert "Not finished" not in html
    assert "There is nothing to draw yet" not in html
    assert "All 20 trials ended as “diverged”." in html
