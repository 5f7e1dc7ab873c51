"""The textbook's picture on real data: the exact loss of two weights, and the ways down it, which the reader may replay."""

from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.textbook import DrawnPath, Textbook, textbook
from hpsearch.comparison.figures.contours import contours
from hpsearch.comparison.figures.look import regime_color, regime_name
from hpsearch.comparison.figures.measures import brief
from hpsearch.comparison.figures.row import ComparedFigure, Rows
from hpsearch.reporting.figures.style import LIGHT, axis, blank, rounded
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

FRAMES = 26
POINTS = 100  # of a path, at most
MILLISECONDS = 110  # a frame


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the paths whole over the loss; frames grow them update by update. None where there is no such model."""
    found = textbook(record)
    if found is None:
        return None
    figure = blank(600, margin={"l": 62, "r": 22, "t": 10, "b": 120})
    hover = texts("figure.textbook.hover_loss", loss="%{text}") + "<extra></extra>"
    figure.add_trace(contours(found.x, found.y, found.loss, texts("axis.loss"), hover))
    figure.add_trace(_minimum(found, texts))
    figure.add_trace(_start(found, texts))
    ways = [thinned(path) for path in found.paths]
    for path in ways:
        figure.add_trace(_way(path, found, texts))
    figure.update_xaxes(axis(texts("figure.textbook.x"), range=[found.x[0], found.x[-1]], showgrid=False))
    figure.update_yaxes(axis(texts("figure.textbook.y"), range=[found.y[0], found.y[-1]], showgrid=False))
    _animate(figure, ways, texts)
    return figure.update_layout(meta={"note": texts("figure.textbook.note", rows=brief(found.rows))})


def thinned(path: DrawnPath) -> DrawnPath:
    """Return a path with at most `POINTS` of its points, first and last among them."""
    last = len(path.updates) - 1
    keep = sorted({round(i * last / (POINTS - 1)) for i in range(POINTS)}) if last >= POINTS else range(last + 1)
    updates, losses = tuple(path.updates[i] for i in keep), tuple(path.losses[i] for i in keep)
    x, y = (tuple(float(f"{column[i]:.4g}") for i in keep) for column in (path.x, path.y))
    to_near = path.updates_to_near, path.examples_to_near, path.edge
    return DrawnPath(path.batch_size, path.learning_rate, updates, x, y, losses, *to_near)


def _way(path: DrawnPath, found: Textbook, texts: Texts) -> go.Scatter:
    color, regime = regime_color(path.batch_size, found.rows), regime_name(path.batch_size, found.rows, texts)
    said = [
        texts(
            "figure.textbook.hover",
            regime=regime,
            update=brief(update),
            loss=brief(loss),
            rate=brief(path.learning_rate),
        )
        for update, loss in zip(path.updates, path.losses, strict=True)
    ]
    trace = go.Scatter(x=list(path.x), y=list(path.y), mode="lines+markers", name=regime, text=said)
    look = {"line": {"color": color, "width": 2}, "marker": {"color": color, "size": 4}}
    return trace.update(hovertemplate="%{text}<extra></extra>", **look)


def _minimum(found: Textbook, texts: Texts) -> go.Scatter:
    mark = {"color": LIGHT["ink"], "symbol": "cross", "size": 11}
    at = {"x": rounded([found.minimum[0]]), "y": rounded([found.minimum[1]])}
    return go.Scatter(**at, mode="markers", marker=mark, name=texts("figure.textbook.minimum"), hoverinfo="skip")


def _start(found: Textbook, texts: Texts) -> go.Scatter:
    mark = {"color": LIGHT["ink"], "symbol": "circle-open", "size": 13, "line": {"width": 2, "color": LIGHT["ink"]}}
    at = {"x": rounded([found.paths[0].x[0]]), "y": rounded([found.paths[0].y[0]])}
    return go.Scatter(**at, mode="markers", marker=mark, name=texts("figure.textbook.start"), hoverinfo="skip")


def moments(last: int) -> list[int]:
    """Return the updates of the frames: 0, then evenly on a logarithmic scale up to the last."""
    return sorted({0, *(round(last ** (i / (FRAMES - 2))) for i in range(FRAMES - 1))})


def _animate(figure: go.Figure, ways: list[DrawnPath], texts: Texts) -> None:
    """Add frames that hold nothing but the paths up to an update, a button that plays them, and a slider."""
    at = moments(max(path.updates[-1] for path in ways))
    traces = list(range(len(figure.data) - len(ways), len(figure.data)))
    figure.frames = [
        go.Frame(name=str(update), data=[_until(path, update) for path in ways], traces=traces) for update in at
    ]
    figure.update_layout(updatemenus=[_button(texts)], sliders=[_slider(at, texts)])


def _until(path: DrawnPath, update: int) -> go.Scatter:
    end = path.until(update)
    return go.Scatter(x=list(path.x[:end]), y=list(path.y[:end]))


def _button(texts: Texts) -> dict[str, Any]:
    shown = {"frame": {"duration": MILLISECONDS, "redraw": False}, "transition": {"duration": 0}, "fromcurrent": False}
    button = {
        "label": texts("figure.textbook.play"),
        "method": "animate",
        "args": [None, shown | {"mode": "immediate"}],
    }
    look = {
        "bgcolor": LIGHT["surface"],
        "bordercolor": LIGHT["edge"],
        "font": {"color": LIGHT["ink"]},
        "showactive": False,
    }
    place = {"type": "buttons", "x": 0, "xanchor": "left", "y": 0, "yanchor": "top", "pad": {"t": 58}}
    return {"buttons": [button], **place, **look}


def _slider(at: list[int], texts: Texts) -> dict[str, Any]:
    still = {"frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}, "mode": "immediate"}
    steps = [{"label": brief(update), "method": "animate", "args": [[str(update)], still]} for update in at]
    shown = {"prefix": texts("figure.textbook.slider"), "font": {"color": LIGHT["ink"], "size": 13}, "xanchor": "right"}
    look = {"bgcolor": LIGHT["grid"], "activebgcolor": LIGHT["edge"], "bordercolor": LIGHT["edge"], "ticklen": 0}
    place = {"x": 0.28, "len": 0.72, "y": 0, "yanchor": "top", "pad": {"t": 48}, "minorticklen": 0}
    font = {
        "font": {"color": "rgba(0,0,0,0)", "size": 1}
    }  # the labels of steps would overlap; the current one is shown above
    return {"active": len(at) - 1, "steps": steps, "currentvalue": shown} | place | look | font


def read(record: ComparisonRecord, texts: Texts) -> str:
    """Say how many updates and how many examples each needed to come near the minimum."""
    found = textbook(record)
    if found is None:
        return texts("figure.textbook.thin")
    told = [_arrival(path, found, texts) for path in found.paths]
    edges = [regime_name(path.batch_size, found.rows, texts) for path in found.paths if path.edge]
    parts = [texts("figure.textbook.arrivals", arrivals="; ".join(told))]
    return " ".join([*parts, *([texts("figure.textbook.edge", regimes=", ".join(edges))] if edges else [])])


def _arrival(path: DrawnPath, found: Textbook, texts: Texts) -> str:
    return texts(
        "figure.textbook.arrival" if path.updates_to_near is not None else "figure.textbook.never",
        regime=regime_name(path.batch_size, found.rows, texts),
        updates=brief(path.updates_to_near),
        examples=brief(path.examples_to_near),
        rate=brief(path.learning_rate),
    )


def numbers(record: ComparisonRecord) -> Rows:
    """Return what each path needed to come near the minimum."""
    found = textbook(record)
    return [
        {
            "batch_size": path.batch_size,
            "rate": path.learning_rate,
            "updates_to_near": path.updates_to_near,
            "examples_to_near": path.examples_to_near,
            "last_loss": path.losses[-1],
        }
        for path in (found.paths if found else ())
    ]


ROWS = (ComparedFigure("textbook", draw, read, numbers),)
