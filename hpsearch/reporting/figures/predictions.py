"""What the selected model says of single rows: which classes it takes for which, and how far off its numbers are.

The cells of a confusion matrix are plain rectangles and not plotly's heat map, so that they follow the reader's colours as all else does.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Any

import plotly.graph_objects as go

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.figures.style import (
    LIGHT,
    SQUARE,
    axis,
    bars,
    blank,
    error_bars,
    hover,
    label,
    names_axis,
    number_ticks,
    rounded,
)
from hpsearch.reporting.formatting import MetricFormat, interval, number, share, visible
from hpsearch.reporting.tables import Frames
from hpsearch.reporting.tables.results import predicted_of
from hpsearch.statistics.estimates import student_mean
from hpsearch.storage import StudyRecord

CELL = 52  # pixels, where there is room
HIGHEST = 640
DEEPEST = 0.55  # opacity, that numbers can be read on
LABEL = 16  # characters of a class
SIZES = ((6, 13), (12, 11), (20, 9))  # up to so many classes: the size of the numbers
ENOUGH = 10  # rows of a bin, below which its mean error says nothing
TICKS = 7

Row = dict[str, Any]


def confusion(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw one cell for each true and each predicted class, the deeper the larger its share of the true class's rows."""
    rows = frames["confusion"].to_dict("records")
    classes = predicted_of(record).get("classes")
    if not rows or classes is None:
        return None
    figure = blank(max(300, min(HIGHEST, 110 + CELL * len(classes))))
    pairs = [divmod(i, len(classes)) for i in range(len(rows))]  # (true, predicted)
    cells = [_cell(*pair, row["share"]) for pair, row in zip(pairs, rows, strict=True) if row["rows"]]
    figure.update_layout(shapes=cells)  # all at once: plotly checks every shape again whenever one is added
    size = next(size for most, size in SIZES if len(classes) <= most)
    figure.add_trace(
        go.Scatter(
            x=[other for _, other in pairs],
            y=[true for true, _ in pairs],
            mode="text",
            text=[f"{row['rows']:,}" if row["rows"] else "" for row in rows],
            textfont={"size": size, "color": LIGHT["ink"]},
            hovertext=[_cell_label(row, texts) for row in rows],
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=False,
        )
    )
    ticks = {"tickvals": [*range(len(classes))], "ticktext": [label(name, LABEL) for name in classes]}
    across = {"range": [-0.5, len(classes) - 0.5], "constrain": "domain", "constraintoward": "left"}
    down = {"range": [len(classes) - 0.5, -0.5], "scaleanchor": "x", "constrain": "domain", "constraintoward": "top"}
    figure.update_xaxes(axis(texts("search.figure.confusion.predicted"), showgrid=False, **ticks, **across))
    figure.update_yaxes(axis(texts("search.figure.confusion.true"), showgrid=False, **ticks, **down))
    return figure.update_layout(meta={"note": texts("search.figure.confusion.note"), "square": SQUARE})


def _cell(true: int, other: int, part: float) -> dict[str, Any]:
    """Return the rectangle of a true and a predicted class."""
    corners = {"x0": other - 0.48, "x1": other + 0.48, "y0": true - 0.48, "y1": true + 0.48}
    color = LIGHT["finished" if true == other else "diverged"]
    depth = round(DEEPEST * (0.15 + 0.85 * part), 3)
    look = {"type": "rect", "layer": "below", "fillcolor": color, "opacity": depth, "line": {"width": 0}}
    return look | corners


def _cell_label(row: Row, texts: Texts) -> str:
    true, other = f"<b>{label(row['true'], 40)}</b>", f"<b>{label(row['predicted'], 40)}</b>"
    head = texts("search.figure.confusion.taken", true=true, other=other)
    if not row["of"]:
        return f"{head}<br>{texts.count('row', row['rows'])}"
    amounts = texts("search.figure.confusion.of_rows", rows=f"{row['rows']:,}", of=f"{row['of']:,}")
    return f"{head}<br>{amounts}"


def rows_of(record: StudyRecord, texts: Texts) -> str:
    """Say which rows were predicted: the test rows, or the validation rows where there are none."""
    predicted = predicted_of(record)
    if predicted["rows"] == "test":
        return texts("search.predicted.test", rows=texts.count("test_row", predicted["count"]))
    return texts("search.predicted.validation", rows=texts.count("validation_row", predicted["count"]))


def model_of(record: StudyRecord, texts: Texts) -> str:
    """Say what predicted the rows."""
    networks = predicted_of(record)["networks"]
    if networks == 1:
        return texts("search.predicted.network")
    return texts("search.predicted.ensemble", networks=networks)


def _right(record: StudyRecord, right: int, texts: Texts) -> str:
    """Say how many rows are taken for the right class."""
    return texts(
        "search.figure.confusion.right",
        rows=rows_of(record, texts),
        right=f"{right:,}",
        share=MetricFormat.named("accuracy", maximize=True, texts=texts).text(right / predicted_of(record)["count"]),
        model=model_of(record, texts),
    )


def confusion_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say how many rows are right, what is confused most often, and which class fares worst."""
    rows = frames["confusion"].to_dict("records")
    if not rows or "classes" not in predicted_of(record):
        return texts("search.predicted.not_stored")
    right = [row for row in rows if row["true"] == row["predicted"]]
    wrong = [row for row in rows if row["true"] != row["predicted"]]
    text = _right(record, sum(row["rows"] for row in right), texts)
    most = max(wrong, key=itemgetter("rows"), default=None)
    if most is None or not most["rows"]:
        return text
    worst = min((row for row in right if row["of"]), key=itemgetter("share"))
    of = texts.count("row", worst["of"])
    recall = texts("search.figure.confusion.recall", share=share(worst["share"]), of=of)
    if not worst["rows"]:
        recall = texts("search.figure.confusion.no_recall", of=of)
    least = texts("search.figure.confusion.least", name=visible(worst["true"], 40), recall=recall)
    return f"{text} {_mistake(most, texts)} {least}"


def _mistake(row: Row, texts: Texts) -> str:
    """Say how often one class is taken for another."""
    key = "mistake_one" if row["rows"] == 1 else "mistake"
    return texts(
        f"search.figure.confusion.{key}",
        rows=f"{row['rows']:,}",
        of=texts.count("row", row["of"]),
        true=visible(row["true"], 40),
        other=visible(row["predicted"], 40),
    )


def pairs(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw the most frequent confusions as bars, the most frequent on top."""
    rows = frames["confusion"].to_dict("records")
    if not rows or "pairs" not in predicted_of(record):
        return None
    figure = blank(90 + 26 * len(rows), bargap=0.35)
    names = [f"{label(row['true'], LABEL)} → {label(row['predicted'], LABEL)}  " for row in rows]
    labels = [_cell_label(row, texts) for row in rows]
    figure.add_trace(bars([row["rows"] for row in rows], labels, marker={"color": LIGHT["diverged"]}))
    figure.update_xaxes(axis(texts("search.figure.pairs.axis"), rangemode="tozero", nticks=7, tickformat=",d"))
    figure.update_yaxes(names_axis(names))
    return figure.update_layout(meta={"note": texts("search.figure.pairs.note")})


def pairs_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say how many rows are right, and what is confused most often."""
    predicted = predicted_of(record)
    rows = frames["confusion"].to_dict("records")
    if "pairs" not in predicted:
        return texts("search.predicted.not_stored")
    text = _right(record, predicted["right"], texts)
    return f"{text} {_mistake(rows[0], texts)}" if rows else text


def labels(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw each label as a bar: its rows that were found, those that were missed, and others that were taken for it."""
    rows = frames["labels"].to_dict("records")
    if not rows:
        return None
    figure = blank(110 + 26 * len(rows), bargap=0.35, barmode="stack")
    hovers = [_label_hover(row, texts) for row in rows]
    for part, color in (("found", "finished"), ("missed", "pruned"), ("wrong", "diverged")):
        name = texts(f"search.figure.labels.{part}")
        lengths = [row[part] for row in rows]
        figure.add_trace(bars(lengths, hovers, name=name, marker={"color": LIGHT[color]}, showlegend=True))
    figure.update_xaxes(axis(texts("search.figure.labels.axis"), rangemode="tozero", nticks=7, tickformat=",d"))
    figure.update_yaxes(names_axis([f"{label(row['label'], LABEL)}  " for row in rows]))
    return figure.update_layout(meta={"note": texts("search.figure.labels.note")})


def _label_hover(row: Row, texts: Texts) -> str:
    amounts = {part: f"{row[part]:,}" for part in ("rows", "found", "missed", "wrong")}
    return texts("search.figure.labels.hover", name=f"<b>{label(row['label'], 40)}</b>", **amounts)


def labels_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say how many of all labels are right, and which label is found best and least."""
    rows = frames["labels"].to_dict("records")
    if not rows:
        return texts("search.predicted.not_stored")
    right = sum(row["found"] + row["neither"] for row in rows)
    every = len(rows) * predicted_of(record)["count"]
    named = {"rows": rows_of(record, texts), "model": model_of(record, texts)}
    text = texts("search.figure.labels.right", share=share(right / every), labels=len(rows), **named)
    known = [row for row in rows if row["rows"]]
    if not known:
        return text
    least = min(known, key=itemgetter("recall"))
    amounts = {"found": f"{least['found']:,}", "of": texts.count("row", least["rows"])}
    return f"{text} {texts('search.figure.labels.least', name=visible(least['label'], 40), **amounts)}"


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
            **hover(_point_label(a, b, texts) for a, b in zip(true, made, strict=True)),
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
    table = frames["errors"].dropna()
    if not len(table):
        return None
    figure = blank(360)
    middle = ((table["low"] + table["high"]) / 2).tolist()
    figure.add_trace(
        go.Scatter(
            x=rounded(middle),
            y=rounded(table["error"]),
            mode="markers",
            name=texts("search.figure.errors.median"),
            marker={"color": LIGHT["finished"], "size": 9, "line": {"width": 0}},
            error_y=error_bars(
                table["error_high"] - table["error"],
                table["error"] - table["error_low"],
                color=LIGHT["finished"],
                thickness=1.5,
                width=4,
            ),
            showlegend=True,
            **hover(_bin_label(row, texts) for row in table.to_dict("records")),
        )
    )
    figure.add_hline(y=0, line={"color": LIGHT["ink"], "width": 1, "dash": "dash"})
    true = texts("search.figure.predictions.true")
    figure.update_xaxes(axis(true, nticks=TICKS, **number_ticks(middle[0], middle[-1])))
    reach = number_ticks(table["error_low"].min(), table["error_high"].max())
    figure.update_yaxes(axis(texts("search.figure.errors.axis"), nticks=TICKS, **reach))
    return figure.update_layout(meta={"note": texts("search.figure.errors.note")})


def _bin_label(row: Row, texts: Texts) -> str:
    values = {name: number(value) for name, value in row.items()}
    return texts("search.figure.errors.hover", **values | {"rows": texts.count("row", row["rows"])})


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
    gap = _digits(abs(mean.value), 0)
    ends = interval(low, high, _digits, texts)
    return texts(f"search.figure.errors.{side}{chance}", tenth=tenth, gap=gap, interval=ends)


def _digits(value: float, more: int) -> str:
    """Return a number with three significant digits and so many more."""
    return number(float(f"{value:.{3 + more}g}"))
