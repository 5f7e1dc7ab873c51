"""A worker pool in a Ray cluster: an actor for each share of GPUs and cores that the cluster has room for.

Ray places and watches the actors; everything that a study relies on stays with the coordinator: what is trained again, and where a new
worker is wanted. So no actor is restarted by Ray and no call retried. An actor does two things side by side: its engine trains, and a
call of the coordinator waits for its events (a long poll), so that nothing is asked twice. Machines may join and leave: the cluster is
looked at now and then, and has as many workers as it has room for.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError, shown
from hpsearch.training.workers.messages import (
    Alive,
    Commands,
    Event,
    Failed,
    Lost,
    Ready,
    SerializedDataset,
    Started,
    serialize,
)
from hpsearch.training.workers.worker import Job, RemoteSource, StartAttempts, work

LOGGER = logging.getLogger(__name__)
LOOK_SECONDS = 2.0  # between looks at the cluster's machines
WARN_SECONDS = 15.0  # without a worker, after which the user is told what they wait for
ALIVE_SECONDS = 2.0  # after which an actor with no event answers that it is there


@dataclass(frozen=True, slots=True)
class WorkerResources:
    """What a worker takes of a machine; `gpus` None: one where the cluster has any."""

    gpus: float | None
    cpus: float

    def workers_on(self, machine: Mapping[str, float]) -> int:
        """Return how many workers a machine with these resources has room for."""
        wanted = (("GPU", self.gpus or 0.0), ("CPU", self.cpus))
        return min(int(machine.get(kind, 0.0) / amount + 1e-6) for kind, amount in wanted if amount)


class WorkerActor:
    """The actor: a worker's engine on a thread of its own; `datasets` is a list of one reference to the data in Ray's store."""

    def __init__(self, job: Job, datasets: Sequence[Any]) -> None:
        import ray

        self.events: SimpleQueue[Event] = SimpleQueue()
        self.source = RemoteSource(self.events.put)
        machine = ray.get_runtime_context().get_node_id()

        def receive_data() -> SerializedDataset:
            dataset: SerializedDataset = ray.get(datasets[0])
            return dataset

        arguments = (job, receive_data, self.source, self.events.put, machine)
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def next_events(self) -> list[Event]:
        """Return the events since the last call; wait a while for the first."""
        try:
            events = [self.events.get(timeout=ALIVE_SECONDS)]
        except Empty:
            return [Alive()]
        while not self.events.empty():
            events.append(self.events.get())
        return events

    def command(self, commands: Commands) -> None:
        """Take the coordinator's commands."""
        self.source.receive(commands)


@dataclass(eq=False)
class ActorState:
    """A worker as the coordinator knows it."""

    handle: Any
    machine: str = ""
    ready: bool = False
    failure: str = ""  # what the worker itself says that ended it


class RayPool:
    """Actors in a cluster that has been joined; `resources` is what each takes."""

    def __init__(self, ray: Any, resources: WorkerResources) -> None:
        self.ray = ray
        self.resources = resources
        self.actors: dict[int, ActorState] = {}
        self.polls: dict[Any, int] = {}  # a call that waits for events → its actor
        self.attempts = StartAttempts()
        self.begun = 0
        self.looked_at = 0.0
        self.waiting_since = 0.0
        self.job: Job | None = None
        self.data: Data | None = None
        self.datasets: list[Any] = []

    def set_job(self, job: Job, data: Data) -> None:
        """Set what workers are to do, and with which data."""
        self.job = job
        self.data = data

    def room(self) -> int:
        """Return how many workers there is room for.

        Raises:
            UserError: for none; it says what the machines have.
        """
        machines = self._machines()
        count = sum(map(self.resources.workers_on, machines))
        if count:
            return count
        each = [f"{machine.get('GPU', 0):g} GPU, {machine.get('CPU', 0):g} CPU" for machine in machines]
        raise UserError(
            f"--ray: a worker takes {self.resources.gpus or 0:g} GPU and {self.resources.cpus:g} CPU, and no machine of the cluster "
            f"has them ({'; '.join(each) or 'no machine'}). Give other --worker-gpus and --worker-cpus."
        )

    def open(self) -> None:
        """Start workers, where there is room for more (see `WorkerPool`)."""
        if time.monotonic() - self.looked_at < LOOK_SECONDS and self.looked_at:
            return
        self.looked_at = time.monotonic()
        room = sum(map(self.resources.workers_on, self._machines()))
        while len(self.actors) < room and self.attempts.due:
            self._start()

    def events(self, seconds: float) -> list[tuple[int, Event]]:
        """Return the workers' events (see `WorkerPool`)."""
        self.open()
        self._check_starts()
        if not self.polls:
            time.sleep(seconds)
            return []
        self._warn_of_waiting()
        polls = list(self.polls)
        if not self.ray.wait(polls, num_returns=1, timeout=seconds)[0]:
            return []
        done = self.ray.wait(polls, num_returns=len(polls), timeout=0)[0]
        events: list[tuple[int, Event]] = []
        for poll in done:
            number = self.polls.pop(poll)
            events += [(number, event) for event in self._read(number, poll)]
        return events

    def command(self, worker: int, commands: Commands) -> None:
        """Send commands to a worker (see `WorkerPool`)."""
        if worker in self.actors:
            self.actors[worker].handle.command.options(concurrency_group="commands").remote(commands)

    def end(self, worker: int, reason: str) -> Lost:
        """End a worker that hangs (see `WorkerPool`)."""
        self.polls = {poll: number for poll, number in self.polls.items() if number != worker}
        if worker not in self.actors:
            return Lost(reason)
        return self._lost(worker, reason)

    def close(self) -> None:
        """End all workers (see `WorkerPool`)."""
        for actor in self.actors.values():
            self.ray.kill(actor.handle, no_restart=True)
        self.actors = {}
        self.polls = {}
        self.looked_at = 0.0

    def disconnect(self) -> None:
        """Leave the cluster; one that this process started ends (see `WorkerPool`)."""
        self.ray.shutdown()

    def _machines(self) -> list[Mapping[str, float]]:
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def _start(self) -> None:
        assert self.data is not None, "there is a job before there are workers"
        self.datasets = self.datasets or [self.ray.put(serialize(self.data))]
        remote_class = self.ray.remote(
            num_cpus=self.resources.cpus,
            num_gpus=self.resources.gpus or 0,
            max_restarts=0,
            max_task_retries=0,
            concurrency_groups={"events": 1, "commands": 1},
        )(WorkerActor)
        actor = ActorState(remote_class.remote(self.job, self.datasets))
        self.actors[self.begun] = actor
        self._poll(self.begun, actor)
        self.begun += 1

    def _poll(self, number: int, actor: ActorState) -> None:
        self.polls[actor.handle.next_events.options(concurrency_group="events").remote()] = number

    def _read(self, number: int, poll: Any) -> list[Event]:
        """Return an actor's events, and poll it again; or that it is lost."""
        actor = self.actors[number]
        try:
            events: list[Event] = self.ray.get(poll)
        except self.ray.exceptions.RayError as error:
            return [self._lost(number, str(error))]
        for event in events:
            self._note(actor, event)
        if actor.failure:
            return [*events, self._lost(number, actor.failure)]
        self._poll(number, actor)
        return events

    def _note(self, actor: ActorState, event: Event) -> None:
        if isinstance(event, Started):
            actor.machine = event.machine
        elif isinstance(event, Ready):
            actor.ready = True
            self.attempts.succeed()
        elif isinstance(event, Failed):
            actor.failure = event.reason

    def _lost(self, number: int, reason: str) -> Lost:
        """Forget an actor; with a whole machine gone it is no trial's fault."""
        actor = self.actors.pop(number)
        self.ray.kill(actor.handle, no_restart=True)
        self.looked_at = 0.0
        machine_alive = any(node["Alive"] and node["NodeID"] == actor.machine for node in self.ray.nodes())
        summary = first_line(reason)
        if not actor.ready and (machine_alive or not actor.machine):  # it may never have had a machine
            self.attempts.fail(summary)
        return Lost(summary, charged=machine_alive)

    def _check_starts(self) -> None:
        """Raise where no worker runs and none can be started."""
        if self.attempts.exhausted and not self.actors:
            raise UserError(
                f"--ray: no worker starts: {shown(self.attempts.reason)}. Every machine needs the same hpsearch."
            )

    def _warn_of_waiting(self) -> None:
        """Say once what a study without any worker waits for: the cluster may be busy with others' work."""
        now = time.monotonic()
        if any(actor.machine for actor in self.actors.values()) or not self.waiting_since:
            self.waiting_since = now
        elif now - self.waiting_since > WARN_SECONDS:
            self.waiting_since = float("inf")
            free = self.ray.available_resources()
            LOGGER.warning(
                f"waiting for room in the cluster: free are {free.get('GPU', 0):g} GPU and {free.get('CPU', 0):g} CPU, "
                f"a worker takes {self.resources.gpus or 0:g} and {self.resources.cpus:g}"
            )


def first_line(text: str) -> str:
    """Return the first line of what Ray says, which may be a page long."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else ""
