"""A study on a GPU that is not there: the search and the concurrent engine as they are, groups that take the time of a model.

The model counts what each launch of a step moves and computes, tiles included, and takes an H200's limits for it: a launch takes `LAUNCH`
at least, each turn of a program's loop `TURN`, and streams share the device. To record a step takes the host `HOST_LAUNCH` for each launch
of it, and proposals take the search's thread `PROPOSALS`. Beside it stands plain torch, which trains one trial at a time and launches one
operation after another from Python. Its figures are a model's, no measurement.

    python -m tests.support.simulated_gpu 64 1000
    python -m tests.support.simulated_gpu --mnist 1000       # rows and inputs of MNIST instead of digits
    python -m tests.support.simulated_gpu --apart 64 1000    # no trial joins a group, each change of one is a new recording
"""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil, log
from typing import Any
from unittest.mock import patch

import torch
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection

from hpsearch.config import find_study, read_config
from hpsearch.searching.loop import Search
from hpsearch.searching.objectives import Objectives
from hpsearch.searching.opening import make_view
from hpsearch.searching.run_options import lag_on
from hpsearch.storage.writer_thread import WriterThread
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import groups
from hpsearch.training.capture import BURST, WARM_UP
from hpsearch.training.costs import cores_are_cheaper, seconds_on_cores
from hpsearch.training.devices import GROUPS
from hpsearch.training.groups import ConcurrentEngine, Cores, Plan
from hpsearch.training.optimizers import make_rule
from hpsearch.training.progress import Score, Stopping, Weights
from hpsearch.trial import TrialSpec
from tests.support.small import small_data

LAUNCH = 2e-6  # seconds
TURN = 5e-7
BANDWIDTH = 0.85 * 4.3e12  # bytes a second
RATE = 30e12  # operations a second in float32, half of the peak
# Seconds of the host for the scores of a group, 20 operations, and of each trial besides (measured).
SCORES = (1e-4, 3e-5)
HOST_LAUNCH = 3e-5  # seconds of the host for a launch of Triton's that is not replayed, guessed
TORCH_LAUNCH = 5e-6  # seconds of the host for an operation of torch's, guessed: what is usually said to be the least
TORCH_OPERATIONS = (5, 6)  # of an update with an optimizer that is one operation, and of each layer besides (counted)
RECORDED = WARM_UP + 1 + BURST  # runs of a step for a recording
PROPOSALS = {"random": 4e-4, "tpe": 4e-3}  # seconds of the search's thread, measured (`tests.benchmarks --overhead`)
SIDE, LEAST, MOST, SPARE = 32, 16, 64, 0.5  # as in `step`, which needs Triton
TICK = 1e-12  # seconds that are none
TERMS = 1024
DIGITS, MNIST = (64, 1257), (784, 50_000)  # inputs and training rows


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


def seconds_of_scores(trials: int) -> float:
    """Return the seconds of the host for an evaluation of so many trials."""
    of_any, of_a_trial = SCORES
    return of_any + of_a_trial * trials


def torch_operations(layers: int) -> int:
    """Return the operations of an update in plain torch, by classes, on rows that lie on the device."""
    of_any, of_a_layer = TORCH_OPERATIONS
    return of_any + of_a_layer * layers


@dataclass(eq=False)
class Clock:
    """The time of the device and of the cores beside it, and what was trained in it."""

    now: float = 0.0
    steps: int = 0
    updates: int = 0  # of trials, on the device
    recordings: int = 0
    on_cores: int = 0  # trials that began on a core
    in_flight: float = 0.0  # trial-seconds
    alone: float = 0.0  # seconds that the updates of all trials take on the device one at a time
    in_torch: float = 0.0  # seconds that they take in plain torch, one trial at a time
    proposing: float = 0.0  # seconds of proposals that have not passed yet
    pools: "list[SimulatedPool]" = field(default_factory=list)

    def propose(self) -> None:
        """Let the time of proposals pass, in which windows go on, and may be over."""
        self.go_on(self.proposing)
        self.proposing = 0.0

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        while seconds > 0:
            paces = [(running, pool.slowness) for pool in self.pools for running in pool.active if running.left > 0]
            passed = min([seconds, *(running.left * slowness for running, slowness in paces)])
            self.now += passed
            seconds -= passed
            for running, slowness in paces:
                self.in_flight += passed * len(running.group.specs)
                running.left -= passed / slowness
                if running.left < TICK:
                    running.left = 0.0

    def end_of_a_window(self) -> "Running":
        """Let time pass until a window is over, and return it."""
        while True:
            paces = [(running.left * pool.slowness, running, pool) for pool in self.pools for running in pool.active]
            left, running, pool = min(paces, key=lambda pace: pace[0])
            if left <= 0:
                pool.running.remove(running)
                return running
            self.go_on(left)


@dataclass(eq=False)
class Running:
    """A window of a group: the seconds that are left where it has the device for itself, and its share of the device then."""

    future: "Future[Any]"
    work: Callable[[], Any]
    group: "SimulatedGroup"
    left: float
    share: float


class SimulatedGroup:
    """A group whose trials have made-up scores, better with a middling learning rate, batch size and width, and with time.

    `plan.joins`: its step has room for trials that join; else it is recorded anew whenever a trial has left.
    """

    def __init__(self, specs: Sequence[TrialSpec], clock: Clock, plan: Plan) -> None:
        self.specs = list(specs)
        self.clock = clock
        self.joins = plan.joins
        self.on_cores = plan.on_cores
        self.windows = dict.fromkeys((spec.number for spec in specs), 0)  # of each trial
        self.room = (0, 0, 0)
        self.seconds = 0.0

    def window(self) -> tuple[float, float]:
        """Return the seconds of the next window alone on the device, and the share of it in which the device is busy."""
        batch = self.specs[0].batch_size
        step = step_of(self.specs, batch)
        updates = [self.updates(spec) for spec in self.specs]
        for spec, own in zip(self.specs, updates, strict=True):
            self.clock.alone += own * step_of([spec], batch).seconds + seconds_of_scores(1)
            self.clock.in_torch += own * torch_operations(len(spec.dense_architecture.widths) + 1) * TORCH_LAUNCH
        host = seconds_of_scores(len(self.specs))
        if self.on_cores:
            return max(updates) * seconds_on_cores(self.specs[0], 1, 1) + host, 0.0
        self.clock.steps += max(updates)
        self.clock.updates += sum(updates)
        if not self.has_room():
            self.clock.recordings += 1
            host += min(RECORDED, max(updates)) * step.count * HOST_LAUNCH
        seconds = max(updates) * step.seconds + host
        return seconds, max(updates) * step.busy / seconds

    def updates(self, spec: TrialSpec) -> int:
        """Return the updates of a trial in its next window."""
        done = self.windows[spec.number]
        return spec.evaluate_at[done] - (spec.evaluate_at[done - 1] if done else 0)

    def has_room(self) -> bool:
        """Whether the recording has room for the trials; make room where it has none."""
        shapes = [spec.dense_architecture for spec in self.specs]
        numbers = sum(shape.parameters for shape in shapes)
        needed = (len(shapes), numbers, max(len(shape.sizes) for shape in shapes))
        if self.joins and all(own <= room for own, room in zip(needed, self.room, strict=True)):
            return True
        if not self.joins and needed == self.room:
            return True
        spare = 1 + SPARE if self.joins and len(shapes) > 1 else 1
        self.room = (ceil(spare * needed[0]), ceil(spare * numbers), needed[2])
        return False

    def train(self, until: int, stopping: Stopping) -> Mapping[int, torch.Tensor]:
        for spec in self.specs:
            self.windows[spec.number] += 1
        return {spec.number: torch.ones(1) for spec in self.specs}

    def train_each(self, until: Callable[[int], int], stopping: Stopping) -> Mapping[int, torch.Tensor]:
        return self.train(0, stopping)

    def join(self, specs: Sequence[TrialSpec]) -> None:
        """The pool has had them join already."""

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
        return (1 - 0.7 ** self.windows[spec.number]) / (1 + distance) - luck

    def weights(self, number: int) -> Weights:
        return {}

    def drop(self, numbers: Collection[int]) -> None:
        self.specs = [spec for spec in self.specs if spec.number not in numbers]


@dataclass(eq=False)
class SimulatedPool:
    """A pool of threads whose work is done when the clock comes there; the groups on a GPU share it."""

    clock: Clock
    threads: int
    running: list[Running] = field(default_factory=list)

    @property
    def active(self) -> list[Running]:
        """The windows that have a thread."""
        return self.running[: self.threads]

    @property
    def slowness(self) -> float:
        """How many times as long a window takes as alone."""
        return max(1.0, sum(running.share for running in self.active if running.left > 0))

    def submit(self, function: Callable[..., Any], entry: Any, stopping: Stopping) -> "Future[Any]":
        self.clock.propose()
        future: Future[Any] = Future()
        if entry.evaluations is None:
            entry.opened = SimulatedGroup([one.spec for one in entry.progress.values()], self.clock, entry.plan)
            entry.plan = replace(entry.plan, open=lambda specs, data: entry.opened)
            self.clock.on_cores += entry.plan.on_cores
        group = entry.evaluations.group if entry.evaluations else entry.opened
        group.specs += [spec for spec in entry.joining if spec.number not in group.windows]
        group.windows |= {spec.number: 0 for spec in entry.joining}
        seconds, share = group.window()
        self.running.append(Running(future, lambda: function(entry, stopping), group, seconds, share))
        return future

    def shutdown(self, **_: Any) -> None:
        return


def wait_for(clock: Clock) -> "set[Future[Any]]":
    """Let time pass until a window is done."""
    clock.propose()
    first = clock.end_of_a_window()
    first.future.set_result(first.work())
    return {first.future}


@contextmanager
def simulated(clock: Clock) -> Iterator[None]:
    """Have the concurrent engine train on the clock."""

    def pool(threads: int, **_: Any) -> SimulatedPool:
        clock.pools.append(SimulatedPool(clock, threads))
        return clock.pools[-1]

    with (
        patch.object(groups, "ThreadPoolExecutor", pool),
        patch.object(groups, "_wait", lambda in_flight, source: wait_for(clock)),
    ):
        yield


@dataclass(frozen=True)
class Figures:
    """What a study of the simulated device was like: trials a step, trials in training on average, and the seconds.

    `alone` are the seconds of one trial at a time, `in_torch` those of one at a time in plain torch.
    """

    trials: int
    together: float
    in_training: float
    seconds: float
    alone: float
    in_torch: float
    recordings: int
    on_cores: int

    def __str__(self) -> str:
        return (
            f"{self.trials:5} trials, {self.on_cores} on cores: {self.together:.1f} a step, {self.in_training:.0f} in training, "
            f"{self.recordings} recordings, {self.seconds:.1f} s, {self.alone / self.seconds:.0f} times as fast as one at a time, "
            f"{self.in_torch / self.seconds:.0f} times as fast as plain torch"
        )


def run(
    trials: int,
    sampler: str,
    inputs: int = DIGITS[0],
    rows: int = DIGITS[1],
    lag: int | None = None,
    joins: bool = True,
    cores: int = 0,
) -> Figures:
    """Run the default study with so many trials on the clock, as on data of so many inputs and training rows, beside so many cores."""
    overrides: list[tuple[str, Any]] = [("search.trials", trials), ("search.sampler", sampler)]
    lag = lag or lag_on("cuda", read_config(find_study("digits"), overrides).search)
    config = read_config(find_study("digits"), [*overrides, ("search.lag", lag)])
    storage = InMemoryStorage()
    study_id = storage.create_new_study([StudyDirection.MAXIMIZE], "simulated")
    data = small_data()
    clock = Clock()

    def specify(values: Any, number: int) -> TrialSpec:
        clock.proposing += PROPOSALS.get(sampler, 0.0)
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
    slots = lag
    unopened = Plan("simulated", "", slots, lambda specs, data: None, any_order=True, joins=joins)  # type: ignore[arg-type, return-value]

    def plan(spec: TrialSpec) -> Plan:
        if cores and cores_are_cheaper(spec, slots, cores):
            return replace(unopened, size=1, joins=False, on_cores=True)
        return unopened

    beside = Cores(data, cores) if cores else None
    with simulated(clock):
        ConcurrentEngine(data, plan, max_concurrency=slots, threads=GROUPS, cores=beside).run(source)
    assert source.complete
    together = clock.updates / max(1, clock.steps)
    in_training = clock.in_flight / clock.now
    seconds = (clock.now, clock.alone, clock.in_torch)
    return Figures(trials, together, in_training, *seconds, clock.recordings, clock.on_cores)


if __name__ == "__main__":
    together = "--apart" not in sys.argv
    inputs, rows = MNIST if "--mnist" in sys.argv else DIGITS
    counts = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    for count in counts or (64, 1000):
        for name in PROPOSALS:
            for beside in (0, 1, 15) if together else (0,):
                figures = run(count, name, inputs, rows, joins=together, cores=beside)
                print(f"{name:6} {beside:2} cores", figures, flush=True)
