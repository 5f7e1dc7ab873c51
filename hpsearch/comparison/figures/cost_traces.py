"""What a figure of costs is drawn from: medians with their intervals, triangles of what was never reached, and the lines behind them."""

from collections.abc import Sequence
from math import inf, isfinite, log2
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import ArmTimes, optimizers, scaling, shallue_steps
from hpsearch.comparison.figures.appearance import (
    HOVER,
    arm_name,
    error_bars,
    interval,
    optimizer_name,
    regime_color,
)
from hpsearch.reporting.figures.style import LIGHT, rounded
from hpsearch.reporting.formatting import number
from hpsearch.reporting.locales import Texts
from hpsearch.statistics.scaling import Hyperbola
from hpsearch.storage import ComparisonRecord

FINE = 8  # points of a fitted curve, per octave


def marks(unit: str, record: ComparisonRecord, arms: list[ArmTimes], color: str, texts: Texts) -> list[go.Scatter]:
    """Return the medians with their intervals, then the triangles of what was never reached.

    `color` is the optimizer's, "" where the marks have the colours of their regimes.
    """
    reaching = [arm for arm in arms if isfinite(arm.costs[unit].median.value)]
    groups = {
        "circle": reaching,
        "triangle-up": [arm for arm in arms if arm not in reaching],
        "triangle-up-open": [arm for arm in reaching if arm.reached < arm.runs],
    }
    traces = []
    for symbol, group in groups.items():
        if group:
            colors = [color or regime_color(arm.batch_size, record.rows) for arm in group]
            hover = [hover_text(unit, arm, record, texts) for arm in group]
            traces.append(_marks(unit, group, symbol, colors, hover))
            traces[-1].update(name=_legend(symbol, color, group[0], texts))
            if symbol == "circle":
                traces[-1].update(error_y=_intervals(unit, group, color or LIGHT["ink"]))
    return traces


def _marks(unit: str, arms: list[ArmTimes], symbol: str, colors: list[str], hover: list[str]) -> go.Scatter:
    """Return circles at the medians, or triangles at the budget's end."""
    costs = [arm.costs[unit] for arm in arms]
    marker = {"color": colors, "size": 10}
    heights = [cost.median.value for cost in costs]
    if symbol != "circle":
        marker = {"color": colors, "symbol": symbol, "size": 12}
        heights = [cost.cap for cost in costs]
    return go.Scatter(
        x=[arm.batch_size for arm in arms],
        y=rounded(heights),
        mode="markers",
        text=hover,
        hovertemplate=HOVER,
        marker=marker,
    )


def _legend(symbol: str, color: str, arm: ArmTimes, texts: Texts) -> str:
    if symbol == "circle":
        median = texts("legend.median")
        return optimizer_name(arm.optimizer) if color else median
    return texts("legend.never" if symbol == "triangle-up" else "legend.some")


def _intervals(unit: str, arms: list[ArmTimes], color: str) -> dict[str, Any]:
    """Return the intervals; an infinite end is drawn to the end of the budget, that of a single run not at all."""
    up = []
    down = []
    for arm in arms:
        cost = arm.costs[unit]
        known = cost.median.low > -inf
        up.append((min(cost.median.high, cost.cap) - cost.median.value) * known)
        down.append(cost.median.value - cost.median.low if known else 0.0)
    return error_bars(rounded(up), rounded(down), color, thickness=1.5, width=4)


def hover_text(unit: str, arm: ArmTimes, record: ComparisonRecord, texts: Texts) -> str:
    """Return the hover text of an arm's mark."""
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
    reaching = [arm for arm in arms if isfinite(arm.costs[unit].median.value)]
    if len(reaching) < 2:
        return []
    sizes = [float(arm.batch_size) for arm in reaching]
    heights = [arm.costs[unit].median.value for arm in reaching]
    fit = None
    if unit != "seconds":
        fit = scaling(record, arms[0].optimizer)
    if fit is None:
        return [_line(sizes, heights, "", color, "solid")]
    fine = _between(sizes[0], sizes[-1])  # the fit says nothing beyond the batch sizes that reached the target
    traces = [_line(fine, _fitted_costs(unit, fit, fine, record.rows), texts("legend.fit"), color, "solid")]
    if len(optimizers(record)) > 1:
        return [traces[0].update(showlegend=False)]
    perfect = [heights[0] * (sizes[0] / size if unit == "steps" else 1.0) for size in fine]
    traces.append(_line(fine, perfect, texts("legend.perfect"), LIGHT["edge"], "dash"))
    if unit == "steps" and record.data.get("name") == "mnist":
        traces.append(_published(int(sizes[0]), heights[0], record.rows, texts))
    return traces


def _fitted_costs(unit: str, fit: Hyperbola, sizes: Sequence[float], rows: int) -> list[float]:
    """Return the fitted cost at each batch size: updates, or updates times the epochs of one."""
    if unit == "steps":
        return [fit.steps(size) for size in sizes]
    return [fit.steps(size) * (size / rows) for size in sizes]


def _published(batch_size: int, steps: float, rows: int, texts: Texts) -> go.Scatter:
    """Return the published curve through a batch size's steps, up to the full batch."""
    curve = shallue_steps(batch_size, steps)
    shown = {float(size): steps for size, steps in curve.items() if size <= max(rows, 1)}
    return _line(list(shown), list(shown.values()), texts("legend.shallue"), LIGHT["pruned"], "dashdot")


def _line(x: Sequence[float], y: Sequence[float], name: str, color: str, dash: str) -> go.Scatter:
    line = {"color": color, "width": 2 if dash == "solid" else 1.5, "dash": dash}
    named = {"name": name, "showlegend": bool(name), "hoverinfo": "skip"}
    return go.Scatter(x=rounded(list(x)), y=rounded(list(y)), mode="lines", line=line, **named)


def _between(low: float, high: float) -> list[float]:
    """Return batch sizes from one to another, evenly in octaves."""
    count = 2 + round(FINE * log2(high / low))
    return [low * (high / low) ** (i / (count - 1)) for i in range(count)]
