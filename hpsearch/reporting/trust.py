"""What a result is worth, in sentences: the search's best value, the mean over fresh seeds, the test rows, the trivial predictor.

`warnings` are what a careful reader would object to it, each with its numbers.

Standard library only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hpsearch.data.metrics import METRICS
from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.formatting import SPACE, MetricFormat, domain, identifier, number, share, visible
from hpsearch.reporting.ranking import best, ended, ranked, settings_of, space_of
from hpsearch.reporting.replicates import failed_runs, failed_text
from hpsearch.reporting.selection import ROUNDING, usable_trials, uses_of_test_rows
from hpsearch.storage import StudyRecord
from hpsearch.storage.records import FAILED, INFINITE, Score
from hpsearch.trial import Outcome

SHOWN = 3  # targets whose means are named
FEW = 20  # usable trials
FEW_ROWS = 100  # below which an interval by bootstrap tends to be too short
LOST = 0.3  # share of failed trials that is worth a warning
OUTCOMES = ("diverged", "out of memory", "killed its worker", "raised an error", "out of time", FAILED, INFINITE)


def honesty(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say what the values are worth, the honest ones beside the flattering ones."""
    if not ranked(record) or not record.result.get("fresh"):
        return expectation(record, texts)
    searched = search_and_replicates(record, texts)
    return " ".join(filter(None, [_over_folds(record, texts), *searched, _on_new_rows(record, texts)]))


def expectation(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say what to expect on new rows, where the values on fresh seeds are shown elsewhere; "" without a usable trial."""
    usable = len(ranked(record))
    if not usable:
        return ""
    flattering = ""
    if usable > 1 and not record.result.get("fresh"):
        flattering = texts("search.trust.best_of_many", trials=usable_trials(record, texts))
    return " ".join(filter(None, [_over_folds(record, texts), flattering, _on_new_rows(record, texts)]))


def _on_new_rows(record: StudyRecord, texts: Texts) -> str:
    if record.selected.test:
        return texts("search.trust.expect", uses=uses_of_test_rows(record.selected.looks, texts)).strip()
    held_out = (record.data.get("rows") or {}).get("test") != 0
    return texts(f"search.trust.{'not_tested' if held_out else 'no_test_rows'}")


def _over_folds(record: StudyRecord, texts: Texts) -> str:
    """Say that the best value is a mean over folds, and how sure that makes it."""
    metric = MetricFormat.of(record, texts)
    leader = best(record)
    if leader is None or leader.standard_error is None:
        return ""
    return texts(
        "search.trust.folds",
        metric=metric.name,
        value=metric.text(leader.value),
        error=metric.text(leader.standard_error),
        trial=leader.number,
        folds=len(leader.folds),
    )


def search_and_replicates(record: StudyRecord, texts: Texts) -> list[str]:
    """Say the search's best value, what the same hyperparameters reach on fresh seeds, and what the test rows say."""
    metric = MetricFormat.of(record, texts)
    result = record.result
    searched = result["search"]
    test = record.selected.test
    best = result["confirmed"][0]
    own = next((trial for trial in result["confirmed"] if trial["trial"] == searched["trial"]), best)
    values = {"value": metric.text(searched["value"]), "mean": _replicated(metric, own, texts)}
    if test:
        values["test"] = _estimate(metric, asdict(test), texts)
    kind = _kind(record)
    if searched["trial"] == result["trial"]:
        return [texts(f"search.searched.{kind}", **values)]
    winner = values | {"trial": result["trial"], "mean": _replicated(metric, best, texts)}
    return [texts("search.searched.plain", **values), texts(f"search.winner.{kind}", **winner)]


def _kind(record: StudyRecord) -> str:
    """Return which sentence fits: of one network or an ensemble, tested or not."""
    ensemble = record.selected.is_ensemble
    tested = record.selected.test is not None
    if ensemble:
        return "tested_ensemble" if tested else "ensemble"
    return "tested" if tested else "plain"


def _estimate(metric: MetricFormat, estimate: Mapping[str, Any], texts: Texts) -> str:
    """Return a value with its interval."""
    value = metric.text(estimate["value"])
    low = estimate.get("low")
    high = estimate.get("high")
    if low is None or high is None:
        return value
    if low == high:
        return texts("search.trust.nothing_varied", value=value)
    return texts("search.trust.varied", value=value, interval=metric.between(low, high))


def _replicated(metric: MetricFormat, trial: Mapping[str, Any], texts: Texts) -> str:
    """Return the mean of a confirmed trial with its interval, and how many of its runs failed."""
    failed = failed_text(trial, texts)
    if not failed:
        return _estimate(metric, trial, texts)
    if trial["value"] is None:
        return texts("search.replicates.none", failed=failed)
    return texts("search.replicates.rest", mean=_estimate(metric, trial, texts), failed=failed)


def mean_remark(record: StudyRecord, seeds: str, failed: str, texts: Texts) -> str:
    """Return what the mean over `fresh` or `further` seeds is over, how many runs `failed` ("": none), and its intervals."""
    mean = record.selected.mean
    assert mean is not None, "only a mean is remarked on"
    remark = texts("search.trust.mean_over", seeds=texts.count(f"{seeds}_seed", mean.count).replace(" ", SPACE))
    remark = ", ".join(filter(None, [remark, failed]))
    intervals = mean_intervals(record, texts)
    return f"{remark}, {intervals}" if intervals else remark


def mean_intervals(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Return the 95 % intervals of the selected model's mean on validation rows, over seeds and over rows, as far as they are known.

    The one over rows is of a single run, whose value is said where it is another than the mean.
    """
    metric = MetricFormat.of(record, texts)
    mean = record.selected.mean
    found: list[str] = []
    scores = {"over_seeds": mean, "over_rows": record.selected.over_rows}
    for over, score in scores.items():
        if score is None or score.low is None or score.high is None:
            continue
        key = f"and_{over}" if found else over
        text = texts(f"search.trust.{key}", interval=metric.between(score.low, score.high))
        value = metric.text(score.value)
        if mean is not None and score.value is not None and value != metric.text(mean.value):
            text = texts("search.trust.rows_of_seed", value=value, over_rows=text)
        found.append(text)
    return ", ".join(found)


@dataclass(frozen=True, slots=True)
class Beside:
    """The selected model's value with its 95 % interval on some rows (None: an end without a bound), and the baseline's value there."""

    rows: str  # test or validation
    value: float
    low: float | None
    high: float | None
    baseline: float


def beside(record: StudyRecord) -> Beside | None:
    """Return the selected model beside the baseline: on the test rows, else on the validation rows; None where that was not stored."""
    result = record.result
    baseline = record.result.get("baseline") or {}
    test = record.selected.test
    rows = "test" if test else "validation"
    own = test or record.selected.mean or Score(result.get("validation"), None, None, None)
    other = baseline.get(rows)
    if own.value is None or other is None:
        return None
    return Beside(rows, own.value, own.low, own.high, other)


def always(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say what the trivial predictor does: `always saying 'yes'`."""
    baseline = record.result["baseline"]
    strategy = baseline["strategy"]
    answer = baseline["answer"]
    if strategy == "prior":
        return texts("search.baseline.prior")
    if strategy not in ("mean", "median"):
        return texts("search.baseline.class", answer=visible(answer, 40))
    if len(answer) > SHOWN:
        return texts(f"search.baseline.targets_{strategy}", targets=texts.count("target", len(answer)))
    several = "s" if len(answer) > 1 else ""
    values = texts.listing([number(float(value)) for value in answer])
    return texts(f"search.baseline.{strategy}{several}", values=values)


def baseline_warning(record: StudyRecord, metric: MetricFormat, texts: Texts = ENGLISH) -> str:
    """Say that the selected model is no better than the trivial predictor, or that nobody can be sure of it; "" where it is better."""
    both = beside(record)
    if both is None:
        return ""
    values = {
        "always": always(record, texts),
        "metric": metric.name,
        "baseline": metric.text(both.baseline),
        "rows": texts(f"search.rows.{both.rows}"),
    }
    if not metric.better(both.value, both.baseline):
        return texts("search.baseline.worse", value=metric.text(both.value), **values)
    worse_end = both.low if metric.maximize else both.high
    if worse_end is None or metric.better(worse_end, both.baseline):
        return ""
    return texts("search.baseline.unsure", interval=metric.between(both.low, both.high), **values)


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
        _timed_out(record, texts),
        *(visible(texts.word(str(doubt))) for doubt in record.data.get("doubts") or []),
        *_edges(record, edges, texts),
        _repeats(record, texts),
        _ties(record, texts),
        *_replicates(record, texts),
        _optimism(record, texts),
        few_test_rows(record, texts),
        baseline_warning(record, MetricFormat.of(record, texts), texts),
    ]
    return [line for line in found if line]


def few_test_rows(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say that the test value's interval, where it is a bootstrap's, is of few rows; "" where it is not."""
    test = record.selected.test
    metric = METRICS.get(str(record.data.get("metric")))
    by_bootstrap = metric is None or not metric.counts_rows
    if test is None or not test.count or test.count >= FEW_ROWS or not by_bootstrap:
        return ""
    rows = texts.count("row", test.count)
    return texts("search.warning.few_test_rows", rows=rows, enough=FEW_ROWS, metric=MetricFormat.of(record, texts).name)


def _unfinished(record: StudyRecord, texts: Texts) -> str:
    if record.result:
        return ""
    running = [trial.state for trial in record.trials].count("running")
    amount = sum(map(ended, record.trials))
    wanted = settings_of(record, "search").get("trials")
    values = {"date": record.as_of, "ended": f"{amount:,}", "running": texts.count("running", running)}
    if not running and not (isinstance(wanted, int) and ranked(record)):
        return ""  # nobody says how many trials were wanted, or none is worth training again
    if not isinstance(wanted, int):
        return texts("search.warning.running", **values)
    if amount >= wanted and not running and settings_of(record, "confirm").get("trials"):
        return texts("search.warning.replicating", date=record.as_of)
    return texts("search.warning.running_of", wanted=f"{wanted:,}", **values)


def _few(record: StudyRecord, texts: Texts) -> str:
    amount = sum(map(ended, record.trials))
    trained = len(ranked(record))
    if record.foreign and not trained:  # the result says so
        return ""
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


def _timed_out(record: StudyRecord, texts: Texts) -> str:
    """Say how many trials a limit in seconds ended, whether or not they had a value."""
    outcomes = [trial.outcome for trial in record.trials if ended(trial)]
    stopped = sum(outcomes.count(outcome) for outcome in (Outcome.TIMED_OUT, Outcome.OUT_OF_TIME))
    if not stopped:
        return ""
    return texts("search.warning.timed_out", trials=f"{stopped:,}", of=texts.count("trial", len(outcomes)))


def _edges(record: StudyRecord, edges: Sequence[Mapping[str, Any]], texts: Texts) -> list[str]:
    which = "selected" if record.result else "best"
    space = space_of(record)
    found = []
    for row in edges:
        name = identifier(row["hyperparameter"], 60)
        value = number(row["best"])
        allowed = domain(space[row["hyperparameter"]], texts)
        found.append(texts(f"search.warning.edge_{which}_{row['edge']}", name=name, value=value, domain=allowed))
    return found


def _repeats(record: StudyRecord, texts: Texts) -> str:
    repeated = sum(trial.repeats is not None for trial in record.trials)
    if repeated:
        return texts("search.warning.repeats", trials=texts.count("trial", repeated))
    return ""


def _ties(record: StudyRecord, texts: Texts) -> str:
    """Say how many trials the validation rows cannot tell from the best."""
    metric = MetricFormat.of(record, texts)
    leaders = ranked(record)
    rows = (record.data.get("rows") or {}).get("validation") or 0
    if not metric.percent or not rows or len(leaders) < 2:
        return ""
    first = leaders[0]
    top = first.value or 0.0
    if first.folds:  # each row but the test rows validates once
        rows += (record.data.get("rows") or {}).get("training") or 0
    share_right = min(max(top, 0.5 / rows), 1 - 0.5 / rows)
    error = first.standard_error or (share_right * (1 - share_right) / rows) ** 0.5
    near = sum(trial.usable and top - (trial.value or 0.0) <= error for trial in leaders[1:])
    if not near:
        return ""
    others = texts(f"search.warning.{'one_other' if near == 1 else 'others'}", trials=f"{near:,}")
    values = {"others": others, "error": metric.gap(error, 0)}
    if first.standard_error:
        return texts("search.warning.tied_folds", folds=len(first.folds), **values)
    return texts("search.warning.tied_rows", rows=f"{rows:,}", **values)


def _replicates(record: StudyRecord, texts: Texts) -> list[str]:
    """Say what weakens the runs on fresh seeds: none, failed ones, fewer than were asked for."""
    confirmed = record.result.get("confirmed") or []
    if not confirmed:
        missing = record.result and settings_of(record, "confirm").get("trials")
        return [texts("search.warning.no_replicate")] if missing else []
    found = [_failed_replicates(trial, texts) for trial in confirmed if failed_runs(trial)]
    fresh = record.result.get("fresh")
    if not fresh:
        return found
    begun = fresh.get("begun", fresh["runs"])
    if begun < fresh["asked"]:
        found.append(texts("search.warning.few_replicates", runs=begun, wanted=fresh["asked"]))
    return found


def _failed_replicates(trial: Mapping[str, Any], texts: Texts) -> str:
    """Say how many runs of a confirmed trial failed, and what its mean is of."""
    rest = len(trial["runs"]) - failed_runs(trial).total()
    key = "failed_replicates" if rest else "no_replicate_ended"
    return texts(f"search.warning.{key}", failed=failed_text(trial, texts), trial=trial["trial"], rest=rest)


def _optimism(record: StudyRecord, texts: Texts) -> str:
    """Say where the validation value, or its mean over fresh seeds, is surely another than the test value.

    A mean has an interval of its own, so that of the difference decides; a value without one is held against the test rows' interval.
    """
    metric = MetricFormat.of(record, texts)
    result = record.result
    test = record.selected.test
    fresh = record.selected.mean
    if test is None:
        return ""
    value = fresh.value if fresh else result.get("validation")
    low = test.low
    high = test.high
    if value is None or low is None or high is None:
        return ""
    if low - ROUNDING <= value <= high + ROUNDING:
        return ""
    if fresh and _may_be_zero((result.get("gaps") or {}).get("test") or {}):
        return ""
    if record.selected.is_ensemble and not fresh:  # an ensemble that was never scored on validation rows
        return ""
    kind = "mean" if fresh else "value"
    what = texts(f"search.warning.{kind}", metric=metric.name, value=metric.text(value))
    values = {"what": what, "interval": metric.between(low, high)}
    if not (metric.better(value, low) and metric.better(value, high)):
        return texts("search.warning.worse_than_test", **values)
    return texts(f"search.warning.{kind}_above_test", trials=usable_trials(record, texts), **values)


def _may_be_zero(gap: Mapping[str, float | None]) -> bool:
    """Whether the interval of a difference is known and has zero in it."""
    low, high = gap.get("low"), gap.get("high")
    return low is not None and high is not None and low <= ROUNDING and high >= -ROUNDING
