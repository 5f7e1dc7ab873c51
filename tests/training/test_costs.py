"""Where trials train beside a GPU, by what a model says of their costs; and shares of a GPU's memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
import torch

from hpsearch.data import Data
from hpsearch.training import TrialQueue, engines
from hpsearch.training.compiled.group import CompiledTrial
from hpsearch.training.costs import cores_are_cheaper, seconds_on_cores, seconds_on_gpu
from hpsearch.training.devices import free_bytes, use_share
from hpsearch.training.engines import choose
from hpsearch.training.fused.group import FusedGroup
from hpsearch.training.groups import ConcurrentEngine, Cores, Plan
from hpsearch.training.progress import Stopping
from hpsearch.training.workers.engine import WorkerSettings
from hpsearch.trial import Outcome, TrialSpec
from tests.support.cohorts import assert_equal, reference, varied_spec
from tests.support.small import small_data, small_spec


def like(batch_size: int, width: int = 100) -> TrialSpec:
    return small_spec(small_data(), widths=(width, width), batch_size=batch_size)


def test_small_batches_train_on_cores() -> None:
    """Few trials of few rows are cheaper on cores, many rows, many trials for few cores and wide networks on the GPU."""
    assert cores_are_cheaper(like(1), slots=64, cores=15)
    assert cores_are_cheaper(like(1), slots=8, cores=1)
    assert not cores_are_cheaper(like(256), slots=64, cores=15)
    assert not cores_are_cheaper(like(1), slots=256, cores=1)
    assert not cores_are_cheaper(like(1, width=2000), slots=64, cores=15)


def test_costs_grow_with_work() -> None:
    """More trials, rows and weights never cost less, and a group on the GPU costs about as much as one trial."""
    for cost in (seconds_on_gpu, lambda spec, trials: seconds_on_cores(spec, trials, 4)):
        assert cost(like(1), 5) >= cost(like(1), 1) > 0
        assert cost(like(64), 1) >= cost(like(1), 1)
        assert cost(like(1, width=3000), 1) > cost(like(1), 1)
    assert seconds_on_gpu(like(1), 16) < 1.5 * seconds_on_gpu(like(1), 1)


@pytest.mark.parametrize(("name", "precision"), [("auto", "float32"), ("auto", "tf32"), ("compiled", "float32")])
def test_only_auto_sends_trials_to_cores(name: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that was asked for, and products of a GPU's own precision, train on the GPU; `auto` says where a trial trains, and why."""
    data = small_data()
    for module in ("engines", "groups", "devices"):
        monkeypatch.setattr(f"hpsearch.training.{module}.device_of", _cuda_at_first(data))
    monkeypatch.setattr("hpsearch.training.groups.find_spec", lambda package: object())
    monkeypatch.setattr(engines, "cpu_count", lambda: 16)
    cores = engines._cores_beside(name, data, precision)
    plans = [choose(name, like(size), data, 64, precision, cores) for size in (1, 256)]
    assert [plan.on_cores for plan in plans] == [(name, precision) == ("auto", "float32"), False]
    if plans[0].on_cores:
        assert plans[0].reason.startswith("a trial a core beside the GPU")


def _cuda_at_first(data: Data) -> object:
    """Return a `device_of` by which data lie on a GPU, and their copy on the CPU."""

    def device_of(other: Data) -> torch.device:
        return torch.device("cuda" if other is data else "cpu")

    return device_of


def test_cores_and_the_device_train_beside_each_other() -> None:
    """Trials on cores and in groups are the reference's runs, share the slots, and each has the data where it trains."""
    data, specs = small_data(), [varied_spec(small_data(), number) for number in range(10)]
    cores = Cores(data, threads=2)
    seen: list[tuple[str, int, bool]] = []

    def on_cores(specs: Sequence[TrialSpec], own: Data) -> CompiledTrial:
        seen.append(("cores", len(specs), own is cores.data))
        return CompiledTrial(specs[0], own)

    def on_gpu(specs: Sequence[TrialSpec], own: Data) -> FusedGroup:
        seen.append(("gpu", len(specs), own is data))
        return FusedGroup(specs, own)

    plans = {
        True: Plan("compiled", "", 1, on_cores, on_cores=True),
        False: Plan("fused", "", 9, on_gpu),
    }
    source = TrialQueue(specs)
    engine = ConcurrentEngine(data, lambda spec: plans[spec.number % 2 == 0], max_concurrency=6, threads=2, cores=cores)
    engine.run(source)
    assert {where: right for where, _, right in seen} == {"cores": True, "gpu": True}
    assert sum(count for _, count, _ in seen) == len(specs)
    for spec in specs:
        assert_equal(source.runs[spec.number], reference(spec))


def test_a_trial_on_a_core_is_no_company_in_a_gpu_s_memory() -> None:
    """A group that finds no memory while only cores train beside it is divided: waiting for them would help nobody."""
    data, specs = small_data(), [varied_spec(small_data(), number, batch_size=10) for number in range(6)]
    sizes: list[int] = []

    class Full(FusedGroup):
        def train(self, until: int, stopping: Stopping) -> Mapping[int, torch.Tensor] | None:
            if len(self.cohort.specs) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().train(until, stopping)

    def on_gpu(specs: Sequence[TrialSpec], data: Data) -> Full:
        sizes.append(len(specs))
        return Full(specs, data)

    plans = {
        True: Plan("compiled", "", 1, lambda specs, data: CompiledTrial(specs[0], data), on_cores=True),
        False: Plan("fused", "", 9, on_gpu),
    }
    source = TrialQueue(specs)
    cores = Cores(data, threads=1)
    engine = ConcurrentEngine(data, lambda spec: plans[spec.number < 2], max_concurrency=6, threads=1, cores=cores)
    engine.run(source)
    assert {run.outcome for run in source.runs.values()} <= {Outcome.FINISHED, Outcome.DIVERGED}
    assert sizes == [4, 2, 2]
    assert engine.max_concurrency == 6


def test_workers_on_one_gpu_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers on a GPU may take half of its memory each, and count what is free for them by that; one alone may take all."""
    fractions: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", fractions.append)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (900, 1000))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: 0.5)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 200)
    gpu = torch.device("cuda:0")
    use_share(gpu, 1.0)
    use_share(gpu, 0.5)
    use_share(torch.device("cpu"), 0.5)
    assert fractions == [0.5]
    assert free_bytes(gpu) == 300
    job = WorkerSettings("auto", "float32", None, 8).job(small_data(), "cuda:0", 1, 2, share=0.5)
    assert job.share == 0.5


def test_scores_of_a_group_are_those_of_each() -> None:
    """Scores that are computed together are, bit for bit, those of a group of one, and up to rounding those of one network."""
    for task in ("multiclass", "regression", "binary", "multilabel"):
        data = small_data(task, torch.float32)
        rows = data.validation
        outputs = torch.randn(3, len(rows), data.outputs, generator=torch.Generator().manual_seed(1))
        weights = torch.rand(len(rows), generator=torch.Generator().manual_seed(2))
        for own_rows in (rows, replace(rows, weights=weights)):
            together = data.scores(outputs, own_rows)
            assert together == [data.scores(own[None], own_rows)[0] for own in outputs]
            for scores, own in zip(together, outputs, strict=True):
                assert scores == pytest.approx(data.score(own, own_rows), rel=1e-6)
