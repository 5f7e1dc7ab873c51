"""How far a result can be trusted: the best trials' values in the search, on fresh seeds, and the selected model's on test rows."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import plotly.graph_objects as go

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.figures.points import bold_trial, thinned
from hpsearch.reporting.figures.style import LIGHT, axis, blank, error_bars, hover, label, rounded, value_axis, within
from hpsearch.reporting.formatting import MetricFormat
from hpsearch.reporting.replicates import failed_text
from hpsearch.reporting.selection import ROUNDING, marked, trained_on, usable_trials
from hpsearch.reporting.tables import Frames
from hpsearch.reporting.trust import search_and_replicates
from hpsearch.storage import StudyRecord

MOST = 12  # trials that are drawn
HEIGHT = 58  # pixels of a line
STEP = 0.12  # of a line's height, between runs of one value
BELOW = 0.3  # of a line's height, from the runs to their mean

MARKS: dict[str, dict[str, Any]] = {
    "search": {"symbol": "diamond-open", "size": 11, "color": LIGHT["soft"], "line": {"width": 2}},
    "fresh seed": {"symbol": "circle", "size": 8, "color": LIGHT["finished"], "opacity": 0.75, "line": {"width": 0}},
    "mean": {"symbol": "line-ns", "size": 18, "color": LIGHT["ink"], "line": {"width": 3, "color": LIGHT["ink"]}},
    "test rows": {"symbol": "square", "size": 10, "color": LIGHT["diverged"], "line": {"width": 0}},
}
FAILED = {"symbol": "x", "size": 8, "color": LIGHT["diverged"], "line": {"width": 0}}  # at the worse end of the axis
WITH_INTERVAL = ("mean", "test rows")

Row = dict[str, Any]


class Line(NamedTuple):
    """What one line of the figure shows: a trial (None: the ensemble), on validation rows or on test rows."""

    trial: int | None
    tested: bool


def confirmed(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    """Draw each confirmed trial in a line: its value in the search, its fresh runs, their mean; so an ensemble, and what was tested."""
    rows = _drawn(frames)
    if not rows:
        return None
    metric = MetricFormat.of(record, texts)
    lines = _lines(rows, record)
    known = [row for row in rows if row["value"] is not None]
    figure = blank(120 + HEIGHT * len(lines))
    for what in MARKS:
        group = [row for row in known if row["what"] == what]
        if group:
            figure.add_trace(_points(what, group, lines, metric, texts))
    across = _limits(rows)
    failed = [row for row in rows if row["what"] == "fresh seed" and row["value"] is None]
    if failed:
        figure.add_trace(_failed(failed, lines, within(across, metric)[0 if metric.maximize else 1], texts))
    figure.update_xaxes(value_axis(metric, across, label(metric.name), most=4), tickangle=0)
    names = [_name(line, record, texts) for line in lines]
    ends = [len(lines) - 0.3, -0.6]
    figure.update_yaxes(axis("", tickvals=[*range(len(lines))], ticktext=names, range=ends, showgrid=False))
    table = frames["confirmed"]
    of = int(table.loc[table["what"] == "mean", "trial"].nunique())
    notes = {"note": texts("search.figure.confirmed.note"), "thinned": thinned(min(of, MOST), of, texts)}
    return figure.update_layout(meta={**notes, "more": _more(record, metric, texts)})


def _more(record: StudyRecord, metric: MetricFormat, texts: Texts) -> str:
    """Return all values beside each other, which run of its trial the selected network is, and what it trained on in the end."""
    values = search_and_replicates(record, texts) if record.result.get("fresh") else []
    return " ".join(filter(None, [*values, _selected(record, metric, texts)]))


def _drawn(frames: Frames) -> list[Row]:
    """Return the rows of the trials with the best means, gaps as None; tested networks are always among them."""
    table = frames["confirmed"].astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    of_trials = [row for row in rows if row["trial"] is not None]
    first = list(dict.fromkeys(row["trial"] for row in of_trials if row["what"] == "mean"))[:MOST]
    return [row for row in rows if row["trial"] in (None, *first)]


def _lines(rows: Sequence[Row], record: StudyRecord) -> list[Line]:
    """Return the lines from the top: the selected model, what was tested, the other trials."""
    tested = [Line(row["trial"], tested=True) for row in rows if row["what"] == "test rows"]
    trained = [Line(row["trial"], tested=False) for row in rows if row["what"] == "mean"]
    selected = record.result.get("trial")
    if record.selected.is_ensemble:
        selected = None  # the line of several networks is of no trial
    first = [line for line in trained if line.trial == selected]
    return [*first, *tested, *(line for line in trained if line not in first)]


def _name(line: Line, record: StudyRecord, texts: Texts) -> str:
    networks = len(record.selected.networks)
    if line.tested:
        return texts("search.figure.confirmed.tested_line")
    if line.trial is None:
        key = "ensemble_line" if networks > 1 else "ensemble_not_selected"
        return texts(f"search.figure.confirmed.{key}", networks=networks)
    name = texts("search.points.trial", trial=line.trial)
    if networks == 1 and line.trial == record.result.get("trial"):
        name = f"<b>{name}</b>"
    failed = next(failed_text(row, texts) for row in record.result["confirmed"] if row["trial"] == line.trial)
    return "<br>".join(filter(None, [name, marked(record, line.trial, texts), failed]))


def _points(what: str, group: Sequence[Row], lines: Sequence[Line], metric: MetricFormat, texts: Texts) -> go.Scatter:
    below = BELOW if what == "mean" else 0.0
    heights = [lines.index(Line(row["trial"], what == "test rows")) + below for row in group]
    trace = go.Scatter(
        x=rounded(row["value"] for row in group),
        y=rounded(_apart(group, heights) if what == "fresh seed" else heights),
        mode="markers",
        name=texts(f"search.figure.confirmed.{what.replace(' ', '_')}"),
        marker=MARKS[what],
        customdata=[row["trial"] for row in group],
        cliponaxis=False,
        **hover(_point_label(row, metric, texts) for row in group),
    )
    if what in WITH_INTERVAL:
        above = [_distance(row["value_high"], row["value"]) for row in group]
        under = [_distance(row["value"], row["value_low"]) for row in group]
        trace.update(error_x=error_bars(above, under, thickness=2, width=5, color=MARKS[what]["color"]))
    return trace


def _failed(group: Sequence[Row], lines: Sequence[Line], edge: float, texts: Texts) -> go.Scatter:
    """Return the runs that failed, at the worse end of the axis: they have no value."""
    marks = [row | {"value": edge} for row in group]
    heights = [float(lines.index(Line(row["trial"], tested=False))) for row in group]
    texts_of = []
    for row in group:
        run = texts("search.figure.confirmed.fresh_seed_run", seed=row["seed"])
        texts_of.append(f"{bold_trial(row['trial'], texts)}, {run}<br>{label(texts.word(row['outcome']))}")
    return go.Scatter(
        x=[edge] * len(group),
        y=rounded(_apart(marks, heights)),
        mode="markers",
        name=texts("search.figure.confirmed.failed_run"),
        marker=FAILED,
        customdata=[row["trial"] for row in group],
        cliponaxis=False,
        **hover(texts_of),
    )


def _distance(upper: float | None, lower: float | None) -> float:
    return 0.0 if upper is None or lower is None else upper - lower


def _apart(group: Sequence[Row], heights: Sequence[float]) -> list[float]:
    """Return heights at which runs of one trial with one value lie beside each other."""
    seen: Counter[tuple[Any, float]] = Counter()
    spread = []
    for row, height in zip(group, heights, strict=True):
        key = (row["trial"], round(row["value"], 6))
        order = seen[key]
        seen[key] += 1
        side = -1 if order % 2 else 1
        spread.append(height + STEP * ((order + 1) // 2) * side)
    return spread


def _point_label(row: Row, metric: MetricFormat, texts: Texts) -> str:
    name = f"<b>{texts('search.figure.confirmed.ensemble')}</b>"
    if row["trial"] is not None:
        name = bold_trial(row["trial"], texts)
    what = texts(f"search.figure.confirmed.{row['what'].replace(' ', '_')}_run", seed=row["seed"])
    lines = [f"{name}, {what}", f"{label(metric.name)} {metric.text(row['value'])}"]
    if row["value_low"] is not None:
        interval = metric.between(row["value_low"], row["value_high"])
        over = "seeds" if row["what"] == "mean" else "rows"
        lines.append(texts(f"search.trust.over_{over}", interval=interval))
    if row["kept"] == "yes":
        lines.append(texts("search.mark.selected"))
    return "<br>".join(lines)


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    values = chain.from_iterable((row["value"], row["value_low"], row["value_high"]) for row in rows)
    known = [value for value in values if value is not None]
    pad = 0.04 * (max(known) - min(known)) or 0.02 * abs(known[0]) or 0.01
    return min(known) - pad, max(known) + pad


def confirmed_reading(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say what the search's best value owed to luck, and how the test value compares."""
    if not record.result.get("confirmed"):
        key = "none" if record.result else "later"
        return texts(f"search.figure.confirmed.{key}")
    metric = MetricFormat.of(record, texts)
    parts = (_luck(record, metric, texts), _tested(record, metric, texts))
    return " ".join(filter(None, parts))


def _luck(record: StudyRecord, metric: MetricFormat, texts: Texts) -> str:
    """Say whether the search's best value was inflated by selection."""
    gap = record.result.get("gaps", {}).get("search")
    if not gap or gap["value"] is None:
        return ""
    key = "no_luck"
    if gap["value"] > ROUNDING:
        certain = gap["low"] is not None and gap["low"] > 0
        key = "inflated" if certain else "chance"
    return texts(
        f"search.figure.confirmed.{key}",
        trial=record.result["search"]["trial"],
        difference=_difference(gap, metric, texts("search.figure.confirmed.in_search"), texts),
        of=usable_trials(record, texts),
    )


def _difference(gap: dict[str, float | None], metric: MetricFormat, other: str, texts: Texts) -> str:
    """Return how much worse or better the more honest value is than another, with the interval of the difference to that side."""
    low = gap["low"]
    value = gap["value"] or 0.0
    high = gap["high"]
    key = "same"
    if abs(value) > ROUNDING:
        key = "worse" if value > 0 else "better"
    text = texts(f"search.figure.confirmed.{key}", gap=metric.gap(value, 0), other=other)
    if low == high:
        return text
    if value < 0:  # the interval of a difference to the other side
        low, high = (None if end is None else -end for end in (high, low))
    return texts("search.figure.confirmed.difference", text=text, interval=metric.differences(low, high))


def _selected(record: StudyRecord, metric: MetricFormat, texts: Texts) -> str:
    """Say which of its runs the selected network is, and what it trained on in the end."""
    result = record.result
    several = record.selected.is_ensemble
    if record.data.get("rows", {}).get("folds"):
        key = "refitted_ensemble" if several else "refitted"
        return texts(f"search.figure.confirmed.{key}", trial=result["trial"])
    return " ".join(filter(None, (_chosen_run(record, metric, texts), trained_on(result, texts))))


def _chosen_run(record: StudyRecord, metric: MetricFormat, texts: Texts) -> str:
    """Say which run of its trial the selected network is, by the values on rows that it did not train on."""
    result = record.result
    if record.selected.is_ensemble:
        return texts("search.figure.confirmed.members")
    value = result["validation"]
    fresh = result.get("fresh")
    if not fresh:
        return ""
    mean = fresh["value"]
    seed = result.get("seed")
    key = "ahead" if metric.better(value, mean) else "not_ahead"
    run = texts("search.figure.confirmed.run_in_search")
    if seed is not None:
        run = texts("search.figure.confirmed.run_on_seed", seed=seed)
    values = {"run": run, "value": metric.text(value), "gap": metric.gap(value, mean)}
    return texts(f"search.figure.confirmed.{key}", runs=fresh["runs"] + 1, trial=result["trial"], **values)


def _tested(record: StudyRecord, metric: MetricFormat, texts: Texts) -> str:
    """Say how the test value compares with the mean over seeds."""
    gap = record.result.get("gaps", {}).get("test")
    if not gap or gap["value"] is None or not record.selected.mean:
        return ""
    kind = "ensemble" if record.selected.is_ensemble else "network"
    mean = texts(f"search.figure.confirmed.mean_of_{kind}")
    return texts(f"search.figure.confirmed.test_{kind}", difference=_difference(gap, metric, mean, texts))
