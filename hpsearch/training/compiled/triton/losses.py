"""Losses for the GPU's kernel: the loss of a batch, and its gradient. One row for each task, by its code in `losses.CODES`."""

from hpsearch.training.compiled import losses
from hpsearch.training.compiled.triton.language import compiled, log1p, tile, tl

BINARY = tl.constexpr(losses.BINARY)
MULTICLASS = tl.constexpr(losses.MULTICLASS)


@compiled
def _squared_error(outputs: tl.tensor, targets: tl.tensor) -> tl.tuple:
    error = outputs - targets
    return error * error, 2.0 * error


@compiled
def _binary_cross_entropy(outputs: tl.tensor, targets: tl.tensor) -> tl.tuple:
    small = tl.exp(-tl.abs(outputs))
    loss = tl.where(outputs > 0.0, outputs, 0.0) - outputs * targets + log1p(small)
    probability = tl.where(outputs >= 0.0, 1.0, small) / (1.0 + small)
    return loss, probability - targets


@compiled
def _cross_entropy(outputs: tl.tensor, labels: tl.tensor, units: tl.tensor, count: tl.tensor) -> tl.tuple:
    """Return losses [rows] and gradients [rows, units] of outputs [rows, units], the first `count` of which are classes."""
    known = units[None, :] < count
    most = tl.max(tl.where(known, outputs, float("-inf")), axis=1)
    powers = tl.where(known, tl.exp(outputs - most[:, None]), 0.0)
    total = tl.sum(powers, axis=1)
    truth = (units[None, :] == labels[:, None]).to(outputs.dtype)
    right = tl.sum(tl.where(truth > 0.0, outputs - most[:, None], 0.0), axis=1)
    return tl.log(total) - right, powers / total[:, None] - truth


@compiled
def _loss_and_gradient(
    task: tl.constexpr,
    outputs: tl.tensor,
    targets: tl.tensor,
    chosen: tl.tensor,
    units: tl.tensor,
    count: tl.tensor,
    mask: tl.tensor,
) -> tl.tuple:
    """Return the sum of losses [] and gradients [rows, units] of outputs [rows, units], `count` of which are used, where `mask` holds.

    `targets` are those of all rows: class numbers [N], or [N, count]; `chosen` [rows] are the numbers of these rows.
    """
    if task == MULTICLASS:
        labels = tl.load(targets + chosen)
        loss, gradient = _cross_entropy(outputs, labels, units, count)
        return tl.sum(tl.where(units[None, :] == 0, tl.where(mask, loss[:, None], 0.0), 0.0)), gradient
    known = tl.load(targets + chosen[:, None] * count + units[None, :], mask=mask, other=0.0)
    if task == BINARY:
        loss, gradient = _binary_cross_entropy(outputs, known)
    else:
        loss, gradient = _squared_error(outputs, known)
    return tl.sum(tl.where(mask, loss, 0.0)), gradient


@compiled
def loss_and_gradient(
    task: tl.constexpr,
    share: tl.tensor,
    targets: tl.tensor,
    chosen: tl.tensor,
    layer: tl.tuple,
    scratch: tl.tuple,
    n: tl.tensor,
    batch: tl.constexpr,
    output_tile: tl.constexpr,
) -> tl.tensor:
    """Return the batch's loss, and leave its gradient where the outputs' slopes would lie."""
    _, outputs, _, _, here = layer
    unit = tl.arange(0, output_tile)
    to, mask = tile(n, unit, batch, outputs)
    values = tl.load(scratch.activations + here + to, mask=mask, other=0.0)
    loss, gradient = _loss_and_gradient(task, values, targets, chosen, unit, outputs, mask)
    tl.store(scratch.slopes + here + to, gradient * share, mask=mask)
    tl.debug_barrier()
    return loss * share
