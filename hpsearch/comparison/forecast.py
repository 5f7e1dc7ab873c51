"""How long a comparison still takes: one time over all its stages, said once there is evidence.

The time of a run is learned arm by arm from the runs of this process, since a run at batch size 1 may take a hundred times as long as one
of gradient descent. What needs no training is learned from small pieces of the same work, timed before the first run: one look at the loss
of the measured rows, and one product of small matrices for the escape tests. `LOOKS` and `PRODUCTS` say how many of those a stage takes. A
stage that is running is timed by its own steps, as soon as `EVIDENCE` of them are done.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from statistics import fmean

import numpy as np
from optuna.trial import FixedTrial

from hpsearch.comparison.arms import Arm
from hpsearch.comparison.instrumentation import measured_rows
from hpsearch.comparison.measurements.state import State, mean_loss
from hpsearch.config import CompareSection, MinimaSection
from hpsearch.data.dataset import Data
from hpsearch.progress import COMPILER, Compiler, Observer, PhaseProgress, SearchStatus, StepPace
from hpsearch.searching.specifications import specification
from hpsearch.training.devices import device_of, one_thread, worker_threads
from hpsearch.training.network import DNN

UPDATES = "timing updates"
TUNING = "tuning"
REFINING = "tuning around the best settings"
REPLICATES = "training the winners on fresh seeds"
MEASURING = "measuring runs update by update"
TIMING = "timing the plain loop"
PATHS = "comparing paths"
ESCAPES = "testing the escape from minima"

LAST = 10  # runs of an arm, whose mean counts
GRID = 7.5  # learning rates of a second stage around each winner: five, and as often as not a grid that goes on
PLAIN_SECONDS = 1.2  # of an arm in the plain loop
CLOSING_SECONDS = 3.0  # of the model of two weights and of the page, which have no stage of their own
LOOKS = {MEASURING: 1_000.0, PATHS: 1_000.0}  # at the loss: of a measured run, and of an optimizer's paths
MEASURED_PATHS = 3  # runs of an optimizer that are trained again for its paths
PRODUCTS = {  # of small matrices: of each part of an escape test for each of its runs (seeds, or starts of the teacher test)
    "instability": (32_000,),
    "thermal": (112_000,),
    "teacher": (15_000, 2_600_000, 15_000, 250_000),
    "dead_relu": (4_000,),
}
# of a piece of work that is timed, repeats together: long enough to feel what else the machine does
TIMED_SECONDS = 0.05


class RunPace:
    """How long the runs of each arm take, and how many train beside each other.

    The runs that begin before the first one has ended say nothing, since what is loaded and compiled for them is once for all.
    """

    def __init__(self, compiler: Compiler = COMPILER) -> None:
        self.compiler = compiler
        self.arms: Sequence[str] = ()  # that train in turn
        self.slots = 1
        self._first_end = inf
        self._in_flight: dict[int, tuple[str, float]] = {}
        self._ended: dict[str, deque[tuple[float, bool]]] = {}  # seconds, and whether the run did not diverge

    def begin_stage(self, arms: Sequence[str]) -> None:
        """Note which arms train from now on, in turn."""
        self.arms = arms
        self._in_flight.clear()

    def begin(self, number: int, arm: str) -> None:
        """Note that a run of an arm begins."""
        self._in_flight[number] = (arm, self.compiler.clock())
        self.slots = max(self.slots, len(self._in_flight))

    def end(self, number: int, *, whole: bool) -> None:
        """Note that a run ends: whether it did not diverge."""
        arm, began = self._in_flight.pop(number)
        now = self.compiler.clock()
        self._first_end = min(self._first_end, now)
        if began >= max(self._first_end, self.compiler.until):
            self._ended.setdefault(arm, deque(maxlen=LAST)).append((now - began, whole))

    def seconds(self, arm: str, *, whole: bool = False) -> float | None:
        """Return the mean seconds of an arm's last runs, of those that did not diverge where it is to be a `whole` one; None: unknown."""
        ended = self._ended.get(arm, ())
        wholes = [seconds for seconds, was_whole in ended if was_whole]
        if whole and wholes:
            return fmean(wholes)
        return fmean(seconds for seconds, _ in ended) if ended else None

    def left(self, runs: int) -> float | None:
        """Return the seconds until so many more runs of the present arms have ended, those in training included; None: unknown."""
        means = {arm: self.seconds(arm) for arm in self.arms}
        known = {arm: mean for arm, mean in means.items() if mean is not None}
        if len(known) < len(means) or not known:
            return None
        now = self.compiler.clock()
        begun = [max(0.0, known[arm] - (now - began)) for arm, began in self._in_flight.values()]
        waiting = max(0, runs - len(begun)) * fmean(known.values())
        return max((waiting + sum(begun)) / self.slots, max(begun, default=0.0))

    def of_whole_runs(self, arms: Iterable[str], runs: float, slots: float | None = None) -> float | None:
        """Return the seconds of so many runs of each arm that do not diverge, on all slots or on so many; None: unknown."""
        found = [self.seconds(arm, whole=True) for arm in arms]
        known = [seconds for seconds in found if seconds is not None]
        if len(known) < len(found):
            return None
        return runs * sum(known) / (slots or self.slots)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage to come, or a part of one: its name on the screen, and its expected seconds, None where nothing is known yet."""

    name: str
    seconds: Callable[[], float | None]


class Forecast:
    """Stands between a comparison and its screen: an observer that says with each state how long all stages still take."""

    def __init__(self, observer: Observer, stages: Iterable[Stage], pace: RunPace | None = None) -> None:
        self.observer = observer
        self.stages = list(stages)
        self.pace = pace or RunPace()
        self._steps = StepPace(self.pace.compiler)
        self._name = ""
        self._done = 0
        self._began = 0.0

    def announce(self, sentence: str) -> None:
        """Show a sentence."""
        self.observer.announce(sentence)

    def status(self, status: SearchStatus) -> None:
        """Show the state of a search."""
        self.observer.status(status)

    def phase(self, progress: PhaseProgress) -> None:
        """Show the state of a stage, and the time that is left of all."""
        if progress.name != self._name or progress.done < self._done:
            self._enter(progress.name)
        self._done = progress.done
        self.observer.phase(replace(progress, left=self._left(progress)))

    def _enter(self, name: str) -> None:
        """Drop the stages before one that begins, and the one itself."""
        names = [stage.name for stage in self.stages]
        self._present = Stage(name, lambda: None)
        if name in names:
            at = names.index(name)
            self._present = self.stages[at]
            del self.stages[: at + 1]
        self._name = name
        self._began = self.pace.compiler.clock()

    def _left(self, progress: PhaseProgress) -> float | None:
        """Return the seconds of what is left of the present stage and of all that follow; None before there is evidence."""
        times = [self._left_of_present(progress), *(stage.seconds() for stage in self.stages)]
        known = [seconds for seconds in times if seconds is not None]
        return sum(known) if len(known) == len(times) else None

    def _left_of_present(self, progress: PhaseProgress) -> float | None:
        if progress.name in (TUNING, REFINING, REPLICATES):
            return self.pace.left(progress.total - progress.done)
        by_steps = self._steps.left(progress)
        if by_steps is not None:
            return by_steps
        expected = self._present.seconds()
        if expected is None:
            return None
        return max(0.0, expected - (self.pace.compiler.clock() - self._began))


def comparison_stages(
    compare: CompareSection, minima: MinimaSection | None, arms: Sequence[Arm], data: Data, pace: RunPace
) -> Iterator[Stage]:
    """Yield the stages of a comparison."""
    names = [arm.name for arm in arms]
    optimizers = len({arm.optimizer for arm in arms})
    winners = 1 if compare.tune_until == "target" else 2
    yield Stage(TUNING, lambda: None)  # the first: what is known of it is known from itself
    if compare.refine:
        yield Stage(REFINING, lambda: pace.of_whole_runs(names, GRID * winners * compare.refine))
    yield Stage(REPLICATES, lambda: pace.of_whole_runs(names, winners * compare.seeds))
    measured = min(compare.measured, compare.seeds)
    if measured:
        look = look_seconds(arms[0], data)
        threads = worker_threads(data)
        yield Stage(
            MEASURING,
            lambda: _plus(
                pace.of_whole_runs(names, measured, threads), len(arms) * measured * LOOKS[MEASURING] * look / threads
            ),
        )
        yield Stage(TIMING, lambda: len(arms) * PLAIN_SECONDS)
        share = MEASURED_PATHS / len(arms)
        yield Stage(
            PATHS,
            lambda: _plus(
                pace.of_whole_runs(names, share * optimizers, 1), CLOSING_SECONDS + optimizers * LOOKS[PATHS] * look
            ),
        )
    if minima is not None:
        yield from escape_stages(minima)


def _plus(seconds: float | None, more: float) -> float | None:
    return None if seconds is None else seconds + more


def escape_stages(minima: MinimaSection) -> Iterator[Stage]:
    """Yield the parts of the escape tests."""
    each = product_seconds() / (os.cpu_count() or 1)
    for number, (name, parts) in enumerate(PRODUCTS.items(), start=1):
        runs = minima.starts if name == "teacher" else minima.seeds
        for products in parts:
            yield Stage(escape_phase(number), partial(float, products * runs * each))


def escape_phase(number: int) -> str:
    """Return the name of an escape test on the screen, counted from 1."""
    return f"{ESCAPES}, test {number} of {len(PRODUCTS)}"


# ---- pieces of work


def look_seconds(arm: Arm, data: Data) -> float:
    """Return the seconds of one look at the loss of the measured rows by the arm's known-good network."""
    spec = specification(arm.config, arm.config.space.suggest(FixedTrial(arm.config.space.defaults())), 0, data)
    weights = DNN.initialized(spec.dense_architecture, 0).state_dict()
    rows = measured_rows(data)
    vector = State(spec.dense_architecture, data.trained_task, weights).vector(rows)
    with one_thread(device_of(data)):
        return _mean_seconds(lambda: mean_loss(spec.dense_architecture, data.trained_task, vector, rows))


def product_seconds() -> float:
    """Return the seconds of a product of two small matrices."""
    matrix = np.eye(10)

    def work() -> None:
        for _ in range(1_000):
            matrix @ matrix

    return _mean_seconds(work) / 1_000


def _mean_seconds(work: Callable[[], object]) -> float:
    """Return the mean seconds of a piece of work; what its first time loads is left out."""
    work()
    began = time.perf_counter()
    done = 0
    while time.perf_counter() - began < TIMED_SECONDS:
        work()
        done += 1
    return (time.perf_counter() - began) / done
