"""The textbook's picture on real data: the exact loss of two weights, and the paths down it, which the reader may replay."""

from dataclasses import replace
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.trajectories import DrawnPath, Textbook, textbook
from hpsearch.comparison.figures.appearance import brief, regime_color, regime_name
from hpsearch.comparison.figures.figure import Mark, Rows, contours, mark_trace, plain_trace, plot
from hpsearch.reporting.figures.style import LIGHT, axis, rounded
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

FRAMES = 26
POINTS = 100  # of a path, at most
MILLISECONDS = 110  # a frame


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the paths in full over the loss; frames grow them update by update. None where there is no such model."""
    found = textbook(record)
    if found is None:
        return None
    hover = texts("figure.textbook.hover_loss", loss="%{text}") + "<extra></extra>"
    background = [contours(found.x, found.y, found.loss, texts("axis.loss"), hover), *_ends(found, texts)]
    paths = list(map(_thin_path, found.paths))
    lines = [_path_trace(path, found, texts) for path in paths]
    horizontal = axis(texts("figure.textbook.x"), range=[found.x[0], found.x[-1]], showgrid=False)
    vertical = axis(texts("figure.textbook.y"), range=[found.y[0], found.y[-1]], showgrid=False)
    margin = {"l": 62, "r": 22, "t": 10, "b": 120}
    figure = plot(600, [*background, *lines], horizontal, vertical, margin=margin)
    _animate(figure, paths, texts)
    return figure.update_layout(meta={"note": texts("figure.textbook.note", rows=brief(found.rows))})


def _thin_path(path: DrawnPath) -> DrawnPath:
    """Return a path with at most `POINTS` of its points, first and last among them."""
    last = len(path.updates) - 1
    if last < POINTS:
        chosen = list(range(last + 1))
    else:
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


def _path_trace(path: DrawnPath, found: Textbook, texts: Texts) -> go.Scatter:
    color = regime_color(path.batch_size, found.rows)
    regime = regime_name(path.batch_size, found.rows, texts)
    rate = brief(path.learning_rate)
    marks = []
    for x, y, update, loss in zip(path.x, path.y, path.updates, path.losses, strict=True):
        text = texts("figure.textbook.hover", regime=regime, update=brief(update), loss=brief(loss), rate=rate)
        marks.append(Mark(x, y, text))
    style = {"line": {"color": color, "width": 2}, "marker": {"color": color, "size": 4}}
    return mark_trace(marks, mode="lines+markers", name=regime, **style)


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


def read(record: ComparisonRecord, texts: Texts) -> str:
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
