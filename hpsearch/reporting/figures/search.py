"""Figures of the search as a whole: how it went on, when its trials ran, what size bought."""

from collections.abc import Iterable
from math import isfinite, log10
from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.marks import marked_trials, rings
from hpsearch.reporting.figures.style import (
    BEYOND,
    FAILED,
    LIGHT,
    SYMBOLS,
    axis,
    blank,
    color,
    edge_note,
    label,
    limits,
    log_axis,
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
    close_to,
    count,
    duration,
    number,
    ranked,
    share,
    tally,
)
from hpsearch.reporting.selection import trials_of
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord, TrialRecord

MOST = 1000
FEW = 10  # ended trials, below which halves are not compared
ENOUGH = 30  # ended trials, before a second half without progress says something
UNITS = ((7200.0, "hours", 3600.0), (180.0, "minutes", 60.0), (0.0, "seconds", 1.0))


def hover(trial: TrialRecord, metric: MetricFormat) -> str:
    """Return what a trial's point says: number, outcome, value, hyperparameters."""
    ending = trial.outcome or trial.state
    value = label(trial.detail or ending) if ending in FAILED else f"{label(metric.name)} {metric.text(trial.value)}"
    params = [f"{name_label(name)} {label(number(value), 30)}" for name, value in list(trial.params.items())[:14]]
    return "<br>".join([f"<b>trial {trial.number}</b>, {label(ending)}", value, *params])


def unit(longest: float) -> tuple[str, float]:
    """Return the unit of time that suits the longest of some seconds, and its length in seconds."""
    return next((name, length) for above, name, length in UNITS if longest >= above)


def shown(record: StudyRecord) -> list[TrialRecord]:
    """Return the trials that ended with a value."""
    return [trial for trial in record.trials if trial.value is not None and trial.state not in ("running", "waiting")]


def ends_of(record: StudyRecord, metric: MetricFormat) -> tuple[float, float]:
    """Return the common limits of the metric's axis in all figures of single trials."""
    return _limits(shown(record), metric)


def _limits(trials: Iterable[TrialRecord], metric: MetricFormat) -> tuple[float, float]:
    ended = [trial.value for trial in trials if trial.outcome not in FAILED and trial.value is not None]
    return limits([value for value in ended if isfinite(value)], metric)


def history(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """Every trial's value and the best so far; the page switches the horizontal axis."""
    trials = thin(shown(record), MOST, MetricFormat.of(record))
    if not ranked(record) or len(trials) < 2:
        return None
    metric, ends = MetricFormat.of(record), ends_of(record, MetricFormat.of(record))
    figure = blank(430, xaxis_title_text="trial number")
    axes = _axes(frames)
    switch: list[dict[str, Any]] = [{"label": a["label"], "title": a["title"], "x": [], "y": []} for a in axes]
    for drawn_as, group in _grouped(trials, ends, metric).items():
        heights = rounded([placed(trial, ends, metric)[0] for trial in group])
        figure.add_trace(_points(drawn_as, group, heights, metric))
        for option, known in zip(switch, axes, strict=True):
            option["x"].append(rounded([known["position"].get(trial.number) for trial in group]))
            option["y"].append(heights)
    for ring in rings(record, lambda trial: trial.number, lambda trial: placed(trial, ends, metric)[0]):
        figure.add_trace(ring)
        numbers = [trial.number for mark, own in marked_trials(record) if mark.name == ring.name for trial in own]
        for option, known in zip(switch, axes, strict=True):
            option["x"].append(rounded([known["position"].get(number) for number in numbers]))
            option["y"].append(ring.y)
    figure.add_trace(
        go.Scatter(
            mode="lines", name="best so far", hoverinfo="skip", line={"color": LIGHT["ink"], "width": 2, "shape": "hv"}
        )
    )
    for option, known in zip(switch, axes, strict=True):
        option["x"].append(rounded(known["line"][0]))
        option["y"].append(rounded(known["line"][1]))
    for trace, x, y in zip(figure.data, switch[0]["x"], switch[0]["y"], strict=True):
        trace.update(x=x, y=y)
    figure.update_yaxes(value_axis(metric, ends, f"{label(metric.name)}, validation rows"))
    note = edge_note(trials, ends, metric)
    figure.update_layout(meta={"switch": switch, "note": note, "thinned": thinned(len(trials), len(shown(record)))})
    return figure


def _grouped(
    trials: list[TrialRecord], ends: tuple[float, float], metric: MetricFormat
) -> dict[str, list[TrialRecord]]:
    """Return the trials by what they are drawn as, known outcomes first and what lies beyond the scale last."""
    roles = [role(trial, ends, metric) for trial in trials]
    order = dict.fromkeys([*SYMBOLS, *(name for name in roles if name != BEYOND), BEYOND])
    groups = {name: [trial for trial, own in zip(trials, roles, strict=True) if own == name] for name in order}
    return {name: group for name, group in groups.items() if group}


def _points(outcome: str, group: list[TrialRecord], heights: list[float], metric: MetricFormat) -> go.Scatter:
    return go.Scatter(
        y=heights,
        mode="markers",
        name=label(outcome or "ended", 30),
        cliponaxis=False,  # a mark at 100 % lies on the edge
        text=[hover(trial, metric) for trial in group],
        hovertemplate="%{text}<extra></extra>",
        marker=marker(outcome, metric, 8, 0.85),
    )


def _axes(frames: Frames) -> list[dict[str, Any]]:
    """Return the horizontal axes that the records allow: where each trial is, and the line of the best so far."""
    progress, found = frames["progress"], []
    for name, text in (("trial", "trials"), ("examples", "examples"), ("seconds", "time")):
        part = progress[progress["axis"] == name]
        if not len(part) or part["position"].max() <= 0:
            continue
        called, length = unit(float(part["position"].max())) if name == "seconds" else (name, 1.0)
        positions = [float(value) / length for value in part["position"]]
        line = _corners(zip(positions, part["best"].tolist(), strict=True))
        title = {"trial": "trial number", "examples": "training examples seen so far"}.get(
            name, f"{called} since the first trial began"
        )
        entry = {"label": text, "title": title, "position": dict(zip(part["trial"], positions, strict=True))}
        found.append(entry | {"line": ([x for x, _ in line], [float(y) for _, y in line])})
    return found


def _corners(points: Iterable[tuple[float, float | None]]) -> list[tuple[float, float]]:
    """Return the points of a line of steps at which its height changes, and the last one: all that it takes to draw it."""
    line = [(x, y) for x, y in points if y is not None and isfinite(y)]
    return [
        point for point, before in zip(line, [None, *line], strict=False) if not before or point[1] != before[1]
    ] + line[-1:]


def history_reading(frames: Frames, record: StudyRecord) -> str:
    """Say when the best was found and what the second half of the search still brought."""
    metric, order = MetricFormat.of(record), sorted(ranked(record), key=lambda trial: trial.number)
    leader = next(iter(ranked(record)), None)
    ended = shown(record)
    if len(ended) < 2 or leader is None or leader.value is None:
        return "There is nothing to draw yet: at least two trials must have ended with a value."
    of = f"the best of {tally(record)}{_other(record, leader)}"
    text = f"The best value, {metric.text(leader.value)}, came from trial {leader.number}, {of}. "
    if len(ended) < FEW:
        return text.strip()
    half = ended[len(ended) // 2].number
    first = [trial.value for trial in order if trial.number < half and trial.value is not None]
    if not first:
        return text + "No trial of the first half gave a usable value."
    early = max(first) if metric.maximize else min(first)
    if not metric.better(leader.value, early):
        hint = ": more trials like these promise little" if len(ended) >= ENOUGH else ""
        return text + f"The second half of the search found nothing better{hint}."
    return text + f"The second half of the search improved on the first by {metric.gap(leader.value, early)}."


def _other(record: StudyRecord, leader: TrialRecord) -> str:
    """Say which trial is kept where it is not the search's best."""
    kept = trials_of(record.result)[:1]
    return (
        f"; trial {kept[0]} is kept, since its mean over fresh seeds is the best"
        if kept not in ([], [leader.number])
        else ""
    )


def timeline(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """Trials as bars over wall time, one row for each place that trained at the same time."""
    rows = frames["timeline"].to_dict("records")
    if len(rows) < 2 or not any(row["end"] > row["start"] for row in rows):
        return None
    called, length = unit(max(row["end"] for row in rows))
    places, step = max(row["place"] for row in rows), -(-len(rows) // 600)
    drawn = rows[::step]
    figure = blank(int(min(460, 120 + 22 * places)), barmode="overlay", bargap=0.18)
    present = {row["outcome"] for row in drawn}
    for outcome in [*(name for name in SYMBOLS if name in present), *sorted(present - set(SYMBOLS))]:
        figure.add_trace(_bars(outcome, [row for row in drawn if row["outcome"] == outcome], length))
    figure.update_xaxes(axis(f"{called} since the first trial began", rangemode="tozero"))
    every = max(1, -(-places // 8))
    figure.update_yaxes(axis("side by side", range=[places + 0.6, 0.4], tick0=1, dtick=every, showgrid=False))
    figure.update_layout(
        meta={"thinned": f"{len(drawn):,} of {len(rows):,} trials are drawn, evenly chosen." if step > 1 else ""}
    )
    return figure


def _bars(outcome: str, rows: list[dict[str, Any]], length: float) -> go.Bar:
    return go.Bar(
        orientation="h",
        name=label(outcome, 30),
        base=rounded([row["start"] / length for row in rows]),
        x=rounded([(row["end"] - row["start"]) / length for row in rows]),
        y=[row["place"] for row in rows],
        text=[
            f"<b>trial {row['trial']}</b>, {label(outcome)}<br>{duration(row['end'] - row['start'])}" for row in rows
        ],
        textposition="none",
        width=0.8,
        hovertemplate="%{text}<extra></extra>",
        marker={"color": color(outcome), "line": {"color": LIGHT["surface"], "width": 1}},
    )


def timeline_reading(frames: Frames, record: StudyRecord) -> str:
    """Say how long the search took, how many trials ran at once, and what the lost ones cost."""
    rows = frames["timeline"].to_dict("records")
    busy = sum(row["end"] - row["start"] for row in rows)
    if len(rows) < 2 or busy <= 0:
        return "The times of fewer than two trials are known."
    wall, places = max(row["end"] for row in rows), max(row["place"] for row in rows)
    text = f"{count(len(rows), 'trial')} took {duration(wall)} of wall time; "
    text += f"up to {places} ran at the same time" if places > 1 else "they ran one after another"
    parts = []
    for outcome, verb in (("pruned", "that were pruned"), ("diverged", "that diverged")):
        spent = sum(row["end"] - row["start"] for row in rows if row["outcome"] == outcome)
        if spent:
            parts.append(f"{share(spent / busy)} on trials {verb}")
    return text + (f". Of the training time they spent {' and '.join(parts)}." if parts else ".")


def size(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """Value against the number of parameters, and the best network of each size."""
    metric = MetricFormat.of(record)
    trials = [trial for trial in ranked(record) if trial.parameters]
    if len({trial.parameters for trial in trials}) < 2:
        return None
    ends = _limits(trials, metric)  # pruned trials are not drawn here, so their values must not stretch the scale
    drawn = thin(sorted(trials, key=lambda trial: trial.number), 600, metric)
    figure = blank(380)
    beyond = {trial.number for trial in drawn if role(trial, ends, metric) == BEYOND}
    for drawn_as, text in (("finished", "trained to its end"), (BEYOND, BEYOND)):
        group = [trial for trial in drawn if (trial.number in beyond) == (drawn_as == BEYOND)]
        points = _points(drawn_as, group, rounded([placed(t, ends, metric)[0] for t in group]), metric)
        figure.add_trace(points.update(x=[trial.parameters for trial in group], name=text, showlegend=bool(group)))
    front = frontier(trials, metric)
    figure.add_trace(
        go.Scatter(
            x=[trial.parameters for trial in front],
            y=rounded([placed(trial, ends, metric)[0] for trial in front]),
            mode="lines+markers",
            name="best of this size or smaller, in the search",
            hoverinfo="skip",
            cliponaxis=False,
            line={"color": LIGHT["ink"], "width": 1.5, "shape": "hv"},
            marker={"color": LIGHT["ink"], "size": 9, "symbol": "circle-open", "line": {"width": 1.5}},
        )
    )
    for ring in rings(record, lambda trial: trial.parameters, lambda trial: placed(trial, ends, metric)[0]):
        figure.add_trace(ring)
    sizes = [trial.parameters or 1 for trial in trials]
    figure.update_xaxes(log_axis(min(sizes), max(sizes), "parameters (log scale)"))
    pad = 0.04 * (log10(max(sizes)) - log10(min(sizes)))
    figure.update_xaxes(range=[log10(min(sizes)) - pad, log10(max(sizes)) + pad])
    figure.update_yaxes(value_axis(metric, ends, f"{label(metric.name)}, validation rows"))
    figure.update_layout(meta={"note": edge_note(drawn, ends, metric), "thinned": thinned(len(drawn), len(trials))})
    return figure


def frontier(trials: list[TrialRecord], metric: MetricFormat) -> list[TrialRecord]:
    """Return the trials that no smaller network beats, smallest first."""
    found: list[TrialRecord] = []
    for trial in sorted(
        trials, key=lambda t: (t.parameters or 0, -(t.value or 0.0) if metric.maximize else t.value or 0.0)
    ):
        if trial.value is not None and (not found or metric.better(trial.value, found[-1].value or 0.0)):
            found.append(trial)
    return found


def size_reading(frames: Frames, record: StudyRecord) -> str:
    """Say which smaller network comes close to the best."""
    metric, trials = MetricFormat.of(record), [trial for trial in ranked(record) if trial.parameters]
    if len({trial.parameters for trial in trials}) < 2:
        return "Fewer than two sizes of network were trained to the end."
    leader, close = trials[0], close_to(trials, metric)
    near = [t for t in trials if abs((t.value or 0.0) - (leader.value or 0.0)) <= close]
    small, best = min(near, key=lambda trial: trial.parameters or 0), f"search's best, trial {leader.number}"
    if small is leader:
        return f"No smaller network comes within {metric.gap(close, 0)} of the {best}, which has {leader.parameters:,} parameters."
    times = (leader.parameters or 0) / (small.parameters or 1)
    return (
        f"Trial {small.number} has {small.parameters:,} parameters, {number(float(f'{times:.2g}'))} times fewer than the {best}, "
        f"and is {metric.gap(leader.value or 0.0, small.value or 0.0)} worse on the validation rows."
    )
