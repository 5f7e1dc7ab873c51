"""`check`: what a run would do, told without training it."""

from dataclasses import replace
from pathlib import Path

import pytest

from hpsearch.cli import main
from hpsearch.config import StudyConfig, check_config
from hpsearch.searching import probing
from hpsearch.space import Choice, Real, SearchSpace
from hpsearch.training import TrialSource
from hpsearch.trial import History, Outcome, TrainingRun
from tests.support.small import small_data, small_spec


class Clocked:
    """An engine on a clock of its own: trials cost `begin` seconds together, `update` and `evaluation` each; `first` more at first."""

    def __init__(self, begin: float, update: float, evaluation: float, first: float = 0.0) -> None:
        self.begin, self.update, self.evaluation, self.first, self.now = begin, update, evaluation, first, 0.0
        self.trained = 0

    def run(self, source: TrialSource) -> None:
        specs = source.take(99)
        self.now += self.first + self.begin
        self.first = 0.0
        for spec in specs:
            self.now += self.update * spec.updates + self.evaluation * len(spec.evaluate_at)
            self.trained = max(self.trained, spec.updates)
            source.finish(TrainingRun(spec.number, Outcome.FINISHED, History()))


@pytest.mark.parametrize(
    ("begin", "update", "evaluation"), [(0.01, 0.0001, 0.002), (0.0, 0.0002, 0.0), (0.3, 1e-6, 1e-3), (0.0, 0.0, 0.5)]
)
def test_shares_of_a_training_give_the_seconds_of_the_whole(begin: float, update: float, evaluation: float) -> None:
    """Where a beginning, an update and an evaluation each cost the same every time, the estimate is exact; what compiles does not count."""
    engine = Clocked(begin, update, evaluation, first=60.0)
    specs = [small_spec(small_data(), number=n, evaluate_at=tuple(range(250, 10_001, 250))) for n in range(2)]
    expected = begin + 2 * (update * 10_000 + evaluation * 40)
    assert probing.cost(engine, specs, lambda: engine.now).total(40) == pytest.approx(expected)


def test_a_long_training_is_not_trained_to_its_end() -> None:
    """Of a training of hours the probe trains seconds, and its beginning, which may be evaluations, makes the estimate no lower."""
    engine = Clocked(0.25, 0.01, 0.5)
    specs = [small_spec(small_data(), evaluate_at=tuple(range(50_000, 1_000_001, 50_000)))]
    whole = probing.cost(engine, specs, lambda: engine.now).total(20)
    assert engine.now < 10
    assert 0.25 + 10_000 + 20 * 0.5 <= whole <= 10_000 + 20 * 0.75 + 1e-6


def test_a_trial_of_one_update_is_timed_whole() -> None:
    """A budget of a single update leaves nothing to extrapolate."""
    engine = Clocked(0.5, 0.25, 0.0)
    spec = small_spec(small_data(), evaluate_at=(1,))
    assert probing.cost(engine, [spec], lambda: engine.now).total(1) == pytest.approx(0.75)


def test_the_size_of_a_space() -> None:
    """Lists multiply, ranges are named, constants count for nothing."""
    space = SearchSpace({"depth": Choice((1, 2, 3)), "optimizer": Choice(("sgd", "adam")), "width": Choice((8,))})
    assert probing.size(space) == (6, [])
    assert probing.size(replace(space, domains={"learning_rate": Real(0.1, 1.0)})) == (1, ["learning_rate"])


def config_of(training: dict[str, int], pruner: str = "none", refit: bool = True) -> StudyConfig:
    raw = {"data": {"name": "iris"}, "space": {"width": 8}, "training": {"epochs": 10, **training}}
    search = {"trials": 10, "pruner": pruner}
    confirm = {"trials": 2, "seeds": 5, "ensemble": 2, "refit": refit}
    return check_config({**raw, "search": search, "confirm": confirm}, "test")


def test_an_estimate_is_its_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a trial costs 4 seconds, time and memory are the formula's: of 10 trials, 10 fresh runs, 6 that judge, 2 on all rows."""
    engine = Clocked(0.0, 0.0, 0.4)  # ten evaluations of a trial
    data = small_data()
    monkeypatch.setattr(probing, "peak_memory", lambda: 1_000_000)
    monkeypatch.setattr(probing, "worker_threads", lambda data: 2)
    config = config_of({"patience": 4}, "median")
    found = probing.estimate(config, data, engine, slots=2, begun=7.0, clock=lambda: engine.now)
    assert found.trial == pytest.approx(4)
    assert found.further == 18
    training = 10 * (0.5 * 4 + probing.OVERHEAD) + 18 * 0.8 * 4
    assert found.seconds == pytest.approx(7 + training + probing.END)
    assert found.most == pytest.approx(7 + 10 * (4 + probing.OVERHEAD) + 18 * 4 + probing.END)
    assert found.time == pytest.approx(found.seconds)  # a clock's seconds are of trials that train beside each other
    size = sum(t.nbytes for p in (data.training, data.validation, data.test) for t in (p.inputs, p.targets))
    assert found.data == size
    assert found.memory == 1_000_000 + size + found.networks + probing.LATER


def test_processor_seconds_are_shared_by_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of the processor become time by the trials that train side by side; what begins and ends the run has one core."""
    engine = Clocked(0.0, 0.0, 0.4)
    monkeypatch.setattr(probing, "process_time", lambda: engine.now)
    monkeypatch.setattr(probing, "worker_threads", lambda data: 4)
    found = probing.estimate(config_of({"patience": 4}, "median"), small_data(), engine, slots=3, begun=7.0)
    assert found.workers == 3
    assert found.time == pytest.approx(7 + (found.seconds - 7 - probing.END) / 3 + probing.END)


@pytest.mark.parametrize(
    ("training", "pruner", "searched", "confirmed"),
    [
        ({}, "none", 1.0, 1.0),
        ({}, "median", 0.5, 1.0),
        ({"patience": 4}, "none", 0.5, 0.8),
        ({"patience": 8}, "none", 0.9, 0.9),  # no trial ends before
    ],
)
def test_shares_of_evaluations(training: dict[str, int], pruner: str, searched: float, confirmed: float) -> None:
    """Trials that nothing ends early make all evaluations, others the measured share, at least what their patience lets them make."""
    assert probing.shares(config_of(training, pruner)) == (searched, confirmed)


@pytest.mark.parametrize(("training", "share"), [({}, 1), ({"patience": 1}, 0.2), ({"patience": 50}, 1)])
def test_the_shortest_trial_never_gets_better(training: dict[str, int], share: float) -> None:
    """A trial that never gets better ends `patience` evaluations after the first."""
    raw = {"data": {"name": "iris"}, "space": {"width": 8}, "training": {"epochs": 10, **training}}
    assert probing.shortest(check_config(raw, "test")) == share


@pytest.mark.slow
def test_check_prints_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check of a named data set says task, rows, budget, space, time, memory and the command to go on; it makes no folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["hpsearch", "check", "wine", "--trials", "3"])
    assert main() == 0
    heads = [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()]
    expected = ["data", "task", "notice", "metric", "search", "space", "network", "memory", "time", "to"]
    assert [h for h in heads if h] == expected
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_check_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that check prints runs the study that was checked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["hpsearch", "check", "wine", "--trials", "3"])
    main()
    assert capsys.readouterr().out.endswith("python -m hpsearch run --data wine --trials 3\n")
