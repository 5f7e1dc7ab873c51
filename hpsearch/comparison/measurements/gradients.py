"""Gradients of the loss at given weights: of all rows, of each row, of random batches.

A dense layer's gradient of one row is δ aᵀ (δ: the loss's derivative by the layer's sums, a: what enters the layer), so its squared
norm is ‖δ‖²‖a‖², plus ‖δ‖² for the bias: the norms of all rows come from one pass, and no row's gradient is ever formed
(Goodfellow 2015, arXiv:1510.01799).
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from hpsearch.comparison.measurements.state import State, chunks, forward, loss_at
from hpsearch.data.dataset import Rows
from hpsearch.training import draws


def full_gradient(state: State, rows: Rows) -> Tensor:
    """Return the gradient [P] of the mean loss over the rows: the direction of gradient descent."""
    vector = state.vector(rows).requires_grad_()
    total = torch.zeros_like(vector)
    for chunk, share in chunks(rows):
        loss = loss_at(state.architecture, state.task, vector, chunk)
        total += share * torch.autograd.grad(loss, vector)[0]
    return total.detach()


def example_squared_norms(state: State, rows: Rows) -> Tensor:
    """Return the squared norm of each row's own gradient, [N]."""
    return torch.cat([_squared_norms(state, chunk) for chunk, _ in chunks(rows)])


def _squared_norms(state: State, rows: Rows) -> Tensor:
    entering, sums = forward(state.architecture, state.vector(rows).requires_grad_(), rows.inputs)
    total = state.task.loss(sums[-1], rows.targets) * len(rows)  # the sum: a row's derivatives are then its own
    norms = torch.zeros_like(rows.inputs[:, 0])  # [N]
    for delta, a in zip(torch.autograd.grad(total, sums), entering, strict=True):  # [N, H_l], [N, H_(l-1)]
        norms += delta.square().sum(1) * (a.detach().square().sum(1) + 1)
    return norms


def each_batch_gradient(state: State, rows: Rows, batch_size: int, count: int, seed: int) -> Iterator[Tensor]:
    """Return the gradient [P] of one random batch after the other; a batch holds no row twice, a full one has their order."""
    for batch in each_batch(rows, batch_size, count, seed):
        yield full_gradient(state, batch)


def each_batch(rows: Rows, batch_size: int, count: int, seed: int) -> Iterator[Rows]:
    """Return random batches: `batch_size` of the rows without replacement, each batch independent of the others.

    Raises:
        ValueError: the batch size is not between 1 and the number of rows.
    """
    if not 1 <= batch_size <= len(rows):
        raise ValueError(f"batch size {batch_size}: 1 to {len(rows)} expected, as there are so many rows")
    generator = draws.generator("diagnostics", seed, batch_size)
    for _ in range(count):
        if batch_size == len(rows):
            yield rows
            continue
        chosen = torch.randperm(len(rows), generator=generator)[:batch_size].to(rows.inputs.device)
        yield Rows(rows.inputs[chosen], rows.targets[chosen])
