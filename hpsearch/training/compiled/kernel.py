"""A trial's updates between two evaluations as one compiled call; its weights stay in the core's cache.

A layer's weights are [inputs + 1, units], the bias in the last row, all layers in one flat array: the update is one pass, and products
take the layout that BLAS is fastest with. Large batches go through in chunks of rows that fit the cache, their gradients added up.
Names in shapes: F inputs of the network, a and b inputs and units of a layer, n rows of a chunk, B rows of a batch, P weights in all.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hpsearch.training.compiled.activations import activate
from hpsearch.training.compiled.jit import Array, compiled, inlined
from hpsearch.training.compiled.losses import MULTICLASS, Rows, loss_and_gradient
from hpsearch.training.optimizers import Rule

CHUNK = 256
Integers = npt.NDArray[np.int64]


class Network(NamedTuple):
    """The forward pass: layer sizes [L + 1], where each layer's weights and activations begin, codes, dropout, smoothing of labels."""

    sizes: Integers
    weights: Integers
    activations: Integers
    activation: int
    loss: int
    rate: float
    threshold: int
    smoothing: float


class State(NamedTuple):
    """What updates change: flat arrays [P]; moments that the optimizer does not have are empty."""

    weights: Array
    gradient: Array
    first: Array
    second: Array


class Scratch(NamedTuple):
    """Scratch space: activations and slopes of all hidden layers and outputs, [chunk · units] each; a batch's inputs; a part gradient."""

    inputs: Array
    values: Array
    slopes: Array
    deltas: Array
    part: Array


class Feed(NamedTuple):
    """What a call trains with: `order` [batches · B] of the rows, `steps` [batches, 3] of `step_table`; it writes `losses` [batches].

    `update` is the number of the first update. `norms` [batches] takes the length of each update's step, `before` [P] is its scratch;
    both are empty where nobody asks.
    """

    order: Array
    batch_size: int
    steps: Array
    noise_seed: int
    update: int
    losses: Array
    norms: Array
    before: Array


@inlined
def hashed(x: Any) -> Any:
    """Return 32 well-mixed bits; `draws.hashed`."""
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x21F0AAAD))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x735A2D97))
    return np.uint32(x ^ (x >> np.uint32(15)))


@inlined
def silence(values: Array, slopes: Array, units: int, start: int, key: int, threshold: int, rate: float) -> None:
    """Apply the dropout of `draws.Noise` to activations and slopes [n · units] of rows `start` … of the batch."""
    zero = values.dtype.type(0)
    scale = values.dtype.type(1 / (1 - rate))
    for row in range(values.size // units):
        salt = hashed(np.uint32(start + row) ^ key)
        for unit in range(units):
            bits = hashed(np.uint32(salt + np.uint32(unit)))
            keep = scale if bits >= threshold else zero
            values[row * units + unit] *= keep
            slopes[row * units + unit] *= keep


@inlined
def layer_of(network: Network, layer: int) -> Any:
    """Return a layer's inputs and units, and where its weights and its activations begin."""
    return network.sizes[layer], network.sizes[layer + 1], network.weights[layer], network.activations[layer]


@inlined
def forward(network: Network, weights: Array, inputs: Array, scratch: Scratch, start: int, noise: Any) -> None:
    """Fill the scratch with activations and slopes of inputs [n, F]; the last layer's values are its products, bias not added.

    `noise` are the dropout's 32 bits of this update; `start` is the first row's place in the batch, below zero to evaluate.
    """
    n = inputs.shape[0]
    last = network.sizes.size - 2
    below = inputs
    for layer in range(last + 1):
        a, b, at, to = layer_of(network, layer)
        values = scratch.values[to : to + n * b]
        slopes = scratch.slopes[to : to + n * b]
        product = values.reshape(n, b)
        np.dot(below, weights[at : at + a * b].reshape(a, b), product)
        if layer < last:
            activate(network.activation, values, slopes, weights[at + a * b : at + (a + 1) * b])
            if network.rate > 0 and start >= 0:
                key = hashed(np.uint32(noise + np.uint32(layer)))
                silence(values, slopes, b, start, key, network.threshold, network.rate)
        below = product


@inlined
def backward(network: Network, weights: Array, gradient: Array, inputs: Array, scratch: Scratch) -> None:
    """Write the gradient [P] of inputs [n, F] whose output gradients lie in the scratch where the outputs were."""
    n = inputs.shape[0]
    layer = network.sizes.size - 2
    to = network.activations[layer]
    delta = scratch.values[to : to + n * network.sizes[layer + 1]]
    while True:
        a, b, at, _ = layer_of(network, layer)
        bias = gradient[at + a * b : at + (a + 1) * b]
        bias[:] = 0
        for row in range(n):
            for unit in range(b):
                bias[unit] += delta[row * b + unit]
        if layer == 0:
            np.dot(inputs.T, delta.reshape(n, b), gradient[at : at + a * b].reshape(a, b))
            return
        to = network.activations[layer - 1]
        below = scratch.values[to : to + n * a].reshape(n, a)
        np.dot(below.T, delta.reshape(n, b), gradient[at : at + a * b].reshape(a, b))
        next_delta = scratch.deltas[to : to + n * a]
        np.dot(delta.reshape(n, b), weights[at : at + a * b].reshape(a, b).T, next_delta.reshape(n, a))
        slopes = scratch.slopes[to : to + n * a]
        for i in range(n * a):
            next_delta[i] *= slopes[i]
        delta = next_delta
        layer -= 1


@inlined
def gathered(inputs: Array, chosen: Array, in_order: bool, copy: Array) -> Any:
    """Return the chosen [n] of inputs [N, F] as one block: a slice where they are in the rows' order, else a copy in `copy`."""
    n = chosen.size
    width = inputs.shape[1]
    if in_order:
        return inputs[chosen[0] : chosen[0] + n]
    block = copy[: n * width].reshape(n, width)
    for row in range(n):
        source = inputs[chosen[row]]
        target = block[row]
        for i in range(width):
            target[i] = source[i]
    return block


@inlined
def update_weights(
    rule: Rule, step: float, scale: float, shrink: float, weights: Array, gradient: Array, first: Array, second: Array
) -> None:
    """Update `weights` [P] and moments by their gradient, by the formula of `optimizers.Update` in one pass over the numbers.

    `first` and `second` are empty where the rule has none.
    """
    t = weights.dtype.type
    decay, step, scale, shrink, epsilon = t(rule.decay), t(step), t(scale), t(shrink), t(rule.epsilon)
    first_keep, first_take, through = t(rule.first_keep), t(rule.first_take), t(rule.through)
    second_keep, second_take, direct = t(rule.second_keep), t(rule.second_take), t(rule.direct)
    if rule.first and rule.second:
        for i in range(weights.size):
            g = gradient[i] + decay * weights[i]
            first[i] = first_keep * first[i] + first_take * g
            second[i] = second_keep * second[i] + second_take * g * g
            divisor = np.sqrt(second[i]) * scale + epsilon
            weights[i] = shrink * weights[i] - step * (direct * g + through * first[i]) / divisor
    elif rule.first:
        for i in range(weights.size):
            g = gradient[i] + decay * weights[i]
            first[i] = first_keep * first[i] + first_take * g
            weights[i] = shrink * weights[i] - step * (direct * g + through * first[i])
    elif rule.second:
        for i in range(weights.size):
            g = gradient[i] + decay * weights[i]
            second[i] = second_keep * second[i] + second_take * g * g
            divisor = np.sqrt(second[i]) * scale + epsilon
            weights[i] = shrink * weights[i] - step * direct * g / divisor
    else:
        for i in range(weights.size):
            g = gradient[i] + decay * weights[i]
            weights[i] = shrink * weights[i] - step * direct * g


@inlined
def distance(one: Array, other: Array) -> float:
    """Return the Euclidean distance of two arrays [P], added up in double precision."""
    total = 0.0
    for i in range(one.size):
        step = float(one[i] - other[i])
        total += step * step
    return float(np.sqrt(total))


@compiled
def train(network: Network, state: State, scratch: Scratch, rows: Rows, rule: Rule, feed: Feed) -> int:
    """Train through the batches of a feed; return how many were done: it ends after the first loss that is not finite."""
    hidden, outputs, at, to = layer_of(network, network.sizes.size - 2)
    bias_at = at + hidden * outputs
    batch_size = feed.batch_size
    numbers = batch_size if network.loss == MULTICLASS else batch_size * outputs
    share = 1.0 / numbers
    for index in range(feed.losses.size):
        noise = hashed(np.uint32(np.uint32(feed.update + index) ^ np.uint32(feed.noise_seed)))
        loss = 0.0
        for start in range(0, batch_size, CHUNK):
            n = min(CHUNK, batch_size - start)
            chosen = feed.order[index * batch_size + start : index * batch_size + start + n]
            inputs = gathered(rows.inputs, chosen, batch_size == rows.inputs.shape[0], scratch.inputs)
            forward(network, state.weights, inputs, scratch, start, noise)
            values = scratch.values[to : to + n * outputs]
            bias = state.weights[bias_at : bias_at + outputs]
            loss += loss_and_gradient(network.loss, values, outputs, bias, rows, chosen, share, network.smoothing)
            gradient = state.gradient if start == 0 else scratch.part
            backward(network, state.weights, gradient, inputs, scratch)
            if start > 0:
                for i in range(gradient.size):
                    state.gradient[i] += gradient[i]
        feed.losses[index] = loss
        if not np.isfinite(loss):
            return index + 1
        feed.before[:] = state.weights[: feed.before.size]
        step, scale, shrink = feed.steps[index]
        update_weights(rule, step, scale, shrink, state.weights, state.gradient, state.first, state.second)
        if feed.norms.size:
            feed.norms[index] = distance(state.weights, feed.before)
    return feed.losses.size


@compiled
def predict(network: Network, weights: Array, inputs: Array, scratch: Scratch, outputs: Array) -> None:
    """Write the raw outputs [N, K] of inputs [N, F]."""
    hidden, units, at, to = layer_of(network, network.sizes.size - 2)
    bias_at = at + hidden * units
    for start in range(0, inputs.shape[0], CHUNK):
        part = inputs[start : start + CHUNK]
        forward(network, weights, part, scratch, -1, np.uint32(0))
        for row in range(part.shape[0]):
            for unit in range(units):
                outputs[start + row, unit] = scratch.values[to + row * units + unit] + weights[bias_at + unit]
