"""How every figure looks: two palettes, the symbols of the outcomes, axes that are read without thinking.

Colours are named here and nowhere else. Figures are drawn with `LIGHT`; the page exchanges each colour for its twin in `DARK` where
the reader's screen is dark. Both are after Okabe and Ito (2008) and told apart by colour-blind readers; every outcome has a symbol too.
All text that came from outside goes through `label`: plotly reads tags in its labels.
"""

from html import escape
from math import ceil, floor, log10
from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.formatting import MetricFormat, count, listing, number, readable, visible
from hpsearch.storage import TrialRecord

LIGHT = {
    "ink": "#1c2430",
    "soft": "#5b6675",
    "grid": "#e3e7ec",
    "edge": "#aab3bf",
    "surface": "#fefefe",
    "finished": "#0072b2",
    "stopped early": "#009e73",
    "pruned": "#8d97a5",
    "diverged": "#d55e00",
    "out of memory": "#b8559a",
    "killed its worker": "#7a4fb0",
    "running": "#c98a00",
    "band": "rgba(120,132,150,0.20)",
    "pale": "rgba(120,132,150,0.42)",
    "fourth": "#9cc4e2",
    "third": "#86b4d9",
    "first": "#d5450a",
    "one": "#d55e00",
    "some": "#0072b2",
    "full": "#009e73",
    "smallest": "#7aaed4",
    "small": "#3f8fc4",
    "large": "#24578a",
    "largest": "#3d4a73",
}
DARK = {
    "ink": "#e8ecf1",
    "soft": "#a3adba",
    "grid": "#2b333e",
    "edge": "#5d6875",
    "surface": "#171c23",
    "finished": "#5bb8f0",
    "stopped early": "#35cfa3",
    "pruned": "#7f8a98",
    "diverged": "#ff8d4d",
    "out of memory": "#e596cc",
    "killed its worker": "#b79cf0",
    "running": "#f2c14a",
    "band": "rgba(150,165,185,0.20)",
    "pale": "rgba(150,165,185,0.36)",
    "fourth": "#3d6a8c",
    "third": "#4682ad",
    "first": "#ffa14f",
    "one": "#ff8d4d",
    "some": "#5bb8f0",
    "full": "#35cfa3",
    "smallest": "#b9def5",
    "small": "#8acbf3",
    "large": "#6597dd",
    "largest": "#8f9fd6",
}
SERIES = ("finished", "stopped early", "running", "out of memory", "third")  # colours of the best five
SYMBOLS = {
    "finished": "circle",
    "stopped early": "diamond",
    "pruned": "triangle-down",
    "diverged": "x",
    "out of memory": "cross",
    "killed its worker": "hexagram",
    "running": "star",
}
SQUARE = 30  # pixels by which a figure whose axes share one scale is higher than wide, for its legend and its titles
FAILED = ("diverged", "out of memory", "killed its worker", "fail")
BEYOND = "off the scale"  # a value that the axis leaves out, drawn on the edge
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def color(name: str) -> str:
    """Return the light colour of a role or an outcome; an outcome that is not known is grey."""
    return LIGHT.get(name, LIGHT["pruned"])


def label(text: object, most: int = 60) -> str:
    """Return text that plotly shows as it is: hidden characters spelled out, tags and entities escaped, cut to `most`."""
    return escape(visible(text, most), quote=False)


def name_label(name: str, most: int = 26) -> str:
    """Return a hyperparameter's name as a label."""
    return escape(readable(name, most), quote=False)


def blank(height: int, **layout: Any) -> go.Figure:
    """Return a figure without traces in the house's look."""
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
    } | more


def value_axis(metric: MetricFormat, limits: tuple[float, float], title: str = "") -> dict[str, Any]:
    """Return the axis of the study's metric over the limits."""
    narrow = abs(limits[1] - limits[0]) < 0.05
    form = {"tickformat": ".1%" if narrow else ".0%"} if metric.percent else number_ticks(*limits)
    return axis(title, range=list(within(limits, metric)), nticks=7) | form


def number_ticks(low: float, high: float) -> dict[str, Any]:
    """Return how the ticks of plain numbers are written: from ten thousand on as 20k, which fits a telephone's page."""
    if max(abs(low), abs(high)) >= 10_000:
        return {"tickformat": "~s"}
    return {"tickformat": "~g", "exponentformat": "power"}


def limits(values: list[float], metric: MetricFormat) -> tuple[float, float]:
    """Return a range that shows the best nine tenths of the values and leaves a strip at the worse end for the rest."""
    ordered = sorted(values, reverse=metric.maximize) or [0.0, 1.0]
    top, low = ordered[0], ordered[min(len(ordered) - 1, floor(0.9 * len(ordered)))]
    span = (low - top) or (-1.0 if metric.maximize else 1.0) * max(abs(top) * 0.02, 1e-6)
    ends = (low + 0.16 * span, top - 0.07 * span)
    return within(ends if metric.maximize else (ends[1], ends[0]), metric)


def within(ends: tuple[float, float], metric: MetricFormat) -> tuple[float, float]:
    """Return limits that leave out what a metric cannot be: below 0 and above 100 %."""
    return (max(0.0, ends[0]), min(1.0, ends[1])) if metric.percent else ends


def floor_of(ends: tuple[float, float], metric: MetricFormat) -> float:
    """Return the height of the strip for what failed or lies off the scale, at the worse end."""
    bottom, top = ends
    return bottom + 0.035 * (top - bottom) if metric.maximize else top - 0.035 * (top - bottom)


def placed(trial: TrialRecord, ends: tuple[float, float], metric: MetricFormat) -> tuple[float, bool]:
    """Return the height at which a trial is drawn, and whether that is the strip."""
    strip = floor_of(ends, metric)
    value = trial.value
    if trial.outcome in FAILED or value is None or not metric.better(value, strip):
        return strip, True
    return value, False


def role(trial: TrialRecord, ends: tuple[float, float], metric: MetricFormat) -> str:
    """Return as what a trial is drawn: its outcome, or `BEYOND` where it has a value that lies beyond the scale."""
    beyond = trial.outcome not in FAILED and placed(trial, ends, metric)[1]
    return BEYOND if beyond else trial.outcome


def marker(role: str, metric: MetricFormat, size: float, opacity: float) -> dict[str, Any]:
    """Return the marker of an outcome; of a value beyond the scale an open triangle that points to where it lies."""
    if role == BEYOND:
        symbol = "triangle-down-open" if metric.maximize else "triangle-up-open"
        return {"color": LIGHT["soft"], "symbol": symbol, "size": size + 1, "line": {"width": 1.5}}
    symbol = SYMBOLS.get(role, "hexagon")
    return {"color": color(role), "symbol": symbol, "size": size, "opacity": opacity, "line": {"width": 0}}


def edge_note(trials: list[TrialRecord], ends: tuple[float, float], metric: MetricFormat) -> str:
    """Return what the marks on the edge of a figure are, "" where there is none."""
    failed = sum(trial.outcome in FAILED for trial in trials)
    beyond = sum(role(trial, ends, metric) == BEYOND for trial in trials)
    parts = [f"{count(failed, 'trial')} that failed"] if failed else []
    parts += [f"{count(beyond, 'trial')} whose value lies beyond the scale (open triangles)"] if beyond else []
    return f"On the {'lower' if metric.maximize else 'upper'} edge: {listing(parts)}." if parts else ""


def thin(trials: list[TrialRecord], most: int, metric: MetricFormat) -> list[TrialRecord]:
    """Return at most `most` trials: the best tenth of them, the rest evenly, in the order of their numbers."""
    if len(trials) <= most:
        return trials
    whole = [trial for trial in trials if trial.outcome not in FAILED]
    whole.sort(key=lambda trial: trial.rank("maximize" if metric.maximize else "minimize"))
    keep = {trial.number for trial in whole[: most // 10]}
    rest = [trial for trial in trials if trial.number not in keep]
    room = most - len(keep)
    keep |= {rest[i * len(rest) // room].number for i in range(room)}
    return [trial for trial in trials if trial.number in keep]


def thinned(drawn: int, of: int) -> str:
    """Return the note under a figure that does not draw everything, "" where it does."""
    return f"{drawn:,} of {of:,} trials are drawn: the best and an even choice of the rest." if drawn < of else ""


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers within a positive range for a logarithmic axis."""
    powers = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
    for steps in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in powers for step in steps]
        inside = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(inside) <= most:
            return inside
    return inside[:: ceil(len(inside) / most)]


def tick_text(value: float) -> str:
    """Return a tick's text: 0.001, 300, 20k, 10⁻⁶."""
    if value >= 1000:
        return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k"
    return number(float(f"{value:.3g}")).removeprefix("1×")


def log_axis(low: float, high: float, title: str = "", most: int = 6, **more: Any) -> dict[str, Any]:
    """Return a logarithmic axis with ticks at round numbers."""
    ticks = log_ticks(low, high, most)
    return axis(title, type="log", tickvals=ticks, ticktext=[tick_text(tick) for tick in ticks]) | more


def rounded(values: list[Any]) -> list[Any]:
    """Return numbers with six significant digits: all that a figure can show, in a third of the bytes."""
    return [float(f"{value:.6g}") if isinstance(value, float) else value for value in values]
