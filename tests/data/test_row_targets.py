"""Rows that are dropped, rows that have weights, and targets of several labels: read, told and refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
import torch

from hpsearch.data import Data, from_arrays, from_frame, load_file
from hpsearch.data.baseline import baseline
from hpsearch.data.metrics import METRICS
from hpsearch.data.options import ReadOptions, SplitOptions, TaskOptions
from hpsearch.errors import UserError


def table(rows: int = 120) -> pd.DataFrame:
    """Three inputs, a class, a number, two labels and a weight."""
    generator = np.random.default_rng(3)
    frame = pd.DataFrame(generator.normal(size=(rows, 3)), columns=["p", "q", "r"])
    frame["kind"] = np.where(frame["p"] > 0, "yes", "no")
    frame["amount"] = frame["p"].round(2) + 0.5
    frame["red"] = (frame["q"] > 0).astype(int)
    frame["blue"] = frame["r"] > 0.5
    frame["w"] = generator.uniform(0.5, 2, rows).round(2)
    return frame


def notices(data: Data) -> str:
    """What the data's reader is told."""
    return " ".join(data.summary["notices"])


def rows_of(data: Data) -> int:
    """All rows that take part."""
    return len(data.training) + len(data.validation) + len(data.test)


# ------------------------------------------------------------------ rows that are dropped


@pytest.mark.parametrize("target", ["kind", "amount"])
@pytest.mark.parametrize("source", ["csv", "frame", "arrays"])
def test_rows_without_a_target_are_dropped_where_that_is_asked_for(tmp_path: Path, target: str, source: str) -> None:
    """The refusal of a missing target names the option; with it the rows are gone, and a notice counts them."""
    frame = table()
    frame.loc[[2, 7, 40], target] = np.nan

    def read(options: ReadOptions) -> Data:
        if source == "csv":
            frame.to_csv(tmp_path / "t.csv", index=False)
            return load_file(tmp_path / "t.csv", target, read=options)
        if source == "frame":
            return from_frame(frame, target, read=options)
        return from_arrays(frame[["p", "q", "r"]].to_numpy(), frame[target].to_numpy(), read=options)

    with pytest.raises(UserError, match=r'drop_rows = \["missing-target"\] \(--drop-rows missing-target\)'):
        read(ReadOptions())
    data = read(ReadOptions(drop_rows=["missing-target"]))
    assert rows_of(data) == 117
    assert "3 rows of 120 dropped: no target (drop_rows missing-target)." in notices(data)


def test_what_is_left_is_as_if_the_others_had_never_been_there(tmp_path: Path) -> None:
    """Rows, inputs and targets equal those of the file from which the rows were taken out by hand."""
    frame = table()
    holed = frame.copy()
    holed.loc[[5, 6], "kind"] = None
    one = from_frame(holed, "kind", read=ReadOptions(drop_rows=["missing-target"], weight="w"))
    other = from_frame(frame.drop(index=[5, 6]), "kind", read=ReadOptions(weight="w"))
    for part in ("training", "validation", "test"):
        mine, its = getattr(one, part), getattr(other, part)
        assert torch.equal(mine.inputs, its.inputs)
        assert torch.equal(mine.targets, its.targets)
        assert torch.equal(mine.weights, its.weights)


def test_rare_classes_are_dropped_where_that_is_asked_for() -> None:
    """The refusal of a rare class names the option; with it only classes with rows for every part, or fold, are left."""
    frame = table()
    frame.loc[[1], "kind"] = "odd"
    frame.loc[[2, 3, 4, 5], "kind"] = "few"
    with pytest.raises(UserError, match=r'drop_rows = \["rare-classes"\] \(--drop-rows rare-classes\)'):
        from_frame(frame, "kind")
    rare = ReadOptions(drop_rows=["rare-classes"])
    data = from_frame(frame, "kind", read=rare)
    assert data.classes == ("few", "no", "yes")
    assert "1 row of 120 dropped: 1 of 4 classes had fewer than 3 rows: 'odd' (1)" in notices(data)
    folded = from_frame(frame, "kind", read=rare, split=SplitOptions(folds=5))
    assert folded.classes == ("no", "yes")
    assert folded.task.name == "binary"
    assert "2 of 4 classes had fewer than 6 rows: 'few' (4), 'odd' (1)" in notices(folded)


def test_what_cannot_be_dropped() -> None:
    """All targets missing, all classes rare, a regression's classes and unknown words are told plainly."""
    frame = table()
    inputs = frame[["p", "q", "r"]].to_numpy()
    with pytest.raises(UserError, match="missing in all 120 rows"):
        from_arrays(inputs, np.full(120, np.nan), read=ReadOptions(drop_rows=["missing-target"]))
    labels = np.array([f"n{i}" for i in range(120)])
    with pytest.raises(UserError, match=r"0 of 120 classes has 3 rows or more"):
        from_arrays(inputs, labels, read=ReadOptions(drop_rows=["rare-classes"]))
    with pytest.raises(UserError, match="unknown drop_rows 'rare'"):
        from_arrays(inputs, frame["kind"], read=ReadOptions(drop_rows=["rare"]))
    with pytest.raises(UserError, match="a list expected"):
        from_arrays(inputs, frame["kind"], read=ReadOptions(drop_rows="rare-classes"))
    told = notices(from_arrays(inputs, frame["amount"], read=ReadOptions(drop_rows=["rare-classes"])))
    assert "a regression task has none: no row dropped" in told


# ------------------------------------------------------------------ weights


def test_a_column_of_weights_is_no_input_and_has_the_mean_1() -> None:
    """The column is left out with a notice; over the training rows weights have the mean 1, times those of the classes too."""
    data = from_frame(table(), "kind", read=ReadOptions(weight="w"))
    assert data.inputs == len([column for column in data.preprocessing["columns"] if column["name"] != "w"])
    assert "w" not in [column["name"] for column in data.preprocessing["columns"]]
    assert "Rows are weighted by column 'w'" in notices(data)
    assert data.training.weights is not None
    assert float(data.training.weights.mean()) == pytest.approx(1)
    balanced = from_frame(table(), "kind", task=TaskOptions(class_weights="balanced"), read=ReadOptions(weight="w"))
    assert balanced.row_weights is not None
    assert float(balanced.row_weights.mean()) == pytest.approx(1)
    assert from_frame(table(), "kind").training.weights is None


def test_weights_are_part_of_the_data() -> None:
    """Other weights are other data; weights of an array are those of a column."""
    frame = table()
    inputs = frame[["p", "q", "r"]]
    one = from_arrays(inputs, frame["kind"], weights=frame["w"])
    other = from_arrays(inputs, frame["kind"], weights=frame["w"] * 2 + 1)
    assert one.summary["hash"] != other.summary["hash"] != from_arrays(inputs, frame["kind"]).summary["hash"]
    assert one.training.weights is not None
    named = from_frame(frame[["p", "q", "r", "kind", "w"]], "kind", read=ReadOptions(weight="w"))
    assert named.training.weights is not None
    assert torch.equal(one.training.weights, named.training.weights)


@pytest.mark.parametrize(
    ("cell", "words"),
    [(-1, "is -1, a finite number from 0"), (np.nan, "is missing"), (np.inf, "is inf")],
)
def test_bad_weights_are_refused(tmp_path: Path, cell: float, words: str) -> None:
    """A weight that is negative, missing or infinite is refused with its row, in a file with its line."""
    frame = table()
    frame.loc[4, "w"] = cell
    with pytest.raises(UserError, match=f"weights: that of row 4 {words}"):
        from_arrays(frame[["p", "q"]], frame["kind"], weights=frame["w"])
    if not np.isinf(cell):
        frame.to_csv(tmp_path / "t.csv", index=False)
        with pytest.raises(UserError, match=f"weights: that of line 6 {words}"):
            load_file(tmp_path / "t.csv", "kind", read=ReadOptions(weight="w"))


def test_weights_that_say_nothing_are_refused() -> None:
    """Weights that are all 0, of another number of rows, texts or given twice are refused."""
    frame = table()
    inputs = frame[["p", "q"]]
    with pytest.raises(UserError, match=r"weights: zero in all \d+ training rows"):
        from_arrays(inputs, frame["kind"], weights=np.zeros(120))
    with pytest.raises(UserError, match=r"shape \(7,\): one for each of 120 rows"):
        from_arrays(inputs, frame["kind"], weights=np.ones(7))
    with pytest.raises(UserError, match="A column of X is named by weight = 'w'"):
        from_arrays(inputs, frame["kind"], weights="w")
    with pytest.raises(UserError, match="weights: 'a' and others"):
        from_arrays(inputs, frame["kind"], weights=["a"] * 120)
    with pytest.raises(UserError, match="Give one of the two"):
        from_arrays(frame, frame["kind"], weights=np.ones(120), read=ReadOptions(weight="w"))


def _cases() -> list[Any]:
    generator = np.random.default_rng(0)
    classes = generator.integers(0, 3, 40)
    chances = generator.dirichlet([1, 1, 1], 40).round(1)
    chances /= chances.sum(axis=1, keepdims=True)
    two, chance = generator.integers(0, 2, (40, 1)).astype(float), generator.random((40, 1)).round(1)
    values = generator.normal(size=(40, 2))
    near = values + generator.normal(size=(40, 2))
    has, says = generator.integers(0, 2, (40, 3)).astype(float), generator.random((40, 3))
    taken, second, given = chances.argmax(axis=1), chance >= 0.5, says >= 0.5
    return [
        ("accuracy", chances, classes, lambda w: sk.accuracy_score(classes, taken, sample_weight=w)),
        ("balanced_accuracy", chances, classes, lambda w: sk.balanced_accuracy_score(classes, taken, sample_weight=w)),
        ("f1", chances, classes, lambda w: sk.f1_score(classes, taken, sample_weight=w, average="macro")),
        ("roc_auc", chances, classes, lambda w: sk.roc_auc_score(classes, chances, multi_class="ovr", sample_weight=w)),
        ("log_loss", chances, classes, lambda w: sk.log_loss(classes, chances, sample_weight=w)),
        ("accuracy", chance, two, lambda w: sk.accuracy_score(two, second, sample_weight=w)),
        ("f1", chance, two, lambda w: sk.f1_score(two, second, sample_weight=w)),
        ("roc_auc", chance, two, lambda w: sk.roc_auc_score(two, chance, sample_weight=w)),
        ("log_loss", chance, two, lambda w: sk.log_loss(two, chance, sample_weight=w)),
        ("mcc", chance, two, lambda w: sk.matthews_corrcoef(two, chance >= 0.5, sample_weight=w)),
        ("rmse", near, values, lambda w: sk.root_mean_squared_error(values, near, sample_weight=w)),
        ("mae", near, values, lambda w: sk.mean_absolute_error(values, near, sample_weight=w)),
        ("r2", near, values, lambda w: sk.r2_score(values, near, sample_weight=w)),
        ("f1_micro", says, has, lambda w: sk.f1_score(has, given, sample_weight=w, average="micro")),
        ("f1_macro", says, has, lambda w: sk.f1_score(has, given, sample_weight=w, average="macro")),
        ("subset_accuracy", says, has, lambda w: sk.accuracy_score(has, given, sample_weight=w)),
        ("label_accuracy", says, has, lambda w: 1 - sk.hamming_loss(has, given, sample_weight=w)),
    ]


@pytest.mark.parametrize(("name", "predictions", "targets", "expected"), _cases())
def test_metrics_are_scikit_learn_s(name: str, predictions: Any, targets: Any, expected: Any) -> None:
    """Every metric, with weights (some of them 0) and without, is the function of scikit-learn."""
    generator = np.random.default_rng(1)
    weights = generator.uniform(0, 2, 40) * (generator.random(40) > 0.2)
    given = torch.tensor(predictions), torch.tensor(targets)
    assert METRICS[name].of(*given, torch.tensor(weights)) == pytest.approx(expected(weights), rel=1e-12)
    assert METRICS[name].of(*given) == pytest.approx(expected(None), rel=1e-12)


def test_every_metric_is_tried_with_weights() -> None:
    """No row of METRICS is left out of the comparison with scikit-learn."""
    assert {case[0] for case in _cases()} == set(METRICS)


# ------------------------------------------------------------------ several labels


def test_columns_of_0_and_1_are_labels(tmp_path: Path) -> None:
    """`a,b`, a list, an array and a frame of 0 and 1 (or truth values) are labels with names, and a notice says so."""
    frame = table()
    frame.to_csv(tmp_path / "t.csv", index=False)
    inputs = frame[["p", "q", "r", "w"]]
    both = frame[["red", "blue"]].astype(int)
    read = [
        load_file(tmp_path / "t.csv", "red,blue", read=ReadOptions(columns={"kind": "drop", "amount": "drop"})),
        from_frame(frame.drop(columns=["kind", "amount"]), ["red", "blue"]),
        from_arrays(inputs, both),
    ]
    for data in read:
        assert data.task.name == "multilabel"
        assert data.labels == ("red", "blue")
        assert data.outputs == 2
        assert not data.classes
        assert "labels, any number a row (multilabel)" in notices(data)
        assert torch.equal(data.training.targets, read[0].training.targets)
        assert set(data.training.targets.unique().tolist()) == {0.0, 1.0}
    assert from_arrays(inputs, both.to_numpy()).labels == ("0", "1")
    asked = from_arrays(inputs, both, task=TaskOptions(task="regression"))
    assert asked.task.name == "regression"
    assert from_arrays(inputs, both + 0.5 * both).task.name == "regression"


def test_a_column_whose_name_has_a_comma_is_one_target() -> None:
    """`red,blue` is the column of that name where there is one."""
    frame = table().rename(columns={"kind": "red,blue"})
    assert from_frame(frame, "red,blue").classes == ("no", "yes")


def test_what_labels_cannot_be(tmp_path: Path) -> None:
    """One-hot rows show both readings; text, one column, an unknown or repeated name and a label without rows are refused."""
    frame = table()
    inputs = frame[["p", "q"]]
    hot = np.eye(3)[np.arange(120) % 3]
    with pytest.raises(UserError, match=r"can mean two things.*targets\.argmax\(1\).*--task multilabel"):
        from_arrays(inputs, hot)
    assert from_arrays(inputs, hot, task=TaskOptions(task="multilabel")).labels == ("0", "1", "2")
    with pytest.raises(UserError, match=r"column 'kind': row 0 holds .* a label or number \(target\) expected"):
        from_frame(frame, "red,kind")
    with pytest.raises(UserError, match="task 'multilabel' needs several columns of 0 and 1"):
        from_frame(frame, "red", task=TaskOptions(task="multilabel"))
    with pytest.raises(UserError, match="no target 'green'"):
        from_frame(frame, "red,green")
    with pytest.raises(UserError, match="'red' names more than one column"):
        from_frame(frame, ["red", "red"])
    with pytest.raises(UserError, match="column 1 is 0 in all rows"):
        from_arrays(inputs, np.stack([frame["red"], np.zeros(120)], axis=1))
    with pytest.raises(UserError, match="a multilabel task has no classes"):
        from_frame(frame, "red,blue", task=TaskOptions(class_weights="balanced"))


@pytest.mark.parametrize("metric", ["f1_micro", "f1_macro", "subset_accuracy", "label_accuracy"])
def test_no_answer_for_every_row_is_better_than_the_baseline(metric: str) -> None:
    """Of all sets of labels that every training row could be given, the baseline's is the best for the metric."""
    generator = np.random.default_rng(5)
    labels = (generator.random((200, 4)) < [0.1, 0.4, 0.6, 0.9]).astype(int)
    labels[:, 1] = labels[:, 2] & labels[:, 1]
    data = from_arrays(generator.normal(size=(200, 2)), labels, task=TaskOptions(metric=metric))
    rows = data.training
    _, predictions = baseline(data, rows, rows)
    reached = data.metric_of(predictions, rows)
    for number in range(16):
        answer = torch.tensor([float(number >> place & 1) for place in range(4)]).repeat(len(rows), 1)
        assert data.metric_of(answer, rows) <= reached + 1e-12
