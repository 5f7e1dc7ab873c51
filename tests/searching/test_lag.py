"""The lag of a study that does not say it: it follows from the device on which the study begins, and stays with the study."""

from pathlib import Path

import pytest
import torch

from hpsearch.cli import main
from hpsearch.locales import Texts
from hpsearch.searching import run_options
from hpsearch.searching.run_options import GPU_LAG, lag_on
from tests.support.cli_studies import STUDY, CliStudy
from tests.support.simulated_gpu import run


def lag_of(study: CliStudy) -> int:
    lag = study.record().settings["search"]["lag"]
    assert isinstance(lag, int)
    return lag


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have studies choose their lag as on a GPU, though a CPU trains."""
    choose = run_options.lag_on
    monkeypatch.setattr(run_options, "lag_on", lambda device_type, trials: choose("cuda", 16 * trials))


def test_a_long_study_on_a_gpu_has_a_larger_lag() -> None:
    """On a CPU it is 8 whatever the number of trials; on a GPU it grows with them, so that most trials still know results."""
    assert [lag_on("cpu", trials) for trials in (1, 64, 10_000)] == [8, 8, 8]
    assert [lag_on("cuda", trials) for trials in (1, 64, 1_000, 10_000)] == [8, 8, 125, GPU_LAG]


@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_study_goes_on_with_the_lag_that_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study that began on a GPU keeps its lag on a CPU and with more trials; another one would be another study."""
    study = CliStudy(tmp_path)
    assert main(study.command) == 0
    begun = lag_of(study)
    assert begun > 8
    monkeypatch.undo()
    assert main([*study.command, "--trials", "14"]) == 0
    assert lag_of(study) == begun
    assert len(study.record().trials) == 14
    assert main([*study.command, "--set", "search.lag=8"]) == 2


def test_a_study_of_a_cpu_keeps_its_lag_on_a_gpu(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A study that began on a CPU, as all did before, goes on with its lag of 8; one that says its lag has that one."""
    study = CliStudy(tmp_path)
    assert main(study.command) == 0
    assert lag_of(study) == 8
    request.getfixturevalue("as_on_a_gpu")
    assert main([*study.command, "--trials", "14"]) == 0
    assert lag_of(study) == 8
    stated = CliStudy(tmp_path, STUDY.replace("[search]", "[search]\nlag = 3"), name="stated")
    assert main(stated.command) == 0
    assert lag_of(stated) == 3


def test_a_gpu_s_lag_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study on a GPU says how many trials train at once and what each knows, in each language; one on a CPU does not."""
    study = CliStudy(tmp_path)
    assert main(study.command) == 0
    assert "train at once" not in capsys.readouterr().out
    monkeypatch.setattr("hpsearch.searching.study.device_of", lambda data: torch.device("cuda:0"))
    assert main([*study.command, "--trials", "13"]) == 0
    said = "up to 8 trials train at once: trial k is proposed from the results of trials 0 to k − 8 (search.lag = 8)"
    assert said in " ".join(capsys.readouterr().out.split())
    assert Texts("ko").word(said) != said


@pytest.mark.slow
def test_a_larger_lag_trains_more_at_once() -> None:
    """On the simulated device a larger lag has more trials in a step and more in training."""
    before = run(160, "random", lag=8)
    after = run(160, "random", lag=64)
    assert after.together > 2 * before.together
    assert after.in_training > 2 * before.in_training
