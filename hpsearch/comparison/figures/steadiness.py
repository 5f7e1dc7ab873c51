"""How steady a run's loss was after the target, and how direct its path: against the batch size."""

from collections.abc import Sequence
from math import inf, isfinite
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.measured import Spread
from hpsearch.comparison.analysis.noise import ArmPath, ArmVariability, paths, variabilities
from hpsearch.comparison.figures.appearance import (
    brief,
    by_optimizer,
    measured_note,
    measured_optimizer,
    regime_color,
    regime_name,
    spread_columns,
    spread_text,
)
from hpsearch.comparison.figures.figure import (
    Mark,
    Panel,
    Rows,
    batch_axis,
    colors_of,
    mark_trace,
    panel_plot,
    range_bars,
)
from hpsearch.reporting.figures.style import LIGHT, axis, log_axis
from hpsearch.reporting.formatting import sentence, share
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

UNITS = {"updates": "circle", "epochs": "diamond-open"}
MOMENTS = {"target": "circle", "end": "diamond-open"}
VARIABILITY_MEASURES = ("rising", "deviation", "total_variation")
PATH_MEASURES = ("efficiency", "length", "distance")
SHARES: dict[str, Any] = {"tickformat": ".0%", "rangemode": "tozero"}  # how an axis shows them


def _dots(marks: Sequence[Mark], ranges: Sequence[Spread], symbol: str) -> go.Scatter:
    """Return a line through dots in their regimes' colours, with the range of the runs."""
    return mark_trace(
        marks,
        mode="lines+markers",
        line={"color": LIGHT["edge"], "width": 1.2, "dash": "dot" if "open" in symbol else "solid"},
        marker={"color": colors_of(marks), "symbol": symbol, "size": 10},
        error_y=range_bars(ranges),
    )


# ---- variability


def draw_variability(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the share of rising steps, the deviation of Δ log L and the total variation, per update and per pass; None without any."""
    found = variabilities(record, measured_optimizer(record))
    if not found:
        return None
    panels = [_variability_panel(record, texts, found, measure) for measure in VARIABILITY_MEASURES]
    return panel_plot(400, panels, measured_note(record, texts, texts("figure.variability.note")))


def _variability_panel(record: ComparisonRecord, texts: Texts, found: Sequence[ArmVariability], measure: str) -> Panel:
    """Return one panel. A logarithmic axis cannot show 0, which is left to the table, nor infinity, which is a ▲ at the top."""
    first = measure == VARIABILITY_MEASURES[0]
    known = [(one, spread) for one in found if (spread := one.measure(measure)) is not None]
    heights = [spread.value for _, spread in known if isfinite(spread.value) and spread.value > 0]
    cap = 2 * max(heights, default=1.0)
    traces = []
    for unit in UNITS:
        for trace in _unit_traces(record, texts, [pair for pair in known if pair[0].unit == unit], cap):
            listed = first and trace.mode != "markers"
            traces.append(trace.update(legendgroup=unit, showlegend=listed))
    horizontal = batch_axis({one.batch_size for one in found}, f"<b>{texts(f'figure.variability.{measure}')}</b>")
    if measure == "rising":
        return Panel(traces, horizontal, axis(**SHARES))
    return Panel(traces, horizontal, log_axis(min(heights, default=0.1) / 1.5, cap, most=5))


def _unit_traces(
    record: ComparisonRecord, texts: Texts, pairs: Sequence[tuple[ArmVariability, Spread]], cap: float
) -> list[go.Scatter]:
    """Return the finite values of one unit as dots, the infinite ones as ▲ at the top."""
    finite = [pair for pair in pairs if isfinite(pair[1].value)]
    infinite = [(one, Spread(cap, cap, cap, spread.runs)) for one, spread in pairs if not isfinite(spread.value)]
    traces = []
    if finite:
        unit = finite[0][0].unit
        trace = _variability_dots(record, texts, finite, UNITS[unit])
        traces.append(trace.update(name=texts(f"figure.variability.{unit}")))
    if infinite:
        trace = _variability_dots(record, texts, infinite, "triangle-up")
        traces.append(trace.update(name=texts("figure.variability.infinite"), mode="markers"))
    return traces


def _variability_dots(
    record: ComparisonRecord, texts: Texts, pairs: Sequence[tuple[ArmVariability, Spread]], symbol: str
) -> go.Scatter:
    marks = []
    ranges = []
    for one, spread in pairs:
        text = texts(
            "figure.variability.hover",
            regime=regime_name(one.batch_size, record.rows, texts),
            unit=texts(f"figure.variability.{one.unit}"),
            rising=_rising_text(one),
            deviation=spread_text(one.deviation),
            total=spread_text(one.total_variation),
            steps=brief(one.steps),
        )
        marks.append(Mark(one.batch_size, spread.value, text, regime_color(one.batch_size, record.rows)))
        ranges.append(spread)
    return _dots(marks, ranges, symbol)


def _rising_text(one: ArmVariability) -> str:
    return share(one.rising.value) if one.rising else brief(None)


def read_variability(record: ComparisonRecord, texts: Texts) -> str:
    """Compare the smallest and the largest batch size, per update and per pass."""
    found = [one for one in variabilities(record, measured_optimizer(record)) if one.rising]
    updates = [one for one in found if one.unit == "updates"]
    passes = [one for one in found if one.unit == "epochs"]
    if len(updates) < 2:
        return texts("figure.variability.thin")
    steadier = _rising(updates[-1]) < _rising(updates[0])
    key = "steadier" if steadier else "not_steadier"
    parts = [texts(f"figure.variability.{key}", **_ends_texts(record, texts, updates))]
    if len(passes) > 1:
        parts.append(texts("figure.variability.per_epoch", **_ends_texts(record, texts, passes)))
    return " ".join(parts)


def _rising(one: ArmVariability) -> float:
    return one.rising.value if one.rising else inf


def _ends_texts(record: ComparisonRecord, texts: Texts, found: Sequence[ArmVariability]) -> dict[str, str]:
    """Return the texts of the smallest and the largest batch size."""
    values: dict[str, str] = {}
    for end, one in (("small", found[0]), ("large", found[-1])):
        values[end] = regime_name(one.batch_size, record.rows, texts)
        values[f"{end}_rising"] = _rising_text(one)
        values[f"{end}_deviation"] = spread_text(one.deviation)
    return values


def variability_numbers(record: ComparisonRecord) -> Rows:
    """Return the variability of every measured arm."""
    rows = []
    for name, one in by_optimizer(record, variabilities):
        row = {"optimizer": name, "batch_size": one.batch_size, "unit": one.unit, "steps": one.steps}
        for measure in VARIABILITY_MEASURES:
            row |= spread_columns(measure, one.measure(measure))
        rows.append(row | {"measured_runs": one.rising.runs if one.rising else 0})
    return rows


# ---- paths


def draw_path(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw how direct paths were, how long, and how far they led, up to the target and to the end; None without any."""
    found = paths(record, measured_optimizer(record))
    if not found:
        return None
    sizes = {path.batch_size for path in found}
    panels = []
    for measure in PATH_MEASURES:
        traces = []
        for moment in MOMENTS:
            own = [path for path in found if path.moment == moment]
            if own:
                trace = _path_dots(record, texts, own, measure)
                traces.append(trace.update(legendgroup=moment, showlegend=not panels))
        horizontal = batch_axis(sizes, f"<b>{texts(f'figure.path.{measure}')}</b>")
        panels.append(Panel(traces, horizontal, _path_axis(found, measure)))
    return panel_plot(400, panels, measured_note(record, texts, texts("figure.path.note")))


def _path_axis(found: Sequence[ArmPath], measure: str) -> dict[str, Any]:
    if measure == "efficiency":
        return axis(**SHARES)
    values = [path.measure(measure).value for path in found]
    positive = [value for value in values if value > 0]
    return log_axis(min(positive, default=1.0) / 1.5, 1.5 * max(positive, default=1.0), most=5)


def _path_dots(record: ComparisonRecord, texts: Texts, own: Sequence[ArmPath], measure: str) -> go.Scatter:
    moment = own[0].moment
    moment_name = texts(f"figure.path.{moment}")
    marks = []
    ranges = []
    for path in own:
        text = texts(
            "figure.path.hover",
            regime=regime_name(path.batch_size, record.rows, texts),
            moment=moment_name,
            efficiency=share(path.efficiency.value),
            length=spread_text(path.length),
            distance=spread_text(path.distance),
        )
        spread = path.measure(measure)
        marks.append(Mark(path.batch_size, spread.value, text, regime_color(path.batch_size, record.rows)))
        ranges.append(spread)
    return _dots(marks, ranges, MOMENTS[moment]).update(name=moment_name)


def read_path(record: ComparisonRecord, texts: Texts) -> str:
    """Compare how direct the paths of the smallest and the largest batch size to the target were, and how far they led."""
    found = paths(record, measured_optimizer(record))
    own = [path for path in found if path.moment == "target"] or found
    if len({path.batch_size for path in own}) < 2:
        return texts("figure.path.thin")
    small = own[0]
    large = own[-1]
    values = {
        "small": regime_name(small.batch_size, record.rows, texts),
        "large": regime_name(large.batch_size, record.rows, texts),
        "moment": texts(f"figure.path.{small.moment}"),
        "small_efficiency": share(small.efficiency.value),
        "large_efficiency": share(large.efficiency.value),
        "small_distance": brief(small.distance.value),
        "large_distance": brief(large.distance.value),
    }
    straighter = large.efficiency.value > small.efficiency.value
    key = "straighter" if straighter else "not_straighter"
    return sentence(texts(f"figure.path.{key}", **values))


def path_numbers(record: ComparisonRecord) -> Rows:
    """Return how direct every measured arm's paths were, and how far they led."""
    rows = []
    for name, path in by_optimizer(record, paths):
        row = {"optimizer": name, "batch_size": path.batch_size, "moment": path.moment}
        for measure in PATH_MEASURES:
            row |= spread_columns(measure, path.measure(measure))
        rows.append(row | {"measured_runs": path.distance.runs})
    return rows
