"""The escape test on a network with proven bad minima: who leaves them, at which learning rate and batch size, beside its controls."""

import plotly.graph_objects as go

from hpsearch.comparison.analysis.escape import Cell, Teacher, cells, teacher
from hpsearch.comparison.figures.escape_rows import cell_rows
from hpsearch.comparison.figures.measures import brief
from hpsearch.comparison.figures.panels import laid_out, with_axes
from hpsearch.comparison.figures.row import ComparedFigure, Rows
from hpsearch.comparison.figures.tiles import column_axis, optimizer, rate_axis, rates_of, tile_traces
from hpsearch.reporting.figures.style import LIGHT, blank
from hpsearch.reporting.formatting import share
from hpsearch.reporting.locales import Texts
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

PANELS = {
    "sampled": ("sgd", "bad", "updates"),
    "examples_panel": ("sgd", "bad", "examples"),
    "isotropic": ("isotropic", "bad", "updates"),
    "back": ("sgd", "good", "updates"),
}


def _panel(record: ComparisonRecord, method: str, start: str, budget: str) -> list[Cell]:
    """Return a panel's cells, gradient descent from the same start beside them."""
    own = cells(record, "teacher", method, start, budget)
    return [*own, *cells(record, "teacher", "gd", start)] if own else []


def draw(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw what became of runs from the bad minima, with isotropic noise, and from the good ones; None without any."""
    panels = {name: found for name, wanted in PANELS.items() if (found := _panel(record, *wanted))}
    if not panels:
        return None
    rates = rates_of([cell for found in panels.values() for cell in found])
    figure, seen = blank(400, barmode="overlay"), set[str]()
    for place, (name, found) in enumerate(panels.items()):
        for trace in tile_traces(found, rates, texts, place):
            figure.add_trace(trace.update(showlegend=trace.legendgroup not in seen))
            seen.add(trace.legendgroup)
        below = column_axis(found, f"<b>{texts(f'figure.escape_teacher.{name}')}</b>", texts)
        upright = rate_axis(rates, texts("axis.learning_rate") if place == 0 else "")
        with_axes(figure, place, below, upright | {"tickfont": {"size": 10, "color": LIGHT["soft"]}})
    note = texts("figure.escape_teacher.note", updates=brief(next(iter(panels.values()))[0].updates))
    return laid_out(figure, len(panels), [note])


def read(record: ComparisonRecord, texts: Texts) -> str:
    """Say how often descent gets stuck, whether sampling noise frees it, in which window, and what the controls did."""
    found = teacher(record)
    if found is None:
        return texts("figure.escape_teacher.thin")
    parts = [texts("figure.escape_teacher.stuck", starts=brief(found.starts), **_interval(found.stuck))]
    if found.descent:
        key = "descent_stays" if found.descent.value == 0 else "descent_leaves"
        parts.append(texts(f"figure.escape_teacher.{key}", **_interval(found.descent)))
    if found.sgd:
        key = "window" if found.window else "some" if found.sgd.counts["escaped"] else "never"
        parts.append(texts(f"figure.escape_teacher.{key}", **_cell(found.sgd, texts), cells=brief(len(found.window))))
    examples = teacher(record, "examples")
    if examples and examples.sgd:
        parts.append(texts("figure.escape_teacher.examples", **_cell(examples.sgd, texts)))
    return " ".join([*parts, *_controls(found, texts)])


def _controls(found: Teacher, texts: Texts) -> list[str]:
    parts = []
    for key, cell in (("noise", found.isotropic), ("larger", found.larger)):
        if cell:
            parts.append(texts(f"figure.escape_teacher.{key}", **_cell(cell, texts)))
    if found.back and found.sgd and found.sgd.counts["escaped"]:
        parts.append(texts("figure.escape_teacher.good", share=share(found.back.share("stuck"))))
    return parts


def _cell(cell: Cell, texts: Texts) -> dict[str, str]:
    return {
        "optimizer": optimizer(cell, texts),
        "rate": brief(cell.learning_rate),
        "diverged": share(cell.share("diverged")),
        "other": share(cell.share("other")),
        **_interval(cell.escaped),
    }


def _interval(estimate: Estimate) -> dict[str, str]:
    return {"share": share(estimate.value), "low": share(estimate.low), "high": share(estimate.high)}


def numbers(record: ComparisonRecord) -> Rows:
    """Return all cells of the network's test."""
    return cell_rows(cells(record, "teacher", budget=""), ())


ROWS = (ComparedFigure("escape_teacher", draw, read, numbers),)
