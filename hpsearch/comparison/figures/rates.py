"""The map of tuning: each trial at its learning rate and batch size, with what became of it.

The page switches between the learning rate itself and the rate per row of a batch, since "the stable range shrinks with the batch size"
(Masters & Luschi 2018) is said of the second, and need not hold of the first.
"""

from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import optimizers
from hpsearch.comparison.analysis.tuning import ArmRates, RateTrial, rates
from hpsearch.comparison.figures.appearance import (
    HOVER,
    arm_name,
    batch_axis,
    for_each_optimizer,
    metric_name,
    optimizer_name,
    power_axis,
    significant,
    target_text,
)
from hpsearch.comparison.figures.figure import Rows, axis_suffix, in_panel
from hpsearch.reporting.figures.style import LIGHT, blank, rounded
from hpsearch.reporting.formatting import MetricFormat, number
from hpsearch.reporting.locales import Texts
from hpsearch.statistics.tuning import RateClass
from hpsearch.storage import ComparisonRecord

COLORS = {
    RateClass.REACHED: "full",
    RateClass.LATE: "smallest",
    RateClass.NEVER: "pruned",
    RateClass.DIVERGED: "diverged",
}
SYMBOLS = {
    RateClass.REACHED: "circle",
    RateClass.LATE: "circle",
    RateClass.NEVER: "circle-open",
    RateClass.DIVERGED: "x",
}
ALIKE = 1.0  # octave; ranges whose widths differ by less are alike
PANEL = 330  # pixels of height
MOST_SIZES = 17  # batch sizes to which the figure's height grows


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the map, a panel for each optimizer; None for fewer than two arms."""
    arms = rates(record)
    if len(arms) < 2:
        return None
    with_trials = {arm.optimizer for arm in arms}
    names = [name for name in optimizers(record) if name in with_trials]
    sizes = [arm.batch_size for arm in arms]
    figure = blank(130 + 34 * min(len(set(sizes)), MOST_SIZES) + 40)
    for panel, name in enumerate(names):
        group = [arm for arm in arms if arm.optimizer == name]
        _add_panel(figure, panel, _panel_traces(group, record, texts))
        title = texts("axis.learning_rate")
        if len(names) > 1:
            title = f"<b>{optimizer_name(name)}</b>, {title}"
        _add_axes(figure, panel, title, sizes, texts)
    meta: dict[str, Any] = {"note": texts("figure.rates.note", target=target_text(record, texts))}
    if len(names) > 1:
        meta |= {"panels": len(names), "panel": PANEL}
    else:
        meta |= {"switch": _switch(list(figure.data), texts)}
    return figure.update_layout(meta=meta)


def _add_panel(figure: go.Figure, panel: int, traces: list[go.Scatter]) -> None:
    """Add a panel's traces; the legend lists each name once."""
    for trace in traces:
        new = all(other.name != trace.name for other in figure.data)
        figure.add_trace(in_panel(trace, panel).update(showlegend=new))


def _add_axes(figure: go.Figure, panel: int, title: str, sizes: list[int], texts: Texts) -> None:
    suffix = axis_suffix(panel)
    horizontal = power_axis(title, anchor=f"y{suffix}")
    vertical = batch_axis(sizes, texts("axis.batch_size_short"), anchor=f"x{suffix}")
    figure.update_layout({f"xaxis{suffix}": horizontal, f"yaxis{suffix}": vertical})


def _panel_traces(arms: list[ArmRates], record: ComparisonRecord, texts: Texts) -> list[go.Scatter]:
    traces = [_working_ranges(arms, texts)]
    for rate_class in RateClass:
        pairs: list[tuple[ArmRates, RateTrial]] = []
        for arm in arms:
            pairs += [(arm, trial) for trial in arm.trials if trial.rate_class is rate_class]
        if pairs:
            traces.append(_dots(rate_class, pairs, record, texts))
    tuned = [arm for arm in arms if arm.tuned is not None]
    inside = [arm for arm in tuned if not arm.edge]
    at_edge = [arm for arm in tuned if arm.edge]
    if inside:
        traces.append(_rings(inside, "circle-open", "ink", texts("figure.rates.tuned")))
    if at_edge:
        traces.append(_rings(at_edge, "square-open", "first", texts("figure.rates.tuned_edge")))
    return traces


def _working_ranges(arms: list[ArmRates], texts: Texts) -> go.Scatter:
    """Return the ranges of rates that reached the target, as broad pale bars."""
    x: list[float | None] = []
    y: list[float | None] = []
    for arm in arms:
        if arm.working:
            x += [arm.working.lowest, arm.working.highest, None]
            y += [arm.batch_size, arm.batch_size, None]
    line = {"color": LIGHT["band"], "width": 16}
    return go.Scatter(x=rounded(x), y=y, mode="lines", line=line, hoverinfo="skip", name=texts("figure.rates.working"))


def _dots(
    rate_class: RateClass, pairs: list[tuple[ArmRates, RateTrial]], record: ComparisonRecord, texts: Texts
) -> go.Scatter:
    return go.Scatter(
        x=rounded([trial.learning_rate for _, trial in pairs]),
        y=[arm.batch_size for arm, _ in pairs],
        mode="markers",
        name=texts(f"figure.rates.{rate_class}"),
        text=[_hover(arm, trial, record, texts) for arm, trial in pairs],
        hovertemplate=HOVER,
        marker={"color": LIGHT[COLORS[rate_class]], "symbol": SYMBOLS[rate_class], "size": 8},
    )


def _hover(arm: ArmRates, trial: RateTrial, record: ComparisonRecord, texts: Texts) -> str:
    return texts(
        "figure.rates.hover",
        name=arm_name(arm.optimizer, arm.batch_size, record.rows, texts),
        trial=number(trial.number),
        rate=significant(trial.learning_rate),
        per_row=significant(trial.learning_rate / arm.batch_size),
        outcome=texts(f"figure.rates.{trial.rate_class}"),
        steps=number(trial.steps),
        metric=metric_name(record, texts),
        value=MetricFormat.of(record).text(trial.value),
    )


def _rings(arms: list[ArmRates], symbol: str, role: str, name: str) -> go.Scatter:
    """Return rings around the tuned rates."""
    color = LIGHT[role]
    return go.Scatter(
        x=rounded([arm.tuned for arm in arms]),
        y=[arm.batch_size for arm in arms],
        mode="markers",
        name=name,
        hoverinfo="skip",
        marker={"color": color, "symbol": symbol, "size": 15, "line": {"width": 2, "color": color}},
    )


def _switch(traces: list[go.Scatter], texts: Texts) -> list[dict[str, Any]]:
    """Return the horizontal axes: the learning rate, and the rate divided by the batch size."""
    sizes = [list(trace.y) for trace in traces]
    plain = [list(trace.x) for trace in traces]
    per_row = [_per_row(*columns) for columns in zip(plain, sizes, strict=True)]
    return [
        {"label": texts("figure.rates.rate"), "title": texts("axis.learning_rate"), "x": plain, "y": sizes},
        {"label": texts("figure.rates.per_row"), "title": texts("axis.per_row"), "x": per_row, "y": sizes},
    ]


def _per_row(rates_: list[float | None], sizes: list[int]) -> list[float | None]:
    """Return each learning rate divided by its batch size; gaps in a line stay gaps."""
    return [rate and rounded([rate / size])[0] for rate, size in zip(rates_, sizes, strict=True)]


def read(record: ComparisonRecord, texts: Texts) -> str:
    """Say for each optimizer how the range that works changes with the batch size, in both units, and name the edges."""
    arms = rates(record)
    if len(arms) < 2:
        return texts("reading.nothing")
    return for_each_optimizer(
        record, texts, lambda name: _sentences([arm for arm in arms if arm.optimizer == name], record, texts)
    )


def _sentences(arms: list[ArmRates], record: ComparisonRecord, texts: Texts) -> str:
    known = [arm for arm in arms if arm.working]
    if len(known) < 2:
        return texts("reading.unreached", target=target_text(record, texts))
    parts = [_widths(known[0], known[-1], record, texts), _tuned(known, texts)]
    edges = [arm_name(arm.optimizer, arm.batch_size, record.rows, texts) for arm in arms if arm.tuned and arm.edge]
    if edges:
        parts.append(texts("figure.rates.edges", names=", ".join(edges)))
    else:
        parts.append(texts("figure.rates.inside"))
    return " ".join(filter(None, parts))


def _widths(first: ArmRates, last: ArmRates, record: ComparisonRecord, texts: Texts) -> str:
    """Compare the ranges that work at the smallest and the largest batch size; a width in octaves is the same in both units."""
    values: dict[str, str] = {}
    octaves = []
    for end, arm in (("first", first), ("last", last)):
        assert arm.working is not None, "only arms that reached the target are compared"
        octaves.append(arm.working.octaves)
        values[end] = arm_name(arm.optimizer, arm.batch_size, record.rows, texts)
        values[f"{end}_octaves"] = f"{arm.working.octaves:.1f}"
        values[f"{end}_low"] = significant(arm.working.lowest, 2)
        values[f"{end}_high"] = significant(arm.working.highest, 2)
        values[f"{end}_row"] = significant(arm.working.highest / arm.batch_size, 2)
    return texts(f"figure.rates.{_change(octaves[1] - octaves[0])}", **values)


def _change(octaves: float) -> str:
    if octaves > ALIKE:
        return "wider"
    return "narrower" if octaves < -ALIKE else "alike"


def _tuned(arms: list[ArmRates], texts: Texts) -> str:
    """Say how far the tuned rate moves, against the batch size."""
    tuned = [(arm.batch_size, arm.tuned) for arm in arms if arm.tuned]
    if len(tuned) < 2:
        return ""
    smallest, first = tuned[0]
    largest, last = tuned[-1]
    ratios = {"ratio": significant(last / first, 2), "sizes": significant(largest / smallest)}
    return texts("figure.rates.moved", **ratios)


def numbers(record: ComparisonRecord) -> Rows:
    """Return a row for each arm: the tuned rate, the range that works, and the highest rate that does not diverge."""
    return [_row(arm) for arm in rates(record)]


def _row(arm: ArmRates) -> dict[str, object]:
    row: dict[str, object] = {
        "optimizer": arm.optimizer,
        "batch_size": arm.batch_size,
        "trials": len(arm.trials),
    }
    classes = [trial.rate_class for trial in arm.trials]
    row |= {str(rate_class): classes.count(rate_class) for rate_class in RateClass}
    return row | {
        "tuned": arm.tuned,
        "tuned_per_row": arm.tuned / arm.batch_size if arm.tuned else None,
        "lowest_working": arm.working.lowest if arm.working else None,
        "highest_working": arm.working.highest if arm.working else None,
        "working_octaves": arm.working.octaves if arm.working else None,
        "highest_stable": arm.stable.highest if arm.stable else None,
        "stable_octaves": arm.stable.octaves if arm.stable else None,
        "edge": arm.edge or "",
    }
