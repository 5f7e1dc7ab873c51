"""Seconds of one update and to the target against batch size, in the engine that trained the runs and in the plain loop of torch.

Both count the same updates, so what differs between the two is the engine alone: a statement about seconds that holds in one only is
a statement about that engine.
"""

from collections.abc import Callable, Iterator, Sequence
from math import inf, isfinite

import plotly.graph_objects as go

from hpsearch.comparison.analysis.contrasts import cost_ratio
from hpsearch.comparison.analysis.least_costs import least_costly
from hpsearch.comparison.analysis.times import ENOUGH, PLAIN, ArmTimes, optimizers, regimes, times
from hpsearch.comparison.figures.appearance import (
    LONGEST_ENGINE,
    arm_name,
    engine_text,
    for_each_optimizer,
    interval,
    interval_text,
    measured_note,
    measured_optimizer,
    of_optimizer,
    regime_color,
    sizes_of,
    target_text,
)
from hpsearch.comparison.figures.figure import (
    Mark,
    Panel,
    Rows,
    batch_axis,
    colors_of,
    interval_bars,
    mark_trace,
    panel_plot,
)
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, label, log_axis
from hpsearch.reporting.formatting import number
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

ENGINES = {"seconds": "circle", PLAIN: "diamond-open"}  # units, with their symbols
ROOM = 1.5  # times, beyond the marks

Pick = Callable[[ArmTimes, str], Estimate | None]  # what a panel shows of an arm in a unit


def _update(arm: ArmTimes, unit: str) -> Estimate | None:
    return arm.update_seconds.get(unit)


def _to_target(arm: ArmTimes, unit: str) -> Estimate | None:
    """Return the seconds to the target, None where the median run never reached it."""
    cost = arm.costs.get(unit)
    if cost is None or not isfinite(cost.median.value):
        return None
    return cost.median


PANELS: dict[str, Pick] = {"update": _update, "target": _to_target}


def _timed(record: ComparisonRecord, optimizer: str) -> list[ArmTimes]:
    return [arm for arm in of_optimizer(times(record), optimizer) if "seconds" in arm.costs]


# ---- the drawing


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the seconds of an update and to the target, a line for each engine; None for fewer than two batch sizes."""
    arms = _timed(record, measured_optimizer(record))
    if len(arms) < 2:
        return None
    panels = [_panel(record, arms, name, pick, texts) for name, pick in PANELS.items()]
    note = texts("figure.update_seconds.note", target=target_text(record, texts))
    return panel_plot(400, panels, measured_note(record, texts, note))


def _panel(record: ComparisonRecord, arms: Sequence[ArmTimes], name: str, pick: Pick, texts: Texts) -> Panel:
    traces = []
    heights = []
    for unit, symbol in ENGINES.items():
        marks = []
        estimates = []
        for arm in arms:
            estimate = pick(arm, unit)
            if estimate is not None:
                marks.append(_mark(record, arm, estimate, unit, texts))
                estimates.append(estimate)
        if marks:
            legend = {
                "name": label(_engine(record, unit, texts), LONGEST_ENGINE),
                "legendgroup": unit,
                "showlegend": name == "update",
            }
            traces.append(_line(marks, estimates, symbol).update(**legend))
            heights += [mark.y for mark in marks if mark.y]
    title = f"<b>{texts(f'figure.update_seconds.{name}')}</b>"
    vertical = log_axis(min(heights, default=1.0) / ROOM, max(heights, default=1.0) * ROOM, most=5)
    return Panel(traces, batch_axis(sizes_of(arms), title, record, texts), vertical)


def _mark(record: ComparisonRecord, arm: ArmTimes, estimate: Estimate, unit: str, texts: Texts) -> Mark:
    value, low, high = interval(estimate, seconds=True)
    values = {"engine": label(_engine(record, unit, texts), LONGEST_ENGINE), "value": value, "low": low, "high": high}
    text = texts("figure.update_seconds.hover", name=arm_name(arm, record, texts), **values)
    return Mark(arm.batch_size, estimate.value, text, regime_color(arm.batch_size, record.rows))


def _line(marks: Sequence[Mark], estimates: Sequence[Estimate], symbol: str) -> go.Scatter:
    """Return a line through an engine's marks, with their intervals."""
    bars = interval_bars(map(_bounded, estimates), LIGHT["soft"])
    line = {"color": LIGHT["edge"], "width": 1.2, "dash": "dot" if "open" in symbol else "solid"}
    marker = {"color": colors_of(marks), "symbol": symbol, "size": 10}
    return mark_trace(marks, mode="lines+markers", line=line, marker=marker, error_y=bars)


def _bounded(estimate: Estimate) -> Estimate:
    """Return an estimate of which an end that nothing bounds lies at the value, so that it is not drawn."""
    low = estimate.low if estimate.low > 0 else estimate.value
    high = estimate.high if isfinite(estimate.high) else estimate.value
    return Estimate(estimate.value, low, high)


def _engine(record: ComparisonRecord, unit: str, texts: Texts) -> str:
    if unit == PLAIN:
        return texts("engine.plain")
    return engine_text(record, texts)


# ---- the reading


def read(record: ComparisonRecord, texts: Texts) -> str:
    """Say what an update takes in each engine, which batch sizes are the quickest in each, and whether that depends on the engine."""
    if all(len(_timed(record, name)) < 2 for name in optimizers(record)):
        return texts("reading.nothing")
    return for_each_optimizer(record, texts, lambda name: _sentences(record, _timed(record, name), texts))


def _sentences(record: ComparisonRecord, arms: list[ArmTimes], texts: Texts) -> str:
    if len(arms) < 2:
        return ""
    plain = [arm for arm in arms if PLAIN in arm.update_seconds]
    parts = [_updates(record, arms, "seconds", texts)]
    if len(plain) < 2:
        return " ".join([*parts, texts("figure.update_seconds.untimed")])
    parts.append(_updates(record, plain, PLAIN, texts))
    if len(plain) < len(arms):
        missing = ", ".join(arm_name(arm, record, texts) for arm in arms if PLAIN not in arm.update_seconds)
        parts.append(texts("figure.update_seconds.missing", names=missing))
    quickest = {unit: least_costly(record, plain, unit) for unit in ENGINES}
    if not all(quickest.values()):
        return " ".join([*parts, texts("reading.unreached", target=target_text(record, texts))])
    if min(arm.runs for arm in plain) < ENOUGH:
        return " ".join([*parts, texts("reading.few", seeds=number(ENOUGH))])
    names = {unit: ", ".join(arm_name(arm, record, texts) for arm in found) for unit, found in quickest.items()}
    common = sizes_of(quickest["seconds"]) & sizes_of(quickest[PLAIN])
    engines = {"engine": _engine(record, "seconds", texts), "plain_engine": _engine(record, PLAIN, texts)}
    parts.append(texts("figure.update_seconds.quickest", own=names["seconds"], plain=names[PLAIN], **engines))
    if common:
        shared = ", ".join(arm_name(arm, record, texts) for arm in quickest["seconds"] if arm.batch_size in common)
        parts.append(texts("figure.update_seconds.common", names=shared))
    else:
        parts.append(texts("figure.update_seconds.depends"))
    return " ".join([*parts, *_against_mini_batch(record, arms, engines, texts)])


def _against_mini_batch(
    record: ComparisonRecord, arms: list[ArmTimes], engines: dict[str, str], texts: Texts
) -> Iterator[str]:
    """Say of both ends how many times as long as the mini-batch between they take, in each engine."""
    sizes = regimes(record, arms[0].optimizer)
    if sizes is None:
        return
    small, middle, large = (next(arm for arm in arms if arm.batch_size == size) for size in sizes)
    for arm in (small, large):
        values = {unit: _ratio(record, arm, middle, unit, texts) for unit in ENGINES}
        if all(values.values()):
            names = {"name": arm_name(arm, record, texts), "middle": arm_name(middle, record, texts), **engines}
            yield texts("figure.update_seconds.ratio", own=values["seconds"], plain=values[PLAIN], **names)


def _ratio(record: ComparisonRecord, arm: ArmTimes, other: ArmTimes, unit: str, texts: Texts) -> str:
    """Return the ratio of two arms' seconds, "" where the median run of one of them never reached the target."""
    ratio = cost_ratio(record, arm, other, unit)
    if ratio is None or not 0 < ratio.value < inf:
        return ""
    return interval_text(ratio, texts)


def _updates(record: ComparisonRecord, arms: list[ArmTimes], unit: str, texts: Texts) -> str:
    """Say what an update takes at the smallest and at the largest batch size."""
    values = {"engine": _engine(record, unit, texts)}
    for end, arm in (("small", arms[0]), ("large", arms[-1])):
        value, low, high = interval(arm.update_seconds[unit], seconds=True)
        values |= {end: arm_name(arm, record, texts), f"{end}_value": value, f"{end}_low": low, f"{end}_high": high}
    return texts("figure.update_seconds.updates", **values)


# ---- the numbers


def numbers(record: ComparisonRecord) -> Rows:
    """Return a row for each arm and engine."""
    rows = []
    for arm in times(record):
        rows += [_row(record, arm, unit) for unit in ENGINES if unit in arm.costs]
    return rows


def _row(record: ComparisonRecord, arm: ArmTimes, unit: str) -> dict[str, object]:
    update = arm.update_seconds[unit]
    cost = arm.costs[unit].median
    return {
        "optimizer": arm.optimizer,
        "batch_size": arm.batch_size,
        "engine": "reference" if unit == PLAIN else ", ".join(record.engines) or None,
        "update_seconds": update.value,
        "update_low": update.low,
        "update_high": update.high,
        "median_seconds": cost.value,
        "low": cost.low,
        "high": cost.high,
    }
