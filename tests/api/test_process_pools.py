"""Objectives, data and results in other processes, however these begin: the same values, and nobody waits for ever."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from torch import nn

from hpsearch import DNNClassifier, Objective, SearchResult, search
from hpsearch.data import Data, from_arrays
from hpsearch.training import TrialQueue
from hpsearch.training.engines import make_engine
from tests.support.small import small_spec

SECONDS = 600  # a process that hangs fails its test
GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.normal(size=(60, 3))
TARGETS = (ROWS[:, 0] > 0).astype(int)
SPACE = {"depth": 1, "width": 6, "batch_size": 10, "learning_rate": 0.1, "dropout": 0.2}
SHORT: dict[str, Any] = {"training": {"epochs": 2}, "device": "cpu"}


def build(trial: optuna.Trial, shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Make a network of one's own that draws from torch's global state."""
    return nn.Sequential(nn.Linear(shape[0], 5), nn.Dropout(0.3), nn.Linear(5, outputs))


def value(function: Objective) -> float:
    """Return the value of the objective's known-good trial."""
    study = optuna.create_study(direction=function.direction)
    study.enqueue_trial(function.defaults())
    study.optimize(function, n_trials=1)
    return study.best_value


def trained(engine: str) -> tuple[float, ...]:
    """Return the validation losses of a trial that an engine trains."""
    data = from_arrays(ROWS, TARGETS)
    queue = TrialQueue([small_spec(data)])
    make_engine(engine, data, 2).run(queue)
    return queue.runs[3].history.validation_loss


def described(data: Data, result: SearchResult, estimator: DNNClassifier) -> tuple[Any, ...]:
    """Return what data say of themselves, and what a result and an estimator predict here."""
    return data.summary["hash"], len(data.training), result.predict(ROWS).tolist(), estimator.predict(ROWS).tolist()


def in_pool(method: str, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Return what a function returns in each of two processes that begin in a way, asked at once."""
    if method == "loky":
        from joblib import Parallel, delayed

        return list(Parallel(n_jobs=2, timeout=SECONDS)(delayed(function)(*arguments) for _ in range(2)))
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method))
    try:
        return [future.result(SECONDS) for future in [pool.submit(function, *arguments) for _ in range(2)]]
    finally:
        for process in list((pool._processes or {}).values()):
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)


METHODS = ("spawn", "forkserver", "fork", "loky")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_an_objective_has_the_same_value_in_every_process(method: str) -> None:
    """After a training in this process, an objective that goes to others gives its value there, networks of one's own too."""
    for own in (None, build):
        space = SPACE if own is None else {"learning_rate": 0.1, "batch_size": 10}
        function = Objective((ROWS, TARGETS), space, build=own, **SHORT)
        here = value(function)
        torch.randn(500, 500).sin().sum()
        assert in_pool(method, value, function) == [here, here]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_data_and_results_go_to_other_processes(method: str) -> None:
    """Data are the same there, and a result and a fitted estimator predict the same."""
    result = search(ROWS, TARGETS, trials=2, confirm=0, space=SPACE, **SHORT)
    estimator = DNNClassifier(trials=2, epochs=2, random_state=0).fit(ROWS, TARGETS)
    given = (from_arrays(ROWS, TARGETS), result, estimator)
    here = described(*given)
    assert in_pool(method, described, *given) == [here, here]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.parametrize("engine", ["reference", "compiled", "fused"])
def test_every_engine_trains_in_other_processes(engine: str, method: str) -> None:
    """An engine that trained in this process trains the same in processes that begin afterwards."""
    here = trained(engine)
    assert in_pool(method, trained, engine) == [here, here]
