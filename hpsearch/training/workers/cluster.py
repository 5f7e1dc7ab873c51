"""A crew in a Ray cluster: an actor for each share of GPUs and cores that the cluster has room for.

Ray places and watches the actors; everything that a study relies on stays with the writer: what is trained again, and where a new
worker is wanted. So no actor is restarted by Ray and no call retried. An actor does two things side by side: its engine trains, and a
call of the writer's waits for what it has to say (a long poll), so that nothing is asked twice. Machines may join and leave: the
cluster is looked at now and then, and has as many workers as it has room for.

Token authentication is insisted on, since whoever may speak to a Ray cluster may run code on it; where the mode is not set, it is. "local"
starts a cluster that ends with this process.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from joblib import cpu_count

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError, shown
from hpsearch.training.workers.messages import Began, Broken, Event, Lost, Orders, Ready
from hpsearch.training.workers.parcel import Parcel, pack
from hpsearch.training.workers.remote import RemoteSource
from hpsearch.training.workers.starts import Starts
from hpsearch.training.workers.work import Job, work

OLDEST = (2, 52)  # the first that knows token authentication
LOOK = 2.0  # seconds between looks at the cluster's machines
SILENCE = 10.0  # seconds that a call waits for something to say
PATIENCE = 15.0  # seconds without a worker after which the user is told what they wait for
ANSWER = 5.0  # seconds that a cluster's head may take to accept a connection


@dataclass(frozen=True, slots=True)
class Share:
    """What a worker takes of a machine; `gpus` None: one where the cluster has any."""

    gpus: float | None
    cpus: float

    def fits(self, machine: Mapping[str, float]) -> int:
        """Return how many workers a machine with these resources has room for."""
        wanted = (("GPU", self.gpus or 0.0), ("CPU", self.cpus))
        return min(int(machine.get(kind, 0.0) / amount + 1e-6) for kind, amount in wanted if amount)


class Seated:
    """The actor: a worker's engine on a thread of its own, and the writer's calls."""

    def __init__(self, job: Job, parcels: Sequence[Any], machine: str) -> None:
        import ray

        self.events: SimpleQueue[Event] = SimpleQueue()
        self.source = RemoteSource(self.events.put)
        here = ray.get_runtime_context().get_node_id() or machine

        def parcel() -> Parcel:
            found: Parcel = ray.get(parcels[0])
            return found

        life = threading.Thread(target=work, args=(job, parcel, self.source, self.events.put, here), daemon=True)
        life.start()

    def news(self) -> list[Event]:
        """Return what there is to say; wait for it a while."""
        try:
            found = [self.events.get(timeout=SILENCE)]
        except Empty:
            return []
        while not self.events.empty():
            found.append(self.events.get())
        return found

    def order(self, orders: Orders) -> None:
        """Take the writer's orders."""
        self.source.receive(orders)


@dataclass(eq=False)
class Actor:
    """A worker as the writer knows it."""

    handle: Any
    machine: str = ""
    ready: bool = False
    last_words: str = ""


class Cluster:
    """Actors in a cluster that has been joined; `share` is what each takes."""

    def __init__(self, ray: Any, share: Share, announce: Callable[[str], None]) -> None:
        self.ray, self.share, self.announce = ray, share, announce
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
        actor = Actor(remote.remote(self.job, self.parcels, ""))
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
        short = _first_line(reason)
        if there and not actor.ready:
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
            self.announce(
                f"waiting for room in the cluster: free are {free.get('GPU', 0):g} GPU and {free.get('CPU', 0):g} CPU, "
                f"a worker takes {self.share.gpus or 0:g} and {self.share.cpus:g}"
            )


def join(address: str, share: Share, announce: Callable[[str], None]) -> Cluster:
    """Join a cluster, or start one on this machine ("local").

    Raises:
        UserError: Ray is missing or too old, or there is no cluster to be joined.
    """
    _insist_on_token()
    ray = _import()
    options: dict[str, Any] = {"address": address}
    if address == "local":
        options |= {"num_cpus": int(cpu_count()), "include_dashboard": False}
    else:
        _reach(address)
    with _handlers_kept():
        try:
            ray.init(log_to_driver=False, logging_level="ERROR", **options)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise UserError(f"--ray {address}: the cluster cannot be joined: {_first_line(str(error))}") from None
    gpus = share.gpus if share.gpus is not None else min(1.0, ray.cluster_resources().get("GPU", 0.0))
    return Cluster(ray, Share(gpus, share.cpus), announce)


def _import() -> Any:
    try:
        import ray
    except ImportError:
        raise UserError("--ray: Ray is not installed. Install it: pip install 'hpsearch[ray]'.") from None
    if tuple(map(int, ray.__version__.split(".")[:2])) < OLDEST:
        raise UserError(f"--ray: Ray {ray.__version__} is too old. Install a newer one: pip install 'hpsearch[ray]'.")
    return ray


def _reach(address: str) -> None:
    """Refuse an address where nobody answers: Ray itself would try for half a minute."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if not host or not port.isdecimal() or "/" in address:
        raise UserError(f"--ray {shown(address)}: HOST:PORT of the cluster's head, auto or local expected.")
    try:
        socket.create_connection((host, int(port)), ANSWER).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"--ray {address}: nobody answers ({error}). Start the head there: ray start --head --port={port}."
        ) from None


def _insist_on_token() -> None:
    """Authenticate with a token; Ray reads the mode as it is imported.

    Raises:
        UserError: authentication is switched off.
    """
    if os.environ.setdefault("RAY_AUTH_MODE", "token") != "token":
        raise UserError(
            f"RAY_AUTH_MODE={os.environ['RAY_AUTH_MODE']}: whoever reaches such a cluster runs code on it. "
            "Start it and hpsearch with RAY_AUTH_MODE=token."
        )


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Keep the signal handlers that Ray would put its own in the place of."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    main = threading.current_thread() is threading.main_thread()
    try:
        yield
    finally:
        for number, handler in kept.items() if main else ():
            signal.signal(number, handler)


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:1])
