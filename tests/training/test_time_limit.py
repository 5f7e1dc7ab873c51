"""A limit in seconds: a trial ends within it wherever it is, keeps its best network so far, and says that this cannot be reproduced."""

import time
from dataclasses import replace

import pytest

from hpsearch.data import Data, load
from hpsearch.data.options import SplitOptions
from hpsearch.training import Engine, TrialQueue, train_all
from hpsearch.training.engines import make_engine
from hpsearch.trial import Outcome, TrainingRun, TrialSpec
from tests.support.small import small_data, small_spec

LONG = 20_000_000  # updates: minutes on any machine
ENGINES = ("reference", "fused", "compiled")


def endless(data: Data, evaluate_every: int, seconds: float) -> TrialSpec:
    """A trial that nothing but its limit ends soon."""
    updates = range(evaluate_every, LONG, evaluate_every)
    return small_spec(data, evaluate_at=tuple(updates), learning_rate=0.01, max_seconds=seconds)


def trained(engine: Engine, spec: TrialSpec) -> tuple[TrainingRun, float]:
    """Train a trial after the engine has loaded what it loads, and return its run and the seconds that it took."""
    train_all(engine, [replace(spec, evaluate_at=(1,), max_seconds=None)])
    start = time.monotonic()
    (run,) = train_all(engine, [spec])
    return run, time.monotonic() - start


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_trial_ends_within_its_seconds_with_its_best_network(engine: str) -> None:
    """In every engine an endless trial ends about at its limit with value and network of its best evaluation."""
    data = small_data()
    run, seconds = trained(make_engine(engine, data), endless(data, 100, 0.5))
    assert run.outcome is Outcome.TIMED_OUT
    assert 0.4 < seconds < 60
    assert run.value == run.history.metric[run.best - 1] == max(run.history.metric)
    assert run.weights is not None
    assert run.detail.startswith(f"max_seconds = 0.5, after evaluation {len(run.history)} of 199999")
    assert not run.outcome.failed
    assert "cannot be reproduced" in run.outcome.meaning


@pytest.mark.parametrize("engine", ENGINES)
def test_a_trial_that_was_never_evaluated_has_failed(engine: str) -> None:
    """Where the limit comes before the first evaluation there is no network: a failure with a name of its own."""
    data = small_data()
    spec = replace(endless(data, 100, 0.3), evaluate_at=(LONG,))
    run, seconds = trained(make_engine(engine, data), spec)
    assert run.outcome is Outcome.OUT_OF_TIME
    assert run.outcome.failed
    assert (run.value, run.weights, len(run.history)) == (None, None, 0)
    assert seconds < 60


@pytest.mark.parametrize("engine", ENGINES)
def test_a_limit_that_is_not_reached_changes_nothing(engine: str) -> None:
    """With time enough the run is the run without a limit, bit for bit."""
    data = small_data()
    spec = small_spec(data)
    plain, limited = (train_all(make_engine(engine, data), [one])[0] for one in (spec, replace(spec, max_seconds=1e6)))
    assert limited.outcome is Outcome.FINISHED
    assert limited.history.metric == plain.history.metric
    assert limited.history.training_loss == plain.history.training_loss


def test_only_the_trials_of_its_group_end() -> None:
    """Beside an endless trial one that ends by itself finishes as ever."""
    data = small_data()
    engine = make_engine("compiled", data, 2)
    short = replace(small_spec(data), max_seconds=60.0)
    runs = train_all(engine, [endless(data, 100, 0.5), short])
    assert [run.outcome for run in runs] == [Outcome.TIMED_OUT, Outcome.FINISHED]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_folds_share_the_seconds(engine: str) -> None:
    """A cross-validated trial ends within its seconds too; its value is the mean at an evaluation that all folds have done."""
    data = load("iris", split=SplitOptions(0, folds=3)).to("cpu", small_data().training.inputs.dtype)
    run, seconds = trained(make_engine(engine, data), endless(data, 100, 1.5))
    assert run.outcome is Outcome.TIMED_OUT
    assert seconds < 60
    assert len(run.folds) == 3
    assert run.value == pytest.approx(sum(run.folds) / 3)
    assert "of 3: max_seconds = 0.5" in run.detail


def test_a_stopped_run_is_dropped() -> None:
    """A signal is no time limit: the trial has no run, and is trained again."""
    data = small_data()
    queue = TrialQueue([endless(data, 100, 60.0)])
    queue.on_begin = lambda spec: setattr(queue, "stopping", True)
    make_engine("reference", data).run(queue)
    assert queue.runs == {}
