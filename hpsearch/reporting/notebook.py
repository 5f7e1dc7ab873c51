"""A search's result as a notebook shows it: one piece of HTML that needs no script and no file, every text in it escaped."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.reporting.formatting import MetricFormat, identifier, number, sentence, visible
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.pieces import Value
from hpsearch.reporting.ranking import best
from hpsearch.reporting.rendering import render_template
from hpsearch.reporting.replicates import of_completed_runs
from hpsearch.reporting.selection import marks, why
from hpsearch.reporting.summary import best_network, result_values
from hpsearch.reporting.trust import honesty
from hpsearch.storage import StudyRecord

WIDTH = 480  # pixels
HEIGHT = 110
MARGIN = 8

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
    """Return what was found: the best network in a sentence, its figures, its hyperparameters, and the course of the search."""
    record = of_completed_runs(record)
    heading = texts("search.window", name=visible(record.name, 100))
    leader = best(record)
    if leader is None:
        none = texts("search.result.no_network")
        return render_template("notebook.html", heading=heading, texts=[none], tables=[], course=None, note="")
    settings = [Value(identifier(name, 60), number(value)) for name, value in leader.params.items()]
    return render_template(
        "notebook.html",
        heading=heading,
        texts=[best_network(record, texts), why(record.result.get("choice"), MetricFormat.of(record, texts), texts)],
        tables=[result_values(record, texts), settings],
        course=_course(record, texts),
        note=honesty(record, texts),
    )


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

    better = max if metric.maximize else min
    corners = []
    leading = next(iter(values.values()))
    for trial, value in values.items():
        corners.append(at(trial, leading))
        leading = better(leading, value)
        corners.append(at(trial, leading))
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
        dots=[at(trial, value) for trial, value in values.items()],
        rings=rings,
    )
