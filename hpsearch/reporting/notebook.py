"""A search in a notebook: the line of a running one, and its result as one piece of HTML that needs no script and no file.

Every text in it is escaped.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.figures.points import thin
from hpsearch.reporting.formatting import MetricFormat, identifier, number, sentence, visible
from hpsearch.reporting.headline import further_values, headline
from hpsearch.reporting.pieces import Value
from hpsearch.reporting.ranking import best
from hpsearch.reporting.rendering import render_template
from hpsearch.reporting.replicates import of_completed_runs
from hpsearch.reporting.screen import Screen
from hpsearch.reporting.selection import marks, why
from hpsearch.reporting.summary import best_network
from hpsearch.reporting.trust import honesty
from hpsearch.storage import StudyRecord

if TYPE_CHECKING:
    from hpsearch.config import StudyConfig
    from hpsearch.progress import PhaseProgress, SearchStatus

WIDTH = 480  # pixels
HEIGHT = 110
MARGIN = 8
DOTS = 300  # trials that are drawn; more would be one patch
PAUSE = 0.2  # seconds between two states of the line

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Course:
    """A small drawing of the search: each trial's value as a dot, the best so far as a line, rings around the selected trials."""

    title: str
    caption: str
    line: str  # points of an SVG polyline
    dots: Sequence[Point]
    rings: Sequence[Point]
    width: int = WIDTH
    height: int = HEIGHT


def fragment(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Return what was found: the answer, the best network in a sentence, its figures, its hyperparameters, the course of the search."""
    record = of_completed_runs(record)
    heading = texts("search.window", name=visible(record.name, 100))
    leader = best(record)
    if leader is None:
        return card(heading, [texts("search.result.no_network")])
    settings = [Value(identifier(name, 60), number(value)) for name, value in leader.params.items()]
    return card(
        heading,
        [best_network(record, texts), why(record.result.get("choice"), MetricFormat.of(record, texts), texts)],
        headline=headline(record, texts),
        values=further_values(record, texts),
        settings=settings,
        course=_course(record, texts),
        note=honesty(record, texts),
    )


def card(heading: str, sentences: Sequence[str], **parts: Any) -> str:
    """Return a card; `parts` are headline, `values`, `settings`, `rows` of names and values, course and note, as they apply."""
    empty: dict[str, Any] = {"headline": None, "values": [], "settings": [], "rows": [], "course": None, "note": ""}
    return render_template("notebook.html", heading=heading, texts=sentences, **{**empty, **parts})


def _course(record: StudyRecord, texts: Texts) -> Course | None:
    """Return the drawing; None for fewer than two values."""
    metric = MetricFormat.of(record, texts)
    usable = [trial for trial in record.trials if trial.usable]
    values = {trial.number: trial.value for trial in usable if trial.value is not None}
    if len(values) < 2:
        return None
    low = min(values.values())
    high = max(values.values())
    last = max(values)

    def at(trial: int, value: float) -> Point:
        up = (value - low) / ((high - low) or 1.0)
        x = MARGIN + trial / last * (WIDTH - 2 * MARGIN)
        y = HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN)
        return round(x, 1), round(y, 1)

    drawn = thin([trial for trial in usable if trial.number in values], DOTS, metric)
    better = max if metric.maximize else min
    corners = []
    leading = next(iter(values.values()))
    for trial, value in values.items():
        before, leading = leading, better(leading, value)
        if leading != before or trial in (next(iter(values)), last):
            corners += [at(trial, before), at(trial, leading)]
    selected: set[int] = set()
    if record.result:
        selected.update(*(mark.trials for mark in marks(record) if mark.selected))
    rings = [at(trial, value) for trial, value in values.items() if trial in selected]
    title = texts("search.notebook.course", metric=metric.name, interval=metric.between(low, high))
    caption = {0: "caption", 1: "caption_ring"}.get(len(rings), "caption_rings")
    return Course(
        title=title,
        caption=texts(f"search.notebook.{caption}", course=sentence(title)),
        line=" ".join(f"{x},{y}" for x, y in corners),
        dots=[at(trial.number, values[trial.number]) for trial in drawn],
        rings=rings,
    )


# ------------------------------------------------------------------ while it runs


def in_notebook() -> bool:
    """Whether this process runs the cells of a notebook."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")


class NotebookLine:
    """The state of a running search in one line under the cell, brought up to date in its place; an observer of the search."""

    def __init__(self, metric: str) -> None:
        self.screen = Screen(metric)  # words the states
        self._display: Any = None
        self._shown: tuple[str, int, int | None] = (ENGLISH("screen.progress.first"), 0, None)
        self._search: tuple[str, int, int | None] = self._shown  # the last state of the search itself
        self._shown_at = 0.0

    def introduce(self, config: "StudyConfig", data: Mapping[str, Any], device: str, folder: object) -> None:
        """Show nothing: the cell has what is searched."""

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the line; the search's last state stays under the cell."""
        from IPython.display import HTML, display

        self._display = display(HTML(self._html(*self._shown)), display_id=True)
        try:
            yield
        finally:
            self._show(*self._search, now=True)

    def announce(self, sentence: str) -> None:
        """Show a sentence in place of the state."""
        self._show(sentence, 0, None, now=True)

    def status(self, status: "SearchStatus") -> None:
        """Show the state of the search."""
        self._search = (self.screen.line(replace(status, left=None)), status.done, status.total)
        self._show(self.screen.line(status), status.done, status.total, now=status.done == status.total)

    def phase(self, progress: "PhaseProgress") -> None:
        """Show the state of a phase."""
        now = progress.done in (0, progress.total)
        self._show(self.screen.phase_line(progress), progress.done, progress.total, now=now)

    def _show(self, text: str, done: int, total: int | None, *, now: bool) -> None:
        self._shown = (text, done, total)
        if now or time.monotonic() - self._shown_at > PAUSE:
            self._update()

    def _update(self) -> None:
        from IPython.display import HTML

        self._shown_at = time.monotonic()
        if self._display is not None:
            self._display.update(HTML(self._html(*self._shown)))

    @staticmethod
    def _html(text: str, done: int, total: int | None) -> str:
        """Return the line, with a bar where it is known how much there is to do."""
        bar = ""
        if total:
            bar = f'<progress value="{done}" max="{total}"></progress> '
        return f"<div>{bar}<span>{escape(text)}</span></div>"
