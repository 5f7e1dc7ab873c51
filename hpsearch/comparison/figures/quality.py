"""How good the networks of each batch size become, as the difference to one mini-batch's, under each budget: a panel for each.

The message is whether the sign depends on the unit of the budget: equal epochs favour small batches, equal updates large ones
(Shallue et al. 2019, fig 11).
"""

from itertools import product

import plotly.graph_objects as go

from hpsearch.comparison.analysis.quality import ArmQuality, Limit, Within, limits, quality
from hpsearch.comparison.analysis.times import ENOUGH, optimizers
from hpsearch.comparison.figures.appearance import (
    arm_name,
    brief,
    for_each_optimizer,
    gap_texts,
    metric_name,
    of_optimizer,
    optimizer_name,
    regime_color,
    significant,
    sizes_of,
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
from hpsearch.reporting.figures.style import LIGHT, axis
from hpsearch.reporting.formatting import MetricFormat, number, sentence
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import finite
from hpsearch.storage import ComparisonRecord

LEVEL = 0.05  # of the adjusted p-values


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the differences, a panel for each optimizer and budget; None where nothing can be compared."""
    arms = quality(record)
    budgets = limits(record)
    metric = MetricFormat.of(record, texts)
    look = {"tickformat": "+.1%" if metric.percent else "+~g", "zeroline": True, "zerolinecolor": LIGHT["edge"]}
    panels: list[Panel] = []
    for name, budget in _comparable(record, arms):
        group = of_optimizer(arms, name)
        traces = _traces(record, group, budget, texts)
        for trace in traces:
            trace.update(showlegend=not panels)
        title = _budget_text(budget, budgets[budget], texts)
        if len(optimizers(record)) > 1:
            title = f"{optimizer_name(name)}, {title}"
        horizontal = batch_axis(sizes_of(group), f"<b>{title}</b>", record, texts)
        panels.append(Panel(traces, horizontal, axis(nticks=6) | look))
    if not panels:
        return None
    better = "higher" if metric.maximize else "lower"
    notes = (texts("figure.quality.note"), texts(f"figure.quality.{better}"))
    return panel_plot(360, panels, *notes, more=texts("figure.quality.more"))


def _comparable(record: ComparisonRecord, arms: list[ArmQuality]) -> list[tuple[str, str]]:
    """Return each optimizer and budget in which an arm can be compared with the reference."""
    pairs = []
    for name, budget in product(optimizers(record), limits(record)):
        if any(arm.within[budget].difference for arm in of_optimizer(arms, name)):
            pairs.append((name, budget))
    return pairs


def _traces(record: ComparisonRecord, arms: list[ArmQuality], budget: str, texts: Texts) -> list[go.Scatter]:
    """Return a mark at the reference, and the differences: filled where they are significant."""
    compared = [arm for arm in arms if arm.within[budget].difference]
    filled = [arm for arm in compared if (arm.within[budget].p or 0.0) < LEVEL]
    open_ = [arm for arm in compared if arm not in filled]
    return [
        _reference(arms, texts),
        _dots(record, filled, budget, texts, symbol="circle", name=texts("figure.quality.significant")),
        _dots(record, open_, budget, texts, symbol="circle-open", name=texts("figure.quality.insignificant")),
    ]


def _reference(arms: list[ArmQuality], texts: Texts) -> go.Scatter:
    sizes = [arm.batch_size for arm in arms if arm.batch_size == arm.reference]
    name = texts("figure.quality.reference", size=number(arms[0].reference))
    marker = {"symbol": "line-ew-open", "size": 18, "color": LIGHT["ink"], "line": {"width": 2}}
    return plain_trace(sizes, [0] * len(sizes), mode="markers", name=name, marker=marker)


def _dots(
    record: ComparisonRecord, arms: list[ArmQuality], budget: str, texts: Texts, *, symbol: str, name: str
) -> go.Scatter:
    marks = []
    gaps = []
    for arm in arms:
        gap = arm.within[budget].difference
        assert gap is not None, "only differences are drawn"
        gaps.append(gap)
        color = regime_color(arm.batch_size, record.rows)
        marks.append(Mark(arm.batch_size, gap.value, _hover(record, arm, budget, gap, texts), color))
    marker = {"symbol": symbol, "size": 10, "color": colors_of(marks)}
    return mark_trace(marks, name=name, marker=marker, error_y=interval_bars(gaps, LIGHT["ink"]))


def _hover(record: ComparisonRecord, arm: ArmQuality, budget: str, gap: Estimate, texts: Texts) -> str:
    within = arm.within[budget]
    return texts(
        "figure.quality.hover",
        name=arm_name(arm, record, texts),
        metric=metric_name(record, texts),
        median=MetricFormat.of(record, texts).text(within.metric.value),
        **gap_texts(record, gap, texts),
        p=significant(within.p or 0.0, 2),
        rate=number(arm.learning_rate),
    )


def _budget_text(name: str, limit: Limit, texts: Texts) -> str:
    """Return what a budget is called, with its length."""
    amount = limit.updates if name == "updates" else limit.epochs
    return texts(f"figure.quality.{name}", amount=brief(amount))


def read(record: ComparisonRecord, texts: Texts) -> str:
    """Say for each budget how the smallest and the largest batch size compare with the reference, and whether the sign depends on it."""
    if record.settings["compare"].get("train_until") == "target":
        return texts("caution.cut")
    arms = quality(record)
    few = texts("reading.few", seeds=number(ENOUGH))
    if not _comparable(record, arms):
        return texts("reading.nothing") if len(arms) < 2 else few
    if min(arm.runs for arm in arms) < ENOUGH:
        return few
    return for_each_optimizer(record, texts, lambda name: _sentences(record, of_optimizer(arms, name), texts))


def _sentences(record: ComparisonRecord, arms: list[ArmQuality], texts: Texts) -> str:
    budgets = limits(record)
    ends = [arm for arm in (arms[:1] + arms[1:][-1:]) if arm.batch_size != arm.reference]
    parts = [_budget_sentence(record, ends, budget, limit, texts) for budget, limit in budgets.items()]
    signs = {_sign(arms, budget) for budget in budgets} - {0}
    if signs:
        key = "depends" if len(signs) > 1 else "agrees"
        parts.append(texts(f"figure.quality.{key}"))
    else:
        parts.append(texts("figure.quality.alike"))
    return " ".join(filter(None, parts))


def _budget_sentence(record: ComparisonRecord, ends: list[ArmQuality], budget: str, limit: Limit, texts: Texts) -> str:
    parts = []
    for arm in ends:
        gap = arm.within[budget].difference
        if gap is not None:
            values = gap_texts(record, gap, texts)
            if gap.low == gap.high:
                said = texts("search.trust.nothing_varied", value=values["value"])
                parts.append(f"{arm_name(arm, record, texts)} {said}")
                continue
            parts.append(texts("figure.quality.end", name=arm_name(arm, record, texts), **values))
    if not parts:
        return ""
    return sentence(texts("figure.quality.budget", budget=_budget_text(budget, limit, texts), ends=", ".join(parts)))


def _sign(arms: list[ArmQuality], budget: str) -> int:
    """Return which end has the better networks: 1 the largest batch size, -1 the smallest, 0 where their intervals meet."""
    zero = Estimate(0.0, 0.0, 0.0)  # the reference's difference to itself
    first = arms[0].within[budget].difference or zero
    last = arms[-1].within[budget].difference or zero
    return (last.low > first.high) - (last.high < first.low)


def numbers(record: ComparisonRecord) -> Rows:
    """Return a row for each arm: scores of the best networks by part of the data, and each budget's metric, difference and p-value."""
    return [_row(arm) for arm in quality(record)]


def _row(arm: ArmQuality) -> dict[str, object]:
    row: dict[str, object] = {
        "optimizer": arm.optimizer,
        "batch_size": arm.batch_size,
        "learning_rate": arm.learning_rate,
        "runs": arm.runs,
    }
    row |= {f"{part}_metric": estimate.value for part, estimate in arm.scores.items()}
    for budget, within in arm.within.items():
        row |= {f"{budget}_{name}": value for name, value in _budget_columns(within).items()}
    gap = arm.gap.value if arm.gap else None
    return row | {"gap": gap, "matched_loss": arm.level, "saturated": arm.saturated}


def _budget_columns(within: Within) -> dict[str, object]:
    gap = within.difference
    return {
        "metric": within.metric.value,
        "difference": finite(gap.value) if gap else None,
        "low": finite(gap.low) if gap else None,
        "high": finite(gap.high) if gap else None,
        "p": within.p,
        "better": within.better.value if within.better else None,
    }
