"""Several objectives: which trials are on the Pareto front, and what one objective costs in another."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.marks import Place, rings
from hpsearch.reporting.figures.search import ends_of, hover
from hpsearch.reporting.figures.style import (
    LIGHT,
    axis,
    blank,
    label,
    limits,
    log_axis,
    placed,
    rounded,
    thin,
    thinned,
    value_axis,
)
from hpsearch.reporting.formatting import (
    MetricFormat,
    close_to,
    count,
    judged,
    listing,
    number,
    sentence,
    share,
)
from hpsearch.reporting.selection import off_front
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord, TrialRecord

MOST = 600  # trials beside the front that are drawn
WIDE = 5.0  # times the smallest value, from which an axis is logarithmic
SCALE = [[i / 3, LIGHT[name]] for i, name in enumerate(("smallest", "small", "large", "largest"))]


def pareto(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """Draw the first objective over the second, with a line through the front; a third one is the colour."""
    trials, objectives = judged(record), MetricFormat.each(record)
    if len(objectives) < 2 or len(trials) < 2:
        return None
    front = _front(frames)
    groups = {
        "others": thin([trial for trial in trials if trial.number not in front], MOST, objectives[0]),
        "on the front": [trial for trial in trials if trial.number in front],
    }
    figure, ends = blank(430), ends_of(record, objectives[0])
    for name, group in groups.items():
        figure.add_trace(_points(name, sorted(group, key=lambda trial: trial.values[1]), objectives, ends))
    for ring in rings(record, _second(objectives), lambda trial: placed(trial, ends, objectives[0])[0]):
        figure.add_trace(ring)
    figure.update_xaxes(_across([trial.values[1] for trial in trials], objectives[1]))
    figure.update_yaxes(value_axis(objectives[0], ends, f"{label(objectives[0].name)}, validation rows"))
    drawn = sum(map(len, groups.values()))
    figure.update_layout(meta={"thinned": thinned(drawn, len(trials)), "note": _note(objectives)})
    if len(objectives) > 2:
        _coloured(figure, groups, objectives[2])
    return figure


def _second(objectives: Sequence[MetricFormat]) -> Place:
    """Return where a trial is on the second axis, None where it has no value in each objective."""
    return lambda trial: trial.values[1] if len(trial.values) == len(objectives) else None


def _front(frames: Frames) -> set[int]:
    table = frames["pareto"]
    return set(table.loc[table["front"] == "yes", "trial"])


def _points(
    name: str, group: Sequence[TrialRecord], objectives: Sequence[MetricFormat], ends: tuple[float, float]
) -> go.Scatter:
    on, two = name == "on the front", len(objectives) == 2
    return go.Scatter(
        x=rounded([trial.values[1] for trial in group]),
        y=rounded([placed(trial, ends, objectives[0])[0] for trial in group]),
        mode="lines+markers" if on and two else "markers",
        name=name,
        text=[_said(trial, objectives) for trial in group],
        hovertemplate="%{text}<extra></extra>",
        cliponaxis=False,
        line={"color": LIGHT["ink"], "width": 1.5, "shape": "vh" if objectives[1].maximize else "hv"},
        marker={"color": LIGHT["finished" if on else "pruned"], "size": 10 if on else 7, "opacity": 1 if on else 0.6}
        | {"symbol": "circle", "line": {"width": 0}},
    )


def _said(trial: TrialRecord, objectives: Sequence[MetricFormat]) -> str:
    """Return what a trial's point says: its values in every objective, then its hyperparameters."""
    first, *rest = hover(trial, objectives[0]).split("<br>")
    others = [f"{label(o.name)} {o.text(v)}" for o, v in zip(objectives[1:], trial.values[1:], strict=True)]
    return "<br>".join([first, rest[0], *others, *rest[1:]])


def _across(values: Sequence[float], objective: MetricFormat) -> dict[str, Any]:
    """Return the axis of the second objective."""
    title = label(objective.name) + ("" if objective.whole else ", validation rows")
    low, high = min(values), max(values)
    if objective.whole and high > WIDE * low > 0:
        return log_axis(low, high, f"{title} (log scale)")
    return axis(title, nticks=7) if objective.whole else value_axis(objective, limits(list(values), objective), title)


def _coloured(figure: go.Figure, groups: dict[str, list[TrialRecord]], objective: MetricFormat) -> None:
    """Give the points the colour of their third objective; those on the front get a ring."""
    values = [trial.values[2] for group in groups.values() for trial in group]
    bar = {"title": {"text": label(objective.name), "side": "right"}, "thickness": 10, "outlinewidth": 0}
    scale = {"colorscale": SCALE, "cmin": min(values), "cmax": max(values), "colorbar": bar}
    for trace, (name, group) in zip(figure.data, groups.items(), strict=False):  # the marks come after them
        own = [trial.values[2] for trial in sorted(group, key=lambda trial: trial.values[1])]
        ring = {"width": 2 if name == "on the front" else 0, "color": LIGHT["ink"]}
        trace.update(marker={**scale, "color": rounded(own), "line": ring})


def _note(objectives: Sequence[MetricFormat]) -> str:
    rings = "The front is that of all objectives, and its trials have rings. " if len(objectives) > 2 else ""
    hidden = f"In the points' labels only: {listing([o.name for o in objectives[3:]])}." if objectives[3:] else ""
    return (rings + hidden).strip()


def pareto_reading(frames: Frames, record: StudyRecord) -> str:
    """Say how many trials are on the front, and what the other objectives cost."""
    trials = judged(record)
    if len(trials) < 2:
        return "There is nothing to draw yet: at least two trials must have ended with a value."
    on = len(_front(frames))
    first = f"{on:,} of {count(len(trials), 'usable trial')} {'is' if on == 1 else 'are'} on the front: "
    said = (f"{first}no other is as good in every objective and better in one.", off_front(record), trade_off(record))
    return " ".join(filter(None, said))


def trade_off(record: StudyRecord) -> str:
    """Say, for each objective after the first, which trial near the best has the best value in it; "" where there is no other."""
    trials, objectives = judged(record), MetricFormat.each(record)
    return " ".join(_nearby(trials, objectives, place) for place in range(1, len(objectives))) if trials else ""


def _nearby(trials: Sequence[TrialRecord], objectives: Sequence[MetricFormat], place: int) -> str:
    metric, other, leader = objectives[0], objectives[place], trials[0]
    close = close_to(trials, metric)
    near = [trial for trial in trials if abs(trial.values[0] - leader.values[0]) <= close]
    sign = -1 if other.maximize else 1
    found = min(near, key=lambda trial: sign * trial.values[place])  # of equal ones the first, the best in the metric
    if found.values[place] == leader.values[place]:
        wish = f"fewer {other.name}" if other.whole else f"a better {other.name}"
        return f"No trial within {metric.gap(close, 0)} of the search's best {metric.name}, trial {leader.number}'s, has {wish} than it."
    gap = metric.gap(found.values[0], leader.values[0])
    where = f"within {gap} of" if found.values[0] != leader.values[0] else "level with"
    own, best = found.values[place], leader.values[place]
    part = f", {_part(own / best)} of them" if other.whole and best else ""
    units = f"{number(round(own))} {other.name}" if other.whole else f"{other.name} {other.text(own)}"
    top = f"the search's best {metric.name}, trial {leader.number}'s"
    return sentence(f"{where} {top}, with {units} instead of {other.text(best)}{part}: trial {found.number}.")


def _part(ratio: float) -> str:
    return share(ratio) if ratio >= 0.01 else "less than a hundredth"
