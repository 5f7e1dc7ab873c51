"""Figures, each with the question that it answers and one sentence that reads it, in the order of the report.

A figure is a row: `draw` makes it from the tables and the record, or returns None where there is too little to draw; `reading` says
in words what it shows, with the numbers, or why there is none. `layout.meta` holds what the page needs besides: `switch` (other
horizontal axes), `panels` (small ones that the page lays out for its width), `turned` (pixels below which the horizontal axis runs down
the page, and how high the figure is then), `square` (pixels by which it is higher than wide at most), `thinned` (a note where not every
trial is drawn), `note` (any other). To add a figure, write the two functions and a row.
"""

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go

from hpsearch.reporting.figures import (
    combinations,
    confusion,
    pareto,
    predictions,
    search,
    space,
    training,
    trust,
)
from hpsearch.reporting.figures.style import DARK, LIGHT
from hpsearch.reporting.tables import TABLES, Frames
from hpsearch.storage import StudyRecord

__all__ = ["DARK", "FIGURES", "LIGHT", "Figure", "plotly_script"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: `table` is the table that holds its numbers; `applies` says of which studies the report has it at all."""

    name: str
    title: str
    question: str
    table: str
    draw: Callable[[Frames, StudyRecord], go.Figure | None]
    reading: Callable[[Frames, StudyRecord], str]
    applies: Callable[[StudyRecord], bool] = lambda record: True

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or not self.question.endswith("?") or self.table not in TABLES:
            raise ValueError(f"figure '{self.name}': it needs a plain name, a question and a table that exists")


def plotly_script() -> str:
    """Return plotly.js, the script that draws the figures in a browser (4.8 MB)."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


_ROWS = (
    Figure(
        name="confirmed",
        title="How far to trust it",
        question="What do the best hyperparameters reach when nobody picks the luckiest run?",
        table="confirmed",
        draw=trust.confirmed,
        reading=trust.confirmed_reading,
    ),
    Figure(
        name="confusion",
        title="Which classes are confused",
        question="Which classes does the network mistake for which?",
        table="confusion",
        draw=confusion.confusion,
        reading=confusion.confusion_reading,
        applies=lambda record: "classes" in (record.result.get("predicted") or {}),
    ),
    Figure(
        name="pairs",
        title="The most frequent confusions",
        question="Which classes does the network mistake for which?",
        table="confusion",
        draw=confusion.pairs,
        reading=confusion.pairs_reading,
        applies=lambda record: "pairs" in (record.result.get("predicted") or {}),
    ),
    Figure(
        name="predictions",
        title="Predicted and true values",
        question="How far off is the network on single rows?",
        table="predictions",
        draw=predictions.predictions,
        reading=predictions.predictions_reading,
        applies=lambda record: "points" in (record.result.get("predicted") or {}),
    ),
    Figure(
        name="errors",
        title="Errors along the target",
        question="Is the network wrong in one direction where the target is low or high?",
        table="errors",
        draw=predictions.errors,
        reading=predictions.errors_reading,
        applies=lambda record: bool((record.result.get("predicted") or {}).get("tenths")),
    ),
    Figure(
        name="history",
        title="The course of the search",
        question="Did the search get better, and would more trials help?",
        table="progress",
        draw=search.history,
        reading=search.history_reading,
    ),
    Figure(
        name="axes",
        title="Each hyperparameter by itself",
        question="Which values work, and were the ranges wide enough?",
        table="trials",
        draw=space.axes,
        reading=space.axes_reading,
    ),
    Figure(
        name="importance",
        title="What mattered",
        question="Which hyperparameters are worth tuning?",
        table="importance",
        draw=space.importance,
        reading=space.importance_reading,
    ),
    Figure(
        name="parallel",
        title="Good combinations",
        question="Which values go together in the best networks?",
        table="trials",
        draw=combinations.parallel,
        reading=combinations.parallel_reading,
    ),
    Figure(
        name="curves",
        title="Learning curves",
        question="How fast did the best networks learn, compared with the others?",
        table="curves",
        draw=training.curves,
        reading=training.curves_reading,
    ),
    Figure(
        name="losses",
        title="Losses of the kept trial",
        question="Did its network over-fit in the search, or stop too soon?",
        table="curves",
        draw=training.losses,
        reading=training.losses_reading,
    ),
    Figure(
        name="size",
        title="Size of the network",
        question="How large must the network be?",
        table="trials",
        draw=search.size,
        reading=search.size_reading,
    ),
    Figure(
        name="pareto",
        title="What the objectives cost each other",
        question="How much of one objective does it take to be better in another?",
        table="pareto",
        draw=pareto.pareto,
        reading=pareto.pareto_reading,
        applies=lambda record: len(record.objectives) > 1,
    ),
    Figure(
        name="timeline",
        title="When the trials ran",
        question="Where did the time go?",
        table="timeline",
        draw=search.timeline,
        reading=search.timeline_reading,
    ),
)
FIGURES: dict[str, Figure] = {figure.name: figure for figure in _ROWS}
