"""When x = 1 of the instability test is left, exactly: the Lyapunov exponent over all batches, and the mean-square rule."""

from itertools import pairwise
from math import inf, log

import numpy as np
from scipy.optimize import brentq
from scipy.stats import hypergeom

LOW, HIGH = 0.1, 1.9  # c_i of either half of the sum


def exponent(learning_rate: float, batch_size: int, size: int) -> float:
    """Return E log |1 − ηh_B| at x = 1, exactly, over all batches without replacement from a sum of `size`."""
    low = np.arange(batch_size + 1)  # losses with the small curvature in a batch
    chance = hypergeom.pmf(low, size, size // 2, batch_size)
    factor = np.abs(1 - 2 * learning_rate * (LOW * low + HIGH * (batch_size - low)) / batch_size)
    terms = [p * (log(f) if f > 0 else -inf) for p, f in zip(chance, factor, strict=True) if p > 0]
    return float(sum(terms))


def lyapunov_boundary(batch_size: int, size: int, below: float = 1.0) -> float | None:
    """Return the smallest learning rate in (0, below) at which x = 1 becomes unstable for almost every run, or None."""
    grid = np.arange(1e-3, below, 1e-3)
    for left, right in pairwise(grid):
        if exponent(left, batch_size, size) < 0 < exponent(right, batch_size, size):
            return float(brentq(exponent, left, right, args=(batch_size, size)))
    return None


def mean_square_boundary(batch_size: int, size: int) -> float:
    """Return the learning rate above which E (1 − ηh_B)² > 1 at x = 1: 2a / (a² + s²(n − B) / (B(n − 1))) (Wu, Ma and E 2018)."""
    mean, spread = LOW + HIGH, (HIGH - LOW) ** 2
    return 2 * mean / (mean**2 + spread * (size - batch_size) / (batch_size * (size - 1)))
