"""The noise scale between the first and the last update of a run, for three batch sizes, beside the critical batch size."""

from collections.abc import Sequence
from itertools import chain
from math import inf, isfinite

import plotly.graph_objects as go

from hpsearch.comparison.analysis.measured import three_regimes
from hpsearch.comparison.analysis.noise import ScaleCurve, scale_curves, two_batch
from hpsearch.comparison.analysis.times import scaling
from hpsearch.comparison.figures.appearance import (
    HOVER,
    brief,
    by_optimizer,
    interval,
    measured_note,
    measured_optimizer,
    range_bars,
    regime_color,
    regime_name,
    spread_columns,
    spread_text,
)
from hpsearch.comparison.figures.figure import Rows
from hpsearch.comparison.figures.over_updates import START, position, update_axis, update_curve
from hpsearch.reporting.figures.style import LIGHT, blank, log_axis
from hpsearch.reporting.formatting import sentence
from hpsearch.reporting.locales import Texts
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

RISING = 2.0  # times the first noise scale, from which it is said to rise


def _curves(record: ComparisonRecord) -> list[ScaleCurve]:
    optimizer = measured_optimizer(record)
    return three_regimes(record, optimizer, scale_curves(record, optimizer))


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the noise scale over updates, the batch sizes used, and the critical batch size; None where nothing was measured."""
    curves = _curves(record)
    points = list(chain.from_iterable(curve.points for curve in curves))
    known = [point.scale.value for point in points if isfinite(point.scale.value)]
    if not known:
        return None
    sizes = [arm.batch_size for arm in record.arms if arm.optimizer == measured_optimizer(record)]
    cap = 2 * max([*known, *sizes])
    last = max(point.update for point in points)
    figure = blank(450)
    figure.add_traces(_batch_size_lines(record, texts, sizes, last))
    for curve in curves:
        figure.add_traces(_curve_traces(record, texts, curve, cap))
    for trace in list(figure.select_traces({"name": texts("figure.noise_scale.infinite")}))[1:]:
        trace.update(showlegend=False)  # one entry for the marks of all colours
    figure.update_xaxes(update_axis(last, texts("axis.updates")))
    figure.update_yaxes(log_axis(min([*known, *sizes]), cap, texts("figure.noise_scale.y")))
    _add_critical_batch_size(figure, record, texts)
    return figure.update_layout(meta={"note": measured_note(record, texts, texts("figure.noise_scale.note"))})


def _batch_size_lines(record: ComparisonRecord, texts: Texts, sizes: Sequence[int], last: int) -> list[go.Scatter]:
    """Return a horizontal line at each batch size that was used."""
    lines = []
    for index, size in enumerate(sorted(set(sizes))):
        line = go.Scatter(
            x=[START, float(last)],
            y=[size, size],
            mode="lines",
            line={"color": regime_color(size, record.rows), "width": 1, "dash": "dot"},
            name=texts("figure.noise_scale.used"),
            legendgroup="used",
            showlegend=index == 0,
            hoverinfo="skip",
        )
        lines.append(line)
    return lines


def _curve_traces(record: ComparisonRecord, texts: Texts, curve: ScaleCurve, cap: float) -> list[go.Scatter]:
    """Return a batch size's line, and a ▲ at the top where its noise scale is infinite."""
    color = regime_color(curve.batch_size, record.rows)
    regime = regime_name(curve.batch_size, record.rows, texts)
    hover = {}
    for point in curve.points:
        values = {"scale": spread_text(point.scale), "loss": brief(point.loss)}
        update = brief(point.update)
        hover[point.update] = texts("figure.noise_scale.hover", regime=regime, update=update, **values)
    updates = [point.update for point in curve.points]
    heights = [point.scale.value if isfinite(point.scale.value) else None for point in curve.points]
    line = update_curve(updates, heights, color, regime, list(hover.values()))
    line.update(error_y=range_bars([point.scale for point in curve.points]))
    infinite = [point.update for point in curve.points if not isfinite(point.scale.value)]
    if not infinite:
        return [line]
    triangles = go.Scatter(
        x=[position(update) for update in infinite],
        y=[cap] * len(infinite),
        mode="markers",
        marker={"color": color, "symbol": "triangle-up", "size": 11},
        text=[hover[update] for update in infinite],
        hovertemplate=HOVER,
        name=texts("figure.noise_scale.infinite"),
    )
    return [line, triangles]


def _add_critical_batch_size(figure: go.Figure, record: ComparisonRecord, texts: Texts) -> None:
    """Draw the interval of the critical batch size as a band, and the value as a dashed line with a legend entry."""
    critical = _critical_batch_size(record)
    if critical is None:
        return
    start = START
    end = max(max(trace.x) for trace in figure.data)
    if isfinite(critical.high) and critical.low > 0:
        filled = {"fillcolor": LIGHT["band"], "line": {"width": 0}, "layer": "below"}
        figure.add_shape(type="rect", x0=start, x1=end, y0=critical.low, y1=critical.high, **filled)
    line = {"color": LIGHT["ink"], "width": 1.6, "dash": "dash"}
    value, low, high = interval(critical)
    name = texts("figure.noise_scale.critical", value=value, low=low, high=high)
    y = [critical.value] * 2
    figure.add_trace(go.Scatter(x=[start, end], y=y, mode="lines", line=line, name=name, hoverinfo="skip"))


def _critical_batch_size(record: ComparisonRecord) -> Estimate | None:
    """Return the fitted critical batch size, None where there is no fit, or it ran out of the data's range."""
    fit = scaling(record, measured_optimizer(record))
    if fit is None or not 0 < fit.critical_batch_size.value < inf:
        return None
    return fit.critical_batch_size


def read(record: ComparisonRecord, texts: Texts) -> str:
    """Say how the noise scale rises in a run, how it compares with the batch sizes, and with the critical one."""
    curves = _curves(record)
    if not curves:
        return texts("figure.noise_scale.thin")
    curve = curves[len(curves) // 2] if len(curves) > 2 else curves[-1]
    finite = [point.scale.value for point in curve.points if isfinite(point.scale.value)]
    last = finite[-1] if finite else inf
    parts = [_change(curve, last, record, texts)]
    at_target = curve.moments.get("target")
    if at_target:
        parts.append(texts("figure.noise_scale.target", scale=spread_text(at_target)))
    parts += _against_critical(at_target.value if at_target else last, record, texts)
    return " ".join([*parts, *_two_batch(record, texts)])


def _change(curve: ScaleCurve, last: float, record: ComparisonRecord, texts: Texts) -> str:
    first = curve.points[0].scale.value
    rises = isfinite(first) and last >= RISING * first
    key = "rises" if rises else "flat"
    factor = last / first if isfinite(first) and isfinite(last) else last
    regime = sentence(regime_name(curve.batch_size, record.rows, texts))
    values = {"first": brief(first), "last": brief(last), "factor": brief(factor)}
    return texts(f"figure.noise_scale.{key}", regime=regime, **values)


def _against_critical(scale: float, record: ComparisonRecord, texts: Texts) -> list[str]:
    critical = _critical_batch_size(record)
    if critical is None or not isfinite(scale):
        return []
    value, low, high = interval(critical)
    ratio = brief(scale / critical.value)
    return [texts("figure.noise_scale.against", critical=value, low=low, high=high, ratio=ratio)]


def _two_batch(record: ComparisonRecord, texts: Texts) -> list[str]:
    """Say what the estimate from two batch sizes is worth, at the last moment that has one."""
    estimates = two_batch(record, measured_optimizer(record))
    if not estimates:
        return []
    last = estimates[-1]
    sizes = {"small": brief(last.small), "large": brief(last.large)}
    values = {"estimate": brief(last.estimate), "exact": brief(last.exact)}
    return [texts("figure.noise_scale.two_batch", moment=texts(f"moment.{last.moment}"), **sizes, **values)]


def numbers(record: ComparisonRecord) -> Rows:
    """Return the noise scale of every measured arm at every measurement."""
    rows = []
    for optimizer, curve in by_optimizer(record, scale_curves):
        for point in curve.points:
            row = {"optimizer": optimizer, "batch_size": curve.batch_size, "update": point.update, "loss": point.loss}
            rows.append(row | spread_columns("noise_scale", point.scale) | {"measured_runs": point.scale.runs})
    return rows
