"""Weights of rows: how much each counts in the loss and in the metrics, on validation and test rows too.

In the loss they have the mean 1 over the training rows (times the weights of classes, where these are asked for), so that they do not
change the step size. A weighted metric is that of scikit-learn with `sample_weight`.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.data.cells import NUMBERS, Array, is_missing, to_array
from hpsearch.data.splits import Split
from hpsearch.errors import UserError, shown

EXPECTED = "a finite number from 0 in every row expected, as a weight"


def read_weights(given: Any, rows: int) -> Array:
    """Read the weights [N] of so many rows.

    Raises:
        UserError: of another shape, or no numbers.
    """
    if isinstance(given, str):
        raise UserError(
            f"sample_weight {shown(given)}: a number for each row expected. A column of X is named by weight = {shown(given)}."
        )
    array = to_array(given, "weights")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (rows,):
        raise UserError(f"weights of shape {array.shape}: one for each of {rows:,} rows expected.")
    if array.dtype.kind in NUMBERS:
        return array.astype(np.float64)
    try:
        return np.array([np.nan if is_missing(cell) else float(cell) for cell in array])
    except (TypeError, ValueError):
        raise UserError(f"weights: {shown(array[0])} and others, {EXPECTED}. Give numbers.") from None


def check_row_weights(weights: Array, inputs: Any, split: Split) -> None:
    """Refuse weights [N] that are missing, infinite or negative, or all 0 in a part.

    Raises:
        UserError: says in which row.
    """
    table = getattr(inputs, "table", None)
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        first = int(wrong.argmax())
        where = table.where(first) if table is not None else f"row {first}"
        holds = f"is {weights[first]:g}"
        if np.isnan(weights[first]):
            holds = "is missing"
        count = int(wrong.sum())
        more = f" (and {count - 1:,} more)" * (count > 1)
        raise UserError(f"weights: that of {where} {holds}{more}, {EXPECTED}. Mend it, or drop the row.")
    divisions = [(f"training{_of(split, k)}", rows) for k, (rows, _) in enumerate(split.divisions)]
    divisions += [(f"validation{_of(split, k)}", rows) for k, (_, rows) in enumerate(split.divisions)]
    for part, rows in (*divisions, ("test", split.test)):
        if len(rows) and not weights[rows].any():
            raise UserError(f"weights: zero in all {len(rows):,} {part} rows. Give some of them more.")


def _of(split: Split, fold: int) -> str:
    return f" (fold {fold})" if split.folds else ""


def balanced_weights(codes: Tensor, classes: int) -> Tensor:
    """Return a weight for each class [C], float32: N / (C · N_c), whose mean over the training rows is 1.

    G. King, L. Zeng, "Logistic regression in rare events data", Political Analysis 9 (2001), section 4.2; as scikit-learn's "balanced".

    Args:
        codes: the class numbers of the training rows [N].
        classes: how many classes there are.
    """
    counts = codes.bincount(minlength=classes).double()
    return (len(codes) / (classes * counts)).to(torch.float32)


def scaled_weights(weights: Array, targets: Tensor, class_weights: Tensor | None, training: Array) -> Tensor:
    """Return weights [N], their mean over the training rows being 1 once classes are weighed too.

    Args:
        weights: of all rows.
        targets: of all rows, class numbers [N] where classes have weights.
        class_weights: of each class [C].
        training: the numbers of the training rows.
    """
    each = torch.from_numpy(weights)
    total = each
    if class_weights is not None:
        total = each * class_weights.double()[targets.flatten().long()]
    return each / total[torch.from_numpy(training)].mean()


def weights_notice(weights: Array, name: str) -> str:
    """Return what a reader should know of weights that count."""
    effective = weights.sum() ** 2 / np.square(weights).sum()
    return (
        f"Rows are weighted by {name}: {weights.min():g} to {weights.max():g}, together as much as {effective:,.0f} rows of one weight. "
        "The loss and every metric, on validation and test rows too, are weighted means; tables of single rows count each row once."
    )
