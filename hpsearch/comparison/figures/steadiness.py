"""How steady a run's loss was after the target, and how straight its path: against the batch size."""

from collections.abc import Sequence
from math import inf, isfinite
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.measured import Spread
from hpsearch.comparison.analysis.noise import Path, Variability, paths, variabilities
from hpsearch.comparison.analysis.times import optimizers
from hpsearch.comparison.figures.look import batch_axis, regime_color, regime_name
from hpsearch.comparison.figures.measures import brief, drawn, note, spread_columns, spread_text, whiskers
from hpsearch.comparison.figures.panels import laid_out, tag, with_axes
from hpsearch.comparison.figures.row import ComparedFigure, Rows
from hpsearch.reporting.figures.style import LIGHT, axis, blank, log_axis, rounded
from hpsearch.reporting.formatting import sentence, share
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

UNITS = {"updates": "circle", "epochs": "diamond-open"}
MEASURES = ("rising", "deviation", "total_variation")


def _dots(
    record: ComparisonRecord,
    sizes: Sequence[int],
    values: Sequence[Spread],
    symbol: str,
    name: str,
    said: Sequence[str],
) -> go.Scatter:
    """Return a line through dots in their regimes' colours, with the range of the runs."""
    colors = [regime_color(size, record.rows) for size in sizes]
    return go.Scatter(
        x=list(sizes),
        y=rounded([value.value for value in values]),
        mode="lines+markers",
        name=name,
        text=list(said),
        hovertemplate="%{text}<extra></extra>",
        line={"color": LIGHT["edge"], "width": 1.2, "dash": "dot" if "open" in symbol else "solid"},
        marker={"color": colors, "symbol": symbol, "size": 10},
        error_y=whiskers(values),
    )


def draw_variability(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the share of rising steps, the deviation of Δ log L and the total variation, per update and per pass; None without any."""
    found = variabilities(record, drawn(record))
    if not found:
        return None
    figure = blank(400)
    for place, measure in enumerate(MEASURES):
        _measure(figure, record, texts, place, measure, found)
    return laid_out(figure, len(MEASURES), [note(record, texts, texts("figure.variability.note"))])


def _measure(
    figure: go.Figure, record: ComparisonRecord, texts: Texts, place: int, measure: str, found: Sequence[Variability]
) -> None:
    """Draw one panel. On a logarithmic axis 0 has no place and infinity neither: the former is left to the table, the latter a ▲."""
    values = [spread.value for one in found if (spread := getattr(one, measure)) is not None]
    known = [value for value in values if isfinite(value) and value > 0]
    cap = 2 * max(known, default=1.0)
    for unit, symbol in UNITS.items():
        own = [(one, spread) for one in found if one.unit == unit and (spread := getattr(one, measure)) is not None]
        here = {"xaxis": f"x{tag(place)}", "yaxis": f"y{tag(place)}", "legendgroup": unit, "showlegend": place == 0}
        for group, infinite in ((own, False), ([pair for pair in own if not isfinite(pair[1].value)], True)):
            shown = [pair for pair in group if infinite or isfinite(pair[1].value)]
            if shown:
                trace = _trace(record, texts, shown, symbol, unit, cap if infinite else None)
                figure.add_trace(trace.update(here | ({"showlegend": False} if infinite else {})))
    below = batch_axis({one.batch_size for one in found}, f"<b>{texts(f'figure.variability.{measure}')}</b>")
    upright: dict[str, Any] = log_axis(min(known, default=0.1) / 1.5, cap, most=5)
    with_axes(figure, place, below, axis(tickformat=".0%", rangemode="tozero") if measure == "rising" else upright)


def _trace(
    record: ComparisonRecord,
    texts: Texts,
    pairs: Sequence[tuple[Variability, Spread]],
    symbol: str,
    unit: str,
    cap: float | None,
) -> go.Scatter:
    sizes, values = [one.batch_size for one, _ in pairs], [value for _, value in pairs]
    said = [_variability_said(record, texts, one) for one, _ in pairs]
    if cap is None:
        return _dots(record, sizes, values, symbol, texts(f"figure.variability.{unit}"), said)
    at_cap = [Spread(cap, cap, cap, value.runs) for value in values]
    name = texts("figure.variability.infinite")
    return _dots(record, sizes, at_cap, "triangle-up", name, said).update(mode="markers")


def _variability_said(record: ComparisonRecord, texts: Texts, one: Variability) -> str:
    return texts(
        "figure.variability.hover",
        regime=regime_name(one.batch_size, record.rows, texts),
        unit=texts(f"figure.variability.{one.unit}"),
        rising=share(one.rising.value) if one.rising else brief(None),
        deviation=spread_text(one.deviation),
        total=spread_text(one.total_variation),
        steps=brief(one.steps),
    )


def read_variability(record: ComparisonRecord, texts: Texts) -> str:
    """Compare the smallest and the largest batch size, per update and per pass."""
    found = variabilities(record, drawn(record))
    by_unit = {unit: [one for one in found if one.unit == unit and one.rising] for unit in UNITS}
    if len(by_unit["updates"]) < 2:
        return texts("figure.variability.thin")
    small, large = by_unit["updates"][0], by_unit["updates"][-1]
    steadier = _rising(large) < _rising(small)
    parts = [
        texts(
            "figure.variability.steadier" if steadier else "figure.variability.not_steadier",
            **_pair(record, texts, small, large),
        )
    ]
    if len(by_unit["epochs"]) > 1:
        pair = by_unit["epochs"][0], by_unit["epochs"][-1]
        parts.append(texts("figure.variability.per_epoch", **_pair(record, texts, *pair)))
    return " ".join(parts)


def _rising(one: Variability) -> float:
    return one.rising.value if one.rising else inf


def _pair(record: ComparisonRecord, texts: Texts, small: Variability, large: Variability) -> dict[str, str]:
    said: dict[str, str] = {}
    for name, one in (("small", small), ("large", large)):
        said[name] = regime_name(one.batch_size, record.rows, texts)
        said[f"{name}_rising"] = share(one.rising.value) if one.rising else brief(None)
        said[f"{name}_deviation"] = spread_text(one.deviation)
    return said


def variability_numbers(record: ComparisonRecord) -> Rows:
    """Return the variability of every measured arm."""
    return [
        {"optimizer": name, "batch_size": one.batch_size, "unit": one.unit, "steps": one.steps}
        | spread_columns("rising", one.rising)
        | spread_columns("deviation", one.deviation)
        | spread_columns("total_variation", one.total_variation)
        | {"measured_runs": one.rising.runs if one.rising else 0}
        for name in optimizers(record)
        for one in variabilities(record, name)
    ]


def draw_path(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw how straight paths were, how long, and how far they led, up to the target and to the end; None without any."""
    found = paths(record, drawn(record))
    if not found:
        return None
    figure = blank(400)
    for place, measure in enumerate(("efficiency", "length", "distance")):
        for moment, symbol in (("target", "circle"), ("end", "diamond-open")):
            own = [path for path in found if path.moment == moment]
            if own:
                figure.add_trace(_path(record, texts, own, measure, symbol).update(_here(place, moment)))
        below = batch_axis({path.batch_size for path in found}, f"<b>{texts(f'figure.path.{measure}')}</b>")
        with_axes(figure, place, below, _upright(found, measure))
    return laid_out(figure, 3, [note(record, texts, texts("figure.path.note"))])


def _upright(found: Sequence[Path], measure: str) -> dict[str, Any]:
    if measure == "efficiency":
        return axis(tickformat=".0%", rangemode="tozero")
    values = [spread.value for path in found if (spread := getattr(path, measure)).value > 0]
    return log_axis(min(values, default=1.0) / 1.5, 1.5 * max(values, default=1.0), most=5)


def _here(place: int, moment: str) -> dict[str, object]:
    return {"xaxis": f"x{tag(place)}", "yaxis": f"y{tag(place)}", "legendgroup": moment, "showlegend": place == 0}


def _path(record: ComparisonRecord, texts: Texts, own: Sequence[Path], measure: str, symbol: str) -> go.Scatter:
    sizes, values = [path.batch_size for path in own], [getattr(path, measure) for path in own]
    said = [_path_said(record, texts, path) for path in own]
    return _dots(record, sizes, values, symbol, texts(f"figure.path.{own[0].moment}"), said)


def _path_said(record: ComparisonRecord, texts: Texts, path: Path) -> str:
    return texts(
        "figure.path.hover",
        regime=regime_name(path.batch_size, record.rows, texts),
        moment=texts(f"figure.path.{path.moment}"),
        efficiency=share(path.efficiency.value),
        length=spread_text(path.length),
        distance=spread_text(path.distance),
    )


def read_path(record: ComparisonRecord, texts: Texts) -> str:
    """Compare how straight and how far the smallest and the largest batch size went to the target."""
    found = paths(record, drawn(record))
    own = [path for path in found if path.moment == "target"] or found
    if len({path.batch_size for path in own}) < 2:
        return texts("figure.path.thin")
    small, large = own[0], own[-1]
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
    return sentence(texts(f"figure.path.{'straighter' if straighter else 'not_straighter'}", **values))


def path_numbers(record: ComparisonRecord) -> Rows:
    """Return how straight and how far every measured arm's runs went."""
    return [
        {"optimizer": name, "batch_size": path.batch_size, "moment": path.moment}
        | spread_columns("efficiency", path.efficiency)
        | spread_columns("length", path.length)
        | spread_columns("distance", path.distance)
        | {"measured_runs": path.distance.runs}
        for name in optimizers(record)
        for path in paths(record, name)
    ]


ROWS = (
    ComparedFigure("variability", draw_variability, read_variability, variability_numbers),
    ComparedFigure("path", draw_path, read_path, path_numbers),
)
