"""How much tuning each batch size needs: the expected best of n trials (Dodge et al. 2019), and the share that reaches the target."""

from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import optimizers, regimes
from hpsearch.comparison.analysis.tuning import ArmTuning, tuning
from hpsearch.comparison.figures.look import (
    arm_name,
    batch_axis,
    metric_name,
    optimizer_name,
    regime_color,
    target_text,
)
from hpsearch.comparison.figures.panels import laid_out, tagged, with_axes
from hpsearch.comparison.figures.row import ComparedFigure, Rows
from hpsearch.reporting.figures.style import LIGHT, axis, blank, rounded, value_axis
from hpsearch.reporting.formatting import MetricFormat, number, share
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

MANY = 5  # arms, above which the legend names three regimes only
LEAST = 3  # trials, below which a curve says nothing
CLOSE = 0.1  # of the way from one trial's expected metric to all trials'


def arms_of(record: ComparisonRecord) -> list[ArmTuning]:
    """Return the arms with enough trials for a curve."""
    return [arm for arm in tuning(record) if arm.trials >= LEAST]


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw two panels for each optimizer, the curves and the shares; None for fewer than two arms."""
    arms = arms_of(record)
    if len(arms) < 2:
        return None
    names = [name for name in optimizers(record) if any(arm.optimizer == name for arm in arms)]
    figure, place = blank(360), 0
    for name in names:
        group = [arm for arm in arms if arm.optimizer == name]
        title = f"<br><b>{optimizer_name(name)}</b>" if len(names) > 1 else ""
        for traces, across, upright in (_curves(record, group, title, texts), _shares(record, group, title, texts)):
            if traces:
                for trace in traces:
                    figure.add_trace(tagged(_listed_once(figure, trace), place))
                with_axes(figure, place, across, upright)
                place += 1
    notes = [texts("figure.tuning.note"), texts("figure.tuning.note_target") if _stopped(record) else ""]
    return laid_out(figure, place, notes)


def _listed_once(figure: go.Figure, trace: go.Scatter) -> go.Scatter:
    """Return a trace that the legend lists unless it does already; a band goes by its line's name, to be switched off with it."""
    listed = {other.name for other in figure.data if other.showlegend}
    return trace.update(showlegend=bool(trace.name) and not trace.fill and trace.name not in listed)


def _stopped(record: ComparisonRecord) -> bool:
    return bool(record.settings.get("compare", {}).get("tune_until") == "target")


Panel = tuple[list[go.Scatter], dict[str, Any], dict[str, Any]]


def _curves(record: ComparisonRecord, arms: list[ArmTuning], title: str, texts: Texts) -> Panel:
    """Return the panel of expected bests; intervals of three regimes only, since more of them hide each other."""
    metric, banded = (
        MetricFormat.of(record),
        set(regimes(record, arms[0].optimizer) or [arm.batch_size for arm in arms[:3]]),
    )
    bands = [_band(arm, record, texts) for arm in arms if arm.batch_size in banded]
    lines = [_line(arm, record, texts, len(arms) <= MANY or arm.batch_size in banded) for arm in arms]
    values = [float(value) for arm in arms for value in arm.best.value]
    pad = 0.04 * (max(values) - min(values)) or 0.01
    upright = value_axis(metric, (min(values) - pad, max(values) + pad))
    name = texts("figure.tuning.x", metric=metric_name(record, texts))
    across = axis(f"{name}{title}", rangemode="tozero", nticks=6)
    return [*bands, *lines], across, upright


def _name(arm: ArmTuning, record: ComparisonRecord, texts: Texts) -> str:
    alone = len(optimizers(record)) == 1  # several share one legend
    return arm_name(arm.optimizer if alone else "", arm.batch_size, record.rows, texts)


def _band(arm: ArmTuning, record: ComparisonRecord, texts: Texts) -> go.Scatter:
    count = [*range(1, arm.trials + 1)]
    y = [*map(float, arm.best.low), *map(float, arm.best.high[::-1])]
    color = regime_color(arm.batch_size, record.rows)
    look = {"fill": "toself", "fillcolor": color, "opacity": 0.15, "line": {"width": 0}, "hoverinfo": "skip"}
    return go.Scatter(x=[*count, *count[::-1]], y=rounded(y), mode="lines", name=_name(arm, record, texts), **look)


def _line(arm: ArmTuning, record: ComparisonRecord, texts: Texts, listed: bool) -> go.Scatter:
    name, metric = _name(arm, record, texts), MetricFormat.of(record)
    rows = zip(range(1, arm.trials + 1), arm.best.value, arm.best.low, arm.best.high, strict=True)
    return go.Scatter(
        x=[*range(1, arm.trials + 1)],
        y=rounded([float(value) for value in arm.best.value]),
        mode="lines",
        name=name if listed else None,
        text=[
            texts(
                "figure.tuning.hover",
                name=name,
                trials=number(n),
                value=metric.text(v),
                low=metric.text(a),
                high=metric.text(b),
            )
            for n, v, a, b in rows
        ],
        hovertemplate="%{text}<extra></extra>",
        line={"color": regime_color(arm.batch_size, record.rows), "width": 2.5},
    )


def _shares(record: ComparisonRecord, arms: list[ArmTuning], title: str, texts: Texts) -> Panel:
    known = [(arm, arm.reaching) for arm in arms if arm.reaching]
    dots = go.Scatter(
        x=[arm.batch_size for arm, _ in known],
        y=rounded([there.value for _, there in known]),
        mode="markers",
        showlegend=False,
        text=[
            texts(
                "figure.tuning.hover_share",
                name=arm_name(arm.optimizer, arm.batch_size, record.rows, texts),
                value=share(there.value),
                low=share(there.low),
                high=share(there.high),
                trials=number(arm.trials),
            )
            for arm, there in known
        ],
        hovertemplate="%{text}<extra></extra>",
        marker={"color": [regime_color(arm.batch_size, record.rows) for arm, _ in known], "size": 10},
        error_y={"type": "data", "symmetric": False, "color": LIGHT["ink"], "thickness": 1.5, "width": 4}
        | {"array": rounded([there.high - there.value for _, there in known])}
        | {"arrayminus": rounded([there.value - there.low for _, there in known])},
    )
    name = texts("figure.tuning.x_share")
    across = batch_axis([arm.batch_size for arm in arms], f"{name}{title}")
    return [dots] * bool(known), across, axis(range=[-0.03, 1.03], tickformat=".0%")


def needed(arm: ArmTuning) -> int:
    """Return the trials after which the expected best has come nine tenths of the way from one trial's to all trials'."""
    first, last = float(arm.best.value[0]), float(arm.best.value[-1])
    return next(n for n, v in enumerate(arm.best.value, start=1) if abs(last - float(v)) <= CLOSE * abs(last - first))


def reading(record: ComparisonRecord, texts: Texts) -> str:
    """Say for each optimizer how many trials are nearly as good as all, and which batch size reached the target most and least often."""
    arms, names = arms_of(record), optimizers(record)
    if len(arms) < 2:
        return texts("figure.tuning.nothing", trials=number(LEAST))
    parts = []
    for name in names:
        group = [arm for arm in arms if arm.optimizer == name]
        begin = texts("reading.optimizer", optimizer=optimizer_name(name)) if len(names) > 1 else ""
        parts += [begin + _sentences(record, group, texts)] if group else []
    return "\n".join(parts)


def _sentences(record: ComparisonRecord, arms: list[ArmTuning], texts: Texts) -> str:
    counts = [needed(arm) for arm in arms]
    few, many = number(min(counts)), number(max(counts))
    text = texts(f"figure.tuning.{'trials' if few != many else 'trials_alike'}", few=few, many=many)
    known = [(arm, arm.reaching) for arm in arms if arm.reaching]
    if not known:
        return text
    (often, most), (rarely, least) = (pick(known, key=lambda pair: pair[1].value) for pick in (max, min))
    key = "shares" if most.low > least.high else "shares_alike"
    ends = {"most": share(most.value), "least": share(least.value), "target": target_text(record, texts)}
    names = {
        "often": arm_name(often.optimizer, often.batch_size, record.rows, texts),
        "rarely": arm_name(rarely.optimizer, rarely.batch_size, record.rows, texts),
    }
    return f"{text} {texts(f'figure.tuning.{key}', **ends, **names)}"


def numbers(record: ComparisonRecord) -> Rows:
    """Return a row for each arm and number of trials."""
    return [
        {
            "optimizer": arm.optimizer,
            "batch_size": arm.batch_size,
            "trials": n + 1,
            "expected_best": float(arm.best.value[n]),
            "low": float(arm.best.low[n]),
            "high": float(arm.best.high[n]),
            "share_reaching": arm.reaching.value if arm.reaching else None,
        }
        for arm in arms_of(record)
        for n in range(arm.trials)
    ]


ROWS = (ComparedFigure("tuning", draw, reading, numbers),)
