"""`ComparedFigure`: a figure of a comparison's report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """One figure: its title and question are the texts `figure.NAME.title` and `figure.NAME.question`.

    `draw` returns None where there is too little to draw; `reading` says in a sentence or two what the figure shows, with the numbers, or
    why there is none (a line for each optimizer where there are several); `numbers` are the rows behind it, whose columns are explained
    by the texts `column.COLUMN`.
    """

    name: str
    draw: Callable[[ComparisonRecord, Texts], go.Figure | None]
    reading: Callable[[ComparisonRecord, Texts], str]
    numbers: Callable[[ComparisonRecord], Rows]
