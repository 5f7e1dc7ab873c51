"""Cost until the target against batch size, in updates, epochs and seconds (Shallue et al. 2019, figs 1 and 3): one figure for each unit.

A median run that never reached the target is a triangle on the line of the budget's end; an open triangle there says that some
of an arm's runs did not. Updates and epochs carry the fitted S = S_min (1 + B_crit / B) and perfect scaling beside it.
"""

from collections.abc import Sequence
from functools import partial
from math import inf, isfinite, log2, log10
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.least_costs import least_costly
from hpsearch.comparison.analysis.times import ENOUGH, ArmTimes, optimizers, scaling, shallue_steps, times
from hpsearch.comparison.figures.appearance import (
    arm_name,
    engine_text,
    for_each_optimizer,
    interval,
    of_optimizer,
    optimizer_name,
    regime_color,
    series_color,
    significant,
    sizes_of,
    target_text,
)
from hpsearch.comparison.figures.figure import (
    ComparisonFigure,
    Mark,
    Rows,
    batch_axis,
    colors_of,
    interval_bars,
    mark_trace,
    plain_trace,
    plot,
)
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, log_axis, rounded
from hpsearch.reporting.formatting import number, share
from hpsearch.statistics import Estimate
from hpsearch.statistics.scaling import Hyperbola
from hpsearch.storage import ComparisonRecord

ROOM = 1.5  # times, beyond the marks
FINE = 8  # points of a fitted curve, per octave


def figure(unit: str, description: str) -> ComparisonFigure:
    """Return the figure of the costs in one unit."""
    return ComparisonFigure(unit, description, partial(_draw, unit), partial(_read, unit), partial(_numbers, unit))


def _arms(record: ComparisonRecord, unit: str) -> list[ArmTimes]:
    return [arm for arm in times(record) if unit in arm.costs]


def _reaching(arms: Sequence[ArmTimes], unit: str) -> list[ArmTimes]:
    """Return the arms whose median run reached the target."""
    return [arm for arm in arms if isfinite(arm.costs[unit].median.value)]


def _medians(arms: Sequence[ArmTimes], unit: str) -> list[float]:
    return [arm.costs[unit].median.value for arm in arms]


# ---- the drawing


def _draw(unit: str, record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the costs in one unit, a line for each optimizer; None for fewer than two arms."""
    arms = _arms(record, unit)
    if len(arms) < 2:
        return None
    names = optimizers(record)
    traces = []
    for index, name in enumerate(names):
        group = of_optimizer(arms, name)
        color = series_color(index) if len(names) > 1 else ""
        traces += _lines(unit, record, group, color or LIGHT["soft"], texts)
        traces += _mark_traces(unit, record, group, color, texts)
    if any(arm.reached < arm.runs for arm in arms):
        traces.append(_budget_end(unit, arms, texts))
    low, high = _limits(unit, arms)
    horizontal = batch_axis(sizes_of(arms), texts("axis.batch_size"), record, texts)
    title = texts(f"figure.{unit}.y", target=target_text(record, texts))
    vertical = log_axis(low, high, title, range=[log10(low), log10(high)])
    key = "seconds" if unit == "seconds" else "steps"
    meta = {"note": texts(f"figure.{key}.note"), "more": _more(unit, arms, record, texts)}
    return plot(430, traces, horizontal, vertical, meta=meta)


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


def _more(unit: str, arms: list[ArmTimes], record: ComparisonRecord, texts: Texts) -> str:
    """Return what specialists ask about the numbers: how they are measured, and what the grey curve is."""
    if unit == "seconds":
        return texts("figure.seconds.more")
    gaps = [arm.resolution for arm in arms if arm.resolution is not None]
    notes = [texts("figure.steps.more")]
    if gaps:
        notes.append(texts("figure.steps.note_resolution", share=share(max(gaps))))
    if unit == "steps" and record.data.get("name") == "mnist" and len(optimizers(record)) == 1:
        notes.append(texts("figure.steps.note_shallue"))
    return " ".join(notes)


def _mark_traces(
    unit: str, record: ComparisonRecord, arms: list[ArmTimes], color: str, texts: Texts
) -> list[go.Scatter]:
    """Return the medians with their intervals, then triangles at the budget's end: filled where no median run reached the target.

    `color` is the optimizer's, "" where the marks have the colours of their regimes.
    """
    reaching = _reaching(arms, unit)
    never = [arm for arm in arms if arm not in reaching]
    some = [arm for arm in reaching if arm.reached < arm.runs]
    traces = []
    if reaching:
        heights = _medians(reaching, unit)
        marks = _marks(unit, record, reaching, heights, color, texts)
        name = texts("legend.median")
        if color:
            name = optimizer_name(arms[0].optimizer)
        bars = _intervals(unit, reaching, color or LIGHT["ink"])
        traces.append(mark_trace(marks, name=name, marker={"color": colors_of(marks), "size": 10}, error_y=bars))
    for group, symbol, name in ((never, "triangle-up", "never"), (some, "triangle-up-open", "some")):
        if group:
            marks = _marks(unit, record, group, [arm.costs[unit].cap for arm in group], color, texts)
            marker = {"color": colors_of(marks), "symbol": symbol, "size": 12}
            traces.append(mark_trace(marks, name=texts(f"legend.{name}"), marker=marker))
    return traces


def _marks(
    unit: str, record: ComparisonRecord, arms: list[ArmTimes], heights: list[float], color: str, texts: Texts
) -> list[Mark]:
    marks = []
    for arm, height in zip(arms, heights, strict=True):
        own = color or regime_color(arm.batch_size, record.rows)
        marks.append(Mark(arm.batch_size, height, _hover(unit, arm, record, texts), own))
    return marks


def _intervals(unit: str, arms: list[ArmTimes], color: str) -> dict[str, Any]:
    """Return the intervals; an infinite end is drawn to the end of the budget, that of a single run not at all."""
    drawn = []
    for arm in arms:
        cost = arm.costs[unit]
        middle = cost.median.value
        if cost.median.low > -inf:
            drawn.append(Estimate(middle, cost.median.low, min(cost.median.high, cost.cap)))
        else:
            drawn.append(Estimate(middle, middle, middle))
    return interval_bars(drawn, color)


def _hover(unit: str, arm: ArmTimes, record: ComparisonRecord, texts: Texts) -> str:
    value, low, high = interval(arm.costs[unit].median, unit == "seconds")
    return texts(
        f"figure.{unit}.hover",
        name=arm_name(arm, record, texts),
        optimizer=optimizer_name(arm.optimizer),
        value=value,
        low=low,
        high=high,
        reached=number(arm.reached),
        runs=number(arm.runs),
        rate=number(arm.learning_rate),
    )


# ---- the lines behind the marks


def _budget_end(unit: str, arms: list[ArmTimes], texts: Texts) -> go.Scatter:
    caps = {arm.batch_size: arm.costs[unit].cap for arm in sorted(arms, key=lambda arm: arm.batch_size)}
    line = {"color": LIGHT["edge"], "width": 1.5, "dash": "dot"}
    return plain_trace(list(caps), list(caps.values()), line=line, name=texts("legend.cap"))


def _lines(unit: str, record: ComparisonRecord, arms: list[ArmTimes], color: str, texts: Texts) -> list[go.Scatter]:
    """Return the lines behind an optimizer's marks: joined medians, or the fit, perfect scaling and the published curve."""
    reaching = _reaching(arms, unit)
    if len(reaching) < 2:
        return []
    sizes = [float(arm.batch_size) for arm in reaching]
    heights = _medians(reaching, unit)
    fit = None
    if unit != "seconds":
        fit = scaling(record, arms[0].optimizer)
    if fit is None:
        return [_line(sizes, heights, "", color, "solid")]
    fine = _between(sizes[0], sizes[-1])  # the fit says nothing beyond the batch sizes that reached the target
    fitted, perfect = _scaled(unit, fit, fine, heights[0], record.rows)
    line = _line(fine, fitted, texts("legend.fit"), color, "solid")
    if len(optimizers(record)) > 1:
        return [line.update(showlegend=False)]
    traces = [line, _line(fine, perfect, texts("legend.perfect"), LIGHT["edge"], "dash")]
    if unit == "steps" and record.data.get("name") == "mnist":
        traces.append(_published(int(sizes[0]), heights[0], record.rows, texts))
    return traces


def _scaled(unit: str, fit: Hyperbola, sizes: list[float], height: float, rows: int) -> tuple[list[float], list[float]]:
    """Return the fitted costs at the batch sizes, and those of perfect scaling from the height of the first."""
    fitted = []
    perfect = []
    for size in sizes:
        if unit == "steps":
            fitted.append(fit.steps(size))
            perfect.append(height * (sizes[0] / size))
        else:
            fitted.append(fit.steps(size) * (size / rows))
            perfect.append(height)
    return fitted, perfect


def _published(batch_size: int, steps: float, rows: int, texts: Texts) -> go.Scatter:
    """Return the published curve through a batch size's steps, up to the full batch."""
    curve = shallue_steps(batch_size, steps)
    shown = {float(size): steps for size, steps in curve.items() if size <= max(rows, 1)}
    return _line(list(shown), list(shown.values()), texts("legend.shallue"), LIGHT["pruned"], "dashdot")


def _line(x: list[float], y: list[float], name: str, color: str, dash: str) -> go.Scatter:
    line = {"color": color, "width": 2 if dash == "solid" else 1.5, "dash": dash}
    return plain_trace(rounded(x), y, line=line, name=name, showlegend=bool(name))


def _between(low: float, high: float) -> list[float]:
    """Return batch sizes from one to another, evenly in octaves."""
    count = 2 + round(FINE * log2(high / low))
    return [low * (high / low) ** (i / (count - 1)) for i in range(count)]


# ---- the reading


def _read(unit: str, record: ComparisonRecord, texts: Texts) -> str:
    """Say which batch size needs the least and which the most, for each optimizer, and where the fit puts the critical batch size."""
    arms = _arms(record, unit)
    if len(arms) < 2:
        return texts("reading.nothing")
    return for_each_optimizer(record, texts, lambda name: _sentences(unit, record, of_optimizer(arms, name), texts))


def _sentences(unit: str, record: ComparisonRecord, arms: list[ArmTimes], texts: Texts) -> str:
    reaching = _reaching(arms, unit)
    if not reaching:
        return texts("reading.unreached", target=target_text(record, texts))
    if min(arm.runs for arm in arms) < ENOUGH:
        return texts("reading.few", seeds=number(ENOUGH))
    parts = [_extremes(unit, record, reaching, texts)]
    if unit == "seconds":
        parts.insert(0, texts("figure.seconds.own", engine=engine_text(record, texts)))
    alike = [arm_name(arm, record, texts) for arm in least_costly(record, reaching, unit)[1:]]
    if alike:
        parts.append(texts("reading.alike", names=", ".join(alike)))
    missing = [arm_name(arm, record, texts) for arm in arms if arm not in reaching]
    if missing:
        parts.append(texts("reading.censored", names=", ".join(missing)))
    fit = scaling(record, arms[0].optimizer)
    if unit == "steps" and fit is not None:
        parts.append(_fitted(fit, texts))
        if fit.censored:
            parts.append(texts("figure.steps.unfitted"))
    return " ".join(parts)


def _extremes(unit: str, record: ComparisonRecord, arms: list[ArmTimes], texts: Texts) -> str:
    """Compare the arm of the least cost with that of the most."""
    medians = _medians(arms, unit)
    least = arms[medians.index(min(medians))]
    most = arms[medians.index(max(medians))]
    values: dict[str, str] = {}
    for end, arm in (("least", least), ("most", most)):
        value, low, high = interval(arm.costs[unit].median, unit == "seconds")
        values[end] = arm_name(arm, record, texts)
        values |= {f"{end}_value": value, f"{end}_low": low, f"{end}_high": high}
    ratio = max(medians) / min(medians)
    key = "one" if least is most else "main"
    return texts(f"figure.{unit}.{key}", ratio=significant(ratio, 2), **values)


def _fitted(fit: Hyperbola, texts: Texts) -> str:
    """Say what a fit means: the critical batch size, or that the batch sizes do not show one."""
    critical = fit.critical_batch_size
    value, low, high = interval(critical)
    key = {0.0: "flat", inf: "perfect"}.get(critical.value, "fit")
    floor = number(round(fit.s_min.value))
    residual = significant(fit.rms_octaves, 2)
    return texts(f"figure.steps.{key}", value=value, low=low, high=high, floor=floor, residual=residual)


def _numbers(unit: str, record: ComparisonRecord) -> Rows:
    """Return a row for each arm."""
    rows = []
    for arm in _arms(record, unit):
        cost = arm.costs[unit]
        row = {"optimizer": arm.optimizer, "batch_size": arm.batch_size, "learning_rate": arm.learning_rate}
        row |= {f"median_{unit}": cost.median.value, "low": cost.median.low, "high": cost.median.high}
        row |= {"runs": arm.runs, "reached": arm.reached, f"budget_{unit}": cost.cap, "resolution": arm.resolution}
        rows.append(row)
    return rows
