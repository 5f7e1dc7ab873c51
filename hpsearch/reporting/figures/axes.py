"""Each hyperparameter by itself: small panels with every trial's value over it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from statistics import median
from typing import Any

import plotly.graph_objects as go

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.figures.bands import CROWD, FEWEST, TOP, band_traces, parts_of, quartiles_of
from hpsearch.reporting.figures.points import (
    BEYOND,
    MOST_CATEGORIES,
    Heights,
    Look,
    Scale,
    band_names,
    bold_trial,
    crowd_note,
    rings,
    role_text,
    scale_meta,
    scale_of,
    spread,
    thin,
    thinned,
    trial_points,
)
from hpsearch.reporting.figures.style import LIGHT, axis, blank, hover, label, name_label, rounded, value_axis
from hpsearch.reporting.formatting import domain, identifier, number
from hpsearch.reporting.ranking import hyperparameters, ranked, space_of, with_value
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord, TrialRecord

PANEL = 230  # pixels high; page.js lays the panels out anew for narrow screens
COLUMNS = 3
PANELS = 24
POINTS = 4000  # in all panels together
TICKS = 4  # of the metric's axis
LOOKS = (("finished",) * 2, ("pruned",) * 2, ("diverged",) * 2, (BEYOND, "finished"), (BEYOND, "pruned"))
LABELS = 229  # pixels that the narrowest panel of page.js leaves to the labels of its choices
PARTS = 12  # of a panel's band
BAR = 16  # pixels of the width of a bar that stands for many trials
CHARACTER = 6  # pixels of a label's character, about


@dataclass(frozen=True, slots=True)
class Panel:
    """What a small panel is about: its hyperparameter, its axes' tag in plotly (`x3` has 3), and what all panels share."""

    name: str
    tag: str
    scale: Scale
    heights: Heights
    texts: Texts

    def x(self, trial: TrialRecord) -> float | None:
        """Return where a trial is drawn; equal values are spread into strips by the trial's number. None: it has no value."""
        if self.name not in trial.params:
            return None
        return self.scale.position(trial.params[self.name]) + spread(trial) * self.scale.spread

    def look(self, trial: TrialRecord) -> Look:
        """Return as what a trial is drawn: all failures look alike here, and so do all that trained to their end."""
        if trial.failed:
            return "diverged", "diverged"
        outcome = "pruned" if trial.outcome == "pruned" else "finished"
        return BEYOND if self.heights.role(trial) == BEYOND else outcome, outcome


def axes(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw one small panel for each hyperparameter."""
    ended = with_value(record)
    present = set[str]().union(*(trial.params for trial in ended))
    names = [name for name in hyperparameters(record) if name in present][:PANELS]
    if len(ended) < 2 or not names or not ranked(record):
        return None
    heights = Heights.common(record, texts)
    crowd = len(ended) >= CROWD
    trials = list(ranked(record)[:TOP])
    if not crowd:
        trials = thin(ended, max(150, POINTS // len(names)), heights.metric)
    panels = [
        Panel(name, str(i + 1) if i else "", scale_of(name, record), heights, texts) for i, name in enumerate(names)
    ]
    figure = blank(PANEL * -(-len(panels) // COLUMNS) + 40)
    # All at once: plotly checks every line again whenever one is added.
    figure.update_layout(shapes=list(chain.from_iterable(map(_ends, panels))))
    layout: dict[str, Any] = {}
    named: set[str] = set()
    for i, panel in enumerate(panels):
        across, down = _place(i, len(panels))
        upright = value_axis(heights.metric, heights.ends, most=TICKS) | {"anchor": f"x{panel.tag}", "domain": down}
        layout |= {f"xaxis{panel.tag}": _below(panel) | {"domain": across}, f"yaxis{panel.tag}": upright}
        many = list(_crowd(panel, record)) if crowd else []
        drawn = trials
        if crowd and not many:  # few trials have this hyperparameter, and perhaps none of the best
            having = [trial for trial in ended if panel.name in trial.params]
            drawn = thin(having, max(150, POINTS // len(names)), heights.metric)
        for trace in chain(many, _traces(panel, drawn, record)):
            first = trace.legendgroup not in named  # each group of traces is once in the legend
            figure.add_trace(
                trace.update(showlegend=first and bool(trace.name), xaxis=f"x{panel.tag}", yaxis=f"y{panel.tag}")
            )
            named.add(trace.legendgroup)
    notes = [thinned(len(trials), len(ended), texts)]
    if crowd:
        notes = [crowd_note(ended, heights, texts)]
    if len(hyperparameters(record)) > PANELS:
        notes.append(texts("search.figure.axes.first", panels=PANELS))
    meta = {"panels": len(names), "panel": PANEL, "thinned": " ".join(filter(None, notes))}
    return figure.update_layout(layout, meta=meta | scale_meta(trials, heights, texts, TICKS))


def _place(panel: int, panels: int) -> tuple[list[float], list[float]]:
    """Return from where to where a panel goes across and down; page.js does the same for the width that there is."""
    rows = -(-panels // COLUMNS)
    row, column = divmod(panel, COLUMNS)
    across = [(column + 0.14) / COLUMNS, (column + 0.98) / COLUMNS]
    return across, [1 - (row + 0.76) / rows, 1 - (row + 0.04) / rows]


def _traces(panel: Panel, trials: Sequence[TrialRecord], record: StudyRecord) -> Iterator[go.Scatter]:
    """Yield the traces of a panel: the trials by role, medians of choices, the marked trials' rings."""
    having = [trial for trial in trials if panel.name in trial.params]
    for look in LOOKS:
        group = [trial for trial in having if panel.look(trial) == look]
        if group:
            yield _dots(panel, look, group)
    if len(trials) <= TOP:  # the best of many
        having = [trial for trial in record.trials if panel.name in trial.params]
    medians = _medians(panel, having)
    if medians is not None:
        yield medians
    yield from rings(record, panel.x, panel.heights, panel.texts)


def _crowd(panel: Panel, record: StudyRecord) -> Iterator[go.Scatter]:
    """Yield the middle half of the usable trials along a panel's axis: a band, or bars where the values are few."""
    having = [trial for trial in ranked(record) if panel.name in trial.params]
    positions = {panel.scale.position(trial.params[panel.name]) for trial in having}
    if len(having) < 2 * FEWEST:
        return
    names = band_names(panel.texts)
    if len(positions) <= MOST_CATEGORIES:
        yield _bars(panel, having, names[0])
        return
    having.sort(key=lambda trial: panel.scale.position(trial.params[panel.name]))
    parts = parts_of(having, PARTS)
    x = [median(panel.scale.position(trial.params[panel.name]) for trial in part) for part in parts]
    traces = band_traces(x, quartiles_of(parts), names)
    for trace, group in zip(traces, ("band_edge", "band", "band_median"), strict=True):
        yield trace.update(legendgroup=group)


def _bars(panel: Panel, trials: Sequence[TrialRecord], name: str) -> go.Scatter:
    """Return the middle half of each value's trials as one thick line; medians are drawn besides."""
    by_position: dict[float, list[TrialRecord]] = {}
    for trial in trials:
        by_position.setdefault(panel.scale.position(trial.params[panel.name]), []).append(trial)
    parts = {at: part for at, part in sorted(by_position.items()) if len(part) >= FEWEST}
    low, _, high = quartiles_of(list(parts.values()))
    x: list[float | None] = []
    y: list[float | None] = []
    for at, bottom, top in zip(parts, low, high, strict=True):
        x += [at, at, None]
        y += [bottom, top, None]
    line = {"color": LIGHT["band"], "width": BAR}
    return go.Scatter(x=x, y=rounded(y), mode="lines", line=line, name=name, legendgroup="band", hoverinfo="skip")


def _ends(panel: Panel) -> Iterator[dict[str, Any]]:
    """Yield the ends of a numeric range as dotted lines."""
    for end in ("low", "high"):
        at = panel.scale.domain.get(end)
        if at is not None and not panel.scale.categories:
            line = {"color": LIGHT["edge"], "width": 1, "dash": "dot"}
            refs = {"xref": f"x{panel.tag}", "yref": f"y{panel.tag} domain"}
            yield {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line, **refs}


def _dots(panel: Panel, look: Look, group: Sequence[TrialRecord]) -> go.Scatter:
    names = {
        "finished": panel.texts("search.points.to_the_end"),
        "pruned": role_text("pruned", panel.texts),
        "diverged": panel.texts("search.figure.axes.failed"),
        BEYOND: role_text(BEYOND, panel.texts),
    }
    points = trial_points(look, group, panel.heights, names, 6, 0.7)
    labels = hover(_point_label(panel, trial) for trial in group)
    return points.update(x=rounded(map(panel.x, group)), legendgroup=look[0], **labels)


def _point_label(panel: Panel, trial: TrialRecord) -> str:
    metric = panel.heights.metric
    head = f"{bold_trial(trial.number, panel.texts)}, {label(panel.texts.word(trial.outcome))}"
    lines = [head, f"{name_label(panel.name)} {label(number(trial.params[panel.name]), 30)}"]
    if not trial.failed:
        lines.append(f"{label(metric.name)} {metric.text(trial.value)}")
    return "<br>".join(lines)


def _medians(panel: Panel, trials: Sequence[TrialRecord]) -> go.Scatter | None:
    """Return short lines at each choice's median of the trials that trained to their end."""
    x: list[float | None] = []
    y: list[float | None] = []
    by_category: dict[str, list[float]] = {}
    for trial in trials:
        if trial.usable and trial.value is not None:
            by_category.setdefault(str(trial.params[panel.name]), []).append(trial.value)
    for position, category in enumerate(panel.scale.categories):
        values = by_category.get(category, [])
        if len(values) >= 3:
            middle = median(values)
            x += [position - 0.36, position + 0.36, None]
            y += [middle, middle, None]
    if not x:
        return None
    name = panel.texts("search.figure.axes.median")
    line = {"color": LIGHT["ink"], "width": 2}
    return go.Scatter(x=x, y=rounded(y), mode="lines", line=line, name=name, legendgroup="median", hoverinfo="skip")


def _below(panel: Panel) -> dict[str, Any]:
    """Return the horizontal axis of one panel."""
    scale = panel.scale
    ticks = panel.scale.ticks(5)
    low, high = scale.axis_ends()
    if scale.categories:
        margin = 0.6
    else:
        margin = max(0.05 * (high - low) or 0.5, scale.spread)
    names = [text for _, text in ticks]
    own = axis(
        f"<b>{name_label(panel.name)}</b>",
        type="log" if scale.log else "linear",
        range=[low - margin, high + margin],
        anchor=f"y{panel.tag}",
        showgrid=False,
        showline=True,
        automargin=False,
        tickangle=0,
        nticks=5,
        tickfont={"size": 10 if sum(map(len, names)) > 30 else 11},
    )
    own["title"] |= {"standoff": 4}
    if scale.categories or scale.log:
        own["tickvals"] = [at for at, _ in ticks]
        own["ticktext"] = staggered(names) if scale.categories else names
    return own


def staggered(names: list[str]) -> list[str]:
    """Return labels of choices, every other one a line lower where neighbours would touch."""
    room = LABELS / (len(names) + 0.2)  # the axis is 0.6 of a choice longer on both sides
    touch = any(CHARACTER * (len(a) + len(b)) / 2 + CHARACTER > room for a, b in pairwise(names))
    return [f"<br>{name}" if touch and i % 2 else name for i, name in enumerate(names)]


def axes_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Warn where the best value lies at the edge of its range."""
    if not ranked(record):
        return texts("search.points.none_usable")
    table = frames["hyperparameters"].to_dict("records")
    space = space_of(record)
    edges = [_edge(row, domain(space[row["hyperparameter"]], texts), texts) for row in table if row["edge"]]
    which = "selected" if record.result else "best"
    if len(edges) == 1:
        return texts(f"search.figure.axes.one_edge_{which}", edges=edges[0])
    if edges:
        return texts(f"search.figure.axes.edges_{which}", edges=texts.listing(edges))
    ranges = [row for row in table if isinstance(space.get(row["hyperparameter"]), dict)]
    if not ranges:
        return ""
    if len(ranges) == 1:
        return texts(f"search.figure.axes.one_inside_{which}", name=identifier(ranges[0]["hyperparameter"], 40))
    return texts(f"search.figure.axes.no_edge_{which}", ranges=texts.count("numeric_range", len(ranges)))


def _edge(row: dict[str, Any], allowed: str, texts: Texts) -> str:
    name = identifier(row["hyperparameter"], 40)
    return texts(f"search.figure.axes.{row['edge']}_edge", name=name, value=number(row["best"]), domain=allowed)
