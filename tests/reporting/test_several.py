"""Several studies on one page: which is best and how sure that is, what differs, what cannot be compared."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

import hpsearch
from hpsearch.cli import main
from hpsearch.comparison.page.several import several_comparisons
from hpsearch.errors import UserError
from hpsearch.locales import Texts
from hpsearch.reporting.several import several_page
from hpsearch.reporting.several.contrast import basis, contrasts
from hpsearch.reporting.several.settings import labels
from hpsearch.statistics.paired_shares import paired_share_difference
from hpsearch.storage import StudyRecord
from hpsearch.study_report import several_file
from tests.support.comparisons import comparison
from tests.support.prose import prose
from tests.support.records import confirmed, study

ROWS = 270


def searched(name: str, value: float, *, half: float = 0.02, seed: int = 0, **result: Any) -> StudyRecord:
    """A finished search with a value on the test rows and its interval to both sides."""
    record = confirmed(study(24, seed, name))
    test = {**record.result["test"], "value": value, "low": value - half, "high": value + half}
    return replace(record, result={**record.result, "test": test, **result})


def with_rows(record: StudyRecord, right: Sequence[bool]) -> StudyRecord:
    """The study with what each test row gave."""
    packed = b64encode(np.packbits(np.asarray(right)).tobytes()).decode()
    test = {**record.result["test"], "value": sum(right) / len(right)}
    predicted = {"rows": "test", "count": len(right), "right_rows": packed}
    return replace(record, result={**record.result, "test": test, "predicted": predicted})


def on_other_rows(record: StudyRecord, **changes: Any) -> StudyRecord:
    return replace(record, data={**record.data, "hash": "another", **changes})


A = searched("one", 0.97)
B = searched("two", 0.96)


def test_the_data_tell_two_studies_apart_or_not() -> None:
    """A gap whose interval is above zero makes a study the best; one around zero is said to be undecided, with the interval."""
    clear = prose(several_page([searched("low", 0.9), A]))
    assert "one is best: 97.0 % accuracy on new data" in clear
    assert "Better than low (90.0 %) by 7.0 percentage points, 95 % interval 4.2 to 9.8" in clear
    unclear = prose(several_page([B, A]))
    assert "No study is surely best; one leads: 97.0 % accuracy on new data" in unclear
    said = "The data cannot tell it from two (96.0 %): better by 1.0 percentage point, 95 % interval −1.8 to 3.8"
    assert said in unclear


def test_the_same_rows_are_compared_row_by_row() -> None:
    """Where single rows are kept the interval is that of pairs, which leaves out what is hard for both; else it is said that it is not."""
    right = [True] * 250 + [False] * 20
    worse = [True] * 243 + [False] * 27
    pair = [with_rows(A, right), with_rows(B, worse)]
    (found,) = contrasts(pair, basis(pair))
    assert found.how == "paired"
    assert found.gap == paired_share_difference(right, worse)
    assert found.is_clear
    (apart,) = contrasts([pair[0], replace(pair[1], result={**pair[1].result, "predicted": {}})], "test")
    assert apart.how == "same"
    assert not apart.is_clear
    assert "row by row on the same 270 test rows" in prose(several_page(pair))
    (other,) = contrasts([pair[0], on_other_rows(pair[1])], "test")
    assert other.how == "other"


def test_rows_that_are_not_the_metric_s_are_not_paired() -> None:
    """Rows whose share is not the recorded accuracy, as with weights of rows, are no pairs."""
    pair = [with_rows(A, [True] * 250 + [False] * 20), with_rows(B, [True] * 243 + [False] * 27)]
    test = {**pair[0].result["test"], "value": 0.95}
    weighted = replace(pair[0], result={**pair[0].result, "test": test})
    (found,) = contrasts([weighted, pair[1]], "test")
    assert found.how == "same"


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_errors_of_numbers_are_paired(metric: str) -> None:
    """Of numbers the true and the predicted values make the pairs: the gap is that of the metric itself, its sign that of the better."""
    random = np.random.default_rng(0)
    true = random.normal(10, 3, 120)
    noise = random.normal(0, 1, 120)
    pair = [_regression(name, metric, true, true + size * noise) for name, size in (("rough", 1.0), ("fine", 0.8))]
    (found,) = contrasts(pair, basis(pair))
    assert (found.best.name, found.how) == ("fine", "paired")
    assert found.gap is not None
    first, second = (record.result["test"]["value"] for record in pair)
    assert found.gap.value == pytest.approx(abs(first - second))
    assert found.is_clear


def _regression(name: str, metric: str, true: Any, predicted: Any) -> StudyRecord:
    error = predicted - true
    values = {
        "rmse": float(np.sqrt((error**2).mean())),
        "mae": float(np.abs(error).mean()),
        "r2": float(1 - (error**2).mean() / true.var()),
    }
    direction = "maximize" if metric == "r2" else "minimize"
    record = searched(name, values[metric], half=0.3)
    predictions = {"rows": "test", "count": len(true), "targets": 1, "points": np.stack([true, predicted], 1).tolist()}
    data = {**record.data, "metric": metric, "direction": direction, "task": "regression"}
    return replace(record, direction=direction, data=data, result={**record.result, "predicted": predictions})


def test_studies_are_judged_by_what_all_have() -> None:
    """Without test rows in one of them all are judged by means over fresh seeds, without those by the searches' best, and it is said."""
    untested = replace(B, result={**B.result, "test": None})
    assert basis([A, untested]) == "mean"
    assert "Not every study has test rows" in prose(several_page([A, untested]))
    running = replace(B, result={})
    assert basis([A, running]) == "best"
    text = prose(several_page([A, running]))
    assert "of more trials the best is higher by luck alone" in text
    assert "nothing says how sure the difference is" in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metric": "f1"}, "different metrics: their values cannot be ranked"),
        ({"task": "binary"}, "different tasks: their values cannot be ranked"),
    ],
)
def test_what_cannot_be_ranked_is_not(changes: dict[str, Any], said: str) -> None:
    """Studies of other tasks or metrics have no best one, no common axis and a warning; the table is there."""
    page = several_page([A, on_other_rows(B, **changes)])
    text = prose(page)
    assert said in text
    assert "is best:" not in text
    assert " leads:" not in text
    assert ('id="about-courses"' in page) == ("metric" not in changes)
    assert "97.0 % (95.0 to 99.0 %)" in text


def test_other_data_are_warned_of() -> None:
    """Of other data, or of other rows of the same data, is warned; of the same ones not."""
    assert 'class="warnings"' not in several_page([A, B])
    assert "All have the data “Handwritten digits”, but not the same rows" in prose(several_page([A, on_other_rows(B)]))
    other = prose(several_page([A, on_other_rows(B, title="Letters")]))
    assert "Other data (one: Handwritten digits, two: Letters)" in other


def test_only_settings_that_differ_are_shown() -> None:
    """The table of settings has a row for each that is not the same everywhere, a range as one, and no other."""
    space = {**A.settings["space"], "width": {"low": 8, "high": 512, "log": True}}
    wider = replace(B, settings={**A.settings, "study": {"name": "two", "seed": 1}, "space": space})
    section = several_page([A, wider]).partition('id="settings"')[2]
    assert section.count("<tr") == 1 + 2
    assert "study.seed" in section
    assert "space.width" in section
    assert "16 … 256, log" in section
    assert "8 … 512, log" in section
    assert "No setting differs." in prose(several_page([A, replace(B, settings=A.settings)]))


def test_every_form_of_a_setting_is_shown() -> None:
    """First settings are a list of tables, and an optimizer has a learning rate of its own: a row each; so has a range's step."""
    rates = {"low": 1e-3, "high": 0.1, "log": True}
    start = [{"depth": 2, "optimizer": "adam"}, {"width": 64}]
    first = replace(
        A, settings=_with(A.settings, start, {**rates, "momentum": rates}, {"low": 8, "high": 64, "step": 8})
    )
    second = replace(B, settings=_with(A.settings, start[1:], {**rates, "momentum": 0.03}, {"low": 8, "high": 64}))
    section = several_page([first, second]).partition('id="settings"')[2]
    assert section.count("<tr") == 1 + 3
    for text in ("depth 2, optimizer adam; width 64<", "width 64<", "0.03<", "8 … 64, step 8<", "8 … 64<"):
        assert f">{text}" in section, text


def _with(settings: Mapping[str, Any], start: Any, rates: Any, width: Any) -> dict[str, Any]:
    """The settings with these first ones, learning rates and widths."""
    space = {**settings["space"], "learning_rate": rates, "width": width}
    return {**settings, "search": {**settings["search"], "start": start}, "space": space}


def test_studies_of_one_name_are_told_apart() -> None:
    """Two studies of one name have a number."""
    assert labels([A, A, B]) == ["one (1)", "one (2)", "two"]


def test_comparisons_stand_side_by_side() -> None:
    """Of comparisons each claim has a verdict from each, each batch size its costs; other targets are warned of; also in Korean."""
    pair = [comparison(), replace(comparison(target=0.9), name="other")]
    page = several_comparisons(pair)
    assert page.count("not enough evidence") + page.count("holds with a condition") == 2 * 7
    assert 'id="glance-1"' in page
    assert 'id="glance-2"' in page
    assert "costs of reaching them cannot be compared" in page
    assert "compare.target" in page
    korean = several_comparisons(pair, Texts("ko"))
    assert 'lang="ko"' in korean
    assert "판정" in korean


def test_a_page_of_several_from_python(tmp_path: Path) -> None:
    """`report` takes a list of Optuna studies and results, and writes one page where it is told to."""
    studies = []
    for name in ("left", "right"):
        made = optuna.create_study(study_name=name)
        made.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
        studies.append(made)
    page = hpsearch.report(studies, tmp_path / "both.html")
    assert page == tmp_path / "both.html"
    assert "left and right" in page.read_text(encoding="utf-8")
    compared = hpsearch.ComparisonResult(comparison(), tmp_path)
    assert "Verdicts" in hpsearch.report([compared, compared], tmp_path / "c.html").read_text(encoding="utf-8")
    with pytest.raises(UserError, match="'made' is a comparison and 'left' a search"):
        hpsearch.report([studies[0], compared])
    with pytest.raises(UserError, match="is no study"):
        hpsearch.report([studies[0], 3])  # type: ignore[list-item]
    with pytest.raises(UserError, match="two studies or more"):
        hpsearch.report([studies[0]])


def test_a_page_of_several_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`report URL --study A --study B` writes one page beside the studies' folders; --output takes it elsewhere, and overwrites nothing."""
    monkeypatch.chdir(tmp_path)
    for name in ("left", "right"):
        made = optuna.create_study(study_name=name, storage="sqlite:///both.db")
        made.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    words = ["report", "sqlite:///both.db", "--study", "left", "--study", "right"]
    assert main(words) == 0
    assert capsys.readouterr().out == "report reports/left-and-right.html\n"
    assert main([*words, "--output", "mine.html"]) == 0
    assert main([*words, "--output", "mine.html"]) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*words, "--output", "mine.html", "--force"]) == 0
    assert main(["report", "sqlite:///both.db", "--study", "left", "--output", "alone.html"]) == 0
    assert Path("alone.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert main([*words, "--study", "left"]) == 2
    assert "are one study. Give each study once." in capsys.readouterr().err
    assert main([*words, "--output", "mine.txt"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_s_name_has_the_first_studies() -> None:
    """The page of many studies is named after three of them and how many more there are."""
    assert several_file(["a", "b"]) == "a-and-b.html"
    assert several_file(["a", "b", "c", "d", "e"]) == "a-and-b-and-c-and-2-more.html"
