"""Cost until the target against batch size, in updates, epochs and seconds (Shallue et al. 2019, figs 1 and 3): one figure for each unit.

A median run that never reached the target is a triangle on the line of the budget's end; an open triangle there says that some
of an arm's runs did not. Updates and epochs carry the fitted S = S_min (1 + B_crit / B) and perfect scaling beside it.
"""

from math import inf, isfinite, log10

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import ENOUGH, ArmTimes, optimizers, scaling, times
from hpsearch.comparison.figures.appearance import (
    arm_name,
    batch_axis,
    for_each_optimizer,
    interval,
    series_color,
    significant,
    target_text,
)
from hpsearch.comparison.figures.cost_traces import budget_end, lines, marks
from hpsearch.comparison.figures.figure import Rows
from hpsearch.reporting.figures.style import LIGHT, blank, log_axis
from hpsearch.reporting.formatting import number, share
from hpsearch.reporting.locales import Texts
from hpsearch.statistics.scaling import Hyperbola
from hpsearch.storage import ComparisonRecord

ROOM = 1.5  # times, beyond the marks


def arms_of(record: ComparisonRecord, unit: str) -> list[ArmTimes]:
    """Return the arms whose cost is known in the unit."""
    return [arm for arm in times(record) if unit in arm.costs]


def draw(unit: str, record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the costs in one unit, a line for each optimizer; None for fewer than two arms."""
    arms = arms_of(record, unit)
    if len(arms) < 2:
        return None
    figure = blank(430)
    names = optimizers(record)
    for index, name in enumerate(names):
        group = [arm for arm in arms if arm.optimizer == name]
        color = series_color(index) if len(names) > 1 else ""
        figure.add_traces(lines(unit, record, group, color or LIGHT["soft"], texts))
        figure.add_traces(marks(unit, record, group, color, texts))
    figure.add_traces(budget_end(unit, arms, texts))
    low, high = _limits(unit, arms)
    title = texts(f"figure.{unit}.y", target=target_text(record, texts))
    figure.update_xaxes(batch_axis([arm.batch_size for arm in arms], texts("axis.batch_size")))
    figure.update_yaxes(log_axis(low, high, title, range=[log10(low), log10(high)]))
    return figure.update_layout(meta={"note": _note(unit, arms, record, texts)})


def _limits(unit: str, arms: list[ArmTimes]) -> tuple[float, float]:
    """Return limits around all medians and intervals, and the budget's end where a run met it; perfect scaling may leave them."""
    values: list[float] = []
    for arm in arms:
        cost = arm.costs[unit]
        values += [cost.median.value, cost.median.low, cost.median.high]
        if arm.reached < arm.runs:
            values.append(cost.cap)
    known = [value for value in values if isfinite(value) and value > 0]
    return min(known) / ROOM, max(known) * ROOM


def _note(unit: str, arms: list[ArmTimes], record: ComparisonRecord, texts: Texts) -> str:
    gaps = [arm.resolution for arm in arms if arm.resolution is not None]
    notes = [texts("figure.steps.note_interval")]
    if gaps:
        notes.append(texts("figure.steps.note_resolution", share=share(max(gaps))))
    if unit == "seconds":
        notes.append(texts("figure.seconds.note"))
    if unit == "steps" and record.data.get("name") == "mnist" and len(optimizers(record)) == 1:
        notes.append(texts("figure.steps.note_shallue"))
    return " ".join(notes)


def read(unit: str, record: ComparisonRecord, texts: Texts) -> str:
    """Say which batch size needs the least and which the most, for each optimizer, and where the fit puts the critical batch size."""
    arms = arms_of(record, unit)
    if len(arms) < 2:
        return texts("reading.nothing")
    return for_each_optimizer(
        record,
        texts,
        lambda name: _sentences(unit, record, [arm for arm in arms if arm.optimizer == name], texts),
    )


def _sentences(unit: str, record: ComparisonRecord, arms: list[ArmTimes], texts: Texts) -> str:
    reaching = [arm for arm in arms if isfinite(arm.costs[unit].median.value)]
    if not reaching:
        return texts("reading.unreached", target=target_text(record, texts))
    if min(arm.runs for arm in arms) < ENOUGH:
        return texts("reading.few", seeds=number(ENOUGH))
    parts = [_extremes(unit, record, reaching, texts)]
    missing = [arm_name(arm.optimizer, arm.batch_size, record.rows, texts) for arm in arms if arm not in reaching]
    if missing:
        parts.append(texts("reading.censored", names=", ".join(missing)))
    if unit == "steps":
        parts += _fit_sentences(scaling(record, arms[0].optimizer), texts)
    return " ".join(parts)


def _extremes(unit: str, record: ComparisonRecord, arms: list[ArmTimes], texts: Texts) -> str:
    """Compare the arm of the least cost with that of the most."""
    least = min(arms, key=lambda arm: arm.costs[unit].median.value)
    most = max(arms, key=lambda arm: arm.costs[unit].median.value)
    values: dict[str, str] = {}
    for end, arm in (("least", least), ("most", most)):
        value, low, high = interval(arm.costs[unit].median, unit == "seconds")
        values[end] = arm_name(arm.optimizer, arm.batch_size, record.rows, texts)
        values |= {f"{end}_value": value, f"{end}_low": low, f"{end}_high": high}
    ratio = most.costs[unit].median.value / least.costs[unit].median.value
    key = "one" if least is most else "main"
    return texts(f"figure.{unit}.{key}", ratio=significant(ratio, 2), **values)


def _fit_sentences(fit: Hyperbola | None, texts: Texts) -> list[str]:
    if fit is None:
        return []
    sentences = [fitted(fit, texts)]
    if fit.censored:
        sentences.append(texts("figure.steps.unfitted"))
    return sentences


def fitted(fit: Hyperbola, texts: Texts) -> str:
    """Say what a fit means: the critical batch size, or that the batch sizes do not show one."""
    critical = fit.critical_batch_size
    value, low, high = interval(critical)
    key = {0.0: "flat", inf: "perfect"}.get(critical.value, "fit")
    floor = number(round(fit.s_min.value))
    residual = significant(fit.rms_octaves, 2)
    return texts(f"figure.steps.{key}", value=value, low=low, high=high, floor=floor, residual=residual)


def numbers(unit: str, record: ComparisonRecord) -> Rows:
    """Return a row for each arm."""
    return [
        {
            "optimizer": arm.optimizer,
            "batch_size": arm.batch_size,
            "learning_rate": arm.learning_rate,
            f"median_{unit}": arm.costs[unit].median.value,
            "low": arm.costs[unit].median.low,
            "high": arm.costs[unit].median.high,
            "runs": arm.runs,
            "reached": arm.reached,
            f"budget_{unit}": arm.costs[unit].cap,
            "resolution": arm.resolution,
        }
        for arm in arms_of(record, unit)
    ]
