"""The beginning of a comparison's page: what was compared, and the regimes at a glance."""

from collections.abc import Iterator
from math import isfinite

from hpsearch.comparison.analysis.quality import quality
from hpsearch.comparison.analysis.times import ArmTimes, optimizers, times
from hpsearch.comparison.figures.appearance import arm_name, optimizer_name, target_text
from hpsearch.reporting.formatting import MetricFormat, duration, number, visible
from hpsearch.reporting.locales import Texts
from hpsearch.reporting.page import Html, paragraph, section, table
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord


def asked(record: ComparisonRecord, texts: Texts) -> Iterator[str]:
    """Say on which data what was compared, and when a run had reached the target."""
    if not record.arms:
        if record.minima:
            yield texts("page.asked_minima")
        return
    rows, data = record.data["rows"], record.data
    yield texts(
        "page.asked_data",
        title=visible(data.get("title") or data["name"], 200),
        training=number(rows["training"]),
        validation=number(rows["validation"]),
        test=number(rows["test"]),
    )
    compare = record.settings["compare"]
    yield texts(
        "page.asked_tuned",
        trials=number(compare["trials"]),
        seeds=number(compare["seeds"]),
        budget=budget(record, texts),
    )
    if record.target is not None:
        key = "page.asked_target" if record.target_given else "page.asked_target_chosen"
        yield texts(key, target=target_text(record, texts))


def budget(record: ComparisonRecord, texts: Texts) -> str:
    """Return what each run may use, in words."""
    seconds = record.settings["compare"].get("seconds")
    if seconds:
        return texts("unit.seconds", amount=number(seconds))
    training = record.settings["training"]
    unit = next((unit for unit in ("epochs", "updates", "examples") if training.get(unit)), "epochs")
    return texts(f"unit.{unit}", amount=number(training.get(unit) or 20))


def glance(record: ComparisonRecord, texts: Texts) -> Html:
    """Return every batch size in one line of a table: what it needed, and what it became."""
    arms = times(record)
    if not arms:
        return Html("")
    several = len(optimizers(record)) > 1
    heads = [*(["optimizer"] if several else []), "regime", "rate", "updates", "epochs", "seconds", "reached", "test"]
    head = [texts(f"glance.{name}") for name in heads]
    tests = {(arm.optimizer, arm.batch_size): arm.scores.get("test") for arm in quality(record)}
    metric = MetricFormat.of(record)
    rows = [
        [
            *([optimizer_name(arm.optimizer)] if several else []),
            arm_name(arm.optimizer, arm.batch_size, record.rows, texts),
            number(float(f"{arm.learning_rate:.3g}")) if arm.learning_rate else "–",
            *(_cost(arm, unit, texts) for unit in ("steps", "epochs", "seconds")),
            f"{arm.reached}/{arm.runs}",
            _interval(tests.get((arm.optimizer, arm.batch_size)), metric, texts),
        ]
        for arm in arms
    ]
    note = texts("glance.note", target=target_text(record, texts))
    return section(
        "glance",
        texts("glance.title"),
        paragraph(texts("glance.question"), "ask"),
        table(head, rows, head[2 if several else 1 :]),
        paragraph(note, "note"),
    )


def _cost(arm: ArmTimes, unit: str, texts: Texts) -> str:
    if unit not in arm.costs:
        return "–"
    median = arm.costs[unit].median
    write = duration if unit == "seconds" else lambda value: number(float(f"{value:.3g}"))
    value, low, high = (
        write(v) if isfinite(v) else texts("page.never") for v in (median.value, median.low, median.high)
    )
    return texts("page.interval", value=value, low=low, high=high)


def _interval(estimate: Estimate | None, metric: MetricFormat, texts: Texts) -> str:
    if estimate is None:
        return "–"
    value, low, high = (metric.text(v) for v in (estimate.value, estimate.low, estimate.high))
    return texts("page.interval", value=value, low=low, high=high)
