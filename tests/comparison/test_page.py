"""A comparison's report: complete for every state of a record, warned of each pitfall and no other, escaped, with its tables."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas
import pytest

from hpsearch.comparison.figures import CHAPTERS, COMPARISON_FIGURES
from hpsearch.comparison.page import page, write_comparison
from hpsearch.comparison.page.closing import protocol, runs_table
from hpsearch.comparison.page.opening import warnings
from hpsearch.locales import LANGUAGES, Texts, sentences
from hpsearch.reporting.rendering import figure_json, render
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord
from hpsearch.trial import History
from tests.support import escapes
from tests.support.comparisons import ROWS, comparison
from tests.support.prose import prose

EN = Texts("en")
MADE = {
    "device": "cpu",
    "places": 2,
    "versions": {"torch": "9.8.7", "numpy": "6.5.4"},
    "architecture": {"widths": [16, 16], "activation": "tanh"},
    "parameters": 4321,
    "registered": {
        "module_list": {"tensors": 6, "numbers": 4321},
        "plain_list": {"tensors": 0, "numbers": 0},
        "error": "optimizer got an empty parameter list",
        "moved": [0.0, 0.0, 0.25],
    },
}
Record = ComparisonRecord
DRAWN = [row for row in COMPARISON_FIGURES if row.name != "escape_updates"]  # the records have no fresh runs


@cache
def whole() -> Record:
    """A comparison with all that there can be."""
    return comparison(measured=3, minima=escapes.minima(), textbook=escapes.textbook(), made=MADE)


@pytest.fixture(scope="module")
def full() -> str:
    return page(whole(), EN)


def tuning() -> Record:
    """A comparison that is still tuning: no target, no winners, a running trial in each arm."""

    def begun(arm: ArmRecord) -> ArmRecord:
        running = TrialRecord(len(arm.trials), "running", {"learning_rate": 0.1})
        return replace(arm, trials=(*arm.trials[:5], running), fastest=None, best=None)

    record = comparison(target=None)
    return replace(record, arms=tuple(map(begun, record.arms)), shared={})


def escaping() -> Record:
    """The escape tests alone, as `compare minima` keeps them."""
    minima = {**escapes.minima(), "asked": {"seeds": 20, "starts": 40}}
    settings = {"study": {"name": "minima", "question": "Do they escape?", "seed": 0}, "minima": minima["asked"]}
    return replace(comparison(), settings=settings, data={}, arms=(), shared={}, target=None, minima=minima)


# ------------------------------------------------------------------ what is written


@pytest.mark.slow
def test_the_page_and_a_table_for_each_figure_are_written(tmp_path: Path) -> None:
    """The page, below 8 MB, and one CSV for each figure that has rows; another language is another page; twice gives the same bytes."""
    path = write_comparison(whole(), tmp_path / "new" / "folder")
    assert path == tmp_path / "new/folder/report.html"
    assert path.stat().st_size < 8_000_000
    first = path.read_bytes()
    korean = write_comparison(whole(), path.parent, "ko")
    assert korean.name == "report.ko.html"
    assert write_comparison(whole(), path.parent).read_bytes() == first
    wanted = {f"{row.name}.csv" for row in COMPARISON_FIGURES if row.numbers(whole())}
    assert {file.name for file in (path.parent / "tables").iterdir()} == wanted
    assert len(wanted) == len(DRAWN), "the whole comparison has all figures"
    pages = {"report.html", "report.ko.html"}
    assert {file.name for file in path.parent.iterdir()} == {*pages, "summary.svg", "summary.ko.svg", "tables"}


@pytest.mark.slow
def test_tables_are_read_again_as_they_were(tmp_path: Path) -> None:
    """Every CSV has its rows, with the columns that the texts explain; numbers, infinities and gaps come back."""
    record = replace(whole(), target=0.985)  # which some runs never reach
    write_comparison(record, tmp_path)
    seen = set()
    for row in DRAWN:
        rows = row.numbers(record)
        table = pandas.read_csv(tmp_path / f"tables/{row.name}.csv")
        assert list(table.columns) == list(rows[0]), row.name
        assert all(EN.has(f"column.{name}") for name in table.columns), row.name
        assert len(table) == len(rows), row.name
        for name in table.columns:
            for value, again in zip((line[name] for line in rows), table[name], strict=True):
                seen.add(type(value))
                assert value == pytest.approx(again) if isinstance(value, float) else same(value, again), (
                    row.name,
                    name,
                )
    assert {float, int, str, type(None)} <= seen


def same(value: object, again: object) -> bool:
    return bool(pandas.isna(again)) if value in (None, "") else value == again


@pytest.mark.slow
@pytest.mark.parametrize("record", [whole(), tuning(), escaping(), comparison(arms=())], ids=range(4))
@pytest.mark.parametrize("language", LANGUAGES)
def test_links_lead_somewhere(record: Record, language: str, tmp_path: Path) -> None:
    """In every state every fragment is a place of the page, every other link a file beside it, and no number is missing."""
    html = write_comparison(record, tmp_path, language).read_text(encoding="utf-8")
    outside = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    for address in re.findall(r'href="([^"]+)"', outside):
        assert f'id="{address[1:]}"' in outside if address[0] == "#" else (tmp_path / address).is_file(), address
    assert not re.search(r"\b(nan|None(?! of)|NaN)\b|[{}]", prose(html))
    assert f'<html lang="{language}">' in html


# ------------------------------------------------------------------ what stands where


@pytest.mark.slow
def test_the_answer_comes_before_everything(full: str) -> None:
    """Question, the figure, the table of three, all batch sizes, verdicts, cautions, then the chapters with their figures."""
    names = ["about-curves", "glance", "verdicts", "warnings"]
    for chapter in CHAPTERS:
        names += [chapter.name, *(f"about-{row.name}" for row in (*chapter.shown, *chapter.folded))]
    places = [full.index(f'id="{name}"') for name in (*names, "done", "runs", "checks", "protocol")]
    assert places == sorted(places)
    assert places[0] < full.index('class="ranked"') < places[1]
    box = prose(full[places[2] : places[3]])
    for claim in ("stable", "slow", "unsteady", "escapes", "stuck", "compromise", "generalises"):
        assert sentences("en")[f"claim.{claim}"] in box
    assert full.index("How do they compare?") < places[0]


def test_few_words_come_before_the_first_figure(full: str) -> None:
    """The figure is reached after about sixty words, its own title among them."""
    before = prose(full[full.index("<main>") : full.index('id="figure-curves"')])
    assert 20 < len(before.split()) <= 65


def test_chapters_are_listed_and_fold_the_specialists_figures(full: str) -> None:
    """The contents link to each chapter; its first figures are open, the others lie in one fold that names them."""
    nav = full[full.index("<nav>") : full.index("</nav>")]
    assert re.findall(r'href="#(\w+)"', nav) == [*(chapter.name for chapter in CHAPTERS), "done"]
    folds = re.findall(r'<details class="more"><summary>(.*?)</summary>(.*?)</section>\n*</details>', full, re.DOTALL)
    assert len(folds) == len(CHAPTERS) + 1, "the last one is how it was done"
    for chapter, (summary, inside) in zip(CHAPTERS, folds[:-1], strict=True):
        assert re.findall(r'id="about-(\w+)"', inside) == [row.name for row in chapter.folded]
        assert all(EN(f"figure.{row.name}.title") in prose(summary) for row in chapter.folded)
        assert 1 <= len(chapter.shown) <= 2


@pytest.mark.parametrize("name", ["textbook", "escape_teacher"])
def test_what_only_specialists_read_is_folded_and_not_lost(full: str, name: str) -> None:
    """The first lines of a reading stand above the figure; the others and further remarks lie folded with its numbers."""
    row = next(row for row in COMPARISON_FIGURES if row.name == name)
    lines = row.reading(whole(), EN).splitlines()
    assert row.lines is not None
    assert len(lines) > row.lines
    section = full[full.index(f'<section id="about-{name}">') :]
    shown, folded = section[: section.index("</section>")].split("<details>")
    remarks = [*lines[row.lines :], EN(f"figure.{name}.more")]
    assert all(line in prose(shown) for line in map(plain, lines[: row.lines]))
    assert all(line in prose(folded) and line not in prose(shown) for line in map(plain, remarks))


def plain(text: str) -> str:
    """Return a text as `prose` returns it from a page."""
    return prose(text.replace("&", "&amp;").replace("<", "&lt;"))


def test_the_glance_has_each_batch_size(full: str) -> None:
    """One line for each batch size, with the learning rate, the median updates, and how many runs reached the target."""
    table = cells(full, "glance")
    assert len(table) == len(whole().arms)
    for line, arm in zip(table, whole().arms, strict=True):
        assert arm.fastest is not None
        steps = sorted(whole().passed(run) for run in arm.fastest.runs)
        middle = (steps[2] + steps[3]) / 2
        assert float(line[2].split(" ")[0].replace(",", "")) == pytest.approx(middle, rel=0.005)
        assert float(line[1]) == pytest.approx(arm.fastest.learning_rate, rel=0.005)
        assert line[5] == "6/6"


def cells(html: str, section: str) -> list[list[str]]:
    """The cells of a section's table, row by row."""
    part = html[html.index(f'id="{section}"') :]
    body = part[part.index("<tbody>") : part.index("</tbody>")]
    rows = body.split("</tr>")[:-1]
    return [[prose(cell).strip() for cell in re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL)] for row in rows]


def ended_otherwise(record: Record) -> Record:
    """The record in which some runs diverged or did not fit into memory, and the best setting of GD is not the fastest."""

    def change(arm: ArmRecord) -> ArmRecord:
        assert arm.best is not None
        lost = replace(arm.trials[0], outcome="out of memory", history=History())
        running = TrialRecord(99, "running", {"learning_rate": 0.1})
        runs = (replace(arm.best.runs[0], outcome="diverged"), *arm.best.runs[1:4])
        best = replace(arm.best, trial=arm.best.trial + 1, runs=runs) if arm.batch_size == ROWS else arm.best
        return replace(arm, trials=(lost, *arm.trials[1:], running), best=best)

    return replace(record, arms=tuple(map(change, record.arms)))


def test_every_run_is_counted_once() -> None:
    """Over all rows of the table of runs each tuning trial and each fresh run that ended is counted once, in the class it belongs to."""
    record = ended_otherwise(whole())
    runs = [trial for arm in record.arms for trial in arm.trials if trial.state == "complete"]
    for arm in record.arms:
        winners = {w.trial: w for w in (arm.fastest, arm.best) if w}
        runs += [run for winner in winners.values() for run in winner.runs]
    diverged = [run for run in runs if run.outcome == "diverged"]
    memory = [run for run in runs if run.outcome == "out of memory"]
    there = [run for run in runs if run not in diverged + memory and run.history and max(run.history.metric) > 0.95]
    table = cells(render(runs_table(record, EN)), "runs")
    sums = [sum(int(row[k].replace(",", "")) for row in table) for k in range(2, 7)]
    left = len(runs) - len(there) - len(diverged) - len(memory)
    assert sums == [len(there), left, len(diverged), len(memory), len(runs)]
    assert min(sums) > 0, "the record has runs of every class"
    assert len(table) == 2 * len(record.arms) + 1, "GD has another setting for quality"


def test_checks_and_protocol_have_the_record_s_numbers(full: str) -> None:
    """Parameters and hyperparameters, output and cost, registered tensors; data, space, tuning, seeds, budget, versions as recorded."""
    checks, done = (prose(full[full.index(f'<section id="{name}"') :]) for name in ("checks", "protocol"))
    for piece in ("4,321 parameters", "5 hyperparameters", "Hidden layers: tanh", "softmax", "Cost: cross-entropy"):
        assert piece in checks, piece
    for piece in ("6 tensors (4,321 numbers)", ": 0 tensors", "optimizer got an empty parameter list"):
        assert piece in checks, piece
    for piece in (
        "Made data; 1,024 training, 500 validation, 500 test rows",
        "2 hidden layers of 16 units, tanh",
        "sgd; 1, 8, 64, 1,024",
        "learning_rate (sgd): 0.003906 – 8 (log); depth: 2; width: 16",
        "12 settings at each batch size",
        "sampler qmc",
        "6 for each winner",
        "40 epochs a run; evaluated at intervals of 2 %",
        "cpu; 2 runs at the same time",
        "An engine that is not on record, on cpu",
        "torch 9.8.7, numpy 6.5.4",
        "python -m hpsearch compare … --name made",
    ):
        assert piece in done, piece
    assert "patience" not in done


@pytest.mark.parametrize(
    ("table", "changes", "told"),
    [
        ("training", {"epochs": None, "updates": 700}, "700 updates a run"),
        ("training", {"epochs": None, "examples": 9000}, "9,000 examples a run"),
        ("training", {"epochs": None}, "20 epochs a run"),
        ("training", {"patience": 7}, "no better metric in 7 evaluations"),
        ("compare", {"seconds": 2.5}, "2.5 s of training a run"),
        ("compare", {"train_until": "target"}, "Runs stop at the target."),
    ],
)
def test_the_budget_is_told_as_it_was_given(table: str, changes: dict[str, Any], told: str) -> None:
    """Epochs, updates, examples or seconds, patience and where runs stop: as the settings have them."""
    record = comparison(seeds=2, measured=0)
    assert told in prose(render(protocol(replace(record, settings=with_setting(record, table, **changes)), EN)))


def with_setting(record: Record, table: str, **changes: Any) -> dict[str, Any]:
    return {**record.settings, table: {**record.settings[table], **changes}}


# ------------------------------------------------------------------ cautions


@cache
def clean() -> Record:
    """A comparison without a pitfall: ten seeds on five divisions, six measured, many rows, fine evaluation, all reached."""
    record = comparison(seeds=10, measured=6)
    rows = {"training": ROWS, "validation": 2000, "test": 2000}
    data = {**record.data, "rows": rows, "divisions": 5, "own_rows": True}
    return replace(record, data=data, arms=tuple(fine(arm, 0.01) for arm in record.arms))


def fine(arm: ArmRecord, resolution: float) -> ArmRecord:
    """The arm whose runs on fresh seeds pass the target at update 1,000, known to within a share of it."""
    updates = (1, 1000 - round(1000 * resolution), 1000, 2000)
    values = (0.1, 0.2, 0.96, 0.97)
    history = History((1, 2, 3, 4), updates, updates, (0.1, 0.5, 1.0, 2.0), (1.0,) * 4, (1.0,) * 4, values)
    return fresh(arm, lambda run: replace(run, history=history))


def fresh(arm: ArmRecord, change: Callable[[TrialRecord], TrialRecord], place: int | None = None) -> ArmRecord:
    """The arm with its fresh runs changed, all or one."""
    assert arm.fastest is not None
    runs = tuple(change(run) if place in (None, run.number) else run for run in arm.fastest.runs)
    winner = replace(arm.fastest, runs=runs)
    return replace(arm, fastest=winner, best=winner)


def first_arm(change: Callable[[ArmRecord], ArmRecord]) -> Record:
    return replace(clean(), arms=(change(clean().arms[0]), *clean().arms[1:]))


def after_five(run: TrialRecord) -> str:
    return "complete" if run.number < 5 else "running"


def never(run: TrialRecord) -> TrialRecord:
    assert run.history is not None
    return replace(run, history=replace(run.history, metric=(0.1,) * len(run.history)))


def narrow(arm: ArmRecord) -> ArmRecord:
    """The arm without the learning rates above the tuned one, in as many trials as before."""
    assert arm.fastest is not None
    upto = [t for t in arm.trials if t.params["learning_rate"] <= arm.fastest.learning_rate]
    again = [replace(upto[k % len(upto)], number=k) for k in range(len(arm.trials))]
    return replace(arm, trials=tuple(again))


def unmeasured(arm: ArmRecord) -> ArmRecord:
    assert arm.fastest is not None
    return replace(arm, fastest=replace(arm.fastest, measured={k: arm.fastest.measured[k] for k in (0, 2)}))


def other_best(arm: ArmRecord) -> ArmRecord:
    """The arm whose best setting is another one than the fastest, and diverged once."""
    assert arm.best is not None
    lost = replace(arm.best.runs[3], outcome="diverged", history=History())
    return replace(arm, best=replace(arm.best, trial=0, runs=(*arm.best.runs[:3], lost, *arm.best.runs[4:])))


def only(*sizes: int) -> Record:
    return replace(clean(), arms=tuple(arm for arm in clean().arms if arm.batch_size in sizes))


CAUTIONS: dict[str, tuple[Callable[[], Record], dict[str, str]]] = {
    "edge": (lambda: first_arm(narrow), {"names": "SGD"}),
    "chosen": (lambda: replace(clean(), target_given=False), {}),
    "unequal": (
        lambda: first_arm(lambda arm: replace(arm, trials=arm.trials[:9])),
        {"least": "9", "most": "12"},
    ),
    "no_full": (lambda: only(1, 8, 64), {}),
    "no_one": (lambda: only(8, 64, ROWS), {}),
    "few_seeds": (
        lambda: first_arm(lambda arm: fresh(arm, lambda run: replace(run, state=after_five(run)))),
        {"seeds": "5 fresh seeds", "enough": "6"},
    ),
    "no_winner": (lambda: first_arm(lambda arm: replace(arm, fastest=None)), {"names": "SGD"}),
    "censored": (lambda: first_arm(lambda arm: fresh(arm, never, place=4)), {"names": "SGD"}),
    "diverged": (
        lambda: first_arm(lambda arm: fresh(arm, lambda run: replace(run, outcome="diverged"), place=4)),
        {"names": "SGD"},
    ),
    "coarse": (
        lambda: first_arm(lambda arm: fine(arm, 0.07)),
        {"names": "SGD (within 7\u00a0%)", "wanted": "2\u00a0%"},
    ),
    "cut": (lambda: replace(clean(), settings=with_setting(clean(), "compare", train_until="target")), {}),
    "few_measured": (lambda: first_arm(unmeasured), {"runs": "2", "enough": "6"}),
    "small_validation": (
        lambda: replace(clean(), data={**clean().data, "rows": {**clean().data["rows"], "validation": 999}}),
        {"rows": "999"},
    ),
    "one_split": (lambda: with_data(divisions=1), {}),
    "shared_rows": (lambda: with_data(own_rows=False), {}),
}


def with_data(**changes: Any) -> Record:
    return replace(clean(), data={**clean().data, **changes})


@pytest.mark.parametrize("name", CAUTIONS)
def test_each_pitfall_is_warned_of_and_no_other(name: str) -> None:
    """A record with one pitfall has its caution, with its numbers, and no other; one without has none."""
    make, values = CAUTIONS[name]
    assert warnings(make(), EN) == [EN(f"caution.{name}", **values)]
    assert warnings(clean(), EN) == []


def test_what_questions_the_scores_is_warned_of() -> None:
    """What is in doubt of the data stands among the cautions."""
    doubt = "Column 'a' alone tells the target exactly."
    assert warnings(with_data(doubts=[doubt]), EN) == [doubt]


def test_all_cautions_have_their_record() -> None:
    """There is no caution that the records above do not bring about."""
    assert {key.removeprefix("caution.") for key in sentences("en") if key.startswith("caution.")} == set(CAUTIONS)


def test_a_best_setting_that_diverged_is_warned_of() -> None:
    """Runs on fresh seeds are those of the best setting too, where it is not the fastest one."""
    assert EN("caution.diverged", names="SGD") in warnings(first_arm(other_best), EN)


def test_an_arm_that_never_reached_has_no_best_rate_at_the_edge() -> None:
    """Where no rate reached the target there is no best one, so that none lies at the edge."""

    def hopeless(arm: ArmRecord) -> ArmRecord:
        return replace(arm, trials=tuple(replace(t, history=None) for t in arm.trials), fastest=None)

    found = warnings(first_arm(hopeless), EN)
    assert EN("caution.no_winner", names="SGD") in found
    assert not any(EN("caution.edge", names="SGD") == line for line in found)


def test_cautions_stand_on_the_page(full: str) -> None:
    """The page's box has the lines of the record's cautions, no more and no fewer."""
    box = full[full.index('id="warnings"') : full.index("<nav>")]
    lines = [prose(item).strip() for item in re.findall(r"<li>(.*?)</li>", box)]
    assert lines == [line.replace("\u00a0", " ") for line in warnings(whole(), EN)]
    assert len(lines) > 2


# ------------------------------------------------------------------ records that are not whole


def test_a_record_while_tuning() -> None:
    """Without a target and winners the page says what is asked, concludes nothing, and counts the trials that ended."""
    html = page(tuning(), EN)
    seen = prose(html)
    assert "1,024 training rows" in seen
    assert "The target" not in seen
    assert 'id="glance"' not in html
    assert {row[-1] for row in cells(html, "runs")} == {"5"}
    assert (
        seen.count("There are no runs on fresh seeds of SGD (batch size 1), a mini-batch and the full batch (GD).") == 2
    )
    assert seen.count("There are no runs on fresh seeds of a mini-batch and the full batch (GD).") == 1
    assert seen.count("Runs measured update by update beyond the target: SGD 0, GD 0;") == 2
    assert seen.count(sentences("en")["verdict.untested"]) == 2
    assert "not supported" not in seen


def test_only_plain_gradient_steps_on_one_row_are_called_sgd() -> None:
    """A caution on two optimizers names Adam's batch sizes by their numbers: Adam on one row is no SGD."""
    record = comparison((1, 8, ROWS), ("sgd", "adam"), seeds=5)
    arms = tuple(fine(arm, 0.07) for arm in record.arms)
    (said,) = [line for line in warnings(replace(record, arms=arms), EN) if "within the first updates" in line]
    assert "sgd: SGD (within 7\u00a0%)" in said
    assert "adam: batch size 1 (within 7\u00a0%)" in said
    assert "adam: SGD" not in said
    assert "adam: GD" not in said


def test_scores_that_did_not_vary_have_no_interval() -> None:
    """Where all runs have one test score it stands alone, in the table of three and in that of all batch sizes."""
    record = comparison((1, 8, ROWS), seeds=5)

    def perfect(run: TrialRecord) -> TrialRecord:
        return replace(run, scores={**run.scores, "test": {"loss": 0.0, "metric": 1.0}})

    seen = prose(page(replace(record, arms=tuple(fresh(arm, perfect) for arm in record.arms)), EN))
    assert "100.0 %" in seen
    assert not re.search(r"100\.0 % (?:\()?100\.0 % to 100\.0 %", seen)


def test_a_comparison_in_which_every_trial_failed_is_short() -> None:
    """It says how they ended and which rates to try, and has no verdicts, no figures and no dead links."""
    record = tuning()
    gone: dict[str, Any] = {"state": "complete", "outcome": "diverged", "history": None, "value": 0.0}
    arms = tuple(replace(arm, trials=tuple(replace(t, **gone) for t in arm.trials)) for arm in record.arms)
    html = page(replace(record, arms=arms), EN)
    seen = prose(html)
    trials = sum(len(arm.trials) for arm in arms)
    assert f"No trial ended with a usable network All {trials} trials ended as “diverged”." in seen
    assert "Every learning rate from 0.003906 to " in seen
    assert "--set learning_rate.low=1e-06 --set learning_rate.high=1e-03" in seen
    assert 'class="badge' not in html
    assert "about-" not in html
    assert "fresh seeds" not in seen.partition("How it was done")[0]
    one = replace(arms[0].trials[0], outcome="finished")
    lucky = replace(arms[0], trials=(one, *arms[0].trials[1:]))
    assert "No trial ended" not in prose(page(replace(record, arms=(lucky, *arms[1:])), EN))


def test_escape_tests_alone() -> None:
    """The page of the escape tests has their five figures and their protocol, and nothing of data, runs or batch sizes."""
    html = page(escaping(), EN)
    seen = prose(html)
    assert sentences("en")["page.asked_minima"] in seen
    assert re.findall(r'id="about-(\w+)"', html) == [
        "escape_teacher",
        "escape_updates",
        "escape_instability",
        "escape_thermal",
        "escape_dead",
    ]
    assert "20 runs in each cell of the one-dimensional tests; 40 networks" in seen
    assert not re.search(r'id="(runs|checks|glance|warnings)"', html)
    assert "Do they escape?" in seen


def test_a_record_without_anything() -> None:
    """A comparison that has just begun is a small page without scripts, and concludes nothing."""
    html = page(replace(comparison(arms=()), shared={}), EN)
    assert len(html) < 60_000
    assert "<script" not in html
    assert html.count('class="badge thin"') == 7


@pytest.mark.slow
def test_minimised_metrics_are_told_with_their_direction() -> None:
    """An error has to fall below its target."""
    record = comparison(seeds=2, measured=0)
    data = {**record.data, "metric": "rmse", "direction": "minimize", "task": "regression", "head": "linear"}
    seen = prose(page(replace(record, direction="minimize", data=data, target=0.5), EN))
    assert "RMSE below 0.5" in seen


@pytest.mark.slow
def test_the_report_needs_no_torch(tmp_path: Path) -> None:
    """Making a comparison's report imports neither torch nor anything that trains."""
    code = (
        "import sys; from pathlib import Path; from tests.support.comparisons import comparison;"
        "from hpsearch.comparison.page import write_comparison;"
        f"write_comparison(comparison(seeds=2, measured=0), Path({str(tmp_path)!r}));"
        "print([m for m in sys.modules if m == 'torch' or m.startswith(('hpsearch.training', 'hpsearch.comparison.study'))])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ------------------------------------------------------------------ hostile names

EVIL = (
    '"><img src=x onerror="window.pwned=3">',
    "</script><!-- <b>bold</b> &lt;i&gt; {braces} %{x}",
    "\u202e\u200f\x1b[31m\x00\u2028<svg onload=window.pwned=7>",
    "x" * 10_000,
)


@cache
def hostile(evil: str) -> Record:
    """The whole comparison in which everything that a stranger could name is named so."""
    record = comparison((1, 8, ROWS), ("sgd", evil), seeds=3, measured=1, minima=escapes.minima())
    data = {**record.data, **dict.fromkeys(("name", "title", "metric", "task", "hash"), evil)}
    space = {**record.settings["space"], "activation": [evil, "plain"], evil: evil}
    settings = {
        **record.settings,
        "study": {"name": evil, "question": evil, "seed": 1},
        "space": space,
        "search": {"sampler": evil, "metric": evil},
    }
    made = {
        **MADE,
        "device": evil,
        "versions": {evil: evil},
        "architecture": {"widths": [8], "activation": evil},
        "registered": {**MADE["registered"], "error": evil},  # type: ignore[dict-item]
    }
    return replace(record, name=evil, data=data, settings=settings, made=made)


class Outline(HTMLParser):
    """The elements of a page with their attributes, in order, and that they close as they opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(html: str) -> list[tuple[str, tuple[str, ...]]]:
    parser = Outline()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser.elements


@cache
def tame() -> str:
    return page(hostile("tame name"), EN)


def strings(value: Any) -> Iterator[str]:
    """Every text of a figure that plotly shows as markup: names, titles, ticks, texts of marks and of hovers."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


@pytest.mark.slow
@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_hostile_names_stay_text(evil: str) -> None:
    """Names full of markup, hidden characters or 10,000 letters give the page the same elements as a tame one, and stay of a size."""
    html = page(hostile(evil), EN)
    assert outline(html) == outline(tame())
    assert len(html) < len(tame()) + 200_000
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]", html.split("<script>")[0]
    )


@pytest.mark.slow
@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_hostile_names_are_no_markup_in_figures(evil: str) -> None:
    """In every figure the tags are those of our own sentences: br, b, sub, and none that a name brought; no name is endless."""
    record = hostile(evil)
    for row in COMPARISON_FIGURES:
        figure = row.draw(record, EN)
        for text in strings(figure_json(figure)) if figure is not None else ():
            assert set(re.findall(r"<[^>]*>", text)) <= {
                "<br>",
                "<b>",
                "</b>",
                "<sub>",
                "</sub>",
                "<extra>",
                "</extra>",
            }, row
            assert len(text) < 2_000, row.name
            assert not re.search("[\x00-\x09\x0b-\x1f\u200b-\u200f\u2028-\u202e]", text), row.name
