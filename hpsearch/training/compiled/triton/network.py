"""The network in the GPU's kernel: forward, layer after layer, and backward, with the update on the way.

Forward, values and slopes of all layers are written to the scratch. Activations give value and slope in one pass, by their codes in
`activations.CODES`; dropout is that of `draws.Noise`.

Backward, a tile of weights passes through the block once: it gives its share of the gradients of the layer below, and is updated on the
spot, so that no gradient of weights is ever written down. A layer's slopes become, times the gradients of its values, the gradients that
the layer below it needs. The update is the formula of `optimizers.Update`, the coefficients being a trial's row.

Letters: B rows of a batch, R the power of two above, F inputs, a and b inputs and units of a layer, A and U those of a tile.
"""

from hpsearch.training.compiled.activations import CODES
from hpsearch.training.compiled.triton.language import compiled, hashed, layer_of, product, tanh, tile, tl

RELU = tl.constexpr(CODES["relu"])
LEAKY_RELU = tl.constexpr(CODES["leaky_relu"])
TANH = tl.constexpr(CODES["tanh"])
SIGMOID = tl.constexpr(CODES["sigmoid"])
GELU = tl.constexpr(CODES["gelu"])


@compiled
def _slopes(x: tl.tensor, low: tl.constexpr) -> tl.tensor:
    """Return 1 above zero, `low` elsewhere, in the type of x."""
    return tl.where(x <= 0.0, tl.full(x.shape, low, x.dtype), tl.full(x.shape, 1.0, x.dtype))


@compiled
def _sigmoid(x: tl.tensor) -> tl.tensor:
    return 1.0 / (1.0 + tl.exp(-x))


@compiled
def _gelu(x: tl.tensor) -> tl.tuple:
    below = 0.5 * (1.0 + tl.erf(x * 0.7071067811865476))  # the normal distribution function
    return x * below, below + x * tl.exp(-0.5 * x * x) * 0.3989422804014327


@compiled
def _silu(x: tl.tensor) -> tl.tuple:
    share = _sigmoid(x)
    return x * share, share * (1.0 + x * (1.0 - share))


@compiled
def activate(code: tl.tensor, x: tl.tensor) -> tl.tuple:
    """Return values and slopes of an activation; NaN stays NaN."""
    if code == RELU:
        value, slope = tl.where(x <= 0.0, 0.0, x), _slopes(x, 0.0)
    elif code == LEAKY_RELU:
        value, slope = tl.where(x <= 0.0, x * 0.01, x), _slopes(x, 0.01)
    elif code == TANH:
        value = tanh(x)
        slope = 1.0 - value * value
    elif code == SIGMOID:
        value = _sigmoid(x)
        slope = value * (1.0 - value)
    elif code == GELU:
        value, slope = _gelu(x)
    else:
        value, slope = _silu(x)
    return value, slope


@compiled
def keep(key: tl.tensor, rows: tl.tensor, units: tl.tensor, threshold: tl.tensor, scale: tl.tensor) -> tl.tensor:
    """Return the mask [rows, units] of `draws.Noise`: 0 where a unit is silenced, else `scale`; threshold 0 silences none."""
    salt = hashed(rows.to(tl.uint32) ^ key)
    places = tl.add(salt[:, None], units.to(tl.uint32)[None, :], sanitize_overflow=False)
    return tl.where(hashed(places) >= threshold, scale, 0.0)


@compiled
def gather(
    inputs: tl.tensor,
    chosen: tl.tensor,
    values: tl.tensor,
    width: tl.tensor,
    n: tl.tensor,
    batch: tl.constexpr,
    side: tl.constexpr,
) -> None:
    """Copy the chosen [R] rows of inputs [N, F] to `values`, where a layer below the first would have its own."""
    for start in range(0, width, side):
        i = start + tl.arange(0, side)
        to, mask = tile(n, i, batch, width)
        rows = tl.load(inputs + chosen[:, None] * width + i[None, :], mask=mask)
        tl.store(values + to, rows, mask=mask)
    tl.debug_barrier()


@compiled
def combine(
    weights: tl.tensor,
    values: tl.tensor,
    a: tl.tensor,
    b: tl.tensor,
    n: tl.tensor,
    unit: tl.tensor,
    batch: tl.constexpr,
    side: tl.constexpr,
) -> tl.tensor:
    """Return the products [R, U] of a layer's inputs with the weights of some of its units, bias added."""
    bias = tl.load(weights + a * b + unit, mask=unit < b, other=0.0)
    total = tl.zeros([n.shape[0], unit.shape[0]], bias.dtype) + bias[None, :]
    for start in range(0, a, side):
        i = start + tl.arange(0, side)
        at, mask = tile(n, i, batch, a)
        to, known = tile(i, unit, a, b)
        inputs = tl.load(values + at, mask=mask, other=0.0)
        total += product(inputs, tl.load(weights + to, mask=known, other=0.0))
    return total


@compiled
def forward(
    layers: tl.tensor,
    depth: tl.tensor,
    code: tl.tensor,
    dropout: tl.tuple,
    noise: tl.tensor,
    weights: tl.tensor,
    scratch: tl.tuple,
    n: tl.tensor,
    batch: tl.constexpr,
    side: tl.constexpr,
) -> None:
    """Fill the scratch with values and slopes of all layers; the last layer's values are the outputs."""
    threshold, scale = dropout
    for layer in range(depth):
        a, b, at, below, here = layer_of(layers, layer)
        key = hashed(tl.add(noise, layer, sanitize_overflow=False).to(tl.uint32))
        for start in range(0, b, side):
            unit = start + tl.arange(0, side)
            value = combine(weights + at, scratch.activations + below, a, b, n, unit, batch, side)
            to, mask = tile(n, unit, batch, b)
            if layer < depth - 1:
                kept = keep(key, n, unit, threshold, scale)
                value, slope = activate(code, value)
                tl.store(scratch.slopes + here + to, slope * kept, mask=mask)
                value = value * kept
            tl.store(scratch.activations + here + to, value, mask=mask)
        tl.debug_barrier()


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
