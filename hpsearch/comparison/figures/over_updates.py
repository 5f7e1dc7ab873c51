"""What was looked at between the first and the last update of a run, for three batch sizes: noise scale, and sharpness.

Update 0 has no place on a logarithmic axis; it is drawn left of update 1, with a tick of its own.
"""

from collections.abc import Iterable, Sequence
from math import inf, isfinite
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.curvature import SharpnessCurve, sharpness_curves
from hpsearch.comparison.analysis.measured import three
from hpsearch.comparison.analysis.noise import ScaleCurve, scale_curves, two_batch
from hpsearch.comparison.analysis.times import optimizers, scaling
from hpsearch.comparison.figures.look import interval, regime_color, regime_name
from hpsearch.comparison.figures.measures import brief, drawn, note, spread_columns, spread_text, whiskers
from hpsearch.comparison.figures.row import ComparedFigure, Rows
from hpsearch.reporting.figures.style import LIGHT, blank, log_axis, rounded
from hpsearch.reporting.formatting import sentence
from hpsearch.reporting.locales import Texts
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

START = 0.4  # where update 0 is drawn
NEAR = 0.8  # of the stability limit, from which a run is called near it
ABOVE = 2.0  # times the first noise scale, from which it is said to rise


def _x(updates: Iterable[int]) -> list[float]:
    return [float(max(update, START)) for update in updates]


def _update_axis(last: int, title: str) -> dict[str, Any]:
    """Return the logarithmic axis of updates, with update 0 on it."""
    below = log_axis(1, max(10, last), title)
    return below | {"tickvals": [START, *below["tickvals"]], "ticktext": ["0", *below["ticktext"]]}


def _curve(updates: Sequence[int], y: Sequence[float | None], color: str, name: str, said: Sequence[str]) -> go.Scatter:
    return go.Scatter(
        x=_x(updates),
        y=rounded(list(y)),
        mode="lines+markers",
        name=name,
        text=list(said),
        hovertemplate="%{text}<extra></extra>",
        line={"color": color, "width": 2.2},
        marker={"color": color, "size": 7},
    )


def draw_scale(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the noise scale over updates, the batch sizes used, and the critical batch size; None where nothing was measured."""
    curves = three(record, drawn(record), scale_curves(record, drawn(record)))
    known = [point.scale.value for curve in curves for point in curve.points if isfinite(point.scale.value)]
    if not known:
        return None
    sizes = [arm.batch_size for arm in record.arms if arm.optimizer == drawn(record)]
    cap = 2 * max([*known, *sizes])
    figure = blank(450)
    figure.add_traces(_used(record, texts, sizes, curves))
    for curve in curves:
        figure.add_traces(_scale(record, texts, curve, cap))
    for trace in list(figure.select_traces({"name": texts("figure.noise_scale.infinite")}))[1:]:
        trace.update(showlegend=False)  # one entry for the marks of all colours
    last = max(point.update for curve in curves for point in curve.points)
    figure.update_xaxes(_update_axis(last, texts("axis.updates")))
    figure.update_yaxes(log_axis(min([*known, *sizes]), cap, texts("figure.noise_scale.y")))
    _critical(figure, record, texts)
    return figure.update_layout(meta={"note": note(record, texts, texts("figure.noise_scale.note"))})


def _used(
    record: ComparisonRecord, texts: Texts, sizes: Sequence[int], curves: Sequence[ScaleCurve]
) -> list[go.Scatter]:
    """Return a horizontal line at each batch size that was used."""
    ends = [START, float(max(point.update for curve in curves for point in curve.points))]
    lines = []
    for place, size in enumerate(sorted(set(sizes))):
        line = {"color": regime_color(size, record.rows), "width": 1, "dash": "dot"}
        said = {
            "name": texts("figure.noise_scale.used"),
            "legendgroup": "used",
            "showlegend": place == 0,
            "hoverinfo": "skip",
        }
        lines.append(go.Scatter(x=ends, y=[size, size], mode="lines", line=line, **said))
    return lines


def _scale(record: ComparisonRecord, texts: Texts, curve: ScaleCurve, cap: float) -> list[go.Scatter]:
    color, regime = regime_color(curve.batch_size, record.rows), regime_name(curve.batch_size, record.rows, texts)
    points = curve.points
    said = [
        texts(
            "figure.noise_scale.hover",
            regime=regime,
            update=brief(p.update),
            scale=spread_text(p.scale),
            loss=brief(p.loss),
        )
        for p in points
    ]
    heights = [p.scale.value if isfinite(p.scale.value) else None for p in points]
    line = _curve([p.update for p in points], heights, color, regime, said)
    line.update(error_y=whiskers([p.scale for p in points]))
    beyond = [p for p in points if not isfinite(p.scale.value)]
    mark = {"color": color, "symbol": "triangle-up", "size": 11}
    words = [text for p, text in zip(points, said, strict=True) if p in beyond]
    above = go.Scatter(x=_x(p.update for p in beyond), y=[cap] * len(beyond), mode="markers", marker=mark, text=words)
    above.update(hovertemplate="%{text}<extra></extra>", name=texts("figure.noise_scale.infinite"))
    return [line, *([above] if beyond else [])]


def _critical(figure: go.Figure, record: ComparisonRecord, texts: Texts) -> None:
    """Draw the band of the critical batch size, its legend entry as a line in the middle."""
    found = _critical_batch_size(record)
    if found is None:
        return
    ends = [START, max(max(trace.x) for trace in figure.data)]
    if isfinite(found.high) and found.low > 0:
        filled = {"fillcolor": LIGHT["band"], "line": {"width": 0}, "layer": "below"}
        figure.add_shape(type="rect", x0=ends[0], x1=ends[1], y0=found.low, y1=found.high, **filled)
    line = {"color": LIGHT["ink"], "width": 1.6, "dash": "dash"}
    value, low, high = interval(found)
    name = texts("figure.noise_scale.critical", value=value, low=low, high=high)
    figure.add_trace(go.Scatter(x=ends, y=[found.value] * 2, mode="lines", line=line, name=name, hoverinfo="skip"))


def _critical_batch_size(record: ComparisonRecord) -> Estimate | None:
    """Return the fitted critical batch size, None where there is no fit, or it ran out of the data's range."""
    fit = scaling(record, drawn(record))
    return fit.critical_batch_size if fit and 0 < fit.critical_batch_size.value < inf else None


def read_scale(record: ComparisonRecord, texts: Texts) -> str:
    """Say how the noise scale rises in a run, how it lies to the batch sizes, and to the critical one."""
    curves = three(record, drawn(record), scale_curves(record, drawn(record)))
    if not curves:
        return texts("figure.noise_scale.thin")
    told = curves[len(curves) // 2] if len(curves) > 2 else curves[-1]
    finite = [point.scale.value for point in told.points if isfinite(point.scale.value)]
    first, last = told.points[0].scale.value, finite[-1] if finite else inf
    late = told.moments.get("target")
    rises = isfinite(first) and last >= ABOVE * first
    values = {
        "regime": sentence(regime_name(told.batch_size, record.rows, texts)),
        "first": brief(first),
        "last": brief(last),
    }
    values["factor"] = brief(last / first) if isfinite(first) and isfinite(last) else brief(last)
    parts = [texts("figure.noise_scale.rises" if rises else "figure.noise_scale.flat", **values)]
    parts += [texts("figure.noise_scale.target", scale=spread_text(late))] if late else []
    critical = _critical_batch_size(record)
    value = late.value if late else last
    if critical and isfinite(value):
        middle, low, high = interval(critical)
        ratio = brief(value / critical.value)
        parts.append(texts("figure.noise_scale.against", critical=middle, low=low, high=high, ratio=ratio))
    return " ".join([*parts, *_two_batch(record, texts)])


def _two_batch(record: ComparisonRecord, texts: Texts) -> list[str]:
    """Say what the estimate from two batch sizes is worth, at the last moment that has one."""
    found = two_batch(record, drawn(record))[-1:]
    return [
        texts(
            "figure.noise_scale.two_batch",
            moment=texts(f"moment.{one.moment}"),
            small=brief(one.small),
            large=brief(one.large),
            estimate=brief(one.estimate),
            exact=brief(one.exact),
        )
        for one in found
    ]


def scale_numbers(record: ComparisonRecord) -> Rows:
    """Return the noise scale of every measured arm at every look."""
    return [
        {"optimizer": name, "batch_size": curve.batch_size, "update": point.update, "loss": point.loss}
        | spread_columns("noise_scale", point.scale)
        | {"measured_runs": point.scale.runs}
        for name in optimizers(record)
        for curve in scale_curves(record, name)
        for point in curve.points
    ]


def draw_sharpness(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the sharpness over updates with each run's stability limit; None where nothing was measured."""
    curves = three(record, drawn(record), sharpness_curves(record, drawn(record)))
    heights = [point.value.value for curve in curves for point in curve.points if point.value.value > 0]
    if not heights:
        return None
    figure = blank(450)
    for curve in curves:
        figure.add_traces(_sharpness(record, texts, curve))
    for trace in list(figure.select_traces({"legendgroup": "limit"}))[1:]:
        trace.update(showlegend=False)
    limits = [curve.limit for curve in curves if curve.limit]
    last = max(point.update for curve in curves for point in curve.points)
    figure.update_xaxes(_update_axis(last, texts("axis.updates")))
    figure.update_yaxes(log_axis(min([*heights, *limits]), max([*heights, *limits]), texts("figure.sharpness.y")))
    said = [texts("figure.sharpness.note")] + ([] if limits else [texts("figure.sharpness.no_limit_note")])
    return figure.update_layout(meta={"note": note(record, texts, *said)})


def _sharpness(record: ComparisonRecord, texts: Texts, curve: SharpnessCurve) -> list[go.Scatter]:
    color, regime = regime_color(curve.batch_size, record.rows), regime_name(curve.batch_size, record.rows, texts)
    points = curve.points
    said = [
        texts(
            "figure.sharpness.hover" if curve.limit else "figure.sharpness.hover_no_limit",
            regime=regime,
            update=brief(point.update),
            value=spread_text(point.value),
            limit=brief(curve.limit),
            ratio=brief(curve.ratio(point.value.value)),
        )
        for point in points
    ]
    y = [point.value.value if point.value.value > 0 else None for point in points]
    line = _curve([point.update for point in points], y, color, regime, said)
    open_ = ["circle" if point.converged else "circle-open" for point in points]
    line.update(error_y=whiskers([point.value for point in points]), marker={"symbol": open_})
    if curve.limit is None:
        return [line]
    dotted = {"color": color, "width": 1.6, "dash": "dot"}
    ends = [START, float(max(points[-1].update, 1))]
    shown = {
        "name": texts("figure.sharpness.limit"),
        "legendgroup": "limit",
        "hoverinfo": "skip",
        "line": dotted,
        "mode": "lines",
    }
    return [line, go.Scatter(x=ends, y=rounded([curve.limit] * 2), **shown)]


def read_sharpness(record: ComparisonRecord, texts: Texts) -> str:
    """Say which batch sizes came near the limit of stability and which stayed below."""
    curves = three(record, drawn(record), sharpness_curves(record, drawn(record)))
    if not curves:
        return texts("figure.sharpness.thin")
    if any(curve.limit is None for curve in curves):
        return texts("figure.sharpness.no_limit")
    near = [curve for curve in curves if (curve.highest_ratio or 0) >= NEAR]
    below = [curve for curve in curves if curve not in near]
    sentences = [("near", near), ("below", below)]
    return " ".join(
        texts(f"figure.sharpness.{key}", regimes=_ratios(record, texts, group)) for key, group in sentences if group
    )


def _ratios(record: ComparisonRecord, texts: Texts, curves: Sequence[SharpnessCurve]) -> str:
    """Return batch sizes with their greatest ratio and that of the last look."""
    named = [
        texts(
            "figure.sharpness.ratio",
            regime=regime_name(curve.batch_size, record.rows, texts),
            highest=brief(curve.highest_ratio),
            last=brief(curve.ratio(curve.last.value.value)),
        )
        for curve in curves
    ]
    return "; ".join(named)


def sharpness_numbers(record: ComparisonRecord) -> Rows:
    """Return the sharpness of every measured arm at every look."""
    return [
        {
            "optimizer": name,
            "batch_size": curve.batch_size,
            "learning_rate": curve.learning_rate,
            "update": point.update,
        }
        | spread_columns("sharpness", point.value)
        | {"stability_limit": curve.limit, "stability_ratio": curve.ratio(point.value.value)}
        | {"converged": point.converged, "measured_runs": point.value.runs}
        for name in optimizers(record)
        for curve in sharpness_curves(record, name)
        for point in curve.points
    ]


ROWS = (
    ComparedFigure("noise_scale", draw_scale, read_scale, scale_numbers),
    ComparedFigure("sharpness", draw_sharpness, read_sharpness, sharpness_numbers),
)
