"""What mattered: each hyperparameter's share of the importance, with its interval."""

from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.style import LIGHT, axis, blank, name_label, rounded
from hpsearch.reporting.formatting import readable, sentence, share, shares
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.ranking import is_number
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord

MOST = 24  # bars

Row = dict[str, Any]


def _rows(frames: Frames) -> tuple[list[Row], list[Row]]:
    """Return the hyperparameters whose importance is known, the most important one first, and the others."""
    rows = frames["importance"].to_dict("records")
    known = [row for row in rows if is_number(row["importance"])]
    unknown = [row for row in rows if not is_number(row["importance"])]
    return known, unknown


def importance(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw each hyperparameter's share of the importance with its interval."""
    known, _ = _rows(frames)
    if not known:
        return None
    rows = known[:MOST][::-1]
    figure = blank(90 + 34 * len(rows), bargap=0.45)
    above = rounded([row["high"] - row["importance"] for row in rows])
    below = rounded([row["importance"] - row["low"] for row in rows])
    interval = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    figure.add_trace(
        go.Bar(
            orientation="h",
            x=rounded([row["importance"] for row in rows]),
            y=list(range(len(rows))),
            marker={"color": LIGHT["third"]},
            error_x=interval | {"color": LIGHT["ink"], "thickness": 1.5, "width": 4},
            text=[_bar_label(row) for row in rows],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
        )
    )
    figure.update_xaxes(axis(texts("search.figure.importance.axis"), tickformat=".0%", rangemode="tozero"))
    names = [f"{name_label(row['hyperparameter'], 22)}  " for row in rows]
    dark = {"color": LIGHT["ink"]}
    figure.update_yaxes(axis(tickvals=list(range(len(rows))), ticktext=names, showgrid=False, tickfont=dark))
    return figure


def _bar_label(row: Row) -> str:
    value = f"{share(row['importance'])}, {shares(row['low'], row['high'])}"
    return f"<b>{name_label(row['hyperparameter'])}</b><br>{value}"


def importance_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Name the hyperparameters that mattered most, if their intervals allow it."""
    known, unknown = _rows(frames)
    if not known and not unknown:
        return texts("search.figure.importance.nothing")
    if not known:
        return f"{sentence(unknown[0]['note'])}."
    first, *rest = known
    rivals = [readable(row["hyperparameter"], 40) for row in rest if row["high"] >= first["low"]]
    key = "rivals" if rivals else "clear"
    text = texts(
        f"search.figure.importance.{key}",
        name=readable(first["hyperparameter"], 40).capitalize(),
        share=share(first["importance"]),
        interval=shares(first["low"], first["high"]),
        rivals=texts.listing(rivals),
    )
    if not unknown:
        return text
    left_out = [f"{readable(row['hyperparameter'], 40)} ({row['note']})" for row in unknown]
    return f"{text} {texts('search.figure.importance.left_out', names=texts.listing(left_out))}"
