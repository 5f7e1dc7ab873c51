"""A crew in a Ray cluster: an actor for each share of GPUs and cores that the cluster has room for.

Ray places and watches the actors; everything that a study relies on stays with the writer: what is trained again, and where a new
worker is wanted. So no actor is restarted by Ray and no call retried. An actor does two things side by side: its engine trains, and a
call of the writer's waits for what it has to say (a long poll), so that nothing is asked twice. Machines may join and leave: the
cluster is looked at now and then, and has as many workers as it has room for.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError, shown
from hpsearch.training.workers.actor import Seated
from hpsearch.training.workers.messages import Began, Broken, Event, Lost, Orders, Ready
from hpsearch.training.workers.serialization import pack
from hpsearch.training.workers.starts import Starts
from hpsearch.training.workers.work import Job

LOGGER = logging.getLogger(__name__)
LOOK = 2.0  # seconds between looks at the cluster's machines
PATIENCE = 15.0  # seconds without a worker after which the user is told what they wait for


@dataclass(frozen=True, slots=True)
class Share:
    """What a worker takes of a machine; `gpus` None: one where the cluster has any."""

    gpus: float | None
    cpus: float

    def fits(self, machine: Mapping[str, float]) -> int:
        """Return how many workers a machine with these resources has room for."""
        wanted = (("GPU", self.gpus or 0.0), ("CPU", self.cpus))
        return min(int(machine.get(kind, 0.0) / amount + 1e-6) for kind, amount in wanted if amount)


@dataclass(eq=False)
class Actor:
    """A worker as the writer knows it."""

    handle: Any
    machine: str = ""
    ready: bool = False
    last_words: str = ""


class Cluster:
    """Actors in a cluster that has been joined; `share` is what each takes."""

    def __init__(self, ray: Any, share: Share) -> None:
        self.ray, self.share = ray, share
        self.actors: dict[int, Actor] = {}
        self.polls: dict[Any, int] = {}  # a call that waits for news → its actor
        self.starts = Starts()
        self.begun, self.looked, self.waited = 0, 0.0, 0.0
        self.job: Job | None = None
        self.data: Data | None = None
        self.parcels: list[Any] = []

    def employ(self, job: Job, data: Data) -> None:
        """Say what workers are to do, and with which data."""
        self.job, self.data = job, data

    def room(self) -> int:
        """Return how many workers there is room for.

        Raises:
            UserError: for none; it says what the machines have.
        """
        machines = self._machines()
        if count := sum(map(self.share.fits, machines)):
            return count
        have = "; ".join(f"{m.get('GPU', 0):g} GPU, {m.get('CPU', 0):g} CPU" for m in machines) or "no machine"
        wanted = f"{self.share.gpus or 0:g} GPU and {self.share.cpus:g} CPU"
        raise UserError(
            f"--ray: a worker takes {wanted}, and no machine of the cluster has them ({have}). "
            "Give other --worker-gpus and --worker-cpus."
        )

    def open(self) -> None:
        """Start workers, where there is room for more (see `Crew`)."""
        if time.monotonic() - self.looked < LOOK and self.looked:
            return
        self.looked = time.monotonic()
        room = sum(map(self.share.fits, self._machines()))
        while len(self.actors) < room and self.starts.due:
            self._start()

    def events(self, seconds: float) -> list[tuple[int, Event]]:
        """Return what workers said (see `Crew`)."""
        self.open()
        self._refuse_nothing()
        if not self.polls:
            time.sleep(seconds)
            return []
        self._tell_of_waiting()
        waiting = list(self.polls)
        if not self.ray.wait(waiting, num_returns=1, timeout=seconds)[0]:
            return []
        done = self.ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
        found: list[tuple[int, Event]] = []
        for poll in done:
            number = self.polls.pop(poll)
            found += [(number, event) for event in self._read(number, poll)]
        return found

    def order(self, worker: int, orders: Orders) -> None:
        """Tell a worker something (see `Crew`)."""
        if worker in self.actors:
            self.actors[worker].handle.order.options(concurrency_group="orders").remote(orders)

    def end(self, worker: int, reason: str) -> Lost:
        """End a worker that hangs (see `Crew`)."""
        self.polls = {poll: number for poll, number in self.polls.items() if number != worker}
        return self._lost(worker, reason) if worker in self.actors else Lost(reason)

    def close(self) -> None:
        """End all workers (see `Crew`)."""
        for actor in self.actors.values():
            self.ray.kill(actor.handle, no_restart=True)
        self.actors, self.polls, self.looked = {}, {}, 0.0

    def leave(self) -> None:
        """Leave the cluster; one of our own ends (see `Crew`)."""
        self.ray.shutdown()

    def _machines(self) -> list[Mapping[str, float]]:
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def _start(self) -> None:
        assert self.data is not None, "there is a job before there are workers"
        self.parcels = self.parcels or [self.ray.put(pack(self.data))]
        remote = self.ray.remote(
            num_cpus=self.share.cpus,
            num_gpus=self.share.gpus or 0,
            max_restarts=0,
            max_task_retries=0,
            concurrency_groups={"news": 1, "orders": 1},
        )(Seated)
        actor = Actor(remote.remote(self.job, self.parcels))
        self.actors[self.begun] = actor
        self._poll(self.begun, actor)
        self.begun += 1

    def _poll(self, number: int, actor: Actor) -> None:
        self.polls[actor.handle.news.options(concurrency_group="news").remote()] = number

    def _read(self, number: int, poll: Any) -> list[Event]:
        """Return what an actor said, and listen on; or that it is lost."""
        actor = self.actors[number]
        try:
            found: list[Event] = self.ray.get(poll)
        except self.ray.exceptions.RayError as error:
            return [self._lost(number, str(error))]
        for event in found:
            self._note(actor, event)
        if actor.last_words:
            return [*found, self._lost(number, actor.last_words)]
        self._poll(number, actor)
        return found

    def _note(self, actor: Actor, event: Event) -> None:
        if isinstance(event, Began):
            actor.machine = event.machine
        elif isinstance(event, Ready):
            actor.ready = True
            self.starts.succeed()
        elif isinstance(event, Broken):
            actor.last_words = event.reason

    def _lost(self, number: int, reason: str) -> Lost:
        """Forget an actor; with a whole machine gone it is nobody's fault."""
        actor = self.actors.pop(number)
        self.ray.kill(actor.handle, no_restart=True)
        self.looked = 0.0
        there = any(node["Alive"] and node["NodeID"] == actor.machine for node in self.ray.nodes())
        short = first_line(reason)
        if not actor.ready and (there or not actor.machine):  # it may never have had one
            self.starts.fail(short)
        return Lost(short, charged=there)

    def _refuse_nothing(self) -> None:
        if self.starts.over and not self.actors:
            raise UserError(
                f"--ray: no worker starts: {shown(self.starts.reason)}. Every machine needs the same hpsearch."
            )

    def _tell_of_waiting(self) -> None:
        """Say once what a study without any worker waits for: the cluster may be busy with others' work."""
        now = time.monotonic()
        if any(actor.machine for actor in self.actors.values()) or not self.waited:
            self.waited = now
        elif now - self.waited > PATIENCE:
            self.waited = float("inf")
            free = self.ray.available_resources()
            LOGGER.warning(
                f"waiting for room in the cluster: free are {free.get('GPU', 0):g} GPU and {free.get('CPU', 0):g} CPU, "
                f"a worker takes {self.share.gpus or 0:g} and {self.share.cpus:g}"
            )


def first_line(text: str) -> str:
    """Return the first line of what Ray says, which may be a page long."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:1])
