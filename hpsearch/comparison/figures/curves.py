"""Learning curves of GD, a mini-batch and SGD: the same runs side by side by updates, epochs and seconds.

Which is faster depends on what is counted, so one look has all three. Each curve is named at its end; on the target's line stands what
reaching it cost, the median over seeds with its interval.
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from itertools import chain
from math import isfinite, log10
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.standings import compared_sizes, leaders, standings
from hpsearch.comparison.analysis.times import ENOUGH, ArmTimes, Curve, curve, optimizers, times
from hpsearch.comparison.figures.appearance import (
    arm_name,
    metric_name,
    of_optimizer,
    optimizer_name,
    regime_color,
    short_name,
    significant,
    sizes_of,
    target_text,
)
from hpsearch.comparison.figures.figure import (
    ComparisonFigure,
    Panel,
    Rows,
    axis_suffix,
    interval_bars,
    panel_plot,
    power_axis,
)
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, log_axis, rounded, value_axis
from hpsearch.reporting.formatting import MetricFormat, number, sentence
from hpsearch.reporting.regimes import regime_of
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

UNITS = {"updates": "steps", "epochs": "epochs", "seconds": "seconds"}  # axes of a curve → units of costs
POINTS = 90  # of a curve, evenly in the logarithm of the updates
RISEN = 1.1  # times its lowest: a loss that ends there rose again
COLUMN = {"curves": "metric", "loss_curves": "validation_loss"}
SYMBOLS = {"one": ("circle", "●"), "some": ("square", "■"), "full": ("diamond", "◆")}  # of a mark, in its label
WIDTH = 300  # pixels of a panel, by which labels are placed
LETTER = 9.5  # pixels of a label's letter and of the gap between labels, on a slide, whose letters are larger than the page's
LINE = 16  # pixels of a label's height
ROOM = 0.3  # of the curves' height, beyond their ends: for the labels


def figure(name: str, description: str) -> ComparisonFigure:
    """Return the figure of one kind of curves."""
    return ComparisonFigure(name, description, partial(_draw, name), partial(_read, name), partial(_numbers, name))


def _shown_curves(name: str, record: ComparisonRecord) -> list[Curve]:
    """Return the curves of the compared batch sizes of the first optimizer, the smallest first; all arms' before any was timed."""
    first = next(iter(optimizers(record)), "")
    sizes = compared_sizes(record)
    arms = [arm for arm in of_optimizer(record.arms, first) if arm.batch_size in sizes or not sizes]
    found = [curve(record, arm, COLUMN[name]) for arm in arms]
    return sorted((one for one in found if one is not None), key=lambda one: one.batch_size)


def _draw(name: str, record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw a panel for each unit; None for fewer than two arms."""
    curves = _shown_curves(name, record)
    if len(curves) < 2:
        return None
    units = [unit for unit in UNITS if all(one.axis(unit)[-1] > 0 for one in curves)]  # nothing may have been timed
    vertical = _vertical_axis(name, record, curves, texts)
    panels = [_panel(name, unit, curves, vertical, record, texts) for unit in units]
    drawn = panel_plot(400, panels, _note(name, record, texts), more=texts("figure.curves.more"))
    labels = [label for place, unit in enumerate(units) for label in _labels(name, curves, unit, place, record, texts)]
    return drawn.update_layout(annotations=labels, showlegend=False)


def _panel(
    name: str, unit: str, curves: list[Curve], vertical: dict[str, Any], record: ComparisonRecord, texts: Texts
) -> Panel:
    horizontal = power_axis(f"<b>{texts(f'figure.curves.{unit}_axis')}</b>", range=list(_ends(unit, curves)))
    traces = list(chain.from_iterable(_traces(one, unit, record, texts) for one in curves))
    if name == "curves" and record.target is not None:
        traces += _target_traces(unit, curves, record, texts)
    return Panel(traces, horizontal, vertical)


def _ends(unit: str, curves: list[Curve]) -> tuple[float, float]:
    """Return the ends of a horizontal axis, as logarithms."""
    first = min(one.axis(unit)[0] for one in curves)
    last = max(one.axis(unit)[-1] for one in curves)
    return log10(first), log10(last) + 0.03 * log10(last / first)


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


def _traces(one: Curve, unit: str, record: ComparisonRecord, texts: Texts) -> list[go.Scatter]:
    color = regime_color(one.batch_size, record.rows)
    name = arm_name(one, record, texts)
    x, y = map(rounded, _band(one, unit))
    outline = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    band = go.Scatter(x=x, y=y, fill="toself", fillcolor=color, opacity=0.2, name=name, **outline)
    x, y = map(rounded, _median(one, unit))
    line = go.Scatter(x=x, y=y, mode="lines", name=name, line={"color": color, "width": 2.5})
    line.update(hovertemplate=texts("figure.curves.hover", name=name, x="%{x:.4~g}", y="%{y:.4~g}") + "<extra></extra>")
    return [band, line]


def _target_traces(unit: str, curves: list[Curve], record: ComparisonRecord, texts: Texts) -> list[go.Scatter]:
    """Return the target's line, and on it what each batch size needed, with the interval."""
    assert record.target is not None, "asked only where there is a target"
    ends = [10**end for end in _ends(unit, curves)]
    line = {"color": LIGHT["edge"], "width": 1.5, "dash": "dot"}
    traces = [go.Scatter(x=rounded(ends), y=[record.target] * 2, mode="lines", line=line, hoverinfo="skip")]
    arms = [arm for arm in of_optimizer(times(record), curves[0].optimizer) if arm.batch_size in sizes_of(curves)]
    for arm in arms:
        cost = arm.costs.get(UNITS[unit])
        if cost and isfinite(cost.median.value):
            traces.append(_need(arm, cost.median, ends, record, texts))
    return traces


def _need(arm: ArmTimes, need: Estimate, ends: Sequence[float], record: ComparisonRecord, texts: Texts) -> go.Scatter:
    color = regime_color(arm.batch_size, record.rows)
    symbol, _ = SYMBOLS[regime_of(arm.batch_size, record.rows)]
    name = arm_name(arm, record, texts)
    x = "–".join(significant(end) for end in (need.low, need.high))
    inside = Estimate(need.value, max(need.low, ends[0]), min(need.high, ends[1]))
    return go.Scatter(
        x=rounded([need.value]),
        y=[record.target],
        mode="markers",
        name=name,
        marker={"color": color, "symbol": symbol, "size": 11, "line": {"color": LIGHT["surface"], "width": 1.5}},
        error_x=interval_bars([inside], color, thickness=2.5, width=0),
        hovertemplate=texts("figure.curves.need", name=name, value=significant(need.value), interval=x)
        + "<extra></extra>",
    )


def _vertical_axis(name: str, record: ComparisonRecord, curves: list[Curve], texts: Texts) -> dict[str, Any]:
    """Return the vertical axis, with room for the labels beyond the ends of the curves."""
    if name == "loss_curves":
        ends = chain.from_iterable((*one.low, *one.high) for one in curves)
        losses = [value for value in ends if isfinite(value) and value > 0]
        low, high = log10(min(losses)), log10(max(losses))
        return log_axis(min(losses), max(losses), range=[low - 0.04 * (high - low), high + ROOM * (high - low)])
    values = [value for value in chain.from_iterable(one.median for one in curves) if isfinite(value)]
    values += [record.target] if record.target is not None else []
    low, high = min(values), max(values)
    height = (high - low) or 0.01
    room = {"maximize": (0.04, ROOM), "minimize": (ROOM, 0.04)}[record.direction]
    limits = (low - room[0] * height, high + room[1] * height)
    return value_axis(MetricFormat.of(record, texts), limits) | {"range": list(limits)}


def _labels(
    name: str, curves: list[Curve], unit: str, place: int, record: ComparisonRecord, texts: Texts
) -> list[dict[str, Any]]:
    """Return the names of the curves beyond their ends, above each other where they would touch."""
    suffix = axis_suffix(place)
    low, high = _ends(unit, curves)
    below = name == "curves" and record.direction == "minimize"
    taken: list[tuple[int, float, float]] = []
    labels = []
    for one in curves:
        x, y = _median(one, unit)
        if not x:
            continue
        symbol = SYMBOLS[regime_of(one.batch_size, record.rows)][1]
        text = f"{symbol} {short_name(one, record, texts)}"
        right = WIDTH * (log10(x[-1]) - low) / (high - low)
        length = LETTER * (len(text) + 1)  # the symbol is wide
        left = right - length
        is_beside = right < length / 2  # the curve ends too near the panel's left edge for a name before its end
        if is_beside:
            left, right = right, right + length
        level = 0
        while any(level == other and left < end and start < right for other, start, end in taken):
            level += 1
        taken.append((level, left - LETTER, right + LETTER))
        shift = 14 + LINE * level
        labels.append(
            {
                "x": log10(x[-1]),
                "y": log10(y[-1]) if name == "loss_curves" else y[-1],
                "xref": f"x{suffix}",
                "yref": f"y{suffix}",
                "text": text,
                "font": {"color": regime_color(one.batch_size, record.rows), "size": 13},
                "showarrow": False,
                "xanchor": "left" if is_beside else "right",
                "yshift": -shift if below else shift,
            }
        )
    return labels


def _note(name: str, record: ComparisonRecord, texts: Texts) -> str:
    y = texts("figure.curves.y", metric=metric_name(record, texts))
    notes = [texts("figure.curves.note", y=sentence(y if name == "curves" else texts("figure.loss_curves.y")))]
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
    return first_to_target(record, texts)


def first_to_target(record: ComparisonRecord, texts: Texts) -> str:
    """Say who reaches the target first in each unit, as far as the intervals can tell."""
    by_unit = {unit: found for unit, found in standings(record) if unit in UNITS.values()}
    sizes = compared_sizes(record)
    arms = [arm for arm in of_optimizer(times(record), next(iter(optimizers(record)), "")) if arm.batch_size in sizes]
    if record.target is None or not by_unit:
        return texts("figure.curves.running")
    if all(arm.reached <= arm.runs / 2 for arm in arms):
        return texts("reading.unreached", target=target_text(record, texts))
    if min(arm.runs for arm in arms) < ENOUGH:
        return texts("reading.few", seeds=number(ENOUGH))
    names = {arm.batch_size: short_name(arm, record, texts) for arm in arms}
    firsts = {unit: [names[size] for size in leaders(found)] for unit, found in by_unit.items()}
    answers = {unit: _first(found, len(names), texts) for unit, found in firsts.items()}
    target = target_text(record, texts)
    if len(set(answers.values())) == 1 and len(answers) == len(UNITS):
        return texts("figure.curves.same", target=target, steps=answers["steps"])
    key = "differ" if "seconds" in answers else "untimed"
    return texts(f"figure.curves.{key}", target=target, **answers)


def _first(names: Sequence[str], compared: int, texts: Texts) -> str:
    """Return who is first: one, or those that cannot be told apart."""
    if len(names) == compared:
        return texts("figure.curves.no_first")
    if len(names) == 1:
        return names[0]
    return texts("figure.curves.level", names=texts.listing(names))


def _loss_sentence(one: Curve, record: ComparisonRecord, texts: Texts) -> str:
    lowest = min(one.median)
    last = one.median[-1]
    epochs = one.epochs[one.median.index(lowest)]
    if not isfinite(lowest):
        key = "diverged"
    elif last == lowest:
        key = "ends_lowest"
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
