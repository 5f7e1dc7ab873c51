"""What a result is worth, in sentences: the search's best value, the mean over fresh seeds, the test rows. Standard library only."""

from collections.abc import Mapping
from typing import Any

from hpsearch.reporting.formatting import SPACE, MetricFormat, best, count, ranked, tally
from hpsearch.reporting.selection import looked
from hpsearch.storage import StudyRecord
from hpsearch.storage.results import networks_of, test_of


def honesty(record: StudyRecord) -> str:
    """Say what the values are worth, the honest ones beside the flattering ones."""
    trained = len(ranked(record))
    if not trained:
        return ""
    text = _over_folds(record)
    if record.result.get("fresh"):
        return f"{text}{_three(record)} {_expect(record)}"
    if trained > 1:
        text += f"The validation value is the best of {tally(record)} and so tends to be too good. "
    return f"{text}{_expect(record)}"


def _over_folds(record: StudyRecord) -> str:
    """Say that the best value is a mean over folds, and how sure that makes it."""
    metric, leader = MetricFormat.of(record), best(record)
    if leader is None or leader.standard_error is None:
        return ""
    return (
        f"Cross-validated: {metric.name} {metric.text(leader.value)} ± {metric.text(leader.standard_error)} is trial {leader.number}'s "
        f"mean over {len(leader.folds)} folds ± its standard error, a rough one, since folds share training rows. "
    )


def _unknown(record: StudyRecord) -> str:
    if (record.data.get("rows") or {}).get("test") == 0:
        return "No test rows were held out, so nothing unbiased is known of how good the network is on new rows."
    return "The test rows have not been used yet, so how good the network is on new rows is not known."


def _three(record: StudyRecord) -> str:
    """Say the search's best value, what the same hyperparameters reach on fresh seeds, and what the test rows say."""
    metric, result = MetricFormat.of(record), record.result
    searched, fresh = result["search"], result["fresh"]
    own = next((trial for trial in result["confirmed"] if trial["trial"] == searched["trial"]), fresh)
    value = f"The search's best value was {metric.text(searched['value'])}"
    text = f"{value}; on fresh seeds the same hyperparameters reach {_estimate(metric, own)}"
    test, ensemble = test_of(result), len(networks_of(result)) > 1
    tested = f"{'the ensemble ' * ensemble}on test rows {_estimate(metric, test)}" if test else ""
    if searched["trial"] == result["trial"]:
        return f"{text}; {tested}." if tested else f"{text}."
    chosen = "and is the one that was chosen" + " as the single network" * ensemble + (f"; {tested}" if tested else "")
    return f"{text}. Trial {result['trial']} has the best mean, {_estimate(metric, fresh)}, {chosen}."


def _estimate(metric: MetricFormat, found: Mapping[str, Any]) -> str:
    if found.get("low") is None or found.get("high") is None:
        return metric.text(found["value"])
    if found["low"] == found["high"]:
        return f"{metric.text(found['value'])} (nothing varied)"
    return f"{metric.text(found['value'])} ({metric.between(found['low'], found['high'])})"


def _expect(record: StudyRecord) -> str:
    if not test_of(record.result):
        return _unknown(record)
    return f"{looked(record.result)} Expect the test value on new rows like these."


def mean_box(metric: MetricFormat, fresh: Mapping[str, Any], kind: str = "fresh") -> tuple[str, str, str]:
    """Return the mean over fresh seeds as (name, value, remark)."""
    remark = f"mean over {count(fresh['runs'], f'{kind} seed').replace(' ', SPACE)}"
    if fresh.get("low") is not None and fresh.get("high") is not None:
        remark += f", 95{SPACE}% interval {metric.between(fresh['low'], fresh['high'])}"
    return f"validation {metric.name}", metric.text(fresh["value"]), remark


def cautions(record: StudyRecord) -> list[str]:
    """Return what a careful reader would object to the confirmation."""
    fresh = record.result.get("fresh")
    if not fresh:
        asked = (record.settings.get("confirm") or {}).get("trials")
        said = "No run on a fresh seed was told before the time was up: the best value is the search's own, which tends to be too good."
        return [said] if record.result and asked else []
    winner = record.result["confirmed"][0]
    failed = sum(run["value"] is None for run in winner["runs"])
    found = []
    if failed:
        found.append(
            f"{failed} of {count(len(winner['runs']), 'run')} of trial {winner['trial']} on fresh seeds failed; in the mean each counts "
            "with the metric's worst value."
        )
    if fresh["runs"] < fresh["asked"]:
        found.append(
            f"The time was up after {fresh['runs']} of {fresh['asked']} fresh seeds; the same command goes on."
        )
    return found
