"""Figures: drawn from the tables for every state of a study, honest readings, inert text, bounded size."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from hpsearch.reporting import page
from hpsearch.reporting.figures import DARK, FIGURES, LIGHT
from hpsearch.reporting.figures.axes import staggered
from hpsearch.reporting.figures.bands import TOP, density, parts_of, quartiles_of
from hpsearch.reporting.figures.points import Heights, thin
from hpsearch.reporting.figures.style import color, label, log_ticks, tick_text
from hpsearch.reporting.formatting import MetricFormat
from hpsearch.reporting.ranking import hyperparameters, ranked
from hpsearch.reporting.replicates import of_completed_runs
from hpsearch.reporting.tables import TABLES, frames
from hpsearch.storage import StudyRecord, TrialRecord
from tests.support.records import confirmed, study, trials, unfinished


@pytest.fixture(scope="module")
def drawn() -> dict[str, Any]:
    record = confirmed(study())
    tables = frames(record)
    return {name: row.draw(tables, record) for name, row in FIGURES.items() if row.applies(record)}


def test_every_figure_of_a_full_study_is_drawn(drawn: dict[str, Any]) -> None:
    """64 trials give every figure, each with data."""
    assert [name for name, figure in drawn.items() if figure is None or not figure.data] == []


@pytest.mark.parametrize("made", [study(0), study(1), study(2), unfinished(), replace(study(0), trials=trials(1)[:0])])
def test_little_evidence_gives_a_sentence_instead_of_an_error(made: StudyRecord) -> None:
    """Where there is too little to draw, the figure is None and its reading says so."""
    tables = frames(made)
    for name, row in FIGURES.items():
        figure, reading = row.draw(tables, made), row.reading(tables, made)
        assert reading.endswith("."), name
        assert figure is None or len(figure.data) > 0, name


def test_a_study_whose_trials_all_failed_is_drawn_as_far_as_it_goes() -> None:
    """Only diverged trials: the timeline is drawn, nothing else pretends to know a best."""
    lost = tuple(replace(trial, outcome="diverged", value=0.0, state="complete") for trial in trials(30))
    record = replace(study(0), trials=lost)
    tables = frames(record)
    shown = {name for name, row in FIGURES.items() if row.draw(tables, record) is not None}
    assert "timeline" in shown
    assert not shown & {"history", "axes", "curves", "losses", "size", "parallel"}


def test_a_minimised_metric_turns_the_figures_round() -> None:
    """With a loss as metric the scale's strip for failures is on top and the best is the lowest."""
    record = replace(
        study(), direction="minimize", data={**study(0).data, "metric": "rmse", "direction": "minimize"}, result={}
    )
    tables = frames(record)
    for row in FIGURES.values():
        row.draw(tables, record)
    best = min(t.value for t in record.trials if t.outcome in ("finished", "stopped early") and t.value is not None)
    assert f"{best:.4g}"[:5] in FIGURES["history"].reading(tables, record)


def test_no_figure_needs_webgl(drawn: dict[str, Any]) -> None:
    """WebGL traces of plotly compile code at run time, which the page's policy forbids."""
    kinds = {trace.type for figure in drawn.values() for trace in figure.data}
    assert kinds <= {"scatter", "bar"}


def test_every_colour_has_its_dark_twin(drawn: dict[str, Any]) -> None:
    """All colours in all figures are the palette's, so the page can exchange every one of them."""
    assert LIGHT.keys() == DARK.keys()
    pairs = {(LIGHT[name], DARK[name]) for name in LIGHT}
    assert len(pairs) == len(set(LIGHT.values())), "names that share a light colour share the dark one"
    found = set()
    for figure in drawn.values():
        plain = figure.to_plotly_json()
        plain["layout"].pop("template")
        found |= set(re.findall(r"#[0-9a-f]{6}\b|rgba\([^)]*\)", json.dumps(plain, default=str)))
    assert found <= set(LIGHT.values()) | {"rgba(0,0,0,0)"}
    assert color("an outcome of tomorrow") == LIGHT["pruned"]


def test_labels_are_inert(drawn: dict[str, Any]) -> None:
    """Tags and links in names reach plotly escaped, hidden characters spelled out, long names cut."""
    assert label('<a href="javascript:x">') == '&lt;a href="javascript:x"&gt;'
    assert label("a\u202eb\x00") == "a\\u202eb\\x00"
    assert len(label("x" * 500)) == 60


def test_hostile_names_are_escaped_in_every_figure() -> None:
    """A category, a hyperparameter and an error text with tags appear nowhere in a figure as tags."""
    evil = "<a href='javascript:pwn()'>x</a>"
    made = tuple(
        replace(t, params={**t.params, evil: evil if t.number % 2 else "plain"}, detail=evil) for t in trials(40)
    )
    space = {**study(0).settings["space"], evil: [evil, "plain"]}
    data = {**study(0).data, "metric": evil}
    record = replace(study(0), trials=made, data=data, settings={**study(0).settings, "space": space})
    tables = frames(record)
    for row in FIGURES.values():
        figure = row.draw(tables, record)
        if figure is not None and figure.layout.meta:  # a brush's names are compared with cells, never shown
            figure.layout.meta = {key: value for key, value in figure.layout.meta.items() if key != "brush"}
        assert figure is None or "<a href" not in figure.to_json().replace("\\u003c", "<"), row.name


@pytest.mark.slow
def test_curves_that_are_not_finite_leave_gaps() -> None:
    """A loss that is nan or infinite on the way is no reason to fail; the page's JSON has none of it."""
    record = study(30)
    leader = record.result["trial"]

    def broken(trial: TrialRecord) -> TrialRecord:
        if trial.number == leader and trial.history:
            losses = (float("inf"), float("nan"), *trial.history.validation_loss[2:])
            return replace(trial, history=replace(trial.history, validation_loss=losses))
        return replace(trial, value=float("-inf")) if trial.number == 3 else trial

    record = replace(record, trials=tuple(map(broken, record.trials)))
    html = page(record, frames(record))
    assert "NaN" not in html[html.index('id="figures"') : html.index('id="dark"')]


@pytest.fixture(scope="module")
def crowd() -> StudyRecord:
    """A study of so many trials that figures draw bands."""
    return study(1500, pruned_share=0.45)


def tables_of(record: StudyRecord) -> Any:
    """The tables of a large study, those that take long from a few of its trials."""
    few = frames(replace(record, trials=record.trials[:19]))
    return {**few, "progress": TABLES["progress"].build(record, few)}


@pytest.mark.parametrize("name", ["history", "axes", "size"])
def test_many_trials_are_a_band_and_the_best_ten(name: str, crowd: StudyRecord) -> None:
    """Of 1,500 trials the middle half and the ten best are drawn, whose values are the quartiles of the usable ones, and a note counts."""
    figure = FIGURES[name].draw(tables_of(crowd), crowd)
    assert figure is not None
    best = [
        trace
        for trace in figure.data
        if trace.mode == "markers" and trace.name not in ("selected", "best of the search")
    ]
    panels = len(hyperparameters(crowd)) if name == "axes" else 1
    assert 0 < sum(len(trace.y) for trace in best) <= TOP * panels
    assert sum(trace.fill == "tonexty" for trace in figure.data) >= 1
    note = f"{figure.layout.meta.get('note') or ''}{figure.layout.meta.get('thinned') or ''}"
    if name != "size":  # which draws usable trials alone
        assert f"{sum(trial.failed for trial in crowd.trials):,} failed" in note
    assert "points: the ten best" in note
    assert sum(len(trace.x or ()) for trace in figure.data) < 4000


def test_a_band_holds_the_middle_half_of_each_part(crowd: StudyRecord) -> None:
    """Half of the usable trials of each part of the search lie in the history's band."""
    usable = sorted(ranked(crowd), key=lambda trial: trial.number)
    parts = parts_of(usable)
    assert [trial for part in parts for trial in part] == usable
    low, middle, high = quartiles_of(parts)
    for part, bottom, between, top in zip(parts, low, middle, high, strict=True):
        inside = [trial for trial in part if trial.value is not None and bottom <= trial.value <= top]
        assert len(inside) == pytest.approx(len(part) / 2, abs=2)
        assert bottom <= between <= top


def test_many_combinations_are_densities(crowd: StudyRecord) -> None:
    """Parallel coordinates of many trials have an area for all and for the best tenth on each axis, and ten lines."""
    figure = FIGURES["parallel"].draw(tables_of(crowd), crowd)
    assert figure is not None
    areas = [trace for trace in figure.data if trace.fill == "toself"]
    assert [trace.name for trace in areas] == ["all usable trials", "best tenth"]
    for trace in areas:
        assert trace.x.count(None) == len(hyperparameters(crowd)) + 1
    lines = next(trace for trace in figure.data if trace.name == f"the best {TOP}")
    assert lines.x.count(None) == TOP


def test_a_density_is_a_histogram() -> None:
    """The outline's widths are the counts of the bins, the longest one as wide as was asked."""
    heights = [0.05] * 3 + [0.55] * 6
    x, y = density(heights, 2.0, 0.5, (0.0, 1.0))
    widths = {
        round(low, 2): far - 2.0 for low, far in zip(y[1:-2:2], x[1:-2:2], strict=True) if low is not None and far
    }
    assert widths[0.55] == pytest.approx(0.5)
    assert widths[0.05] == pytest.approx(0.25)
    assert sum(width > 0 for width in widths.values()) == 2


def test_the_axes_fit_the_better_half() -> None:
    """The worst trials stretch neither the size's axis nor the learning curves', and those that end outside are counted."""
    record = study(64)
    poor = sorted((trial for trial in ranked(record)), key=lambda trial: trial.value or 0.0)[:4]

    def worse(trial: TrialRecord) -> TrialRecord:
        if trial not in poor or trial.history is None:
            return trial
        history = replace(trial.history, metric=tuple(0.2 for _ in trial.history.metric))
        return replace(trial, value=0.2, history=history)

    spoiled = replace(record, trials=tuple(map(worse, record.trials)))
    tables = frames(spoiled)
    for name in ("size", "curves"):
        figure = FIGURES[name].draw(tables, spoiled)
        assert figure is not None
        assert figure.layout.yaxis.range[0] > 0.6
        edge = figure.layout.meta["edge"]
        assert edge
    assert "that ended below the axis" in edge


def test_trials_are_thinned_and_the_best_kept(crowd: StudyRecord) -> None:
    """Of many trials at most so many are taken, and the best is among them."""
    record = crowd
    metric = MetricFormat.of(record)
    kept = thin(list(record.trials), 100, metric)
    assert len(kept) <= 100
    assert record.result["trial"] in {trial.number for trial in kept}


def test_the_horizontal_axis_can_be_switched(drawn: dict[str, Any]) -> None:
    """The history has three axes, each with one list of positions a trace, as long as its heights."""
    figure = drawn["history"]
    assert [option["label"] for option in figure.layout.meta["switch"]] == ["trials", "examples", "time"]
    for option in figure.layout.meta["switch"]:
        assert len(option["x"]) == len(figure.data)
        assert all(len(x) == len(y) for x, y in zip(option["x"], option["y"], strict=True))


def test_a_failed_trial_is_drawn_on_the_edge() -> None:
    """The worst value that a sampler was told would squeeze the scale; the trial stands on the strip instead."""
    record = study()
    metric = MetricFormat.of(record)
    heights = Heights.of([trial for trial in record.trials if trial.outcome == "finished"], metric)
    lost = next(trial for trial in record.trials if trial.outcome == "diverged")
    low, high = heights.ends
    assert heights.at_edge(lost)
    assert low < heights.height(lost) < low + 0.05 * (high - low)


@pytest.mark.parametrize("maximize", [True, False])
def test_what_lies_beyond_the_scale_has_its_own_mark(maximize: bool) -> None:
    """A poor value and a failure both stand on the edge; the poor one as an open triangle to its side, the failure as a cross."""
    sign = 1 if maximize else -1

    def changed(trial: TrialRecord) -> TrialRecord:
        if trial.outcome == "diverged":
            return replace(trial, value=0.0)
        return replace(trial, value=sign * (0.2 if trial.number < 3 else trial.value or 0.0))

    made = tuple(map(changed, study().trials))
    record = replace(study(), trials=made, direction="maximize" if maximize else "minimize", result={})
    tables = frames(record)
    for name in ("history", "axes"):
        figure = FIGURES[name].draw(tables, record)
        assert figure is not None
        beyond = [trace for trace in figure.data if trace.name == "off the scale"]
        failed = next(trace for trace in figure.data if trace.name.startswith("diverged"))
        symbols = {trace.marker.symbol for trace in beyond}
        assert (symbols, failed.marker.symbol) == ({f"triangle-{'down' if maximize else 'up'}-open"}, "x")
        numbers = {number for trace in beyond for number in trace.customdata}
        inside = [abs(t.value or 0.0) for t in made if t.number not in numbers and t.outcome != "diverged"]
        assert numbers >= {0, 1, 2}
        assert all(abs(made[n].value or 0.0) < min(inside) and made[n].outcome != "diverged" for n in numbers)
        note = figure.layout.meta["edge"]
        assert f"{'Lower' if maximize else 'Upper'} edge: 5 trials that failed and {len(numbers)} trials beyond" in note


def test_the_band_of_learning_curves_lies_on_the_scale() -> None:
    """After the first fifth of the budget the band and the best trials' curves are whole, however poor the others are."""
    record = study()

    def poorer(trial: TrialRecord) -> TrialRecord:
        assert trial.history is not None
        factor = 0.6 if trial.number % 2 else 1.0
        return replace(trial, history=replace(trial.history, metric=tuple(factor * m for m in trial.history.metric)))

    record = replace(record, trials=tuple(map(poorer, record.trials)))
    figure = FIGURES["curves"].draw(frames(record), record)
    assert figure is not None
    low, high = figure.layout.yaxis.range
    lines = [trace for trace in figure.data if trace.visible is not False and str(trace.name).startswith("trial")]
    late = [y for trace in lines for x, y in zip(trace.x, trace.y, strict=True) if x > 0.2]
    assert low < min(late)
    assert max(late) < high
    assert "some begin below it" in figure.layout.meta["edge"]


def test_labels_of_choices_are_staggered_where_they_would_touch() -> None:
    """Long neighbours stand on two lines, every text kept; short ones on one."""
    assert staggered(["relu", "tanh", "gelu"]) == ["relu", "tanh", "gelu"]
    texts = ["sgd", "momentum", "rmsprop", "adam", "adamw"]
    assert staggered(texts) == ["sgd", "<br>momentum", "rmsprop", "<br>adam", "adamw"]


def test_logarithmic_ticks_are_round_and_few() -> None:
    """Ticks are 1, 2, 5 or powers of ten inside the range, at most six."""
    assert log_ticks(16, 256) == pytest.approx([20, 50, 100, 200])
    assert log_ticks(1e-6, 1e-2) == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2])
    assert len(log_ticks(1e-12, 1e12)) <= 6
    assert [tick_text(t) for t in (1e-6, 0.001, 20.0, 3000.0, 2e8, 1e12)] == [
        "10⁻⁶",
        "0.001",
        "20",
        "3,000",
        "200M",
        "10¹²",
    ]


def test_readings_carry_the_numbers() -> None:
    """The sentence under a figure names the trial and value that the tables have."""
    record = study()
    tables = frames(record)
    assert "98.7\u00a0%, trial 26." in FIGURES["history"].reading(tables, record)
    assert "width (256, the high end" in FIGURES["axes"].reading(tables, record)
    assert "The best trials are set apart most by learning_rate" in FIGURES["importance"].reading(tables, record)


def test_confirmed_figure_shows_each_value_where_it_is() -> None:
    """Search values, runs, means and the test score at their values, intervals from end to end; failed runs and old studies draw none."""
    record = confirmed(study(), failed=True)
    figure = FIGURES["confirmed"].draw(frames(record), record)
    assert figure is not None
    drawn = {trace.name: trace for trace in figure.data}
    rows = record.result["confirmed"]
    assert list(drawn["in the search"].x) == pytest.approx([row["search"] for row in rows], rel=1e-5)
    values = [run["value"] for row in rows for run in row["runs"] if run["value"] is not None]
    assert list(drawn["on a fresh seed"].x) == pytest.approx(values, rel=1e-5)
    assert len(set(zip(drawn["on a fresh seed"].x, drawn["on a fresh seed"].y, strict=True))) == len(values)
    assert list(drawn["failed on a fresh seed (no value; drawn at the edge)"].text) == [
        f"<b>trial {rows[0]['trial']}</b>, fresh seed 0<br>diverged"
    ]
    rows = of_completed_runs(record).result["confirmed"]
    means = drawn["mean over fresh seeds, 95\u00a0% interval"]
    assert [x + up for x, up in zip(means.x, means.error_x.array, strict=True)] == pytest.approx(
        [r["high"] for r in rows], rel=1e-5
    )
    assert [x - down for x, down in zip(means.x, means.error_x.arrayminus, strict=True)] == pytest.approx(
        [r["low"] for r in rows], rel=1e-5
    )
    assert list(drawn["on test rows, 95\u00a0% interval"].x) == [0.974]
    assert FIGURES["confirmed"].draw(frames(study()), study()) is None
