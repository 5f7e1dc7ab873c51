"""How steps to the target fall with the batch size: S = S_min (1 + B_crit / B) (McCandlish et al. 2018, arXiv:1812.06162, eq 2.11).

S_min is what full-batch gradient descent would need in updates, E_min = S_min · B_crit what the smallest batches need in examples;
at the critical batch size B_crit both costs are twice their minimum. Errors of S are relative ones, so the fit is least squares in
log2 S. There the model is log2 S_min + f(B; B_crit): given B_crit the best S_min is a mean, which leaves one unknown. It is bracketed on
a grid and bisected, for all bootstrap samples at once.

Two kinds of chance move the steps of a batch size: the seeds of its runs, and the luck of its tuning, which all of its runs share
(`luck`). The bootstrap draws both; from seeds alone the interval would be far too narrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, pi

import numpy as np

from hpsearch.statistics.estimates import Array, Estimate, Variance, medians, numbers, percentile_interval, resampled
from hpsearch.statistics.luck import tuning_luck
from hpsearch.trial import derive_seed

RESAMPLES = 2_000
LEAST = 3  # batch sizes, for two unknowns
MARGIN = 10  # octaves beyond the batch sizes; a B_crit that far out is called 0 or infinite: the data cannot tell it from them
CELLS = 8  # of the grid, per octave
HALVINGS = 40  # of the bracket
DRAWN_HALVINGS = 20  # of a bootstrap sample's: to a millionth of an octave


@dataclass(frozen=True, slots=True)
class Hyperbola:
    """A fitted S = s_min (1 + critical_batch_size / B): s_min in updates, e_min in examples, batch size in examples.

    `rms_octaves` is the root mean square of the residuals of log2 S over the `fitted` batch sizes; `censored` counts those whose
    median never reached, which the fit cannot use. `luck` is the tuning luck in octaves that the intervals take into account.
    """

    s_min: Estimate
    e_min: Estimate
    critical_batch_size: Estimate
    rms_octaves: float
    fitted: int
    censored: int
    luck: float

    def steps(self, batch_size: float) -> float:
        """Return the fitted updates to the target; written with e_min, so that it holds where B_crit is infinite."""
        return self.s_min.value + self.e_min.value / batch_size


def fit_hyperbola(
    batch_sizes: Sequence[int],
    steps: Sequence[Sequence[float]],
    variances: Sequence[Variance] = (),
    luck: float | None = None,
    resamples: int = RESAMPLES,
) -> Hyperbola | None:
    """Return the fit to the medians over seeds, or None where fewer than three batch sizes have one that is finite.

    `steps` are the updates to the target [batch sizes, seeds], `inf` where never reached; column j is seed j of every batch size, and a
    bootstrap sample draws the columns and moves each batch size by its tuning luck. A sample that cannot be fitted widens the
    intervals on both sides. A fit that runs out of the data's range has B_crit 0 (batches buy nothing) or infinite (perfect scaling:
    s_min is 0).

    The luck, in octaves, follows from what the medians scatter around the fit beyond what their seeds explain, and from `variances`
    seen elsewhere (`tuning_luck`), where it is not given.

    Raises:
        ValueError: rows of different lengths, a batch size given twice, or a value that is not positive.
    """
    sizes, measured = _checked(batch_sizes, steps)
    centre = medians(measured)
    fitted = int(np.isfinite(centre).sum())
    if fitted < LEAST:
        return None
    point = _fit(sizes, centre[None])[0]
    if luck is None:
        luck = scatter_luck(batch_sizes, steps, variances)
    draws = _draws(sizes, measured, luck, resamples)
    s_min, e_min, critical = (
        Estimate(float(point[i]), *percentile_interval(draws[:, i], (0.0, inf))) for i in range(3)
    )
    return Hyperbola(s_min, e_min, critical, float(point[3]), fitted, len(sizes) - fitted, luck)


def scatter_luck(
    batch_sizes: Sequence[int], steps: Sequence[Sequence[float]], variances: Sequence[Variance] = ()
) -> float:
    """Return the tuning luck that `fit_hyperbola` takes into account, also where too few batch sizes are finite for a fit.

    Raises:
        ValueError: as `fit_hyperbola`.
    """
    sizes, measured = _checked(batch_sizes, steps)
    centre = medians(measured)
    fitted = int(np.isfinite(centre).sum())
    if fitted < LEAST:
        return tuning_luck(*variances)
    return tuning_luck(*variances, *_scatter(measured, fitted, float(_fit(sizes, centre[None])[0, 3])))


def _checked(batch_sizes: Sequence[int], steps: Sequence[Sequence[float]]) -> tuple[Array, Array]:
    """Return batch sizes [K] and steps [K, N] as numbers."""
    sizes = numbers(batch_sizes)
    measured = np.array([numbers(row) for row in steps])
    if measured.shape[:1] != sizes.shape or len(set(batch_sizes)) < len(sizes) or min(sizes.min(), measured.min()) <= 0:
        raise ValueError("expected different batch sizes and, for each of them, the positive steps of the same seeds")
    return sizes, measured


def _draws(sizes: Array, measured: Array, luck: float, resamples: int) -> Array:
    """Return the fits [R, 4] of bootstrap samples; NaN where one seed bounds nothing."""
    seeds = measured.shape[1]
    if seeds == 1:
        return np.full((resamples, 4), np.nan)
    drawn = resampled(seeds, resamples, "hyperbola")  # [R, N]
    generator = np.random.default_rng(derive_seed("tuning luck", seeds))
    moved = np.exp2(luck * generator.standard_normal((resamples, len(sizes))))  # [R, K]
    return _fit(sizes, medians(measured[:, drawn]).T * moved, DRAWN_HALVINGS)


def _scatter(measured: Array, fitted: int, rms: float) -> list[Variance]:
    """Return the variance of the medians [K] around the fit beyond that of their seeds; none without a degree of freedom."""
    freedom = fitted - 2
    if freedom < 1 or measured.shape[1] < 2:
        return []
    finite = np.isfinite(measured).all(1)
    seeds = np.log2(measured[finite]).var(1, ddof=1)
    of_medians = 0.0
    if len(seeds):
        of_medians = float(seeds.mean()) * pi / 2 / measured.shape[1]
    return [Variance(max(0.0, rms**2 * fitted / freedom - of_medians), float(freedom))]


def _fit(sizes: Array, steps: Array, halvings: int = HALVINGS) -> Array:
    """Return s_min, e_min, B_crit and rms residual [R, 4] of each row of steps [R, K]; NaN where too few are finite."""
    sizes, steps = sizes[:, None], steps.T  # [K, 1], [K, R]: sums over the few batch sizes add whole rows
    known = np.isfinite(steps)  # [K, R]
    count = known.sum(0)  # [R]
    octaves = np.log2(np.where(known, steps, 1.0))  # [K, R]
    centred = _centred(octaves, known, count)
    grid = np.arange(np.log2(sizes.min()) - MARGIN, np.log2(sizes.max()) + MARGIN, 1 / CELLS)  # [G]
    at = _bisected(sizes, centred, known, *_bracket(sizes, centred, known, grid), halvings)  # [R]
    shape = np.log2(1 + np.exp2(at) / sizes)  # [K, R]
    s_min = np.exp2(((octaves - shape) * known).sum(0) / np.maximum(count, 1))
    rms = np.sqrt((_centred(octaves - shape, known, count) ** 2).sum(0) / np.maximum(count, 1))
    flat = at < grid[1]
    steep = at > grid[-2]
    e_min = np.where(flat, 0.0, s_min * np.exp2(at))
    critical = np.where(flat, 0.0, np.where(steep, inf, np.exp2(at)))
    found: Array = np.stack([np.where(steep, 0.0, s_min), e_min, critical, rms], axis=1)
    found[count < LEAST] = np.nan
    return found


def _centred(values: Array, known: Array, count: Array) -> Array:
    """Return values [K, R] minus the mean of the known ones, 0 for the others: this profiles out S_min."""
    centred: Array = (values - (values * known).sum(0) / np.maximum(count, 1)) * known
    return centred


def _bracket(sizes: Array, centred: Array, known: Array, grid: Array) -> tuple[Array, Array]:
    """Return the neighbours [R] of the grid point with the least sum of squares, which is written out into products [R, G].

    The part of it that depends on which steps are known, and not on their values, is computed once for each such set.
    """
    shape = np.log2(1 + np.exp2(grid) / sizes)  # [K, G]
    sets, of_row = np.unique(known, axis=1, return_inverse=True)  # [K, P], [R]
    weights = sets.T.astype(np.float64)
    spread = weights @ shape**2 - (weights @ shape) ** 2 / np.maximum(weights.sum(1, keepdims=True), 1)  # [P, G]
    squares = centred.T @ (-2 * shape)  # [R, G]
    # Mostly all are known: one row for all bootstrap samples takes 2 to 4 ms, a copy for each of 2,000 takes 8.
    squares += spread[of_row] if len(spread) > 1 else spread
    best = np.argmin(squares, axis=1)  # [R]
    return grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]


def _bisected(sizes: Array, centred: Array, known: Array, low: Array, high: Array, halvings: int) -> Array:
    """Return log2 B_crit [R], where the slope of the sum of squares changes its sign from minus to plus."""
    count = known.sum(0)
    for _ in range(halvings):
        middle = (low + high) / 2
        critical = np.exp2(middle)
        residual = centred - _centred(np.log2(1 + critical / sizes), known, count)  # [K, R]
        rising = (residual * critical / (sizes + critical)).sum(0) < 0
        low = np.where(rising, low, middle)
        high = np.where(rising, middle, high)
    return (low + high) / 2
