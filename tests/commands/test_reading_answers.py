"""A study whose file is now a question (a decimal mark, an encoding, dates) goes on with the answer that gives its rows, and no other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpsearch.cli import main
from hpsearch.errors import UserError
from hpsearch.storage.attributes import PREFIX, with_checksum
from hpsearch.storage.fingerprint import Fingerprint
from hpsearch.storage.opening import open_storage
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from hpsearch.storage.writing import StudyWriter

FAST = ("--trials", "2", "--set", "training.epochs=2", "--set", "confirm.trials=0", "--set", "data.validation=0.2")
DAYS = [f"{1 + row % 12:02}/{1 + 5 * row % 12:02}/2020" for row in range(60)]


def numbers_file(file: Path) -> None:
    rows = [f"{1 + row % 9}.{100 + 7 * row};{'uvw'[row % 3]};{1 + row % 7}.{200 + 3 * row}" for row in range(60)]
    file.write_text("\n".join(["a;b;y", *rows]))


def letters_file(file: Path) -> None:
    rows = [f"{row % 7},{'иван' if row % 2 else 'анна'},{row}" for row in range(60)]
    file.write_bytes("\n".join(["a,b,y", *rows]).encode("cp1251"))


def dates_file(file: Path) -> None:
    file.write_text("\n".join(["a,day,y", *(f"{row % 7},{day},{row}" for row, day in enumerate(DAYS))]))


# What makes the file, options of every run, the answer that reads the study's rows, another one, what is asked, what the other is told.
QUESTIONS: dict[str, tuple[Callable[[Path], None], list[str], list[str], list[str], str, str]] = {
    "decimal": (
        *(numbers_file, [], ["--decimal", "."], ["--decimal", ","]),
        *(
            "may be a decimal mark or separate thousands",
            "with data.decimal = ',' the file does not hold the study's rows",
        ),
    ),
    "encoding": (
        *(letters_file, [], ["--encoding", "cp1252"], ["--encoding", "cp1251"]),
        *("its bytes fit several encodings", "with data.encoding = 'cp1251' the file does not hold the study's rows"),
    ),
    "dates": (
        *(dates_file, ["--set", "data.time=day"], ["--set", "data.columns.day=date:%d/%m/%Y"]),
        *(["--set", "data.columns.day=date:%m/%d/%Y"], "both fit", "the data changed since the study began"),
    ),
}


@pytest.fixture(params=QUESTIONS)
def question(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def older(question: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return the command on a study that an earlier version recorded, which read the file without a question."""
    make, options, answer, *_ = QUESTIONS[question]
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "t.csv")
    ran = ["run", "--data", "t.csv", "--target", "y", *FAST, *options]
    assert main([*ran, *answer]) == 0
    url = sqlite_url(tmp_path / "reports/t/study.db")
    storage = open_storage(url)
    settings: dict[str, Any] = dict(read_study(url).settings)
    settings["data"] = {
        key: value for key, value in settings["data"].items() if key not in ("decimal", "encoding", "columns")
    }
    study_id = storage.get_study_id_from_name("t")
    storage.set_study_user_attr(study_id, f"{PREFIX}settings", with_checksum(settings, "settings"))
    return lambda command, *more: main([*(ran if command == "run" else [command, "t"]), *more])


@pytest.mark.slow
def test_the_answer_that_gives_the_rows_goes_on(
    question: str, older: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """`run`, `refit`, `verify` and `replay` ask, refuse the answer that gives other rows, and go on with the one that gives the same."""
    *_, answer, other, asked, refused = QUESTIONS[question]
    commands: list[list[str]] = [["refit"], ["verify", "--trials", "1"], ["replay", "0"], ["run"]]
    for command in commands:
        capsys.readouterr()
        assert older(*command) == 2
        assert asked in capsys.readouterr().err
        assert older(*command, *other) == 2
        error = capsys.readouterr().err
        assert (refused if command == ["run"] else "the data changed since the study began") in error
        assert error.count("\n") == 1
        assert older(*command, *answer) == 0
    assert older("refit") == 0  # `run` wrote the answer down
    assert older("predict", "t.csv") == 0


@pytest.mark.slow
def test_other_settings_are_the_studys(older: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """`refit` takes no setting that would make another study."""
    assert older("refit", "--set", "training.epochs=9") == 2
    assert "refit takes data.columns.NAME=KIND alone" in capsys.readouterr().err


def columns_of(kind: str, note: str) -> dict[str, Any]:
    return {"hash": "h", "columns": [{"name": "day", "kind": kind, "inputs": 5, "note": note}]}


def test_a_format_of_dates_is_the_one_that_was_found(tmp_path: Path) -> None:
    """Dates that were read day first, which a notice said, are not read month first in the same study, though the cells are equal."""
    url = sqlite_url(tmp_path / "study.db")
    settings: dict[str, Any] = {"data": {"file": "t.csv"}}
    found = columns_of("date", "read as %d/%m/%Y, %m/%d/%Y would fit too (--set data.columns.day=date:%m/%d/%Y)")
    StudyWriter.open(url, Fingerprint("s", ("maximize",), settings, found)).close()
    for form, goes_on in (("%m/%d/%Y", False), ("%d/%m/%Y", True)):
        asked = Fingerprint(
            "s", ("maximize",), {"data": {"file": "t.csv", "columns": {"day": f"date:{form}"}}}, columns_of("date", "")
        )
        if goes_on:
            StudyWriter.open(url, asked).close()
            continue
        with pytest.raises(UserError, match=r"Give --set data\.columns\.day=date:%d/%m/%Y to go on"):
            StudyWriter.open(url, asked)


def test_an_answer_with_other_settings_is_a_difference(tmp_path: Path) -> None:
    """An answer that gives the same rows does not hide another setting, and a mark that was given stays as it was."""
    url = sqlite_url(tmp_path / "study.db")
    data = {"hash": "h"}
    given: dict[str, Any] = {"data": {"file": "t.csv"}, "study": {"seed": 0}}
    StudyWriter.open(url, Fingerprint("s", ("maximize",), given, data)).close()
    answered = {"data": {"file": "t.csv", "decimal": "."}, "study": {"seed": 1}}
    with pytest.raises(UserError, match=r"differs: study\.seed was 0, now 1\. Give"):
        StudyWriter.open(url, Fingerprint("s", ("maximize",), answered, data))
    StudyWriter.open(url, Fingerprint("s", ("maximize",), {**answered, "study": {"seed": 0}}, data)).close()
    other = {"data": {"file": "t.csv", "decimal": ","}, "study": {"seed": 0}}
    with pytest.raises(UserError, match=r"differs: data\.decimal was '\.', now ','"):
        StudyWriter.open(url, Fingerprint("s", ("maximize",), other, data))
