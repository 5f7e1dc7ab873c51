"""Intervals of a metric over rows: what the metric would be on other rows like these, the network being the same.

A root mean squared error, a mean absolute error or a log loss is a mean over rows (of each target, under a root or not), and a few rows
may carry most of it. The percentile bootstrap is then too short below several hundred rows: of 100 normal errors it contains the root
mean squared error of the population in 92.7 % of samples, of 100 Laplace errors in 90.4 %. The studentised bootstrap (Efron &
Tibshirani, An Introduction to the Bootstrap, 1993, section 12.5) of the metric's logarithm divides the distance of each draw by the draw's
own standard error, and contains them in 94.2 % and 93.3 %. No bootstrap helps where the rows lack the rare large error (Student's t with
3 degrees of freedom, 100 rows: 71 % against 83 %).
"""

from math import exp, isfinite, log, nan

import numpy as np
from numpy.typing import NDArray

from hpsearch.statistics.estimates import TAIL, Array
from hpsearch.trial import derive_seed

RESAMPLES = 1_000


def mean_interval(
    values: Array, weights: Array | None = None, *, root: bool = False, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the 95 % interval of the mean over rows of values [N, K] ≥ 0, its root if `root`, and then the mean over the K columns.

    Rows weigh as `weights` [N] say. A mean of 0 has no width; both ends are NaN where nothing is known of the spread, as of one row.
    """
    rows = len(values)
    if weights is None:
        weights = np.ones(rows)
    value, error = _mean_and_error(values, weights, root)
    if value == 0:
        return 0.0, 0.0
    if not (isfinite(value) and error > 0):
        return nan, nan
    distances = _studentised(values, weights, root, value, resamples)
    if not len(distances):
        return nan, nan
    low, high = np.quantile(distances, [TAIL, 1 - TAIL])
    relative = error / value
    return exp(log(value) - float(high) * relative), exp(log(value) - float(low) * relative)


def _studentised(values: Array, weights: Array, root: bool, value: float, resamples: int) -> Array:
    """Return the distances of the draws' logarithms from the value's, in standard errors; a draw without a spread is left out."""
    rows = len(values)
    generator = np.random.default_rng(derive_seed("bootstrap", rows) % 2**32)
    distances = []
    for _ in range(resamples):
        counts = np.bincount(generator.integers(0, rows, rows), minlength=rows)
        drawn, error = _mean_and_error(values, weights, root, counts)
        if error > 0 and drawn > 0:
            distances.append((log(drawn) - log(value)) * drawn / error)
    return np.array(distances)


def _mean_and_error(
    values: Array, weights: Array, root: bool, counts: NDArray[np.int64] | None = None
) -> tuple[float, float]:
    """Return the metric and its standard error by the delta method; each row is there as often as `counts` [N] says."""
    shares = weights if counts is None else weights * counts  # [N]
    total = float(shares.sum())
    if total == 0:
        return nan, nan
    means = shares @ values / total  # [K]
    slopes = np.ones_like(means)
    if root:
        means = np.sqrt(means)
        slopes = np.divide(0.5, means, out=np.zeros_like(means), where=means > 0)
        influence = (values - means**2) @ slopes
    else:
        influence = (values - means) @ slopes
    influence = influence * weights / len(means)  # [N]
    squares = influence**2 if counts is None else counts * influence**2
    return float(means.mean()), float(np.sqrt(squares.sum()) / total)
