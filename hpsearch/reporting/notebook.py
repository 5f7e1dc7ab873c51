"""A search's result as a notebook shows it: one piece of HTML that needs no script and no file, every text in it escaped."""

from collections.abc import Sequence
from html import escape

from hpsearch.reporting import findings
from hpsearch.reporting.formatting import MetricFormat, best, number, readable, sentence, usable, visible
from hpsearch.reporting.page import Html, element, paragraph, text
from hpsearch.reporting.selection import marks, why
from hpsearch.reporting.trust import honesty
from hpsearch.storage import StudyRecord

WIDTH, HEIGHT, EDGE = 480, 110, 8  # pixels
LEFT = "text-align:left"


def fragment(record: StudyRecord) -> str:
    """Return what was found: the best network in a sentence, its figures, its hyperparameters, and the course of the search."""
    leader = best(record)
    heading = element("strong", text(f"{visible(record.name, 100)}: hyperparameter search"))
    if leader is None:
        return element("div", heading, paragraph("No trial has ended with a usable network yet."))
    pieces = [heading, paragraph(findings.best_network(record))]
    pieces.append(paragraph(why(record.result.get("choice"), MetricFormat.of(record))))
    pieces.append(_table(findings.numbers(record)))
    pieces.append(_table([(readable(name, 60), number(value), "") for name, value in leader.params.items()]))
    pieces += [_course(record), paragraph(honesty(record))]
    return element("div", *pieces)


def _table(rows: Sequence[tuple[str, str, str]]) -> Html:
    """Return names, values and remarks as a small table."""
    body = [
        element(
            "tr", element("th", text(sentence(name)), style=LEFT), *(element("td", text(t), style=LEFT) for t in rest)
        )
        for name, *rest in rows
    ]
    return element("table", element("tbody", *body))


def _course(record: StudyRecord) -> Html:
    """Return each trial's value as a dot, and the best so far as a line."""
    metric = MetricFormat.of(record)
    values = [(trial.number, trial.value) for trial in record.trials if usable(trial) and trial.value is not None]
    if len(values) < 2:
        return Html("")
    low, high = min(v for _, v in values), max(v for _, v in values)
    last = max(n for n, _ in values)

    def place(trial: int, value: float) -> tuple[float, float]:
        across, up = trial / last, (value - low) / ((high - low) or 1.0)
        return round(EDGE + across * (WIDTH - 2 * EDGE), 1), round(HEIGHT - EDGE - up * (HEIGHT - 2 * EDGE), 1)

    better, line, leading = max if metric.maximize else min, [], values[0][1]
    for trial, value in values:
        line.append(place(trial, leading))
        leading = better(leading, value)
        line.append(place(trial, leading))
    dots = [(x, y) for x, y in (place(*pair) for pair in values)]
    kept = [trial for mark in marks(record) if mark.kept for trial in mark.trials]
    rings = [place(trial, value) for trial, value in values if trial in kept and record.result]
    return _drawing(line, dots, rings, f"{metric.name} of each trial, {metric.between(low, high)}")


def _drawing(
    line: Sequence[tuple[float, float]],
    dots: Sequence[tuple[float, float]],
    rings: Sequence[tuple[float, float]],
    said: str,
) -> Html:
    """Return an SVG in the colours of the page around it, with a sentence that says what it shows."""
    points = " ".join(f"{x},{y}" for x, y in line)
    course = element("polyline", points=points, fill="none", stroke="currentColor", stroke_width="1.5")
    circles = [
        element("circle", cx=str(x), cy=str(y), r="2.5", fill="currentColor", fill_opacity="0.45") for x, y in dots
    ]
    circles += [element("circle", cx=str(x), cy=str(y), r="5.5", fill="none", stroke="currentColor") for x, y in rings]
    title = element("title", text(said))
    size = {"width": str(WIDTH), "height": str(HEIGHT)}
    svg = element("svg", title, course, *circles, role="img", aria_label=escape(said), **size)
    caption = element(
        "small", text(f"{sentence(said)}; the line is the best so far{', the ring is kept' if rings else ''}.")
    )
    return element("figure", svg, element("figcaption", caption), style="margin:0.5em 0")
