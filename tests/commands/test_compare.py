"""The command line of comparisons: compare, report, and what is refused in one line."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from hpsearch.cli import main
from hpsearch.comparison.analysis.verdicts import CLAIMS
from hpsearch.locales import sentences
from hpsearch.storage import ComparisonRecord
from hpsearch.storage.reading import read
from hpsearch.storage.urls import sqlite_url
from tests.support.escape_sizes import quick

TINY = ("--trials", "2", "--seeds", "2", "--set", "training.epochs=2", "--set", "compare.measured=1", "--device", "cpu")
THREE = ("--batch-sizes", "1, 16,full", "--target", "0.5")


def compare(reports: Path, *more: str) -> list[str]:
    return ["compare", "iris", "--reports", str(reports), *TINY, *more]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A tiny comparison that was run once: its reports' folder, and the lines that it printed."""
    reports = tmp_path_factory.mktemp("reports")
    with redirect_stdout(io.StringIO()) as screen:
        assert main(compare(reports, *THREE)) == 0
    return reports, screen.getvalue().splitlines()


def undated(page: Path) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "DATE", page.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_compare_prints_its_stages_and_verdicts(compared: tuple[Path, list[str]]) -> None:
    """Plain lines: what is compared, each stage up to its end, each line once, the seven verdicts, and where the report is."""
    reports, lines = compared
    assert "compare    batch sizes 1, 16, 106 (full); sgd; target accuracy 0.5" in lines
    stages = (
        "tuning: 6/6",
        "training the winners on fresh seeds",
        "measuring runs update by update",
        "comparing paths: 1/1",
    )
    places = [max(i for i, line in enumerate(lines) if line.startswith(stage)) for stage in stages]
    assert places == sorted(places)
    assert len(lines) == len(set(lines))
    texts = sentences("en")
    judged = [text for key, text in texts.items() if key.startswith("judgement.")]
    end = next(place for place, line in enumerate(lines) if line.startswith("report "))
    for claim, line in zip(CLAIMS, lines[end - len(CLAIMS) : end], strict=True):
        judgement, told = re.split(r"  +", line)
        assert judgement in judged
        assert told == texts[f"claim.{claim}"]
    assert lines[end] == f"report     {reports}/compare-iris/report.html"
    assert lines[-1].startswith("next       python -m hpsearch open compare-iris")


def test_everything_is_kept(compared: tuple[Path, list[str]]) -> None:
    """The storage has three arms with their trials and seeds, under the settings that were asked for."""
    record = read(sqlite_url(compared[0] / "compare-iris/study.db"))
    assert isinstance(record, ComparisonRecord)
    assert [(arm.batch_size, len(arm.trials)) for arm in record.arms] == [(1, 2), (16, 2), (record.rows, 2)]
    assert all(len(arm.best.runs) == 2 for arm in record.arms if arm.best)
    assert record.target == 0.5
    assert record.settings["training"]["epochs"] == 2


@pytest.mark.slow
def test_report_is_the_same_again(compared: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    """`report NAME` makes page and tables from the storage alone, the same ones but for the date; --lang another page beside it."""
    folder = compared[0] / "compare-iris"
    before, tables = undated(folder / "report.html"), sorted((folder / "tables").iterdir())
    contents = [table.read_bytes() for table in tables]
    for file in (folder / "report.html", *tables):
        file.unlink()
    assert main(["report", "compare-iris", "--reports", str(compared[0])]) == 0
    assert undated(folder / "report.html") == before
    assert [table.read_bytes() for table in sorted((folder / "tables").iterdir())] == contents
    assert main(["report", "compare-iris", "--reports", str(compared[0]), "--lang", "ko"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"보고서 {folder}/report.ko.html"
    assert '<html lang="ko">' in undated(folder / "report.ko.html")
    assert undated(folder / "report.html") == before


def test_another_target_is_another_comparison(
    compared: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Under the same name another target is refused with the difference, before anything is printed or written."""
    folder = compared[0] / "compare-iris"
    before = (folder / "study.db").read_bytes()
    assert main(compare(compared[0], "--batch-sizes", "1,16,full", "--target", "0.7")) == 2
    screen = capsys.readouterr()
    assert screen.err.splitlines() == [
        "error: study 'compare-iris' exists and differs: compare.target was 0.5, now 0.7. "
        "Give it another name (--name) or the old settings."
    ]
    assert screen.out == ""
    assert (folder / "study.db").read_bytes() == before


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("report compare-iris --lang xx", "unknown language 'xx'. Known: en, ko."),
        ("compare wine --lang xx", "unknown language 'xx'. Known: en, ko."),
        ("verify compare-iris", "'compare-iris' is a comparison, whose parts have no trials to verify"),
        ("run compare-digits", "a comparison (it has a table [compare]). Run it with: python -m hpsearch compare"),
        ("compare nosuch", "nothing to compare is called 'nosuch': no file, study or data set. Known:"),
        ("compare iriss", "Did you mean 'iris'?"),
        ("compare iris --batch-sizes 0", "command line: compare.batch_sizes[0] is 0; expected a whole number ≥ 1"),
        ("compare iris --batch-sizes=", "command line: compare.batch_sizes[0] is ''; expected a whole number ≥ 1"),
        (
            "compare iris --batch-sizes 1,,full",
            "command line: compare.batch_sizes[1] is ''; expected a whole number ≥ 1",
        ),
        ("compare iris --target high", "command line: compare.target is 'high'; expected a number"),
        ("compare iris --target nan", "command line: compare.target is nan; expected a number"),
        ("compare iris --trials 1", "command line: compare.trials is 1; expected a whole number ≥ 2"),
        ("compare iris --seeds 1", "command line: compare.seeds is 1; expected a whole number ≥ 2"),
    ],
)
def test_what_cannot_be_is_one_line(
    compared: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str], line: str, told: str
) -> None:
    """Status 2 and a single line that says what was given and what to do; nothing is trained, nothing is written."""
    before = sorted(compared[0].rglob("*"))
    assert main([*line.split(), "--reports", str(compared[0])]) == 2
    screen = capsys.readouterr()
    (error,) = screen.err.splitlines()
    assert error.startswith("error: ")
    assert told in error
    assert screen.out == ""
    assert sorted(compared[0].rglob("*")) == before


@pytest.mark.slow
def test_batch_sizes_that_are_not_given_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a list the regimes that come along are compared, and the screen names them; a budget without an end is chosen."""
    assert main(compare(tmp_path, "--set", "compare.measured=0")) == 0
    assert "compare    batch sizes 1, 8, 64, 106 (full); sgd; target: chosen after tuning" in capsys.readouterr().out
    record = read(sqlite_url(tmp_path / "compare-iris/study.db"))
    assert isinstance(record, ComparisonRecord)
    assert [arm.batch_size for arm in record.arms] == [1, 8, 64, record.rows]
    assert not record.target_given


@pytest.mark.slow
def test_compare_minima(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The escape tests alone, on small grids: their stages, the verdicts in the language asked for, a page, and nothing trained twice."""
    asked = []

    def small(seeds: int, starts: int) -> object:
        asked.append((seeds, starts))
        return quick()

    monkeypatch.setattr("hpsearch.comparison.study.sized", small)
    more = ("--reports", str(tmp_path), "--set", "minima.seeds=10", "--set", "minima.starts=10")
    assert main(["compare", "minima", *more]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0] == "compare    escape tests: 10 runs in each cell, 10 networks"
    for number in range(1, 5):
        found = re.findall(rf"testing the escape from minima, test {number} of 4: (\d+)/(\d+)", out)
        assert any(done == total for done, total in found)
    assert f"report     {tmp_path}/minima/report.html" in lines
    assert lines[-1].startswith("next       python -m hpsearch open minima --reports ")
    page = undated(tmp_path / "minima/report.html")
    assert page.count('id="figure-escape_') == 5
    assert "10 runs in each cell of the one-dimensional tests; 10 networks" in page
    assert "looked at after 100, 200 updates" in page
    assert main(["compare", "minima", *more, "--lang", "ko"]) == 0
    assert set(asked) == {(10, 10)}
    assert "testing the escape" not in (again := capsys.readouterr().out), "what is kept is not run again"
    claim = sentences("ko")["claim.escapes"]
    assert any(line.endswith(claim) and "  " in line for line in again.splitlines())
    assert main(["compare", "minima", *more, "--set", "minima.starts=20"]) == 0, "sizes may change"
    assert asked[-1] == (10, 20)


def test_a_comparison_that_failed_has_its_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no learning rate works the status is 4, in one line, and the page says how every run ended."""
    rates = ("--set", "learning_rate.low=1e30", "--set", "learning_rate.high=1e38", "--set", "activation=relu")
    line = ["compare", "iris", "--reports", str(tmp_path), "--trials", "2", "--batch-sizes", "16,full", *rates]
    assert main(line) == 4
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert "diverged" in (tmp_path / "compare-iris" / "report.html").read_text(encoding="utf-8")
