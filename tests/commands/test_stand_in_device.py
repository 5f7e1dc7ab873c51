"""The commands on a CUDA device that is not there: no tensor of another device, and nothing waits within a step."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from hpsearch.cli import main
from hpsearch.searching.ensemble import SEEDS
from tests.support.stand_in_device import Recorder, Waits, stand_in_device

TARGETS = {"regression": "number", "binary": "yes", "multiclass": "kind", "multilabel": "red, blue"}
FAST = ["--set", "training.epochs=3", "--set", "data.validation=0.2", "--device", "cuda"]
CONFIRMED = ["--set", "confirm.trials=2", "--set", "confirm.seeds=2", "--set", "confirm.ensemble=2"]


def table(rows: int = 120) -> pd.DataFrame:
    """Inputs and a target of each task."""
    generator = np.random.default_rng(4)
    frame = pd.DataFrame(generator.normal(size=(rows, 3)), columns=["p", "q", "r"])
    frame["number"] = (frame["p"] + frame["q"] * frame["r"]).round(3)
    frame["yes"] = np.where(frame["number"] > 0, "yes", "no")
    frame["kind"] = np.digitize(frame["number"], [-0.5, 0.5])
    frame["red"] = (frame["p"] > 0).astype(int)
    frame["blue"] = (frame["q"] > 0.5).astype(int)
    return frame


def write_table(folder: Path, task: str, rows: int = 120) -> list[str]:
    """Write a table with the target of one task; return the options that name it."""
    names = TARGETS[task].split(", ")
    file = folder / "t.csv"
    table(rows)[["p", "q", "r", *names]].to_csv(file, index=False)
    return ["--data", str(file), "--target", TARGETS[task]]


def waiting(tensor: torch.Tensor) -> None:
    tensor.add_(float(tensor.sum()))


def test_the_device_has_cuda_s_rules() -> None:
    """It refuses tensors of another device, arrays and the CPU's generators, and writes down who waits within a replayed step."""
    with stand_in_device() as waits:
        here = torch.zeros(3, device="cuda")
        assert (here + 1).device == here.new_ones(2).device == torch.device("cuda:0")
        assert here.to("cpu").device.type == "cpu"
        with pytest.raises(RuntimeError, match="same device"):
            here + torch.ones(3)
        with pytest.raises(TypeError, match="can't convert cuda:0"):
            here.numpy()
        with pytest.raises(RuntimeError, match="generator"):
            torch.randn(3, device="cuda", generator=torch.Generator())
        assert not waits.in_steps
        step = Recorder(here.device)
        step.capture(lambda: waiting(here))
        step.replay()
        assert [name.split(",")[0] for name in waits.in_steps] == ["__float__"]


def assert_no_waits(waits: Waits) -> None:
    assert waits.steps > 10
    assert not waits.in_steps


@pytest.mark.slow
@pytest.mark.parametrize("task", TARGETS)
def test_a_study_on_the_device(tmp_path: Path, task: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A search with replicates and an ensemble, a refit, the check against the reference, and predictions, of each task."""
    given = write_table(tmp_path, task)
    reports = ["--reports", str(tmp_path)]
    with stand_in_device() as waits:
        assert main(["run", *given, *FAST, *CONFIRMED, "--trials", "5", *reports]) == 0
        assert main(["verify", "t", *reports, "--trials", "2", "--float64", "--device", "cuda"]) == 0
        assert main(["refit", "t", *reports, "--device", "cuda"]) == 0
        output = ["-o", str(tmp_path / "out.csv"), "--device", "cuda"]
        assert main(["predict", "t", str(tmp_path / "t.csv"), *output, *reports]) == 0
    assert_no_waits(waits)
    assert len(pd.read_csv(tmp_path / "out.csv")) == len(table())
    capsys.readouterr()


@pytest.mark.slow
def test_judged_networks_wait_for_the_device_seldom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run whose ensemble is judged and calibrated waits at most twice for each network that held rows out."""
    given = write_table(tmp_path, "multiclass", rows=700)  # 140 rows are held out: enough for a temperature
    confirmed = ["--set", "confirm.trials=3", "--set", "confirm.seeds=2", "--set", "confirm.ensemble=3"]
    options = [*FAST, *confirmed, "--metric", "f1", "--trials", "4", "--reports", str(tmp_path)]
    with stand_in_device() as waits:
        assert main(["run", *given, *options]) == 0
    judging = ("/searching/held_out.py", "/searching/ensemble.py", "/searching/scoring.py")
    found = sum(count for where, count in waits.all.items() if where.split(", ")[1].split(":")[0] in judging)
    assert 0 < found <= 2 * 3 * SEEDS, waits.all
    capsys.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_a_comparison_on_the_device(
    tmp_path: Path, task: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison of batch sizes with what it measures update by update."""
    monkeypatch.setattr("hpsearch.comparison.timing.REPEAT_SECONDS", 0.001)
    monkeypatch.setattr("hpsearch.comparison.page.picture.WAYS", ())
    write_table(tmp_path, task)
    study = tmp_path / "t.toml"
    study.write_text(f"[data]\nfile = '{tmp_path / 't.csv'}'\ntarget = '{TARGETS[task]}'\n")
    few = ["--trials", "2", "--seeds", "2", "--set", "compare.measured=1", "--batch-sizes", "16,full"]
    few += ["--set", "compare.divisions=1"]
    with stand_in_device() as waits:
        assert main(["compare", str(study), *FAST, *few, "--reports", str(tmp_path)]) == 0
    assert_no_waits(waits)
    capsys.readouterr()
