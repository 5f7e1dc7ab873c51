"""What the figures of a comparison are built from: a figure of the report, traces of marks and lines, bars, axes, panels, contours."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite, log2, log10
from typing import Any, TypeVar

import plotly.graph_objects as go

from hpsearch.comparison.analysis.measured import Spread
from hpsearch.comparison.figures.appearance import batch_label
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, axis, blank, log_ticks, rounded, tick_text
from hpsearch.reporting.formatting import number
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

T = TypeVar("T", go.Scatter, go.Bar)
Rows = Sequence[Mapping[str, object]]
HOVER = "%{text}<extra></extra>"  # a mark's own text, without the trace's name
TICKS = 9  # at most, on an axis of batch sizes
PANEL = 320  # pixels of height
LEVELS = 14  # of contours
CLEAR = "rgba(120,132,150,0)"


@dataclass(frozen=True, slots=True)
class ComparisonFigure:
    """One figure: its title and question are the texts `figure.NAME.title` and `figure.NAME.question`, `description` is for listings.

    `draw` returns None where there is too little to draw. `reading` says in a sentence or two what the figure shows, with the numbers, or
    why there is none (a line for each optimizer where there are several). `numbers` are the rows behind it, whose columns are explained
    by the texts `column.COLUMN`. The page shows the first `lines` of the reading (None: all) and folds the others with the numbers.
    """

    name: str
    description: str
    draw: Callable[[ComparisonRecord, Texts], go.Figure | None]
    reading: Callable[[ComparisonRecord, Texts], str]
    numbers: Callable[[ComparisonRecord], Rows]
    lines: int | None = None


# ---- traces


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of a trace: where it stands (y is None for a gap), the text that it shows to the pointer, and its own colour."""

    x: float
    y: float | None
    text: str
    color: str = ""


def mark_trace(marks: Sequence[Mark], **style: Any) -> go.Scatter:
    """Return a trace of marks; `style` says how they look: `marker`, and `mode` where lines join them."""
    return go.Scatter(
        x=[mark.x for mark in marks],
        y=rounded([mark.y for mark in marks]),
        text=[mark.text for mark in marks],
        hovertemplate=HOVER,
        **{"mode": "markers"} | style,
    )


def colors_of(marks: Sequence[Mark]) -> list[str]:
    """Return the colour of each mark."""
    return [mark.color for mark in marks]


def plain_trace(x: Sequence[float | None], y: Sequence[float | None], **style: Any) -> go.Scatter:
    """Return a line that says nothing to the pointer, or marks with `mode`; `style` holds its `line` or `marker`, and its `name`."""
    return go.Scatter(x=list(x), y=rounded(list(y)), hoverinfo="skip", **{"mode": "lines"} | style)


def interval_bars(estimates: Iterable[Estimate], color: str, thickness: float = 1.5, width: int = 4) -> dict[str, Any]:
    """Return error bars to the ends of intervals."""
    up = []
    down = []
    for estimate in estimates:
        up.append(estimate.high - estimate.value)
        down.append(estimate.value - estimate.low)
    return _error_bars(rounded(up), rounded(down), color, thickness, width)


def range_bars(spreads: Iterable[Spread]) -> dict[str, Any]:
    """Return error bars from the lowest to the highest run; an end that is infinite has none."""
    up = []
    down = []
    for spread in spreads:
        up.append(spread.high - spread.value if isfinite(spread.high) else 0.0)
        down.append(spread.value - spread.low if isfinite(spread.value) else 0.0)
    return _error_bars(up, down, LIGHT["soft"], thickness=1.2, width=3)


def _error_bars(up: list[float], down: list[float], color: str, thickness: float, width: int) -> dict[str, Any]:
    style = {"color": color, "thickness": thickness, "width": width}
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down} | style


def list_once(traces: Sequence[T]) -> Sequence[T]:
    """Return traces of which the legend lists each name once."""
    listed: set[str] = set()
    for trace in traces:
        trace.update(showlegend=trace.name not in listed)
        listed.add(trace.name)
    return traces


# ---- axes


def marks_axis(marks: Iterable[int], title: str, **more: Any) -> dict[str, Any]:
    """Return a logarithmic axis with ticks at these numbers, fewer where they would touch."""
    ticks = _spaced(sorted(set(marks)))
    return axis(title, type="log", tickvals=ticks, ticktext=list(map(number, ticks)), tickangle=0) | more


def batch_axis(
    sizes: Iterable[int], title: str, record: ComparisonRecord, texts: Texts, between: str = "<br>", **more: Any
) -> dict[str, Any]:
    """Return the axis of batch sizes with SGD and GD named: `1 SGD`, `16`, `1,257 GD`."""
    marked = marks_axis(sizes, title, **more)
    return marked | {"ticktext": [batch_label(size, record, texts, between) for size in marked["tickvals"]]}


def power_axis(title: str, **more: Any) -> dict[str, Any]:
    """Return a logarithmic axis with ticks at powers of ten, for whatever range it is switched to."""
    ticks = [10.0**power for power in range(-12, 13)]
    return axis(title, type="log", tickvals=ticks, ticktext=list(map(tick_text, ticks))) | more


def _spaced(sizes: Sequence[int]) -> list[int]:
    """Return sizes at least a share of the axis apart, first and last included."""
    if len(sizes) < 3:
        return list(sizes)
    gap = log2(sizes[-1] / sizes[0]) / TICKS
    chosen = [sizes[0]]
    for size in sizes[1:-1]:
        if log2(size / chosen[-1]) >= gap and log2(sizes[-1] / size) >= gap:
            chosen.append(size)
    return [*chosen, sizes[-1]]


# ---- whole figures


def plot(
    height: int, traces: Iterable[Any], horizontal: Mapping[str, Any], vertical: Mapping[str, Any], **layout: Any
) -> go.Figure:
    """Return a figure of one panel."""
    figure = blank(height)
    figure.add_traces(list(traces))
    figure.update_xaxes(horizontal)
    figure.update_yaxes(vertical)
    return figure.update_layout(**layout)


@dataclass(frozen=True, slots=True)
class Panel:
    """One of the panels of a figure: its traces and its axes."""

    traces: Sequence[Any]
    horizontal: Mapping[str, Any]
    vertical: Mapping[str, Any]


def panel_plot(height: int, panels: Sequence[Panel], *notes: str, more: str = "", **layout: Any) -> go.Figure:
    """Return a figure of panels in one row, with their number for the page, which arranges them for its width."""
    figure = blank(height, **layout)
    for place, panel in enumerate(panels):
        suffix = axis_suffix(place)
        figure.add_traces([in_panel(trace, place) for trace in panel.traces])
        below = {**panel.horizontal, "anchor": f"y{suffix}", "automargin": False, "tickangle": 0}
        figure.update_layout({f"xaxis{suffix}": below, f"yaxis{suffix}": {**panel.vertical, "anchor": f"x{suffix}"}})
    for place in range(len(panels)):
        domain = [(place + 0.14) / len(panels), (place + 0.98) / len(panels)]
        figure.update_layout({f"xaxis{axis_suffix(place)}": {"domain": domain}})
    note = " ".join(filter(None, notes))
    return figure.update_layout(meta={"panels": len(panels), "panel": PANEL, "note": note, "more": more})


def axis_suffix(panel: int) -> str:
    """Return what plotly appends to the names of a panel's axes; panels are counted from 0."""
    return "" if panel == 0 else str(panel + 1)


def in_panel(trace: Any, panel: int) -> Any:
    """Return a trace put into a panel."""
    suffix = axis_suffix(panel)
    return trace.update(xaxis=f"x{suffix}", yaxis=f"y{suffix}")


# ---- contours


def contours(
    x: Sequence[float], y: Sequence[float], loss: Sequence[Sequence[float]], title: str, hover: str
) -> go.Contour:
    """Return contours of a loss [len(y), len(x)] at logarithmically spaced levels, pale enough for paths to be drawn on them.

    Darker is higher, with a scale at the side. `hover` contains `%{text}` where the loss is to stand.
    """
    known = [value for value in chain.from_iterable(loss) if isfinite(value) and value > 0] or [0.1, 1.0]
    low = min(known)
    high = max(known)
    ticks = log_ticks(low, high, 5)
    step = (log10(high / low) or 1.0) / LEVELS
    scale = {"tickvals": list(map(log10, ticks)), "ticktext": list(map(tick_text, ticks)), "xpad": 4}
    return go.Contour(
        x=list(x),
        y=list(y),
        z=[list(map(_height, line)) for line in loss],
        text=[list(map("{:.4g}".format, line)) for line in loss],
        hovertemplate=hover,
        contours={"start": log10(low), "end": log10(high), "size": step, "coloring": "heatmap"},
        colorscale=[[0, CLEAR], [1, LIGHT["pale"]]],
        line={"color": LIGHT["edge"], "width": 0.6},
        colorbar={"title": {"text": title, "side": "right"}, "thickness": 10, "outlinewidth": 0, "len": 0.9} | scale,
    )


def _height(value: float) -> float | None:
    if not isfinite(value) or value <= 0:
        return None
    return float(f"{log10(value):.4g}")
