"""The engine at the writer's end: it keeps every worker full and hands on what they answer."""

import weakref
from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from hpsearch.data.dataset import Data
from hpsearch.errors import shown
from hpsearch.training import TrialSource
from hpsearch.training.workers.desk import Desk, Seat
from hpsearch.training.workers.messages import Event, Lost, Orders, Ready, Said

WAIT = 0.1  # seconds after which a signal is looked at


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

    def close(self) -> None:
        """End all workers at once."""
        ...

    def leave(self) -> None:
        """Let go of everything else."""
        ...


class WorkersEngine:
    """An engine whose trials train in a crew's workers, which start with the first trial and live as long as the engine.

    `explain` is told which engine they train with and why, `announce` which are lost.
    """

    def __init__(
        self,
        crew: Crew,
        data: Data,
        explain: Callable[[str], None] = lambda line: None,
        announce: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.crew, self.explain, self.announce = crew, explain, announce
        self.maximize = data.metric.direction == "maximize"
        self.device: torch.device = data.training.inputs.device
        self.seats: dict[int, Seat] = {}
        self.lines: set[str] = set()
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
            self.announce(f"worker {worker} is lost ({shown(event.reason)}){told}")

    def _say(self, line: str) -> None:
        if line not in self.lines:
            self.lines.add(line)
            self.explain(line)

    def _send(self, desk: Desk) -> None:
        for worker, orders in desk.orders().items():
            self.crew.order(worker, orders)

    def _close(self) -> None:
        self.seats.clear()
        self.crew.close()


def _end(crew: Crew) -> None:
    crew.close()
    crew.leave()
