"""What a figure of costs is drawn from: medians with their intervals, triangles of what was never reached, and the lines behind them."""

from collections.abc import Sequence
from math import inf, isfinite, log2

import plotly.graph_objects as go

from hpsearch.comparison.analysis.published import shallue_steps
from hpsearch.comparison.analysis.times import ArmTimes, optimizers, scaling
from hpsearch.comparison.figures.look import arm_name, interval, optimizer_name, regime_color
from hpsearch.reporting.figures.style import LIGHT, rounded
from hpsearch.reporting.formatting import number
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

FINE = 8  # points of a fitted curve, per octave


def marks(unit: str, record: ComparisonRecord, arms: list[ArmTimes], color: str, texts: Texts) -> list[go.Scatter]:
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


def budget_end(unit: str, arms: list[ArmTimes], texts: Texts) -> list[go.Scatter]:
    """Return the end of the budget as a line, where a run met it."""
    if all(arm.reached == arm.runs for arm in arms):
        return []
    caps = {arm.batch_size: arm.costs[unit].cap for arm in arms}
    line = {"color": LIGHT["edge"], "width": 1.5, "dash": "dot"}
    x = sorted(caps)
    y = rounded([caps[size] for size in x])
    return [go.Scatter(x=x, y=y, mode="lines", name=texts("legend.cap"), line=line, hoverinfo="skip")]


def lines(unit: str, record: ComparisonRecord, arms: list[ArmTimes], color: str, texts: Texts) -> list[go.Scatter]:
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
    drawn = [
        _line(fine, [fit.steps(b) * s for b, s in zip(fine, scale, strict=True)], texts("legend.fit"), color, "solid")
    ]
    perfect = [heights[0] * (sizes[0] / b if unit == "steps" else 1.0) for b in fine]
    if len(optimizers(record)) > 1:
        return [drawn[0].update(showlegend=False)]
    drawn.append(_line(fine, perfect, texts("legend.perfect"), LIGHT["edge"], "dash"))
    if unit == "steps" and record.data.get("name") == "mnist":
        theirs = {b: s for b, s in shallue_steps(int(sizes[0]), heights[0]).items() if b <= max(record.rows, 1)}
        drawn.append(
            _line(list(map(float, theirs)), list(theirs.values()), texts("legend.shallue"), LIGHT["pruned"], "dashdot")
        )
    return drawn


def _line(x: Sequence[float], y: Sequence[float], name: str, color: str, dash: str) -> go.Scatter:
    line = {"color": color, "width": 2 if dash == "solid" else 1.5, "dash": dash}
    named = {"name": name, "showlegend": bool(name), "hoverinfo": "skip"}
    return go.Scatter(x=rounded(list(x)), y=rounded(list(y)), mode="lines", line=line, **named)


def _between(low: float, high: float) -> list[float]:
    """Return batch sizes from one to another, evenly in octaves."""
    count = 2 + round(FINE * log2(high / low))
    return [low * (high / low) ** (i / (count - 1)) for i in range(count)]
