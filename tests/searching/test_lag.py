"""The lag of a study that does not say it: it follows from the device on which the study begins, and stays with the study."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hpsearch.cli import main
from hpsearch.config.sections import SearchSection
from hpsearch.locales import Texts
from hpsearch.searching import run_options
from hpsearch.searching.run_options import GPU_LAG, lag_on
from hpsearch.searching.samplers import SAMPLERS
from hpsearch.trial import Architecture
from tests.benchmarks.usual import usual_network
from tests.support.cli_studies import STUDY, CliStudy
from tests.support.launches import Launches
from tests.support.simulated_gpu import run, torch_operations


def lag_of(study: CliStudy) -> int:
    lag = study.record().settings["search"]["lag"]
    assert isinstance(lag, int)
    return lag


def assert_said(capsys: pytest.CaptureFixture[str], *sentences: str) -> None:
    """Assert that a run printed sentences, which Korean has too."""
    printed = " ".join(capsys.readouterr().out.split())
    for sentence in sentences:
        assert sentence in printed
        assert Texts("ko").word(sentence) != sentence


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have studies choose their lag as on a GPU, though a CPU trains."""
    choose = run_options.lag_on

    def lag_of_a_longer_study(device_type: str, search: SearchSection) -> int:
        return choose("cuda", search.model_copy(update={"trials": 16 * search.trials}))

    monkeypatch.setattr(run_options, "lag_on", lag_of_a_longer_study)


def lags(device_type: str, *trials: int, **settings: Any) -> list[int]:
    """Return the lags of studies of so many trials."""
    return [lag_on(device_type, SearchSection(trials=count, **settings)) for count in trials]


def test_a_long_study_on_a_gpu_has_a_larger_lag() -> None:
    """On a CPU it is 8 whatever the number of trials; on a GPU it grows with them, so that most trials still know results."""
    assert lags("cpu", 1, 64, 10_000) == [8, 8, 8]
    assert lags("cuda", 1, 64, 1_000, 10_000) == [8, 8, 125, GPU_LAG]


def test_all_trials_begin_at_once_where_results_change_no_proposal() -> None:
    """Samplers that learn nothing have a larger lag on a GPU, unless a result may end the study."""
    for sampler in SAMPLERS:
        learns = sampler not in ("random", "grid", "qmc")
        assert lags("cuda", 64, 1_000, 10_000, sampler=sampler) == (
            [8, 125, GPU_LAG] if learns else [64, 1_000, GPU_LAG]
        )
    assert lags("cuda", 1_000, sampler="random", patience=50) == [125]
    assert lags("cuda", 1_000, sampler="random", target_value=0.9) == [125]
    assert lags("cpu", 1_000, sampler="random") == [8]


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
    assert_said(
        capsys,
        "up to 8 trials train at once: trial k is proposed from the results of trials 0 to k − 8 (search.lag = 8)",
    )


ENDS_NONE = (
    "the pruner 'median' ends no trial: it compares one with the results up to search.lag before it, and there are none (a smaller "
    "search.lag gives it some)"
)


def test_a_gpu_that_trains_all_at_once_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the lag is the number of trials, none waits for another."""
    monkeypatch.setattr("hpsearch.searching.study.device_of", lambda data: torch.device("cuda:0"))
    assert main([*CliStudy(tmp_path).command, "--set", "search.lag=12"]) == 0
    assert_said(capsys, "up to 12 trials train at once: none waits for the result of another (search.lag = 12)")


def test_a_pruner_without_results_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no trial may know another's result the pruner ends none, which is said, on any device; with a smaller lag it is not."""
    pruned = ["--set", "search.pruner=median"]
    study = CliStudy(tmp_path)
    assert main([*study.command, *pruned, "--set", "search.lag=12"]) == 0
    assert_said(capsys, ENDS_NONE)
    assert not any(trial.state == "pruned" for trial in study.record().trials)
    assert main([*CliStudy(tmp_path, name="smaller").command, *pruned, "--set", "search.lag=11"]) == 0
    assert ENDS_NONE not in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_a_larger_lag_trains_more_at_once() -> None:
    """On the simulated device a larger lag has more trials in a step and more in training."""
    before = run(160, "random", lag=8)
    after = run(160, "random", lag=64)
    assert after.together > 2 * before.together
    assert after.in_training > 2 * before.in_training


@pytest.mark.parametrize("hidden", [1, 2, 4])
def test_the_simulated_plain_torch_has_the_operations_of_torch(hidden: int) -> None:
    """An update as a tutorial writes it, on rows that are chosen on the device, has as many operations as the model says."""
    network = usual_network(Architecture(5, (8,) * hidden, 3))
    optimizer = torch.optim.SGD(network.parameters(), 0.1, fused=True)
    inputs, targets, chosen = torch.ones(6, 5), torch.ones(6, dtype=torch.long), torch.arange(4)
    with Launches() as operations:
        loss = torch.nn.CrossEntropyLoss()(network(inputs[chosen]), targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert operations.count == torch_operations(hidden + 1)
