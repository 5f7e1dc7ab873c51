"""The course of the search: every trial's value and the best so far, over trials, examples or time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.points import (
    BEYOND,
    Ends,
    common_limits,
    edge_note,
    height,
    marked_trials,
    rings,
    role,
    thin,
    thinned,
    trial_points,
)
from hpsearch.reporting.figures.style import LIGHT, SYMBOLS, blank, label, rounded, value_axis
from hpsearch.reporting.formatting import MetricFormat
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.phrases import usable_trials
from hpsearch.reporting.ranking import ranked, with_value
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord, TrialRecord

MOST = 1000
FEW = 10  # ended trials, below which halves are not compared
ENOUGH = 30  # ended trials, before a second half without progress says something
UNITS = (("hours", 7200.0, 3600.0), ("minutes", 180.0, 60.0), ("seconds", 0.0, 1.0))  # name, used from, seconds
AXES = ("trial", "examples", "seconds")


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

    def add(self, trials: Sequence[int], heights: Sequence[Any]) -> None:
        """Add a trace of trials."""
        self.x.append(rounded([self.positions.get(number) for number in trials]))
        self.y.append(list(heights))

    def add_best(self) -> None:
        """Add the line of the best value so far."""
        self.x.append(rounded([x for x, _ in self.best]))
        self.y.append(rounded([float(y) for _, y in self.best]))

    def option(self) -> dict[str, Any]:
        """Return what the page needs to switch to this axis."""
        return {"label": self.label, "title": self.title, "x": self.x, "y": self.y}


def unit(longest: float) -> tuple[str, float]:
    """Return the unit of time that suits the longest of some seconds, and its length in seconds."""
    return next((name, length) for name, above, length in UNITS if longest >= above)


def history(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw every trial's value and the best so far; the page switches the horizontal axis."""
    metric, valued = MetricFormat.of(record), with_value(record)
    if not ranked(record) or len(valued) < 2:
        return None
    trials, ends = thin(valued, MOST, metric), common_limits(record, metric)
    figure = blank(430, xaxis_title_text=texts("search.figure.history.trial_axis"))
    axes = _axes(frames, texts)
    for drawn_as, group in _grouped(trials, ends, metric).items():
        points = trial_points(drawn_as, group, ends, metric, texts)
        _add(figure, points, axes, [trial.number for trial in group])
    up = partial(height, ends=ends, metric=metric)
    marked = {mark.name: [trial.number for trial in own] for mark, own in marked_trials(record, texts)}
    for ring in rings(record, lambda trial: trial.number, up, texts):
        _add(figure, ring, axes, marked[ring.name])
    figure.add_trace(_best_line(texts))
    for axis in axes:
        axis.add_best()
    for trace, x, y in zip(figure.data, axes[0].x, axes[0].y, strict=True):
        trace.update(x=x, y=y)
    figure.update_yaxes(value_axis(metric, ends, texts("search.points.validation", metric=label(metric.name))))
    note = edge_note(trials, ends, metric, texts)
    switch = [axis.option() for axis in axes]
    return figure.update_layout(
        meta={"switch": switch, "note": note, "thinned": thinned(len(trials), len(valued), texts)}
    )


def _add(figure: go.Figure, trace: go.Scatter, axes: Sequence[TraceAxis], trials: Sequence[int]) -> None:
    """Add a trace of trials to the figure and to each axis."""
    figure.add_trace(trace)
    for axis in axes:
        axis.add(trials, trace.y)


def _best_line(texts: Texts) -> go.Scatter:
    line = {"color": LIGHT["ink"], "width": 2, "shape": "hv"}
    return go.Scatter(mode="lines", name=texts("search.mark.best_so_far"), hoverinfo="skip", line=line)


def _grouped(trials: Sequence[TrialRecord], ends: Ends, metric: MetricFormat) -> dict[str, list[TrialRecord]]:
    """Return the trials by what they are drawn as, known outcomes first and what lies off the scale last."""
    groups: dict[str, list[TrialRecord]] = {name: [] for name in SYMBOLS}
    beyond: list[TrialRecord] = []
    for trial in trials:
        own = role(trial, ends, metric)
        group = beyond if own == BEYOND else groups.setdefault(own, [])
        group.append(trial)
    groups[BEYOND] = beyond
    return {name: group for name, group in groups.items() if group}


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
        positions = [float(value) / length for value in part["position"]]
        axes.append(
            TraceAxis(
                texts(f"search.figure.history.{name}_button"),
                texts(f"search.figure.history.{key}_axis"),
                dict(zip(part["trial"], positions, strict=True)),
                _corners(zip(positions, part["best"].tolist(), strict=True)),
            )
        )
    return axes


def _corners(points: Iterable[tuple[float, float | None]]) -> list[tuple[float, float]]:
    """Return the points of a line of steps at which its height changes, and the last one: all that it takes to draw it."""
    line = [(x, y) for x, y in points if y is not None and isfinite(y)]
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
    values = {"value": metric.text(leader.value), "trial": leader.number, "of": usable_trials(record, texts)}
    selected = record.selected.trials[:1]
    if selected in ([], [leader.number]):
        sentences = [texts("search.figure.history.best", **values)]
    else:
        sentences = [texts("search.figure.history.best_not_selected", selected=selected[0], **values)]
    if len(ended) >= FEW:
        sentences.append(_second_half(record, ended, leader.value, texts))
    return " ".join(sentences)


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
