"""The beginning of a comparison's page: what was compared, and the regimes at a glance."""

from collections.abc import Iterator
from math import isfinite

from hpsearch.comparison.analysis.quality import quality
from hpsearch.comparison.analysis.times import ArmTimes, optimizers, times
from hpsearch.comparison.figures.appearance import arm_name, optimizer_name, significant, target_text
from hpsearch.reporting.formatting import MetricFormat, duration, number, visible
from hpsearch.reporting.locales import Texts
from hpsearch.reporting.pieces import PageTable, Paragraph, Section
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

COLUMNS = ("regime", "rate", "updates", "epochs", "seconds", "reached", "test")
UNITS = ("steps", "epochs", "seconds")
EPOCHS = 20  # of a run whose budget the study does not give


def introduction(record: ComparisonRecord, texts: Texts) -> Iterator[str]:
    """Say on which data what was compared, and when a run had reached the target."""
    if not record.arms:
        if record.minima:
            yield texts("page.asked_minima")
        return
    data, rows, compare = record.data, record.data["rows"], record.settings["compare"]
    yield texts(
        "page.asked_data",
        title=visible(data.get("title") or data["name"], 200),
        training=number(rows["training"]),
        validation=number(rows["validation"]),
        test=number(rows["test"]),
    )
    trials, seeds = number(compare["trials"]), number(compare["seeds"])
    yield texts("page.asked_tuned", trials=trials, seeds=seeds, budget=budget(record, texts))
    if record.target is not None:
        if record.target_given:
            key = "page.asked_target"
        else:
            key = "page.asked_target_chosen"
        yield texts(key, target=target_text(record, texts))


def budget(record: ComparisonRecord, texts: Texts) -> str:
    """Return what each run may use, in words."""
    seconds = record.settings["compare"].get("seconds")
    if seconds:
        return texts("unit.seconds", amount=number(seconds))
    training = record.settings["training"]
    unit = next((unit for unit in ("epochs", "updates", "examples") if training.get(unit)), "epochs")
    return texts(f"unit.{unit}", amount=number(training.get(unit) or EPOCHS))


def glance(record: ComparisonRecord, texts: Texts) -> Section | None:
    """Return every batch size in one line of a table: what it needed, and how good it got."""
    arms = times(record)
    if not arms:
        return None
    several = len(optimizers(record)) > 1
    head = [texts(f"glance.{name}") for name in COLUMNS]
    scores = {(arm.optimizer, arm.batch_size): arm.scores.get("test") for arm in quality(record)}
    rows = [_row(arm, scores.get((arm.optimizer, arm.batch_size)), record, texts) for arm in arms]
    numeric = head[1:]
    if several:
        head = [texts("glance.optimizer"), *head]
        rows = [[optimizer_name(arm.optimizer), *row] for arm, row in zip(arms, rows, strict=True)]
    contents = [
        Paragraph(texts("glance.question"), "ask"),
        PageTable(head, rows, numeric),
        Paragraph(texts("glance.note", target=target_text(record, texts)), "note"),
    ]
    return Section("glance", texts("glance.title"), contents)


def _row(arm: ArmTimes, score: Estimate | None, record: ComparisonRecord, texts: Texts) -> list[str]:
    return [
        arm_name(arm.optimizer, arm.batch_size, record.rows, texts),
        significant(arm.learning_rate) if arm.learning_rate else "–",
        *(_cost(arm, unit, texts) for unit in UNITS),
        f"{arm.reached}/{arm.runs}",
        _score(score, MetricFormat.of(record), texts),
    ]


def _cost(arm: ArmTimes, unit: str, texts: Texts) -> str:
    """Return the median cost with its interval."""
    if unit not in arm.costs:
        return "–"

    def write(value: float) -> str:
        if not isfinite(value):
            return texts("page.never")
        return duration(value) if unit == "seconds" else significant(value)

    median = arm.costs[unit].median
    return texts("page.interval", value=write(median.value), low=write(median.low), high=write(median.high))


def _score(estimate: Estimate | None, metric: MetricFormat, texts: Texts) -> str:
    if estimate is None:
        return "–"
    value, low, high = metric.text(estimate.value), metric.text(estimate.low), metric.text(estimate.high)
    return texts("page.interval", value=value, low=low, high=high)
