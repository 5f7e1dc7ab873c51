"""Trains in a Ray cluster of this machine and writes down what came of it, for `test_workers_ray`; run in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from hpsearch.data import Data
from hpsearch.errors import UserError
from hpsearch.training import Engine, TrialQueue
from hpsearch.training.workers import dispatcher
from hpsearch.training.workers.engine import WorkersEngine
from hpsearch.training.workers.messages import Event, Started
from hpsearch.training.workers.ray_connection import connect
from hpsearch.training.workers.ray_pool import RayPool, WorkerResources
from hpsearch.training.workers.worker import Build, Job, build_engine
from hpsearch.trial import TrainingRun, TrialSpec
from tests.support.observers import logged
from tests.support.servers import answers
from tests.support.small import small_data
from tests.support.worker_pools import WatchedSource, children, equal, poisoned, reference_runs, specs_with_rungs

BUILD = partial(build_engine, "reference", "float64", None, 1)
DATA = small_data()
TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105
SILENCE = 5.0

Results = dict[str, Any]


class WatchedPool(RayPool):
    """A pool that notes the processes of its actors, and stays connected when an engine goes."""

    def __init__(self, ray: Any, resources: WorkerResources) -> None:
        super().__init__(ray, resources)
        self.pids: dict[int, int] = {}

    def events(self, seconds: float) -> list[tuple[int, Event]]:
        events = super().events(seconds)
        self.pids |= {number: event.pid for number, event in events if isinstance(event, Started)}
        return events

    def disconnect(self) -> None: ...


def watched_pool(cluster: RayPool, job: Job, cpus: float = 1) -> WatchedPool:
    pool = WatchedPool(cluster.ray, WorkerResources(0, cpus))
    pool.set_job(job, DATA)
    return pool


def job_of(build: Build = BUILD, load: Callable[[], Data] | None = None) -> Job:
    return Job(build, "cpu", torch.float64, 1, str(DATA.summary["hash"]), load)


def equal_here(runs: dict[int, TrainingRun], specs: Sequence[TrialSpec]) -> list[bool]:
    """Whether each run is the one of the reference in this process."""
    here = reference_runs(specs, DATA)
    return [equal(here[number], runs[number]) for number in sorted(here)]


def signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def two_actors(cluster: RayPool, results: Results) -> None:
    """Two actors: runs as in this process, pruning, both killed, both stopped."""
    pool = watched_pool(cluster, job_of())
    engine = WorkersEngine(pool, DATA)
    source = TrialQueue(specs_with_rungs(DATA, 5))
    engine.run(source)
    results["equal"] = equal_here(source.runs, specs_with_rungs(DATA, 5))
    source = TrialQueue(specs_with_rungs(DATA, 3), prunes=lambda evaluation, metric: evaluation == 2)
    engine.run(source)
    results["pruned"] = [[run.outcome, len(run.history)] for run in source.runs.values()]
    killed(pool, engine, results)
    stopped(pool, engine, results)
    pool.close()


def killed(pool: WatchedPool, engine: WorkersEngine, results: Results) -> None:
    """Both actors are killed between two evaluations."""
    queue = TrialQueue(specs_with_rungs(DATA, 3))
    victims = list(pool.pids.values())

    def kill(number: int, evaluation: int) -> None:
        if (number, evaluation) == (1, 2):
            signal_all(victims, signal.SIGKILL)

    source = WatchedSource(queue, kill)
    lines: list[str] = []
    with logged(lines.append):
        engine.run(source)
    results["survived"] = equal_here(queue.runs, specs_with_rungs(DATA, 3))
    results["rungs"] = [len(source.rungs), len(set(source.rungs))]
    results["lines"] = lines


def stopped(pool: WatchedPool, engine: WorkersEngine, results: Results) -> None:
    """Both actors are stopped, and continued when others have their trials."""
    queue = TrialQueue(specs_with_rungs(DATA, 3))
    victims: list[int] = []

    def stop(number: int, evaluation: int) -> None:
        if (number, evaluation) == (0, 1):
            victims.extend(pool.pids[actor] for actor in pool.actors)
            signal_all(victims, signal.SIGSTOP)

    lines: list[str] = []

    def go_on(line: str) -> None:
        lines.append(line)
        signal_all(victims, signal.SIGCONT)

    source = WatchedSource(queue, stop)
    engine.silence = SILENCE
    with logged(go_on):
        engine.run(source)
    results["stopped"] = equal_here(queue.runs, specs_with_rungs(DATA, 3))
    results["stopped rungs"] = [len(source.rungs), len(set(source.rungs))]
    results["stopped lines"] = lines


def poison(cluster: RayPool, results: Results) -> None:
    """One actor at a time, which a trial kills; it ends at the second one here, which saves a start."""
    dispatcher.MAX_DEATHS = 2
    pool = watched_pool(cluster, job_of(partial(poisoned, 1, 1)), cpus=2)
    source = TrialQueue(specs_with_rungs(DATA, 3))
    WorkersEngine(pool, DATA).run(source)
    pool.close()
    results["poison"] = [source.runs[number].outcome for number in range(3)]
    results["killed"] = source.runs[1].detail


def load_data(marker: str, other: bool) -> Data:
    """Load the data of the study, or others by the same name."""
    Path(marker).touch()
    loaded = replace(DATA, title="loaded")
    return replace(loaded, summary={**DATA.summary, "hash": "another"}) if other else loaded


def build_noting_title(marker: str, data: Data) -> tuple[Engine, int]:
    """Build an engine, and write whether the data are those that the worker loaded: they keep the title."""
    Path(marker).write_text(data.title)
    return BUILD(data)


def named(cluster: RayPool, folder: Path) -> list[str]:
    """A worker that can load the data, and beside it one that finds others; return which data they have."""
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(partial(which_data, cluster, folder), (False, True)))


def which_data(cluster: RayPool, folder: Path, other: bool) -> str:
    marker, built = folder / f"load{other}", folder / f"built{other}"
    job = job_of(partial(build_noting_title, str(built)), partial(load_data, str(marker), other))
    pool = OneActorPool(cluster.ray, WorkerResources(0, 1))
    pool.set_job(job, replace(DATA, title="sent"))
    source = TrialQueue(specs_with_rungs(DATA, 1))
    WorkersEngine(pool, DATA).run(source)
    pool.close()
    assert marker.exists()
    assert equal_here(source.runs, specs_with_rungs(DATA, 1)) == [True]
    return built.read_text()


class OneActorPool(WatchedPool):
    """A pool with one actor, whatever room the cluster has."""

    def open(self) -> None:
        if not self.actors:
            self._start()


@contextmanager
def head(folder: Path, mode: str, port: int) -> Iterator[str]:
    """Start a cluster's head as its owner does."""
    environment = {**os.environ, "RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN": TOKEN}
    ray = str(Path(sys.executable).with_name("ray"))
    options = ["--node-ip-address=127.0.0.1", "--include-dashboard=false", "--num-cpus=1", "--block"]
    log = folder / f"{mode}.txt"
    with TemporaryDirectory(prefix="ray-") as own, log.open("w") as output:  # a short path: it holds sockets
        command = [ray, "start", "--head", f"--port={port}", f"--temp-dir={own}", *options]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        until = time.monotonic() + 300
        while not answers(port) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.2)
        try:
            assert answers(port), f"the head does not answer: {log.read_text()[-2000:]}"
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


CONNECT = """
import sys
from hpsearch.training.workers.ray_connection import connect
from hpsearch.training.workers.ray_pool import WorkerResources
try:
    pool = connect(sys.argv[1], WorkerResources(0, 1))
    print(pool.room(), 'worker')
    pool.disconnect()
except Exception as error:
    print(type(error).__name__, error)
"""


def connected(address: str, **environment: str) -> str:
    """Return what a process prints that connects to a cluster."""
    command = [sys.executable, "-c", CONNECT, address]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(command, env={**plain, "HOME": "/nonexistent", **environment}, capture_output=True, text=True)
    return done.stdout.strip()


def tokens(folder: Path, results: Results) -> None:
    """A head that wants a token, and one that does not."""
    with ThreadPoolExecutor(2) as threads:
        open_head = threads.submit(connect_to_open_head, folder)
        with head(folder, "token", 6401) as address:
            results["no token"] = connected(address)
            until = time.monotonic() + 300
            while "joined" not in results or (results["joined"] != "1 worker" and time.monotonic() < until):
                results["joined"] = connected(address, RAY_AUTH_TOKEN=TOKEN)  # its node comes after it
        results["open"] = open_head.result()


def connect_to_open_head(folder: Path) -> str:
    with head(folder, "disabled", 6402) as address:
        return connected(address, RAY_AUTH_TOKEN=TOKEN)


def listening() -> list[str]:
    """Return the sockets that listen here, a line each."""
    lines = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True).stdout.splitlines()
    return [line for line in lines if line]


def left_over(pids: set[int]) -> list[str]:
    """Return the names of processes that do not end within a minute."""
    until = time.monotonic() + 60
    while True:
        left = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        if not left or time.monotonic() > until:
            return [Path(f"/proc/{pid}/comm").read_text() for pid in left if Path(f"/proc/{pid}").exists()]
        time.sleep(0.1)


def main(folder: Path, in_namespace: bool) -> None:
    results: Results = {}
    before = children(os.getpid())
    cluster = connect("local", WorkerResources(0, 1))
    results["listening"] = listening()
    try:
        RayPool(cluster.ray, WorkerResources(1, 1)).room()
    except UserError as error:
        results["refused"] = str(error)
    two_actors(cluster, results)
    poison(cluster, results)
    results["named"] = named(cluster, folder)
    began = children(os.getpid()) - before
    cluster.disconnect()
    results["left"] = left_over(began)
    if in_namespace:
        tokens(folder, results)
    (folder / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] == "True")
