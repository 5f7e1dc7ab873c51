"""Every kind of storage by its URL, each for real: run, resume, report, two writers; and what is Optuna's stays readable for it."""

import importlib.util
import io
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage

from hpsearch.cli import main
from hpsearch.errors import CompletedElsewhere, StorageError, UserError
from hpsearch.storage.failures import StorageRetry
from hpsearch.storage.journals import FileJournal
from hpsearch.storage.opening import close_storage, open_storage
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from hpsearch.storage.writing import StudyWriter
from hpsearch.trial import Outcome
from tests.support.servers import grpc, mysql, postgres, redis
from tests.support.stored import DATA, DEPTH, FINGERPRINT, SETTINGS, long_run, run_of

SERVERS = {
    "postgres": (postgres, "psycopg"),
    "mysql": (mysql, "pymysql"),
    "redis": (redis, "redis"),
    "grpc": (grpc, "grpc"),
}
FILES = ("sqlite", "journal")
NAMES = count()
STUDY = """
[study]
name = "{name}"
[data]
name = "iris"
[space]
depth = {{ low = 0, high = 2 }}
width = 4
learning_rate = {{ low = 1e-3, high = 1e-1, log = true }}
batch_size = 16
[training]
epochs = 3
[search]
trials = 4
[confirm]
trials = 1
seeds = 2
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[str], str]]:
    """The URL of a server of a kind, started when it is first asked for."""
    urls: dict[str, str] = {}
    with ExitStack() as stack:

        def url_of(kind: str) -> str:
            start, package = SERVERS[kind]
            if importlib.util.find_spec(package) is None:
                pytest.skip(f"{package} is not installed")
            if kind not in urls:
                server = stack.enter_context(start())
                if server is None:
                    pytest.skip(f"no {kind} server is installed")
                urls[kind] = server.url
            return urls[kind]

        yield url_of


@pytest.fixture(params=[*FILES, *SERVERS])
def url(request: pytest.FixtureRequest, servers: Callable[[str], str], tmp_path: Path) -> str:
    kind = request.param
    return f"{kind}:///{tmp_path}/study.db" if kind in FILES else servers(kind)


@pytest.fixture
def name() -> str:
    """A name of one's own: the tests share the servers."""
    return f"study-{next(NAMES)}"


def opened(url: str, name: str, **more: object) -> StudyWriter:
    return StudyWriter.open(url, replace(FINGERPRINT, name=name), **more)  # type: ignore[arg-type]


@pytest.mark.slow
def test_run_resume_report(url: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command runs a study, goes on with it, and makes its report, from any storage; Optuna sees an ordinary study."""
    file = tmp_path / "mine.toml"
    file.write_text(STUDY.format(name=name))
    shared = ["--storage", url, "--reports", str(tmp_path / "out")]
    assert main(["run", str(file), "--trials", "2", "--device", "cpu", *shared]) == 0
    first = read_study(url, name).trials
    assert main(["run", str(file), "--device", "cpu", *shared]) == 0
    record = read_study(url, name)
    assert [trial.state for trial in record.trials] == ["complete"] * 4
    assert record.trials[:2] == first
    assert "trial" in record.result
    assert main(["report", url, "--study", name, "--reports", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / name / "report.html").is_file()
    with closed(open_storage(url)) as storage:
        _check_study(storage, name, [trial.value for trial in record.trials])
    capsys.readouterr()


@contextmanager
def closed(storage: BaseStorage) -> Iterator[BaseStorage]:
    """A storage whose connections end with the block."""
    try:
        yield storage
    finally:
        close_storage(storage)


def _check_study(storage: BaseStorage, name: str, values: list[float | None]) -> None:
    assert [study.study_name for study in storage.get_all_studies() if name in study.study_name] in (
        [name],
        [name, f"lease of {name}"],  # a gRPC proxy's tickets stay
    )
    study = optuna.load_study(study_name=name, storage=storage)
    assert [trial.values for trial in study.trials] == [[value] for value in values]


@pytest.mark.slow
def test_what_is_written_is_read(url: str, name: str) -> None:
    """Outcomes, values, curves and parameters come back as they were told, the seals in one piece."""
    writer = opened(url, name)
    for number, outcome in enumerate((Outcome.FINISHED, Outcome.PRUNED, Outcome.DIVERGED)):
        writer.begin(number, {"depth": 1 + number}, DEPTH)
        writer.finish(run_of(number, outcome), 0.0 if outcome.failed else 0.75, {1: 0.5}, 1.5, None)
    writer.begin(3, {"depth": 3}, DEPTH)
    writer.write_attribute("result", {"trial": 0, "spread": float("inf")})
    writer.close()
    record = read_study(url, name)
    assert (record.settings, record.data, record.result) == (SETTINGS, DATA, {"trial": 0, "spread": float("inf")})
    assert [t.state for t in record.trials] == ["complete", "pruned", "complete", "running"]
    assert [t.params["depth"] for t in record.trials] == [1, 2, 3, 3]
    assert [t.value for t in record.trials] == [0.75, 0.75, 0.0, None]
    assert record.trials[0].history == run_of(0).history


@pytest.mark.slow
def test_two_writers(url: str, name: str) -> None:
    """A second process's writer is told who has the study, waits with join, and has it once the first one ends."""
    first = opened(url, name)
    with pretended_elsewhere(first):
        with pytest.raises(UserError, match="another process runs this study: elsewhere, process 7"):
            opened(url, name)
        said: list[str] = []
        waiting = threading.Thread(target=_joined, args=(url, name, said), daemon=True)
        waiting.start()
        while not said:
            waiting.join(0.05)
        first.begin(0, {"depth": 1}, DEPTH)
        first.close()
        waiting.join(300)
    assert said[0].startswith("waiting: another process runs this study (elsewhere, process 7")
    assert said[1:] == ["took over"]
    assert [trial.state for trial in read_study(url, name).trials] == ["running", "running"]


def _joined(url: str, name: str, said: list[str]) -> None:
    writer = opened(url, name, join=True, retry=StorageRetry(announce=said.append))
    writer.previous_trials()
    writer.begin(1, {"depth": 2}, DEPTH)
    writer.close()
    said.append("took over")


@contextmanager
def pretended_elsewhere(writer: StudyWriter) -> Iterator[None]:
    """Let a writer's ticket be one of another machine's, which cannot be looked at from here."""
    assert writer.thread.lease is not None
    ticket = writer.thread.lease.ticket
    holder = {**ticket.holder, "host": "elsewhere", "pid": 7}
    writer.storage.set_trial_user_attr(ticket.id, "holder", holder)
    yield


def test_who_waits_for_a_complete_study_ends(url: str, name: str) -> None:
    """A process that joins the very study that was completed has nothing to do; one that asks for more goes on."""
    writer = opened(url, name)
    writer.write_attribute("result", {})
    writer.complete = True
    writer.close()
    with pytest.raises(CompletedElsewhere, match=rf"study '{name}' is complete \(by .*, process \d+"):
        opened(url, name, join=True)
    more = {**SETTINGS, "search": {"trials": 9}}
    StudyWriter.open(url, replace(FINGERPRINT, name=name, settings=more), join=True).close()


@pytest.mark.slow
def test_a_number_that_another_program_took(url: str, name: str) -> None:
    """A trial that another program writes among ours is told, and ours is not written over it."""
    writer = opened(url, name)
    writer.begin(0, {"depth": 1}, DEPTH)
    writer.flush()
    foreign = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, params={"depth": 3}, distributions=DEPTH)
    with closed(open_storage(url)) as storage:
        storage.create_new_trial(writer.study_id, template_trial=foreign)
    writer.begin(1, {"depth": 2}, DEPTH)
    with pytest.raises(UserError, match="another program wrote trial 1 into this study"):
        writer.close()
    assert [trial.params["depth"] for trial in read_study(url, name).trials] == [1, 3]


@pytest.mark.slow
def test_cost_of_a_trial(url: str, name: str, request: pytest.FixtureRequest) -> None:
    """A trial of ten hyperparameters, a hundred evaluations and five rungs is begun and told; with --long -s its time is printed."""
    trials = 200 if request.config.getoption("--long") else 5
    distributions = {f"x{i}": optuna.distributions.FloatDistribution(0, 1) for i in range(10)}
    writer = opened(url, name)
    began = time.monotonic()
    for number in range(trials):
        writer.begin(number, dict.fromkeys(distributions, (number + 1) / 1000), distributions)
        run = long_run(number, 100)
        writer.finish(run, 0.75, {step: run.history.metric[step - 1] for step in (1, 3, 9, 27, 81)}, 1.5, None)
    writer.flush()
    took = (time.monotonic() - began) / trials
    writer.close()
    assert [trial.state for trial in read_study(url, name).trials] == ["complete"] * trials
    print(f"\n{url.partition(':')[0]}: {1000 * took:.1f} ms a trial")


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_names_with_braces(kind: str, servers: Callable[[str], str]) -> None:
    """A brace in a URL is no place of a template."""
    with pytest.raises(StorageError, match=r"a\{b\}"):
        open_storage(servers(kind).rpartition("/")[0] + "/a{b}")


def test_sqlite_file_with_braces(tmp_path: Path, name: str) -> None:
    """A brace in a file's name is one."""
    url = sqlite_url(tmp_path / "{x}.db")
    opened(url, name).close()
    assert (tmp_path / "{x}.db").is_file()
    assert read_study(url, name).settings == SETTINGS


def test_redis_snapshots_are_not_read(servers: Callable[[str], str], name: str) -> None:
    """A pickle that somebody put where Optuna looks for a snapshot is never loaded."""
    import pickle

    import redis as client

    url = servers("redis")

    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("a pickle was loaded",))

    server = client.Redis.from_url(url)
    server.set(":snapshot", pickle.dumps(Hostile()))
    opened(url, name).close()
    assert read_study(url, name).settings == SETTINGS
    server.delete(":snapshot")
    server.close()


@pytest.mark.parametrize("cut", [1, 9, 40])
def test_a_torn_journal_goes_on(tmp_path: Path, name: str, cut: int) -> None:
    """A line that was cut short is none, and the next one is written in its place: nothing told is lost."""
    file = tmp_path / "study.log"
    url = f"journal:///{file}"
    writer = opened(url, name)
    for number in range(3):
        writer.begin(number, {"depth": 1}, DEPTH)
    writer.close()
    before = file.read_bytes()
    torn = before.rstrip(b"\n").rpartition(b"\n")[2][:-cut]
    file.write_bytes(before + torn)
    writer = opened(url, name)
    assert len(writer.previous_trials()) == 3
    writer.begin(3, {"depth": 2}, DEPTH)
    writer.close()
    assert file.read_bytes().startswith(before)
    assert len(read_study(url, name).trials) == 4


def test_a_journal_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that the disk has no room for leaves the journal as it was."""
    file = tmp_path / "study.log"
    journal = FileJournal(file)
    journal.append_logs([{"op_code": 0, "a": 1}])
    before = file.read_bytes()

    class FullDisk(io.FileIO):
        def write(self, content: Any, /) -> int:
            if self.tell() > len(before):
                raise OSError(28, "No space left on device")
            return super().write(content[:5])

    monkeypatch.setattr(Path, "open", lambda path, mode, **options: FullDisk(path, mode))
    with pytest.raises(OSError, match="No space"):
        journal.append_logs([{"op_code": 0, "a": 2}])
    assert file.read_bytes() == before


def test_no_warning_is_left() -> None:
    """Optuna's kinds of storage that are experimental to it say so to nobody."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(StorageError):
            open_storage("redis://127.0.0.1:1")
    assert not [w for w in caught if issubclass(w.category, optuna.exceptions.ExperimentalWarning)]
