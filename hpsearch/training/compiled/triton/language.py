"""How the functions of the GPU's kernels are compiled, and what all of them share: tiles of matrices, and elementary functions.

Triton compiles a kernel when it is first launched, once for each size of tiles and type of numbers. A program, a block of threads, computes
one tile. No program of a launch reads what another one writes; the launches follow each other.

The elementary functions are those that Triton lacks, exact to a few roundings near zero and far out; NaN stays NaN. libdevice has them
too, but not for the interpreter, which proves the kernel where there is no GPU.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import triton  # type: ignore[import-untyped, import-not-found, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, import-not-found, unused-ignore]

__all__ = ["add_product", "compiled", "hashed", "kernel", "layer_of", "log1p", "tanh", "tile", "tl"]

BFLOAT16 = tl.constexpr("bfloat16")  # a precision of products that `tl.dot` calls by the type of its operands

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function that kernels call."""
    return cast("Function", triton.jit(function))


def kernel(*varying: str) -> Callable[[Function], Any]:
    """Compile a kernel; arguments that vary from launch to launch are never made part of its code."""
    return cast("Callable[[Function], Any]", triton.jit(do_not_specialize=varying))


@compiled
def tile(row: tl.tensor, column: tl.tensor, rows: tl.tensor, columns: tl.tensor) -> tl.tuple:
    """Return offsets and mask of some rows and columns of a matrix [rows, columns]."""
    return row[:, None] * columns + column[None, :], (row[:, None] < rows) & (column[None, :] < columns)


@compiled
def add_product(total: tl.tensor, left: tl.tensor, right: tl.tensor, precision: tl.constexpr) -> tl.tensor:
    """Return `total` [m, n] plus the matrix product of [m, k] and [k, n]; without a precision stated, Triton takes TF32 for float32."""
    if precision == BFLOAT16:
        left, right = left.to(tl.bfloat16), right.to(tl.bfloat16)
        total = tl.dot(left, right, total, input_precision="ieee", out_dtype=total.dtype)
    else:
        total = tl.dot(left, right, total, input_precision=precision, out_dtype=total.dtype)
    return total


@compiled
def layer_of(layers: tl.tensor, layer: tl.tensor) -> tl.tuple:
    """Return a layer's inputs and units, where its weights begin, and how many units lie before its inputs and before it."""
    row = layers + 5 * layer
    a, b = tl.load(row).to(tl.int32), tl.load(row + 1).to(tl.int32)
    return a, b, tl.load(row + 2), tl.load(row + 3), tl.load(row + 4)


@compiled
def log1p(x: tl.tensor) -> tl.tensor:
    """Return log(1 + x) for x ≥ 0: the rounding of 1 + x is undone (Kahan)."""
    above = 1.0 + x
    moved = tl.where(above == 1.0, 1.0, above - 1.0)
    return tl.where(above == 1.0, x, tl.log(above) * (x / moved))


@compiled
def tanh(x: tl.tensor) -> tl.tensor:
    """Return the hyperbolic tangent: (1 - e^-2|x|) / (1 + e^-2|x|), where the rounding of 1 - e^-2|x| near zero is undone (Kahan)."""
    size = tl.abs(x)
    twice = tl.where(size > 20.0, 40.0, 2.0 * size)  # 1 in every precision from there on
    power = tl.exp(-twice)
    below = tl.where(power == 1.0, -1.0, tl.log(power))
    lost = tl.where(power == 1.0, twice, (power - 1.0) * (twice / below))  # 1 - e^-2|x|
    value = lost / (2.0 - lost)
    return tl.where(x < 0.0, -value, value)


@compiled
def hashed(x: tl.tensor) -> tl.tensor:
    """Return 32 well-mixed bits of each 32-bit number; `draws.hashed`."""
    x = tl.mul(x ^ (x >> 16), 0x21F0AAAD, sanitize_overflow=False)
    x = tl.mul(x ^ (x >> 15), 0x735A2D97, sanitize_overflow=False)
    return x ^ (x >> 15)
