"""Large studies: the work grows with the trials and no faster, counted in calls, which no busy machine changes; seconds with --long."""

import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler
from sqlalchemy import event

from hpsearch.reporting import page, ranking
from hpsearch.reporting.tables import frames
from hpsearch.reporting.tables.trials import MOST_EVALUATIONS
from hpsearch.searching import sampler_view, windowed_sampler
from hpsearch.searching.sampler_view import SamplerView, TrialResult
from hpsearch.searching.samplers import SAMPLERS
from hpsearch.searching.windowed_sampler import LEADERS, MEMORY, Leaders, WindowedSampler
from hpsearch.storage import optuna_internals
from hpsearch.storage.opening import open_storage
from hpsearch.storage.reading import read_study, record_of
from tests.support.big_study import write_study
from tests.support.records import study
from tests.support.scripted import SPACE, Stage

LIMITS = {10_000: (20, 1.0), 100_000: (90, 3.0)}  # trials → seconds, gigabytes; a page has at most 10 megabytes


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_study(tmp_path_factory.mktemp("big") / "study.db", 450)


def counted(call: Callable[[], object]) -> int:
    """Return how many of Python's functions a call calls."""
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


def test_reading_asks_a_handful_of_questions_for_many_trials(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study is read by 5 statements for so many trials at once, whatever hyperparameters they have, and one at the end."""
    monkeypatch.setattr(optuna_internals, "BATCH", 200)
    storage, asked = open_storage(url, read_only=True), []
    event.listen(storage.engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    record = record_of(storage, storage.get_study_id_from_name("big"))
    about_trials = [statement for statement in asked if "trial" in statement]
    assert len(record.trials) == 450
    assert len(about_trials) == 3 * 5 + 1


def test_what_is_read_is_what_optuna_reads(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables are read as Optuna's own `get_all_trials` reads them: numbers, states, parameters, values, rungs, times."""
    monkeypatch.setattr(optuna_internals, "BATCH", 100)
    storage = open_storage(url, read_only=True)
    theirs = storage.get_all_trials(storage.get_study_id_from_name("big"))
    ours = read_study(url).trials
    start = min(trial.datetime_start.timestamp() for trial in theirs if trial.datetime_start)
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.number, mine.state, mine.params) == (other.number, other.state.name.lower(), other.params)
        assert ([*mine.values], mine.rungs) == (other.values, other.intermediate_values)
        assert mine.started == pytest.approx(other.datetime_start.timestamp() - start, abs=1e-6)
        run = other.user_attrs["hpsearch:run"]
        assert (mine.outcome, mine.parameters, mine.seconds) == (run["outcome"], run["parameters"], run["seconds"])
        assert mine.history is not None
        assert {name: [*column] for name, column in mine.history.columns().items()} == run["history"]


def test_twice_the_trials_are_twice_the_work_of_the_tables(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables of 400 trials call at most 2.1 times the functions that those of 200 call: nothing grows with the square."""
    monkeypatch.setattr(
        "hpsearch.reporting.tables.space.importances", lambda record: ()
    )  # of at most 1,000 trials, whatever there is
    record = read_study(url)
    few, many = (replace(record, trials=record.trials[:count]) for count in (200, 400))
    frames(few)  # what is made once
    assert counted(lambda: frames(many)) < 2.1 * counted(lambda: frames(replace(few)))


def test_what_a_page_derives_from_all_trials_is_derived_once() -> None:
    """Tables and page sort a study's trials once, and look once for their hyperparameters' names, however often they ask."""
    for cached in (ranking._ranked, ranking._names_in_trials):
        cached.cache_clear()
    record = study(40)
    page(record, frames(record))
    for cached in (ranking._ranked, ranking._names_in_trials):
        assert cached.cache_info().misses == 1
        assert cached.cache_info().hits > 5


def test_the_table_of_curves_thins_out_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the most rows the curves of the best trials and of every so-manieth are there; the table and the page say how many."""
    monkeypatch.setattr("hpsearch.reporting.tables.trials.MOST_EVALUATIONS", 200)
    record = study(64)
    tables = frames(record)
    kept = {*tables["curves"]["trial"]}
    assert {*tables["leaderboard"]["trial"]} <= kept
    assert len(kept) < 64
    assert f"the curves of {len(kept)} of 64 trials; the storage has all" in page(record, tables)
    assert MOST_EVALUATIONS >= 100_000


def grown(trials: int, **settings: Any) -> SamplerView:
    """A view that has walked so many random trials with the answers that a hill gives."""
    looking, drawn = Stage(lag=4, **settings).view(), optuna.create_study(sampler=RandomSampler(seed=0))
    for number in range(trials):
        trial = drawn.ask()
        SPACE.suggest(trial)
        answered(looking, number, trial.params)
    return looking


def answered(looking: SamplerView, number: int, stored: Any = None) -> dict[str, Any]:
    params = dict(looking.propose(number, stored).params)
    looking.tell(
        number, TrialResult(1 / (1 + abs(params["learning_rate"] - 0.01)), failed=params["learning_rate"] > 0.5)
    )
    return params


def test_a_proposal_of_tpe_costs_the_same_in_a_long_study() -> None:
    """From `MEMORY` results on, TPE is shown as many trials at 700 as at 1,400, the pending ones included."""
    shown = []
    for trials in (MEMORY + 200, 2 * MEMORY + 400):
        looking = grown(trials)
        looking.propose(trials)
        sampler = looking.study.sampler
        assert isinstance(sampler, WindowedSampler)
        shown.append(len(sampler.trials))
    assert shown[0] <= MEMORY + 3
    assert abs(shown[0] - shown[1]) <= LEADERS


def test_a_pruner_looks_at_the_latest_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pruner is shown so many trials at most, those before the trial's lag."""
    monkeypatch.setattr(sampler_view, "COMPARED", 10)
    looking, seen = grown(40, pruner="median"), []
    monkeypatch.setattr(sampler_view, "seen", lambda study, trials: seen.append([t.number for t in trials]) or study)
    looking.propose(40)
    looking.prune(40, 1, 0.5)
    assert seen == [[*range(27, 37), 40]]


def test_what_a_sampler_recalls_are_the_best_and_the_latest() -> None:
    """Among 3,000 seeded results the best `LEADERS` by sorting, and the latest, make the numbers that are recalled."""
    values = [((k * 7919) % 3000) / 3000 for k in range(3000)]
    leaders = Leaders(("maximize",))
    for number, value in enumerate(values):
        leaders.add(number, (value,))
    best = sorted(range(3000), key=lambda k: -values[k])[:LEADERS]
    assert leaders.recalled(3000) == sorted({*best, *range(3000 - MEMORY + LEADERS, 3000)})


def test_with_several_objectives_the_front_is_recalled() -> None:
    """Of results in two objectives those that no other is as good as in both are the leaders, by comparing every pair."""
    values = [(((k * 613) % 997) / 997, ((k * 389) % 991) / 991) for k in range(400)]
    leaders = Leaders(("maximize", "minimize"))
    for number, pair in enumerate(values):
        leaders.add(number, pair)
    front = [k for k, (a, b) in enumerate(values) if not any(c >= a and d <= b and (c, d) != (a, b) for c, d in values)]
    assert sorted(number for _, number in leaders.best) == front


def test_a_sampler_that_recalls_everything_is_the_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    """TPE asked through `WindowedSampler` with every trial proposes what TPE alone does: the seam leaves nothing out."""
    row = SAMPLERS["tpe"]
    alone = [answered(looking, k) for looking in [grown(40)] for k in range(40, 46)]
    monkeypatch.setattr(sampler_view, "MEMORY", 0)
    monkeypatch.setattr(windowed_sampler, "MEMORY", 10_000)
    through = [answered(looking, k) for looking in [grown(40)] for k in range(40, 46)]
    assert row.forgets
    assert alone == through


def test_a_long_search_is_the_same_after_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a memory of 20 results, 70 trials in one go and 33 + 37 with another order of ends are the same, trial by trial."""
    for module in (sampler_view, windowed_sampler):
        monkeypatch.setattr(module, "MEMORY", 20)
    monkeypatch.setattr(windowed_sampler, "LEADERS", 5)
    whole = Stage()
    whole.run(70)
    broken = Stage()
    broken.run(33, room=3, seed=1)
    broken.run(70, room=4, seed=2)
    assert broken.trials() == whole.trials()


@pytest.fixture
def long(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--long"):
        pytest.skip("takes minutes: --long")


@pytest.mark.parametrize("trials", LIMITS)
def test_a_large_report_in_time_and_memory(trials: int, long: None, tmp_path: Path) -> None:
    """`report` in a process of its own keeps to its seconds of processor, its memory and its megabytes."""
    url = write_study(tmp_path / "study.db", trials)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "hpsearch", "report", url, "--reports", str(tmp_path)]
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    most, gigabytes = LIMITS[trials]
    print(f"{trials:,} trials: {seconds:.1f} s, {after.ru_maxrss / 2**20:.2f} GB")
    assert seconds < most
    assert after.ru_maxrss < gigabytes * 2**20
    assert (tmp_path / "big" / "report.html").stat().st_size < 10_000_000


def test_ten_thousand_trials_of_tpe_are_proposed_in_time(long: None) -> None:
    """At trial 10,000 ask and tell take at most 60 ms of processor, as the median of 30."""
    looking, taken = grown(10_000, pruner="median"), []
    for number in range(10_000, 10_030):
        began = process_time()
        answered(looking, number)
        taken.append(process_time() - began)
    print(f"ask and tell at trial 10,000: {1000 * sorted(taken)[15]:.1f} ms")
    assert sorted(taken)[15] < 0.06


def test_only_samplers_whose_cost_grows_forget() -> None:
    """A sampler that is replayed keeps its state in all of its trials, so it never forgets."""
    assert not any(row.forgets and row.replayed for row in SAMPLERS.values())
