"""What a careful reader would object to a result, each in a sentence with its numbers. Standard library only."""

from collections.abc import Mapping, Sequence
from typing import Any

from hpsearch.reporting.formatting import MetricFormat, number, readable, share
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.phrases import usable_trials
from hpsearch.reporting.ranking import ended, ranked, usable
from hpsearch.reporting.summary import settings_of
from hpsearch.reporting.trust import baseline_warning
from hpsearch.storage import StudyRecord

FEW = 20  # usable trials
LOST = 0.3  # share of failed trials that is worth a warning
OUTCOMES = ("diverged", "out of memory", "killed its worker")


def warnings(record: StudyRecord, edges: Sequence[Mapping[str, Any]], texts: Texts = ENGLISH) -> list[str]:
    """Return the warnings, the most basic ones first.

    Args:
        record: the study.
        edges: the rows of the table of hyperparameters that lie at an edge of their range.
        texts: the sentences' language.
    """
    found = [
        _unfinished(record, texts),
        _few(record, texts),
        _failed(record, texts),
        *_edges(record, edges, texts),
        _repeats(record, texts),
        _ties(record, texts),
        *_replicates(record, texts),
        _optimism(record, texts),
        baseline_warning(record, MetricFormat.of(record), texts),
    ]
    return [line for line in found if line]


def _count_ended(record: StudyRecord) -> int:
    return sum(ended(trial) for trial in record.trials)


def _unfinished(record: StudyRecord, texts: Texts) -> str:
    if record.result:
        return ""
    running = sum(trial.state == "running" for trial in record.trials)
    amount = _count_ended(record)
    wanted = settings_of(record, "search").get("trials")
    values = {"date": record.as_of, "ended": f"{amount:,}", "running": texts.count("running", running)}
    if not isinstance(wanted, int):
        return texts("search.warning.running", **values)
    if amount >= wanted and not running and settings_of(record, "confirm").get("trials"):
        return texts("search.warning.replicating", date=record.as_of)
    return texts("search.warning.running_of", wanted=f"{wanted:,}", **values)


def _few(record: StudyRecord, texts: Texts) -> str:
    amount, trained = _count_ended(record), len(ranked(record))
    if amount == 1 and not trained:
        return texts("search.warning.none_of_one")
    if amount and not trained:
        return texts("search.warning.none", trials=texts.count("ended_trial", amount))
    if 0 < trained < FEW:
        return texts("search.warning.few", trials=usable_trials(record, texts))
    return ""


def _failed(record: StudyRecord, texts: Texts) -> str:
    outcomes = [trial.outcome for trial in record.trials if ended(trial)]
    for outcome in OUTCOMES:
        lost = outcomes.count(outcome)
        if lost > LOST * len(outcomes):
            key = f"search.warning.{outcome.replace(' ', '_')}"
            return texts(key, share=share(lost / len(outcomes)), trials=f"{lost:,}")
    return ""


def _edges(record: StudyRecord, edges: Sequence[Mapping[str, Any]], texts: Texts) -> list[str]:
    which = "selected" if record.result else "best"
    return [
        texts(
            f"search.warning.edge_{which}_{row['edge']}",
            name=readable(row["hyperparameter"], 60),
            value=number(row["best"]),
            domain=row["domain"],
        )
        for row in edges
    ]


def _repeats(record: StudyRecord, texts: Texts) -> str:
    repeated = sum(trial.repeats is not None for trial in record.trials)
    if repeated:
        return texts("search.warning.repeats", trials=texts.count("trial", repeated))
    return ""


def _ties(record: StudyRecord, texts: Texts) -> str:
    """Say how many trials the validation rows cannot tell from the best."""
    metric, leaders = MetricFormat.of(record), ranked(record)
    rows = (record.data.get("rows") or {}).get("validation") or 0
    if not metric.percent or not rows or len(leaders) < 2:
        return ""
    first = leaders[0]
    top = first.value or 0.0
    share_right = min(max(top, 0.5 / rows), 1 - 0.5 / rows)
    error = first.standard_error or (share_right * (1 - share_right) / rows) ** 0.5
    near = sum(usable(trial) and top - (trial.value or 0.0) <= error for trial in leaders[1:])
    if not near:
        return ""
    if near == 1:
        others = texts("search.warning.one_other")
    else:
        others = texts("search.warning.others", trials=f"{near:,}")
    values = {"others": others, "error": metric.gap(error, 0)}
    if first.standard_error:
        return texts("search.warning.tied_folds", folds=len(first.folds), **values)
    return texts("search.warning.tied_rows", rows=f"{rows:,}", **values)


def _replicates(record: StudyRecord, texts: Texts) -> list[str]:
    """Say what weakens the runs on fresh seeds: none, failed ones, fewer than were asked for."""
    fresh = record.result.get("fresh")
    if not fresh:
        missing = record.result and settings_of(record, "confirm").get("trials")
        return [texts("search.warning.no_replicate")] if missing else []
    winner = record.result["confirmed"][0]
    found = []
    failed = sum(run["value"] is None for run in winner["runs"])
    if failed:
        runs = texts.count("run", len(winner["runs"]))
        found.append(texts("search.warning.failed_replicates", failed=failed, runs=runs, trial=winner["trial"]))
    if fresh["runs"] < fresh["asked"]:
        found.append(texts("search.warning.few_replicates", runs=fresh["runs"], wanted=fresh["asked"]))
    return found


def _optimism(record: StudyRecord, texts: Texts) -> str:
    """Say where the validation value, or its mean over fresh seeds, lies outside the test rows' interval."""
    metric, result = MetricFormat.of(record), record.result
    test, fresh = record.selected.test, record.selected.mean
    if test is None:
        return ""
    value, low, high = fresh.value if fresh else result.get("validation"), test.low, test.high
    if value is None or low is None or high is None or low <= value <= high:
        return ""
    if record.selected.is_ensemble and not fresh:  # an ensemble that was never scored on validation rows
        return ""
    what = texts(
        "search.warning.mean" if fresh else "search.warning.value", metric=metric.name, value=metric.text(value)
    )
    values = {"what": what, "interval": metric.between(low, high)}
    if not (metric.better(value, low) and metric.better(value, high)):
        return texts("search.warning.worse_than_test", **values)
    if fresh:
        return texts("search.warning.mean_above_test", **values)
    return texts("search.warning.value_above_test", trials=usable_trials(record, texts), **values)
