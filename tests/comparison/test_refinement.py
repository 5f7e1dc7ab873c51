"""The second stage of tuning, and the divisions of the rows on which winners are judged."""

from dataclasses import replace
from math import inf, log2
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
import pytest

from hpsearch.comparison.arms import ArmPlan, cut
from hpsearch.comparison.page import write_comparison
from hpsearch.comparison.refinement import STREAM, Grid
from hpsearch.comparison.study import with_recorded_protocol
from hpsearch.config import StudyConfig, check_config, read_comparison
from hpsearch.errors import UserError
from hpsearch.searching.run_options import RunOptions, prepare_data
from hpsearch.searching.specifications import recorded_specification, replicate
from hpsearch.space import Real
from hpsearch.storage import ComparisonRecord
from hpsearch.storage.attributes import CHECKSUM, PREFIX, with_checksum
from hpsearch.storage.reading import read
from hpsearch.storage.urls import sqlite_url
from hpsearch.training import TrialQueue
from hpsearch.training.engines import make_engine
from hpsearch.training.schedules import learning_rates
from tests.comparison.test_study import config, facts, run
from tests.support.small import small_data, small_spec

RATES = Real(0.01, 1.0, log=True)
OLD = Path(__file__).parents[2] / "reports" / "mnist-compared" / "study.db"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> ComparisonRecord:
    """A small comparison with both stages and two divisions, run once."""
    return run(tmp_path_factory.mktemp("refined"), config(compare={"divisions": 2, "measured": 0}))


# ---- grids


def test_a_grid_is_half_an_octave_fine() -> None:
    """Five learning rates go from half to twice the best one of the first stage."""
    assert Grid.around(0.1, RATES).rates == (0.05, 0.07071, 0.1, 0.1414, 0.2)


def test_a_grid_ends_where_the_space_does() -> None:
    """Learning rates beyond the space are its end, which is in the grid once."""
    assert Grid.around(0.9, RATES).rates[-2:] == (0.9, 1.0)
    assert Grid.around(1.0, RATES).rates == (0.5, 0.7071, 1.0)


def test_a_grid_goes_on_beyond_a_winner_at_its_end() -> None:
    """Two more learning rates lie beyond the winner; a winner inside changes nothing, nor does one at the end of the space."""
    grid = Grid.around(0.1, RATES)
    assert grid.beyond(0.2).rates[-3:] == (0.2, 0.2828, 0.4)
    assert grid.beyond(0.05).rates[:3] == (0.025, 0.03536, 0.05)
    assert grid.beyond(0.1) == grid
    assert Grid.around(1.0, RATES).beyond(1.0).rates == (0.5, 0.7071, 1.0)
    assert [grid.end(rate) for rate in grid.rates] == ["low", None, None, None, "high"]


def test_a_plan_names_each_setting_once() -> None:
    """One setting that is the fastest and the best is trained again once; one trial with two learning rates is two settings."""
    assert ArmPlan(3, 3).winners() == {(3, None): True}
    assert ArmPlan(3, 3, {"best": 0.2}).winners() == {(3, None): True, (3, 0.2): False}
    assert ArmPlan(None, 1).winners() == {(1, None): False}


def test_a_run_that_is_cut_keeps_its_schedule() -> None:
    """A trial that ends early has the learning rates of the whole budget up to there."""
    spec = small_spec(small_data(), schedule="cosine", evaluate_at=(10, 20, 40))
    assert cut(spec, 25).evaluate_at == (10, 20)
    assert cut(spec, 3).evaluate_at == (10,)
    assert (learning_rates(cut(spec, 25), 0, 20) == learning_rates(spec, 0, 20)).all()


# ---- winners


def test_the_winner_is_the_setting_with_the_fewest_updates_on_fresh_seeds(record: ComparisonRecord) -> None:
    """Of all settings of the second stage it has the least mean log2 of the updates to the target, over the same two seeds."""
    for arm in record.arms:
        assert arm.fastest is not None
        costs: dict[float, list[float]] = {}
        for trial in arm.refined:
            assert trial.history is not None
            last = trial.history.update[-1]
            costs.setdefault(trial.params["learning_rate"], []).append(log2(min(record.passed(trial), 2 * last)))
        assert {len(values) for values in costs.values()} == {2}
        assert len(costs) >= 3
        means = {rate: fmean(values) for rate, values in costs.items()}
        assert means[arm.fastest.learning_rate] == min(means.values())
        assert "seed" not in arm.refined[0].params


@pytest.mark.slow
def test_grids_go_on_while_the_best_lies_at_an_end(tmp_path: Path) -> None:
    """From far below the best learning rate, fastest and best both climb: the grid grows twice, and the edge that is left is told."""
    slow = config(
        space={"learning_rate": {"low": 0.001, "high": 0.9, "log": True}},
        training={"epochs": 3},
        compare={"batch_sizes": ["full"], "trials": 2, "seeds": 2, "measured": 0, "target": 0.2},
        search={"sampler": "random"},
    )
    (arm,) = run(tmp_path, slow).arms
    assert arm.best is not None
    by_trial: dict[float, int] = {}
    for trial in arm.refined:
        by_trial[trial.params["learning_rate"]] = by_trial.get(trial.params["learning_rate"], 0) + 1
    assert len(by_trial) > 5
    assert set(by_trial.values()) == {2}
    if arm.best.learning_rate == max(by_trial):
        assert arm.best.edge == "high"
    else:
        assert arm.best.edge is None


@pytest.mark.slow
@pytest.mark.parametrize("until", ["target", "budget"])
def test_the_second_stage_finds_a_fastest_where_the_first_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: str
) -> None:
    """An arm that only reaches the target around its best setting has a fastest winner all the same."""
    monkeypatch.setattr("hpsearch.comparison.stages.fastest", lambda *_: None)
    few = {"batch_sizes": ["full"], "trials": 2, "seeds": 2, "measured": 0, "tune_until": until}
    record = run(tmp_path, config(compare=few))
    (arm,) = record.arms
    assert min(map(record.passed, arm.refined)) < inf
    assert arm.fastest is not None
    assert arm.fastest.learning_rate in {trial.params["learning_rate"] for trial in arm.refined}


def test_the_stages_have_seeds_of_their_own() -> None:
    """No run of the second stage has the seeds of a winner's run or of a trial."""
    spec = small_spec(small_data())
    fresh = {replicate(spec, 0, number).seed for number in range(50)}
    refined = {replicate(spec, 0, number, STREAM).seed for number in range(50)}
    orders = {replicate(spec, 0, number).order_seed for number in range(50)}
    assert not fresh & refined
    assert not orders & {replicate(spec, 0, number, STREAM).order_seed for number in range(50)}


@pytest.mark.slow
def test_without_a_second_stage_the_first_decides(tmp_path: Path) -> None:
    """With refine = 0 the winners are trials of the first stage, and nothing is refined."""
    plain = run(tmp_path, config(compare={"batch_sizes": ["full"], "trials": 2, "refine": 0, "measured": 0}))
    (arm,) = plain.arms
    assert not arm.refined
    assert arm.fastest is not None
    assert arm.fastest.learning_rate == arm.trials[arm.fastest.trial].params["learning_rate"]


@pytest.mark.slow
def test_a_listed_learning_rate_is_not_refined(tmp_path: Path) -> None:
    """Where the learning rates are a list there is none between them: the first stage decides."""
    listed = config(space={"learning_rate": [0.1, 0.5]}, compare={"batch_sizes": ["full"], "trials": 2, "measured": 0})
    (arm,) = run(tmp_path, listed).arms
    assert not arm.refined
    assert arm.fastest is not None


@pytest.mark.slow
def test_schedules_are_tuned_alike_by_one_line(tmp_path: Path) -> None:
    """With schedules in the space of an optimizer every batch size tries the same settings, and record and page have the winner's."""
    line = {"space": {"sgd": {"schedule": ["constant", "cosine"]}}}
    few = {"batch_sizes": [16, "full"], "trials": 6, "seeds": 2, "measured": 0}
    tuned = run(tmp_path, config(compare={**few, **line, "tune_until": "target"}))
    tried = [[trial.params for trial in arm.trials] for arm in tuned.arms]
    assert tried[0] == tried[1]
    assert {params["schedule"] for params in tried[0]} == {"constant", "cosine"}
    for arm in tuned.arms:
        assert arm.fastest is not None
        kept = arm.trials[arm.fastest.trial].params["schedule"]
        assert arm.fastest.params["schedule"] == kept
        assert {run.params["schedule"] for run in arm.refined} == {kept}
    page = write_comparison(tuned, tmp_path).read_text()
    assert "schedule: constant, cosine" in page
    assert f"schedule {tuned.arms[0].fastest and tuned.arms[0].fastest.params['schedule']}" in page


# ---- divisions


def test_each_run_of_a_winner_is_on_its_own_division(record: ComparisonRecord, tmp_path: Path) -> None:
    """Run k is the reference's run on division k of the rows, and its scores are those of that division's rows."""
    data = prepare_data(config(compare={"divisions": 2}), RunOptions(tmp_path, ""))
    assert record.divisions == 2
    assert record.own_rows
    arm = record.arms[-1]
    assert arm.fastest is not None
    settings = check_config(
        {key: arm.settings[key] for key in ("study", "data", "space", "training", "compare")}, "arm"
    )
    spec = recorded_specification(settings, arm.fastest.params, arm.fastest.trial, data)
    for number, stored in enumerate(arm.fastest.runs):
        own = data.fold(1 + number)
        source = TrialQueue([replace(replicate(spec, 0, number), batch_size=len(own.training))])
        make_engine("reference", own, 1).run(source)
        again = source.runs[number]
        assert stored.history is not None
        assert again.history.validation_loss == pytest.approx(stored.history.validation_loss, rel=1e-3)
        other = data.fold(2 - number)
        assert own.validation.inputs.shape == other.validation.inputs.shape
        assert not own.validation.inputs.equal(other.validation.inputs)


@pytest.mark.slow
def test_tuning_is_on_the_first_division(tmp_path: Path) -> None:
    """The trials of both stages of tuning are those of a comparison whose winners are judged otherwise."""
    few = {"batch_sizes": ["full"], "trials": 2, "measured": 0, "seeds": 2}
    one = run(tmp_path / "one", config(compare={**few, "divisions": 1})).arms[0]
    three = run(tmp_path / "three", config(compare={**few, "divisions": 3})).arms[0]
    for before, now in zip((*one.trials, *one.refined), (*three.trials, *three.refined), strict=True):
        assert before.history is not None
        assert now.history is not None
        assert before.history.metric == now.history.metric
    assert one.fastest is not None
    assert three.fastest is not None
    assert one.fastest.runs[0].history != three.fastest.runs[0].history


# ---- comparisons of before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("divisions", "rows", "told"),
    [
        (2, {"validation": 30}, ("Run k is on division k of 2", "may have been a training row of tuning")),
        (1, {"validation": 30}, ("The validation rows that tuned also say when",)),
    ],
)
def test_the_page_says_which_rows_judge(
    tmp_path: Path, divisions: int, rows: dict[str, Any], told: tuple[str, ...]
) -> None:
    """Divisions and drawn test rows are named; so are rows that both tune and judge."""
    few = {"batch_sizes": ["full"], "trials": 2, "seeds": 2, "measured": 0, "refine": 0}
    page = write_comparison(
        run(tmp_path, config(data=rows, compare={**few, "divisions": divisions})), tmp_path
    ).read_text()
    for sentence in told:
        assert sentence in page


@pytest.mark.slow
def test_half_of_the_last_rows_judges_where_they_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Winners' runs see the other half of validation rows that lie fast; training and test rows are the same; the page says so."""
    monkeypatch.setattr("hpsearch.data.splits.FEWEST_HALVED", 60)
    few = {"batch_sizes": ["full"], "trials": 2, "seeds": 2, "measured": 0, "refine": 0, "target": 75.0}
    rows = {"name": "diabetes", "validation": "last:60"}
    halves = run(tmp_path / "halves", config(data=rows, compare=few))
    whole = run(tmp_path / "whole", config(data=rows, compare={**few, "divisions": 1}))
    assert (halves.divisions, halves.own_rows, halves.data["rows"]["validation"]) == (1, True, 30)
    assert (whole.divisions, whole.own_rows, whole.data["rows"]["validation"]) == (1, False, 60)
    assert "They were halved: 30 rows tuned" in write_comparison(halves, tmp_path / "halves").read_text()
    found = [record.arms[0].best for record in (halves, whole)]
    assert all(best is not None for best in found)
    first, second = (best.runs[0].history for best in found if best is not None)
    assert first is not None
    assert second is not None
    shared = slice(0, min(len(first), len(second)))
    assert first.training_loss[shared] == pytest.approx(second.training_loss[shared], rel=1e-5)
    assert first.metric[shared] != second.metric[shared]


def forget_protocol(url: str) -> None:
    """Take second stage and divisions out of all stored settings, as an earlier version wrote them."""
    storage = optuna.storages.RDBStorage(url)
    for study in storage.get_all_studies():
        settings: dict[str, Any] | None = study.user_attrs.get(f"{PREFIX}settings")
        if settings is None:
            continue
        plain = {key: value for key, value in settings.items() if key != CHECKSUM}
        plain["compare"] = {key: value for key, value in plain["compare"].items() if key not in ("refine", "divisions")}
        storage.set_study_user_attr(study._study_id, f"{PREFIX}settings", with_checksum(plain, "settings"))


@pytest.mark.slow
def test_a_comparison_of_before_goes_on_as_it_was(tmp_path: Path) -> None:
    """Without a word on a second stage or divisions it has none, twice in a row; a file that names one is refused."""
    few = {"batch_sizes": [16, "full"], "trials": 2, "measured": 0}
    before = run(tmp_path, config(compare={**few, "refine": 0, "divisions": 1}))
    forget_protocol(sqlite_url(tmp_path / "study.db"))
    assert facts(run(tmp_path, config(compare=few))) == facts(before)
    again = run(tmp_path, config(compare={**few, "seeds": 3}))
    assert (again.divisions, again.own_rows) == (1, False)
    assert all(not arm.refined and arm.fastest and len(arm.fastest.runs) == 3 for arm in again.arms)
    with pytest.raises(UserError, match=r"compare\.refine was 0, now 2"):
        run(tmp_path, config(compare={**few, "refine": 2}))


@pytest.mark.skipif(not OLD.is_file(), reason="the recorded comparison is not here")
def test_a_recorded_comparison_opens_with_the_protocol_of_its_time() -> None:
    """A comparison says itself how it was tuned and divided; what its file leaves out is taken from there."""
    record = read(sqlite_url(OLD))
    assert isinstance(record, ComparisonRecord)
    stored = {"refine": 0, "divisions": 1} | record.settings["compare"]
    asked, _ = read_comparison("compare-digits", [("study.name", record.name)])
    assert isinstance(asked, StudyConfig)
    kept = with_recorded_protocol(asked, RunOptions(OLD.parent, sqlite_url(OLD))).compare
    assert kept is not None
    assert (kept.refine, kept.divisions) == (stored["refine"], stored["divisions"])
    assert bool(record.arms[0].refined) == bool(stored["refine"])
    assert inf not in [record.passed(run) for arm in record.arms if arm.fastest for run in arm.fastest.runs[:1]]
