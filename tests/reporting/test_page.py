"""The report: complete and sensible for every state of a study, escaped, self-contained, without torch."""

import re
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html import unescape
from pathlib import Path

import pytest

from hpsearch.errors import UserError
from hpsearch.locales import ENGLISH
from hpsearch.reporting import page, write_report
from hpsearch.reporting.figures import FIGURES
from hpsearch.reporting.pieces import Link, PageTable, Paragraph
from hpsearch.reporting.rendering import plotly_script, render, script_json
from hpsearch.reporting.tables import frames
from hpsearch.reporting.trust import warnings
from hpsearch.storage import StudyRecord
from tests.support.prose import prose
from tests.support.records import DATA, confirmed, study, trials, unfinished


def made(record: StudyRecord) -> str:
    return page(record, frames(record))


@pytest.fixture(scope="module")
def full() -> str:
    return made(study())


def test_the_page_answers_in_order(full: str) -> None:
    """Question, result with its interval, warnings, leaderboard, figures, those for specialists, parameters, outcomes, protocol."""
    seen = prose(full)
    rows = [row for row in FIGURES.values() if row.applies(study())]
    shown = [row for row in rows if not row.folded]
    folded = [row for row in rows if row.folded]
    wanted = [
        "How small a dense network",
        "97.4 % accuracy on new data",
        "95 % interval over rows 94.7 to 98.7 %, 270 rows",
        "2 hidden layers of 256 units, tanh",
        "python -m hpsearch predict digits new.csv",
        "Validation accuracy",
        "The test rows were used once, by the selected model.",
        "Please note",
        "The selected trial's width, 256, lies at the high end",
        "Best trials",
        *(ENGLISH(f"search.figure.{row.name}.question") for row in (*shown, *folded)),
        "Parameters: 85,002 numbers",
        "A usable trial trained to its end",
        "1,257 for training",
        "sha256:9f2c",
    ]
    places = [seen.find(piece) for piece in wanted]
    assert -1 not in places, wanted[places.index(-1)]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (study(0), "No trial has begun yet."),
        (study(1), "of 1 trial"),
        (study(2), "Only 2 usable trials"),
        (unfinished(), "Not finished: as of 2026-03-14 14:02, 12 of 12 trials have ended and 3 are running."),
        (replace(study(0), trials=unfinished().trials[-3:]), "No trial has ended with a usable network yet."),
        (
            replace(
                study(0), trials=tuple(replace(t, outcome="diverged", state="complete", value=0.0) for t in trials(9))
            ),
            "All 9 trials ended as “diverged”. Every learning rate from",
        ),
    ],
)
def test_every_state_of_a_study_has_its_sentence(record: StudyRecord, sentence: str) -> None:
    """Nothing yet, one, two, running, all failed: the page says what is the case."""
    assert sentence in prose(made(record))


DIVERGED = replace(
    study(0), trials=tuple(replace(t, outcome="diverged", state="complete", value=0.0) for t in trials(9))
)


@pytest.mark.parametrize(
    "record",
    [
        study(),
        study(1),
        unfinished(),
        DIVERGED,
        replace(study(0), trials=unfinished().trials[-3:]),
        replace(study(3), data={}),
        replace(study(3), settings={}, data={}),
        replace(study(3), trials=tuple(replace(trial, params={}) for trial in trials(3))),
        replace(study(3), settings={}, data={}, trials=tuple(replace(trial, params={}) for trial in trials(3))),
    ],
    ids=["full", "one", "running", "none usable", "none ended", "no data", "no settings", "no parameters", "nothing"],
)
def test_contents_lead_to_sections_that_are_there(record: StudyRecord) -> None:
    """Every link within the page has its target, and every section and chapter of the first level is in the contents."""
    html = made(record)
    anchors = re.findall(r' id="([^"]+)"', html)
    links = re.findall(r'href="#([^"]+)"', html)
    assert set(links) <= set(anchors)
    assert re.findall(r'<(?:section|div class="chapter") id="([^"]+)"><h2', html) == links


def test_no_missing_number_is_shown(full: str) -> None:
    """No "nan", "None" or "NaT" reaches the reader."""
    for html in (full, made(study(1)), made(unfinished())):
        assert not re.search(r"\b(nan|None|NaT|<NA>)\b", prose(html).replace("loss = nan", ""))


@pytest.mark.slow
def test_regression_is_told_in_its_own_words() -> None:
    """An error metric that is minimised is no percentage and "lower is better"."""
    data = {**DATA, "task": "regression", "task_reason": "the target has 512 distinct numbers", "metric": "rmse"}
    data |= {"direction": "minimize", "head": "linear", "loss": "mean squared error", "classes": None, "outputs": 1}
    seen = prose(made(replace(study(40), direction="minimize", data=data, result={})))
    assert "regression: for each row a number is predicted" in seen.lower()
    assert "lower is better" in seen
    assert "Lowest validation values" in seen


@pytest.mark.parametrize(
    ("validation", "low", "high", "direction", "said"),
    [
        (0.99, 0.93, 0.98, "maximize", "it is inflated by selection. Rely on the test value"),
        (0.90, 0.93, 0.98, "maximize", "on the worse side"),
        (0.30, 0.35, 0.50, "minimize", "it is inflated by selection"),
        (0.60, 0.35, 0.50, "minimize", "on the worse side"),
        (0.95, 0.93, 0.98, "maximize", ""),
        (0.98, 0.93, 0.98, "maximize", ""),
    ],
)
def test_optimism_is_told(validation: float, low: float, high: float, direction: str, said: str) -> None:
    """A validation value outside the test rows' interval is warned of, on whichever side it lies; one inside is not."""
    record = study()
    result = {**record.result, "validation": validation, "test": {**record.result["test"], "low": low, "high": high}}
    lines = warnings(replace(record, result=result, direction=direction), [])
    found = [line for line in lines if "lies outside the test rows' 95\u00a0% interval" in line]
    assert len(found) == bool(said)
    assert all(said in line for line in found)


def test_warnings_speak_up() -> None:
    """Many diverged trials, repeats, few trials and indistinguishable leaders are each told, in one sentence."""
    record = study(30)
    lost = tuple(
        replace(t, outcome="diverged", state="complete", value=0.0) if t.number % 2 else t for t in record.trials
    )
    lost = (*lost, replace(lost[0], number=30, repeats=0))
    said = " ".join(warnings(replace(record, trials=lost), []))
    for piece in (
        "ended as “diverged”: try a lower maximum learning rate",
        "1 trial repeated",
        "read every comparison as a hint",
    ):
        assert piece in said
    assert "The best trial is tied with" in " ".join(warnings(study(), []))


@pytest.mark.slow
def test_the_policy_allows_only_the_page_s_own_scripts(full: str) -> None:
    """The policy's hashes are those of the scripts in the page, and nothing may be loaded."""
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', full)[1])  # type: ignore[index]
    scripts = re.findall(r"<script>(.*?)</script>", full, flags=re.DOTALL)
    assert len(scripts) == 3
    for script in [*scripts, plotly_script()]:
        assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy
    outside = re.sub(r"<script>.*?</script>", "", full, flags=re.DOTALL)
    assert not re.search(r"""(src|href)=["']?(https?:|//|javascript:|data:)""", outside)
    assert not re.search(r"\son\w+=", outside)


def test_a_page_without_figures_carries_no_script() -> None:
    """A study without trials is a few kilobytes and runs nothing."""
    html = made(study(0))
    assert "<script" not in html
    assert "script-src 'none'" in html
    assert len(html) < 50_000


def test_json_in_the_page_cannot_end_its_script() -> None:
    """`</script>` and `<!--` in data stay data."""
    assert "<" not in script_json({"x": "</script><!--", "y": "\u2028&"})
    assert "&" not in script_json("&lt;")


def test_text_is_escaped_and_links_stay_in_the_folder() -> None:
    """Markup becomes text; an address with a scheme or a way up is refused."""
    assert render(Paragraph("<b>\"'&\x00")) == '<p class="">&lt;b&gt;&#34;&#39;&amp;\\x00</p>'
    assert "<script" not in render(PageTable(["<script>"], [["<script>"]]))
    assert "<script" not in render(Paragraph("x", '"><script>'))
    for address in ("javascript:alert(1)", "https://x", "//x", "/etc/passwd", "../up"):
        with pytest.raises(ValueError, match="own folder"):
            Link("x", address)


@pytest.mark.slow
def test_links_lead_to_files_that_exist(tmp_path: Path) -> None:
    """Every relative link of the page is a file that was written beside it; every fragment is a section."""
    html = write_report(study(), tmp_path).read_text(encoding="utf-8")
    outside = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    for address in re.findall(r'href="([^"]+)"', outside):
        found = f'id="{address[1:]}"' in outside if address.startswith("#") else (tmp_path / address).is_file()
        assert found, address


@pytest.mark.slow
def test_a_folder_that_cannot_be_made_is_no_damage_of_the_study(tmp_path: Path) -> None:
    """A file in the place of the tables' folder is told as that, not as something in the storage."""
    (tmp_path / "tables").write_text("mine")
    with pytest.raises(UserError, match=r"tables: File exists\. Choose another folder"):
        write_report(study(), tmp_path)
    assert (tmp_path / "tables").read_text() == "mine"


def test_writing_twice_gives_the_same_page(tmp_path: Path) -> None:
    """The page is a function of the record; nothing temporary stays."""
    first = write_report(study(3), tmp_path).read_bytes()
    assert write_report(study(3), tmp_path).read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "tables"]


@pytest.mark.slow
def test_the_report_needs_no_torch(tmp_path: Path) -> None:
    """Making a report imports neither torch nor anything of the training room."""
    code = (
        "import sys; from pathlib import Path; from tests.support.records import study; from hpsearch.reporting import write_report;"
        f"write_report(study(3), Path({str(tmp_path)!r}));"
        "print([m for m in sys.modules if m == 'torch' or m.startswith('hpsearch.training')])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_honest_values_stand_beside_the_best_one() -> None:
    """Search value, fresh mean and test value in one sentence, the mean in the headline, and the luck that they show."""
    seen = prose(made(confirmed(study(), winner=0)))
    best, mean = "98.7 %", "97.3 % (96.7 to 97.9 %)"
    assert (
        f"Best value in the search {best}, the same hyperparameters on fresh seeds {mean}; on test rows 97.4 % (94.7 to 98.7 %)"
        in seen
    )
    assert "97.3 % mean over 5 fresh seeds, 95 % interval over seeds 96.7 to 97.9 %" in seen
    assert "The test rows were used once, by the selected model. Expect the test value" in seen
    assert "selection had inflated its score" in seen
    assert "its run on fresh seed 4 (97.9 %, 0.6 percentage points better than the mean)" in seen


@pytest.mark.slow
def test_a_test_value_above_the_mean_is_told_with_its_own_interval() -> None:
    """The interval of a difference is given to the side that the sentence names: better by 0.4, between -1.8 and 1.3."""
    record = confirmed(study(), winner=0)
    gaps = record.result["gaps"] | {"test": {"value": -0.0037, "low": -0.0129, "high": 0.0181}}
    seen = prose(made(replace(record, result={**record.result, "gaps": gaps})))
    assert (
        "On the test rows it is 0.4 percentage points better than the mean over fresh seeds (95 % interval −1.8 to 1.3)"
        in seen
    )


def test_another_winner_than_the_search_s_best_is_told() -> None:
    """Where fresh seeds change the order, the chosen trial is named beside the search's best, and marked among the leaders."""
    record = confirmed(study(), winner=1)
    html = made(record)
    assert f"Trial {record.result['trial']} has the best mean, 97.3 % (96.7 to 97.9 %), and was selected" in prose(html)
    assert "Marked: selected, by the best mean over fresh seeds." in prose(html)
    (marked,) = re.findall(r'<tr class="chosen"><td[^>]*>2</td><td[^>]*>(\d+)', html)
    assert int(marked) == record.result["trial"]


def test_what_weakens_a_confirmation_is_told() -> None:
    """Failed runs, seeds that there was no time for, no time at all, and a mean that the test rows do not allow."""
    record = confirmed(study(), failed=True)
    assert any("1\u00a0of\u00a05\u00a0diverged. Its mean is over the other 4" in line for line in warnings(record, []))
    short = replace(record, result={**record.result, "fresh": record.result["fresh"] | {"runs": 2}})
    assert any("Time ran out after 2 of 5 fresh seeds" in line for line in warnings(short, []))
    none = replace(record, result={**record.result, "fresh": None, "confirmed": []})
    assert any("No run on a fresh seed ended in time" in line for line in warnings(none, []))
    low = record.result["test"] | {"value": 0.93, "low": 0.90, "high": 0.95}
    outside = "The mean over fresh seeds, 97.3\u00a0%, lies outside"
    for gap, is_told in (
        ({"value": 0.043, "low": 0.02, "high": 0.07}, True),
        ({"value": 0.043, "low": -0.01, "high": 0.09}, False),
    ):
        far = replace(record, result={**record.result, "test": low, "gaps": {**record.result["gaps"], "test": gap}})
        assert any(outside in line for line in warnings(far, [])) is is_told


def test_without_test_rows_nothing_unbiased_is_known() -> None:
    """The page says that no test rows were held out, and shows no test score."""
    record = confirmed(study())
    result = {**record.result, "test": {}, "gaps": {"search": record.result["gaps"]["search"]}}
    seen = prose(made(replace(record, result=result, data={**DATA, "rows": {**DATA["rows"], "test": 0}})))
    assert "No test rows were held out, so there is no unbiased estimate" in seen
    assert "on new data" not in seen


def test_a_search_that_is_being_confirmed_says_so() -> None:
    """All trials told and no result yet: the page says what is going on."""
    record = replace(confirmed(study()), result={})
    assert any("its best trials are being trained again on fresh seeds" in line for line in warnings(record, []))


def test_a_page_stays_below_two_megabytes() -> None:
    """The page of a small study is under one megabyte: plotly.js, of the version that made the figures, lies in it compressed."""
    from plotly.offline import get_plotlyjs_version

    assert len(made(study(12))) < 1_000_000
    assert f"v{get_plotlyjs_version().partition('.')[0]}." in plotly_script()[:100]


@pytest.mark.slow
def test_the_page_of_five_thousand_trials_stays_below_two_megabytes() -> None:
    """Figures draw a choice of very many trials, so the page of a large study does not grow with it."""
    assert len(made(study(5000))) < 2_000_000


def test_a_bootstrap_of_few_test_rows_is_warned_of() -> None:
    """The interval of an RMSE over 60 rows is called too short; not over 100, and not that of an accuracy, which is no bootstrap."""

    def lines(metric: str, rows: int) -> list[str]:
        record = confirmed(study())
        result = {**record.result, "test": {**record.result["test"], "rows": rows}}
        return warnings(replace(record, data={**record.data, "metric": metric}, result=result), [])

    said = "from fewer than 100 the 95\u00a0% interval"
    assert any(said in line for line in lines("rmse", 60))
    assert not any(said in line for line in lines("rmse", 100) + lines("accuracy", 60))
