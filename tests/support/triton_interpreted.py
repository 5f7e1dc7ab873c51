"""A program that checks the GPU's kernel in Triton's interpreter, where it has to be the reference (see `triton_trials`)."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import permutations
from typing import Any

import numpy as np
import torch

from hpsearch.training import draws
from hpsearch.training.compiled.triton import group as triton_group
from hpsearch.training.compiled.triton.group import TritonGroup
from hpsearch.training.progress import Evaluations
from hpsearch.trial import Outcome
from tests.support.cohorts import reference, varied_spec
from tests.support.small import small_data
from tests.support.triton_trials import GROUPS, assert_triton_parity, diverging_group, mixed_group, report

if find_spec("triton"):
    from hpsearch.training.compiled.triton.language import hashed, kernel, log1p, tanh, tl
    from hpsearch.training.compiled.triton.network import keep

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
def constants(**values: int) -> Iterator[None]:
    """Set constants of the module of `TritonGroup`."""
    before = {name: getattr(triton_group, name) for name in values}
    for name, value in values.items():
        setattr(triton_group, name, value)
    yield
    for name, value in before.items():
        setattr(triton_group, name, value)


def check_group(index: int) -> None:
    assert_triton_parity(mixed_group(index), GROUPS[index][0])


def check_whole_tiles() -> None:
    with constants(TILE=64):
        assert_triton_parity(mixed_group(7, evaluate_at=(1,))[:3], GROUPS[7][0])


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
    finite = torch.isfinite(windows[1].losses).tolist()
    first = finite.index(False)
    assert 0 < first < 3
    assert torch.isnan(windows[1].losses[first + 1 :]).all()
    for number in (0, 2):
        assert torch.equal(windows[number].losses, expected[number].losses)
        assert windows[number].score == expected[number].score


def check_stopping() -> None:
    """The group asks before each launch, of 2 updates here."""
    asked: list[bool] = []

    def stopping() -> bool:
        asked.append(True)
        return len(asked) == 2

    group = TritonGroup([varied_spec(small_data(), 0, widths=(2,), batch_size=3, evaluate_at=(9,))], small_data())
    assert group.train(9, stopping) is None
    assert len(asked) == 2
    assert group.done == 2


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
    """Follows loads and stores of a program: between two barriers no number is written that another operation reads or writes.

    Threads of a block run at their own pace from barrier to barrier; programs run at their own pace throughout.
    """

    def __init__(self) -> None:
        self.touched: dict[int, set[int]] = {}  # program → addresses
        self.written: dict[int, set[int]] = {}
        self.barrier()

    def barrier(self) -> None:
        self.written_since: set[int] = set()
        self.read_since: set[int] = set()

    def load(self, program: int, addresses: list[int]) -> None:
        assert not self.written_since.intersection(addresses), "read where it was written since the barrier"
        self.read_since.update(addresses)
        self.touched.setdefault(program, set()).update(addresses)

    def store(self, program: int, addresses: list[int]) -> None:
        assert len(set(addresses)) == len(addresses), "written twice by one operation"
        since = self.written_since | self.read_since
        assert not since.intersection(addresses), "written where it was touched since the barrier"
        self.written_since.update(addresses)
        self.touched.setdefault(program, set()).update(addresses)
        self.written.setdefault(program, set()).update(addresses)

    def enter(self, program: int) -> None:
        self.barrier()
        if program == 0:  # another launch, whose tables may lie where others lay
            self.assert_apart()
            self.touched = {}
            self.written = {}

    def assert_apart(self) -> None:
        for one, other in permutations(self.written, 2):
            assert not self.written[one] & self.touched[other], "programs share what one of them writes"


def watch_memory() -> MemoryWatch:
    """Return a watch on all that the interpreter does from now on."""
    from triton.runtime.interpreter import InterpreterBuilder as Builder

    watch = MemoryWatch()
    load, store, grid = Builder.create_masked_load, Builder.create_masked_store, Builder.set_grid_idx

    def addresses(pointers: Any, mask: Any) -> list[int]:
        used = np.broadcast_to(mask.data.astype(bool), pointers.data.shape)
        return list(pointers.data[used].ravel().tolist())

    def watched_load(self: Any, pointers: Any, mask: Any, *rest: Any) -> Any:
        watch.load(self.grid_idx[0], addresses(pointers, mask))
        return load(self, pointers, mask, *rest)

    def watched_store(self: Any, pointers: Any, value: Any, mask: Any, *rest: Any) -> Any:
        watch.store(self.grid_idx[0], addresses(pointers, mask))
        return store(self, pointers, value, mask, *rest)

    def enter(self: Any, *index: int) -> None:
        watch.enter(index[0])
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
    watch.assert_apart()
    assert watch.written


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
    "stopping": check_stopping,
    "divergence": check_divergence,
    "diverged window": check_end_of_a_diverged_window,
    "float32": check_float32,
    "elementary": check_elementary,
    "dropout": check_dropout,
    "whole tiles": check_whole_tiles,
    "barriers": check_barriers,
}

if __name__ == "__main__":
    warnings.filterwarnings("ignore", ".* encountered in", RuntimeWarning)  # numpy's: a GPU does not warn of infinity
    speed_up_interpreter()
    names = sys.argv[1:] or list(CHECKS)
    with constants(TILE=32, FIRST_UPDATES=2, GROWTH=1):  # several tiles of 16, several launches
        report({name: CHECKS[name] for name in names})
