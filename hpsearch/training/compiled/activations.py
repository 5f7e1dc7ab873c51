"""Activations, compiled: value and slope in one pass, so that going back is a product. Rows by their names in `ACTIVATIONS`."""

import numpy as np

from hpsearch.training.compiled.elementary import erf, exp, tanh
from hpsearch.training.compiled.jit import Array, inlined

CODES = {"relu": 0, "leaky_relu": 1, "tanh": 2, "sigmoid": 3, "gelu": 4, "silu": 5}
RELU, LEAKY_RELU, TANH, SIGMOID, GELU, SILU = CODES.values()
ROOT_HALF, ROOT_TWO_PI = np.sqrt(0.5), 1 / np.sqrt(2 * np.pi)


@inlined
def _relu(values: Array, slopes: Array, bias: Array) -> None:
    zero, one = type(values[0])(0), type(values[0])(1)
    for row in range(values.size // bias.size):
        for unit in range(bias.size):
            at = row * bias.size + unit
            x = values[at] + bias[unit]
            values[at] = zero if x <= zero else x  # NaN stays
            slopes[at] = zero if x <= zero else one


@inlined
def _leaky_relu(values: Array, slopes: Array, bias: Array) -> None:
    zero, one, slope = type(values[0])(0), type(values[0])(1), type(values[0])(0.01)
    for row in range(values.size // bias.size):
        for unit in range(bias.size):
            at = row * bias.size + unit
            x = values[at] + bias[unit]
            values[at] = x * slope if x <= zero else x
            slopes[at] = slope if x <= zero else one


@inlined
def _tanh(values: Array, slopes: Array, bias: Array) -> None:
    one = type(values[0])(1)
    for row in range(values.size // bias.size):
        for unit in range(bias.size):
            at = row * bias.size + unit
            x = values[at] + bias[unit]
            value = tanh(x)
            values[at], slopes[at] = value, one - value * value


@inlined
def _sigmoid(values: Array, slopes: Array, bias: Array) -> None:
    one = type(values[0])(1)
    for row in range(values.size // bias.size):
        for unit in range(bias.size):
            at = row * bias.size + unit
            x = values[at] + bias[unit]
            value = one / (one + exp(-x))
            values[at], slopes[at] = value, value * (one - value)


@inlined
def _gelu(values: Array, slopes: Array, bias: Array) -> None:
    half, one = type(values[0])(0.5), type(values[0])(1)
    root_half, density = type(values[0])(ROOT_HALF), type(values[0])(ROOT_TWO_PI)
    for row in range(values.size // bias.size):
        for unit in range(bias.size):
            at = row * bias.size + unit
            x = values[at] + bias[unit]
            below = half * (one + erf(x * root_half))  # the normal distribution function
            values[at], slopes[at] = x * below, below + x * exp(-half * x * x) * density


@inlined
def _silu(values: Array, slopes: Array, bias: Array) -> None:
    one = type(values[0])(1)
    for row in range(values.size // bias.size):
        for unit in range(bias.size):
            at = row * bias.size + unit
            x = values[at] + bias[unit]
            share = one / (one + exp(-x))
            values[at], slopes[at] = x * share, share * (one + x * (one - share))


@inlined
def activate(code: int, values: Array, slopes: Array, bias: Array) -> None:
    """Turn products `values` [n · units] into activations in place, and write their slopes; `bias` [units] is added first."""
    if code == RELU:
        _relu(values, slopes, bias)
    elif code == LEAKY_RELU:
        _leaky_relu(values, slopes, bias)
    elif code == TANH:
        _tanh(values, slopes, bias)
    elif code == SIGMOID:
        _sigmoid(values, slopes, bias)
    elif code == GELU:
        _gelu(values, slopes, bias)
    else:
        _silu(values, slopes, bias)
