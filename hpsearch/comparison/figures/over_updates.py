"""Curves over the updates of a run on a logarithmic axis, where update 0 is drawn left of update 1, with its own tick."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.figures.appearance import HOVER
from hpsearch.reporting.figures.style import log_axis, rounded

START = 0.4  # where update 0 is drawn


def position(update: int) -> float:
    """Return where an update is drawn."""
    return float(max(update, START))


def update_axis(last: int, title: str) -> dict[str, Any]:
    """Return the logarithmic axis of updates, with update 0 on it."""
    below = log_axis(1, max(10, last), title)
    return below | {"tickvals": [START, *below["tickvals"]], "ticktext": ["0", *below["ticktext"]]}


def update_curve(
    updates: Sequence[int], y: Sequence[float | None], color: str, name: str, hover: Sequence[str]
) -> go.Scatter:
    """Return a line with a mark at each update."""
    return go.Scatter(
        x=[position(update) for update in updates],
        y=rounded(list(y)),
        mode="lines+markers",
        name=name,
        text=list(hover),
        hovertemplate=HOVER,
        line={"color": color, "width": 2.2},
        marker={"color": color, "size": 7},
    )
