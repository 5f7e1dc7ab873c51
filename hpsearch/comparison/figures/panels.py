"""Small multiples of a comparison: several panels in one figure, which the page lays out for its width."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

PANEL = 320  # pixels of height


def tagged(trace: go.Scatter, place: int) -> go.Scatter:
    """Return a trace put into panel `place`, counted from 0."""
    return trace.update(xaxis=f"x{tag(place)}", yaxis=f"y{tag(place)}")


def tag(place: int) -> str:
    """Return what plotly appends to the names of a panel's axes."""
    return "" if place == 0 else str(place + 1)


def with_axes(figure: go.Figure, place: int, across: Mapping[str, Any], upright: Mapping[str, Any]) -> None:
    """Give panel `place` its axes."""
    end = tag(place)
    below = {**across, "anchor": f"y{end}", "automargin": False, "tickangle": 0}
    figure.update_layout({f"xaxis{end}": below, f"yaxis{end}": {**upright, "anchor": f"x{end}"}})


def laid_out(figure: go.Figure, panels: int, notes: Sequence[str]) -> go.Figure:
    """Put the panels into one row, as they are until the page arranges them, and say so to the page."""
    for place in range(panels):
        figure.update_layout({f"xaxis{tag(place)}": {"domain": [(place + 0.14) / panels, (place + 0.98) / panels]}})
    return figure.update_layout(meta={"panels": panels, "panel": PANEL, "note": " ".join(filter(None, notes))})
