"""How far off the kept network's numbers are: predicted against true values, and the errors from the lowest targets to the highest."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.confusion import NONE, judge, rows_of
from hpsearch.reporting.figures.style import LIGHT, SQUARE, axis, blank, number_ticks, rounded
from hpsearch.reporting.formatting import SPACE, count, interval, number, sentence
from hpsearch.reporting.tables import Frames
from hpsearch.statistics.estimates import student_mean
from hpsearch.storage import StudyRecord

ENOUGH = 10  # rows of a tenth, below which its mean error says nothing
TICKS = 7


def predictions(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """Each row as a point, predicted over true; on the line both are equal."""
    table = frames["predictions"]
    if not len(table):
        return None
    said = record.result["predicted"]
    true, made = table["true"].tolist(), table["predicted"].tolist()
    low, high = min(*true, *made), max(*true, *made)
    pad = 0.04 * (high - low) or 0.02 * abs(high) or 1.0
    ends = [low - pad, high + pad]
    figure = blank(520)
    equal = {"color": LIGHT["ink"], "width": 1.5, "dash": "dash"}
    figure.add_trace(go.Scatter(x=ends, y=ends, mode="lines", name="predicted = true", line=equal, hoverinfo="skip"))
    mark = {"color": LIGHT["finished"], "size": 7 if len(table) < 500 else 5, "opacity": 0.55, "line": {"width": 0}}
    text = [
        f"true {number(a)}<br>predicted {number(b)}<br>error {number(b - a)}" for a, b in zip(true, made, strict=True)
    ]
    dots: dict[str, Any] = {"mode": "markers", "marker": mark, "text": text, "hovertemplate": "%{text}<extra></extra>"}
    figure.add_trace(go.Scatter(x=rounded(true), y=rounded(made), name=f"{said['rows']} rows", **dots))
    square = {"range": ends, "constrain": "domain", "nticks": TICKS, **number_ticks(*ends)}
    figure.update_xaxes(axis("true value", constraintoward="left", **square))
    figure.update_yaxes(axis("predicted value", constraintoward="top", scaleanchor="x", **square))
    several = f"Of {said['targets']} targets the first is drawn." if said["targets"] > 1 else ""
    return figure.update_layout(meta={"thinned": _chosen(len(table), said), "note": several, "square": SQUARE})


def _chosen(drawn: int, said: dict[str, Any]) -> str:
    if drawn >= said["count"]:
        return ""
    return f"{drawn:,} of {said['count']:,} {said['rows']} rows are drawn, chosen at random; the sentence above counts all."


def predictions_reading(frames: Frames, record: StudyRecord) -> str:
    """Say within which distance half and nine tenths of the rows lie."""
    found = (record.result.get("predicted") or {}).get("errors")
    if not found:
        return NONE
    if found["half"] is None or found["most"] is None:
        return f"On {rows_of(record)} the errors of {judge(record)} are not finite."
    half, most = number(float(f"{found['half']:.3g}")), number(float(f"{found['most']:.3g}"))
    return f"Of {rows_of(record)}, half are predicted to within {half} and nine tenths to within {most} by {judge(record)}."


def errors(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """Draw each tenth of the rows: the median error and where eight tenths of the errors lie."""
    rows = frames["errors"].dropna().to_dict("records")
    if not rows:
        return None
    figure = blank(360)
    middle = [(row["low"] + row["high"]) / 2 for row in rows]
    figure.add_trace(
        go.Scatter(
            x=rounded(middle),
            y=rounded([row["error"] for row in rows]),
            mode="markers",
            name="median error of a tenth of the rows",
            marker={"color": LIGHT["finished"], "size": 9, "line": {"width": 0}},
            error_y={"type": "data", "symmetric": False, "color": LIGHT["finished"], "thickness": 1.5, "width": 4}
            | {"array": rounded([row["error_high"] - row["error"] for row in rows])}
            | {"arrayminus": rounded([row["error"] - row["error_low"] for row in rows])},
            text=[_said(row) for row in rows],
            hovertemplate="%{text}<extra></extra>",
            showlegend=True,
        )
    )
    figure.add_hline(y=0, line={"color": LIGHT["ink"], "width": 1, "dash": "dash"})
    figure.update_xaxes(axis("true value", nticks=TICKS, **number_ticks(middle[0], middle[-1])))
    reach = number_ticks(min(row["error_low"] for row in rows), max(row["error_high"] for row in rows))
    figure.update_yaxes(axis("predicted − true", nticks=TICKS, **reach))
    return figure.update_layout(meta={"note": "The bars hold eight tenths of a tenth's errors."})


def _said(row: dict[str, Any]) -> str:
    ends = f"true {number(row['low'])} to {number(row['high'])}, {count(row['rows'], 'row')}"
    return f"{ends}<br>median error {number(row['error'])}<br>{number(row['error_low'])} to {number(row['error_high'])}"


def errors_reading(frames: Frames, record: StudyRecord) -> str:
    """Say in which direction the network errs for the lowest and for the highest tenth of the targets, as far as their rows can tell."""
    if not len(frames["errors"].dropna()):
        return NONE
    lowest, *_, highest = _errors_by_tenth(frames)
    few = [len(lowest), len(highest)]
    if max(few) < ENOUGH:
        rows = f"{few[0]} and {few[1]} rows" if few[0] != few[1] else f"{count(few[0], 'row')} each"
        return f"The lowest and the highest tenth of the targets have {rows}, too few to say a direction: it takes at least {ENOUGH}."
    return f"{_direction('lowest', lowest)} {_direction('highest', highest)}"


def _errors_by_tenth(frames: Frames) -> list[list[float]]:
    """Return the errors of the known rows in ten groups, from the lowest targets to the highest, split as the table's tenths are."""
    ordered = frames["predictions"].sort_values("true", kind="stable")["error"].tolist()
    size, more = divmod(len(ordered), 10)
    ends = [0, *accumulate(size + (place < more) for place in range(10))]
    return [ordered[first:last] for first, last in pairwise(ends)]


def _direction(name: str, errors: Sequence[float]) -> str:
    """Say how far off a tenth's predictions are on average: a side only where the mean's 95 % interval leaves zero."""
    tenth = f"the {name} tenth of the targets"
    if len(errors) < ENOUGH:
        return f"{sentence(tenth)} has {count(len(errors), 'row')}, too few to say a direction: it takes at least {ENOUGH}."
    mean = student_mean(errors)
    if mean.value == 0:
        return f"For {tenth} the predictions are right on average."
    sign = 1 if mean.value > 0 else -1
    low, high = sorted((sign * mean.low, sign * mean.high))
    ends = interval(low, high, _digits)
    side = f"{_digits(abs(mean.value), 0)} too {'high' if sign > 0 else 'low'}"
    chance = ", which may be chance" if mean.low <= 0 <= mean.high else ""
    return f"For {tenth} the predictions are on average {side}{chance} (95{SPACE}% interval {ends})."


def _digits(value: float, more: int) -> str:
    return number(float(f"{value:.{3 + more}g}"))
