"""First settings, early ends and time limits as a user has them: command line and Python, run again, and in the report."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hpsearch
from hpsearch.cli import main
from hpsearch.errors import CompletedElsewhere, UserError
from hpsearch.storage.reading import read_study
from hpsearch.storage.records import StudyRecord

STUDY = """
[data]
name = "iris"
[space]
depth = { low = 0, high = 2 }
width = [4, 8]
optimizer = ["sgd", "adam"]
[space.learning_rate]
low = 1e-3
high = 1e-1
log = true
[space.learning_rate.sgd]
low = 0.01
high = 1.0
log = true
[training]
epochs = 4
[search]
trials = 5
[confirm]
trials = 0
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flowers.toml"
    path.write_text(STUDY)
    return path


def run(file: Path, name: str, *more: str) -> int:
    reports = str(file.parent / "out")
    engine = ("--engine", "reference", "--device", "cpu")
    return main(["run", str(file), "--reports", reports, "--name", name, *engine, *more])


def record(file: Path, name: str) -> StudyRecord:
    return read_study(f"sqlite:///{file.parent / 'out' / name / 'study.db'}")


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_as_many_first_settings_are_said_as_trials_take_them(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of more first settings than trials those are said that a trial has."""
    start = [part for rate in range(1, 7) for part in ("--start", f"{{ learning_rate = 0.0{rate} }}")]
    assert main(["check", str(file), "--device", "cpu", *start, "--trials", "5"]) == 0
    assert "the first 5 trials have settings" in capsys.readouterr().out
    assert main(["check", str(file), "--device", "cpu", *start, "--trials", "1"]) == 0
    assert "what is left out being known-good: learning_rate 0.01\n" in capsys.readouterr().out


@pytest.mark.slow
def test_own_settings_come_first(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first trials are those of the command line; screen and report say so; the same command goes on, another is refused."""
    start = ("--start", '{ optimizer = "sgd", learning_rate = "0.5" }', "--start", "{ depth = 0 }")
    assert run(file, "own", *start, "--trials", "2") == 0
    screen = capsys.readouterr().out
    assert (
        "the first trials, what is left out being known-good: optimizer 'sgd', learning_rate '0.5'; depth 0" in screen
    )
    assert run(file, "own", *start, "--trials", "4") == 0
    trials = record(file, "own").trials
    assert trials[0].params == {"depth": 2, "width": 8, "optimizer": "sgd", "learning_rate_sgd": 0.5}
    assert trials[1].params == {"depth": 0, "width": 8, "optimizer": "adam", "learning_rate": 0.001}
    assert len(trials) == 4
    page = (file.parent / "out/own/report.html").read_text()
    assert "optimizer sgd, learning_rate 0.5; depth 0" in page
    assert "learning_rate_sgd" in page
    capsys.readouterr()
    assert run(file, "own", "--start", "{ depth = 1 }") == 2
    assert "search.start was [{'optimizer': 'sgd', 'learning_rate': '0.5'}, {'depth': 0}], now [{'depth': 1}]" in told(
        capsys
    )


@pytest.mark.slow
def test_the_best_of_another_study_comes_first(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name, a folder and a storage's URL mean that study's best trial; the study goes on with it when the other one is gone."""
    assert run(file, "first") == 0
    best = record(file, "first").trials[record(file, "first").result["trial"]]
    folder = file.parent / "out" / "first"
    for number, other in enumerate(("first", str(folder), f"sqlite:///{folder / 'study.db'}")):
        assert run(file, f"second-{number}", "--start", other, "--trials", "1") == 0
        assert record(file, f"second-{number}").trials[0].params == best.params
    folder.rename(file.parent / "gone")
    assert run(file, "second-0", "--start", "first", "--trials", "3") == 0
    assert len(record(file, "second-0").trials) == 3
    capsys.readouterr()
    assert run(file, "third", "--start", "first") == 2
    assert "search.start: no study 'first' in" in told(capsys)
    assert not (file.parent / "out/third").exists()


def test_the_best_of_another_study_lies_outside(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A best trial that the space does not have is told in a line: which trial, which value, what the space has."""
    assert run(file, "wide", "--set", "width=16", "--trials", "1") == 0
    capsys.readouterr()
    assert run(file, "narrow", "--start", "wide") == 2
    assert "search.start: trial 0 of study 'wide': width is 16; the space has 4 or 8." in told(capsys)


def test_settings_and_a_study_do_not_mix(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several --start are settings, each of them."""
    assert run(file, "mixed", "--start", "{ depth = 1 }", "--start", "other") == 2
    assert "--start 'other': beside others expected settings, for example --start '{learning_rate = 0.01}'" in told(
        capsys
    )


@pytest.mark.slow
@pytest.mark.parametrize("rule", [("--patience", "2"), ("--target-value", "0.5")], ids=" ".join)
def test_the_search_ends_early_at_the_same_trial(
    file: Path, capsys: pytest.CaptureFixture[str], rule: tuple[str, str]
) -> None:
    """With one place and with five it ends at the same trial; run again it trains nothing; without the rule it goes on."""
    few = ("--set", "search.lag=5", "--set", "training.epochs=20", "--trials", "40", *rule)
    assert run(file, "one", *few, "--parallel", "1") == 0
    screen = capsys.readouterr().out
    assert "begins no trial once" in screen
    assert "stopped early, " in screen
    assert run(file, "five", *few, "--parallel", "5", "--engine", "compiled") == 0
    count = len(record(file, "one").trials)
    assert 5 <= count < 40
    capsys.readouterr()
    assert run(file, "one", *few) == 0
    assert f"all {count} trials are stored: nothing is trained" in capsys.readouterr().out
    page = (file.parent / "out/one/report.html").read_text()
    assert "no further one once" in page
    assert run(file, "one", *few[:-2], "--trials", str(count + 1)) == 0
    assert len(record(file, "one").trials) == count + 1


def test_a_target_that_no_metric_reaches(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target in percent is refused with the share that is meant."""
    assert run(file, "percent", "--target-value", "95") == 2
    assert "search.target_value is 95; accuracy lies between 0 and 1. Give 0.95." in told(capsys)


@pytest.mark.slow
def test_a_time_limit_is_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the run, in each trial's outcome and in the report it is said that the study cannot be reproduced."""
    endless = (
        "--set",
        "training.epochs=9000",
        "--set",
        "training.max_seconds=1",
        "--set",
        "training.evaluations=9000",
    )
    assert run(file, "limited", *endless, "--trials", "2") == 0
    screen = capsys.readouterr().out
    assert "the same study does not give the same trials again (training.max_seconds)" in screen
    assert {trial.outcome for trial in record(file, "limited").trials} == {"stopped at its time limit"}
    page = (file.parent / "out/limited/report.html").read_text()
    assert "Not reproducible: 2 of 2 trials ended at their time limit (training.max_seconds)" in page
    assert main(["replay", "limited", "1", "--reports", str(file.parent / "out"), "--engine", "reference"]) == 0
    assert "equal bit for bit" in capsys.readouterr().out


def test_a_limit_too_short_for_any_network(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where every trial ran out of time the error names the setting."""
    short = (
        "--set",
        "training.updates=500000",
        "--set",
        "training.max_seconds=0.05",
        "--set",
        "training.evaluations=1",
    )
    assert run(file, "short", *short, "--trials", "2") == 4
    assert "Give trials more time (--set training.max_seconds=…)" in told(capsys)


@pytest.mark.slow
def test_python_has_them_too(tmp_path: Path) -> None:
    """`search` takes first settings, patience, target and another study, and refuses what is outside in a line."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(120, 3))
    targets = (inputs[:, 0] > 0).astype(int)
    options: dict[str, Any] = {"training": {"epochs": np.int64(5)}, "confirm": 0, "reports": tmp_path, "folds": None}
    options |= {"validation": 0.3, "device": "cpu"}
    first = hpsearch.search(
        inputs, targets, trials=20, start=[{"width": np.int64(20)}], patience=1, name="a", **options
    )
    assert first.record.trials[0].params["width"] == 20
    assert len(first.trials) < 20
    second = hpsearch.search(inputs, targets, trials=1, start="a", **options)
    assert second.record.trials[0].params == first.record.trials[first.best.trial].params
    third = hpsearch.search(inputs, targets, trials=20, target_value=0.01, **options)
    assert len(third.trials) == 8
    with pytest.raises(UserError, match=r"search.start\[0\].width is 5000; the space has 16 to 256"):
        hpsearch.search(inputs, targets, start=({"width": 5000},), **options)
    with pytest.raises(UserError, match=r"search\.start: no study 'nothing'"):
        hpsearch.search(inputs, targets, start="nothing", **options)


def test_a_page_that_the_completing_process_did_not_write_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that joined a study finds it complete: it writes the page where there is none, and leaves one that is there."""
    command = ["run", "iris", "--reports", str(tmp_path), "--device", "cpu", "--trials", "2"]
    quick = ["--set", "confirm.trials=0", "--set", "data.folds=2", "--set", "training.epochs=2"]
    assert main([*command, *quick]) == 0

    def complete(*_: Any, **__: Any) -> None:
        raise CompletedElsewhere("study 'iris' is complete (by another)")

    monkeypatch.setattr("hpsearch.searching.opening.StudyWriter.open", complete)
    page = tmp_path / "iris" / "report.html"
    page.write_text("as it was")
    assert main([*command, *quick, "--join"]) == 0
    assert page.read_text() == "as it was"
    page.unlink()
    capsys.readouterr()
    assert main([*command, *quick, "--join"]) == 0
    assert "is complete (by another)" in capsys.readouterr().out
    assert "Best trials" in page.read_text()


def test_a_study_goes_on_as_it_began(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings that hpsearch brings may be others in another version: a study that has begun keeps those it began with, which is said."""
    file = tmp_path / "numbers.csv"
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(60, 2))
    file.write_text("a,b,y\n" + "\n".join(f"{a},{b},{a * b}" for a, b in rows))
    command = ["run", "--data", str(file), "--target", "y", "--reports", str(tmp_path / "out"), "--device", "cpu"]
    quick = ["--set", "confirm.trials=0", "--set", "data.folds=2", "--set", "training.epochs=2"]
    earlier = ["--set", "space.depth=1", "--set", "space.activation=tanh", "--set", "data.target_range=none"]
    assert main([*command, *quick, *earlier, "--trials", "2"]) == 0
    capsys.readouterr()
    assert main([*command, "--trials", "3"]) == 0
    screen = " ".join(capsys.readouterr().out.split())
    assert "study 'numbers' goes on with the settings that it began with:" in screen
    assert "space.activation was 'tanh', now ['relu'" in screen
    trials = read_study(f"sqlite:///{tmp_path / 'out' / 'numbers' / 'study.db'}").trials
    assert len(trials) == 3
    assert all("activation" not in trial.params for trial in trials)
    assert main([*command, "--set", "space.depth=2", "--trials", "4"]) == 2
    assert "space.depth was 1, now 2" in told(capsys)
