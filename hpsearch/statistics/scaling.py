"""How steps to the target fall with the batch size: S = S_min (1 + B_crit / B) (McCandlish et al. 2018, arXiv:1812.06162, eq 2.11).

S_min is what full-batch gradient descent would need in updates, E_min = S_min · B_crit what the smallest batches need in examples;
at the critical batch size B_crit both costs are twice their minimum. Errors of S are relative ones, so the fit is least squares in
log2 S. There the model is log2 S_min + f(B; B_crit): given B_crit the best S_min is a mean, which leaves one unknown. It is bracketed on
a grid and bisected, for all bootstrap samples at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from hpsearch.statistics.estimates import RESAMPLES, Array, Estimate, medians, numbers, percentile_interval, resampled

LEAST = 3  # batch sizes, for two unknowns
MARGIN = 10  # octaves beyond the batch sizes; a B_crit that far out is called 0 or infinite: the data cannot tell it from them
CELLS = 8  # of the grid, per octave
HALVINGS = 40


@dataclass(frozen=True, slots=True)
class Hyperbola:
    """A fitted S = s_min (1 + critical_batch_size / B): s_min in updates, e_min in examples, batch size in examples.

    `rms_octaves` is the root mean square of the residuals of log2 S over the `fitted` batch sizes; `censored` counts those whose
    median never reached, which the fit cannot use.
    """

    s_min: Estimate
    e_min: Estimate
    critical_batch_size: Estimate
    rms_octaves: float
    fitted: int
    censored: int

    def steps(self, batch_size: float) -> float:
        """Return the fitted updates to the target; written with e_min, so that it holds where B_crit is infinite."""
        return self.s_min.value + self.e_min.value / batch_size


def fit_hyperbola(
    batch_sizes: Sequence[int], steps: Sequence[Sequence[float]], seed: int = 0, resamples: int = RESAMPLES
) -> Hyperbola | None:
    """Return the fit to the medians over seeds, or None where fewer than three batch sizes have one that is finite.

    `steps` are the updates to the target [batch sizes, seeds], `inf` where never reached; column j is seed j of every batch size, and a
    bootstrap sample draws the columns. A sample that cannot be fitted widens the intervals on both sides. A fit that runs out
    of the data's range has B_crit 0 (batches buy nothing) or infinite (perfect scaling: s_min is 0).

    Raises:
        ValueError: rows of different lengths, a batch size given twice, or a value that is not positive.
    """
    sizes = numbers(batch_sizes)  # [K]
    measured = np.array([numbers(row) for row in steps])  # [K, N]
    if measured.shape[:1] != sizes.shape or len(set(batch_sizes)) < len(sizes) or min(sizes.min(), measured.min()) <= 0:
        raise ValueError("expected different batch sizes and, for each of them, the positive steps of the same seeds")
    centre = medians(measured)
    fitted = int(np.isfinite(centre).sum())
    if fitted < LEAST:
        return None
    drawn = resampled(measured.shape[1], resamples, "hyperbola", seed)  # [R, N]
    draws = _fit(sizes, medians(measured[:, drawn]).T)  # [R, 4]
    if measured.shape[1] == 1:
        draws = np.full_like(draws, np.nan)  # one seed bounds nothing
    point = _fit(sizes, centre[None])[0]
    s_min, e_min, critical = (
        Estimate(float(point[i]), *percentile_interval(draws[:, i], (0.0, inf))) for i in range(3)
    )
    return Hyperbola(s_min, e_min, critical, float(point[3]), fitted, len(sizes) - fitted)


def _fit(sizes: Array, steps: Array) -> Array:
    """Return s_min, e_min, B_crit and rms residual [R, 4] of each row of steps [R, K]; NaN where too few are finite."""
    known = np.isfinite(steps)  # [R, K]
    count = known.sum(1, keepdims=True)  # [R, 1]
    octaves = np.log2(np.where(known, steps, 1.0))  # [R, K]
    centred = _centred(octaves, known)
    grid = np.arange(np.log2(sizes.min()) - MARGIN, np.log2(sizes.max()) + MARGIN, 1 / CELLS)  # [G]
    at = _bisected(sizes, centred, known, *_bracket(sizes, centred, known, grid))  # [R, 1]
    shape = np.log2(1 + np.exp2(at) / sizes)  # [R, K]
    s_min = np.exp2(((octaves - shape) * known).sum(1, keepdims=True) / np.maximum(count, 1))
    rms = np.sqrt((_centred(octaves - shape, known) ** 2).sum(1, keepdims=True) / np.maximum(count, 1))
    flat = at < grid[1]
    steep = at > grid[-2]
    e_min = np.where(flat, 0.0, s_min * np.exp2(at))
    critical = np.where(flat, 0.0, np.where(steep, inf, np.exp2(at)))
    found: Array = np.hstack([np.where(steep, 0.0, s_min), e_min, critical, rms])
    found[count[:, 0] < LEAST] = np.nan
    return found


def _centred(values: Array, known: Array) -> Array:
    """Return values minus the mean of the known ones, 0 for the others: this profiles out S_min."""
    mean = (values * known).sum(1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), 1)
    centred: Array = (values - mean) * known
    return centred


def _bracket(sizes: Array, centred: Array, known: Array, grid: Array) -> tuple[Array, Array]:
    """Return the neighbours [R, 1] of the grid point with the least sum of squares, which is written out into products [R, G]."""
    shape = np.log2(1 + np.exp2(grid)[:, None] / sizes)  # [G, K]
    weights = known.astype(np.float64)
    spread = weights @ (shape**2).T - (weights @ shape.T) ** 2 / np.maximum(weights.sum(1, keepdims=True), 1)
    best = np.argmin(spread - 2 * centred @ shape.T, axis=1)[:, None]  # [R, 1]
    return grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]


def _bisected(sizes: Array, centred: Array, known: Array, low: Array, high: Array) -> Array:
    """Return log2 B_crit [R, 1], where the slope of the sum of squares changes its sign from minus to plus."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        critical = np.exp2(middle)
        residual = centred - _centred(np.log2(1 + critical / sizes), known)  # [R, K]
        rising = (residual * critical / (sizes + critical)).sum(1, keepdims=True) < 0
        low = np.where(rising, low, middle)
        high = np.where(rising, middle, high)
    return (low + high) / 2
