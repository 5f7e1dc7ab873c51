"""The pulling engine: places, refills, exhausted memory and stopping, over lanes that train nothing."""

import gc
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
import torch

from hpsearch.data import Data
from hpsearch.training.compiled.triton.group import TritonGroup
from hpsearch.training.fused.group import FusedGroup
from hpsearch.training.groups import ConcurrentEngine, Plan
from hpsearch.trial import Outcome, TrainingRun, TrialSpec
from tests.support.small import small_data, small_spec

EXHAUSTED = "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"


@dataclass(eq=False)
class Bench:
    """A source of trials that prunes some, and the lanes that it was trained by."""

    specs: list[TrialSpec]
    prunes: dict[int, int] = field(default_factory=dict)  # trial → the evaluation where it is pruned
    fits: int = 99  # trials that memory holds
    fails_at: int = 1  # evaluation where memory runs out
    stopping: bool = False
    stop_after: int = 10**9
    sizes: list[int] = field(default_factory=list)
    rungs: list[tuple[int, int]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    runs: dict[int, TrainingRun] = field(default_factory=dict)
    flying: set[int] = field(default_factory=set)
    most: int = 0

    def take(self, room: int) -> Sequence[TrialSpec]:
        self.asked.append(room)
        taken, self.specs = self.specs[:room], self.specs[room:]
        self.flying |= {spec.number for spec in taken}
        self.most = max(self.most, len(self.flying))
        return taken

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        self.rungs.append((number, evaluation))
        return self.prunes.get(number) == evaluation

    def wants(self, run: TrainingRun) -> bool:
        return True

    def finish(self, run: TrainingRun) -> None:
        self.flying.discard(run.number)
        self.runs[run.number] = run
        self.stopping = len(self.runs) >= self.stop_after

    def train(self, places: int, size: int = 99, threads: int = 2) -> "Bench":
        plan = Plan("fake", "", size, lambda specs, data: FakeLane(list(specs), self))
        ConcurrentEngine(small_data(), lambda spec: plan, max_concurrency=places, threads=threads).run(self)
        return self


class FakeLane:
    """Its metric is the trial's number and the evaluation; it runs out of memory where more trials are in it than fit."""

    def __init__(self, specs: list[TrialSpec], bench: Bench) -> None:
        self.numbers, self.bench, self.evaluation = [spec.number for spec in specs], bench, 0
        self.seconds = 0.0
        bench.sizes.append(len(specs))

    def train(self, until: int, stopping: Callable[[], bool]) -> Mapping[int, torch.Tensor] | None:
        if stopping():
            return None
        self.evaluation += 1
        if self.evaluation == self.bench.fails_at and len(self.numbers) > self.bench.fits:
            raise RuntimeError(EXHAUSTED)
        self.seconds += 1.0
        return {n: torch.ones(1) for n in self.numbers}

    def scores(self) -> Mapping[int, tuple[float, float]]:
        return {n: (1.0, n + self.evaluation / 10) for n in self.numbers}

    def weights(self, number: int) -> Mapping[str, torch.Tensor]:
        return {"number": torch.tensor(number)}

    def drop(self, numbers: Collection[int]) -> None:
        self.numbers = [number for number in self.numbers if number not in numbers]


def specs(count: int, **changes: object) -> list[TrialSpec]:
    return [small_spec(small_data(), number=n, rungs=(1, 2, 3), **changes) for n in range(count)]


def test_a_lane_has_one_order_of_batches() -> None:
    """Trials whose batches come in another order (the same trial on fresh seeds) train in lanes of their own."""
    bench = Bench([replace(spec, order_seed=spec.number // 2) for spec in specs(6)])
    assert bench.train(6).sizes == [2, 2, 2]
    assert len(bench.runs) == 6


def test_places_stay_full_and_are_never_exceeded() -> None:
    """Pruned and finished trials leave at rungs and new ones take their places, until the last trial."""
    bench = Bench(specs(20), prunes={1: 1, 3: 2, 8: 3}).train(places=5)
    assert sorted(bench.runs) == list(range(20))
    assert bench.most == 5
    assert {n for n, run in bench.runs.items() if run.outcome is Outcome.PRUNED} == {1, 3, 8}
    assert [len(bench.runs[n].history) for n in (1, 3, 8, 0)] == [1, 2, 3, 4]


def test_wide_devices_are_refilled_in_good_parts() -> None:
    """With many places a single free one waits for others, so that no lane of one trial wastes a wide device."""
    bench = Bench(specs(60), prunes={n: 1 + n % 3 for n in range(40)}).train(places=32)
    assert sorted(bench.runs) == list(range(60))
    assert all(room >= 4 for room in bench.asked)


def test_a_lane_has_one_batch_size_and_one_budget() -> None:
    """Trials of different batch sizes or evaluations are never in one lane."""
    mixed = [*specs(3), *(replace(s, number=s.number + 3, batch_size=7) for s in specs(2))]
    assert sorted(Bench(mixed).train(places=5).sizes) == [2, 3]


@pytest.mark.parametrize("fails_at", [1, 3])
def test_exhausted_memory_halves_the_lane(fails_at: int) -> None:
    """A lane that does not fit alone goes on in halves, its rungs reported once; no trial is lost, and the size is remembered."""
    bench = Bench(specs(16), fits=2, fails_at=fails_at).train(places=8, threads=1)
    assert {run.outcome for run in bench.runs.values()} == {Outcome.FINISHED}
    assert sorted(bench.runs) == list(range(16))
    assert {len(run.history) for run in bench.runs.values()} == {4}
    assert len(bench.rungs) == len(set(bench.rungs)) == 16 * 3
    assert bench.sizes[0] == 8
    assert sorted(bench.sizes[1:])[:8] == [2] * 8
    assert set(bench.sizes[1:]) == {2, 4}  # a lane of four that was not alone is opened again, before it is halved


def test_a_trial_that_does_not_fit_alone_ends_in_its_outcome() -> None:
    """One trial that exhausts memory alone ends as out of memory; the study goes on."""
    bench = Bench(specs(3), fits=0).train(places=3)
    assert {run.outcome for run in bench.runs.values()} == {Outcome.OUT_OF_MEMORY}
    assert sorted(bench.runs) == [0, 1, 2]


@dataclass(eq=False)
class Device:
    """A device's memory, in trials: groups that live hold it together."""

    room: int
    held: int = 0
    most: int = 0

    def opened(self, specs: Sequence[TrialSpec], bench: Bench) -> "HoldingLane":
        if self.held + len(specs) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.held += len(specs)
        self.most = max(self.most, self.held)
        return HoldingLane(list(specs), bench, self)


class HoldingLane(FakeLane):
    """A lane whose trials hold memory as long as it lives."""

    def __init__(self, specs: list[TrialSpec], bench: Bench, device: Device) -> None:
        super().__init__(specs, bench)
        self.device = device

    def drop(self, numbers: Collection[int]) -> None:
        self.device.held -= len(numbers)
        super().drop(numbers)

    def __del__(self) -> None:
        self.device.held -= len(self.numbers)


@pytest.mark.parametrize("size", [1, 4, 16])
@pytest.mark.parametrize("threads", [1, 2])
def test_who_finds_no_memory_beside_others_waits(size: int, threads: int) -> None:
    """Sixteen trials in flight, memory for ten: whatever the groups' size none is lost, and later trials come at most as many at once."""
    device, bench = Device(room=10), Bench(specs(40))
    plan = Plan("fake", "", size, lambda specs, data: device.opened(specs, bench))
    engine = ConcurrentEngine(small_data(), lambda spec: plan, max_concurrency=16, threads=threads)
    engine.run(bench)
    assert {run.outcome for run in bench.runs.values()} == {Outcome.FINISHED}
    assert sorted(bench.runs) == list(range(40))
    assert {len(run.history) for run in bench.runs.values()} == {4}
    assert len(bench.rungs) == len(set(bench.rungs)) == 40 * 3
    assert 5 <= device.most <= 10


def test_of_many_trials_only_the_one_that_does_not_fit_alone_ends() -> None:
    """A trial that is too large for the device ends as out of memory, however many others were in flight when it was first opened."""
    device, bench = Device(room=10), Bench(specs(12))

    def opened(specs: Sequence[TrialSpec], data: Data) -> FakeLane:
        if specs[0].number == 5:
            raise RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)")
        return device.opened(specs, bench)

    engine = ConcurrentEngine(small_data(), lambda spec: Plan("", "", 1, opened), max_concurrency=6, threads=2)
    engine.run(bench)
    assert {n for n, run in bench.runs.items() if run.outcome is Outcome.OUT_OF_MEMORY} == {5}
    assert sorted(bench.runs) == list(range(12))


def test_a_copy_of_weights_that_finds_no_memory_is_made_again() -> None:
    """Memory that runs out while the best weights are copied halves the group; histories and weights are those of an easy run."""
    easy = Bench(specs(4)).train(places=4)
    bench, failures = Bench(specs(4)), [2, 3]

    class Late(FakeLane):
        def weights(self, number: int) -> Mapping[str, torch.Tensor]:
            if len(self.numbers) > 1 and self.evaluation in failures:
                raise torch.AcceleratorError("CUDA error: out of memory")
            return super().weights(number)

    plan = Plan("fake", "", 4, lambda specs, data: Late(list(specs), bench))
    ConcurrentEngine(small_data(), lambda spec: plan, max_concurrency=4, threads=1).run(bench)
    assert bench.sizes[:3] == [4, 2, 2]
    # Of the two halves the first to fail was not alone, and is opened again as it is; the other one too, unless it was alone by then.
    assert sorted(bench.sizes[3:]) in ([1, 1, 1, 1, 2], [1, 1, 1, 1, 2, 2])
    for number, run in easy.runs.items():
        assert replace(bench.runs[number], weights=None) == replace(run, weights=None)
        assert bench.runs[number].weights == run.weights


def test_a_stopped_source_ends_the_engine() -> None:
    """Once the source is stopping nothing more is finished or taken."""
    bench = Bench(specs(20), stop_after=3).train(places=2, size=1)
    assert 3 <= len(bench.runs) <= 4


def test_a_bug_passes_through() -> None:
    """Any other error of a lane reaches the caller."""

    class Broken(FakeLane):
        def train(self, until: int, stopping: Callable[[], bool]) -> Mapping[int, torch.Tensor] | None:
            raise RuntimeError("shapes cannot be multiplied")

    def opened(specs: Sequence[TrialSpec], data: Data) -> Broken:
        return Broken(list(specs), bench)

    bench = Bench(specs(2))
    with pytest.raises(RuntimeError, match="multiplied"):
        ConcurrentEngine(small_data(), lambda spec: Plan("", "", 2, opened), max_concurrency=2, threads=1).run(bench)


def test_trials_wait_for_company() -> None:
    """Where a group of their kind is in flight, newcomers wait until they are worth a group; where none is, they need not."""
    later = [replace(spec, number=spec.number + 32, batch_size=1 + spec.number // 6) for spec in specs(12)]
    bench = Bench([*specs(32), *later], prunes={number: 1 + number // 6 for number in range(12)})
    bench.specs[32:38] = [replace(spec, batch_size=bench.specs[0].batch_size) for spec in bench.specs[32:38]]
    bench.train(places=32, size=64, threads=1)
    assert sorted(bench.runs) == list(range(44))
    assert bench.sizes[0] == 32
    assert sorted(bench.sizes[1:]) == [
        6,
        6,
    ]  # of the first kind those that came at the first two rungs, of the other kind all


class GrowingLane(FakeLane):
    """A lane that others may join; its metric is the trial's number and its own evaluation."""

    def __init__(self, specs: list[TrialSpec], bench: Bench) -> None:
        super().__init__(specs, bench)
        self.specs = {spec.number: spec for spec in specs}
        self.done = dict.fromkeys(self.numbers, 0)  # updates

    def join(self, specs: Sequence[TrialSpec]) -> None:
        self.numbers += [spec.number for spec in specs]
        self.specs |= {spec.number: spec for spec in specs}
        self.done |= {spec.number: 0 for spec in specs}

    def train(self, until: int, stopping: Callable[[], bool]) -> Mapping[int, torch.Tensor] | None:
        return self.train_each(lambda number: until, stopping)

    def train_each(
        self, until: Callable[[int], int], stopping: Callable[[], bool]
    ) -> Mapping[int, torch.Tensor] | None:
        losses = super().train(0, stopping)
        made = {number: until(number) - self.done[number] for number in self.numbers}
        assert max(made.values()) - min(made.values()) <= 1
        self.done |= {number: until(number) for number in self.numbers}
        return losses

    def scores(self) -> Mapping[int, tuple[float, float]]:
        return {n: (1.0, n + self.specs[n].evaluate_at.index(self.done[n]) / 10) for n in self.numbers}


def joining(bench: Bench, places: int, size: int = 99) -> Bench:
    plan = Plan("fake", "", size, lambda specs, data: GrowingLane(list(specs), bench), any_order=True, joins=True)
    ConcurrentEngine(small_data(), lambda spec: plan, max_concurrency=places, threads=2).run(bench)
    return bench


def test_trials_join_a_group_of_their_kind() -> None:
    """Places that pruned trials leave are taken within the group that is there; each trial is at its own evaluation, as if alone."""
    prunes = {1: 1, 3: 2, 8: 3}
    alone = Bench(specs(20), prunes=dict(prunes)).train(places=1)
    bench = joining(Bench(specs(20), prunes=dict(prunes)), places=5)
    assert sum(bench.sizes) < 20
    assert bench.most == 5
    assert sorted(bench.rungs) == sorted(alone.rungs)
    for number, run in alone.runs.items():
        assert bench.runs[number].outcome == run.outcome
        assert bench.runs[number].history.update == run.history.update
        assert len(bench.runs[number].history.metric) == len(run.history.metric)


def test_who_may_not_join_waits_for_a_group() -> None:
    """Trials with a limit of seconds or evaluations that come ever later join none; a full group is joined by nobody."""
    limited = joining(Bench(specs(8, max_seconds=100.0), prunes={0: 1}), places=4)
    growing = joining(Bench(specs(8, evaluate_at=(1, 2, 4, 9)), prunes={0: 1}), places=4)
    full = joining(Bench(specs(8), prunes={0: 1}), places=4, size=2)
    assert sum(limited.sizes) == sum(growing.sizes) == 8
    assert max(full.sizes) == 2
    assert sorted(full.runs) == list(range(8))


@pytest.mark.parametrize("fails_at", [1, 2, 4])
def test_exhausted_memory_of_a_group_that_was_joined(fails_at: int) -> None:
    """A group with newcomers that does not fit trains again in parts; no trial is lost, none ends as out of memory."""
    bench = joining(Bench(specs(20), prunes={1: 1, 3: 1}, fits=3, fails_at=fails_at), places=4)
    assert sorted(bench.runs) == list(range(20))
    assert Outcome.OUT_OF_MEMORY not in {run.outcome for run in bench.runs.values()}
    assert len(bench.rungs) == len(set(bench.rungs))


def test_trials_of_several_orders_share_a_group() -> None:
    """An engine whose groups may have several orders of batches trains a trial on fresh seeds in one group."""
    bench = Bench([replace(spec, order_seed=spec.number) for spec in specs(6)])
    plan = Plan("fake", "", 99, lambda specs, data: FakeLane(list(specs), bench), any_order=True)
    ConcurrentEngine(small_data(), lambda spec: plan, max_concurrency=6, threads=2).run(bench)
    assert bench.sizes == [6]


def test_work_of_a_group_runs_on_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group is opened and trained on a stream of its own, and its weights are copied after what runs there, before what comes next."""
    trace: list[tuple[str, int]] = []

    class Stream:
        made = 0

        def __init__(self, device: torch.device) -> None:
            Stream.made += 1
            self.number = Stream.made

        @contextmanager
        def entered(self) -> Iterator[None]:
            trace.append(("enter", self.number))
            yield

        @contextmanager
        def read(self) -> Iterator[None]:
            trace.append(("read", self.number))
            yield

    monkeypatch.setattr("hpsearch.training.groups.DeviceStream", Stream)
    Bench(specs(2)).train(places=2, size=1, threads=1)
    assert Stream.made == 2
    for number in (1, 2):
        own = [what for what, stream in trace if stream == number]
        assert own == ["enter", "read"] * 4  # each evaluation is the best so far


@pytest.mark.parametrize("kind", [FusedGroup, TritonGroup])
def test_a_group_s_memory_is_free_at_once(
    kind: type[FusedGroup | TritonGroup], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group that nobody holds is gone without the garbage collector: the next one may need its memory."""
    if kind is TritonGroup:
        pytest.importorskip("triton")
    gc.disable()
    try:
        group = kind(specs(2), small_data())
        there = weakref.ref(group)
        del group
        assert there() is None
    finally:
        gc.enable()
