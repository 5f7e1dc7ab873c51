"""Rings around the trials that every figure marks alike: the kept ones, and the search's best where that is another."""

from collections.abc import Callable, Iterator
from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.style import LIGHT, rounded
from hpsearch.reporting.selection import Mark, marks
from hpsearch.storage import StudyRecord, TrialRecord

Place = Callable[[TrialRecord], Any]  # where a trial is drawn on one axis, None where it is not


def color_of(mark: Mark) -> str:
    """Return the colour of a mark: the kept trials stand out, the search's best is the ink's."""
    return LIGHT["first" if mark.kept else "ink"]


def marked_trials(record: StudyRecord) -> list[tuple[Mark, list[TrialRecord]]]:
    """Return the marks with their trials, those without a value left out."""
    known = {trial.number: trial for trial in record.trials if trial.value is not None}
    found = [(mark, [known[number] for number in mark.trials if number in known]) for mark in marks(record)]
    return [(mark, trials) for mark, trials in found if trials]


def rings(record: StudyRecord, across: Place, up: Place) -> Iterator[go.Scatter]:
    """Yield one trace for each mark: rings around its trials, the larger for the search's best, so that both are seen on one point."""
    for mark, trials in marked_trials(record):
        at = [(across(trial), up(trial)) for trial in trials]
        at = [place for place in at if None not in place]
        line = {"width": 2.5 if mark.kept else 1.5, "color": color_of(mark)}
        symbol = {"color": color_of(mark), "size": 14 if mark.kept else 18, "symbol": "circle-open", "line": line}
        yield go.Scatter(
            x=rounded([x for x, _ in at]),
            y=rounded([y for _, y in at]),
            mode="markers",
            name=mark.name,
            legendgroup=mark.name,
            hoverinfo="skip",
            cliponaxis=False,
            marker=symbol,
        )
