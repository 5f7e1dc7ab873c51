"""How steady a run's loss was after the target, and how direct its path: against the batch size."""

from collections.abc import Sequence
from math import inf, isfinite
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.measured import Spread
from hpsearch.comparison.analysis.stability import ArmPath, ArmVariability, paths, variabilities
from hpsearch.comparison.figures.appearance import (
    HOVER,
    batch_axis,
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
from hpsearch.comparison.figures.figure import Rows, add_axes, in_panel, lay_out_panels
from hpsearch.reporting.figures.style import LIGHT, axis, blank, log_axis, rounded
from hpsearch.reporting.formatting import sentence, share
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

UNITS = {"updates": "circle", "epochs": "diamond-open"}
MOMENTS = {"target": "circle", "end": "diamond-open"}
VARIABILITY_MEASURES = ("rising", "deviation", "total_variation")
PATH_MEASURES = ("efficiency", "length", "distance")


def _dots(
    record: ComparisonRecord, sizes: Sequence[int], values: Sequence[Spread], symbol: str, hover: Sequence[str]
) -> go.Scatter:
    """Return a line through dots in their regimes' colours, with the range of the runs."""
    return go.Scatter(
        x=list(sizes),
        y=rounded([value.value for value in values]),
        mode="lines+markers",
        text=list(hover),
        hovertemplate=HOVER,
        line={"color": LIGHT["edge"], "width": 1.2, "dash": "dot" if "open" in symbol else "solid"},
        marker={"color": [regime_color(size, record.rows) for size in sizes], "symbol": symbol, "size": 10},
        error_y=range_bars(values),
    )


def _share_axis() -> dict[str, Any]:
    return axis(tickformat=".0%", rangemode="tozero")


# ---- variability


def draw_variability(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the share of rising steps, the deviation of Δ log L and the total variation, per update and per pass; None without any."""
    found = variabilities(record, measured_optimizer(record))
    if not found:
        return None
    figure = blank(400)
    for panel, measure in enumerate(VARIABILITY_MEASURES):
        _add_variability_panel(figure, record, texts, panel, measure, found)
    note = measured_note(record, texts, texts("figure.variability.note"))
    return lay_out_panels(figure, len(VARIABILITY_MEASURES), [note])


def _add_variability_panel(
    figure: go.Figure, record: ComparisonRecord, texts: Texts, panel: int, measure: str, found: Sequence[ArmVariability]
) -> None:
    """Draw one panel. A logarithmic axis cannot show 0, which is left to the table, nor infinity, which is a ▲ at the top."""
    pairs = [(one, one.measure(measure)) for one in found]
    known = [(one, spread) for one, spread in pairs if spread is not None]
    heights = [spread.value for _, spread in known if isfinite(spread.value) and spread.value > 0]
    cap = 2 * max(heights, default=1.0)
    for unit in UNITS:
        for trace in _unit_traces(record, texts, [pair for pair in known if pair[0].unit == unit], cap):
            shown = panel == 0 and trace.mode != "markers"
            figure.add_trace(in_panel(trace, panel).update(legendgroup=unit, showlegend=shown))
    horizontal = batch_axis({one.batch_size for one in found}, f"<b>{texts(f'figure.variability.{measure}')}</b>")
    vertical = log_axis(min(heights, default=0.1) / 1.5, cap, most=5)
    add_axes(figure, panel, horizontal, _share_axis() if measure == "rising" else vertical)


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
    sizes = [one.batch_size for one, _ in pairs]
    hover = [_variability_hover(record, texts, one) for one, _ in pairs]
    return _dots(record, sizes, [spread for _, spread in pairs], symbol, hover)


def _variability_hover(record: ComparisonRecord, texts: Texts, one: ArmVariability) -> str:
    return texts(
        "figure.variability.hover",
        regime=regime_name(one.batch_size, record.rows, texts),
        unit=texts(f"figure.variability.{one.unit}"),
        rising=_rising_text(one),
        deviation=spread_text(one.deviation),
        total=spread_text(one.total_variation),
        steps=brief(one.steps),
    )


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
    return [
        {"optimizer": name, "batch_size": one.batch_size, "unit": one.unit, "steps": one.steps}
        | spread_columns("rising", one.rising)
        | spread_columns("deviation", one.deviation)
        | spread_columns("total_variation", one.total_variation)
        | {"measured_runs": one.rising.runs if one.rising else 0}
        for name, one in by_optimizer(record, variabilities)
    ]


# ---- paths


def draw_path(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw how direct paths were, how long, and how far they led, up to the target and to the end; None without any."""
    found = paths(record, measured_optimizer(record))
    if not found:
        return None
    figure = blank(400)
    for panel, measure in enumerate(PATH_MEASURES):
        for moment, symbol in MOMENTS.items():
            own = [path for path in found if path.moment == moment]
            if own:
                trace = _path_dots(record, texts, own, measure, symbol)
                figure.add_trace(in_panel(trace, panel).update(legendgroup=moment, showlegend=panel == 0))
        horizontal = batch_axis({path.batch_size for path in found}, f"<b>{texts(f'figure.path.{measure}')}</b>")
        add_axes(figure, panel, horizontal, _path_axis(found, measure))
    return lay_out_panels(figure, len(PATH_MEASURES), [measured_note(record, texts, texts("figure.path.note"))])


def _path_axis(found: Sequence[ArmPath], measure: str) -> dict[str, Any]:
    if measure == "efficiency":
        return _share_axis()
    values = [path.measure(measure).value for path in found]
    positive = [value for value in values if value > 0]
    return log_axis(min(positive, default=1.0) / 1.5, 1.5 * max(positive, default=1.0), most=5)


def _path_dots(record: ComparisonRecord, texts: Texts, own: Sequence[ArmPath], measure: str, symbol: str) -> go.Scatter:
    sizes = [path.batch_size for path in own]
    hover = [_path_hover(record, texts, path) for path in own]
    dots = _dots(record, sizes, [path.measure(measure) for path in own], symbol, hover)
    return dots.update(name=texts(f"figure.path.{own[0].moment}"))


def _path_hover(record: ComparisonRecord, texts: Texts, path: ArmPath) -> str:
    return texts(
        "figure.path.hover",
        regime=regime_name(path.batch_size, record.rows, texts),
        moment=texts(f"figure.path.{path.moment}"),
        efficiency=share(path.efficiency.value),
        length=spread_text(path.length),
        distance=spread_text(path.distance),
    )


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
    return [
        {"optimizer": name, "batch_size": path.batch_size, "moment": path.moment}
        | spread_columns("efficiency", path.efficiency)
        | spread_columns("length", path.length)
        | spread_columns("distance", path.distance)
        | {"measured_runs": path.distance.runs}
        for name, path in by_optimizer(record, paths)
    ]
