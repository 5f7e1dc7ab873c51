"""Losses of a cohort and their gradients, one row for each task: outputs [T, C, B] and targets of B rows that all trials share.

`rows` is the size of the whole batch, of which these may be a part: losses [T] and gradients of the parts add up to the batch's.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

Loss = Callable[[torch.Tensor, torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]]


def _squared_error(outputs: torch.Tensor, targets: torch.Tensor, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    share = 1 / (rows * outputs.shape[1])
    error = outputs - targets.T  # [T, C, B] - [C, B]
    return error.square().sum((1, 2)).mul_(share), error.mul_(2 * share)


def _binary_cross_entropy(outputs: torch.Tensor, targets: torch.Tensor, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    known = targets.T.expand_as(outputs)  # [1, B] → [T, 1, B]
    loss = F.binary_cross_entropy_with_logits(outputs, known, reduction="none").sum((1, 2))
    return loss.div_(rows), outputs.sigmoid().sub_(known).div_(rows)


def _cross_entropy(outputs: torch.Tensor, targets: torch.Tensor, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    chances = outputs.log_softmax(1)
    known = targets.expand(len(outputs), 1, -1)  # [B] → [T, 1, B]
    loss = chances.gather(1, known).sum((1, 2)).div_(-rows)
    classes = torch.arange(outputs.shape[1], device=outputs.device).unsqueeze(1)
    truth = (classes == targets).to(outputs.dtype)  # [C, B]
    return loss, chances.exp_().sub_(truth).div_(rows)


LOSSES: dict[str, Loss] = {
    "regression": _squared_error,
    "binary": _binary_cross_entropy,
    "multiclass": _cross_entropy,
}
