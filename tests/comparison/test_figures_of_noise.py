"""Figures of noise, sharpness, steadiness, paths, escapes and the two-weight model: what they draw, and what is said of it."""

import json
import re
from dataclasses import replace
from itertools import pairwise
from math import inf, log
from typing import Any

import plotly.graph_objects as go
import pytest

from hpsearch.comparison.analysis.bowl import CONDITIONS, bowls
from hpsearch.comparison.analysis.escape import courses
from hpsearch.comparison.figures import COMPARISON_FIGURES, ComparisonFigure, tiles
from hpsearch.comparison.figures.appearance import regime_color
from hpsearch.comparison.plotting import comparison_figure
from hpsearch.locales import LANGUAGES, Texts, sentences
from hpsearch.reporting.figures.style import LIGHT
from hpsearch.storage import ArmRecord, ComparisonRecord
from tests.support import drawn_escapes, escapes
from tests.support.comparisons import ROWS
from tests.support.escapes import made

MEASURED = (
    "variance",
    "angle",
    "noise_scale",
    "sharpness",
    "variability",
    "path",
    "trajectories",
    "barrier",
    "textbook",
)
FIGURES = {row.name: row for row in COMPARISON_FIGURES if row.name in MEASURED or row.name.startswith("escape_")}
EN = Texts("en")


def full(**changes: Any) -> ComparisonRecord:
    return made(**{"minima": escapes.minima(), "textbook": escapes.textbook()} | changes)


def without_winners() -> ComparisonRecord:
    record = made(measured=0, shared={})
    arms = tuple(replace(arm, fastest=None, best=None, trials=arm.trials[:2]) for arm in record.arms)
    return replace(record, arms=arms, target=None)


def censored(measured: bool) -> ComparisonRecord:
    """No run reaches the target: no moment but start and end, no variability, no way to the target."""

    def arm(one: ArmRecord) -> ArmRecord:
        assert one.fastest is not None
        seen = {
            seed: {**run, "moments": {"start": 0, "end": 40}, "variability": {}, "batches": {}, "path": {}}
            for seed, run in one.fastest.measured.items()
        }
        return replace(one, fastest=replace(one.fastest, measured=seen if measured else {}))

    record = made(target=0.9999)
    return replace(record, arms=tuple(arm(one) for one in record.arms))


RECORDS = {
    "full": full(),
    "no winners": without_winners(),
    "censored": censored(True),
    "nothing measured": censored(False),
    "one seed": full(seeds=1, measured=1),
    "one arm": full(batch_sizes=(8,)),
    "two optimizers": full(batch_sizes=(64, 256, ROWS), optimizers=("adam", "sgd")),
    "adam": full(batch_sizes=(64, 256, ROWS), optimizers=("adam",)),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
@pytest.mark.parametrize("row", FIGURES.values(), ids=FIGURES)
def test_every_figure_says_something_of_every_record(
    row: ComparisonFigure, record: ComparisonRecord, language: str
) -> None:
    """No record makes a figure fail; its words are whole, its JSON has no NaN or infinity, its columns are explained."""
    texts = Texts(language)
    figure = row.draw(record, texts)
    said = row.reading(record, texts)
    rows = row.numbers(record)
    assert said
    assert not re.search(r"[{}]|\bNone\b(?! of)|\bnan\b", said)
    assert texts(f"figure.{row.name}.question").endswith("?")
    assert all(texts.has(f"column.{name}") for one in rows for name in one)
    if figure is not None:
        plain = json.dumps(figure.to_plotly_json(), default=list, allow_nan=False, ensure_ascii=False)
        assert "{regime}" not in plain
        assert len(plain) < 200_000


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_drawn_from_nothing(name: str) -> None:
    """Without measurements, minima or a model every figure is None, and its reading says so."""
    record = without_winners()
    if name == "textbook":  # its bowls need nothing
        record = replace(record, arms=())
    else:
        assert FIGURES[name].reading(record, EN) == EN(f"figure.{name}.thin")
    assert FIGURES[name].draw(record, EN) is None
    assert not FIGURES[name].numbers(record)


def test_korean_has_no_english_left() -> None:
    """Readings in Korean have no English word but names: no sentence was left behind in the code."""
    names = r"SGD|GD|Wilson|Δ log L|log L|tr|lambda|B/η"
    for row in FIGURES.values():
        said = re.sub(names, "", row.reading(full(), Texts("ko")))
        assert not re.search(r"[a-z]{3,}", said), said


def test_languages_have_the_same_sentences() -> None:
    """Every sentence of these figures is there in both languages, with the same names in braces."""
    english = sentences("en")
    korean = sentences("ko")
    keys = [
        key for key in english if key.split(".")[1] in FIGURES or key.split(".")[0] in ("class", "method", "moment")
    ]
    assert len(keys) > 150
    for key in keys:
        assert set(re.findall(r"{(\w+)}", english[key])) == set(re.findall(r"{(\w+)}", korean[key])), key


def drawn(name: str, record: ComparisonRecord) -> go.Figure:
    figure = FIGURES[name].draw(record, EN)
    assert figure is not None
    return figure


def named(figure: go.Figure, name: str) -> list[Any]:
    return [trace for trace in figure.data if trace.name == name]


def test_variance_marks_zero_instead_of_dropping_it() -> None:
    """The full batch's variance is 0, which a logarithmic axis cannot show: it is a ▼ below all others; the −1 line goes on to it."""
    figure = drawn("variance", full())
    zeros = named(figure, EN("figure.variance.zero"))
    assert [list(trace.x) for trace in zeros] == [[ROWS]] * 3
    assert {trace.marker.symbol for trace in zeros} == {"triangle-down"}
    heights = [y for trace in figure.data for y in trace.y if y and trace not in zeros]
    assert zeros[0].y[0] < min(heights)
    (slope,) = named(figure, EN("figure.variance.slope"))
    assert slope.y[0] / slope.y[-1] == pytest.approx(ROWS, rel=1e-5)
    assert list(figure.layout.xaxis.tickvals) == [1, 8, 64, ROWS]


def test_the_angle_is_read_in_degrees() -> None:
    """At a noise scale of 20 a single example is acos(1/√21) = 77° off, at 200 it is 86°; bars hold the middle 90 %."""
    assert "77° off the true direction at the start, 86° at the target" in FIGURES["angle"].reading(full(), EN)
    (start,) = named(drawn("angle", full()), "start")
    assert start.error_y.arrayminus[0] == pytest.approx(0.05)


def test_the_noise_scale_lies_among_batch_sizes_and_the_critical_one() -> None:
    """Three curves in their regimes' colours, a dotted line for each batch size, and the fitted band around the true 60."""
    record = full()
    figure = drawn("noise_scale", record)
    dotted = [trace.y[0] for trace in figure.data if trace.line.dash == "dot"]
    assert dotted == [1, 8, 64, ROWS]
    band = figure.layout.shapes[0]
    assert 40 < band.y0 < band.y1 < 90
    colors = [trace.line.color for trace in figure.data if trace.type == "scatter" and trace.mode == "lines+markers"]
    assert colors[0] == regime_color(1, ROWS)
    assert colors[-1] == regime_color(ROWS, ROWS)
    assert len(colors) == 3
    assert "rises from 20 to" in FIGURES["noise_scale"].reading(record, EN)


def test_an_infinite_noise_scale_is_a_mark_on_the_cap() -> None:
    """Where |G|² cannot be told from 0 there is a ▲ above everything, not a gap."""
    record = RECORDS["one seed"]
    arm = record.arms[0]
    assert arm.fastest is not None
    seen = dict(arm.fastest.measured[0])
    seen["noise"] = [*seen["noise"][:-1], seen["noise"][-1] | {"squared_norm": -1e-9, "scale": None}]
    arm = replace(arm, fastest=replace(arm.fastest, measured={0: seen}))
    figure = drawn("noise_scale", replace(record, arms=(arm, *record.arms[1:])))
    (mark,) = named(figure, EN("figure.noise_scale.infinite"))
    assert mark.marker.symbol == "triangle-up"
    assert mark.y[0] > max(y for trace in figure.data if trace is not mark for y in trace.y if y)


def test_sharpness_has_its_limit_in_the_same_colour() -> None:
    """Each curve has a dotted line at 2/η of its arm; Adam's has none, and the reading says why."""
    record = full()
    figure = drawn("sharpness", record)
    limits = {trace.line.color: trace.y[0] for trace in figure.data if trace.line.dash == "dot"}
    rates = {regime_color(arm.batch_size, ROWS): arm.fastest.learning_rate for arm in record.arms if arm.fastest}
    assert len(limits) == 3
    assert all(limits[color] == pytest.approx(2 / rates[color]) for color in limits)
    said = FIGURES["sharpness"].reading(record, EN)
    edge, below = said.split("Always below it")
    assert edge.startswith("At the edge of stability or beyond it (ηλ₁/2 at least 0.8)")
    assert "gradient descent (GD), at most 1" in edge
    assert "SGD" in below
    assert "Always below it: SGD" in said
    adam = RECORDS["adam"]
    assert not [trace for trace in drawn("sharpness", adam).data if trace.line.dash == "dot"]
    assert FIGURES["sharpness"].reading(adam, EN) == EN("figure.sharpness.no_limit")


@pytest.mark.parametrize(("name", "panels"), [("variability", ["", "2", "3", "4"]), ("path", ["", "2", "3"])])
def test_small_multiples_tell_the_page_their_number(name: str, panels: list[str]) -> None:
    """A panel for each measure, with axes of its own, batch sizes below; dots in their regimes' colours."""
    figure = drawn(name, full())
    assert figure.layout.meta["panels"] == len(panels)
    assert {trace.xaxis for trace in figure.data} == {f"x{tag}" for tag in panels}
    assert all(list(figure.layout[f"xaxis{tag}"].tickvals) == [1, 8, 64, ROWS] for tag in panels)
    assert list(figure.data[0].marker.color) == [regime_color(size, ROWS) for size in (1, 8, 64, ROWS)]


def test_a_loss_that_did_not_fall_is_a_mark_on_the_cap() -> None:
    """An infinite total variation is a ▲ above the others, with its words; the reading compares the ends."""
    record = full()
    arm = record.arms[0]
    assert arm.fastest is not None
    seen = {"rising": 0.5, "deviation": 0.3, "total_variation": None, "count": 100}
    measured = {seed: {**run, "variability": {"updates": seen}} for seed, run in arm.fastest.measured.items()}
    record = replace(record, arms=(replace(arm, fastest=replace(arm.fastest, measured=measured)), *record.arms[1:]))
    (mark,) = [trace for trace in drawn("variability", record).data if trace.marker.symbol == "triangle-up"]
    assert list(mark.x) == [1]
    assert "∞" in mark.text[0]
    assert "the large batch is steadier." in FIGURES["variability"].reading(record, EN)


def with_variability(record: ComparisonRecord, batch_size: int, unit: str, **values: float | None) -> ComparisonRecord:
    """The record with other values of a unit in all measured runs of a batch size; without the unit where no values are given."""

    def other(arm: ArmRecord) -> ArmRecord:
        if arm.batch_size != batch_size or arm.fastest is None:
            return arm
        measured = {}
        for seed, run in arm.fastest.measured.items():
            seen = {name: entry for name, entry in run["variability"].items() if name != unit}
            if values:
                seen[unit] = run["variability"][unit] | values
            measured[seed] = {**run, "variability": seen}
        return replace(arm, fastest=replace(arm.fastest, measured=measured))

    return replace(record, arms=tuple(map(other, record.arms)))


def test_steadiness_is_told_before_the_target_and_after_it() -> None:
    """The reading gives rises and jumps on the way to the target first; a drawn line of its own shows them."""
    reading = FIGURES["variability"].reading(with_variability(full(), ROWS, "before", rising=0.13, jump=log(1.4)), EN)
    before, after = reading.split("After it")
    assert "13 % with gradient descent" in before.replace("\u00a0", " ")
    assert "40 %" in before.replace("\u00a0", " "), "a jump of log 1.4 raises the loss by 40 % of it"
    assert "50 %" in after.replace("\u00a0", " ")
    figure = drawn("variability", full())
    assert EN("figure.variability.before") in {trace.name for trace in figure.data}
    assert figure.layout.yaxis2.type != "log", "a jump of 0 has its place"


def test_the_large_batch_is_called_steadier_only_where_all_measures_say_so() -> None:
    """Fewer rises with a greater jump are mixed; more rises, more movement and a greater jump are not steadier."""
    fewer = with_variability(full(), ROWS, "before", rising=0.13, jump=2.0)
    assert EN("figure.variability.mixed") in FIGURES["variability"].reading(fewer, EN)
    more = with_variability(full(), ROWS, "before", rising=0.6, jump=2.0, total_variation=99.0)
    assert EN("figure.variability.not_steadier") in FIGURES["variability"].reading(more, EN)


def test_the_batch_size_that_rises_most_is_named_where_it_is_not_the_smallest() -> None:
    """A mini-batch of 8 whose updates raise the loss most often in all runs is told, though the ends alone would hide it."""
    reading = FIGURES["variability"].reading(with_variability(full(), 8, "before", rising=0.7), EN)
    assert "not the smallest batch" in reading.lower()
    assert "mini-batch 8, in 70" in reading
    assert "not the smallest batch" not in FIGURES["variability"].reading(full(), EN).lower()


def test_an_older_record_says_that_nothing_was_measured_before_the_target() -> None:
    """Without the way to the target, what came after it is read and drawn, and the lack is told."""
    record = full()
    for arm in record.arms:
        record = with_variability(record, arm.batch_size, "before")
    assert EN("figure.variability.no_before") in FIGURES["variability"].reading(record, EN)
    names = {trace.name for trace in drawn("variability", record).data}
    assert EN("figure.variability.before") not in names


def test_paths_that_reached_no_target_are_compared_to_their_ends() -> None:
    """Where one batch size alone got to the target, the ends of the paths, which all have, are compared."""
    record = full()
    arms = [record.arms[0], *map(without_target, record.arms[1:])]
    assert FIGURES["path"].reading(record, EN).startswith("To the target, the straight line is ")
    assert (
        FIGURES["path"].reading(replace(record, arms=tuple(arms)), EN).startswith("To the end, the straight line is ")
    )


def without_target(arm: ArmRecord) -> ArmRecord:
    """The arm whose measured runs did not get to the target."""
    assert arm.fastest is not None
    measured = {}
    for seed, facts in arm.fastest.measured.items():
        measured[seed] = {**facts, "path": {"end": facts["path"]["end"]}}
    winner = replace(arm.fastest, measured=measured)
    return replace(arm, fastest=winner, best=winner)


def test_an_estimate_is_held_against_a_noise_scale_that_is_known() -> None:
    """Where the exact noise scale at a moment is not told from infinity, no estimate is held against it."""
    record = full()
    said = FIGURES["noise_scale"].reading(record, EN)
    assert "at one run's weights (start) give an estimate of 21 examples; the exact value there is 20." in said
    unknown = replace(record, arms=tuple(map(infinite_at_the_start, record.arms)))
    assert "give an estimate" not in FIGURES["noise_scale"].reading(unknown, EN)


def test_the_noise_scale_rises_at_least_to_what_it_is_at_the_target() -> None:
    """Runs that stopped at the target, each after other updates, have it among their points: the rise does not end before."""
    record = full()

    def stopped(arm: ArmRecord) -> ArmRecord:
        assert arm.fastest is not None
        measured = {}
        for seed, facts in arm.fastest.measured.items():
            last = facts["moments"]["target"] + seed
            moments = {**facts["moments"], "target": last, "end": last}
            before = [point for point in facts["noise"] if point["update"] < min(9, last)]
            noise = [*before, {**facts["noise"][-1], "update": last, "scale": 5000.0, "trace": 500.0}]
            measured[seed] = {**facts, "noise": noise, "moments": moments}
        winner = replace(arm.fastest, measured=measured)
        return replace(arm, fastest=winner, best=winner)

    said = FIGURES["noise_scale"].reading(replace(record, arms=tuple(map(stopped, record.arms))), EN)
    assert "the noise scale rises from 20 to 5,000 examples during training (250-fold)" in said
    assert "At the target it is 5,000 examples." in said


def infinite_at_the_start(arm: ArmRecord) -> ArmRecord:
    """The arm whose noise scale is not known at the start."""
    assert arm.fastest is not None
    measured = {}
    for seed, facts in arm.fastest.measured.items():
        first, *rest = facts["noise"]
        measured[seed] = {**facts, "noise": [{**first, "scale": None}, *rest]}
    winner = replace(arm.fastest, measured=measured)
    return replace(arm, fastest=winner, best=winner)


def test_the_paths_lie_on_one_plane() -> None:
    """One contour, three paths with start and end, the shares of the motion on the axes."""
    figure = drawn("trajectories", full())
    assert [trace.type for trace in figure.data].count("contour") == 1
    assert [trace.name for trace in figure.data if trace.type == "scatter" and trace.mode == "lines+markers"] == [
        "SGD",
        "mini-batch 64",
        EN("regime.full"),
    ]
    assert "71" in figure.layout.xaxis.title.text
    assert "14" in figure.layout.yaxis.title.text


def with_path(batch_size: int, **facts: Any) -> ComparisonRecord:
    """The record with other facts of one drawn path."""
    record = full()
    shared = record.shared["sgd"]
    paths = [path | facts if path["batch_size"] == batch_size else path for path in shared["plane"]["paths"]]
    plane = {**shared["plane"], "paths": paths}
    return replace(record, shared={"sgd": {**shared, "plane": plane}})


def test_a_path_says_how_many_of_its_updates_are_drawn_and_how_long_it_is() -> None:
    """A path in full, and one that is drawn in part: the reading counts both, and has their true length beside the drawn one."""
    whole = with_path(1, updates=list(range(12)), length=54.0, distance=3.0, reached=True)
    said = FIGURES["trajectories"].reading(whole, EN)
    assert "SGD, all 11 updates to the target" in said
    assert re.search(r"SGD 18 \(1\.\d+\)", said), "18 times the straight line, whatever the drawn line shows"
    part = with_path(1, updates=[*range(11), 2391], length=54.0, distance=3.0, reached=True)
    assert "SGD, 11 of the 2,391 updates to the target" in FIGURES["trajectories"].reading(part, EN)


def test_an_older_path_is_not_said_to_be_as_long_as_its_drawn_line() -> None:
    """Where the true length was not recorded, the reading says that the drawn line is shorter than the path, and gives no number."""
    said = FIGURES["trajectories"].reading(full(), EN)
    assert said.endswith(EN("figure.trajectories.no_lengths"))
    assert "SGD, 11 of the 100 updates of its first part" in said


def test_a_path_of_many_points_is_a_thin_line() -> None:
    """A thousand marks would hide what is below them: the path is a line, whose points still tell their update."""
    count = 1000
    way = [i / count for i in range(count)]
    figure = drawn("trajectories", with_path(1, updates=list(range(count)), x=way, y=way))
    (line,) = [trace for trace in figure.data if trace.name == "SGD" and "lines" in trace.mode]
    assert line.mode == "lines"
    assert list(line.customdata)[-1] == count - 1


def test_the_phase_map_has_both_boundaries() -> None:
    """Cells are divided by class; the Lyapunov boundary is drawn only where there is one within the rows, the mean-square one too."""
    figure = drawn("escape_instability", full())
    escaped = named(figure, EN("class.escaped"))[0]
    shares = dict(zip(zip(escaped.base, escaped.y, strict=True), escaped.x, strict=True))
    assert shares == {(0.0, 1): pytest.approx(0.9), (1.0, 2): pytest.approx(0.9 * 14 / 20)}
    (line,) = named(figure, EN("figure.escape_instability.lyapunov"))
    assert [y for y in line.y if y is not None][::2] == [pytest.approx(0.795), pytest.approx(1.88667)]
    said = FIGURES["escape_instability"].reading(full(), EN)
    assert said.startswith("In 6 of 6 cells")
    assert "batch size 1 from learning rate 0.6 (theory 0.559)" in said


def test_a_boundary_beyond_the_rows_has_no_place() -> None:
    """Between two rows a learning rate lies in proportion; outside of them it is not drawn."""
    rates = [0.1, 0.2, 0.4]
    assert [tiles.row_of(rate, rates) for rate in (0.1, 0.3, 0.4)] == [0, pytest.approx(1.5), 2]
    assert tiles.row_of(0.05, rates) is None
    assert tiles.row_of(0.5, rates) is None


def test_escape_times_stand_beside_kramers_law_and_none_is_dropped() -> None:
    """The two cells with escapes are dots at 1.5 times the law, the one without is a ▲ at its lower bound."""
    figure = drawn("escape_thermal", full())
    rate = EN("figure.escape_thermal.rate", rate="0.1")
    marks = [trace for trace in named(figure, rate) if trace.marker.symbol == "circle"]
    (law,) = [trace for trace in named(figure, rate) if trace.mode == "lines"]
    assert list(marks[0].y) == [pytest.approx(1.5 * y, rel=1e-4) for y in law.y[:2]]
    none = [trace for trace in named(figure, rate) if trace.marker.symbol == "triangle-up"]
    assert [list(trace.x) for trace in none] == [[200]] * 2
    said = FIGURES["escape_thermal"].reading(full(), EN)
    assert "1.5 times those of Kramers' law" in said
    assert "never escaped" in said
    assert "from 2:" in said


def test_the_network_s_tiles_show_every_class_and_control() -> None:
    """Four panels (SGD, as many examples, noise, the good start); each cell's bars add up to the whole cell."""
    figure = drawn("escape_teacher", full())
    assert figure.layout.meta["panels"] == 4
    bars = [trace for trace in figure.data if trace.xaxis == "x"]
    assert {trace.marker.color for trace in bars} == {
        LIGHT[tiles.COLORS[n]] for n in ("escaped", "stuck", "other", "diverged")
    }
    assert sum(sum(trace.x) for trace in bars) == pytest.approx(7 * tiles.TILE_WIDTH, rel=1e-4)
    said = FIGURES["escape_teacher"].reading(full(), EN)
    assert "At 1 of 4 combinations" in said
    assert "From a good minimum, at SGD's best setting, 90\u00a0% stay." in said


def test_escapes_are_drawn_against_updates() -> None:
    """A panel for each best setting, a line for each method through its shares after each mark; a record of before has none."""
    share = {"sgd": 0.6, "isotropic": 0.2}
    record = full(
        minima=drawn_escapes.drawn(lambda arm: share.get(arm.method, 0.0) if arm.start == "bad" else 0.0, seed=0)
    )
    figure = drawn("escape_updates", record)
    found = courses(record)
    assert figure.layout.meta["panels"] == len(found) > 1
    lines = [trace for trace in figure.data if trace.name == EN("figure.escape_updates.sgd")]
    for line, course in zip(lines, found, strict=True):
        assert list(line.x) == [1_000, 4_000, 16_000]
        assert list(line.y) == pytest.approx([cell.share("escaped") for cell in course.cells["sgd"]], abs=1e-3)
    said = FIGURES["escape_updates"].reading(record, EN)
    assert len(said.splitlines()) == len(found)
    assert "after 1,000 updates SGD" in said
    rows = FIGURES["escape_updates"].numbers(record)
    assert len(rows) == sum(len(group) for course in found for group in course.cells.values())
    noise = [row for row in rows if row["method"] == "isotropic"]
    assert all(row["sgd_ahead_low"] <= row["sgd_ahead"] <= row["sgd_ahead_high"] for row in noise)  # type: ignore[operator]
    assert FIGURES["escape_updates"].draw(full(), EN) is None


def test_the_dead_unit_is_left_by_nobody() -> None:
    """No escape of 80; were there one, the reading would call the test broken."""
    assert FIGURES["escape_dead"].reading(full(), EN).startswith("None of 80 runs")
    minima = escapes.minima()
    minima["dead_relu"]["cells"]["escaped"][0] = 1
    assert "this test is broken" in FIGURES["escape_dead"].reading(full(minima=minima), EN)


def test_the_textbook_has_every_bowl_and_the_data() -> None:
    """An option for each condition number and one for the data; a bowl's paths have a point for every update, the start included."""
    figure = drawn("textbook", full())
    meta = figure.layout.meta
    assert len(meta["switch"]) == len(CONDITIONS) + 1
    assert "10" in meta["switch"][meta["start"]]["label"]
    assert [path["name"] for path in paths_of(meta["switch"][meta["start"]])] == [
        path.name for path in paths_of(figure)
    ]
    for bowl, option in zip(bowls(), meta["switch"], strict=False):
        lengths = [len(path["x"]) for path in paths_of(option)]
        assert lengths == [len(path.flat) for path in bowl.paths]
        for path, trace in zip(bowl.paths, paths_of(option), strict=True):
            assert len(trace["x"]) > path.updates_to_near
            assert f"updates {path.updates_to_near:,}, examples {path.examples_to_near:,}" in trace["name"]
    names = [path["name"] for path in paths_of(meta["switch"][-1])]
    assert EN("figure.textbook.never", regime="mini-batch 32") + EN("figure.textbook.edge") in names
    assert len(drawn("textbook", full(textbook={})).layout.meta["switch"]) == len(CONDITIONS)


def paths_of(figure: Any) -> list[Any]:
    """The paths of a figure, or of an option's figure."""
    data = figure["figure"]["data"] if "figure" in figure else figure["data"]
    return [trace for trace in data if trace["type"] == "scatter" and trace["mode"] == "lines+markers"]


def test_the_replay_grows_the_paths() -> None:
    """In each option the first frame has each path's start alone, the last all of each, and the slider has a step for each frame."""
    for option in drawn("textbook", full()).layout.meta["switch"]:
        layout = option["figure"]["layout"]
        replay = layout["meta"]["replay"]
        assert replay["ends"][0] == [1, 1, 1]
        assert replay["ends"][-1] == [len(path["x"]) for path in paths_of(option)]
        assert all(a <= b for before, after in pairwise(replay["ends"]) for a, b in zip(before, after, strict=True))
        assert [step["args"][0][0] for step in layout["sliders"][0]["steps"]] == replay["names"]


def test_a_program_s_textbook_plays_too() -> None:
    """Outside a page the figure has its frames, which the button plays and the slider names: they grow the same paths."""
    figure = comparison_figure(full(), "textbook")
    assert [frame.name for frame in figure.frames] == [step.args[0][0] for step in figure.layout.sliders[0].steps]
    assert [len(trace.x) for trace in figure.frames[0].data] == [1, 1, 1]
    assert [list(trace.x) for trace in figure.frames[-1].data] == [list(trace.x) for trace in figure.data[-3:]]
    assert all(tuple(frame.traces) == (3, 4, 5) for frame in figure.frames)


def test_numbers_keep_what_was_never_reached() -> None:
    """An infinite total variation and an unknown Kramers' time are in the rows, not left out."""
    rows = FIGURES["escape_thermal"].numbers(full())
    assert len(rows) == 8
    assert [row["kramers"] for row in rows if row["method"] == "gd"] == [None, None]
    table = FIGURES["variability"].numbers(full())
    assert all(row["total_variation"] != inf for row in table)
    assert len(table) == 12
