"""How every figure looks: two palettes, the symbols of the outcomes, axes.

Colours are named here and nowhere else. Figures are drawn with `LIGHT`; the page exchanges each colour for its twin in `DARK` where the
reader's screen is dark. Both are after Okabe and Ito (2008) and told apart by colour-blind readers; every outcome has a symbol too. All
text that came from outside goes through `label`, since plotly reads tags in its labels.
"""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import product
from math import ceil, floor, log10
from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.formatting import SPACE, MetricFormat, fixed, number, visible

COLORS = {  # role or outcome → on a light page, on a dark one
    "ink": ("#1c2430", "#e8ecf1"),
    "soft": ("#5b6675", "#a3adba"),
    "grid": ("#e3e7ec", "#2b333e"),
    "edge": ("#aab3bf", "#5d6875"),
    "surface": ("#fefefe", "#171c23"),
    "finished": ("#0072b2", "#5bb8f0"),
    "stopped early": ("#009e73", "#35cfa3"),
    "pruned": ("#8d97a5", "#7f8a98"),
    "diverged": ("#d55e00", "#ff8d4d"),
    "out of memory": ("#b8559a", "#e596cc"),
    "killed its worker": ("#7a4fb0", "#b79cf0"),
    "raised an error": ("#d2580c", "#ff8f52"),
    "out of time": ("#7c52ac", "#ba9fec"),
    "stopped at its time limit": ("#0f9c72", "#3acda0"),
    "failed": ("#d1560a", "#ff8e50"),
    "infinite value": ("#b4569e", "#e497ca"),
    "infeasible": ("#7b50ae", "#b89dee"),
    "running": ("#c98a00", "#f2c14a"),
    "band": ("rgba(120,132,150,0.20)", "rgba(150,165,185,0.20)"),
    "pale": ("rgba(120,132,150,0.42)", "rgba(150,165,185,0.36)"),
    "fourth": ("#9cc4e2", "#3d6a8c"),
    "third": ("#86b4d9", "#4682ad"),
    "first": ("#d5450a", "#ffa14f"),
    "one": ("#d55e00", "#ff8d4d"),
    "some": ("#0072b2", "#5bb8f0"),
    "full": ("#009e73", "#35cfa3"),
    "lit": ("#b0127b", "#ff85d0"),
    "smallest": ("#7aaed4", "#b9def5"),
    "small": ("#3f8fc4", "#8acbf3"),
    "large": ("#24578a", "#6597dd"),
    "largest": ("#3d4a73", "#8f9fd6"),
}
LIGHT = {name: light for name, (light, _) in COLORS.items()}
DARK = {name: dark for name, (_, dark) in COLORS.items()}
SERIES = ("finished", "stopped early", "running", "out of memory", "third")  # colours of the best five
SYMBOLS = {
    "finished": "circle",
    "stopped early": "diamond",
    "pruned": "triangle-down",
    "diverged": "x",
    "out of memory": "cross",
    "killed its worker": "hexagram",
    "raised an error": "x",
    "out of time": "hourglass",
    "stopped at its time limit": "diamond-open",
    "failed": "x",
    "infinite value": "cross",
    "infeasible": "square-open",
    "running": "star",
}
SHARE_STEPS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)
MILLION = 1e6
PLAIN = ",~r"  # 20,000 and 0.25, as the page's tables have them
SQUARE = 30  # pixels by which a figure whose axes share one scale is higher than wide, for its legend and its titles
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def color(name: str) -> str:
    """Return the light colour of a role or an outcome; an outcome that is not known is grey."""
    return LIGHT.get(name, LIGHT["pruned"])


def label(text: object, most: int = 60) -> str:
    """Return text that plotly shows as it is: hidden characters spelled out, tags and entities escaped, cut to `most`."""
    return escape(visible(text, most), quote=False)


def name_label(name: str, most: int = 26) -> str:
    """Return a hyperparameter's name as a label."""
    return label(name, most)


def blank(height: int, **layout: Any) -> go.Figure:
    """Return a figure without traces in the look of all figures."""
    figure = go.Figure(layout={"template": "none", "height": height, "margin": {"l": 62, "r": 22, "t": 10, "b": 50}})
    figure.update_layout(
        font={"family": FONT, "size": 13, "color": LIGHT["soft"]},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="closest",
        hoverlabel={"bgcolor": LIGHT["surface"], "bordercolor": LIGHT["edge"], "align": "left"}
        | {"font": {"family": FONT, "size": 13, "color": LIGHT["ink"]}},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
        | {"font": {"color": LIGHT["ink"]}, "bgcolor": "rgba(0,0,0,0)", "itemsizing": "trace", "traceorder": "normal"},
        xaxis=axis(),
        yaxis=axis(),
        **layout,
    )
    return figure


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """Return one axis: faint grid, no zero line, its title in the ink's colour."""
    return {
        "title": {"text": title, "font": {"color": LIGHT["ink"]}, "standoff": 10},
        "gridcolor": LIGHT["grid"],
        "linecolor": LIGHT["edge"],
        "tickcolor": LIGHT["edge"],
        "zeroline": False,
        "showline": False,
        "ticks": "",
        "automargin": True,
        "tickformat": PLAIN,
    } | more


def names_axis(names: Sequence[str]) -> dict[str, Any]:
    """Return the vertical axis of horizontal bars: a name for each, the first at the top."""
    ends = [len(names) - 0.5, -0.5]
    ink = {"color": LIGHT["ink"]}
    return axis(tickvals=[*range(len(names))], ticktext=list(names), range=ends, showgrid=False, tickfont=ink)


def value_axis(metric: MetricFormat, limits: tuple[float, float], title: str = "", most: int = 6) -> dict[str, Any]:
    """Return the axis of the study's metric over the limits, with at most so many ticks."""
    ends = within(limits, metric)
    form = number_ticks(*limits) | {"nticks": most + 1}
    if metric.percent:
        form = share_ticks(*ends, most)
    return axis(title, range=list(ends)) | form


def share_ticks(low: float, high: float, most: int = 6) -> dict[str, Any]:
    """Return round ticks of shares within two ends, at most so many, written as everywhere on the page: `98.5 %`."""
    low, high = sorted((low, high))
    step = next((step for step in SHARE_STEPS if (high - low) / step <= most), SHARE_STEPS[-1])
    count = range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)
    places = max(0, -floor(log10(100 * step) + 1e-9))
    values = [round(place * step, 9) for place in count]
    return {"tickvals": values, "ticktext": [f"{fixed(100 * value, places)}{SPACE}%" for value in values]}


def number_ticks(low: float, high: float) -> dict[str, Any]:
    """Return how the ticks of plain numbers are written: as everywhere, from a million on as 2M, which fits a telephone's page."""
    return {"tickformat": "~s" if max(abs(low), abs(high)) >= MILLION else PLAIN}


def within(ends: tuple[float, float], metric: MetricFormat) -> tuple[float, float]:
    """Return limits that leave out what a metric cannot be: below 0 and above 100 %."""
    if metric.percent:
        return (max(0.0, ends[0]), min(1.0, ends[1]))
    return ends


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers within a positive range for a logarithmic axis."""
    powers = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
    for steps in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power, step in product(powers, steps)]
        inside = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(inside) <= most:
            return inside
    return inside[:: ceil(len(inside) / most)]


def tick_text(value: float) -> str:
    """Return a tick's text: 0.001, 300, 20,000, 2M, 10⁻⁶, 10¹²."""
    if MILLION <= value < 1000 * MILLION:
        return f"{value / MILLION:g}M"
    return number(float(f"{value:.3g}")).removeprefix("1×")


def log_axis(low: float, high: float, title: str = "", most: int = 6, **more: Any) -> dict[str, Any]:
    """Return a logarithmic axis with ticks at round numbers."""
    ticks = log_ticks(low, high, most)
    return axis(title, type="log", tickvals=ticks, ticktext=[tick_text(tick) for tick in ticks]) | more


def hover(texts: Iterable[str]) -> dict[str, Any]:
    """Return what a trace shows where the reader points: a text for each of its points."""
    return {"text": list(texts), "hovertemplate": "%{text}<extra></extra>"}


def error_bars(above: Iterable[float], below: Iterable[float], **look: Any) -> dict[str, Any]:
    """Return the bars from each point to the ends of its interval, which lie so far above and below."""
    ends = {"array": rounded(above), "arrayminus": rounded(below)}
    return {"type": "data", "symmetric": False} | ends | look


def bars(lengths: Iterable[float], texts: Iterable[str], **look: Any) -> go.Bar:
    """Return horizontal bars, the first at height 0 where `look` has no `y`, with the texts that show where the reader points."""
    lengths = rounded(lengths)
    look = {"y": list(range(len(lengths)))} | look
    return go.Bar(orientation="h", x=lengths, textposition="none", **hover(texts), **look)


def rounded(values: Iterable[Any]) -> list[Any]:
    """Return numbers with six significant digits: all that a figure can show, in a third of the bytes."""
    return [float(f"{value:.6g}") if isinstance(value, float) else value for value in values]
