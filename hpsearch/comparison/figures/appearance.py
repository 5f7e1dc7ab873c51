"""How the figures of a comparison name and colour what they show: regimes, arms, optimizers, and numbers as text.

SGD (batch size 1) is orange, gradient descent green, and mini-batches are blue, the darker the larger.
"""

from collections.abc import Callable, Iterable
from math import inf, isfinite, log
from typing import Protocol, TypeVar

from hpsearch.comparison.analysis.measured import HasBatchSize, Spread
from hpsearch.comparison.analysis.times import optimizers
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, SERIES, label
from hpsearch.reporting.formatting import MetricFormat, duration, number, readable, visible
from hpsearch.reporting.regimes import regime_of
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

SHADES = ("smallest", "small", "some", "large", "largest")  # mini-batches, by their rank between 1 and the rows
MOMENT_COLORS = {"start": "soft", "middle": "running", "target": "out of memory", "end": "ink"}
LONGEST_ENGINE = 200  # characters of the engines in a figure
MOMENT_SYMBOLS = {"start": "circle", "middle": "square", "target": "diamond", "end": "circle"}


class OfArm(HasBatchSize, Protocol):
    """Whatever belongs to one arm: to an optimizer and a batch size."""

    @property
    def optimizer(self) -> str:
        """The optimizer's name."""


T = TypeVar("T")
A = TypeVar("A", bound=OfArm)


# ---- names and colours


def regime_color(batch_size: int, rows: int) -> str:
    """Return the light colour of a batch size on so many training rows."""
    kind = regime_of(batch_size, rows)
    if kind != "some":
        return LIGHT[kind]
    shade = int(len(SHADES) * log(batch_size) / log(rows))
    return LIGHT[SHADES[min(len(SHADES) - 1, shade)]]


def regime_name(batch_size: int, rows: int, texts: Texts, short: bool = False) -> str:
    """Return what training with this batch size is called: gradient descent, SGD, or a mini-batch of so many rows."""
    prefix = "short_" if short else ""
    return texts(f"regime.{prefix}{regime_of(batch_size, rows)}", batch_size=number(batch_size))


def batch_label(batch_size: int, record: ComparisonRecord, texts: Texts, between: str = "<br>") -> str:
    """Return a batch size as axes have it: `1 SGD`, `16`, `1,257 GD`; without names where other optimizers stand on the axis too."""
    kind = regime_of(batch_size, record.rows)
    if kind == "some" or optimizers(record) != ["sgd"]:
        return number(batch_size)
    return f"{number(batch_size)}{between}{texts(f'regime.short_{kind}')}"


def arm_name(arm: OfArm, record: ComparisonRecord, texts: Texts) -> str:
    """Return what an arm is called: its regime under plain gradient steps, else its batch size, since Adam on one row is no SGD."""
    if arm.optimizer == "sgd":
        return regime_name(arm.batch_size, record.rows, texts)
    return texts("regime.other", batch_size=number(arm.batch_size))


def short_name(arm: OfArm, record: ComparisonRecord, texts: Texts) -> str:
    """Return an arm's name for labels: GD, SGD, a mini-batch with its size."""
    kind = regime_of(arm.batch_size, record.rows)
    if arm.optimizer != "sgd" or kind == "some":
        return arm_name(arm, record, texts)
    return texts(f"regime.short_{kind}")


def sizes_of(items: Iterable[HasBatchSize]) -> set[int]:
    """Return the batch sizes of arms, or of whatever belongs to one."""
    return {item.batch_size for item in items}


def of_optimizer(arms: Iterable[A], optimizer: str) -> list[A]:
    """Return the arms of one optimizer."""
    return [arm for arm in arms if arm.optimizer == optimizer]


def series_color(index: int) -> str:
    """Return the colour of an optimizer by its index among those that were compared."""
    return LIGHT[SERIES[index % len(SERIES)]]


def optimizer_name(name: str) -> str:
    """Return an optimizer's name as a label."""
    return label(visible(readable(name), 30))


def engine_text(record: ComparisonRecord, texts: Texts) -> str:
    """Return which engines trained the winners, where that is on record, and on which device."""
    device = visible(record.made.get("device", ""), 40) or texts("engine.unknown_device")
    if not record.engines:
        return texts("engine.unknown", device=device)
    return texts("engine.own", engine=", ".join(visible(name, 40) for name in record.engines), device=device)


def measured_optimizer(record: ComparisonRecord) -> str:
    """Return the optimizer whose measurements are drawn: plain SGD where it was compared, else the first."""
    return next(iter(optimizers(record)), "")


def metric_name(record: ComparisonRecord, texts: Texts) -> str:
    """Return the metric's name in the language, as it is where the language has none."""
    return label(MetricFormat.of(record, texts).name)


# ---- numbers as text


def significant(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits."""
    return number(float(f"{value:.{digits}g}"))


def bounds_text(value: Estimate, texts: Texts) -> str:
    """Return what is known between bounds, or beyond one of them, without the value."""
    if value.high == inf:
        return texts("range.least", low=significant(value.low, 2))
    if value.low <= 0:
        return texts("range.most", high=significant(value.high, 2))
    return texts("range.between", low=significant(value.low, 2), high=significant(value.high, 2))


def percent(value: float) -> str:
    """Return a share as a percentage of two digits, of three where two would say 100 % of less than all."""
    if 0.995 <= abs(value) < 1:
        digits = f"{100 * value:.3g}"
    elif abs(value) >= 1:
        digits = f"{100 * value:.0f}"
    else:
        digits = f"{100 * value:.2g}"
    return f"{digits}\u00a0%"


def brief(value: float | None) -> str:
    """Return a number with three significant digits, whole from 100 on."""
    if value is None or not isfinite(value):
        return number(value)
    if abs(value) >= 100:
        return number(round(value))
    return significant(value)


def interval(estimate: Estimate, seconds: bool = False) -> tuple[str, str, str]:
    """Return the texts of a value and its interval's ends; an end that nothing bounds is 0 or ∞."""
    write = _duration if seconds else brief
    return write(estimate.value), write(max(estimate.low, 0.0)), write(estimate.high)


def interval_text(estimate: Estimate, texts: Texts) -> str:
    """Return a value with its interval: `1.72 (1.05 to 2.3)`."""
    value, low, high = interval(estimate)
    return texts("page.interval", value=value, low=low, high=high)


def _duration(value: float) -> str:
    if not isfinite(value) or value == 0:
        return number(value)
    return duration(value)


def spread_text(value: Spread | None, texts: Texts) -> str:
    """Return a mean and, where there are several runs, their range."""
    if value is None:
        return number(None)
    if value.runs == 1 or value.low == value.high:
        return brief(value.value)
    return texts("page.interval", value=brief(value.value), low=brief(value.low), high=brief(value.high))


def spread_columns(name: str, value: Spread | None) -> dict[str, object]:
    """Return the columns of a table that hold a mean over runs and its range."""
    if value is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}


def target_text(record: ComparisonRecord, texts: Texts) -> str:
    """Return what a run has to pass, with its direction: `accuracy above 95.0 %`."""
    side = "above" if record.direction == "maximize" else "below"
    value = MetricFormat.of(record, texts).text(record.target)
    return texts(f"metric.{side}", metric=metric_name(record, texts), value=value)


def gap_texts(record: ComparisonRecord, gap: Estimate, texts: Texts) -> dict[str, str]:
    """Return a difference of the metric, `value`, with the bare numbers of its interval's ends, `low` and `high`."""
    metric = MetricFormat.of(record, texts)
    value = _signed_gap(metric, gap.value)
    if metric.percent and isfinite(gap.value):
        value = texts("metric.points", value=value)
    return {"value": value, "low": _signed_gap(metric, gap.low), "high": _signed_gap(metric, gap.high)}


def _signed_gap(metric: MetricFormat, value: float) -> str:
    """Return a difference with its sign, of percentages in points: `+0.3`; zero has no sign."""
    text = number(float(value))
    if isfinite(value) and metric.percent:
        text = f"{100 * value:.{metric.decimals}f}".replace("-", "−")
    digits = text.removeprefix("−")
    if not digits.strip("0."):
        return digits
    return text if text.startswith("−") else f"+{text}"


def share_gap_texts(gap: Estimate, texts: Texts) -> dict[str, str]:
    """Return a difference of shares in points, `value`, with the bare numbers of its interval's ends, `low` and `high`."""

    def write(share: float) -> str:
        digits = f"{100 * share:+.0f}".replace("-", "−")
        return "0" if digits in ("+0", "−0") else digits

    return {"value": texts("metric.points", value=write(gap.value)), "low": write(gap.low), "high": write(gap.high)}


# ---- sentences


def for_each_optimizer(record: ComparisonRecord, texts: Texts, write: Callable[[str], str]) -> str:
    """Return a line for each optimizer, which begins with its name where several were compared; empty lines are left out."""
    names = optimizers(record)
    if len(names) == 1:
        return write(names[0])
    lines = {name: write(name) for name in names}
    return "\n".join(
        texts("reading.optimizer", optimizer=optimizer_name(name)) + line for name, line in lines.items() if line
    )


def by_optimizer(record: ComparisonRecord, find: Callable[[ComparisonRecord, str], Iterable[T]]) -> list[tuple[str, T]]:
    """Return what `find` gives for each optimizer, each item with its optimizer's name."""
    pairs = []
    for name in optimizers(record):
        pairs += [(name, item) for item in find(record, name)]
    return pairs


def measured_note(record: ComparisonRecord, texts: Texts, *parts: str) -> str:
    """Return a note's sentences, and which optimizer's measurements are drawn where several were compared."""
    only = ""
    if len(optimizers(record)) > 1:
        only = texts("measured.only", optimizer=optimizer_name(measured_optimizer(record)))
    return " ".join(filter(None, [*parts, only]))
