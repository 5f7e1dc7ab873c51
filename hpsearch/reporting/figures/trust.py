"""How far a result can be trusted: the best trials' values in the search, on fresh seeds, and the kept model's on test rows."""

from collections import Counter
from typing import Any

import plotly.graph_objects as go

from hpsearch.reporting.figures.style import LIGHT, axis, blank, label, rounded, thinned, value_axis
from hpsearch.reporting.formatting import SPACE, MetricFormat, tally
from hpsearch.reporting.selection import marked, trials_of
from hpsearch.reporting.tables import Frames
from hpsearch.storage import StudyRecord
from hpsearch.storage.results import mean_of, networks_of

MOST = 12  # trials that are drawn
ROW = 58  # pixels
STEP = 0.12  # of a row, between runs of one value
BELOW = 0.3  # of a row, from the runs to their mean

MARKS: dict[str, dict[str, Any]] = {
    "search": {"symbol": "diamond-open", "size": 11, "color": LIGHT["soft"], "line": {"width": 2}},
    "fresh seed": {"symbol": "circle", "size": 8, "color": LIGHT["finished"], "opacity": 0.75, "line": {"width": 0}},
    "mean": {"symbol": "line-ns", "size": 18, "color": LIGHT["ink"], "line": {"width": 3, "color": LIGHT["ink"]}},
    "test rows": {"symbol": "square", "size": 10, "color": LIGHT["diverged"], "line": {"width": 0}},
}
NAMES = {
    "search": "in the search",
    "fresh seed": "on a fresh seed",
    "mean": "mean over fresh seeds, 95 % interval",
    "test rows": "on test rows, 95 % interval",
}

Row = dict[str, Any]


def confirmed(frames: Frames, record: StudyRecord) -> go.Figure | None:
    """Each confirmed trial in a row: its value in the search, its fresh runs, their mean; so an ensemble, and what was tested."""
    rows = _drawn(frames)
    if not rows:
        return None
    metric, places = MetricFormat.of(record), _places(rows, record)
    figure = blank(120 + ROW * len(places))
    for what in MARKS:
        group = [row for row in rows if row["what"] == what and row["value"] is not None]
        if group:
            figure.add_trace(_points(what, group, places, metric))
    figure.update_xaxes(value_axis(metric, _limits(rows, metric), label(metric.name)), nticks=5, tickangle=0)
    names = [_named(*place, record) for place in places]
    ends = [len(places) - 0.3, -0.6]
    figure.update_yaxes(axis("", tickvals=[*range(len(places))], ticktext=names, range=ends, showgrid=False))
    of = int(frames["confirmed"].loc[frames["confirmed"]["what"] == "mean", "trial"].nunique())
    note = "The interval of a mean covers the luck of the seeds, not that of the rows they are validated on."
    figure.update_layout(meta={"note": note, "thinned": thinned(min(of, MOST), of)})
    return figure


def _drawn(frames: Frames) -> list[Row]:
    """Return the rows of the trials with the best means, gaps as None; tested networks are always among them."""
    table = frames["confirmed"].astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    first = [*dict.fromkeys(row["trial"] for row in rows if row["what"] == "mean" and row["trial"] is not None)][:MOST]
    return [row for row in rows if row["trial"] in first or row["trial"] is None]


def _places(rows: list[Row], record: StudyRecord) -> list[tuple[Any, bool]]:
    """Return what each line of the figure shows, from the top: (trial, whether on test rows); None is the ensemble."""
    tested = [(row["trial"], True) for row in rows if row["what"] == "test rows"]
    trained = [(row["trial"], False) for row in rows if row["what"] == "mean"]
    kept = None if len(networks_of(record.result)) > 1 else record.result.get("trial")
    first = [place for place in trained if place[0] == kept]
    return [*first, *tested, *(place for place in trained if place not in first)]


def _named(trial: int | None, tested: bool, record: StudyRecord) -> str:
    networks = len(networks_of(record.result))
    if tested:
        return "<b>kept</b>, on test rows"
    if trial is None:
        return f"<b>ensemble of {networks}</b><br>kept" if networks > 1 else "ensemble<br>not kept"
    mark = marked(record, trial)
    name = f"trial {trial}" if networks > 1 or trial != record.result.get("trial") else f"<b>trial {trial}</b>"
    return f"{name}<br>{mark}" if mark else name


def _points(what: str, group: list[Row], places: list[tuple[Any, bool]], metric: MetricFormat) -> go.Scatter:
    below = BELOW if what == "mean" else 0.0
    heights = [places.index((row["trial"], what == "test rows")) + below for row in group]
    marks: dict[str, Any] = {}
    if what == "fresh seed":
        heights = _apart(group, heights)
    if what in ("mean", "test rows"):
        color = MARKS[what]["color"]
        marks["error_x"] = {"type": "data", "symmetric": False, "thickness": 2, "width": 5, "color": color} | {
            "array": rounded([_reach(row["value_high"], row["value"]) for row in group]),
            "arrayminus": rounded([_reach(row["value"], row["value_low"]) for row in group]),
        }
    return go.Scatter(
        x=rounded([row["value"] for row in group]),
        y=rounded(heights),
        mode="markers",
        name=NAMES[what],
        marker=MARKS[what],
        cliponaxis=False,
        text=[_hover(row, metric) for row in group],
        hovertemplate="%{text}<extra></extra>",
        **marks,
    )


def _reach(upper: float | None, lower: float | None) -> float:
    return 0.0 if upper is None or lower is None else upper - lower


def _apart(group: list[Row], heights: list[float]) -> list[float]:
    """Return heights at which runs of one trial with one value lie beside each other."""
    seen: Counter[tuple[Any, float]] = Counter()
    placed = []
    for row, height in zip(group, heights, strict=True):
        key = (row["trial"], round(row["value"], 6))
        order, seen[key] = seen[key], seen[key] + 1
        placed.append(height + STEP * ((order + 1) // 2) * (-1 if order % 2 else 1))
    return placed


def _hover(row: Row, metric: MetricFormat) -> str:
    trial = "ensemble" if row["trial"] is None else f"trial {row['trial']}"
    run = f", fresh seed {row['seed']}" if row["what"] == "fresh seed" else f", {label(row['what'])}"
    lines = [f"<b>{trial}</b>{run}", f"{label(metric.name)} {metric.text(row['value'])}"]
    if row["value_low"] is not None:
        lines.append(f"95 % interval {metric.between(row['value_low'], row['value_high'])}")
    return "<br>".join(lines + ["kept"] * (row["kept"] == "yes"))


def _limits(rows: list[Row], metric: MetricFormat) -> tuple[float, float]:
    values = [row[key] for row in rows for key in ("value", "value_low", "value_high") if row[key] is not None]
    pad = 0.04 * (max(values) - min(values)) or 0.02 * abs(values[0]) or 0.01
    return min(values) - pad, max(values) + pad


def confirmed_reading(frames: Frames, record: StudyRecord) -> str:
    """Say what the search's best value owed to luck, which network was kept, and what is known of it."""
    result, metric = record.result, MetricFormat.of(record)
    if not result.get("confirmed"):
        return _unconfirmed(record)
    parts = (_curse(record, metric), _kept(record, metric), _tested(record, metric))
    return " ".join(filter(None, parts))


def _unconfirmed(record: StudyRecord) -> str:
    if not record.result:
        return "The best trials are trained again on fresh seeds once the search is done."
    return "The best trials were not trained again on fresh seeds, so what the best value owes to luck is not known."


def _curse(record: StudyRecord, metric: MetricFormat) -> str:
    gap, trial = record.result.get("gaps", {}).get("search"), record.result["search"]["trial"]
    if not gap or gap["value"] is None:
        return ""
    text = f"On fresh seeds the hyperparameters of the search's best trial, {trial}, do {_told(gap, metric, 'in the search')}"
    if gap["value"] > 0 and gap["low"] is not None and gap["low"] > 0:
        return f"{text}: as the best of {tally(record)} it was lucky (the winner's curse)."
    return f"{text}: the search's best value was no luck that these runs could show."


def _told(gap: dict[str, float | None], metric: MetricFormat, other: str) -> str:
    """Return how much worse or better the more honest figure is than another, with the interval of the difference to that side."""
    low, value, high = gap["low"], gap["value"] or 0.0, gap["high"]
    if value < 0:
        low, high = (None if end is None else -end for end in (high, low))
    side = "worse" if value > 0 else "better"
    difference = f"{metric.gap(value, 0)} {side} than" if value else "neither better nor worse than"
    ends = f" (95{SPACE}% interval of the difference {metric.differences(low, high)})" if low != high else ""
    return f"{difference} {other}{ends}"


def _kept(record: StudyRecord, metric: MetricFormat) -> str:
    result, trials = record.result, trials_of(record.result)
    several, runs = len(trials) > 1, result["fresh"]["runs"] + 1
    if result.get("refitted"):
        which = "networks of the ensemble were" if several else f"network that is kept, trial {result['trial']}'s, was"
        return f"The {which} trained once more on all rows that are not test rows; the folds' values are not its own."
    if several:
        return "Of each trial of the ensemble the run with the best validation value is kept."
    which = "its run in the search" if result.get("seed") is None else f"its run on fresh seed {result['seed']}"
    ahead = metric.better(result["validation"], result["fresh"]["value"])
    gap = f"{metric.gap(result['validation'], result['fresh']['value'])} better" if ahead else "no better"
    return (
        f"Of the {runs} runs of trial {result['trial']} the network with the best validation value is kept, {which} "
        f"({metric.text(result['validation'])}, {gap} than the mean over fresh seeds{', as the best of them' * ahead})."
    )


def _tested(record: StudyRecord, metric: MetricFormat) -> str:
    gap, ensemble = record.result.get("gaps", {}).get("test"), len(networks_of(record.result)) > 1
    if not gap or gap["value"] is None or not mean_of(record.result):
        return ""
    mean = "its mean over further seeds" if ensemble else "the mean over fresh seeds"
    return f"On the test rows {'the ensemble' if ensemble else 'it'} is {_told(gap, metric, f'{mean} says')}."
