"""A comparison's page in a real browser: it draws, fits, plays, saves, prints, speaks its language, and nothing in its data runs."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hpsearch.comparison.escape import run_all
from hpsearch.comparison.figures import COMPARISON_FIGURES
from hpsearch.comparison.measurements.descent import two_weights
from hpsearch.comparison.page import write_comparison
from hpsearch.config import check_config
from hpsearch.reporting.figures.style import DARK, LIGHT
from hpsearch.searching.run_options import RunOptions, prepare_data
from hpsearch.storage import ComparisonRecord
from tests.comparison.test_page import MADE, hostile
from tests.reporting.test_page_in_browser import EVIL, Visit, browser, pytestmark  # noqa: F401
from tests.support.comparisons import comparison
from tests.support.escape_sizes import quick

PNG = b"\x89PNG\r\n\x1a\n"
DRAWN = ".scatterlayer path, .barlayer path, .heatmaplayer image, .contourlayer path, .shapelayer path"


@pytest.fixture(scope="module")
def record() -> ComparisonRecord:
    """A synthetic comparison with real escape tests and the textbook's picture on real data."""
    config = check_config({"study": {"name": "x"}, "data": {"name": "iris"}, "space": {"depth": 1}}, "x")
    data = prepare_data(config, RunOptions(Path(), ""))
    minima = run_all(quick(), lambda *done: None)
    return comparison(seeds=10, measured=3, minima=minima, textbook=two_weights(data, 0), made=MADE)


@pytest.fixture(scope="module")
def report(record: ComparisonRecord, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_comparison(record, tmp_path_factory.mktemp("compared"))


@pytest.fixture(scope="module")
def visit(browser: Any, report: Path) -> Any:  # noqa: F811
    with Visit(browser, report) as opened:
        yield opened


def until(visit: Visit, script: str, wanted: object = True) -> None:
    """Wait until a script has this value; the page's policy forbids playwright's own way of waiting."""
    for _ in range(400):
        if visit.page.evaluate(script) == wanted:
            return
        visit.page.wait_for_timeout(50)
    raise AssertionError(f"{script} is {visit.page.evaluate(script)}, not {wanted}")


def unfold(visit: Visit) -> None:
    """Open what is folded, and wait until its figures are drawn."""
    visit.page.evaluate("document.querySelectorAll('details.more').forEach(fold => { fold.open = true; })")
    until(visit, "[...document.querySelectorAll('.figure')].every(figure => figure.querySelector('svg'))")


@pytest.mark.slow
def test_folded_figures_are_drawn_when_they_are_opened(browser: Any, report: Path) -> None:  # noqa: F811
    """Nothing folded is drawn at first; a link to a folded figure opens its fold, draws it and brings it into view."""
    with Visit(browser, report) as visit:
        drawn = "document.querySelectorAll('#figure-{} svg').length > 0"
        assert visit.page.evaluate(drawn.format("steps"))
        assert not visit.page.evaluate(drawn.format("sharpness"))
        visit.page.locator("#verdicts details", has=visit.page.locator("a[href='#about-sharpness']")).first.locator(
            "summary"
        ).click()
        visit.page.locator("#verdicts a[href='#about-sharpness']").first.click()
        until(visit, drawn.format("sharpness"))
        assert visit.page.evaluate("document.getElementById('about-sharpness').closest('details').open")
        until(visit, "Math.abs(document.getElementById('about-sharpness').getBoundingClientRect().top) < 120")
        assert not visit.page.evaluate(drawn.format("trajectories")), "the other folds stay as they are"
        assert visit.complaints == []


@pytest.mark.slow
def test_a_phone_has_criteria_down_and_methods_across(browser: Any, report: Path) -> None:  # noqa: F811
    """On a narrow page the table of three turns: the methods stand beside each other, and nothing is wider than the page."""
    with Visit(browser, report, 390) as visit:
        boxes = [head.bounding_box() for head in visit.page.locator(".ranked tbody th").all()]
        assert len(boxes) == 3
        assert len({box["y"] for box in boxes if box}) == 1
        assert visit.overflow() <= 0


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_every_figure_is_drawn_and_fits(browser: Any, report: Path, width: int, scheme: str) -> None:  # noqa: F811
    """On a phone in dark and on a desk in light colours all figures have marks and a height, none is too wide, nobody complains."""
    with Visit(browser, report, width, scheme) as visit:
        assert visit.requests == [report.as_uri()]
        unfold(visit)
        for row in COMPARISON_FIGURES:
            figure = visit.page.locator(f"#figure-{row.name}")
            assert figure.locator(DRAWN).count() > 2, row.name
            box = figure.locator("svg.main-svg").first.bounding_box()
            assert box is not None, row.name
            assert box["height"] > 120, row.name
            assert box["x"] >= 0, row.name
            assert box["x"] + box["width"] <= width, row.name
        fills = "[...document.querySelectorAll('#figure-steps .point')].map(point => getComputedStyle(point).fill)"
        green = (DARK if scheme == "dark" else LIGHT)["full"]
        assert f"rgb{tuple(int(green[k : k + 2], 16) for k in (1, 3, 5))}" in visit.page.evaluate(fills)
        visit.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert visit.overflow() <= 0
        assert visit.complaints == []


@pytest.mark.slow
def test_a_legend_entry_is_switched_off_everywhere(visit: Visit) -> None:
    """A click on a name hides it in the figures that share it, and nothing else; another click shows it again."""
    name = "gradient descent (GD)"
    unfold(visit)
    traces = "[...document.querySelectorAll('.figure')].flatMap(f => f.data.map(t => [f.id, t.name, t.visible === 'legendonly']))"
    own = [(figure, shown) for figure, shown, _ in visit.page.evaluate(traces) if shown == name]
    counts = Counter(figure for figure, _ in own)
    assert counts["figure-tuning"] == 2, "a line and its band"
    assert counts["figure-trajectories"] == 2, "a path and its ends"
    click = """() => { const items = [...document.querySelectorAll('#figure-tuning .legend .traces')];
        const toggle = items.find(item => item.textContent.includes('gradient descent')).querySelector('.legendtoggle');
        for (const kind of ['mousedown', 'mouseup']) toggle.dispatchEvent(new MouseEvent(kind, {bubbles: true})); }"""
    count = f"{traces}.filter(t => t[2]).length"
    visit.page.evaluate(click)
    until(visit, count, len(own))
    assert [(figure, shown) for figure, shown, off in visit.page.evaluate(traces) if off] == own
    visit.page.wait_for_timeout(400)  # another click too soon would be a double one
    visit.page.evaluate(click)
    until(visit, count, 0)
    assert visit.complaints == []


LONGEST_PATH = "Math.max(...document.getElementById('figure-textbook').data.slice(-3).map(path => path.x.length))"


def test_another_condition_number_ends_the_replay(visit: Visit) -> None:
    """A bowl that is chosen while another one plays has its own paths, and nothing of the other is drawn into them later."""
    whole = visit.page.evaluate(LONGEST_PATH)
    visit.page.locator("#figure-textbook .updatemenu-button").click()
    until(visit, f"{LONGEST_PATH} < {whole} / 2")
    visit.page.locator("#switch-textbook button", has_text="100").click()
    until(visit, f"{LONGEST_PATH} > {whole}")
    longer = visit.page.evaluate(LONGEST_PATH)
    visit.page.wait_for_timeout(1500)  # frames of the first bowl would have come by now
    assert visit.page.evaluate(LONGEST_PATH) == longer
    visit.page.locator("#switch-textbook button", has_text=re.compile("10$")).click()
    until(visit, LONGEST_PATH, whole)
    assert visit.complaints == []


def test_the_textbook_plays(visit: Visit) -> None:
    """The play button begins the paths anew and draws them to their ends; another condition number has other paths."""
    length = LONGEST_PATH
    whole = visit.page.evaluate(length)
    assert whole > 10
    visit.page.locator("#figure-textbook .updatemenu-button").click()
    until(visit, f"{length} < {whole} / 2")
    until(visit, length, whole)
    visit.page.locator("#switch-textbook button", has_text="100").click()
    until(visit, f"{length} > {whole}")
    assert visit.page.locator("#switch-textbook button[aria-pressed=true]").count() == 1
    assert visit.complaints == []


@pytest.mark.parametrize(("name", "format_"), [("steps", "PNG"), ("textbook", "SVG"), ("rates", "SVG")])
def test_figures_are_saved(visit: Visit, name: str, format_: str) -> None:
    """The buttons start a download of a picture: a PNG by its first bytes and size, an SVG that holds the figure's axis title."""
    with visit.page.expect_download() as started:
        visit.page.locator(f"#save-{name}").get_by_role("button", name=format_).click()
    path = Path(started.value.path())
    assert started.value.suggested_filename == f"{name}.{format_.lower()}"
    content = path.read_bytes()
    if format_ == "PNG":
        assert content.startswith(PNG)
        width = visit.page.evaluate(f"document.getElementById('figure-{name}').clientWidth")
        assert int.from_bytes(content[16:20], "big") == 2 * width
    else:
        title = visit.page.evaluate(f"document.querySelector('#figure-{name} .xtitle').textContent")
        assert content.startswith(b"<svg")
        assert title in content.decode()
    assert visit.complaints == []


@pytest.mark.slow
def test_the_korean_page_is_korean(browser: Any, record: ComparisonRecord, tmp_path: Path) -> None:  # noqa: F811
    """The page says that it is Korean; its headings, buttons and axis titles are Hangul."""
    with Visit(browser, write_comparison(record, tmp_path, "ko")) as visit:
        assert visit.page.evaluate("document.documentElement.lang") == "ko"
        headings = visit.page.evaluate("[...document.querySelectorAll('h2, h3')].map(h => h.textContent)")
        assert len(headings) > len(COMPARISON_FIGURES)
        assert all(re.search("[가-힣]", heading) for heading in headings)
        axis = visit.page.evaluate("document.querySelector('#figure-steps .xtitle').textContent")
        save = visit.page.evaluate("document.getElementById('save-steps').textContent")
        assert all(re.search("[가-힣]", text) for text in (axis, save))
        assert visit.complaints == []


@pytest.mark.slow
def test_printing_shows_everything(visit: Visit) -> None:
    """On paper every section is there with its figure, navigation and buttons are not, and the document has many pages."""
    unfold(visit)  # as the page does by itself before it is printed
    visit.page.emulate_media(media="print")
    try:
        for name in [
            "verdicts",
            "glance",
            "warnings",
            *(f"figure-{r.name}" for r in COMPARISON_FIGURES),
            "runs",
            "checks",
            "protocol",
        ]:
            assert visit.page.locator(f"#{name}").is_visible(), name
        assert not visit.page.locator("nav").is_visible()
        assert not any(run_options.is_visible() for run_options in visit.page.locator(".save button").all())
        pages = len(re.findall(rb"/Type\s*/Page\b", visit.page.pdf(format="A4")))
        assert 5 < pages < 60
    finally:
        visit.page.emulate_media(media="screen")
    assert visit.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("evil", [EVIL[1] + EVIL[2], EVIL[7]], ids=range(2))
def test_hostile_names_never_run(browser: Any, tmp_path: Path, evil: str) -> None:  # noqa: F811
    """Names full of markup stay text in headings, legends and hovers: nothing runs, no link is made, nothing is asked for."""
    with Visit(browser, write_comparison(hostile(evil), tmp_path), 900) as visit:
        for run_options in ("#figure-steps .point", "#figure-rates .point"):
            visit.page.locator(run_options).first.hover(force=True)
        assert visit.page.evaluate("window.pwned") is None
        assert visit.page.locator("main img, main svg a, a[href^='javascript:']").count() == 0
        assert visit.complaints == []
        assert len(visit.requests) == 1
        assert visit.overflow() <= 0
