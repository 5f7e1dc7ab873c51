"""The map of tuning: each trial at its learning rate and batch size, with what became of it.

The page switches between the learning rate itself and the rate per row of a batch, since "the stable range shrinks with the batch size"
(Masters & Luschi 2018) is said of the second, and need not hold of the first.
"""

from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import optimizers
from hpsearch.comparison.analysis.tuning import ArmRates, RateTrial, WorkingRange, rates
from hpsearch.comparison.figures.appearance import (
    arm_name,
    bounds_text,
    for_each_optimizer,
    metric_name,
    of_optimizer,
    optimizer_name,
    significant,
    sizes_of,
    target_text,
)
from hpsearch.comparison.figures.figure import (
    Mark,
    Rows,
    axis_suffix,
    batch_axis,
    in_panel,
    list_once,
    mark_trace,
    plain_trace,
    power_axis,
)
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, blank, rounded
from hpsearch.reporting.formatting import MetricFormat, number
from hpsearch.statistics.tuning import RateClass
from hpsearch.storage import ComparisonRecord

STYLES = {  # colour and symbol
    RateClass.REACHED: ("full", "circle"),
    RateClass.LATE: ("smallest", "circle"),
    RateClass.NEVER: ("pruned", "circle-open"),
    RateClass.DIVERGED: ("diverged", "x"),
}
PANEL = 330  # pixels of height
MOST_SIZES = 17  # batch sizes to which the figure's height grows


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the map, a panel for each optimizer; None for fewer than two arms."""
    arms = rates(record)
    if len(arms) < 2:
        return None
    groups = {name: of_optimizer(arms, name) for name in optimizers(record)}
    groups = {name: group for name, group in groups.items() if group}
    sizes = sizes_of(arms)
    figure = blank(130 + 34 * min(len(sizes), MOST_SIZES) + 40)
    traces = []
    for panel, (name, group) in enumerate(groups.items()):
        traces += [in_panel(trace, panel) for trace in _traces(group, record, texts)]
        title = texts("axis.learning_rate")
        if len(groups) > 1:
            title = f"<b>{optimizer_name(name)}</b>, {title}"
        suffix = axis_suffix(panel)
        horizontal = power_axis(title, anchor=f"y{suffix}")
        vertical = batch_axis(sizes, texts("axis.batch_size_short"), record, texts, " ", anchor=f"x{suffix}")
        figure.update_layout({f"xaxis{suffix}": horizontal, f"yaxis{suffix}": vertical})
    figure.add_traces(list_once(traces))
    meta: dict[str, Any] = {
        "note": texts("figure.rates.note", target=target_text(record, texts)),
        "more": texts("figure.rates.more"),
    }
    if len(groups) > 1:
        meta |= {"panels": len(groups), "panel": PANEL}
    else:
        meta |= {"switch": _switch(list(figure.data), texts)}
    return figure.update_layout(meta=meta)


def _traces(arms: list[ArmRates], record: ComparisonRecord, texts: Texts) -> list[go.Scatter]:
    traces = [_working_ranges(arms, texts)]
    for rate_class, (color, symbol) in STYLES.items():
        marks: list[Mark] = []
        for arm in arms:
            trials = [trial for trial in arm.trials if trial.rate_class is rate_class]
            marks += [Mark(trial.learning_rate, arm.batch_size, _hover(arm, trial, record, texts)) for trial in trials]
        if marks:
            marker = {"color": LIGHT[color], "symbol": symbol, "size": 8}
            trace = mark_trace(marks, marker=marker, name=texts(f"figure.rates.{rate_class}"))
            traces.append(trace.update(x=rounded(list(trace.x))))
    tuned = [arm for arm in arms if arm.tuned is not None]
    inside = [arm for arm in tuned if not arm.edge]
    at_edge = [arm for arm in tuned if arm.edge]
    if inside:
        traces.append(_rings(inside, "circle-open", LIGHT["ink"], texts("figure.rates.tuned")))
    if at_edge:
        traces.append(_rings(at_edge, "square-open", LIGHT["first"], texts("figure.rates.tuned_edge")))
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
    return plain_trace(rounded(x), y, line=line, name=texts("figure.rates.working"))


def _hover(arm: ArmRates, trial: RateTrial, record: ComparisonRecord, texts: Texts) -> str:
    return texts(
        "figure.rates.hover",
        name=arm_name(arm, record, texts),
        trial=number(trial.number),
        rate=significant(trial.learning_rate),
        per_row=significant(trial.learning_rate / arm.batch_size),
        outcome=texts(f"figure.rates.{trial.rate_class}"),
        steps=number(trial.steps),
        metric=metric_name(record, texts),
        value=MetricFormat.of(record, texts).text(trial.value),
    )


def _rings(arms: list[ArmRates], symbol: str, color: str, name: str) -> go.Scatter:
    """Return rings around the tuned rates."""
    marker = {"color": color, "symbol": symbol, "size": 15, "line": {"width": 2, "color": color}}
    x = rounded([arm.tuned for arm in arms])
    return plain_trace(x, [arm.batch_size for arm in arms], mode="markers", name=name, marker=marker)


def _switch(traces: list[go.Scatter], texts: Texts) -> list[dict[str, Any]]:
    """Return the horizontal axes: the learning rate, and the rate divided by the batch size."""
    sizes = [list(trace.y) for trace in traces]
    plain = [list(trace.x) for trace in traces]
    per_row = list(map(_per_row, plain, sizes))
    return [
        {"label": texts("figure.rates.rate"), "title": texts("axis.learning_rate"), "x": plain, "y": sizes},
        {"label": texts("figure.rates.per_row"), "title": texts("axis.per_row"), "x": per_row, "y": sizes},
    ]


def _per_row(rates_: list[float | None], sizes: list[int]) -> list[float | None]:
    """Return each learning rate divided by its batch size; gaps in a line stay gaps."""
    return rounded([rate and rate / size for rate, size in zip(rates_, sizes, strict=True)])


def read(record: ComparisonRecord, texts: Texts) -> str:
    """Say for each optimizer how the range that works changes with the batch size, in both units, and name the edges."""
    arms = rates(record)
    if len(arms) < 2:
        return texts("reading.nothing")
    return for_each_optimizer(record, texts, lambda name: _sentences(of_optimizer(arms, name), record, texts))


def _sentences(arms: list[ArmRates], record: ComparisonRecord, texts: Texts) -> str:
    known = [arm for arm in arms if arm.working]
    if len(known) < 2:
        return texts("reading.unreached", target=target_text(record, texts))
    parts = [_widths(known[0], known[-1], record, texts), _tuned(known, texts)]
    edges = [arm_name(arm, record, texts) for arm in arms if arm.tuned and arm.edge]
    if edges:
        parts.append(texts("figure.rates.edges", names=", ".join(edges)))
    else:
        parts.append(texts("figure.rates.inside"))
    return " ".join(filter(None, parts))


def _widths(first: ArmRates, last: ArmRates, record: ComparisonRecord, texts: Texts) -> str:
    """Compare the ranges that work at the smallest and the largest batch size, where the bounds of their widths allow it.

    A width in octaves is the same in both units.
    """
    values: dict[str, str] = {}
    octaves = []
    for end, arm in (("first", first), ("last", last)):
        assert arm.working is not None, "only arms that reached the target are compared"
        octaves.append(arm.working.octaves)
        values[end] = arm_name(arm, record, texts)
        values[f"{end}_octaves"] = bounds_text(arm.working.octaves, texts)
        values[f"{end}_range"] = _range(arm.working, texts)
        values[f"{end}_row"] = significant(arm.working.highest / arm.batch_size, 2)
    key = "alike"
    if octaves[0].high < octaves[1].low:
        key = "wider"
    elif octaves[1].high < octaves[0].low:
        key = "narrower"
    return texts(f"figure.rates.{key}", **values)


def _range(working: WorkingRange, texts: Texts) -> str:
    low, high = significant(working.lowest, 2), significant(working.highest, 2)
    if low == high:
        return texts("range.alone", value=low)
    return texts("range.between", low=low, high=high)


def _tuned(arms: list[ArmRates], texts: Texts) -> str:
    """Say how far the tuned rate moves, against the batch size."""
    tuned = [(arm.batch_size, arm.tuned) for arm in arms if arm.tuned]
    if len(tuned) < 2:
        return ""
    smallest, first = tuned[0]
    largest, last = tuned[-1]
    ratios = {"ratio": significant(last / first, 2), "sizes": significant(largest / smallest)}
    return texts(f"figure.rates.{'unmoved' if ratios['ratio'] == '1' else 'moved'}", **ratios)


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
        "working_octaves": arm.working.octaves.low if arm.working else None,
        "working_octaves_most": arm.working.octaves.high if arm.working else None,
        "highest_stable": arm.stable.highest if arm.stable else None,
        "stable_octaves": arm.stable.octaves if arm.stable else None,
        "edge": arm.edge or "",
    }
