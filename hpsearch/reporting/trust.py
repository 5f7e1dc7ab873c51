"""What a result is worth, in sentences: the search's best value, the mean over fresh seeds, the test rows, the trivial predictor.

Standard library only.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hpsearch.reporting.formatting import SPACE, MetricFormat, number, visible
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.phrases import usable_trials
from hpsearch.reporting.ranking import best, ranked
from hpsearch.reporting.selection import uses_of_test_rows
from hpsearch.storage import StudyRecord
from hpsearch.storage.records import Score

SHOWN = 3  # targets whose means are named


def honesty(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say what the values are worth, the honest ones beside the flattering ones."""
    usable = len(ranked(record))
    if not usable:
        return ""
    sentences = [_over_folds(record, texts)]
    if record.result.get("fresh"):
        sentences += _search_and_replicates(record, texts)
    elif usable > 1:
        sentences.append(texts("search.trust.best_of_many", trials=usable_trials(record, texts)))
    sentences.append(_expectation(record, texts))
    return " ".join(filter(None, sentences))


def _over_folds(record: StudyRecord, texts: Texts) -> str:
    """Say that the best value is a mean over folds, and how sure that makes it."""
    metric, leader = MetricFormat.of(record), best(record)
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


def _search_and_replicates(record: StudyRecord, texts: Texts) -> list[str]:
    """Say the search's best value, what the same hyperparameters reach on fresh seeds, and what the test rows say."""
    metric, result = MetricFormat.of(record), record.result
    searched, fresh, test = result["search"], result["fresh"], record.selected.test
    own = next((trial for trial in result["confirmed"] if trial["trial"] == searched["trial"]), fresh)
    values = {"value": metric.text(searched["value"]), "mean": _estimate(metric, own, texts)}
    if test:
        values["test"] = _estimate(metric, asdict(test), texts)
    kind = _kind(record)
    if searched["trial"] == result["trial"]:
        return [texts(f"search.searched.{kind}", **values)]
    winner = values | {"trial": result["trial"], "mean": _estimate(metric, fresh, texts)}
    return [texts("search.searched.plain", **values), texts(f"search.winner.{kind}", **winner)]


def _kind(record: StudyRecord) -> str:
    """Return which sentence fits: of one network or an ensemble, tested or not."""
    ensemble, tested = record.selected.is_ensemble, record.selected.test is not None
    if ensemble:
        return "tested_ensemble" if tested else "ensemble"
    return "tested" if tested else "plain"


def _estimate(metric: MetricFormat, estimate: Mapping[str, Any], texts: Texts) -> str:
    """Return a value with its interval."""
    value, low, high = metric.text(estimate["value"]), estimate.get("low"), estimate.get("high")
    if low is None or high is None:
        return value
    if low == high:
        return texts("search.trust.nothing_varied", value=value)
    return texts("search.trust.varied", value=value, interval=metric.between(low, high))


def _expectation(record: StudyRecord, texts: Texts) -> str:
    if record.selected.test:
        return texts("search.trust.expect", uses=uses_of_test_rows(record.selected.looks, texts)).strip()
    held_out = (record.data.get("rows") or {}).get("test") != 0
    key = "not_tested" if held_out else "no_test_rows"
    return texts(f"search.trust.{key}")


def mean_remark(metric: MetricFormat, mean: Score, seeds: str, texts: Texts) -> str:
    """Return what a mean over `fresh` or `further` seeds is over, with its interval."""
    remark = texts("search.trust.mean_over", seeds=texts.count(f"{seeds}_seed", mean.count).replace(" ", SPACE))
    if mean.low is None or mean.high is None:
        return remark
    return f"{remark}, {texts('search.trust.interval', interval=metric.between(mean.low, mean.high))}"


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
    result, baseline = record.result, record.result.get("baseline") or {}
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
    strategy, answer = baseline["strategy"], baseline["answer"]
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
