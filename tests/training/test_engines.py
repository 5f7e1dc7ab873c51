"""The door to the engines: who trains what, and why."""

import logging
import os
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from time import time

import pytest

from hpsearch.training import Several
from hpsearch.training.activations import ACTIVATIONS, Activation
from hpsearch.training.compiled.jit import kept
from hpsearch.training.devices import default_places, workers
from hpsearch.training.engines import ENGINES, choose, compiles, make_engine
from hpsearch.training.reference import ReferenceEngine
from hpsearch.trial import Outcome
from tests.support.observers import logged
from tests.support.small import small_data, small_spec


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_trains(name: str) -> None:
    """Each engine by its name trains every trial that the source has, to the same figures."""
    data, source = small_data(), Several([small_spec(small_data(), number=n, seed=n) for n in range(3)])
    make_engine(name, data, places=2).run(source)
    assert {n: run.outcome for n, run in source.runs.items()} == dict.fromkeys(range(3), Outcome.FINISHED)
    reference = Several([small_spec(small_data(), number=1, seed=1)])
    ReferenceEngine(data).run(reference)
    assert source.runs[1].value == pytest.approx(reference.runs[1].value, abs=1e-10)


def test_each_reason_is_told_once() -> None:
    """Which engine trains, and why, is logged once however many batch sizes there are."""
    data, told = small_data(), list[str]()
    specs = [replace(small_spec(data), number=n, batch_size=size) for n, size in enumerate((1, 1, 10, 20))]
    with logged(told.append, logging.INFO):
        make_engine("auto", data, 2).run(Several(specs))
    assert len(told) == 1
    assert told[0].startswith("resident engine, a trial a core")


def test_machine_code_is_found_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled function is kept once it was called, in a new process too, until its source changes."""
    (tmp_path / "little.py").write_text(
        "from hpsearch.training.compiled.jit import compiled\n@compiled\ndef twice(x):\n    return 2 * x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    twice = import_module("little").twice
    assert not kept(twice)
    assert twice(3) == 6
    assert kept(twice)
    monkeypatch.delitem(sys.modules, "little")
    assert kept(import_module("little").twice)
    os.utime(tmp_path / "little.py", (time() + 60, time() + 60))
    assert not kept(twice)


@pytest.mark.parametrize("there", [False, True])
def test_compiling_is_foreseen(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    """The engines that have compiled kernels are about to compile where none is kept; the others never."""
    monkeypatch.setattr("hpsearch.training.compiled.jit.kept", lambda function: there)
    told = {name: compiles(name, small_data()) for name in ENGINES}
    assert told == {"auto": not there, "resident": not there, "reference": False, "fused": False}


def test_a_new_activation_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """An activation that only torch knows trains beside the others, in the fused engine, with the reference's figures."""
    monkeypatch.setitem(ACTIVATIONS, "softplus", Activation("softplus"))
    data, told = small_data(), list[str]()
    specs = [small_spec(data, number=n, activation=name) for n, name in enumerate(("tanh", "softplus", "tanh"))]
    source, reference = Several(list(specs)), Several(list(specs))
    with logged(told.append, logging.INFO):
        make_engine("auto", data, 3).run(source)
    ReferenceEngine(data).run(reference)
    assert [source.runs[n].value for n in range(3)] == pytest.approx([reference.runs[n].value for n in range(3)])
    assert told[1] == "fused engine, since the kernel has no activation 'softplus'"


def test_a_cpu_has_a_place_for_each_core() -> None:
    """On a CPU as many trials are in flight as it has cores, each in a lane of its own; a cohort is spread over the cores."""
    data = small_data()
    assert default_places(data, 10**6) == workers(data) >= 1
    assert choose("auto", small_spec(data), data, 8, "float32").size == 1
    assert choose("fused", small_spec(data), data, 8, "float32").size == -(-8 // workers(data))
