"""The backward pass in the GPU's kernel, and the update on the way.

A tile of weights passes through the block once: it gives its share of the gradients of the layer below, and is updated on the spot, so
that no gradient of weights is ever written down. A layer's slopes become, times the gradients of its values, the gradients that the
layer below it needs. The update is the formula of `optimizers.Update`, the coefficients being a trial's row. Letters as in `forward`.
"""

from hpsearch.training.compiled.triton.language import compiled, layer_of, product, tile, tl


@compiled
def read_rule(numbers: tl.tensor, steps: tl.tensor, first: tl.tensor, second: tl.tensor) -> tl.tuple:
    """Return a trial's rule: the coefficients [8] at `numbers`, step, scale and shrink at `steps`, which moments there are."""
    decay = tl.load(numbers)
    first_keep = tl.load(numbers + 1)
    first_take = tl.load(numbers + 2)
    second_keep = tl.load(numbers + 3)
    second_take = tl.load(numbers + 4)
    direct = tl.load(numbers + 5)
    through = tl.load(numbers + 6)
    epsilon = tl.load(numbers + 7)
    step = tl.load(steps)
    scale = tl.load(steps + 1)
    shrink = tl.load(steps + 2)
    moments = (first, first_keep, first_take, second, second_keep, second_take)
    return decay, moments, direct, through, epsilon, step, scale, shrink


@compiled
def update(
    state: tl.tuple,
    at: tl.tensor,
    to: tl.tensor,
    mask: tl.tensor,
    weight: tl.tensor,
    gradient: tl.tensor,
    rule: tl.tuple,
) -> None:
    """Update the weights and moments at offsets `to` from `at`, the weights being at hand.

    The barrier: a tile may be smaller than the block, so that several threads read a number, of whom one writes it.
    """
    decay, moments, direct, through, epsilon, step, scale, shrink = rule
    first, first_keep, first_take, second, second_keep, second_take = moments
    m = tl.load(state.first + at + to, mask=mask & first, other=0.0)
    v = tl.load(state.second + at + to, mask=mask & second, other=0.0)
    g = gradient + decay * weight
    m = tl.where(first, first_keep * m + first_take * g, 0.0)  # not 0 · g, which may be infinite
    v = tl.where(second, second_keep * v + second_take * g * g, 0.0)
    moved = (direct * g + through * m) / (tl.sqrt(v) * scale + epsilon)  # without a second moment epsilon is 1
    tl.debug_barrier()
    tl.store(state.first + at + to, m, mask=mask & first)
    tl.store(state.second + at + to, v, mask=mask & second)
    tl.store(state.weights + at + to, shrink * weight - step * moved, mask=mask)


@compiled
def learn(
    state: tl.tuple,
    at: tl.tensor,
    inputs: tl.tensor,
    slopes: tl.tensor,
    a: tl.tensor,
    b: tl.tensor,
    n: tl.tensor,
    i: tl.tensor,
    rule: tl.tuple,
    hidden: tl.tensor,
    batch: tl.constexpr,
    side: tl.constexpr,
) -> tl.tensor:
    """Update the weights of some of a layer's inputs [R, A]; return, where these are hidden units, their gradients [R, A]."""
    gradient = tl.zeros([n.shape[0], i.shape[0]], inputs.dtype)
    for start in range(0, b, side):
        unit = start + tl.arange(0, side)
        to, mask = tile(n, unit, batch, b)
        delta = tl.load(slopes + to, mask=mask, other=0.0)  # [R, U]
        to, mask = tile(i, unit, a, b)
        weights = tl.load(state.weights + at + to, mask=mask, other=0.0)  # [A, U]
        if hidden:
            gradient += product(delta, tl.trans(weights))
        update(state, at, to, mask, weights, product(tl.trans(inputs), delta), rule)
    return gradient


@compiled
def learn_bias(
    state: tl.tuple,
    at: tl.tensor,
    slopes: tl.tensor,
    b: tl.tensor,
    n: tl.tensor,
    rule: tl.tuple,
    batch: tl.constexpr,
    side: tl.constexpr,
) -> None:
    """Update a layer's bias, which begins at `at`."""
    for start in range(0, b, side):
        unit = start + tl.arange(0, side)
        to, mask = tile(n, unit, batch, b)
        delta = tl.load(slopes + to, mask=mask, other=0.0)
        bias = tl.load(state.weights + at + unit, mask=unit < b, other=0.0)
        update(state, at, unit, unit < b, bias, tl.sum(delta, axis=0), rule)


@compiled
def backward(
    layers: tl.tensor,
    depth: tl.tensor,
    rule: tl.tuple,
    state: tl.tuple,
    scratch: tl.tuple,
    n: tl.tensor,
    batch: tl.constexpr,
    side: tl.constexpr,
) -> None:
    """Update all layers, the last first; the outputs' gradients lie where their slopes would."""
    for back in range(depth):
        a, b, at, below, here = layer_of(layers, depth - 1 - back)
        hidden = back < depth - 1
        for start in range(0, a, side):
            i = start + tl.arange(0, side)
            to, mask = tile(n, i, batch, a)
            inputs = tl.load(scratch.activations + below + to, mask=mask, other=0.0)
            slopes = tl.load(scratch.slopes + below + to, mask=mask & hidden, other=0.0)
            gradient = learn(state, at, inputs, scratch.slopes + here, a, b, n, i, rule, hidden, batch, side)
            # between the load of slopes and this store lies a barrier of `update`
            tl.store(scratch.slopes + below + to, slopes * gradient, mask=mask & hidden)
        learn_bias(state, at + a * b, scratch.slopes + here, b, n, rule, batch, side)
        tl.debug_barrier()
