"""Escape tests as estimates with intervals: how long a barrier holds, beside Kramers' law, and what nothing can leave."""

from collections.abc import Sequence
from math import isfinite
from statistics import median

import plotly.graph_objects as go

from hpsearch.comparison.analysis.escape import Dead, EscapeTime, all_cells, cells, dead, escape_times
from hpsearch.comparison.figures.appearance import brief
from hpsearch.comparison.figures.figure import Mark, Rows, interval_bars, mark_trace, plain_trace, plot
from hpsearch.comparison.figures.tiles import cell_rows, method_name
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, axis, log_axis, share_ticks
from hpsearch.storage import ComparisonRecord

SERIES = ("finished", "running", "out of memory", "stopped early", "ink")  # learning rates
CLOSE = 2.0  # times Kramers' law
WELL_BELOW = 3.0  # times: barrier by temperature, from which Kramers' law is expected to hold
HALF = 0.5  # of the runs


# ---- the barrier


def draw_thermal(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw mean escape times against B/η with Kramers' law, SGD's filled and isotropic noise's open; None without any."""
    times = escape_times(record)
    if len(times) < 2:
        return None
    noisy_times = escape_times(record, "isotropic")
    traces = []
    for role, rate in zip(SERIES, sorted({time.cell.learning_rate for time in times}), strict=False):
        own = [time for time in times if time.cell.learning_rate == rate]
        noisy = [time for time in noisy_times if time.cell.learning_rate == rate]
        name = texts("figure.escape_thermal.rate", rate=brief(rate))
        color = LIGHT[role]
        traces.append(_law(own, color, name))
        traces += _time_traces(own, color, "circle", name, texts)
        for trace in _time_traces(noisy, color, "circle-open", name, texts):
            traces.append(trace.update(showlegend=False))
    traces += _legend(texts, any(not isfinite(time.mean.value) for time in times))
    heights = [_height(time) for time in times] + [time.kramers or 1.0 for time in times]
    horizontal = axis(texts("figure.escape_thermal.x"), rangemode="tozero")
    vertical = log_axis(min(heights), max(heights), texts("figure.escape_thermal.y"))
    return plot(460, traces, horizontal, vertical, meta={"note": texts("figure.escape_thermal.note")})


def _height(time: EscapeTime) -> float:
    """Return a mean time, or its lower bound where none escaped."""
    mean = time.mean
    return mean.value if isfinite(mean.value) else mean.low


def _law(times: Sequence[EscapeTime], color: str, name: str) -> go.Scatter:
    known = [time for time in times if time.kramers]
    x = [time.ratio for time in known]
    y = [time.kramers for time in known]
    line = {"color": color, "width": 1.5}
    return plain_trace(x, y, line=line, name=name, legendgroup=name, showlegend=False)


def _time_traces(times: Sequence[EscapeTime], color: str, symbol: str, name: str, texts: Texts) -> list[go.Scatter]:
    """Return the escapes with their intervals; where none escaped, a ▲ at the lower bound."""
    escaped = []
    means = []
    censored = []
    for time in times:
        mark = Mark(time.ratio, _height(time), _time_hover(time, texts))
        if isfinite(time.mean.value):
            escaped.append(mark)
            means.append(time.mean)
        else:
            censored.append(mark)
    traces = []
    marker = {"color": color, "symbol": symbol, "size": 9}
    if escaped:
        style = {"marker": marker, "error_y": interval_bars(means, color, thickness=1.2, width=3)}
        traces.append(mark_trace(escaped, name=name, legendgroup=name, showlegend=True, **style))
    if censored:
        marker = marker | {"symbol": "triangle-up"}
        traces.append(mark_trace(censored, name=name, legendgroup=name, showlegend=False, marker=marker))
    return traces


def _time_hover(time: EscapeTime, texts: Texts) -> str:
    key = "hover" if isfinite(time.mean.value) else "hover_censored"
    return texts(
        f"figure.escape_thermal.{key}",
        optimizer=method_name(time.cell, texts),
        rate=brief(time.cell.learning_rate),
        escaped=brief(time.cell.counts["escaped"]),
        seeds=brief(time.cell.seeds),
        mean=brief(time.mean.value),
        low=brief(time.mean.low),
        high=brief(time.mean.high),
        kramers=brief(time.kramers),
    )


def _legend(texts: Texts, censored: bool) -> list[go.Scatter]:
    """Return legend entries for the kinds of marks; they draw nothing."""
    symbols = {"sgd": "circle", "isotropic": "circle-open"}
    if censored:
        symbols["censored"] = "triangle-up"
    line = {"color": LIGHT["soft"], "width": 1.5}
    law = go.Scatter(x=[None], y=[None], mode="lines", line=line, name=texts("figure.escape_thermal.kramers"))
    entries = [law]
    for name, symbol in symbols.items():
        marker = {"color": LIGHT["soft"], "symbol": symbol, "size": 9}
        text = texts(f"figure.escape_thermal.{name}")
        entries.append(go.Scatter(x=[None], y=[None], mode="markers", name=text, marker=marker))
    return entries


def read_thermal(record: ComparisonRecord, texts: Texts) -> str:
    """Compare the times with Kramers' law, and say what gradient descent did."""
    times = [time for time in escape_times(record) if time.kramers and isfinite(time.mean.value)]
    if not times:
        return texts("figure.escape_thermal.thin")
    return " ".join([_agreement(record, times, texts), *_gradient_descent(record, times, texts)])


def _agreement(record: ComparisonRecord, times: Sequence[EscapeTime], texts: Texts) -> str:
    cold = [time for time in times if _barrier_by_temperature(record, time) >= WELL_BELOW]
    ratios = [time.mean.value / time.kramers for time in cold or times if time.kramers]
    middle = median(ratios)
    key = "law" if 1 / CLOSE <= middle <= CLOSE else "off"
    ends = {"low": brief(min(ratios)), "high": brief(max(ratios))}
    return texts(f"figure.escape_thermal.{key}", middle=brief(middle), **ends, cells=brief(len(ratios)))


def _barrier_by_temperature(record: ComparisonRecord, time: EscapeTime) -> float:
    barrier = record.minima["thermal"].get("wells", {}).get("barrier") or 0.0
    return float(barrier) / (time.cell.theory.get("temperature") or 1.0)


def _gradient_descent(record: ComparisonRecord, times: Sequence[EscapeTime], texts: Texts) -> list[str]:
    """Say whether gradient descent escaped at SGD's learning rates, and from which larger one on half of its runs did.

    It is deterministic, and begins at one point: all its runs at a learning rate are one.
    """
    rates = {time.cell.learning_rate for time in times}
    descent = cells(record, "thermal", "gd", "bad", "longest")
    parts = []
    own = [cell for cell in descent if cell.learning_rate in rates]
    if own:
        escaping = [cell for cell in own if cell.counts["escaped"]]
        key = "gd" if escaping else "gd_never"
        parts.append(texts(f"figure.escape_thermal.{key}", count=brief(len(escaping)), rates=brief(len(own))))
    larger = [cell for cell in descent if cell.learning_rate not in rates]
    leaving = [cell.learning_rate for cell in larger if cell.share("escaped") >= HALF]
    if leaving:
        parts.append(texts("figure.escape_thermal.larger", rate=brief(min(leaving))))
    return parts


def thermal_numbers(record: ComparisonRecord) -> Rows:
    """Return all cells of the thermal test."""
    return cell_rows(all_cells(record, "thermal"), "temperature", "kramers")


# ---- the dead unit


def draw_dead(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the share of escapes by optimizer, from the dead start and from the live one; None where the test was not made."""
    groups = list(reversed(dead(record)))
    if not groups:
        return None
    traces = []
    for start, color, symbol in (("dead", "edge", "square"), ("alive", "finished", "circle")):
        trace = _share_marks(start, groups, texts).update(name=texts(f"figure.escape_dead.{start}"))
        traces.append(trace.update(marker={"color": LIGHT[color], "symbol": symbol, "size": 11}))
    names = [f"{_group_name(group, texts, 'short_')}  " for group in groups]
    ticks = {"tickvals": list(range(len(groups))), "ticktext": names, "showgrid": False}
    shares = {"range": [-0.05, 1.05], "tickangle": 0, **share_ticks(0.0, 1.0, most=3)}
    horizontal = axis(texts("figure.escape_dead.x"), **shares)
    vertical = axis("", tickfont={"color": LIGHT["ink"]}, **ticks)
    height = 110 + 34 * len(groups)
    return plot(height, traces, horizontal, vertical, meta={"note": texts("figure.escape_dead.note")})


def _group_name(group: Dead, texts: Texts, length: str = "") -> str:
    return texts(f"method.{length}{group.method}", batch_size=brief(group.batch_size))


def _share_marks(start: str, groups: Sequence[Dead], texts: Texts) -> go.Scatter:
    """Return the shares from one start, each at its group's row."""
    marks = []
    shares = []
    for row, group in enumerate(groups):
        if group.start == start:
            counts = {"count": brief(group.count), "seeds": brief(group.seeds)}
            bounds = {"high": f"{100 * group.escaped.high:.1f}", "low": f"{100 * group.escaped.low:.1f}"}
            text = texts("figure.escape_dead.hover", optimizer=_group_name(group, texts), **counts)
            text += texts("figure.escape_dead.bound", **bounds)
            marks.append(Mark(group.escaped.value, row, text))
            shares.append(group.escaped)
    return mark_trace(marks, error_x=interval_bars(shares, LIGHT["ink"], thickness=1.2, width=3))


def read_dead(record: ComparisonRecord, texts: Texts) -> str:
    """Say whether anything escaped from where no example has a gradient."""
    groups = dead(record)
    tested = [group for group in groups if group.start == "dead"]
    control = [group for group in groups if group.start == "alive"]
    if not tested:
        return texts("figure.escape_dead.thin")
    key = "some" if any(group.count for group in tested) else "none"
    parts = [texts(f"figure.escape_dead.{key}", **_totals(tested))]
    if control:
        parts.append(texts("figure.escape_dead.control", **_totals(control)))
    return " ".join(parts)


def _totals(groups: Sequence[Dead]) -> dict[str, str]:
    escapes = sum(group.count for group in groups)
    return {"count": brief(escapes), "seeds": brief(sum(group.seeds for group in groups))}


def dead_numbers(record: ComparisonRecord) -> Rows:
    """Return all cells of the dead unit's test."""
    return cell_rows(all_cells(record, "dead_relu"))
