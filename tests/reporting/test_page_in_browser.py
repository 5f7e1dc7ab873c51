"""The report in a real browser: it draws, fits, stays at home, and nothing in its data ever runs."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from hpsearch.reporting import write_report
from hpsearch.reporting.figures import FIGURES
from hpsearch.reporting.notebook import fragment
from hpsearch.reporting.study_page import FIRST
from hpsearch.reporting.tables import frames
from hpsearch.searching.result import tenths_of
from hpsearch.storage import StudyRecord
from tests.support.records import DATA, confirmed, study, trials, unfinished

CHROMIUM = Path("/usr/bin/chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not there")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]

EVIL = (
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=2</script>",
    '"><img src=x onerror="window.pwned=3">',
    "<a href='javascript:window.pwned=4'>click</a>",
    "javascript:window.pwned=5",
    "';window.pwned=6;//",
    "\u202e\x1b[31m\x00\u2028<svg onload=window.pwned=7>",
    "${window.pwned=8} %{x} <b>bold</b> &lt;b&gt;",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield chromium
        chromium.close()


class Visit:
    """One page, opened offline; what it complained about and asked for is kept."""

    def __init__(self, browser: Any, path: Path, width: int = 1440, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-drawn]", state="attached", timeout=180_000)

    def __enter__(self) -> "Visit":
        return self

    def unfold(self) -> None:
        """Open what is for specialists, and wait until its figures are drawn."""
        self.page.evaluate("document.querySelectorAll('details.more').forEach(fold => { fold.open = true; })")
        self.page.wait_for_timeout(100)
        self.page.wait_for_selector("html[data-settled='yes']", state="attached", timeout=180_000)

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def written(record: StudyRecord, folder: Path) -> Path:
    return write_report(record, folder)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(study(), tmp_path_factory.mktemp("report"))


def test_the_page_loads_offline_without_a_word(browser: Any, report: Path) -> None:
    """No console message, no violation of the policy, no request but for the page itself."""
    with Visit(browser, report) as visit:
        assert visit.complaints == []
        assert visit.requests == [report.as_uri()]


def test_every_figure_is_drawn_and_none_is_empty(browser: Any, report: Path) -> None:
    """Each figure has an SVG with marks (points, lines or bars) and a height worth looking at."""
    with Visit(browser, report) as visit:
        visit.unfold()
        drawn = {name for name, row in FIGURES.items() if row.applies(study())} - {
            "confirmed"
        }  # nothing is in this study
        for name in sorted(drawn):
            figure = visit.page.locator(f"#figure-{name}")
            marks = figure.locator(".scatterlayer path, .barlayer path").count()
            assert marks > 3 or name in ("losses", "parallel", "curves", "regimes"), (name, marks)
            assert marks > 0, name
            box = figure.locator("svg.main-svg").first.bounding_box()
            assert box is not None, name
            assert box["height"] > 120, name


def test_the_scale_of_the_curves_is_the_fitted_one(browser: Any, report: Path) -> None:
    """Before a reader chooses a trial the axis of the learning curves fits the better ones."""
    record = study()
    drawn = FIGURES["curves"].draw(frames(record), record)
    assert drawn is not None
    with Visit(browser, report) as visit:
        shown = visit.page.evaluate("document.getElementById('figure-curves').layout.yaxis.range")
    assert shown == pytest.approx(list(drawn.layout.yaxis.range))


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows(browser: Any, report: Path, width: int, scheme: str) -> None:
    """On a phone and on a desk, light and dark, the page is as wide as its window; wide tables scroll in their own box, figures fit."""
    with Visit(browser, report, width, scheme) as visit:
        assert visit.overflow() <= 0
        wide = "[...document.querySelectorAll('.figure')].filter(f => f.scrollWidth > f.clientWidth).map(f => f.id)"
        assert visit.page.evaluate(wide) == []
        for details in visit.page.locator("details").all():
            details.locator(":scope > summary").click()
        assert visit.overflow() <= 0
        assert visit.complaints == []


@pytest.mark.parametrize("width", [390, 1280, 1440])
def test_no_axis_text_overlaps_in_small_panels(browser: Any, tmp_path: Path, width: int) -> None:
    """The tick texts of each small panel neither overlap nor touch, long names of choices included."""
    names = dict(zip(("sgd", "adam", "adamw"), ("rmsprop", "momentum", "nesterov"), strict=True))
    record = study()
    made = tuple(replace(t, params={**t.params, "optimizer": names[t.params["optimizer"]]}) for t in record.trials)
    space = {**record.settings["space"], "optimizer": ["sgd", "momentum", "rmsprop", "nesterov", "adamw"]}
    settings = {**record.settings, "space": space}
    report = written(replace(record, trials=made, settings=settings), tmp_path)
    with Visit(browser, report, width) as visit:
        overlapping = visit.page.evaluate(
            """() => [...document.querySelectorAll('#figure-axes .xaxislayer-above, #figure-axes .xaxislayer-below')].flatMap(layer => {
                const boxes = [...layer.querySelectorAll('text')].map(t => t.getBoundingClientRect()).sort((a, b) => a.x - b.x);
                const meet = (a, b) => b.x < a.right + 1 && a.top < b.bottom && b.top < a.bottom;
                return boxes.flatMap((a, i) => boxes.slice(i + 1).filter(b => meet(a, b)).map(b => b.x));
            })"""
        )
        assert overlapping == []


@pytest.mark.parametrize("width", [390, 1440])
def test_confusions_are_squares_that_fit_and_names_stay_text(browser: Any, tmp_path: Path, width: int) -> None:
    """Twenty classes with long, hostile names: each count has its square cell, no axis or number leaves the figure, nothing runs."""
    classes = [f"{EVIL[0]} {i}" for i in range(20)]
    table = [[30 if i == j else 1 for j in range(20)] for i in range(20)]
    said = {"rows": "test", "count": 980, "networks": 1, "classes": classes, "confusion": table}
    record = study(8)
    record = replace(record, result={**record.result, "predicted": said})
    with Visit(browser, written(record, tmp_path), width) as visit:
        cells = (
            "[...document.querySelectorAll('#figure-confusion .shapelayer path')].map(p => p.getBoundingClientRect())"
        )
        sizes = visit.page.evaluate(f"{cells}.map(r => [r.width, r.height])")
        assert len(sizes) == 400
        assert all(abs(across - down) < 1 for across, down in sizes)
        assert visit.page.locator("#figure-confusion .textpoint").count() == 400
        assert visit.overflow() <= 0
        assert visit.page.evaluate("window.pwned") is None
        assert visit.complaints == []


def large(value: Any) -> Any:
    """Return a result whose metric is 30,000 times as large."""
    if isinstance(value, list):
        return [large(inner) for inner in value]
    if isinstance(value, dict):
        return {name: large(inner) for name, inner in value.items()}
    return 30_000 * value if isinstance(value, float) else value


def regression() -> StudyRecord:
    """A study whose errors and targets are numbers of five and six digits."""
    true = np.linspace(50_000, 300_000, 60)
    made = true + 20_000 * np.sin(np.arange(60.0))
    told = {"rows": "test", "count": 60, "networks": 1, "targets": 1, "points": np.stack([true, made], 1).tolist()}
    told |= {"tenths": tenths_of(true, made), "errors": {"half": 1e4, "most": 2e4}}
    record = confirmed(study(20))
    keys = ("search", "fresh", "confirmed", "gaps", "test")
    result = dict(record.result)
    result.update({key: large(result[key]) for key in keys if key in result})
    data = {**record.data, "metric": "rmse", "task": "regression"}
    return replace(record, direction="minimize", data=data, result=result | {"predicted": told})


def test_large_numbers_fit_a_telephone(browser: Any, tmp_path: Path) -> None:
    """At 390 pixels no two numbers of an axis touch, no legend is cut, and no gap is left under the square of predictions."""
    with Visit(browser, written(regression(), tmp_path), 390) as visit:
        for name in ("confirmed", "predictions", "errors"):
            boxes = visit.page.evaluate(
                f"""() => [...document.querySelectorAll('#figure-{name} .xtick text')].map(t => t.getBoundingClientRect())
                    .map(r => [r.left, r.right]).sort((a, b) => a[0] - b[0])"""
            )
            assert len(boxes) > 1, name
            assert all(before[1] + 4 < after[0] for before, after in pairwise(boxes)), (name, boxes)
            ends = visit.page.evaluate(
                f"""() => [document.querySelector('#figure-{name}').getBoundingClientRect().right,
                    ...[...document.querySelectorAll('#figure-{name} .legendtext')].map(t => t.getBoundingClientRect().right)]"""
            )
            assert max(ends) == ends[0], (name, ends)
        gap = visit.page.evaluate(
            """() => document.querySelector('#figure-predictions').getBoundingClientRect().bottom
                - document.querySelector('#figure-predictions .xtitle').getBoundingClientRect().bottom"""
        )
        assert gap < 60


def test_the_leaderboard_keeps_its_first_columns(browser: Any, report: Path) -> None:
    """On a phone rank and trial stay in sight when the rest is scrolled; on a desk the usual table needs no scrolling."""
    box = "document.querySelector('#leaderboard .scroll')"
    with Visit(browser, report, 390) as visit:
        left = f"[...{box}.querySelectorAll('tbody tr:first-child td')].slice(0, 3).map(c => c.getBoundingClientRect().left)"
        before = visit.page.evaluate(left)
        visit.page.evaluate(f"{box}.scrollLeft = 150")
        after = visit.page.evaluate(left)
        assert after[:2] == pytest.approx(before[:2], abs=1)
        assert after[2] == pytest.approx(before[2] - 150, abs=1)
    with Visit(browser, report, 1440) as visit:
        assert visit.page.evaluate(f"{box}.scrollWidth - {box}.clientWidth") <= 0


@pytest.mark.parametrize("width", [390, 700])
def test_good_combinations_run_down_a_narrow_page(browser: Any, report: Path, width: int) -> None:
    """Where they have no room side by side the axes lie under each other, names in the study's order, and no label leaves the figure."""
    texts = """[...document.querySelectorAll('#figure-parallel .annotation-text')]
        .map(t => [t.textContent, t.getBoundingClientRect()]).map(([text, r]) => [text, r.left, r.right, r.top])"""
    with Visit(browser, report, width) as visit:
        found = visit.page.evaluate(texts)
        box = visit.page.locator("#figure-parallel").bounding_box()
        names = ["depth", "width", "activation", "optimizer", "learning_rate", "batch_size", "accuracy"]
        tops = {text: top for text, _, _, top in found}
        assert sorted(names, key=tops.__getitem__) == names
        assert all(box["x"] <= left and right <= box["x"] + box["width"] for _, left, right, _ in found)
        assert {"relu", "tanh", "gelu", "sigmoid"} <= tops.keys()
    with Visit(browser, report) as visit:
        assert len({round(top) for text, _, _, top in visit.page.evaluate(texts) if text in ("depth", "width")}) == 1


def test_figures_change_colours_with_the_screen(browser: Any, report: Path) -> None:
    """A dark screen gets the dark palette, also when it turns dark while the page is open."""
    color = "getComputedStyle(document.querySelector('#figure-history .scatterlayer path.point')).fill"
    with Visit(browser, report) as visit:
        light = visit.page.evaluate(color)
        visit.page.emulate_media(color_scheme="dark")
        visit.page.wait_for_timeout(1500)
        assert visit.page.evaluate(color) != light


def test_the_axis_can_be_switched(browser: Any, report: Path) -> None:
    """Each button of the history changes the axis's title and says that it is pressed."""
    with Visit(browser, report) as visit:
        titles = []
        for label in ("examples", "time", "trials"):
            button = visit.page.locator("#switch-history").get_by_role("button", name=label)
            button.click()
            visit.page.wait_for_timeout(200)
            assert button.get_attribute("aria-pressed") == "true"
            titles.append(visit.page.locator("#figure-history .xtitle").text_content())
        assert titles == ["training examples seen so far", "seconds since the first trial began", "trial number"]
        assert visit.complaints == []


def test_it_prints_without_a_word(browser: Any, report: Path) -> None:
    """Printing redraws the figures for paper and gives a document of several pages."""
    with Visit(browser, report) as visit:
        assert visit.page.pdf(format="A4").count(b"/Type /Page\n") + 1 > 1
        assert visit.complaints == []


def hostile(evil: str) -> StudyRecord:
    """Return a study in which everything that a stranger could name is named so."""
    made = tuple(
        replace(
            trial,
            params={**trial.params, evil: evil if trial.number % 2 else "plain", "activation": evil},
            detail=evil,
            outcome=evil if trial.number == 3 else trial.outcome,
        )
        for trial in trials(30)
    )
    record = study(30)
    space = {**record.settings["space"], evil: [evil, "plain"]}
    data = {
        **DATA,
        "title": evil,
        "task_reason": evil,
        "classes": [evil] * 3,
        "notices": [evil],
        "metric": evil,
        "source": evil,
        "reading": [evil],
        "columns": [{"name": evil, "kind": evil, "inputs": 1, "note": evil}],
    }
    result = {**record.result, "device": evil, "versions": {evil: evil}}
    result["layers"] = [{"name": evil, "shape": [1], "count": 1}]
    result["architecture"] = {"widths": [8], "activation": evil}
    study_table = {"name": evil, "question": evil, "seed": 1}
    search = {"sampler": evil, "trials": 30, "pruner": evil}
    settings = {"study": study_table, "space": space, "training": {"epochs": 3, "precision": evil}, "search": search}
    return replace(record, name=evil, settings=settings, data=data, result=result, trials=made)


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_hostile_names_never_run(browser: Any, tmp_path: Path, evil: str) -> None:
    """Names, categories, labels and errors full of markup stay text: nothing runs, no link is made, nothing is asked for."""
    path = written(hostile(evil), tmp_path)
    with Visit(browser, path, 900) as visit:
        for place in ("#figure-history .point", "#figure-axes .point"):
            visit.page.locator(place).first.hover(force=True)
        assert visit.page.evaluate("window.pwned") is None
        assert visit.page.locator("main img, main svg a, a[href^='javascript:']").count() == 0
        assert visit.complaints == []
        assert len(visit.requests) == 1
        assert visit.overflow() <= 0


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_hostile_names_never_run_in_a_notebook(browser: Any, tmp_path: Path, evil: str) -> None:
    """What a notebook shows of such a study is text on a page that, unlike the report, lets every script run."""
    path = tmp_path / "notebook.html"
    path.write_bytes(f"<!DOCTYPE html><meta charset=utf-8><body>{fragment(hostile(evil))}".encode("utf-8", "replace"))
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_timeout(100)
    assert page.evaluate("window.pwned") is None
    assert page.locator("img, script, a, iframe, [onload], [onerror]").count() == 0
    context.close()


def test_unfinished_studies_are_drawn(browser: Any, tmp_path: Path) -> None:
    """A page made while the search runs works like the final one."""
    with Visit(browser, written(unfinished(), tmp_path), 390) as visit:
        assert visit.complaints == []
        assert visit.overflow() <= 0


def test_two_thousand_trials_stay_small_and_quick(browser: Any, tmp_path: Path) -> None:
    """2,000 trials of 10 hyperparameters and 40 evaluations: built within a minute, below 10 MB, drawn by the browser."""
    record = study(2000)
    began = perf_counter()
    path = written(record, tmp_path)
    assert perf_counter() - began < 60
    assert path.stat().st_size < 10_000_000
    with Visit(browser, path) as visit:
        assert visit.complaints == []
        assert visit.overflow() <= 0


def test_a_browser_that_cannot_unpack_says_so_in_place_of_each_figure(browser: Any, report: Path) -> None:
    """Without DecompressionStream every figure's place has a sentence, and the rest of the page stands."""
    context = browser.new_context(offline=True)
    context.add_init_script("delete window.DecompressionStream")
    page = context.new_page()
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-drawn]", state="attached", timeout=180_000)
    places = page.locator(".figure").all_text_contents()
    assert places
    assert all("DecompressionStream" in text for text in places)
    context.close()


def test_a_table_sorts_by_a_click_and_opens_to_all_trials(browser: Any, report: Path) -> None:
    """A heading is a button that sorts by value, either way, and says so; another one adds every trial, failed ones named."""
    with Visit(browser, report) as visit:
        rows = visit.page.locator("#leaderboard tbody tr")
        assert rows.count() == FIRST
        head = visit.page.locator("#leaderboard th", has_text="learning_rate")
        column = visit.page.evaluate("h => h.cellIndex", head.element_handle())
        for way in ("ascending", "descending"):
            head.locator("button").click()
            assert head.get_attribute("aria-sort") == way
            texts = [row.locator("td").nth(column).text_content() or "" for row in rows.all()]
            rates = [float(text.replace("×10⁻⁴", "e-4").replace("×10⁻³", "e-3")) for text in texts]
            assert rates == sorted(rates, reverse=way == "descending")
        visit.page.get_by_role("button", name="Show 64 trials").click()
        assert rows.count() == len(study().trials)
        assert visit.page.locator("#leaderboard td", has_text="diverged").count() > 0
        texts = [row.locator("td").nth(column).text_content() or "" for row in rows.all()]
        assert texts[-1] != ""
        assert visit.page.locator("#leaderboard tr.chosen").count() == 1
        assert visit.overflow() <= 0
        assert visit.complaints == []
