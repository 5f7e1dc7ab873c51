"""How much tuning each batch size needs: the expected best of n trials (Dodge et al. 2019), and the share that reaches the target."""

from itertools import chain
from math import isnan

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import optimizers, regimes
from hpsearch.comparison.analysis.tuning import ArmTuning, tuning
from hpsearch.comparison.figures.appearance import (
    arm_name,
    for_each_optimizer,
    metric_name,
    of_optimizer,
    optimizer_name,
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
    plain_trace,
)
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, axis, share_ticks, value_axis
from hpsearch.reporting.formatting import MetricFormat, number, share
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

MANY = 5  # arms, above which the legend names three regimes only
LEAST = 3  # trials, below which there is no curve
CLOSE = 0.1  # of the difference between one trial's expected metric and all trials'


def arms_of(record: ComparisonRecord) -> list[ArmTuning]:
    """Return the arms with enough trials for a curve."""
    return [arm for arm in tuning(record) if arm.trials >= LEAST]


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw two panels for each optimizer, the curves and the shares; None for fewer than two arms."""
    arms = arms_of(record)
    if len(arms) < 2:
        return None
    groups = {name: of_optimizer(arms, name) for name in optimizers(record)}
    groups = {name: group for name, group in groups.items() if group}
    panels = []
    for name, group in groups.items():
        title = ""
        if len(groups) > 1:
            title = f"<br><b>{optimizer_name(name)}</b>"
        panels.append(_best_panel(record, group, title, texts))
        if any(arm.reaching for arm in group):
            panels.append(_share_panel(record, group, title, texts))
    _list_lines_once(panels)
    notes = [texts("figure.tuning.note")]
    if record.settings.get("compare", {}).get("tune_until") == "target":
        notes.append(texts("figure.tuning.note_target"))
    return panel_plot(360, panels, *notes)


def _list_lines_once(panels: list[Panel]) -> None:
    """Let the legend list each line once; a band has its line's name, to be switched off with it."""
    listed: set[str] = set()
    for trace in chain.from_iterable(panel.traces for panel in panels):
        shown = bool(trace.name) and not trace.fill and trace.name not in listed
        trace.update(showlegend=shown)
        if shown:
            listed.add(trace.name)


def _best_panel(record: ComparisonRecord, arms: list[ArmTuning], title: str, texts: Texts) -> Panel:
    """Return the panel of expected bests; intervals of three regimes only, since more of them hide each other."""
    banded = set(regimes(record, arms[0].optimizer) or sizes_of(arms[:3]))
    traces = [_band(arm, record, texts) for arm in arms if arm.batch_size in banded]
    for arm in arms:
        listed = len(arms) <= MANY or arm.batch_size in banded
        traces.append(_line(arm, record, texts, listed))
    values = [float(value) for value in chain.from_iterable(arm.best.value for arm in arms)]
    pad = 0.04 * (max(values) - min(values)) or 0.01
    vertical = value_axis(MetricFormat.of(record, texts), (min(values) - pad, max(values) + pad))
    name = texts("figure.tuning.x", metric=metric_name(record, texts))
    return Panel(traces, axis(f"{name}{title}", rangemode="tozero", nticks=6), vertical)


def _name(arm: ArmTuning, record: ComparisonRecord, texts: Texts) -> str:
    """Return an arm's name in the legend, which several optimizers share."""
    if len(optimizers(record)) == 1:
        return arm_name(arm, record, texts)
    return texts("regime.other", batch_size=number(arm.batch_size))


def _band(arm: ArmTuning, record: ComparisonRecord, texts: Texts) -> go.Scatter:
    """Return the intervals of the first trials; those of more would be too narrow, and are not known."""
    low = [float(value) for value in arm.best.low if not isnan(value)]
    high = [float(value) for value in arm.best.high if not isnan(value)]
    counts = list(range(1, len(low) + 1))
    color = regime_color(arm.batch_size, record.rows)
    style = {"fill": "toself", "fillcolor": color, "opacity": 0.15, "line": {"width": 0}}
    return plain_trace(counts + counts[::-1], low + high[::-1], name=_name(arm, record, texts), **style)


def _line(arm: ArmTuning, record: ComparisonRecord, texts: Texts, listed: bool) -> go.Scatter:
    name = _name(arm, record, texts)
    metric = MetricFormat.of(record, texts)
    marks = []
    columns = zip(arm.best.value, arm.best.low, arm.best.high, strict=True)
    for trials, (value, low, high) in enumerate(columns, start=1):
        values = {"value": metric.text(value), "low": metric.text(low), "high": metric.text(high)}
        key = "hover_alone" if isnan(low) else "hover"
        text = texts(f"figure.tuning.{key}", name=name, trials=number(trials), **values)
        marks.append(Mark(trials, float(value), text))
    line = {"color": regime_color(arm.batch_size, record.rows), "width": 2.5}
    return mark_trace(marks, mode="lines", name=name if listed else None, line=line)


def _share_panel(record: ComparisonRecord, arms: list[ArmTuning], title: str, texts: Texts) -> Panel:
    """Return the panel of the shares that reached the target."""
    marks = []
    shares = []
    for arm, reaching in _reaching(arms):
        name = arm_name(arm, record, texts)
        values = {"value": share(reaching.value), "low": share(reaching.low), "high": share(reaching.high)}
        text = texts("figure.tuning.hover_share", name=name, trials=number(arm.trials), **values)
        marks.append(Mark(arm.batch_size, reaching.value, text, regime_color(arm.batch_size, record.rows)))
        shares.append(reaching)
    marker = {"color": colors_of(marks), "size": 10}
    dots = mark_trace(marks, showlegend=False, marker=marker, error_y=interval_bars(shares, LIGHT["ink"]))
    horizontal = batch_axis(sizes_of(arms), f"{texts('figure.tuning.x_share')}{title}", record, texts)
    return Panel([dots], horizontal, axis(range=[-0.03, 1.03], **share_ticks(0.0, 1.0)))


def _reaching(arms: list[ArmTuning]) -> list[tuple[ArmTuning, Estimate]]:
    return [(arm, arm.reaching) for arm in arms if arm.reaching]


def needed_trials(arm: ArmTuning) -> int:
    """Return the trials whose expected best lies within `CLOSE` of all trials', on the scale of the difference to one trial's."""
    first = float(arm.best.value[0])
    last = float(arm.best.value[-1])
    values = enumerate(arm.best.value, start=1)
    return next(trials for trials, value in values if abs(last - float(value)) <= CLOSE * abs(last - first))


def read(record: ComparisonRecord, texts: Texts) -> str:
    """Say for each optimizer how many trials are nearly as good as all, and which batch size reached the target most and least often."""
    arms = arms_of(record)
    if len(arms) < 2:
        return texts("figure.tuning.nothing", trials=number(LEAST))
    return for_each_optimizer(record, texts, lambda name: _sentences(record, of_optimizer(arms, name), texts))


def _sentences(record: ComparisonRecord, arms: list[ArmTuning], texts: Texts) -> str:
    if not arms:
        return ""
    counts = [needed_trials(arm) for arm in arms]
    few = number(min(counts))
    many = number(max(counts))
    most = number(max(arm.trials for arm in arms))
    key = "trials" if few != many else "trials_alike"
    parts = [texts(f"figure.tuning.{key}", all=most, few=few, many=many)]
    known = _reaching(arms)
    if known:
        parts.append(_share_sentence(record, known, texts))
    return " ".join(parts)


def _share_sentence(record: ComparisonRecord, known: list[tuple[ArmTuning, Estimate]], texts: Texts) -> str:
    """Compare the arm that reached the target most often with the one that did so least often."""
    often, most = max(known, key=lambda pair: pair[1].value)
    rarely, least = min(known, key=lambda pair: pair[1].value)
    key = "shares" if most.low > least.high else "shares_alike"
    ends = {"most": share(most.value), "least": share(least.value), "target": target_text(record, texts)}
    names = {"often": arm_name(often, record, texts), "rarely": arm_name(rarely, record, texts)}
    return texts(f"figure.tuning.{key}", **ends, **names)


def numbers(record: ComparisonRecord) -> Rows:
    """Return a row for each arm and number of trials."""
    rows = []
    for arm in arms_of(record):
        columns = zip(arm.best.value, arm.best.low, arm.best.high, strict=True)
        for trials, (value, low, high) in enumerate(columns, start=1):
            row = {"optimizer": arm.optimizer, "batch_size": arm.batch_size, "trials": trials}
            row |= {"expected_best": float(value), "low": _known(low), "high": _known(high)}
            rows.append(row | {"share_reaching": arm.reaching.value if arm.reaching else None})
    return rows


def _known(end: float) -> float | None:
    return None if isnan(end) else float(end)
