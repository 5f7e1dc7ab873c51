"""`check`: what a run would do, told without training it."""

from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
from small import small_data, small_spec

from hpsearch.cli import main
from hpsearch.config import check_config
from hpsearch.searching import probing
from hpsearch.space import Choice, Real, SearchSpace
from hpsearch.training import TrialSource
from hpsearch.training.engines import make_engine
from hpsearch.trial import History, Outcome, TrainingRun


class Clocked:
    """An engine whose trials take `begin` seconds each and `update` for each update, on a clock of its own."""

    def __init__(self, begin: float, update: float) -> None:
        self.begin, self.update, self.now = begin, update, 0.0
        self.trained: list[int] = []

    def run(self, source: TrialSource) -> None:
        for spec in source.take(99):
            self.now += self.begin + self.update * spec.updates
            self.trained.append(spec.updates)
            source.finish(TrainingRun(spec.number, Outcome.FINISHED, History()))


@pytest.mark.parametrize(("begin", "update"), [(0.01, 0.001), (0.0, 0.02), (0.3, 1e-6)])
def test_two_steps_give_the_seconds_of_a_trial(monkeypatch: pytest.MonkeyPatch, begin: float, update: float) -> None:
    """Where a beginning and an update each cost the same every time, the estimate is exact, and the probe trains a fraction."""
    engine = Clocked(begin, update)
    monkeypatch.setattr(probing, "perf_counter", lambda: engine.now)
    spec = small_spec(small_data(), evaluate_at=(500, 10_000))
    assert probing._seconds(engine, spec) == pytest.approx(begin * 2 + update * 10_000)
    assert max(engine.trained) < 10_000


def test_a_trial_of_one_update_is_timed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget of a single update leaves nothing to extrapolate."""
    engine = Clocked(0.5, 0.25)
    monkeypatch.setattr(probing, "perf_counter", lambda: engine.now)
    assert probing._seconds(engine, small_spec(small_data(), evaluate_at=(1,))) == pytest.approx(0.75)


def test_the_size_of_a_space() -> None:
    """Lists multiply, ranges are named, constants count for nothing."""
    space = SearchSpace({"depth": Choice((1, 2, 3)), "optimizer": Choice(("sgd", "adam")), "width": Choice((8,))})
    assert probing.size(space) == (6, [])
    assert probing.size(replace(space, domains={"learning_rate": Real(0.1, 1.0)})) == (1, ["learning_rate"])


def test_an_estimate_counts_trials_cores_and_fresh_seeds() -> None:
    """Twice the trials take twice the time, and the fresh seeds are the confirmed trials' share of it."""
    raw = {"data": {"name": "iris"}, "space": {"width": 8}, "training": {"epochs": 1}}
    config = check_config({**raw, "search": {"trials": 10}, "confirm": {"trials": 2, "seeds": 5}}, "test")
    data = small_data()
    found = probing.estimate(config, data, make_engine("reference", data), places=1)
    assert 0 < found.trial <= found.longest < inf
    assert found.seconds == pytest.approx(10 * found.trial)
    assert found.confirming == pytest.approx(found.seconds)
    assert found.data == sum(
        t.nbytes for p in (data.training, data.validation, data.test) for t in (p.inputs, p.targets)
    )


def test_check_prints_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check of a named data set says task, rows, space, time, memory and the command to go on; it makes no folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["hpsearch", "check", "wine", "--trials", "3"])
    assert main() == 0
    heads = [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()]
    assert [h for h in heads if h] == ["data", "task", "notice", "metric", "space", "network", "memory", "time", "to"]
    assert not list(tmp_path.iterdir())


def test_check_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that check prints runs the study that was checked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["hpsearch", "check", "wine", "--trials", "3"])
    main()
    assert capsys.readouterr().out.endswith("python -m hpsearch run --data wine --trials 3\n")
