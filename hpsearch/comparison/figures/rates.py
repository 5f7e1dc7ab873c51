"""The map of tuning: each trial at its learning rate and batch size, with what became of it.

The page switches between the learning rate itself and the rate per row of a batch, since "the stable range shrinks with the batch size"
(Masters & Luschi 2018) is said of the second, and need not hold of the first.
"""

from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.rates import ArmRates, RateTrial, rates
from hpsearch.comparison.analysis.times import optimizers
from hpsearch.comparison.figures.look import (
    arm_name,
    batch_axis,
    metric_name,
    optimizer_name,
    power_axis,
    target_text,
)
from hpsearch.comparison.figures.row import ComparedFigure, Rows
from hpsearch.reporting.figures.style import LIGHT, blank, rounded
from hpsearch.reporting.formatting import MetricFormat, number
from hpsearch.reporting.locales import Texts
from hpsearch.statistics.stability import Cell
from hpsearch.storage import ComparisonRecord

COLORS = {Cell.REACHED: "full", Cell.LATE: "smallest", Cell.NEVER: "pruned", Cell.DIVERGED: "diverged"}
SYMBOLS = {Cell.REACHED: "circle", Cell.LATE: "circle", Cell.NEVER: "circle-open", Cell.DIVERGED: "x"}
MOVED = 1.0  # octave; ranges whose widths differ by less are alike


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the map, a panel for each optimizer; None for fewer than two arms."""
    arms = rates(record)
    if len(arms) < 2:
        return None
    names = [name for name in optimizers(record) if any(arm.optimizer == name for arm in arms)]
    sizes = [arm.batch_size for arm in arms]
    figure = blank(130 + 34 * min(len(set(sizes)), 17) + 40)
    panels = [_panel([arm for arm in arms if arm.optimizer == name], record, texts) for name in names]
    for place, traces in enumerate(panels):
        _add(figure, traces, place, sizes, texts, names)
    meta: dict[str, Any] = {"note": texts("figure.rates.note", target=target_text(record, texts))}
    if len(names) > 1:
        meta |= {"panels": len(names), "panel": 330}
    else:
        meta |= {"switch": _switch(panels[0], texts)}
    return figure.update_layout(meta=meta)


def _add(
    figure: go.Figure, traces: list[go.Scatter], place: int, sizes: list[int], texts: Texts, names: list[str]
) -> None:
    tag = "" if place == 0 else str(place + 1)
    for trace in traces:
        first = all(other.name != trace.name for other in figure.data) and trace.showlegend is not False
        figure.add_trace(trace.update(xaxis=f"x{tag}", yaxis=f"y{tag}", showlegend=first))
    title = texts("axis.learning_rate")
    title = title if len(names) == 1 else f"<b>{optimizer_name(names[place])}</b>, {title}"
    across = power_axis(title, anchor=f"y{tag}")
    upright = batch_axis(sizes, texts("axis.batch_size_short"), anchor=f"x{tag}")
    figure.update_layout({f"xaxis{tag}": across, f"yaxis{tag}": upright})


def _panel(arms: list[ArmRates], record: ComparisonRecord, texts: Texts) -> list[go.Scatter]:
    traces = [_working(arms, texts)]
    for cell in Cell:
        group = [(arm, trial) for arm in arms for trial in arm.trials if trial.cell is cell]
        traces += [_dots(cell, group, record, texts)] if group else []
    marked = [arm for arm in arms if arm.tuned is not None]
    rings = [(None, [a for a in marked if not a.edge], "tuned"), ("edge", [a for a in marked if a.edge], "tuned_edge")]
    return traces + [_rings(group, key, kind is not None, texts) for kind, group, key in rings if group]


def _working(arms: list[ArmRates], texts: Texts) -> go.Scatter:
    """Return the ranges of rates that reached the target, as broad pale bars."""
    x: list[float | None] = []
    y: list[float | None] = []
    for arm in arms:
        if arm.working:
            x, y = [*x, *arm.working[:2], None], [*y, arm.batch_size, arm.batch_size, None]
    line = {"color": LIGHT["band"], "width": 16}
    return go.Scatter(x=rounded(x), y=y, mode="lines", line=line, hoverinfo="skip", name=texts("figure.rates.working"))


def _dots(cell: Cell, group: list[tuple[ArmRates, RateTrial]], record: ComparisonRecord, texts: Texts) -> go.Scatter:
    return go.Scatter(
        x=rounded([trial.learning_rate for _, trial in group]),
        y=[arm.batch_size for arm, _ in group],
        mode="markers",
        name=texts(f"figure.rates.{cell}"),
        text=[_said(arm, trial, record, texts) for arm, trial in group],
        hovertemplate="%{text}<extra></extra>",
        marker={"color": LIGHT[COLORS[cell]], "symbol": SYMBOLS[cell], "size": 8},
    )


def _said(arm: ArmRates, trial: RateTrial, record: ComparisonRecord, texts: Texts) -> str:
    return texts(
        "figure.rates.hover",
        name=arm_name(arm.optimizer, arm.batch_size, record.rows, texts),
        trial=number(trial.number),
        rate=number(float(f"{trial.learning_rate:.3g}")),
        per_row=number(float(f"{trial.learning_rate / arm.batch_size:.3g}")),
        outcome=texts(f"figure.rates.{trial.cell}"),
        steps=number(trial.steps),
        metric=metric_name(record, texts),
        value=MetricFormat.of(record).text(trial.value),
    )


def _rings(arms: list[ArmRates], key: str, at_edge: bool, texts: Texts) -> go.Scatter:
    color = LIGHT["first" if at_edge else "ink"]
    return go.Scatter(
        x=rounded([arm.tuned for arm in arms]),
        y=[arm.batch_size for arm in arms],
        mode="markers",
        name=texts(f"figure.rates.{key}"),
        hoverinfo="skip",
        marker={"color": color, "symbol": "square-open" if at_edge else "circle-open", "size": 15}
        | {"line": {"width": 2, "color": color}},
    )


def _switch(traces: list[go.Scatter], texts: Texts) -> list[dict[str, Any]]:
    """Return the horizontal axes: the learning rate, and the rate divided by the batch size."""
    upright = [list(trace.y) for trace in traces]
    plain = [list(trace.x) for trace in traces]
    per_row = [
        [x and rounded([x / y])[0] for x, y in zip(a, b, strict=True)] for a, b in zip(plain, upright, strict=True)
    ]
    return [
        {"label": texts("figure.rates.rate"), "title": texts("axis.learning_rate"), "x": plain, "y": upright},
        {"label": texts("figure.rates.per_row"), "title": texts("axis.per_row"), "x": per_row, "y": upright},
    ]


def reading(record: ComparisonRecord, texts: Texts) -> str:
    """Say for each optimizer how the range that works changes with the batch size, in both units, and name the edges."""
    arms, names = rates(record), optimizers(record)
    if len(arms) < 2:
        return texts("reading.nothing")
    parts = []
    for name in names:
        begin = texts("reading.optimizer", optimizer=optimizer_name(name)) if len(names) > 1 else ""
        parts.append(begin + _sentences([arm for arm in arms if arm.optimizer == name], record, texts))
    return "\n".join(parts)


def _sentences(arms: list[ArmRates], record: ComparisonRecord, texts: Texts) -> str:
    known = [arm for arm in arms if arm.working]
    if len(known) < 2:
        return texts("reading.unreached", target=target_text(record, texts))
    text = f"{_widths(known[0], known[-1], record, texts)} {_tuned(known, record, texts)}".strip()
    edges = [arm_name(arm.optimizer, arm.batch_size, record.rows, texts) for arm in arms if arm.tuned and arm.edge]
    return text + " " + (texts("figure.rates.edges", names=", ".join(edges)) if edges else texts("figure.rates.inside"))


def _widths(first: ArmRates, last: ArmRates, record: ComparisonRecord, texts: Texts) -> str:
    """Compare the ranges that work at the smallest and the largest batch size; a width in octaves is the same in both units."""
    assert first.working is not None, "only arms that reached the target are compared"
    assert last.working is not None, "only arms that reached the target are compared"
    change = last.working[2] - first.working[2]
    key = "wider" if change > MOVED else "narrower" if change < -MOVED else "alike"
    values: dict[str, str] = {}
    for place, arm, (low, high, octaves) in (("first", first, first.working), ("last", last, last.working)):
        values |= {
            place: arm_name(arm.optimizer, arm.batch_size, record.rows, texts),
            f"{place}_octaves": f"{octaves:.1f}",
        }
        values |= {f"{place}_low": number(float(f"{low:.2g}")), f"{place}_high": number(float(f"{high:.2g}"))}
        values |= {f"{place}_row": number(float(f"{high / arm.batch_size:.2g}"))}
    return texts(f"figure.rates.{key}", **values)


def _tuned(arms: list[ArmRates], record: ComparisonRecord, texts: Texts) -> str:
    """Say how far the tuned rate moves, against the batch size."""
    tuned = [arm for arm in arms if arm.tuned]
    if len(tuned) < 2 or tuned[0].tuned is None or tuned[-1].tuned is None:
        return ""
    ratio, sizes = tuned[-1].tuned / tuned[0].tuned, tuned[-1].batch_size / tuned[0].batch_size
    said = {"ratio": number(float(f"{ratio:.2g}")), "sizes": number(float(f"{sizes:.3g}"))}
    return texts("figure.rates.moved", **said)


def numbers(record: ComparisonRecord) -> Rows:
    """Return a row for each arm: the tuned rate, the range that works, and the highest rate that does not diverge."""
    return [
        {
            "optimizer": arm.optimizer,
            "batch_size": arm.batch_size,
            "trials": len(arm.trials),
            **{str(cell): sum(trial.cell is cell for trial in arm.trials) for cell in Cell},
            "tuned": arm.tuned,
            "tuned_per_row": arm.tuned / arm.batch_size if arm.tuned else None,
            "lowest_working": arm.working[0] if arm.working else None,
            "highest_working": arm.working[1] if arm.working else None,
            "working_octaves": arm.working[2] if arm.working else None,
            "highest_stable": arm.stable.highest if arm.stable else None,
            "stable_octaves": arm.stable.octaves if arm.stable else None,
            "edge": arm.edge or "",
        }
        for arm in rates(record)
    ]


ROWS = (ComparedFigure("rates", draw, reading, numbers),)
