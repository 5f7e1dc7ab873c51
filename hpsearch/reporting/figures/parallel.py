"""The good combinations: each usable trial as a line through its hyperparameters (parallel coordinates).

Drawn with ordinary lines: plotly's own parallel coordinates need WebGL, which compiles code at run time, and the page forbids that.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from hpsearch.reporting.figures.points import mark_color, marked_trials, thin, thinned
from hpsearch.reporting.figures.scale import Scale, scale_of
from hpsearch.reporting.figures.style import LIGHT, axis, blank, label, name_label, rounded
from hpsearch.reporting.formatting import MetricFormat, readable, visible
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.phrases import usable_trials
from hpsearch.reporting.ranking import hyperparameters, ranked
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord, TrialRecord

BINS = (  # colour, width and name of the lines, and the share of the trials, worst first, at which the bin ends
    ("pale", 0.7, "worse_half", 0.5),
    ("fourth", 1.0, "best_half", 0.75),
    ("finished", 1.3, "best_quarter", 0.9),
    ("stopped early", 2.0, "best_tenth", 1.0),
)
LINES = 300
NAMES = 14  # hyperparameters
FEWEST = 5  # trials
MISSING = -0.18  # height of a line where the trial lacks the hyperparameter
GOLDEN = 0.618034  # the fractional parts of its multiples are spread evenly
TAG = {"bgcolor": LIGHT["surface"], "opacity": 0.88, "borderpad": 1}


@dataclass(frozen=True, slots=True)
class Space:
    """The hyperparameters side by side, each with its scale, and the metric with its worst and best value at the end."""

    scales: Mapping[str, Scale]
    metric: MetricFormat
    worst: float
    best: float

    def heights(self, trial: TrialRecord) -> list[float]:
        """Return a trial's height on every axis, the metric's last."""
        spread = ((trial.number * GOLDEN) % 1 - 0.5) * 0.05  # parts lines through one category
        return [self._height(name, trial, spread) for name in self.scales] + [self._value(trial)]

    def _height(self, name: str, trial: TrialRecord, spread: float) -> float:
        if name not in trial.params:
            return MISSING + spread
        scale = self.scales[name]
        at = scale.fraction(trial.params[name])
        return at + spread if scale.categories else at

    def _value(self, trial: TrialRecord) -> float:
        if self.best == self.worst:
            return 1.0
        return ((trial.value or 0.0) - self.worst) / (self.best - self.worst)


def parallel(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw each usable trial as a line through its hyperparameters, the best and the selected ones in front."""
    metric, trials = MetricFormat.of(record), ranked(record)
    names = hyperparameters(record)[:NAMES]
    if len(trials) < FEWEST or len(names) < 2:
        return None
    drawn = {trial.number for trial in thin(sorted(trials, key=lambda trial: trial.number), LINES, metric)}
    order = [trial for trial in reversed(trials) if trial.number in drawn]  # the worst first
    scales = {name: scale_of(name, record) for name in names}
    space = Space(scales, metric, order[0].value or 0.0, order[-1].value or 0.0)
    figure = blank(430).update_layout(margin={"l": 44, "r": 44, "t": 10, "b": 56}, hovermode=False)
    start = 0
    for color, width, name, until in BINS:
        end = round(until * len(order))
        line = {"color": LIGHT[color], "width": width}
        figure.add_trace(_lines(order[start:end], space, texts(f"search.figure.parallel.{name}"), line))
        start = end
    for mark, own in marked_trials(record, texts):
        line = {"color": mark_color(mark), "width": 3.2, "dash": "solid" if mark.selected else "dash"}
        figure.add_trace(_lines(own, space, mark.name, line))
    incomplete = [i for i, name in enumerate(names) if any(name not in trial.params for trial in order)]
    for i in incomplete:
        small = {"size": 11, "color": LIGHT["soft"]}
        none = texts("search.figure.parallel.none")
        figure.add_annotation(x=i, y=MISSING, text=none, showarrow=False, font=small, **TAG)
    _draw_axes(figure, space)
    figure.update_xaxes(axis(visible=False, range=[-0.25, len(names) + 0.25]))
    figure.update_yaxes(axis(visible=False, range=[-0.24 if incomplete else -0.08, 1.06]))
    figure.update_layout(legend={"traceorder": "reversed"})
    columns = len(names) + 1
    turned = {"below": 92 * columns, "height": 84 * columns + 60}
    return figure.update_layout(meta={"turned": turned, "thinned": thinned(len(order), len(trials), texts)})


def _lines(group: Sequence[TrialRecord], space: Space, name: str, line: Mapping[str, object]) -> go.Scatter:
    """Return one trace with a line for each trial, gaps between them."""
    x: list[float | None] = []
    y: list[float | None] = []
    for trial in group:
        heights = space.heights(trial)
        x += [*map(float, range(len(heights))), None]
        y += [*(round(height, 4) for height in heights), None]
    return go.Scatter(x=x, y=rounded(y), mode="lines", opacity=0.9, hoverinfo="skip", name=name, line=line)


def _draw_axes(figure: go.Figure, space: Space) -> None:
    """Draw the vertical axes with their names and ticks, the metric's last."""
    titles = [name_label(name, 16).replace(" ", "<br>", 1) for name in space.scales]
    ticks = [_ticks(scale) for scale in space.scales.values()]
    titles.append(f"<b>{label(space.metric.name, 16)}</b>")
    ends = [(0.0, space.metric.text(space.worst)), (1.0, space.metric.text(space.best))]
    ticks.append(ends if space.worst != space.best else ends[1:])
    for i, (title, marks) in enumerate(zip(titles, ticks, strict=True)):
        line = {"color": LIGHT["edge"], "width": 1}
        figure.add_shape(type="line", x0=i, x1=i, y0=0, y1=1, line=line, layer="below")
        bold = {"color": LIGHT["ink"], "size": 12}
        figure.add_annotation(x=i, y=0, yref="paper", yanchor="top", text=title, showarrow=False, font=bold, **TAG)
        for at, text in marks:
            small = {"size": 11, "color": LIGHT["ink"]}
            figure.add_annotation(x=i, y=at, text=text, showarrow=False, font=small, **TAG)


def _ticks(scale: Scale) -> list[tuple[float, str]]:
    """Return the heights of a scale's ticks with their texts."""
    if not scale.categories:
        return [(scale.fraction(at), text) for at, text in scale.ticks(5)]
    return [(scale.fraction(scale.categories[int(at)]), text) for at, text in scale.ticks(5)]


def parallel_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say which choices the best tenth has in common."""
    trials, names = ranked(record), hyperparameters(record)
    if len(trials) < FEWEST or len(names) < 2:
        return texts("search.figure.parallel.few")
    top = trials[: max(3, len(trials) // 10)]
    shared = []
    for name in names:
        values = [str(trial.params.get(name, "none")) for trial in top]
        ((common, having),) = Counter(values).most_common(1)
        if len(scale_of(name, record).categories) > 1 and having >= 0.75 * len(values):
            shared.append(f"{readable(name, 40)} {visible(common, 24)}")
    counts = {"top": texts.count("trial", len(top)), "of": usable_trials(record, texts)}
    if not shared:
        return texts("search.figure.parallel.nothing_shared", **counts)
    return texts("search.figure.parallel.shared", shared=texts.listing(shared), **counts)
