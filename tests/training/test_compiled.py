"""The compiled engine: what its compiled kernels do beyond parity (`test_parity.py`)."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import scipy.special
import torch

from hpsearch.data import Data, from_arrays
from hpsearch.data.tasks import TASKS
from hpsearch.training import TrialQueue
from hpsearch.training.compiled import activations, kernel, losses
from hpsearch.training.compiled.activations import erf, exp, tanh
from hpsearch.training.compiled.group import CompiledTrial
from hpsearch.training.compiled.jit import compiled
from hpsearch.training.engines import make_engine
from hpsearch.training.layers import ACTIVATIONS
from hpsearch.training.reference import train
from hpsearch.trial import Outcome
from tests.support.cohorts import assert_equal, cohort, trained, varied_spec
from tests.support.small import small_data, small_spec


@compiled
def _exps(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = exp(x[i])


@compiled
def _tanhs(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = tanh(x[i])


@compiled
def _erfs(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = erf(x[i])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "exact"), [(_exps, np.exp), (_tanhs, np.tanh), (_erfs, scipy.special.erf)], ids=["exp", "tanh", "erf"]
)
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 4e-7), ("float64", 1e-15)])
def test_elementary_functions(function: Any, exact: Callable[[Any], Any], dtype: str, bound: float) -> None:
    """exp, tanh and erf are exact to a few roundings of their precision, near zero and far out; NaN stays NaN."""
    x = np.concatenate([np.linspace(-20, 20, 40_001), np.geomspace(1e-30, 1, 500), [-80, 80, np.inf, np.nan]])
    x = x.astype(dtype)
    y = np.empty_like(x)
    function(x, y)
    assert np.isnan(y[-1])
    wanted = exact(x[:-2].astype(np.float64))
    assert float(np.max(np.abs(y[:-2] - wanted) / np.abs(wanted).clip(1e-30))) < bound


def test_codes_are_rows_of_the_tables() -> None:
    """Each compiled activation and loss is that of a row; a row without one trains in the fused engine."""
    assert set(activations.CODES) <= set(ACTIVATIONS)
    assert set(losses.CODES) <= set(TASKS)


def large_data(rows: int = 1_400) -> Data:
    generator = np.random.default_rng(3)
    inputs = generator.normal(size=(rows, 5))
    return from_arrays(inputs, np.digitize(inputs[:, 0] * inputs[:, 1], [-0.5, 0.5]), name="large").to(
        "cpu", torch.float64
    )


@pytest.mark.parametrize("batch_size", [kernel.CHUNK, kernel.CHUNK + 1, 700, "full"])
def test_chunks_of_a_batch_add_up(batch_size: int | str) -> None:
    """A batch that goes through in chunks of rows, the last one short, with dropout, is the reference's."""
    data = large_data()
    rows = len(data.training) if batch_size == "full" else int(batch_size)
    specs = [varied_spec(data, n, batch_size=rows, dropout=0.3) for n in range(3)]
    source = TrialQueue(list(specs))
    make_engine("compiled", data).run(source)
    for spec in specs:
        expected = train(spec, data, TrialQueue())
        assert expected is not None
        assert_equal(source.runs[spec.number], expected)


@pytest.mark.parametrize("batch_size", [1, 10])
def test_calls_are_short_and_add_up(monkeypatch: pytest.MonkeyPatch, batch_size: int) -> None:
    """A window in many short calls, so that Ctrl-C is heard, is the window in one, bit for bit."""
    specs = cohort(trials=4, batch_size=batch_size, evaluate_at=(20, 45))
    whole = trained(specs, engine="compiled")
    monkeypatch.setattr("hpsearch.training.compiled.group.CALL_WORK", 3_000)
    cut = trained(specs, engine="compiled")
    assert all(whole[n].history.validation_loss == cut[n].history.validation_loss for n in whole)


def test_stopping_is_heard_between_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is stopping gets no window."""
    monkeypatch.setattr("hpsearch.training.compiled.group.CALL_WORK", 1)
    asked: list[bool] = []

    def stopping() -> bool:
        asked.append(True)
        return len(asked) == 3

    assert CompiledTrial(small_spec(small_data()), small_data()).train(50, stopping) is None
    assert len(asked) == 3


@pytest.mark.parametrize("batch_size", [1, 10])
def test_a_diverged_window_ends_at_once(batch_size: int) -> None:
    """After the first loss that is not finite the kernel trains no further; the losses that it left out are NaN."""
    spec = small_spec(
        small_data("regression"), activation="relu", learning_rate=1e60, batch_size=batch_size, evaluate_at=(40,)
    )
    seen = CompiledTrial(spec, small_data("regression")).train(40, lambda: False)
    assert seen is not None
    losses_seen = seen[3]
    first = int((~torch.isfinite(losses_seen)).to(torch.uint8).argmax())
    assert 0 < first < 39
    assert torch.isnan(losses_seen[first + 1 :]).all()


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 10, "full"])
def test_neighbours_places_and_workers_change_no_bit(batch_size: int | str) -> None:
    """In float32 a trial's run is the same alone, beside others that diverge, and whoever trains it on how many cores."""
    data = small_data(dtype=torch.float32)
    rows = len(data.training) if batch_size == "full" else int(batch_size)
    specs = [varied_spec(data, n, batch_size=rows, evaluate_at=(20, 40)) for n in range(6)]
    wild = [replace(s, learning_rate=1e30, optimizer="sgd", coefficients={}) if s.number == 2 else s for s in specs]

    def runs(some: list[Any], places: int) -> dict[int, Any]:
        source = TrialQueue(list(some))
        make_engine("compiled", data, places).run(source)
        return source.runs

    alone, beside = {n: runs([specs[n]], 1)[n] for n in range(6)}, runs(wild, 5)
    assert beside[2].outcome is Outcome.DIVERGED
    for number in (0, 1, 3, 4, 5):
        assert alone[number].history.validation_loss == beside[number].history.validation_loss
        pairs = zip(alone[number].weights.values(), beside[number].weights.values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_float32_is_near() -> None:
    """In float32 the polynomials in place of libm's functions cost no more than rounding."""
    specs = cohort(evaluate_at=(6, 12))
    exact = trained(specs, engine="compiled")
    source = TrialQueue(list(specs))
    make_engine("compiled", small_data(dtype=torch.float32)).run(source)
    drifts = sorted(abs(source.runs[n].history.training_loss[1] - exact[n].history.training_loss[1]) for n in exact)
    assert 0 < drifts[len(drifts) // 2] < 1e-5


def test_kernels_release_the_lock_and_are_kept() -> None:
    """Kernels run without the interpreter's lock, so that trials train side by side, and their machine code is kept on disk."""
    dispatcher: Any = kernel.train
    config: Any = numba.config
    assert dispatcher.targetoptions["nogil"]
    CompiledTrial(small_spec(small_data()), small_data()).train(5, lambda: False)
    assert dispatcher.stats.cache_path
    assert config.DISABLE_JIT == 0


COLD_OR_WARM = """
import json, sys
import torch
from tests.support.cohorts import varied_spec
from tests.support.small import small_data
from hpsearch.training import TrialQueue
from hpsearch.training.layers import ACTIVATIONS
from hpsearch.training.engines import make_engine
data = small_data(dtype=torch.float32)
sizes = (1, 10, len(data.training))
pairs = [(size, name) for size in sizes for name in ACTIVATIONS]
specs = [varied_spec(data, n, batch_size=size, activation=name, dropout=0.2) for n, (size, name) in enumerate(pairs)]
source = TrialQueue(specs)
make_engine("compiled", data).run(source)
runs = [source.runs[n].history for n in range(len(pairs))]
print(json.dumps([[run.training_loss, run.validation_loss] for run in runs]))
"""


@pytest.mark.slow
def test_just_compiled_or_from_disk_is_one_code(tmp_path: Path) -> None:
    """A process that compiles the kernels and one that finds them on disk train every activation and batch size to the same bits."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    cold, warm = (
        subprocess.run(
            [sys.executable, "-c", COLD_OR_WARM],
            cwd=Path(__file__).parents[2],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for _ in range(2)
    )
    assert len(json.loads(cold)) == 18
    assert cold == warm


OF_OTHERS = """
import os
from hpsearch.training.compiled.jit import compiled
made = compiled(lambda x: x + 1)
print(made(1), os.listdir(os.environ["NUMBA_CACHE_DIR"]))
"""


@pytest.mark.slow
def test_machine_code_of_others_is_not_taken(tmp_path: Path) -> None:
    """Where others can write to `NUMBA_CACHE_DIR`, kernels are compiled without it, nothing is kept there, and a line says so."""
    tmp_path.chmod(0o777)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", OF_OTHERS],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "2 []\n"
    assert "which others can write to" in done.stderr
