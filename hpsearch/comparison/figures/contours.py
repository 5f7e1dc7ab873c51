"""The loss on a plane, as contours that stay quiet under the paths drawn on them, in both colours of the screen."""

from collections.abc import Sequence
from math import isfinite, log10

import plotly.graph_objects as go

from hpsearch.reporting.figures.style import LIGHT, log_ticks, tick_text

LEVELS = 14
CLEAR = "rgba(120,132,150,0)"


def contours(
    x: Sequence[float], y: Sequence[float], loss: Sequence[Sequence[float]], title: str, hover: str
) -> go.Contour:
    """Return contours at logarithmically spaced levels of a loss [len(y), len(x)]; darker is higher, with a scale at the side.

    `hover` has the place of the loss as `%{text}`.
    """
    known = [value for line in loss for value in line if isfinite(value) and value > 0]
    low, high = (min(known), max(known)) if known else (0.1, 1.0)
    ticks = log_ticks(low, high, 5)
    return go.Contour(
        x=list(x),
        y=list(y),
        z=[[_height(value) for value in line] for line in loss],
        text=[[f"{value:.4g}" for value in line] for line in loss],
        hovertemplate=hover,
        contours={"start": log10(low), "end": log10(high), "size": (log10(high / low) or 1.0) / LEVELS}
        | {"coloring": "heatmap"},
        colorscale=[[0, CLEAR], [1, LIGHT["pale"]]],
        line={"color": LIGHT["edge"], "width": 0.6},
        colorbar={"title": {"text": title, "side": "right"}, "thickness": 10, "outlinewidth": 0, "len": 0.9}
        | {"tickvals": [log10(tick) for tick in ticks], "ticktext": [tick_text(tick) for tick in ticks], "xpad": 4},
    )


def _height(value: float) -> float | None:
    return float(f"{log10(value):.4g}") if isfinite(value) and value > 0 else None
