"""Figures of the search space: each hyperparameter by itself, and how much each mattered."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import log10
from statistics import median
from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.marks import rings
from hpsearch.reporting.figures.scale import Scale, scale_of
from hpsearch.reporting.figures.search import ends_of, shown
from hpsearch.reporting.figures.style import (
    BEYOND,
    FAILED,
    LIGHT,
    axis,
    blank,
    edge_note,
    label,
    marker,
    name_label,
    placed,
    role,
    rounded,
    thin,
    thinned,
    value_axis,
)
from hpsearch.reporting.formatting import (
    MetricFormat,
    count,
    hyperparameters,
    listing,
    number,
    ranked,
    readable,
    share,
    shares,
    usable,
)
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord, TrialRecord

PANEL = 230  # pixels high; page.js lays the panels out anew for narrow screens
PANELS = 24
ROLES = {
    "finished": "trained to its end",
    "pruned": "pruned",
    "diverged": "diverged, out of memory or worker killed",
    BEYOND: BEYOND,
}
LABELS = 229  # pixels that the narrowest panel of page.js leaves to the labels of its choices
CHARACTER = 6  # pixels of a label's character, about


@dataclass(frozen=True, slots=True)
class Panel:
    """What a small panel is about: its hyperparameter, its axes' tag in plotly (`x3` has 3), and what all panels share."""

    name: str
    tag: str
    scale: Scale
    ends: tuple[float, float]
    metric: MetricFormat


def axes(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """One small panel a hyperparameter: every trial's value against it."""
    metric, ended = MetricFormat.of(record), shown(record)
    had = {name for trial in ended for name in trial.params}
    names = [name for name in hyperparameters(record) if name in had][:PANELS]
    if len(ended) < 2 or not names or not ranked(record):
        return None
    most = max(150, 4000 // len(names))
    trials, ends = thin(ended, most, metric), ends_of(record, metric)
    figure = blank(PANEL)
    for i, name in enumerate(names):
        tag = "" if i == 0 else str(i + 1)
        _draw(figure, Panel(name, tag, scale_of(name, record), ends, metric), trials, record)
    notes = [thinned(len(trials), len(ended)), edge_note(trials, ends, metric)]
    notes += [f"Only the first {PANELS} hyperparameters are drawn."] if len(hyperparameters(record)) > PANELS else []
    figure.update_layout(meta={"panels": len(names), "panel": PANEL, "thinned": " ".join(filter(None, notes))})
    return arrange(figure, len(names), 3)


def arrange(figure: go.Figure, panels: int, columns: int) -> go.Figure:
    """Lay panels out in columns; page.js does the same for the width that there is."""
    rows = -(-panels // columns)
    for i in range(panels):
        tag, row, place = "" if i == 0 else str(i + 1), i // columns, i % columns
        figure.update_layout({f"xaxis{tag}": {"domain": [(place + 0.14) / columns, (place + 0.98) / columns]}})
        figure.update_layout({f"yaxis{tag}": {"domain": [1 - (row + 0.76) / rows, 1 - (row + 0.04) / rows]}})
    return figure.update_layout(height=PANEL * rows + 40)


def _draw(figure: go.Figure, panel: Panel, trials: list[TrialRecord], record: StudyRecord) -> None:
    """Draw one panel: the trials by outcome, medians of choices, the marked trials' rings, the ends of the range."""
    having = [trial for trial in trials if panel.name in trial.params]
    traces = [_dots(panel, own, text, [t for t in having if _role(t, panel) == own]) for own, text in ROLES.items()]
    for trace in [*traces, _medians(panel, having), *_rings(panel, record)]:
        if trace is not None:
            first = not any(other.legendgroup == trace.legendgroup for other in figure.data)
            figure.add_trace(trace.update(showlegend=first, xaxis=f"x{panel.tag}", yaxis=f"y{panel.tag}"))
    upright = value_axis(panel.metric, panel.ends) | {"nticks": 5, "anchor": f"x{panel.tag}"}
    figure.update_layout({f"xaxis{panel.tag}": _below(panel), f"yaxis{panel.tag}": upright})
    for at in () if panel.scale.categories else (panel.scale.domain.get("low"), panel.scale.domain.get("high")):
        if at is not None:
            place = {"xref": f"x{panel.tag}", "yref": f"y{panel.tag} domain"}
            line = {"color": LIGHT["edge"], "width": 1, "dash": "dot"}
            figure.add_shape(type="line", x0=at, x1=at, y0=0, y1=1, line=line, **place)


def _role(trial: TrialRecord, panel: Panel) -> str:
    own = role(trial, panel.ends, panel.metric)
    return "diverged" if own in FAILED else own if own in ROLES else "finished"


def _spot(panel: Panel, trial: TrialRecord) -> float:
    """Return where a trial is drawn; equal values are spread into strips by a number that depends on the trial alone."""
    spread = ((trial.number * 0.618034) % 1 - 0.5) * panel.scale.spread
    return panel.scale.position(trial.params[panel.name]) + spread


def _said(panel: Panel, trial: TrialRecord) -> str:
    value = f"{name_label(panel.name)} {label(number(trial.params[panel.name]), 30)}"
    known = trial.outcome not in FAILED
    metric = f"<br>{label(panel.metric.name)} {panel.metric.text(trial.value)}" if known else ""
    return f"<b>trial {trial.number}</b>, {label(trial.outcome)}<br>{value}{metric}"


def _dots(panel: Panel, own: str, text: str, group: list[TrialRecord]) -> go.Scatter | None:
    if not group:
        return None
    return go.Scatter(
        x=rounded([_spot(panel, trial) for trial in group]),
        y=rounded([placed(trial, panel.ends, panel.metric)[0] for trial in group]),
        mode="markers",
        name=text,
        legendgroup=own,
        cliponaxis=False,
        text=[_said(panel, trial) for trial in group],
        hovertemplate="%{text}<extra></extra>",
        marker=marker(own, panel.metric, 6, 0.7),
    )


def _medians(panel: Panel, trials: list[TrialRecord]) -> go.Scatter | None:
    """Return short lines at each choice's median of the trials that trained to their end."""
    x: list[float | None] = []
    y: list[float | None] = []
    for place, category in enumerate(panel.scale.categories):
        values = [
            t.value for t in trials if usable(t) and str(t.params[panel.name]) == category and t.value is not None
        ]
        if len(values) >= 3:
            x, y = [*x, place - 0.36, place + 0.36, None], [*y, median(values), median(values), None]
    line = {"color": LIGHT["ink"], "width": 2}
    named = {"name": "median of a choice", "legendgroup": "median", "hoverinfo": "skip"}
    return go.Scatter(x=x, y=rounded(y), mode="lines", line=line, **named) if x else None


def _rings(panel: Panel, record: StudyRecord) -> Iterator[go.Scatter]:
    """Yield the rings around the marked trials that have the hyperparameter."""
    yield from rings(
        record,
        lambda trial: _spot(panel, trial) if panel.name in trial.params else None,
        lambda trial: placed(trial, panel.ends, panel.metric)[0],
    )


def _below(panel: Panel) -> dict[str, Any]:
    """Return the horizontal axis of one panel."""
    scale, ticks = panel.scale, panel.scale.ticks(5)
    low, high = (log10(scale.low), log10(scale.high)) if scale.log else (scale.low, scale.high)
    wide = 0.6 if scale.categories else max(0.05 * (high - low) or 0.5, scale.spread)
    own = axis(
        f"<b>{name_label(panel.name)}</b>", type="log" if scale.log else "linear", range=[low - wide, high + wide]
    )
    own |= {
        "anchor": f"y{panel.tag}",
        "showgrid": False,
        "showline": True,
        "automargin": False,
        "tickangle": 0,
        "nticks": 5,
    }
    own["title"] |= {"standoff": 4}
    if scale.categories or scale.log:
        texts = [text for _, text in ticks]
        own |= {"tickvals": [at for at, _ in ticks], "ticktext": staggered(texts) if scale.categories else texts}
    crowded = sum(len(text) for _, text in ticks) > 30
    return own | {"tickfont": {"size": 10 if crowded else 11}}


def staggered(texts: list[str]) -> list[str]:
    """Return labels of choices, every other one a line lower where neighbours would touch."""
    room = LABELS / (len(texts) + 0.2)  # the axis is 0.6 of a choice longer on both sides
    touch = any(CHARACTER * (len(a) + len(b)) / 2 + CHARACTER > room for a, b in pairwise(texts))
    return [f"<br>{text}" if touch and i % 2 else text for i, text in enumerate(texts)]


def axes_reading(frames: Frames, record: StudyRecord) -> str:
    """Warn where the best value lies at the edge of its range."""
    table = frames["hyperparameters"].to_dict("records")
    edges = [row for row in table if row["edge"]]
    if not ranked(record):
        return "There is nothing to draw yet: no trial has ended with a usable value."
    if edges:
        words = [
            f"{readable(row['hyperparameter'], 40)} ({number(row['best'])}, the {row['edge']} end of {row['domain']})"
            for row in edges
        ]
        verb = "lies" if len(edges) == 1 else "lie"
        reach = f"{verb} within 5 % of the end of the range, so a wider range may hold a better network"
        return f"At the edge: the {'kept' if record.result else 'best'} trial's {listing(words)} {reach}."
    which = "kept" if record.result else "best"
    ranges = [row for row in table if " to " in row["domain"]]
    return (
        f"In none of the {count(len(ranges), 'numeric range')} does the {which} trial lie at an end that could be widened."
        if ranges
        else ""
    )


def importance(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """Each hyperparameter's share of the importance with its interval."""
    rows = [
        row
        for row in frames["importance"].to_dict("records")
        if row["importance"] is not None and row["importance"] == row["importance"]
    ]
    if not rows:
        return None
    rows = rows[:PANELS][::-1]
    figure = blank(90 + 34 * len(rows), bargap=0.45)
    known = [row["importance"] for row in rows]
    figure.add_trace(
        go.Bar(
            orientation="h",
            x=rounded(known),
            y=list(range(len(rows))),
            marker={"color": LIGHT["third"]},
            error_x={"type": "data", "symmetric": False, "color": LIGHT["ink"], "thickness": 1.5, "width": 4}
            | {"array": rounded([row["high"] - row["importance"] for row in rows])}
            | {"arrayminus": rounded([row["importance"] - row["low"] for row in rows])},
            text=[
                f"<b>{name_label(r['hyperparameter'])}</b><br>{share(r['importance'])}, {shares(r['low'], r['high'])}"
                for r in rows
            ],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
        )
    )
    figure.update_xaxes(axis("share of the importance", tickformat=".0%", rangemode="tozero"))
    names = [name_label(row["hyperparameter"], 22) for row in rows]
    dark = {"color": LIGHT["ink"]}
    figure.update_yaxes(
        axis(tickvals=list(range(len(rows))), ticktext=[f"{n}  " for n in names], showgrid=False, tickfont=dark)
    )
    return figure


def importance_reading(frames: Frames, record: StudyRecord) -> str:
    """Name the hyperparameters that mattered most, if their intervals allow it."""
    rows = frames["importance"].to_dict("records")
    known = [row for row in rows if row["importance"] is not None and row["importance"] == row["importance"]]
    unknown = [row for row in rows if row not in known]
    if not known:
        return f"{unknown[0]['note'][:1].upper()}{unknown[0]['note'][1:]}." if unknown else "Nothing was searched."
    first, rest = known[0], known[1:]
    text = f"{readable(first['hyperparameter'], 40).capitalize()} set the best trials apart most"
    text += f" ({share(first['importance'])}; 90 % interval {shares(first['low'], first['high'])})"
    rivals = [readable(row["hyperparameter"], 40) for row in rest if row["high"] >= first["low"]]
    text += (
        f"; with these trials its lead over {listing(rivals)} is not certain."
        if rivals
        else ", clearly more than any other."
    )
    left = [f"{readable(row['hyperparameter'], 40)} ({row['note']})" for row in unknown]
    return text + (f" Left out: {listing(left)}." if left else "")
