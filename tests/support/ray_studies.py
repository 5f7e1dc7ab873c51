"""Trains in a Ray cluster of this machine and writes down what came of it, for `test_workers_ray`; run in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from hpsearch.data import Data
from hpsearch.errors import UserError
from hpsearch.training import Several
from hpsearch.training.engines import make_engine
from hpsearch.training.workers.cluster import Cluster, Share
from hpsearch.training.workers.engine import WorkersEngine
from hpsearch.training.workers.joining import join
from hpsearch.training.workers.messages import Began
from hpsearch.training.workers.work import Job, plan_engine
from tests.support.observers import logged
from tests.support.servers import answers
from tests.support.small import small_data
from tests.support.worker_pools import Watching, children, poisoned, specs_of
from tests.training.test_workers import equal

BUILD = partial(plan_engine, "reference", "float64", None, 1)
DATA = small_data()
TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105


class Noting(Cluster):
    """A cluster that notes the processes of its actors, and stays when an engine goes."""

    pids: dict[int, int]

    def events(self, seconds: float):
        found = super().events(seconds)
        self.pids = getattr(self, "pids", {}) | {n: event.pid for n, event in found if isinstance(event, Began)}
        return found

    def leave(self) -> None: ...


def crew(start: Cluster, job: Job, share: float = 1) -> Noting:
    made = Noting(start.ray, Share(0, share))
    made.employ(job, DATA)
    return made


def job(build=BUILD, load=None) -> Job:
    return Job(build, "cpu", torch.float64, 1, str(DATA.summary["hash"]), load)


def as_here(runs: dict, specs: list) -> list[bool]:
    here = Several(list(specs))
    make_engine("reference", DATA).run(here)
    return [equal(here.runs[number], runs[number]) for number in sorted(here.runs)]


def training(start: Cluster, told: dict) -> None:
    """Two actors: as here, pruning, one killed."""
    made, lines = crew(start, job()), []
    engine = WorkersEngine(made, DATA)
    source = Several(specs_of(DATA, 5))
    engine.run(source)
    told["equal"] = as_here(source.runs, specs_of(DATA, 5))
    source = Several(specs_of(DATA, 3), ask=lambda evaluation, metric: evaluation == 2)
    engine.run(source)
    told["pruned"] = [[run.outcome, len(run.history)] for run in source.runs.values()]
    watched = Watching(Several(specs_of(DATA, 3)))
    victims = list(made.pids.values())
    watched.at_rung = lambda number, evaluation: [
        os.kill(pid, signal.SIGKILL) for pid in victims * ((number, evaluation) == (1, 2))
    ]
    with logged(lines.append):
        engine.run(watched)
    told["survived"] = as_here(watched.source.runs, specs_of(DATA, 3))
    told |= {"rungs": len(watched.rungs), "distinct": len(set(watched.rungs)), "lines": lines}
    made.close()


def poison(start: Cluster, told: dict) -> None:
    """One actor at a time, which a trial kills."""
    made = crew(start, job(partial(poisoned, 1, 1)), 2)
    source = Several(specs_of(DATA, 3))
    WorkersEngine(made, DATA).run(source)
    made.close()
    told["poison"] = [source.runs[number].outcome for number in range(3)]
    told["killed"] = source.runs[1].detail


def stopped(start: Cluster, told: dict) -> None:
    """One of two actors stopped, and continued when another has its trial."""
    made, lines = crew(start, job()), []
    source = Watching(Several(specs_of(DATA, 3)))
    victims: list[int] = []

    def stop(number: int, evaluation: int) -> None:
        if (number, evaluation) == (0, 1):
            victims.extend(made.pids.values())
            for pid in victims:
                os.kill(pid, signal.SIGSTOP)

    def heard(line: str) -> None:
        lines.append(line)
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    source.at_rung = stop
    with logged(heard):
        WorkersEngine(made, DATA, silence=5).run(source)
    made.close()
    told["stopped"] = as_here(source.source.runs, specs_of(DATA, 3))
    told["stopped rungs"] = [len(source.rungs), len(set(source.rungs))]
    told["stopped lines"] = lines


@contextmanager
def head(folder: Path, mode: str, port: int) -> Iterator[str]:
    """A cluster's head as its owner starts it."""
    environment = {**os.environ, "RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN": TOKEN}
    ray = str(Path(sys.executable).with_name("ray"))
    options = ["--node-ip-address=127.0.0.1", "--include-dashboard=false", "--num-cpus=1", "--block"]
    said = folder / f"{mode}.txt"
    with TemporaryDirectory(prefix="ray-") as own, said.open("w") as output:  # a short path: it holds sockets
        command = [ray, "start", "--head", f"--port={port}", f"--temp-dir={own}", *options]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        until = time.monotonic() + 90
        while not answers(port) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.2)
        try:
            assert answers(port), f"the head does not answer: {said.read_text()[-2000:]}"
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def joins(address: str, **environment: str) -> str:
    """What a process says that joins a cluster."""
    code = (
        "import sys; from hpsearch.training.workers.joining import join; from hpsearch.training.workers.cluster import Share\n"
        "try:\n    cluster = join(sys.argv[1], Share(0, 1)); print(cluster.room(), 'worker'); cluster.leave()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    command = [sys.executable, "-c", code, address]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(command, env={**plain, "HOME": "/nonexistent", **environment}, capture_output=True, text=True)
    return done.stdout.strip()


def tokens(folder: Path, told: dict) -> None:
    """Heads that want a token, and one that does not."""
    with head(folder, "token", 6401) as address:
        time.sleep(3)  # its node comes after it
        told["joined"] = joins(address, RAY_AUTH_TOKEN=TOKEN)
        told["no token"] = joins(address)
    with head(folder, "disabled", 6402) as address:
        told["open"] = joins(address, RAY_AUTH_TOKEN=TOKEN)


def loaded(marker: str, other: bool) -> Data:
    """Load the data of the study, or others by the same name."""
    Path(marker).touch()
    return replace(DATA, summary={**DATA.summary, "hash": "another"}) if other else DATA


def which(marker: str, data: Data) -> tuple:
    """Build an engine, and say whether the data are those that the worker loaded: they keep the title."""
    Path(marker).write_text(data.title)
    return BUILD(data)


def named(start: Cluster, told: dict, folder: Path) -> None:
    """A worker that can load the data, and one that finds others."""
    told["named"] = []
    for other in (False, True):
        marker, built = str(folder / f"load{other}"), folder / f"built{other}"
        title = replace(DATA, title="loaded")

        made = crew(start, job(partial(which, str(built)), partial(_titled, marker, other)), 2)
        made.data = replace(title, title="sent")
        source = Several(specs_of(DATA, 1))
        WorkersEngine(made, DATA).run(source)
        made.close()
        assert Path(marker).exists()
        assert as_here(source.runs, specs_of(DATA, 1)) == [True]
        told["named"].append(built.read_text())


def _titled(marker: str, other: bool) -> Data:
    return replace(loaded(marker, other), title="loaded")


def main(folder: Path, apart: bool) -> None:
    told: dict = {}
    before = children(os.getpid())
    start = join("local", Share(0, 1))
    told["listening"] = [
        line for line in subprocess.run(["ss", "-ltnH"], capture_output=True, text=True).stdout.splitlines() if line
    ]
    try:
        Cluster(start.ray, Share(1, 1)).room()
    except UserError as error:
        told["refused"] = str(error)
    training(start, told)
    poison(start, told)
    stopped(start, told)
    named(start, told, folder)
    began = children(os.getpid()) - before
    start.leave()
    until = time.monotonic() + 10
    while (left := [pid for pid in began if Path(f"/proc/{pid}").exists()]) and time.monotonic() < until:
        time.sleep(0.1)
    told["left"] = [Path(f"/proc/{pid}/comm").read_text() for pid in left if Path(f"/proc/{pid}").exists()]
    if apart:
        tokens(folder, told)
    (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] == "True")
