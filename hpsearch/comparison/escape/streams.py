"""Random numbers inside compiled loops: each a function of (key, counter), so that no run depends on its neighbours.

A run has a key of 64 bits and counts its draws; a draw is the value of `splitmix64` (Steele, Lea and Flood 2014) at that counter,
whichever thread asks for it.
"""

from math import cos, log, pi, sin, sqrt
from typing import Any

import numpy as np

from hpsearch.training.compiled.jit import Array, inlined
from hpsearch.trial import derive_seed

STEP = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)
S11, S27, S30, S31, S32 = (np.uint64(shift) for shift in (11, 27, 30, 31, 32))


def keys(seeds: int, *parts: int | float | str) -> Array:
    """Return one key for each seed [S], a function of only the parts and the seed's number."""
    return np.array([derive_seed(*map(str, parts), seed) for seed in range(seeds)], dtype=np.uint64)


@inlined
def bits(key: Any, counter: int) -> Any:
    """Return the 64 well-mixed bits of a draw."""
    mixed = key + np.uint64(counter) * STEP
    mixed = (mixed ^ (mixed >> S30)) * FIRST
    mixed = (mixed ^ (mixed >> S27)) * SECOND
    return mixed ^ (mixed >> S31)


@inlined
def uniform(key: Any, counter: int) -> float:
    """Return a number strictly between 0 and 1."""
    return (np.float64(bits(key, counter) >> S11) + 0.5) * 2.0**-53


@inlined
def fill_normal(key: Any, counter: int, out: Array) -> None:
    """Fill `out` with independent standard normal numbers (Box and Muller 1958); takes as many draws as numbers, and one if odd."""
    for i in range(0, out.size, 2):
        radius = sqrt(-2.0 * log(uniform(key, counter + i)))
        angle = 2.0 * pi * uniform(key, counter + i + 1)
        out[i] = radius * cos(angle)
        if i + 1 < out.size:
            out[i + 1] = radius * sin(angle)


@inlined
def shuffle_front(key: Any, counter: int, values: Array, count: int) -> None:
    """Move a uniform sample without replacement to the first `count` positions (Fisher and Yates); takes `count` draws.

    The order that the values come in does not matter, so that the next batch is drawn from what this one leaves.
    """
    for i in range(count):
        left = np.uint64(values.size - i)
        chosen = i + np.int64(((bits(key, counter + i) >> S32) * left) >> S32)
        values[i], values[chosen] = values[chosen], values[i]
