"""What the kept networks say of single rows, and what a trivial predictor reaches on the same rows: the numbers behind two questions.

Where is the model wrong, and is it better than one answer for all? Test rows answer where there are any, else the validation rows.
After a cross-validation the kept networks have trained on the validation rows too: without test rows nothing is told of them then.

    baseline    `strategy` (scikit-learn's name), `answer`, and the metric that it reaches on `validation` and `test` rows
    predicted   `rows`: which ones, `count`: how many, `networks`: how many predict together, and
                of up to 20 classes   `classes` and `confusion`: rows by true class (outer) and predicted class (inner)
                of more classes       `right`, and `pairs`: the most frequent confusions, [true, predicted, rows, rows of the true class]
                of numbers            `points`: [true, predicted] of at most 2,000 rows; `targets`: of how many, the first is told;
                                      `errors`: half and nine tenths of the rows are no farther off; `tenths`: see `tenths_of`
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hpsearch.data.baseline import baseline, strategy_of
from hpsearch.data.dataset import Data, Rows
from hpsearch.data.metrics import confusion, labels
from hpsearch.searching.scoring import together
from hpsearch.trial import derive_seed

MOST_CLASSES = 20  # of which every pair is told
PAIRS = 20
POINTS = 2_000
FEW = 50  # rows, below which tenths of them say nothing
Array = npt.NDArray[Any]


def shown_rows(data: Data) -> Rows:
    """Return the rows whose predictions are told: the test rows, without those the validation rows that the networks did not train on."""
    if len(data.test) or not data.folds:
        return data.test if len(data.test) else data.validation
    return data.test


def predicted(data: Data, outputs: Sequence[Tensor]) -> dict[str, Any]:
    """Return `baseline` and `predicted`; `outputs` [N, ...] are those of each kept network for `shown_rows`."""
    found: dict[str, Any] = {"baseline": compared(data)}
    rows = shown_rows(data)
    if not len(rows):
        return found
    said = {"rows": "test" if len(data.test) else "validation", "count": len(rows), "networks": len(outputs)}
    predictions = together(data, outputs)
    told = _classes(data, predictions, rows) if data.classes else _numbers(data, predictions, rows)
    return found | {"predicted": said | told}


def compared(data: Data) -> dict[str, Any]:
    """Return what the trivial predictor reaches: on validation rows fitted as a trial is, on test rows as the kept network is."""
    parts = [data.fold(number) for number in range(max(1, len(data.folds)))]
    values = [
        part.metric_of(baseline(part, part.training, part.validation)[1], part.validation.targets) for part in parts
    ]
    training = data.training
    if data.folds:
        both = (data.training, data.validation)
        training = Rows(torch.cat([part.inputs for part in both]), torch.cat([part.targets for part in both]))
    rows = data.test if len(data.test) else data.validation
    answer, predictions = baseline(data, training, rows)
    test = data.metric_of(predictions, rows.targets) if len(data.test) else None
    figures = {"validation": _known(float(np.mean(values))), "test": _known(test)}
    return {"strategy": strategy_of(data), "answer": answer, **figures}


def _known(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _classes(data: Data, predictions: Tensor, rows: Rows) -> dict[str, Any]:
    if len(data.classes) <= MOST_CLASSES:
        table = confusion(predictions, rows.targets).long().tolist()
        return {"classes": list(data.classes), "confusion": table}
    taken, known = (numbers.flatten().long().cpu() for numbers in labels(predictions, rows.targets))  # [N]
    codes, counts = np.unique((known * len(data.classes) + taken)[taken != known].numpy(), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:PAIRS]
    of = known.bincount(minlength=len(data.classes)).tolist()
    pairs = [(*divmod(int(codes[i]), len(data.classes)), int(counts[i])) for i in order]
    told = [[data.classes[true], data.classes[other], count, of[true]] for true, other, count in pairs]
    return {"right": int((taken == known).sum()), "pairs": told}


def _numbers(data: Data, predictions: Tensor, rows: Rows) -> dict[str, Any]:
    true = data.original(rows.targets)[:, 0].cpu().double().numpy()  # [N]
    made = predictions[:, 0].cpu().double().numpy()
    chosen = sample(len(true))
    points = [[_short(a), _short(b)] for a, b in zip(true[chosen], made[chosen], strict=True)]
    half, most = np.quantile(np.abs(made - true), [0.5, 0.9]).tolist()
    told = {"targets": predictions.shape[1], "points": points, "errors": {"half": _known(half), "most": _known(most)}}
    return told | {"tenths": tenths_of(true, made)}


def sample(rows: int) -> Array:
    """Return the numbers of the rows whose points are kept: all, or a random choice that depends on their number alone."""
    if rows <= POINTS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(derive_seed("predicted", rows) % 2**32).choice(rows, POINTS, replace=False))


def tenths_of(true: Array, made: Array) -> list[list[float | None]]:
    """Return ten groups of rows by their true value [N], each as [from, to, rows, 10 %, 50 % and 90 % quantile of predicted minus true]."""
    if len(true) < FEW:
        return []
    groups = np.array_split(np.argsort(true, kind="stable"), 10)
    return [
        [_short(true[group[0]]), _short(true[group[-1]]), len(group)]
        + [_short(error) for error in np.quantile((made - true)[group], [0.1, 0.5, 0.9])]
        for group in groups
    ]


def _short(value: float) -> float | None:
    """Return six significant digits, all that a figure can show."""
    return _known(float(f"{value:.6g}"))
