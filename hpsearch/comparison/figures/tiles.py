"""A map of outcomes, learning rate × batch size: each cell is a bar that is divided among the classes in which its runs ended."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.escape import CLASSES, EscapeCell, contrasts
from hpsearch.comparison.figures.appearance import brief
from hpsearch.comparison.figures.figure import HOVER, Rows
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, axis, rounded
from hpsearch.reporting.formatting import share

COLORS = {
    "escaped": "finished",
    "stuck": "edge",
    "other": "out of memory",
    "diverged": "diverged",
    "unresolved": "grid",
}
PATTERNS = {"escaped": "", "stuck": "", "other": "/", "diverged": "x", "unresolved": "."}
TILE_WIDTH = 0.9  # of a column
TILE_HEIGHT = 0.86  # of a row
RATE_TICKS = 12  # at most, on the axis of learning rates


def batch_sizes_of(cells: Sequence[EscapeCell]) -> list[int | None]:
    """Return the batch sizes of cells in order, the full batch (None) last."""
    return sorted({cell.batch_size for cell in cells}, key=lambda size: (size is None, size or 0))


def rates_of(cells: Sequence[EscapeCell]) -> list[float]:
    """Return the learning rates of cells in order."""
    return sorted({cell.learning_rate for cell in cells})


def tile_traces(cells: Sequence[EscapeCell], rates: Sequence[float], texts: Texts) -> list[go.Bar]:
    """Return one trace for each class that occurs; a cell is drawn from its column to column + `TILE_WIDTH`, at its row."""
    columns = batch_sizes_of(cells)
    traces = []
    for name in CLASSES:
        occurring = [cell for cell in cells if cell.counts[name]]
        if occurring:
            traces.append(_bars(occurring, name, columns, rates, texts))
    return traces


def _bars(
    cells: Sequence[EscapeCell], name: str, columns: list[int | None], rates: Sequence[float], texts: Texts
) -> go.Bar:
    starts = []
    widths = []
    for cell in cells:
        share_before = sum(cell.share(other) for other in CLASSES[: CLASSES.index(name)])
        starts.append(columns.index(cell.batch_size) + TILE_WIDTH * share_before)
        widths.append(TILE_WIDTH * cell.share(name))
    pattern = {"shape": PATTERNS[name], "size": 5, "solidity": 0.3, "fillmode": "overlay", "fgcolor": LIGHT["surface"]}
    return go.Bar(
        orientation="h",
        base=rounded(starts),
        x=rounded(widths),
        y=[rates.index(cell.learning_rate) for cell in cells],
        width=TILE_HEIGHT,
        name=texts(f"class.{name}"),
        legendgroup=name,
        text=[_hover(cell, texts) for cell in cells],
        textposition="none",
        hovertemplate=HOVER,
        marker={"color": LIGHT[COLORS[name]], "line": {"width": 0}, "pattern": pattern},
    )


def _hover(cell: EscapeCell, texts: Texts) -> str:
    rate = brief(cell.learning_rate)
    lines = [texts("class.cell", optimizer=method_name(cell, texts), rate=rate, seeds=brief(cell.seeds))]
    for name in CLASSES:
        if cell.counts[name]:
            of_class = {"share": share(cell.share(name)), "count": brief(cell.counts[name])}
            lines.append(texts("class.share", name=texts(f"class.{name}"), **of_class))
    return "<br>".join(lines)


def method_name(cell: EscapeCell, texts: Texts) -> str:
    """Return what a cell's optimizer is called."""
    return texts(f"method.{cell.method}", batch_size=brief(cell.batch_size))


def column_axis(cells: Sequence[EscapeCell], title: str, texts: Texts) -> dict[str, Any]:
    """Return the horizontal axis of a map: batch sizes, then the full batch."""
    names = [_column_name(size, texts) for size in batch_sizes_of(cells)]
    ticks = {"tickvals": [column + TILE_WIDTH / 2 for column in range(len(names))], "ticktext": names}
    return axis(title, range=[-0.1, len(names)], showgrid=False, tickangle=0, tickfont={"size": 11}, **ticks)


def _column_name(batch_size: int | None, texts: Texts) -> str:
    if batch_size is None:
        return texts("regime.short_full")
    if batch_size == 1:
        return f"1<br>{texts('regime.short_one')}"
    return brief(batch_size)


def rate_axis(rates: Sequence[float], title: str) -> dict[str, Any]:
    """Return the vertical axis of a map: every learning rate is a row, at most a dozen of them have a tick."""
    step = -(-len(rates) // RATE_TICKS)
    ticks = {"tickvals": list(range(0, len(rates), step)), "ticktext": list(map(brief, rates[::step]))}
    return axis(title, range=[-0.6, len(rates) - 0.4], showgrid=False, **ticks)


def row_of(rate: float, rates: Sequence[float]) -> float | None:
    """Return the height at which a learning rate lies between the rows, None beyond them."""
    for row, (low, high) in enumerate(pairwise(rates)):
        if low <= rate <= high:
            return row + (rate - low) / (high - low)
    return None


def cell_rows(cells: Sequence[EscapeCell], *theory: str) -> Rows:
    """Return one row for each cell: what ran, how its runs ended, the interval of the escapes, and what theory predicts."""
    rows = []
    for cell in cells:
        row: dict[str, object] = {
            "method": cell.method,
            "start": cell.start,
            "rate": cell.learning_rate,
            "batch_size": cell.batch_size,
            "budget": cell.budget,
            "budget_steps": cell.updates,
            "seeds": cell.seeds,
        }
        row |= {f"runs_{name}": cell.counts[name] for name in CLASSES}
        row |= {"escaped_share": cell.escaped.value, "escaped_low": cell.escaped.low, "escaped_high": cell.escaped.high}
        rows.append(row | {name: cell.theory.get(name) for name in theory})
    return rows


def contrast_rows(cells: Sequence[EscapeCell]) -> Rows:
    """Return one row for each cell, a noise's with how far SGD is ahead of it after the same updates, and whether that is chance."""
    pairs = {id(one.other): one for one in contrasts([cell for cell in cells if cell.budget == "updates"])}
    rows = []
    for cell, row in zip(cells, cell_rows(cells), strict=True):
        one = pairs.get(id(cell))
        ahead = {name: one and getattr(one.difference, name) for name in ("value", "low", "high")}
        columns = {"sgd_ahead": ahead["value"], "sgd_ahead_low": ahead["low"], "sgd_ahead_high": ahead["high"]}
        rows.append({**row, **columns, "p_value": one and one.p})
    return rows
