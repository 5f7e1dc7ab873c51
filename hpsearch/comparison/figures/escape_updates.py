"""Who has left the bad minima of the network after how many updates: at each method's best setting, all methods, measured anew."""

from collections.abc import Sequence

import plotly.graph_objects as go

from hpsearch.comparison.analysis.escape import Course, EscapeCell, courses
from hpsearch.comparison.figures.appearance import brief
from hpsearch.comparison.figures.figure import (
    Mark,
    Panel,
    Rows,
    interval_bars,
    list_once,
    mark_trace,
    marks_axis,
    panel_plot,
)
from hpsearch.comparison.figures.tiles import contrast_rows, method_name
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, axis, share_ticks
from hpsearch.reporting.formatting import share
from hpsearch.storage import ComparisonRecord

STYLES = {  # of each method: colour and symbol
    "sgd": ("finished", "circle"),
    "frozen": ("out of memory", "diamond"),
    "isotropic": ("running", "circle-open"),
    "gd": ("edge", "square"),
}


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the share that escaped by updates, a panel for each best setting; None where nothing was measured anew."""
    panels: list[Panel] = []
    traces: list[go.Scatter] = []
    for course in courses(record):
        own = [_line(method, course.cells[method], texts) for method in STYLES if method in course.cells]
        marks = [cell.updates for cell in course.cells["sgd"]]
        title = _title(course, texts, "panel_title")
        vertical = axis("", range=[-0.04, 1.04], **share_ticks(0.0, 1.0, most=4))
        if not panels:
            vertical |= {"title": {"text": texts("figure.escape_updates.y")}}
        panels.append(Panel(own, marks_axis(marks, title), vertical))
        traces += own
    if not panels:
        return None
    list_once(traces)
    notes = {name: texts(f"figure.escape_updates.{name}") for name in ("note", "more")}
    return panel_plot(400, panels, notes["note"], more=notes["more"])


def _title(course: Course, texts: Texts, key: str = "panel") -> str:
    """Return whose best setting a panel is at, and the setting."""
    names = [name for name in course.names if name != "sgd_early" or "sgd" not in course.names]
    whose = " / ".join(texts(f"figure.escape_updates.of_{name}") for name in names)
    setting = {"rate": brief(course.learning_rate), "batch_size": brief(course.batch_size)}
    return texts(f"figure.escape_updates.{key}", whose=whose, **setting)


def _line(method: str, group: Sequence[EscapeCell], texts: Texts) -> go.Scatter:
    role, symbol = STYLES[method]
    color = LIGHT[role]
    return mark_trace(
        [Mark(cell.updates, cell.escaped.value, _hover(cell, texts)) for cell in group],
        mode="lines+markers",
        name=texts(f"figure.escape_updates.{method}"),
        legendgroup=method,
        line={"color": color, "width": 2},
        marker={"color": color, "symbol": symbol, "size": 8},
        error_y=interval_bars([cell.escaped for cell in group], color, thickness=1.2, width=3),
    )


def _hover(cell: EscapeCell, texts: Texts) -> str:
    counts = {"count": brief(cell.counts["escaped"]), "seeds": brief(cell.seeds), "updates": brief(cell.updates)}
    return texts("figure.escape_updates.hover", optimizer=method_name(cell, texts), **counts, **_shares(cell))


def _shares(cell: EscapeCell) -> dict[str, str]:
    estimate = cell.escaped
    ends = {"low": share(estimate.low), "high": share(estimate.high)}
    return {"share": share(estimate.value), **ends, "diverged": share(cell.share("diverged"))}


def read(record: ComparisonRecord, texts: Texts) -> str:
    """Say for each best setting who had left after the fewest and after the most updates."""
    found = courses(record)
    if not found:
        return texts("figure.escape_updates.thin")
    return "\n".join(_sentence(course, texts) for course in found)


def _sentence(course: Course, texts: Texts) -> str:
    sampled = course.cells["sgd"]
    first = texts("figure.escape_updates.after", updates=brief(sampled[0].updates), shares=_all(course, 0, texts))
    last = texts("figure.escape_updates.after", updates=brief(sampled[-1].updates), shares=_all(course, -1, texts))
    return f"{_title(course, texts)}: {first}; {last}."


def _all(course: Course, place: int, texts: Texts) -> str:
    """Return the shares of all methods after so many updates."""
    parts = []
    for method in STYLES:
        if method in course.cells:
            cell = course.cells[method][place]
            key = "one_diverged" if cell.counts["diverged"] else "one"
            name = texts(f"figure.escape_updates.{method}")
            parts.append(texts(f"figure.escape_updates.{key}", name=name, **_shares(cell)))
    return ", ".join(parts)


def numbers(record: ComparisonRecord) -> Rows:
    """Return the fresh cells from bad minima, each noise with how far SGD is ahead of it after the same updates."""
    rows = []
    for course in courses(record):
        group = [cell for method in STYLES for cell in course.cells.get(method, ())]
        rows += [{"best_of": " ".join(course.names), **row} for row in contrast_rows(group)]
    return rows
