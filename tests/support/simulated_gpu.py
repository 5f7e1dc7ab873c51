"""A study on a GPU that is not there: the search and the concurrent engine as they are, groups that take the time of a model.

The model counts what each launch of a step moves and computes, tiles included, and takes an H200's limits for it: a launch takes `LAUNCH`
at least, each turn of a program's loop `TURN`, and streams share the device. Its figures are a model's, no measurement.

    python -m tests.support.simulated_gpu 64 1000
"""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from math import log
from typing import Any
from unittest.mock import patch

import torch
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection

from hpsearch.config import find_study, read_config
from hpsearch.searching.loop import Search
from hpsearch.searching.opening import make_view
from hpsearch.searching.run_options import lag_on
from hpsearch.searching.scoring import Objectives
from hpsearch.storage.writer_thread import WriterThread
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import groups
from hpsearch.training.devices import GROUPS
from hpsearch.training.groups import ConcurrentEngine, Plan
from hpsearch.training.optimizers import make_rule
from hpsearch.training.progress import Score, Stopping, Weights
from hpsearch.trial import TrialSpec
from tests.support.small import small_data

LAUNCH = 2e-6  # seconds
TURN = 5e-7
BANDWIDTH = 0.85 * 4.3e12  # bytes a second
RATE = 30e12  # operations a second in float32, half of the peak
SCORE = 1.5e-4  # seconds of the host for each trial's score
SIDE, LEAST, MOST = 32, 16, 64  # as in `step`
TERMS = 1024


def tiled(size: int, tile: int) -> int:
    return -(-size // tile) * tile


@dataclass
class Launches:
    """The launches of a step: seconds, and those of them in which the device is busy; the operations that are done and that are useful."""

    seconds: float = 0.0
    busy: float = 0.0
    moved: float = 0.0
    done: float = 0.0
    useful: float = 0.0
    count: int = 0

    def add(self, moved: float, done: float, useful: float, turns: int) -> None:
        busy = max(moved / BANDWIDTH, done / RATE)
        self.seconds += max(LAUNCH, turns * TURN, busy)
        self.busy += min(busy + LAUNCH / 10, max(LAUNCH, busy))
        self.moved += moved
        self.done += done
        self.useful += useful
        self.count += 1


def step_of(specs: Sequence[TrialSpec], batch: int) -> Launches:
    """Return the launches of an update of these trials with so many rows."""
    rows = min(MOST, max(LEAST, 1 << (batch - 1).bit_length()))
    padded, depth = tiled(batch, rows), TERMS // rows
    shapes = [list(pairwise(spec.dense_architecture.sizes)) for spec in specs]
    launches = Launches()
    for layer in range(max(map(len, shapes))):
        pairs = [shape[layer] for shape in shapes if len(shape) > layer]
        moved = sum(4 * (a * b + batch * (a + 2 * b)) for a, b in pairs)
        done = sum(2 * padded * tiled(b, SIDE) * tiled(a, depth) for a, b in pairs)
        launches.add(moved, done, sum(2 * batch * a * b for a, b in pairs), -(-max(a for a, _ in pairs) // depth))
    outputs = sum(shape[-1][1] for shape in shapes)
    launches.add(8 * batch * outputs, 0, 0, 1)
    launches.add(8 * len(specs), 0, 0, 1)
    for layer in range(max(map(len, shapes)) - 1, 0, -1):
        pairs = [shape[layer] for shape in shapes if len(shape) > layer]
        moved = sum(4 * (a * b + batch * (2 * a + b)) for a, b in pairs)
        done = sum(2 * padded * tiled(a, SIDE) * tiled(b, depth) for a, b in pairs)
        launches.add(moved, done, sum(2 * batch * a * b for a, b in pairs), -(-max(b for _, b in pairs) // depth))
    moved = done = useful = 0
    for spec, shape in zip(specs, shapes, strict=True):
        rule = make_rule(spec)
        numbers = 1 + rule.first + rule.second
        for a, b in shape:
            moved += 8 * numbers * a * b + 4 * batch * (a + b)
            done += 2 * tiled(batch, min(rows, 2 * LEAST)) * tiled(a, SIDE) * tiled(b, SIDE)
            useful += 2 * batch * a * b
    launches.add(moved, done, useful, -(-batch // min(rows, 2 * LEAST)))
    launches.add(16, 0, 0, 1)  # the position
    return launches


@dataclass(eq=False)
class Clock:
    """The device's time, and what was trained in it; `running` groups share it."""

    now: float = 0.0
    steps: int = 0
    updates: int = 0  # of trials
    in_flight: float = 0.0  # trial-seconds
    alone: float = 0.0  # seconds that the updates of all trials take one at a time
    running: "list[Running]" = field(default_factory=list)


@dataclass(eq=False)
class Running:
    """A window of a group: the seconds that are left where it has the device for itself, and its share of the device then."""

    future: "Future[Any]"
    work: Callable[[], Any]
    group: "SimulatedGroup"
    left: float
    share: float


class SimulatedGroup:
    """A group whose trials have made-up scores, better with a middling learning rate, batch size and width, and with time."""

    seconds = 0.0

    def __init__(self, specs: Sequence[TrialSpec], clock: Clock) -> None:
        self.specs = list(specs)
        self.clock = clock
        self.done = 0
        self.evaluations = 0

    def window(self) -> tuple[float, float]:
        """Return the seconds of the next window alone on the device, and the share of it in which the device is busy."""
        spec = self.specs[0]
        until = spec.evaluate_at[self.evaluations]
        step = step_of(self.specs, spec.batch_size)
        updates = until - self.done
        self.clock.steps += updates
        self.clock.updates += updates * len(self.specs)
        for other in self.specs:
            self.clock.alone += updates * step_of([other], spec.batch_size).seconds + SCORE
        seconds = updates * step.seconds
        scoring = SCORE * len(self.specs)
        return seconds + scoring, updates * step.busy / (seconds + scoring)

    def train(self, until: int, stopping: Stopping) -> Mapping[int, torch.Tensor]:
        self.done = until
        self.evaluations += 1
        return {spec.number: torch.ones(1) for spec in self.specs}

    def scores(self) -> Mapping[int, Score]:
        return {spec.number: (1.0, self.score(spec)) for spec in self.specs}

    def score(self, spec: TrialSpec) -> float:
        widths = spec.dense_architecture.widths
        distance = (
            abs(log(spec.learning_rate / 3e-3)) / 3
            + abs(log(spec.batch_size / 48)) / 6
            + abs(log(max(widths) / 100)) / 6
        )
        luck = (spec.number * 2654435761 % 1000) / 10_000
        return (1 - 0.7**self.evaluations) / (1 + distance) - luck

    def weights(self, number: int) -> Weights:
        return {}

    def drop(self, numbers: Collection[int]) -> None:
        self.specs = [spec for spec in self.specs if spec.number not in numbers]


class SimulatedPool:
    """A pool of threads whose work is done when the clock comes there."""

    def __init__(self, clock: Clock, threads: int) -> None:
        self.clock = clock
        self.threads = threads

    def submit(self, function: Callable[..., Any], entry: Any, stopping: Stopping) -> "Future[Any]":
        future: Future[Any] = Future()
        if entry.evaluations is None:
            entry.opened = SimulatedGroup([progress.spec for progress in entry.progress.values()], self.clock)
            entry.plan = Plan("simulated", "", entry.plan.size, lambda specs, data: entry.opened, any_order=True)
        group = entry.evaluations.group if entry.evaluations else entry.opened
        seconds, share = group.window()
        self.clock.running.append(Running(future, lambda: function(entry, stopping), group, seconds, share))
        return future

    def shutdown(self, **_: Any) -> None:
        return


def wait_for(clock: Clock, threads: int) -> "set[Future[Any]]":
    """Let time pass until a window is done."""
    active = clock.running[:threads]
    slowness = max(1.0, sum(running.share for running in active))
    first = min(active, key=lambda running: running.left)
    passed = first.left
    clock.now += passed * slowness
    clock.in_flight += passed * slowness * sum(len(running.group.specs) for running in active)
    for running in active:
        running.left -= passed
    clock.running.remove(first)
    first.future.set_result(first.work())
    return {first.future}


@contextmanager
def simulated(clock: Clock) -> Iterator[None]:
    """Have the concurrent engine train on the clock."""

    def pool(threads: int, **_: Any) -> SimulatedPool:
        return SimulatedPool(clock, threads)

    with (
        patch.object(groups, "ThreadPoolExecutor", pool),
        patch.object(groups, "_wait", lambda in_flight, source: wait_for(clock, GROUPS)),
    ):
        yield


@dataclass(frozen=True)
class Figures:
    """What a study of the simulated device was like: trials a step, trials in training on average, seconds, those one at a time."""

    trials: int
    together: float
    in_training: float
    seconds: float
    alone: float

    def __str__(self) -> str:
        faster = self.alone / self.seconds
        return (
            f"{self.trials:5} trials: {self.together:.1f} a step, {self.in_training:.0f} in training, {self.seconds:.1f} s, "
            f"{faster:.0f} times as fast as one at a time"
        )


def run(trials: int, sampler: str, inputs: int = 64, rows: int = 1257, lag: int | None = None) -> Figures:
    """Run the default study with so many trials on the clock, as on data of so many inputs and training rows."""
    lag = lag or lag_on("cuda", trials)
    overrides = [("search.trials", trials), ("search.sampler", sampler), ("search.lag", lag)]
    config = read_config(find_study("digits"), overrides)
    storage = InMemoryStorage()
    study_id = storage.create_new_study([StudyDirection.MAXIMIZE], "simulated")
    data = small_data()

    def specify(values: Any, number: int) -> TrialSpec:
        return config.space.specification(
            values, number=number, seed=0, budget=config.budget, inputs=inputs, outputs=10, rows=rows
        )

    source = Search(
        make_view(config, "maximize"),
        StudyWriter(WriterThread("memory", storage), study_id),
        specify,
        objectives=Objectives(data),
        trials=trials,
        timeout=None,
    )
    clock = Clock()
    plan = Plan("simulated", "", lag, lambda specs, data: SimulatedGroup(specs, clock), any_order=True)
    with simulated(clock):
        ConcurrentEngine(data, lambda spec: plan, max_concurrency=lag, threads=GROUPS).run(source)
    assert source.complete
    return Figures(trials, clock.updates / clock.steps, clock.in_flight / clock.now, clock.now, clock.alone)


if __name__ == "__main__":
    for count in map(int, sys.argv[1:] or ("64", "1000")):
        for sampler in ("random", "tpe"):
            print(sampler, run(count, sampler), flush=True)
