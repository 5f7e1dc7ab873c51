"""Escape tests as maps of learning rate × batch size: the selection by instability, and a network with proven bad minima."""

from collections.abc import Sequence
from itertools import chain

import plotly.graph_objects as go

from hpsearch.comparison.analysis.escape import (
    NOISES,
    EscapeCell,
    Teacher,
    all_cells,
    boundaries,
    cells,
    contrasts,
    differing,
    instability_cells,
    leaving_from,
    lyapunov_agreement,
    most_escaped,
    teacher,
)
from hpsearch.comparison.figures.appearance import brief
from hpsearch.comparison.figures.figure import Panel, Rows, in_panel, list_once, panel_plot, plain_trace, plot
from hpsearch.comparison.figures.tiles import (
    TILE_WIDTH,
    batch_sizes_of,
    cell_rows,
    column_axis,
    contrast_rows,
    method_name,
    rate_axis,
    rates_of,
    row_of,
    tile_traces,
)
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT
from hpsearch.reporting.formatting import share
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

AGREES = 0.95  # of the cells, from which theory and runs are said to agree
PANELS = {  # of the network's figure: method, start and budget
    "sampled": ("sgd", "bad", "updates"),
    "frozen": ("frozen", "bad", "updates"),
    "isotropic": ("isotropic", "bad", "updates"),
    "examples_panel": ("sgd", "bad", "examples"),
    "back": ("sgd", "good", "updates"),
}


# ---- instability


def draw_instability(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the phase map of leaving x = 1 with both boundaries of theory; None where the test was not made."""
    found = instability_cells(record)
    if not found:
        return None
    rates = rates_of(found)
    traces = [in_panel(trace, 0) for trace in tile_traces(found, rates, texts)]
    for name, dash in (("lyapunov", "solid"), ("mean_square", "dot")):
        limits = {boundary.batch_size: getattr(boundary, name) for boundary in boundaries(record)}
        x, y = _boundary(list(map(limits.get, batch_sizes_of(found))), rates)
        line = {"color": LIGHT["ink"], "width": 2.5, "dash": dash}
        traces.append(plain_trace(x, y, line=line, name=texts(f"figure.escape_instability.{name}")))
    horizontal = column_axis(found, texts("axis.batch_size"), texts)
    vertical = rate_axis(rates, texts("axis.learning_rate"))
    note = texts("figure.escape_instability.note", seeds=brief(found[0].seeds))
    height = max(360, 130 + 18 * len(rates))
    return plot(height, traces, horizontal, vertical, barmode="overlay", meta={"note": note})


def _boundary(limits: Sequence[float | None], rates: Sequence[float]) -> tuple[list[float | None], list[float | None]]:
    """Return x and y of a step through the columns at the limit of each, left out where it lies beyond the rows."""
    x: list[float | None] = []
    y: list[float | None] = []
    for column, limit in enumerate(limits):
        row = row_of(limit, rates) if limit is not None else None
        if row is not None:
            x += [column - 0.05, column + TILE_WIDTH + 0.05, None]
            y += [row, row, None]
    return x, y


def read_instability(record: ComparisonRecord, texts: Texts) -> str:
    """Say from which learning rate each batch size leaves, and how well the Lyapunov exponent predicts it."""
    agreement = lyapunov_agreement(record)
    if not agreement.cells:
        return texts("figure.escape_instability.thin")
    counts = {"agreeing": brief(agreement.agreeing), "cells": brief(agreement.cells)}
    agrees = agreement.agreeing >= AGREES * agreement.cells
    key = "agrees" if agrees else "differs"
    parts = [texts(f"figure.escape_instability.{key}", **counts)]
    leaving = _leaving(record, texts)
    if leaving:
        parts.append(texts("figure.escape_instability.leaves", leaves="; ".join(leaving)))
    full = leaving_from(record, None)
    if full:
        parts.append(texts("figure.escape_instability.gd", rate=brief(full)))
    else:
        parts.append(texts("figure.escape_instability.gd_never"))
    return " ".join(parts)


def _leaving(record: ComparisonRecord, texts: Texts) -> list[str]:
    """Say of the two smallest batch sizes from which learning rate they leave, and what theory predicts."""
    theory = {boundary.batch_size: boundary.lyapunov for boundary in boundaries(record)}
    parts = []
    for size in batch_sizes_of(instability_cells(record))[:2]:
        rate = leaving_from(record, size)
        if size is not None and rate:
            predicted = theory.get(size)
            key = "leaving" if predicted else "leaving_only"
            values = {"batch_size": brief(size), "rate": brief(rate), "theory": brief(predicted)}
            parts.append(texts(f"figure.escape_instability.{key}", **values))
    return parts


def instability_numbers(record: ComparisonRecord) -> Rows:
    """Return all cells of the instability test."""
    return cell_rows(all_cells(record, "instability"), "exponent")


# ---- the network with bad minima


def draw_teacher(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw what became of runs from the bad minima, with isotropic noise, and from the good ones; None without any."""
    found = {name: _panel_cells(record, *wanted) for name, wanted in PANELS.items()}
    found = {name: group for name, group in found.items() if group}
    if not found:
        return None
    everywhere = list(chain.from_iterable(found.values()))
    rates = rates_of(everywhere)
    panels: list[Panel] = []
    traces: list[go.Bar] = []
    for name, group in found.items():
        horizontal = column_axis(group, f"<b>{texts(f'figure.escape_teacher.{name}')}</b>", texts)
        title = "" if panels else texts("axis.learning_rate")
        vertical = rate_axis(rates, title) | {"tickfont": {"size": 10, "color": LIGHT["soft"]}}
        panels.append(Panel(tile_traces(group, rates, texts), horizontal, vertical))
        traces += panels[-1].traces
    list_once(traces)
    note = texts(
        "figure.escape_teacher.note",
        updates=brief(max(cell.updates for cell in everywhere if cell.budget == "updates")),
    )
    return panel_plot(400, panels, note, more=texts("figure.escape_teacher.more"), barmode="overlay")


def _panel_cells(record: ComparisonRecord, method: str, start: str, budget: str) -> list[EscapeCell]:
    """Return a panel's cells, gradient descent from the same start beside them."""
    own = cells(record, "teacher", method, start, budget)
    if not own:
        return []
    return [*own, *cells(record, "teacher", "gd", start)]


def read_teacher(record: ComparisonRecord, texts: Texts) -> str:
    """Say how often descent gets stuck, whether sampling noise frees it, at which settings, and what the controls did."""
    found = teacher(record)
    if found is None:
        return texts("figure.escape_teacher.thin")
    stuck = [texts("figure.escape_teacher.stuck", starts=brief(found.starts), **_interval_texts(found.stuck))]
    if found.descent:
        stays = found.descent.value == 0
        key = "descent_stays" if stays else "descent_leaves"
        stuck.append(texts(f"figure.escape_teacher.{key}", **_interval_texts(found.descent)))
    sampled = []
    if found.sgd:
        sampled.append(_sampled(record, found, found.sgd, texts))
    examples = most_escaped(cells(record, "teacher", "sgd", "bad", "examples"))
    if examples:
        sampled.append(texts("figure.escape_teacher.examples", **_cell_texts(examples, texts)))
    compared = [text for method in NOISES for text in _grid_contrast(record, method, texts)]
    parts = [stuck, sampled, [*compared, *_controls(found, texts)]]
    return "\n".join(" ".join(part) for part in parts if part)


def _sampled(record: ComparisonRecord, found: Teacher, best: EscapeCell, texts: Texts) -> str:
    """Say at how many settings SGD escapes, and how often at its best."""
    key = "never"
    if any(cell.counts["escaped"] for cell in cells(record, "teacher", "sgd", "bad")):
        key = "window" if found.window.leaving else "some"
    if found.window.octaves:
        key = "window_wide"
    counts = {"cells": brief(len(found.window.leaving)), "tried": brief(found.window.tried)}
    octaves = brief(found.window.octaves)
    return texts(f"figure.escape_teacher.{key}", **_cell_texts(best, texts), **counts, octaves=octaves)


def _grid_contrast(record: ComparisonRecord, method: str, texts: Texts) -> list[str]:
    """Say at how many settings SGD and a noise differ, from the same minima and corrected for their number."""
    found = [one for one in contrasts(cells(record, "teacher", start="bad")) if one.other.method == method]
    if not found:
        return []
    more, less = differing(found)
    counts = {"cells": brief(len(found)), "more": brief(more), "less": brief(less)}
    return [texts(f"figure.escape_teacher.against_{method}", **counts)]


def _controls(found: Teacher, texts: Texts) -> list[str]:
    parts = []
    for key, cell in (("noise", found.isotropic), ("frozen_noise", found.frozen), ("larger", found.larger)):
        if cell:
            parts.append(texts(f"figure.escape_teacher.{key}", **_cell_texts(cell, texts)))
    if found.back and found.sgd and found.sgd.counts["escaped"]:
        parts.append(texts("figure.escape_teacher.good", share=share(found.back.share("stuck"))))
    if found.fresh:
        parts.append(texts("figure.escape_teacher.fresh"))
    return parts


def _cell_texts(cell: EscapeCell, texts: Texts) -> dict[str, str]:
    return {
        "optimizer": method_name(cell, texts),
        "rate": brief(cell.learning_rate),
        "diverged": share(cell.share("diverged")),
        "other": share(cell.share("other")),
        **_interval_texts(cell.escaped),
    }


def _interval_texts(estimate: Estimate) -> dict[str, str]:
    return {"share": share(estimate.value), "low": share(estimate.low), "high": share(estimate.high)}


def teacher_numbers(record: ComparisonRecord) -> Rows:
    """Return all cells of the network's test, each noise with how far SGD is ahead of it at the same setting."""
    found = all_cells(record, "teacher")
    return contrast_rows(found)
