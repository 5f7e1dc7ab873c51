"""The area under the ROC curve: how well scores put the rows of a class before the others, whatever threshold is chosen later.

C classes, N rows. It is the chance that a row of the class has a higher score than another row, ties counting half: Mann and Whitney's
(1947) statistic over the number of pairs, computed from ranks, with no loop over thresholds or classes.
"""

import torch
from torch import Tensor


def areas(scores: Tensor, hits: Tensor) -> Tensor:
    """Return the areas [C] of scores [C, N], where `hits` [C, N] are the rows that should be high; NaN if these are all or none."""
    values, order = scores.contiguous().sort(dim=1)
    ranks = _ranks(values)
    hits = hits.gather(1, order)
    count = hits.sum(dim=1).double()  # [C]
    above = (ranks * hits).sum(dim=1) - count * (count + 1) / 2  # pairs in the right order
    return above / (count * (scores.shape[1] - count))


def _ranks(values: Tensor) -> Tensor:
    """Return the ranks [C, N] of sorted values, from 1, equal ones having the mean of theirs."""
    place = torch.arange(values.shape[1], device=values.device)
    edge = torch.ones_like(values[:, :1], dtype=torch.bool)
    differs = values[:, 1:] != values[:, :-1]  # [C, N - 1]
    first = torch.where(torch.cat([edge, differs], dim=1), place, 0).cummax(dim=1).values
    last = torch.where(torch.cat([differs, edge], dim=1), place, len(place) - 1).flip(1).cummin(dim=1).values.flip(1)
    return (first + last).double() / 2 + 1
