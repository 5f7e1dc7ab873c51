"""Memory that runs out at any place of training: no trial is lost, none ends in another outcome, and no run is another one."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hpsearch.data import Data
from hpsearch.training.fused.group import FusedGroup
from hpsearch.training.groups import Plan
from hpsearch.training.progress import Score, Stopping, Weights
from hpsearch.trial import TrainingRun, TrialSpec
from tests.support.cohorts import assert_equal, train_with, varied_spec
from tests.support.small import small_data

EVERY = 17  # how far the places lie apart that are tried


class Allocations(TorchDispatchMode):
    """Counts the operations that make tensors, and has one of them find no memory, once."""

    def __init__(self, failing: int | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's is without annotations
        self.failing = failing
        self.count = 0

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        result = operation(*arguments, **(keywords or {}))
        if not operation.is_view and not operation._schema.is_mutable:
            self.count += 1
            if self.count - 1 == self.failing:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return result


class WatchedGroup(FusedGroup):
    """A group of the fused engine all of whose allocations are counted."""

    def __init__(self, specs: Sequence[TrialSpec], data: Data, watch: AbstractContextManager[Any]) -> None:
        self.watch = watch
        with watch:
            super().__init__(specs, data)

    def train(self, until: int, stopping: Stopping) -> Mapping[int, torch.Tensor] | None:
        with self.watch:
            return super().train(until, stopping)

    def scores(self) -> Mapping[int, Score]:
        with self.watch:
            return super().scores()

    def weights(self, number: int) -> Weights:
        with self.watch:
            return super().weights(number)


def runs_with(allocations: Allocations) -> dict[int, TrainingRun]:
    specs = [varied_spec(small_data(), number, dropout=0.2, batch_size=7, evaluate_at=(1, 2)) for number in range(2)]
    plan = Plan("fused", "", 2, lambda specs, data: WatchedGroup(specs, data, allocations))
    return train_with(plan, specs, small_data())


@pytest.mark.slow
def test_memory_may_run_out_anywhere() -> None:
    """Whichever allocation of opening, training, scoring or copying weights finds no memory, once, all runs are the undisturbed ones."""
    runs_with(Allocations())  # what is kept from run to run is made
    counted = Allocations()
    expected = runs_with(counted)
    assert counted.count > 100
    for failing in range(0, counted.count, EVERY):
        allocations = Allocations(failing)
        runs = runs_with(allocations)
        assert allocations.count > failing
        assert sorted(runs) == sorted(expected)
        for number, run in runs.items():
            assert_equal(run, expected[number])
