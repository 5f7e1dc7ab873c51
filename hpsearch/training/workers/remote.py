"""The search as a worker sees it: a `TrialSource` whose answers come from another process, on another thread.

A worker waits for an answer (to a report at a rung, or for the next trial after a run) as long as all its waiting has been no more
than a twentieth of its time: an answer that is near spares a pruned trial the training up to its next evaluation, one that is far
must not stall the device. A trial that went on is looked at in each of its evaluations.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from threading import Condition

from hpsearch.training.progress import Weights
from hpsearch.training.workers.messages import Ended, Event, Orders, Reported, Sent
from hpsearch.training.workers.serialization import arrays_of
from hpsearch.trial import TrainingRun, TrialSpec

SHARE = 0.05  # of a worker's time that it may spend waiting for answers while it has something to train
LEAST = 0.01  # seconds that it may wait however young it is


class RemoteSource:
    """What an engine pulls from in a worker; `tell` brings an event to the writer and never waits; its orders come in by `receive`."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self.tell = tell
        self.changed = Condition()
        self.waiting: list[TrialSpec] = []
        self.rungs: dict[int, tuple[int, ...]] = {}  # of each trial in flight
        self.ending: set[int] = set()
        self.weights: dict[int, Weights] = {}  # of runs whose weights nobody has decided on
        self.told = self.heard = 0
        self.waited, self.since = 0.0, time.monotonic()

    @property
    def stopping(self) -> bool:
        """A worker is not asked to stop: its process ends."""
        return False

    def receive(self, orders: Orders) -> None:
        """Take the writer's orders (on another thread than the engine's)."""
        with self.changed:
            self.waiting += orders.train
            self.ending |= set(orders.end)
            sent = [Sent(number, arrays_of(self.weights.pop(number))) for number in orders.send]
            for number in orders.forget:
                self.weights.pop(number, None)
            self.heard = max(self.heard, orders.heard)
            self.told += len(sent)
            self.changed.notify_all()
        for event in sent:
            self.tell(event)

    def take(self, room: int) -> list[TrialSpec]:
        """Return the next trials (see `TrialSource`); without any in flight wait for one, since the engine would end."""
        with self.changed:
            if not self.rungs:
                self.changed.wait_for(lambda: self.waiting)
            else:
                self._wait(lambda: len(self.waiting) >= room or self.heard >= self.told)
            taken, self.waiting = self.waiting[:room], self.waiting[room:]
            self.rungs |= {spec.number: spec.rungs for spec in taken}
        return [_watched(spec) for spec in taken]

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Report the metric at a rung, and look whether the trial has been ended (see `TrialSource`)."""
        with self.changed:
            if evaluation in self.rungs[number]:
                mine = self._tell(Reported(number, evaluation, metric))
                self._wait(lambda: self.heard >= mine)
            return number in self.ending

    def wants(self, run: TrainingRun) -> bool:
        """Keep every run's weights until the writer has decided (see `TrialSource`)."""
        return True

    def finish(self, run: TrainingRun) -> None:
        """Hand in a run (see `TrialSource`)."""
        with self.changed:
            del self.rungs[run.number]
            self.ending.discard(run.number)
            if run.weights is not None:
                self.weights[run.number] = run.weights
            self._tell(Ended(replace(run, weights=None)))

    def _tell(self, event: Event) -> int:
        """Bring an event to the writer; return its number, from 1."""
        self.told += 1
        self.tell(event)
        return self.told

    def _wait(self, over: Callable[[], bool]) -> None:
        """Wait until it is over, or as long as the share of time allows."""
        start = time.monotonic()
        allowed = max(LEAST, SHARE * (start - self.since) - self.waited)
        self.changed.wait_for(over, allowed)
        self.waited += time.monotonic() - start


def _watched(spec: TrialSpec) -> TrialSpec:
    """Return a trial that has rungs with a look at every evaluation."""
    return replace(spec, rungs=tuple(range(1, len(spec.evaluate_at)))) if spec.rungs else spec
