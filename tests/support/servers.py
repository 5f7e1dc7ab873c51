"""Real storage servers, started by a test on 127.0.0.1 and a free port and stopped at its end; None where one is not installed."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PATHS = [os.environ.get("PATH", ""), *map(str, Path("/usr/lib/postgresql").glob("*/bin")), "/usr/sbin"]
GRPC = """
import sys, warnings
warnings.simplefilter("ignore")
import optuna
storage = optuna.storages.RDBStorage(sys.argv[1], engine_kwargs={"connect_args": {"timeout": 60}})
optuna.storages.run_grpc_proxy_server(storage, host="127.0.0.1", port=int(sys.argv[2]))
"""


@dataclass
class Server:
    """A server that can be stopped and started again without losing its data."""

    url: str
    command: list[str]
    ready: Callable[[], bool]
    stop_signal: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 300
        while not self.ready():
            assert self.process.poll() is None, f"{self.command[0]} ended"
            assert time.monotonic() < end, f"{self.command[0]} does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it and wait for its end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            self.process.wait(30)


def program(name: str) -> str | None:
    """Return the path of an installed program."""
    return shutil.which(name, path=os.pathsep.join(PATHS))


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Tell whether something listens on a port."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def run_as(user: str) -> list[str]:
    """Return the start of a command that gives up root, for servers that refuse to run as root."""
    if os.getuid() != 0:
        return []
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]


@contextmanager
def folder_of(user: str) -> Iterator[Path]:
    """Make a folder that belongs to a user, until the end."""
    folder = Path(tempfile.mkdtemp(prefix="hpsearch-server-"))
    if os.getuid() == 0 and user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Run a server until the end."""
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def postgres() -> Iterator[Server | None]:
    """Run PostgreSQL."""
    initdb = program("initdb")
    server = program("postgres")
    if initdb is None or server is None or (run_as("postgres") and program("setpriv") is None):
        yield None
        return
    with folder_of("postgres") as folder:
        installation = [*run_as("postgres"), initdb, "-D", str(folder / "data"), "-A", "trust", "-U", "me", "--no-sync"]
        subprocess.run([*installation, "--locale=C", "-E", "UTF8"], check=True, capture_output=True, cwd="/")
        port = free_port()
        settings = ["listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}"]
        flags = [flag for setting in settings for flag in ("-c", setting)]
        command = [*run_as("postgres"), server, "-D", str(folder / "data"), *flags]
        url = f"postgresql://me@127.0.0.1:{port}/postgres"
        with running(Server(url, command, lambda: _postgres_answers(url), signal.SIGINT)) as started:
            yield started


def _postgres_answers(url: str) -> bool:
    import psycopg

    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def redis() -> Iterator[Server | None]:
    """Run Redis, without a file."""
    server = program("redis-server")
    if server is None:
        yield None
        return
    with folder_of("") as folder:
        port = free_port()
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
        command += ["--dir", str(folder)]
        with running(Server(f"redis://127.0.0.1:{port}/0", command, lambda: answers(port))) as started:
            yield started


@contextmanager
def mysql() -> Iterator[Server | None]:
    """Run MariaDB, with an empty database named study."""
    server = program("mariadbd")
    install = program("mariadb-install-db")
    if server is None or install is None:
        yield None
        return
    user = "mysql" if os.getuid() == 0 else ""
    with folder_of(user) as folder:
        options = ["--no-defaults", f"--datadir={folder / 'data'}"]
        if user:
            options.append(f"--user={user}")
        installation = [install, *options, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(installation, check=True, capture_output=True)
        port = free_port()
        command = [server, *options, "--bind-address=127.0.0.1", f"--port={port}", f"--socket={folder / 'socket'}"]
        command += ["--skip-grant-tables", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=1"]
        with running(Server(f"mysql://root@127.0.0.1:{port}/study", command, lambda: answers(port))) as started:
            import pymysql

            with pymysql.connect(host="127.0.0.1", port=port, user="root") as client, client.cursor() as cursor:
                cursor.execute("CREATE DATABASE study")
            yield started


@contextmanager
def grpc() -> Iterator[Server]:
    """Optuna's gRPC proxy of a SQLite file."""
    with folder_of("") as folder:
        port = free_port()
        command = [sys.executable, "-c", GRPC, f"sqlite:///{folder}/study.db", str(port)]
        with running(Server(f"grpc://127.0.0.1:{port}", command, lambda: answers(port))) as started:
            yield started


SERVERS = {"PostgreSQL": postgres, "Redis": redis, "gRPC": grpc}
DRIVERS = {"PostgreSQL": "psycopg", "Redis": "redis", "gRPC": "grpc"}


@contextmanager
def installed(kind: str) -> Iterator[Server]:
    """Run a server of a kind; skip the test where it or its driver is not installed."""
    pytest.importorskip(DRIVERS[kind])
    with SERVERS[kind]() as server:
        if server is None:
            pytest.skip(f"{kind} is not installed")
        yield server
