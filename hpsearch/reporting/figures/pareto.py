"""Several objectives: which trials are on the Pareto front, and what one objective costs in another."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.points import (
    Ends,
    Position,
    common_limits,
    height,
    limits,
    rings,
    thin,
    thinned,
    trial_label,
)
from hpsearch.reporting.figures.style import LIGHT, axis, blank, label, log_axis, rounded, value_axis
from hpsearch.reporting.formatting import MetricFormat, number, share
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.ranking import close_to, with_all_objectives
from hpsearch.reporting.selection import off_front
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord, TrialRecord

MOST = 600  # trials beside the front that are drawn
WIDE = 5.0  # times the smallest value, from which an axis is logarithmic
SHADES = ("smallest", "small", "large", "largest")

Groups = Mapping[str, Sequence[TrialRecord]]  # the trials on the front, and the others


def pareto(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw the first objective over the second, with a line through the front; a third one is the colour."""
    trials, objectives = with_all_objectives(record), MetricFormat.objectives(record)
    if len(objectives) < 2 or len(trials) < 2:
        return None
    first, second, *more = objectives
    figure, ends = blank(430), common_limits(record, first)
    groups = _groups(frames, trials, first)
    for name, group in groups.items():
        figure.add_trace(_points(name, group, objectives, ends, texts))
    up = partial(height, ends=ends, metric=first)
    for ring in rings(record, _second_value(objectives), up, texts):
        figure.add_trace(ring)
    figure.update_xaxes(_across([trial.values[1] for trial in trials], second, texts))
    figure.update_yaxes(value_axis(first, ends, texts("search.points.validation", metric=label(first.name))))
    drawn = sum(map(len, groups.values()))
    figure.update_layout(meta={"thinned": thinned(drawn, len(trials), texts), "note": _note(objectives, texts)})
    if more:
        _color_by_third(figure, groups, more[0])
    return figure


def _groups(frames: Frames, trials: Sequence[TrialRecord], metric: MetricFormat) -> Groups:
    """Return the trials that are drawn, each group in the order of its second values."""
    front = _front(frames)
    on = [trial for trial in trials if trial.number in front]
    others = thin([trial for trial in trials if trial.number not in front], MOST, metric)
    groups = {"others": others, "front": on}
    return {name: sorted(group, key=lambda trial: trial.values[1]) for name, group in groups.items()}


def _front(frames: Frames) -> set[int]:
    table = frames["pareto"]
    return set(table.loc[table["front"] == "yes", "trial"])


def _second_value(objectives: Sequence[MetricFormat]) -> Position:
    """Return where a trial is on the second axis, None where it has no value in each objective."""
    return lambda trial: trial.values[1] if len(trial.values) == len(objectives) else None


def _points(
    name: str, group: Sequence[TrialRecord], objectives: Sequence[MetricFormat], ends: Ends, texts: Texts
) -> go.Scatter:
    on = name == "front"
    with_line = on and len(objectives) == 2
    return go.Scatter(
        x=rounded([trial.values[1] for trial in group]),
        y=rounded([height(trial, ends, objectives[0]) for trial in group]),
        mode="lines+markers" if with_line else "markers",
        name=texts(f"search.figure.pareto.{name}"),
        text=[_point_label(trial, objectives, texts) for trial in group],
        hovertemplate="%{text}<extra></extra>",
        cliponaxis=False,
        line={"color": LIGHT["ink"], "width": 1.5, "shape": "vh" if objectives[1].maximize else "hv"},
        marker={
            "color": LIGHT["finished" if on else "pruned"],
            "size": 10 if on else 7,
            "opacity": 1 if on else 0.6,
            "symbol": "circle",
            "line": {"width": 0},
        },
    )


def _point_label(trial: TrialRecord, objectives: Sequence[MetricFormat], texts: Texts) -> str:
    """Return what a trial's point says: its values in every objective, then its hyperparameters."""
    head, value, *settings = trial_label(trial, objectives[0], texts).split("<br>")
    rest = zip(objectives[1:], trial.values[1:], strict=True)
    others = [f"{label(objective.name)} {objective.text(other)}" for objective, other in rest]
    return "<br>".join([head, value, *others, *settings])


def _across(values: Sequence[float], objective: MetricFormat, texts: Texts) -> dict[str, Any]:
    """Return the axis of the second objective."""
    name = label(objective.name)
    if not objective.integer:
        title = texts("search.points.validation", metric=name)
        return value_axis(objective, limits(list(values), objective), title)
    low, high = min(values), max(values)
    if high > WIDE * low > 0:
        return log_axis(low, high, texts("search.figure.pareto.log_axis", name=name))
    return axis(name, nticks=7)


def _color_by_third(figure: go.Figure, groups: Groups, objective: MetricFormat) -> None:
    """Give the points the colour of their third objective; those on the front get a ring."""
    values = [trial.values[2] for group in groups.values() for trial in group]
    bar = {"title": {"text": label(objective.name), "side": "right"}, "thickness": 10, "outlinewidth": 0}
    shades = [[i / (len(SHADES) - 1), LIGHT[name]] for i, name in enumerate(SHADES)]
    scale = {"colorscale": shades, "cmin": min(values), "cmax": max(values), "colorbar": bar}
    for trace, (name, group) in zip(figure.data, groups.items(), strict=False):  # the marks come after them
        ring = {"width": 2 if name == "front" else 0, "color": LIGHT["ink"]}
        colors = rounded([trial.values[2] for trial in group])
        trace.update(marker={**scale, "color": colors, "line": ring})


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
    trials, objectives = with_all_objectives(record), MetricFormat.objectives(record)
    if not trials:
        return ""
    return " ".join(_nearby(trials, objectives, place, texts) for place in range(1, len(objectives)))


def _nearby(trials: Sequence[TrialRecord], objectives: Sequence[MetricFormat], place: int, texts: Texts) -> str:
    """Say which trial near the best is best in the objective at `place`."""
    metric, other, leader = objectives[0], objectives[place], trials[0]
    close = close_to(trials, metric)
    near = [trial for trial in trials if abs(trial.values[0] - leader.values[0]) <= close]
    sign = -1 if other.maximize else 1
    choice = min(near, key=lambda trial: sign * trial.values[place])  # of equal ones the first, the best in the metric
    named = {"metric": metric.name, "best": leader.number, "other": other.name}
    if choice.values[place] == leader.values[place]:
        key = "no_fewer" if other.integer else "no_better"
        return texts(f"search.figure.pareto.{key}", gap=metric.gap(close, 0), **named)
    own, its = choice.values[place], leader.values[place]
    if other.integer:
        values = texts("search.figure.pareto.count", other=other.name, own=number(round(own)), its=other.text(its))
        if its:
            values = texts("search.figure.pareto.part", values=values, part=_part(own / its, texts))
    else:
        values = texts("search.figure.pareto.value", other=other.name, own=other.text(own), its=other.text(its))
    gap = metric.gap(choice.values[0], leader.values[0])
    if choice.values[0] == leader.values[0]:
        key = "level"
    else:
        key = "within"
    return texts(f"search.figure.pareto.{key}", gap=gap, values=values, trial=choice.number, **named)


def _part(ratio: float, texts: Texts) -> str:
    if ratio >= 0.01:
        return share(ratio)
    return texts("search.figure.pareto.tiny")
