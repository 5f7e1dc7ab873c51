"""The regimes that a search sampled: their learning curves, what the numbers do not say, and the command that compares them fairly."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting import pieces
from hpsearch.reporting.figures.curves import budget_axis
from hpsearch.reporting.figures.style import LIGHT, blank, hover, label, rounded, value_axis, within
from hpsearch.reporting.formatting import MetricFormat
from hpsearch.reporting.headline import compare_command
from hpsearch.reporting.regimes import regime_name, sampled
from hpsearch.reporting.regimes import regimes as regimes_of
from hpsearch.reporting.tables import Frames
from hpsearch.reporting.tables.regimes import REGIMES
from hpsearch.reporting.tables.writing import cells
from hpsearch.storage import StudyRecord, TrialRecord

FEW = 3  # usable trials that a median curve needs
LATE = 0.2  # of the budget; what comes before may lie off the scale


def applies(record: StudyRecord) -> bool:
    """Whether the study's trials have batch sizes."""
    return bool(regimes_of(record))


def regimes(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw the median learning curve of each regime's usable trials over the share of the budget."""
    curves = {}
    for one in sampled(record):
        curve = _median_curve(one.usable)
        if curve is not None:
            curves[one.regime] = (curve, regime_name(one, texts))
    if len(curves) < 2:
        return None
    metric = MetricFormat.of(record, texts)
    last = max(float(curve.index.max()) for curve, _ in curves.values())
    figure = blank(380)
    for regime, (curve, name) in curves.items():
        x = rounded((curve.index.to_numpy(float) / last).tolist())
        line = {"color": LIGHT[regime], "width": 2.5}
        shown = [f"<b>{label(name)}</b><br>{metric.text(value)}" for value in curve]
        figure.add_trace(go.Scatter(x=x, y=rounded(curve.tolist()), mode="lines", name=name, line=line, **hover(shown)))
    late = pd.concat([curve[curve.index >= LATE * last] for curve, _ in curves.values()])
    pad = 0.06 * float(late.max() - late.min()) or 0.01
    ends = within((float(late.min()) - pad, float(late.max()) + pad), metric)
    figure.update_xaxes(budget_axis(texts))
    figure.update_yaxes(value_axis(metric, ends, texts("search.points.validation", metric=label(metric.name))))
    notes = {name: texts(f"search.figure.regimes.{name}") for name in ("note", "more")}
    return figure.update_layout(meta=notes)


def _median_curve(trials: Sequence[TrialRecord]) -> pd.Series | None:
    """Return the median metric by evaluation; a trial that stopped early keeps its last value. None for too few curves."""
    series = {
        trial.number: pd.Series(trial.history.metric, trial.history.evaluation, dtype=float)
        for trial in trials
        if trial.history is not None and len(trial.history) > 1
    }
    if len(series) < FEW:
        return None
    return pd.DataFrame(series).sort_index().ffill().median(axis=1).dropna()


def regimes_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say which regime was sampled alone, or that a search does not tune several alike."""
    found = sampled(record)
    if not found:
        return texts("search.points.two_needed")
    if len(found) == 1:
        return texts("search.figure.regimes.one", regime=regime_name(found[0], texts))
    return texts("search.figure.regimes.several")


def regimes_pieces(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> list[Any]:
    """Return the table of the regimes, and the command that compares them."""
    command = pieces.Command(compare_command(record), texts("search.figure.regimes.compare"))
    table = frames["regimes"]
    if not len(table):
        return [command]
    head = [texts(f"search.regime.head_{column.name}") for column in REGIMES]
    body = cells(table, MetricFormat.of(record, texts))
    names = [regime_name(one, texts) for one in sampled(record)]
    rows = [[name, *row[1:]] for name, row in zip(names, body, strict=True)]
    return [pieces.PageTable(head, rows, head[1:], label=texts("search.figure.regimes.title")), command]
