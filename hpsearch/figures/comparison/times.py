"""Cost until the target against batch size, in updates, epochs and seconds (Shallue et al. 2019, figs 1 and 3): one figure for each unit.

A median run that never reached the target is a triangle on the line of the budget's end; an open triangle there says that some
of an arm's runs did not. Updates and epochs carry the fitted S = S_min (1 + B_crit / B) and perfect scaling beside it.
"""

from collections.abc import Sequence
from functools import partial
from math import inf, isfinite, log2, log10

import plotly.graph_objects as go

from hpsearch.evidence.published import shallue_steps
from hpsearch.evidence.times import ENOUGH, ArmTimes, optimizers, scaling, times
from hpsearch.figures.comparison.look import (
    arm_name,
    batch_axis,
    interval,
    optimizer_name,
    regime_color,
    series_color,
    target_text,
)
from hpsearch.figures.comparison.row import ComparedFigure, Rows
from hpsearch.figures.style import LIGHT, blank, log_axis, rounded
from hpsearch.statistics.scaling import Hyperbola
from hpsearch.storage import ComparisonRecord
from hpsearch.texts import Texts
from hpsearch.words import number, share

FINE = 8  # points of a fitted curve, per octave
ROOM = 1.5  # times, beyond the marks


def arms_of(record: ComparisonRecord, unit: str) -> list[ArmTimes]:
    """Return the arms whose cost is known in the unit."""
    return [arm for arm in times(record) if unit in arm.costs]


def draw(unit: str, record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the costs in one unit, a line for each optimizer; None for fewer than two arms."""
    arms = arms_of(record, unit)
    if len(arms) < 2:
        return None
    figure, names = blank(430), optimizers(record)
    for name in names:
        group = [arm for arm in arms if arm.optimizer == name]
        color = LIGHT["soft"] if len(names) == 1 else series_color(names.index(name))
        figure.add_traces(_curves(unit, record, group, color, texts))
        figure.add_traces(_marks(unit, record, group, color if len(names) > 1 else "", texts))
    figure.add_traces(_cap(unit, arms, texts))
    low, high = _ends(unit, arms)
    title = texts(f"figure.{unit}.y", target=target_text(record, texts))
    figure.update_xaxes(batch_axis([arm.batch_size for arm in arms], texts("axis.batch_size")))
    figure.update_yaxes(log_axis(low, high, title, range=[log10(low), log10(high)]))
    figure.update_layout(meta={"note": _note(unit, arms, record, texts)})
    return figure


def _ends(unit: str, arms: list[ArmTimes]) -> tuple[float, float]:
    """Return limits around all medians and intervals, and the budget's end where a run met it; perfect scaling may leave them."""
    costs = [arm.costs[unit] for arm in arms]
    values = [end for cost in costs for end in (cost.median.value, cost.median.low, cost.median.high)]
    values += [arm.costs[unit].cap for arm in arms if arm.reached < arm.runs]
    known = [value for value in values if isfinite(value) and value > 0]
    return min(known) / ROOM, max(known) * ROOM


def _marks(unit: str, record: ComparisonRecord, arms: list[ArmTimes], color: str, texts: Texts) -> list[go.Scatter]:
    """Return the medians with their intervals, then the triangles of what was never reached."""
    there = [arm for arm in arms if isfinite(arm.costs[unit].median.value)]
    some = [arm for arm in there if arm.reached < arm.runs]
    none = [arm for arm in arms if arm not in there]
    colors = {arm.batch_size: color or regime_color(arm.batch_size, record.rows) for arm in arms}
    heights = [arm.costs[unit].median.value for arm in there]
    main = go.Scatter(
        x=[arm.batch_size for arm in there],
        y=rounded(heights),
        mode="markers",
        name=optimizer_name(arms[0].optimizer) if color and arms else texts("legend.median"),
        text=[said(unit, arm, record, texts) for arm in there],
        hovertemplate="%{text}<extra></extra>",
        marker={"color": [colors[arm.batch_size] for arm in there], "size": 10},
        error_y=_bars(unit, there, color or LIGHT["ink"]),
    )
    triangles = [("triangle-up", none, "legend.never"), ("triangle-up-open", some, "legend.some")]
    return [main] * bool(there) + [
        go.Scatter(
            x=[arm.batch_size for arm in group],
            y=rounded([arm.costs[unit].cap for arm in group]),
            mode="markers",
            name=texts(key),
            text=[said(unit, arm, record, texts) for arm in group],
            hovertemplate="%{text}<extra></extra>",
            marker={"color": [colors[arm.batch_size] for arm in group], "symbol": symbol, "size": 12},
        )
        for symbol, group, key in triangles
        if group
    ]


def _bars(unit: str, arms: list[ArmTimes], color: str) -> dict[str, object]:
    """Return the intervals; an infinite end is drawn to the end of the budget, that of a single run not at all."""
    costs = [arm.costs[unit] for arm in arms]
    known = [cost.median.low > -inf for cost in costs]
    up = [(min(c.median.high, c.cap) - c.median.value) * k for c, k in zip(costs, known, strict=True)]
    down = [c.median.value - c.median.low if k else 0.0 for c, k in zip(costs, known, strict=True)]
    return {"type": "data", "symmetric": False, "array": rounded(up), "arrayminus": rounded(down)} | {
        "color": color,
        "thickness": 1.5,
        "width": 4,
    }


def said(unit: str, arm: ArmTimes, record: ComparisonRecord, texts: Texts) -> str:
    """Return what an arm's mark says."""
    value, low, high = interval(arm.costs[unit].median, unit == "seconds")
    return texts(
        f"figure.{unit}.hover",
        name=arm_name(arm.optimizer, arm.batch_size, record.rows, texts),
        optimizer=optimizer_name(arm.optimizer),
        value=value,
        low=low,
        high=high,
        reached=number(arm.reached),
        runs=number(arm.runs),
        rate=number(arm.learning_rate),
    )


def _cap(unit: str, arms: list[ArmTimes], texts: Texts) -> list[go.Scatter]:
    """Return the end of the budget as a line, where a run met it."""
    if all(arm.reached == arm.runs for arm in arms):
        return []
    caps = {arm.batch_size: arm.costs[unit].cap for arm in arms}
    line = {"color": LIGHT["edge"], "width": 1.5, "dash": "dot"}
    x = sorted(caps)
    y = rounded([caps[size] for size in x])
    return [go.Scatter(x=x, y=y, mode="lines", name=texts("legend.cap"), line=line, hoverinfo="skip")]


def _curves(unit: str, record: ComparisonRecord, arms: list[ArmTimes], color: str, texts: Texts) -> list[go.Scatter]:
    """Return the lines behind an optimizer's marks: joined medians, or the fit, perfect scaling and the published curve."""
    fit = scaling(record, arms[0].optimizer) if arms and unit != "seconds" else None
    there = [arm for arm in arms if isfinite(arm.costs[unit].median.value)]
    if len(there) < 2:
        return []
    sizes = [float(arm.batch_size) for arm in there]
    heights = [arm.costs[unit].median.value for arm in there]
    if fit is None:
        return [_line(sizes, heights, "", color, "solid")]
    fine = _between(sizes[0], sizes[-1])  # of batch sizes that were not reached the fit says nothing
    scale = [1.0 if unit == "steps" else size / record.rows for size in fine]
    lines = [
        _line(fine, [fit.steps(b) * s for b, s in zip(fine, scale, strict=True)], texts("legend.fit"), color, "solid")
    ]
    perfect = [heights[0] * (sizes[0] / b if unit == "steps" else 1.0) for b in fine]
    if len(optimizers(record)) > 1:
        return [lines[0].update(showlegend=False)]
    lines.append(_line(fine, perfect, texts("legend.perfect"), LIGHT["edge"], "dash"))
    if unit == "steps" and record.data.get("name") == "mnist":
        theirs = {b: s for b, s in shallue_steps(int(sizes[0]), heights[0]).items() if b <= max(record.rows, 1)}
        lines.append(
            _line(list(map(float, theirs)), list(theirs.values()), texts("legend.shallue"), LIGHT["pruned"], "dashdot")
        )
    return lines


def _line(x: Sequence[float], y: Sequence[float], name: str, color: str, dash: str) -> go.Scatter:
    line = {"color": color, "width": 2 if dash == "solid" else 1.5, "dash": dash}
    named = {"name": name, "showlegend": bool(name), "hoverinfo": "skip"}
    return go.Scatter(x=rounded(list(x)), y=rounded(list(y)), mode="lines", line=line, **named)


def _between(low: float, high: float) -> list[float]:
    """Return batch sizes from one to another, evenly in octaves."""
    count = 2 + round(FINE * log2(high / low))
    return [low * (high / low) ** (i / (count - 1)) for i in range(count)]


def _note(unit: str, arms: list[ArmTimes], record: ComparisonRecord, texts: Texts) -> str:
    gaps = [arm.resolution for arm in arms if arm.resolution is not None]
    notes = [texts("figure.steps.note_interval")]
    notes += [texts("figure.steps.note_resolution", share=share(max(gaps)))] if gaps else []
    notes += [texts("figure.seconds.note")] if unit == "seconds" else []
    theirs = unit == "steps" and record.data.get("name") == "mnist" and len(optimizers(record)) == 1
    return " ".join([*notes, *([texts("figure.steps.note_shallue")] if theirs else [])])


def reading(unit: str, record: ComparisonRecord, texts: Texts) -> str:
    """Say which batch size needs the least and which the most, for each optimizer, and where the fit puts the critical batch size."""
    arms = arms_of(record, unit)
    if len(arms) < 2:
        return texts("reading.nothing")
    parts = []
    for name in optimizers(record):
        group = [arm for arm in arms if arm.optimizer == name]
        begin = texts("reading.optimizer", optimizer=optimizer_name(name)) if len(optimizers(record)) > 1 else ""
        parts.append(begin + _sentences(unit, record, group, texts))
    return " ".join(parts)


def _sentences(unit: str, record: ComparisonRecord, arms: list[ArmTimes], texts: Texts) -> str:
    there = [arm for arm in arms if isfinite(arm.costs[unit].median.value)]
    if not there:
        return texts("reading.unreached", target=target_text(record, texts))
    if min(arm.runs for arm in arms) < ENOUGH:
        return texts("reading.few", seeds=number(ENOUGH))
    least, most = (pick(there, key=lambda arm: arm.costs[unit].median.value) for pick in (min, max))
    ends: dict[str, str] = {}
    for end, arm in (("least", least), ("most", most)):
        value, low, high = interval(arm.costs[unit].median, unit == "seconds")
        ends |= {end: arm_name(arm.optimizer, arm.batch_size, record.rows, texts)}
        ends |= {f"{end}_value": value, f"{end}_low": low, f"{end}_high": high}
    ratio = most.costs[unit].median.value / least.costs[unit].median.value
    key = "one" if least is most else "main"
    text = texts(f"figure.{unit}.{key}", ratio=number(float(f"{ratio:.2g}")), **ends)
    missing = [arm_name(arm.optimizer, arm.batch_size, record.rows, texts) for arm in arms if arm not in there]
    text += f" {texts('reading.censored', names=', '.join(missing))}" if missing else ""
    fit = scaling(record, arms[0].optimizer) if unit == "steps" else None
    text += f" {fitted(fit, texts)}" if fit else ""
    return text + (f" {texts('figure.steps.unfitted')}" if fit and fit.censored else "")


def fitted(fit: Hyperbola, texts: Texts) -> str:
    """Say what a fit means: the critical batch size, or that the batch sizes do not show one."""
    critical = fit.critical_batch_size
    value, low, high = interval(critical)
    key = "flat" if critical.value == 0 else "perfect" if critical.value == inf else "fit"
    floor = number(round(fit.s_min.value))
    residual = number(float(f"{fit.rms_octaves:.2g}"))
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


ROWS = tuple(
    ComparedFigure(unit, partial(draw, unit), partial(reading, unit), partial(numbers, unit))
    for unit in ("steps", "epochs", "seconds")
)
