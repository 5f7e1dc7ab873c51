"""Everything that a stranger can bring stays data: what runs code, reaches out, fills the memory or tells a secret is refused or inert."""

import ast
import csv
import gzip
import json
import os
import pickle
import socket
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from copy import copy
from dataclasses import replace
from io import BytesIO, StringIO
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import Mock
from zlib import crc32

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._base import BaseJournalSnapshot
from optuna.trial import create_trial

from hpsearch.cli import main
from hpsearch.commands.dashboard import local_only
from hpsearch.comparison.page import write_comparison
from hpsearch.data import load_file
from hpsearch.data.loaders.datasets import load
from hpsearch.data.predictions_csv import write_predictions
from hpsearch.errors import StorageError, UserError, masked
from hpsearch.files import folder_name
from hpsearch.model import load_model
from hpsearch.reporting import notebook, write_report
from hpsearch.storage.attributes import PREFIX, RUN
from hpsearch.storage.opening import open_storage
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from tests.comparison.test_page import hostile
from tests.support.big_study import write_study
from tests.support.records import confirmed, study
from tests.support.scripted import SMALL, Stage

Capture = pytest.CaptureFixture[str]
PACKAGE = Path(__file__).parents[2] / "hpsearch"
CANARY = "k4n4ry"  # a password that must never be seen
STUDY = """
[data]
name = "iris"
[space]
depth = { low = 0, high = 2 }
learning_rate = { low = 1e-3, high = 1e-1, log = true }
[training]
epochs = 2
[search]
trials = 3
[confirm]
trials = 0
"""


class Bomb:
    """What unpickles into a file that is written: proof that a pickle was read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.file),)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A path that exists only if code ran."""
    yield tmp_path / "code-ran"
    assert not (tmp_path / "code-ran").exists()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text(STUDY)
    return tmp_path


def test_a_bomb_goes_off_where_it_is_unpickled(tmp_path: Path) -> None:
    """The canary of the tests below does what it is for."""
    pickle.loads(pickle.dumps(Bomb(tmp_path / "code-ran")))  # noqa: S301
    assert (tmp_path / "code-ran").exists()


# ------------------------------------------------------------------ nothing runs code

FORBIDDEN = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "yaml",
    "xml",
    "lxml",
    "jsonpickle",
    "joblib.load",
}
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "torch.load",
    "joblib.load",
    "pandas.read_pickle",
}
CALLS |= {"pd.read_pickle", "Styler.to_html", "torch.hub.load", "onnx.load", "urlopen", "urlretrieve"}


def called(node: ast.expr) -> str:
    """Return the dotted name that is called, ? for what has none; `network.eval()` is not `eval()`."""
    return f"{called(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else getattr(node, "id", "?")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_reads_code_from_data(path: Path) -> None:
    """No module imports a pickle, YAML or XML reader, evaluates text, starts a shell, or lets NumPy or torch unpickle."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
            assert not {name.split(".")[0] for name in names} & FORBIDDEN, names
        if isinstance(node, ast.Call):
            name, given = called(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert name not in CALLS, name
            assert given.get("shell", "False") == "False"
            assert given.get("allow_pickle", "False") == "False"
            if name.endswith("np.load"):
                assert given["allow_pickle"] == "False"


class Journal(BaseJournalBackend, BaseJournalSnapshot):
    """A server's journal in memory, as Redis keeps it, with a snapshot that somebody left there."""

    logs: list[dict[str, Any]] = []
    snapshot = b""

    def __init__(self, url: str) -> None:
        self.url = url

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs.extend(json.loads(json.dumps(logs)))

    def save_snapshot(self, snapshot: bytes) -> None:
        type(self).snapshot = snapshot

    def load_snapshot(self) -> bytes:
        return self.snapshot


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> type[Journal]:
    monkeypatch.setattr(Journal, "logs", [])
    monkeypatch.setattr(Journal, "snapshot", b"")
    monkeypatch.setattr("hpsearch.storage.optuna_internals.JournalRedisBackend", Journal)
    monkeypatch.setattr("hpsearch.storage.journals._client", lambda url: Mock())
    return Journal


def test_a_journals_snapshot_is_neither_read_nor_written(journal: type[Journal], canary: Path, tmp_path: Path) -> None:
    """Optuna unpickles the snapshot that a Redis server holds, and would run the bomb; our storage never looks at it."""
    journal.snapshot = pickle.dumps(Bomb(tmp_path / "theirs"))
    JournalStorage(Journal(""))
    assert (tmp_path / "theirs").exists(), "Optuna alone runs it: if it no longer does, our own journal can go"
    journal.snapshot = before = pickle.dumps(Bomb(canary))
    storage = open_storage("redis://127.0.0.1:1/0")
    for number in range(120):  # Optuna writes one every hundredth
        storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], f"study {number}")
    assert journal.snapshot == before


@pytest.mark.parametrize("sampler", ["cmaes", "tpe"])
def test_a_hostile_row_is_not_unpickled(sampler: str, canary: Path, tmp_path: Path) -> None:
    """A pickled optimizer in a shared storage's trials, where Optuna's CMA-ES keeps its own, is not read by a resumed search."""
    storage = RDBStorage(sqlite_url(tmp_path / "study.db"))
    stage = Stage(storage, sampler=sampler, space=SMALL if sampler == "tpe" else Stage().settings["space"])
    stage.run(8)
    bomb = pickle.dumps(Bomb(canary)).hex()
    with sqlite3.connect(tmp_path / "study.db") as connection:
        for key in ("cma:optimizer", "cma:optimizer:0", "cma:n_restarts", "sepcma:optimizer:0", "cmawm:optimizer:0"):
            connection.executemany(
                "insert into trial_system_attributes (trial_id, key, value_json) values (?, ?, ?)",
                [(trial, key, json.dumps(bomb)) for trial in range(1, 9)],
            )
    connection.close()
    stage.run(14)
    assert len(stage.trials()) == 14


def test_optunas_own_sampler_would_have_run_it(tmp_path: Path) -> None:
    """The attribute of the test above is the one that Optuna's CMA-ES unpickles from the storage that it works on."""
    study = optuna.create_study(sampler=optuna.samplers.CmaEsSampler(seed=0, n_startup_trials=1))
    domains = {name: optuna.distributions.FloatDistribution(0, 1) for name in "xy"}
    attributes = {"cma:optimizer:0": pickle.dumps(Bomb(tmp_path / "code-ran")).hex()}
    for _ in range(3):
        study.add_trial(
            create_trial(params={"x": 0.5, "y": 0.5}, distributions=domains, value=0.0, system_attrs=attributes)
        )
    study.ask(domains)
    assert (tmp_path / "code-ran").exists()


def test_pickles_of_cifar_are_checked_first(canary: Path, tmp_path: Path) -> None:
    """CIFAR-10's files are pickles: ones that are not the published ones are refused before they are read."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(pickle.dumps(Bomb(canary)))
    with pytest.raises(UserError, match="not the published ones"):
        load("cifar10", root=tmp_path)


def test_pickles_in_arrays_are_refused(canary: Path, tmp_path: Path) -> None:
    """An .npz and an .npy of Python objects are refused by their headers."""
    bomb = np.array([Bomb(canary)] * 4, dtype=object)
    np.savez(tmp_path / "x.npz", X=bomb, y=np.zeros(4))
    np.save(tmp_path / "x.npy", bomb, allow_pickle=True)
    np.save(tmp_path / "y.npy", np.zeros(4))
    for file, target in (("x.npz", None), ("x.npy", "y.npy")):
        with pytest.raises(UserError, match="Python objects"):
            load_file(tmp_path / file, target)


# ------------------------------------------------------------------ hostile storages

NESTED, LONG = "[" * 5000 + "]" * 5000, "9" * 5000
BOMBS = {
    "nested": NESTED,
    "long": LONG,
    "nan": "NaN",
    "infinite": "1e999",
    "none": "null",
    "text": '"<b>"',
    "list": "[[1]]",
}
BOMBS |= {
    "torn": '{"outcome": "fini',
    "empty": "",
    "wrong": '{"outcome": 3, "history": {"metric": "x"}, "best": "1", "seconds": []}',
}


def attacked(file: Path, table: str, key: str, value: str) -> str:
    """A sound study of 12 trials with an attribute that a stranger wrote, of the version that demands no seals: anyone can make one."""
    url = write_study(file, 12)
    with sqlite3.connect(file) as connection:
        connection.execute("update study_user_attributes set value_json = '1' where key = 'hpsearch:schema'")
        connection.execute(f"update {table} set value_json = ? where key = ?", (value, key))  # noqa: S608
        found = connection.execute(f"select count(*) from {table} where key = ?", (key,))  # noqa: S608
        if not found.fetchone()[0]:
            connection.execute(
                "insert into study_user_attributes (study_id, key, value_json) values (1, ?, ?)", (key, value)
            )
    connection.close()
    return url


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("key", ["settings", "data", "result", "schema", "lease"])
def test_a_studys_attributes_may_hold_anything(key: str, bomb: str, tmp_path: Path, capsys: Capture) -> None:
    """Whatever a stranger writes into a study's attributes, `report` makes a page or says in a line that the storage is damaged."""
    url = attacked(tmp_path / "study.db", "study_user_attributes", PREFIX + key, BOMBS[bomb])
    status = main(["report", url, "--reports", str(tmp_path / "out")])
    screen = capsys.readouterr()
    assert status in (0, 2, 3)
    assert (status == 0) != bool(screen.err)
    assert len(screen.err.splitlines()) < 2
    assert "Traceback" not in screen.err


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_trials_attribute_may_hold_anything(bomb: str, tmp_path: Path) -> None:
    """A trial whose own attribute is no result of hpsearch's is in the report as Optuna's trial, with its value."""
    url = attacked(tmp_path / "study.db", "trial_user_attributes", RUN, BOMBS[bomb])
    record = read_study(url)
    assert [trial.history for trial in record.trials] == [None] * 12
    assert all(trial.value is not None and trial.outcome == "" for trial in record.trials)
    assert write_report(record, tmp_path).exists()
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute("update study_user_attributes set value_json = '2' where key = 'hpsearch:schema'")
    connection.close()
    with pytest.raises(StorageError, match="trial 0 is not as it was written"):
        read_study(url)


WRONG = (None, True, -1, 10**30, float("nan"), float("inf"), "<b>", [], ["x"], {}, {"x": [1]}, [[1]])


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value within a value, of a list those of its first two."""
    yield path
    inside = value.items() if isinstance(value, dict) else list(enumerate(value))[:2] if isinstance(value, list) else ()
    for key, inner in inside:
        yield from places(inner, (*path, key))


def put(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """Return a value with another one at a path."""
    if not path:
        return other
    changed = copy(value)
    changed[path[0]] = put(value[path[0]], path[1:], other)
    return changed


def test_any_value_of_a_record_may_be_any_other(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value of another type anywhere in a study's settings, data or result gives a report, or one line that says it cannot be made."""
    monkeypatch.setattr("hpsearch.reporting.tables.space.importances", lambda record: ())
    record = confirmed(study(24))
    tables = ("settings", "data", "result")
    cases = [(t, path, other) for t in tables for path in places(getattr(record, t)) if path for other in WRONG]
    for table, path, other in Random(0).sample(cases, 200 if request.config.getoption("--long") else 8):  # noqa: S311
        hostile = replace(record, **{table: put(getattr(record, table), path, other)})
        with suppress(StorageError):
            write_report(hostile, tmp_path)


ROWS = {
    "state": "update trials set state = 'GONE'",
    "number": "update trials set number = 'seven' where trial_id = 7",
    "distribution": f"update trial_params set distribution_json = '{NESTED}'",  # noqa: S608
    "kind": 'update trial_params set distribution_json = \'{"name": "Evil", "attributes": {}}\'',
    "parameter": "update trial_params set param_value = 'x'",
    "category": "update trial_params set param_value = 99",
    "value": "update trial_values set value = 'x'",
    "value's kind": "update trial_values set value_type = 'PICKLE'",
    "start": "update trials set datetime_start = 'yesterday'",
}


@pytest.mark.parametrize("row", ROWS)
def test_rows_of_wrong_types(row: str, tmp_path: Path, capsys: Capture) -> None:
    """A row that Optuna never writes is told as a damaged storage, in one line and with status 3, or is shown as the text that it is."""
    url = write_study(tmp_path / "study.db", 12)
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute(ROWS[row])
    connection.close()
    status, error = main(["report", url, "--reports", str(tmp_path / "out")]), capsys.readouterr().err
    assert status in (0, 3)
    assert len(error.splitlines()) == (status == 3)
    assert "Traceback" not in error


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_search_does_not_go_on_from_a_hostile_trial(bomb: str, tmp_path: Path) -> None:
    """Going on needs every result: one that is none is told as a damaged storage, before anything is trained or written."""
    stage = Stage(RDBStorage(sqlite_url(tmp_path / "study.db")))
    stage.run(4)
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute(
            "update trial_user_attributes set value_json = ? where key = ? and trial_id = 2", (BOMBS[bomb], RUN)
        )
    connection.close()
    with pytest.raises(StorageError, match="trial 1 has ended without a result"):
        stage.search(8)


def test_a_hostile_journal(tmp_path: Path, capsys: Capture) -> None:
    """Lines of a journal that no Optuna wrote are told as a damaged storage."""
    for line in (
        '{"op_code": "x"}',
        "[]",
        '{"op_code": 0, "worker_id": 3}',
        NESTED,
        LONG,
        '{"op_code": 99, "worker_id": "a"}',
    ):
        (tmp_path / "x.log").write_text(f"{line}\n{line}\n")
        assert main(["report", f"journal:///{tmp_path}/x.log"]) in (2, 3), line
        assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("bomb", ["nested", "long", "nan", "infinite", "torn", "text", "list"])
def test_bombs_in_a_models_file(bomb: str, tmp_path: Path) -> None:
    """A `best.json` of 5,000 brackets, of a number of 5,000 digits, of no object at all is told in one line."""
    (tmp_path / "best.safetensors").write_bytes(b"")
    for content in (BOMBS[bomb], f'{{"format": 1, "sha256": {BOMBS[bomb]}}}'):
        (tmp_path / "best.json").write_text(content)
        with pytest.raises(StorageError) as caught:
            load_model(tmp_path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", [f"x = {NESTED}", f"[search]\ntrials = {LONG}", "[search]\ntrials = nan", "[training]\nepochs = 1e999"]
)
def test_bombs_in_a_studys_file(text: str, place: Path, capsys: Capture) -> None:
    """A study's file of 5,000 brackets or digits, or of numbers that are none, is told in one line with status 2."""
    (place / "my.toml").write_text(text)
    assert main(["run", "my.toml"]) == 2
    assert all(line.startswith("error: my.toml") and len(line) < 300 for line in capsys.readouterr().err.splitlines())


# ------------------------------------------------------------------ passwords

URLS = {
    "postgresql://u:{}@h/db": "postgresql://u:***@h/db",
    "postgresql+psycopg://u:a/{}@h:5432/db": "postgresql+psycopg://u:***@h:5432/db",
    "postgresql://u:a@{}@h/db": "postgresql://u:***@h/db",
    "postgresql://u:a {}@h/db": "postgresql://u:***@h/db",
    "redis://:{}@h:6379/0": "redis://:***@h:6379/0",
    "postgresql://h/db?user=u&password={}&sslmode=require": "postgresql://h/db?user=u&password=***&sslmode=require",
    "postgresql://h/db?sslpassword={}": "postgresql://h/db?sslpassword=***",
    "mssql+pyodbc:///?odbc_connect=UID%3Du%3BPWD%3D{}%3BX%3D1": "mssql+pyodbc:///?odbc_connect=UID%3Du%3BPWD%3D***%3BX%3D1",
    "mysql://h/db?passwd={}": "mysql://h/db?passwd=***",
    "postgresql://h:5432/db": "postgresql://h:5432/db",
    "sqlite:////home/a@b/c.db": "sqlite:////home/a@b/c.db",
}


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_shown_without_its_password(url: str) -> None:
    """Whatever a password holds and wherever it stands, `***` takes its place, and nothing else is changed."""
    assert masked(url.format(CANARY)) == URLS[url]


def seen(folder: Path) -> list[str]:
    """Return where the canary password is: in which file's content or name."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [str(file) for file in files if CANARY in file.name or CANARY.encode() in file.read_bytes()]


def test_a_password_is_nowhere(journal: type[Journal], place: Path, capsys: Capture) -> None:
    """A whole study on a server with a password, then its report: no screen, page, table, model or note has it, nor the storage itself."""
    url = f"redis://user:{CANARY}@127.0.0.1:1/0"
    command = ["--storage", url, "--name", "mine", "--device", "cpu", "-v"]
    assert main(["run", "my.toml", *command]) == 0
    assert main(["report", url, "--study", "mine"]) == 0
    assert main(["report", url, "--study", "another"]) == 2
    assert main(["run", "my.toml", *command, "--sampler", "random"]) == 2
    screen = capsys.readouterr()
    assert CANARY not in screen.out + screen.err
    assert CANARY not in json.dumps(journal.logs)
    assert seen(place) == []
    assert (place / "reports/mine/storage.txt").read_text() == "redis://user:***@127.0.0.1:1/0"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{CANARY}@127.0.0.1:1/x",
        f"postgresql://127.0.0.1:1/x?user=u&password={CANARY}",
        f"redis://:{CANARY}@127.0.0.1:1/0",
    ],
)
@pytest.mark.parametrize(
    "command", ["run my.toml --debug --storage {}", "report {}", "run my.toml --storage={} --frob", "dashboard {}"]
)
def test_errors_are_silent_about_passwords(url: str, command: str, place: Path, capsys: Capture) -> None:
    """A server that is not there, an option that is not known: the line that says so, with --debug the traceback, has no password."""
    assert main(command.format(url).split()) in (2, 3)
    screen = capsys.readouterr()
    assert screen.err
    assert CANARY not in screen.out + screen.err
    assert seen(place) == []


def test_the_command_to_go_on_has_no_password(
    journal: type[Journal], place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was interrupted says how to go on, without the password of its storage."""

    def interrupt(*others: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hpsearch.searching.study.run_study", interrupt)
    assert main(["run", "my.toml", "--storage", f"redis://user:{CANARY}@127.0.0.1:1/0"]) == 130
    screen = capsys.readouterr()
    assert "to go on: python -m hpsearch run my.toml --storage 'redis://user:***@127.0.0.1:1/0'" in screen.err
    assert CANARY not in screen.out + screen.err


# ------------------------------------------------------------------ nothing listens


def listening(pid: int) -> set[str]:
    """Return the addresses (hexadecimal, as Linux writes them) on which a process and its children listen, TCP and UDP apart from none."""
    family, found = {pid}, set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) in family:
            family.add(int(status.parent.name))
    inodes = set()
    for member in family:
        for link in Path(f"/proc/{member}/fd").glob("*"):
            try:
                inodes.add(str(link.readlink()))
            except OSError:
                continue
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                found.add(fields[1])
    return found


def watched(*command: str) -> set[str]:
    """Run a command and return on which addresses it ever listened; two dozen looks a second."""
    process = subprocess.Popen([sys.executable, "-m", "hpsearch", *command], stdout=subprocess.DEVNULL)
    found: set[str] = set()
    while process.poll() is None:
        found |= listening(process.pid)
        time.sleep(0.04)
    assert process.returncode == 0
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="sockets are looked up in Linux's /proc")
def test_nothing_listens(place: Path) -> None:
    """`run`, `report` and `predict` open no port at any time; a socket that does listen is seen by the same look."""
    with socket.create_server(("127.0.0.1", 0)):
        assert len(listening(os.getpid())) == 1
    (place / "own.csv").write_text(
        "a,b,y\n" + "".join(f"{k},{k * k % 7},{'no' if k % 2 else 'yes'}\n" for k in range(60))
    )
    assert watched("run", "my.toml", "--data", "own.csv", "--target", "y", "--device", "cpu", "--trials", "1") == set()
    assert watched("report", "my") == set()
    assert watched("predict", "my", "own.csv") == set()


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:8080", None, "200"),
        ("localhost:8080", "http://localhost:8080", "200"),
        ("evil.example:8080", None, "403"),  # a name that was led here (DNS rebinding)
        ("127.0.0.1.evil.example", None, "403"),
        ("127.0.0.1:8080", "https://evil.example", "403"),  # a form on somebody's page
        ("127.0.0.1:8080", "null", "403"),
        ("", None, "403"),
    ],
)
def test_the_dashboard_answers_this_machines_pages_only(host: str, origin: str | None, status: str) -> None:
    """A request by another name than this machine's, or from another page, is refused before the dashboard sees it."""
    told: list[str] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    environ = {"HTTP_HOST": host, **({"HTTP_ORIGIN": origin} if origin else {})}
    local_only(application)(environ, lambda line, headers: told.append(line))
    assert [line[:3] for line in told] == [status]


# ------------------------------------------------------------------ names, paths and addresses


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..", ".", "a/../../b", "a\\..\\b", "~root", "\x00", "CON", "-rf"]
)
def test_a_name_never_leaves_its_place(name: str, tmp_path: Path) -> None:
    """A study's folder lies in the reports' folder whatever the study is called."""
    folder = (tmp_path / folder_name(name)).resolve()
    assert folder.parent == tmp_path.resolve()
    assert folder != tmp_path.resolve()


@pytest.mark.parametrize(
    "start", ["http://127.0.0.1:{}", "https://127.0.0.1:{}", "ftp://127.0.0.1:{}", "file://", "s3://bucket"]
)
@pytest.mark.parametrize("end", ["/x.csv", "/x.parquet", "/x.npz", "/x.npy", "/folder"])
def test_data_at_an_address_are_not_fetched(start: str, end: str, place: Path, capsys: Capture) -> None:
    """A web address in place of a file is refused with status 2, and nobody is called."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        address = start.format(server.getsockname()[1]) + end
        assert main(["run", "--data", address, "--target", "y"]) == 2
        with pytest.raises(TimeoutError):
            server.accept()
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("name", ["../evil.npy", "/etc/evil.npy", "a/../../evil.npy"])
def test_names_in_an_archive_lead_nowhere(name: str, tmp_path: Path) -> None:
    """An archive of arrays is never unpacked onto the disk: what its members are called is text."""
    np.save(tmp_path / "x.npy", np.zeros((4, 2)))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.write(tmp_path / "x.npy", name)
    before = {*tmp_path.parent.rglob("*")}
    with pytest.raises(UserError):
        load_file(tmp_path / "x.npz", None)
    assert {*tmp_path.parent.rglob("*")} == before


@pytest.mark.parametrize("what", ["file", "folder"])
def test_links_that_leave_a_folder_of_images(what: str, tmp_path: Path) -> None:
    """A link out of a folder of images, to a file or a folder, is refused and not followed."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "1.png").write_bytes(b"secret")
    for label in ("cats", "dogs"):
        (tmp_path / "images" / label).mkdir(parents=True)
    (tmp_path / "images/cats" / ("2.png" if what == "file" else "more")).symlink_to(
        secret / "1.png" if what == "file" else secret
    )
    with pytest.raises(UserError, match="is a link that leaves its folder"):
        load_file(tmp_path / "images", None)


# ------------------------------------------------------------------ bombs


def test_an_archive_that_unpacks_into_too_much(tmp_path: Path) -> None:
    """A kilobyte of .npz that declares 10 terabytes is refused by its header, before a byte is unpacked."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1250000000000, 1), }".ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("X.npy", content)
        archive.writestr("y.npy", content)
    with pytest.raises(UserError):
        load_file(tmp_path / "x.npz", None)


@pytest.mark.parametrize("end", ["csv.gz", "parquet"])
def test_a_table_that_unpacks_into_too_much(end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of a few kilobytes that unpacks into more than the memory takes is refused."""
    for module in ("hpsearch.data.loaders.csv_bytes", "hpsearch.data.columns.frames"):
        monkeypatch.setattr(f"{module}.memory", lambda: 2_000_000)
    file = tmp_path / f"x.{end}"
    if end == "csv.gz":
        file.write_bytes(gzip.compress(b"a,y\n" + b"1,2\n" * 1_000_000))
    else:
        pq.write_table(pa.table({name: pa.array([0] * 1_000_000) for name in "ay"}), file)
    assert file.stat().st_size < 20_000
    with pytest.raises(UserError, match="fits in this machine's memory"):
        load_file(file, "y")


def test_an_image_that_declares_too_much(tmp_path: Path) -> None:
    """A PNG of 60 bytes that declares 2,500,000,000 pixels is refused by its header."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + crc32(kind + content).to_bytes(4, "big")

    head = (50_000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    image = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    for label in ("cats", "dogs"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.png").write_bytes(image)
    with pytest.raises(UserError):
        load_file(tmp_path, None)


# ------------------------------------------------------------------ what is shown

SCRIPT = "</script><script>window.pwned=1</script><a href='javascript:pwn()'>x</a>"


def named(evil: str) -> Any:
    """A study whose name, question, parameter, category, class, column, cell and error are all the same text."""
    record = study(24)
    made = tuple(replace(t, params={**t.params, evil: evil, "activation": evil}, detail=evil) for t in record.trials)
    data = {**record.data, "title": evil, "classes": [evil] * 10, "notices": [evil], "source": evil, "reading": [evil]}
    data["columns"] = [{"name": evil, "kind": evil, "inputs": 1, "note": evil}]
    settings = {**record.settings, "study": {"name": evil, "question": evil, "seed": 1}}
    return replace(record, name=evil, trials=made, data=data, settings=settings)


def test_pages_hold_no_markup_of_strangers(tmp_path: Path) -> None:
    """The report has a policy that lets nothing in, and neither it nor a notebook's fragment has an element of the data's."""
    html = write_report(named(SCRIPT), tmp_path).read_text()
    outside = "".join(part.partition("</script>")[2] for part in html.split("<script"))
    assert html.count("Content-Security-Policy") == 1
    assert "default-src 'none'" in html
    for page in (outside, notebook.fragment(named(SCRIPT))):
        assert "<a href='javascript" not in page
        assert "window.pwned" not in page.replace("&lt;script&gt;window.pwned=1&lt;/script&gt;", "")
        assert "<script>window" not in page


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1x", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"])
def test_cells_are_no_formulas(evil: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cell of text in any table of a study or a comparison begins as a spreadsheet's formula does; numbers are as they were."""
    for room in ("hpsearch.reporting", "hpsearch.comparison.page"):
        monkeypatch.setattr(f"{room}.page", lambda *given: "")  # the tables alone: drawing takes most of the time
    write_report(named(evil), tmp_path)
    write_comparison(hostile(evil), tmp_path / "compared")
    files = [*tmp_path.rglob("*.csv")]
    assert len(files) > 15
    for file in files:
        with file.open(newline="") as stream:
            for row in csv.reader(stream):
                for cell in row:
                    text = not cell.replace(".", "").replace("e", "").replace("-", "").replace("+", "").isdigit()
                    assert not (text and cell.startswith(("=", "+", "-", "@", "\t", "\r"))), (file.name, cell)


def test_labels_in_predictions_are_no_formulas() -> None:
    """The line of names of a file of predictions has a class's label in one cell, whatever is in the label."""
    with BytesIO() as file:
        assert list(write_predictions(file, ["=1+1", "a\r=cmd"], ["'=1+1", "b"], 2, [], {})) == []
        head = next(csv.reader(StringIO(file.getvalue().decode(), newline="")))
    assert head == ["prediction", "probability_=1+1", "probability_a\n=cmd"]


def test_a_terminal_is_not_driven(tmp_path: Path, capsys: Capture) -> None:
    """Escape sequences in a study's name, an unknown study, a file's name come out spelled, on standard output and in errors."""
    evil = "\x1b]0;owned\x07\x1b[2J\u202eevil"
    storage = optuna.create_study(study_name=evil, storage=sqlite_url(tmp_path / "x.db"))
    assert storage.study_name == evil
    url = sqlite_url(tmp_path / "x.db")
    for command in (
        ["report", url],
        ["report", url, "--study", evil],
        ["run", evil],
        ["run", "--data", evil],
        ["predict", evil, evil],
    ):
        assert main([*command]) != 0
        screen = capsys.readouterr()
        assert all(line.isprintable() for line in (screen.out + screen.err).splitlines())
        assert "\\x1b" in screen.err or command[0] == "predict"  # which names the study's folder
