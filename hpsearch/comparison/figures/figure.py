"""`ComparisonFigure`, a figure of a comparison's report, and the parts that several figures are built from: panels and contours."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite, log10
from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.style import LIGHT, log_ticks, tick_text
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

Rows = Sequence[Mapping[str, object]]
PANEL = 320  # pixels of height
LEVELS = 14  # of contours
CLEAR = "rgba(120,132,150,0)"


@dataclass(frozen=True, slots=True)
class ComparisonFigure:
    """One figure: its title and question are the texts `figure.NAME.title` and `figure.NAME.question`, `description` is for listings.

    `draw` returns None where there is too little to draw. `reading` says in a sentence or two what the figure shows, with the numbers, or
    why there is none (a line for each optimizer where there are several). `numbers` are the rows behind it, whose columns are explained
    by the texts `column.COLUMN`.
    """

    name: str
    description: str
    draw: Callable[[ComparisonRecord, Texts], go.Figure | None]
    reading: Callable[[ComparisonRecord, Texts], str]
    numbers: Callable[[ComparisonRecord], Rows]


def axis_suffix(panel: int) -> str:
    """Return what plotly appends to the names of a panel's axes; panels are counted from 0."""
    return "" if panel == 0 else str(panel + 1)


def in_panel(trace: Any, panel: int) -> Any:
    """Return a trace put into a panel."""
    suffix = axis_suffix(panel)
    return trace.update(xaxis=f"x{suffix}", yaxis=f"y{suffix}")


def add_axes(figure: go.Figure, panel: int, horizontal: Mapping[str, Any], vertical: Mapping[str, Any]) -> None:
    """Give a panel its axes."""
    suffix = axis_suffix(panel)
    below = {**horizontal, "anchor": f"y{suffix}", "automargin": False, "tickangle": 0}
    figure.update_layout({f"xaxis{suffix}": below, f"yaxis{suffix}": {**vertical, "anchor": f"x{suffix}"}})


def lay_out_panels(figure: go.Figure, panels: int, notes: Sequence[str]) -> go.Figure:
    """Put the panels into one row, and note their number for the page, which arranges them for its width."""
    for panel in range(panels):
        domain = [(panel + 0.14) / panels, (panel + 0.98) / panels]
        figure.update_layout({f"xaxis{axis_suffix(panel)}": {"domain": domain}})
    return figure.update_layout(meta={"panels": panels, "panel": PANEL, "note": " ".join(filter(None, notes))})


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
    scale = {"tickvals": [log10(tick) for tick in ticks], "ticktext": [tick_text(tick) for tick in ticks], "xpad": 4}
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
