"""The pulling engine: many trials in flight, on one device.

A *lane* holds one or more trials that train side by side from the same start: one trial of the compiled engine, a cohort of the fused
one. Workers (threads) train lanes, each to its next evaluation, without the interpreter's lock where it counts; this loop, on the
caller's thread, does the rest: it takes trials for free places, opens lanes, keeps the histories, hands in the runs. Only it talks to
the source, so a source needs no locks.

Out of memory: a lane of several trials is halved and trained again from its start (its evaluations known so far are walked through: a
run is a function of its specification), and that size is remembered; one that is alone ends in its outcome.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch

from hpsearch.data.dataset import Data
from hpsearch.training import TrialSource
from hpsearch.training.memory import exhausted, out_of_memory, release
from hpsearch.training.progress import Progress, Weights
from hpsearch.training.threads import begin_worker, one_thread
from hpsearch.trial import TrialSpec

HEARD = 0.1  # seconds within which the loop sees that it is to stop
PATIENCE = 2.0  # seconds that a worker has to see it


@dataclass(frozen=True, slots=True)
class Window:
    """What a trial did since its evaluation before: `losses` [updates], loss and metric on the validation rows, seconds in all."""

    losses: torch.Tensor
    score: tuple[float, float]
    seconds: float


class Lane(Protocol):
    """Trials that train side by side; all have one fold, one order of batches and the same evaluations, and start together."""

    def advance(self, stopping: Callable[[], bool]) -> Mapping[int, Window] | None:
        """Train every trial to its next evaluation; return each one's window by its number, None where `stopping` said so."""
        ...

    def weights(self, number: int) -> Weights:
        """Return a copy of a trial's weights as they are now, by their names in `DNN`."""
        ...

    def drop(self, numbers: Collection[int]) -> None:
        """Forget trials that have ended; at least one stays."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How trials of one batch size are to train: `open` makes a lane of at most `size` of them; `reason` says why so."""

    engine: str
    reason: str
    size: int
    open: Callable[[Sequence[TrialSpec], Data], Lane]


@dataclass(eq=False)
class Flight:
    """A lane on its way, with the bookkeeping of its trials."""

    lane: Lane | None
    plan: Plan
    progress: dict[int, Progress]
    evaluations: int = 0  # that the lane has behind it; fewer than a history has after a lane was opened again
    future: "Future[Mapping[int, Window] | None] | None" = field(default=None, repr=False)


class PullingEngine:
    """An engine with `places` for trials in flight, whose lanes are trained by `workers` threads; `plan` says which lanes.

    Each worker computes on one thread of its own on a CPU.
    """

    def __init__(self, data: Data, plan: Callable[[TrialSpec], Plan], *, places: int, workers: int) -> None:
        self.data, self.plan, self.places, self.workers = data, plan, places, workers
        self.maximize = data.metric.direction == "maximize"
        self.fits: dict[int, int] = {}  # batch size → trials of one lane that memory is known to hold

    def run(self, source: TrialSource) -> None:
        """Train until the source has nothing left."""
        flights: list[Flight] = []
        pool = ThreadPoolExecutor(self.workers, initializer=begin_worker, initargs=(self.data,))
        with one_thread(self.data), _released(pool, flights):
            while True:
                flights += self._open(source, self.places - sum(len(f.progress) for f in flights))
                for flight in sorted(flights, key=_work, reverse=True):  # the longest first, so that cores end together
                    flight.future = flight.future or pool.submit(self._advance, flight, lambda: source.stopping)
                if not flights or source.stopping:
                    return
                while not (done := wait(_futures(flights), HEARD, FIRST_COMPLETED).done) and not source.stopping:
                    pass
                for flight in [flight for flight in flights if flight.future in done]:
                    flights.remove(flight)
                    flights += self._landed(flight, source)

    def _open(self, source: TrialSource, free: int) -> list[Flight]:
        """Fill free places, all at once or where a good part of them is free, since a lane of one trial wastes a wide device."""
        if free < max(1, self.places // 8):
            return []
        groups: dict[tuple[object, ...], tuple[Plan, list[TrialSpec]]] = {}
        for spec in source.take(free):
            plan = self.plan(spec)
            key = (plan.engine, spec.fold, spec.order_seed, spec.batch_size, spec.evaluate_at)
            groups.setdefault(key, (plan, []))[1].append(spec)
        return [flight for plan, specs in groups.values() for flight in self._flights(plan, specs)]

    def _flights(self, plan: Plan, specs: Sequence[TrialSpec]) -> list[Flight]:
        size = min(plan.size, self.fits.get(specs[0].batch_size, plan.size))
        parts = [specs[i : i + size] for i in range(0, len(specs), size)]
        return [Flight(None, plan, {spec.number: self._progress(spec) for spec in part}) for part in parts]

    def _progress(self, spec: TrialSpec) -> Progress:
        assert spec.architecture is not None, "lanes train dense networks; others go to the reference"
        return Progress(spec, self.maximize, spec.architecture.parameters)

    def _advance(self, flight: Flight, stopping: Callable[[], bool]) -> Mapping[int, Window] | None:
        """Train a flight's lane to the next evaluation (on a worker's thread)."""
        if flight.lane is None:
            specs = [progress.spec for progress in flight.progress.values()]
            flight.lane = flight.plan.open(specs, self.data.fold(specs[0].fold))
        return flight.lane.advance(stopping)

    def _landed(self, flight: Flight, source: TrialSource) -> list[Flight]:
        """Take a flight's windows; return what goes on."""
        assert flight.future is not None
        try:
            windows, fits = flight.future.result(), True
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            windows, fits = None, False
        flight.future = None  # with its exception, whose traceback would keep tensors alive
        if not fits:
            return self._halved(flight, source)
        if windows is None:
            return []
        flight.evaluations += 1
        ended = [number for number, window in windows.items() if self._record(flight, number, window, source)]
        for number in ended:
            del flight.progress[number]
        if ended and flight.progress:
            assert flight.lane is not None
            flight.lane.drop(ended)
        return [flight] if flight.progress else []

    def _record(self, flight: Flight, number: int, window: Window, source: TrialSource) -> bool:
        """Take a window of one trial; True where its run ends."""
        progress, lane = flight.progress[number], flight.lane
        assert lane is not None
        if len(progress.history) >= flight.evaluations:
            return False  # known: the lane walks again through what it did before memory ran out
        run = progress.record(window.losses, window.score, window.seconds, lambda: lane.weights(number), source)
        if run is not None:
            source.finish(run)
        return run is not None

    def _halved(self, flight: Flight, source: TrialSource) -> list[Flight]:
        """Open a lane that did not fit again as two; one trial alone ends."""
        flight.lane = None
        release(self.data)
        members = list(flight.progress.items())
        if len(members) == 1:
            source.finish(exhausted(members[0][1].spec))
            return []
        half = len(members) // 2
        batch_size = members[0][1].spec.batch_size
        self.fits[batch_size] = min(self.fits.get(batch_size, half), half)
        return [Flight(None, flight.plan, dict(part)) for part in (members[:half], members[half:])]


@contextmanager
def _released(pool: ThreadPoolExecutor, flights: Sequence[Flight]) -> Iterator[None]:
    """Wait for the workers in the end, but not for one that compiles a kernel: nothing can interrupt that, and nobody needs it."""
    try:
        yield
    finally:
        compiling = wait([future for future in _futures(flights) if not future.cancel()], PATIENCE).not_done
        pool.shutdown(wait=not compiling, cancel_futures=True)


def _futures(flights: Sequence[Flight]) -> list["Future[Mapping[int, Window] | None]"]:
    return [flight.future for flight in flights if flight.future]


def _work(flight: Flight) -> int:
    """Return about how many multiply-adds a flight has left."""
    spec = next(iter(flight.progress.values())).spec
    left = spec.updates - (spec.evaluate_at[flight.evaluations - 1] if flight.evaluations else 0)
    return left * spec.batch_size * sum(progress.parameters for progress in flight.progress.values())
