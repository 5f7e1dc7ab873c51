"""How good the networks of each batch size become, as the difference to one mini-batch's, under each budget: a panel for each.

The message is whether the sign depends on the unit of the budget: equal epochs favour small batches, equal updates large ones
(Shallue et al. 2019, fig 11).
"""

from math import isfinite

import plotly.graph_objects as go

from hpsearch.comparison.analysis.quality import ArmQuality, Limit, Within, limits, quality
from hpsearch.comparison.analysis.times import ENOUGH, optimizers
from hpsearch.comparison.figures.look import (
    arm_name,
    batch_axis,
    gap_texts,
    metric_name,
    optimizer_name,
    regime_color,
)
from hpsearch.comparison.figures.panels import laid_out, tagged, with_axes
from hpsearch.comparison.figures.row import ComparedFigure, Rows
from hpsearch.reporting.figures.style import LIGHT, axis, blank, rounded
from hpsearch.reporting.formatting import MetricFormat, number
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

LEVEL = 0.05  # of the adjusted p-values


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the differences, a panel for each optimizer and budget; None where nothing can be compared."""
    arms, budgets = quality(record), limits(record)
    panels = [(name, budget) for name in optimizers(record) for budget in budgets if _known(arms, name, budget)]
    if not panels:
        return None
    figure = blank(360)
    for place, (name, budget) in enumerate(panels):
        group = [arm for arm in arms if arm.optimizer == name]
        for trace in _traces(record, group, budget, texts):
            first = place == 0 and bool(trace.name)
            figure.add_trace(tagged(trace.update(showlegend=first), place))
        title = budget_text(budget, budgets[budget], texts)
        title = title if len(optimizers(record)) == 1 else f"{optimizer_name(name)}, {title}"
        across = batch_axis([arm.batch_size for arm in group], f"<b>{title}</b>")
        with_axes(figure, place, across, _upright(record))
    notes = [
        texts("figure.quality.note"),
        texts(f"figure.quality.{'higher' if MetricFormat.of(record).maximize else 'lower'}"),
    ]
    return laid_out(figure, len(panels), notes)


def _known(arms: list[ArmQuality], optimizer: str, budget: str) -> bool:
    return any(arm.optimizer == optimizer and arm.within[budget].difference for arm in arms)


def _upright(record: ComparisonRecord) -> dict[str, object]:
    form = {"tickformat": "+.1%"} if MetricFormat.of(record).percent else {"tickformat": "+~g"}
    return axis(nticks=6) | form | {"zeroline": True, "zerolinecolor": LIGHT["edge"]}


def _traces(record: ComparisonRecord, arms: list[ArmQuality], budget: str, texts: Texts) -> list[go.Scatter]:
    compared = [(arm, arm.within[budget]) for arm in arms if arm.within[budget].difference]
    filled = [pair for pair in compared if (pair[1].p or 0.0) < LEVEL]
    open_ = [pair for pair in compared if pair not in filled]
    home = [arm.batch_size for arm in arms if arm.batch_size == arm.reference]
    reference = go.Scatter(
        x=home,
        y=[0] * len(home),
        mode="markers",
        name=texts("figure.quality.reference", size=number(arms[0].reference)),
        hoverinfo="skip",
        marker={"symbol": "line-ew-open", "size": 18, "color": LIGHT["ink"], "line": {"width": 2}},
    )
    kinds = [(filled, "circle", "significant"), (open_, "circle-open", "insignificant")]
    return [
        reference,
        *(_dots(record, group, symbol, texts(f"figure.quality.{key}"), texts) for group, symbol, key in kinds),
    ]


def _dots(
    record: ComparisonRecord, group: list[tuple[ArmQuality, Within]], symbol: str, name: str, texts: Texts
) -> go.Scatter:
    known = [(arm, within, within.difference) for arm, within in group if within.difference]
    return go.Scatter(
        x=[arm.batch_size for arm, _, _ in known],
        y=rounded([gap.value for _, _, gap in known]),
        mode="markers",
        name=name,
        text=[said(record, arm, within, texts) for arm, within, _ in known],
        hovertemplate="%{text}<extra></extra>",
        marker={"symbol": symbol, "size": 10, "color": [regime_color(a.batch_size, record.rows) for a, _, _ in known]},
        error_y={"type": "data", "symmetric": False, "color": LIGHT["ink"], "thickness": 1.5, "width": 4}
        | {"array": rounded([gap.high - gap.value for _, _, gap in known])}
        | {"arrayminus": rounded([gap.value - gap.low for _, _, gap in known])},
    )


def said(record: ComparisonRecord, arm: ArmQuality, within: Within, texts: Texts) -> str:
    """Return what an arm's dot says."""
    gap = within.difference
    assert gap is not None, "only differences are drawn"
    return texts(
        "figure.quality.hover",
        name=arm_name(arm.optimizer, arm.batch_size, record.rows, texts),
        metric=metric_name(record, texts),
        median=MetricFormat.of(record).text(within.metric.value),
        **gap_texts(record, gap, texts),
        p=number(float(f"{within.p or 0.0:.2g}")),
        rate=number(arm.learning_rate),
    )


def budget_text(name: str, limit: Limit, texts: Texts) -> str:
    """Return what a budget is called, with its length."""
    amount = limit.updates if name == "updates" else limit.epochs
    return texts(
        f"figure.quality.{name}", amount=number(float(f"{amount:.3g}")) if amount < 100 else number(round(amount))
    )


def reading(record: ComparisonRecord, texts: Texts) -> str:
    """Say for each budget how the smallest and the largest batch size compare with the reference, and whether the sign depends on it."""
    arms, budgets, names = quality(record), limits(record), optimizers(record)
    if not any(_known(arms, name, budget) for name in names for budget in budgets):
        return texts("reading.nothing" if len(arms) < 2 else "reading.few", seeds=number(ENOUGH))
    if min(arm.runs for arm in arms) < ENOUGH:
        return texts("reading.few", seeds=number(ENOUGH))
    parts = []
    for name in names:
        group = [arm for arm in arms if arm.optimizer == name]
        begin = texts("reading.optimizer", optimizer=optimizer_name(name)) if len(names) > 1 else ""
        parts.append(begin + _sentences(record, group, budgets, texts))
    return "\n".join(parts)


def _sentences(record: ComparisonRecord, arms: list[ArmQuality], budgets: dict[str, Limit], texts: Texts) -> str:
    ends = [arm for arm in (arms[:1] + arms[1:][-1:]) if arm.batch_size != arm.reference]
    said_of = [_budget(record, ends, budget, limit, texts) for budget, limit in budgets.items()]
    signs = {_sign(arms, budget) for budget in budgets} - {0}
    key = "depends" if len(signs) > 1 else "agrees" if signs else "alike"
    text = " ".join([*filter(None, said_of), texts(f"figure.quality.{key}")])
    least = 2.0 ** (1 - min(arm.runs for arm in arms)) * (len(arms) - 1)
    weak = texts("figure.quality.weak", p=number(float(f"{min(1.0, least):.2g}"))) if least >= LEVEL else ""
    return f"{text} {weak}".strip()


def _budget(record: ComparisonRecord, ends: list[ArmQuality], which: str, limit: Limit, texts: Texts) -> str:
    parts = []
    for arm in ends:
        gap = arm.within[which].difference
        if gap is not None:
            name = arm_name(arm.optimizer, arm.batch_size, record.rows, texts)
            parts.append(texts("figure.quality.end", name=name, **gap_texts(record, gap, texts)))
    budget = budget_text(which, limit, texts)
    return texts("figure.quality.budget", budget=budget, ends=", ".join(parts)) if parts else ""


def _sign(arms: list[ArmQuality], budget: str) -> int:
    """Return which end has the better networks: 1 the largest batch size, -1 the smallest, 0 where their intervals meet."""
    first, last = (_span(arm, budget) for arm in (arms[0], arms[-1]))
    return (last[0] > first[1]) - (last[1] < first[0])


def _span(arm: ArmQuality, budget: str) -> tuple[float, float]:
    gap = arm.within[budget].difference
    return (gap.low, gap.high) if gap else (0.0, 0.0)


def numbers(record: ComparisonRecord) -> Rows:
    """Return a row for each arm: scores of the best networks by part of the data, and each budget's metric, difference and p-value."""
    return [
        {
            "optimizer": arm.optimizer,
            "batch_size": arm.batch_size,
            "learning_rate": arm.learning_rate,
            "runs": arm.runs,
            **{f"{part}_metric": estimate.value for part, estimate in arm.scores.items()},
            **{key: value for budget, within in arm.within.items() for key, value in _columns(budget, within).items()},
            "gap": arm.gap.value if arm.gap else None,
            "matched_loss": arm.level,
            "saturated": arm.saturated,
        }
        for arm in quality(record)
    ]


def _columns(budget: str, within: Within) -> dict[str, object]:
    gap = within.difference
    ends = (
        {"difference": gap.value, "low": gap.low, "high": gap.high}
        if gap
        else dict.fromkeys(("difference", "low", "high"))
    )
    known = {end: value if value is None or isfinite(value) else None for end, value in ends.items()}
    return {
        f"{budget}_{key}": value
        for key, value in ({"metric": within.metric.value} | known | {"p": within.p} | _better(within)).items()
    }


def _better(within: Within) -> dict[str, object]:
    return {"better": within.better.value if within.better else None}


ROWS = (ComparedFigure("quality", draw, reading, numbers),)
