"""The trivial predictor in sentences: what it always says, what it reaches, and whether the kept network is better at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch.reporting.formatting import MetricFormat, count, listing, number, visible
from hpsearch.storage import StudyRecord
from hpsearch.storage.results import mean_of, test_of

SHOWN = 3  # targets whose means are named


@dataclass(frozen=True, slots=True)
class Beside:
    """The kept networks' value with its 95 % interval on some rows (None: an end that is not bounded), and the baseline's value there."""

    rows: str  # test or validation
    value: float
    low: float | None
    high: float | None
    baseline: float


def always(record: StudyRecord) -> str:
    """Say what the trivial predictor does: `always saying 'yes'`."""
    found = record.result["baseline"]
    strategy, answer = found["strategy"], found["answer"]
    if strategy == "prior":
        return "always giving each class its share of the training rows"
    if strategy not in ("mean", "median"):
        return f"always saying '{visible(answer, 40)}'"
    if len(answer) > SHOWN:
        return f"always saying the {strategy} of each of {count(len(answer), 'target')}"
    kind = strategy if len(answer) == 1 else f"{strategy}s"
    return f"always saying the {kind} of the training rows, {listing(number(float(value)) for value in answer)}"


def beside(record: StudyRecord) -> Beside | None:
    """Return the kept networks beside the baseline: on the test rows, else on the validation rows; None where that was not stored."""
    result, found = record.result, record.result.get("baseline") or {}
    test = test_of(result)
    rows, own = ("test", test) if test else ("validation", mean_of(result) or {"value": result.get("validation")})
    value, other = own.get("value"), found.get(rows)
    return None if value is None or other is None else Beside(rows, value, *_ends(own), other)


def _ends(own: Mapping[str, Any]) -> tuple[float | None, float | None]:
    return own.get("low"), own.get("high")


def caution(record: StudyRecord, metric: MetricFormat) -> str:
    """Say that the kept networks are not better than the trivial predictor, or that nobody can be sure of it; "" where they are."""
    found = beside(record)
    if found is None:
        return ""
    said = f"{always(record)} reaches {metric.name} {metric.text(found.baseline)} on the {found.rows} rows"
    if not metric.better(found.value, found.baseline):
        return (
            f"The network is no better than one answer for every row: {said}, the network {metric.text(found.value)}."
        )
    worse = found.low if metric.maximize else found.high
    if worse is None or metric.better(worse, found.baseline):
        return ""
    ends = f"the network's 95 % interval ({metric.between(found.low, found.high)})"
    return f"The network may be no better than one answer for every row: {said}, which {ends} does not rule out."
