"""Losses of a cohort and their gradients, one row for each task: outputs [T, C, B] and targets of B rows that all trials share.

`rows` is the size of the whole batch, of which these may be a part: losses [T] and gradients of the parts add up to the batch's.
`weights` [C] are those of the classes, by which each row's loss is multiplied; None where all weigh alike.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from hpsearch.data.tasks import class_numbers

Pair = tuple[torch.Tensor, torch.Tensor]
Weights = torch.Tensor | None
Loss = Callable[[torch.Tensor, torch.Tensor, int, Weights], Pair]


def _squared_error(outputs: torch.Tensor, targets: torch.Tensor, rows: int, weights: Weights) -> Pair:
    assert weights is None, "a regression has no classes"
    share = 1 / (rows * outputs.shape[1])
    error = outputs - targets.T  # [T, C, B] - [C, B]
    return error.square().sum((1, 2)).mul_(share), error.mul_(2 * share)


def _binary_cross_entropy(outputs: torch.Tensor, targets: torch.Tensor, rows: int, weights: Weights) -> Pair:
    known = targets.T.expand_as(outputs)  # [1, B] → [T, 1, B]
    losses = F.binary_cross_entropy_with_logits(outputs, known, reduction="none")  # [T, 1, B]
    errors = outputs.sigmoid().sub_(known)
    losses, errors = _weighted(losses, errors, targets, weights)
    return losses.sum((1, 2)).div_(rows), errors.div_(rows)


def _cross_entropy(outputs: torch.Tensor, targets: torch.Tensor, rows: int, weights: Weights) -> Pair:
    chances = outputs.log_softmax(1)
    known = targets.expand(len(outputs), 1, -1)  # [B] → [T, 1, B]
    gains = chances.gather(1, known)  # [T, 1, B]
    classes = torch.arange(outputs.shape[1], device=outputs.device).unsqueeze(1)
    truth = (classes == targets).to(outputs.dtype)  # [C, B]
    errors = chances.exp_().sub_(truth)
    gains, errors = _weighted(gains, errors, targets, weights)
    return gains.sum((1, 2)).div_(-rows), errors.div_(rows)


def _weighted(losses: torch.Tensor, errors: torch.Tensor, targets: torch.Tensor, weights: Weights) -> Pair:
    """Multiply the rows' losses and errors by the weights of their classes; without weights they stay what they are."""
    if weights is None:
        return losses, errors
    row_weights = weights.index_select(0, class_numbers(targets))  # [B]
    return losses * row_weights, errors * row_weights


LOSSES: dict[str, Loss] = {
    "regression": _squared_error,
    "binary": _binary_cross_entropy,
    "multiclass": _cross_entropy,
}
