"""Which classes the kept network takes for which: a table of cells, of many classes the most frequent confusions as bars.

The cells are plain rectangles and not plotly's heat map, so that they follow the reader's colours as all else does.
"""

from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.style import LIGHT, SQUARE, axis, blank, label
from hpsearch.reporting.formatting import count, share, visible
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord

CELL = 52  # pixels, where there is room
HIGHEST = 640
DEEPEST = 0.55  # opacity, that numbers can be read on
LABEL = 16  # characters of a class
NONE = "The predictions of single rows were not stored."
SIZES = ((6, 13), (12, 11), (20, 9))  # up to so many classes: the size of the numbers


def confusion(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """One cell for each true and each predicted class, the deeper the larger its share of the true class's rows."""
    rows = frames["confusion"].to_dict("records")
    if not rows or "classes" not in (said := record.result["predicted"]):
        return None
    classes = said["classes"]
    figure = blank(max(300, min(HIGHEST, 110 + CELL * len(classes))))
    size = next(size for most, size in SIZES if len(classes) <= most)
    places = [divmod(i, len(classes)) for i in range(len(rows))]  # (true, predicted)
    cells = [_cell(*place, row["share"]) for place, row in zip(places, rows, strict=True) if row["rows"]]
    figure.update_layout(shapes=cells)  # all at once: plotly checks every shape again whenever one is added
    figure.add_trace(
        go.Scatter(
            x=[other for _, other in places],
            y=[true for true, _ in places],
            mode="text",
            text=[f"{row['rows']:,}" if row["rows"] else "" for row in rows],
            textfont={"size": size, "color": LIGHT["ink"]},
            hovertext=[_said(row) for row in rows],
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=False,
        )
    )
    ticks = {"tickvals": [*range(len(classes))], "ticktext": [label(name, LABEL) for name in classes]}
    across = {"range": [-0.5, len(classes) - 0.5], "constrain": "domain", "constraintoward": "left"}
    down = {"range": [len(classes) - 0.5, -0.5], "scaleanchor": "x", "constrain": "domain", "constraintoward": "top"}
    figure.update_xaxes(axis("predicted class", showgrid=False, **ticks, **across))
    figure.update_yaxes(axis("true class", showgrid=False, **ticks, **down))
    note = "A cell's number counts rows; the deeper its colour, the larger its share of the true class's rows. Right answers are blue."
    return figure.update_layout(meta={"note": note, "square": SQUARE})


def _cell(true: int, other: int, part: float) -> dict[str, Any]:
    """Return the rectangle of a true and a predicted class."""
    corners = {"x0": other - 0.48, "x1": other + 0.48, "y0": true - 0.48, "y1": true + 0.48}
    color = LIGHT["finished" if true == other else "diverged"]
    depth = round(DEEPEST * (0.15 + 0.85 * part), 3)
    look = {"type": "rect", "layer": "below", "fillcolor": color, "opacity": depth, "line": {"width": 0}}
    return look | corners


def _said(row: dict[str, Any]) -> str:
    of = f" of {row['of']:,}" if row["of"] else ""
    return f"<b>{label(row['true'], 40)}</b> taken for <b>{label(row['predicted'], 40)}</b><br>{row['rows']:,}{of} rows"


def rows_of(record: StudyRecord) -> str:
    """Say which rows were predicted, and by what."""
    said = record.result["predicted"]
    if said["rows"] == "test":
        return f"the {count(said['count'], 'test row')}"
    return f"the {count(said['count'], 'validation row')} (there are no test rows; the network was chosen on these, which flatters it)"


def judge(record: StudyRecord) -> str:
    """Say who predicted the rows."""
    networks = record.result["predicted"]["networks"]
    return "the network" if networks == 1 else f"the {networks} networks of the ensemble together"


def confusion_reading(frames: Frames, record: StudyRecord) -> str:
    """Say how many rows are right, what is confused most often, and which class fares worst."""
    rows = frames["confusion"].to_dict("records")
    if not rows or "classes" not in (said := record.result["predicted"]):
        return NONE
    right, total = sum(row["rows"] for row in rows if row["true"] == row["predicted"]), said["count"]
    text = f"Of {rows_of(record)}, {right:,} ({share(right / total)}) are taken for the right class by {judge(record)}."
    wrong = [row for row in rows if row["true"] != row["predicted"] and row["rows"]]
    if not wrong:
        return text
    top = max(wrong, key=lambda row: row["rows"])
    text += f" The most frequent mistake: {_mistake(top)}."
    classes = [row for row in rows if row["true"] == row["predicted"] and row["of"]]
    worst = min(classes, key=lambda row: row["share"])
    found = (
        f"{share(worst['share'])} of {count(worst['of'], 'row')}"
        if worst["rows"]
        else f"none of {count(worst['of'], 'row')}"
    )
    return f"{text} The class that is recognised least: '{visible(worst['true'], 40)}', {found}."


def _mistake(row: dict[str, Any]) -> str:
    part = f"{row['rows']:,} of {count(row['of'], 'row')}"
    return f"{part} of '{visible(row['true'], 40)}' {'is' if row['rows'] == 1 else 'are'} taken for '{visible(row['predicted'], 40)}'"


def pairs(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """Draw the most frequent confusions as bars, the most frequent on top."""
    rows = frames["confusion"].to_dict("records")
    if not rows or "pairs" not in record.result["predicted"]:
        return None
    figure = blank(90 + 26 * len(rows), bargap=0.35)
    names = [f"{label(row['true'], LABEL)} → {label(row['predicted'], LABEL)}  " for row in rows]
    figure.add_trace(
        go.Bar(
            orientation="h",
            x=[row["rows"] for row in rows],
            y=[*range(len(rows))],
            marker={"color": LIGHT["diverged"]},
            text=[_said(row) for row in rows],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
        )
    )
    figure.update_xaxes(
        axis("rows of the true class taken for the other", rangemode="tozero", nticks=7, tickformat=",d")
    )
    dark = {"color": LIGHT["ink"]}
    ends = [len(rows) - 0.5, -0.5]
    figure.update_yaxes(axis(tickvals=[*range(len(rows))], ticktext=names, range=ends, showgrid=False, tickfont=dark))
    return figure.update_layout(meta={"note": "True class → the class that it was taken for."})


def pairs_reading(frames: Frames, record: StudyRecord) -> str:
    """Say how many rows are right, and what is confused most often."""
    said, rows = record.result.get("predicted") or {}, frames["confusion"].to_dict("records")
    if "pairs" not in said:
        return NONE
    part = f"{said['right']:,} ({share(said['right'] / said['count'])})"
    text = f"Of {rows_of(record)}, {part} are taken for the right class by {judge(record)}."
    return f"{text} The most frequent mistake: {_mistake(rows[0])}." if rows else text
