"""The estimators: scikit-learn's own checks, and what a search in `fit` promises beyond them."""

import pickle
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from hpsearch import DNNClassifier, DNNRegressor
from hpsearch.data import from_arrays
from hpsearch.data.options import SplitOptions, TaskOptions
from hpsearch.data.splits import hold_out
from hpsearch.errors import SearchFailed, UserError
from hpsearch.estimators import weighted

SMALL: dict[str, Any] = {"trials": 2, "epochs": 12, "confirm": 0, "random_state": 0}

REPEATED = dict.fromkeys(
    ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
    "a weight multiplies a row's loss; the row is in one batch, and repeated rows are in others",
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the checks feed what deserves warnings, and look at those that they care for
@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [DNNClassifier(**SMALL), DNNRegressor(**SMALL)], expected_failed_checks=lambda estimator: REPEATED
)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    """All checks of scikit-learn pass, but those that take a weight of 2 for two rows.

    The one of its array API skips itself unless SCIPY_ARRAY_API is set before SciPy is imported.
    """
    check(estimator)


def test_reproducible() -> None:
    """One random state gives the same search and the same predictions; another one gives others."""
    X, y = load_iris(return_X_y=True)
    one, again = (DNNClassifier(trials=3, epochs=5, random_state=7).fit(X, y) for _ in range(2))
    other = DNNClassifier(trials=3, epochs=5, random_state=8).fit(X, y)
    assert np.array_equal(one.predict_proba(X), again.predict_proba(X))
    assert one.best_params_ == again.best_params_
    assert not np.array_equal(one.predict_proba(X), other.predict_proba(X))
    drawn = DNNClassifier(**SMALL | {"random_state": np.random.RandomState(3)}).fit(X, y)
    assert drawn.best_value_ == pytest.approx(drawn.trials_["value"].min())


@pytest.mark.slow
def test_what_fit_leaves() -> None:
    """A fitted estimator has its classes, its features' names, the best hyperparameters and a row for each trial."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = DNNClassifier(**SMALL).fit(X, y.map({0: "setosa", 1: "versicolor", 2: "virginica"}))
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.feature_names_in_.tolist() == X.columns.tolist()
    assert model.n_features_in_ == 4
    assert set(model.best_params_) <= set(model.trials_.columns)
    assert model.trials_["trial"].tolist() == [0, 1]
    assert set(model.predict(X)) <= set(model.classes_)
    with pytest.warns(UserWarning, match="valid feature names"):
        model.predict(X.to_numpy())
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X.rename(columns=str.upper))


def test_predictions_are_the_network_by_hand() -> None:
    """Predictions equal the network's own formula in NumPy, from the weights and the scaling that the model keeps."""
    X, y = load_diabetes(return_X_y=True)
    space = {"depth": 1, "width": 5, "activation": "tanh", "learning_rate": {"low": 0.001, "high": 0.01}}
    model = DNNRegressor(trials=2, epochs=3, space=space, refit=False, random_state=0).fit(X, y).model_
    member, columns = model.members[0], model.preprocessing["columns"]
    mean, scale = (np.array([column[key][0] for column in columns]) for key in ("mean", "scale"))
    weights = {name: tensor.double().numpy() for name, tensor in member.weights.items()}
    inputs = ((X - mean) / scale).astype(np.float32)
    hidden = np.tanh(inputs @ weights["layers.0.weight"].T + weights["layers.0.bias"])
    outputs = hidden @ weights["layers.1.weight"].T + weights["layers.1.bias"]
    by_hand = outputs[:, 0] * model.target_scale[0] + model.target_mean[0]
    fitted = DNNRegressor(trials=2, epochs=3, space=space, refit=False, random_state=0).fit(X, y)
    np.testing.assert_allclose(fitted.predict(X), by_hand, rtol=1e-6)


def test_in_scikit_learns_procedures() -> None:
    """Pipelines, cross-validation and a grid over the estimator's own parameters work as with any estimator."""
    X, y = load_breast_cancer(return_X_y=True)
    scores = cross_val_score(make_pipeline(StandardScaler(), DNNClassifier(**SMALL)), X, y, cv=3)
    assert scores.min() > 0.9
    grid = GridSearchCV(DNNClassifier(epochs=3, random_state=0), {"trials": [1, 2]}, cv=2).fit(X, y)
    assert grid.best_params_["trials"] in (1, 2)
    assert clone(grid.best_estimator_).get_params() == grid.best_estimator_.get_params()


def test_several_targets() -> None:
    """A regression of several columns predicts as many, near to what a linear model says of linear data."""
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 3))
    Y = X @ random.normal(size=(3, 2)) + 1
    model = DNNRegressor(trials=4, epochs=40, random_state=0).fit(X, Y)
    expected = LinearRegression().fit(X, Y).predict(X)
    assert model.predict(X).shape == (200, 2)
    assert np.abs(model.predict(X) - expected).mean() < 0.3 * np.abs(expected - expected.mean(0)).mean()


def test_pickled_with_plain_arrays() -> None:
    """A pickled estimator holds its weights as NumPy arrays, and predicts the same when it is back."""
    X, y = load_iris(return_X_y=True)
    model = DNNClassifier(**SMALL).fit(X, y)
    content = pickle.dumps(model)
    assert b"torch.storage" not in content
    assert b"_rebuild_tensor" not in content
    assert np.array_equal(pickle.loads(content).predict_proba(X), model.predict_proba(X))  # noqa: S301


@pytest.mark.parametrize("labels", [[True, False], [1.5, 2.5], ["b", "a"], [7, -3]])
def test_labels_keep_their_type(labels: list[Any]) -> None:
    """Predicted labels are those that were given, in their own dtype, whatever they are; but fractions are refused as scikit-learn does."""
    X, y = load_breast_cancer(return_X_y=True)
    given = np.array(labels)[y]
    if given.dtype.kind == "f":
        with pytest.raises(ValueError, match="Unknown label type"):
            DNNClassifier(**SMALL).fit(X, given)
        return
    model = DNNClassifier(**SMALL).fit(X, given)
    assert model.predict(X).dtype == given.dtype
    assert model.score(X, given) == accuracy_score(given, model.predict(X)) > 0.9


def test_rows_that_cannot_be_held_out() -> None:
    """Rows alone of their class train and never validate; fewer than ten rows do both; each with a warning that says so."""
    X, y = load_iris(return_X_y=True)
    rare = np.r_[y[:100], 2]
    with pytest.warns(UserWarning, match="1 row is alone of its class"):
        model = DNNClassifier(**SMALL).fit(X[:101], rare)
    assert model.classes_.tolist() == [0, 1, 2]
    with pytest.warns(UserWarning, match="all rows both train and validate"):
        DNNClassifier(**SMALL).fit(X[48:53], y[48:53])


def test_division() -> None:
    """Every row trains or validates, none does both, single rows train, and classes have their share."""
    codes = np.r_[np.repeat([0, 1], 50), 2, 3]
    split, notice = hold_out(codes, len(codes), 0.2, seed=1)
    assert sorted([*split.training, *split.validation]) == list(range(102))
    assert {100, 101} <= set(split.training)
    assert np.bincount(codes[split.validation]).tolist() == [10, 10]
    assert "2 rows are alone of their classes" in notice
    assert hold_out(codes, len(codes), 0.2, seed=1)[0].validation.tolist() == split.validation.tolist()
    assert hold_out(None, 4, 0.2, seed=1)[0].training.tolist() == [0, 1, 2, 3]
    assert hold_out(None, 40, 0.25, seed=1)[1] == ""


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"trials": 0}, "DNNClassifier: search.trials is 0"),
        ({"epochs": -1}, "DNNClassifier: training.epochs is -1"),
        ({"metric": "rmse"}, "does not fit"),
        ({"validation": 1.5}, "validation"),
        ({"space": {"learning_rat": 1}}, "Did you mean 'learning_rate'"),
        ({"device": "abacus"}, "not a device"),
    ],
)
def test_wrong_parameters(parameters: dict[str, Any], said: str) -> None:
    """A parameter that cannot be used is refused in `fit`, by a ValueError that says which and why."""
    X, y = load_iris(return_X_y=True)
    with pytest.raises(UserError, match=said):
        DNNClassifier(**parameters).fit(X, y)


def test_class_weights() -> None:
    """Weights of classes move predictions towards the heavy class; "balanced" finds more of a rare one."""
    random = np.random.default_rng(0)
    X = np.r_[random.normal(0, 1, (300, 2)), random.normal(1, 1, (30, 2))]
    y = np.repeat([0, 1], [300, 30])
    plain = DNNClassifier(trials=3, epochs=20, random_state=0).fit(X, y).predict(X)
    balanced = DNNClassifier(trials=3, epochs=20, random_state=0, class_weight="balanced").fit(X, y).predict(X)
    assert balanced[y == 1].mean() > plain[y == 1].mean() + 0.2


def test_the_weighed_log_loss() -> None:
    """With weights of classes networks are compared by scikit-learn's log loss of rows weighed so."""
    random = np.random.default_rng(1)
    X = random.normal(size=(60, 2))
    for classes in (2, 3):
        codes, weights = random.integers(0, classes, 60), random.uniform(0.1, 5, classes)
        task = "binary" if classes == 2 else "multiclass"
        data = weighted(
            from_arrays(X, codes, task=TaskOptions(task=task, metric="log_loss"), split=SplitOptions(test=2 * classes)),
            weights,
            judged=True,
        )
        outputs = torch.from_numpy(random.normal(size=(len(data.validation), data.outputs)))
        known = data.validation.targets.flatten().long().numpy()
        expected = log_loss(known, data.predict(outputs).numpy(), sample_weight=weights[known], labels=range(classes))
        assert data.score(outputs, data.validation)[1] == pytest.approx(expected, rel=1e-6)


def test_frames_of_other_columns() -> None:
    """Text, categories, truth values, dates and missing cells of a frame are read by column; what they tell is learned."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": random.normal(size=240),
            "city": random.choice(["Aachen", "Berlin", "Köln"], 240),
            "colour": pd.Categorical(random.choice(["red", "green"], 240)),
            "member": random.random(240) < 0.5,
            "day": pd.date_range("2020-01-01", periods=240),
        }
    )
    target = np.where((frame["city"] == "Köln") ^ frame["member"], "yes", "no")
    frame.loc[::9, "size"] = np.nan
    model = DNNClassifier(trials=6, random_state=0).fit(frame, target)
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    assert model.score(frame, target) > 0.95
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["city", "size", "colour", "member", "day"]])
    again = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert (again.predict(frame.assign(city="Ulm")) == model.predict(frame.assign(city="Ulm"))).all()
    values = DNNRegressor(**SMALL).fit(frame, frame["member"] * 2.0).predict(frame)
    assert values.shape == (240,)


def test_numbers_that_are_text() -> None:
    """Numbers that are text with a decimal comma, in a frame and its target, are numbers, in `predict` too; open ones are asked."""
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    written = X.map(lambda value: f"{value:.6f}".replace(".", ","))
    model = DNNRegressor(**SMALL).fit(written, [f"{value:,.2f}" for value in 10 * y])
    plain = DNNRegressor(**SMALL).fit(X.round(6), 10 * y)
    assert np.allclose(model.predict(written), plain.predict(X.round(6)), rtol=1e-3)
    with pytest.raises(UserError, match=r"Give decimal='\.' \(1\.234\) or decimal=',' \(1234\)"):
        DNNRegressor(**SMALL).fit(pd.DataFrame({"a": ["1.234", "3.456"] * 20}), range(40))
    asked = DNNRegressor(**SMALL, decimal=",").fit(pd.DataFrame({"a": ["1.234", "3.456"] * 20}), range(40))
    assert asked.model_.preprocessing["columns"][0]["range"] == [1234.0, 3456.0]


def test_missing_numbers() -> None:
    """Missing cells are filled by the training rows' median, also where a column had none before; infinite ones are refused."""
    X, y = load_iris(return_X_y=True)
    model = DNNClassifier(**SMALL).fit(X, y)
    gaps = X.copy()
    gaps[:, 2] = np.nan
    filled = X.copy()
    filled[:, 2] = model.model_.preprocessing["columns"][2]["fill"]
    np.testing.assert_allclose(model.predict_proba(gaps), model.predict_proba(filled))
    assert DNNClassifier(**SMALL).fit(np.where(np.arange(600).reshape(150, 4) % 7, X, np.nan), y).score(X, y) > 0.5
    gaps[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        model.predict(gaps)


def test_own_validation_rows() -> None:
    """Networks are compared on the rows that `fit` is given, which no held-out row joins; without `refit` none of them trains."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    names = y.map({0: "setosa", 1: "versicolor", 2: "virginica"})
    training, others = X.index % 3 != 0, X.index % 3 == 0
    model = DNNClassifier(**SMALL, refit=False).fit(X[training], names[training], validation=(X[others], names[others]))
    probabilities = model.predict_proba(X[others])
    assert model.best_value_ == pytest.approx(log_loss(names[others], probabilities), rel=1e-4)
    means = [entry["mean"] for entry in model.model_.preprocessing["columns"]]
    assert np.ravel(means) == pytest.approx(X[training].mean().to_numpy(), rel=1e-5)
    frame = X.assign(kind=np.where(X.iloc[:, 0] > 5.5, "long", "short"))
    read = DNNRegressor(**SMALL, refit=False).fit(frame[training], y[training], validation=(frame[others], y[others]))
    rmse = float(np.sqrt(np.mean((read.predict(frame[others]) - y[others]) ** 2)))
    assert read.best_value_ == pytest.approx(rmse, rel=1e-4)


@pytest.mark.parametrize(
    ("parameters", "given", "said"),
    [
        (
            {},
            lambda x, y: x,
            r"validation: ndarray, a pair \(X, y\) expected\. Give fit\(X, y, validation=\(Xv, yv\)\)",
        ),
        ({"folds": 3}, lambda x, y: (x, y), "with folds each of them validates in turn"),
        ({}, lambda x, y: (x[:, :2], y), "X has 2 features"),
        ({}, lambda x, y: (x, y + 5), r"class 5, 6, 7 is in none of the rows to train on"),
        ({}, lambda x, y: (x, [None, *y[1:]]), "1 missing label"),
    ],
)
def test_validation_rows_that_cannot_be_used(parameters: dict[str, Any], given: Any, said: str) -> None:
    """Validation rows that are no pair, stand beside folds, or are unlike the others are refused in one line."""
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=said):
        DNNClassifier(**SMALL, **parameters).fit(X, y, validation=given(X, y))


def test_rows_without_target_and_of_rare_classes_are_dropped() -> None:
    """What `drop_rows` names takes no part, with a warning of how many rows; weights go with their rows."""
    X, y = load_iris(return_X_y=True)
    labels: list[Any] = ["odd", None, None, *map(str, y[3:])]
    with pytest.warns(UserWarning, match="dropped") as warned:
        model = DNNClassifier(**SMALL, drop_rows=["missing-target", "rare-classes"]).fit(X, labels, np.ones(150))
    said = [str(warning.message) for warning in warned]
    assert ["2 rows of 150 dropped: no target" in said[0], "'odd' (1) (drop_rows rare-classes)" in said[1]] == [
        True,
        True,
    ]
    assert model.classes_.tolist() == ["0", "1", "2"]
    numbers = np.where(np.arange(150) < 4, np.nan, X[:, 0])
    with pytest.warns(UserWarning, match="4 rows of 150 dropped"):
        DNNRegressor(**SMALL, drop_rows=["missing-target"]).fit(pd.DataFrame(X), numbers)
    with pytest.raises(UserError, match="unknown drop_rows 'odd'"):
        DNNRegressor(**SMALL, drop_rows=["odd"]).fit(X, y)


def test_how_a_search_begins_and_ends() -> None:
    """The first trial has the settings that are given; a value that is reached, or trials without a better one, end the search."""
    X, y = load_iris(return_X_y=True)
    many = {**SMALL, "trials": 12}
    begun = DNNClassifier(**SMALL, start=[{"learning_rate": 0.0123, "depth": 1}]).fit(X, y)
    assert (begun.trials_["learning_rate"][0], begun.trials_["depth"][0]) == (0.0123, 1)
    assert len(DNNClassifier(**many, target_value=5.0).fit(X, y).trials_) < 12
    assert len(DNNClassifier(**many, search_patience=1).fit(X, y).trials_) < 12
    with pytest.raises(SearchFailed, match=r"training\.max_seconds"):
        DNNClassifier(**SMALL, max_seconds=1e-6).fit(X, y)


def test_folds() -> None:
    """With folds each trial's value is the mean over them, and the network is trained on all rows."""
    X, y = load_iris(return_X_y=True)
    model = DNNClassifier(**SMALL, folds=3).fit(X, y)
    assert model.score(X, y) > 0.5
    assert model.best_value_ == pytest.approx(model.trials_["value"].min())


@pytest.mark.slow
def test_an_interrupt_goes_through() -> None:
    """Ctrl-C ends a cross-validation at once as KeyboardInterrupt, which no procedure takes for a failed fit."""
    code = """
import os, signal, threading, numpy as np
from sklearn.model_selection import cross_val_score
from hpsearch import DNNClassifier
X, y = np.random.default_rng(0).normal(size=(500, 10)), np.arange(500) % 2
DNNClassifier(trials=1, epochs=1, confirm=0, refit=False).fit(X, y)  # compiled kernels are loaded
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    cross_val_score(DNNClassifier(trials=5000), X, y)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout == "interrupted\n", done.stderr


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({0: -1, 1: 1}, "that of 0 is -1.0"),
        ({0: 1, 1: 0}, "that of 1 is 0.0"),
        ({0: float("nan"), 1: 1}, "that of 0 is nan"),
        ({0: "a", 1: 1}, "class_weight {0: 'a', 1: 1}: 'balanced', or a number for each"),
        ({5: 1}, "for each of the labels 0, 1, expected"),
        ("balance", "class_weight 'balance': 'balanced', or"),
    ],
)
def test_class_weights_that_are_none(weights: Any, message: str) -> None:
    """A weight that would turn the loss round, leave a class out, or is no number is refused in one line before a search."""
    X = np.random.RandomState(0).normal(size=(40, 2))
    with pytest.raises(UserError, match=re.escape(message)):
        DNNClassifier(trials=1, class_weight=weights).fit(X, np.arange(40) % 2)


@pytest.mark.parametrize("make", [csr_matrix, csr_array])
def test_sparse_inputs_are_told_what_to_do(make: Any) -> None:
    """A sparse matrix, as an encoder gives it, is refused in one line that says how it becomes an array."""
    X = make(np.eye(40))
    with pytest.raises(UserError, match=r"sparse.*Give X.toarray\(\)"):
        DNNRegressor(trials=1).fit(X, np.arange(40.0))
    with pytest.raises(UserError, match=r"1 class \(0.0\), at least 2"):
        DNNClassifier(trials=1).fit(X.toarray(), np.zeros(40))


def test_labels_of_several_kinds_in_a_list_are_refused() -> None:
    """1 and "a" in a list are no two texts: predictions would not be the labels that were given."""
    labels: Any = [1, "a", 1, "a"]
    with pytest.raises(UserError, match=r"labels of several kinds \(int, str\)"):
        DNNClassifier().fit(np.arange(8).reshape(4, 2), labels)
