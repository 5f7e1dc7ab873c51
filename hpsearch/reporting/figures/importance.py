"""What mattered: each hyperparameter's share of the importance, with its interval."""

import plotly.graph_objects as go

from hpsearch.reporting.figures.style import LIGHT, axis, bars, blank, error_bars, name_label
from hpsearch.reporting.formatting import readable, sentence, share, shares
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord

MOST = 24  # bars


def importance(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw each hyperparameter's share of the importance with its interval."""
    table = frames["importance"]
    known = table[table["importance"].notna()][:MOST][::-1]
    if not len(known):
        return None
    figure = blank(90 + 34 * len(known), bargap=0.45)
    above, below = known["high"] - known["importance"], known["importance"] - known["low"]
    interval = error_bars(above, below, color=LIGHT["ink"], thickness=1.5, width=4)
    labels = map(_bar_label, known["hyperparameter"], known["importance"], known["low"], known["high"])
    figure.add_trace(bars(known["importance"], labels, marker={"color": LIGHT["third"]}, error_x=interval))
    figure.update_xaxes(axis(texts("search.figure.importance.axis"), tickformat=".0%", rangemode="tozero"))
    names = [f"{name_label(name, 22)}  " for name in known["hyperparameter"]]
    dark = {"color": LIGHT["ink"]}
    figure.update_yaxes(axis(tickvals=list(range(len(names))), ticktext=names, showgrid=False, tickfont=dark))
    return figure


def _bar_label(name: str, value: float, low: float, high: float) -> str:
    return f"<b>{name_label(name)}</b><br>{share(value)}, {shares(low, high)}"


def importance_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Name the hyperparameters that mattered most, if their intervals allow it."""
    table = frames["importance"]
    if not len(table):
        return texts("search.figure.importance.nothing")
    known = table["importance"].notna()
    if not known.any():
        return f"{sentence(table['note'].iloc[0])}."
    first, *rest = table[known].to_dict("records")
    rivals = [readable(row["hyperparameter"], 40) for row in rest if row["high"] >= first["low"]]
    text = texts(
        f"search.figure.importance.{'rivals' if rivals else 'clear'}",
        name=readable(first["hyperparameter"], 40).capitalize(),
        share=share(first["importance"]),
        interval=shares(first["low"], first["high"]),
        rivals=texts.listing(rivals),
    )
    left_out = table[~known]
    if not len(left_out):
        return text
    pairs = zip(left_out["hyperparameter"], left_out["note"], strict=True)
    names = texts.listing([f"{readable(name, 40)} ({note})" for name, note in pairs])
    return f"{text} {texts('search.figure.importance.left_out', names=names)}"
