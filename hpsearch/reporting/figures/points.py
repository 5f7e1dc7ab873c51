"""Trials as points: at which height and with which symbol they are drawn, what their labels say, and the rings around the marked ones.

The axis of the metric shows the best nine tenths of the values. A strip at its worse end holds the rest: trials that failed, and values
off the scale.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import floor, isfinite
from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.style import LIGHT, SYMBOLS, color, label, name_label, rounded, within
from hpsearch.reporting.formatting import MetricFormat, number
from hpsearch.reporting.locales import Texts
from hpsearch.reporting.ranking import with_value
from hpsearch.reporting.selection import Mark, marks
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.trial import FAILED

BEYOND = "off the scale"  # a value that the axis leaves out, drawn on the edge
HYPERPARAMETERS = 14  # in a point's label

Ends = tuple[float, float]
Position = Callable[[TrialRecord], Any]  # where a trial is drawn on one axis, None where it is not


def limits(values: Sequence[float], metric: MetricFormat) -> Ends:
    """Return a range that shows the best nine tenths of the values and leaves a strip at the worse end for the rest."""
    ordered = sorted(values, reverse=metric.maximize) or [0.0, 1.0]
    top, low = ordered[0], ordered[min(len(ordered) - 1, floor(0.9 * len(ordered)))]
    direction = -1.0 if metric.maximize else 1.0
    span = (low - top) or direction * max(abs(top) * 0.02, 1e-6)
    worse, better = low + 0.16 * span, top - 0.07 * span
    return within((worse, better) if metric.maximize else (better, worse), metric)


def limits_of(trials: Iterable[TrialRecord], metric: MetricFormat) -> Ends:
    """Return the limits of the metric's axis for some trials."""
    values = [trial.value for trial in trials if trial.outcome not in FAILED and trial.value is not None]
    return limits([value for value in values if isfinite(value)], metric)


def common_limits(record: StudyRecord, metric: MetricFormat) -> Ends:
    """Return the limits of the metric's axis that all figures of single trials share."""
    return limits_of(with_value(record), metric)


def edge_height(ends: Ends, metric: MetricFormat) -> float:
    """Return the height of the strip for what failed or lies off the scale, at the worse end."""
    bottom, top = ends
    if metric.maximize:
        return bottom + 0.035 * (top - bottom)
    return top - 0.035 * (top - bottom)


def at_edge(trial: TrialRecord, ends: Ends, metric: MetricFormat) -> bool:
    """Whether a trial is drawn in the strip at the worse end."""
    if trial.outcome in FAILED or trial.value is None:
        return True
    return not metric.better(trial.value, edge_height(ends, metric))


def height(trial: TrialRecord, ends: Ends, metric: MetricFormat) -> float:
    """Return the height at which a trial is drawn."""
    if trial.value is None or at_edge(trial, ends, metric):
        return edge_height(ends, metric)
    return trial.value


def role(trial: TrialRecord, ends: Ends, metric: MetricFormat) -> str:
    """Return as what a trial is drawn: its outcome, or `BEYOND` where its value lies off the scale."""
    beyond = trial.outcome not in FAILED and at_edge(trial, ends, metric)
    return BEYOND if beyond else trial.outcome


def marker(role: str, metric: MetricFormat, size: float, opacity: float) -> dict[str, Any]:
    """Return the marker of a role; that of a value off the scale is an open triangle that points to where the value lies."""
    if role == BEYOND:
        if metric.maximize:
            symbol = "triangle-down-open"
        else:
            symbol = "triangle-up-open"
        return {"color": LIGHT["soft"], "symbol": symbol, "size": size + 1, "line": {"width": 1.5}}
    symbol = SYMBOLS.get(role, "hexagon")
    return {"color": color(role), "symbol": symbol, "size": size, "opacity": opacity, "line": {"width": 0}}


def role_text(role: str, texts: Texts) -> str:
    """Return a role's name in the legend; an outcome is called as the storage has it."""
    if role == BEYOND:
        return texts("search.points.beyond")
    return label(role or texts("search.points.ended"), 30)


def trial_points(role: str, group: Sequence[TrialRecord], ends: Ends, metric: MetricFormat, texts: Texts) -> go.Scatter:
    """Return the points of trials of one role, without their horizontal positions."""
    return go.Scatter(
        y=rounded([height(trial, ends, metric) for trial in group]),
        mode="markers",
        name=role_text(role, texts),
        cliponaxis=False,  # a mark at 100 % lies on the edge
        text=[trial_label(trial, metric, texts) for trial in group],
        hovertemplate="%{text}<extra></extra>",
        marker=marker(role, metric, 8, 0.85),
    )


def trial_label(trial: TrialRecord, metric: MetricFormat, texts: Texts) -> str:
    """Return what a trial's point says: number, outcome, value, hyperparameters."""
    ending = trial.outcome or trial.state
    if ending in FAILED or ending == "fail":
        value = label(trial.detail or ending)
    else:
        value = f"{label(metric.name)} {metric.text(trial.value)}"
    settings = list(trial.params.items())[:HYPERPARAMETERS]
    lines = [f"{name_label(name)} {label(number(value), 30)}" for name, value in settings]
    return "<br>".join([f"{bold_trial(trial.number, texts)}, {label(ending)}", value, *lines])


def bold_trial(number: int, texts: Texts) -> str:
    """Return `trial 7` in bold."""
    return f"<b>{texts('search.points.trial', trial=number)}</b>"


def edge_note(trials: Sequence[TrialRecord], ends: Ends, metric: MetricFormat, texts: Texts) -> str:
    """Return what the marks on the edge of a figure are, "" where there is none."""
    failed = sum(trial.outcome in FAILED for trial in trials)
    beyond = sum(role(trial, ends, metric) == BEYOND for trial in trials)
    parts = []
    if failed:
        parts.append(texts("search.points.failed", trials=texts.count("trial", failed)))
    if beyond:
        parts.append(texts("search.points.values_beyond", trials=texts.count("trial", beyond)))
    if not parts:
        return ""
    edge = "lower" if metric.maximize else "upper"
    return texts(f"search.points.{edge}_edge", marks=texts.listing(parts))


def thin(trials: list[TrialRecord], most: int, metric: MetricFormat) -> list[TrialRecord]:
    """Return at most `most` trials: the best tenth of them, the rest evenly, in the order of their numbers."""
    if len(trials) <= most:
        return trials
    valued = [trial for trial in trials if trial.outcome not in FAILED]
    valued.sort(key=lambda trial: trial.rank(metric.direction))
    drawn = {trial.number for trial in valued[: most // 10]}
    rest = [trial for trial in trials if trial.number not in drawn]
    room = most - len(drawn)
    drawn |= {rest[i * len(rest) // room].number for i in range(room)}
    return [trial for trial in trials if trial.number in drawn]


def thinned(drawn: int, of: int, texts: Texts) -> str:
    """Return the note under a figure that does not draw every trial, "" where it does."""
    if drawn < of:
        return texts("search.points.thinned", drawn=f"{drawn:,}", of=f"{of:,}")
    return ""


def mark_color(mark: Mark) -> str:
    """Return the colour of a mark: the selected trials stand out, the search's best has the ink's."""
    return LIGHT["first" if mark.selected else "ink"]


def marked_trials(record: StudyRecord, texts: Texts) -> list[tuple[Mark, list[TrialRecord]]]:
    """Return the marks with their trials; trials without a value are left out."""
    known = {trial.number: trial for trial in record.trials if trial.value is not None}
    pairs = [(mark, [known[number] for number in mark.trials if number in known]) for mark in marks(record, texts)]
    return [(mark, trials) for mark, trials in pairs if trials]


def rings(record: StudyRecord, across: Position, up: Position, texts: Texts) -> Iterator[go.Scatter]:
    """Yield one trace for each mark: rings around its trials, the search's best in a larger one, so that both are seen on one point."""
    for mark, trials in marked_trials(record, texts):
        positions = [(across(trial), up(trial)) for trial in trials]
        positions = [position for position in positions if None not in position]
        line = {"width": 2.5 if mark.selected else 1.5, "color": mark_color(mark)}
        size = 14 if mark.selected else 18
        yield go.Scatter(
            x=rounded([x for x, _ in positions]),
            y=rounded([y for _, y in positions]),
            mode="markers",
            name=mark.name,
            legendgroup=mark.name,
            hoverinfo="skip",
            cliponaxis=False,
            marker={"color": mark_color(mark), "size": size, "symbol": "circle-open", "line": line},
        )
