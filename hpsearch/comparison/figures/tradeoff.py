"""Examples against updates to the target: what a larger batch saves in updates, and what it costs in data (McCandlish et al. 2018, fig 2).

The fit S = S_min (1 + B_crit / B) is here the curve (S / S_min - 1) (E / E_min - 1) = 1, since E = S B.
"""

from itertools import chain
from math import inf, isfinite

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import ArmTimes, optimizers, scaling, times
from hpsearch.comparison.figures.appearance import (
    arm_name,
    for_each_optimizer,
    interval,
    optimizer_name,
    regime_color,
    series_color,
)
from hpsearch.comparison.figures.figure import Rows
from hpsearch.reporting.figures.style import LIGHT, blank, log_axis, rounded
from hpsearch.reporting.formatting import number
from hpsearch.reporting.locales import Texts
from hpsearch.statistics.scaling import Hyperbola
from hpsearch.storage import ComparisonRecord

POINTS = 80


def bounded_fits(record: ComparisonRecord) -> dict[str, Hyperbola]:
    """Return the fits with a finite, positive critical batch size, by optimizer: without one there is no trade-off to draw."""
    fits = {}
    for name in optimizers(record):
        fit = scaling(record, name)
        if fit is not None and 0 < fit.critical_batch_size.value < inf:
            fits[name] = fit
    return fits


def _reaching(record: ComparisonRecord, optimizer: str) -> list[ArmTimes]:
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
    fits = bounded_fits(record)
    if not fits:
        return None
    figure = blank(430)
    for index, (name, fit) in enumerate(fits.items()):
        color = series_color(index) if len(fits) > 1 else ""
        traces = [_fit_line(record, fit, name, color, texts), _dots(record, name, color, texts), _knee(fit, texts)]
        for trace in traces[::2]:
            trace.update(showlegend=index == 0)
        figure.add_traces(traces)
    widths = list(chain.from_iterable(trace.x for trace in figure.data))
    heights = list(chain.from_iterable(trace.y for trace in figure.data))
    figure.update_xaxes(log_axis(min(widths), max(widths), texts("figure.tradeoff.x")))
    figure.update_yaxes(log_axis(min(heights), max(heights), texts("figure.tradeoff.y")))
    return figure.update_layout(meta={"note": texts("figure.tradeoff.note")})


def _fit_line(record: ComparisonRecord, fit: Hyperbola, optimizer: str, color: str, texts: Texts) -> go.Scatter:
    """Return the fit from the smallest to the largest batch size, or to the critical one where that lies beyond."""
    sizes = [arm.batch_size for arm in _reaching(record, optimizer)]
    critical = fit.critical_batch_size.value
    x, y = curve(fit, min(sizes[0], critical), max(sizes[-1], critical))
    line = {"color": color or LIGHT["soft"], "width": 2}
    return go.Scatter(x=rounded(x), y=rounded(y), mode="lines", line=line, hoverinfo="skip", name=texts("legend.fit"))


def _dots(record: ComparisonRecord, optimizer: str, color: str, texts: Texts) -> go.Scatter:
    """Return the batch sizes; `color` is the optimizer's, "" where they have the colours of their regimes."""
    arms = _reaching(record, optimizer)
    name = texts("legend.median")
    if color:
        name = optimizer_name(optimizer)
    colors = [color or regime_color(arm.batch_size, record.rows) for arm in arms]
    return go.Scatter(
        x=rounded([arm.costs["steps"].median.value for arm in arms]),
        y=rounded([_examples(arm) for arm in arms]),
        mode="markers+text",
        text=[number(arm.batch_size) for arm in arms],
        textposition="top right",
        textfont={"color": LIGHT["ink"], "size": 12},
        hovertext=[_hover(record, arm, texts) for arm in arms],
        hovertemplate="%{hovertext}<extra></extra>",
        marker={"size": 10, "color": colors},
        name=name,
    )


def _knee(fit: Hyperbola, texts: Texts) -> go.Scatter:
    """Return a ring at the critical batch size."""
    critical = fit.critical_batch_size.value
    marker = {"color": LIGHT["ink"], "symbol": "circle-open", "size": 15, "line": {"width": 2, "color": LIGHT["ink"]}}
    return go.Scatter(
        x=rounded([fit.steps(critical)]),
        y=rounded([fit.steps(critical) * critical]),
        mode="markers",
        marker=marker,
        name=texts("legend.critical"),
        hoverinfo="skip",
    )


def _hover(record: ComparisonRecord, arm: ArmTimes, texts: Texts) -> str:
    name = arm_name(arm.optimizer, arm.batch_size, record.rows, texts)
    steps = number(round(arm.costs["steps"].median.value))
    return texts("figure.tradeoff.hover", name=name, steps=steps, examples=number(round(_examples(arm))))


def read(record: ComparisonRecord, texts: Texts) -> str:
    """Say what each optimizer's least costs are, and the batch size at which both are twice that."""
    fits = bounded_fits(record)
    if not fits:
        return texts("figure.tradeoff.nothing")
    return for_each_optimizer(record, texts, lambda name: _sentence(fits[name], texts) if name in fits else "")


def _sentence(fit: Hyperbola, texts: Texts) -> str:
    value, low, high = interval(fit.critical_batch_size)
    ends = {"steps": number(round(fit.s_min.value)), "examples": number(round(fit.e_min.value))}
    return texts("figure.tradeoff.main", value=value, low=low, high=high, **ends)


def numbers(record: ComparisonRecord) -> Rows:
    """Return a row for each arm whose median run reached the target."""
    rows = []
    for name in optimizers(record):
        fit = scaling(record, name)
        rows += [_row(arm, fit) for arm in _reaching(record, name)]
    return rows


def _row(arm: ArmTimes, fit: Hyperbola | None) -> dict[str, object]:
    return {
        "optimizer": arm.optimizer,
        "batch_size": arm.batch_size,
        "median_steps": arm.costs["steps"].median.value,
        "median_examples": _examples(arm),
        "fitted_steps": fit.steps(arm.batch_size) if fit else None,
    }
