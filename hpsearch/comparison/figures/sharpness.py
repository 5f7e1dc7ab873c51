"""The sharpness between the first and the last update of a run, for three batch sizes, beside the limit of stability."""

from collections.abc import Sequence
from itertools import chain

import plotly.graph_objects as go

from hpsearch.comparison.analysis.measured import three_regimes
from hpsearch.comparison.analysis.stability import SharpnessCurve, sharpness_curves
from hpsearch.comparison.figures.appearance import (
    brief,
    by_optimizer,
    measured_note,
    measured_optimizer,
    range_bars,
    regime_color,
    regime_name,
    spread_columns,
    spread_text,
)
from hpsearch.comparison.figures.figure import Rows
from hpsearch.comparison.figures.over_updates import START, update_axis, update_curve
from hpsearch.reporting.figures.style import blank, log_axis, rounded
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

NEAR = 0.8  # of the stability limit, from which a run is called near it


def _curves(record: ComparisonRecord) -> list[SharpnessCurve]:
    optimizer = measured_optimizer(record)
    return three_regimes(record, optimizer, sharpness_curves(record, optimizer))


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the sharpness over updates with each run's stability limit; None where nothing was measured."""
    curves = _curves(record)
    points = list(chain.from_iterable(curve.points for curve in curves))
    heights = [point.value.value for point in points if point.value.value > 0]
    if not heights:
        return None
    figure = blank(450)
    for curve in curves:
        figure.add_traces(_curve_traces(record, texts, curve))
    for trace in list(figure.select_traces({"legendgroup": "limit"}))[1:]:
        trace.update(showlegend=False)
    limits = [curve.limit for curve in curves if curve.limit]
    shown = [*heights, *limits]
    notes = [texts("figure.sharpness.note")]
    if not limits:
        notes.append(texts("figure.sharpness.no_limit_note"))
    figure.update_xaxes(update_axis(max(point.update for point in points), texts("axis.updates")))
    figure.update_yaxes(log_axis(min(shown), max(shown), texts("figure.sharpness.y")))
    return figure.update_layout(meta={"note": measured_note(record, texts, *notes)})


def _curve_traces(record: ComparisonRecord, texts: Texts, curve: SharpnessCurve) -> list[go.Scatter]:
    """Return a batch size's line, open marks where a sharpness did not converge, and its limit where there is one."""
    color = regime_color(curve.batch_size, record.rows)
    regime = regime_name(curve.batch_size, record.rows, texts)
    heights = [point.value.value if point.value.value > 0 else None for point in curve.points]
    updates = [point.update for point in curve.points]
    symbols = ["circle" if point.converged else "circle-open" for point in curve.points]
    line = update_curve(updates, heights, color, regime, _hover(curve, regime, texts))
    line.update(error_y=range_bars([point.value for point in curve.points]), marker={"symbol": symbols})
    if curve.limit is None:
        return [line]
    limit = go.Scatter(
        x=[START, float(max(updates[-1], 1))],
        y=rounded([curve.limit] * 2),
        name=texts("figure.sharpness.limit"),
        legendgroup="limit",
        hoverinfo="skip",
        line={"color": color, "width": 1.6, "dash": "dot"},
        mode="lines",
    )
    return [line, limit]


def _hover(curve: SharpnessCurve, regime: str, texts: Texts) -> list[str]:
    key = "hover" if curve.limit else "hover_no_limit"
    return [
        texts(
            f"figure.sharpness.{key}",
            regime=regime,
            update=brief(point.update),
            value=spread_text(point.value),
            limit=brief(curve.limit),
            ratio=brief(curve.ratio(point.value.value)),
        )
        for point in curve.points
    ]


def read(record: ComparisonRecord, texts: Texts) -> str:
    """Say which batch sizes came near the limit of stability and which stayed below."""
    curves = _curves(record)
    if not curves:
        return texts("figure.sharpness.thin")
    if any(curve.limit is None for curve in curves):
        return texts("figure.sharpness.no_limit")
    groups = {
        "near": [curve for curve in curves if (curve.highest_ratio or 0) >= NEAR],
        "below": [curve for curve in curves if (curve.highest_ratio or 0) < NEAR],
    }
    return " ".join(
        texts(f"figure.sharpness.{key}", regimes=_ratios(record, texts, group))
        for key, group in groups.items()
        if group
    )


def _ratios(record: ComparisonRecord, texts: Texts, curves: Sequence[SharpnessCurve]) -> str:
    """Return batch sizes with their greatest ratio and the last one."""
    return "; ".join(
        texts(
            "figure.sharpness.ratio",
            regime=regime_name(curve.batch_size, record.rows, texts),
            highest=brief(curve.highest_ratio),
            last=brief(curve.ratio(curve.last.value.value)),
        )
        for curve in curves
    )


def numbers(record: ComparisonRecord) -> Rows:
    """Return the sharpness of every measured arm at every measurement."""
    rows = []
    for optimizer, curve in by_optimizer(record, sharpness_curves):
        rows += _rows(optimizer, curve)
    return rows


def _rows(optimizer: str, curve: SharpnessCurve) -> list[dict[str, object]]:
    arm = {"optimizer": optimizer, "batch_size": curve.batch_size, "learning_rate": curve.learning_rate}
    return [
        arm
        | {"update": point.update}
        | spread_columns("sharpness", point.value)
        | {"stability_limit": curve.limit, "stability_ratio": curve.ratio(point.value.value)}
        | {"converged": point.converged, "measured_runs": point.value.runs}
        for point in curve.points
    ]
