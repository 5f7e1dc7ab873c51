"""Activations for the GPU's kernel: value and slope in one pass, by their codes in `activations.CODES`; and dropout."""

from hpsearch.training.compiled import activations
from hpsearch.training.compiled.triton_compiled import compiled, tl
from hpsearch.training.compiled.triton_elementary import hashed, tanh

RELU, LEAKY_RELU, TANH, SIGMOID, GELU = (tl.constexpr(code) for code in list(activations.CODES.values())[:5])


@compiled
def _steps(x: tl.tensor, low: tl.constexpr) -> tl.tensor:
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
        value, slope = tl.where(x <= 0.0, 0.0, x), _steps(x, 0.0)
    elif code == LEAKY_RELU:
        value, slope = tl.where(x <= 0.0, x * 0.01, x), _steps(x, 0.01)
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
