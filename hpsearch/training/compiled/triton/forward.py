"""The forward pass in the GPU's kernel: the batch's rows, then layer after layer, values and slopes written to its scratch.

Activations give value and slope in one pass, by their codes in `activations.CODES`; dropout is that of `draws.Noise`.

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
def activated(
    code: tl.tensor,
    dropout: tl.tuple,
    key: tl.tensor,
    total: tl.tensor,
    slopes: tl.tensor,
    n: tl.tensor,
    unit: tl.tensor,
    b: tl.tensor,
    batch: tl.constexpr,
) -> tl.tensor:
    """Return the activations of products [R, U], dropout applied, and write their slopes."""
    threshold, scale = dropout
    kept = keep(key, n, unit, threshold, scale)
    value, slope = activate(code, total)
    to, mask = tile(n, unit, batch, b)
    tl.store(slopes + to, slope * kept, mask=mask)
    return value * kept


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
    for layer in range(depth):
        a, b, at, below, here = layer_of(layers, layer)
        key = hashed(tl.add(noise, layer, sanitize_overflow=False).to(tl.uint32))
        for start in range(0, b, side):
            unit = start + tl.arange(0, side)
            value = combine(weights + at, scratch.activations + below, a, b, n, unit, batch, side)
            if layer < depth - 1:
                value = activated(code, dropout, key, value, scratch.slopes + here, n, unit, b, batch)
            to, mask = tile(n, unit, batch, b)
            tl.store(scratch.activations + here + to, value, mask=mask)
        tl.debug_barrier()
