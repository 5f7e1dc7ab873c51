"""Which classes the selected model takes for which: a table of cells, of many classes the most frequent confusions as bars.

The cells are plain rectangles and not plotly's heat map, so that they follow the reader's colours as all else does.
"""

from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.style import LIGHT, SQUARE, axis, blank, label
from hpsearch.reporting.formatting import share, visible
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord

CELL = 52  # pixels, where there is room
HIGHEST = 640
DEEPEST = 0.55  # opacity, that numbers can be read on
LABEL = 16  # characters of a class
SIZES = ((6, 13), (12, 11), (20, 9))  # up to so many classes: the size of the numbers

Row = dict[str, Any]


def predicted_of(record: StudyRecord) -> dict[str, Any]:
    """Return what the storage has of the predictions of single rows, {} without them."""
    return record.result.get("predicted") or {}


def confusion(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw one cell for each true and each predicted class, the deeper the larger its share of the true class's rows."""
    rows, classes = frames["confusion"].to_dict("records"), predicted_of(record).get("classes")
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
        share=share(right / predicted_of(record)["count"]),
        model=model_of(record, texts),
    )


def confusion_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say how many rows are right, what is confused most often, and which class fares worst."""
    rows = frames["confusion"].to_dict("records")
    if not rows or "classes" not in predicted_of(record):
        return texts("search.predicted.not_stored")
    diagonal = [row for row in rows if row["true"] == row["predicted"]]
    wrong = [row for row in rows if row["true"] != row["predicted"] and row["rows"]]
    text = _right(record, sum(row["rows"] for row in diagonal), texts)
    if not wrong:
        return text
    mistake = _mistake(max(wrong, key=lambda row: row["rows"]), texts)
    worst = min((row for row in diagonal if row["of"]), key=lambda row: row["share"])
    of = texts.count("row", worst["of"])
    recall = texts("search.figure.confusion.recall", share=share(worst["share"]), of=of)
    if not worst["rows"]:
        recall = texts("search.figure.confusion.no_recall", of=of)
    least = texts("search.figure.confusion.least", name=visible(worst["true"], 40), recall=recall)
    return f"{text} {mistake} {least}"


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
    figure.add_trace(
        go.Bar(
            orientation="h",
            x=[row["rows"] for row in rows],
            y=[*range(len(rows))],
            marker={"color": LIGHT["diverged"]},
            text=[_cell_label(row, texts) for row in rows],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
        )
    )
    figure.update_xaxes(axis(texts("search.figure.pairs.axis"), rangemode="tozero", nticks=7, tickformat=",d"))
    dark = {"color": LIGHT["ink"]}
    ends = [len(rows) - 0.5, -0.5]
    figure.update_yaxes(axis(tickvals=[*range(len(rows))], ticktext=names, range=ends, showgrid=False, tickfont=dark))
    return figure.update_layout(meta={"note": texts("search.figure.pairs.note")})


def pairs_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say how many rows are right, and what is confused most often."""
    predicted, rows = predicted_of(record), frames["confusion"].to_dict("records")
    if "pairs" not in predicted:
        return texts("search.predicted.not_stored")
    text = _right(record, predicted["right"], texts)
    return f"{text} {_mistake(rows[0], texts)}" if rows else text
