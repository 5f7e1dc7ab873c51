"""A program that checks the GPU's kernel in Triton's interpreter, where it has to be the reference (see `triton_trials`)."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hpsearch.data import Data
from hpsearch.training import TrialQueue, capture, draws, feed
from hpsearch.training.compiled.triton.group import TritonGroup
from hpsearch.training.groups import Plan
from hpsearch.training.progress import Evaluations
from hpsearch.training.reference import train
from hpsearch.trial import Outcome, TrainingRun, TrialSpec
from tests.support.allocations import check_memory
from tests.support.cohorts import assert_equal, reference, train_with, varied_spec
from tests.support.launches import Launches
from tests.support.small import small_data
from tests.support.triton_trials import GROUPS, WIDTHS, assert_triton_parity, diverging_group, mixed_group, report

APART = 23  # how far the allocations lie apart that find no memory

if find_spec("triton"):
    from hpsearch.training.compiled.triton import step
    from hpsearch.training.compiled.triton.elementwise import keep
    from hpsearch.training.compiled.triton.language import hashed, kernel, log1p, tanh, tl

    @kernel()
    def elementary(x: tl.tensor, y: tl.tensor, z: tl.tensor, h: tl.tensor, count: tl.constexpr) -> None:
        at = tl.arange(0, count)
        values = tl.load(x + at)
        tl.store(y + at, tanh(values))
        tl.store(z + at, log1p(tl.abs(values)))
        tl.store(h + at, hashed(at.to(tl.uint32)).to(tl.int64))

    @kernel()
    def masks(table: tl.tensor, scale: tl.tensor, mask: tl.tensor) -> None:
        n, unit = tl.arange(0, 16), tl.arange(0, 64)
        kept = keep(tl.load(table).to(tl.uint32), n, unit, tl.load(table + 1).to(tl.uint32), tl.load(scale))
        tl.store(mask + n[:, None] * 64 + unit[None, :], kept)


@contextmanager
def constants(module: Any, **values: Any) -> Iterator[None]:
    """Set constants of a module."""
    before = {name: getattr(module, name) for name in values}
    for name, value in values.items():
        setattr(module, name, value)
    yield
    for name, value in before.items():
        setattr(module, name, value)


def check_group(index: int) -> None:
    assert_triton_parity(mixed_group(index), GROUPS[index][0])


def check_parts() -> None:
    """A batch that goes in parts of 16 rows has the bits of one that goes at once; an evaluation in parts is the reference's."""
    task = "multiclass"
    specs = [varied_spec(small_data(task), n, widths=WIDTHS[n], batch_size=40, evaluate_at=(1, 3)) for n in range(3)]
    data = small_data(task, torch.float32)
    with constants(step, ROWS=(16, 16)):
        whole = TritonGroup(specs, data)
    with constants(step, ROWS=(16, 16), CPU_BYTES=1):
        parts = TritonGroup(specs, data)
    assert (whole.step.part, parts.step.part) == (40, 16)
    assert_same_bits(whole, parts, 3)
    with constants(step, ROWS=(16, 16), CPU_BYTES=1, EVALUATED=7):
        assert_triton_parity(specs, task)


def check_full_batch() -> None:
    """The full batch, which is not drawn, is the reference's run, and so is one with weights of classes, drawn or not."""
    balanced = small_data("binary").balanced()
    full = len(balanced.training)
    for data, size in ((small_data("multiclass"), full), (balanced, full), (balanced, 5)):
        specs = [varied_spec(data, n, widths=WIDTHS[n], batch_size=size, evaluate_at=(1, 2)) for n in range(3)]
        runs = train_with(Plan("triton", "", 3, TritonGroup), specs, data)
        for spec in specs:
            assert_equal(runs[spec.number], trained_by_reference(spec, data))


def check_company() -> None:
    """A trial has the same bits alone and beside others, whatever their shapes, and whoever leaves before it."""
    for batch_size in (1, 17):
        specs = mixed_group(1, batch_size=batch_size, evaluate_at=(4,))
        data = small_data(GROUPS[1][0], torch.float32)
        company = TritonGroup(specs, data)
        together = company.train(2, lambda: False)
        company.drop([specs[0].number, specs[2].number])
        later = company.train(4, lambda: False)
        assert together is not None
        assert later is not None
        for spec in specs:
            alone = TritonGroup([spec], data)
            losses = alone.train(2, lambda: False)
            assert losses is not None
            assert torch.equal(losses[spec.number], together[spec.number])
            if spec.number not in later:
                continue
            losses = alone.train(4, lambda: False)
            assert losses is not None
            assert torch.equal(losses[spec.number], later[spec.number])
            pairs = zip(alone.weights(spec.number).values(), company.weights(spec.number).values(), strict=True)
            assert all(torch.equal(one, other) for one, other in pairs)


def check_orders() -> None:
    """Trials that visit the rows in different orders, as on fresh seeds, train in one group, each to the reference's run."""
    specs = [
        replace(spec, order_seed=spec.number // 2, seed=spec.number) for spec in mixed_group(4, evaluate_at=(1, 3))
    ]
    assert len({spec.order_seed for spec in specs}) > 1
    assert_triton_parity(specs, GROUPS[4][0])


def check_joined() -> None:
    """Trials that join a group at its evaluations, take the places of those that leave, and rest where their windows are shorter, have the
    bits that they have alone, whether there is room for them or not.
    """
    data = small_data("multiclass", torch.float32)
    settings: dict[str, Any] = {"batch_size": 7, "evaluate_at": (1, 3, 4, 6), "dropout": 0.3}
    specs = [varied_spec(data, number, widths=WIDTHS[number % 5], **settings) for number in range(8)]
    group = TritonGroup(specs[:2], data)
    evaluations = Evaluations(group, settings["evaluate_at"])
    windows: dict[int, list[torch.Tensor]] = {spec.number: [] for spec in specs}
    for joining, leaving in (([], []), ([2], [0]), ([3], []), ([4, 5, 6, 7], [1])):
        if joining:
            evaluations.join([specs[number] for number in joining])
        kept = group.step
        found = evaluations.advance(lambda: False)
        assert found is not None
        for number, window in found.items():
            windows[number].append(window.losses)
            assert [float(window.score[0]), window.score[1]] == score_alone(specs[number], data, len(windows[number]))
        if leaving:
            group.drop(leaving)
        assert (group.step is kept) == (4 not in joining), "there was room for a third trial, not for seven"
    for spec in specs:
        if len(windows[spec.number]) == 0:
            continue
        alone = TritonGroup([spec], data)
        until = settings["evaluate_at"][len(windows[spec.number]) - 1]
        losses = alone.train(until, lambda: False)
        assert losses is not None
        assert torch.equal(losses[spec.number], torch.cat(windows[spec.number]))
        if spec in group.specs:
            pairs = zip(alone.weights(spec.number).values(), group.weights(spec.number).values(), strict=True)
            assert all(torch.equal(one, other) for one, other in pairs)


def score_alone(spec: TrialSpec, data: Data, evaluation: int) -> list[float]:
    group = TritonGroup([spec], data)
    group.train(spec.evaluate_at[evaluation - 1], lambda: False)
    return list(group.scores()[spec.number])


def check_pruned() -> None:
    """Where trials leave at every evaluation and others join, drawn batches or full ones, all have the reference's runs."""
    data = small_data("binary")
    for size in (5, len(data.training)):
        settings: dict[str, Any] = {"batch_size": size, "evaluate_at": (2, 3, 5)}
        specs = [varied_spec(data, number, widths=WIDTHS[number % 5], **settings) for number in range(9)]
        specs[::3] = [replace(spec, patience=1, learning_rate=0.0) for spec in specs[::3]]
        plan = Plan("triton", "", 4, TritonGroup, any_order=True, joins=True)
        opened: list[int] = []

        def counted(specs: Sequence[TrialSpec], data: Data, opened: list[int] = opened) -> TritonGroup:
            opened.append(len(specs))
            return TritonGroup(specs, data)

        runs = train_with(replace(plan, open=counted), specs, data, max_concurrency=4)
        for spec in specs:
            assert_equal(runs[spec.number], reference(spec, "binary"))
        assert opened[0] == 4
        assert sum(opened) < 9, "some have joined"


def check_memory_of_a_step() -> None:
    """Memory may run out at any allocation of opening, joining, training, scoring or copying weights, as `check_memory` says."""
    settings: dict[str, Any] = {"batch_size": 3, "evaluate_at": (1, 2, 3), "widths": (3,), "dropout": 0.2}
    specs = [varied_spec(small_data(), number, **settings) for number in range(5)]
    specs[:2] = [
        replace(spec, patience=1, learning_rate=0.0) for spec in specs[:2]
    ]  # two join for them: none is ever alone
    with outside_launches():
        check_memory(Plan("triton", "", 3, TritonGroup, any_order=True, joins=True), specs, slots=3, apart=APART)


def check_launches() -> None:
    """An update of 1, 8 and 64 trials takes 2 · depth + 4 launches, and an evaluation of many as many as one of two."""
    from triton.runtime.interpreter import GridExecutor

    data = small_data("multiclass", torch.float32)
    found: list[tuple[int, int]] = []
    for trials in (1, 8, 64):
        settings: dict[str, Any] = {"batch_size": 3, "evaluate_at": (1, 2), "label_smoothing": 0.1}
        specs = [varied_spec(data, number, widths=(2 + number % 3, 2), **settings) for number in range(trials)]
        group = TritonGroup(specs, data)
        launch = GridExecutor.__call__
        with patch.object(GridExecutor, "__call__", autospec=True, side_effect=launch) as kernels, outside_launches():
            group.step.feed.load([range(1)] * trials)
            with Launches() as operations:
                group.step()
            update = operations.count + kernels.call_count
            kernels.reset_mock()
            with Launches() as operations:
                group.scores()
            found.append((update, operations.count + kernels.call_count))
    depth = len(specs[0].dense_architecture.widths)
    assert {update for update, _ in found} == {2 * depth + 4}
    assert found[1][1] == found[2][1] <= found[0][1] + 2, found


@contextmanager
def outside_launches() -> Iterator[None]:
    """Keep what the interpreter does itself from dispatch modes: a launch allocates nothing."""
    from torch.utils._python_dispatch import _disable_current_modes
    from triton.runtime.interpreter import GridExecutor

    launch = GridExecutor.__call__

    def unseen(executor: Any, *arguments: Any, **named: Any) -> None:
        with _disable_current_modes():
            launch(executor, *arguments, **named)

    with patch.object(GridExecutor, "__call__", unseen):
        yield


def trained_by_reference(spec: TrialSpec, data: Data) -> TrainingRun:
    run = train(spec, data, TrialQueue())
    assert run is not None
    return run


def assert_same_bits(one: TritonGroup, other: TritonGroup, updates: int) -> None:
    pair = [group.train(updates, lambda: False) for group in (one, other)]
    assert pair[0] is not None
    assert pair[1] is not None
    for number, losses in pair[0].items():
        assert torch.equal(losses, pair[1][number])
        weights = zip(one.weights(number).values(), other.weights(number).values(), strict=True)
        assert all(torch.equal(a, b) for a, b in weights)


def check_divergence() -> None:
    specs = diverging_group()
    outcomes = [reference(spec, "regression").outcome for spec in specs]
    assert outcomes == [Outcome.FINISHED, Outcome.DIVERGED, Outcome.STOPPED_EARLY]
    assert_triton_parity(specs, "regression")


def check_end_of_a_diverged_window() -> None:
    tame = [replace(spec, evaluate_at=(4,), learning_rate=0.01) for spec in diverging_group()]
    wild = [tame[0], replace(tame[1], learning_rate=1e90), tame[2]]
    groups = [TritonGroup(specs, small_data("regression")) for specs in (tame, wild)]
    expected, windows = (Evaluations(group, (4,)).advance(lambda: False) for group in groups)
    assert expected is not None
    assert windows is not None
    assert 0 < torch.isfinite(windows[1].losses).tolist().index(False) < 3
    for number in (0, 2):
        assert torch.equal(windows[number].losses, expected[number].losses)
        assert windows[number].score == expected[number].score


def check_recorded() -> None:
    """A replayed step is a function of the device's state: launches written down once, and launched again, are the reference's run, also
    of trials that join later: they are no reason to record it anew.
    """
    with constants(capture, BURST=2):
        specs = mixed_group(7, evaluate_at=(6, 9))
        plan = Plan("triton", "", len(specs), partial(TritonGroup, graph=lambda device: LaunchRecorder()))
        runs = train_with(plan, specs, small_data(GROUPS[7][0]))
        for spec in specs:
            assert_equal(runs[spec.number], reference(spec, GROUPS[7][0]))
        check_recorded_joined()


def check_recorded_joined() -> None:
    task = GROUPS[7][0]
    specs = [replace(spec, evaluate_at=(6, 12)) for spec in mixed_group(7)[:3]]
    smaller = [replace(spec, architecture=replace(spec.dense_architecture, widths=(3,))) for spec in specs]
    specs = [*specs[:2], replace(smaller[2], number=specs[2].number)]
    recorders: list[LaunchRecorder] = []

    def recorder(device: torch.device) -> LaunchRecorder:
        recorders.append(LaunchRecorder())
        return recorders[-1]

    group = TritonGroup(specs[:2], small_data(task), graph=recorder)
    evaluations = Evaluations(group, (6, 12))
    evaluations.advance(lambda: False)
    recorded = len(recorders)
    evaluations.join(specs[2:])
    windows = evaluations.advance(lambda: False)
    assert windows is not None
    assert len(recorders) == recorded > 0
    for spec, evaluation in zip(specs, (1, 1, 0), strict=True):
        history = reference(spec, task).history
        window = windows[spec.number]
        assert abs(float(window.losses.mean()) - history.training_loss[evaluation]) < 1e-10
        assert abs(window.score[0] - history.validation_loss[evaluation]) < 1e-10


class LaunchRecorder:
    """A graph of Triton's launches and torch's operations in place, with the tensors and numbers that they were given."""

    def __init__(self) -> None:
        self.launches: list[Callable[[], Any]] = []

    def warm_up(self, function: Callable[[], None]) -> None:
        function()

    def capture(self, function: Callable[[], None]) -> None:
        from triton.runtime.interpreter import GridExecutor

        def record(executor: Any, *arguments: Any, **named: Any) -> None:
            self.launches.append(partial(launch, executor, *arguments, **named))

        launch = GridExecutor.__call__
        with patch.object(GridExecutor, "__call__", record), InPlace(self.launches):
            function()

    def replay(self) -> None:
        for launch in self.launches:
            launch()


class InPlace(TorchDispatchMode):
    """Writes down operations on tensors in place of running them; any other kind would need a place for its result."""

    def __init__(self, launches: list[Callable[[], Any]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's is without annotations
        self.launches = launches

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        assert operation == torch.ops.aten.add_.Tensor, operation
        self.launches.append(partial(operation, *arguments, **(keywords or {})))
        return arguments[0]


def check_float32() -> None:
    task = GROUPS[1][0]
    specs = mixed_group(1, evaluate_at=(2,))[:3]
    losses = TritonGroup(specs, small_data(task, torch.float32)).train(2, lambda: False)
    assert losses is not None
    for spec in specs:
        loss = reference(spec, task).history.training_loss[0]
        assert abs(float(losses[spec.number].mean()) - loss) < 1e-4 * max(1, abs(loss))


def check_elementary() -> None:
    """Tanh and log1p are exact to a few roundings near zero and far out, NaN stays NaN, and the hash is that of `draws`."""
    size = 4096
    for dtype, bound in ((torch.float64, 1e-15), (torch.float32, 4e-7)):
        near = [np.linspace(-20, 20, size - 1004), np.geomspace(1e-30, 1, 500), -np.geomspace(1e-30, 1, 500)]
        x = torch.from_numpy(np.concatenate([*near, [800, -800, np.inf, np.nan]])).to(dtype)
        y, z, bits = torch.empty_like(x), torch.empty_like(x), torch.empty(size, dtype=torch.int64)
        elementary[(1,)](x, y, z, bits, size)
        assert y[-1].isnan()
        for values, exact in ((y, x.double().tanh()), (z, x.double().abs().log1p())):
            assert float(((values - exact).abs() / exact.abs().clamp_min(1e-300))[:-2].max()) < bound
        assert torch.equal(bits, draws.hashed(torch.arange(size)))


def check_dropout() -> None:
    """The kernel's mask is that of `draws.Noise`, bit for bit."""
    for rate in (0.0, 0.3, 0.999):
        key = draws.noise_key(draws.noise_seed(5), 77, 2)
        mask = torch.empty(16, 64, dtype=torch.float64)
        table = torch.tensor([key, draws.noise_threshold(rate)])
        masks[(1,)](table, torch.tensor([1 / (1 - rate)], dtype=torch.float64), mask)
        assert torch.equal(mask, draws.Noise(5, 77).keep(2, rate, mask))


class MemoryWatch:
    """Follows loads and stores: no program of a launch touches what another one writes, none reads after a barrier-less write of its own.

    Threads of a block run at their own pace from barrier to barrier; programs run at their own pace throughout.
    """

    def __init__(self) -> None:
        self.stores = 0
        self.launch()

    def launch(self) -> None:
        self.readers: dict[int, set[Any]] = {}  # address → programs
        self.writers: dict[int, Any] = {}
        self.barrier()

    def barrier(self) -> None:
        self.written_since: set[int] = set()
        self.read_since: set[int] = set()

    def load(self, program: Any, addresses: list[int]) -> None:
        assert not self.written_since.intersection(addresses), "read where it was written since the barrier"
        self.read_since.update(addresses)
        for address in addresses:
            assert self.writers.get(address, program) == program, "programs share what one of them writes"
            self.readers.setdefault(address, set()).add(program)

    def store(self, program: Any, addresses: list[int]) -> None:
        self.stores += len(addresses)
        assert len(set(addresses)) == len(addresses), "written twice by one operation"
        since = self.written_since | self.read_since
        assert not since.intersection(addresses), "written where it was touched since the barrier"
        self.written_since.update(addresses)
        for address in addresses:
            assert self.writers.setdefault(address, program) == program, "written by two programs"
            assert self.readers.get(address, {program}) == {program}, "programs share what one of them writes"


def watch_memory() -> MemoryWatch:
    """Return a watch on all that the interpreter does from now on."""
    from triton.runtime.interpreter import InterpreterBuilder as Builder

    watch = MemoryWatch()
    load, store, grid = Builder.create_masked_load, Builder.create_masked_store, Builder.set_grid_idx

    def addresses(pointers: Any, mask: Any) -> list[int]:
        used = np.broadcast_to(mask.data.astype(bool), pointers.data.shape)
        return list(pointers.data[used].ravel().tolist())

    def watched_load(self: Any, pointers: Any, mask: Any, *rest: Any) -> Any:
        watch.load(self.grid_idx, addresses(pointers, mask))
        return load(self, pointers, mask, *rest)

    def watched_store(self: Any, pointers: Any, value: Any, mask: Any, *rest: Any) -> Any:
        watch.store(self.grid_idx, addresses(pointers, mask))
        return store(self, pointers, value, mask, *rest)

    def enter(self: Any, *index: int) -> None:
        watch.barrier()
        if not any(index):  # another launch
            watch.launch()
        grid(self, *index)

    Builder.create_masked_load = watched_load
    Builder.create_masked_store = watched_store
    Builder.set_grid_idx = enter
    Builder.create_barrier = lambda self: watch.barrier()
    return watch


def check_barriers() -> None:
    """Last of its process, since all that follows is watched."""
    watch = watch_memory()
    specs = diverging_group()
    adam = replace(specs[2], optimizer="adam", evaluate_at=specs[0].evaluate_at, patience=None, learning_rate=0.01)
    assert_triton_parity([*specs[:2], adam], "regression")
    with constants(step, ROWS=(16, 16), CPU_BYTES=1):
        TritonGroup([replace(adam, batch_size=40)], small_data("regression")).train(1, lambda: False)
    assert watch.stores > 1000


def speed_up_interpreter() -> None:
    """Have the interpreter prepare each module once, not in every call of a function: that is a third of its time."""
    from triton.runtime import interpreter

    prepared: set[str] = set()

    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.fn.__module__ not in prepared:
            prepared.add(self.fn.__module__)
            interpreter._patch_lang(self.fn)
        return self.rewrite()(*arguments, **named)

    interpreter.InterpretedFunction.__call__ = call


CHECKS: dict[str, Callable[[], None]] = {
    **{f"{task}-{size}": partial(check_group, index) for index, (task, size) in enumerate(GROUPS)},
    "parts": check_parts,
    "full batch": check_full_batch,
    "company": check_company,
    "orders": check_orders,
    "joined": check_joined,
    "pruned": check_pruned,
    "memory": check_memory_of_a_step,
    "launches": check_launches,
    "recorded": check_recorded,
    "divergence": check_divergence,
    "diverged window": check_end_of_a_diverged_window,
    "float32": check_float32,
    "elementary": check_elementary,
    "dropout": check_dropout,
    "barriers": check_barriers,
}

if __name__ == "__main__":
    warnings.filterwarnings("ignore", ".* encountered in", RuntimeWarning)  # numpy's: a GPU does not warn of infinity
    speed_up_interpreter()
    names = sys.argv[1:] or list(CHECKS)
    with constants(step, SIDE=16, TERMS=256), constants(feed, UPDATES=2):  # several tiles, several blocks of updates
        report({name: CHECKS[name] for name in names})
