"""When the trials ran: bars over wall time, trials that trained at the same time in rows below each other."""

from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.history import unit
from hpsearch.reporting.figures.points import bold_trial
from hpsearch.reporting.figures.style import LIGHT, SYMBOLS, axis, blank, color, label, rounded
from hpsearch.reporting.formatting import duration, share
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord

MOST = 600  # bars
LABELS = 8  # numbers along the vertical axis

Row = dict[str, Any]


def timeline(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw each trial as a bar over wall time."""
    rows = frames["timeline"].to_dict("records")
    if len(rows) < 2 or not any(row["end"] > row["start"] for row in rows):
        return None
    name, length = unit(max(row["end"] for row in rows))
    lines = max(row["place"] for row in rows)
    step = -(-len(rows) // MOST)
    drawn = rows[::step]
    figure = blank(int(min(460, 120 + 22 * lines)), barmode="overlay", bargap=0.18)
    present = {row["outcome"] for row in drawn}
    for outcome in [*(known for known in SYMBOLS if known in present), *sorted(present - set(SYMBOLS))]:
        figure.add_trace(_bars(outcome, [row for row in drawn if row["outcome"] == outcome], length, texts))
    figure.update_xaxes(axis(texts(f"search.figure.history.{name}_axis"), rangemode="tozero"))
    every = max(1, -(-lines // LABELS))
    upright = {"range": [lines + 0.6, 0.4], "tick0": 1, "dtick": every, "showgrid": False}
    figure.update_yaxes(axis(texts("search.figure.timeline.side"), **upright))
    note = ""
    if step > 1:
        note = texts("search.figure.timeline.thinned", drawn=f"{len(drawn):,}", of=f"{len(rows):,}")
    return figure.update_layout(meta={"thinned": note})


def _bars(outcome: str, rows: list[Row], length: float, texts: Texts) -> go.Bar:
    return go.Bar(
        orientation="h",
        name=label(outcome, 30),
        base=rounded([row["start"] / length for row in rows]),
        x=rounded([_seconds(row) / length for row in rows]),
        y=[row["place"] for row in rows],
        text=[f"{bold_trial(row['trial'], texts)}, {label(outcome)}<br>{duration(_seconds(row))}" for row in rows],
        textposition="none",
        width=0.8,
        hovertemplate="%{text}<extra></extra>",
        marker={"color": color(outcome), "line": {"color": LIGHT["surface"], "width": 1}},
    )


def _seconds(row: Row) -> float:
    return float(row["end"] - row["start"])


def timeline_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say how long the search took, how many trials ran at once, and what the lost ones cost."""
    rows = frames["timeline"].to_dict("records")
    busy = sum(map(_seconds, rows))
    if len(rows) < 2 or busy <= 0:
        return texts("search.figure.timeline.few")
    wall, lines = max(row["end"] for row in rows), max(row["place"] for row in rows)
    key = "parallel" if lines > 1 else "serial"
    trials = texts.count("trial", len(rows))
    text = texts(f"search.figure.timeline.{key}", trials=trials, time=duration(wall), most=lines)
    spent = []
    for outcome in ("pruned", "diverged"):
        seconds = sum(_seconds(row) for row in rows if row["outcome"] == outcome)
        if seconds:
            spent.append(texts(f"search.figure.timeline.spent_{outcome}", share=share(seconds / busy)))
    if not spent:
        return text
    return f"{text} {texts('search.figure.timeline.spent', parts=texts.listing(spent))}"
