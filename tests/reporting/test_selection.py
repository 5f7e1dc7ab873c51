"""What is said of the model that is kept: which it is, why, how often the test rows were used; in page, terminal, notebook and figures."""

from collections.abc import Mapping
from dataclasses import replace
from math import nan
from typing import Any

import pytest

from hpsearch.reporting import page
from hpsearch.reporting.figures import FIGURES
from hpsearch.reporting.formatting import (
    SPACE,
    MetricFormat,
    fixed,
    interval,
    number,
    shares,
    short,
)
from hpsearch.reporting.notebook import fragment
from hpsearch.reporting.ranking import ranked
from hpsearch.reporting.screen import Screen
from hpsearch.reporting.selection import certainty, luck, marks, of_trials, why
from hpsearch.reporting.summary import result_values, scores
from hpsearch.reporting.tables import frames
from hpsearch.storage import StudyRecord
from hpsearch.storage.records import Score, StudyResult
from tests.support.prose import prose
from tests.support.records import confirmed, ensembled, of_earlier_version, study, unfinished


def screen(record: StudyRecord, capsys: pytest.CaptureFixture[str]) -> str:
    Screen("accuracy").conclude(record, "report.html")
    return capsys.readouterr().out


def told(record: StudyRecord, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Page, notebook and terminal of a study."""
    return [prose(page(record, frames(record))), prose(fragment(record)), screen(record, capsys)]


def held_out(record: StudyRecord, temperature: float = 1.0, **figures: Any) -> StudyRecord:
    """A study of whose model 270 held-out rows say these figures."""
    combination = {"shares": [1.0], "temperature": temperature, "errors": None}
    known = {"rows": 270, "value": 0.97, "low": 0.948, "high": 0.985, "loss": 0.36, "calibrated_loss": 0.31, **figures}
    return replace(record, result={**record.result, "held_out": known, "combination": combination})


def test_how_sure_predictions_are_is_told() -> None:
    """A temperature with the loss before and after; that too few rows gave none, or none was better; how far numbers are off."""
    record = confirmed(study())
    assert certainty(record) == ""
    said = certainty(held_out(record, 1.4, fewest=100))
    assert (
        "temperature 1.4, which divides the logits, lowers the loss on 270 rows that no network trained on from 0.36 to 0.31."
        in said
    )
    assert "300 rows that no network trained on are needed, and there are 270 rows." in certainty(
        held_out(record, fewest=300)
    )
    assert "no temperature lowers the loss of 0.36." in certainty(held_out(record, fewest=100))
    numbers = certainty(held_out(record, nine_tenths=[12.3456]))
    assert "Nine tenths of 270 rows that no network trained on are predicted to within ± 12.3;" in numbers


def test_the_validation_value_has_an_interval_over_rows_beside_that_over_seeds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Terminal and page name what each interval is over; a study of an earlier version knows the one over seeds alone.

    That over rows is of one run, whose value is said where it is another than the mean: here 97.0 % beside a mean of 97.3 %.
    """
    record = confirmed(study())
    of_run = "over seeds 96.7 to 97.9 %, a further seed 97.0 %, over rows 94.8 to 98.5 %"
    assert of_run in screen(held_out(record), capsys)
    assert "over rows 94.8" not in screen(record, capsys)
    values = scores(held_out(record))
    assert values["mean"].remark.replace("\u00a0", " ").endswith(of_run)
    equal = scores(held_out(record, value=0.9733))["mean"].remark
    assert equal.endswith("over seeds 96.7 to 97.9\u00a0%, over rows 94.8 to 98.5\u00a0%")


def test_an_ensemble_of_shares_is_told_with_them_and_with_its_loss() -> None:
    """Each trial's share stands beside it, and the sentence on the choice gives the losses that decided."""
    record = ensembled(study())
    choice = {**record.result["choice"], "loss": {"single": 0.1204, "ensemble": 0.1198}}
    combination = {"shares": [0.5, 0.3, 0.2], "temperature": 1.0, "errors": None}
    weighted = replace(record, result={**record.result, "choice": choice, "combination": combination})
    first = result_values(weighted)[0].remark
    assert "weighted mean" in first
    assert "(50\u00a0%)" in first
    said = why(choice, MetricFormat.of(record))
    assert "reach a loss of 0.1198 (accuracy 97.9" in said
    assert "the first of them 0.1204" in said
    assert "The loss decides: the ensemble is selected." in said
    said = why({**choice, "loss": {**choice["loss"], "error": 0.0021}}, MetricFormat.of(record))
    assert "by more than the standard error of the difference, 0.0021: the ensemble is selected." in said


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False])
def test_everywhere_is_said_which_model_is_kept_and_why(kept: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """The page, the notebook's HTML and the terminal give both values and the model; the headline's value is the kept model's."""
    record = ensembled(study(), kept=kept)
    trials = [row["trial"] for row in record.result["confirmed"]]
    for said, values in zip(told(record, capsys), [("96.8 %", "97.9 %")] * 3, strict=True):
        one, three = values if kept else values[::-1]
        assert f"3 networks together reach accuracy {three}, one of them {one}" in said
        assert f"{'the ensemble' if kept else 'the single network'} is selected" in said
    html, notebook, terminal = told(record, capsys)
    assert (of_trials(trials) in terminal) == kept
    assert f"Selected model: {'an ensemble of 3 networks' if kept else 'one network'}" in html
    if kept:
        assert "Validation accuracy 97.9 % mean over 3 further seeds" in html
        assert "An ensemble of 3 networks (trials" in notebook
        assert "123,456" in html
    else:
        assert "Validation accuracy 97.3 % mean over 5 fresh seeds" in html


def test_everywhere_the_usable_trials_are_counted_alike(capsys: pytest.CaptureFixture[str]) -> None:
    """Page, figures, notebook and terminal count the same trials in the same words, and the page says which these are."""
    record = study(12)
    failed = replace(record.trials[5], state="complete", outcome="diverged", value=0.0)
    record = replace(record, trials=(*record.trials[:5], failed, *record.trials[6:]))
    usable = len(ranked(record))
    assert usable < 12
    page_, notebook, terminal = told(record, capsys)
    assert (
        f"A usable trial trained to its end, did not fail, has a value, and repeats no earlier trial's hyperparameters: {usable} of 12"
        in page_
    )
    for said in (
        f"Only {usable} usable trials: read every comparison as a hint.",
        f"Lowest validation values of {usable} usable trials." if record.direction == "minimize"
        else f"Highest validation values of {usable} usable trials.",
        f"Best of {usable} usable trials: ",
        f"is the best of {usable} usable trials and so tends to be too good",
        f"of 12 trials, {usable} of them usable",
        "Not enough evidence: 12 trials with a value, failed and pruned ones too; at least 20 are needed",
    ):  # fmt: skip
        assert said in page_, said
    assert f"best of {usable} usable trials" in notebook
    assert f"best of {usable} usable trials" in terminal
    assert f"of 12 trials, {usable} of them usable: " in terminal
    for word in ("trained networks", "ended trials"):
        assert word not in page_ + notebook + terminal


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 3])
def test_looks_at_the_test_rows_are_said_in_one_sentence(times: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The same sentence, with the true number, is in the page, the notebook and the terminal."""
    record = confirmed(study())
    sentence = "The test rows were used once, by the selected model." if times == 1 else "used 3 times"
    for said in told(replace(record, result={**record.result, "looks": times}), capsys):
        assert said.count(sentence) == 1


@pytest.mark.slow
def test_what_the_earlier_version_wrote_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    """Its ensemble is what it kept, unjudged; the headline has that one's test value; single network and ensemble were two looks."""
    record = of_earlier_version(study())
    assert len(record.selected.networks) == 3
    assert record.selected.test is not None
    assert record.selected.test.value == 0.965
    assert record.selected.mean is None
    assert record.selected.looks == 2
    html, notebook, terminal = told(record, capsys)
    for said in (html, notebook, terminal):
        assert "used 2 times" in said
        assert "further seeds" not in said
    assert "96.5 % accuracy on new data" in html
    assert "accuracy 96.5 %" in terminal
    assert StudyResult.of({**record.result, "scorings": 2}).looks == 3
    results: list[Mapping[str, Any]] = [{}, study().result, {"test": {}}]
    assert [StudyResult.of(result).looks for result in results] == [0, 1, 0]


def test_a_value_that_is_known_takes_no_other_look() -> None:
    """Of the earlier version both values are known; of this one the kept model's alone; of other networks none."""
    old, new = of_earlier_version(study()).result, ensembled(study()).result
    for result in (old, new):
        selected = StudyResult.of(result)
        assert Score.of(selected.tested[selected.networks], "rows") == selected.test
        assert ((99, None),) not in selected.tested
        assert selected.networks[:2] not in selected.tested
    first = StudyResult.of(old).networks[:1]
    assert StudyResult.of(old).tested[first] == old["test"]
    assert StudyResult.of(new).networks[:1] not in StudyResult.of(new).tested
    assert ((0, None),) not in StudyResult.of({}).tested


def test_luck_is_said_as_the_numbers_have_it() -> None:
    """Optimistic is only a best value whose own mean is surely worse; one that its mean reaches is not."""
    metric = MetricFormat.of(study())
    for gap, said in (
        (
            {"value": 0.02, "low": 0.01, "high": 0.03},
            "2.0 percentage points better than its own hyperparameters on fresh seeds: optimistic",
        ),
        ({"value": 0.02, "low": -0.01, "high": 0.05}, "which may be chance"),
        ({"value": -0.01, "low": -0.02, "high": 0.0}, "no better than its own hyperparameters on fresh seeds"),
    ):
        assert said in luck({"gaps": {"search": gap}}, metric)
        assert ("optimistic" in luck({"gaps": {"search": gap}}, metric)) == (gap["low"] > 0)


@pytest.mark.slow
def test_a_better_fresh_mean_is_not_called_optimism(capsys: pytest.CaptureFixture[str]) -> None:
    """Where fresh seeds do better than the search's best, neither terminal nor page call that value optimistic."""
    record = confirmed(study(), winner=0)
    gaps = record.result["gaps"] | {"search": {"value": -0.004, "low": -0.009, "high": 0.001}}
    html, _, terminal = told(replace(record, result={**record.result, "gaps": gaps}), capsys)
    assert "optimistic" not in terminal
    assert "is 0.4 percentage points better than in the search (95 % interval −0.1 to 0.9)" in html
    assert "inflated by selection" not in html


def test_every_figure_marks_the_kept_trial_and_the_search_s_best() -> None:
    """Where a confirmation changed the winner, each figure of trials has both in its legend, at their places."""
    record = confirmed(study(), winner=1)
    kept, best = record.result["trial"], record.result["search"]["trial"]
    assert [(mark.name, mark.trials) for mark in marks(record)] == [
        ("selected", (kept,)),
        ("best of the search", (best,)),
    ]
    tables, values = frames(record), {trial.number: trial.value for trial in record.trials}
    for name in ("history", "axes", "parallel", "size"):
        figure = FIGURES[name].draw(tables, record)
        assert figure is not None
        traces = {trace.name: trace for trace in figure.data}
        for mark, trial in (("selected", kept), ("best of the search", best)):
            assert values[trial] in [pytest.approx(y, abs=1e-6) for y in traces[mark].y] or name == "parallel"
    curves = FIGURES["curves"].draw(tables, record)
    assert curves is not None
    widths = {trace.name: trace.line.width for trace in curves.data if trace.name and trace.name.startswith("trial")}
    assert widths[f"trial {kept}, selected"] == 3
    assert widths[f"trial {best}, best of the search"] < 3
    trust = FIGURES["confirmed"].draw(tables, record)
    assert trust is not None
    assert {f"<b>trial {kept}</b><br>selected", f"trial {best}<br>best of the search"} <= set(
        trust.layout.yaxis.ticktext
    )


def test_marks_of_one_best_an_ensemble_and_a_running_search() -> None:
    """One mark where kept and best are the same; all members of an ensemble; the best so far before there is a result."""
    same = confirmed(study(), winner=0)
    assert [mark.name for mark in marks(same)] == ["selected"]
    together = ensembled(study())
    first, best = marks(together)
    assert (first.name, len(first.trials)) == ("selected (ensemble of 3)", 3)
    assert best.trials == (together.result["search"]["trial"],)
    assert [mark.name for mark in marks(unfinished())] == ["best so far"]
    assert marks(study(0)) == []
    ticks = FIGURES["confirmed"].draw(frames(together), together).layout.yaxis.ticktext  # type: ignore[union-attr]
    assert ticks[:2] == ("<b>ensemble of 3</b><br>selected", "<b>selected</b>, on test rows")


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.951, 0.965, "95.1 to 96.5 %"),
        (0.99991, 0.99994, "99.991 to 99.994 %"),
        (1.0, 1.0, "100.0 % alone, since nothing varied"),
        (None, 0.9, "– to 90.0 %"),
        (-1e-9, 1e-9, "−0.0000001 to 0.0000001 %"),
    ],
)
def test_ends_of_an_interval_are_told_apart(low: float | None, high: float, said: str) -> None:
    """As many digits as it takes; one value, with the reason, where the ends are equal."""
    assert MetricFormat.named("accuracy", maximize=True).between(low, high).replace(SPACE, " ") == said


def test_numbers_near_each_other_of_other_metrics() -> None:
    """Four digits and more where they are needed; also thousands, differences, shares and what terminals show."""
    r2, rmse = MetricFormat.named("r2", maximize=True), MetricFormat.named("rmse", maximize=False)
    assert r2.between(0.99996, 0.99997) == "0.99996 to 0.99997"
    assert r2.between(1.0, 1.0) == "1.000 alone, since nothing varied"
    assert rmse.between(33712.2, 33712.4) == "33,712.2 to 33,712.4"
    assert rmse.distinct(2.00001, 2.00002) == ("2.00001", "2.00002")
    assert MetricFormat.named("accuracy", maximize=True).differences(-0.00001, 0.00002) == "−0.001 to 0.002"
    assert shares(0.25, 0.254).replace(SPACE, " ") == "25.0 % to 25.4 %"
    assert interval(0.98765, 0.98766, short) == "0.98765 to 0.98766"
    assert why(None, rmse) == ""


def test_zero_has_no_sign() -> None:
    """No formatter writes a negative zero, whatever rounds to it."""
    accuracy = MetricFormat.named("accuracy", maximize=True)
    for text in (
        fixed(-0.0, 1), fixed(-0.04, 1), number(-0.0), short(-0.0), accuracy.differences(-0.0, 0.0),
        accuracy.text(-0.0), accuracy.text(-0.00001), accuracy.gap(-0.0, 0.0), MetricFormat.named("r2", maximize=True).text(-0.0),
    ):  # fmt: skip
        assert not text.startswith(("-", "−")), text
    assert fixed(-1234.5, 1) == "−1,234.5"
    assert number(-1234.5) == "−1,234"
    assert accuracy.gap(0.00001, 0.0) == "less than 0.1 percentage points"
    assert accuracy.text(nan) == "–"
