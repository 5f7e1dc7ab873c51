"""Nothing listens, nothing is fetched, and the dashboard answers this machine's own pages only."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from hpsearch.cli import main
from hpsearch.commands.dashboard import local_only
from tests.support.forked import ForkServer, wait_until
from tests.support.worker_pools import children

linux_only = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="sockets are looked up in Linux's /proc")
LISTEN = "0A"  # the state of a listening socket in Linux's /proc/net/tcp
TABLE = "a,b,y\n" + "".join(f"{k},{k * k % 7},{'no' if k % 2 else 'yes'}\n" for k in range(60))


def open_files(pid: int) -> set[str]:
    """Return what a process has open, as Linux names it; nothing of a process that has ended."""
    found: set[str] = set()
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            found.add(str(link.readlink()))
    return found


def listening_addresses(pid: int) -> set[str]:
    """Return the TCP addresses, hexadecimal as Linux writes them, on which a process and its descendants listen."""
    opened: set[str] = set()
    for process in {pid, *children(pid)}:
        opened |= open_files(process)
    addresses: set[str] = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            address, state, inode = fields[1], fields[3], fields[9]
            if state == LISTEN and f"socket:[{inode}]" in opened:
                addresses.add(address)
    return addresses


@contextmanager
def watched(pid: int) -> Iterator[set[str]]:
    """Give the addresses on which a process and its descendants ever listen meanwhile, looked up two dozen times a second."""
    addresses: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.04):
            addresses.update(listening_addresses(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield addresses
    finally:
        done.set()
        thread.join()


@linux_only
def test_a_socket_that_listens_is_seen() -> None:
    """The look-up of the test below sees a socket that this process opens."""
    with watched(os.getpid()) as addresses, socket.create_server(("127.0.0.1", 0)):
        wait_until(lambda: len(addresses) == 1)


@pytest.mark.slow
@linux_only
def test_nothing_listens(study_folder: Path) -> None:
    """Neither the imports nor `run`, `report` and `predict` open a port at any time."""
    (study_folder / "own.csv").write_text(TABLE)
    with ForkServer(study_folder) as server, watched(server.process.pid) as addresses:
        run = ["run", "my.toml", "--data", "own.csv", "--target", "y", "--device", "cpu", "--trials", "1"]
        for command in (run, ["report", "my"], ["predict", "my", "own.csv"]):
            status, output = server.run(*command)
            assert status == 0, output
    assert addresses == set()


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:8080", None, "200 OK"),
        ("localhost:8080", "http://localhost:8080", "200 OK"),
        ("evil.example:8080", None, "403"),  # a name that resolves to this machine (DNS rebinding)
        ("127.0.0.1.evil.example", None, "403"),
        ("127.0.0.1:8080", "https://evil.example", "403"),  # a form on another site's page
        ("127.0.0.1:8080", "null", "403"),
        ("", None, "403"),
    ],
)
def test_the_dashboard_answers_this_machines_pages_only(host: str, origin: str | None, status: str) -> None:
    """A request under another host's name, or from another site's page, is refused before the dashboard sees it."""
    statuses: list[str] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    environ = {"HTTP_HOST": host}
    if origin is not None:
        environ["HTTP_ORIGIN"] = origin
    local_only(application)(environ, lambda line, headers: statuses.append(line))
    assert len(statuses) == 1
    assert statuses[0].startswith(status)


@pytest.mark.parametrize(
    "start", ["http://127.0.0.1:{}", "https://127.0.0.1:{}", "ftp://127.0.0.1:{}", "file://", "s3://bucket"]
)
@pytest.mark.parametrize("end", ["/x.csv", "/x.parquet", "/x.npz", "/x.npy", "/folder"])
def test_data_at_an_address_are_not_fetched(
    start: str, end: str, study_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A web address in place of a file is refused with status 2, and nothing connects to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        address = start.format(server.getsockname()[1]) + end
        assert main(["run", "--data", address, "--target", "y"]) == 2
        with pytest.raises(TimeoutError):
            server.accept()
    assert len(capsys.readouterr().err.splitlines()) == 1
