"""How a reader explores the page of a search: one trial lit up everywhere, a filter, brushes, the scale of all values."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest

from hpsearch.locales import Texts
from hpsearch.reporting import write_report
from hpsearch.reporting.figures import FIGURES
from hpsearch.reporting.figures.points import Heights
from hpsearch.reporting.figures.style import COLORS
from hpsearch.reporting.ranking import ranked
from hpsearch.reporting.study_page import FIRST, page
from hpsearch.reporting.tables import frames
from hpsearch.storage import StudyRecord, TrialRecord
from tests.reporting.test_page_in_browser import EVIL, Visit, browser, hostile, pytestmark  # noqa: F401
from tests.support.records import confirmed, study

TRIALS = 40
LIT = COLORS["lit"][0]


def two_objectives(trials: int = TRIALS) -> StudyRecord:
    """A confirmed study of accuracy and the number of parameters."""
    record = confirmed(study(trials))
    made = tuple(replace(trial, values=(trial.value or 0.0, float(trial.parameters or 1))) for trial in record.trials)
    return replace(record, trials=made, objectives={"accuracy": "maximize", "parameters": "minimize"})


@pytest.fixture(scope="module")
def record() -> StudyRecord:
    return two_objectives()


@pytest.fixture(scope="module")
def report(record: StudyRecord, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(record, tmp_path_factory.mktemp("report"))


def drawn_figure(name: str, record: StudyRecord) -> Any:
    figure = FIGURES[name].draw(frames(record), record, Texts())
    assert figure is not None, name
    return figure


def settle(visit: Visit) -> None:
    """Wait until every figure shows what the reader has chosen."""
    visit.page.wait_for_timeout(300)  # until the browser told the page of it
    visit.page.wait_for_selector("html[data-settled='yes']", state="attached", timeout=180_000)


def lit_figures(visit: Visit) -> set[str]:
    """Return the names of the figures that show a trial in the colour of the chosen one."""
    found = visit.page.evaluate(
        f"""() => [...document.querySelectorAll('.figure')].filter(place => place.data && place.data.some(trace =>
            [(trace.marker || {{}}).color, (trace.line || {{}}).color].includes('{LIT}'))).map(place => place.id.slice(7))"""
    )
    return set(found)


def numbers_in(visit: Visit) -> list[int]:
    """Return the numbers of the trials that the table shows."""
    rows = visit.page.evaluate("[...document.querySelectorAll('#leaderboard tbody tr')].map(row => row.dataset.number)")
    return list(map(int, rows))


def spot(visit: Visit, name: str, number: int) -> dict[str, float]:
    """Return where in the window a trial's point of a figure lies."""
    found: dict[str, float] = visit.page.evaluate(
        """([name, number]) => {
            const place = document.getElementById(name);
            place.scrollIntoView({block: 'center', behavior: 'instant'});
            const trace = place.data.find(trace => trace.visible !== false && (trace.customdata || []).includes(number));
            const i = trace.customdata.indexOf(number);
            const {xaxis, yaxis} = place._fullLayout;
            const box = place.getBoundingClientRect();
            return {x: box.left + xaxis._offset + xaxis.d2p(trace.x[i]), y: box.top + yaxis._offset + yaxis.d2p(trace.y[i])};
        }""",
        [f"figure-{name}", number],
    )
    return found


def test_a_trial_of_the_table_lights_up_everywhere(browser: Any, report: Path, record: StudyRecord) -> None:  # noqa: F811
    """Enter on a trial that no figure names marks it in every figure of single trials, says its values aloud, and Escape clears it."""
    number = ranked(record)[8].number
    with Visit(browser, report) as visit:
        visit.unfold()
        assert lit_figures(visit) == set()
        visit.page.get_by_role("button", name=f"Show {len(record.trials)} trials").click()
        visit.page.locator(f"#leaderboard tr[data-number='{number}'] button").focus()
        visit.page.keyboard.press("Enter")
        settle(visit)
        assert {"history", "axes", "parallel", "curves", "losses", "size", "pareto", "timeline"} <= lit_figures(visit)
        row = visit.page.locator(f"#leaderboard tr[data-number='{number}']")
        assert row.locator("button").get_attribute("aria-pressed") == "true"
        assert "lit" in (row.get_attribute("class") or "")
        said = visit.page.get_by_role("status").text_content() or ""
        trial = record.trials[number]
        assert said.startswith(f"Trial {number}, ")
        assert f"depth {trial.params['depth']}" in said
        assert f"optimizer {trial.params['optimizer']}" in said
        assert visit.page.locator(".bar").is_visible()
        visit.page.keyboard.press("Escape")
        settle(visit)
        assert lit_figures(visit) == set()
        assert not visit.page.locator(".bar").is_visible()
        assert visit.page.locator("tr.lit").count() == 0
        assert visit.complaints == []


def test_a_click_in_a_figure_lights_the_trial_and_a_second_one_clears_it(
    browser: Any,  # noqa: F811
    report: Path,
    record: StudyRecord,
) -> None:
    """A click on a point, or on a line where it meets an axis, chooses its trial in the tables too."""
    number = ranked(record)[0].number
    with Visit(browser, report) as visit:
        visit.unfold()
        for name, is_lit in product(("history", "size", "parallel", "pareto"), (True, False)):
            at = spot(visit, name, number)
            visit.page.mouse.move(at["x"] + 1, at["y"] + 1)
            visit.page.wait_for_timeout(200)
            visit.page.mouse.click(at["x"], at["y"])
            settle(visit)
            assert visit.page.locator("#leaderboard tr.lit").count() == int(is_lit), name
        assert visit.complaints == []


def test_a_trial_below_the_first_ones_gets_a_row(browser: Any, report: Path, record: StudyRecord) -> None:  # noqa: F811
    """The table of the ten best shows the chosen trial too, as its last row, and drops it again."""
    number = ranked(record)[-1].number
    with Visit(browser, report) as visit:
        first = numbers_in(visit)
        assert number not in first
        visit.page.evaluate(f"trials.light({number})")
        assert numbers_in(visit) == [*first, number]
        visit.page.evaluate(f"trials.light({number})")
        assert numbers_in(visit) == first


def test_arrow_keys_move_through_the_trials(browser: Any, report: Path) -> None:  # noqa: F811
    """The Tab key reaches one trial of the table, the arrow keys the others, and sorting keeps it so."""
    with Visit(browser, report) as visit:
        stops = "[...document.querySelectorAll('#leaderboard td button')].filter(one => one.tabIndex === 0).length"
        assert visit.page.evaluate(stops) == 1
        visit.page.locator("#leaderboard td button").first.focus()
        visit.page.keyboard.press("ArrowDown")
        visit.page.keyboard.press("ArrowDown")
        focused = "document.activeElement.closest('tr').sectionRowIndex"
        assert visit.page.evaluate(focused) == 2
        visit.page.keyboard.press("End")
        assert visit.page.evaluate(focused) == FIRST - 1
        visit.page.locator("#leaderboard th button").nth(3).click()
        assert visit.page.evaluate(stops) == 1


def test_the_chosen_trial_stays_in_the_dark_and_on_paper(browser: Any, report: Path, record: StudyRecord) -> None:  # noqa: F811
    """Its marks take the colour of a dark screen, and the light one for printing, where its line stands on the page."""
    dark = COLORS["lit"][1]
    color = "document.getElementById('figure-history').data.at(-1).marker.color"
    with Visit(browser, report) as visit:
        visit.page.evaluate(f"trials.light({ranked(record)[0].number})")
        settle(visit)
        assert visit.page.evaluate(color) == LIT
        visit.page.emulate_media(color_scheme="dark")
        settle(visit)
        assert visit.page.evaluate(color) == dark
        visit.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        visit.page.wait_for_timeout(1000)
        assert visit.page.evaluate(color) == LIT
        visit.page.emulate_media(media="print")
        assert visit.page.evaluate("getComputedStyle(document.querySelector('.bar')).position") == "static"


Keeps = Callable[[TrialRecord], bool]
FILTERS: dict[str, Keeps] = {
    "adamw": lambda trial: trial.params["optimizer"] == "adamw",
    "optimizer = adam": lambda trial: trial.params["optimizer"] == "adam",
    "optimizer = adam|sgd": lambda trial: trial.params["optimizer"] in ("adam", "sgd"),
    "OPTIMIZER != adam": lambda trial: trial.params["optimizer"] != "adam",
    "batch_size > 16": lambda trial: trial.params["batch_size"] in (32, 128),
    "batch size = full": lambda trial: trial.params["batch_size"] == "full",
    "learning_rate <= 3e-3, depth >= 2": lambda trial: (
        trial.params["learning_rate"] <= 3e-3 and trial.params["depth"] >= 2
    ),
    'momentum = ""': lambda trial: "momentum" not in trial.params,
    "trial = 7": lambda trial: trial.number == 7,
}


def test_the_filter_keeps_what_it_says(browser: Any, report: Path, record: StudyRecord) -> None:  # noqa: F811
    """Words, choices, bounds and several conditions keep exactly the trials that meet them, and the line counts them."""
    with Visit(browser, report) as visit:
        count = visit.page.locator(".count")
        for text, keeps in FILTERS.items():
            visit.page.locator("#filter").fill(text)
            wanted = {trial.number for trial in record.trials if keeps(trial)}
            assert wanted, text
            assert set(numbers_in(visit)) == wanted, text
            assert count.text_content() == f"{len(wanted)} of {TRIALS} trials"
        for text, said in {
            "seconds < 0": "No column is called “seconds”.",
            "depth > x": "“depth > x” needs a number",
        }.items():
            visit.page.locator("#filter").fill(text)
            assert said in (count.text_content() or "")
            assert visit.page.locator("#filter").get_attribute("aria-invalid") == "true"
        visit.page.locator("#filter").fill("adam")
        visit.page.locator("h1").click()
        visit.page.keyboard.press("Escape")
        assert len(numbers_in(visit)) == FIRST
        assert visit.complaints == []


def test_the_filter_takes_shares_in_either_spelling_and_its_example(browser: Any, report: Path) -> None:  # noqa: F811
    """The bound of a percentage may be a share or per cent, the value on the bound is inside, and the example in the field works."""
    with Visit(browser, report) as visit:
        field = visit.page.locator("#filter")
        scores = visit.page.locator("#leaderboard tbody td:nth-child(3)")
        for bound in ("0.97", "97 %", "97"):
            field.fill(f"accuracy >= {bound}")
            cells = scores.all_text_contents()
            assert cells, bound
            assert all(float(text.split("\u00a0")[0]) >= 97.0 for text in cells), bound
        field.fill(f"accuracy >= {cells[-1]}")
        assert cells[-1] in scores.all_text_contents()
        example = field.get_attribute("placeholder")
        field.fill(example)
        assert field.get_attribute("aria-invalid") == "false"
        assert example.count(",") == 2
        assert visit.complaints == []


def drag(visit: Visit, axis: int, low: float, high: float) -> None:
    """Drag along an axis of the parallel coordinates, from one height to another."""
    ends = visit.page.evaluate(
        """([axis, ...heights]) => {
            const place = document.getElementById('figure-parallel');
            place.scrollIntoView({block: 'center', behavior: 'instant'});
            const {xaxis, yaxis} = place._fullLayout;
            const box = place.getBoundingClientRect();
            const turned = yaxis.range[0] < -1;
            return heights.map(height => turned
                ? [box.left + xaxis._offset + xaxis.l2p(height), box.top + yaxis._offset + yaxis.l2p(-axis)]
                : [box.left + xaxis._offset + xaxis.l2p(axis), box.top + yaxis._offset + yaxis.l2p(height)]);
        }""",
        [axis, low, high],
    )
    visit.page.mouse.move(*ends[0])
    visit.page.mouse.down()
    visit.page.mouse.move(*ends[1], steps=4)
    visit.page.mouse.up()


@pytest.mark.parametrize("width", [700, 1280])
def test_brushes_on_several_axes_filter(browser: Any, report: Path, record: StudyRecord, width: int) -> None:  # noqa: F811
    """Ranges dragged on two axes, upright or lying, keep the trials inside both, in table and figure; a button clears them."""
    with Visit(browser, report, width) as visit:
        drag(visit, 0, 0.4, 1.05)  # depth 2 to 4
        settle(visit)
        drag(visit, 4, 0.45, 1.05)  # adam and adamw
        settle(visit)
        assert visit.page.locator("#filter").input_value().startswith("depth >= 1.6, optimizer = adam|adamw")
        inside = [t for t in record.trials if t.params["depth"] >= 2 and t.params["optimizer"] in ("adam", "adamw")]
        assert set(numbers_in(visit)) == {trial.number for trial in inside}
        shown = visit.page.evaluate(
            """() => document.getElementById('figure-parallel').data.filter(trace => trace.customdata && trace.hoverinfo !== 'skip')
                .flatMap(trace => trace.customdata.filter((number, i) => number !== null && (trace.y[i] ?? trace.x[i]) !== null
                    && trace.y[i] !== null && trace.x[i] !== null))"""
        )
        assert set(shown) <= {trial.number for trial in inside}
        shapes = visit.page.evaluate(
            "document.getElementById('figure-parallel').layout.shapes.filter(s => s.type === 'rect').length"
        )
        assert shapes == 3  # one range, two choices
        drag(visit, 0, 0.0, 1.05)
        assert visit.page.locator("#filter").input_value() == "optimizer = adam|adamw"
        visit.page.get_by_role("button", name="Clear filter").click()
        assert visit.page.locator("#filter").input_value() == ""
        assert len(numbers_in(visit)) == FIRST
        assert visit.overflow() <= 0
        assert visit.complaints == []


def test_all_values_are_shown_by_one_switch(browser: Any, report: Path, record: StudyRecord) -> None:  # noqa: F811
    """The switch of one figure shows every value in all of them: no open triangle and no count at the edge is left."""
    with Visit(browser, report) as visit:
        visit.unfold()
        state = """() => ['history', 'axes', 'size'].map(name => document.getElementById('figure-' + name)).map(place =>
            [place.data.some(trace => /open/.test((trace.marker || {}).symbol) && /triangle/.test(trace.marker.symbol)),
             (place.layout.annotations || []).some(note => note.name === 'beyond'), place.layout.yaxis.range[0]])"""
        before = visit.page.evaluate(state)
        assert [triangles for triangles, _, _ in before] == [True, True, True]
        assert [counted for _, counted, _ in before] == [True, False, True]
        visit.page.locator("#switch-size").get_by_role("button", name="all values").click()
        settle(visit)
        after = visit.page.evaluate(state)
        assert [found[:2] for found in after] == [[False, False]] * 3
        assert all(now < then for (_, _, then), (_, _, now) in zip(before, after, strict=True))
        pressed = visit.page.locator("button[aria-pressed='true']", has_text="all values").count()
        assert pressed == visit.page.locator("button", has_text="all values").count() > 3
        drawn = visit.page.evaluate(
            """() => Object.fromEntries(document.getElementById('figure-history').data.filter(trace => trace.customdata)
                .flatMap(trace => trace.customdata.map((number, i) => [number, trace.y[i]])))"""
        )
        for trial in record.trials:
            if trial.usable:
                assert drawn[str(trial.number)] == pytest.approx(trial.value, rel=1e-5)


def test_the_better_half_is_on_the_scale(record: StudyRecord) -> None:
    """The axis holds the better half of the usable trials, ends at the baseline, and counts at its edge exactly those left out."""
    heights = Heights.common(record)
    usable = ranked(record)
    half = usable[: len(usable) // 2]
    assert not any(map(heights.at_edge, half))
    drawn = drawn_figure("history", record)
    beyond = [trial for trial in record.trials if not trial.failed and (trial.value or 0.0) <= heights.edge]
    assert beyond
    (note,) = [note.text for note in drawn.layout.annotations if note.name == "beyond"]
    assert note == f"{len(beyond)} worse trials below"
    high = replace(record, result={**record.result, "baseline": {"validation": heights.ends[0] + 0.001}})
    assert Heights.common(high).ends[0] == pytest.approx(heights.ends[0] + 0.001)


def test_few_different_values_do_not_fill_an_axis(record: StudyRecord) -> None:
    """Where many of the best trials have one value the axis goes on to the fifth different one."""
    levels = (0.996, 0.993, 0.989, 0.985, 0.981, 0.978)
    made = tuple(replace(trial, value=levels[min(5, trial.number // 6)]) for trial in record.trials if trial.usable)
    low, _ = Heights.common(replace(record, trials=made)).ends
    assert low < 0.981


def test_a_list_of_the_best_alone_says_so(record: StudyRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the page cannot list every trial, it says of how many the best ones are listed and filtered."""
    said = "The list and the filter have the best"
    assert said not in page(record, frames(record))
    monkeypatch.setattr("hpsearch.reporting.study_page.MOST_ROWS", 15)
    assert f"{said} 15 trials of {len(record.trials)}:" in page(record, frames(record))


def test_points_carry_their_trial(record: StudyRecord) -> None:
    """Every trace of single trials has a number for each point, and its label begins with it."""
    for name in ("history", "axes", "parallel", "size", "pareto", "timeline", "curves", "confirmed"):
        drawn = drawn_figure(name, record)
        own = [trace for trace in drawn.data if trace.customdata is not None]
        assert own, name
        for trace in own:
            assert len(trace.customdata) == len(trace.x), name
            for number, text in zip(trace.customdata, trace.text or (), strict=False):
                assert number is None or f"rial {number}</b>" in text, name


def test_front_trials_are_never_off_the_scale(record: StudyRecord) -> None:
    """The Pareto front lies on the axes as a whole, and it is the page's first figure."""
    drawn = drawn_figure("pareto", record)
    front = next(trace for trace in drawn.data if trace.name == Texts()("search.figure.pareto.front"))
    low, high = drawn.layout.yaxis.range
    assert all(low <= value <= high for value in front.y)
    by_number = {trial.number: trial for trial in record.trials}
    assert list(front.y) == pytest.approx([by_number[number].value for number in front.customdata], rel=1e-5)
    html = page(record, frames(record))
    assert html.index('id="figure-pareto"') < html.index('id="figure-history"')


@pytest.mark.parametrize("evil", EVIL[:2], ids=range(2))
def test_hostile_names_are_filtered_as_text(browser: Any, tmp_path: Path, evil: str) -> None:  # noqa: F811
    """A brush on an axis of hostile names makes a condition that the filter reads back; nothing runs."""
    with Visit(browser, write_report(hostile(evil), tmp_path), 1280) as visit:
        last = visit.page.evaluate(
            "JSON.parse(document.getElementById('figures').textContent).parallel.layout.meta.brush"
        )
        at = next(i for i, axis in enumerate(last) if axis.get("choices") and "plain" in axis["choices"])
        visit.page.evaluate(
            "([name, value]) => trials.conditions(name, [`${trials.quoted(name)} = ${trials.quoted(value)}`])",
            [last[at]["name"], next(choice for choice in last[at]["choices"] if choice != "plain")],
        )
        assert visit.page.locator("#filter").get_attribute("aria-invalid") == "false"
        assert 0 < len(numbers_in(visit)) < 30
        settle(visit)
        visit.page.evaluate("trials.light(5)")
        settle(visit)
        assert visit.page.evaluate("window.pwned") is None
        assert visit.page.locator("main img, main svg a").count() == 0
        assert visit.complaints == []


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, record: StudyRecord, tmp_path: Path, scheme: str, language: str) -> None:  # noqa: F811
    """By axe-core's rules the page has no violation, untouched and with a trial and a filter chosen; Korean breaks between words."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
    path = tmp_path / "report.html"
    path.write_text(page(record, frames(record), Texts(language)), encoding="utf-8")
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme=scheme, offline=True, bypass_csp=True
    )
    tab = context.new_page()
    tab.goto(path.as_uri())
    tab.wait_for_selector("html[data-drawn]", state="attached", timeout=180_000)
    tab.evaluate(Path(axe.AXE_FILE_PATH).read_text(encoding="utf-8"))
    for act in ("0", "trials.light(3)", "trials.conditions('depth', ['depth >= 1'])"):
        tab.evaluate(act)
        found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(rule["id"], [node["target"] for node in rule["nodes"]]) for rule in found["violations"]] == []
    assert tab.get_attribute("html", "lang") == language
    breaks = tab.evaluate("getComputedStyle(document.querySelector('main p')).wordBreak")
    assert breaks == ("keep-all" if language == "ko" else "normal")
    context.close()


def test_every_figure_is_named_and_described(browser: Any, report: Path) -> None:  # noqa: F811
    """Each figure has its title as its name and its reading sentence as its description; each button has a name."""
    with Visit(browser, report) as visit:
        places = visit.page.locator(".figure").all()
        for place in places:
            assert place.get_attribute("aria-label")
            reading = visit.page.locator(f"#{place.get_attribute('aria-describedby')}")
            assert (reading.text_content() or "").strip()
        unnamed = "[...document.querySelectorAll('button')].filter(b => !(b.getAttribute('aria-label') || b.textContent).trim()).length"
        assert visit.page.evaluate(unnamed) == 0
        levels = [
            int(tag[1]) for tag in visit.page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => h.tagName)")
        ]
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))


def test_axes_write_numbers_as_tables_do(browser: Any, report: Path) -> None:  # noqa: F811
    """Thousands on axes have a comma, percentages a space, as in the page's tables."""
    with Visit(browser, report) as visit:
        ticks = visit.page.evaluate(
            "[...document.querySelectorAll('.xtick text, .ytick text')].map(t => t.textContent)"
        )
        assert any("," in text for text in ticks)
        assert not [text for text in ticks if text.endswith("k")]
        assert not [text for text in ticks if text.endswith("%") and "\u00a0%" not in text]
