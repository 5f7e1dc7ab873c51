"""What the kept networks say of single rows, the trivial predictor beside them, and the page that shows both."""

import re
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import confusion_matrix, f1_score, log_loss, r2_score, roc_auc_score

from hpsearch.config import StudyConfig, check_config
from hpsearch.data import Data, from_arrays
from hpsearch.data.baseline import baseline
from hpsearch.data.dataset import Rows
from hpsearch.data.metrics import METRICS
from hpsearch.data.options import SplitOptions, TaskOptions
from hpsearch.data.tasks import TASKS
from hpsearch.model import load_model
from hpsearch.model.combination import ALONE
from hpsearch.model.pipeline import predict
from hpsearch.reporting import page
from hpsearch.reporting.figures import FIGURES
from hpsearch.reporting.figures.points import Heights, scale_of
from hpsearch.reporting.formatting import SPACE, MetricFormat, number, sentences
from hpsearch.reporting.ranking import hyperparameters, ranked
from hpsearch.reporting.summary import result_values
from hpsearch.reporting.tables import frames
from hpsearch.reporting.tables.writing import write
from hpsearch.reporting.trust import always, baseline_warning, beside, warnings
from hpsearch.searching import result as result_module
from hpsearch.searching import scoring
from hpsearch.searching.opening import open_study
from hpsearch.searching.result import POINTS, baseline_figures, predicted, sample, tenths_of
from hpsearch.searching.run_options import RunOptions
from hpsearch.searching.study import run_study
from hpsearch.statistics.estimates import student_mean
from hpsearch.storage import StudyRecord
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from hpsearch.training.engines import make_engine
from tests.support.records import study
from tests.support.small import small_data

EVIL = "<img src=x onerror=alert(1)>"


def measured(task: str, metric: str) -> Data:
    return replace(small_data(task), metric=METRICS[metric])


def known(data: Data, rows: Rows) -> Any:
    return data.original(rows.targets).numpy()


PAIRS = [(task, metric) for task, row in TASKS.items() if row.predicts != "labels" for metric in row.metrics]


@pytest.mark.parametrize(("task", "metric"), PAIRS)
def test_the_baseline_reaches_what_scikit_learn_s_metrics_say(task: str, metric: str) -> None:
    """For every metric of every task the stored values are those of a dummy of scikit-learn's, scored by scikit-learn's metric."""
    data = measured(task, metric)
    found = baseline_figures(data, refitted=False)
    for name, rows in (("validation", data.validation), ("test", data.test)):
        assert found[name] == pytest.approx(by_hand(data, metric, rows)), name


def by_hand(data: Data, metric: str, rows: Rows) -> float:
    """What one answer reaches, calculated without hpsearch's baseline."""
    training, true = known(data, data.training).ravel(), known(data, rows).ravel()
    if metric in ("rmse", "mae", "r2"):
        answer = np.median(training) if metric == "mae" else np.mean(training)
        return {
            "rmse": float(np.sqrt(np.mean((true - answer) ** 2))),
            "mae": float(np.mean(np.abs(true - answer))),
            "r2": float(r2_score(true, np.full(len(true), answer))),
        }[metric]
    counts = np.bincount(training.astype(int), minlength=len(data.classes))
    top, classes = int(counts.argmax()), len(data.classes)
    if metric == "mcc":
        return 0.0  # of one answer for all
    if metric == "f1" and classes == 2:
        return float(2 * true.mean() / (1 + true.mean()))  # always the second class: precision is its share, recall 1
    if metric == "f1":
        return float(f1_score(true, np.full(len(true), top), average="macro", zero_division=0))
    shares = np.tile(counts / counts.sum(), (len(true), 1))
    if metric == "roc_auc":
        scores = shares[:, 1] if classes == 2 else shares
        return float(roc_auc_score(true, scores, multi_class="ovr"))
    if metric == "log_loss":
        return float(log_loss(true, shares, labels=range(classes)))
    return float((true == top).mean()) if metric == "accuracy" else 1 / len(set(true))


@pytest.mark.parametrize("strategy", ["most_frequent", "prior"])
def test_a_baseline_of_classes_is_scikit_learn_s_own(strategy: str) -> None:
    """Its probabilities are those of a DummyClassifier on the labels as text, and a class that training rows lack has none."""
    labels = np.array(["b", "c", "c", "a", "c", "b", "c", "b"] * 8)
    data = from_arrays(np.arange(64.0).reshape(-1, 1), labels)
    data = replace(data, metric=METRICS["accuracy" if strategy == "most_frequent" else "log_loss"])
    own = np.array(data.classes)[data.training.targets]
    dummy = DummyClassifier(strategy=strategy).fit(own.reshape(-1, 1), own)
    answer, made = baseline(data, data.training, data.test)
    assert made.numpy() == pytest.approx(dummy.predict_proba(np.zeros((len(data.test), 1))))
    assert answer == ("c" if strategy == "most_frequent" else None)
    kept = data.training.targets != 0
    few = Rows(data.training.inputs[kept], data.training.targets[kept])
    assert baseline(data, few, data.test)[1][:, 0].tolist() == [0.0] * len(data.test)


def test_a_baseline_of_several_targets_has_an_answer_for_each() -> None:
    """Two targets: both means, in the targets' own units, as a DummyRegressor's."""
    generator = np.random.default_rng(0)
    targets = generator.normal([100, -3], [10, 0.1], size=(80, 2))
    data = from_arrays(generator.normal(size=(80, 3)), targets, task=TaskOptions(task="regression"))
    answer, made = baseline(data, data.training, data.test)
    dummy = DummyRegressor().fit(np.zeros((len(data.training), 1)), known(data, data.training))
    assert answer == pytest.approx(dummy.constant_.ravel())
    assert made.shape == (len(data.test), 2)


def test_with_folds_the_baseline_is_fitted_as_the_networks_are() -> None:
    """Its validation value is the mean over the folds, and for the test rows it has all rows that are not test rows."""
    generator = np.random.default_rng(3)
    data = from_arrays(
        generator.normal(size=(90, 3)),
        generator.gamma(2.0, size=90),
        task=TaskOptions(task="regression"),
        split=SplitOptions(folds=3),
    )
    found = baseline_figures(data, refitted=False)
    parts = [data.fold(k) for k in range(3)]
    values = [by_hand(part, "rmse", part.validation) for part in parts]
    assert found["validation"] == pytest.approx(np.mean(values))
    both = np.concatenate([known(data, data.training), known(data, data.validation)])
    assert found["answer"] == pytest.approx([both.mean()])
    assert found["test"] == pytest.approx(float(np.sqrt(np.mean((known(data, data.test) - both.mean()) ** 2))))


RAW: dict[str, Any] = {
    "study": {"name": "rows"},
    "data": {"name": "data"},
    "space": {"depth": [1], "width": [4, 8], "learning_rate": {"low": 0.01, "high": 0.3, "log": True}},
    "training": {"epochs": 3},
    "search": {"trials": 3, "sampler": "random"},
    "confirm": {"trials": 2, "seeds": 2, "ensemble": 1},
}


def config(**sections: dict[str, Any]) -> StudyConfig:
    raw = {name: dict(values) for name, values in RAW.items()}
    for name, values in sections.items():
        raw[name] = {**raw.get(name, {}), **values}
    return check_config(raw, "test")


def run(folder: Path, data: Data, *, refit: bool = True) -> StudyRecord:
    run_options = RunOptions(folder, sqlite_url(folder.absolute() / "study.db"), "cpu", engine="fused", parallel=2)
    with open_study(config(confirm={"refit": refit}), run_options, data) as opened:
        engine = make_engine("fused", data, 2, "float64")
        run_study(opened, engine)
    return read_study(run_options.storage, "rows")


@pytest.mark.slow
def test_the_confusion_matrix_is_scikit_learn_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stored counts are those of the saved model's predictions for the test rows, which the network predicts once."""
    calls = []

    def counted(member: Any, inputs: Any) -> Any:
        calls.append(len(inputs))
        return outputs_of(member, inputs)

    outputs_of = scoring.outputs_of
    for module in (scoring, result_module):
        monkeypatch.setattr(module, "outputs_of", counted)
    data = small_data()
    record = run(tmp_path, data)
    said = record.result["predicted"]
    made = predict(load_model(tmp_path), data.test.inputs).argmax(dim=1)
    assert said["confusion"] == confusion_matrix(data.test.targets, made, labels=range(3)).tolist()
    assert (said["rows"], said["count"], said["classes"]) == ("test", len(data.test), list(data.classes))
    assert calls == [len(data.test)]
    assert load_model(tmp_path).metrics["baseline"] == record.result["baseline"]
    assert run(tmp_path, data).result == record.result


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_without_test_rows_the_validation_rows_are_told(tmp_path: Path, task: str) -> None:
    """The counts or points are those of the networks that did not train on the validation rows, and the page says which rows they are."""
    data = small_data(task)
    data = replace(data, test=Rows(data.test.inputs[:0], data.test.targets[:0]))
    record = run(tmp_path, data, refit=False)
    said, made = record.result["predicted"], predict(load_model(tmp_path), data.validation.inputs)
    if task == "binary":
        taken = made.argmax(dim=1)
        assert said["confusion"] == confusion_matrix(data.validation.targets.ravel(), taken, labels=[0, 1]).tolist()
    else:
        points = np.array(said["points"])
        assert points[:, 0] == pytest.approx(known(data, data.validation).ravel(), rel=1e-5)
        assert points[:, 1] == pytest.approx(made.numpy().ravel(), rel=1e-5)
        off = np.abs(known(data, data.validation) - made.numpy())
        assert said["errors"]["half"] == pytest.approx(np.median(off))
    assert said["rows"] == "validation"
    assert record.result["baseline"]["test"] is None
    assert "there are no test rows" in page(record, frames(record))
    assert f"Validation {MetricFormat.of(record).name}, baseline" in [value.name for value in result_values(record)]


def test_after_folds_nothing_is_told_of_rows_that_were_trained_on() -> None:
    """With folds and no test rows the kept network has seen every row: only the baseline is stored."""
    generator = np.random.default_rng(3)
    data = from_arrays(
        generator.normal(size=(60, 3)),
        generator.normal(size=60),
        task=TaskOptions(task="regression"),
        split=SplitOptions(folds=3, test=0),
    )
    assert predicted(data, [torch.zeros(0, 1)], ALONE).keys() == {"baseline"}


def test_of_many_classes_the_most_frequent_confusions_are_told() -> None:
    """30 classes: as many pairs as counted by hand, the most frequent first, right answers apart."""
    generator = np.random.default_rng(1)
    inputs, labels = generator.normal(size=(900, 2)), generator.permutation(np.repeat(np.arange(30), 30))
    data = from_arrays(inputs, labels, task=TaskOptions(task="multiclass"))
    outputs = torch.from_numpy(generator.normal(size=(len(data.test), 30)))
    outputs[data.test.targets == 7, 3] = 99.0
    told = predicted(data, [outputs], ALONE)["predicted"]
    table = confusion_matrix(data.test.targets, outputs.argmax(dim=1), labels=range(30))
    assert told["right"] == np.trace(table)
    assert told["pairs"][0] == ["7", "3", int(table[7, 3]), int(table[7].sum())]
    np.fill_diagonal(table, 0)
    assert [count for _, _, count, _ in told["pairs"]] == sorted(table.ravel().tolist(), reverse=True)[:20]
    record = replace(study(30), result={**study(30).result, "predicted": told})
    assert FIGURES["pairs"].applies(record)
    figure = FIGURES["pairs"].draw(frames(record), record)
    assert figure is not None
    assert list(figure.data[0].x) == [count for _, _, count, _ in told["pairs"]]
    assert "of '7' are taken for '3'" in FIGURES["pairs"].reading(frames(record), record)


@pytest.mark.parametrize("rows", [4, 7, 18, 25])
def test_half_and_nine_tenths_of_the_rows_are_at_least_so_many(rows: int) -> None:
    """As many test rows as the sentence says, or more, lie within its distances, and with the next smaller error fewer would."""
    generator = np.random.default_rng(rows)
    data = from_arrays(
        generator.normal(size=(10 * rows, 1)),
        generator.normal(size=10 * rows),
        split=SplitOptions(test=rows),
        task=TaskOptions(task="regression"),
    )
    errors = predicted(data, [torch.zeros(len(data.test), 1)], ALONE)["predicted"]["errors"]
    off = np.abs(known(data, data.test) - data.target_mean.item())
    for part, within in ((0.5, errors["half"]), (0.9, errors["most"])):
        assert np.sum(off <= within * (1 + 1e-9)) >= part * rows > np.sum(off < within * (1 - 1e-9))


def test_of_many_rows_a_stated_sample_is_kept() -> None:
    """Of 10,000 rows 2,000 different ones, the same ones each time; the sentence counts all and a note tells the sample."""
    chosen = sample(10_000)
    assert len(set(chosen.tolist())) == POINTS == len(chosen)
    assert (chosen == sample(10_000)).all()
    assert sample(POINTS).tolist() == list(range(POINTS))
    generator = np.random.default_rng(2)
    data = from_arrays(
        generator.normal(size=(16_000, 1)), generator.normal(size=16_000), task=TaskOptions(task="regression")
    )
    told = predicted(data, [torch.zeros(len(data.test), 1)], ALONE)["predicted"]
    record = replace(study(30), result={**study(30).result, "predicted": told})
    figure = FIGURES["predictions"].draw(frames(record), record)
    assert figure is not None
    assert f"Drawn: 2,000 of {len(data.test):,} test rows, chosen at random" in figure.layout.meta["thinned"]
    assert list(figure.data[0].x) == list(figure.data[0].y), "the line is y = x"
    half = np.median(np.abs(known(data, data.test) - data.target_mean.item()))
    assert f"are predicted to within {number(float(f'{half:.3g}'))}" in FIGURES["predictions"].reading(
        frames(record), record
    )


def along(true: np.ndarray, made: np.ndarray) -> StudyRecord:
    """A study whose network predicted these values."""
    told = {"rows": "test", "count": len(true), "networks": 1, "targets": 1, "tenths": tenths_of(true, made)}
    points = [[float(a), float(b)] for a, b in zip(true, made, strict=True)]
    return replace(study(30), result={**study(30).result, "predicted": told | {"points": points}})


def test_errors_are_told_by_tenths_of_the_target() -> None:
    """Each tenth has its rows' range and the quantiles of predicted minus true; the reading says the direction at both ends."""
    true = np.random.default_rng(0).permutation(np.linspace(0, 99, 100))
    rows = tenths_of(true, 0.5 * true + 20)
    assert [row[:3] for row in rows[:2]] == [[0, 9, 10], [10, 19, 10]]
    assert rows[0][3:] == pytest.approx(np.quantile(20 - 0.5 * np.arange(10), [0.1, 0.5, 0.9]))
    record = along(true, 0.5 * true + 20)
    figure = FIGURES["errors"].draw(frames(record), record)
    assert figure is not None
    assert list(figure.data[0].y) == pytest.approx([row[4] for row in rows])
    reading = FIGURES["errors"].reading(frames(record), record).replace(SPACE, " ")
    low, high = student_mean([20 - 0.5 * k for k in range(10)]), student_mean([0.5 * k - 20 for k in range(90, 100)])
    assert reading == (
        f"For the lowest tenth of the targets the predictions are on average 17.8 too high (95 % interval {low.low:.3g} to "
        f"{low.high:.3g}). For the highest tenth of the targets the predictions are on average 27.2 too low (95 % interval "
        f"{high.low:.3g} to {high.high:.3g})."
    )
    assert tenths_of(true[:49], true[:49]) == []


def test_a_direction_is_said_only_where_the_rows_can_tell() -> None:
    """Tenths of fewer than ten rows say none, and a mean error whose interval holds zero is said to be chance perhaps."""
    few = along(np.arange(51.0), 0.5 * np.arange(51.0))
    reading = FIGURES["errors"].reading(frames(few), few)
    assert reading == (
        "The lowest and the highest tenth of the targets have 6 and 5 rows, too few to say a direction: it takes at least 10."
    )
    edge = along(np.arange(95.0), 0.5 * np.arange(95.0))  # ten rows in the lowest tenth, nine in the highest
    reading = FIGURES["errors"].reading(frames(edge), edge)
    assert "The highest tenth of the targets has 9 rows, too few to say a direction" in reading
    true = np.arange(200.0)
    noisy = along(true, true + np.where(true % 2 == 0, 10, -9))
    reading = FIGURES["errors"].reading(frames(noisy), noisy).replace(SPACE, " ")
    assert reading.count("on average 0.5 too high, which may be chance (95 % interval −4.06 to 5.06)") == 2
    exact = along(true, true)
    assert FIGURES["errors"].reading(frames(exact), exact).count("the predictions are right on average.") == 2


def beaten(**test: Any) -> StudyRecord:
    """A study whose network has these figures on the test rows, beside a baseline of 90 %."""
    record = study(30)
    base = {"strategy": "most_frequent", "answer": EVIL, "validation": 0.9, "test": 0.9}
    return replace(record, result={**record.result, "test": record.result["test"] | test, "baseline": base})


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.95, 0.92, 0.97, ""),
        (0.92, 0.88, 0.95, "The network may be no better than one answer for every row"),
        (0.90, 0.85, 0.93, "The network is no better than one answer for every row"),
        (0.80, 0.75, 0.85, "The network is no better than one answer for every row"),
        (0.95, None, None, ""),
    ],
)
def test_a_network_that_is_not_better_is_told(value: float, low: float | None, high: float | None, said: str) -> None:
    """Below the baseline, level with it, or with an interval that reaches it, the page warns; above it does not."""
    record = beaten(value=value, low=low, high=high)
    assert baseline_warning(record, MetricFormat.of(record)).startswith(said)
    assert bool(baseline_warning(record, MetricFormat.of(record))) == bool(said)
    assert (baseline_warning(record, MetricFormat.of(record)) in warnings(record, [])) == bool(said)


def test_lower_is_better_where_the_metric_says_so() -> None:
    """An error whose interval ends below the baseline's is better; one whose interval reaches up to it may not be."""
    record = beaten(value=0.8, low=0.7, high=0.85)
    lower = replace(record, direction="minimize", data={**record.data, "metric": "rmse"})
    assert baseline_warning(lower, MetricFormat.of(lower)) == ""
    near = replace(lower, result={**lower.result, "test": {"value": 0.8, "high": 0.95}})
    assert "may be no better" in baseline_warning(near, MetricFormat.of(near))


def test_the_baseline_stands_in_the_first_section_and_is_inert() -> None:
    """The box has its value and what it says, a label with markup being text; a study stored before has none of it."""
    record = beaten()
    html = page(record, frames(record))
    first = html[: html.index("<nav")]
    assert "on new data" in first
    assert "Always saying &#39;&lt;img src=x onerror=alert(1)&gt;&#39;" in first
    assert "<img" not in html
    assert beside(study(30)) is None
    old = page(study(30), frames(study(30)))
    assert "Always saying" not in old[: old.index("<script")]
    assert not {"confusion", "pairs", "predictions", "errors"} & set(re.findall(r'id="figure-(\w+)"', old))


@pytest.mark.parametrize(
    ("strategy", "answer", "said"),
    [
        ("constant", "yes", "always saying 'yes'"),
        ("prior", None, "always giving each class its share of the training rows"),
        ("mean", [1.5], "always saying the mean of the training rows, 1.5"),
        ("median", [1.5, -2000.0], "always saying the medians of the training rows, 1.5 and −2,000"),
        ("mean", [1.0] * 4, "always saying the mean of each of 4 targets"),
    ],
)
def test_what_the_baseline_does_is_said(strategy: str, answer: Any, said: str) -> None:
    """Each strategy has its words."""
    assert always(replace(study(2), result={"baseline": {"strategy": strategy, "answer": answer}})) == said


def confused(classes: list[str], table: list[list[int]]) -> StudyRecord:
    total = sum(map(sum, table))
    said = {"rows": "test", "count": total, "networks": 1, "classes": classes, "confusion": table}
    return replace(study(30), result={**study(30).result, "predicted": said})


def test_the_confusion_figure_shows_each_count_and_its_class_names_are_inert(tmp_path: Path) -> None:
    """Every count is in its cell, true classes down and predicted ones across; a formula in the CSV file and a tag are text."""
    record = confused(["=1+1", EVIL, "c"], [[5, 2, 0], [1, 7, 0], [0, 0, 0]])
    tables = frames(record)
    figure = FIGURES["confusion"].draw(tables, record)
    assert figure is not None
    (cells,) = figure.data
    assert dict(zip(zip(cells.y, cells.x, strict=True), cells.text, strict=True))[0, 1] == "2"
    assert list(cells.text) == ["5", "2", "", "1", "7", "", "", "", ""]
    assert len(figure.layout.shapes) == 4
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1], "the first class is on top"
    assert "<img" not in figure.to_json().replace("\\u003c", "<")
    reading = FIGURES["confusion"].reading(tables, record)
    assert "12 of the 15 test rows (80.0\u00a0%) are right by the network." in reading
    assert f"2 of 7 rows of '=1+1' are taken for '{EVIL}'" in reading
    assert "Least recognised: '=1+1', 71\u00a0% of 7 rows." in reading
    write(tables, tmp_path)
    assert (tmp_path / "confusion.csv").read_text().splitlines()[1].startswith("'=1+1,'=1+1,5,7,")


def test_a_drawn_figure_never_says_that_there_is_nothing_to_draw() -> None:
    """One finished trial among pruned ones: the course is drawn, and its sentence tells the best value."""
    record = study(30)
    leader = ranked(record)[0].number
    made = tuple(t if t.number == leader else replace(t, state="pruned", outcome="pruned") for t in record.trials)
    record = replace(record, trials=made, result={})
    tables = frames(record)
    for row in FIGURES.values():
        if row.draw(tables, record) is not None:
            reading = row.reading(tables, record)
            assert not re.search("nothing to draw|No trial has", reading), (row.name, reading)


def test_no_axis_of_percentages_goes_beyond_what_they_can_be() -> None:
    """With trials at 100 % every such axis ends there, and the marks on its end are drawn whole."""
    record = study(40)
    made = tuple(replace(t, value=1.0) if t.number % 2 and t.state == "complete" else t for t in record.trials)
    record = replace(record, trials=made)
    tables = frames(record)
    for name in ("history", "axes", "size", "curves"):
        figure = FIGURES[name].draw(tables, record)
        assert figure is not None
        assert 0 <= figure.layout.yaxis.range[0] < figure.layout.yaxis.range[1] <= 1, name
        dots = [trace for trace in figure.data if trace.mode == "markers"]
        assert all(trace.cliponaxis is False for trace in dots), name


def test_of_equal_values_the_best_trial_is_among_the_best_combinations() -> None:
    """All trials at 100 %: the line in front is that of the trial that ranks first, by its loss."""
    record = study(40)
    made = tuple(
        replace(t, value=1.0, validation_loss=0.001 if t.number == 3 else 0.5, state="complete", outcome="finished")
        for t in record.trials
    )
    record = replace(record, trials=made, result={})
    assert ranked(record)[0].number == 3
    figure = FIGURES["parallel"].draw(frames(record), record)
    assert figure is not None
    front = next(trace for trace in figure.data if trace.name == "best tenth")
    names = hyperparameters(record)
    line = front.y[
        -len(names) - 2 :
    ]  # of each trial its hyperparameters, its value and a gap; the best one is drawn last
    rate = scale_of("learning_rate", record).fraction(made[3].params["learning_rate"])
    assert line[names.index("learning_rate")] == pytest.approx(rate, abs=1e-4)
    assert line[-2] == 1.0, "where all values are equal they lie at the better end"


def test_values_of_pruned_trials_do_not_stretch_the_scale_of_sizes() -> None:
    """The figure of sizes draws trials that trained to their end, and its axis is theirs alone."""
    record = study(60)
    made = tuple(replace(t, value=0.11) if t.outcome == "pruned" else t for t in record.trials)
    record = replace(record, trials=made)
    figure = FIGURES["size"].draw(frames(record), record)
    assert figure is not None
    values = sorted(t.value or 0.0 for t in ranked(record))
    assert Heights.common(record).ends == Heights.common(study(60)).ends
    assert figure.layout.yaxis.range[0] >= values[0] - (values[-1] - values[0])


def test_what_questions_the_scores_is_said_before_them() -> None:
    """What is in doubt of the data stands among the warnings, once, and other notices stay with how it was done."""
    record = study(5)
    doubt, other = "7 of 9 test rows have the inputs of a training row: <beware>", "One column was dropped."
    record = replace(record, data={**record.data, "notices": [doubt, other], "doubts": [doubt]})
    assert doubt in warnings(record, [])
    assert other not in warnings(record, [])
    html = page(record, frames(record))
    assert html.count("test rows have the inputs of a training row: &lt;beware&gt;") == 1
    assert html.count(other) == 1


def test_notices_are_sentences_and_minus_signs_are_one() -> None:
    """No `.;` joins them, and a negative number has the sign for minus whatever its size."""
    record = study(5)
    record = replace(record, data={**record.data, "notices": ["One column was dropped.", "rows were capped"]})
    assert "One column was dropped. Rows were capped." in page(record, frames(record))
    assert sentences(["a", "b."]) == "A. B."
    for value in (-7250, -7250.4, -3.5, -1e-7, -(10**20), -1e12):
        assert "-" not in number(value), value
        assert number(value).startswith("−")


def test_entropy_is_the_log_loss_of_the_shares() -> None:
    """On rows with the training rows' shares the prior's log loss is their entropy."""
    data = from_arrays(
        np.zeros((40, 1)) + np.arange(40)[:, None], np.array(["a"] * 10 + ["b"] * 30), task=TaskOptions(task="binary")
    )
    data = replace(data, metric=METRICS["log_loss"])
    share = float(data.training.targets.mean())
    _, made = baseline(data, data.training, data.training)
    value = data.metric_of(made, data.training)
    assert value == pytest.approx(-share * log(share) - (1 - share) * log(1 - share))
