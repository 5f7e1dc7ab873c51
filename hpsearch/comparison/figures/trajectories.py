"""Where runs went, in one plane for all, and the loss between their ends."""

from collections.abc import Sequence
from math import isfinite

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import optimizers
from hpsearch.comparison.analysis.trajectories import (
    BarrierBetween,
    SharedPlane,
    Trajectory,
    barriers,
    shared_plane,
)
from hpsearch.comparison.figures.appearance import (
    HOVER,
    brief,
    by_optimizer,
    measured_note,
    measured_optimizer,
    regime_color,
    regime_name,
)
from hpsearch.comparison.figures.figure import Rows, contours
from hpsearch.reporting.figures.style import LIGHT, axis, blank, rounded
from hpsearch.reporting.formatting import share
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

BARRIER_COLORS = ("ink", "out of memory", "running", "edge")
MOST = 0.5  # of the paths' variance, from which the plane is said to hold most of it


# ---- paths in one plane


def draw_trajectories(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the paths in their common plane over the loss there; None without a plane."""
    plane = shared_plane(record, measured_optimizer(record))
    if plane is None:
        return None
    figure = blank(520)
    hover = texts("figure.trajectories.hover_loss", loss="%{text}") + "<extra></extra>"
    figure.add_trace(contours(plane.x, plane.y, plane.loss, texts("axis.loss"), hover))
    for path in plane.trajectories:
        figure.add_traces(path_traces(path, record, texts))
    first, second = map(share, plane.shares)
    figure.update_xaxes(axis(texts("figure.trajectories.x", share=first), showgrid=False))
    figure.update_yaxes(axis(texts("figure.trajectories.y", share=second), showgrid=False))
    return figure.update_layout(meta={"note": measured_note(record, texts, texts("figure.trajectories.note"))})


def path_traces(path: Trajectory, record: ComparisonRecord, texts: Texts) -> list[go.Scatter]:
    """Return a path with its points, and its end; the start is the same for all and marked by an open circle."""
    color = regime_color(path.batch_size, record.rows)
    regime = regime_name(path.batch_size, record.rows, texts)
    line = go.Scatter(
        x=rounded(list(path.x)),
        y=rounded(list(path.y)),
        mode="lines+markers",
        name=regime,
        text=[texts("figure.trajectories.hover", regime=regime, update=brief(update)) for update in path.updates],
        hovertemplate=HOVER,
        line={"color": color, "width": 2},
        marker={"color": color, "size": 4},
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
    """Say how much of the motion the plane holds, and how the lengths of the paths compare on it."""
    plane = shared_plane(record, measured_optimizer(record))
    if plane is None:
        return texts("figure.trajectories.thin")
    held = sum(plane.shares)
    key = "most" if held >= MOST else "little"
    parts = [texts(f"figure.trajectories.{key}", share=share(held))]
    detours = [_detour(path, record, texts) for path in plane.trajectories if path.distance > 0]
    if detours:
        parts.append(texts("figure.trajectories.detours", detours="; ".join(detours)))
    return " ".join(parts)


def _detour(path: Trajectory, record: ComparisonRecord, texts: Texts) -> str:
    regime = regime_name(path.batch_size, record.rows, texts)
    return texts("figure.trajectories.detour", regime=regime, detour=brief(path.length / path.distance))


def trajectory_numbers(record: ComparisonRecord) -> Rows:
    """Return the points of the paths in their plane."""
    rows = []
    for name in optimizers(record):
        plane = shared_plane(record, name)
        if plane is not None:
            rows += _point_rows(name, plane)
    return rows


def _point_rows(optimizer: str, plane: SharedPlane) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for path in plane.trajectories:
        for update, x, y in zip(path.updates, path.x, path.y, strict=True):
            row = {"optimizer": optimizer, "batch_size": path.batch_size, "update": update}
            rows.append(row | {"first_component": x, "second_component": y})
    return rows


# ---- barriers between ends


def draw_barrier(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the loss on the straight lines between ends of runs; None without any."""
    found = barriers(record, measured_optimizer(record))
    if not found:
        return None
    figure = blank(390)
    for color, barrier in zip(BARRIER_COLORS, found, strict=False):
        figure.add_trace(_barrier_trace(record, texts, barrier, color))
    figure.update_xaxes(axis(texts("figure.barrier.x"), tickvals=[0, 0.25, 0.5, 0.75, 1], range=[-0.02, 1.02]))
    figure.update_yaxes(axis(texts("axis.loss"), rangemode="tozero"))
    return figure.update_layout(meta={"note": measured_note(record, texts, texts("figure.barrier.note"))})


def _barrier_trace(record: ComparisonRecord, texts: Texts, barrier: BarrierBetween, color: str) -> go.Scatter:
    name = _pair_name(record, texts, barrier)
    height = brief(barrier.height)
    hover = [
        texts("figure.barrier.hover", pair=name, alpha=f"{alpha:.2f}", loss=brief(loss), height=height)
        for alpha, loss in zip(barrier.alphas, barrier.losses, strict=True)
    ]
    return go.Scatter(
        x=list(barrier.alphas),
        y=rounded([loss if isfinite(loss) else None for loss in barrier.losses]),
        mode="lines+markers",
        name=name,
        text=hover,
        line={"color": LIGHT[color], "width": 2.2},
        marker={"color": LIGHT[color], "size": 5},
        hovertemplate=HOVER,
    )


def _pair_name(record: ComparisonRecord, texts: Texts, barrier: BarrierBetween) -> str:
    return " → ".join(regime_name(size, record.rows, texts, short=True) for size in barrier.batch_sizes)


def read_barrier(record: ComparisonRecord, texts: Texts) -> str:
    """Say between which ends there is a barrier."""
    found = barriers(record, measured_optimizer(record))
    if not found:
        return texts("figure.barrier.thin")
    separate = [barrier for barrier in found if barrier.separate]
    joined = [barrier for barrier in found if not barrier.separate]
    parts = []
    if separate:
        parts.append(texts("figure.barrier.separate", pairs=_heights(record, texts, separate)))
    if joined:
        parts.append(texts("figure.barrier.none", pairs=_heights(record, texts, joined)))
    return " ".join(parts)


def _heights(record: ComparisonRecord, texts: Texts, found: Sequence[BarrierBetween]) -> str:
    return "; ".join(
        texts(
            "figure.barrier.height",
            pair=_pair_name(record, texts, barrier),
            height=brief(barrier.height),
            first=brief(barrier.losses[0]),
            second=brief(barrier.losses[-1]),
        )
        for barrier in found
    )


def barrier_numbers(record: ComparisonRecord) -> Rows:
    """Return the barriers between ends of runs."""
    return [
        {
            "optimizer": name,
            "batch_size": barrier.batch_sizes[0],
            "other_batch_size": barrier.batch_sizes[1],
            "barrier": barrier.height,
            "loss": barrier.losses[0],
            "other_loss": barrier.losses[-1],
        }
        for name, barrier in by_optimizer(record, barriers)
    ]
