"""The engine at the writer's end: it keeps every worker full and hands on what they answer."""

import logging
import time
import weakref
from collections.abc import Sequence
from typing import Protocol

import torch

from hpsearch.data.dataset import Data
from hpsearch.errors import shown
from hpsearch.training import TrialSource
from hpsearch.training.workers.dispatcher import Desk, Seat
from hpsearch.training.workers.messages import Event, Lost, Orders, Ready, Said

LOGGER = logging.getLogger(__name__)
SILENCE = 60.0  # seconds without a sign of life after which a worker that holds trials counts as lost
WAIT = 0.1  # seconds after which a signal is looked at
STEP = 1.0  # seconds between two looks at silent workers that count at most: while the writer itself stood still nobody was heard


class Crew(Protocol):
    """Workers in other processes, and the way to them."""

    def open(self) -> None:
        """Start workers, where there are none."""
        ...

    def events(self, seconds: float) -> Sequence[tuple[int, Event]]:
        """Return what workers said, each with its number, waiting for at most so long; see to it that there are workers.

        A worker's events come in its order, and `Lost` is the last of them; one that comes in its place has another number.

        Raises:
            UserError: no worker can be started.
        """
        ...

    def order(self, worker: int, orders: Orders) -> None:
        """Tell a worker something; nothing happens where it is gone."""
        ...

    def end(self, worker: int, reason: str) -> Lost:
        """End a worker that hangs; nothing that it said or may say is heard any more."""
        ...

    def close(self) -> None:
        """End all workers at once."""
        ...

    def leave(self) -> None:
        """Let go of everything else."""
        ...


class WorkersEngine:
    """An engine whose trials train in a crew's workers, which start with the first trial and live as long as the engine.

    Which engine they train with and why is logged, and as a warning which are lost. One that holds trials and gives no sign of life for
    `silence` seconds is ended, and its trials are trained again elsewhere.
    """

    def __init__(
        self,
        crew: Crew,
        data: Data,
        silence: float = SILENCE,
    ) -> None:
        self.crew, self.silence = crew, silence
        self.maximize = data.metric.direction == "maximize"
        self.device: torch.device = data.training.inputs.device
        self.seats: dict[int, Seat] = {}
        self.lines: set[str] = set()
        self.looked = time.monotonic()
        self.end = weakref.finalize(self, _end, crew)

    def run(self, source: TrialSource) -> None:
        """Train until the source has nothing left."""
        desk = Desk(source, self.seats, self.maximize, self.device)
        try:
            while not source.stopping and desk.fill():
                self.crew.open()
                self._send(desk)
                for worker, event in self.crew.events(WAIT):
                    self._hear(desk, worker, event)
                self._end_hung(desk)
            self._send(desk)
        except BaseException:
            self._close()
            raise
        if source.stopping:
            self._close()

    def _hear(self, desk: Desk, worker: int, event: Event) -> None:
        if isinstance(event, Said):
            self._say(event.line)
        elif isinstance(event, Ready):
            self._say(f"worker {worker}: room for {event.places} trial{'s' * (event.places != 1)}")
        again = desk.hear(worker, event)
        if isinstance(event, Lost):
            told = f"; training again: {', '.join(f'#{number}' for number in again)}" if again else ""
            LOGGER.warning(f"worker {worker} is lost ({shown(event.reason)}){told}")

    def _end_hung(self, desk: Desk) -> None:
        before, self.looked = self.looked, time.monotonic()
        for worker in desk.hung(min(self.looked - before, STEP), self.silence):
            self._hear(desk, worker, self.crew.end(worker, f"no sign of life for {self.silence:g} s"))

    def _say(self, line: str) -> None:
        if line not in self.lines:
            self.lines.add(line)
            LOGGER.info(line)

    def _send(self, desk: Desk) -> None:
        for worker, orders in desk.orders().items():
            self.crew.order(worker, orders)

    def _close(self) -> None:
        self.seats.clear()
        self.crew.close()


def _end(crew: Crew) -> None:
    crew.close()
    crew.leave()
