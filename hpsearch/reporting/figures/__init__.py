"""Figures of a search, each with the question that it answers and sentences that read it, in the order of the report.

A figure is a row of `FIGURES`. `draw` makes it from the tables and the record, or returns None where there is too little to draw;
`reading` says in words what it shows, with the numbers, or why there is none. To add a figure, write the two functions and a row; its
heading and its question are the sentences `search.figure.NAME.title` and `.question` of `locales/en.toml`, which other languages may
lack. Traces are `Scatter` and `Bar`, all that the page's part of plotly draws, and colours those of `style`.

`layout.meta` holds what the page needs besides: `switch` (other horizontal axes), `panels` (small ones that the page lays out for its
width), `turned` (pixels below which the horizontal axis runs down the page, and how high the figure is then), `square` (pixels by which
it is higher than wide at most), `thinned` (a note where not every trial is drawn), `note` (any other), `edge` (a note on what is drawn at
the edge of the metric's axis), `whole` (that axis with every value, see `points`), `brush` (axes along which a range can be dragged).
A trace of single trials has their numbers as `customdata`: by them the page lights up a trial and fades what the filter leaves out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import plotly.graph_objects as go

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.figures import (
    axes,
    confirmed,
    curves,
    failures,
    history,
    hyperparameters,
    pareto,
    predictions,
    regimes,
)
from hpsearch.reporting.figures.style import DARK, LIGHT
from hpsearch.reporting.ranking import hyperparameters as names_of
from hpsearch.reporting.ranking import settings_of
from hpsearch.reporting.tables import TABLES, Frames
from hpsearch.reporting.tables.results import predicted_of
from hpsearch.storage import StudyRecord

__all__ = ["DARK", "FIGURES", "LIGHT", "Figure"]


class Draw(Protocol):
    """Draws a figure."""

    def __call__(self, frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
        """Return the figure, or None where there is too little to draw."""


class Read(Protocol):
    """Reads a figure in words."""

    def __call__(self, frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
        """Return sentences with the figure's numbers, or why there is none."""


def _always(record: StudyRecord) -> bool:
    return True


def _of_networks(record: StudyRecord) -> bool:
    return not record.foreign


def _is_concluded(record: StudyRecord) -> bool:
    """Whether hpsearch concludes a study itself; one that Optuna ran ends with its last trial."""
    return bool(record.result) or "trials" in settings_of(record, "search")


def _of_several_hyperparameters(record: StudyRecord) -> bool:
    """Whether a foreign study has hyperparameters to compare: the share of a single one is all."""
    return not record.foreign or len(names_of(record)) > 1


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the report.

    Attributes:
        name: a plain name.
        description: what it shows, in a line; the heading where the locales have none.
        table: the table that holds its numbers.
        draw: makes the figure.
        reading: says what it shows.
        applies: whether the report of a study has it at all.
        by_objective: whether it shows one objective, so that each of several has its own.
        pieces: what stands between its sentences and its plot.
        folded: whether it is one for specialists, which opens when the reader asks for it.
    """

    name: str
    description: str
    table: str
    draw: Draw
    reading: Read
    applies: Callable[[StudyRecord], bool] = _always
    by_objective: bool = False
    pieces: Callable[[Frames, StudyRecord, Texts], list[Any]] | None = None
    folded: bool = False

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or not self.description:
            raise ValueError(f"figure '{self.name}': it needs a plain name and a description")
        if self.table not in TABLES:
            raise ValueError(f"figure '{self.name}': there is no table '{self.table}'. Known: {', '.join(TABLES)}.")


_ROWS = (
    Figure(
        name="failures",
        description="learning rates of the trials that diverged, and after how many updates",
        table="trials",
        draw=failures.failures,
        reading=failures.failures_reading,
        applies=failures.applies,
    ),
    Figure(
        name="confirmed",
        description="the best trials in the search, on fresh seeds and on test rows",
        table="confirmed",
        draw=confirmed.confirmed,
        reading=confirmed.confirmed_reading,
        applies=_is_concluded,
    ),
    Figure(
        name="confusion",
        description="how many rows of each class are taken for each class",
        table="confusion",
        draw=predictions.confusion,
        reading=predictions.confusion_reading,
        applies=lambda record: "classes" in predicted_of(record),
    ),
    Figure(
        name="pairs",
        description="the most frequent confusions of many classes",
        table="confusion",
        draw=predictions.pairs,
        reading=predictions.pairs_reading,
        applies=lambda record: "pairs" in predicted_of(record),
    ),
    Figure(
        name="labels",
        description="how many rows with each label are found, missed or wrongly taken for it",
        table="labels",
        draw=predictions.labels,
        reading=predictions.labels_reading,
        applies=lambda record: "label_counts" in predicted_of(record),
    ),
    Figure(
        name="predictions",
        description="predicted over true values of single rows",
        table="predictions",
        draw=predictions.predictions,
        reading=predictions.predictions_reading,
        applies=lambda record: "points" in predicted_of(record),
    ),
    Figure(
        name="errors",
        description="errors from the lowest to the highest targets",
        table="errors",
        draw=predictions.errors,
        reading=predictions.errors_reading,
        applies=lambda record: bool(predicted_of(record).get("tenths")),
    ),
    Figure(
        name="history",
        description="every trial's value and the best so far",
        table="progress",
        draw=history.history,
        reading=history.history_reading,
        by_objective=True,
    ),
    Figure(
        name="regimes",
        description="batch size 1, mini-batches and the full batch: trials, values and median learning curves",
        table="regimes",
        draw=regimes.regimes,
        reading=regimes.regimes_reading,
        applies=regimes.applies,
        pieces=regimes.regimes_pieces,
    ),
    Figure(
        name="axes",
        description="every trial's value over each hyperparameter",
        table="trials",
        draw=axes.axes,
        reading=axes.axes_reading,
    ),
    Figure(
        name="importance",
        description="each hyperparameter's importance with its interval",
        table="importance",
        draw=hyperparameters.importance,
        reading=hyperparameters.importance_reading,
        applies=_of_several_hyperparameters,
        by_objective=True,
    ),
    Figure(
        name="parallel",
        description="each trial as a line through its hyperparameters",
        table="trials",
        draw=hyperparameters.parallel,
        reading=hyperparameters.parallel_reading,
    ),
    Figure(
        name="curves",
        description="learning curves of the best trials, and the middle half of the others",
        table="curves",
        draw=curves.curves,
        reading=curves.curves_reading,
    ),
    Figure(
        name="losses",
        description="training and validation loss of the selected trial",
        table="curves",
        draw=curves.losses,
        reading=curves.losses_reading,
        applies=_of_networks,
    ),
    Figure(
        name="size",
        description="values over the number of parameters",
        table="trials",
        draw=pareto.size,
        reading=pareto.size_reading,
        applies=lambda record: not record.foreign or any(trial.parameters for trial in record.trials),
        folded=True,
    ),
    Figure(
        name="pareto",
        description="several objectives over each other, with the Pareto front",
        table="pareto",
        draw=pareto.pareto,
        reading=pareto.pareto_reading,
        applies=lambda record: len(record.objectives) > 1,
    ),
    Figure(
        name="timeline",
        description="when each trial ran",
        table="timeline",
        draw=history.timeline,
        reading=history.timeline_reading,
        folded=True,
    ),
)
FIGURES: dict[str, Figure] = {figure.name: figure for figure in _ROWS}
