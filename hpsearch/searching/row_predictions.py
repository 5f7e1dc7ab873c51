"""The selected model's predictions of single rows, and what the trivial predictor reaches on the same rows.

They answer two questions: where is the model wrong, and is it better than one answer for every row? The rows are the test rows, where
there are none the validation rows. After a cross-validation the networks have trained on the validation rows too: without test rows
nothing is said of them then.

    baseline    `strategy` (scikit-learn's name), `answer`, and the metric that it reaches on `validation` and `test` rows
    predicted   `rows`: which ones, `count`: how many, `networks`: how many predict together, and
                of up to 20 classes   `classes` and `confusion`: rows by true class (outer) and predicted class (inner)
                of more classes       `right`, and `pairs`: the most frequent confusions, [true, predicted, rows, rows of the true class]
                of numbers            `points`: [true, predicted] of at most 2,000 rows; `targets`: how many there are, the first is shown;
                                      `errors`: half and nine tenths of the rows are no farther off; `tenths`: see `tenths_of`
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from hpsearch.data.baseline import baseline, strategy_of
from hpsearch.data.dataset import Data, Rows
from hpsearch.data.metrics import confusion, labels
from hpsearch.searching.full_training import joined
from hpsearch.searching.scoring import finite, mean_prediction, parts_of
from hpsearch.trial import derive_seed

MOST_CLASSES = 20  # of which every pair is counted
PAIRS = 20
POINTS = 2_000
FEWEST_ROWS = 50  # below which tenths of them say nothing
Array = npt.NDArray[Any]


def predicted_rows(data: Data) -> Rows:
    """Return the rows to predict: the test rows; without any, the validation rows where the networks did not train on them."""
    if len(data.test) or data.folds:
        return data.test
    return data.validation


def predicted(data: Data, outputs: Sequence[Tensor]) -> dict[str, Any]:
    """Return `baseline` and `predicted`; `outputs` [N, ...] are those of each network for `predicted_rows`."""
    rows = predicted_rows(data)
    if not len(rows):
        return {"baseline": baseline_figures(data)}
    predictions = mean_prediction(data, outputs)
    details = _classes(data, predictions, rows) if data.classes else _numbers(data, predictions, rows)
    part = "test" if len(data.test) else "validation"
    figures = {"rows": part, "count": len(rows), "networks": len(outputs), **details}
    return {"baseline": baseline_figures(data), "predicted": figures}


def baseline_figures(data: Data) -> dict[str, Any]:
    """Return what the trivial predictor reaches: on validation rows fitted as a trial is, on test rows as the selected model is."""
    parts = parts_of(data)
    values = []
    for part in parts:
        _, predictions = baseline(part, part.training, part.validation)
        values.append(part.metric_of(predictions, part.validation.targets))
    training = joined(data.training, data.validation) if data.folds else data.training
    rows = data.test if len(data.test) else data.validation
    answer, predictions = baseline(data, training, rows)
    test = data.metric_of(predictions, rows.targets) if len(data.test) else None
    validation = finite(float(np.mean(values)))
    return {"strategy": strategy_of(data), "answer": answer, "validation": validation, "test": finite(test)}


def _classes(data: Data, predictions: Tensor, rows: Rows) -> dict[str, Any]:
    if len(data.classes) <= MOST_CLASSES:
        table = confusion(predictions, rows.targets).long().tolist()
        return {"classes": list(data.classes), "confusion": table}
    taken, known = (numbers.flatten().long().cpu() for numbers in labels(predictions, rows.targets))  # [N]
    classes = len(data.classes)
    wrong = (known * classes + taken)[taken != known]
    codes, counts = np.unique(wrong.numpy(), return_counts=True)
    rows_of = known.bincount(minlength=classes).tolist()
    pairs = []
    for index in np.argsort(-counts, kind="stable")[:PAIRS]:
        true, other = divmod(int(codes[index]), classes)
        pairs.append([data.classes[true], data.classes[other], int(counts[index]), rows_of[true]])
    return {"right": int((taken == known).sum()), "pairs": pairs}


def _numbers(data: Data, predictions: Tensor, rows: Rows) -> dict[str, Any]:
    true = data.original(rows.targets)[:, 0].cpu().double().numpy()  # [N]
    predicted = predictions[:, 0].cpu().double().numpy()
    chosen = sample(len(true))
    points = [[_short(a), _short(b)] for a, b in zip(true[chosen], predicted[chosen], strict=True)]
    half, most = np.quantile(np.abs(predicted - true), [0.5, 0.9]).tolist()
    return {
        "targets": predictions.shape[1],
        "points": points,
        "errors": {"half": finite(half), "most": finite(most)},
        "tenths": tenths_of(true, predicted),
    }


def sample(rows: int) -> Array:
    """Return the numbers of the rows whose points are kept: all, or a random choice that depends on their number alone."""
    if rows <= POINTS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(derive_seed("predicted", rows) % 2**32).choice(rows, POINTS, replace=False))


def tenths_of(true: Array, predicted: Array) -> list[list[float | None]]:
    """Return ten groups of rows by their true value [N], each as [from, to, rows, 10 %, 50 % and 90 % quantile of predicted minus true]."""
    if len(true) < FEWEST_ROWS:
        return []
    groups = np.array_split(np.argsort(true, kind="stable"), 10)
    tenths = []
    for group in groups:
        low, middle, high = np.quantile((predicted - true)[group], [0.1, 0.5, 0.9])
        ends = [_short(true[group[0]]), _short(true[group[-1]]), len(group)]
        tenths.append([*ends, _short(low), _short(middle), _short(high)])
    return tenths


def _short(value: float) -> float | None:
    """Return six significant digits, all that a figure can show."""
    return finite(float(f"{value:.6g}"))
