"""What a good value costs: over the number of parameters with the best network of each size, and several objectives with their front."""

from collections.abc import Mapping, Sequence
from itertools import chain
from math import isclose, log10
from statistics import median
from typing import Any

import plotly.graph_objects as go

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.figures.bands import CROWD, TOP, band_traces, parts_of, quartiles_of
from hpsearch.reporting.figures.points import (
    BEYOND,
    Heights,
    add_scale,
    band_names,
    crowd_note,
    customdata,
    limits,
    marker,
    rings,
    role_text,
    thin,
    thinned,
    trial_label,
    trial_labels,
    trial_points,
)
from hpsearch.reporting.figures.style import LIGHT, axis, blank, hover, label, log_axis, rounded, value_axis
from hpsearch.reporting.formatting import MetricFormat, number, share
from hpsearch.reporting.ranking import close_to, ranked, with_all_objectives
from hpsearch.reporting.selection import off_front
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord, TrialRecord

MOST = 600  # trials that are drawn, those on the front of several objectives aside
WIDE = 5.0  # times the smallest value, from which an axis is logarithmic
SHADES = ("smallest", "small", "large", "largest")

Groups = Mapping[str, Sequence[TrialRecord]]  # the trials on the front, the others, and of those the ones off the scale


def size(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw values over the number of parameters, and the best network of each size."""
    trials = _sized(record)
    sizes = [_size(trial) for trial in trials]
    if len(set(sizes)) < 2:
        return None
    heights = Heights.common(record, texts)
    crowd = len(trials) >= CROWD
    drawn = trials[:TOP]
    if not crowd:
        drawn = sorted(trials, key=lambda trial: trial.number)
    figure = blank(380)
    if crowd:
        parts = parts_of(sorted(trials, key=_size))
        across = [median(map(_size, part)) for part in parts]
        figure.add_traces(band_traces(across, quartiles_of(parts), band_names(texts)))
    names = {"finished": texts("search.points.to_the_end"), BEYOND: role_text(BEYOND, texts)}
    for role in names:
        group = [trial for trial in drawn if (heights.role(trial) == BEYOND) == (role == BEYOND)]
        points = trial_points((role, "finished"), group, heights, names)
        labels = trial_labels(group, heights.metric, texts)
        figure.add_trace(points.update(x=list(map(_size, group)), showlegend=bool(group), **labels))
    figure.add_trace(_frontier_line(trials, heights, texts))
    figure.add_traces(list(rings(record, lambda trial: trial.parameters, heights, texts)))
    low, high = min(sizes), max(sizes)
    pad = 0.04 * (log10(high) - log10(low))
    ends = [log10(low) - pad, log10(high) + pad]
    figure.update_xaxes(log_axis(low, high, texts("search.figure.size.axis"), range=ends))
    meta = {"note": crowd_note(trials, heights, texts) if crowd else ""}
    return figure.update_layout(meta=meta | add_scale(figure, drawn, heights, texts))


def _sized(record: StudyRecord) -> list[TrialRecord]:
    return [trial for trial in ranked(record) if trial.parameters]


def _size(trial: TrialRecord) -> int:
    return trial.parameters or 1


def _frontier_line(trials: Sequence[TrialRecord], heights: Heights, texts: Texts) -> go.Scatter:
    front = frontier(trials, heights.metric)
    return go.Scatter(
        x=list(map(_size, front)),
        **heights.heights_of(front),
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
    metric = MetricFormat.of(record, texts)
    trials = _sized(record)
    if len(set(map(_size, trials))) < 2:
        return texts("search.figure.size.few")
    leader = trials[0]
    close = close_to(trials, metric)
    top = leader.value or 0.0
    near = [trial for trial in trials if abs((trial.value or 0.0) - top) <= close]
    smallest = min(near, key=_size)
    if smallest is leader:
        gap = metric.gap(close, 0)
        parameters = f"{leader.parameters:,}"
        return texts("search.figure.size.none", gap=gap, best=leader.number, parameters=parameters)
    key = "level" if isclose(top, smallest.value or 0.0) else "smaller"
    return texts(
        f"search.figure.size.{key}",
        trial=smallest.number,
        parameters=f"{smallest.parameters:,}",
        best=leader.number,
        most=f"{leader.parameters:,}",
        gap=metric.gap(top, smallest.value or 0.0),
    )


def pareto(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw the first objective over the second, with a line through the front; a third one is the colour."""
    trials = with_all_objectives(record)
    objectives = MetricFormat.objectives(record, texts)
    if len(objectives) < 2 or len(trials) < 2:
        return None
    figure = blank(430)
    front = _front(frames)
    heights = Heights.common(record, texts).holding(trial.values[0] for trial in trials if trial.number in front)
    groups = _groups(front, trials, heights)
    shades = _shades(groups, objectives)
    for name, group in groups.items():
        figure.add_trace(_points(name, group, objectives, heights, texts).update(marker=_colors(name, group, shades)))

    def across(trial: TrialRecord) -> float | None:
        is_complete = len(trial.values) == len(objectives)
        return trial.values[1] if is_complete else None

    figure.add_traces(list(rings(record, across, heights, texts)))
    figure.update_xaxes(_across([trial.values[1] for trial in trials], objectives[1], texts))
    drawn = [trial for group in groups.values() for trial in group]
    meta = {"thinned": thinned(len(drawn), len(trials), texts), "note": _note(objectives, texts)}
    return figure.update_layout(meta=meta | add_scale(figure, drawn, heights, texts))


def _groups(front: set[int], trials: Sequence[TrialRecord], heights: Heights) -> Groups:
    """Return the trials that are drawn, each group in the order of its second values."""
    on = [trial for trial in trials if trial.number in front]
    others = thin([trial for trial in trials if trial.number not in front], MOST, heights.metric)
    beyond = [trial for trial in others if heights.at_edge(trial)]
    groups = {"others": [trial for trial in others if trial not in beyond], BEYOND: beyond, "front": on}
    return {name: sorted(group, key=lambda trial: trial.values[1]) for name, group in groups.items()}


def _front(frames: Frames) -> set[int]:
    table = frames["pareto"]
    return set(table.loc[table["front"] == "yes", "trial"])


def _points(
    name: str, group: Sequence[TrialRecord], objectives: Sequence[MetricFormat], heights: Heights, texts: Texts
) -> go.Scatter:
    with_line = name == "front" and len(objectives) == 2
    if name == BEYOND:
        title = role_text(BEYOND, texts)
    else:
        title = texts(f"search.figure.pareto.{name}")
    others = {"name": texts("search.figure.pareto.others"), "marker": {"symbol": "circle", "size": 7}}
    return go.Scatter(
        x=rounded(trial.values[1] for trial in group),
        mode="lines+markers" if with_line else "markers",
        name=title,
        customdata=customdata(group),
        showlegend=bool(group),
        cliponaxis=False,
        line={"color": LIGHT["ink"], "width": 1.5, "shape": "vh" if objectives[1].maximize else "hv"},
        marker=_marker(name, heights),
        **heights.heights_of(group, **others),
        **hover(_point_label(trial, objectives, texts) for trial in group),
    )


def _marker(name: str, heights: Heights) -> dict[str, Any]:
    if name == BEYOND:
        return marker(BEYOND, heights.metric, 7, 1)
    if name == "front":
        return {"color": LIGHT["finished"], "size": 10, "symbol": "circle", "line": {"width": 0}}
    return {"color": LIGHT["pruned"], "size": 7, "opacity": 0.6, "symbol": "circle", "line": {"width": 0}}


def _point_label(trial: TrialRecord, objectives: Sequence[MetricFormat], texts: Texts) -> str:
    """Return what a trial's point says: its values in every objective, then its hyperparameters."""
    head, value, *settings = trial_label(trial, objectives[0], texts).split("<br>")
    lines = [head, value]
    for objective, other in zip(objectives[1:], trial.values[1:], strict=True):
        lines.append(f"{label(objective.name)} {objective.text(other)}")
    return "<br>".join([*lines, *settings])


def _across(values: Sequence[float], objective: MetricFormat, texts: Texts) -> dict[str, Any]:
    """Return the axis of the second objective."""
    name = label(objective.name)
    low, high = min(values), max(values)
    if high > WIDE * low > 0 and not objective.percent:
        return log_axis(low, high, texts("search.figure.pareto.log_axis", name=name))
    if objective.integer:
        return axis(name, nticks=7)
    ends = limits(values, objective, shown=1.0)
    return value_axis(objective, ends, texts("search.points.validation", metric=name))


def _shades(groups: Groups, objectives: Sequence[MetricFormat]) -> dict[str, Any]:
    """Return the scale of colours of a third objective, {} where there is none."""
    if len(objectives) < 3:
        return {}
    values = [trial.values[2] for trial in chain.from_iterable(groups.values())]
    bar = {"title": {"text": label(objectives[2].name), "side": "right"}, "thickness": 10, "outlinewidth": 0}
    shades = [[i / (len(SHADES) - 1), LIGHT[name]] for i, name in enumerate(SHADES)]
    return {"colorscale": shades, "cmin": min(values), "cmax": max(values), "colorbar": bar}


def _colors(name: str, group: Sequence[TrialRecord], shades: Mapping[str, Any]) -> dict[str, Any]:
    """Give the points the colour of their third objective, where there is one; those on the front get a ring."""
    if not shades:
        return {}
    colors = rounded(trial.values[2] for trial in group)
    if name == BEYOND:
        return {**shades, "color": colors}
    ring = {"width": 2 if name == "front" else 0, "color": LIGHT["ink"]}
    return {**shades, "color": colors, "line": ring}


def _note(objectives: Sequence[MetricFormat], texts: Texts) -> str:
    """Say what a front of three and more objectives is, and which ones are not drawn."""
    parts = []
    if len(objectives) > 2:
        parts.append(texts("search.figure.pareto.rings"))
    if len(objectives) > 3:
        names = texts.listing([objective.name for objective in objectives[3:]])
        parts.append(texts("search.figure.pareto.labels", names=names))
    return " ".join(parts)


def pareto_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say how many trials are on the front, and what the other objectives cost."""
    trials = with_all_objectives(record)
    if len(trials) < 2:
        return texts("search.points.two_needed")
    on = len(_front(frames))
    key = "one_on_front" if on == 1 else "on_front"
    of = texts.count("usable_trial", len(trials))
    first = texts(f"search.figure.pareto.{key}", on=f"{on:,}", of=of)
    return " ".join(filter(None, [first, off_front(record, texts), trade_off(record, texts)]))


def trade_off(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say, for each objective after the first, which trial near the best has the best value in it; "" where there is no other."""
    trials = with_all_objectives(record)
    objectives = MetricFormat.objectives(record, texts)
    if not trials:
        return ""
    return " ".join(_nearby(trials, objectives, place, texts) for place in range(1, len(objectives)))


def _nearby(trials: Sequence[TrialRecord], objectives: Sequence[MetricFormat], place: int, texts: Texts) -> str:
    """Say which trial near the best is best in the objective at `place`."""
    metric = objectives[0]
    other = objectives[place]
    leader = trials[0]
    close = close_to(trials, metric)
    near = [trial for trial in trials if abs(trial.values[0] - leader.values[0]) <= close]
    sign = -1 if other.maximize else 1
    choice = min(near, key=lambda trial: sign * trial.values[place])  # of equal ones the first, the best in the metric
    own, its = choice.values[place], leader.values[place]
    named = {"metric": metric.name, "best": leader.number, "other": other.name}
    if own == its:
        key = "no_fewer" if other.integer else "no_better"
        return texts(f"search.figure.pareto.{key}", gap=metric.gap(close, 0), **named)
    if other.integer:
        values = texts("search.figure.pareto.count", other=other.name, own=number(round(own)), its=other.text(its))
    else:
        values = texts("search.figure.pareto.value", other=other.name, own=other.text(own), its=other.text(its))
    if other.integer and its:
        part = share(own / its)
        if own / its < 0.01:
            part = texts("search.figure.pareto.tiny")
        values = texts("search.figure.pareto.part", values=values, part=part)
    is_level = choice.values[0] == leader.values[0]
    key = "level" if is_level else "within"
    gap = metric.gap(choice.values[0], leader.values[0])
    return texts(f"search.figure.pareto.{key}", gap=gap, values=values, trial=choice.number, **named)
