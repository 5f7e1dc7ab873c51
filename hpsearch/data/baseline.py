"""The trivial predictor beside which a network is judged: one answer for every row, fitted on the training rows alone.

scikit-learn's `DummyClassifier` and `DummyRegressor` give it. Which answer is the best that knows no input depends on the metric: its row
of `METRICS` names the strategy.
"""

import numpy as np
import torch
from torch import Tensor

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

    The answer is a class's label, or a number for each target [K]; None where it is every class's share of the training rows.
    """
    if data.task.has_classes:
        return _class_baseline(data, training, rows)
    return _value_baseline(data, training, rows)


def _value_baseline(data: Data, training: Rows, rows: Rows) -> Baseline:
    from sklearn.dummy import DummyRegressor

    known = data.original(training.targets).cpu().double().numpy()  # [N, K]
    model = DummyRegressor(strategy=strategy_of(data)).fit(np.zeros((len(known), 1)), known)
    predicted = np.asarray(model.predict(np.zeros((len(rows), 1)))).reshape(len(rows), -1)
    return np.ravel(model.constant_).tolist(), torch.from_numpy(predicted).to(rows.targets.device)


def _class_baseline(data: Data, training: Rows, rows: Rows) -> Baseline:
    from sklearn.dummy import DummyClassifier

    strategy = strategy_of(data)
    known = class_numbers(training.targets).cpu().numpy()  # [N]
    if strategy == "constant" and not (known == 1).any():  # scikit-learn refuses a constant that no training row has
        strategy = "most_frequent"
    model = DummyClassifier(strategy=strategy, constant=1).fit(np.zeros((len(known), 1)), known)
    shares = np.zeros((len(rows), len(data.classes)))  # [N, C]
    shares[:, model.classes_] = model.predict_proba(np.zeros((len(rows), 1)))
    likeliest = data.classes[int(shares[0].argmax())]
    answer = None if strategy == "prior" else likeliest
    return answer, data.task.undo_decode(torch.from_numpy(shares).to(rows.targets.device))
