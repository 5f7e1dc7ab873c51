"""The choice of an engine: which one trains what, and why."""

import logging
import os
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from time import time
from typing import Any

import pytest
import torch
from torch import nn

from hpsearch.data import Data
from hpsearch.errors import UserError
from hpsearch.training import ENGINES, TrialQueue, engine_name
from hpsearch.training.compiled.jit import is_cached
from hpsearch.training.devices import check_precision, choose_device, default_concurrency, worker_threads
from hpsearch.training.engines import choose, make_engine, will_compile
from hpsearch.training.network import DNN
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.trial import Outcome, TrialSpec
from tests.support.observers import logged
from tests.support.small import small_data, small_spec
from tests.support.worker_pools import reference_runs


@pytest.mark.parametrize("name", [*ENGINES, "resident"])
def test_every_engine_trains(name: str) -> None:
    """Each engine by its name, or its former one, trains every trial that the source has, to the same figures."""
    specs = [small_spec(small_data(), number=n, seed=n) for n in range(3)]
    source = TrialQueue(specs)
    make_engine(name, small_data(), max_concurrency=2).run(source)
    assert {n: run.outcome for n, run in source.runs.items()} == dict.fromkeys(range(3), Outcome.FINISHED)
    expected = reference_runs(specs[1:2], small_data())
    assert source.runs[1].value == pytest.approx(expected[1].value, abs=1e-10)


@pytest.mark.parametrize("name", ["auto", "reference", "fused"])
@pytest.mark.parametrize("ends", [{"patience": 2}, {"target": 0.4}, {}])
def test_the_last_network_is_kept_where_it_is_asked_for(name: str, ends: dict[str, Any]) -> None:
    """It is the network of the last evaluation, however the run ends, and another one than the best where that came before."""
    data = small_data()
    spec = small_spec(data, learning_rate=1.5, evaluate_at=tuple(range(2, 42, 2)), keep_last=True, **ends)
    source = TrialQueue([spec, replace(spec, number=4, keep_last=False)])
    make_engine(name, data, max_concurrency=2).run(source)
    run = source.runs[3]
    assert run.best < run.history.last or "target" in ends
    assert run.last_weights is not None
    network = DNN(spec.dense_architecture).to(dtype=torch.float64)
    network.load_state_dict(dict(run.last_weights))
    loss, metric = data.score(network(data.validation.inputs), data.validation)
    assert (loss, metric) == pytest.approx((run.history.validation_loss[-1], run.history.metric[-1]))
    assert source.runs[4].last_weights is None
    assert source.runs[4].history.metric == run.history.metric


def test_a_former_name_is_understood() -> None:
    """What the compiled engine was called before still chooses it; another name is refused with the known ones."""
    assert engine_name("resident") == "compiled"
    with pytest.raises(UserError, match=r"unknown engine 'compield'\. Did you mean 'compiled'\?"):
        make_engine("compield", small_data())


def test_each_reason_is_logged_once() -> None:
    """Which engine trains, and why, is logged once however many batch sizes there are."""
    sizes = (1, 1, 10, 20)
    specs = [replace(small_spec(small_data()), number=n, batch_size=size) for n, size in enumerate(sizes)]
    lines: list[str] = []
    with logged(lines.append, logging.INFO):
        make_engine("auto", small_data(), 2).run(TrialQueue(specs))
    assert len(lines) == 1
    assert lines[0].startswith("compiled engine, a trial a core")


def test_machine_code_is_found_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled function is cached once it was called, in a new process too, until its source changes."""
    (tmp_path / "little.py").write_text(
        "from hpsearch.training.compiled.jit import compiled\n@compiled\ndef twice(x):\n    return 2 * x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    twice = import_module("little").twice
    assert not is_cached(twice)
    assert twice(3) == 6
    assert is_cached(twice)
    monkeypatch.delitem(sys.modules, "little")
    assert is_cached(import_module("little").twice)
    os.utime(tmp_path / "little.py", (time() + 60, time() + 60))
    assert not is_cached(twice)


def test_machine_code_of_older_sources_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code from before a change of any source of its folder is not read, not even to see that it is old: it may name what is gone."""
    source = "from hpsearch.training.compiled.jit import compiled\n@compiled\ndef thrice(x):\n    return 3 * x\n"
    (tmp_path / "small.py").write_text(source)
    (tmp_path / "part.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    # Of who runs the tests: the code lies beside its source here.
    monkeypatch.setattr("numba.core.config.CACHE_DIR", "")
    assert import_module("small").thrice(3) == 9
    index = next(tmp_path.rglob("*.nbi"))
    index.write_bytes(index.read_bytes()[:20] + b"no pickle")
    os.utime(tmp_path / "part.py", (time() + 60, time() + 60))
    monkeypatch.delitem(sys.modules, "small")
    assert import_module("small").thrice(3) == 9


@pytest.mark.parametrize("cached", [False, True])
def test_compiling_is_foreseen(monkeypatch: pytest.MonkeyPatch, cached: bool) -> None:
    """The engines that have compiled kernels are about to compile where none is cached; the others never."""
    monkeypatch.setattr("hpsearch.training.compiled.jit.is_cached", lambda function: cached)
    compiling = {name: will_compile(name, small_data()) for name in ENGINES}
    assert compiling == {"auto": not cached, "compiled": not cached, "reference": False, "fused": False}


def test_a_cpu_has_a_slot_for_each_core() -> None:
    """On a CPU as many trials are in flight as it has cores, each in a group of its own; a cohort is spread over the cores."""
    data = small_data()
    assert default_concurrency(data, 10**6) == worker_threads(data) >= 1
    assert choose("auto", small_spec(data), data, 8, "float32").size == 1
    assert choose("fused", small_spec(data), data, 8, "float32").size == -(-8 // worker_threads(data))


def chosen(name: str, data: Data, device: str, monkeypatch: pytest.MonkeyPatch, optimizer: str = "adam") -> str:
    """Return which engine trains a trial, and why, were the data on a device."""
    for module in ("engines", "groups", "devices"):
        monkeypatch.setattr(f"hpsearch.training.{module}.device_of", lambda data: torch.device(device))
    plan = choose(name, small_spec(data, optimizer=optimizer), data, 8, "float32")
    return f"{plan.engine}: {plan.reason}"


@pytest.mark.parametrize(
    ("name", "device", "choice"),
    [
        ("auto", "cpu", "compiled: a trial a core"),
        ("compiled", "cpu", "compiled: a trial a core"),
        ("fused", "cpu", "fused: as asked"),
        ("auto", "cuda", "compiled: a few launches for an update of many trials"),
        ("compiled", "cuda", "compiled: a few launches for an update of many trials"),
        ("fused", "cuda", "fused: as asked"),
        ("auto", "mps", "reference: since the fused engine does not train on mps"),
        ("compiled", "mps", "reference: since the fused engine does not train on mps"),
        ("fused", "mps", "reference: since the fused engine does not train on mps"),
    ],
)
def test_the_choice_by_device(name: str, device: str, choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name stands for an engine on each device; what no other engine can train is left to the reference."""
    monkeypatch.setattr("hpsearch.training.groups.find_spec", lambda package: object())
    assert chosen(name, small_data(), device, monkeypatch).startswith(choice)


@pytest.mark.parametrize("name", ["auto", "compiled", "fused"])
@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_an_optimizer_without_a_formula_trains_in_the_reference(
    name: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On every device, whatever engine is asked for, and the reason says so."""
    monkeypatch.setitem(OPTIMIZERS, "adam", replace(OPTIMIZERS["adam"], formula=None))
    choice = chosen(name, small_data(), device, monkeypatch)
    assert choice.startswith("reference: since ")
    assert device == "mps" or choice == "reference: since the optimizer 'adam' has no formula"


def test_apples_gpu_is_used_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """`mps` is a device where torch has one, never the default, and computes in float32 only."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match="this machine has no Apple GPU"):
        choose_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps").type == "mps"
    assert choose_device(None).type in ("cpu", "cuda")
    check_precision("float32", torch.device("mps"))
    with pytest.raises(UserError, match=r"computes in float32 only\. Give float32, or --device cpu"):
        check_precision("float64", torch.device("mps"))
    with pytest.raises(UserError, match="only the fused and the compiled engine on CUDA have it"):
        check_precision("bfloat16", torch.device("mps"))


def _network_on_cpu(spec: TrialSpec, data: Data, own: nn.Module | None) -> tuple[DNN, DNN]:
    network = DNN.initialized(spec.dense_architecture, spec.seed).float()
    return network, network


def test_training_on_apples_gpu_is_the_references(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread trains the trials of an Apple GPU one after another in plain torch, and waits for the device as it takes the time."""
    data = small_data(dtype=torch.float32)
    specs = [small_spec(data, number=n, seed=n, optimizer="adam") for n in range(3)]
    expected = reference_runs(specs, data)
    waits: list[bool] = []
    with monkeypatch.context() as patch:
        for module in ("engines", "groups", "devices", "reference"):
            patch.setattr(f"hpsearch.training.{module}.device_of", lambda data: torch.device("mps"))
        patch.setattr("hpsearch.training.reference._network", _network_on_cpu)
        patch.setattr(torch.mps, "synchronize", lambda: waits.append(True))
        assert worker_threads(data) == default_concurrency(data, 10) == 1
        source = TrialQueue(specs)
        make_engine("auto", data).run(source)
    assert {n: run.value for n, run in source.runs.items()} == {n: run.value for n, run in expected.items()}
    assert len(waits) == 3 * 4 * 2  # trials, evaluations, before and after


@pytest.fixture
def old_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose one CUDA device has compute capability 7.0, and a torch without code below 7.5."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla V100")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "sm_90a", "compute_120"])


@pytest.mark.usefixtures("old_gpu")
def test_a_gpu_without_code_is_passed_over_and_said(caplog: pytest.LogCaptureFixture) -> None:
    """Where torch has no code for the only GPU the CPU trains, with a warning; asked for, the GPU is refused in one line."""
    assert choose_device(None).type == "cpu"
    assert "Tesla V100 has compute capability 7.0" in caplog.text
    with pytest.raises(UserError, match=r"device 'cuda:0': Tesla V100 .* no code\. Give cpu"):
        choose_device("cuda:0")


@pytest.mark.usefixtures("old_gpu")
@pytest.mark.parametrize("known", ["sm_70", "compute_70", "compute_60"])
def test_a_gpu_with_code_is_taken(monkeypatch: pytest.MonkeyPatch, known: str) -> None:
    """Machine code of the same generation, or code that the driver compiles, is enough."""
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_90", known])
    assert choose_device(None).type == "cuda"
    assert choose_device("cuda").type == "cuda"


@pytest.mark.usefixtures("old_gpu")
def test_a_reduced_precision_needs_the_engine_and_the_gpu_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """tf32 and bfloat16 are refused on a GPU without them, and by an engine that would compute in float32 instead."""
    device = torch.device("cuda")
    for precision in ("tf32", "bfloat16"):
        with pytest.raises(UserError, match=r"compute capability 7\.0"):
            check_precision(precision, device)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    check_precision("tf32", device)
    for engine in ("fused", "compiled"):
        check_precision("bfloat16", device, engine)
    with pytest.raises(UserError, match="engine is reference"):
        check_precision("tf32", device, "reference")
