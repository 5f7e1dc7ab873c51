"""Where runs went: down the loss of two weights, in one plane for all, and the loss between their ends.

The model with two weights is the textbook's picture on real data: its loss is exact, and the reader may replay the paths down it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.times import optimizers
from hpsearch.comparison.analysis.trajectories import (
    BarrierBetween,
    DrawnPath,
    Textbook,
    Trajectory,
    barriers,
    shared_plane,
    textbook,
)
from hpsearch.comparison.figures.appearance import (
    brief,
    by_optimizer,
    measured_note,
    measured_optimizer,
    regime_color,
    regime_name,
)
from hpsearch.comparison.figures.figure import Mark, Rows, contours, mark_trace, plain_trace, plot
from hpsearch.reporting.figures.style import LIGHT, axis, rounded
from hpsearch.reporting.formatting import share
from hpsearch.reporting.locales import Texts
from hpsearch.statistics.estimates import finite
from hpsearch.storage import ComparisonRecord

BARRIER_COLORS = ("ink", "out of memory", "running", "edge")
FRAMES = 26  # of the replay
POINTS = 100  # of a replayed path, at most
MILLISECONDS = 110  # a frame
DENSE = 150  # points, from which a path is a thin line without marks
MOST = 0.5  # of the paths' variance, from which the plane is said to hold most of it


def _path_line(marks: Sequence[Mark], color: str, name: str) -> go.Scatter:
    style = {"line": {"color": color, "width": 2}, "marker": {"color": color, "size": 4}}
    return mark_trace(marks, mode="lines+markers", name=name, **style)


# ---- the textbook's model


def draw_textbook(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the paths in full over the loss; frames grow them update by update. None where there is no such model."""
    found = textbook(record)
    if found is None:
        return None
    hover = texts("figure.textbook.hover_loss", loss="%{text}") + "<extra></extra>"
    background = [contours(found.x, found.y, found.loss, texts("axis.loss"), hover), *_ends(found, texts)]
    paths = list(map(_thinned, found.paths))
    lines = [_textbook_path(path, found, texts) for path in paths]
    horizontal = axis(texts("figure.textbook.x"), range=[found.x[0], found.x[-1]], showgrid=False)
    vertical = axis(texts("figure.textbook.y"), range=[found.y[0], found.y[-1]], showgrid=False)
    margin = {"l": 62, "r": 22, "t": 10, "b": 120}
    figure = plot(600, [*background, *lines], horizontal, vertical, margin=margin)
    _animate(figure, paths, texts)
    return figure.update_layout(meta={"note": texts("figure.textbook.note", rows=brief(found.rows))})


def _thinned(path: DrawnPath) -> DrawnPath:
    """Return a path with at most `POINTS` of its points, first and last among them."""
    last = len(path.updates) - 1
    chosen = sorted({round(i * last / (POINTS - 1)) for i in range(POINTS)})
    return replace(
        path,
        updates=tuple(path.updates[i] for i in chosen),
        x=tuple(_four_digits(path.x[i]) for i in chosen),
        y=tuple(_four_digits(path.y[i]) for i in chosen),
        losses=tuple(path.losses[i] for i in chosen),
    )


def _four_digits(value: float) -> float:
    return float(f"{value:.4g}")


def _textbook_path(path: DrawnPath, found: Textbook, texts: Texts) -> go.Scatter:
    color = regime_color(path.batch_size, found.rows)
    regime = regime_name(path.batch_size, found.rows, texts)
    rate = brief(path.learning_rate)
    marks = []
    for x, y, update, loss in zip(path.x, path.y, path.updates, path.losses, strict=True):
        text = texts("figure.textbook.hover", regime=regime, update=brief(update), loss=brief(loss), rate=rate)
        marks.append(Mark(x, y, text))
    return _path_line(marks, color, regime)


def _ends(found: Textbook, texts: Texts) -> list[go.Scatter]:
    """Return the minimum, and the start that all paths share."""
    ink = LIGHT["ink"]
    cross = {"color": ink, "symbol": "cross", "size": 11}
    circle = {"color": ink, "symbol": "circle-open", "size": 13, "line": {"width": 2, "color": ink}}
    first = found.paths[0]
    x, y = found.minimum
    minimum = {"marker": cross, "name": texts("figure.textbook.minimum")}
    start = {"marker": circle, "name": texts("figure.textbook.start")}
    return [
        plain_trace(rounded([x]), [y], mode="markers", **minimum),
        plain_trace(rounded([first.x[0]]), [first.y[0]], mode="markers", **start),
    ]


def _animate(figure: go.Figure, paths: list[DrawnPath], texts: Texts) -> None:
    """Add frames that hold nothing but the paths up to an update, a button that plays them, and a slider."""
    last = max(path.updates[-1] for path in paths)
    evenly = [round(last ** (i / (FRAMES - 2))) for i in range(FRAMES - 1)]  # in the logarithm
    updates = sorted({0, *evenly})
    traces = list(range(len(figure.data) - len(paths), len(figure.data)))
    figure.frames = [go.Frame(name=str(update), data=_frame(paths, update), traces=traces) for update in updates]
    figure.update_layout(updatemenus=[_button(texts)], sliders=[_slider(updates, texts)])


def _frame(paths: list[DrawnPath], update: int) -> list[go.Scatter]:
    traces = []
    for path in paths:
        end = path.points_until(update)
        traces.append(go.Scatter(x=list(path.x[:end]), y=list(path.y[:end])))
    return traces


def _button(texts: Texts) -> dict[str, Any]:
    frame = {"duration": MILLISECONDS, "redraw": False}
    options = {"frame": frame, "transition": {"duration": 0}, "fromcurrent": False, "mode": "immediate"}
    button = {"label": texts("figure.textbook.play"), "method": "animate", "args": [None, options]}
    colors = {"bgcolor": LIGHT["surface"], "bordercolor": LIGHT["edge"], "font": {"color": LIGHT["ink"]}}
    position = {"x": 0, "xanchor": "left", "y": 0, "yanchor": "top", "pad": {"t": 58}}
    return {"buttons": [button], "type": "buttons", **position, **colors, "showactive": False}


def _slider(updates: list[int], texts: Texts) -> dict[str, Any]:
    options = {"frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}, "mode": "immediate"}
    steps = [{"label": brief(at), "method": "animate", "args": [[str(at)], options]} for at in updates]
    font = {"color": LIGHT["ink"], "size": 13}
    current = {"prefix": texts("figure.textbook.slider"), "font": font, "xanchor": "right"}
    position = {"x": 0.28, "len": 0.72, "y": 0, "yanchor": "top", "pad": {"t": 48}}
    ticks = {"ticklen": 0, "minorticklen": 0}
    colors = {"bgcolor": LIGHT["grid"], "activebgcolor": LIGHT["edge"], "bordercolor": LIGHT["edge"]}
    hidden = {"color": "rgba(0,0,0,0)", "size": 1}  # the labels of steps would overlap; the current one is shown above
    slider = {"active": len(updates) - 1, "steps": steps, "currentvalue": current, "font": hidden}
    return slider | position | ticks | colors


def read_textbook(record: ComparisonRecord, texts: Texts) -> str:
    """Say how many updates and how many examples each needed to come near the minimum."""
    found = textbook(record)
    if found is None:
        return texts("figure.textbook.thin")
    arrivals = [_arrival(path, found, texts) for path in found.paths]
    parts = [texts("figure.textbook.arrivals", arrivals="; ".join(arrivals))]
    edges = [regime_name(path.batch_size, found.rows, texts) for path in found.paths if path.edge]
    if edges:
        parts.append(texts("figure.textbook.edge", regimes=", ".join(edges)))
    return " ".join(parts)


def _arrival(path: DrawnPath, found: Textbook, texts: Texts) -> str:
    key = "never" if path.updates_to_near is None else "arrival"
    return texts(
        f"figure.textbook.{key}",
        regime=regime_name(path.batch_size, found.rows, texts),
        updates=brief(path.updates_to_near),
        examples=brief(path.examples_to_near),
        rate=brief(path.learning_rate),
    )


def textbook_numbers(record: ComparisonRecord) -> Rows:
    """Return what each path needed to come near the minimum."""
    found = textbook(record)
    rows = []
    for path in found.paths if found else ():
        row = {"batch_size": path.batch_size, "rate": path.learning_rate, "updates_to_near": path.updates_to_near}
        rows.append(row | {"examples_to_near": path.examples_to_near, "last_loss": path.losses[-1]})
    return rows


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
