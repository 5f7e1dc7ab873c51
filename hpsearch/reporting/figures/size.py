"""The size of the network: each trial's value over its number of parameters, and the best network of each size."""

from collections.abc import Sequence
from functools import partial
from math import log10

import plotly.graph_objects as go

from hpsearch.reporting.figures.points import (
    BEYOND,
    Ends,
    edge_note,
    height,
    limits_of,
    rings,
    role,
    role_text,
    thin,
    thinned,
    trial_points,
)
from hpsearch.reporting.figures.style import LIGHT, blank, label, log_axis, rounded, value_axis
from hpsearch.reporting.formatting import MetricFormat, number
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.ranking import close_to, ranked
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord, TrialRecord

MOST = 600


def size(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw values over the number of parameters, and the best network of each size."""
    metric, trials = MetricFormat.of(record), _sized(record)
    if len({trial.parameters for trial in trials}) < 2:
        return None
    ends = limits_of(trials, metric)  # pruned trials are not drawn here, so their values must not stretch the scale
    drawn = thin(sorted(trials, key=lambda trial: trial.number), MOST, metric)
    figure = blank(380)
    on_scale = [trial for trial in drawn if role(trial, ends, metric) != BEYOND]
    off_scale = [trial for trial in drawn if role(trial, ends, metric) == BEYOND]
    for drawn_as, group in (("finished", on_scale), (BEYOND, off_scale)):
        if drawn_as == BEYOND:
            name = role_text(BEYOND, texts)
        else:
            name = texts("search.points.to_the_end")
        points = trial_points(drawn_as, group, ends, metric, texts)
        figure.add_trace(points.update(x=[trial.parameters for trial in group], name=name, showlegend=bool(group)))
    figure.add_trace(_frontier_line(trials, ends, metric, texts))
    up = partial(height, ends=ends, metric=metric)
    for ring in rings(record, lambda trial: trial.parameters, up, texts):
        figure.add_trace(ring)
    low, high = min(_size(trial) for trial in trials), max(_size(trial) for trial in trials)
    pad = 0.04 * (log10(high) - log10(low))
    figure.update_xaxes(log_axis(low, high, texts("search.figure.size.axis")))
    figure.update_xaxes(range=[log10(low) - pad, log10(high) + pad])
    figure.update_yaxes(value_axis(metric, ends, texts("search.points.validation", metric=label(metric.name))))
    note = edge_note(drawn, ends, metric, texts)
    return figure.update_layout(meta={"note": note, "thinned": thinned(len(drawn), len(trials), texts)})


def _sized(record: StudyRecord) -> list[TrialRecord]:
    return [trial for trial in ranked(record) if trial.parameters]


def _size(trial: TrialRecord) -> int:
    return trial.parameters or 1


def _frontier_line(trials: Sequence[TrialRecord], ends: Ends, metric: MetricFormat, texts: Texts) -> go.Scatter:
    front = frontier(trials, metric)
    return go.Scatter(
        x=[trial.parameters for trial in front],
        y=rounded([height(trial, ends, metric) for trial in front]),
        mode="lines+markers",
        name=texts("search.figure.size.frontier"),
        hoverinfo="skip",
        cliponaxis=False,
        line={"color": LIGHT["ink"], "width": 1.5, "shape": "hv"},
        marker={"color": LIGHT["ink"], "size": 9, "symbol": "circle-open", "line": {"width": 1.5}},
    )


def frontier(trials: Sequence[TrialRecord], metric: MetricFormat) -> list[TrialRecord]:
    """Return the trials that no smaller network beats, smallest first."""
    sign = -1.0 if metric.maximize else 1.0
    front: list[TrialRecord] = []
    for trial in sorted(trials, key=lambda trial: (trial.parameters or 0, sign * (trial.value or 0.0))):
        if trial.value is None:
            continue
        if not front or metric.better(trial.value, front[-1].value or 0.0):
            front.append(trial)
    return front


def size_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say which smaller network comes close to the best."""
    metric, trials = MetricFormat.of(record), _sized(record)
    if len({trial.parameters for trial in trials}) < 2:
        return texts("search.figure.size.few")
    leader, close = trials[0], close_to(trials, metric)
    top = leader.value or 0.0
    near = [trial for trial in trials if abs((trial.value or 0.0) - top) <= close]
    smallest = min(near, key=_size)
    if smallest is leader:
        gap, parameters = metric.gap(close, 0), f"{leader.parameters:,}"
        return texts("search.figure.size.none", gap=gap, best=leader.number, parameters=parameters)
    return texts(
        "search.figure.size.smaller",
        trial=smallest.number,
        parameters=f"{smallest.parameters:,}",
        times=number(_size(leader) / _size(smallest), digits=2),
        best=leader.number,
        gap=metric.gap(top, smallest.value or 0.0),
    )
