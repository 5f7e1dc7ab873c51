"""Tables: built from a record alone, declared columns, safe and complete files."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpsearch.files import inert
from hpsearch.locales import ENGLISH
from hpsearch.reporting.formatting import MetricFormat, domain, duration, number, share, visible
from hpsearch.reporting.importance import ENOUGH, importances
from hpsearch.reporting.ranking import ranked
from hpsearch.reporting.tables import TABLES, frames
from hpsearch.reporting.tables.space import edge
from hpsearch.reporting.tables.writing import cells, write
from hpsearch.storage import StudyRecord, TrialRecord
from tests.support.records import confirmed, study, trials, unfinished


@pytest.fixture(scope="module")
def record() -> StudyRecord:
    return study()


def _failed(count: int) -> StudyRecord:
    lost = tuple(replace(t, outcome="diverged", state="complete", value=0.0) for t in trials(count))
    return replace(study(0), trials=lost)


@pytest.mark.parametrize(
    "made", [study(0), study(1), study(2), _failed(6), unfinished(), replace(study(0), trials=unfinished().trials[-3:])]
)
def test_every_table_is_built_for_every_state_of_a_study(made: StudyRecord) -> None:
    """Empty, one trial, all failed, only running: each table exists with the columns that it declares."""
    built = frames(made)
    assert list(built) == list(TABLES)
    for name, table in TABLES.items():
        declared = [column.name for column in table.columns if not column.name.startswith("<")]
        assert [column for column in built[name].columns if column in declared] == declared, name


def test_columns_say_their_meaning() -> None:
    """Every declared column has a meaning in words, and the names of a table are distinct."""
    for table in TABLES.values():
        assert all(column.meaning for column in table.columns)
        assert len({column.name for column in table.columns}) == len(table.columns)


def test_trials_table_keeps_whole_numbers_and_gaps(record: StudyRecord) -> None:
    """Depth stays an integer, momentum is empty where the optimizer has none, and "full" stands beside batch sizes."""
    table = frames(record)["trials"]
    assert str(table["depth"].dtype) == "Int64"
    assert table["momentum"].isna().sum() == sum("momentum" not in trial.params for trial in record.trials)
    assert {16, "full"} <= set(table["batch_size"])


def test_leaderboard_ranks_only_trained_trials_and_each_once(record: StudyRecord) -> None:
    """Diverged, pruned and repeated trials are no leaders; a minimised metric is ranked the other way."""
    repeat = replace(record.trials[26], number=64, repeats=26)
    board = frames(replace(record, trials=(*record.trials, repeat)))["leaderboard"]
    allowed = {t.number for t in record.trials if t.outcome in ("finished", "stopped early")}
    assert set(board["trial"]) <= allowed
    assert list(board["value"]) == sorted(board["value"], reverse=True)
    assert board["trial"].iloc[0] == record.result["trial"]
    upside_down = frames(replace(record, direction="minimize"))["leaderboard"]
    assert list(upside_down["value"]) == sorted(upside_down["value"])


def test_progress_never_gets_worse_and_ends_at_the_best(record: StudyRecord) -> None:
    """On each of the three axes the best value so far only improves, and all three end alike."""
    progress = frames(record)["progress"]
    for _, part in progress.groupby("axis"):
        assert part["best"].dropna().is_monotonic_increasing
        assert part["position"].is_monotonic_increasing
        assert part["best"].iloc[-1] == pytest.approx(record.result["validation"])


def test_curves_table_has_every_evaluation(record: StudyRecord) -> None:
    """The long form holds exactly the histories' entries."""
    assert len(frames(record)["curves"]) == sum(len(trial.history or ()) for trial in record.trials)


def test_timeline_never_puts_two_trials_in_one_place_at_once(record: StudyRecord) -> None:
    """Trials of one place follow each other, and as many places are used as ran at the same time."""
    timeline = frames(record)["timeline"]
    assert timeline["place"].max() == 4
    for _, part in timeline.groupby("place"):
        ordered = part.sort_values("start")
        assert (ordered["start"].to_numpy()[1:] >= ordered["end"].to_numpy()[:-1] - 1e-6).all()


def test_parameters_add_up_to_the_network(record: StudyRecord) -> None:
    """The tensors' counts sum to the network's parameters; every hyperparameter names who set it."""
    table = frames(record)["parameters"]
    learned = table[table["kind"] == "parameter"]
    assert learned["count"].sum() == record.result["parameters"]
    assert table["set_by"].notna().all()
    assert "kaiming_normal" in set(table["value"])


@pytest.mark.parametrize(
    ("wanted", "value", "expected"),
    [
        ({"low": 1e-4, "high": 0.1, "log": True}, 0.09, "high"),
        ({"low": 1e-4, "high": 0.1, "log": True}, 1.2e-4, "low"),
        ({"low": 1e-4, "high": 0.1, "log": True}, 0.003, ""),
        ({"low": 0.0, "high": 0.5}, 0.0, ""),
        ({"low": 0, "high": 4}, 4, "high"),
        ({"low": 3, "high": 3}, 3, ""),
        (["a", "b"], "a", ""),
        (None, 3.0, ""),
    ],
)
def test_edge_is_five_percent_on_the_scale_of_the_range(wanted: object, value: object, expected: str) -> None:
    """A logarithmic range is measured logarithmically, and a natural limit of 0 is no edge."""
    assert edge(wanted, value) == expected


def test_text_cells_cannot_become_formulas_and_numbers_stay(tmp_path: Path, record: StudyRecord) -> None:
    """A cell or heading that begins with = + - @ TAB or CR is written behind a quote; negative numbers are untouched."""
    evil = '=HYPERLINK("http://x")'
    hostile = TrialRecord(
        0, "complete", {evil: "@cmd", "x": -1.5}, outcome="finished", detail="\t=1+1", value=-0.5, seconds=1.0
    )
    write(frames(replace(record, trials=(hostile,), result={})), tmp_path)
    with (tmp_path / "trials.csv").open(newline="", encoding="utf-8") as file:
        head, row = list(csv.reader(file))
    assert f"'{evil}" in head
    assert {"'@cmd", "'\t=1+1", "-1.5", "-0.5"} <= set(row)
    assert [inert(text) for text in ("-x", "+1", "\rx", "a=b")] == ["'-x", "'+1", "'\nx", "a=b"]


def test_files_are_replaced_whole(tmp_path: Path, record: StudyRecord) -> None:
    """Every table that applies becomes a file, the columns are explained in one, nothing temporary is left behind."""
    built = frames(record)
    write(built, tmp_path)
    write(built, tmp_path, MetricFormat.of(record))
    applies = {name for name, table in TABLES.items() if len(built[name]) or not table.optional}
    wanted = {f"{name}.csv" for name in applies} | {"columns.csv", "leaderboard.md"}
    assert {path.name for path in tmp_path.iterdir()} == wanted
    assert (tmp_path / "leaderboard.md").read_text(encoding="utf-8").count("\n") == 12


def test_a_table_that_does_not_apply_has_no_file(tmp_path: Path, record: StudyRecord) -> None:
    """Single predictions are of a regression, confusions of a classification; a header without rows is neither written nor left."""
    points = {"rows": "test", "count": 1, "networks": 1, "targets": 1, "points": [[1.0, 2.0]], "tenths": []}
    classes = {"rows": "test", "count": 3, "networks": 1, "classes": ["a", "b"], "confusion": [[1, 0], [1, 1]]}
    for told, there, absent in (
        (points, "predictions", {"confusion", "errors", "pareto"}),
        (classes, "confusion", {"predictions", "errors", "pareto"}),
    ):
        write(frames(replace(record, result={**record.result, "predicted": told})), tmp_path)
        names = {path.stem for path in tmp_path.glob("*.csv")}
        assert there in names
        assert not absent & names
        with (tmp_path / "columns.csv").open(newline="", encoding="utf-8") as file:
            explained = {row["table"] for row in csv.DictReader(file)}
        assert explained == names - {"columns"}


def test_hyperparameter_named_like_a_column_keeps_both(record: StudyRecord) -> None:
    """A hyperparameter called "value" does not overwrite the trial's value."""
    odd = TrialRecord(0, "complete", {"value": 3, "trial": "x"}, outcome="finished", value=0.5)
    table = frames(replace(record, trials=(odd,), result={}))["trials"]
    assert (table["value"].iloc[0], table["value (hyperparameter)"].iloc[0]) == (0.5, 3)


def test_importance_finds_what_matters_and_is_reproducible(record: StudyRecord) -> None:
    """The learning rate leads in a study made so; shares add up to 1 inside their intervals; twice the same numbers."""
    first = importances(record)
    shares = {row.name: row.share or 0.0 for row in first}
    assert max(shares, key=shares.__getitem__) == "learning_rate"
    assert sum(shares.values()) == pytest.approx(1.0)
    assert all((row.low or 0) <= (row.share or 0) <= (row.high or 0) for row in first)
    assert first == importances(record)


def one_matters(record: StudyRecord, seed: int) -> StudyRecord:
    """A study of 60 random trials in which x makes the value, and y, z play no part."""
    draws = np.random.default_rng(seed).uniform(size=(60, 4))
    trials = tuple(
        TrialRecord(k, "complete", {"x": x, "y": y, "z": z}, "finished", value=-((x - 0.3) ** 2) + 0.05 * noise)
        for k, (x, y, z, noise) in enumerate(draws.tolist())
    )
    space = {name: {"low": 0.0, "high": 1.0} for name in "xyz"}
    return replace(record, trials=trials, result={}, settings={**record.settings, "space": space}, direction="maximize")


@pytest.mark.slow
def test_the_interval_of_what_does_not_matter_begins_at_0(record: StudyRecord) -> None:
    """Over 20 studies the importance of what plays no part may be 0 in 90 % at least, that of what makes the value in 20 % at most."""
    found = [{row.name: row for row in importances(one_matters(record, seed), resamples=10)} for seed in range(20)]
    assert sum(rows[name].low == 0 for rows in found for name in "yz") >= 0.9 * 40
    assert sum(rows["x"].low == 0 for rows in found) <= 0.2 * 20


def test_importance_says_why_it_is_unknown(record: StudyRecord) -> None:
    """Below 20 trials with a value, for a rare conditional hyperparameter and for a constant one there is a reason, no number."""
    few = importances(replace(record, trials=record.trials[: ENOUGH - 1]))
    assert all(row.share is None and "not enough evidence" in row.note for row in few)
    rare = tuple(
        replace(t, params={**t.params, "same": 1, **({"rare": 2.0} if t.number < 4 else {})}) for t in record.trials
    )
    notes = {row.name: row.note for row in importances(replace(record, trials=rare), resamples=2)}
    assert "not enough evidence: 4 trials with a value had it" in notes["rare"]
    assert notes["same"] == "never varied"


def test_numbers_are_written_for_readers() -> None:
    """Four digits, separators, units, no hidden characters."""
    assert [number(x) for x in (85002, 0.00276312, 1e-6, 12345.6, 0.0, -0.5, float("nan"), None)] == [
        "85,002", "0.002763", "1×10⁻⁶", "12,346", "0", "−0.5", "not a number", "–",
    ]  # fmt: skip
    assert (ENGLISH.count("trial", 1), ENGLISH.count("trial", 0), duration(7300)) == (
        "1 trial",
        "no trials",
        "2\u00a0h 1\u00a0min",
    )
    assert [duration(seconds).replace("\u00a0", " ") for seconds in (0.0, 4.5e-6, 0.00049, 0.062, 0.1, 4.2)] == [
        "0 s", "4.5 µs", "0.49 ms", "62 ms", "0.1 s", "4.2 s",
    ]  # fmt: skip
    shares = [share(part).replace("\u00a0", " ") for part in (0, 0.004, 0.254, 0.998, 0.99996, 1)]
    assert shares == ["0 %", "0.4 %", "25 %", "99.8 %", "99.996 %", "100 %"]
    assert [number(x) for x in (10**20, -3 * 10**15, 1.09e20)] == ["1×10²⁰", "−3×10¹⁵", "1.09×10²⁰"]
    assert domain({"low": 1, "high": 64, "log": True}) == "1 to 64, log scale"
    assert visible("a\x1b[2J\u202eb\n") == "a\\x1b[2J\\u202eb\\n"


def test_cells_are_readable(record: StudyRecord) -> None:
    """Values of an accuracy are percentages, empty cells empty."""
    shown = cells(frames(record)["leaderboard"], MetricFormat.of(record))
    assert shown[0][2] == "98.7\u00a0%"
    assert "nan" not in str(shown)


def test_equal_trials_rank_as_the_search_ranks_them(record: StudyRecord) -> None:
    """Among trials of one value the lower validation loss leads, so that the best network is the first of the leaders."""
    first = ranked(record)[0]
    twin = replace(first, number=len(record.trials), validation_loss=(first.validation_loss or 1.0) / 2)
    assert ranked(replace(record, trials=(*record.trials, twin)))[0].number == twin.number


def test_confirmed_table_has_every_run_and_marks_the_kept_network(record: StudyRecord) -> None:
    """For each confirmed trial its value in the search, five runs and their mean; the test score last; one run is the kept one."""
    made = confirmed(record, failed=True)
    table = frames(made)["confirmed"]
    assert list(table["what"][:7]) == ["search", *["fresh seed"] * 5, "mean"]
    assert len(table) == 3 * 7 + 1
    assert set(zip(table["what"], table["seed"].fillna(-1), strict=True)) >= {("test rows", 4)}
    kept = table[table["kept"] == "yes"]
    assert list(kept["what"]) == ["fresh seed", "test rows"]
    assert set(kept["trial"]) == {made.result["trial"]}
    assert table["value"].isna().sum() == 1
    assert not len(frames(record)["confirmed"])
