"""A trial's updates as one Triton program; all trials of a group are one launch.

A layer's weights are [inputs, units] and then its bias, all layers of all trials in one flat array. A program's part of it, and of the
scratch, stays in the GPU's caches from update to update.

Barriers stand where numbers change hands between threads: after the rows are gathered, after each layer forward, after the loss, after
each layer back, and between the last reading of a tile of weights and its writing. What a phase overwrites was last read before the
barrier that ended an earlier one: values in the update before; slopes, which become gradients, by the tile that writes them.
"""

from typing import Any, NamedTuple

from hpsearch.training.compiled import losses
from hpsearch.training.compiled.triton.language import compiled, hashed, kernel, layer_of, log1p, tile, tl
from hpsearch.training.compiled.triton.network import backward, forward, gather, read_rule

BINARY = tl.constexpr(losses.BINARY)
MULTICLASS = tl.constexpr(losses.MULTICLASS)


class State(NamedTuple):
    """What updates change, of all trials: flat weights and moments; `alive` [T] is 0 after a loss that is not finite."""

    weights: Any
    first: Any
    second: Any
    alive: Any


class Scratch(NamedTuple):
    """Scratch space of all trials: the batch's inputs and the values of all layers; their slopes, which become gradients."""

    activations: Any  # a `values` would be that of `tl.tuple`
    slopes: Any


class Rows(NamedTuple):
    """The training rows: inputs [N, F]; targets [N, K], or class numbers [N]."""

    inputs: Any
    targets: Any


class Trials(NamedTuple):
    """What the trials are: `integers` [T, 7], `numbers` [T, 10], `layers` [T, L, 5]; `tables` has the columns."""

    integers: Any
    numbers: Any
    layers: Any


class Feed(NamedTuple):
    """What a launch trains with: `steps` [updates, T, 3] of `schedules.step_table`, row numbers `batches` [updates, B]; `losses` to write.

    `losses` [updates, T] that a trial does not come to are left alone.
    """

    steps: Any
    batches: Any
    losses: Any


@compiled
def describe(integers: tl.tensor, scale: tl.tensor) -> tl.tuple:
    """Return depth, the activation's code, threshold and scale of dropout, the noise's seed, which moments there are."""
    depth, code = tl.load(integers).to(tl.int32), tl.load(integers + 1).to(tl.int32)
    dropout = (tl.load(integers + 2).to(tl.uint32), tl.load(scale))
    seed = tl.load(integers + 3).to(tl.uint32)
    return depth, code, dropout, seed, tl.load(integers + 4) > 0, tl.load(integers + 5) > 0


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
    """Return the batch's loss, and leave its gradient where the outputs' slopes would lie.

    `targets` are those of all rows: class numbers [N], or [N, outputs]; `chosen` [R] are the numbers of the batch's rows.
    """
    _, outputs, _, _, here = layer
    unit = tl.arange(0, output_tile)
    to, mask = tile(n, unit, batch, outputs)
    values = tl.load(scratch.activations + here + to, mask=mask, other=0.0)
    if task == MULTICLASS:
        row_losses, gradient = _cross_entropy(values, tl.load(targets + chosen), unit, outputs)
        loss = tl.where(unit[None, :] == 0, row_losses[:, None], 0.0)
    else:
        known = tl.load(targets + chosen[:, None] * outputs + unit[None, :], mask=mask, other=0.0)
        if task == BINARY:
            loss, gradient = _binary_cross_entropy(values, known)
        else:
            loss, gradient = _squared_error(values, known)
    total = tl.sum(tl.where(mask, loss, 0.0))
    tl.store(scratch.slopes + here + to, gradient * share, mask=mask)
    tl.debug_barrier()
    return total * share


@kernel("updates", "first_update")
def train(
    state: tl.tuple,
    scratch: tl.tuple,
    rows: tl.tuple,
    trials: tl.tuple,
    feed: tl.tuple,
    updates: tl.tensor,
    first_update: tl.tensor,
    task: tl.constexpr,
    batch: tl.constexpr,
    row_tile: tl.constexpr,
    side: tl.constexpr,
    output_tile: tl.constexpr,
) -> None:
    """Train the program's trial through so many updates, numbers from `first_update` on; it ends after a loss that is not finite.

    Powers of two: `row_tile` and `output_tile` hold the batch and the outputs, `side` is that of a tile of weights.
    """
    trial, count = tl.program_id(0), tl.num_programs(0)
    integers, numbers = trials.integers + 7 * trial, trials.numbers + 10 * trial
    layers, share = trials.layers + tl.load(integers + 6), tl.load(numbers + 9)
    depth, code, dropout, seed, first, second = describe(integers, numbers + 8)
    n = tl.arange(0, row_tile)
    index = 0
    alive = tl.load(state.alive + trial) > 0
    while (index < updates) & alive:
        chosen = tl.load(feed.batches + index * batch + n, mask=n < batch, other=0)
        width, _, _, to, _ = layer_of(layers, 0)
        gather(rows.inputs, chosen, scratch.activations + to, width, n, batch, side)
        noise = hashed((first_update + index).to(tl.uint32) ^ seed)
        forward(layers, depth, code, dropout, noise, state.weights, scratch, n, batch, side)
        last = layer_of(layers, depth - 1)
        loss = loss_and_gradient(task, share, rows.targets, chosen, last, scratch, n, batch, output_tile)
        tl.store(feed.losses + index * count + trial, loss)
        alive = tl.abs(loss) < float("inf")
        if alive:
            rule = read_rule(numbers, feed.steps + 3 * (index * count + trial), first, second)
            backward(layers, depth, rule, state, scratch, n, batch, side)
        else:
            tl.store(state.alive + trial, 0)
        index += 1
