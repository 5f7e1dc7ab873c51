"""The backward pass in the GPU's kernel, and the update on the way.

A tile of weights passes through the block once: it gives its share of the gradients of the layer below, and is updated on the spot, so
that no gradient of weights is ever written down. A layer's slopes become, times the gradients of its values, the gradients that the
layer below it needs. Letters as in `triton_forward`.
"""

from hpsearch.training.compiled.triton_compiled import compiled, tl
from hpsearch.training.compiled.triton_tiles import layer_of, product, tile
from hpsearch.training.compiled.triton_updates import update


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
    room: tl.tuple,
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
            inputs = tl.load(room.activations + below + to, mask=mask, other=0.0)
            slopes = tl.load(room.slopes + below + to, mask=mask & hidden, other=0.0)
            gradient = learn(state, at, inputs, room.slopes + here, a, b, n, i, rule, hidden, batch, side)
            # between the load of slopes and this store lies a barrier of `update`
            tl.store(room.slopes + below + to, slopes * gradient, mask=mask & hidden)
        learn_bias(state, at + a * b, room.slopes + here, b, n, rule, batch, side)
        tl.debug_barrier()
