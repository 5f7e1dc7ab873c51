"""What all figures of a comparison share: a regime's colour and name, the axis of batch sizes, the metric's name and the target.

SGD (batch size 1) is orange, gradient descent green, and mini-batches are blue, the darker the larger.
"""

from collections.abc import Iterable, Sequence
from math import isfinite, log, log2
from typing import Any

from hpsearch.reporting.figures.style import LIGHT, SERIES, axis, label, tick_text
from hpsearch.reporting.formatting import MetricFormat, duration, number, readable, visible
from hpsearch.reporting.locales import Texts
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

SHADES = ("smallest", "small", "some", "large", "largest")  # mini-batches, by their place between 1 and the rows
TICKS = 9  # at most, on an axis of batch sizes


def regime_color(batch_size: int, rows: int) -> str:
    """Return the light colour of a batch size on so many training rows."""
    if batch_size >= rows:
        return LIGHT["full"]
    if batch_size <= 1:
        return LIGHT["one"]
    return LIGHT[SHADES[min(len(SHADES) - 1, int(len(SHADES) * log(batch_size) / log(rows)))]]


def regime_name(batch_size: int, rows: int, texts: Texts, short: bool = False) -> str:
    """Return what training with this batch size is called: gradient descent, SGD, or a mini-batch of so many rows."""
    kind = "full" if batch_size >= rows else "one" if batch_size <= 1 else "some"
    return texts(f"regime.{'short_' if short else ''}{kind}", batch_size=number(batch_size))


def arm_name(optimizer: str, batch_size: int, rows: int, texts: Texts) -> str:
    """Return what an arm is called: its regime under plain gradient steps, else its batch size, since Adam on one row is no SGD."""
    if optimizer == "sgd":
        return regime_name(batch_size, rows, texts)
    return texts("regime.other", batch_size=number(batch_size))


def batch_axis(sizes: Iterable[int], title: str, **more: Any) -> dict[str, Any]:
    """Return a logarithmic axis with ticks at batch sizes that there are, fewer where they would touch."""
    ticks = _spaced(sorted(set(sizes)))
    return axis(title, type="log", tickvals=ticks, ticktext=[number(size) for size in ticks], tickangle=0) | more


def power_axis(title: str, **more: Any) -> dict[str, Any]:
    """Return a logarithmic axis with ticks at powers of ten, for whatever range it is switched to."""
    ticks = [10.0**power for power in range(-12, 13)]
    return axis(title, type="log", tickvals=ticks, ticktext=[tick_text(tick) for tick in ticks]) | more


def _spaced(sizes: Sequence[int]) -> list[int]:
    """Return sizes at least a share of the axis apart, first and last included."""
    if len(sizes) < 3:
        return list(sizes)
    gap = log2(sizes[-1] / sizes[0]) / TICKS
    kept = [sizes[0]]
    for size in sizes[1:-1]:
        if log2(size / kept[-1]) >= gap and log2(sizes[-1] / size) >= gap:
            kept.append(size)
    return [*kept, sizes[-1]]


def metric_name(record: ComparisonRecord, texts: Texts) -> str:
    """Return the metric's name in the language, as it is where the language has none."""
    name = str(record.data.get("metric") or "")
    return texts(f"metric.{name}") if texts.has(f"metric.{name}") else label(MetricFormat.of(record).name)


def target_text(record: ComparisonRecord, texts: Texts) -> str:
    """Return what a run has to pass, with its direction: `accuracy above 95.0 %`."""
    side = "above" if record.direction == "maximize" else "below"
    value = MetricFormat.of(record).text(record.target)
    return texts(f"metric.{side}", metric=metric_name(record, texts), value=value)


def gap_texts(record: ComparisonRecord, gap: Estimate, texts: Texts) -> dict[str, str]:
    """Return a difference of the metric, `value`, with the bare numbers of its interval's ends, `low` and `high`."""
    ends = {end: _gap(MetricFormat.of(record), getattr(gap, end)) for end in ("low", "high")}
    return {"value": gap_text(record, gap.value, texts), **ends}


def gap_text(record: ComparisonRecord, value: float, texts: Texts) -> str:
    """Return a signed difference of the metric; of percentages in points."""
    said = _gap(MetricFormat.of(record), value)
    return texts("metric.points", value=said) if MetricFormat.of(record).percent and isfinite(value) else said


def _gap(metric: MetricFormat, value: float) -> str:
    if not isfinite(value) or not metric.percent:
        return signed(number(float(value)))
    return signed(f"{100 * value:.{metric.decimals}f}".replace("-", "−"))


def signed(text: str) -> str:
    """Return a number's text with its sign: `+0.3`; zero has none."""
    digits = text.removeprefix("−")
    if not digits.strip("0."):
        return digits
    return text if text.startswith("−") else f"+{text}"


def interval(estimate: Estimate, seconds: bool = False) -> tuple[str, str, str]:
    """Return the texts of a value and its interval's ends; whole from 100 on; an end that nothing bounds is 0 or ∞."""
    said = _duration if seconds else _short
    return said(estimate.value), said(max(estimate.low, 0.0)), said(estimate.high)


def _duration(value: float) -> str:
    if not isfinite(value) or value == 0:
        return number(value)
    return duration(value) if value >= 0.1 else f"{number(float(f'{1000 * value:.2g}'))}\u00a0ms"


def _short(value: float) -> str:
    return (
        number(float(f"{value:.3g}"))
        if isfinite(value) and value < 100
        else number(round(value))
        if isfinite(value)
        else number(value)
    )


def series_color(place: int) -> str:
    """Return the colour of an optimizer by its place among those that were compared."""
    return LIGHT[SERIES[place % len(SERIES)]]


def optimizer_name(name: str) -> str:
    """Return an optimizer's name as a label."""
    return label(visible(readable(name), 30))
