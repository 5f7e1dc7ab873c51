"""The trivial predictor beside which a network is judged: one answer for every row, fitted on the training rows alone.

scikit-learn's `DummyClassifier` and `DummyRegressor` give it. Which answer is the best that knows no input depends on the metric:
`STRATEGIES` has one row for each.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.data.dataset import Data, Rows
from hpsearch.data.tasks import class_numbers

STRATEGIES = {
    "accuracy": "most_frequent",
    "balanced_accuracy": "most_frequent",
    "f1": "constant",  # of two classes always the second one: "never" would have an F1 of 0, which any network beats
    "roc_auc": "prior",
    "log_loss": "prior",
    "rmse": "mean",
    "mae": "median",
    "r2": "mean",
}


def strategy_of(data: Data) -> str:
    """Return scikit-learn's name of the strategy for the metric; the macro F1 of several classes is best for the most frequent one."""
    found = STRATEGIES[data.metric.name]
    return "most_frequent" if found == "constant" and data.task.name != "binary" else found


def baseline(data: Data, training: Rows, rows: Rows) -> tuple[str | list[float] | None, Tensor]:
    """Return the answer and its predictions for `rows`, as `Data.predict` gives them ([N, K] or [N, C], float64).

    The answer is a class's label, or a number for each target [K]; None where it is every class's share of the training rows.
    """
    if data.classes:
        return _of_classes(data, training, rows)
    from sklearn.dummy import DummyRegressor

    known = data.original(training.targets).cpu().double().numpy()  # [N, K]
    model = DummyRegressor(strategy=strategy_of(data)).fit(np.zeros((len(known), 1)), known)
    made = np.asarray(model.predict(np.zeros((len(rows), 1)))).reshape(len(rows), -1)
    return np.ravel(model.constant_).tolist(), torch.from_numpy(made).to(rows.targets.device)


def _of_classes(data: Data, training: Rows, rows: Rows) -> tuple[str | None, Tensor]:
    from sklearn.dummy import DummyClassifier

    strategy, known = strategy_of(data), class_numbers(training.targets).cpu().numpy()  # [N]
    given: dict[str, Any] = {"constant": 1} if strategy == "constant" and (known == 1).any() else {}
    model = DummyClassifier(strategy=strategy if given or strategy != "constant" else "most_frequent", **given)
    model.fit(np.zeros((len(known), 1)), known)
    shares = np.zeros((len(rows), len(data.classes)))  # [N, C]
    shares[:, model.classes_] = model.predict_proba(np.zeros((len(rows), 1)))
    answer = None if strategy == "prior" else data.classes[int(shares[0].argmax())]
    made = torch.from_numpy(shares).to(rows.targets.device)
    return answer, made[:, 1:] if data.task.name == "binary" else made
