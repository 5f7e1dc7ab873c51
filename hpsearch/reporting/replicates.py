"""Means over fresh seeds as a reader sees them: over the runs that ended with a value, the failed ones counted beside them.

The search ranks confirmed trials by means in which a failed run has the metric's worst value, and the storage keeps those: they are a
rule of selection. As an estimate such a mean would say nothing, neither how good the network is where it trains nor how often it fails.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

from hpsearch.data.metrics import METRICS
from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.failures import endings
from hpsearch.reporting.formatting import SPACE
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import bounded_mean, difference, finite
from hpsearch.storage import StudyRecord
from hpsearch.trial import Outcome

UNKNOWN = {"value": None, "low": None, "high": None}


@lru_cache(maxsize=4)
def of_completed_runs(record: StudyRecord) -> StudyRecord:
    """Return the record with its means over completed runs alone; the record itself where no run on a fresh seed failed."""
    confirmed = record.result.get("confirmed") or []
    if not any(map(failed_runs, confirmed)):
        return record
    rows = [_of_completed(trial, record) for trial in confirmed]
    means = {row["trial"]: row for row in rows}
    result = {**record.result, "confirmed": rows}
    winner = rows[0]
    if result.get("fresh"):
        begun = result["fresh"]["runs"]
        mean = {name: winner[name] for name in UNKNOWN}
        runs = begun - failed_runs(winner).total()
        known = {**result["fresh"], **mean, "runs": runs, "begun": begun}
        result["fresh"] = known if runs > 0 else None
    result["gaps"] = {**(result.get("gaps") or {}), **_gaps(record, result, means)}
    return replace(record, result=result)


def failed_runs(trial: Mapping[str, Any]) -> Counter[str]:
    """Return how many of a confirmed trial's runs on fresh seeds failed, by outcome."""
    return Counter(run["outcome"] for run in trial["runs"] if run["value"] is None)


def failed_text(trial: Mapping[str, Any], texts: Texts = ENGLISH) -> str:
    """Return `2 of 5 diverged`, "" where no run of a confirmed trial failed."""
    counts = failed_runs(trial)
    if not counts:
        return ""
    key = "diverged" if {*counts} == {Outcome.DIVERGED} else "failed"
    failed = sum(counts.values())
    text = texts(f"search.replicates.{key}", failed=failed, runs=len(trial["runs"]), endings=endings(counts, texts))
    return text.replace(" ", SPACE)


def winner_failed(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Return how many runs of the confirmed trial with the best mean failed: `2 of 5 diverged`, "" where none did."""
    confirmed = record.result.get("confirmed") or []
    if not confirmed or record.selected.is_ensemble:
        return ""
    return failed_text(confirmed[0], texts)


def _of_completed(trial: Mapping[str, Any], record: StudyRecord) -> dict[str, Any]:
    """Return a confirmed trial with the mean over its completed runs, no mean where it has none."""
    values = [run["value"] for run in trial["runs"] if run["value"] is not None]
    if not failed_runs(trial):
        return {**trial}
    if not values:
        return {**trial, **UNKNOWN}
    metric = METRICS.get(str(record.data.get("metric")))
    perfect = metric.perfect if metric else None
    worst = record.data.get("worst")
    mean = bounded_mean(values, record.direction == "maximize", worst, perfect)
    return {**trial, **{name: finite(end) for name, end in asdict(mean).items()}}


def _gaps(record: StudyRecord, result: Mapping[str, Any], means: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the gaps that depend on a mean, over the completed runs; None where there is no such mean."""
    gaps: dict[str, Any] = {}
    searched = result.get("search") or {}
    own = _estimate(means.get(searched.get("trial", -1), {}))
    value = searched.get("value")
    if value is not None:
        gaps["search"] = _ahead(Estimate(value, value, value), own, record.direction)
    if not record.selected.is_ensemble:
        gaps["test"] = _ahead(
            _estimate(result.get("fresh") or {}), _estimate(result.get("test") or {}), record.direction
        )
    return gaps


def _estimate(known: Mapping[str, Any]) -> Estimate | None:
    ends = [known.get(name) for name in UNKNOWN]
    return None if None in ends else Estimate(*map(float, ends))  # type: ignore[arg-type]


def _ahead(first: Estimate | None, second: Estimate | None, direction: str) -> dict[str, float] | None:
    """Return how much better the first estimate is, None where one of them or an end of its interval is not known."""
    if first is None or second is None:
        return None
    if direction == "maximize":
        return asdict(difference(first, second))
    return asdict(difference(second, first))
