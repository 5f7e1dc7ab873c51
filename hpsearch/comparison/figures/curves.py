"""Learning curves of three regimes (SGD, a mini-batch, gradient descent): the same runs by updates, epochs and seconds.

The page switches the horizontal axis, since the answer to "which is faster?" changes with it.
"""

from bisect import bisect_right
from functools import partial
from itertools import chain
from math import isfinite
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import ENOUGH, ArmTimes, Curve, curve, optimizers, regimes, times
from hpsearch.comparison.analysis.times import UNITS as COSTS
from hpsearch.comparison.figures.appearance import (
    arm_name,
    metric_name,
    of_optimizer,
    optimizer_name,
    regime_color,
    significant,
    sizes_of,
    target_text,
)
from hpsearch.comparison.figures.figure import ComparisonFigure, Rows, plot, power_axis
from hpsearch.reporting.figures.style import LIGHT, log_axis, rounded, value_axis
from hpsearch.reporting.formatting import MetricFormat, number
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

UNITS = ("updates", "epochs", "seconds")
POINTS = 90  # of a curve, evenly in the logarithm of the updates
MOST_CURVES = 3
RISEN = 1.1  # times its lowest: a loss that ends there rose again
COLUMN = {"curves": "metric", "loss_curves": "validation_loss"}


def figure(name: str, description: str) -> ComparisonFigure:
    """Return the figure of one kind of curves."""
    return ComparisonFigure(name, description, partial(_draw, name), partial(_read, name), partial(_numbers, name))


def _shown_curves(name: str, record: ComparisonRecord) -> list[Curve]:
    """Return the curves of the first optimizer's regimes; of all its arms where there are fewer than three."""
    first = next(iter(optimizers(record)), "")
    arms = of_optimizer(record.arms, first)
    sizes = regimes(record, first)
    if sizes is not None:
        arms = [arm for arm in arms if arm.batch_size in sizes]
    found = [curve(record, arm, COLUMN[name]) for arm in arms[:MOST_CURVES]]
    return [one for one in found if one is not None]


def _draw(name: str, record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the medians and their bands; None for fewer than two arms."""
    curves = _shown_curves(name, record)
    if len(curves) < 2:
        return None
    switch = [_option(unit, curves, texts) for unit in UNITS if _known(unit, curves)]
    first = switch[0]
    traces = chain.from_iterable(_traces(one, record, texts) for one in curves)
    figure = plot(430, traces, power_axis(first["title"]), _vertical_axis(name, record, curves, texts))
    for trace, x, y in zip(figure.data, first["x"], first["y"], strict=True):
        trace.update(x=x, y=y)
    if name == "curves" and record.target is not None:
        line = {"color": LIGHT["edge"], "width": 1.5, "dash": "dot"}
        figure.add_shape(type="line", xref="paper", x0=0, x1=1, y0=record.target, y1=record.target, line=line)
    return figure.update_layout(meta={"switch": switch, "note": _note(name, record, texts)})


def _known(unit: str, curves: list[Curve]) -> bool:
    """Whether all curves have an axis in a unit: there are no seconds where none were timed."""
    return all(one.axis(unit)[-1] > 0 for one in curves)


def _option(unit: str, curves: list[Curve], texts: Texts) -> dict[str, Any]:
    """Return a horizontal axis to switch to: its label and title, and x and y of each band and median."""
    x: list[list[float]] = []
    y: list[list[float]] = []
    for one in curves:
        for across, heights in (_band(one, unit), _median(one, unit)):
            x.append(rounded(across))
            y.append(rounded(heights))
    return {"label": texts(f"figure.curves.{unit}"), "title": texts(f"figure.curves.{unit}_axis"), "x": x, "y": y}


def _shown_evaluations(one: Curve) -> list[int]:
    """Return the evaluations that are drawn: all of a few, else evenly in the logarithm of the updates."""
    last = one.updates[-1]
    marks = [last ** (i / (POINTS - 1)) for i in range(POINTS)]
    return sorted({max(0, bisect_right(one.updates, mark) - 1) for mark in marks})


def _band(one: Curve, unit: str) -> tuple[list[float], list[float]]:
    """Return x and y of the band's outline: the lower ends forth, the upper ends back, where both are finite."""
    axis = one.axis(unit)
    x = []
    low = []
    high = []
    for i in _shown_evaluations(one):
        if isfinite(one.low[i]) and isfinite(one.high[i]):
            x.append(axis[i])
            low.append(one.low[i])
            high.append(one.high[i])
    return x + x[::-1], low + high[::-1]


def _median(one: Curve, unit: str) -> tuple[list[float], list[float]]:
    axis = one.axis(unit)
    shown = [i for i in _shown_evaluations(one) if isfinite(one.median[i])]
    return [axis[i] for i in shown], [one.median[i] for i in shown]


def _traces(one: Curve, record: ComparisonRecord, texts: Texts) -> list[go.Scatter]:
    color = regime_color(one.batch_size, record.rows)
    name = arm_name(one, record, texts)
    band = go.Scatter(mode="lines", fill="toself", fillcolor=color, opacity=0.2, line={"width": 0}, hoverinfo="skip")
    line = go.Scatter(mode="lines", name=name, line={"color": color, "width": 2.5})
    line.update(hovertemplate=texts("figure.curves.hover", name=name, x="%{x:.4~g}", y="%{y:.4~g}") + "<extra></extra>")
    return [band.update(name=name, showlegend=False), line]


def _vertical_axis(name: str, record: ComparisonRecord, curves: list[Curve], texts: Texts) -> dict[str, Any]:
    if name == "loss_curves":
        ends = chain.from_iterable((*one.low, *one.high) for one in curves)
        losses = [value for value in ends if isfinite(value) and value > 0]
        return log_axis(min(losses), max(losses), texts("figure.loss_curves.y"))
    values = [value for value in chain.from_iterable(one.median for one in curves) if isfinite(value)]
    low = min(values)
    high = max(values)
    pad = 0.04 * (high - low) or 0.01
    title = texts("figure.curves.y", metric=metric_name(record, texts))
    return value_axis(MetricFormat.of(record, texts), (low - pad, high + pad), title)


def _note(name: str, record: ComparisonRecord, texts: Texts) -> str:
    notes = [texts("figure.curves.note")]
    if name == "curves" and record.target is not None:
        notes.append(texts("figure.curves.note_target", target=target_text(record, texts)))
    if len(optimizers(record)) > 1:
        notes.append(texts("figure.curves.note_optimizer", optimizer=optimizer_name(optimizers(record)[0])))
    return " ".join(notes)


def _read(name: str, record: ComparisonRecord, texts: Texts) -> str:
    """Say which of the three reaches the target first in each unit; of the loss, how low it fell and where it ended."""
    curves = _shown_curves(name, record)
    if len(curves) < 2:
        return texts("reading.nothing")
    if name == "loss_curves":
        return " ".join(_loss_sentence(one, record, texts) for one in curves)
    sizes = sizes_of(curves)
    arms = [arm for arm in of_optimizer(times(record), curves[0].optimizer) if arm.batch_size in sizes]
    if all(not isfinite(arm.costs["steps"].median.value) for arm in arms):
        return texts("reading.unreached", target=target_text(record, texts))
    if min(one.runs for one in curves) < ENOUGH:
        return texts("reading.few", seeds=number(ENOUGH))
    return _first_to_target(arms, record, texts)


def _first_to_target(arms: list[ArmTimes], record: ComparisonRecord, texts: Texts) -> str:
    names = {}
    for unit in COSTS:
        if all(unit in arm.costs for arm in arms):
            costs = [arm.costs[unit].median.value for arm in arms]
            names[unit] = arm_name(arms[costs.index(min(costs))], record, texts)
    if "seconds" not in names:
        key = "untimed"
    else:
        same = len(set(names.values())) == 1
        key = "same" if same else "differ"
    return texts(f"figure.curves.{key}", target=target_text(record, texts), **names)


def _loss_sentence(one: Curve, record: ComparisonRecord, texts: Texts) -> str:
    lowest = min(one.median)
    last = one.median[-1]
    epochs = one.epochs[one.median.index(lowest)]
    if not isfinite(lowest):
        key = "diverged"
    else:
        key = "rises" if last > RISEN * lowest else "falls"
    values = {"lowest": number(float(lowest)), "epochs": significant(epochs), "last": number(float(last))}
    return texts(f"figure.loss_curves.{key}", name=arm_name(one, record, texts), **values)


def _numbers(name: str, record: ComparisonRecord) -> Rows:
    """Return a row for each evaluation that is drawn."""
    rows = []
    for one in _shown_curves(name, record):
        rows += [_row(one, i, COLUMN[name]) for i in _shown_evaluations(one)]
    return rows


def _row(one: Curve, evaluation: int, column: str) -> dict[str, object]:
    return {
        "batch_size": one.batch_size,
        "updates": one.updates[evaluation],
        "epochs": one.epochs[evaluation],
        "seconds": one.seconds[evaluation],
        column: one.median[evaluation],
        "quarter": one.low[evaluation],
        "three_quarters": one.high[evaluation],
    }
