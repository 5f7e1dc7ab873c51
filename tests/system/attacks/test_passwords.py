"""A storage's password is seen nowhere: not on a screen, in a traceback, on a page, in a table, in a model or in the storage."""

import json
from pathlib import Path

import pytest

from hpsearch.cli import main
from hpsearch.errors import masked
from tests.support.attacks import MemoryJournal

Capture = pytest.CaptureFixture[str]
PASSWORD = "k4n4ry"  # noqa: S105 - it guards nothing, and occurs nowhere else
URLS = {
    "postgresql://u:{}@h/db": "postgresql://u:***@h/db",
    "postgresql+psycopg://u:a/{}@h:5432/db": "postgresql+psycopg://u:***@h:5432/db",
    "postgresql://u:a@{}@h/db": "postgresql://u:***@h/db",
    "postgresql://u:a {}@h/db": "postgresql://u:***@h/db",
    "redis://:{}@h:6379/0": "redis://:***@h:6379/0",
    "postgresql://h/db?user=u&password={}&sslmode=require": "postgresql://h/db?user=u&password=***&sslmode=require",
    "postgresql://h/db?sslpassword={}": "postgresql://h/db?sslpassword=***",
    "mssql+pyodbc:///?odbc_connect=UID%3Du%3BPWD%3D{}%3BX%3D1": "mssql+pyodbc:///?odbc_connect=UID%3Du%3BPWD%3D***%3BX%3D1",
    "mysql://h/db?passwd={}": "mysql://h/db?passwd=***",
    "postgresql://h:5432/db": "postgresql://h:5432/db",
    "sqlite:////home/a@b/c.db": "sqlite:////home/a@b/c.db",
}


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_shown_without_its_password(url: str) -> None:
    """Whatever a password holds and wherever it stands, `***` takes its place, and nothing else is changed."""
    assert masked(url.format(PASSWORD)) == URLS[url]


def files_with_password(folder: Path) -> list[str]:
    """Return the files that have the password in their content or name."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [str(file) for file in files if PASSWORD in file.name or PASSWORD.encode() in file.read_bytes()]


@pytest.mark.slow
def test_a_password_is_nowhere(journal: type[MemoryJournal], study_folder: Path, capsys: Capture) -> None:
    """A complete study on a server with a password, then its report: no screen, file or storage has the password."""
    url = f"redis://user:{PASSWORD}@127.0.0.1:1/0"
    run = ["run", "my.toml", "--storage", url, "--name", "mine", "--device", "cpu", "-v"]
    assert main(run) == 0
    assert main(["report", url, "--study", "mine"]) == 0
    assert main(["report", url, "--study", "another"]) == 2
    assert main([*run, "--sampler", "random"]) == 2
    screen = capsys.readouterr()
    assert PASSWORD not in screen.out + screen.err
    assert PASSWORD not in json.dumps(journal.logs)
    assert files_with_password(study_folder) == []
    assert (study_folder / "reports/mine/storage.txt").read_text() == "redis://user:***@127.0.0.1:1/0"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{PASSWORD}@127.0.0.1:1/x",
        f"postgresql://127.0.0.1:1/x?user=u&password={PASSWORD}",
        f"redis://:{PASSWORD}@127.0.0.1:1/0",
    ],
    ids=["PostgreSQL", "PostgreSQL's query", "Redis"],
)
@pytest.mark.parametrize(
    "command", ["run my.toml --debug --storage {}", "report {}", "run my.toml --storage={} --frob", "dashboard {}"]
)
def test_errors_show_no_password(url: str, command: str, study_folder: Path, capsys: Capture) -> None:
    """An unreachable server or an unknown option is reported without the password, with --debug in the traceback too."""
    assert main(command.format(url).split()) in (2, 3)
    screen = capsys.readouterr()
    assert screen.err
    assert PASSWORD not in screen.out + screen.err
    assert files_with_password(study_folder) == []


def test_the_command_to_resume_shows_no_password(
    journal: type[MemoryJournal], study_folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted run says how to go on, without the password of its storage."""

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hpsearch.searching.study.run_study", interrupt)
    assert main(["run", "my.toml", "--storage", f"redis://user:{PASSWORD}@127.0.0.1:1/0"]) == 130
    screen = capsys.readouterr()
    assert "to go on: python -m hpsearch run my.toml --storage 'redis://user:***@127.0.0.1:1/0'" in screen.err
    assert PASSWORD not in screen.out + screen.err
