"""The textbook's picture: the paths of GD, a mini-batch and SGD down a loss that can be seen whole, to be replayed.

The reader moves the bowl's condition number (`analysis.bowl`: every update is drawn); last comes the model of two weights on the study's
own rows, of whose paths some updates were kept (`measurements.textbook`). Each is a figure of its own among which the page switches.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import plotly.graph_objects as go

from hpsearch.comparison.analysis.bowl import CONDITIONS, ROWS, Bowl, BowlPath, bowl_loss, bowls
from hpsearch.comparison.analysis.trajectories import DrawnPath, Textbook, textbook
from hpsearch.comparison.figures.appearance import brief, regime_color, regime_name
from hpsearch.comparison.figures.figure import Rows, contours, plain_trace, plot
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, axis, rounded
from hpsearch.reporting.rendering import figure_json
from hpsearch.storage import ComparisonRecord

START = CONDITIONS.index(10)  # the bowl that is shown first
FRAMES = 26  # of the replay
MILLISECONDS = 110  # a frame
GRID = (41, 21)  # points of the loss along the flat and the steep direction
HEIGHT = 560
BESIDE = 40  # pixels by which a narrow figure may be higher than it is wide
LONGEST = 5  # times as long as high, of the way from the start to the minimum, without stretching


@dataclass(frozen=True, slots=True)
class ScenePath:
    """A path of a scene: where it is (`x`, `y`) after which `updates`; `name` says what it needed, `hover` has a place for the update."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    updates: tuple[int, ...]
    name: str
    hover: str
    color: str


@dataclass(frozen=True, slots=True)
class Scene:
    """A loss [len(y), len(x)], where it is least, and the paths down it, smallest batch size first."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    loss: tuple[tuple[float, ...], ...]
    minimum: tuple[float, float]
    paths: tuple[ScenePath, ...]


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the bowls, and the model on the study's own rows where it was made; None for a study without data."""
    if not record.arms:
        return None
    figures = [_figure(_bowl_scene(bowl, texts), texts, is_bowl=True) for bowl in bowls()]
    labels = [texts("figure.textbook.condition", value=brief(bowl.condition)) for bowl in bowls()]
    more = [texts("figure.textbook.more")]
    found = textbook(record)
    if found is not None:
        figures.append(_figure(_data_scene(found, texts), texts, is_bowl=False))
        labels.append(texts("figure.textbook.data"))
        more.append(texts("figure.textbook.note_data", rows=brief(found.rows)))
    options = [{"label": name, "figure": figure_json(each)} for name, each in zip(labels, figures, strict=True)]
    shown = figures[START]
    notes = {"note": texts("figure.textbook.note"), "more": " ".join(more)}
    return shown.update_layout(meta={**shown.layout.meta, "switch": options, "start": START, **notes})


def _figure(scene: Scene, texts: Texts, is_bowl: bool) -> go.Figure:
    hover = texts("figure.textbook.hover_loss", loss="%{text}") + "<extra></extra>"
    background = [contours(scene.x, scene.y, scene.loss, texts("axis.loss"), hover), *_ends(scene, texts)]
    lines = [_line(path) for path in scene.paths]
    place = "bowl_" if is_bowl else ""
    look: dict[str, Any] = {"showgrid": False, "constrain": "domain"}
    horizontal = axis(texts(f"figure.textbook.{place}x"), range=[scene.x[0], scene.x[-1]], **look)
    beside = texts(f"figure.textbook.{place}y")
    if is_bowl and _stretch(scene) > 1:
        beside = texts("figure.textbook.stretched", times=brief(_stretch(scene)))
    vertical = axis(beside, range=[scene.y[0], scene.y[-1]], **look)
    if is_bowl:
        vertical |= {"scaleanchor": "x", "scaleratio": _stretch(scene)}
        background[0].update(showscale=False)
    margin = {"l": 62, "r": 22, "t": 10, "b": 120}
    figure = plot(HEIGHT, [*background, *lines], horizontal, vertical, margin=margin)
    updates = _replayed(scene.paths)
    ends = [[bisect_right(path.updates, update) for path in scene.paths] for update in updates]
    figure.update_layout(updatemenus=[_button(texts)], sliders=[_slider(updates, texts)])
    return figure.update_layout(meta={"replay": {"names": list(map(str, updates)), "ends": ends}, "square": BESIDE})


def _stretch(scene: Scene) -> int:
    """Return by how much the steep direction is drawn larger: not at all but in bowls that would be a line."""
    return max(1, round(scene.paths[0].x[0] / LONGEST))


def _line(path: ScenePath) -> go.Scatter:
    return go.Scatter(
        x=_short(path.x),
        y=_short(path.y),
        mode="lines+markers",
        name=path.name,
        hovertemplate=f"{path.hover}<extra></extra>",
        line={"color": path.color, "width": 1.5},
        marker={"color": path.color, "size": 4},
    )


def _short(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def _ends(scene: Scene, texts: Texts) -> list[go.Scatter]:
    """Return the minimum, and the start that all paths share."""
    ink = LIGHT["ink"]
    cross = {"color": ink, "symbol": "cross", "size": 11}
    circle = {"color": ink, "symbol": "circle-open", "size": 13, "line": {"width": 2, "color": ink}}
    first = scene.paths[0]
    x, y = scene.minimum
    minimum = {"marker": cross, "name": texts("figure.textbook.minimum")}
    start = {"marker": circle, "name": texts("figure.textbook.start")}
    return [
        plain_trace(rounded([x]), [y], mode="markers", **minimum),
        plain_trace(rounded([first.x[0]]), [first.y[0]], mode="markers", **start),
    ]


# ---- the scenes


def _bowl_scene(bowl: Bowl, texts: Texts) -> Scene:
    length = sqrt(bowl.condition)
    x = np.linspace(*_around([*(value for path in bowl.paths for value in path.flat), 0.0, length]), GRID[0])
    y = np.linspace(*_around([*(value for path in bowl.paths for value in path.steep), 0.0, 1.0]), GRID[1])
    loss = bowl_loss(x[None, :], y[:, None], bowl.condition)
    return Scene(
        x=tuple(_short(x.tolist())),
        y=tuple(_short(y.tolist())),
        loss=tuple(tuple(_short(line)) for line in loss.tolist()),
        minimum=(0.0, 0.0),
        paths=tuple(_bowl_path(path, texts) for path in bowl.paths),
    )


def _around(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis that holds values with some room."""
    low, high = min(values), max(values)
    room = 0.1 * (high - low)
    return low - room, high + room


def _bowl_path(path: BowlPath, texts: Texts) -> ScenePath:
    regime = _bowl_name(path, texts)
    values = {"regime": regime, "rate": brief(path.learning_rate)}
    return ScenePath(
        path.flat,
        path.steep,
        tuple(range(len(path.flat))),
        texts("figure.textbook.needed", **values, **_needs(path)),
        texts("figure.textbook.hover", **values, update="%{pointNumber}"),
        regime_color(path.batch_size, ROWS),
    )


def _bowl_name(path: BowlPath, texts: Texts) -> str:
    if path.batch_size == ROWS:
        return texts("regime.short_full")
    return regime_name(path.batch_size, ROWS, texts)


def _needs(path: BowlPath | DrawnPath) -> dict[str, str]:
    return {"updates": brief(path.updates_to_near), "examples": brief(path.examples_to_near)}


def _data_scene(found: Textbook, texts: Texts) -> Scene:
    return Scene(
        found.x, found.y, found.loss, found.minimum, tuple(_data_path(path, found, texts) for path in found.paths)
    )


def _data_path(path: DrawnPath, found: Textbook, texts: Texts) -> ScenePath:
    values = {"regime": regime_name(path.batch_size, found.rows, texts), "rate": brief(path.learning_rate)}
    key = "never" if path.updates_to_near is None else "needed"
    edge = texts("figure.textbook.edge") if path.edge else ""
    name = texts(f"figure.textbook.{key}", **values, **_needs(path))
    hover = texts("figure.textbook.hover_kept", **values)
    return ScenePath(path.x, path.y, path.updates, f"{name}{edge}", hover, regime_color(path.batch_size, found.rows))


# ---- the replay


def _replayed(paths: Sequence[ScenePath]) -> list[int]:
    """Return the updates that the replay stops at, evenly in the logarithm, up to the last of all paths."""
    last = max(path.updates[-1] for path in paths)
    evenly = [round(last ** (i / (FRAMES - 2))) for i in range(FRAMES - 1)]
    return sorted({0, *evenly})


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


# ---- what it says


def read(record: ComparisonRecord, texts: Texts) -> str:
    """Say what each needed in the roundest and in the longest bowl, in updates and in examples."""
    if not record.arms:
        return ""
    lines = [texts("figure.textbook.compared")]
    for bowl in (bowls()[0], bowls()[-1]):
        needs = [
            texts("figure.textbook.arrival", regime=_bowl_name(path, texts), **_needs(path))
            for path in reversed(bowl.paths)
        ]
        values = {"condition": brief(bowl.condition), "arrivals": "; ".join(needs)}
        lines.append(texts("figure.textbook.arrivals", **values))
    return "\n".join(lines)


def numbers(record: ComparisonRecord) -> Rows:
    """Return what each path needed to come near the minimum, in each bowl and on the study's own rows."""
    if not record.arms:
        return []
    rows: list[dict[str, object]] = []
    for bowl in bowls():
        rows += [{"condition": bowl.condition, **_row(path)} for path in bowl.paths]
    found = textbook(record)
    rows += [{"condition": None, **_row(path)} for path in (found.paths if found else ())]
    return rows


def _row(path: BowlPath | DrawnPath) -> dict[str, object]:
    return {
        "batch_size": path.batch_size,
        "rate": path.learning_rate,
        "updates_to_near": path.updates_to_near,
        "examples_to_near": path.examples_to_near,
    }
