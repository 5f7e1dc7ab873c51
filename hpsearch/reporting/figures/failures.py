"""A study without a usable trial: at which learning rate the loss was lost, and after how many updates."""

import plotly.graph_objects as go

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.failures import divergences, is_lost, spread_text
from hpsearch.reporting.figures.points import bold_trial, marker
from hpsearch.reporting.figures.style import blank, hover, label, log_axis, rounded
from hpsearch.reporting.formatting import MetricFormat, number
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord
from hpsearch.trial import Outcome


def applies(record: StudyRecord) -> bool:
    """Whether a study without a usable trial has trials that diverged."""
    return is_lost(record) and bool(divergences(record))


def failures(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw each diverged trial at its learning rate and the update after which its loss was no longer finite."""
    found = divergences(record)
    if not found:
        return None
    rates = [one.rate for one in found]
    updates = [float(one.update) for one in found]
    labels = []
    for one in found:
        rate = texts("search.figure.failures.rate", rate=number(one.rate))
        labels.append(f"{bold_trial(one.trial.number, texts)}<br>{rate}<br>{label(texts.word(one.trial.detail))}")
    look = marker(Outcome.DIVERGED, MetricFormat.of(record, texts), 9, 0.85)
    figure = blank(360)
    figure.add_trace(
        go.Scatter(
            x=rounded(rates),
            y=rounded(updates),
            mode="markers",
            marker=look,
            customdata=[one.trial.number for one in found],
            showlegend=False,
            **hover(labels),
        )
    )
    figure.update_xaxes(log_axis(min(rates) / 2, 2 * max(rates), texts("search.figure.failures.x")))
    figure.update_yaxes(log_axis(min(updates) / 2, 2 * max(updates), texts("search.figure.failures.y")))
    return figure


def failures_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say how soon the trials diverged."""
    return spread_text(divergences(record), texts)
