"""How steady a run's loss was before and after the target, and how direct its path: against the batch size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import expm1, isfinite
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.measured import Spread
from hpsearch.comparison.analysis.stability import (
    ArmVariability,
    paths,
    variabilities,
)
from hpsearch.comparison.figures.appearance import (
    brief,
    by_optimizer,
    measured_note,
    measured_optimizer,
    percent,
    regime_color,
    regime_name,
    sizes_of,
    spread_columns,
    spread_text,
)
from hpsearch.comparison.figures.figure import (
    Mark,
    Panel,
    Rows,
    batch_axis,
    colors_of,
    mark_trace,
    panel_plot,
    range_bars,
)
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, axis, log_axis, share_ticks
from hpsearch.reporting.formatting import sentence, share
from hpsearch.storage import ComparisonRecord

UNITS = {"before": "square", "updates": "circle", "epochs": "diamond-open"}
LINEAR = ("rising", "efficiency", "jump")  # measures that may be 0
SHARES = ("rising", "efficiency")
MOMENTS = {"target": "circle", "end": "diamond-open"}
VARIABILITY_MEASURES = ("rising", "jump", "deviation", "total_variation")
# by which one batch size is called steadier
JUDGED = {"before": ("rising", "total_variation", "jump"), "updates": ("rising", "deviation")}
PATH_MEASURES = ("efficiency", "length", "distance")
LEAST = {"variability": 0.1, "path": 1.0}  # height that an axis shows where none is known
ROOM = {"variability": 2.0, "path": 1.5}  # times the greatest height, above it


@dataclass(frozen=True, slots=True)
class Case:
    """What is drawn of a batch size in one group (a unit or a moment): its measures, the first a share, and its hover text."""

    batch_size: int
    group: str
    text: str
    measures: Mapping[str, Spread | None]


def _measure_panels(
    record: ComparisonRecord, texts: Texts, name: str, symbols: Mapping[str, str], cases: Sequence[Case]
) -> list[Panel]:
    """Return a panel for each measure, in it a line for each group.

    Measures that may well be 0 have a linear axis. On a logarithmic one 0 is left to the table, and infinity is a ▲ at the top.
    """
    panels: list[Panel] = []
    for measure in cases[0].measures:
        spreads = [case.measures[measure] for case in cases]
        heights = [spread.value for spread in spreads if spread and isfinite(spread.value) and spread.value > 0]
        cap = ROOM[name] * max(heights, default=1.0)
        traces = []
        for group, symbol in symbols.items():
            finite, infinite = _marks(record, [case for case in cases if case.group == group], measure, cap)
            if finite:
                legend = {"name": texts(f"figure.{name}.{group}"), "showlegend": not panels}
                traces.append(_dots(finite, symbol, legendgroup=group, **legend))
            if infinite:
                legend = {"name": texts("figure.variability.infinite"), "showlegend": False}
                traces.append(_dots(infinite, "triangle-up", mode="markers", legendgroup=group, **legend))
        title = f"<b>{texts(f'figure.{name}.{measure}')}</b>"
        vertical = log_axis(min(heights, default=LEAST[name]) / 1.5, cap, most=5)
        if measure in LINEAR:
            ticks = share_ticks(0.0, max(spread.high for spread in spreads if spread)) if measure in SHARES else {}
            vertical = axis(rangemode="tozero", **ticks)
        panels.append(Panel(traces, batch_axis(sizes_of(cases), title, record, texts), vertical))
    return panels


def _marks(
    record: ComparisonRecord, cases: Sequence[Case], measure: str, cap: float
) -> tuple[dict[Mark, Spread], dict[Mark, Spread]]:
    """Return the marks of a measure with their ranges: the finite ones, and those at the cap for the infinite ones."""
    finite = {}
    infinite = {}
    for case in cases:
        spread = case.measures[measure]
        color = regime_color(case.batch_size, record.rows)
        if spread and isfinite(spread.value):
            finite[Mark(case.batch_size, spread.value, case.text, color)] = spread
        elif spread:
            infinite[Mark(case.batch_size, cap, case.text, color)] = Spread(cap, cap, cap, spread.runs)
    return finite, infinite


def _dots(marks: Mapping[Mark, Spread], symbol: str, **style: Any) -> go.Scatter:
    """Return a line through dots in their regimes' colours, with the range of the runs."""
    line = {"color": LIGHT["edge"], "width": 1.2, "dash": "dot" if "open" in symbol else "solid"}
    marker = {"color": colors_of(list(marks)), "symbol": symbol, "size": 10}
    bars = range_bars(marks.values())
    return mark_trace(list(marks), **{"mode": "lines+markers"} | style, line=line, marker=marker, error_y=bars)


# ---- variability


def draw_variability(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the share of rising steps, the jump and deviation of log L and the total variation, in each unit; None without any."""
    cases = []
    for one in variabilities(record, measured_optimizer(record)):
        text = texts(
            "figure.variability.hover",
            regime=regime_name(one.batch_size, record.rows, texts),
            unit=texts(f"figure.variability.{one.unit}"),
            rising=share(one.rising.value),
            jump=_jump_text(one),
            deviation=spread_text(one.deviation, texts),
            variation=spread_text(one.total_variation, texts),
            steps=brief(one.steps),
            total=brief(one.total),
        )
        measures = {name: one.measure(name) for name in VARIABILITY_MEASURES}
        cases.append(Case(one.batch_size, one.unit, text, measures))
    if not cases:
        return None
    panels = _measure_panels(record, texts, "variability", UNITS, cases)
    note = measured_note(record, texts, texts("figure.variability.note"))
    return panel_plot(400, panels, note, more=texts("figure.variability.more"))


def _jump_text(one: ArmVariability) -> str:
    """Return the greatest rise of the loss in one step as a share of it."""
    return percent(expm1(one.jump.value)) if one.jump else brief(None)


def read_variability(record: ComparisonRecord, texts: Texts) -> str:
    """Compare the smallest and the largest batch size before the target and after it, and name the one that is the least steady."""
    found = variabilities(record, measured_optimizer(record))
    by_unit = {unit: [one for one in found if one.unit == unit] for unit in UNITS}
    if max(len(by_unit["before"]), len(by_unit["updates"])) < 2:
        return texts("figure.variability.thin")
    parts = []
    for unit, judged in JUDGED.items():
        if len(by_unit[unit]) > 1:
            parts += _unit_sentences(record, texts, by_unit[unit], judged)
        else:
            parts.append(texts(f"figure.variability.no_{unit}"))
    if len(by_unit["epochs"]) > 1:
        parts.append(texts("figure.variability.per_epoch", **_ends_texts(record, texts, by_unit["epochs"])))
    return " ".join(parts)


def _unit_sentences(
    record: ComparisonRecord, texts: Texts, found: Sequence[ArmVariability], judged: Sequence[str]
) -> list[str]:
    """Compare the ends in one unit by the measures that are judged; name one that rises more often than the smallest in all runs."""
    small = found[0]
    large = found[-1]
    parts = [
        texts(f"figure.variability.compared_{small.unit}", **_ends_texts(record, texts, found)),
        texts(f"figure.variability.{_steadier(small, large, judged)}"),
    ]
    most = max(found, key=lambda one: one.rising.value)
    if most is not large and most.rising.low > small.rising.high:
        values = {"regime": regime_name(most.batch_size, record.rows, texts), "rising": share(most.rising.value)}
        parts.append(texts("figure.variability.most", **values))
    return parts


def _steadier(small: ArmVariability, large: ArmVariability, judged: Sequence[str]) -> str:
    """Return whether the large batch is the steadier one by all measures that both have ("steadier"), by none, or by some ("mixed")."""
    below = set()
    for name in judged:
        ours = large.measure(name)
        theirs = small.measure(name)
        if ours and theirs:
            below.add(ours.value < theirs.value)
    if len(below) > 1:
        return "mixed"
    return "steadier" if below == {True} else "not_steadier"


def _ends_texts(record: ComparisonRecord, texts: Texts, found: Sequence[ArmVariability]) -> dict[str, str]:
    """Return the texts of the smallest and the largest batch size."""
    values: dict[str, str] = {}
    for end, one in (("small", found[0]), ("large", found[-1])):
        values[end] = regime_name(one.batch_size, record.rows, texts)
        values[f"{end}_rising"] = share(one.rising.value)
        values[f"{end}_jump"] = _jump_text(one)
        values[f"{end}_variation"] = brief(one.total_variation.value)
        values[f"{end}_deviation"] = spread_text(one.deviation, texts)
    return values


def variability_numbers(record: ComparisonRecord) -> Rows:
    """Return the variability of every measured arm."""
    rows = []
    for name, one in by_optimizer(record, variabilities):
        row = {"optimizer": name, "batch_size": one.batch_size, "unit": one.unit}
        row |= {"steps": one.steps, "all_steps": one.total}
        for measure in VARIABILITY_MEASURES:
            row |= spread_columns(measure, one.measure(measure))
        rows.append(row | {"measured_runs": one.rising.runs})
    return rows


# ---- paths


def draw_path(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw how direct paths were, how long, and how far they led, up to the target and to the end; None without any."""
    cases = []
    for path in paths(record, measured_optimizer(record)):
        text = texts(
            "figure.path.hover",
            regime=regime_name(path.batch_size, record.rows, texts),
            moment=texts(f"figure.path.{path.moment}"),
            efficiency=share(path.efficiency.value),
            length=spread_text(path.length, texts),
            distance=spread_text(path.distance, texts),
        )
        measures = {name: path.measure(name) for name in PATH_MEASURES}
        cases.append(Case(path.batch_size, path.moment, text, measures))
    if not cases:
        return None
    panels = _measure_panels(record, texts, "path", MOMENTS, cases)
    note = measured_note(record, texts, texts("figure.path.note"))
    return panel_plot(400, panels, note, more=texts("figure.path.more"))


def read_path(record: ComparisonRecord, texts: Texts) -> str:
    """Compare how direct the paths of the smallest and the largest batch size were, to the target else to the end, and how far they led."""
    found = paths(record, measured_optimizer(record))
    both = ([path for path in found if path.moment == moment] for moment in MOMENTS)
    own = next((of_moment for of_moment in both if len(sizes_of(of_moment)) > 1), None)
    if own is None:
        return texts("figure.path.thin")
    small = own[0]
    large = own[-1]
    values = {
        "small": regime_name(small.batch_size, record.rows, texts),
        "large": regime_name(large.batch_size, record.rows, texts),
        "moment": texts(f"figure.path.{small.moment}"),
        "small_efficiency": share(small.efficiency.value),
        "large_efficiency": share(large.efficiency.value),
        "small_distance": brief(small.distance.value),
        "large_distance": brief(large.distance.value),
    }
    straighter = large.efficiency.value > small.efficiency.value
    key = "straighter" if straighter else "not_straighter"
    return sentence(texts(f"figure.path.{key}", **values))


def path_numbers(record: ComparisonRecord) -> Rows:
    """Return how direct every measured arm's paths were, and how far they led."""
    rows = []
    for name, path in by_optimizer(record, paths):
        row = {"optimizer": name, "batch_size": path.batch_size, "moment": path.moment}
        for measure in PATH_MEASURES:
            row |= spread_columns(measure, path.measure(measure))
        rows.append(row | {"measured_runs": path.distance.runs})
    return rows
