"""The best value so far of several searches, by trial and by time, on one axis."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from hpsearch.locales import Texts
from hpsearch.reporting.figures.history import corners, unit
from hpsearch.reporting.figures.points import limits
from hpsearch.reporting.figures.style import LIGHT, SERIES, axis, blank, label, rounded, value_axis
from hpsearch.reporting.formatting import MetricFormat
from hpsearch.reporting.several.settings import labels
from hpsearch.reporting.tables import TABLES
from hpsearch.storage import StudyRecord

AXES = ("trial", "seconds")
DASHES = ("solid", "dash", "dot", "dashdot")
SHOWN = 0.9  # of the values that the lines take, best first: the first trials' may lie far below

Line = list[tuple[float, float]]


def progress_figure(records: Sequence[StudyRecord], texts: Texts) -> go.Figure | None:
    """Draw the best value so far of each study; the page switches between trials and time. None without two values."""
    tables = [TABLES["progress"].build(record, {}) for record in records]
    metric = MetricFormat.of(records[0])
    known = [value for table in tables for value in table["best"].dropna().tolist() if isfinite(value)]
    if len(known) < 2:
        return None
    figure = blank(430, xaxis_title_text=texts("search.figure.history.trial_axis"))
    names = labels(records)
    for place, name in enumerate(names):
        color = LIGHT[SERIES[place % len(SERIES)]]
        line = {"color": color, "width": 2.5, "shape": "hv", "dash": DASHES[place // len(SERIES) % len(DASHES)]}
        figure.add_trace(go.Scatter(mode="lines", name=label(name, 40), line=line))
    switch = [_option(name, tables, texts) for name in _axes(tables)]
    for trace, x, y in zip(figure.data, switch[0]["x"], switch[0]["y"], strict=True):
        trace.update(x=x, y=y, hovertemplate=f"{trace.name}<extra></extra>")
    figure.update_xaxes(axis(switch[0]["title"], rangemode="tozero"))
    title = texts("search.points.validation", metric=label(metric.name))
    figure.update_yaxes(value_axis(metric, limits(known, metric, SHOWN, 0.3), title))
    return figure.update_layout(meta={"switch": switch})


def _axes(tables: Sequence[pd.DataFrame]) -> list[str]:
    """Return the horizontal axes that the studies have."""
    known = set[str]().union(*(table["axis"] for table in tables))
    return [name for name in AXES if name in known]


def _option(name: str, tables: Sequence[pd.DataFrame], texts: Texts) -> dict[str, Any]:
    """Return what the page needs to switch to a horizontal axis: the corners of every line."""
    parts = [table[table["axis"] == name] for table in tables]
    key = name
    length = 1.0
    if name == "seconds":
        longest = max((float(part["position"].max()) for part in parts if len(part)), default=0.0)
        key, length = unit(longest)
    lines = [_line(part, length) for part in parts]
    return {
        "label": texts(f"search.figure.history.{name}_button"),
        "title": texts(f"search.figure.history.{key}_axis"),
        "x": [rounded(x for x, _ in line) for line in lines],
        "y": [rounded(y for _, y in line) for line in lines],
    }


def _line(part: pd.DataFrame, length: float) -> Line:
    return corners((part["position"].astype(float) / length).tolist(), part["best"].tolist())
