"""`list`, `show` and `open`: what there is, what a study found, and its page in the browser."""

import io
import os
import shlex
import webbrowser
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from rich.cells import cell_len
from rich.console import Console

from hpsearch.cli import main, parser
from hpsearch.commands.options import REPORTS
from hpsearch.commands.recorded import folder_words
from hpsearch.locales import LANGUAGES, Texts
from hpsearch.reporting.overview import show_next, show_study, state
from hpsearch.reporting.regimes import regimes
from hpsearch.reporting.screen import Screen
from hpsearch.storage import StudyRecord
from hpsearch.storage.records import StoredStudy
from tests.support.comparisons import comparison
from tests.support.records import study

QUICK = [
    "--trials",
    "2",
    "--set",
    "training.epochs=2",
    "--set",
    "confirm.trials=0",
    "--engine",
    "reference",
    "--device",
    "cpu",
]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a finished study, one whose storage is damaged, one that is kept elsewhere, and a report alone."""
    folder = tmp_path_factory.mktemp("reports")
    assert main(["run", "iris", "--reports", str(folder), *QUICK]) == 0
    for name, file, text in (
        ("broken", "study.db", "no database"),
        ("elsewhere", "storage.txt", "postgresql://me@host/db"),
        ("shipped", "storage.txt", "study.db"),
    ):
        (folder / name).mkdir()
        (folder / name / file).write_text(text)
    return folder


def screen_of(width: int, language: str = "en") -> tuple[Screen, io.StringIO]:
    """Return a screen on a terminal of so many columns, and what it prints."""
    printed = io.StringIO()
    screen = Screen("", Texts(language))
    screen.console = Console(
        highlight=False, markup=False, soft_wrap=True, width=width, file=printed, force_terminal=True, color_system=None
    )
    return screen, printed


def shown_study(record: StudyRecord, width: int, language: str = "en") -> list[str]:
    """Return the lines of `show` on a terminal of so many columns."""
    screen, printed = screen_of(width, language)
    show_study(screen, StoredStudy(record, running=False, ended=0.0))
    return printed.getvalue().splitlines()


def test_a_run_ends_with_what_to_type_next(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last lines of `run` are commands that the command line takes, with the folder that was given."""
    assert main(["run", "iris", "--reports", str(reports), *QUICK]) == 0
    lines = capsys.readouterr().out.splitlines()
    last = lines[lines.index("") + 1 :]
    assert [line.removeprefix("next").split()[3] for line in last] == ["open", "show", "predict"]
    for line in last:
        words = shlex.split(line.removeprefix("next"), comments=True)[3:]
        assert parser(words[0]).parse_args(words).reports == str(reports)


def test_a_run_in_korean(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --lang ko what a run prints, its report and the commands that it proposes are Korean; the English page stays."""
    assert main(["run", "iris", "--reports", str(reports), *QUICK, "--lang", "ko"]) == 0
    lines = capsys.readouterr().out.splitlines()
    page = reports / "iris" / "report.ko.html"
    assert f"보고서     {page}" in lines
    assert '<html lang="ko">' in page.read_text(encoding="utf-8")
    assert '<html lang="en">' in (reports / "iris" / "report.html").read_text(encoding="utf-8")
    for line in lines[lines.index("") + 1 : -1]:  # all but refit, which speaks English
        words = shlex.split(line.removeprefix("다음"), comments=True)[3:]
        assert parser(words[0]).parse_args(words).lang == "ko"
    assert main(["open", "iris", "--reports", str(reports), "--no-browser", "--lang", "ko"]) == 0
    assert capsys.readouterr().out == f"보고서 {page}\n"
    assert main(["check", "iris", "--lang", "ko"]) == 0
    assert "행: 학습" in capsys.readouterr().out


def test_studies_are_listed(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`list` has a line on each study: its data, trials, score, state and day; one that cannot be read is said, and the rest is shown."""
    assert main(["list", "--reports", str(reports)]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].startswith("broken: ")
    rows = {line.split()[0]: line for line in lines[1:] if line}
    assert rows["broken"].split()[1:] == ["–", "–", "–", "unreadable", "–"]
    assert "kept elsewhere" in rows["elsewhere"]
    assert "no storage" in rows["shipped"]
    assert rows["iris"].split()[1:4] == ["iris,", "multiclass", "2"]
    assert " accuracy " in rows["iris"]
    assert " finished " in rows["iris"]


def test_the_studies_of_a_storage_are_listed(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --storage the studies of any storage are listed, in Korean too; `studies` is the kind that is meant."""
    url = f"sqlite:///{reports}/iris/study.db"
    assert main(["list", "studies", "--storage", url, "--lang", "ko"]) == 0
    head, row, *_ = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "연구"
    assert row.split()[0] == "iris"
    assert "완료" in row


def test_a_study_is_shown(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`show` prints headline, best trials, regimes and commands that exist, for a name, a folder and a URL."""
    for source in ("iris", str(reports / "iris"), f"sqlite:///{reports}/iris/study.db"):
        assert main(["show", source, "--reports", str(reports)]) == 0
        printed = capsys.readouterr().out
        assert printed.startswith("iris: hyperparameter search, finished\n")
        for words in (
            "test rows (95 % interval over rows",
            "Trained once more on",
            "By batch size",
            "full batch (GD)",
            "compare iris",
        ):
            assert words in printed
        assert (
            f"python -m hpsearch predict {'iris' if '://' in source else source} new.csv --reports {reports}" in printed
        )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [80, 120])
def test_a_screen_fits_its_terminal(width: int, language: str) -> None:
    """No line of `show` is wider than the terminal, Korean letters counted as two cells."""
    lines = shown_study(study(64), width, language)
    assert max(map(cell_len, lines)) <= width


def test_next_commands_are_not_broken(tmp_path: Path) -> None:
    """Where a command with its purpose is wider than the terminal the commands stand alone, each in its line."""
    for reports, explained in ((REPORTS, True), ("a/rather/long/path/to/the/folder/of/reports", False)):
        screen, printed = screen_of(80)
        words = folder_words("digits-at-night", "digits-at-night", Path(reports))
        show_next(screen, words, words, tmp_path)
        lines = printed.getvalue().splitlines()
        assert len(lines) == 2
        assert all(("#" in line) == explained for line in lines)


def test_what_does_not_fit_is_named() -> None:
    """The table of the best trials leaves hyperparameters out that do not fit, and names them; a wide one has them all."""
    narrow = "\n".join(shown_study(study(64), 80))
    assert "Not shown here: " in narrow
    assert "batch_size. The report has them." in narrow
    assert "Not shown here" not in "\n".join(shown_study(study(64), 200))


def test_a_table_is_not_compared_by_a_name_that_it_has_not() -> None:
    """`compare` alone compares digits: of a study of a file the screen names the study file that is to be written, as the page does."""
    record = study(64)
    table = replace(record, settings={**record.settings, "data": {"file": "sales.csv", "name": None}})
    assert "python -m hpsearch compare STUDY.toml" in "\n".join(shown_study(table, 120))


def test_the_three_regimes() -> None:
    """Every ended trial is in one regime, by the rows of its updates; the best of each is its best usable trial."""
    record = study(64)
    found = {str(one.regime): one for one in regimes(record)}
    assert sum(len(one.trials) for one in found.values()) == len(record.trials)
    assert {trial.params["batch_size"] for trial in found["one"].trials} == {1}
    assert {trial.params["batch_size"] for trial in found["full"].trials} == {"full"}
    assert found["some"].sizes == [16, 32, 128]
    best = found["some"].best
    assert best is not None
    assert best.value == max(trial.value or 0 for trial in found["some"].trials if trial.usable)


def test_a_batch_size_that_was_not_searched_has_its_regime() -> None:
    """A batch size that the study fixes is that of all trials, the default where it says nothing; rows that are not known give none."""
    record = study(8)
    trials = tuple(replace(trial, params={"depth": 1}) for trial in record.trials)
    for space, name in (({"batch_size": 1}, "one"), ({"batch_size": "full"}, "full"), ({}, "some")):
        settings = {**record.settings, "space": space}
        counts = {
            str(one.regime): len(one.trials) for one in regimes(replace(record, settings=settings, trials=trials))
        }
        assert counts == {"one": 0, "some": 0, "full": 0} | {name: 8}
    assert regimes(replace(record, data={})) == []


def test_states() -> None:
    """A study is running while a process holds it, finished with a result, failed where no trial is usable, else stopped."""
    record = study(8)
    failed = tuple(replace(trial, outcome="diverged", state="complete") for trial in record.trials)

    def state_of(one: StudyRecord, running: bool = False) -> str:
        return state(StoredStudy(one, running, None))

    assert state_of(record) == "finished"
    assert state_of(record, running=True) == "running"
    assert state_of(replace(record, result={}, trials=record.trials[:3])) == "stopped"
    assert state_of(replace(record, result={}, trials=failed)) == "failed"
    assert state_of(replace(record, foreign=True)) == "unknown"
    assert state(StoredStudy(comparison(), False, None)) == "finished"


def test_a_study_without_a_usable_trial_is_shown() -> None:
    """Where no trial is usable `show` says how they ended and what to try, and has no table of the best; while it runs, none yet."""
    record = study(8)
    failed = tuple(replace(trial, outcome="diverged", state="complete") for trial in record.trials)
    printed = "\n".join(shown_study(replace(record, result={}, trials=failed), 80))
    assert "All 8 trials ended as “diverged”." in printed
    assert "--set learning_rate.low=" in printed
    begun = "\n".join(shown_study(replace(record, result={}, trials=failed[:3]), 80))
    assert "no usable trial yet" in begun
    assert "8: 0 usable, 0 pruned, 8 failed" in printed
    assert "The best" not in printed


def test_one_usable_trial_is_not_the_best_one_of_one() -> None:
    """The heading of a table with one trial says that it is the only one."""
    printed = "\n".join(shown_study(study(1), 80))
    assert "The only usable trial, with its value on the validation rows" in printed
    assert "The best 1" not in printed


def test_a_study_of_another_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a study that hpsearch did not run nothing is said of rows and networks, and the next command is one that works."""
    url = f"sqlite:///{tmp_path}/any.db"
    tuned = optuna.create_study(storage=url, study_name="tuned")
    tuned.add_trial(optuna.create_trial(params={"x": 0.5}, distributions={"x": FloatDistribution(0, 1)}, value=3.0))
    assert main(["show", url, "--reports", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[:3] == [
        "tuned: a study that hpsearch did not run",
        "result     value 3.000, the best so far (trial 0)",
        "best       x 0.5",
    ]
    assert "row" not in printed
    assert "network" not in printed
    (next_line,) = [line for line in printed.splitlines() if line.startswith("next")]
    assert main(shlex.split(next_line, comments=True)[4:]) == 0


def test_a_report_is_opened(reports: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`open` opens the page and prints its path; it makes one that is missing or older than its study, and no other."""
    opened: list[str] = []

    def browse(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", browse)
    page = reports / "iris" / "report.html"
    page.unlink()
    command = ["open", "iris", "--reports", str(reports)]
    assert main(command) == 0
    assert capsys.readouterr().out == f"report {page}\n"
    assert opened == [page.as_uri()]
    made = page.stat().st_mtime_ns
    assert main([*command, "--no-browser"]) == 0
    assert (len(opened), page.stat().st_mtime_ns) == (1, made)
    os.utime(page, (0, 0))
    assert main(command) == 0
    assert page.stat().st_mtime > 0
    assert len(opened) == 2


def test_where_no_browser_is(
    reports: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a browser the path is printed all the same, and a line says what to do."""
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    assert main(["open", "iris", "--reports", str(reports)]) == 0
    assert "no browser was found" in capsys.readouterr().out


def test_open_takes_a_name() -> None:
    """A storage's URL, which has no folder, is refused with the command that makes its report."""
    assert main(["open", "sqlite:///any.db"]) == 2
