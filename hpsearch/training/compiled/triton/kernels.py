"""An update of many trials as a few launches, each of which computes tiles of all trials' matrices.

Forward, a launch computes a layer of all trials that have it, values and slopes; `loss` their losses and the gradients by the outputs;
backward, a launch computes a layer's gradients by its sums from those of the layer above; `learn` multiplies them with the layers' inputs
to gradients of all weights, tile by tile, and updates each tile on the spot. Nothing is padded to another trial's size.

A sum has one order, that of the tiles, whose size depends on the batch size and on the type of numbers alone. So a trial's bits depend
neither on the trials beside it nor on the parts in which memory lets a batch be computed: a gradient goes on where its last part ended.

Letters: T trials, B rows of a batch, F inputs; a and b inputs and units of a layer; n rows, i inputs, u units of a tile.
"""

from typing import Any, NamedTuple

from hpsearch.training.compiled import losses
from hpsearch.training.compiled.triton.elementwise import (
    activate,
    binary_cross_entropy,
    cross_entropy,
    keep,
    read_rule,
    squared_error,
    update,
)
from hpsearch.training.compiled.triton.language import add_product, compiled, hashed, kernel, layer_of, tile, tl

BINARY = tl.constexpr(losses.BINARY)
MULTICLASS = tl.constexpr(losses.MULTICLASS)


class State(NamedTuple):
    """What updates change, of all trials: weights, moments; `gradient` of the parts of a batch so far, where there are parts."""

    weights: Any
    first: Any
    second: Any
    gradient: Any


class Scratch(NamedTuple):
    """The values of all layers for some rows of all trials, their slopes, and the gradients by their sums; [rows, units] of each layer."""

    activations: Any  # a `values` would be that of `tl.tuple`
    slopes: Any
    deltas: Any


class Rows(NamedTuple):
    """Rows of data: inputs [N, F]; targets [N, K], or class numbers [N]; weights in the loss [N], used where there are some."""

    inputs: Any
    targets: Any
    weights: Any


class Trials(NamedTuple):
    """What the trials are: `integers` [T, 9], `numbers` [T, 11], `layers` [T, L, 5]; `tables` has the columns."""

    integers: Any
    numbers: Any
    layers: Any


class Feed(NamedTuple):
    """What changes from update to update, as the tables of `feed.Feed`; `shares` [T, tiles] are the tiles' shares of the losses."""

    position: Any
    trials: Any
    steps: Any
    batches: Any
    losses: Any
    shares: Any


@compiled
def resting(feed: tl.tuple, trial: tl.tensor) -> tl.tensor:
    """Whether a trial has made its updates of the block; no trial, -1, has."""
    return tl.load(feed.position) >= tl.load(feed.trials + 4 * trial + 1, mask=trial >= 0, other=0)


@compiled
def chosen_rows(
    feed: tl.tuple,
    trial: tl.tensor,
    batch_size: tl.tensor,
    first_row: tl.tensor,
    n: tl.tensor,
    mask: tl.tensor,
    training: tl.constexpr,
) -> tl.tensor:
    """Return the numbers of rows `first_row` + n of a trial's batch; without a batch, or of one that is not drawn, those numbers."""
    rows = (first_row + n).to(tl.int64)
    if training:
        order, orders = tl.load(feed.trials + 4 * trial + 2), tl.load(feed.trials + 4 * trial + 3)
        batch = (tl.load(feed.position) * orders + order) * batch_size
        drawn = tl.load(feed.batches + batch + rows, mask=mask & (orders > 0), other=0)
        rows = tl.where(orders > 0, drawn, rows)
    return rows


@compiled
def source_of(
    rows: tl.tuple,
    scratch: tl.tuple,
    layer: tl.tensor,
    below: tl.tensor,
    room: tl.tensor,
    chosen: tl.tensor,
    n: tl.tensor,
) -> tl.tuple:
    """Return where a layer's inputs lie, and in which rows: in the data, or with the values of the layer below."""
    if layer == 0:
        source, row = rows.inputs, chosen
    else:
        source, row = scratch.activations + below * room, n.to(tl.int64)
    return source, row


@kernel("first_row", "count", "room")
def forward(
    work: tl.tensor,
    state: tl.tuple,
    scratch: tl.tuple,
    rows: tl.tuple,
    trials: tl.tuple,
    feed: tl.tuple,
    first_row: tl.tensor,
    count: tl.tensor,
    room: tl.tensor,
    training: tl.constexpr,
    row_tile: tl.constexpr,
    side: tl.constexpr,
    depth: tl.constexpr,
    precision: tl.constexpr,
) -> None:
    """Compute a tile of a layer's values, and in `training` of its slopes; `work` [tiles, 3] has trial (-1: none), layer, first unit.

    `count` rows are computed, the first of which is row `first_row` of the batch; the scratch has room for `room` of them.
    """
    tile_at = work + 3 * tl.program_id(0)
    trial, layer, start = tl.load(tile_at), tl.load(tile_at + 1).to(tl.int32), tl.load(tile_at + 2)
    if training:
        if resting(feed, trial):
            return
    elif trial < 0:
        return
    integers, numbers = trials.integers + 9 * trial, trials.numbers + 11 * trial
    a, b, at, below, here = layer_of(trials.layers + tl.load(integers + 6), layer)
    n = tl.program_id(1) * row_tile + tl.arange(0, row_tile)
    unit = (start + tl.arange(0, side)).to(tl.int32)
    chosen = chosen_rows(feed, trial, tl.load(integers + 7), first_row, n, n < count, training)
    source, row = source_of(rows, scratch, layer, below, room, chosen, n)
    bias = tl.load(state.weights + at + a * b + unit, mask=unit < b, other=0.0)
    value = tl.zeros([row_tile, side], bias.dtype) + bias[None, :]
    for first_input in range(0, a, depth):
        i = first_input + tl.arange(0, depth)
        known = (n[:, None] < count) & (i[None, :] < a)
        inputs = tl.load(source + row[:, None] * a + i[None, :], mask=known, other=0.0)
        to, mask = tile(i, unit, a, b)
        value = add_product(value, inputs, tl.load(state.weights + at + to, mask=mask, other=0.0), precision)
    to, mask = tile(n, unit, count, b)
    to = here * room + to
    if layer < tl.load(integers) - 1:
        value, slope = activate(tl.load(integers + 1), value)
        if training:
            seed, threshold = tl.load(integers + 3).to(tl.uint32), tl.load(integers + 2).to(tl.uint32)
            update_number = tl.load(feed.trials + 4 * trial) + tl.load(feed.position)
            noise = hashed(update_number.to(tl.uint32) ^ seed)
            key = hashed(tl.add(noise, layer.to(tl.uint32), sanitize_overflow=False))
            kept = keep(key, first_row + n, unit, threshold, tl.load(numbers + 8))
            tl.store(scratch.slopes + to, slope * kept, mask=mask)
            value = value * kept
    tl.store(scratch.activations + to, value, mask=mask)


@kernel("first_row", "count", "room", "tiles")
def loss(
    scratch: tl.tuple,
    rows: tl.tuple,
    trials: tl.tuple,
    feed: tl.tuple,
    first_row: tl.tensor,
    count: tl.tensor,
    room: tl.tensor,
    tiles: tl.tensor,
    weighted: tl.constexpr,
    task: tl.constexpr,
    loss_rows: tl.constexpr,
    output_tile: tl.constexpr,
) -> None:
    """Compute the losses of some rows of a trial, and their gradients by the outputs."""
    trial = tl.program_id(0)
    if resting(feed, trial):
        return
    integers, numbers = trials.integers + 9 * trial, trials.numbers + 11 * trial
    share, smoothing = tl.load(numbers + 9), tl.load(numbers + 10)
    last = tl.load(integers).to(tl.int32) - 1
    _, outputs, _, _, here = layer_of(trials.layers + tl.load(integers + 6), last)
    n = tl.program_id(1) * loss_rows + tl.arange(0, loss_rows)
    chosen = chosen_rows(feed, trial, tl.load(integers + 7), first_row, n, n < count, True)
    unit = tl.arange(0, output_tile)
    to, mask = tile(n, unit, count, outputs)
    to = here * room + to
    values = tl.load(scratch.activations + to, mask=mask, other=0.0)
    if task == MULTICLASS:
        labels = tl.load(rows.targets + chosen, mask=n < count, other=0)
        row_losses, gradient = cross_entropy(values, labels, unit, outputs, smoothing)
        value = tl.where(unit[None, :] == 0, row_losses[:, None], 0.0)
    else:
        known = tl.load(rows.targets + chosen[:, None] * outputs + unit[None, :], mask=mask, other=0.0)
        if task == BINARY:
            value, gradient = binary_cross_entropy(values, known, smoothing)
        else:
            value, gradient = squared_error(values, known)
    if weighted:
        weight = tl.load(rows.weights + chosen, mask=n < count, other=0.0)
        value, gradient = value * weight[:, None], gradient * weight[:, None]
    tl.store(scratch.deltas + to, gradient * share, mask=mask)
    index = trial * tiles + first_row // loss_rows + tl.program_id(1)
    tl.store(feed.shares + index, tl.sum(tl.where(mask, value, 0.0)) * share)


@compiled
def total_loss(feed: tl.tuple, trial: tl.tensor, trials: tl.tensor, tiles: tl.tensor) -> None:
    """Add the shares of a trial's tiles to the update's loss."""
    total = tl.load(feed.shares + trial * tiles)
    for index in range(1, tiles):
        total += tl.load(feed.shares + trial * tiles + index)
    tl.store(feed.losses + tl.load(feed.position) * trials + trial, total)


@kernel("count", "room")
def backward(
    work: tl.tensor,
    state: tl.tuple,
    scratch: tl.tuple,
    trials: tl.tuple,
    feed: tl.tuple,
    count: tl.tensor,
    room: tl.tensor,
    row_tile: tl.constexpr,
    side: tl.constexpr,
    depth: tl.constexpr,
    precision: tl.constexpr,
) -> None:
    """Compute a tile of the gradients by the sums below a layer; `work` [tiles, 3] has trial, layer, first input."""
    tile_at = work + 3 * tl.program_id(0)
    trial, layer, start = tl.load(tile_at), tl.load(tile_at + 1).to(tl.int32), tl.load(tile_at + 2)
    if resting(feed, trial):
        return
    integers = trials.integers + 9 * trial
    a, b, at, below, here = layer_of(trials.layers + tl.load(integers + 6), layer)
    n = tl.program_id(1) * row_tile + tl.arange(0, row_tile)
    i = (start + tl.arange(0, side)).to(tl.int32)
    to, mask = tile(n, i, count, a)
    to = below * room + to
    slope = tl.load(scratch.slopes + to, mask=mask, other=0.0)
    gradient = tl.zeros([row_tile, side], slope.dtype)
    for first_unit in range(0, b, depth):
        unit = first_unit + tl.arange(0, depth)
        at_delta, known = tile(n, unit, count, b)
        delta = tl.load(scratch.deltas + here * room + at_delta, mask=known, other=0.0)
        at_weight, known = tile(i, unit, a, b)
        weights = tl.load(state.weights + at + at_weight, mask=known, other=0.0)
        gradient = add_product(gradient, delta, tl.trans(weights), precision)
    tl.store(scratch.deltas + to, gradient * slope, mask=mask)


@kernel("first_row", "count", "room", "tiles")
def learn(
    work: tl.tensor,
    state: tl.tuple,
    scratch: tl.tuple,
    rows: tl.tuple,
    trials: tl.tuple,
    feed: tl.tuple,
    first_row: tl.tensor,
    count: tl.tensor,
    room: tl.tensor,
    tiles: tl.tensor,
    parts: tl.constexpr,
    side: tl.constexpr,
    depth: tl.constexpr,
    precision: tl.constexpr,
) -> None:
    """Update a tile of weights, or with `parts` of a batch go on with its gradient, and update with the last of them.

    `work` [tiles, 4] has trial, layer, first input, first unit; the first inputs of a layer bring its bias along, and a trial's first tile
    the update's loss, of so many `tiles` of losses.
    """
    tile_at = work + 4 * tl.program_id(0)
    trial, layer = tl.load(tile_at), tl.load(tile_at + 1).to(tl.int32)
    first_input, first_unit = tl.load(tile_at + 2), tl.load(tile_at + 3)
    if resting(feed, trial):
        return
    integers, numbers = trials.integers + 9 * trial, trials.numbers + 11 * trial
    a, b, at, below, here = layer_of(trials.layers + tl.load(integers + 6), layer)
    i = (first_input + tl.arange(0, side)).to(tl.int32)
    unit = (first_unit + tl.arange(0, side)).to(tl.int32)
    to, mask = tile(i, unit, a, b)
    bias_to, bias_mask = a * b + unit, (unit < b) & (first_input == 0)
    weight = tl.load(state.weights + at + to, mask=mask, other=0.0)
    bias = tl.load(state.weights + at + bias_to, mask=bias_mask, other=0.0)
    gradient, bias_gradient = tl.zeros([side, side], weight.dtype), tl.zeros([side], weight.dtype)
    if parts:
        begun = first_row > 0
        gradient = tl.load(state.gradient + at + to, mask=mask & begun, other=0.0)
        bias_gradient = tl.load(state.gradient + at + bias_to, mask=bias_mask & begun, other=0.0)
    for row_start in range(0, count, depth):
        n = row_start + tl.arange(0, depth)
        chosen = chosen_rows(feed, trial, tl.load(integers + 7), first_row, n, n < count, True)
        source, row = source_of(rows, scratch, layer, below, room, chosen, n)
        known = (n[:, None] < count) & (i[None, :] < a)
        inputs = tl.load(source + row[:, None] * a + i[None, :], mask=known, other=0.0)
        at_delta, known = tile(n, unit, count, b)
        delta = tl.load(scratch.deltas + here * room + at_delta, mask=known, other=0.0)
        gradient = add_product(gradient, tl.trans(inputs), delta, precision)
        bias_gradient += tl.sum(delta, axis=0)
    if parts:
        tl.debug_barrier()
        tl.store(state.gradient + at + to, gradient, mask=mask)
        tl.store(state.gradient + at + bias_to, bias_gradient, mask=bias_mask)
    if first_row + count == tl.load(integers + 7):
        steps = feed.steps + 3 * (tl.load(feed.position) * tl.load(integers + 8) + trial)
        rule = read_rule(numbers, steps, tl.load(integers + 4) > 0, tl.load(integers + 5) > 0)
        update(state, at, to, mask, weight, gradient, rule)
        update(state, at, bias_to, bias_mask, bias, bias_gradient, rule)
        if layer + first_input + first_unit == 0:
            total_loss(feed, trial, tl.load(integers + 8), tiles)
