"""Where runs went: down the loss of two weights, in one plane for all, and the loss between their ends.

The model with two weights is the textbook's picture on real data: its loss is exact, and the reader may replay the paths down it.
"""

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import optimizers
from hpsearch.comparison.analysis.trajectories import (
    BarrierBetween,
    Trajectory,
    barriers,
    shared_plane,
)
from hpsearch.comparison.figures.appearance import (
    brief,
    by_optimizer,
    measured_note,
    measured_optimizer,
    regime_color,
    regime_name,
)
from hpsearch.comparison.figures.figure import Mark, Rows, contours, mark_trace, plot
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, axis
from hpsearch.reporting.formatting import share
from hpsearch.statistics.estimates import finite
from hpsearch.storage import ComparisonRecord

BARRIER_COLORS = ("ink", "out of memory", "running", "edge")
DENSE = 150  # points, from which a path is a thin line without marks
MOST = 0.5  # of the paths' variance, from which the plane is said to hold most of it


# ---- paths in one plane


def draw_trajectories(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the paths in their common plane over the loss there; None without a plane."""
    plane = shared_plane(record, measured_optimizer(record))
    if plane is None:
        return None
    hover = texts("figure.trajectories.hover_loss", loss="%{text}") + "<extra></extra>"
    traces = [contours(plane.x, plane.y, plane.loss, texts("axis.loss"), hover)]
    for path in plane.trajectories:
        traces += _path_traces(path, record, texts)
    first, second = map(share, plane.shares)
    horizontal = axis(texts("figure.trajectories.x", share=first), showgrid=False)
    vertical = axis(texts("figure.trajectories.y", share=second), showgrid=False)
    note = measured_note(record, texts, texts("figure.trajectories.note"))
    return plot(520, traces, horizontal, vertical, meta={"note": note})


def _path_traces(path: Trajectory, record: ComparisonRecord, texts: Texts) -> list[go.Scatter]:
    """Return a path with its points, and its end; the start is the same for all and marked by an open circle."""
    color = regime_color(path.batch_size, record.rows)
    regime = regime_name(path.batch_size, record.rows, texts)
    dense = len(path.updates) > DENSE
    line = go.Scatter(
        x=list(path.x),
        y=list(path.y),
        customdata=list(path.updates),
        hovertemplate=texts("figure.trajectories.hover", regime=regime, update="%{customdata:,}") + "<extra></extra>",
        mode="lines" if dense else "lines+markers",
        line={"color": color, "width": 0.8 if dense else 2},
        marker={"color": color, "size": 4},
        name=regime,
    )
    edge = {"color": LIGHT["surface"], "width": 1}
    ends = go.Scatter(
        x=[path.x[0], path.x[-1]],
        y=[path.y[0], path.y[-1]],
        mode="markers",
        showlegend=False,
        marker={"color": [LIGHT["ink"], color], "symbol": ["circle-open", "star"], "size": [13, 15], "line": edge},
        name=regime,
        hoverinfo="skip",
    )
    return [line, ends]


def read_trajectories(record: ComparisonRecord, texts: Texts) -> str:
    """Say how much of the variance the plane holds, how many updates are drawn, and how much longer the paths are than straight lines."""
    plane = shared_plane(record, measured_optimizer(record))
    if plane is None:
        return texts("figure.trajectories.thin")
    held = sum(plane.shares)
    key = "most" if held >= MOST else "little"
    parts = [texts(f"figure.trajectories.{key}", share=share(held))]
    shown = [_shown(path, record, texts) for path in plane.trajectories]
    parts.append(texts("figure.trajectories.shown", paths="; ".join(shown)))
    detours = [_detour(path, record, texts) for path in plane.trajectories if path.detour]
    if detours:
        parts.append(texts("figure.trajectories.detours", detours="; ".join(detours)))
    else:
        parts.append(texts("figure.trajectories.no_lengths"))
    return " ".join(parts)


def _shown(path: Trajectory, record: ComparisonRecord, texts: Texts) -> str:
    """Say how many of a path's updates are drawn, and how far it leads."""
    key = "all" if path.shown == path.count else "some"
    until = {True: "target", False: "end", None: "beyond"}[path.reached]
    return texts(
        f"figure.trajectories.shown_{key}",
        regime=regime_name(path.batch_size, record.rows, texts),
        shown=brief(path.shown),
        count=brief(path.count),
        until=texts(f"figure.trajectories.until_{until}"),
    )


def _detour(path: Trajectory, record: ComparisonRecord, texts: Texts) -> str:
    """Say how many times as long as the straight line a path is, in truth and as it is drawn."""
    regime = regime_name(path.batch_size, record.rows, texts)
    on_plane = brief(path.detour_on_plane)
    return texts("figure.trajectories.detour", regime=regime, detour=brief(path.detour), on_plane=on_plane)


def trajectory_numbers(record: ComparisonRecord) -> Rows:
    """Return the points of the paths in their plane."""
    rows = []
    for name in optimizers(record):
        plane = shared_plane(record, name)
        for path in plane.trajectories if plane else ():
            for update, x, y in zip(path.updates, path.x, path.y, strict=True):
                row = {"optimizer": name, "batch_size": path.batch_size, "update": update}
                rows.append(row | {"first_component": x, "second_component": y})
    return rows


# ---- barriers between ends


def draw_barrier(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the loss on the straight lines between ends of runs; None without any."""
    found = barriers(record, measured_optimizer(record))
    if not found:
        return None
    traces = []
    for role, barrier in zip(BARRIER_COLORS, found, strict=False):
        traces.append(_barrier_trace(record, texts, barrier, LIGHT[role]))
    horizontal = axis(texts("figure.barrier.x"), tickvals=[0, 0.25, 0.5, 0.75, 1], range=[-0.02, 1.02])
    vertical = axis(texts("axis.loss"), rangemode="tozero")
    note = measured_note(record, texts, texts("figure.barrier.note"))
    return plot(390, traces, horizontal, vertical, meta={"note": note})


def _barrier_trace(record: ComparisonRecord, texts: Texts, barrier: BarrierBetween, color: str) -> go.Scatter:
    name = _pair_name(record, texts, barrier)
    height = brief(barrier.height)
    marks = []
    for alpha, loss in zip(barrier.alphas, barrier.losses, strict=True):
        text = texts("figure.barrier.hover", pair=name, alpha=f"{alpha:.2f}", loss=brief(loss), height=height)
        marks.append(Mark(alpha, finite(loss), text))
    style = {"line": {"color": color, "width": 2.2}, "marker": {"color": color, "size": 5}}
    return mark_trace(marks, mode="lines+markers", name=name, **style)


def _pair_name(record: ComparisonRecord, texts: Texts, barrier: BarrierBetween) -> str:
    return " → ".join(regime_name(size, record.rows, texts, short=True) for size in barrier.batch_sizes)


def read_barrier(record: ComparisonRecord, texts: Texts) -> str:
    """Say between which ends there is a barrier."""
    found = barriers(record, measured_optimizer(record))
    if not found:
        return texts("figure.barrier.thin")
    heights: dict[str, list[str]] = {"separate": [], "none": []}
    for barrier in found:
        ends = {"first": brief(barrier.losses[0]), "second": brief(barrier.losses[-1])}
        pair = _pair_name(record, texts, barrier)
        text = texts("figure.barrier.height", pair=pair, height=brief(barrier.height), **ends)
        heights["separate" if barrier.separate else "none"].append(text)
    parts = [texts(f"figure.barrier.{key}", pairs="; ".join(of_key)) for key, of_key in heights.items() if of_key]
    return " ".join(parts)


def barrier_numbers(record: ComparisonRecord) -> Rows:
    """Return the barriers between ends of runs."""
    rows = []
    for name, barrier in by_optimizer(record, barriers):
        size, other = barrier.batch_sizes
        row = {"optimizer": name, "batch_size": size, "other_batch_size": other, "barrier": barrier.height}
        rows.append(row | {"loss": barrier.losses[0], "other_loss": barrier.losses[-1]})
    return rows
