"""The forward pass in the GPU's kernel: the batch's rows, then layer after layer, values and slopes written to its room.

Letters: B rows of a batch, R the power of two above, F inputs, a and b inputs and units of a layer, A and U
those of a tile.
"""

from hpsearch.training.compiled.triton_activations import activate, keep
from hpsearch.training.compiled.triton_compiled import compiled, tl
from hpsearch.training.compiled.triton_elementary import hashed
from hpsearch.training.compiled.triton_tiles import layer_of, product, tile


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
def enliven(
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
    room: tl.tuple,
    n: tl.tensor,
    batch: tl.constexpr,
    side: tl.constexpr,
) -> None:
    """Fill the room with values and slopes of all layers; the last layer's values are the outputs."""
    for layer in range(depth):
        a, b, at, below, here = layer_of(layers, layer)
        key = hashed(tl.add(noise, layer, sanitize_overflow=False).to(tl.uint32))
        for start in range(0, b, side):
            unit = start + tl.arange(0, side)
            value = combine(weights + at, room.activations + below, a, b, n, unit, batch, side)
            if layer < depth - 1:
                value = enliven(code, dropout, key, value, room.slopes + here, n, unit, b, batch)
            to, mask = tile(n, unit, batch, b)
            tl.store(room.activations + here + to, value, mask=mask)
        tl.debug_barrier()
