"""The parts of the GPU's kernels that act on single numbers: activations with their slopes, dropout, losses, the update.

Activations go by their codes in `activations.CODES`, dropout is that of `draws.Noise`, the update is the formula of
`optimizers.Update`, the coefficients being a trial's row. All keep NaN.
"""

from hpsearch.training.compiled.activations import CODES
from hpsearch.training.compiled.triton.language import compiled, hashed, log1p, tanh, tl

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
def squared_error(outputs: tl.tensor, targets: tl.tensor) -> tl.tuple:
    """Return each output's loss and its gradient."""
    error = outputs - targets
    return error * error, 2.0 * error


@compiled
def binary_cross_entropy(outputs: tl.tensor, labels: tl.tensor, smoothing: tl.tensor) -> tl.tuple:
    """Return each output's loss and its gradient, of logits and labels 0 or 1, which are smoothed."""
    targets = labels * (1.0 - smoothing) + smoothing / 2.0
    small = tl.exp(-tl.abs(outputs))
    loss = tl.where(outputs > 0.0, outputs, 0.0) - outputs * targets + log1p(small)
    probability = tl.where(outputs >= 0.0, 1.0, small) / (1.0 + small)
    return loss, probability - targets


@compiled
def cross_entropy(
    outputs: tl.tensor, labels: tl.tensor, units: tl.tensor, count: tl.tensor, smoothing: tl.tensor
) -> tl.tuple:
    """Return losses [rows] and gradients [rows, units] of outputs [rows, units], the first `count` of which are classes.

    The labels [rows] are smoothed.
    """
    known = units[None, :] < count
    most = tl.max(tl.where(known, outputs, float("-inf")), axis=1)
    powers = tl.where(known, tl.exp(outputs - most[:, None]), 0.0)
    total = tl.sum(powers, axis=1)
    label = (units[None, :] == labels[:, None]).to(outputs.dtype)
    truth = tl.where(known, label * (1.0 - smoothing) + smoothing / count, 0.0)
    right = tl.sum(tl.where(truth > 0.0, truth * (outputs - most[:, None]), 0.0), axis=1)
    return tl.log(total) - right, powers / total[:, None] - truth


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
