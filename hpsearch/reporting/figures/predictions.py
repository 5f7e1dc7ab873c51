"""How far off the selected model's numbers are: predicted against true values, and the errors from the lowest targets to the highest."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.confusion import model_of, predicted_of, rows_of
from hpsearch.reporting.figures.style import LIGHT, SQUARE, axis, blank, number_ticks, rounded
from hpsearch.reporting.formatting import interval, number
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.tables import Frames
from hpsearch.statistics.estimates import student_mean
from hpsearch.storage import StudyRecord

ENOUGH = 10  # rows of a bin, below which its mean error says nothing
TICKS = 7


def predictions(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw each row as a point, predicted over true; on the line both are equal."""
    table = frames["predictions"]
    if not len(table):
        return None
    predicted = predicted_of(record)
    true, made = table["true"].tolist(), table["predicted"].tolist()
    low, high = min(*true, *made), max(*true, *made)
    pad = 0.04 * (high - low) or 0.02 * abs(high) or 1.0
    ends = [low - pad, high + pad]
    figure = blank(520)
    dashed = {"color": LIGHT["ink"], "width": 1.5, "dash": "dash"}
    equal = texts("search.figure.predictions.equal")
    figure.add_trace(go.Scatter(x=ends, y=ends, mode="lines", name=equal, line=dashed, hoverinfo="skip"))
    size = 7 if len(table) < 500 else 5
    figure.add_trace(
        go.Scatter(
            x=rounded(true),
            y=rounded(made),
            mode="markers",
            name=texts(f"search.figure.predictions.{predicted['rows']}_rows"),
            marker={"color": LIGHT["finished"], "size": size, "opacity": 0.55, "line": {"width": 0}},
            text=[_point_label(a, b, texts) for a, b in zip(true, made, strict=True)],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    square = {"range": ends, "constrain": "domain", "nticks": TICKS, **number_ticks(*ends)}
    figure.update_xaxes(axis(texts("search.figure.predictions.true"), constraintoward="left", **square))
    upright = {"constraintoward": "top", "scaleanchor": "x", **square}
    figure.update_yaxes(axis(texts("search.figure.predictions.predicted"), **upright))
    note = ""
    if predicted["targets"] > 1:
        note = texts("search.figure.predictions.first", targets=predicted["targets"])
    return figure.update_layout(meta={"thinned": _chosen(len(table), predicted, texts), "note": note, "square": SQUARE})


def _point_label(true: float, predicted: float, texts: Texts) -> str:
    values = {"true": number(true), "predicted": number(predicted), "error": number(predicted - true)}
    return texts("search.figure.predictions.hover", **values)


def _chosen(drawn: int, predicted: dict[str, Any], texts: Texts) -> str:
    """Return the note where not every row is drawn."""
    if drawn >= predicted["count"]:
        return ""
    rows = texts(f"search.rows.{predicted['rows']}")
    return texts("search.figure.predictions.chosen", drawn=f"{drawn:,}", of=f"{predicted['count']:,}", rows=rows)


def predictions_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say within which distance half and nine tenths of the rows lie."""
    errors = predicted_of(record).get("errors")
    if not errors:
        return texts("search.predicted.not_stored")
    named = {"rows": rows_of(record, texts), "model": model_of(record, texts)}
    if errors["half"] is None or errors["most"] is None:
        return texts("search.figure.predictions.not_finite", **named)
    half, most = number(float(errors["half"]), digits=3), number(float(errors["most"]), digits=3)
    return texts("search.figure.predictions.within", half=half, most=most, **named)


def errors(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw each bin of the rows: the median error, and the 10th to 90th percentile of the errors."""
    rows = frames["errors"].dropna().to_dict("records")
    if not rows:
        return None
    figure = blank(360)
    middle = [(row["low"] + row["high"]) / 2 for row in rows]
    above = rounded([row["error_high"] - row["error"] for row in rows])
    below = rounded([row["error"] - row["error_low"] for row in rows])
    bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    figure.add_trace(
        go.Scatter(
            x=rounded(middle),
            y=rounded([row["error"] for row in rows]),
            mode="markers",
            name=texts("search.figure.errors.median"),
            marker={"color": LIGHT["finished"], "size": 9, "line": {"width": 0}},
            error_y=bars | {"color": LIGHT["finished"], "thickness": 1.5, "width": 4},
            text=[_bin_label(row, texts) for row in rows],
            hovertemplate="%{text}<extra></extra>",
            showlegend=True,
        )
    )
    figure.add_hline(y=0, line={"color": LIGHT["ink"], "width": 1, "dash": "dash"})
    true = texts("search.figure.predictions.true")
    figure.update_xaxes(axis(true, nticks=TICKS, **number_ticks(middle[0], middle[-1])))
    reach = number_ticks(min(row["error_low"] for row in rows), max(row["error_high"] for row in rows))
    figure.update_yaxes(axis(texts("search.figure.errors.axis"), nticks=TICKS, **reach))
    return figure.update_layout(meta={"note": texts("search.figure.errors.note")})


def _bin_label(row: dict[str, Any], texts: Texts) -> str:
    names = ("low", "high", "error", "error_low", "error_high")
    values = {name: number(row[name]) for name in names}
    return texts("search.figure.errors.hover", rows=texts.count("row", row["rows"]), **values)


def errors_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say in which direction the network errs in the lowest and in the highest bin of the targets, as far as their rows can tell."""
    if not len(frames["errors"].dropna()):
        return texts("search.predicted.not_stored")
    lowest, *_, highest = _errors_by_bin(frames)
    if max(len(lowest), len(highest)) < ENOUGH:
        if len(lowest) == len(highest):
            return texts("search.figure.errors.few_each", rows=texts.count("row", len(lowest)), enough=ENOUGH)
        return texts("search.figure.errors.few", low=len(lowest), high=len(highest), enough=ENOUGH)
    return f"{_direction('lowest', lowest, texts)} {_direction('highest', highest, texts)}"


def _errors_by_bin(frames: Frames) -> list[list[float]]:
    """Return the errors of the known rows in ten groups, from the lowest targets to the highest, split as the table's bins are."""
    ordered = frames["predictions"].sort_values("true", kind="stable")["error"].tolist()
    size, more = divmod(len(ordered), 10)
    ends = [0, *accumulate(size + (place < more) for place in range(10))]
    return [ordered[first:last] for first, last in pairwise(ends)]


def _direction(name: str, errors: Sequence[float], texts: Texts) -> str:
    """Say how far off a bin's predictions are on average: a side only where the mean's 95 % interval leaves zero."""
    if len(errors) < ENOUGH:
        return texts(f"search.figure.errors.few_{name}", rows=texts.count("row", len(errors)), enough=ENOUGH)
    tenth = texts(f"search.figure.errors.{name}")
    mean = student_mean(errors)
    if mean.value == 0:
        return texts("search.figure.errors.right", tenth=tenth)
    sign = 1 if mean.value > 0 else -1
    side = "high" if sign > 0 else "low"
    low, high = sorted((sign * mean.low, sign * mean.high))
    chance = "_chance" if mean.low <= 0 <= mean.high else ""
    gap, ends = _digits(abs(mean.value), 0), interval(low, high, _digits)
    return texts(f"search.figure.errors.{side}{chance}", tenth=tenth, gap=gap, interval=ends)


def _digits(value: float, more: int) -> str:
    """Return a number with three significant digits and so many more."""
    return number(float(f"{value:.{3 + more}g}"))
