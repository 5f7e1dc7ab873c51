"""The noise scale and the sharpness between the first and the last update of a run, for three batch sizes.

Updates are on a logarithmic axis, where update 0 is drawn left of update 1, with its own tick. Beside the noise scale stand the batch sizes
that were used and the critical one; beside the sharpness, the limit of stability.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from math import inf, isfinite
from typing import Any, TypeVar

import plotly.graph_objects as go

from hpsearch.comparison.analysis.measured import three_regimes
from hpsearch.comparison.analysis.noise import ScaleCurve, scale_curves, two_batch
from hpsearch.comparison.analysis.stability import SharpnessCurve, sharpness_curves
from hpsearch.comparison.figures.appearance import (
    brief,
    by_optimizer,
    interval,
    measured_note,
    measured_optimizer,
    regime_color,
    regime_name,
    spread_columns,
    spread_text,
)
from hpsearch.comparison.figures.figure import Mark, Rows, mark_trace, plain_trace, plot, range_bars
from hpsearch.comparison.figures.tradeoff import bounded_fit
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, log_axis
from hpsearch.reporting.formatting import sentence
from hpsearch.storage import ComparisonRecord

T = TypeVar("T", ScaleCurve, SharpnessCurve)
START = 0.4  # where update 0 is drawn
RISING = 2.0  # times the first noise scale, from which it is said to rise
NEAR = 0.8  # of the stability limit, from which a run is called near it


def _three(record: ComparisonRecord, find: Callable[[ComparisonRecord, str], list[T]]) -> list[T]:
    """Return the curves of three batch sizes of the optimizer whose measurements are drawn."""
    optimizer = measured_optimizer(record)
    return three_regimes(record, optimizer, find(record, optimizer))


def _position(update: int) -> float:
    return float(max(update, START))


def _update_axis(last: int, texts: Texts) -> dict[str, Any]:
    """Return the logarithmic axis of updates, with update 0 on it."""
    below = log_axis(1, max(10, last), texts("axis.updates"))
    return below | {"tickvals": [START, *below["tickvals"]], "ticktext": ["0", *below["ticktext"]]}


def _update_curve(marks: Sequence[Mark], color: str, name: str) -> go.Scatter:
    """Return a line with a mark at each update."""
    style = {"line": {"color": color, "width": 2.2}, "marker": {"color": color, "size": 7}}
    return mark_trace(marks, mode="lines+markers", name=name, **style)


def _list_first(figure: go.Figure, name: str) -> None:
    """Let the legend have one entry for the traces of all colours that have a name."""
    for trace in list(figure.select_traces({"name": name}))[1:]:
        trace.update(showlegend=False)


# ---- the noise scale


def draw_noise_scale(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the noise scale over updates, the batch sizes used, and the critical batch size; None where nothing was measured."""
    curves = _three(record, scale_curves)
    points = list(chain.from_iterable(curve.points for curve in curves))
    known = [point.scale.value for point in points if isfinite(point.scale.value)]
    if not known:
        return None
    sizes = [arm.batch_size for arm in record.arms if arm.optimizer == measured_optimizer(record)]
    cap = 2 * max([*known, *sizes])
    last = max(point.update for point in points)
    traces = _batch_size_lines(record, texts, sizes, last)
    for curve in curves:
        traces += _scale_traces(record, texts, curve, cap)
    vertical = log_axis(min([*known, *sizes]), cap, texts("figure.noise_scale.y"))
    figure = plot(450, traces, _update_axis(last, texts), vertical)
    _list_first(figure, texts("figure.noise_scale.infinite"))
    _add_critical_batch_size(figure, record, texts)
    return figure.update_layout(meta={"note": measured_note(record, texts, texts("figure.noise_scale.note"))})


def _batch_size_lines(record: ComparisonRecord, texts: Texts, sizes: Sequence[int], last: int) -> list[go.Scatter]:
    """Return a horizontal line at each batch size that was used."""
    lines: list[go.Scatter] = []
    for size in sorted(set(sizes)):
        line = {"color": regime_color(size, record.rows), "width": 1, "dash": "dot"}
        legend = {"name": texts("figure.noise_scale.used"), "legendgroup": "used", "showlegend": not lines}
        lines.append(plain_trace([START, float(last)], [size, size], line=line, **legend))
    return lines


def _scale_traces(record: ComparisonRecord, texts: Texts, curve: ScaleCurve, cap: float) -> list[go.Scatter]:
    """Return a batch size's line, and a ▲ at the top where its noise scale is infinite."""
    color = regime_color(curve.batch_size, record.rows)
    regime = regime_name(curve.batch_size, record.rows, texts)
    marks = []
    infinite = []
    for point in curve.points:
        values = {"scale": spread_text(point.scale, texts), "loss": brief(point.loss)}
        text = texts("figure.noise_scale.hover", regime=regime, update=brief(point.update), **values)
        x = _position(point.update)
        if isfinite(point.scale.value):
            marks.append(Mark(x, point.scale.value, text))
        else:
            marks.append(Mark(x, None, text))
            infinite.append(Mark(x, cap, text))
    line = _update_curve(marks, color, regime).update(error_y=range_bars([point.scale for point in curve.points]))
    if not infinite:
        return [line]
    marker = {"color": color, "symbol": "triangle-up", "size": 11}
    triangles = mark_trace(infinite, marker=marker, name=texts("figure.noise_scale.infinite"))
    return [line, triangles.update(y=[cap] * len(infinite))]


def _add_critical_batch_size(figure: go.Figure, record: ComparisonRecord, texts: Texts) -> None:
    """Draw the interval of the critical batch size as a band, and the value as a dashed line with a legend entry."""
    fit = bounded_fit(record, measured_optimizer(record))
    if fit is None:
        return
    critical = fit.critical_batch_size
    end = max(max(trace.x) for trace in figure.data)
    if isfinite(critical.high) and critical.low > 0:
        filled = {"fillcolor": LIGHT["band"], "line": {"width": 0}, "layer": "below"}
        figure.add_shape(type="rect", x0=START, x1=end, y0=critical.low, y1=critical.high, **filled)
    line = {"color": LIGHT["ink"], "width": 1.6, "dash": "dash"}
    value, low, high = interval(critical)
    name = texts("figure.noise_scale.critical", value=value, low=low, high=high)
    y = [critical.value] * 2
    figure.add_trace(go.Scatter(x=[START, end], y=y, mode="lines", line=line, name=name, hoverinfo="skip"))


def read_noise_scale(record: ComparisonRecord, texts: Texts) -> str:
    """Say how the noise scale rises in a run, how it compares with the batch sizes, and with the critical one."""
    curves = _three(record, scale_curves)
    if not curves:
        return texts("figure.noise_scale.thin")
    curve = curves[len(curves) // 2] if len(curves) > 2 else curves[-1]
    finite = [point.scale.value for point in curve.points if isfinite(point.scale.value)]
    last = finite[-1] if finite else inf
    at_target = curve.moments.get("target")
    reached = last
    if at_target and isfinite(at_target.value) and isfinite(last):  # runs that stopped there share no update with it
        reached = max(last, at_target.value)
    parts = [_rise(curve, reached, record, texts)]
    if at_target:
        parts.append(texts("figure.noise_scale.target", scale=spread_text(at_target, texts)))
    scale = at_target.value if at_target else last
    fit = bounded_fit(record, measured_optimizer(record))
    if fit is not None and isfinite(scale):
        value, low, high = interval(fit.critical_batch_size)
        ratio = brief(scale / fit.critical_batch_size.value)
        parts.append(texts("figure.noise_scale.against", critical=value, low=low, high=high, ratio=ratio))
    return " ".join([*parts, *_two_batch(record, texts)])


def _rise(curve: ScaleCurve, last: float, record: ComparisonRecord, texts: Texts) -> str:
    first = curve.points[0].scale.value
    rises = isfinite(first) and last >= RISING * first
    key = "rises" if rises else "flat"
    factor = last / first if isfinite(first) and isfinite(last) else last
    regime = sentence(regime_name(curve.batch_size, record.rows, texts))
    values = {"first": brief(first), "last": brief(last), "factor": brief(factor)}
    return texts(f"figure.noise_scale.{key}", regime=regime, **values)


def _two_batch(record: ComparisonRecord, texts: Texts) -> list[str]:
    """Say what the estimate from two batch sizes is worth, at the last moment that has one and an exact value."""
    estimates = [one for one in two_batch(record, measured_optimizer(record)) if isfinite(one.estimate + one.exact)]
    if not estimates:
        return []
    last = estimates[-1]
    sizes = {"small": brief(last.small), "large": brief(last.large)}
    values = {"estimate": brief(last.estimate), "exact": brief(last.exact)}
    return [texts("figure.noise_scale.two_batch", moment=texts(f"moment.{last.moment}"), **sizes, **values)]


def noise_scale_numbers(record: ComparisonRecord) -> Rows:
    """Return the noise scale of every measured arm at every measurement."""
    rows = []
    for optimizer, curve in by_optimizer(record, scale_curves):
        for point in curve.points:
            row = {"optimizer": optimizer, "batch_size": curve.batch_size, "update": point.update, "loss": point.loss}
            rows.append(row | spread_columns("noise_scale", point.scale) | {"measured_runs": point.scale.runs})
    return rows


# ---- the sharpness


def draw_sharpness(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the sharpness over updates with each run's stability limit; None where nothing was measured."""
    curves = _three(record, sharpness_curves)
    points = list(chain.from_iterable(curve.points for curve in curves))
    heights = [point.value.value for point in points if point.value.value > 0]
    if not heights:
        return None
    traces = []
    limits = []
    for curve in curves:
        traces.append(_sharpness_line(record, texts, curve))
        if curve.limit is not None:
            traces.append(_limit_line(record, texts, curve, curve.limit))
            limits.append(curve.limit)
    shown = [*heights, *limits]
    notes = [texts("figure.sharpness.note")]
    if not limits:
        notes.append(texts("figure.sharpness.no_limit_note"))
    horizontal = _update_axis(max(point.update for point in points), texts)
    vertical = log_axis(min(shown), max(shown), texts("figure.sharpness.y"))
    figure = plot(450, traces, horizontal, vertical, meta={"note": measured_note(record, texts, *notes)})
    _list_first(figure, texts("figure.sharpness.limit"))
    return figure


def _sharpness_line(record: ComparisonRecord, texts: Texts, curve: SharpnessCurve) -> go.Scatter:
    """Return a batch size's line, with open marks where a sharpness did not converge."""
    regime = regime_name(curve.batch_size, record.rows, texts)
    key = "hover" if curve.limit else "hover_no_limit"
    marks = []
    for point in curve.points:
        value = point.value.value
        text = texts(
            f"figure.sharpness.{key}",
            regime=regime,
            update=brief(point.update),
            value=spread_text(point.value, texts),
            limit=brief(curve.limit),
            ratio=brief(curve.ratio(value)),
        )
        marks.append(Mark(_position(point.update), value if value > 0 else None, text))
    symbols = ["circle" if point.converged else "circle-open" for point in curve.points]
    line = _update_curve(marks, regime_color(curve.batch_size, record.rows), regime)
    return line.update(error_y=range_bars([point.value for point in curve.points]), marker={"symbol": symbols})


def _limit_line(record: ComparisonRecord, texts: Texts, curve: SharpnessCurve, limit: float) -> go.Scatter:
    last = float(max(curve.points[-1].update, 1))
    line = {"color": regime_color(curve.batch_size, record.rows), "width": 1.6, "dash": "dot"}
    name = texts("figure.sharpness.limit")
    return plain_trace([START, last], [limit, limit], line=line, name=name, legendgroup="limit")


def read_sharpness(record: ComparisonRecord, texts: Texts) -> str:
    """Say which batch sizes came near the limit of stability and which stayed below."""
    curves = _three(record, sharpness_curves)
    if not curves:
        return texts("figure.sharpness.thin")
    if any(curve.limit is None for curve in curves):
        return texts("figure.sharpness.no_limit")
    near = [curve for curve in curves if (curve.highest_ratio or 0) >= NEAR]
    below = [curve for curve in curves if (curve.highest_ratio or 0) < NEAR]
    parts = []
    for key, group in (("near", near), ("below", below)):
        if group:
            ratios = "; ".join(_ratio(record, texts, curve) for curve in group)
            parts.append(texts(f"figure.sharpness.{key}", near=f"{NEAR:g}", regimes=ratios))
    return " ".join(parts)


def _ratio(record: ComparisonRecord, texts: Texts, curve: SharpnessCurve) -> str:
    """Return a batch size with its greatest ratio and the last one."""
    regime = regime_name(curve.batch_size, record.rows, texts)
    last = brief(curve.ratio(curve.last.value.value))
    return texts("figure.sharpness.ratio", regime=regime, highest=brief(curve.highest_ratio), last=last)


def sharpness_numbers(record: ComparisonRecord) -> Rows:
    """Return the sharpness of every measured arm at every measurement."""
    rows = []
    for optimizer, curve in by_optimizer(record, sharpness_curves):
        arm = {"optimizer": optimizer, "batch_size": curve.batch_size, "learning_rate": curve.learning_rate}
        for point in curve.points:
            row = arm | {"update": point.update} | spread_columns("sharpness", point.value)
            row |= {"stability_limit": curve.limit, "stability_ratio": curve.ratio(point.value.value)}
            rows.append(row | {"converged": point.converged, "measured_runs": point.value.runs})
    return rows
