"""The trivial predictor beside which a network is judged: one answer for every row, fitted on the training rows alone.

scikit-learn's `DummyClassifier` and `DummyRegressor` give it, of labels `LABEL_STRATEGIES`. Which answer is the best that knows no
input depends on the metric: its row of `METRICS` names the strategy.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from hpsearch.data.cells import Array
from hpsearch.data.dataset import Data, Rows
from hpsearch.data.tasks import class_numbers

Baseline = tuple[str | list[float] | None, Tensor]


def strategy_of(data: Data) -> str:
    """Return scikit-learn's name of the strategy for the metric.

    The F1 of two classes is that of the second one, so "constant" answers it always: "never" would have an F1 of 0, which any network
    beats. Several classes have a mean of F1s, for which the most frequent class is best.
    """
    strategy = data.metric.baseline
    if strategy == "constant" and data.outputs > 1:
        return "most_frequent"
    return strategy


def baseline(data: Data, training: Rows, rows: Rows) -> Baseline:
    """Return the answer and its predictions for `rows`, as `Data.predict` gives them ([N, K] or [N, C], float64).

    The answer is a class's label, the labels of every row, or a number for each target [K]; None where it is every class's share of the
    training rows.
    """
    if data.task.has_classes:
        return _class_baseline(data, training, rows)
    if data.labels:
        return _label_baseline(data, training, rows)
    return _value_baseline(data, training, rows)


def _weights(rows: Rows) -> Array | None:
    """Return the weights [N] of rows, None where all weigh alike."""
    if rows.weights is None:
        return None
    return rows.weights.cpu().double().numpy()


def _value_baseline(data: Data, training: Rows, rows: Rows) -> Baseline:
    from sklearn.dummy import DummyRegressor

    known = data.original(training.targets).cpu().double().numpy()  # [N, K]
    model = DummyRegressor(strategy=strategy_of(data)).fit(np.zeros((len(known), 1)), known, _weights(training))
    predicted = np.asarray(model.predict(np.zeros((len(rows), 1)))).reshape(len(rows), -1)
    return np.ravel(model.constant_).tolist(), torch.from_numpy(predicted).to(rows.targets.device)


def _label_baseline(data: Data, training: Rows, rows: Rows) -> Baseline:
    """Give every row the same labels: those that are best for the metric."""
    known = training.targets.cpu().double().numpy()  # [N, L]
    weights = _weights(training)
    equal = np.ones(len(known))
    given = LABEL_STRATEGIES[data.metric.baseline](known, equal if weights is None else weights)  # [L], truth values
    names = [name for name, has in zip(data.labels, given, strict=True) if has]
    answer = ", ".join(names) or "none of the labels"
    return answer, torch.from_numpy(np.tile(given.astype(np.float64), (len(rows), 1))).to(rows.targets.device)


def _frequent_labels(known: Array, weights: Array) -> Array:
    """Return so many of the most frequent labels that the micro F1 of the training rows is the highest."""
    shares = np.average(known, axis=0, weights=weights)  # [L]
    order = np.argsort(-shares, kind="stable")
    f1 = 2 * np.cumsum(shares[order]) / (np.arange(1, len(order) + 1) + shares.sum())
    given = np.zeros(len(order), dtype=bool)
    given[order[: int(f1.argmax()) + 1]] = True
    return given


def _most_frequent_row(known: Array, weights: Array) -> Array:
    rows, places = np.unique(known, axis=0, return_inverse=True)
    return np.asarray(rows[np.bincount(places.reshape(-1), weights).argmax()] > 0)


LABEL_STRATEGIES: dict[str, Callable[[Array, Array], Array]] = {
    "every_label": lambda known, weights: np.ones(known.shape[1], dtype=bool),
    "frequent_labels": _frequent_labels,
    "most_frequent_row": _most_frequent_row,
    "majority": lambda known, weights: np.average(known, axis=0, weights=weights) > 0.5,
}


def _class_baseline(data: Data, training: Rows, rows: Rows) -> Baseline:
    from sklearn.dummy import DummyClassifier

    strategy = strategy_of(data)
    known = class_numbers(training.targets).cpu().numpy()  # [N]
    if strategy == "constant" and not (known == 1).any():  # scikit-learn refuses a constant that no training row has
        strategy = "most_frequent"
    model = DummyClassifier(strategy=strategy, constant=1).fit(np.zeros((len(known), 1)), known, _weights(training))
    shares = np.zeros((len(rows), len(data.classes)))  # [N, C]
    shares[:, model.classes_] = model.predict_proba(np.zeros((len(rows), 1)))
    likeliest = data.classes[int(shares[0].argmax())]
    answer = None if strategy == "prior" else likeliest
    return answer, data.task.undo_decode(torch.from_numpy(shares).to(rows.targets.device))
