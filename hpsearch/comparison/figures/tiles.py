"""A map of outcomes, learning rate × batch size: each cell is a bar that is divided among the classes in which its runs ended."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.analysis.escape import CLASSES, Cell
from hpsearch.comparison.figures.measures import brief
from hpsearch.comparison.figures.panels import tag
from hpsearch.reporting.figures.style import LIGHT, axis, rounded
from hpsearch.reporting.formatting import share
from hpsearch.reporting.locales import Texts

COLORS = {
    "escaped": "finished",
    "stuck": "edge",
    "other": "out of memory",
    "diverged": "diverged",
    "unresolved": "grid",
}
PATTERNS = {"escaped": "", "stuck": "", "other": "/", "diverged": "x", "unresolved": "."}
WIDE, HIGH = 0.9, 0.86  # of a cell


def columns_of(cells: Sequence[Cell]) -> list[int | None]:
    """Return the batch sizes of cells in order, the full batch last."""
    return sorted({cell.batch_size for cell in cells}, key=lambda size: (size is None, size or 0))


def rates_of(cells: Sequence[Cell]) -> list[float]:
    """Return the learning rates of cells in order."""
    return sorted({cell.learning_rate for cell in cells})


def tile_traces(cells: Sequence[Cell], rates: Sequence[float], texts: Texts, place: int = 0) -> list[go.Bar]:
    """Return one trace a class that occurs; cell (column, row) is drawn from column to column + `WIDE` at height row."""
    columns = columns_of(cells)
    found = []
    for name in CLASSES:
        own = [cell for cell in cells if cell.counts[name]]
        at = [columns.index(cell.batch_size) + WIDE * _before(cell, name) for cell in own]
        if own:
            trace = _bars(own, name, at, [rates.index(cell.learning_rate) for cell in own], texts)
            found.append(trace.update(xaxis=f"x{tag(place)}", yaxis=f"y{tag(place)}"))
    return found


def _before(cell: Cell, name: str) -> float:
    """Return the share of runs in the classes that are drawn left of one."""
    return sum(cell.share(other) for other in CLASSES[: CLASSES.index(name)])


def _bars(own: Sequence[Cell], name: str, at: list[float], rows: list[int], texts: Texts) -> go.Bar:
    pattern = {"shape": PATTERNS[name], "size": 5, "solidity": 0.3, "fillmode": "overlay", "fgcolor": LIGHT["surface"]}
    return go.Bar(
        orientation="h",
        base=rounded(at),
        x=rounded([WIDE * cell.share(name) for cell in own]),
        y=rows,
        width=HIGH,
        name=texts(f"class.{name}"),
        legendgroup=name,
        text=[cell_text(cell, texts) for cell in own],
        textposition="none",
        hovertemplate="%{text}<extra></extra>",
        marker={"color": LIGHT[COLORS[name]], "line": {"width": 0}, "pattern": pattern},
    )


def cell_text(cell: Cell, texts: Texts) -> str:
    """Return what a cell says: its optimizer, learning rate, and the share of each class."""
    classes = "<br>".join(
        texts("class.share", name=texts(f"class.{name}"), share=share(cell.share(name)), count=brief(cell.counts[name]))
        for name in CLASSES
        if cell.counts[name]
    )
    head = texts(
        "class.cell", optimizer=optimizer(cell, texts), rate=brief(cell.learning_rate), seeds=brief(cell.seeds)
    )
    return f"{head}<br>{classes}"


def optimizer(cell: Cell, texts: Texts) -> str:
    """Return what a cell's optimizer is called."""
    return texts(f"method.{cell.method}", batch_size=brief(cell.batch_size))


def column_axis(cells: Sequence[Cell], title: str, texts: Texts) -> dict[str, Any]:
    """Return the horizontal axis of a map: batch sizes, then the full batch."""
    names = [texts("regime.short_full") if size is None else brief(size) for size in columns_of(cells)]
    ticks = {"tickvals": [i + WIDE / 2 for i in range(len(names))], "ticktext": names}
    return axis(title, range=[-0.1, len(names)], showgrid=False, tickangle=0, tickfont={"size": 11}, **ticks)


def rate_axis(rates: Sequence[float], title: str) -> dict[str, Any]:
    """Return the upright axis of a map: every learning rate is a row, at most a dozen of them have a tick."""
    rows = range(0, len(rates), -(-len(rates) // 12))
    ticks = {"tickvals": list(rows), "ticktext": [brief(rates[row]) for row in rows]}
    return axis(title, range=[-0.6, len(rates) - 0.4], showgrid=False, **ticks)


def row_of(rate: float, rates: Sequence[float]) -> float | None:
    """Return the height at which a learning rate lies between the rows, None beyond them."""
    for row, (low, high) in enumerate(pairwise(rates)):
        if low <= rate <= high:
            return row + (rate - low) / (high - low)
    return None
