"""A figure of a comparison by its name, as a program or a notebook has it: a figure of plotly's with its title."""

import plotly.graph_objects as go

from hpsearch.comparison.figures import COMPARISON_FIGURES, ComparisonFigure
from hpsearch.errors import UserError, look_up
from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.formatting import sentence
from hpsearch.reporting.plotting import titled
from hpsearch.storage import ComparisonRecord


def comparison_figures(record: ComparisonRecord) -> dict[str, ComparisonFigure]:
    """Return the figures that belong to what was asked, by name: of the escape tests, of a comparison on data, or both."""
    found = {}
    for row in COMPARISON_FIGURES:
        is_escape = row.name.startswith("escape_")
        if record.minima if is_escape else record.arms:
            found[row.name] = row
    return found


def comparison_figure(record: ComparisonRecord, name: str, texts: Texts = ENGLISH) -> go.Figure:
    """Return a figure of a comparison.

    Raises:
        UserError: the comparison has no such figure (it lists those that there are), or too little to draw it.
    """
    row = look_up(comparison_figures(record), name, "figure")
    drawn = row.draw(record, texts)
    if drawn is None:
        raise UserError(f"figure '{name}': {' '.join(row.reading(record, texts).splitlines())}")
    _animate(drawn)
    return titled(drawn, texts.get(f"figure.{name}.title", sentence(row.description)))


def _animate(figure: go.Figure) -> None:
    """Give a figure the frames of its replay, which a report's page makes by itself: the last traces, grown."""
    replay = (figure.layout.meta or {}).get("replay")
    if not replay:
        return
    places = list(range(len(figure.data)))[-len(replay["ends"][0]) :]
    frames = []
    for name, ends in zip(replay["names"], replay["ends"], strict=True):
        grown = []
        for place, end in zip(places, ends, strict=True):
            trace = figure.data[place]
            grown.append(go.Scatter(x=trace.x[:end], y=trace.y[:end]))
        frames.append(go.Frame(name=name, data=grown, traces=places))
    figure.frames = frames
