"""Where runs went, on one plane for all, and what lies between their ends."""

from collections.abc import Sequence
from math import isfinite

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import optimizers
from hpsearch.comparison.analysis.trajectories import BarrierBetween, Trajectory, barriers, shared_plane
from hpsearch.comparison.figures.contours import contours
from hpsearch.comparison.figures.look import regime_color, regime_name
from hpsearch.comparison.figures.measures import brief, drawn, note
from hpsearch.comparison.figures.row import ComparedFigure, Rows
from hpsearch.reporting.figures.style import LIGHT, axis, blank, rounded
from hpsearch.reporting.formatting import share
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

PAIRS = ("ink", "out of memory", "running", "edge")


def draw_trajectories(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the paths on their common plane over the loss there; None without a plane."""
    plane = shared_plane(record, drawn(record))
    if plane is None:
        return None
    figure = blank(520)
    hover = texts("figure.trajectories.hover_loss", loss="%{text}") + "<extra></extra>"
    figure.add_trace(contours(plane.x, plane.y, plane.loss, texts("axis.loss"), hover))
    for path in plane.trajectories:
        figure.add_traces(path_traces(path, record, texts))
    first, second = (share(value) for value in plane.shares)
    figure.update_xaxes(axis(texts("figure.trajectories.x", share=first), showgrid=False))
    figure.update_yaxes(axis(texts("figure.trajectories.y", share=second), showgrid=False))
    return figure.update_layout(meta={"note": note(record, texts, texts("figure.trajectories.note"))})


def path_traces(path: Trajectory, record: ComparisonRecord, texts: Texts) -> list[go.Scatter]:
    """Return a path with its points, and its end; the start is the same for all and marked by an open circle."""
    color, regime = regime_color(path.batch_size, record.rows), regime_name(path.batch_size, record.rows, texts)
    said = [texts("figure.trajectories.hover", regime=regime, update=brief(update)) for update in path.updates]
    way = go.Scatter(x=rounded(list(path.x)), y=rounded(list(path.y)), mode="lines+markers", name=regime, text=said)
    way.update(
        hovertemplate="%{text}<extra></extra>", line={"color": color, "width": 2}, marker={"color": color, "size": 4}
    )
    ends = go.Scatter(x=[path.x[0], path.x[-1]], y=[path.y[0], path.y[-1]], mode="markers", showlegend=False)
    edge = {"color": LIGHT["surface"], "width": 1}
    look = {"color": [LIGHT["ink"], color], "symbol": ["circle-open", "star"], "size": [13, 15], "line": edge}
    return [way, ends.update(marker=look, name=regime, hoverinfo="skip")]


def read_trajectories(record: ComparisonRecord, texts: Texts) -> str:
    """Say how much of the motion the plane holds, and how the lengths of the paths compare on it."""
    plane = shared_plane(record, drawn(record))
    if plane is None:
        return texts("figure.trajectories.thin")
    held = sum(plane.shares)
    parts = [texts("figure.trajectories.most" if held >= 0.5 else "figure.trajectories.little", share=share(held))]
    moved = [path for path in plane.trajectories if path.distance > 0]
    told = [
        texts(
            "figure.trajectories.detour",
            regime=regime_name(path.batch_size, record.rows, texts),
            detour=brief(path.length / path.distance),
        )
        for path in moved
    ]
    return " ".join([*parts, texts("figure.trajectories.detours", detours="; ".join(told)) if told else ""]).strip()


def trajectory_numbers(record: ComparisonRecord) -> Rows:
    """Return the points of the paths on their plane."""
    planes = [(name, plane) for name in optimizers(record) if (plane := shared_plane(record, name))]
    return [
        {
            "optimizer": name,
            "batch_size": path.batch_size,
            "update": update,
            "first_component": x,
            "second_component": y,
        }
        for name, plane in planes
        for path in plane.trajectories
        for update, x, y in zip(path.updates, path.x, path.y, strict=True)
    ]


def draw_barrier(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the loss on the straight lines between ends of runs; None without any."""
    found = barriers(record, drawn(record))
    if not found:
        return None
    figure = blank(390)
    for color, wall in zip(PAIRS, found, strict=False):
        figure.add_trace(_wall(record, texts, wall, color))
    ends = {"tickvals": [0, 0.25, 0.5, 0.75, 1], "range": [-0.02, 1.02]}
    figure.update_xaxes(axis(texts("figure.barrier.x"), **ends))
    figure.update_yaxes(axis(texts("axis.loss"), rangemode="tozero"))
    return figure.update_layout(meta={"note": note(record, texts, texts("figure.barrier.note"))})


def _wall(record: ComparisonRecord, texts: Texts, wall: BarrierBetween, color: str) -> go.Scatter:
    name = _names(record, texts, wall)
    said = [
        texts("figure.barrier.hover", pair=name, alpha=f"{alpha:.2f}", loss=brief(loss), height=brief(wall.height))
        for alpha, loss in zip(wall.alphas, wall.losses, strict=True)
    ]
    heights = [loss if isfinite(loss) else None for loss in wall.losses]
    line = {"color": LIGHT[color], "width": 2.2}
    trace = go.Scatter(x=list(wall.alphas), y=rounded(heights), mode="lines+markers", name=name, text=said, line=line)
    return trace.update(marker={"color": LIGHT[color], "size": 5}, hovertemplate="%{text}<extra></extra>")


def _names(record: ComparisonRecord, texts: Texts, wall: BarrierBetween) -> str:
    first, second = (regime_name(size, record.rows, texts, short=True) for size in wall.batch_sizes)
    return f"{first} → {second}"


def read_barrier(record: ComparisonRecord, texts: Texts) -> str:
    """Say between which ends there is a barrier."""
    found = barriers(record, drawn(record))
    if not found:
        return texts("figure.barrier.thin")
    groups = [("separate", [wall for wall in found if wall.separate]), ("none", [w for w in found if not w.separate])]
    return " ".join(
        texts(f"figure.barrier.{key}", pairs=_heights(record, texts, walls)) for key, walls in groups if walls
    )


def _heights(record: ComparisonRecord, texts: Texts, walls: Sequence[BarrierBetween]) -> str:
    return "; ".join(
        texts(
            "figure.barrier.height",
            pair=_names(record, texts, wall),
            height=brief(wall.height),
            first=brief(wall.losses[0]),
            second=brief(wall.losses[-1]),
        )
        for wall in walls
    )


def barrier_numbers(record: ComparisonRecord) -> Rows:
    """Return the barriers between ends of runs."""
    return [
        {
            "optimizer": name,
            "batch_size": wall.batch_sizes[0],
            "other_batch_size": wall.batch_sizes[1],
            "barrier": wall.height,
        }
        | {"loss": wall.losses[0], "other_loss": wall.losses[-1]}
        for name in optimizers(record)
        for wall in barriers(record, name)
    ]


ROWS = (
    ComparedFigure("trajectories", draw_trajectories, read_trajectories, trajectory_numbers),
    ComparedFigure("barrier", draw_barrier, read_barrier, barrier_numbers),
)
