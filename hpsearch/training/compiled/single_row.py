"""Batch size 1, compiled: no matrices; each weight passes through the core once forward and at most once back.

Weights lie as torch has them, [units, inputs] of each layer and then its bias. A weight's gradient is the product of its input and its
unit's gradient, so it is never written down, and the gradients of the layer below are gathered from a row while it is at hand. Silent
units (half of them behind a relu) have no gradient: plain descent leaves their rows alone. Rows go four at a time where they can, since
a loop over a short row is mostly its beginning and its end.
"""

import numpy as np

from hpsearch.training.compiled.activations import activate
from hpsearch.training.compiled.jit import Array, compiled, inlined
from hpsearch.training.compiled.kernel import (
    Feed,
    Network,
    Scratch,
    State,
    distance,
    hashed,
    layer_of,
    silence,
    update_weights,
)
from hpsearch.training.compiled.losses import MULTICLASS, Rows, loss_and_gradient
from hpsearch.training.optimizers import Rule

PART = 2048  # numbers of a gradient that are written down at a time, to stay in the nearest cache


@inlined
def multiply(inputs: Array, weights: Array, outputs: Array) -> None:
    """Write the product of weights [b · a] with inputs [a] to outputs [b]."""
    a, b = inputs.size, outputs.size
    for unit in range(0, b - 3, 4):
        rows = weights[unit * a : (unit + 4) * a]
        s0 = s1 = s2 = s3 = type(inputs[0])(0)
        for i in range(a):
            s0 += rows[i] * inputs[i]
            s1 += rows[a + i] * inputs[i]
            s2 += rows[2 * a + i] * inputs[i]
            s3 += rows[3 * a + i] * inputs[i]
        outputs[unit], outputs[unit + 1], outputs[unit + 2], outputs[unit + 3] = s0, s1, s2, s3
    for unit in range(b - b % 4, b):
        row = weights[unit * a : (unit + 1) * a]
        total = type(inputs[0])(0)
        for i in range(a):
            total += row[i] * inputs[i]
        outputs[unit] = total


@inlined
def gather(delta: Array, weights: Array, below: Array) -> None:
    """Write the gradients [a] of the layer below: the product of units' gradients [b] with weights [b · a]."""
    a, b = below.size, delta.size
    below[:] = 0
    for unit in range(0, b - 3, 4):
        rows = weights[unit * a : (unit + 4) * a]
        d0, d1, d2, d3 = delta[unit], delta[unit + 1], delta[unit + 2], delta[unit + 3]
        for i in range(a):
            below[i] += (d0 * rows[i] + d1 * rows[a + i]) + (d2 * rows[2 * a + i] + d3 * rows[3 * a + i])
    for unit in range(b - b % 4, b):
        row = weights[unit * a : (unit + 1) * a]
        slope = delta[unit]
        for i in range(a):
            below[i] += slope * row[i]


@inlined
def descend(step: float, keep: float, inputs: Array, delta: Array, weights: Array) -> None:
    """Update weights [b · a] by plain descent: each is kept in part, and loses `step` times its gradient."""
    a = inputs.size
    for unit in range(delta.size):
        row = weights[unit * a : (unit + 1) * a]
        slope = step * delta[unit]
        if slope != 0 or keep != 1:
            for i in range(a):
                row[i] = keep * row[i] - slope * inputs[i]


@inlined
def learn(rule: Rule, steps: Array, inputs: Array, delta: Array, state: State, at: int, part: Array) -> None:
    """Update a layer whose weights begin at `at`, by its inputs [a] and its units' gradients `delta` [b].

    `part` is scratch, for one row at least.
    """
    a = inputs.size
    b = delta.size
    t = type(delta[0])
    step, scale, shrink = steps
    weights, first, second = state.weights, state.first, state.second
    if rule.first or rule.second:
        together = max(1, part.size // a)
        for start in range(0, b, together):
            count = min(together, b - start)
            for unit in range(count):
                for i in range(a):
                    part[unit * a + i] = delta[start + unit] * inputs[i]
            low = at + start * a
            high = low + count * a
            gradient = part[: count * a]
            update_weights(rule, step, scale, shrink, weights[low:high], gradient, first[low:high], second[low:high])
    else:
        descent = rule.direct * step
        descend(t(descent), t(shrink - descent * rule.decay), inputs, delta, weights[at : at + a * b])
    low = at + a * b
    high = low + b
    update_weights(rule, step, scale, shrink, weights[low:high], delta, first[low:high], second[low:high])


@inlined
def forward(network: Network, weights: Array, inputs: Array, scratch: Scratch, noise: int) -> None:
    """Fill the scratch with activations and slopes of inputs [F]; the last layer's values are its products, bias not added."""
    last = network.sizes.size - 2
    below = inputs
    for layer in range(last + 1):
        a, b, at, to = layer_of(network, layer)
        values = scratch.values[to : to + b]
        slopes = scratch.slopes[to : to + b]
        multiply(below, weights[at : at + a * b], values)
        if layer < last:
            activate(network.activation, values, slopes, weights[at + a * b : at + (a + 1) * b])
            if network.rate > 0:
                key = hashed(np.uint32(noise + np.uint32(layer)))
                silence(values, slopes, b, 0, key, network.threshold, network.rate)
        below = values


@inlined
def backward(network: Network, rule: Rule, steps: Array, state: State, inputs: Array, scratch: Scratch) -> None:
    """Update all layers, the last first; the output gradients lie in the scratch where the outputs were."""
    last = network.sizes.size - 2
    to = network.activations[last]
    delta = scratch.values[to : to + network.sizes[last + 1]]
    for layer in range(last, 0, -1):
        a, _, at, _ = layer_of(network, layer)
        low = network.activations[layer - 1]
        below = scratch.deltas[low : low + a]
        gather(delta, state.weights[at : at + a * delta.size], below)
        learn(rule, steps, scratch.values[low : low + a], delta, state, at, scratch.part)
        for unit in range(a):
            below[unit] *= scratch.slopes[low + unit]
        delta = below
    learn(rule, steps, inputs, delta, state, 0, scratch.part)


@compiled
def train_single_row(network: Network, state: State, scratch: Scratch, rows: Rows, rule: Rule, feed: Feed) -> int:
    """Train as `kernel.train` does, with batches of one row."""
    hidden, units, at, to = layer_of(network, network.sizes.size - 2)
    bias_at = at + hidden * units
    share = 1.0 / (1 if network.loss == MULTICLASS else units)
    for index in range(feed.losses.size):
        noise = hashed(np.uint32(np.uint32(feed.update + index) ^ np.uint32(feed.noise_seed)))
        chosen = feed.order[index : index + 1]
        inputs = rows.inputs[chosen[0]]
        forward(network, state.weights, inputs, scratch, noise)
        outputs = scratch.values[to : to + units]
        bias = state.weights[bias_at : bias_at + units]
        loss = loss_and_gradient(network.loss, outputs, units, bias, rows, chosen, share, network.smoothing)
        feed.losses[index] = loss
        if not np.isfinite(feed.losses[index]):
            return index + 1
        feed.before[:] = state.weights[: feed.before.size]
        backward(network, rule, feed.steps[index], state, inputs, scratch)
        if feed.norms.size:
            feed.norms[index] = distance(state.weights, feed.before)
    return feed.losses.size
