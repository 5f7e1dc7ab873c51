"""Trials as points: where they are drawn, with which symbol, what their labels say, and the rings around the marked ones.

The axis of the metric fits the better half of the usable trials, and ends at the baseline where it would go beyond. A strip at its worse
end holds the rest: trials that failed, and values off the scale.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import floor, isfinite, log, log10
from typing import Any

import plotly.graph_objects as go

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
from hpsearch.reporting.locales import Texts
from hpsearch.reporting.ranking import space_of, with_value
from hpsearch.reporting.selection import Mark, marks
from hpsearch.storage import StudyRecord, TrialRecord

BEYOND = "off the scale"  # a value that the axis leaves out, drawn on the edge
HYPERPARAMETERS = 14  # in a point's label
BETTER_HALF = 0.5
WORSE = 0.6  # of the range of the better half, by which the axis goes on
FEW_USABLE = 8  # usable trials, below which the axis shows nine tenths of all values
MOST_CATEGORIES = 13  # that are labelled
GOLDEN = 0.618034  # the fractional parts of its multiples are spread evenly

Ends = tuple[float, float]
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
    """The metric's axis of a figure: its ends, and as what and at which height a trial is drawn on it."""

    metric: MetricFormat
    ends: Ends

    @classmethod
    def of(cls, trials: Iterable[TrialRecord], metric: MetricFormat) -> "Heights":
        """Return the axis for some trials."""
        return cls(metric, limits(_values(trials), metric))

    @classmethod
    def common(cls, record: StudyRecord) -> "Heights":
        """Return the axis that all figures of single trials share."""
        metric = MetricFormat.of(record)
        usable = [trial for trial in record.trials if trial.usable]
        if len(usable) < FEW_USABLE:
            return cls.of(with_value(record), metric)
        ends = limits(_values(usable), metric, BETTER_HALF, WORSE)
        baseline = (record.result.get("baseline") or {}).get("validation")
        return cls(metric, _clipped(ends, baseline, metric))

    @property
    def edge(self) -> float:
        """The height of the strip for what failed or lies off the scale, at the worse end."""
        bottom, top = self.ends
        if self.metric.maximize:
            return bottom + 0.035 * (top - bottom)
        return top - 0.035 * (top - bottom)

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

    def role(self, trial: TrialRecord) -> str:
        """Return as what a trial is drawn: its outcome, or `BEYOND` where its value lies off the scale."""
        if not trial.failed and self.at_edge(trial):
            return BEYOND
        return trial.outcome

    def axis(self, texts: Texts) -> dict[str, Any]:
        """Return the vertical axis with its title."""
        return value_axis(self.metric, self.ends, texts("search.points.validation", metric=label(self.metric.name)))


def marker(role: str, metric: MetricFormat, size: float, opacity: float) -> dict[str, Any]:
    """Return the marker of a role; that of a value off the scale is an open triangle that points to where the value lies."""
    if role == BEYOND:
        side = "down" if metric.maximize else "up"
        symbol = f"triangle-{side}-open"
        return {"color": LIGHT["soft"], "symbol": symbol, "size": size + 1, "line": {"width": 1.5}}
    symbol = SYMBOLS.get(role, "hexagon")
    return {"color": color(role), "symbol": symbol, "size": size, "opacity": opacity, "line": {"width": 0}}


def role_text(role: str, texts: Texts) -> str:
    """Return a role's name in the legend; an outcome is called as the storage has it."""
    if role == BEYOND:
        return texts("search.points.beyond")
    return label(role or texts("search.points.ended"), 30)


def trial_points(role: str, group: Sequence[TrialRecord], heights: Heights, texts: Texts) -> go.Scatter:
    """Return the points of trials of one role, without their horizontal positions."""
    return go.Scatter(
        y=rounded(map(heights.height, group)),
        mode="markers",
        name=role_text(role, texts),
        cliponaxis=False,  # a mark at 100 % lies on the edge
        marker=marker(role, heights.metric, 8, 0.85),
        **hover(trial_label(trial, heights.metric, texts) for trial in group),
    )


def trial_label(trial: TrialRecord, metric: MetricFormat, texts: Texts) -> str:
    """Return what a trial's point says: number, outcome, value, hyperparameters."""
    ending = trial.outcome or trial.state
    if trial.failed or ending == "fail":
        value = label(trial.detail or ending)
    else:
        value = f"{label(metric.name)} {metric.text(trial.value)}"
    lines = [f"{bold_trial(trial.number, texts)}, {label(ending)}", value]
    for name, setting in list(trial.params.items())[:HYPERPARAMETERS]:
        lines.append(f"{name_label(name)} {label(number(setting), 30)}")
    return "<br>".join(lines)


def bold_trial(number: int, texts: Texts) -> str:
    """Return `trial 7` in bold."""
    return f"<b>{texts('search.points.trial', trial=number)}</b>"


def edge_note(trials: Sequence[TrialRecord], heights: Heights, texts: Texts) -> str:
    """Return what the marks on the edge of a figure are, "" where there is none."""
    lost = sum(trial.failed for trial in trials)
    beyond = list(map(heights.role, trials)).count(BEYOND)
    parts = []
    if lost:
        parts.append(texts("search.points.failed", trials=texts.count("trial", lost)))
    if beyond:
        parts.append(texts("search.points.values_beyond", trials=texts.count("trial", beyond)))
    if not parts:
        return ""
    edge = "lower" if heights.metric.maximize else "upper"
    return texts(f"search.points.{edge}_edge", marks=texts.listing(parts))


def band_names(texts: Texts) -> tuple[str, str]:
    """Return what the legend calls the band of many trials and their median."""
    return texts("search.points.band"), texts("search.points.band_median")


def crowd_note(trials: Sequence[TrialRecord], heights: Heights, texts: Texts) -> str:
    """Return what a figure draws of many trials, and how many of them lie outside it or failed."""
    lost = sum(trial.failed for trial in trials)
    beyond = sum(heights.role(trial) == BEYOND for trial in trials)
    side = "below" if heights.metric.maximize else "above"
    counts = {"trials": texts.count("trial", len(trials)), "beyond": f"{beyond:,}", "failed": f"{lost:,}"}
    return texts(f"search.points.crowd_{side}", **counts)


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
        y=rounded(map(heights.height, drawn)),
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
