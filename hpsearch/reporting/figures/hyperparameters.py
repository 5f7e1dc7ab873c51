"""The hyperparameters together: how much each one mattered, and the good combinations (parallel coordinates).

Drawn with ordinary lines: plotly's own parallel coordinates need WebGL, which compiles code at run time, and the page forbids that.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import plotly.graph_objects as go

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.figures.bands import CROWD, TOP, density
from hpsearch.reporting.figures.points import (
    TAG,
    Scale,
    bold_trial,
    mark_color,
    marked_trials,
    scale_of,
    spread,
    thin,
    thinned,
)
from hpsearch.reporting.figures.style import (
    LIGHT,
    axis,
    bars,
    blank,
    error_bars,
    label,
    name_label,
    rounded,
    share_ticks,
)
from hpsearch.reporting.formatting import MetricFormat, identifier, sentence, share, shares, visible
from hpsearch.reporting.importance import why_unknown
from hpsearch.reporting.ranking import hyperparameters, ranked
from hpsearch.reporting.selection import usable_trials
from hpsearch.reporting.tables import Frames
from hpsearch.reporting.tables.trials import column
from hpsearch.storage import StudyRecord, TrialRecord

BINS = (  # colour, width and name of the lines, and the share of the trials, worst first, at which the bin ends
    ("pale", 0.7, "worse_half", 0.5),
    ("fourth", 1.0, "best_half", 0.75),
    ("finished", 1.3, "best_quarter", 0.9),
    ("stopped early", 2.0, "best_tenth", 1.0),
)
IMPORTANCES = 24  # bars
NAMED = 3  # rivals of the most important hyperparameter
LINES = 300
NAMES = 14  # hyperparameters
FEWEST = 5  # trials
WIDTH = 0.5  # of the way to the next axis, that the densest part of an axis takes
MISSING = -0.18  # height of a line where the trial lacks the hyperparameter


def importance(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw each hyperparameter's share of the importance with its interval."""
    table = frames["importance"]
    known = table[table["importance"].notna()][:IMPORTANCES][::-1]
    if len(known) < 2:
        return None
    figure = blank(90 + 34 * len(known), bargap=0.45)
    above, below = known["high"] - known["importance"], known["importance"] - known["low"]
    interval = error_bars(above, below, color=LIGHT["ink"], thickness=1.5, width=4)
    columns = (known[name] for name in ("hyperparameter", "importance", "low", "high"))
    labels = [_bar_label(name, value, low, high, texts) for name, value, low, high in zip(*columns, strict=True)]
    figure.add_trace(bars(known["importance"], labels, marker={"color": LIGHT["third"]}, error_x=interval))
    figure.update_xaxes(
        axis(texts("search.figure.importance.axis"), rangemode="tozero", **share_ticks(0.0, known["high"].max()))
    )
    names = [f"{name_label(name, 22)}  " for name in known["hyperparameter"]]
    dark = {"color": LIGHT["ink"]}
    figure.update_yaxes(axis(tickvals=list(range(len(names))), ticktext=names, showgrid=False, tickfont=dark))
    return figure


def _bar_label(name: str, value: float, low: float, high: float, texts: Texts) -> str:
    return f"<b>{name_label(name)}</b><br>{share(value)}, {shares(low, high, texts)}"


def importance_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Name the hyperparameters that mattered most, if their intervals allow it."""
    table = frames["importance"]
    if not len(table):
        return texts("search.figure.importance.nothing")
    known = table["importance"].notna()
    if not known.any():
        return f"{sentence(why_unknown(table['hyperparameter'].iloc[0], record, texts))}."
    text = _most_important(table[known].to_dict("records"), texts)
    left_out = table.loc[~known, "hyperparameter"]
    if not len(left_out):
        return text
    names = texts.listing([f"{identifier(name, 40)} ({why_unknown(name, record, texts)})" for name in left_out])
    return f"{text} {texts('search.figure.importance.left_out', names=names)}"


def _most_important(rows: Sequence[Mapping[str, Any]], texts: Texts) -> str:
    """Say which hyperparameter of the rows, the most important one first, sets the best trials apart, as far as that can be told."""
    first, *rest = rows
    if not rest:
        return texts("search.figure.importance.alone", name=identifier(first["hyperparameter"], 40))
    rivals = [identifier(row["hyperparameter"], 40) for row in rest if row["high"] >= first["low"]]
    if len(rivals) > NAMED + 1:
        others = texts("search.figure.importance.others", amount=len(rivals) - NAMED)
        rivals = [*rivals[:NAMED], others]
    key = "rivals" if rivals else "clear"
    if first["low"] <= 0:
        key = "chance"
    return texts(
        f"search.figure.importance.{key}",
        name=identifier(first["hyperparameter"], 40),
        share=share(first["importance"]),
        interval=shares(first["low"], first["high"], texts),
        rivals=texts.listing(rivals),
    )


@dataclass(frozen=True, slots=True)
class Space:
    """The hyperparameters side by side, each with its scale, and the metric with its worst and best value at the end."""

    scales: Mapping[str, Scale]
    metric: MetricFormat
    worst: float
    best: float

    def heights(self, trial: TrialRecord) -> list[float]:
        """Return a trial's height on every axis, the metric's last."""
        value = 1.0
        if self.best != self.worst:
            value = ((trial.value or 0.0) - self.worst) / (self.best - self.worst)
        return [self._height(name, trial) for name in self.scales] + [value]

    def _height(self, name: str, trial: TrialRecord) -> float:
        aside = spread(trial) * 0.05  # parts lines through one category
        if name not in trial.params:
            return MISSING + aside
        scale = self.scales[name]
        at = scale.fraction(scale.position(trial.params[name]))
        return at + aside if scale.categories else at


def parallel(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw each usable trial as a line through its hyperparameters, the best and the selected ones in front."""
    metric = MetricFormat.of(record, texts)
    trials = ranked(record)
    names = hyperparameters(record)[:NAMES]
    if len(trials) < FEWEST or len(names) < 2:
        return None
    drawn = {trial.number for trial in thin(sorted(trials, key=lambda trial: trial.number), LINES, metric)}
    crowd = len(trials) >= CROWD
    order = [trial for trial in reversed(trials) if crowd or trial.number in drawn]  # the worst first
    scales = {name: scale_of(name, record) for name in names}
    space = Space(scales, metric, order[0].value or 0.0, order[-1].value or 0.0)
    figure = blank(430).update_layout(margin={"l": 44, "r": 44, "t": 10, "b": 56}, dragmode=False)
    template = bold_trial("%{customdata}", texts)
    if crowd:
        figure.add_traces(list(_densities(trials, space, template, texts)))
    else:
        figure.add_traces(list(_bins(order, space, template, texts)))
    for mark, own in marked_trials(record, texts):
        line = {"color": mark_color(mark), "width": 3.2, "dash": "solid" if mark.selected else "dash"}
        figure.add_trace(_lines(own, space, mark.name, line, template))
    missing = _missing(order, names, texts)
    poles = [_pole(at) for at in range(len(names) + 1)]
    # All at once: plotly checks every annotation again whenever one is added.
    notes = [*missing, *_labels(space)]
    figure.update_layout(annotations=notes, shapes=poles, legend={"traceorder": "reversed"})
    figure.update_xaxes(axis(visible=False, range=[-0.25, len(names) + 0.25]))
    figure.update_yaxes(axis(visible=False, range=[-0.24 if missing else -0.08, 1.06]))
    columns = len(names) + 1
    turned = {"below": 92 * columns, "height": 84 * columns + 60}
    meta = {"turned": turned, "brush": _brush(space), "note": texts("search.figure.parallel.brush")}
    meta["thinned"] = thinned(len(order), len(trials), texts)
    if crowd:
        meta["thinned"] = texts("search.figure.parallel.densities", top=TOP)
    return figure.update_layout(meta=meta)


def _bins(order: Sequence[TrialRecord], space: Space, template: str, texts: Texts) -> Iterator[go.Scatter]:
    """Yield the trials, worst first, as lines that are the stronger the better they are."""
    start = 0
    for color, width, name, until in BINS:
        end = round(until * len(order))
        line = {"color": LIGHT[color], "width": width}
        yield _lines(order[start:end], space, texts(f"search.figure.parallel.{name}"), line, template)
        start = end


def _densities(trials: Sequence[TrialRecord], space: Space, template: str, texts: Texts) -> Iterator[go.Scatter]:
    """Yield how densely all trials, and the best tenth of them, lie on each axis, then the best ones as lines."""
    tenth = trials[: len(trials) // 10]
    for group, color, name in ((trials, "pale", "all"), (tenth, "fourth", "best_tenth")):
        columns = zip(*map(space.heights, group), strict=True)
        outlines = [density(heights, at, WIDTH, (MISSING - 0.05, 1.05)) for at, heights in enumerate(columns)]
        x = [value for outline, _ in outlines for value in outline]
        y = [value for _, outline in outlines for value in outline]
        line = {"color": LIGHT[color], "width": 1}
        named = texts(f"search.figure.parallel.{name}")
        filled = {"fill": "toself", "fillcolor": LIGHT[color], "opacity": 0.75}
        yield go.Scatter(x=rounded(x), y=rounded(y), mode="lines", line=line, name=named, hoverinfo="skip", **filled)
    line = {"color": LIGHT["stopped early"], "width": 1.5}
    yield _lines(trials[:TOP], space, texts("search.figure.parallel.best_few", top=TOP), line, template)


def _brush(space: Space) -> list[dict[str, Any]]:
    """Return what the page needs to turn a range of an axis into a condition: the axis' column, its ends or its choices."""
    found: list[dict[str, Any]] = []
    for name, scale in space.scales.items():
        heading = identifier(column(name), 60)  # of the table of trials
        if scale.categories:
            found.append({"name": heading, "choices": [visible(choice) for choice in scale.categories]})
        else:
            found.append({"name": heading, "ends": [scale.low, scale.high], "log": scale.log})
    found.append({"name": space.metric.name, "ends": [space.worst, space.best], "log": False})
    return found


def _lines(
    group: Sequence[TrialRecord], space: Space, name: str, line: Mapping[str, object], template: str
) -> go.Scatter:
    """Return one trace with a line for each trial, gaps between them."""
    x: list[float | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    for trial in group:
        heights = space.heights(trial)
        x += [*map(float, range(len(heights))), None]
        y += [*(round(height, 4) for height in heights), None]
        numbers += [*repeat(trial.number, len(heights)), None]
    shown = {"hovertemplate": f"{template}<extra></extra>"}
    return go.Scatter(x=x, y=rounded(y), mode="lines", opacity=0.9, name=name, line=line, customdata=numbers, **shown)


def _note(at: int, height: float, text: str, size: int, color: str, **more: str) -> dict[str, Any]:
    """Return a text at a pole."""
    font = {"color": LIGHT[color], "size": size}
    return {"x": at, "y": height, "text": text, "showarrow": False, "font": font, **TAG, **more}


def _missing(trials: Sequence[TrialRecord], names: Sequence[str], texts: Texts) -> list[dict[str, Any]]:
    """Return the texts below the hyperparameters that some trials lack."""
    none = texts("search.figure.parallel.none")
    notes = []
    for at, name in enumerate(names):
        if any(name not in trial.params for trial in trials):
            notes.append(_note(at, MISSING, none, 11, "soft"))
    return notes


def _pole(at: int) -> dict[str, Any]:
    """Return the line of a vertical axis."""
    line = {"color": LIGHT["edge"], "width": 1}
    return {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line, "layer": "below"}


def _labels(space: Space) -> Iterator[dict[str, Any]]:
    """Yield the names and the ticks of the vertical axes, the metric's last."""
    at = 0
    for at, (name, scale) in enumerate(space.scales.items()):
        ticks = [(scale.fraction(position), text) for position, text in scale.ticks(5)]
        yield from _labels_at(at, name_label(name, 16).replace("_", "_<br>", 1), ticks)
    ends = [(0.0, space.metric.text(space.worst)), (1.0, space.metric.text(space.best))]
    if space.worst == space.best:
        ends = ends[1:]
    yield from _labels_at(at + 1, f"<b>{label(space.metric.name, 16)}</b>", ends)


def _labels_at(at: int, title: str, ticks: Sequence[tuple[float, str]]) -> Iterator[dict[str, Any]]:
    yield _note(at, 0, title, 12, "ink", yref="paper", yanchor="top")
    for height, text in ticks:
        yield _note(at, height, text, 11, "ink")


def parallel_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say which choices the best tenth has in common."""
    trials = ranked(record)
    names = hyperparameters(record)
    if len(trials) < FEWEST or len(names) < 2:
        return texts("search.figure.parallel.few")
    top = trials[: max(3, len(trials) // 10)]
    shared = []
    for name in names:
        values = [str(trial.params.get(name, "none")) for trial in top]
        ((common, having),) = Counter(values).most_common(1)
        if len(scale_of(name, record).categories) > 1 and having >= 0.75 * len(values):
            shared.append(f"{identifier(name, 40)} {visible(common, 24)}")
    counts = {"top": texts.count("trial", len(top)), "of": usable_trials(record, texts)}
    if not shared:
        return texts("search.figure.parallel.nothing_shared", **counts)
    return texts("search.figure.parallel.shared", shared=texts.listing(shared), **counts)
