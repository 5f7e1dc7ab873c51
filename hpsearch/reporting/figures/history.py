"""The course of the search: every trial's value and the best so far, over trials, examples or time; and when each trial ran."""

from collections.abc import Sequence
from itertools import chain
from math import isfinite
from statistics import median
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.figures.bands import CROWD, TOP, band_traces, parts_of, quartiles_of
from hpsearch.reporting.figures.points import (
    BEYOND,
    Heights,
    Look,
    add_scale,
    band_names,
    bold_trial,
    crowd_note,
    marked_trials,
    once_named,
    rings_of,
    role_text,
    trial_labels,
    trial_points,
)
from hpsearch.reporting.figures.style import LIGHT, SYMBOLS, axis, bars, blank, color, label, rounded
from hpsearch.reporting.formatting import MetricFormat, duration, share
from hpsearch.reporting.ranking import ranked, with_value
from hpsearch.reporting.selection import usable_trials
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord, TrialRecord

FEW = 10  # ended trials, below which halves are not compared
ENOUGH = 30  # ended trials, before a second half without progress says something
UNITS = (("hours", 7200.0, 3600.0), ("minutes", 180.0, 60.0), ("seconds", 0.0, 1.0))  # name, used from, seconds
AXES = ("trial", "examples", "seconds")
BARS = 600
PARTED = 200  # bars, up to which a line parts neighbours: more are so narrow that the line hides them
IDLE = 2.0  # seconds without training, from which on a trial is named
MANY_TIMES = 5  # the usual time without training
LABELS = 8  # numbers along the vertical axis of the bars


def unit(longest: float) -> tuple[str, float]:
    """Return the unit of time that suits the longest of some seconds, and its length in seconds."""
    return next((name, length) for name, above, length in UNITS if longest >= above)


def history(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw every trial's value and the best so far; the page switches the horizontal axis."""
    valued = with_value(record)
    heights = Heights.common(record, texts)
    if not ranked(record) or len(valued) < 2:
        return None
    crowd = len(valued) >= CROWD
    trials = list(ranked(record)[:TOP]) if crowd else valued
    figure = blank(430, xaxis_title_text=texts("search.figure.history.trial_axis"))
    groups = _grouped(trials, heights)
    drawn = list(groups.values())
    if crowd:
        drawn = _add_band(figure, record, texts) + drawn
    names = {role: role_text(role, texts) for role in chain.from_iterable(groups)}
    for look, group in groups.items():
        points = trial_points(look, group, heights, names)
        figure.add_trace(points.update(trial_labels(group, heights.metric, texts)))
    once_named(figure)
    for mark, own in marked_trials(record, texts):
        figure.add_trace(rings_of(mark, own, lambda trial: trial.number, heights))
        drawn.append(own)
    switch = [_option(name, frames, figure.data, drawn, texts) for name in _axes(frames)]
    line = {"color": LIGHT["ink"], "width": 2, "shape": "hv"}
    figure.add_trace(go.Scatter(mode="lines", name=texts("search.mark.best_so_far"), hoverinfo="skip", line=line))
    for trace, x, y in zip(figure.data, switch[0]["x"], switch[0]["y"], strict=True):
        trace.update(x=x, y=y)
    meta = {"switch": switch, "note": crowd_note(valued, heights, texts) if crowd else ""}
    return figure.update_layout(meta=meta | add_scale(figure, trials, heights, texts))


def _add_band(figure: go.Figure, record: StudyRecord, texts: Texts) -> list[list[TrialRecord]]:
    """Draw the middle half of the usable trials in each part of the search; return the trials at whose places its traces stand."""
    usable = sorted(ranked(record), key=lambda trial: trial.number)
    parts = parts_of(usable)
    middles = [part[len(part) // 2] for part in parts]
    traces = band_traces([trial.number for trial in middles], quartiles_of(parts), band_names(texts))
    figure.add_traces(traces)
    return [middles for _ in traces]


def _grouped(trials: Sequence[TrialRecord], heights: Heights) -> dict[Look, list[TrialRecord]]:
    """Return the trials by what they are drawn as, known outcomes first and what lies off the scale last."""
    groups: dict[Look, list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault((heights.role(trial), trial.outcome), []).append(trial)
    known = [*SYMBOLS]
    places = {name: place for place, name in enumerate(known)} | {BEYOND: len(known) + 1}
    return dict(sorted(groups.items(), key=lambda pair: places.get(pair[0][0], len(known))))


def _axes(frames: Frames) -> list[str]:
    """Return the names of the horizontal axes that the record allows."""
    longest = frames["progress"].groupby("axis")["position"].max()
    return [name for name in AXES if longest.get(name, 0) > 0]


def _option(
    name: str, frames: Frames, traces: Sequence[go.Scatter], drawn: Sequence[Sequence[TrialRecord]], texts: Texts
) -> dict[str, Any]:
    """Return what the page needs to switch to a horizontal axis: the positions in all traces, then those of the best so far."""
    part = frames["progress"][frames["progress"]["axis"] == name]
    key = name
    length = 1.0
    if name == "seconds":
        key, length = unit(float(part["position"].max()))
    positions = (part["position"].astype(float) / length).tolist()
    known = dict(zip(part["trial"], positions, strict=True))
    best = corners(positions, part["best"].tolist())
    x = [rounded(known.get(trial.number) for trial in group) for group in drawn]
    return {
        "label": texts(f"search.figure.history.{name}_button"),
        "title": texts(f"search.figure.history.{key}_axis"),
        "x": [*x, rounded(at for at, _ in best)],
        "y": [*(list(trace.y) for trace in traces), rounded(value for _, value in best)],
    }


def corners(across: Sequence[float], up: Sequence[float | None]) -> list[tuple[float, float]]:
    """Return the points of a line of steps at which its height changes, and the last one: all that it takes to draw it."""
    known = [(x, float(y)) for x, y in zip(across, up, strict=True) if y is not None]
    line = [point for point in known if isfinite(point[1])]
    corners = []
    height = None
    for x, y in line:
        if y != height:
            corners.append((x, y))
        height = y
    return corners + line[-1:]


def history_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say when the best was found and what the second half of the search still brought."""
    metric = MetricFormat.of(record, texts)
    ended = with_value(record)
    leader = next(iter(ranked(record)), None)
    if len(ended) < 2 or leader is None or leader.value is None:
        return texts("search.points.two_needed")
    selected = next(iter(record.selected.trials), leader.number)
    key = "best" if selected == leader.number else "best_not_selected"
    values = {"value": metric.text(leader.value), "trial": leader.number, "selected": selected}
    text = texts(f"search.figure.history.{key}", of=usable_trials(record, texts), **values)
    if len(ended) < FEW:
        return text
    return f"{text} {_second_half(record, ended, leader.value, texts)}"


def _second_half(record: StudyRecord, ended: Sequence[TrialRecord], best: float, texts: Texts) -> str:
    """Say what the second half of the trials improved on the first."""
    metric = MetricFormat.of(record, texts)
    half = ended[len(ended) // 2].number
    earlier = [trial for trial in ranked(record) if trial.number < half]
    first = [trial.value for trial in earlier if trial.value is not None]
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
    gap = 1 if len(drawn) <= PARTED else 0
    figure.update_traces(marker_line_width=gap)
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
        labels.append(f"{bold_trial(number, texts)}, {label(texts.word(outcome))}<br>{duration(lasted)}")
    return bars(
        (seconds / length).tolist(),
        labels,
        name=label(texts.word(outcome), 30),
        customdata=rows["trial"].tolist(),
        base=rounded((rows["start"] / length).tolist()),
        y=rows["place"].tolist(),
        width=0.8,
        marker={"color": color(outcome), "line": {"color": LIGHT["surface"]}},
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
    trials = texts.count("trial", len(table))
    wall = duration(table["end"].max())
    text = texts(f"search.figure.timeline.{key}", trials=trials, time=wall, most=lines)
    spent = []
    for outcome in ("pruned", "diverged", "failed"):
        lost = sum(seconds[table["outcome"] == outcome].tolist())
        if round(100 * lost / busy):
            spent.append(texts(f"search.figure.timeline.spent_{outcome}", share=share(lost / busy)))
    sentences = [text]
    if spent:
        sentences.append(texts("search.figure.timeline.spent", parts=texts.listing(spent)))
    sentences.append(_started_late(record, texts))
    return " ".join(filter(None, sentences))


def _started_late(record: StudyRecord, texts: Texts) -> str:
    """Name the trials most of whose time was no training, such as the first ones, which wait for what is compiled; "" without any."""
    timed = [trial for trial in record.trials if trial.seconds and trial.history and trial.repeats is None]
    if not timed:
        return ""
    idle = {trial.number: (trial.seconds or 0.0) - _training_seconds(trial) for trial in timed}
    usual = median(idle.values())
    long = [
        trial for trial in timed if idle[trial.number] > max(IDLE, 0.5 * (trial.seconds or 0.0), MANY_TIMES * usual)
    ]
    if not long:
        return ""
    longest = max(idle[trial.number] for trial in long)
    key = "late" if len(long) == 1 else "late_several"
    trials = texts.count("trial", len(long))
    return texts(f"search.figure.timeline.{key}", trial=long[0].number, trials=trials, time=duration(longest))


def _training_seconds(trial: TrialRecord) -> float:
    seconds = trial.history.seconds if trial.history else ()
    return seconds[-1] if seconds else 0.0
