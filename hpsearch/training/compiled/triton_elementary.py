"""Elementary functions that Triton lacks, exact to a few roundings near zero and far out; NaN stays NaN.

libdevice has them too, but not for the interpreter, which proves the kernel where there is no GPU.
"""

from hpsearch.training.compiled.triton_compiled import compiled, tl


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
