"""Figures of training itself: learning curves of the best against the rest, and the losses of the best trial."""

from math import isfinite
from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.marks import color_of
from hpsearch.reporting.figures.style import (
    FAILED,
    LIGHT,
    SERIES,
    axis,
    blank,
    label,
    log_axis,
    rounded,
    value_axis,
    within,
)
from hpsearch.reporting.formatting import MetricFormat, best, ranked, share
from hpsearch.reporting.selection import marked, marks
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.trial import History

BEST = 5
FEW = 5  # curves that a band needs


def _curve(trial: TrialRecord | None) -> History | None:
    history = trial.history if trial else None
    return history if history is not None and len(history) > 1 else None


def _leaders(record: StudyRecord) -> list[TrialRecord]:
    """Return the trials whose curves are drawn: the single network's, the search's best, then the best of the others."""
    trials = [trial for trial in ranked(record) if _curve(trial)]
    first = [trial for mark in marks(record) for trial in trials if trial.number in mark.trials[:1]]
    return [*first, *(trial for trial in trials if trial not in first)][:BEST]


def _budget(frames: Frames) -> int:
    return int(frames["curves"]["evaluation"].max())


def curves(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """Draw the validation metric over the budget: the kept and the best trials, and where the middle half of the others lies."""
    metric, leaders = MetricFormat.of(record), _leaders(record)
    if not leaders:
        return None
    figure, budget, quartiles = blank(420), _budget(frames), _quartiles(frames, record)
    if quartiles is not None:
        _band(figure, quartiles, budget)
    colors = {number: color_of(mark) for mark in reversed(marks(record)) for number in mark.trials[:1]}
    for place, trial in reversed(list(enumerate(leaders))):
        history = trial.history or History()
        figure.add_trace(
            go.Scatter(
                x=rounded([evaluation / budget for evaluation in history.evaluation]),
                y=rounded(list(history.metric)),
                mode="lines",
                name=", ".join(filter(None, [f"trial {trial.number}", marked(record, trial.number)])),
                legendrank=place,
                line={"color": colors.get(trial.number, LIGHT[SERIES[place]]), "width": 3 if place == 0 else 1.5},
                hovertemplate=f"<b>trial {trial.number}</b><br>%{{x:.0%}} of the budget<br>%{{y:.4~g}}<extra></extra>",
            )
        )
    figure.update_xaxes(
        axis("share of the training budget", tickformat=".0%", range=[0, 1], tickvals=[0, 0.25, 0.5, 0.75, 1])
    )
    ends, beyond = _span(leaders, quartiles, budget, metric)
    figure.update_yaxes(value_axis(metric, ends, f"{label(metric.name)}, validation rows"))
    note = f"The scale fits the curves after the first fifth of the budget; some begin {'below' if metric.maximize else 'above'} it."
    return figure.update_layout(meta={"note": note if beyond else ""})


def _others(frames: Frames, record: StudyRecord) -> list[int]:
    leaders = {trial.number for trial in _leaders(record)}
    return [
        t.number for t in record.trials if t.number not in leaders and t.outcome not in FAILED and t.repeats is None
    ]


def _quartiles(frames: Frames, record: StudyRecord) -> Any:
    """Return the others' quartiles at each evaluation that enough of them reached: a data frame, or None for too few."""
    curves = frames["curves"]
    groups = curves[curves["trial"].isin(_others(frames, record))].groupby("evaluation")["metric"]
    table = groups.quantile([0.25, 0.5, 0.75]).unstack()[groups.size() >= FEW] if len(groups) else None
    return table if table is not None and len(table) > 1 else None


def _band(figure: go.Figure, quartiles: Any, budget: int) -> None:
    x = rounded([float(evaluation) / budget for evaluation in quartiles.index])
    low, middle, high = (rounded([float(v) for v in quartiles[q]]) for q in (0.25, 0.5, 0.75))
    quiet = {"x": x, "mode": "lines", "hoverinfo": "skip", "legendrank": 900}
    figure.add_trace(go.Scatter(y=low, line={"width": 0, "color": LIGHT["pale"]}, showlegend=False, **quiet))
    filled = {"fill": "tonexty", "fillcolor": LIGHT["band"], "line": {"width": 0, "color": LIGHT["band"]}}
    figure.add_trace(go.Scatter(y=high, name="all others, the middle half", **filled, **quiet))
    dashed = {"color": LIGHT["pruned"], "width": 1.5, "dash": "dash"}
    figure.add_trace(go.Scatter(y=middle, name="their median", line=dashed, **quiet))


def _span(
    leaders: list[TrialRecord], quartiles: Any, budget: int, metric: MetricFormat
) -> tuple[tuple[float, float], bool]:
    """Return limits that hold all lines and the band after the first fifth of training, and whether something before lies beyond.

    The beginning is far from the rest and would squeeze it.
    """
    points = [
        (evaluation, value)
        for history in (trial.history or History() for trial in leaders)
        for evaluation, value in zip(history.evaluation, history.metric, strict=True)
    ]
    if quartiles is not None:
        points += [(evaluation, value) for evaluation, row in quartiles.iterrows() for value in row]
    points = [(evaluation, float(value)) for evaluation, value in points if isfinite(value)] or [(1, 0.0), (1, 1.0)]
    late = [value for evaluation, value in points if evaluation > 0.2 * budget] or [value for _, value in points]
    pad = 0.06 * (max(late) - min(late)) or max(abs(late[0]) * 0.02, 1e-6)
    low, high = within((min(late) - pad, max(late) + pad), metric)
    return (low, high), any(not low <= value <= high for _, value in points)


def curves_reading(frames: Frames, record: StudyRecord) -> str:
    """Say when the best trial came close to its best, and what the band leaves out."""
    leader, metric = best(record), MetricFormat.of(record)
    history = _curve(leader)
    if history is None or leader is None or leader.value is None:
        return "The best trial has no learning curve." if _leaders(record) else "No trial has a learning curve yet."
    first, final = history.metric[0], leader.value
    near = [
        e
        for e, value in zip(history.evaluation, history.metric, strict=True)
        if abs(value - final) <= 0.05 * abs(final - first)
    ]
    which = f"Trial {leader.number}, {mark}," if (mark := marked(record, leader.number)) else f"Trial {leader.number}"
    text = (
        f"{which} had gained 95 % of its improvement after {share(near[0] / _budget(frames))} of its budget. "
        if near
        else ""
    )
    stopped = sum(trial.outcome == "pruned" for trial in record.trials)
    if stopped:
        text += (
            f"{stopped:,} trials were pruned on the way: further right the band shows only the ones that were left. "
        )
    return text + f"Its best {metric.name} came at {share(leader.best_evaluation / _budget(frames))} of the budget."


def losses(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """Training and validation loss of the best trial; a gap that opens is over-fitting."""
    leader = best(record)
    history = _curve(leader)
    if history is None or leader is None:
        return None
    figure, budget = blank(360), _budget(frames)
    x = rounded([evaluation / budget for evaluation in history.evaluation])
    for name, values, role, dash in (
        ("training loss", history.training_loss, "diverged", "dot"),
        ("validation loss", history.validation_loss, "finished", "solid"),
    ):
        line = {"color": LIGHT[role], "width": 2, "dash": dash}
        template = f"{name}<br>%{{x:.0%}} of the budget<br>%{{y:.4~g}}<extra></extra>"
        figure.add_trace(
            go.Scatter(x=x, y=rounded(list(values)), mode="lines", name=name, line=line, hovertemplate=template)
        )
    figure.update_xaxes(
        axis("share of the training budget", tickformat=".0%", range=[0, 1], tickvals=[0, 0.25, 0.5, 0.75, 1])
    )
    both = [value for value in (*history.training_loss, *history.validation_loss) if 0 < value < float("inf")]
    wide = both and min((*history.training_loss, *history.validation_loss)) > 0 and max(both) > 20 * min(both)
    figure.update_yaxes(
        log_axis(min(both), max(both), "loss (log scale)") if wide else axis("loss", rangemode="tozero")
    )
    if leader.best_evaluation:
        at = leader.best_evaluation / budget
        figure.add_vline(x=at, line={"color": LIGHT["edge"], "width": 1, "dash": "dash"})
        figure.add_annotation(
            x=at, y=1, yref="paper", text="best evaluation", showarrow=False, xanchor="right", xshift=-4, yanchor="top"
        )
    return figure


def losses_reading(frames: Frames, record: StudyRecord) -> str:
    """Say whether the validation loss turned, and by how much it rose."""
    leader = best(record)
    history = _curve(leader)
    if history is None or leader is None:
        return "No trial has a learning curve yet."
    losses = history.validation_loss
    low = min(range(len(losses)), key=losses.__getitem__)
    where = share(history.evaluation[low] / _budget(frames))
    rise = losses[-1] / losses[low] - 1 if losses[low] > 0 else 0.0
    if low < len(losses) - 1 and rise > 0.05:
        text = f"Over-fitting: the validation loss of trial {leader.number} was lowest at {where} of the budget, then rose by {share(rise)}"
        return f"{text}. The report's network is the one with the best validation metric, not the last one."
    before = losses[-1 - len(losses) // 5]
    if losses[-1] < 0.97 * before:
        text = f"The validation loss of trial {leader.number} was still falling, by {share(1 - losses[-1] / before)}"
        return f"{text} in the last fifth of its training: a larger budget might help."
    return f"The validation loss of trial {leader.number} levelled off, lowest at {where} of the budget: no over-fitting to speak of."
