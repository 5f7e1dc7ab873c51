"""Commands on a stored study with code of the user's own: they take it by option, and run none that is only named."""

from pathlib import Path

import pytest
from sklearn.datasets import load_iris

from hpsearch.cli import main

CODE = """
import torch


def build(trial, shape, outputs):
    units = trial.suggest_int("units", 2, 6)
    return torch.nn.Sequential(torch.nn.Linear(shape[0], units), torch.nn.ReLU(), torch.nn.Linear(units, outputs))


def loss(outputs, targets):
    return torch.nn.functional.cross_entropy(outputs, targets, label_smoothing=0.1)


def half(y_true, y_pred):
    return float((y_true == y_pred).mean()) / 2
"""
STUDY = """
[data]
file = "rows.csv"
target = "class"
validation = 0.2
[space]
learning_rate = { low = 1e-3, high = 0.1, log = true }
batch_size = 16
[training]
epochs = 2
[search]
trials = 2
better = "maximize"
[confirm]
trials = 0
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run a study of one's own code in an empty folder; return the options that name the code."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(CODE)
    load_iris(as_frame=True).frame.rename(columns={"target": "class"}).to_csv("rows.csv", index=False)
    Path("own.toml").write_text(STUDY)
    options = ["--model", "net.py:build", "--loss", "net.py:loss", "--metric", "net.py:half"]
    assert main(["run", "own.toml", "--device", "cpu", *options]) == 0
    return options


@pytest.mark.slow
def test_replay_verify_and_refit_take_ones_own_code(own: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the code a trial is the same run again, bit for bit; and the network trains on all rows."""
    capsys.readouterr()
    assert main(["replay", "own", "1", "--device", "cpu", *own]) == 0
    assert "equal bit for bit over 2 evaluations" in capsys.readouterr().out
    assert main(["verify", "own", "--device", "cpu", "--float64", *own]) == 0
    assert "2 equal (in float64)" in capsys.readouterr().out
    assert main(["refit", "own", "--device", "cpu", *own]) == 0
    out = capsys.readouterr().out
    assert "half 0." in out
    assert "changed" not in out


@pytest.mark.slow
def test_missing_and_other_code_is_refused_by_option(own: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What a stored study names is not run: the line has the options to paste; code that the study has not is refused too."""
    capsys.readouterr()
    for command in (["replay", "own", "0"], ["verify", "own"], ["refit", "own"]):
        assert main(command) == 2
        assert " ".join(["Give it:", *own]) in capsys.readouterr().err
        assert main([*command, *own[2:]]) == 2
        assert "Give it: --model net.py:build.\n" in capsys.readouterr().err
    Path("plain.toml").write_text(STUDY.replace('better = "maximize"\n', ""))
    assert main(["run", "plain.toml", "--device", "cpu"]) == 0
    assert main(["replay", "plain", "0", "--loss", "net.py:loss"]) == 2
    assert "searched with hpsearch's own. Leave --loss out." in capsys.readouterr().err


@pytest.mark.slow
def test_code_that_changed_is_told(own: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A file of code that is not as it was when the study began is one line, in each command; the trials may be others now."""
    Path("net.py").write_text(f"{CODE}\n# another one\n")
    capsys.readouterr()
    for command in (["replay", "own", "0"], ["verify", "own"], ["refit", "own"], ["run", "own.toml", "--trials", "3"]):
        assert main([*command, "--device", "cpu", *own]) == 0
        assert capsys.readouterr().out.count("net.py:build changed since the study began") == 1, command


@pytest.mark.slow
def test_predict_judges_by_ones_own_metric(own: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With `--metric` the study's own metric is shown; without it the line below another metric says how to see it."""
    capsys.readouterr()
    assert main(["predict", "own", "rows.csv", "--build", "net.py:build", "--metric", "net.py:half"]) == 0
    judged = capsys.readouterr().out
    assert main(["predict", "own", "rows.csv", "--build", "net.py:build", "--force"]) == 0
    out = capsys.readouterr().out
    assert "--metric FILE.py:half shows it" in out
    accuracy = float(out.partition("accuracy ")[2].split()[0])
    assert float(judged.partition("half ")[2].split()[0]) == pytest.approx(accuracy / 200, abs=1e-3), (
        "a share of one beside per cent"
    )
