"""Learning curves of three regimes (SGD, the quickest mini-batch, gradient descent): the same runs by updates, epochs and seconds.

The page switches the horizontal axis, since the answer to "which is faster?" changes with it.
"""

from functools import partial
from math import isfinite
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.curves import Curve, curve
from hpsearch.comparison.analysis.times import ENOUGH, ArmTimes, optimizers, regimes, times
from hpsearch.comparison.analysis.times import UNITS as COSTS
from hpsearch.comparison.figures.look import (
    arm_name,
    metric_name,
    optimizer_name,
    power_axis,
    regime_color,
    target_text,
)
from hpsearch.comparison.figures.row import ComparedFigure, Rows
from hpsearch.reporting.figures.style import LIGHT, blank, log_axis, rounded, value_axis
from hpsearch.reporting.formatting import MetricFormat, number
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

UNITS = ("updates", "epochs", "seconds")
POINTS = 90  # of a curve, evenly in the logarithm of the updates
RISEN = 1.1  # times its lowest: a loss that ends there rose again
COLUMN = {"curves": "metric", "loss_curves": "validation_loss"}


def shown(name: str, record: ComparisonRecord) -> list[Curve]:
    """Return the curves of the first optimizer's regimes; of all its arms where there are fewer than three."""
    first = next(iter(optimizers(record)), "")
    sizes = regimes(record, first)
    arms = [arm for arm in record.arms if arm.optimizer == first and (sizes is None or arm.batch_size in sizes)]
    found = [curve(record, arm, COLUMN[name]) for arm in arms[:3]]
    return [one for one in found if one is not None]


def draw(name: str, record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the medians and their bands; None for fewer than two arms."""
    curves = shown(name, record)
    if len(curves) < 2:
        return None
    figure, units = blank(430), [unit for unit in UNITS if all(getattr(one, unit)[-1] > 0 for one in curves)]
    switch: list[dict[str, Any]] = [
        {"label": texts(f"figure.curves.{u}"), "title": texts(f"figure.curves.{u}_axis"), "x": [], "y": []}
        for u in units
    ]
    for one in curves:
        kept = _kept(one)
        figure.add_traces(_traces(one, record, texts))
        for unit, option in zip(units, switch, strict=True):
            x, y = _drawn(one, unit, kept)
            option["x"] += [rounded(part) for part in x]
            option["y"] += [rounded(part) for part in y]
    for trace, x, y in zip(figure.data, switch[0]["x"], switch[0]["y"], strict=True):
        trace.update(x=x, y=y)
    figure.update_xaxes(power_axis(switch[0]["title"]))
    figure.update_yaxes(_upright(name, record, curves, texts))
    _target(name, figure, record)
    return figure.update_layout(meta={"switch": switch, "note": _note(name, record, texts)})


def _kept(one: Curve) -> list[int]:
    """Return the evaluations that are drawn: all of a few, else evenly in the logarithm of the updates."""
    last = one.updates[-1]
    marks = [last ** (i / (POINTS - 1)) for i in range(POINTS)]
    chosen = {max((i for i, update in enumerate(one.updates) if update <= mark), default=0) for mark in marks}
    return sorted(chosen)


def _traces(one: Curve, record: ComparisonRecord, texts: Texts) -> list[go.Scatter]:
    color, name = regime_color(one.batch_size, record.rows), arm_name(one.optimizer, one.batch_size, record.rows, texts)
    band = go.Scatter(mode="lines", fill="toself", fillcolor=color, opacity=0.2, line={"width": 0}, hoverinfo="skip")
    line = go.Scatter(mode="lines", name=name, line={"color": color, "width": 2.5})
    line.update(hovertemplate=texts("figure.curves.hover", name=name, x="%{x:.4~g}", y="%{y:.4~g}") + "<extra></extra>")
    return [band.update(name=name, showlegend=False), line]


def _drawn(one: Curve, unit: str, kept: list[int]) -> tuple[list[list[float]], list[list[float]]]:
    """Return horizontal and vertical places of the band, out and back, and of the median."""
    x = [getattr(one, unit)[i] for i in kept]
    low, middle, high = ([values[i] for i in kept] for values in (one.low, one.median, one.high))
    inside = [i for i in range(len(kept)) if isfinite(low[i]) and isfinite(high[i])]
    ahead, back = [x[i] for i in inside], [x[i] for i in reversed(inside)]
    around = [low[i] for i in inside] + [high[i] for i in reversed(inside)]
    there = [i for i in range(len(kept)) if isfinite(middle[i])]
    return [ahead + back, [x[i] for i in there]], [around, [middle[i] for i in there]]


def _upright(name: str, record: ComparisonRecord, curves: list[Curve], texts: Texts) -> dict[str, Any]:
    if name == "loss_curves":
        values = [value for one in curves for value in (*one.low, *one.high) if isfinite(value) and value > 0]
        return log_axis(min(values), max(values), texts("figure.loss_curves.y"))
    metric = MetricFormat.of(record)
    values = [value for one in curves for value in one.median if isfinite(value)]
    low, high = min(values), max(values)
    pad = 0.04 * (high - low) or 0.01
    return value_axis(metric, (low - pad, high + pad), texts("figure.curves.y", metric=metric_name(record, texts)))


def _target(name: str, figure: go.Figure, record: ComparisonRecord) -> None:
    if name == "curves" and record.target is not None:
        line = {"color": LIGHT["edge"], "width": 1.5, "dash": "dot"}
        figure.add_shape(type="line", xref="paper", x0=0, x1=1, y0=record.target, y1=record.target, line=line)


def _note(name: str, record: ComparisonRecord, texts: Texts) -> str:
    notes = [texts("figure.curves.note")]
    if name == "curves" and record.target is not None:
        notes.append(texts("figure.curves.note_target", target=target_text(record, texts)))
    if len(optimizers(record)) > 1:
        notes.append(texts("figure.curves.note_optimizer", optimizer=optimizer_name(optimizers(record)[0])))
    return " ".join(notes)


def reading(name: str, record: ComparisonRecord, texts: Texts) -> str:
    """Say which of the three reaches the target first in each unit; of the loss, how low it fell and where it ended."""
    curves = shown(name, record)
    if len(curves) < 2:
        return texts("reading.nothing")
    if name == "loss_curves":
        return " ".join(_losses(one, record, texts) for one in curves)
    sizes = {one.batch_size for one in curves}
    arms = [arm for arm in times(record) if arm.optimizer == curves[0].optimizer and arm.batch_size in sizes]
    if all(not isfinite(arm.costs["steps"].median.value) for arm in arms):
        return texts("reading.unreached", target=target_text(record, texts))
    if min(one.runs for one in curves) < ENOUGH:
        return texts("reading.few", seeds=number(ENOUGH))
    return _firsts(arms, record, texts)


def _firsts(arms: list[ArmTimes], record: ComparisonRecord, texts: Texts) -> str:
    units = [unit for unit in COSTS if all(unit in arm.costs for arm in arms)]
    first = {unit: min(arms, key=lambda arm: arm.costs[unit].median.value) for unit in units}
    names = {unit: arm_name(arm.optimizer, arm.batch_size, record.rows, texts) for unit, arm in first.items()}
    key = "untimed" if "seconds" not in names else "same" if len(set(names.values())) == 1 else "differ"
    return texts(f"figure.curves.{key}", target=target_text(record, texts), **names)


def _losses(one: Curve, record: ComparisonRecord, texts: Texts) -> str:
    low = min(one.median)
    at = one.epochs[one.median.index(low)]
    rising = isfinite(low) and one.median[-1] > RISEN * low
    key = "rises" if rising else "diverged" if not isfinite(low) else "falls"
    values = {"lowest": number(float(low)), "epochs": number(float(f"{at:.3g}")), "last": number(float(one.median[-1]))}
    return texts(
        f"figure.loss_curves.{key}", name=arm_name(one.optimizer, one.batch_size, record.rows, texts), **values
    )


def numbers(name: str, record: ComparisonRecord) -> Rows:
    """Return a row for each evaluation that is drawn."""
    return [
        {
            "batch_size": one.batch_size,
            "updates": one.updates[i],
            "epochs": one.epochs[i],
            "seconds": one.seconds[i],
            COLUMN[name]: one.median[i],
            "quarter": one.low[i],
            "three_quarters": one.high[i],
        }
        for one in shown(name, record)
        for i in _kept(one)
    ]


ROWS = tuple(
    ComparedFigure(name, partial(draw, name), partial(reading, name), partial(numbers, name)) for name in COLUMN
)
