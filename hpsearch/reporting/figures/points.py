"""Trials as points: where they are drawn, with which symbol, what their labels say, and the rings around the marked ones.

The axis of the metric fits the better half of the usable trials, and ends at the baseline where it would go beyond. A strip at its worse
end holds the rest: trials that failed, and values off the scale, which are counted there. Where there are such values the page has a
switch: a trace's `meta.whole` is what it is on the axis that shows every value, the layout's `meta.whole` that axis and its note.

`customdata` holds the number of the trial that a point belongs to: by it the page finds a trial in every figure.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import floor, isfinite, log, log10
from typing import Any

import plotly.graph_objects as go

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.figures.style import (
    LIGHT,
    SYMBOLS,
    color,
    hover,
    label,
    log_ticks,
    name_label,
    rounded,
    tick_text,
    value_axis,
    within,
)
from hpsearch.reporting.formatting import MetricFormat, number
from hpsearch.reporting.ranking import space_of, with_value
from hpsearch.reporting.selection import Mark, marks
from hpsearch.storage import StudyRecord, TrialRecord

BEYOND = "off the scale"  # a value that the axis leaves out, drawn on the edge
HYPERPARAMETERS = 14  # in a point's label
BETTER_HALF = 0.5
WORSE = 0.6  # of the range of the better half, by which the axis goes on
LEVELS = 5  # different values that the axis shows at least: few validation rows have few
FEW_USABLE = 8  # usable trials, below which the axis shows nine tenths of all values
ROOM = 0.1  # of the range, from the worst value that must be shown to the axis' end
STRIP = 0.035  # of the axis, from its worse end to what is drawn there
SCALE = ("range", "tickvals", "ticktext", "tickformat")
MOST_CATEGORIES = 13  # that are labelled
GOLDEN = 0.618034  # the fractional parts of its multiples are spread evenly

TAG = {"bgcolor": LIGHT["surface"], "opacity": 0.88, "borderpad": 1}  # of a text over lines and points

Ends = tuple[float, float]
Look = tuple[str, str]  # as what a trial is drawn, and its outcome
Position = Callable[[TrialRecord], Any]  # where a trial is drawn on one axis, None where it is not


def limits(values: Iterable[float], metric: MetricFormat, shown: float = 0.9, strip: float = 0.16) -> Ends:
    """Return a range that shows the best values, so large a share of them.

    At the worse end it goes on for a `strip`, relative to their range, for the rest.
    """
    ordered = sorted(values, reverse=metric.maximize) or [0.0, 1.0]
    top, low = ordered[0], ordered[min(len(ordered) - 1, floor(shown * len(ordered)))]
    direction = -1.0 if metric.maximize else 1.0
    span = (low - top) or direction * max(abs(top) * 0.02, 1e-6)
    worse, better = low + strip * span, top - 0.07 * span
    return within((worse, better) if metric.maximize else (better, worse), metric)


def _values(trials: Iterable[TrialRecord]) -> list[float]:
    """Return the finite values of trials that did not fail."""
    return [trial.value for trial in trials if not trial.failed and trial.value is not None and isfinite(trial.value)]


def _clipped(ends: Ends, baseline: float | None, metric: MetricFormat) -> Ends:
    """Return the ends, the worse one no worse than the baseline where that lies between them."""
    low, high = ends
    if baseline is None or not low < baseline < high:
        return ends
    return (baseline, high) if metric.maximize else (low, baseline)


@dataclass(frozen=True, slots=True)
class Heights:
    """The metric's axis of a figure: its ends, and as what and at which height a trial is drawn on it.

    Attributes:
        metric: the metric.
        ends: from where to where the axis goes.
        whole: the ends of an axis that shows every value.
    """

    metric: MetricFormat
    ends: Ends
    whole: Ends

    @classmethod
    def of(cls, trials: Iterable[TrialRecord], metric: MetricFormat) -> "Heights":
        """Return the axis for some trials."""
        values = _values(trials)
        return cls(metric, limits(values, metric), limits(values, metric, shown=1.0))

    @classmethod
    def common(cls, record: StudyRecord, texts: Texts = ENGLISH) -> "Heights":
        """Return the axis that all figures of single trials share."""
        metric = MetricFormat.of(record, texts)
        usable = [trial for trial in record.trials if trial.usable]
        every = cls.of(with_value(record), metric)
        if len(usable) < FEW_USABLE:
            return every
        values = _values(usable)
        levels = sorted(set(values), reverse=metric.maximize)[:LEVELS]
        fit = replace(every, ends=limits(values, metric, BETTER_HALF, WORSE)).holding(levels)
        baseline = (record.result.get("baseline") or {}).get("validation")
        return replace(fit, ends=_clipped(fit.ends, baseline, metric))

    def holding(self, values: Iterable[float]) -> "Heights":
        """Return the axis that shows these values too, with room for the strip below them."""
        low, high = self.ends
        if self.metric.maximize:
            worst = min(values, default=high)
            low = min(low, worst - ROOM * (high - worst))
        else:
            worst = max(values, default=low)
            high = max(high, worst + ROOM * (worst - low))
        return replace(self, ends=within((low, high), self.metric))

    @property
    def edge(self) -> float:
        """The height of the strip for what failed or lies off the scale, at the worse end."""
        return self._strip(self.ends)

    def _strip(self, ends: Ends) -> float:
        bottom, top = ends
        if self.metric.maximize:
            return bottom + STRIP * (top - bottom)
        return top - STRIP * (top - bottom)

    def at_edge(self, trial: TrialRecord) -> bool:
        """Whether a trial is drawn in the strip at the worse end."""
        if trial.failed or trial.value is None or not isfinite(trial.value):
            return True
        return not self.metric.better(trial.value, self.edge)

    def height(self, trial: TrialRecord) -> float:
        """Return the height at which a trial is drawn."""
        if trial.value is None or self.at_edge(trial):
            return self.edge
        return trial.value

    def whole_height(self, trial: TrialRecord) -> float:
        """Return the height at which a trial is drawn on the axis that shows every value; what failed has none."""
        if trial.failed or trial.value is None or not isfinite(trial.value):
            return self._strip(self.whole)
        return trial.value

    def role(self, trial: TrialRecord) -> str:
        """Return as what a trial is drawn: its outcome, or `BEYOND` where its value lies off the scale."""
        if not trial.failed and self.at_edge(trial):
            return BEYOND
        return trial.outcome

    def axis(self, texts: Texts) -> dict[str, Any]:
        """Return the vertical axis with its title."""
        return value_axis(self.metric, self.ends, texts("search.points.validation", metric=label(self.metric.name)))

    def beyond(self, trials: Iterable[TrialRecord]) -> int:
        """Return how many trials have a value off the scale."""
        return sum(self.role(trial) == BEYOND for trial in trials)

    def heights_of(self, trials: Sequence[TrialRecord], **whole: Any) -> dict[str, Any]:
        """Return a trace's heights, and in its `meta` those on the axis that shows every value, with what else `whole` changes there."""
        own = rounded(map(self.height, trials))
        other = rounded(map(self.whole_height, trials))
        if own == other:
            return {"y": own}
        return {"y": own, "meta": {"whole": {"y": other, **whole}}}


def customdata(trials: Iterable[TrialRecord]) -> list[int]:
    """Return the number of each point's trial, by which the page finds it."""
    return [trial.number for trial in trials]


def marker(role: str, metric: MetricFormat, size: float, opacity: float) -> dict[str, Any]:
    """Return the marker of a role; that of a value off the scale is an open triangle that points to where the value lies."""
    if role == BEYOND:
        side = "down" if metric.maximize else "up"
        symbol = f"triangle-{side}-open"
        return {"color": LIGHT["soft"], "symbol": symbol, "size": size + 1, "line": {"width": 1.5}}
    symbol = SYMBOLS.get(role, "hexagon")
    return {"color": color(role), "symbol": symbol, "size": size, "opacity": opacity, "line": {"width": 0}}


def role_text(role: str, texts: Texts) -> str:
    """Return a role's name in the legend; an outcome is called what the language calls it."""
    if role == BEYOND:
        return texts("search.points.beyond")
    return label(texts.word(role) or texts("search.points.ended"), 30)


def trial_points(
    look: Look,
    group: Sequence[TrialRecord],
    heights: Heights,
    names: Mapping[str, str],
    size: float = 8,
    opacity: float = 0.85,
) -> go.Scatter:
    """Return the points of trials of one look, without their horizontal positions and labels; `names` of roles are for the legend."""
    role, outcome = look
    whole = {"name": names[outcome], "marker": marker(outcome, heights.metric, size, opacity), "showlegend": True}
    return go.Scatter(
        mode="markers",
        name=names[role],
        customdata=customdata(group),
        cliponaxis=False,  # a mark at 100 % lies on the edge
        marker=marker(role, heights.metric, size, opacity),
        **heights.heights_of(group, **whole),
    )


def trial_labels(group: Iterable[TrialRecord], metric: MetricFormat, texts: Texts) -> dict[str, Any]:
    """Return what a trace shows where the reader points at trials."""
    return hover(trial_label(trial, metric, texts) for trial in group)


def once_named(figure: go.Figure) -> None:
    """Leave each name once in the legend."""
    seen: set[str] = set()
    for trace in figure.data:
        if trace.showlegend is not False and trace.name in seen:
            trace.showlegend = False
        seen.add(trace.name)


def trial_label(trial: TrialRecord, metric: MetricFormat, texts: Texts) -> str:
    """Return what a trial's point says: number, outcome, value, hyperparameters."""
    ending = trial.outcome or trial.state
    if trial.failed or ending == "fail":
        value = label(texts.word(trial.detail or ending))
    else:
        value = f"{label(metric.name)} {metric.text(trial.value)}"
    lines = [f"{bold_trial(trial.number, texts)}, {label(texts.word(ending))}", value]
    for name, setting in list(trial.params.items())[:HYPERPARAMETERS]:
        lines.append(f"{name_label(name)} {label(number(setting), 30)}")
    return "<br>".join(lines)


def bold_trial(number: int | str, texts: Texts) -> str:
    """Return `trial 7` in bold."""
    return f"<b>{texts('search.points.trial', trial=number)}</b>"


def edge_note(trials: Sequence[TrialRecord], heights: Heights, texts: Texts, *, whole: bool = False) -> str:
    """Return what the marks on the edge of a figure are, "" where there is none; on the `whole` axis only what failed is there."""
    lost = sum(trial.failed for trial in trials)
    beyond = 0 if whole else heights.beyond(trials)
    parts = []
    if lost:
        parts.append(texts("search.points.failed", trials=texts.count("trial", lost)))
    if beyond:
        parts.append(texts("search.points.values_beyond", trials=texts.count("trial", beyond)))
    if not parts:
        return ""
    edge = "lower" if heights.metric.maximize else "upper"
    return texts(f"search.points.{edge}_edge", marks=texts.listing(parts))


def add_scale(figure: go.Figure, trials: Sequence[TrialRecord], heights: Heights, texts: Texts) -> dict[str, Any]:
    """Set the metric's axis, count at its edge what lies beyond, and return what `layout.meta` has of it."""
    figure.update_yaxes(heights.axis(texts))
    beyond = heights.beyond(trials)
    if beyond:
        side = "below" if heights.metric.maximize else "above"
        anchor = {"below": "bottom", "above": "top"}[side]
        text = texts(f"search.points.worse_{side}", trials=texts.count("worse_trial", beyond))
        place = {"x": 1, "xref": "paper", "xanchor": "right", "y": heights.edge, "yanchor": anchor}
        look = {"showarrow": False, "font": {"size": 12, "color": LIGHT["ink"]}, "yshift": 7 if side == "below" else -7}
        figure.add_annotation(text=text, name="beyond", **place, **look, **TAG)
    return scale_meta(trials, heights, texts)


def scale_meta(trials: Sequence[TrialRecord], heights: Heights, texts: Texts, most: int = 6) -> dict[str, Any]:
    """Return what `layout.meta` has of the metric's axis: the note on its edge, and where values lie beyond the axis that shows them."""
    meta: dict[str, Any] = {"edge": edge_note(trials, heights, texts)}
    if heights.beyond(trials):
        scale = scale_of_axis(value_axis(heights.metric, heights.whole, most=most))
        meta["whole"] = {"axis": scale, "edge": edge_note(trials, heights, texts, whole=True)}
    return meta


def scale_of_axis(axis: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an axis in which two axes of one metric differ."""
    return {name: axis[name] for name in SCALE if name in axis}


def band_names(texts: Texts) -> tuple[str, str]:
    """Return what the legend calls the band of many trials and their median."""
    return texts("search.points.band"), texts("search.points.band_median")


def crowd_note(trials: Sequence[TrialRecord], heights: Heights, texts: Texts) -> str:
    """Return what a figure draws of many trials, and how many of them lie outside it or failed."""
    lost = sum(trial.failed for trial in trials)
    side = "below" if heights.metric.maximize else "above"
    beyond = f"{heights.beyond(trials):,}"
    return texts(
        f"search.points.crowd_{side}", trials=texts.count("trial", len(trials)), beyond=beyond, failed=f"{lost:,}"
    )


def thin(trials: list[TrialRecord], most: int, metric: MetricFormat) -> list[TrialRecord]:
    """Return at most `most` trials: the best tenth of them, the rest evenly, in the order of their numbers."""
    if len(trials) <= most:
        return trials
    valued = [trial for trial in trials if not trial.failed]
    valued.sort(key=lambda trial: trial.rank(metric.direction))
    drawn = {trial.number for trial in valued[: most // 10]}
    rest = [trial for trial in trials if trial.number not in drawn]
    room = most - len(drawn)
    drawn |= {rest[i * len(rest) // room].number for i in range(room)}
    return [trial for trial in trials if trial.number in drawn]


def thinned(drawn: int, of: int, texts: Texts) -> str:
    """Return the note under a figure that does not draw every trial, "" where it does."""
    if drawn < of:
        return texts("search.points.thinned", drawn=f"{drawn:,}", of=f"{of:,}")
    return ""


def mark_color(mark: Mark) -> str:
    """Return the colour of a mark: the selected trials stand out, the search's best has the ink's."""
    return LIGHT["first" if mark.selected else "ink"]


def marked_trials(record: StudyRecord, texts: Texts) -> Iterator[tuple[Mark, list[TrialRecord]]]:
    """Yield the marks with their trials; trials without a value are left out."""
    known = {trial.number: trial for trial in record.trials if trial.value is not None}
    for mark in marks(record, texts):
        trials = [known[number] for number in mark.trials if number in known]
        if trials:
            yield mark, trials


def rings(record: StudyRecord, across: Position, heights: Heights, texts: Texts) -> Iterator[go.Scatter]:
    """Yield the rings of every mark."""
    for mark, trials in marked_trials(record, texts):
        yield rings_of(mark, trials, across, heights)


def rings_of(mark: Mark, trials: Iterable[TrialRecord], across: Position, heights: Heights) -> go.Scatter:
    """Return rings around a mark's trials, the search's best in a larger one, so that both are seen on one point."""
    drawn = [trial for trial in trials if across(trial) is not None]
    line = {"width": 2.5 if mark.selected else 1.5, "color": mark_color(mark)}
    size = 14 if mark.selected else 18
    return go.Scatter(
        x=rounded(map(across, drawn)),
        **heights.heights_of(drawn),
        mode="markers",
        name=mark.name,
        legendgroup=mark.name,
        hoverinfo="skip",
        cliponaxis=False,
        marker={"color": mark_color(mark), "size": size, "symbol": "circle-open", "line": line},
    )


@lru_cache(maxsize=64)
def scale_of(name: str, record: StudyRecord) -> "Scale":
    """Return the scale of a hyperparameter, made once a study: it looks at every trial."""
    return Scale(name, record)


class Scale:
    """Where a hyperparameter's values lie on an axis: numbers as they are (or their logarithm), categories at 0, 1, 2, ..."""

    def __init__(self, name: str, record: StudyRecord) -> None:
        given = space_of(record).get(name)
        values = [trial.params[name] for trial in record.trials if name in trial.params]
        self.domain = given if isinstance(given, dict) and "low" in given else {}
        self.categories: list[str] = []
        self.log = False
        if isinstance(given, list) or not all(map(_numeric, values)):
            choices = given if isinstance(given, list) else []
            self.categories = list(dict.fromkeys(map(str, [*choices, *values])))
            self.low, self.high = 0.0, float(len(self.categories) - 1)
            self.spread = 0.5  # how far apart equal values are drawn
            return
        ends = [*values, *(self.domain[key] for key in ("low", "high") if key in self.domain)] or [0, 1]
        self.low, self.high = float(min(ends)), float(max(ends))
        self.log = bool(self.domain.get("log")) and self.low > 0
        integers = all(isinstance(value, int) for value in values)
        few = integers and not self.log and self.high - self.low <= 10
        self.spread = 0.3 if few else 0.0

    def position(self, value: Any) -> float:
        """Return where the value lies on the axis (a number on a logarithmic one stays itself)."""
        if self.categories:
            return float(self.categories.index(str(value)))
        return float(value)

    def axis_ends(self) -> Ends:
        """Return the ends as plotly wants them: of a logarithmic axis the powers of ten."""
        if self.log:
            return log10(self.low), log10(self.high)
        return self.low, self.high

    def fraction(self, position: float) -> float:
        """Return where a position lies between the low end, 0, and the high end, 1."""
        if self.low == self.high:
            return 0.5
        if self.log:
            return (log(position) - log(self.low)) / (log(self.high) - log(self.low))
        return (position - self.low) / (self.high - self.low)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Return positions and their texts."""
        if self.categories:
            named = [(float(i), label(name, 12)) for i, name in enumerate(self.categories)]
            return named[:: 1 + len(named) // MOST_CATEGORIES]
        if self.log:
            return [(tick, tick_text(tick)) for tick in log_ticks(self.low, self.high, most)]
        ends = sorted({self.low, self.high})
        return [(end, number(float(f"{end:.4g}"))) for end in ends]


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def spread(trial: TrialRecord) -> float:
    """Return where a trial of several at one place is drawn beside it, -0.5 to 0.5, the same in every figure."""
    return (trial.number * GOLDEN) % 1 - 0.5
