"""The actor in a Ray cluster: a worker's engine, and the writer's calls."""

import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any

from hpsearch.training.workers.messages import Alive, Event, Orders
from hpsearch.training.workers.remote import RemoteSource
from hpsearch.training.workers.serialization import Parcel
from hpsearch.training.workers.work import Job, work

PULSE = 2.0  # seconds after which an actor with nothing to say says that it is there


class Seated:
    """A worker's engine on a thread of its own; `parcels` is a list of one reference to the data in Ray's store."""

    def __init__(self, job: Job, parcels: Sequence[Any]) -> None:
        import ray

        self.events: SimpleQueue[Event] = SimpleQueue()
        self.source = RemoteSource(self.events.put)
        here = ray.get_runtime_context().get_node_id()

        def parcel() -> Parcel:
            found: Parcel = ray.get(parcels[0])
            return found

        life = threading.Thread(target=work, args=(job, parcel, self.source, self.events.put, here), daemon=True)
        life.start()

    def news(self) -> list[Event]:
        """Return what there is to say; wait for it a while."""
        try:
            found = [self.events.get(timeout=PULSE)]
        except Empty:
            return [Alive()]
        while not self.events.empty():
            found.append(self.events.get())
        return found

    def order(self, orders: Orders) -> None:
        """Take the writer's orders."""
        self.source.receive(orders)
