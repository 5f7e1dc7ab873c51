"""The compiled engine on a GPU: its Triton kernels, interpreted, are the reference; compiled without a GPU, they have what they need."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from hpsearch.errors import UserError
from hpsearch.training import groups
from hpsearch.training.compiled.triton import group as triton_group
from hpsearch.training.compiled.triton.group import CAPABILITIES, TritonGroup
from tests.support import triton_compiled, triton_interpreted
from tests.support.cohorts import varied_spec
from tests.support.small import small_data
from tests.support.triton_trials import GROUPS, assert_triton_parity, diverging_group, mixed_group

ROOT = Path(__file__).parents[2]
INTERPRETED = list(triton_interpreted.CHECKS)
PROGRAMS = [("triton_interpreted", INTERPRETED), ("triton_compiled", [])]  # both cores are busy about as long
triton_only = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What each check found wrong, by its name; the programs run at the same time."""
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path_factory.mktemp("triton")), "PYTHONPATH": str(ROOT)}
    environment.pop("TRITON_INTERPRET", None)
    interpreting = {**environment, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    children: list[subprocess.Popen[str]] = []
    for program, checks in PROGRAMS:
        command = [sys.executable, "-W", "error", "-m", f"tests.support.{program}", *checks]
        variables = interpreting if program == "triton_interpreted" else environment
        children.append(subprocess.Popen(command, env=variables, cwd=ROOT, stdout=subprocess.PIPE, text=True))
    found: dict[str, str] = {}
    for child in children:
        output, _ = child.communicate()
        found |= json.loads(output)
    return found


@triton_only
@pytest.mark.slow
@pytest.mark.parametrize("name", [*triton_interpreted.CHECKS, *triton_compiled.CHECKS])
def test_kernel(problems: Mapping[str, str], name: str) -> None:
    """Every optimizer with every activation, over tasks and batch sizes, is the reference's run to 1e-10; and the other checks."""
    assert problems[name] == ""


def test_obstacles_are_named() -> None:
    """The capabilities say what keeps a trial from the kernel."""
    data = small_data()
    spec = varied_spec(data, 0, batch_size=16)
    unknown = replace(spec, architecture=replace(spec.dense_architecture, activation="mish"))
    own_network = replace(spec, architecture=None)
    if find_spec("triton"):
        assert CAPABILITIES.obstacle(spec, data) is None
        assert CAPABILITIES.obstacle(unknown, data) == "the compiled engine for CUDA has no activation 'mish'"
        bfloat16 = data.to("cpu", torch.bfloat16)
        assert CAPABILITIES.obstacle(spec, bfloat16) == "the compiled engine for CUDA has no torch.bfloat16"
    assert CAPABILITIES.obstacle(own_network, data) == "a network of one's own trains in the reference engine"


def test_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Triton the kernel can train nothing, and the group says what to do."""
    monkeypatch.setattr(groups, "find_spec", lambda name: None)
    monkeypatch.setattr(triton_group, "find_spec", lambda name: None)
    spec = varied_spec(small_data(), 0, batch_size=1)
    assert CAPABILITIES.obstacle(spec, small_data()) == "Triton is not installed"
    with pytest.raises(UserError, match="needs Triton on a GPU, and it is not installed: choose the engine 'fused'"):
        TritonGroup([spec], small_data())


@pytest.fixture
def cuda() -> None:
    """Skip where there is no CUDA device."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
@triton_only
@pytest.mark.parametrize("index", range(len(GROUPS)))
def test_cuda_equals_reference(index: int) -> None:
    """In float64 groups on CUDA have the runs of the reference on the CPU to 1e-10."""
    assert_triton_parity(mixed_group(index, evaluate_at=(10, 20, 40)), GROUPS[index][0], "cuda")


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
@triton_only
def test_a_diverging_trial_on_cuda_changes_no_other() -> None:
    """A trial that diverges ends as in the reference, and its neighbours do not see it."""
    assert_triton_parity(diverging_group(), "regression", "cuda")


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
@triton_only
@pytest.mark.parametrize("batch_size", [1, 2, 5, 8, 16])
def test_cuda_has_no_races(batch_size: int) -> None:
    """Networks of many tiles and of few numbers train to the same bits, however often: threads wait for each other where they must."""
    data = small_data().to("cuda", torch.float32)
    shapes = [(3,), (100, 300), (2, 2, 2), (257, 65, 33), ()]
    settings = {"batch_size": batch_size, "evaluate_at": (300,), "dropout": 0.1}
    specs = [varied_spec(data, number, widths=shapes[number % 5], **settings) for number in range(40)]
    first, *others = [TritonGroup(specs, data).train(300, lambda: False) for _ in range(4)]
    assert first is not None
    for losses in others:
        assert losses is not None
        assert all(torch.equal(losses[number], first[number]) for number in first)
