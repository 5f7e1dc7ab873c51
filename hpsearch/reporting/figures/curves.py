"""Figures of training itself: learning curves of the best against the rest, and the losses of the best trial."""

from collections.abc import Callable, Sequence
from itertools import chain, repeat
from math import inf, isclose, isfinite
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.figures.bands import QUARTILES, band_traces
from hpsearch.reporting.figures.points import Ends, bold_trial, mark_color, scale_of_axis, thin
from hpsearch.reporting.figures.style import (
    LIGHT,
    SERIES,
    axis,
    blank,
    hover,
    label,
    log_axis,
    rounded,
    share_ticks,
    value_axis,
    within,
)
from hpsearch.reporting.formatting import MetricFormat, number, share
from hpsearch.reporting.ranking import best, close_to, ranked
from hpsearch.reporting.selection import marked, marks
from hpsearch.reporting.shapes import course, gained_most
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.trial import History

BEST = 5
FEW = 5  # curves that a band needs
POINTS = 4000  # of the other trials' curves, in all
EARLY = 0.2  # share of the budget whose values may lie off the scale
DOUBLED = 1.0  # relative change that is written as a factor


def _curve(trial: TrialRecord | None) -> History | None:
    """Return a trial's history where it has two points or more."""
    history = trial.history if trial else None
    if history is not None and len(history) > 1:
        return history
    return None


def _leaders(record: StudyRecord) -> list[TrialRecord]:
    """Return the trials whose curves are drawn: the single network's, the search's best, then the best of the others."""
    trials = [trial for trial in ranked(record) if _curve(trial)]
    by_number = {trial.number: trial for trial in trials}
    marked_first = [mark.trials[0] for mark in marks(record) if mark.trials]
    first = [by_number[number] for number in marked_first if number in by_number]
    return [*first, *(trial for trial in trials if trial not in first)][:BEST]


def _budget(frames: Frames, record: StudyRecord) -> int:
    """Return the length of the horizontal axis: the last evaluation of any trial, 1 where the steps themselves are drawn."""
    if record.foreign:
        return 1
    return int(frames["curves"]["evaluation"].max())


def _last(frames: Frames, record: StudyRecord) -> float:
    """Return the end of the horizontal axis."""
    return float(frames["curves"]["evaluation"].max()) / _budget(frames, record)


def curves(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw the validation metric over the budget: the selected and the best trials, and the middle half of the others."""
    metric = MetricFormat.of(record, texts)
    leaders = _leaders(record)
    if not leaders:
        return None
    figure = blank(420)
    budget = _budget(frames, record)
    quartiles = _quartiles(frames, record, leaders)
    if quartiles is not None:
        _add_band(figure, quartiles, budget, texts)
    colors = {mark.trials[0]: mark_color(mark) for mark in reversed(marks(record))}
    for rank, trial in reversed(list(enumerate(leaders))):
        name = texts("search.points.trial", trial=trial.number)
        mark = marked(record, trial.number, texts)
        if mark:
            name = f"{name}, {mark}"
        line = {"color": colors.get(trial.number, LIGHT[SERIES[rank]]), "width": 3 if rank == 0 else 1.5}
        history = trial.history or History()
        head = bold_trial(trial.number, texts)
        labels = [metric.text(value) for value in history.metric]
        figure.add_trace(
            _line(
                history,
                history.metric,
                budget,
                head,
                labels,
                texts,
                name=name,
                legendrank=rank,
                line=line,
                customdata=[trial.number] * len(history),
            )
        )
    across = _steps_axis if record.foreign else budget_axis
    figure.update_xaxes(across(texts))
    ends, beyond = _span(leaders, quartiles, _last(frames, record) * budget, metric)
    figure.update_yaxes(value_axis(metric, ends, texts("search.points.validation", metric=label(metric.name))))
    side = "below" if metric.maximize else "above"
    edge = []
    if beyond:
        edge.append(texts(f"search.figure.curves.begin_{side}"))
    if count := _ended_beyond(record, leaders, ends, metric):
        edge.append(texts(f"search.figure.curves.ended_{side}", trials=texts.count("trial", count)))
    figure.add_trace(_others(record, leaders, budget, lambda history: history.metric))
    return figure.update_layout(meta={"edge": " ".join(edge), **_whole(figure, ends, metric)})


def _whole(figure: go.Figure, ends: Ends, metric: MetricFormat) -> dict[str, Any]:
    """Return what `layout.meta` has of the axis that shows all curves, {} where the figure's own axis does."""
    drawn = chain.from_iterable(trace.y for trace in figure.data)
    known = [value for value in drawn if value is not None and isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if ends[0] <= low and high <= ends[1]:
        return {}
    return {"whole": {"axis": scale_of_axis(value_axis(metric, (low, high))), "edge": ""}}


def _others(
    record: StudyRecord, leaders: Sequence[TrialRecord], budget: int, values_of: Callable[[History], Sequence[float]]
) -> go.Scatter:
    """Return the curves of the other trials, which the page shows one at a time: gaps between them, the best and an even choice of many."""
    x: list[float | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    leading = {trial.number for trial in leaders}
    others = [trial for trial in record.trials if trial.number not in leading and _curve(trial)]
    longest = max((len(trial.history or ()) for trial in others), default=1)
    for trial in thin(others, max(1, POINTS // longest), MetricFormat.of(record)):
        history = trial.history or History()
        x += [*(round(evaluation / budget, 4) for evaluation in history.evaluation), None]
        y += [*map(_short, values_of(history)), None]
        numbers += [*repeat(trial.number, len(history)), None]
    return go.Scatter(x=x, y=y, customdata=numbers, mode="lines", visible=False, showlegend=False)


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if isfinite(value) else None


def _line(
    history: History,
    values: Sequence[float],
    budget: int,
    head: str,
    labels: Sequence[str],
    texts: Texts,
    **look: Any,
) -> go.Scatter:
    """Return a learning curve over the share of the budget; where the reader points, its `head`, the share and the point's label show."""
    shares = [evaluation / budget for evaluation in history.evaluation]
    shown = []
    for at, evaluation, text in zip(shares, history.evaluation, labels, strict=True):
        where = texts("search.figure.curves.of_budget", share=share(at), step=number(evaluation))
        shown.append(f"{head}<br>{where}<br>{text}")
    return go.Scatter(x=rounded(shares), y=rounded(values), mode="lines", **hover(shown), **look)


def budget_axis(texts: Texts) -> dict[str, Any]:
    """Return the horizontal axis of the share of the training budget."""
    return axis(texts("search.figure.curves.budget"), range=[0, 1], **share_ticks(0, 1, most=4))


def _steps_axis(texts: Texts) -> dict[str, Any]:
    return axis(texts("search.figure.curves.step"), rangemode="tozero")


def _quartiles(frames: Frames, record: StudyRecord, leaders: Sequence[TrialRecord]) -> pd.DataFrame | None:
    """Return the others' quartiles at each evaluation that enough of them reached; None for too few."""
    drawn = {trial.number for trial in leaders}
    candidates = [trial for trial in record.trials if trial.repeats is None]
    others = {trial.number for trial in candidates if not trial.failed} - drawn
    table = frames["curves"]
    groups = table[table["trial"].isin(others)].groupby("evaluation")["metric"]
    if not len(groups):
        return None
    quartiles = groups.quantile(list(QUARTILES)).unstack()[groups.size() >= FEW]
    return quartiles if len(quartiles) > 1 else None


def _add_band(figure: go.Figure, quartiles: pd.DataFrame, budget: int, texts: Texts) -> None:
    x = (quartiles.index.astype(float) / budget).tolist()
    names = (texts("search.figure.curves.others"), texts("search.figure.curves.median"))
    figure.add_traces(band_traces(x, [quartiles[share_].tolist() for share_ in QUARTILES], names, legendrank=900))


def _span(
    leaders: Sequence[TrialRecord], quartiles: pd.DataFrame | None, budget: float, metric: MetricFormat
) -> tuple[Ends, bool]:
    """Return limits that hold all lines and the better half of the others after the first fifth of training; whether curves begin beyond.

    The beginning is far from the rest and would squeeze it, as does the worse half of the trials.
    """
    curves = [pd.Series(trial.history.metric, trial.history.evaluation) for trial in leaders if trial.history]
    if quartiles is not None:
        curves += [quartiles[0.5], quartiles[0.75 if metric.maximize else 0.25]]
    points = pd.concat(curves)
    points = points[points.abs() < inf]
    if not len(points):
        points = pd.Series([0.0, 1.0], [1, 1])
    late = points[points.index > EARLY * budget]
    shown = late if len(late) else points
    least, most = float(shown.min()), float(shown.max())
    pad = 0.06 * (most - least) or max(abs(float(shown.iloc[0])) * 0.02, 1e-6)
    low, high = within((least - pad, most + pad), metric)
    return (low, high), bool(((points < low) | (points > high)).any())


def _ended_beyond(record: StudyRecord, leaders: Sequence[TrialRecord], ends: Ends, metric: MetricFormat) -> int:
    """Return how many of the other trials ended worse than the axis shows."""
    drawn = {trial.number for trial in leaders}
    worst = ends[0] if metric.maximize else ends[1]
    others = [trial for trial in record.trials if trial.number not in drawn and _curve(trial) and not trial.failed]
    return sum(trial.history is not None and metric.better(worst, trial.history.metric[-1]) for trial in others)


def curves_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say when the best trial came close to its best, and what the band leaves out."""
    leader = best(record)
    metric = MetricFormat.of(record, texts)
    history = _curve(leader)
    if record.foreign:
        return _reported(record, texts)
    if history is None or leader is None or leader.value is None:
        key = "no_curve" if _leaders(record) else "no_curves"
        return texts(f"search.figure.curves.{key}")
    sentences = []
    mark = marked(record, leader.number, texts)
    name = texts("search.figure.curves.trial", trial=leader.number)
    if mark:
        name = texts("search.figure.curves.marked_trial", trial=leader.number, mark=mark)
    place = gained_most(history.metric, leader.value, close_to(record.trials, metric))
    if place is None:
        gain = metric.gap(leader.value, history.metric[0])
        key = "never_better" if isclose(leader.value, history.metric[0]) else "flat"
        sentences.append(texts(f"search.figure.curves.{key}", name=name, gap=gain))
    else:
        at = share(history.evaluation[place] / _budget(frames, record))
        sentences.append(texts("search.figure.curves.gained", name=name, share=at))
    pruned = sum(trial.outcome == "pruned" for trial in record.trials)
    if pruned:
        sentences.append(texts("search.figure.curves.pruned", trials=texts.count("pruned_trial", pruned)))
    return " ".join(sentences)


def _reported(record: StudyRecord, texts: Texts) -> str:
    """Say how many trials reported values on the way, of a study of which no more is known."""
    having = sum(trial.history is not None for trial in record.trials)
    pruned = sum(trial.outcome == "pruned" for trial in record.trials)
    text = texts("search.figure.curves.reported", having=f"{having:,}", of=texts.count("trial", len(record.trials)))
    if not pruned:
        return text
    return f"{text} {texts('search.figure.curves.pruned', trials=texts.count('pruned_trial', pruned))}"


def losses(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw training and validation loss of the best trial; a gap that opens is over-fitting.

    Of a trial that the reader chooses the page adds the validation loss.
    """
    leader = best(record)
    history = _curve(leader)
    if history is None or leader is None:
        return None
    figure = blank(360)
    budget = _budget(frames, record)
    for part, values, color, dash in (
        ("training", history.training_loss, "diverged", "dot"),
        ("validation", history.validation_loss, "finished", "solid"),
    ):
        name = texts(f"search.figure.losses.{part}")
        line = {"color": LIGHT[color], "width": 2, "dash": dash}
        labels = [number(value) for value in values]
        numbers = [leader.number] * len(history)
        figure.add_trace(_line(history, values, budget, name, labels, texts, name=name, line=line, customdata=numbers))
    figure.update_xaxes(budget_axis(texts))
    figure.update_yaxes(_loss_axis([*history.training_loss, *history.validation_loss], texts))
    if leader.best_evaluation:
        _mark_best(figure, leader.best_evaluation / budget, texts)
    return figure.add_trace(_others(record, [leader], budget, lambda history: history.validation_loss))


def _loss_axis(values: Sequence[float], texts: Texts) -> dict[str, Any]:
    """Return a logarithmic axis where all losses are above zero and they span more than a factor of twenty."""
    positive = [value for value in values if 0 < value < inf]
    if positive and min(values) > 0 and max(positive) > 20 * min(positive):
        return log_axis(min(positive), max(positive), texts("search.figure.losses.log_axis"))
    return axis(texts("search.figure.losses.axis"), rangemode="tozero")


def _mark_best(figure: go.Figure, at: float, texts: Texts) -> None:
    figure.add_vline(x=at, line={"color": LIGHT["edge"], "width": 1, "dash": "dash"})
    place = {"x": at, "y": 1, "yref": "paper", "xanchor": "right", "xshift": -4, "yanchor": "top"}
    figure.add_annotation(text=texts("search.figure.losses.best"), showarrow=False, **place)


def losses_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say whether the validation loss turned, and by how much it rose."""
    leader = best(record)
    history = _curve(leader)
    if history is None or leader is None:
        return texts("search.figure.curves.no_curves")
    found = course(history.validation_loss)
    at = share(history.evaluation[found.lowest] / _budget(frames, record))
    change = share(found.change)
    if found.change > DOUBLED:
        change = texts("search.figure.losses.times", factor=number(1 + found.change, digits=2))
    evaluations = texts.count("evaluation", len(history))
    values = {"trial": leader.number, "share": at, "change": change, "evaluations": evaluations}
    return texts(f"search.figure.losses.{found.shape}", **values)
