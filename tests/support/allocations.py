"""Allocations that find no memory, one of many, in groups that train as they are."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hpsearch.data import Data
from hpsearch.training.groups import OpenGroup, Plan
from hpsearch.training.progress import Score, Stopping, Weights
from hpsearch.trial import TrainingRun, TrialSpec
from tests.support.cohorts import assert_equal, train_with
from tests.support.small import small_data


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


class WatchedGroup:
    """A group, of any engine, all of whose allocations are counted."""

    def __init__(self, open_group: OpenGroup, specs: Sequence[TrialSpec], data: Data, watch: Allocations) -> None:
        self.watch = watch
        with watch:
            self.group: Any = open_group(specs, data)

    @property
    def seconds(self) -> float:
        return float(self.group.seconds)

    @seconds.setter
    def seconds(self, value: float) -> None:
        self.group.seconds = value

    def train(self, until: int, stopping: Stopping) -> Mapping[int, torch.Tensor] | None:
        with self.watch:
            losses: Mapping[int, torch.Tensor] | None = self.group.train(until, stopping)
            return losses

    def train_each(self, until: Callable[[int], int], stopping: Stopping) -> Mapping[int, torch.Tensor] | None:
        with self.watch:
            losses: Mapping[int, torch.Tensor] | None = self.group.train_each(until, stopping)
            return losses

    def join(self, specs: Sequence[TrialSpec]) -> None:
        with self.watch:
            self.group.join(specs)

    def scores(self) -> Mapping[int, Score]:
        with self.watch:
            scores: Mapping[int, Score] = self.group.scores()
            return scores

    def weights(self, number: int) -> Weights:
        with self.watch:
            weights: Weights = self.group.weights(number)
            return weights

    def drop(self, numbers: Collection[int]) -> None:
        self.group.drop(numbers)


def check_memory(plan: Plan, specs: Sequence[TrialSpec], slots: int, apart: int, task: str = "multiclass") -> None:
    """Whichever allocation finds no memory, of those that lie so far `apart`, all runs are the undisturbed ones."""

    def runs_with(allocations: Allocations) -> dict[int, TrainingRun]:
        def watched(specs: Sequence[TrialSpec], data: Data) -> WatchedGroup:
            return WatchedGroup(plan.open, specs, data, allocations)

        return train_with(replace(plan, open=watched), specs, small_data(task), slots)

    runs_with(Allocations())  # what is kept from run to run is made
    counted = Allocations()
    expected = runs_with(counted)
    assert counted.count > 100
    for failing in range(0, counted.count, apart):
        allocations = Allocations(failing)
        runs = runs_with(allocations)
        assert allocations.count > failing
        assert sorted(runs) == sorted(expected)
        for number, run in runs.items():
            assert_equal(run, expected[number])
