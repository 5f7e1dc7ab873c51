"""Examples against updates to the target: what a larger batch saves in updates, and what it costs in data (McCandlish et al. 2018, fig 2).

The fit S = S_min (1 + B_crit / B) is here the curve (S / S_min - 1) (E / E_min - 1) = 1, since E = S B.
"""

from math import isfinite

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import ArmTimes, optimizers, scaling, times
from hpsearch.comparison.figures.look import (
    arm_name,
    interval,
    optimizer_name,
    regime_color,
    series_color,
)
from hpsearch.comparison.figures.row import ComparedFigure, Rows
from hpsearch.reporting.figures.style import LIGHT, blank, log_axis, rounded
from hpsearch.reporting.formatting import number
from hpsearch.reporting.locales import Texts
from hpsearch.statistics.scaling import Hyperbola
from hpsearch.storage import ComparisonRecord

POINTS = 80


def bounded(fit: Hyperbola | None) -> bool:
    """Whether a fit has a finite, positive critical batch size: without one there is no trade to draw."""
    return fit is not None and 0 < fit.critical_batch_size.value < float("inf")


def _reached(record: ComparisonRecord, optimizer: str) -> list[ArmTimes]:
    arms = [arm for arm in times(record) if arm.optimizer == optimizer]
    return [arm for arm in arms if isfinite(arm.costs["steps"].median.value)]


def _examples(arm: ArmTimes) -> float:
    return arm.costs["steps"].median.value * arm.batch_size


def curve(fit: Hyperbola, low: float, high: float) -> tuple[list[float], list[float]]:
    """Return updates and examples along the fit between two batch sizes."""
    sizes = [low * (high / low) ** (i / (POINTS - 1)) for i in range(POINTS)]
    return [fit.steps(size) for size in sizes], [fit.steps(size) * size for size in sizes]


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw each optimizer's batch sizes and its fit; None where no optimizer has a fit with a finite critical batch size."""
    fits = {name: scaling(record, name) for name in optimizers(record)}
    fits = {name: fit for name, fit in fits.items() if bounded(fit)}
    if not fits:
        return None
    figure = blank(430)
    for place, (name, fit) in enumerate(fits.items()):
        assert fit is not None, "only bounded fits are left"
        figure.add_traces(_traces(record, _reached(record, name), fit, place if len(fits) > 1 else None, texts))
    heights, widths = ([v for trace in figure.data for v in trace[side]] for side in ("y", "x"))
    figure.update_xaxes(log_axis(min(widths), max(widths), texts("figure.tradeoff.x")))
    figure.update_yaxes(log_axis(min(heights), max(heights), texts("figure.tradeoff.y")))
    return figure.update_layout(meta={"note": texts("figure.tradeoff.note")})


def _traces(
    record: ComparisonRecord, arms: list[ArmTimes], fit: Hyperbola, place: int | None, texts: Texts
) -> list[go.Scatter]:
    color = LIGHT["soft"] if place is None else series_color(place)
    critical = fit.critical_batch_size.value
    x, y = curve(fit, min(arms[0].batch_size, critical), max(arms[-1].batch_size, critical))
    line = go.Scatter(x=rounded(x), y=rounded(y), mode="lines", line={"color": color, "width": 2}, hoverinfo="skip")
    dots = go.Scatter(
        x=rounded([arm.costs["steps"].median.value for arm in arms]),
        y=rounded([_examples(arm) for arm in arms]),
        mode="markers+text",
        text=[number(arm.batch_size) for arm in arms],
        textposition="top right",
        textfont={"color": LIGHT["ink"], "size": 12},
        hovertext=[_said(record, arm, texts) for arm in arms],
        hovertemplate="%{hovertext}<extra></extra>",
        marker={
            "size": 10,
            "color": [regime_color(a.batch_size, record.rows) if place is None else color for a in arms],
        },
        name=texts("legend.median") if place is None else optimizer_name(arms[0].optimizer),
    )
    ring = {"color": LIGHT["ink"], "symbol": "circle-open", "size": 15, "line": {"width": 2, "color": LIGHT["ink"]}}
    at = {"x": rounded([fit.steps(critical)]), "y": rounded([fit.steps(critical) * critical])}
    knee = go.Scatter(**at, mode="markers", marker=ring, name=texts("legend.critical"), hoverinfo="skip")
    return [line.update(name=texts("legend.fit"), showlegend=not place), dots, knee.update(showlegend=not place)]


def _said(record: ComparisonRecord, arm: ArmTimes, texts: Texts) -> str:
    name = arm_name(arm.optimizer, arm.batch_size, record.rows, texts)
    steps, examples = number(round(arm.costs["steps"].median.value)), number(round(_examples(arm)))
    return texts("figure.tradeoff.hover", name=name, steps=steps, examples=examples)


def reading(record: ComparisonRecord, texts: Texts) -> str:
    """Say what each optimizer's least costs are, and the batch size at which both are twice that."""
    names = optimizers(record)
    found = [(name, fit) for name in names if (fit := scaling(record, name)) is not None and bounded(fit)]
    if not found:
        return texts("figure.tradeoff.nothing")
    return "\n".join(_sentence(name, fit, len(names) > 1, texts) for name, fit in found)


def _sentence(name: str, fit: Hyperbola, several: bool, texts: Texts) -> str:
    value, low, high = interval(fit.critical_batch_size)
    ends = {"steps": number(round(fit.s_min.value)), "examples": number(round(fit.e_min.value))}
    begin = texts("reading.optimizer", optimizer=optimizer_name(name)) if several else ""
    return begin + texts("figure.tradeoff.main", value=value, low=low, high=high, **ends)


def numbers(record: ComparisonRecord) -> Rows:
    """Return a row for each arm whose median run reached the target."""
    return [
        {
            "optimizer": arm.optimizer,
            "batch_size": arm.batch_size,
            "median_steps": arm.costs["steps"].median.value,
            "median_examples": _examples(arm),
            "fitted_steps": fit.steps(arm.batch_size) if fit else None,
        }
        for name in optimizers(record)
        for fit in (scaling(record, name),)
        for arm in _reached(record, name)
    ]


ROWS = (ComparedFigure("tradeoff", draw, reading, numbers),)
