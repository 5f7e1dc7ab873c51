"""A figure of a search by its name, as a program or a notebook has it: a figure of plotly's with its title."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from hpsearch.errors import UserError, look_up
from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.figures import FIGURES
from hpsearch.reporting.figures.style import LIGHT
from hpsearch.reporting.formatting import sentence
from hpsearch.reporting.replicates import of_completed_runs
from hpsearch.reporting.tables import frames
from hpsearch.storage import StudyRecord

TITLE = 46  # pixels above a figure, for its title and buttons


def figure_names(record: StudyRecord) -> dict[str, str]:
    """Return the names of the figures that a study's report has, each with what it shows."""
    return {row.name: row.description for row in FIGURES.values() if row.applies(record)}


def figure_of(record: StudyRecord, name: str, texts: Texts = ENGLISH) -> go.Figure:
    """Return a figure of a study.

    Raises:
        UserError: the study has no such figure (it lists those that there are), or too little to draw it.
    """
    look_up(figure_names(record), name, "figure")
    record = of_completed_runs(record)
    row = FIGURES[name]
    tables = frames(record)
    drawn = row.draw(tables, record, texts)
    if drawn is None:
        raise UserError(f"figure '{name}': {row.reading(tables, record, texts)}")
    return titled(drawn, texts.get(f"search.figure.{name}.title", sentence(row.description)))


def titled(figure: go.Figure, title: str) -> go.Figure:
    """Return a figure of a page as one that stands alone: its title above it, an opaque ground, buttons for its horizontal axes."""
    height = (figure.layout.height or 400) + TITLE
    margin = {"t": (figure.layout.margin.t or 0) + TITLE}
    heading = {"text": title, "x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 12}}
    below = {"y": 0, "yref": "container", "yanchor": "bottom"}
    figure.update_layout(title=heading, legend=below, height=height, margin=margin, paper_bgcolor=LIGHT["surface"])
    options = (figure.layout.meta or {}).get("switch", ())
    switch = [option for option in options if "x" in option]  # others are figures of their own, which a page exchanges
    if switch:
        figure.update_layout(updatemenus=[_buttons(switch)])
    return figure


def _buttons(switch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the buttons that exchange the horizontal axis (see `layout.meta` of the figures)."""
    buttons = []
    for option in switch:
        moved = [{"x": option["x"], "y": option["y"]}, {"xaxis.title.text": option["title"]}]
        buttons.append({"label": option["label"], "method": "update", "args": moved})
    place = {"x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom", "pad": {"b": 4}}
    return {"type": "buttons", "direction": "right", "buttons": buttons, "showactive": True, **place}
