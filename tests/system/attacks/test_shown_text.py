"""Text of strangers stays text where it is shown: no markup on pages, no formula in tables, no escape sequence on a terminal."""

import csv
from dataclasses import replace
from io import BytesIO, StringIO
from itertools import chain
from pathlib import Path

import optuna
import pytest

from hpsearch.cli import main
from hpsearch.comparison.page import write_comparison
from hpsearch.data.predictions_csv import write_predictions
from hpsearch.reporting import notebook, write_report
from hpsearch.storage import StudyRecord
from hpsearch.storage.urls import sqlite_url
from tests.comparison.test_page import hostile
from tests.support.records import study

SCRIPT = "</script><script>window.pwned=1</script><a href='javascript:pwn()'>x</a>"
ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202eevil"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def named(evil: str) -> StudyRecord:
    """Return a study whose name, question, parameter, category, class, column, cell and error are all the same text."""
    record = study(24)
    trials = [replace(t, params={**t.params, evil: evil, "activation": evil}, detail=evil) for t in record.trials]
    data = {**record.data, "title": evil, "classes": [evil] * 10, "notices": [evil], "source": evil, "reading": [evil]}
    data["columns"] = [{"name": evil, "kind": evil, "inputs": 1, "note": evil}]
    settings = {**record.settings, "study": {"name": evil, "question": evil, "seed": 1}}
    return replace(record, name=evil, trials=tuple(trials), data=data, settings=settings)


@pytest.mark.slow
def test_pages_hold_no_markup_of_strangers(tmp_path: Path) -> None:
    """The report has a policy that lets nothing in, and neither it nor a notebook's fragment has an element of the data's."""
    html = write_report(named(SCRIPT), tmp_path).read_text()
    outside_scripts = "".join(part.partition("</script>")[2] for part in html.split("<script"))
    assert html.count("Content-Security-Policy") == 1
    assert "default-src 'none'" in html
    for page in (outside_scripts, notebook.fragment(named(SCRIPT))):
        assert "<a href='javascript" not in page
        assert "window.pwned" not in page.replace("&lt;script&gt;window.pwned=1&lt;/script&gt;", "")
        assert "<script>window" not in page


def is_number(cell: str) -> bool:
    """Tell whether a cell has digits, signs, a point and an exponent alone."""
    return cell.translate(str.maketrans("", "", ".e-+")).isdigit()


@pytest.mark.slow
@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1x", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"])
def test_cells_are_no_formulas(evil: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cell of text in any table of a study or a comparison begins as a spreadsheet's formula does."""
    for room in ("hpsearch.reporting", "hpsearch.comparison.page"):
        monkeypatch.setattr(f"{room}.page", lambda *arguments, **options: "")  # drawing takes most of the time
    write_report(named(evil), tmp_path)
    write_comparison(hostile(evil), tmp_path / "compared")
    files = [*tmp_path.rglob("*.csv")]
    assert len(files) > 15
    for file in files:
        with file.open(newline="") as stream:
            cells = chain.from_iterable(csv.reader(stream))
            formulas = [cell for cell in cells if cell.startswith(FORMULA_STARTS)]
        assert all(is_number(cell) for cell in formulas), (file.name, formulas)


def test_labels_in_predictions_are_no_formulas() -> None:
    """The header of a file of predictions has a class's label in one cell, whatever is in the label."""
    with BytesIO() as file:
        assert list(write_predictions(file, ["=1+1", "a\r=cmd"], ["'=1+1", "b"], 2, [], {})) == []
        header = next(csv.reader(StringIO(file.getvalue().decode(), newline="")))
    assert header == ["prediction", "probability_=1+1", "probability_a\n=cmd"]


def test_a_terminal_is_not_driven(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences in names of studies and files are spelled out on standard output and in errors."""
    url = sqlite_url(tmp_path / "x.db")
    optuna.create_study(study_name=ESCAPES, storage=url)
    for command in (
        ["report", url],
        ["report", url, "--study", ESCAPES],
        ["run", ESCAPES],
        ["run", "--data", ESCAPES],
        ["predict", ESCAPES, ESCAPES],
    ):
        status = main(command)
        assert status != 0 or command[0] == "report"  # the page of any study is written
        screen = capsys.readouterr()
        assert all(line.isprintable() for line in (screen.out + screen.err).splitlines())
        assert "\\x1b" in screen.err or command[0] in ("predict", "report")  # which name the study's folder
