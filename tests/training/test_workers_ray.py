"""Workers in a Ray cluster, in a network namespace of their own where there can be one, so that everything listens on loopback."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from hpsearch.cli import main
from hpsearch.errors import UserError
from hpsearch.training.workers import ray_connection
from hpsearch.training.workers.ray_connection import connect
from hpsearch.training.workers.ray_pool import WorkerResources

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of a cluster of one machine's (`ray_studies`), which starts once for all tests of all pytest's workers."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'hpsearch[ray]'")
    folder = tmp_path_factory.mktemp("ray")
    shared = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with FileLock(shared / "ray.lock"):
        kept = shared / "ray.json"
        if not kept.exists():
            kept.write_text(json.dumps(study_cluster(folder)))
        found: dict[str, Any] = json.loads(kept.read_text())
        return found


def study_cluster(folder: Path) -> dict[str, Any]:
    """What came of the cluster of `ray_studies`, run in a process and, where there can be one, a network namespace of its own."""
    apart = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    possible = not subprocess.run([*apart, "true"], capture_output=True).returncode
    command = [
        *(apart if possible else []),
        sys.executable,
        "-m",
        "tests.support.ray_studies",
        str(folder),
        str(possible),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found | {"apart": possible}


@pytest.mark.slow
def test_a_cluster_trains_as_this_process_does(results: dict[str, Any]) -> None:
    """Two actors give the runs of the reference in one process, weights included, and prune at the same evaluations."""
    assert results["equal"] == [True] * 5
    assert results["pruned"] == [["pruned", 2]] * 3


@pytest.mark.slow
def test_a_killed_actor_costs_nothing(results: dict[str, Any]) -> None:
    """An actor killed with signal 9 between two evaluations is replaced, every run is what it would have been, and no rung told twice."""
    assert results["survived"] == [True] * 3
    assert results["rungs"] == [6, 6]
    assert "training again" in " ".join(results["lines"])


@pytest.mark.slow
def test_named_data_are_loaded_by_the_worker(results: dict[str, Any]) -> None:
    """An actor loads a data set by its name where that gives the study's data, and takes the writer's where it gives others."""
    assert results["named"] == ["loaded", "sent"]


@pytest.mark.slow
def test_a_cluster_without_gpus_says_so(results: dict[str, Any]) -> None:
    """A worker that takes a GPU of a cluster that has none is refused in a line that says what there is."""
    assert "a worker takes 1 GPU and 1 CPU, and no machine of the cluster has them (0 GPU, 2 CPU)" in results["refused"]


@pytest.mark.slow
def test_it_listens_on_loopback(results: dict[str, Any]) -> None:
    """In its own network namespace nothing of the cluster listens elsewhere; without one there is nothing to be learned."""
    if not results["apart"]:
        pytest.skip("no network namespace here (unshare -rn)")
    assert results["listening"]
    assert all("127.0.0.1" in line or "[::1]" in line for line in results["listening"])


@pytest.mark.slow
def test_nothing_is_left(results: dict[str, Any]) -> None:
    """Once the engine is gone, so is every process of the cluster that it started."""
    assert results["left"] == []


def test_ray_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Ray is missing the error says how to install it; where it is older than what is tested, that it is."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'hpsearch\[ray\]'"):
        connect("local", WorkerResources(None, 1))
    monkeypatch.setitem(sys.modules, "ray", type("Ray", (), {"__version__": "2.59.1"}))
    with pytest.raises(UserError, match=r"Ray 2\.59\.1 is too old"):
        connect("local", WorkerResources(None, 1))


def test_addresses_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nobody answers, or that is none, is refused at once; so is a cluster that anybody may join."""
    monkeypatch.setattr(ray_connection, "_import_ray", lambda: None)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    for address, words in (("127.0.0.1:9", "nobody answers"), ("ray://a:1", "HOST:PORT"), ("here", "HOST:PORT")):
        with pytest.raises(UserError, match=words):
            connect(address, WorkerResources(None, 1))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(UserError, match="whoever reaches such a cluster runs code on it"):
        connect("127.0.0.1:9", WorkerResources(None, 1))
    assert os.environ["RAY_AUTH_MODE"] == "disabled"


def test_a_dead_address_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run with an address where nobody answers ends before a study is made."""
    pytest.importorskip("ray")
    assert main(["run", "digits", "--reports", str(tmp_path / "out"), "--ray", "127.0.0.1:9"]) == 2
    assert "nobody answers" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("closed", [False, True])
def test_a_cluster_that_answers_anybody_is_refused(closed: bool) -> None:
    """A head that answers a call without a token is not joined; one that demands it passes."""
    grpc = pytest.importorskip("grpc")

    def answer(request: Any, context: Any) -> bytes:
        if closed:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
        return b""

    _, service, method = ray_connection.PING.split("/")
    methods = {method: grpc.unary_unary_rpc_method_handler(answer)}
    head = grpc.method_handlers_generic_handler(service, methods)
    server = grpc.server(ThreadPoolExecutor(1), handlers=[head])
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        with nullcontext() if closed else pytest.raises(UserError, match="answers without a token"):
            ray_connection._check_address(address)
    finally:
        server.stop(0).wait()


@pytest.mark.slow
def test_heads_with_and_without_a_token(results: dict[str, Any]) -> None:
    """Of Ray's own heads one that wants a token is joined by whoever has it, and by nobody else; an open one by nobody."""
    if not results["apart"]:
        pytest.skip("no network namespace here (unshare -rn): an open head is started nowhere else")
    assert results["joined"] == "1 worker"
    assert "the same token" in results["no token"]
    assert "answers without a token" in results["open"]


@pytest.mark.slow
def test_a_trial_that_kills_its_actor_ends(results: dict[str, Any]) -> None:
    """A trial that has each of its actors killed ends in its outcome (here at the second); the others are trained."""
    assert results["poison"] == ["finished", "killed its worker", "finished"]
    assert "2 workers died training it, the last one nothing else" in results["killed"]


@pytest.mark.slow
def test_a_stopped_actor_tells_nothing_twice(results: dict[str, Any]) -> None:
    """An actor that is stopped with a trial in it is lost after the stated time; continued, it is heard no more, and every run is right."""
    assert results["stopped"] == [True] * 3
    assert results["stopped rungs"] == [6, 6]
    assert "no sign of life for 5 s" in " ".join(results["stopped lines"])


def test_room_is_counted_by_machine() -> None:
    """Workers do not straddle machines, and parts of a GPU and of a core count."""
    assert WorkerResources(0.5, 1).workers_on({"GPU": 2.0, "CPU": 3.0}) == 3
    assert WorkerResources(0.25, 0.5).workers_on({"GPU": 1.0, "CPU": 8.0}) == 4
    assert WorkerResources(0, 2).workers_on({"CPU": 3.0}) == 1
    assert WorkerResources(1, 1).workers_on({"CPU": 64.0}) == 0
