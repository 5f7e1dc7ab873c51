"""Cost until the target against batch size, in updates, epochs and seconds (Shallue et al. 2019, figs 1 and 3): one figure for each unit.

A median run that never reached the target is a triangle on the line of the budget's end; an open triangle there says that some
of an arm's runs did not. Updates and epochs carry the fitted S = S_min (1 + B_crit / B) and perfect scaling beside it.
"""

from functools import partial
from math import inf, isfinite, log10

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import ENOUGH, ArmTimes, optimizers, scaling, times
from hpsearch.comparison.figures.costs import budget_end, lines, marks
from hpsearch.comparison.figures.look import (
    arm_name,
    batch_axis,
    interval,
    optimizer_name,
    series_color,
    target_text,
)
from hpsearch.comparison.figures.row import ComparedFigure, Rows
from hpsearch.reporting.figures.style import LIGHT, blank, log_axis
from hpsearch.reporting.formatting import number, share
from hpsearch.reporting.locales import Texts
from hpsearch.statistics.scaling import Hyperbola
from hpsearch.storage import ComparisonRecord

ROOM = 1.5  # times, beyond the marks


def arms_of(record: ComparisonRecord, unit: str) -> list[ArmTimes]:
    """Return the arms whose cost is known in the unit."""
    return [arm for arm in times(record) if unit in arm.costs]


def draw(unit: str, record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the costs in one unit, a line for each optimizer; None for fewer than two arms."""
    arms = arms_of(record, unit)
    if len(arms) < 2:
        return None
    figure, names = blank(430), optimizers(record)
    for name in names:
        group = [arm for arm in arms if arm.optimizer == name]
        color = LIGHT["soft"] if len(names) == 1 else series_color(names.index(name))
        figure.add_traces(lines(unit, record, group, color, texts))
        figure.add_traces(marks(unit, record, group, color if len(names) > 1 else "", texts))
    figure.add_traces(budget_end(unit, arms, texts))
    low, high = _ends(unit, arms)
    title = texts(f"figure.{unit}.y", target=target_text(record, texts))
    figure.update_xaxes(batch_axis([arm.batch_size for arm in arms], texts("axis.batch_size")))
    figure.update_yaxes(log_axis(low, high, title, range=[log10(low), log10(high)]))
    figure.update_layout(meta={"note": _note(unit, arms, record, texts)})
    return figure


def _ends(unit: str, arms: list[ArmTimes]) -> tuple[float, float]:
    """Return limits around all medians and intervals, and the budget's end where a run met it; perfect scaling may leave them."""
    costs = [arm.costs[unit] for arm in arms]
    values = [end for cost in costs for end in (cost.median.value, cost.median.low, cost.median.high)]
    values += [arm.costs[unit].cap for arm in arms if arm.reached < arm.runs]
    known = [value for value in values if isfinite(value) and value > 0]
    return min(known) / ROOM, max(known) * ROOM


def _note(unit: str, arms: list[ArmTimes], record: ComparisonRecord, texts: Texts) -> str:
    gaps = [arm.resolution for arm in arms if arm.resolution is not None]
    notes = [texts("figure.steps.note_interval")]
    notes += [texts("figure.steps.note_resolution", share=share(max(gaps)))] if gaps else []
    notes += [texts("figure.seconds.note")] if unit == "seconds" else []
    theirs = unit == "steps" and record.data.get("name") == "mnist" and len(optimizers(record)) == 1
    return " ".join([*notes, *([texts("figure.steps.note_shallue")] if theirs else [])])


def reading(unit: str, record: ComparisonRecord, texts: Texts) -> str:
    """Say which batch size needs the least and which the most, for each optimizer, and where the fit puts the critical batch size."""
    arms = arms_of(record, unit)
    if len(arms) < 2:
        return texts("reading.nothing")
    parts = []
    for name in optimizers(record):
        group = [arm for arm in arms if arm.optimizer == name]
        begin = texts("reading.optimizer", optimizer=optimizer_name(name)) if len(optimizers(record)) > 1 else ""
        parts.append(begin + _sentences(unit, record, group, texts))
    return "\n".join(parts)


def _sentences(unit: str, record: ComparisonRecord, arms: list[ArmTimes], texts: Texts) -> str:
    there = [arm for arm in arms if isfinite(arm.costs[unit].median.value)]
    if not there:
        return texts("reading.unreached", target=target_text(record, texts))
    if min(arm.runs for arm in arms) < ENOUGH:
        return texts("reading.few", seeds=number(ENOUGH))
    least, most = (pick(there, key=lambda arm: arm.costs[unit].median.value) for pick in (min, max))
    ends: dict[str, str] = {}
    for end, arm in (("least", least), ("most", most)):
        value, low, high = interval(arm.costs[unit].median, unit == "seconds")
        ends |= {end: arm_name(arm.optimizer, arm.batch_size, record.rows, texts)}
        ends |= {f"{end}_value": value, f"{end}_low": low, f"{end}_high": high}
    ratio = most.costs[unit].median.value / least.costs[unit].median.value
    key = "one" if least is most else "main"
    text = texts(f"figure.{unit}.{key}", ratio=number(float(f"{ratio:.2g}")), **ends)
    missing = [arm_name(arm.optimizer, arm.batch_size, record.rows, texts) for arm in arms if arm not in there]
    text += f" {texts('reading.censored', names=', '.join(missing))}" if missing else ""
    fit = scaling(record, arms[0].optimizer) if unit == "steps" else None
    text += f" {fitted(fit, texts)}" if fit else ""
    return text + (f" {texts('figure.steps.unfitted')}" if fit and fit.censored else "")


def fitted(fit: Hyperbola, texts: Texts) -> str:
    """Say what a fit means: the critical batch size, or that the batch sizes do not show one."""
    critical = fit.critical_batch_size
    value, low, high = interval(critical)
    key = "flat" if critical.value == 0 else "perfect" if critical.value == inf else "fit"
    floor = number(round(fit.s_min.value))
    residual = number(float(f"{fit.rms_octaves:.2g}"))
    return texts(f"figure.steps.{key}", value=value, low=low, high=high, floor=floor, residual=residual)


def numbers(unit: str, record: ComparisonRecord) -> Rows:
    """Return a row for each arm."""
    return [
        {
            "optimizer": arm.optimizer,
            "batch_size": arm.batch_size,
            "learning_rate": arm.learning_rate,
            f"median_{unit}": arm.costs[unit].median.value,
            "low": arm.costs[unit].median.low,
            "high": arm.costs[unit].median.high,
            "runs": arm.runs,
            "reached": arm.reached,
            f"budget_{unit}": arm.costs[unit].cap,
            "resolution": arm.resolution,
        }
        for arm in arms_of(record, unit)
    ]


ROWS = tuple(
    ComparedFigure(unit, partial(draw, unit), partial(reading, unit), partial(numbers, unit))
    for unit in ("steps", "epochs", "seconds")
)
