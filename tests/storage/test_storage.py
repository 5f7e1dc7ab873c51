"""The storage: an ordinary Optuna study, one writer, nothing told is lost, nothing damaged is read as good."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.trial import TrialState

from hpsearch.errors import StorageError, UserError, masked
from hpsearch.storage import lease
from hpsearch.storage.fingerprint import Fingerprint
from hpsearch.storage.opening import open_storage
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from hpsearch.storage.writing import StudyWriter
from hpsearch.trial import Outcome
from tests.support.stored import DATA, DEPTH, FINGERPRINT, SETTINGS, long_run, run_of


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "study.db")


def written(url: str) -> None:
    """A study with a finished, a pruned, a diverged and a running trial."""
    writer = StudyWriter.open(url, FINGERPRINT)
    outcomes = (Outcome.FINISHED, Outcome.PRUNED, Outcome.DIVERGED)
    for number in range(4):
        writer.begin(number, {"depth": 1 + number % 3}, DEPTH)
    for number, outcome in enumerate(outcomes):
        value = 0.0 if outcome.failed else 0.75
        writer.finish(run_of(number, outcome), value, {1: 0.5}, seconds=1.5, repeats=None)
    writer.write_attribute("result", {"trial": 0})
    writer.close()


@pytest.mark.parametrize("form", ["sqlite", "journal"])
def test_what_is_written_is_read(tmp_path: Path, form: str) -> None:
    """A study comes back as it was told, from SQLite and from a journal file."""
    url = f"{form}:///{tmp_path}/study.db"
    written(url)
    record = read_study(url)
    assert (record.name, record.direction) == ("s", "maximize")
    assert (record.settings, record.data, record.result) == (SETTINGS, DATA, {"trial": 0})
    finished, pruned, diverged, running = record.trials
    assert (finished.state, finished.outcome, finished.value, finished.validation_loss) == (
        "complete",
        "finished",
        0.75,
        0.6,
    )
    assert finished.history == run_of(0).history
    assert (finished.parameters, finished.seconds, finished.rungs) == (9, 1.5, {1: 0.5})
    assert (pruned.state, pruned.outcome) == ("pruned", "pruned")
    assert (diverged.state, diverged.outcome, diverged.value) == ("complete", "diverged", 0.0)
    assert "update 7" in diverged.detail
    assert (running.state, running.params, running.history) == ("running", {"depth": 1}, None)


def test_optuna_reads_it(url: str) -> None:
    """Optuna's own functions read the study: best trial, states, intermediate values, constraints."""
    written(url)
    study = optuna.load_study(study_name="s", storage=url)
    assert study.best_trial.number == 0
    assert [t.state for t in study.trials] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.COMPLETE,
        TrialState.RUNNING,
    ]
    assert study.trials[2].constraints == {"failed": 1.0}
    assert study.trials[0].intermediate_values == {1: 0.5, 2: 0.75}  # the learning curve, of which the first was a rung
    assert [t.user_attrs.get("outcome") for t in study.trials] == ["finished", "pruned", "diverged", None]
    assert study.trials[0].user_attrs["parameters"] == 9


@pytest.mark.parametrize("form", ["sqlite", "journal"])
@pytest.mark.parametrize("evaluations", [2, 20, 21, 1000])
def test_learning_curves(tmp_path: Path, form: str, evaluations: int) -> None:
    """Optuna sees at most 20 evaluations of a curve, first, last and rungs among them; what was a rung is still known."""
    url, run = f"{form}:///{tmp_path}/study.db", long_run(0, evaluations)
    rungs = {evaluation: run.history.metric[evaluation - 1] for evaluation in (1, 7, 333) if evaluation < evaluations}
    writer = StudyWriter.open(url, FINGERPRINT)
    writer.begin(0, {"depth": 1}, DEPTH)
    writer.finish(run, 0.75, rungs, 1.5, None)
    writer.flush()
    (trial,) = writer.storage.get_all_trials(writer.study_id)
    assert trial.intermediate_values.items() <= dict(enumerate(run.history.metric, 1)).items()
    assert {1, evaluations, *rungs} <= trial.intermediate_values.keys()
    assert min(evaluations, 17) <= len(trial.intermediate_values) <= 20
    assert [stored.rungs for stored in writer.previous_trials()] == [rungs]
    writer.close()
    assert read_study(url).trials[0].rungs == rungs


def test_a_trial_is_told_in_two_transactions(url: str) -> None:
    """On a database the details of a trial are one transaction and its state is another, however long its curve is."""
    writer = StudyWriter.open(url, FINGERPRINT)
    writer.begin(0, {"depth": 1}, DEPTH)
    writer.flush()
    commits: list[Any] = []
    assert isinstance(writer.storage, RDBStorage)
    sqlalchemy.event.listen(writer.storage.engine, "commit", commits.append)
    writer.finish(long_run(0, 100), 0.75, {1: 0.0, 7: 0.5}, 1.5, None)
    writer.flush()
    assert len(commits) == 2
    writer.close()


def test_studies_of_before_have_rungs_only(url: str) -> None:
    """Where no rungs are noted, as in studies written before curves were, every intermediate value was one."""
    written(url)
    storage = open_storage(url)
    trial_id = storage.create_new_trial(storage.get_study_id_from_name("s"))
    storage.set_trial_intermediate_value(trial_id, 3, 0.5)
    storage.set_trial_user_attr(trial_id, "hpsearch:run", {"outcome": "finished"})
    assert read_study(url).trials[4].rungs == {3: 0.5}


def test_reading_writes_nothing(url: str, tmp_path: Path) -> None:
    """Reading leaves every file of the folder byte for byte, adds none, and works where the file is read-only."""
    written(url)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert before.keys() == {"study.db", ".study.db.lock"}
    (tmp_path / "study.db").chmod(0o444)
    read_study(url, "s")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_default_is_a_rollback_journal(url: str, tmp_path: Path) -> None:
    """SQLite keeps its rollback journal, not the write-ahead log."""
    written(url)
    with sqlite3.connect(tmp_path / "study.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "data", "shown"),
    [
        ({"space": {"depth": {"low": 1, "high": 4}}}, {}, "space.depth.high was 3, now 4"),
        ({"study": {"name": "s", "seed": 1, "question": ""}}, {}, "study.seed was 0, now 1"),
        (
            {"study": {"name": "s", "seed": 1, "question": ""}},
            {"hash": "x"},
            r"differs: study.seed was 0, now 1\. Give",
        ),
        ({}, {"hash": "def"}, "the data changed since the study began .*as many rows"),
    ],
)
def test_changed_study_is_refused(url: str, settings: dict[str, Any], data: dict[str, Any], shown: str) -> None:
    """A changed space, seed or data set under one name is refused with the difference, and nothing is written."""
    written(url)
    before = read_study(url)
    with pytest.raises(UserError, match=shown):
        StudyWriter.open(url, replace(FINGERPRINT, settings={**SETTINGS, **settings}, data={**DATA, **data}))
    assert read_study(url).settings == before.settings


def test_columns_that_are_read_otherwise_by_this_version(url: str) -> None:
    """A study whose columns now become other inputs goes on with the kinds they had, which the refusal names, and not without."""
    columns = [("Order.No", "number", 1), ("day", "dropped", 0), ("x", "number", 1)]
    before = {**DATA, "columns": [dict(zip(("name", "kind", "inputs"), column, strict=True)) for column in columns]}
    now = [("Order.No", "dropped", 0), ("day", "date", 5), ("x", "number", 1)]
    after = {**DATA, "columns": [dict(zip(("name", "kind", "inputs"), column, strict=True)) for column in now]}
    StudyWriter.open(url, replace(FINGERPRINT, data=before)).close()
    options = r"Give --set data.columns.Order.No=number --set data.columns.day=drop to go on"
    with pytest.raises(
        UserError, match=rf"reads columns otherwise \('Order.No' was number; 'day' was dropped\)\. {options}"
    ):
        StudyWriter.open(url, replace(FINGERPRINT, data=after))
    kinds = {"data": {**SETTINGS.get("data", {}), "columns": {"Order.No": "number", "day": "drop"}}}
    StudyWriter.open(url, replace(FINGERPRINT, settings={**SETTINGS, **kinds}, data=before)).close()
    with pytest.raises(UserError, match=r"differs: data\.columns\.Order\.No was 'number', now None"):
        StudyWriter.open(url, replace(FINGERPRINT, data=after))


def test_a_task_that_this_version_infers_otherwise(url: str) -> None:
    """A study whose target another task is now inferred for goes on with the task it had, which the refusal names."""
    before = {**DATA, "task": "multiclass"}
    StudyWriter.open(url, replace(FINGERPRINT, data=before)).close()
    with pytest.raises(UserError, match="the task was multiclass, now regression: --task multiclass goes on as before"):
        StudyWriter.open(url, replace(FINGERPRINT, data={**before, "hash": "def", "task": "regression"}))
    asked = {**SETTINGS, "data": {**SETTINGS.get("data", {}), "task": "multiclass"}}
    StudyWriter.open(url, replace(FINGERPRINT, settings=asked, data=before)).close()


def test_trials_question_and_timeout_may_change(url: str) -> None:
    """More trials, another question or time limit are the same study."""
    written(url)
    changed = {**SETTINGS, "search": {"trials": 99}, "study": {**SETTINGS["study"], "question": "why?"}}
    StudyWriter.open(url, replace(FINGERPRINT, settings=changed)).close()
    assert read_study(url).settings == changed


def test_a_study_of_an_earlier_version_goes_on(url: str) -> None:
    """Settings that did not exist when a study was made change nothing by their defaults, and do by any other value."""
    old = {"data": {"name": "digits"}, "search": {"trials": 3}}
    StudyWriter.open(url, Fingerprint("s", ("maximize",), old, {"hash": "h"})).close()
    newer = {"data": {"name": "digits", "missing_values": [], "file": None}, "search": {"trials": 3}}
    weights = {**newer, "training": {"class_weights": "balanced"}}
    unweighted = {**newer, "training": {"class_weights": "none"}}
    StudyWriter.open(url, Fingerprint("s", ("maximize",), unweighted, {"hash": "h"})).close()
    with pytest.raises(UserError, match=r"training\.class_weights was 'none', now 'balanced'"):
        StudyWriter.open(url, Fingerprint("s", ("maximize",), weights, {"hash": "h"}))


def test_foreign_study_is_refused(url: str) -> None:
    """A study with trials of another program is not written into."""
    optuna.create_study(storage=url, study_name="s").add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(UserError, match="did not make"):
        StudyWriter.open(url, FINGERPRINT)


def test_second_writer_is_told_who_holds_the_study(url: str) -> None:
    """While a process writes, another is refused with host, pid and time; once it has died the study is taken over."""
    code = (
        "import sys, json; from hpsearch.storage.writing import *;"
        f"w = StudyWriter.open({url!r}, {FINGERPRINT!r}); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=rf"process {holder.pid}"):
            StudyWriter.open(url, FINGERPRINT)
        holder.kill()
    StudyWriter.open(url, FINGERPRINT).close()


def test_holder_on_another_machine_is_taken_over_by_word_only() -> None:
    """A lease of another host cannot be checked from here: it holds until a person passes --take-over."""
    storage = InMemoryStorage()
    tickets = lease.tickets_of(storage, "s")
    elsewhere = {"after": lease.NOBODY, "token": "a", "holder": {**lease.holder(), "host": "elsewhere"}}
    storage.create_new_trial(tickets, optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=elsewhere))
    with pytest.raises(UserError, match="elsewhere"):
        lease.acquire(storage, "s", "b")
    held = lease.acquire(storage, "s", "b", take_over=True)
    assert lease.current(storage, tickets) == held.ticket
    held.release()
    assert storage.get_all_studies() == []


@pytest.mark.parametrize("pid", [2**22 + 1, os.getpid()], ids=["gone", "another"])
def test_dead_holders_of_this_machine(pid: int) -> None:
    """A process that is gone, or whose number another process has now, no longer holds."""
    assert not lease.alive({**lease.holder(), "pid": pid, "started": "1"})
    assert lease.alive(lease.holder())


def test_damaged_file_is_told_and_left_alone(url: str, tmp_path: Path) -> None:
    """A file that is no database, and one with garbage inside, end in a storage error; neither is changed."""
    file = tmp_path / "study.db"
    file.write_bytes(b"not a database at all")
    with pytest.raises(StorageError, match="damaged"):
        open_storage(url)
    assert file.read_bytes() == b"not a database at all"
    file.unlink()
    written(url)
    content = bytearray(file.read_bytes())
    content[100:20_000] = bytes(19_900)
    file.write_bytes(content)
    with pytest.raises(StorageError):
        read_study(url)
    assert file.read_bytes() == bytes(content)


@pytest.mark.parametrize(
    ("form", "free", "what"),
    [
        ("sqlite", 2_000, "what the studies in sqlite:///.* say"),
        ("sqlite", 4_000, "the study's trials"),
        ("journal", 2_000, "the journal .*"),
    ],
)
def test_a_study_that_does_not_fit_into_memory(
    form: str, free: int, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storage that would take more memory than is free is refused in a line before it is read, by a report and by a run."""
    url = f"{form}:///{tmp_path}/study.db"
    written(url)
    content = (tmp_path / "study.db").read_bytes()
    monkeypatch.setattr("hpsearch.data.memory.available", lambda: free)
    expected = rf"{what} would need about \d+\.\d MB of memory, 0\.0 MB are free\. Take a machine with more"
    with pytest.raises(UserError, match=expected):
        read_study(url)
    with pytest.raises(UserError, match=expected):
        StudyWriter.open(url, FINGERPRINT)
    assert (tmp_path / "study.db").read_bytes() == content


def test_write_that_fails_reaches_the_caller(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed write is raised at the next call, as a storage error, and nothing is written after it."""
    writer = StudyWriter.open(url, FINGERPRINT)
    writer.begin(0, {"depth": 1}, DEPTH)
    writer.flush()

    def full(*arguments: object, **keywords: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer.storage, "set_trial_state_values", full)
    writer.finish(run_of(0), 0.75, {}, 1.0, None)
    with pytest.raises(StorageError, match="disk full"):
        writer.flush()
    with pytest.raises(StorageError, match="disk full"):
        writer.begin(1, {"depth": 1}, DEPTH)
    assert [t.state for t in read_study(url).trials] == ["running"]


def test_hostile_attributes_are_not_trusted(url: str) -> None:
    """A learning curve of another shape in the storage is left out; it neither runs nor ends the report."""
    written(url)
    storage = open_storage(url)
    trial = storage.get_all_trials(0 + storage.get_study_id_from_name("s"))[3]
    storage.set_trial_user_attr(trial._trial_id, "hpsearch:run", {"history": {"__class__": [1]}, "outcome": "<script>"})
    assert read_study(url).trials[3].history is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("mysql+pymysql://u:p%40ss@h:1/d?password=secret&x=1", "mysql+pymysql://u:***@h:1/d?password=***&x=1"),
        ("sqlite:///a/b.db", "sqlite:///a/b.db"),
        ("postgresql:/me:secret@h/db", "postgresql:/me:***@h/db"),
        ("postgresql//me:secret@h/db", "postgresql//me:***@h/db"),
        ("storage 'me:secret@h'", "storage 'me:***@h'"),
        ("line 3: somebody@example.org", "line 3: somebody@example.org"),
    ],
)
def test_passwords_are_masked(url: str, shown: str) -> None:
    """A storage's URL is shown without its password."""
    assert masked(url) == shown


@pytest.mark.parametrize("url", ["study.db", "sqlite:///no/such/file.db", "nosuch://x/y"])
def test_unusable_urls(url: str) -> None:
    """What is no URL, no file or no kind of storage is told in a line."""
    with pytest.raises(UserError, match=r"storage"):
        open_storage(url, read_only=True)


def test_study_is_chosen_by_name(url: str) -> None:
    """In a storage with several studies one must be named, and a wrong name gets a suggestion."""
    written(url)
    optuna.create_study(storage=url, study_name="other")
    with pytest.raises(UserError, match="Name one with --study"):
        read_study(url)
    with pytest.raises(UserError, match="Did you mean 'other'"):
        read_study(url, "othr")
    with pytest.raises(UserError, match="not made by hpsearch"):
        read_study(url, "other")


@pytest.mark.slow
def test_processes_that_start_together(url: str) -> None:
    """Of four processes that start one fresh study at once, one writes and the others are told; none crashes."""
    code = (
        "import sys; from hpsearch.errors import UserError; from hpsearch.storage.writing import *\n"
        f"try: StudyWriter.open({url!r}, {FINGERPRINT!r}); print('holds', flush=True); sys.stdin.read()\n"
        "except UserError as error: print(error, flush=True)"
    )
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        for _ in range(4)
    ]
    first = [process.stdout.readline() for process in processes if process.stdout]
    errors = [process.communicate()[1] for process in processes]
    assert sorted("holds" in line for line in first) == [False, False, False, True]
    assert sum("another process runs this study" in line for line in first) == 3
    assert errors == [""] * 4


def test_torn_journal_goes_on(tmp_path: Path) -> None:
    """A journal cut inside its last line is cut back to the last whole one, and writing goes on."""
    url = f"journal:///{tmp_path}/study.log"
    written(url)
    file = tmp_path / "study.log"
    file.write_bytes(file.read_bytes()[:-9])
    StudyWriter.open(url, FINGERPRINT).close()
    assert len(read_study(url).trials) == 4


def test_a_file_that_another_process_keeps_locked(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite file that a stopped process keeps locked is waited for, then told in a line, by a report and by a run."""
    written(url)
    monkeypatch.setattr("hpsearch.storage.databases.LOCK_TIMEOUT", 0.1)
    with closing(sqlite3.connect(tmp_path / "study.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match=r"database is locked\. Check that it can be reached and written"):
            read_study(url)
        with pytest.raises(StorageError, match=r"database is locked\. Check that it can be reached and written"):
            StudyWriter.open(url, FINGERPRINT)
