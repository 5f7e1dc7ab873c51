"""How much tuning each batch size needs: the expected best of n trials (Dodge et al. 2019), and the share that reaches the target."""

from itertools import chain
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import optimizers, regimes
from hpsearch.comparison.analysis.tuning import ArmTuning, tuning
from hpsearch.comparison.figures.appearance import (
    HOVER,
    arm_name,
    batch_axis,
    error_bars,
    for_each_optimizer,
    metric_name,
    optimizer_name,
    regime_color,
    target_text,
)
from hpsearch.comparison.figures.figure import Rows, add_axes, in_panel, lay_out_panels
from hpsearch.reporting.figures.style import LIGHT, axis, blank, rounded, value_axis
from hpsearch.reporting.formatting import MetricFormat, number, share
from hpsearch.reporting.locales import Texts
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

MANY = 5  # arms, above which the legend names three regimes only
LEAST = 3  # trials, below which there is no curve
CLOSE = 0.1  # of the difference between one trial's expected metric and all trials'

Panel = tuple[list[go.Scatter], dict[str, Any], dict[str, Any]]  # traces, horizontal and vertical axis


def arms_of(record: ComparisonRecord) -> list[ArmTuning]:
    """Return the arms with enough trials for a curve."""
    return [arm for arm in tuning(record) if arm.trials >= LEAST]


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw two panels for each optimizer, the curves and the shares; None for fewer than two arms."""
    arms = arms_of(record)
    if len(arms) < 2:
        return None
    panels = _panels(record, arms, texts)
    figure = blank(360)
    for panel, (traces, horizontal, vertical) in enumerate(panels):
        for trace in traces:
            figure.add_trace(in_panel(_listed_once(figure, trace), panel))
        add_axes(figure, panel, horizontal, vertical)
    notes = [texts("figure.tuning.note")]
    if record.settings.get("compare", {}).get("tune_until") == "target":
        notes.append(texts("figure.tuning.note_target"))
    return lay_out_panels(figure, len(panels), notes)


def _panels(record: ComparisonRecord, arms: list[ArmTuning], texts: Texts) -> list[Panel]:
    with_trials = {arm.optimizer for arm in arms}
    panels = []
    for name in optimizers(record):
        if name in with_trials:
            title = ""
            if len(with_trials) > 1:
                title = f"<br><b>{optimizer_name(name)}</b>"
            group = [arm for arm in arms if arm.optimizer == name]
            panels.append(_best_panel(record, group, title, texts))
            if any(arm.reaching for arm in group):
                panels.append(_share_panel(record, group, title, texts))
    return panels


def _listed_once(figure: go.Figure, trace: go.Scatter) -> go.Scatter:
    """Return a trace that the legend lists unless it does already; a band has its line's name, to be switched off with it."""
    listed = {other.name for other in figure.data if other.showlegend}
    return trace.update(showlegend=bool(trace.name) and not trace.fill and trace.name not in listed)


def _best_panel(record: ComparisonRecord, arms: list[ArmTuning], title: str, texts: Texts) -> Panel:
    """Return the panel of expected bests; intervals of three regimes only, since more of them hide each other."""
    banded = set(regimes(record, arms[0].optimizer) or [arm.batch_size for arm in arms[:3]])
    traces = [_band(arm, record, texts) for arm in arms if arm.batch_size in banded]
    for arm in arms:
        listed = len(arms) <= MANY or arm.batch_size in banded
        traces.append(_line(arm, record, texts, listed))
    values = [float(value) for value in chain.from_iterable(arm.best.value for arm in arms)]
    pad = 0.04 * (max(values) - min(values)) or 0.01
    vertical = value_axis(MetricFormat.of(record), (min(values) - pad, max(values) + pad))
    name = texts("figure.tuning.x", metric=metric_name(record, texts))
    return traces, axis(f"{name}{title}", rangemode="tozero", nticks=6), vertical


def _name(arm: ArmTuning, record: ComparisonRecord, texts: Texts) -> str:
    """Return an arm's name in the legend, which several optimizers share."""
    optimizer = arm.optimizer if len(optimizers(record)) == 1 else ""
    return arm_name(optimizer, arm.batch_size, record.rows, texts)


def _band(arm: ArmTuning, record: ComparisonRecord, texts: Texts) -> go.Scatter:
    counts = list(range(1, arm.trials + 1))
    y = [*map(float, arm.best.low), *map(float, arm.best.high[::-1])]
    color = regime_color(arm.batch_size, record.rows)
    style = {"fill": "toself", "fillcolor": color, "opacity": 0.15, "line": {"width": 0}, "hoverinfo": "skip"}
    return go.Scatter(x=counts + counts[::-1], y=rounded(y), mode="lines", name=_name(arm, record, texts), **style)


def _line(arm: ArmTuning, record: ComparisonRecord, texts: Texts, listed: bool) -> go.Scatter:
    return go.Scatter(
        x=list(range(1, arm.trials + 1)),
        y=rounded([float(value) for value in arm.best.value]),
        mode="lines",
        name=_name(arm, record, texts) if listed else None,
        text=_line_hover(arm, record, texts),
        hovertemplate=HOVER,
        line={"color": regime_color(arm.batch_size, record.rows), "width": 2.5},
    )


def _line_hover(arm: ArmTuning, record: ComparisonRecord, texts: Texts) -> list[str]:
    name = _name(arm, record, texts)
    metric = MetricFormat.of(record)
    hover = []
    columns = zip(arm.best.value, arm.best.low, arm.best.high, strict=True)
    for trials, (value, low, high) in enumerate(columns, start=1):
        values = {"value": metric.text(value), "low": metric.text(low), "high": metric.text(high)}
        hover.append(texts("figure.tuning.hover", name=name, trials=number(trials), **values))
    return hover


def _share_panel(record: ComparisonRecord, arms: list[ArmTuning], title: str, texts: Texts) -> Panel:
    """Return the panel of the shares that reached the target."""
    known = _reaching(arms)
    shares = [reaching for _, reaching in known]
    up = rounded([reaching.high - reaching.value for reaching in shares])
    down = rounded([reaching.value - reaching.low for reaching in shares])
    dots = go.Scatter(
        x=[arm.batch_size for arm, _ in known],
        y=rounded([reaching.value for reaching in shares]),
        mode="markers",
        showlegend=False,
        text=[_share_hover(arm, reaching, record, texts) for arm, reaching in known],
        hovertemplate=HOVER,
        marker={"color": [regime_color(arm.batch_size, record.rows) for arm, _ in known], "size": 10},
        error_y=error_bars(up, down, LIGHT["ink"], thickness=1.5, width=4),
    )
    horizontal = batch_axis([arm.batch_size for arm in arms], f"{texts('figure.tuning.x_share')}{title}")
    return [dots], horizontal, axis(range=[-0.03, 1.03], tickformat=".0%")


def _reaching(arms: list[ArmTuning]) -> list[tuple[ArmTuning, Estimate]]:
    return [(arm, arm.reaching) for arm in arms if arm.reaching]


def _share_hover(arm: ArmTuning, reaching: Estimate, record: ComparisonRecord, texts: Texts) -> str:
    return texts(
        "figure.tuning.hover_share",
        name=arm_name(arm.optimizer, arm.batch_size, record.rows, texts),
        value=share(reaching.value),
        low=share(reaching.low),
        high=share(reaching.high),
        trials=number(arm.trials),
    )


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
    return for_each_optimizer(
        record, texts, lambda name: _sentences(record, [arm for arm in arms if arm.optimizer == name], texts)
    )


def _sentences(record: ComparisonRecord, arms: list[ArmTuning], texts: Texts) -> str:
    if not arms:
        return ""
    counts = [needed_trials(arm) for arm in arms]
    few = number(min(counts))
    many = number(max(counts))
    parts = [texts(f"figure.tuning.{'trials' if few != many else 'trials_alike'}", few=few, many=many)]
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
    names = {
        "often": arm_name(often.optimizer, often.batch_size, record.rows, texts),
        "rarely": arm_name(rarely.optimizer, rarely.batch_size, record.rows, texts),
    }
    return texts(f"figure.tuning.{key}", **ends, **names)


def numbers(record: ComparisonRecord) -> Rows:
    """Return a row for each arm and number of trials."""
    rows = []
    for arm in arms_of(record):
        rows += [_row(arm, index) for index in range(arm.trials)]
    return rows


def _row(arm: ArmTuning, index: int) -> dict[str, object]:
    return {
        "optimizer": arm.optimizer,
        "batch_size": arm.batch_size,
        "trials": index + 1,
        "expected_best": float(arm.best.value[index]),
        "low": float(arm.best.low[index]),
        "high": float(arm.best.high[index]),
        "share_reaching": arm.reaching.value if arm.reaching else None,
    }
