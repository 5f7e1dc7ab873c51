"""A comparison's opening: who is ahead by the intervals and nobody else, the table, the picture in each way, the bowl by its formula."""

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from math import inf, isfinite
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from hpsearch.comparison.analysis import bowl
from hpsearch.comparison.analysis.standings import Standing, compared_sizes, leaders, standings
from hpsearch.comparison.figures import OPENING
from hpsearch.comparison.page import picture
from hpsearch.comparison.page.slide import HEIGHT, WIDTH, slide
from hpsearch.comparison.page.standings import ranked_table
from hpsearch.locales import LANGUAGES, Texts
from hpsearch.reporting.pieces import RankedTable
from hpsearch.reporting.rendering import render
from hpsearch.storage import ArmRecord, ComparisonRecord
from tests.support import escapes
from tests.support.comparisons import ROWS
from tests.support.drawn_comparisons import Truth, drawn
from tests.support.escapes import made
from tests.support.prose import prose

EN = Texts("en")
PNG = b"\x89PNG\r\n\x1a\n rest"


def found(record: ComparisonRecord) -> dict[str, Mapping[int, Standing]]:
    return dict(standings(record))


def changed(record: ComparisonRecord, size: int, **changes: Any) -> ComparisonRecord:
    """The record in which the runs of a batch size on fresh seeds are otherwise."""

    def of(arm: ArmRecord) -> ArmRecord:
        if arm.batch_size != size or arm.fastest is None:
            return arm
        winner = replace(arm.fastest, runs=tuple(replace(run, **changes) for run in arm.fastest.runs))
        return replace(arm, fastest=winner, best=winner)

    return replace(record, arms=tuple(map(of, record.arms)))


# ------------------------------------------------------------------ who is ahead


def test_known_orders_are_found() -> None:
    """Where S = 20 (1 + 60 / B) GD needs the fewest updates and SGD the fewest epochs, each ahead of both others."""
    of_units = found(made(seeds=10))
    one, mini, full = sorted(of_units["steps"])
    assert (one, full) == (1, ROWS)
    assert of_units["steps"][one].behind == (full, mini)
    assert set(of_units["epochs"][one].ahead) == {mini, full}
    assert of_units["epochs"][mini].ahead == (full,)
    assert of_units["epochs"][mini].behind == (one,)
    assert leaders(of_units["epochs"]) == (one,)


def test_equals_are_a_tie() -> None:
    """Where all batch sizes need the same, hardly any of drawn comparisons puts one ahead: 95 % intervals, and three pairs."""
    truth = Truth(steps=lambda size: 2000.0, luck=0.0)
    ahead = [len(leaders(found(drawn(truth, 10, number))["steps"])) < 3 for number in range(12)]
    assert sum(ahead) <= 2


def test_one_that_never_arrives_leads_nothing() -> None:
    """A batch size whose runs never reach the target is infinite and no leader; nobody is ahead of runs that were cut short."""
    record = made(seeds=6)
    history = record.arms[-1].fastest.runs[0].history  # type: ignore[union-attr]
    assert history is not None
    short = replace(history, metric=(0.1,) * len(history))
    of_steps = found(changed(record, ROWS, history=short))["steps"]
    assert of_steps[ROWS].values["steps"].value == inf
    assert ROWS not in leaders(of_steps)
    assert of_steps[ROWS].ahead == ()


def test_too_few_seeds_put_nobody_ahead() -> None:
    """Two seeds tell nothing, whatever their values."""
    for of_sizes in found(made(seeds=2)).values():
        assert all(not one.ahead or one.values.keys() == {"escaped"} for one in of_sizes.values())


def test_more_is_worse_where_it_is_an_error() -> None:
    """With a metric that is to be small the order of the test scores turns."""
    record = drawn(Truth(score=lambda size: 0.9 if size == 1 else 0.95, score_noise=0.001), 8, 0)
    assert set(found(record)["test"][1].behind) == set(compared_sizes(record)) - {1}
    assert set(found(replace(record, direction="minimize"))["test"][1].ahead) == set(compared_sizes(record)) - {1}


def test_paths_and_loss_changes_are_compared_by_seed() -> None:
    """Of runs whose detour is 1 + 10 / sqrt(B) GD's is the most direct; a criterion that was not measured is left out."""
    of_path = found(made(measured=6))["path"]
    assert set(of_path[ROWS].ahead) == set(of_path) - {ROWS}
    assert of_path[1].values["target"].value == pytest.approx(11)
    assert not {"path", "stability"} & found(made(measured=0)).keys()


def test_stability_needs_both_phases() -> None:
    """SGD's loss moves more before the target and after it, so GD is ahead; where one phase says otherwise nobody is."""
    record = made(measured=6)
    assert 1 in found(record)["stability"][ROWS].ahead

    def turned(arm: ArmRecord) -> ArmRecord:
        assert arm.fastest is not None
        runs = {
            seed: {
                **run,
                "variability": {**run["variability"], "before": {"deviation": 1.0 if arm.batch_size > 1 else 0.01}},
            }
            for seed, run in arm.fastest.measured.items()
        }
        return replace(arm, fastest=replace(arm.fastest, measured=runs))

    of_sizes = found(replace(record, arms=tuple(map(turned, record.arms))))["stability"]
    assert 1 not in of_sizes[ROWS].ahead
    assert ROWS not in of_sizes[1].ahead


# ------------------------------------------------------------------ the table


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_says_by_words_what_it_says_by_colour(language: str) -> None:
    """A row for GD, a mini-batch and SGD; each coloured cell has its sign and words, those without a difference say so."""
    texts = Texts(language)
    record = made(measured=6, seeds=8, minima=escapes.minima())
    table = ranked_table(record, texts)[0]
    assert isinstance(table, RankedTable)
    assert [row[0] for row in table.rows] == [
        "GD",
        texts("regime.some", batch_size=str(compared_sizes(record)[1])),
        "SGD",
    ]
    assert all(len(cells) == len(table.head) - 1 for _, _, cells in table.rows)
    ranks = [(cell.rank, cell.rank_text[:1]) for _, _, cells in table.rows for cell in cells if cell.rank_text]
    assert {("ahead", "▲"), ("behind", "▼"), ("", "=")} <= set(ranks)
    assert set(ranks) <= {("ahead", "▲"), ("behind", "▼"), ("between", "◆"), ("", "=")}
    html = render(table)
    assert html.count('role="row"') == 4
    assert html.count('scope="row"') == 3


def test_a_comparison_without_runs_has_no_table() -> None:
    """Before a run on a fresh seed has ended there is nothing to rank."""
    assert ranked_table(made(target=0.95, arms=()), EN) == []


# ------------------------------------------------------------------ the sentence and the figure


def test_the_sentence_names_leaders_and_ties() -> None:
    """By epochs SGD is first; what the intervals cannot tell apart is called a tie, or no difference."""
    told = OPENING.reading(made(seeds=10), EN)
    assert "by epochs SGD;" in told
    equal = drawn(Truth(steps=lambda size: 2000.0), 10, 1)
    assert "by updates no difference shown" in OPENING.reading(equal, EN)


def test_curves_are_named_at_their_ends() -> None:
    """Each panel has a label for each curve, at its last point, none upon another; epochs are updates times B / rows."""
    record = made(seeds=6)
    figure = OPENING.draw(record, EN)
    assert figure is not None
    assert figure.layout.meta["panels"] == 3
    for axis in ("x", "x2", "x3"):
        labels = [note for note in figure.layout.annotations if note.xref == axis]
        assert [note.text for note in labels] == ["● SGD", f"■ mini-batch {compared_sizes(record)[1]}", "◆ GD"]
        assert len({(round(note.x, 1), note.yshift) for note in labels}) == 3
    lines = [trace for trace in figure.data if trace.mode == "lines" and trace.name and not trace.fill]
    by_updates, by_epochs = (next(one for one in lines if (one.xaxis or "x") == axis) for axis in ("x", "x2"))
    assert list(by_epochs.x) == pytest.approx([update / ROWS for update in by_updates.x], rel=1e-4)


# ------------------------------------------------------------------ the picture


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which both ways of making a PNG may be tried; none of them is there."""
    monkeypatch.setattr(picture, "WAYS", (picture.by_kaleido, picture.by_browser))
    monkeypatch.setitem(sys.modules, "kaleido", None)
    monkeypatch.setattr(picture, "BROWSERS", ())
    return tmp_path


def written(folder: Path) -> Path:
    figure = OPENING.draw(made(), EN)
    assert figure is not None
    return picture.write_picture(figure, "Who <wins> & who 'ties'", "below", folder / "report.html")


def test_without_kaleido_and_browser_the_picture_is_an_svg(folder: Path) -> None:
    """An SVG that is well formed, with the title's text, a line for each curve in each panel, all within its edges."""
    (folder / "summary.png").write_bytes(b"of an earlier state")
    path = written(folder)
    assert [file.name for file in folder.iterdir()] == ["summary.svg"] == [path.name]
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))  # noqa: S314 - our own file
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title") == "Who <wins> & who 'ties'"
    texts = [element.text for element in root.iter(f"{space}text")]
    assert texts.count("◆ GD") == 3
    wide = [element for element in root.iter(f"{space}polyline") if element.get("stroke-width") == "3.5"]
    assert len(wide) == 9
    for element in wide:
        points = [tuple(map(float, point.split(","))) for point in (element.get("points") or "").split()]
        assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in points)


def test_on_a_slide_curves_stay_in_their_panels_and_texts_apart() -> None:
    """Curves are cut off at their panels, ticks of plain numbers are round, numbers and names beside each other do not touch."""
    figure = OPENING.draw(made(seeds=6), EN)
    assert figure is not None
    figure.update_yaxes(range=[-0.163, 0.858], tickvals=None, ticktext=None)
    figure.update_xaxes(tickvals=[1, 2, 3, 10, 1000], ticktext=["1,000,000", "2,000,000", "3,000,000", "10", "1000"])
    space = "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(slide(figure, "Who?", ""))  # noqa: S314 - our own text
    cut = {id(drawn) for group in root.iter(f"{space}g") for drawn in group if group.get("clip-path")}
    curves = [
        *root.iter(f"{space}polygon"),
        *(e for e in root.iter(f"{space}polyline") if e.get("stroke-width") == "3.5"),
    ]
    assert len(curves) > 9
    assert all(id(drawn) in cut for drawn in curves)
    texts = list(root.iter(f"{space}text"))
    ticks = [text.text for text in texts if text.get("text-anchor") == "end" and text.get("font-weight") == "400"]
    assert ticks == ["0", "0.2", "0.4", "0.6", "0.8"] * 3
    for anchor, size in (("middle", 9), ("end", 10)):
        shares = {"middle": (0.5, 0.5), "end": (1.0, 0.0)}[anchor]
        rows: dict[str, list[tuple[float, float]]] = {}
        for text in (text for text in texts if text.get("text-anchor") == anchor):
            x, width = float(text.get("x") or 0), size * len(text.text or "")
            rows.setdefault(text.get("y") or "", []).append((x - shares[0] * width, x + shares[1] * width))
        assert all(a[1] <= b[0] for row in rows.values() for a, b in pairwise(sorted(row)))


def test_kaleido_makes_the_picture_where_it_works(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kaleido is given the figure with its title, and told to load nothing; what is no PNG or raises is left to the next way."""
    asked: list[Any] = []

    def calc(figure: Any, opts: Any, kopts: Any) -> bytes:
        asked.append((figure["layout"]["title"]["text"], opts["format"], kopts))
        return PNG

    monkeypatch.setitem(sys.modules, "kaleido", SimpleNamespace(calc_fig_sync=calc))
    (folder / "summary.svg").write_text("of an earlier state")
    assert written(folder).read_bytes() == PNG
    assert [file.name for file in folder.iterdir()] == ["summary.png"]
    assert asked == [("Who &lt;wins&gt; &amp; who 'ties'", "png", {"mathjax": False})]

    def fails(*_: Any, **__: Any) -> bytes:
        raise RuntimeError("no Chrome")

    for broken in (fails, lambda *_, **__: b"<html>"):
        monkeypatch.setitem(sys.modules, "kaleido", SimpleNamespace(calc_fig_sync=broken))
        assert written(folder).name == "summary.svg"


def test_a_browser_makes_the_picture_where_kaleido_does_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser is asked for a screenshot of the SVG, without the network; one that fails or hangs leaves the SVG."""
    monkeypatch.setattr(picture, "BROWSERS", ("chromium",))
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> None:
        commands.append(command)
        target = next(word for word in command if word.startswith("--screenshot="))
        Path(target.removeprefix("--screenshot=")).write_bytes(PNG)

    monkeypatch.setattr("subprocess.run", run)
    assert written(folder).read_bytes() == PNG
    (command,) = commands
    assert command[0] == "/bin/chromium"
    assert "--host-resolver-rules=MAP * ~NOTFOUND" in command
    assert command[-1].startswith("file://")

    for error in (subprocess.TimeoutExpired("chromium", 1), subprocess.CalledProcessError(1, "chromium"), OSError()):

        def fails(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr("subprocess.run", fails)
        assert written(folder).name == "summary.svg"


# ------------------------------------------------------------------ the bowl


@pytest.mark.parametrize("condition", bowl.CONDITIONS)
def test_the_bowl_is_what_it_says(condition: int) -> None:
    """The Hessian is diag(1, 1 / κ), the gradient at 0 is 0, and the loss by its formula is the mean square of the rows."""
    inputs, targets = bowl.least_squares(condition)
    np.testing.assert_allclose(2 * inputs.T @ inputs / bowl.ROWS, np.diag([1, 1 / condition]), atol=1e-12)
    np.testing.assert_allclose(inputs.T @ targets, 0, atol=1e-12)
    for steep, flat in ((0.0, 0.0), (1.0, 2.0), (-0.3, 5.0)):
        exact = np.mean((inputs @ [steep, flat] - targets) ** 2)
        assert bowl.bowl_loss(np.array(flat), np.array(steep), condition) == pytest.approx(exact)


def test_descent_in_the_bowl_has_its_closed_form() -> None:
    """The full batch follows (1 - η) ** t and (1 - η / κ) ** t; a batch of one row follows that row's gradient."""
    inputs, targets = bowl.least_squares(10)
    path = bowl.descend(inputs, targets, bowl.ROWS, np.array([0.5, 1.5]), 1, 20)[:, 0]
    for place, rate in enumerate((0.5, 1.5)):
        np.testing.assert_allclose(path[:, place, 0], (1 - rate) ** np.arange(21), atol=1e-12)
        np.testing.assert_allclose(path[:, place, 1], 10**0.5 * (1 - rate / 10) ** np.arange(21), atol=1e-12)
    (first, second) = bowl.descend(inputs, targets, 1, np.array([0.1]), 1, 1)[:, 0, 0]
    steps = first - 0.1 * 2 * (inputs @ first - targets)[:, None] * inputs  # [N, 2]
    assert np.abs(steps - second).sum(1).min() < 1e-12


def test_what_the_page_says_of_the_bowl_holds() -> None:
    """Longer bowls need more updates; smaller batches no fewer updates and fewer examples; each path ends near, for good."""
    for of_size in zip(*(one.paths for one in bowl.bowls()), strict=True):
        updates = [path.updates_to_near for path in of_size]
        assert updates == sorted(updates)
        assert updates[0] < updates[-1]
    for one in bowl.bowls():
        assert [path.batch_size for path in one.paths] == [1, 8, bowl.ROWS]
        for small, large in pairwise(one.paths):
            assert small.updates_to_near >= large.updates_to_near
            assert small.examples_to_near < large.examples_to_near
        for path in one.paths:
            above = np.square(path.steep) + np.square(path.flat) / one.condition
            assert (above[path.updates_to_near :] <= bowl.NEAR * above[0]).all()
            assert above[path.updates_to_near - 1] > bowl.NEAR * above[0]
            assert len(path.flat) > path.updates_to_near
            assert all(map(isfinite, path.flat))
    assert bowl.bowls.__wrapped__() == bowl.bowls(), "the same each time"


def test_gradient_descent_in_the_bowl_is_at_its_best() -> None:
    """No rate of the grid brings GD near sooner: the updates that each needs follow from the closed form."""
    for one in bowl.bowls():
        full = one.paths[-1]

        def needed(rate: float, condition: int = one.condition) -> float:
            updates = np.arange(1, bowl.BUDGETS[bowl.ROWS] + 1)
            above = ((1 - rate) ** (2 * updates) + (1 - rate / condition) ** (2 * updates)) / 2
            outside = np.flatnonzero(above > bowl.NEAR)
            return inf if len(outside) and outside[-1] == len(updates) - 1 else float(outside.max(initial=-1) + 2)

        assert full.updates_to_near == min(map(needed, bowl.RATES))


def test_nothing_of_the_opening_is_lost_in_prose() -> None:
    """The table's text, without its colours, names who is ahead of whom."""
    seen = prose(render(ranked_table(made(seeds=10, measured=6), EN)[0]))
    assert "▲ ahead of both" in seen
    assert "▼ behind" in seen


def test_korean_intervals_break_behind_their_sign() -> None:
    """On a narrow page an interval that is written without spaces may break behind ~, and not within a number."""
    table = render(ranked_table(made(seeds=10, measured=6), Texts("ko"))[0])
    intervals = re.findall(r"<small>([^<]*~.*?)</small>", table)
    assert len(intervals) > 5
    assert all("~<wbr>" in interval for interval in intervals)
