"""Failed runs on fresh seeds: counted and said, never averaged in; what is recorded stays as it is."""

from dataclasses import replace
from typing import Any

import pytest

from hpsearch.reporting import page
from hpsearch.reporting.replicates import failed_text, of_completed_runs
from hpsearch.reporting.tables import frames
from hpsearch.storage import StudyRecord
from tests.support.prose import prose
from tests.support.records import confirmed, study


def losing(seeds: dict[int, str], *, place: int = 0) -> StudyRecord:
    """Return a confirmed study in which these seeds of the trial at a place failed, its mean as the search's rule has it."""
    record = confirmed(study())
    rows: list[dict[str, Any]] = [
        {**row, "runs": [{**run} for run in row["runs"]]} for row in record.result["confirmed"]
    ]
    for seed, outcome in seeds.items():
        rows[place]["runs"][seed] |= {"outcome": outcome, "value": None}
    values = [run["value"] or 0.0 for run in rows[place]["runs"]]
    rows[place] |= {"value": sum(values) / 5, "low": 0.0, "high": 1.0}
    fresh = {**record.result["fresh"], **{name: rows[0][name] for name in ("value", "low", "high")}}
    return replace(record, result={**record.result, "confirmed": rows, "fresh": fresh})


def test_a_mean_is_over_the_runs_that_ended_with_a_value() -> None:
    """Two of five diverged: the mean and its interval are those of the other three, the result as recorded is untouched."""
    record = losing({0: "diverged", 3: "diverged"})
    before = record.result["confirmed"][0]["value"]
    shown = of_completed_runs(record)
    rest = [run["value"] for run in shown.result["confirmed"][0]["runs"] if run["value"] is not None]
    assert shown.selected.mean is not None
    assert shown.selected.mean.value == pytest.approx(sum(rest) / 3)
    assert shown.selected.mean.count == 3
    low, high = shown.selected.mean.low, shown.selected.mean.high
    assert low is not None
    assert high is not None
    assert 0.9 < low <= shown.selected.mean.value <= high <= 1.0
    assert record.result["confirmed"][0]["value"] == before
    assert of_completed_runs(confirmed(whole := study())).result["trial"] != whole.result["trial"]  # and nothing else


def test_the_page_says_how_many_diverged_and_never_shows_the_worst_value() -> None:
    """The result, the notes and the figure's line say "2 of 5 diverged"; a mean with a worst value of 0 is nowhere."""
    record = losing({0: "diverged", 3: "diverged"})
    html = page(record, frames(record))
    seen = prose(html)
    assert "mean over 3 fresh seeds, 2 of 5 diverged" in seen
    assert "Its mean is over the other 3" in seen
    assert "0.0 to 100.0 %" not in seen
    table = frames(record)["confirmed"]
    assert table.loc[table["what"] == "mean", "runs"].tolist() == [3, 5, 5]


@pytest.mark.parametrize(
    ("seeds", "text"),
    [
        ({}, ""),
        ({1: "diverged"}, "1 of 5 diverged"),
        ({1: "diverged", 2: "out of memory"}, "2 of 5 failed (1 diverged and 1 out of memory)"),
    ],
)
def test_failed_runs_in_words(seeds: dict[int, str], text: str) -> None:
    """Runs that all diverged are said so; of several outcomes each is counted."""
    row = losing(seeds).result["confirmed"][0]
    assert failed_text(row).replace("\u00a0", " ") == text


@pytest.mark.parametrize("place", [0, 1])
def test_a_trial_without_a_completed_run_has_no_mean(place: int) -> None:
    """All five diverged: the page says so, and shows no mean, no interval and no gap for that trial."""
    record = losing(dict.fromkeys(range(5), "diverged"), place=place)
    shown = of_completed_runs(record)
    assert shown.result["confirmed"][place]["value"] is None
    seen = prose(page(record, frames(record)))
    assert "5 of 5 diverged, so it has no mean there" in seen
    assert "None" not in seen
