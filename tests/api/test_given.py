"""Frames, columns' names, torch sets and validation rows of one's own, from `search`, `Objective` and the estimators."""

from typing import Any

import numpy as np
import optuna
import pandas as pd
import pyarrow as pa
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import hpsearch
from hpsearch import DNNClassifier, DNNRegressor, Objective
from hpsearch.errors import UserError

random = np.random.default_rng(0)
A = random.normal(size=80)
B = random.normal(size=80)
FRAME = pd.DataFrame({"a": A, "cut": pd.cut(B, [-9, 0, 9]), "price": 2 * A + (B > 0)})
LABELS = np.where(A > 0, "high", "low")
SPACE = {"depth": 1, "width": 4, "learning_rate": 0.05}
QUICK: dict[str, Any] = {"trials": 1, "confirm": 0, "space": SPACE, "training": {"epochs": 3}, "validation": 0.2}
FITTED: dict[str, Any] = {"trials": 1, "confirm": 0, "epochs": 3, "space": SPACE, "random_state": 0, "refit": False}


def test_a_column_by_its_name() -> None:
    """A frame and the name of its target give the same search in each library's frame, and predict from frames with or without it."""
    found = hpsearch.search(FRAME, "price", **QUICK)
    values = found.predict(FRAME)
    assert values.shape == (80,)
    assert np.array_equal(found.predict(FRAME.drop(columns="price")), values)
    plain = FRAME.assign(cut=FRAME["cut"].astype(str))
    arrow = hpsearch.search(pa.Table.from_pandas(plain), "price", **QUICK)
    assert np.array_equal(arrow.predict(pa.Table.from_pandas(plain)), values)
    by_class = hpsearch.search(FRAME.assign(label=LABELS), "label", **QUICK)
    assert set(by_class.predict(FRAME)) <= {"high", "low"}


@pytest.mark.parametrize(
    "labels",
    [np.array([1.0, 2.0], dtype=object), np.array([1, 0], dtype=object), np.array([[1.0], [0.0]], dtype=object)],
)
def test_numbers_that_are_objects_come_back(labels: np.ndarray) -> None:
    """Labels from a column of objects, as `frame.to_numpy()` of a mixed frame has them, are predicted as what they were."""
    targets = labels[(A > 0).astype(int)]
    predicted = hpsearch.search(np.stack([A, B], axis=1), targets, **QUICK).predict(np.stack([A, B], axis=1))
    assert predicted.dtype == object
    assert {type(label) for label in predicted.flat} == {type(labels.flat[0])}
    assert set(predicted.flat) <= set(labels.flat)


def test_rows_of_ones_own_validate() -> None:
    """Validation rows are those that are given, as a pair or a torch set, and the search is that of the arrays."""
    x = torch.tensor(np.stack([A, B], axis=1), dtype=torch.float32)
    y = torch.tensor(A > 0).long()
    options = {**QUICK, "validation": (x[60:], y[60:]), "test": 0}
    found = hpsearch.search(x[:60], y[:60], **options)
    assert found.record.data["rows"] == {"training": 60, "validation": 20, "test": 0}
    loader = DataLoader(TensorDataset(x[:60], y[:60]), batch_size=8, shuffle=True)
    options["validation"] = TensorDataset(x[60:], y[60:])
    again = hpsearch.search(loader, **options)
    assert again.best == found.best
    assert np.array_equal(again.predict_proba(x), found.predict_proba(x))


def test_objective() -> None:
    """An objective takes torch sets and frames, and compares networks on the rows that are given."""
    x = torch.tensor(np.stack([A, B], axis=1), dtype=torch.float32)
    y = torch.tensor(A > 0).long()
    options: dict[str, Any] = {"space": SPACE, "training": {"epochs": 2}}
    loader = DataLoader(TensorDataset(x[:60], y[:60]), batch_size=8, shuffle=True)
    of_set = Objective(loader, validation=DataLoader(TensorDataset(x[60:], y[60:])), **options)
    of_pair = Objective((x[:60], y[:60]), validation=(x[60:], y[60:]), **options)
    assert len(of_set.data.validation) == 20
    assert of_set(optuna.trial.FixedTrial({})) == of_pair(optuna.trial.FixedTrial({}))  # type: ignore[arg-type]
    assert len(Objective((FRAME, "price"), validation=30, **options).data.validation) == 30
    with pytest.raises(UserError, match="validation: only arrays, frames and torch sets take rows beside them"):
        Objective("iris", validation=(x, y), **options)


def test_estimators() -> None:
    """The estimators take frames of any library, series and cut columns; odd labels and swapped arguments are one line."""
    inputs = FRAME[["a", "cut"]]
    plain = inputs.assign(cut=inputs["cut"].astype(str))
    model = DNNClassifier(**FITTED).fit(inputs, LABELS)
    other = DNNClassifier(**FITTED).fit(pa.Table.from_pandas(plain), LABELS)
    assert np.array_equal(model.predict_proba(inputs), other.predict_proba(pa.Table.from_pandas(plain)))
    assert list(other.feature_names_in_) == ["a", "cut"]
    assert DNNRegressor(**FITTED).fit(FRAME["a"], FRAME["price"]).predict(FRAME["a"]).shape == (80,)
    some = np.array(["a" if a > 0 else None for a in A], dtype=object)
    for labels in (some, pd.array(some, dtype="string")):
        with pytest.raises(UserError, match=r"target: .* missing labels, the first in row"):
            DNNClassifier(**FITTED).fit(inputs, labels)
    with pytest.raises(UserError, match="target: labels of several kinds"):
        DNNClassifier(**FITTED).fit(inputs, np.where(A > 0, np.array("a", dtype=object), 1))
    with pytest.raises(UserError, match=r"look swapped\. Give fit\(X, y\)"):
        DNNClassifier(**FITTED).fit(LABELS, np.stack([A, B], axis=1))
