"""The escape tests in one dimension: which minimum can be kept, how long a barrier holds, and what nothing can leave."""

from collections.abc import Sequence
from math import isfinite
from statistics import median

import plotly.graph_objects as go

from hpsearch.comparison.analysis.escape import (
    Dead,
    EscapeTime,
    boundaries,
    cells,
    dead,
    escape_times,
    leaving_from,
    lyapunov_agreement,
    pooled,
)
from hpsearch.comparison.figures.escape_rows import cell_rows
from hpsearch.comparison.figures.measures import brief
from hpsearch.comparison.figures.row import ComparedFigure, Rows
from hpsearch.comparison.figures.tiles import (
    WIDE,
    column_axis,
    columns_of,
    optimizer,
    rate_axis,
    rates_of,
    row_of,
    tile_traces,
)
from hpsearch.reporting.figures.style import LIGHT, axis, blank, log_axis, rounded
from hpsearch.reporting.formatting import share
from hpsearch.reporting.locales import Texts
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

SERIES = ("finished", "running", "out of memory", "stopped early", "ink")  # learning rates
CLOSE = 2.0  # times Kramers' law
WELL_BELOW = 3.0  # times: barrier by temperature, from which Kramers' law is asked to hold


def draw_instability(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the phase map of leaving x = 1 with both boundaries of theory; None where the test was not made."""
    found = [cell for cell in cells(record, "instability", start="x = 1") if cell.method in ("sgd", "gd")]
    if not found:
        return None
    rates = rates_of(found)
    figure = blank(max(360, 130 + 18 * len(rates)), barmode="overlay")
    figure.add_traces(tile_traces(found, rates, texts))
    for name, dash in (("lyapunov", "solid"), ("mean_square", "dot")):
        limits = {boundary.batch_size: getattr(boundary, name) for boundary in boundaries(record)}
        figure.add_trace(_boundary(columns_of(found), limits, rates, dash, texts(f"figure.escape_instability.{name}")))
    figure.update_xaxes(column_axis(found, texts("axis.batch_size"), texts))
    figure.update_yaxes(rate_axis(rates, texts("axis.learning_rate")))
    return figure.update_layout(meta={"note": texts("figure.escape_instability.note", seeds=brief(found[0].seeds))})


def _boundary(
    columns: Sequence[int | None], limits: dict[int | None, float | None], rates: Sequence[float], dash: str, name: str
) -> go.Scatter:
    """Return a step through the columns at the boundary of each, left out where it lies beyond the rows."""
    x: list[float | None] = []
    y: list[float | None] = []
    for column, size in enumerate(columns):
        limit = limits.get(size)
        row = row_of(limit, rates) if limit is not None else None
        if row is not None:
            x, y = [*x, column - 0.05, column + WIDE + 0.05, None], [*y, row, row, None]
    line = {"color": LIGHT["ink"], "width": 2.5, "dash": dash}
    return go.Scatter(x=x, y=rounded(y), mode="lines", line=line, name=name, hoverinfo="skip")


def read_instability(record: ComparisonRecord, texts: Texts) -> str:
    """Say from which learning rate each batch size leaves, and how well the Lyapunov exponent foretells it."""
    agreement = lyapunov_agreement(record)
    if not agreement.cells:
        return texts("figure.escape_instability.thin")
    found = cells(record, "instability", start="x = 1")
    sizes = columns_of([cell for cell in found if cell.method in ("sgd", "gd")])
    leaves = [(size, rate) for size in sizes[:2] if size is not None and (rate := leaving_from(record, size))]
    theory = {boundary.batch_size: boundary.lyapunov for boundary in boundaries(record)}
    told = [_leaving(texts, size, rate, theory.get(size)) for size, rate in leaves]
    full = leaving_from(record, None)
    key = "agrees" if agreement.agreeing >= 0.95 * agreement.cells else "differs"
    parts = [
        texts(f"figure.escape_instability.{key}", agreeing=brief(agreement.agreeing), cells=brief(agreement.cells))
    ]
    parts += [texts("figure.escape_instability.leaves", leaves="; ".join(told))] if told else []
    gd = (
        texts("figure.escape_instability.gd", rate=brief(full)) if full else texts("figure.escape_instability.gd_never")
    )
    return " ".join([*parts, gd])


def _leaving(texts: Texts, size: int, rate: float, theory: float | None) -> str:
    key = "leaving" if theory else "leaving_only"
    return texts(f"figure.escape_instability.{key}", batch_size=brief(size), rate=brief(rate), theory=brief(theory))


def instability_numbers(record: ComparisonRecord) -> Rows:
    """Return all cells of the instability test."""
    return cell_rows(cells(record, "instability", budget=""), ("exponent",))


def draw_thermal(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw mean escape times against B/η with Kramers' law, SGD's filled and isotropic noise's open; None without any."""
    found = escape_times(record)
    heights = [t.mean.value if isfinite(t.mean.value) else t.mean.low for t in found] + [
        t.kramers or 1.0 for t in found
    ]
    if len(found) < 2:
        return None
    figure = blank(460)
    for color, rate in zip(SERIES, sorted({time.cell.learning_rate for time in found}), strict=False):
        own = [time for time in found if time.cell.learning_rate == rate]
        name = texts("figure.escape_thermal.rate", rate=brief(rate))
        figure.add_traces([_law(own, color, name), *_times(own, color, "circle", name, texts)])
        noisy = [time for time in escape_times(record, "isotropic") if time.cell.learning_rate == rate]
        for trace in _times(noisy, color, "circle-open", name, texts):
            figure.add_trace(trace.update(showlegend=False))
    figure.add_traces(_key(texts, any(not isfinite(time.mean.value) for time in found)))
    figure.update_xaxes(axis(texts("figure.escape_thermal.x"), rangemode="tozero"))
    figure.update_yaxes(log_axis(min(heights), max(heights), texts("figure.escape_thermal.y")))
    return figure.update_layout(meta={"note": texts("figure.escape_thermal.note")})


def _law(own: Sequence[EscapeTime], color: str, name: str) -> go.Scatter:
    known = [time for time in own if time.kramers]
    line = {"color": LIGHT[color], "width": 1.5}
    x, y = [time.ratio for time in known], rounded([time.kramers for time in known])
    return go.Scatter(
        x=x, y=y, mode="lines", line=line, name=name, legendgroup=name, showlegend=False, hoverinfo="skip"
    )


def _times(own: Sequence[EscapeTime], color: str, symbol: str, name: str, texts: Texts) -> list[go.Scatter]:
    """Return the escapes with their intervals; where none escaped, a ▲ at the lower bound."""
    traces = []
    for escaped in (True, False):
        group = [time for time in own if isfinite(time.mean.value) == escaped]
        y = [time.mean.value if escaped else time.mean.low for time in group]
        mark = {"color": LIGHT[color], "symbol": symbol if escaped else "triangle-up", "size": 9}
        trace = go.Scatter(
            x=[t.ratio for t in group], y=rounded(y), mode="markers", marker=mark, name=name, legendgroup=name
        )
        trace.update(text=[_time_said(time, texts) for time in group], hovertemplate="%{text}<extra></extra>")
        if escaped:
            trace.update(error_y=_bars([time.mean for time in group], LIGHT[color]))
        if group:
            traces.append(trace.update(showlegend=escaped))
    return traces


def _bars(estimates: Sequence[Estimate], color: str) -> dict[str, object]:
    up = [estimate.high - estimate.value if isfinite(estimate.high) else 0.0 for estimate in estimates]
    down = [estimate.value - estimate.low for estimate in estimates]
    look = {"color": color, "thickness": 1.2, "width": 3}
    return {"type": "data", "symmetric": False, "array": rounded(up), "arrayminus": rounded(down)} | look


def _time_said(time: EscapeTime, texts: Texts) -> str:
    return texts(
        "figure.escape_thermal.hover" if isfinite(time.mean.value) else "figure.escape_thermal.hover_censored",
        optimizer=optimizer(time.cell, texts),
        rate=brief(time.cell.learning_rate),
        escaped=brief(time.cell.counts["escaped"]),
        seeds=brief(time.cell.seeds),
        mean=brief(time.mean.value),
        low=brief(time.mean.low),
        high=brief(time.mean.high),
        kramers=brief(time.kramers),
    )


def _key(texts: Texts, censored: bool) -> list[go.Scatter]:
    """Return legend entries for what the marks are; they draw nothing."""
    marks = [("sgd", "circle"), ("isotropic", "circle-open"), *([("censored", "triangle-up")] if censored else [])]
    line = {"color": LIGHT["soft"], "width": 1.5}
    law = go.Scatter(x=[None], y=[None], mode="lines", line=line, name=texts("figure.escape_thermal.kramers"))
    dots = [
        go.Scatter(x=[None], y=[None], mode="markers", name=texts(f"figure.escape_thermal.{name}")).update(
            marker={"color": LIGHT["soft"], "symbol": symbol, "size": 9}
        )
        for name, symbol in marks
    ]
    return [law, *dots]


def read_thermal(record: ComparisonRecord, texts: Texts) -> str:
    """Say how the times lie to Kramers' law, and what gradient descent did."""
    found = [time for time in escape_times(record) if time.kramers and isfinite(time.mean.value)]
    high = [time for time in found if _barrier_by_temperature(record, time) >= WELL_BELOW]
    if not found:
        return texts("figure.escape_thermal.thin")
    ratios = [time.mean.value / time.kramers for time in high or found if time.kramers]
    parts = [
        texts(
            "figure.escape_thermal.law" if 1 / CLOSE <= median(ratios) <= CLOSE else "figure.escape_thermal.off",
            middle=brief(median(ratios)),
            low=brief(min(ratios)),
            high=brief(max(ratios)),
            cells=brief(len(ratios)),
        )
    ]
    rates = {time.cell.learning_rate for time in found}
    descent = pooled([c for c in cells(record, "thermal", "gd", "bad", "longest") if c.learning_rate in rates])
    if descent:
        key = "gd_never" if descent.value == 0 else "gd"
        parts.append(
            texts(f"figure.escape_thermal.{key}", share=share(descent.value), high=f"{100 * descent.high:.1f}")
        )
    larger = [c for c in cells(record, "thermal", "gd", "bad", "longest") if c.learning_rate not in rates]
    leaving = [cell.learning_rate for cell in larger if cell.share("escaped") >= 0.5]
    parts += [texts("figure.escape_thermal.larger", rate=brief(min(leaving)))] if leaving else []
    return " ".join(parts)


def _barrier_by_temperature(record: ComparisonRecord, time: EscapeTime) -> float:
    barrier = record.minima["thermal"].get("wells", {}).get("barrier") or 0.0
    return float(barrier) / (time.cell.theory.get("temperature") or 1.0)


def thermal_numbers(record: ComparisonRecord) -> Rows:
    """Return all cells of the thermal test."""
    return cell_rows(cells(record, "thermal", budget=""), ("temperature", "kramers"))


def draw_dead(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the share of escapes by optimizer, from the dead start and from the live one; None where the test was not made."""
    found = dead(record)
    if not found:
        return None
    figure = blank(110 + 34 * len(found))
    for start, color, symbol in (("dead", "edge", "square"), ("alive", "finished", "circle")):
        own = [(row, one) for row, one in enumerate(reversed(found)) if one.start == start]
        figure.add_trace(_shares(own, LIGHT[color], symbol, texts(f"figure.escape_dead.{start}"), texts))
    names = [f"{_name(one, texts, 'short_')}  " for one in reversed(found)]
    ticks = {"tickvals": list(range(len(found))), "ticktext": names, "showgrid": False}
    figure.update_xaxes(
        axis(texts("figure.escape_dead.x"), tickformat=".0%", range=[-0.05, 1.05], tickvals=[0, 0.5, 1], tickangle=0)
    )
    figure.update_yaxes(axis("", tickfont={"color": LIGHT["ink"]}, **ticks))
    return figure.update_layout(meta={"note": texts("figure.escape_dead.note")})


def _name(one: Dead, texts: Texts, length: str = "") -> str:
    return texts(f"method.{length}{one.method}", batch_size=brief(one.batch_size))


def _shares(own: Sequence[tuple[int, Dead]], color: str, symbol: str, name: str, texts: Texts) -> go.Scatter:
    said = [
        texts("figure.escape_dead.hover", optimizer=_name(one, texts), count=brief(one.count), seeds=brief(one.seeds))
        + texts("figure.escape_dead.bound", high=f"{100 * one.escaped.high:.1f}", low=f"{100 * one.escaped.low:.1f}")
        for _, one in own
    ]
    bars = _bars([one.escaped for _, one in own], LIGHT["ink"])
    x, y = [one.escaped.value for _, one in own], [row for row, _ in own]
    trace = go.Scatter(x=x, y=y, mode="markers", name=name, text=said, error_x=bars)
    return trace.update(hovertemplate="%{text}<extra></extra>", marker={"color": color, "symbol": symbol, "size": 11})


def read_dead(record: ComparisonRecord, texts: Texts) -> str:
    """Say whether anything escaped from where no example has a gradient."""
    found = dead(record)
    lost = [one for one in found if one.start == "dead"]
    if not lost:
        return texts("figure.escape_dead.thin")
    escapes, seeds = sum(one.count for one in lost), sum(one.seeds for one in lost)
    control = [one for one in found if one.start == "alive"]
    key = "none" if escapes == 0 else "some"
    parts = [texts(f"figure.escape_dead.{key}", count=brief(escapes), seeds=brief(seeds))]
    if control:
        values = {"count": brief(sum(one.count for one in control)), "seeds": brief(sum(one.seeds for one in control))}
        parts.append(texts("figure.escape_dead.control", **values))
    return " ".join(parts)


def dead_numbers(record: ComparisonRecord) -> Rows:
    """Return all cells of the dead unit's test."""
    return cell_rows(cells(record, "dead_relu", budget=""), ())


ROWS = (
    ComparedFigure("escape_instability", draw_instability, read_instability, instability_numbers),
    ComparedFigure("escape_thermal", draw_thermal, read_thermal, thermal_numbers),
    ComparedFigure("escape_dead", draw_dead, read_dead, dead_numbers),
)
