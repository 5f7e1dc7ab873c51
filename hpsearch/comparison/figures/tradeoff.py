"""Examples against updates to the target: what a larger batch saves in updates, and what it costs in data (McCandlish et al. 2018, fig 2).

The fit S = S_min (1 + B_crit / B) is here the curve (S / S_min - 1) (E / E_min - 1) = 1, since E = S B. Batch sizes are judged by updates
times epochs, which is least at B_crit and depends on no machine; seconds come after that.
"""

from collections.abc import Iterator
from itertools import chain
from math import inf, isfinite

import plotly.graph_objects as go

from hpsearch.comparison.analysis.contrasts import cost_ratio
from hpsearch.comparison.analysis.least_costs import least_costly
from hpsearch.comparison.analysis.times import PRODUCT, ArmTimes, optimizers, scaling, times
from hpsearch.comparison.figures.appearance import (
    arm_name,
    for_each_optimizer,
    interval,
    interval_text,
    of_optimizer,
    optimizer_name,
    regime_color,
    series_color,
)
from hpsearch.comparison.figures.figure import Rows, plain_trace, plot
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, log_axis, rounded
from hpsearch.reporting.formatting import number, sentence
from hpsearch.statistics.scaling import Hyperbola
from hpsearch.storage import ComparisonRecord

POINTS = 80


def bounded_fit(record: ComparisonRecord, optimizer: str) -> Hyperbola | None:
    """Return an optimizer's fit, None without a finite, positive critical batch size."""
    fit = scaling(record, optimizer)
    if fit is None or not 0 < fit.critical_batch_size.value < inf:
        return None
    return fit


def _reaching(record: ComparisonRecord, optimizer: str) -> list[ArmTimes]:
    return [arm for arm in of_optimizer(times(record), optimizer) if isfinite(_steps(arm))]


def _steps(arm: ArmTimes) -> float:
    return arm.costs["steps"].median.value


def _examples(arm: ArmTimes) -> float:
    return _steps(arm) * arm.batch_size


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw each optimizer's batch sizes and its fit; None where no optimizer has a fit with a finite critical batch size."""
    fits = {name: bounded_fit(record, name) for name in optimizers(record)}
    found = [(name, fit) for name, fit in fits.items() if fit]
    if not found:
        return None
    traces: list[go.Scatter] = []
    for index, (name, fit) in enumerate(found):
        color = series_color(index) if len(found) > 1 else ""
        arms = _reaching(record, name)
        first = index == 0
        traces.append(_balance_line(arms, texts).update(showlegend=first))
        traces.append(_fit_line(fit, arms, color or LIGHT["soft"], texts).update(showlegend=first))
        traces.append(_dots(record, arms, color, texts))
        traces.append(_knee(fit, texts).update(showlegend=first))
    widths = list(chain.from_iterable(trace.x for trace in traces))
    heights = list(chain.from_iterable(trace.y for trace in traces))
    horizontal = log_axis(min(widths), max(widths), texts("figure.tradeoff.x"))
    vertical = log_axis(min(heights), max(heights), texts("figure.tradeoff.y"))
    return plot(430, traces, horizontal, vertical, meta={"note": texts("figure.tradeoff.note")})


def _fit_line(fit: Hyperbola, arms: list[ArmTimes], color: str, texts: Texts) -> go.Scatter:
    """Return the fit from the smallest to the largest batch size, or to the critical one where that lies beyond."""
    critical = fit.critical_batch_size.value
    low = min(arms[0].batch_size, critical)
    high = max(arms[-1].batch_size, critical)
    x = []
    y = []
    for i in range(POINTS):
        size = low * (high / low) ** (i / (POINTS - 1))
        x.append(fit.steps(size))
        y.append(fit.steps(size) * size)
    return plain_trace(rounded(x), y, line={"color": color, "width": 2}, name=texts("legend.fit"))


def _balance_line(arms: list[ArmTimes], texts: Texts) -> go.Scatter:
    """Return the points with as many updates times examples as the least of the batch sizes, within what these need of both."""
    least = min(_steps(arm) * _examples(arm) for arm in arms)
    updates = [_steps(arm) for arm in arms]
    examples = [_examples(arm) for arm in arms]
    ends = [max(min(updates), least / max(examples)), min(max(updates), least / min(examples))]
    line = {"color": LIGHT["edge"], "width": 1.5, "dash": "dot"}
    return plain_trace(rounded(ends), [least / end for end in ends], line=line, name=texts("legend.balance"))


def _dots(record: ComparisonRecord, arms: list[ArmTimes], color: str, texts: Texts) -> go.Scatter:
    """Return the batch sizes; `color` is the optimizer's, "" where they have the colours of their regimes."""
    name = texts("legend.median")
    if color:
        name = optimizer_name(arms[0].optimizer)
    colors = [color or regime_color(arm.batch_size, record.rows) for arm in arms]
    return go.Scatter(
        x=rounded([_steps(arm) for arm in arms]),
        y=rounded([_examples(arm) for arm in arms]),
        mode="markers+text",
        text=[number(arm.batch_size) for arm in arms],
        textposition="top right",
        textfont={"color": LIGHT["ink"], "size": 12},
        hovertext=[_hover(record, arm, texts) for arm in arms],
        hovertemplate="%{hovertext}<extra></extra>",
        marker={"size": 10, "color": colors},
        name=name,
    )


def _knee(fit: Hyperbola, texts: Texts) -> go.Scatter:
    """Return a ring at the critical batch size."""
    critical = fit.critical_batch_size.value
    ink = LIGHT["ink"]
    steps = fit.steps(critical)
    marker = {"color": ink, "symbol": "circle-open", "size": 15, "line": {"width": 2, "color": ink}}
    name = texts("legend.critical")
    return plain_trace(rounded([steps]), [steps * critical], mode="markers", marker=marker, name=name)


def _hover(record: ComparisonRecord, arm: ArmTimes, texts: Texts) -> str:
    costs = {"steps": number(round(_steps(arm))), "examples": number(round(_examples(arm)))}
    return texts("figure.tradeoff.hover", name=arm_name(arm, record, texts), **costs)


def read(record: ComparisonRecord, texts: Texts) -> str:
    """Say what each optimizer's least costs are, the batch size at which both are twice that, and which one balances them best."""
    if not any(bounded_fit(record, name) for name in optimizers(record)):
        return texts("figure.tradeoff.nothing")
    return for_each_optimizer(record, texts, lambda name: _sentences(record, name, texts))


def _sentences(record: ComparisonRecord, optimizer: str, texts: Texts) -> str:
    fit = bounded_fit(record, optimizer)
    if fit is None:
        return ""
    value, low, high = interval(fit.critical_batch_size)
    ends = {"steps": number(round(fit.s_min.value)), "examples": number(round(fit.e_min.value))}
    main = texts("figure.tradeoff.main", value=value, low=low, high=high, **ends)
    return " ".join([main, *_balance(record, _reaching(record, optimizer), texts)])


def _balance(record: ComparisonRecord, arms: list[ArmTimes], texts: Texts) -> Iterator[str]:
    """Say which batch sizes have the fewest updates times epochs, as far as the seeds tell, and how many times as many the ends have."""
    best = least_costly(record, arms, PRODUCT)
    names = ", ".join(arm_name(arm, record, texts) for arm in best)
    yield texts("figure.tradeoff.balance", names=names)
    for arm in (arms[0], arms[-1]):
        ratio = cost_ratio(record, arm, best[0], PRODUCT)
        if ratio is not None and arm not in best:
            name = arm_name(arm, record, texts)
            yield sentence(texts("figure.tradeoff.worse", name=name, ratio=interval_text(ratio, texts)))
    yield texts("figure.tradeoff.seconds")


def numbers(record: ComparisonRecord) -> Rows:
    """Return a row for each arm whose median run reached the target."""
    rows = []
    for name in optimizers(record):
        fit = scaling(record, name)
        rows += [_row(arm, fit) for arm in _reaching(record, name)]
    return rows


def _row(arm: ArmTimes, fit: Hyperbola | None) -> dict[str, object]:
    return {
        "optimizer": arm.optimizer,
        "batch_size": arm.batch_size,
        "median_steps": _steps(arm),
        "median_examples": _examples(arm),
        "median_product": arm.costs[PRODUCT].median.value,
        "fitted_steps": fit.steps(arm.batch_size) if fit else None,
    }
