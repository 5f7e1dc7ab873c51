"""Whatever breaks on the way, nothing told is lost: real processes, killed, stopped and starved at random but seeded moments.

A short form runs always; `--long` runs the counts in the table of `hpsearch help reliability`. Each study ends as the unbroken one, or
the run that the fault ended says so in a line and with its exit status; there is never a traceback.
"""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import HpsearchError, StorageError, UserError
from hpsearch.model import load_model
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.storage.opening import close_storage
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from hpsearch.storage.writing import StudyWriter
from hpsearch.trial import History
from tests.storage.test_storage import DATA, DEPTH, SETTINGS, run_of
from tests.support.forked import Command, Forge
from tests.support.servers import postgres
from tests.support.worker_pools import children

TRIALS = 12
STUDY = f"""
[data]
name = "iris"
[space]
depth = {{ low = 0, high = 2 }}
width = [4, 8]
learning_rate = {{ low = 1e-3, high = 1e-1, log = true }}
batch_size = [16, "full"]
[training]
epochs = 4
[search]
trials = {TRIALS}
[confirm]
trials = 2
seeds = 2
"""
SLOW = STUDY.replace("epochs = 4", "epochs = 3000\nevaluations = 100")  # some seconds of training
Plan = tuple[random.Random, int]


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    with Forge(tmp_path_factory.mktemp("forge")) as forge:
        yield forge


class Place:
    """A study's file and folder, and the command that runs it."""

    def __init__(self, folder: Path, study: str = STUDY, *more: str) -> None:
        self.reports, self.file = folder / "out", folder / "flowers.toml"
        self.file.write_text(study)
        self.url = more[more.index("--storage") + 1] if "--storage" in more else sqlite_url(self.folder / "study.db")
        self.command = ["run", str(self.file), "--reports", str(self.reports), "--device", "cpu", *more]

    @property
    def folder(self) -> Path:
        return self.reports / "flowers"

    def record(self) -> StudyRecord:
        return read_study(self.url, "flowers")

    def told(self) -> list[TrialRecord]:
        """What is told by now; nothing before there is a study."""
        try:
            return [trial for trial in self.record().trials if trial.state != "running"]
        except UserError:  # not made yet
            return []


def timeless(history: History | None) -> History | None:
    return history and replace(history, seconds=())


def lasting(trials: Iterator[TrialRecord] | list[TrialRecord] | tuple[TrialRecord, ...]) -> list[TrialRecord]:
    """Trials without what may differ between two runs: times."""
    return [replace(trial, started=None, seconds=None, history=timeless(trial.history)) for trial in trials]


@pytest.fixture(scope="module")
def unbroken(forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[TrialRecord], float]:
    """The trials of a study that nothing breaks, and how many seconds it takes."""
    for turn in range(2):  # the first one compiles what is not compiled yet
        place = Place(tmp_path_factory.mktemp(f"unbroken{turn}"))
        began = time.monotonic()
        assert forge.start(*place.command).wait(300) == 0
    return lasting(place.record().trials), time.monotonic() - began


def count(request: pytest.FixtureRequest, short: int, long: int) -> int:
    return long if request.config.getoption("--long") else short


def check_finished(place: Place, unbroken: list[TrialRecord]) -> None:
    """All trials, none of them running, each as in the unbroken study; result, network and page are there."""
    record = place.record()
    assert [trial.state for trial in record.trials] == ["complete"] * TRIALS
    assert lasting(record.trials) == unbroken
    assert len(record.result["networks"]) == 1
    load_model(place.folder)
    assert (place.folder / "report.html").stat().st_size > 10_000


def check_kept(before: list[TrialRecord], after: list[TrialRecord]) -> None:
    """What was told is told, unchanged."""
    assert (
        lasting(after)[: len(before)] == lasting(before)
        or {t.number: t for t in lasting(before)}.items() <= {t.number: t for t in lasting(after)}.items()
    )


def clean(printed: str) -> bool:
    return "Traceback" not in printed and "Error:" not in printed


def finish(forge: Forge, place: Place, unbroken: list[TrialRecord]) -> None:
    """Run the same command to its end."""
    before = place.told()
    status, printed = forge.run(*place.command)
    assert (status, clean(printed)) == (0, True), printed
    check_kept(before, place.told())
    check_finished(place, unbroken)


def test_kill_9(forge: Forge, unbroken: Any, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """After kill -9 at any moment, several times in one study, the same command ends with the trials of the unbroken study."""
    trials, seconds = unbroken
    draws, kills, left = random.Random(9), 0, count(request, 3, 100)  # noqa: S311
    for turn in itertools.count():
        if kills >= left:
            break
        place = Place(_folder(tmp_path, f"study {turn}"))
        for _ in range(min(3, left - kills)):
            before = place.told()
            command = forge.start(*place.command)
            time.sleep(draws.uniform(0, 1.05 * seconds))
            kill(command)
            kills += command.wait() == -signal.SIGKILL
            assert clean(command.printed), command.printed
            check_kept(before, place.told())
        finish(forge, place, trials)


def kill(command: Command) -> None:
    with suppress(ProcessLookupError):
        command.send(signal.SIGKILL)


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name.replace(" ", "-")
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("signals", "status", "within"),
    [
        ((signal.SIGINT,), 130, 12.0),
        ((signal.SIGINT, signal.SIGINT), 130, 5.0),
        ((signal.SIGTERM,), 143, 12.0),
        ((signal.SIGHUP,), 129, 12.0),
    ],
    ids=["SIGINT", "SIGINT twice", "SIGTERM", "SIGHUP"],
)
def test_signals(
    forge: Forge,
    unbroken: Any,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    signals: tuple[int, ...],
    status: int,
    within: float,
) -> None:
    """A signal at any moment ends a run in time with its status and a line; the same command ends as the unbroken study."""
    trials, seconds = unbroken
    draws = random.Random(sum(signals))  # noqa: S311
    for turn in range(count(request, 1, 10)):
        place = Place(_folder(tmp_path, f"study {turn}"))
        command = forge.start(*place.command)
        time.sleep(draws.uniform(0.1, seconds))
        sent = time.monotonic()
        for number in signals:
            with suppress(ProcessLookupError):
                command.send(number)
            time.sleep(0.1)
        ended, printed = command.wait(), command.printed
        assert ended in (status, 0), printed  # 0: it was done before
        assert time.monotonic() - sent < within
        assert clean(printed), printed
        assert ended == 0 or "to go on: " in printed
        finish(forge, place, trials)


def test_what_is_in_training_is_kept_out(forge: Forge, tmp_path: Path) -> None:
    """SIGTERM in the midst of training ends within the grace period; what was in training is told by nobody and trained again."""
    place = Place(tmp_path, SLOW)
    command = forge.start(*place.command, "--grace", "20")
    wait_for(lambda: len(place.told()) >= 2)
    sent = time.monotonic()
    command.send(signal.SIGTERM)
    assert command.wait() == 143
    assert time.monotonic() - sent < 20
    record = place.record()
    running = [trial.number for trial in record.trials if trial.state == "running"]
    assert running
    again = forge.start(*place.command)
    wait_for(lambda: "interrupted trial" in again.printed)
    again.send(signal.SIGKILL)
    again.wait()
    assert f"training {len(running)} interrupted trial" in again.printed


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def test_the_grace_period_ends(forge: Forge, tmp_path: Path) -> None:
    """A process that cannot end cleanly, here since its storage is away, ends when the grace period is over, with SIGTERM's status."""
    pytest.importorskip("psycopg")
    with postgres() as server:
        if server is None:
            pytest.skip("PostgreSQL is not installed")
        place = Place(tmp_path, SLOW, "--storage", server.url)
        command = forge.start(*place.command, "--grace", "3")
        wait_for(lambda: len(place.told()) >= 2)
        server.stop()
        wait_for(lambda: "storage unreachable, retrying" in command.printed)
        sent = time.monotonic()
        command.send(signal.SIGTERM)
        assert command.wait() == 143
        assert 2 < time.monotonic() - sent < 8
        assert "stopped at the end of the grace period" in command.printed
        assert clean(command.printed), command.printed


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A disk of so many bytes."""
    if os.getuid() or shutil.which("mount") is None:
        pytest.skip("mounting needs root")
    disk = _folder(folder, f"disk {size}")
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk))
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_full_disk(forge: Forge, unbroken: Any, tmp_path: Path, request: pytest.FixtureRequest, kind: str) -> None:
    """A disk that fills at any point gives a line and status 3; with room again the same command ends as the unbroken study."""
    draws = random.Random(3)  # noqa: S311
    for _ in range(count(request, 1, 10)):
        size = draws.randrange(8, 300) * 4096
        with small_disk(tmp_path, size) as disk:
            more = ["--storage", f"journal:///{disk}/study.log"] if kind == "journal" else []
            place = Place(disk, STUDY, *more)
            status, printed = forge.run(*place.command)
            assert status in (2, 3), printed
            assert clean(printed), printed
            assert "error: " in printed
            mount("-o", "remount,size=64m", str(disk))
            finish(forge, place, unbroken[0])


def test_read_only_folder(forge: Forge, unbroken: Any, tmp_path: Path) -> None:
    """A folder that cannot be written is told before the first trial, and nothing in it changes."""
    with small_disk(tmp_path, 2**26) as disk:
        place = Place(disk)
        finish(forge, place, unbroken[0])
        mount("-o", "remount,ro", str(disk))
        before = {file: file.read_bytes() for file in place.folder.rglob("*") if file.is_file()}
        status, printed = forge.run(*place.command, "--trials", "20")
        assert status in (2, 3), printed
        assert clean(printed), printed
        assert "Read-only" in printed or "readonly" in printed
        assert {file: file.read_bytes() for file in place.folder.rglob("*") if file.is_file()} == before
        empty = Place(_folder(tmp_path, "other"))
        assert forge.run(*empty.command[:3], str(disk / "new"), *empty.command[4:])[0] in (2, 3)


def test_postgres_restarted_and_stopped(
    forge: Forge, unbroken: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """With PostgreSQL restarted, and stopped for seconds (--long: ten), in the middle of it, a study ends as the unbroken one."""
    pytest.importorskip("psycopg")
    trials, seconds = unbroken
    draws = random.Random(5)  # noqa: S311
    with postgres() as server:
        if server is None:
            pytest.skip("PostgreSQL is not installed")
        away = [0.0, 2.0] if not request.config.getoption("--long") else [0.0] * 5 + [10.0] * 5
        for turn, pause in enumerate(away):
            place = Place(
                _folder(tmp_path, f"study {turn}"), STUDY, "--storage", server.url, "--name", f"flowers-{turn}"
            )
            command = forge.start(*place.command)
            if pause:
                wait_for(lambda: "trials/s" in command.printed)  # noqa: B023
            else:
                wait_for(lambda: "data  " in command.printed)  # noqa: B023
                time.sleep(draws.uniform(0, seconds / 2))
            server.stop()
            time.sleep(pause)
            server.start()
            status, printed = command.wait(120), command.printed
            assert (status, clean(printed)) == (0, True), printed
            assert lasting(read_study(server.url, f"flowers-{turn}").trials) == trials


def test_two_writers_at_once(unbroken: Any, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Of two runs of one fresh study that start at once one does it, the other is told who; or it goes on with what is done."""
    rounds = count(request, 1, 20)
    with ExitStack() as stack:
        forges = [stack.enter_context(Forge(_folder(tmp_path, f"forge {number}"))) for number in range(2)]
        for turn in range(rounds):
            place = Place(_folder(tmp_path, f"study {turn}"))
            runs = [forge.start(*place.command) for forge in forges]
            ended = sorted(run.wait() for run in runs)
            printed = "\n".join(run.printed for run in runs)
            assert ended in ([0, 2], [0, 0]), printed
            assert clean(printed), printed
            assert ended == [0, 0] or "another process runs this study" in printed
            check_finished(place, unbroken[0])


def test_join(unbroken: Any, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Three runs join one study; the one that writes is killed, another goes on at once, and all that live end with 0."""
    trials, seconds = unbroken
    draws = random.Random(7)  # noqa: S311
    with ExitStack() as stack:
        forges = [stack.enter_context(Forge(_folder(tmp_path, f"forge {number}"))) for number in range(3)]
        for turn in range(count(request, 1, 10)):
            place = Place(_folder(tmp_path, f"study {turn}"))
            runs = [forge.start(*place.command, "--join") for forge in forges]
            wait_for(lambda: any("trials/s" in run.printed for run in runs))  # noqa: B023
            time.sleep(draws.uniform(0, seconds / 3))
            before = place.told()
            writer = next((run for run in runs if "trials/s" in run.printed and "report  " not in run.printed), runs[0])
            kill(writer)
            ended = [run.wait() for run in runs]
            printed = "\n".join(run.printed for run in runs)
            assert ended.count(-9) <= 1, printed
            assert [status for status in ended if status != -9] == [0] * (3 - ended.count(-9)), printed
            assert clean(printed), printed
            assert "waiting: another process runs this study" in printed
            assert "study 'flowers' is complete (by " in printed
            check_kept(before, place.told())
            check_finished(place, trials)


def damage(content: bytes, draws: random.Random) -> bytes:
    """Cut a file, flip some of its bytes, or swap two of its pages."""
    damaged, kind = bytearray(content), draws.choice(("cut", "flip", "flip", "swap"))
    if kind == "cut":
        return content[: draws.randrange(len(content))]
    if kind == "flip":
        for place in draws.choices(range(len(content)), k=draws.choice((1, 2, 8, 64))):
            damaged[place] ^= draws.randrange(1, 256)
        return bytes(damaged)
    page = 4096 if len(content) > 3 * 4096 else 64
    first, second = draws.sample(range(max(2, len(content) // page)), 2)
    pages = [slice(number * page, (number + 1) * page) for number in sorted((first, second))]
    return (
        content[: pages[0].start]
        + content[pages[1]]
        + content[pages[0].stop : pages[1].start]
        + content[pages[0]]
        + content[pages[1].stop :]
    )


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage of a study of twelve trials."""
    file = tmp_path_factory.mktemp("whole") / "study.db"
    writer = StudyWriter.open(sqlite_url(file), "s", "maximize", SETTINGS, DATA)
    for number in range(TRIALS):
        writer.begin(number, {"depth": 1 + number % 3}, DEPTH)
        writer.finish(run_of(number), 0.75, {1: 0.5}, 1.5, None)
    writer.write_attribute("result", {"trial": 0, "validation": 0.75})
    writer.close()
    return file


def whole(record: StudyRecord) -> dict[str, Any]:
    """All that is read, but when."""
    trials = tuple(replace(trial, started=None) for trial in record.trials)
    return {field.name: getattr(record, field.name) for field in fields(record)} | {"as_of": "", "trials": trials}


def _reopened(url: str) -> list[Any]:
    """What a run that goes on finds."""
    writer = StudyWriter.open(url, "s", "maximize", SETTINGS, DATA)
    try:
        return [
            (stored.params, stored.state, stored.values, stored.rungs, stored.run)
            for stored in writer.previous_trials()
        ]
    finally:
        with suppress(HpsearchError):
            writer.close()
        close_storage(writer.storage)


def test_damaged_storages(study_file: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A SQLite file that was cut, flipped or shuffled is told, or what was changed is nothing that is read: never a wrong value."""
    content, draws, refused = study_file.read_bytes(), random.Random(11), 0  # noqa: S311
    good = whole(read_study(sqlite_url(study_file), "s"))
    stored = _reopened(sqlite_url(shutil.copy(study_file, tmp_path / "copy.db")))
    cases = count(request, 40, 500)
    for number in range(cases):
        file = tmp_path / f"{number}.db"
        file.write_bytes(damage(content, draws))
        before = file.read_bytes()
        try:
            assert whole(read_study(sqlite_url(file), "s")) == good, number
        except (StorageError, UserError) as error:
            refused += "\n" not in str(error)
        assert file.read_bytes() == before
        with suppress(StorageError, UserError):
            assert _reopened(sqlite_url(file)) == stored, number
        for left in tmp_path.glob(f"{number}.db*"):
            left.unlink()
    assert refused > cases / 4
    print(f"damaged storages: {refused} of {cases} refused, the others read as they were written")


def test_damaged_models(forge: Forge, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A model's file that was cut, flipped or shuffled is refused, or the change is in its white space."""
    place = Place(tmp_path)
    assert forge.run(*place.command)[0] == 0
    draws, refused = random.Random(12), 0  # noqa: S311
    files = [place.folder / "best.safetensors", place.folder / "best.json"]
    contents = [file.read_bytes() for file in files]
    good = json.loads(contents[1])
    cases = count(request, 40, 500)
    for number in range(cases):
        chosen = number % 2
        files[chosen].write_bytes(damaged := damage(contents[chosen], draws))
        try:
            load_model(place.folder)
            assert chosen == 1
            assert json.loads(damaged) == good, number
        except StorageError as error:
            refused += "\n" not in str(error)
        files[chosen].write_bytes(contents[chosen])
    assert refused > 0.9 * cases
    print(f"damaged models: {refused} of {cases} refused")


def test_a_write_that_was_cut_short(study_file: Path, tmp_path: Path) -> None:
    """A report of a file with half a transaction in it reads what was before, and writes nothing; the next run undoes it."""
    import sqlite3

    live, file = tmp_path / "live.db", tmp_path / "study.db"
    shutil.copy(study_file, live)
    connection = sqlite3.connect(live)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("UPDATE trial_user_attributes SET value_json = '1' || value_json")
    connection.execute("UPDATE trial_values SET value = 2")
    for name in ("live.db", "live.db-journal"):
        shutil.copy(tmp_path / name, tmp_path / name.replace("live", "study"))
    connection.rollback()
    connection.close()
    before = [(tmp_path / name).read_bytes() for name in ("study.db", "study.db-journal")]
    assert before[0] != study_file.read_bytes()
    assert whole(read_study(sqlite_url(file))) == whole(read_study(sqlite_url(study_file)))
    assert [(tmp_path / name).read_bytes() for name in ("study.db", "study.db-journal")] == before
    assert len(_reopened(sqlite_url(file))) == TRIALS
    assert not (tmp_path / "study.db-journal").exists()


MIDDLING = STUDY.replace("epochs = 4", "epochs = 300\nevaluations = 50")


@pytest.fixture(scope="module")
def alone(forge: Forge, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[TrialRecord]:
    """The trials of a study that takes longer, trained in its own process."""
    if not request.config.getoption("--long"):
        pytest.skip("only with --long: each study starts processes of its own (the short form is test_workers')")
    place = Place(tmp_path_factory.mktemp("alone"), MIDDLING, "--engine", "reference")
    assert forge.start(*place.command).wait(300) == 0
    return lasting(place.record().trials)


def on_workers(place: Place) -> list[str]:
    """The command that runs the same study on two of this machine's processes."""
    return ["--devices=cpu,cpu" if word == "cpu" else word for word in place.command if word != "--device"] + ["-v"]


def processes(command: Command) -> list[int]:
    """The workers of a run."""
    found = children(command.process)
    return [pid for pid in sorted(found) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize("fault", ["killed", "stopped", "PostgreSQL away"])
def test_workers(forge: Forge, alone: list[TrialRecord], tmp_path: Path, fault: str) -> None:
    """A study on two processes that are killed, or stopped and continued, or whose storage goes, ends as in one process, trial by trial."""
    draws, recovered = random.Random(15), []  # noqa: S311
    with postgres() as server:
        for turn in range(5):
            more = ["--engine", "reference", "--name", f"flowers-{turn}"]
            if fault == "PostgreSQL away":
                if server is None:
                    pytest.skip("PostgreSQL is not installed")
                more += ["--storage", server.url]
            place = Place(_folder(tmp_path, f"study {turn}"), MIDDLING, *more)
            command = forge.start(*on_workers(place))
            for _ in range(2 if fault != "PostgreSQL away" else 1):
                ready = command.printed.count(": room for")
                wait_for(lambda: command.printed.count(": room for") >= max(2, ready), 120)  # noqa: B023
                time.sleep(draws.uniform(0, 3))
                recovered += break_one(fault, command, server, draws)
            status, printed = command.wait(300), command.printed
            assert (status, clean(printed)) == (0, True), printed
            url = (
                server.url
                if server and "PostgreSQL" in fault
                else sqlite_url(place.reports / f"flowers-{turn}/study.db")
            )
            assert lasting(read_study(url, f"flowers-{turn}").trials) == alone
    print(f"workers {fault}: 5 studies as in one process; seconds to recover: {sorted(recovered)}")


def break_one(fault: str, command: Command, server: Any, draws: random.Random) -> list[float]:
    """Break a worker, or its study's storage; return how long a new worker took to be ready."""
    began, before = time.monotonic(), command.printed.count(": room for")
    if fault == "PostgreSQL away":
        server.stop()
        time.sleep(10)
        server.start()
    elif victims := processes(command):
        victim = draws.choice(victims)
        os.kill(victim, signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
        if fault == "stopped":
            time.sleep(draws.uniform(1, 5))
            os.kill(victim, signal.SIGCONT)
            return []
        with suppress(AssertionError):  # the study was done before
            wait_for(lambda: command.printed.count(": room for") > before, 60)
            return [round(time.monotonic() - began, 1)]
    return []


def test_a_stopped_process(forge: Forge, unbroken: Any, tmp_path: Path) -> None:
    """A process that is stopped and continued, as a laptop that sleeps, ends as the unbroken study."""
    place = Place(tmp_path)
    command = forge.start(*place.command)
    wait_for(lambda: "trials/s" in command.printed)
    command.send(signal.SIGSTOP)
    timer = threading.Timer(1.5, lambda: command.send(signal.SIGCONT))
    timer.start()
    assert command.wait() == 0
    check_finished(place, unbroken[0])
