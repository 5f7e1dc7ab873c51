"""Large studies: the work grows with the trials and no faster, counted in calls, which no busy machine changes; seconds with --long."""

import os
import re
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import monotonic, process_time
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import event

from hpsearch.reporting import page, ranking
from hpsearch.reporting.tables import frames
from hpsearch.reporting.tables.trials import MOST_EVALUATIONS
from hpsearch.searching import sampler_view
from hpsearch.searching.sampler_view import LEADERS, MEMORY, Leaders, SamplerView, TrialResult, WindowedSampler
from hpsearch.searching.samplers import SAMPLERS
from hpsearch.storage import optuna_internals
from hpsearch.storage.opening import open_storage
from hpsearch.storage.reading import read_study, record_of
from tests.support.big_study import write_study
from tests.support.records import study
from tests.support.scripted import SPACE, Stage

LIMITS = {10_000: (20, 1.0), 100_000: (90, 3.0)}  # trials: (seconds, gigabytes)
PAGE_LIMIT = 10_000_000  # bytes


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_study(tmp_path_factory.mktemp("big") / "study.db", 450)


def function_calls(call: Callable[[], object]) -> int:
    """Return how many Python functions a call enters."""
    calls = 0

    def count(frame: object, kind: str, argument: object) -> None:
        nonlocal calls
        calls += kind == "call"

    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.slow
def test_many_trials_are_read_by_a_handful_of_statements(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each portion of trials is read by 5 statements, whatever they have; one more finds the end, two whether all fit into memory."""
    monkeypatch.setattr(optuna_internals, "BATCH", 200)
    statements: list[str] = []
    storage = open_storage(url, read_only=True)
    assert isinstance(storage, RDBStorage)
    event.listen(storage.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    record = record_of(storage, storage.get_study_id_from_name("big"))
    about_trials = [statement for statement in statements if "trial" in statement]
    assert len(record.trials) == 450
    assert len(about_trials) == 3 * 5 + 1 + 2


@pytest.mark.slow
def test_what_is_read_is_what_optuna_reads(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables are read as Optuna's own `get_all_trials` reads them: numbers, states, parameters, values, rungs, times."""
    monkeypatch.setattr(optuna_internals, "BATCH", 100)
    storage = open_storage(url, read_only=True)
    theirs = storage.get_all_trials(storage.get_study_id_from_name("big"))
    ours = read_study(url).trials
    starts = [trial.datetime_start.timestamp() for trial in theirs if trial.datetime_start]
    for mine, other, start in zip(ours, theirs, starts, strict=True):
        assert (mine.number, mine.state, mine.params) == (other.number, other.state.name.lower(), other.params)
        assert ([*mine.values], mine.rungs) == (other.values, other.intermediate_values)
        assert mine.started == pytest.approx(start - min(starts), abs=1e-6)
        run = other.user_attrs["hpsearch:run"]
        assert (mine.outcome, mine.parameters, mine.seconds) == (run["outcome"], run["parameters"], run["seconds"])
        assert mine.history is not None
        assert {name: [*column] for name, column in mine.history.columns().items()} == run["history"]


def test_twice_the_trials_are_twice_the_work_of_the_tables(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables of 400 trials call at most 2.1 times the functions that those of 200 call: nothing grows with the square."""
    monkeypatch.setattr(
        "hpsearch.reporting.tables.space.importances", lambda record: ()
    )  # at most 1,000 trials are used
    record = read_study(url)
    few = replace(record, trials=record.trials[:200])
    many = replace(record, trials=record.trials[:400])
    frames(few)  # fills caches
    assert function_calls(lambda: frames(many)) < 2.1 * function_calls(lambda: frames(replace(few)))


def test_what_a_page_derives_from_all_trials_is_derived_once() -> None:
    """Tables and page sort a study's trials once and collect their hyperparameters' names once."""
    for cached in (ranking.ranked, ranking._names_in_trials):
        cached.cache_clear()
    record = study(40)
    page(record, frames(record))
    for cached in (ranking.ranked, ranking._names_in_trials):
        assert cached.cache_info().misses == 1
        assert cached.cache_info().hits > 5


def test_the_table_of_curves_thins_out_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit of rows the curves are those of the best trials and of a regular sample; the page says of how many."""
    monkeypatch.setattr("hpsearch.reporting.tables.trials.MOST_EVALUATIONS", 200)
    record = study(64)
    tables = frames(record)
    with_curves = {*tables["curves"]["trial"]}
    assert {*tables["leaderboard"]["trial"]} <= with_curves
    assert len(with_curves) < 64
    assert f"the curves of {len(with_curves)} of 64 trials; the storage has all" in page(record, tables)
    assert MOST_EVALUATIONS >= 100_000


def view_after(trials: int, **settings: Any) -> SamplerView:
    """Return a sampler's view after so many random trials."""
    view = Stage(lag=4, **settings).view()
    random_study = optuna.create_study(sampler=RandomSampler(seed=0))
    for number in range(trials):
        trial = random_study.ask()
        SPACE.suggest(trial)
        propose_and_tell(view, number, trial.params)
    return view


def propose_and_tell(view: SamplerView, number: int, stored: Any = None) -> dict[str, Any]:
    """Propose a trial, or take the stored one, and tell its result: best at a learning rate of 0.01, failed above 0.5."""
    params = dict(view.propose(number, stored).params)
    rate = params["learning_rate"]
    view.tell(number, TrialResult(1 / (1 + abs(rate - 0.01)), failed=rate > 0.5))
    return params


@pytest.mark.slow
def test_a_proposal_of_tpe_costs_the_same_in_a_long_study() -> None:
    """From `MEMORY` results on, TPE is shown as many trials at 700 as at 1,400, the pending ones included."""
    shown = []
    for trials in (MEMORY + 200, 2 * MEMORY + 400):
        view = view_after(trials)
        view.propose(trials)
        sampler = view.study.sampler
        assert isinstance(sampler, WindowedSampler)
        shown.append(len(sampler.trials))
    assert shown[0] <= MEMORY + 3
    assert abs(shown[0] - shown[1]) <= LEADERS


def test_a_pruner_is_shown_the_latest_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pruner is shown at most `COMPARED` trials, the latest before the trial's lag."""
    monkeypatch.setattr(sampler_view, "COMPARED", 10)
    view = view_after(40, pruner="median")
    shown: list[list[int]] = []

    def record(study: optuna.Study, trials: list[FrozenTrial]) -> optuna.Study:
        shown.append([trial.number for trial in trials])
        return study

    view.propose(40)
    monkeypatch.setattr(sampler_view, "partial_study", record)
    view.prune(40, 1, 0.5)
    assert shown == [[*range(27, 37), 40]]


def test_a_sampler_recalls_the_best_and_the_latest() -> None:
    """Of 3,000 results the `LEADERS` that sorting puts first, and the latest, are recalled."""
    values = [((k * 7919) % 3000) / 3000 for k in range(3000)]
    leaders = Leaders(("maximize",))
    for number, value in enumerate(values):
        leaders.add(number, (value,))
    best = sorted(range(3000), key=lambda k: -values[k])[:LEADERS]
    assert leaders.window(3000) == sorted({*best, *range(3000 - MEMORY + LEADERS, 3000)})


def dominates(first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Tell whether a pair is larger or equal in the first value, smaller or equal in the second, and not the same."""
    return first[0] >= second[0] and first[1] <= second[1] and first != second


def test_with_several_objectives_the_front_is_recalled() -> None:
    """In two objectives the leaders are the Pareto front that comparing every pair gives."""
    values = [(((k * 613) % 997) / 997, ((k * 389) % 991) / 991) for k in range(400)]
    leaders = Leaders(("maximize", "minimize"))
    for number, pair in enumerate(values):
        leaders.add(number, pair)
    front = [number for number, pair in enumerate(values) if not any(dominates(other, pair) for other in values)]
    assert sorted(number for _, number in leaders.best) == front


def test_a_sampler_that_recalls_everything_is_the_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    """TPE through a `WindowedSampler` that recalls every trial proposes what TPE by itself does."""
    view = view_after(40)
    direct = [propose_and_tell(view, number) for number in range(40, 46)]
    monkeypatch.setattr(sampler_view, "MEMORY", 0)
    monkeypatch.setattr(Leaders, "window", lambda leaders, revealed: [*range(revealed)])
    view = view_after(40)
    windowed = [propose_and_tell(view, number) for number in range(40, 46)]
    assert SAMPLERS["tpe"].windowed
    assert direct == windowed


def test_a_long_search_is_the_same_after_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a memory of 20 results, 70 trials at once and 33 + 37 that end in another order are the same."""
    monkeypatch.setattr(sampler_view, "MEMORY", 20)
    monkeypatch.setattr(sampler_view, "LEADERS", 5)
    uninterrupted = Stage()
    uninterrupted.run(70)
    interrupted = Stage()
    interrupted.run(33, room=3, seed=1)
    interrupted.run(70, room=4, seed=2)
    assert interrupted.trials() == uninterrupted.trials()


@pytest.fixture
def only_long(long: bool) -> None:
    """Skip a test without --long."""
    if not long:
        pytest.skip("takes minutes: --long")


@pytest.mark.parametrize("trials", LIMITS)
def test_a_large_report_in_time_and_memory(trials: int, only_long: None, tmp_path: Path) -> None:
    """`report` in a process of its own keeps to its seconds of processor, its memory and the page's size."""
    url = write_study(tmp_path / "study.db", trials)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "hpsearch", "report", url, "--reports", str(tmp_path)]
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds_limit, gigabytes_limit = LIMITS[trials]
    print(f"{trials:,} trials: {seconds:.1f} s, {after.ru_maxrss / 2**20:.2f} GB")
    assert seconds < seconds_limit
    assert after.ru_maxrss < gigabytes_limit * 2**20
    assert (tmp_path / "big" / "report.html").stat().st_size < PAGE_LIMIT


def report_within(url: str, folder: Path, limit: float) -> tuple[int, str, float, float]:
    """Report a study in a process that may have so many GB; return its status, its errors, its most memory in GB and its seconds."""
    command = [sys.executable, "-m", "hpsearch", "report", url, "--study", "big", "--reports", str(folder)]
    size = int(limit * 1e9)
    began = monotonic()
    with (folder / "errors").open("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        resource.prlimit(process.pid, resource.RLIMIT_AS, (size, size))
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        return process.returncode, errors.read(), used.ru_maxrss / 2**20, monotonic() - began


TWO_MILLION_CHARACTERS = """
INSERT INTO trial_user_attributes (trial_id, key, value_json)
SELECT trial_id, 'notes', '"' || hex(zeroblob(1000000)) || '"' FROM trials
"""


def test_a_study_of_two_gigabytes(only_long: None, tmp_path: Path) -> None:
    """A SQLite file of 2 GB is reported in little memory where others wrote the most of it, else refused in a line that says why."""
    url = write_study(tmp_path / "study.db", 1_000)
    file = tmp_path / "study.db"
    try:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(TWO_MILLION_CHARACTERS)  # to each trial
        assert file.stat().st_size > 2e9
        status, errors, memory, seconds = report_within(url, tmp_path, 8)
        print(f"2 GB of notes: status {status}, {memory:.2f} GB, {seconds:.0f} s")
        assert (status, errors) == (0, "")
        assert memory < 1
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("DELETE FROM study_user_attributes")  # it is another program's now, which shows its own
        status, errors, memory, seconds = report_within(url, tmp_path, 8)
        print(f"2 GB of attributes: status {status}, {memory:.2f} GB, {seconds:.0f} s: {errors}")
        assert status == 2
        assert re.fullmatch(
            r"error: the study's trials would need about \d+\.\d GB of memory, .* are free\. .*\n", errors
        )
        assert memory < 1
    finally:
        file.unlink()


def test_ten_thousand_trials_of_tpe_are_proposed_in_time(only_long: None) -> None:
    """At trial 10,000 ask and tell take at most 60 ms of processor, as the median of 30."""
    view = view_after(10_000, pruner="median")
    seconds: list[float] = []
    for number in range(10_000, 10_030):
        began = process_time()
        propose_and_tell(view, number)
        seconds.append(process_time() - began)
    print(f"ask and tell at trial 10,000: {1000 * median(seconds):.1f} ms")
    assert median(seconds) < 0.06


def test_only_samplers_whose_cost_grows_forget() -> None:
    """A sampler that is replayed keeps its state in all of its trials, so it never forgets."""
    assert not any(row.windowed and row.replayed for row in SAMPLERS.values())
