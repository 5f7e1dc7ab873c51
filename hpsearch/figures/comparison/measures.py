"""Small panels side by side, one below the other on a phone (page.js lays them out), and what the figures of measured runs share."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import plotly.graph_objects as go

from hpsearch.evidence.measured import Spread, optimizers
from hpsearch.figures.comparison.look import optimizer_name
from hpsearch.figures.style import LIGHT, axis
from hpsearch.storage import ComparisonRecord
from hpsearch.texts import Texts
from hpsearch.words import number

PANEL = 300  # pixels high
MOMENT_COLORS = {"start": "soft", "middle": "running", "target": "out of memory", "end": "ink"}
MOMENT_SYMBOLS = {"start": "circle", "middle": "square", "target": "diamond", "end": "circle"}


def tag(place: int) -> str:
    """Return how plotly numbers the axes of a panel: nothing for the first, then 2, 3, ..."""
    return "" if place == 0 else str(place + 1)


def place_axes(figure: go.Figure, place: int, below: dict[str, Any], upright: dict[str, Any]) -> None:
    """Give a panel its axes."""
    own = {"automargin": False, "showline": True}
    below = below | own | {"anchor": f"y{tag(place)}", "showgrid": False}
    below["title"] = below["title"] | {"standoff": 6}
    figure.update_layout({f"xaxis{tag(place)}": below})
    figure.update_layout({f"yaxis{tag(place)}": upright | {"anchor": f"x{tag(place)}"}})


def laid_out(figure: go.Figure, panels: int, height: int = PANEL, note: str = "") -> go.Figure:
    """Return the figure with its panels in a row, and what the page needs to lay them out anew."""
    for i in range(panels):
        figure.update_layout({f"xaxis{tag(i)}": {"domain": [(i + 0.16) / panels, (i + 0.97) / panels]}})
        figure.update_layout({f"yaxis{tag(i)}": {"domain": [0.2, 0.97]}})
    return figure.update_layout(height=height + 40, meta={"panels": panels, "panel": height, "note": note})


def titled(text: str) -> dict[str, Any]:
    """Return a panel's horizontal axis, whose title says what the panel is."""
    return axis(f"<b>{text}</b>")


def brief(value: float | None) -> str:
    """Return a number with three significant digits, whole from 100 on."""
    if value is None or not isfinite(value):
        return number(value)
    return number(round(value)) if abs(value) >= 100 else number(float(f"{value:.3g}"))


def spread_text(value: Spread | None) -> str:
    """Return a mean and, where there are several runs, their range."""
    if value is None:
        return number(None)
    ends = f" ({brief(value.low)} – {brief(value.high)})" if value.runs > 1 and value.low < value.high else ""
    return brief(value.value) + ends


def whiskers(spreads: Sequence[Spread]) -> dict[str, Any]:
    """Return error bars from the lowest to the highest run; an end that is infinite has none."""
    up = [spread.high - spread.value if isfinite(spread.high) else 0.0 for spread in spreads]
    down = [spread.value - spread.low if isfinite(spread.value) else 0.0 for spread in spreads]
    look = {"color": LIGHT["soft"], "thickness": 1.2, "width": 3}
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down} | look


def spread_columns(name: str, value: Spread | None) -> dict[str, object]:
    """Return the columns of a table that hold a mean over runs and its range."""
    if value is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}


def drawn(record: ComparisonRecord) -> str:
    """Return the optimizer whose measurements are drawn: plain SGD where it was compared, else the first."""
    return next(iter(optimizers(record)), "")


def note(record: ComparisonRecord, texts: Texts, *parts: str) -> str:
    """Return a note's sentences, and which optimizer is drawn where several were compared."""
    several = len(optimizers(record)) > 1
    only = texts("measured.only", optimizer=optimizer_name(drawn(record))) if several else ""
    return " ".join(filter(None, [*parts, only]))
