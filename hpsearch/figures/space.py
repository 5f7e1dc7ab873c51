"""Figures of the search space: each hyperparameter by itself, how much each mattered, and the good combinations."""

from math import log, log10
from statistics import median
from typing import Any

import plotly.graph_objects as go

from hpsearch.figures.search import ends_of, shown, strip_note
from hpsearch.figures.style import (
    FAILED,
    LIGHT,
    SYMBOLS,
    axis,
    blank,
    label,
    log_ticks,
    name_label,
    placed,
    rounded,
    thin,
    thinned,
    tick_text,
    value_axis,
)
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.tables import Frames
from hpsearch.words import Metric, best, count, hyperparameters, listing, number, ranked, readable, share, usable

PANEL = 230  # pixels high; page.js lays the panels out anew for narrow screens
PANELS = 24
ROLES = (("finished", "trained to its end"), ("pruned", "pruned"), ("diverged", "diverged or off the scale"))


class Scale:
    """Where a hyperparameter's values lie on an axis: numbers as they are (or their logarithm), categories at 0, 1, 2, ..."""

    def __init__(self, name: str, record: StudyRecord) -> None:
        wanted = (record.settings.get("space") or {}).get(name)
        values = [trial.params[name] for trial in record.trials if name in trial.params]
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        self.domain = wanted if isinstance(wanted, dict) and "low" in wanted else {}
        self.categories: list[str] = []
        self.spread = 0.0  # how far equal values are drawn apart
        if isinstance(wanted, list) or not numeric:
            listed = wanted if isinstance(wanted, list) else []
            self.categories = list(dict.fromkeys(str(value) for value in [*listed, *values]))
            self.low, self.high, self.log, self.spread = 0.0, float(len(self.categories) - 1), False, 0.5
            return
        ends = [*values, *(self.domain[key] for key in ("low", "high") if key in self.domain)] or [0, 1]
        self.low, self.high = float(min(ends)), float(max(ends))
        self.log = bool(self.domain.get("log")) and self.low > 0
        few = not self.log and self.high - self.low <= 10 and all(isinstance(value, int) for value in values)
        self.spread = 0.3 if few else 0.0

    def position(self, value: Any) -> float:
        """Return where the value lies on the axis (a number on a logarithmic one stays itself)."""
        return float(self.categories.index(str(value)) if self.categories else value)

    def fraction(self, value: Any) -> float:
        """Return where the value lies between the low end, 0, and the high end, 1."""
        at, low, high = self.position(value), self.low, self.high
        if self.log:
            at, low, high = log(at), log(low), log(high)
        return 0.5 if low == high else (at - low) / (high - low)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Return positions and their texts."""
        if self.categories:
            return [(float(i), label(name, 12)) for i, name in enumerate(self.categories)][:: 1 + len(self.categories) // 13]
        if self.log:
            return [(tick, tick_text(tick)) for tick in log_ticks(self.low, self.high, most)]
        ends = [self.low, self.high] if self.low < self.high else [self.low]
        return [(end, number(float(f"{end:.4g}"))) for end in ends]


def axes(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """One small panel a hyperparameter: every trial's value against it."""
    metric, names = Metric.of(record), hyperparameters(record)[:PANELS]
    ended = shown(record)
    if len(ended) < 2 or not names or not ranked(record):
        return None
    most = max(150, 4000 // len(names))
    trials, ends = thin(ended, most, metric), ends_of(record, metric)
    figure = blank(PANEL)
    for i, name in enumerate(names):
        _panel(figure, "" if i == 0 else str(i + 1), name, Scale(name, record), trials, (ends, metric, best(record)))
    notes = [thinned(len(trials), len(ended)), strip_note([placed(trial, ends, metric)[1] for trial in trials], metric)]
    notes += [f"Only the first {PANELS} hyperparameters are drawn."] if len(hyperparameters(record)) > PANELS else []
    figure.update_layout(meta={"panels": len(names), "panel": PANEL, "thinned": " ".join(filter(None, notes))})
    return arrange(figure, len(names), 3)


def arrange(figure: go.Figure, panels: int, columns: int) -> go.Figure:
    """Lay panels out in columns; page.js does the same for the width that there is."""
    rows = -(-panels // columns)
    for i in range(panels):
        tag, row, place = "" if i == 0 else str(i + 1), i // columns, i % columns
        figure.update_layout({f"xaxis{tag}": {"domain": [(place + 0.14) / columns, (place + 0.98) / columns]}})
        figure.update_layout({f"yaxis{tag}": {"domain": [1 - (row + 0.76) / rows, 1 - (row + 0.04) / rows]}})
    return figure.update_layout(height=PANEL * rows + 40)


def _panel(figure: go.Figure, tag: str, name: str, scale: Scale, trials: list[TrialRecord], setting: Any) -> None:
    ends, metric, leader = setting
    having = [trial for trial in trials if name in trial.params]
    for role, text in ROLES:
        group = [trial for trial in having if _role(trial, ends, metric) == role]
        dots = _dots(role, text, group, name, scale, setting).update(xaxis=f"x{tag}", yaxis=f"y{tag}")
        figure.add_trace(dots.update(showlegend=bool(group) and not any(t.legendgroup == role and t.showlegend for t in figure.data)))
    _medians(figure, tag, name, scale, trials)
    if leader is not None and name in leader.params and leader.value is not None:
        ring = {"color": LIGHT["first"], "size": 14, "symbol": "circle-open", "line": {"width": 2.5, "color": LIGHT["first"]}}
        at = _spot(scale, leader, name)
        trace = go.Scatter(x=[at], y=[leader.value], mode="markers", name="best trial", legendgroup="best", marker=ring)
        trace.update(hoverinfo="skip", showlegend=tag == "", xaxis=f"x{tag}", yaxis=f"y{tag}")
        figure.add_trace(trace)
    figure.update_layout({f"xaxis{tag}": _below(name, scale, tag), f"yaxis{tag}": value_axis(metric, ends) | {"nticks": 5, "anchor": f"x{tag}"}})
    for end in ("low", "high"):
        if end in scale.domain and not scale.categories:
            at = scale.domain[end]
            dotted = {"color": LIGHT["edge"], "width": 1, "dash": "dot"}
            figure.add_shape(type="line", x0=at, x1=at, y0=0, y1=1, xref=f"x{tag}", yref=f"y{tag} domain", line=dotted)


def _role(trial: TrialRecord, ends: tuple[float, float], metric: Metric) -> str:
    if placed(trial, ends, metric)[1]:
        return "diverged"
    return "pruned" if trial.outcome == "pruned" else "finished"


def _spot(scale: Scale, trial: TrialRecord, name: str) -> float:
    """Where a trial is drawn; categories are spread into strips by a number that depends on the trial alone."""
    spread = ((trial.number * 0.618034) % 1 - 0.5) * scale.spread
    return scale.position(trial.params[name]) + spread


def _dots(role: str, text: str, group: list[TrialRecord], name: str, scale: Scale, setting: Any) -> go.Scatter:
    ends, metric, _ = setting
    said = [f"<b>trial {t.number}</b>, {label(t.outcome)}<br>{name_label(name)} {label(number(t.params[name]), 30)}" for t in group]
    values = [f"<br>{metric.name} {metric.text(t.value)}" if t.outcome not in FAILED else "" for t in group]
    return go.Scatter(
        x=rounded([_spot(scale, trial, name) for trial in group]),
        y=rounded([placed(trial, ends, metric)[0] for trial in group]),
        mode="markers",
        name=text,
        legendgroup=role,
        showlegend=False,
        text=[a + b for a, b in zip(said, values, strict=True)],
        hovertemplate="%{text}<extra></extra>",
        marker={"color": LIGHT[role], "symbol": SYMBOLS[role], "size": 6, "opacity": 0.7},
    )


def _medians(figure: go.Figure, tag: str, name: str, scale: Scale, trials: list[TrialRecord]) -> None:
    """A short line at each category's median of the trials that trained to their end."""
    x: list[float | None] = []
    y: list[float | None] = []
    for place, category in enumerate(scale.categories):
        values = [t.value for t in trials if usable(t) and str(t.params.get(name)) == category and t.value is not None]
        if len(values) >= 3:
            x, y = [*x, place - 0.36, place + 0.36, None], [*y, median(values), median(values), None]
    first = bool(x) and not any(trace.legendgroup == "median" for trace in figure.data)
    if x:
        line = {"color": LIGHT["ink"], "width": 2}
        trace = go.Scatter(x=x, y=rounded(y), mode="lines", line=line, hoverinfo="skip", showlegend=first)
        figure.add_trace(trace.update(name="median of a choice", legendgroup="median", xaxis=f"x{tag}", yaxis=f"y{tag}"))


def _below(name: str, scale: Scale, tag: str) -> dict[str, Any]:
    """The horizontal axis of one panel."""
    ticks = scale.ticks(5)
    wide = 0.05 * ((log10(scale.high) - log10(scale.low)) if scale.log else (scale.high - scale.low)) or 0.5
    low, high = (log10(scale.low), log10(scale.high)) if scale.log else (scale.low, scale.high)
    wide = 0.6 if scale.categories else max(wide, scale.spread)
    own = axis(f"<b>{name_label(name)}</b>", type="log" if scale.log else "linear", range=[low - wide, high + wide])
    own |= {"anchor": f"y{tag}", "showgrid": False, "showline": True, "automargin": False, "tickangle": 0, "nticks": 5}
    own["title"] |= {"standoff": 4}
    if scale.categories or scale.log:
        own |= {"tickvals": [at for at, _ in ticks], "ticktext": [text for _, text in ticks]}
    crowded = sum(len(text) for _, text in ticks) > 30
    return own | {"tickfont": {"size": 10 if crowded else 11}}


def axes_reading(frames: Frames, record: StudyRecord) -> str:
    """Warn where the best value lies at the edge of its range."""
    table = frames["hyperparameters"].to_dict("records")
    edges = [row for row in table if row["edge"]]
    if not ranked(record):
        return "There is nothing to draw yet: no trial has ended with a usable value."
    if edges:
        words = [f"{readable(row['hyperparameter'], 40)} ({number(row['best'])}, the {row['edge']} end of {row['domain']})" for row in edges]
        verb = "lies" if len(edges) == 1 else "lie"
        return f"At the edge: the best trial's {listing(words)} {verb} within 5 % of the end of the range, so a wider range may hold a better network."
    ranges = [row for row in table if " to " in row["domain"]]
    return f"In none of the {count(len(ranges), 'numeric range')} does the best value lie at an end that could be widened." if ranges else ""


def importance(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """Each hyperparameter's share of the importance with its interval."""
    rows = [row for row in frames["importance"].to_dict("records") if row["importance"] is not None and row["importance"] == row["importance"]]
    if not rows:
        return None
    rows = rows[:PANELS][::-1]
    figure = blank(90 + 34 * len(rows), bargap=0.45)
    shares = [row["importance"] for row in rows]
    figure.add_trace(
        go.Bar(
            orientation="h",
            x=rounded(shares),
            y=list(range(len(rows))),
            marker={"color": LIGHT["third"]},
            error_x={"type": "data", "symmetric": False, "color": LIGHT["ink"], "thickness": 1.5, "width": 4}
            | {"array": rounded([row["high"] - row["importance"] for row in rows])}
            | {"arrayminus": rounded([row["importance"] - row["low"] for row in rows])},
            text=[f"<b>{name_label(r['hyperparameter'])}</b><br>{share(r['importance'])}, {share(r['low'])} to {share(r['high'])}" for r in rows],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
        )
    )
    figure.update_xaxes(axis("share of the importance", tickformat=".0%", rangemode="tozero"))
    names = [name_label(row["hyperparameter"], 22) for row in rows]
    dark = {"color": LIGHT["ink"]}
    figure.update_yaxes(axis(tickvals=list(range(len(rows))), ticktext=[f"{n}  " for n in names], showgrid=False, tickfont=dark))
    return figure


def importance_reading(frames: Frames, record: StudyRecord) -> str:
    """Name the hyperparameters that mattered most, if their intervals allow it."""
    rows = frames["importance"].to_dict("records")
    known = [row for row in rows if row["importance"] is not None and row["importance"] == row["importance"]]
    unknown = [row for row in rows if row not in known]
    if not known:
        return f"{unknown[0]['note'][:1].upper()}{unknown[0]['note'][1:]}." if unknown else "Nothing was searched."
    first, rest = known[0], known[1:]
    text = f"{readable(first['hyperparameter'], 40).capitalize()} set the best trials apart most"
    text += f" ({share(first['importance'])}; 90 % interval {share(first['low'])} to {share(first['high'])})"
    rivals = [readable(row["hyperparameter"], 40) for row in rest if row["high"] >= first["low"]]
    text += f"; with these trials its lead over {listing(rivals)} is not certain." if rivals else ", clearly more than any other."
    left = [f"{readable(row['hyperparameter'], 40)} ({row['note']})" for row in unknown]
    return text + (f" Left out: {listing(left)}." if left else "")


BINS = (("pale", 0.7, "worse half", 0.5), ("fourth", 1.0, "best half", 0.75), ("finished", 1.3, "best quarter", 0.9), ("first", 2.2, "best tenth", 1.0))
LINES = 300
TAG = {"bgcolor": LIGHT["surface"], "opacity": 0.88, "borderpad": 1}


def parallel(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """Each usable trial as a line through its hyperparameters, the best ones in front."""
    metric, names = Metric.of(record), hyperparameters(record)[:14]
    trials = ranked(record)
    if len(trials) < 5 or len(names) < 2:
        return None
    drawn = thin(sorted(trials, key=lambda t: t.number), LINES, metric)
    scales = {name: Scale(name, record) for name in names}
    order = sorted(drawn, key=lambda t: t.value or 0.0, reverse=not metric.maximize)  # worst first
    figure = blank(430).update_layout(margin={"l": 44, "r": 44, "t": 10, "b": 56}, hovermode=False)
    start = 0
    for role, width, text, until in BINS:
        group = order[start : round(until * len(order))]
        start = round(until * len(order))
        figure.add_trace(_lines(group, names, scales, (order[0], order[-1])).update(name=text, line={"color": LIGHT[role], "width": width}))
    for i, name in enumerate(names):
        if any(name not in trial.params for trial in drawn):
            figure.add_annotation(x=i, y=-0.18, text="none", showarrow=False, font={"size": 11, "color": LIGHT["soft"]}, **TAG)
    _poles(figure, names, scales, (metric, order[0].value or 0.0, order[-1].value or 0.0))
    figure.update_xaxes(axis(visible=False, range=[-0.25, len(names) + 0.25]))
    figure.update_yaxes(axis(visible=False, range=[-0.24 if _partial(drawn, names) else -0.08, 1.06]))
    figure.update_layout(legend={"traceorder": "reversed"})
    figure.update_layout(meta={"minimum": 92 * (len(names) + 1), "thinned": thinned(len(drawn), len(trials))})
    return figure


def _partial(trials: list[TrialRecord], names: list[str]) -> bool:
    return any(name not in trial.params for trial in trials for name in names)


def _lines(group: list[TrialRecord], names: list[str], scales: dict[str, Scale], ends: tuple[TrialRecord, TrialRecord]) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    worst, top = ends[0].value or 0.0, ends[1].value or 0.0
    for trial in group:
        spread = ((trial.number * 0.618034) % 1 - 0.5) * 0.05  # parts lines through one category
        for i, name in enumerate(names):
            there = name in trial.params
            x.append(float(i))
            y.append(scales[name].fraction(trial.params[name]) + (spread if scales[name].categories else 0.0) if there else -0.18 + spread)
        x, y = [*x, float(len(names)), None], [*y, ((trial.value or 0.0) - worst) / ((top - worst) or 1.0), None]
    return go.Scatter(x=x, y=rounded([None if v is None else round(v, 4) for v in y]), mode="lines", opacity=0.9, hoverinfo="skip")


def _poles(figure: go.Figure, names: list[str], scales: dict[str, Scale], ends: tuple[Metric, float, float]) -> None:
    metric, worst, top = ends
    for i in range(len(names) + 1):
        line = {"color": LIGHT["edge"], "width": 1}
        figure.add_shape(type="line", x0=i, x1=i, y0=0, y1=1, line=line, layer="below")
        title = name_label(names[i], 16).replace(" ", "<br>", 1) if i < len(names) else f"<b>{label(metric.name, 16)}</b>"
        bold = {"color": LIGHT["ink"], "size": 12}
        figure.add_annotation(x=i, y=0, yref="paper", yanchor="top", text=title, showarrow=False, font=bold)
        values = [(0.0, metric.text(worst)), (1.0, metric.text(top))]
        if i < len(names):
            scale = scales[names[i]]
            values = [(scale.fraction(scale.categories[int(at)] if scale.categories else at), text) for at, text in scale.ticks(5)]
        for at, text in values:
            small = {"size": 11, "color": LIGHT["ink"]}
            figure.add_annotation(x=i, y=at, text=text, showarrow=False, font=small, **TAG)


def parallel_reading(frames: Frames, record: StudyRecord) -> str:
    """Say which choices the best tenth has in common."""
    trials, names = ranked(record), hyperparameters(record)
    if len(trials) < 5 or len(names) < 2:
        return "Fewer than five trials trained to the end, or only one hyperparameter varied."
    top = trials[: max(3, len(trials) // 10)]
    found = []
    for name in names:
        scale = Scale(name, record)
        values = [str(trial.params.get(name, "none")) for trial in top]
        common = max(set(values), key=values.count)
        if scale.categories and len(scale.categories) > 1 and values.count(common) >= 0.75 * len(values):
            found.append(f"{readable(name, 40)} {label(common, 24)}")
    text = f"The best {count(len(top), 'trial')} of {len(trials):,}"
    return f"{text} mostly share {listing(found)}." if found else f"{text} have no single choice in common."
