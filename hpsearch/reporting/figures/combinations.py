"""The good combinations: each usable trial as a line through its hyperparameters (parallel coordinates).

Drawn with ordinary lines: plotly's own parallel coordinates need WebGL, which compiles code at run time, and the page forbids that.
"""

from collections import Counter

import plotly.graph_objects as go

from hpsearch.reporting.figures.marks import color_of, marked_trials
from hpsearch.reporting.figures.scale import Scale, scale_of
from hpsearch.reporting.figures.style import (
    LIGHT,
    axis,
    blank,
    label,
    name_label,
    rounded,
    thin,
    thinned,
)
from hpsearch.reporting.formatting import (
    MetricFormat,
    count,
    hyperparameters,
    listing,
    ranked,
    readable,
    tally,
    visible,
)
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord, TrialRecord

BINS = (
    ("pale", 0.7, "worse half", 0.5),
    ("fourth", 1.0, "best half", 0.75),
    ("finished", 1.3, "best quarter", 0.9),
    ("stopped early", 2.0, "best tenth", 1.0),
)
LINES = 300
TAG = {"bgcolor": LIGHT["surface"], "opacity": 0.88, "borderpad": 1}


def parallel(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """Each usable trial as a line through its hyperparameters, the best and the kept ones in front."""
    metric, names = MetricFormat.of(record), hyperparameters(record)[:14]
    trials = ranked(record)
    if len(trials) < 5 or len(names) < 2:
        return None
    drawn = thin(sorted(trials, key=lambda t: t.number), LINES, metric)
    scales = {name: scale_of(name, record) for name in names}
    places = {trial.number: place for place, trial in enumerate(trials)}
    order = sorted(
        drawn, key=lambda t: -places[t.number]
    )  # worst first, of equal ones the best last, as the search ranks them
    figure = blank(430).update_layout(margin={"l": 44, "r": 44, "t": 10, "b": 56}, hovermode=False)
    start = 0
    for role, width, text, until in BINS:
        group = order[start : round(until * len(order))]
        start = round(until * len(order))
        figure.add_trace(
            _lines(group, names, scales, (order[0], order[-1])).update(
                name=text, line={"color": LIGHT[role], "width": width}
            )
        )
    for mark, own in marked_trials(record):
        line = {"color": color_of(mark), "width": 3.2, "dash": "solid" if mark.kept else "dash"}
        figure.add_trace(_lines(own, names, scales, (order[0], order[-1])).update(name=mark.name, line=line))
    for i, name in enumerate(names):
        if any(name not in trial.params for trial in drawn):
            figure.add_annotation(
                x=i, y=-0.18, text="none", showarrow=False, font={"size": 11, "color": LIGHT["soft"]}, **TAG
            )
    _poles(figure, names, scales, (metric, order[0].value or 0.0, order[-1].value or 0.0))
    figure.update_xaxes(axis(visible=False, range=[-0.25, len(names) + 0.25]))
    figure.update_yaxes(axis(visible=False, range=[-0.24 if _partial(drawn, names) else -0.08, 1.06]))
    figure.update_layout(legend={"traceorder": "reversed"})
    turned = {"below": 92 * (len(names) + 1), "height": 84 * (len(names) + 1) + 60}
    figure.update_layout(meta={"turned": turned, "thinned": thinned(len(drawn), len(trials))})
    return figure


def _partial(trials: list[TrialRecord], names: list[str]) -> bool:
    return any(name not in trial.params for trial in trials for name in names)


def _lines(
    group: list[TrialRecord], names: list[str], scales: dict[str, Scale], ends: tuple[TrialRecord, TrialRecord]
) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    worst, top = ends[0].value or 0.0, ends[1].value or 0.0
    for trial in group:
        spread = ((trial.number * 0.618034) % 1 - 0.5) * 0.05  # parts lines through one category
        for i, name in enumerate(names):
            there = name in trial.params
            x.append(float(i))
            y.append(
                scales[name].fraction(trial.params[name]) + (spread if scales[name].categories else 0.0)
                if there
                else -0.18 + spread
            )
        x, y = (
            [*x, float(len(names)), None],
            [*y, ((trial.value or 0.0) - worst) / (top - worst) if top != worst else 1.0, None],
        )
    return go.Scatter(
        x=x, y=rounded([None if v is None else round(v, 4) for v in y]), mode="lines", opacity=0.9, hoverinfo="skip"
    )


def _poles(
    figure: go.Figure, names: list[str], scales: dict[str, Scale], ends: tuple[MetricFormat, float, float]
) -> None:
    metric, worst, top = ends
    for i in range(len(names) + 1):
        line = {"color": LIGHT["edge"], "width": 1}
        figure.add_shape(type="line", x0=i, x1=i, y0=0, y1=1, line=line, layer="below")
        title = (
            name_label(names[i], 16).replace(" ", "<br>", 1) if i < len(names) else f"<b>{label(metric.name, 16)}</b>"
        )
        bold = {"color": LIGHT["ink"], "size": 12}
        figure.add_annotation(x=i, y=0, yref="paper", yanchor="top", text=title, showarrow=False, font=bold, **TAG)
        values = [(0.0, metric.text(worst)), (1.0, metric.text(top))][int(worst == top) :]
        if i < len(names):
            scale = scales[names[i]]
            values = [
                (scale.fraction(scale.categories[int(at)] if scale.categories else at), text)
                for at, text in scale.ticks(5)
            ]
        for at, text in values:
            small = {"size": 11, "color": LIGHT["ink"]}
            figure.add_annotation(x=i, y=at, text=text, showarrow=False, font=small, **TAG)


def parallel_reading(frames: Frames, record: StudyRecord) -> str:
    """Say which choices the best tenth has in common."""
    trials, names = ranked(record), hyperparameters(record)
    if len(trials) < 5 or len(names) < 2:
        return "Fewer than five usable trials, or only one hyperparameter varied."
    top = trials[: max(3, len(trials) // 10)]
    found = []
    for name in names:
        scale = scale_of(name, record)
        values = [str(trial.params.get(name, "none")) for trial in top]
        (common, having), *_ = Counter(values).most_common(1)
        if scale.categories and len(scale.categories) > 1 and having >= 0.75 * len(values):
            found.append(f"{readable(name, 40)} {visible(common, 24)}")
    text = f"The search's best {count(len(top), 'trial')} of {tally(record)}"
    return f"{text} mostly share {listing(found)}." if found else f"{text} have no single choice in common."
