"""The course of the search: every trial's value and the best so far, over trials, examples or time; and when each trial ran."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from hpsearch.reporting.figures.points import (
    BEYOND,
    Heights,
    bold_trial,
    edge_note,
    marked_trials,
    rings,
    thin,
    thinned,
    trial_points,
)
from hpsearch.reporting.figures.style import LIGHT, SYMBOLS, axis, bars, blank, color, label, rounded
from hpsearch.reporting.formatting import MetricFormat, duration, share
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.ranking import ranked, with_value
from hpsearch.reporting.selection import trials_of, usable_trials
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord, TrialRecord

MOST = 1000
FEW = 10  # ended trials, below which halves are not compared
ENOUGH = 30  # ended trials, before a second half without progress says something
UNITS = (("hours", 7200.0, 3600.0), ("minutes", 180.0, 60.0), ("seconds", 0.0, 1.0))  # name, used from, seconds
AXES = ("trial", "examples", "seconds")
BARS = 600
LABELS = 8  # numbers along the vertical axis of the bars


@dataclass(frozen=True, slots=True)
class TraceAxis:
    """One horizontal axis that the page can switch to.

    Attributes:
        label: the text of its button.
        title: its title.
        positions: where each trial lies, by number.
        best: the corners of the line of the best value so far.
        x: the positions of every trace, in the order of the traces.
        y: their heights.
    """

    label: str
    title: str
    positions: dict[int, float]
    best: list[tuple[float, float]]
    x: list[list[Any]] = field(default_factory=list)
    y: list[list[Any]] = field(default_factory=list)

    def add(self, x: Sequence[Any], y: Sequence[Any]) -> None:
        """Add a trace."""
        self.x.append(rounded(x))
        self.y.append(list(y))


def unit(longest: float) -> tuple[str, float]:
    """Return the unit of time that suits the longest of some seconds, and its length in seconds."""
    return next((name, length) for name, above, length in UNITS if longest >= above)


def history(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw every trial's value and the best so far; the page switches the horizontal axis."""
    valued, heights = with_value(record), Heights.common(record)
    if not ranked(record) or len(valued) < 2:
        return None
    trials = thin(valued, MOST, heights.metric)
    figure = blank(430, xaxis_title_text=texts("search.figure.history.trial_axis"))
    axes = _axes(frames, texts)
    for role, group in _grouped(trials, heights).items():
        _add(figure, trial_points(role, group, heights, texts), axes, group)
    marked = [own for _, own in marked_trials(record, texts)]
    for ring, own in zip(rings(record, lambda trial: trial.number, heights, texts), marked, strict=True):
        _add(figure, ring, axes, own)
    line = {"color": LIGHT["ink"], "width": 2, "shape": "hv"}
    figure.add_trace(go.Scatter(mode="lines", name=texts("search.mark.best_so_far"), hoverinfo="skip", line=line))
    for option in axes:
        option.add([x for x, _ in option.best], rounded(y for _, y in option.best))
    for trace, x, y in zip(figure.data, axes[0].x, axes[0].y, strict=True):
        trace.update(x=x, y=y)
    figure.update_yaxes(heights.axis(texts))
    switch = [{"label": option.label, "title": option.title, "x": option.x, "y": option.y} for option in axes]
    note = edge_note(trials, heights, texts)
    meta = {"switch": switch, "note": note, "thinned": thinned(len(trials), len(valued), texts)}
    return figure.update_layout(meta=meta)


def _add(figure: go.Figure, trace: go.Scatter, axes: Sequence[TraceAxis], trials: Sequence[TrialRecord]) -> None:
    """Add a trace of trials to the figure and to each axis."""
    figure.add_trace(trace)
    for option in axes:
        option.add([option.positions.get(trial.number) for trial in trials], trace.y)


def _grouped(trials: Sequence[TrialRecord], heights: Heights) -> dict[str, list[TrialRecord]]:
    """Return the trials by what they are drawn as, known outcomes first and what lies off the scale last."""
    groups: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault(heights.role(trial), []).append(trial)
    order = [name for name in dict.fromkeys([*SYMBOLS, *groups]) if name != BEYOND]
    return {name: groups[name] for name in [*order, BEYOND] if name in groups}


def _axes(frames: Frames, texts: Texts) -> list[TraceAxis]:
    """Return the horizontal axes that the record allows."""
    progress, axes = frames["progress"], []
    for name in AXES:
        part = progress[progress["axis"] == name]
        if not len(part) or part["position"].max() <= 0:
            continue
        key, length = name, 1.0
        if name == "seconds":
            key, length = unit(float(part["position"].max()))
        positions = (part["position"].astype(float) / length).tolist()
        axes.append(
            TraceAxis(
                texts(f"search.figure.history.{name}_button"),
                texts(f"search.figure.history.{key}_axis"),
                dict(zip(part["trial"], positions, strict=True)),
                _corners(positions, part["best"].tolist()),
            )
        )
    return axes


def _corners(across: Sequence[float], up: Sequence[float | None]) -> list[tuple[float, float]]:
    """Return the points of a line of steps at which its height changes, and the last one: all that it takes to draw it."""
    line = [(x, float(y)) for x, y in zip(across, up, strict=True) if y is not None and isfinite(y)]
    corners = []
    height = None
    for x, y in line:
        if y != height:
            corners.append((x, y))
        height = y
    return corners + line[-1:]


def history_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say when the best was found and what the second half of the search still brought."""
    metric, ended = MetricFormat.of(record), with_value(record)
    leader = next(iter(ranked(record)), None)
    if len(ended) < 2 or leader is None or leader.value is None:
        return texts("search.points.two_needed")
    selected = next(iter(trials_of(record.result)), leader.number)
    key = "best" if selected == leader.number else "best_not_selected"
    values = {"value": metric.text(leader.value), "trial": leader.number, "selected": selected}
    text = texts(f"search.figure.history.{key}", of=usable_trials(record, texts), **values)
    if len(ended) < FEW:
        return text
    return f"{text} {_second_half(record, ended, leader.value, texts)}"


def _second_half(record: StudyRecord, ended: Sequence[TrialRecord], best: float, texts: Texts) -> str:
    """Say what the second half of the trials improved on the first."""
    metric = MetricFormat.of(record)
    half = ended[len(ended) // 2].number
    first = [trial.value for trial in ranked(record) if trial.number < half and trial.value is not None]
    if not first:
        return texts("search.figure.history.no_first_half")
    early = max(first) if metric.maximize else min(first)
    if metric.better(best, early):
        return texts("search.figure.history.improved", gap=metric.gap(best, early))
    key = "enough" if len(ended) >= ENOUGH else "nothing_better"
    return texts(f"search.figure.history.{key}")


def timeline(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw each trial as a bar over wall time."""
    table = frames["timeline"]
    if len(table) < 2 or not any(table["end"] > table["start"]):
        return None
    name, length = unit(table["end"].max())
    lines = int(table["place"].max())
    drawn = table[:: -(-len(table) // BARS)]
    figure = blank(min(460, 120 + 22 * lines), barmode="overlay", bargap=0.18)
    present = set(drawn["outcome"])
    for outcome in dict.fromkeys([*SYMBOLS, *sorted(present)]):
        if outcome in present:
            figure.add_trace(_bars(outcome, drawn[drawn["outcome"] == outcome], length, texts))
    figure.update_xaxes(axis(texts(f"search.figure.history.{name}_axis"), rangemode="tozero"))
    every = max(1, -(-lines // LABELS))
    upright = {"range": [lines + 0.6, 0.4], "tick0": 1, "dtick": every, "showgrid": False}
    figure.update_yaxes(axis(texts("search.figure.timeline.side"), **upright))
    note = ""
    if len(drawn) < len(table):
        note = texts("search.figure.timeline.thinned", drawn=f"{len(drawn):,}", of=f"{len(table):,}")
    return figure.update_layout(meta={"thinned": note})


def _bars(outcome: str, rows: pd.DataFrame, length: float, texts: Texts) -> go.Bar:
    seconds = rows["end"] - rows["start"]
    labels = []
    for number, lasted in zip(rows["trial"], seconds, strict=True):
        labels.append(f"{bold_trial(number, texts)}, {label(outcome)}<br>{duration(lasted)}")
    return bars(
        (seconds / length).tolist(),
        labels,
        name=label(outcome, 30),
        base=rounded((rows["start"] / length).tolist()),
        y=rows["place"].tolist(),
        width=0.8,
        marker={"color": color(outcome), "line": {"color": LIGHT["surface"], "width": 1}},
    )


def timeline_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say how long the search took, how many trials ran at once, and what the lost ones cost."""
    table = frames["timeline"]
    seconds = table["end"] - table["start"]
    busy = sum(seconds.tolist())
    if len(table) < 2 or busy <= 0:
        return texts("search.figure.timeline.few")
    lines = int(table["place"].max())
    key = "parallel" if lines > 1 else "serial"
    trials, wall = texts.count("trial", len(table)), duration(table["end"].max())
    text = texts(f"search.figure.timeline.{key}", trials=trials, time=wall, most=lines)
    spent = []
    for outcome in ("pruned", "diverged"):
        lost = sum(seconds[table["outcome"] == outcome].tolist())
        if lost:
            spent.append(texts(f"search.figure.timeline.spent_{outcome}", share=share(lost / busy)))
    if not spent:
        return text
    return f"{text} {texts('search.figure.timeline.spent', parts=texts.listing(spent))}"
