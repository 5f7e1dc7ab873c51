"""Scaling with the batch size, stable learning rates, tuning and quality: against published numbers, brute force and scipy."""

from itertools import combinations
from math import inf, log2, nan

import numpy as np
import pytest
from scipy.optimize import least_squares

from hpsearch.statistics.estimates import Variance, wilson
from hpsearch.statistics.learning_curves import best_within, gap_at_loss, matched_level, saturated
from hpsearch.statistics.luck import near_best_variance, tuning_luck, with_luck
from hpsearch.statistics.paired import paired_ratio
from hpsearch.statistics.scaling import Hyperbola, fit_hyperbola
from hpsearch.statistics.tuning import (
    RateClass,
    StableRange,
    classified,
    edge,
    expected_best,
    expected_best_interval,
    share_reaching,
    stable_range,
)

SIZES = [*(2**k for k in range(16)), 55_000]
# Shallue et al. 2019, fig 3, top left, FC-1024×3 on MNIST with plain SGD: S(1) / S(B), digitised to about .05 octave.
SHALLUE = {1: 1, 16: 13.5, 64: 47, 128: 84, 256: 134, 512: 168, 1024: 195, 4096: 226, 16384: 244, 55000: 246}
# Fig 4, left, Simple CNN on MNIST, target .01: updates.
CONVOLUTIONAL = {1: 39e3, 16: 3.4e3, 64: 1.1e3, 256: 519, 512: 388, 1024: 335, 4096: 251, 16384: 322, 55000: 244}


def by_scipy(sizes: list[int], steps: list[float]) -> tuple[float, float, float]:
    """Return S_min, B_crit and rms residual in octaves by scipy's least squares from a few starts."""
    sizes_ = np.array(sizes, float)
    octaves = np.log2(steps)

    def residuals(p: np.ndarray) -> np.ndarray:
        return np.asarray(p[0] + np.log2(1 + 2 ** p[1] / sizes_) - octaves)

    starts = [least_squares(residuals, [5.0, x], xtol=1e-14, ftol=1e-14, gtol=1e-14) for x in (2.0, 8.0, 14.0)]
    best = min(starts, key=lambda found: found.cost)
    return float(2 ** best.x[0]), float(2 ** best.x[1]), float(np.sqrt(np.mean(best.fun**2)))


def noisy(seeds: int, noise: float, critical: float = 255, seed: int = 0) -> list[list[float]]:
    generator = np.random.default_rng(seed)
    return [[400 * (1 + critical / size) * 2 ** generator.normal(0, noise) for _ in range(seeds)] for size in SIZES]


def fitted(sizes: list[int], steps: list[list[float]], resamples: int = 200) -> Hyperbola:
    found = fit_hyperbola(sizes, steps, resamples=resamples)
    assert found is not None
    return found


def test_an_exact_hyperbola_is_found() -> None:
    """Steps made from known constants give these back, with nothing left over."""
    found = fitted(SIZES, [[400 * (1 + 37.5 / size)] * 3 for size in SIZES])
    assert found.s_min.value == pytest.approx(400)
    assert found.critical_batch_size.value == pytest.approx(37.5)
    assert found.e_min.value == pytest.approx(400 * 37.5)
    assert found.rms_octaves < 1e-8
    assert (found.fitted, found.censored) == (17, 0)
    assert found.steps(1) == pytest.approx(400 * 38.5)


@pytest.mark.parametrize(("noise", "seed"), [(0.05, 0), (0.3, 1), (1.0, 2)])
def test_the_fit_equals_scipys(noise: float, seed: int) -> None:
    """Bisection of the profiled model finds what scipy's least squares over both unknowns finds."""
    steps = noisy(1, noise, seed=seed)
    found = fitted(SIZES, steps)
    expected = by_scipy(SIZES, [row[0] for row in steps])
    assert (found.s_min.value, found.critical_batch_size.value, found.rms_octaves) == pytest.approx(expected, rel=1e-6)


def test_shallues_networks() -> None:
    """The published points of FC-1024×3 give a B_crit near 255 with a residual of .06 octave, those of the CNN one near 170."""
    found = fitted(list(SHALLUE), [[1e5 / speed_up] for speed_up in SHALLUE.values()])
    assert found.critical_batch_size.value == pytest.approx(255, rel=0.02)
    assert found.rms_octaves == pytest.approx(0.06, abs=0.005)
    found = fitted(list(CONVOLUTIONAL), [[steps] for steps in CONVOLUTIONAL.values()])
    assert found.critical_batch_size.value == pytest.approx(170, rel=0.05)
    assert found.rms_octaves == pytest.approx(by_scipy(list(CONVOLUTIONAL), list(CONVOLUTIONAL.values()))[2])


def test_censored_batch_sizes_are_counted_not_fitted() -> None:
    """A batch size whose median never reached changes nothing but the count; fewer than three that did have no fit."""
    steps = noisy(5, 0.1)
    censored = [[inf] * 3 + row[3:] if i < 2 else row for i, row in enumerate(steps)]
    found = fitted(SIZES, censored)
    without = fitted(SIZES[2:], steps[2:])
    assert (found.fitted, found.censored) == (15, 2)
    assert found.critical_batch_size.value == pytest.approx(without.critical_batch_size.value)
    assert found.rms_octaves == pytest.approx(without.rms_octaves)
    assert fit_hyperbola(SIZES[:4], [[9.0], [inf], [inf], [8.0]]) is None


def test_the_interval_is_that_of_paired_resamples() -> None:
    """Without luck: the ends are the quantiles over all 27 draws of three seeds, each used for all batch sizes and fitted by scipy."""
    sizes = SIZES[::4]
    steps = np.array(noisy(3, 0.2)[::4])
    fits = [by_scipy(sizes, list(np.median(steps[:, draw], axis=1))) for draw in np.ndindex(3, 3, 3)]
    found = fit_hyperbola(sizes, steps.tolist(), luck=0.0)
    assert found is not None
    s_min, critical = np.array(fits).T[:2]
    for estimate, every in zip(
        (found.s_min, found.critical_batch_size, found.e_min), (s_min, critical, s_min * critical), strict=True
    ):
        assert (estimate.low, estimate.high) == pytest.approx((every.min(), every.max()), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("luck", "least"), [(0.12, 0.93), (0.25, 0.9)])
def test_the_interval_covers(luck: float, least: float) -> None:
    """With .12 octave of tuning luck the interval of eight batch sizes holds B_crit in 93 to 97.5 %, with .25 in 90 % or more."""
    generator = np.random.default_rng(3)
    sizes = np.array([1, 4, 16, 64, 256, 1024, 4096, 16384])
    held = 0
    for _ in range(400):
        octaves = (
            generator.normal(0, 0.1, (8, 6)) + generator.normal(0, 0.1, (1, 6)) + generator.normal(0, luck, (8, 1))
        )
        steps = 400 * (1 + 255 / sizes[:, None]) * 2**octaves
        found = fitted(sizes.tolist(), steps.tolist(), 500).critical_batch_size
        held += found.low <= 255 <= found.high
    assert least <= held / 400 <= 0.975


@pytest.mark.parametrize("count", [6, 10])
def test_a_ratio_of_arms_covers_their_luck(count: int) -> None:
    """With .12 octave of luck in either arm the ratio's interval holds the truth in 93 to 97.5 %; without luck in it, in under 80 %."""
    generator = np.random.default_rng(count)
    held = []
    for _ in range(2_000):
        arms = generator.normal(0, 0.1, (2, count)) + generator.normal(0, 0.12, (2, 1))
        ratio = paired_ratio(*(100 * 2**arms))
        lucky = with_luck(ratio, 0.12)
        held.append([one.low <= 1 <= one.high for one in (ratio, lucky)])
    alone, together = np.mean(held, axis=0)
    assert alone < 0.8
    assert 0.93 <= together <= 0.975


def test_luck_is_the_usual_one_unless_shown_to_be_more() -> None:
    """A small variance, or a great one with little behind it, leaves .12 octave; a great one with much behind it is taken."""
    assert tuning_luck() == tuning_luck(Variance(0.0, 50.0)) == tuning_luck(Variance(0.02, 1.0)) == 0.12
    assert tuning_luck(Variance(0.0, 50.0), Variance(0.25**2, 200.0)) == pytest.approx(0.25, rel=0.02)


def test_the_scatter_of_batch_sizes_is_their_luck() -> None:
    """Seeds explain their part of the scatter around the fit: noise of seeds alone is no luck, a shift of whole batch sizes is."""
    assert fitted(SIZES, noisy(10, 0.3)).luck == 0.12
    shifts = np.random.default_rng(2).normal(0, 0.4, (17, 1))
    assert 0.3 < fitted(SIZES, (np.array(noisy(10, 0.05)) * 2**shifts).tolist()).luck < 0.6


def test_near_best_settings_show_luck() -> None:
    """The variance is that of the means of settings that might be the best; one far off, or that never reached, plays no part."""
    near = [[4.0, 16.0], [8.0, 32.0]]  # means of log2: 3 and 4
    found = near_best_variance([*near, [1e6, 1e6], [8.0, inf]])
    assert found is not None
    assert found.value == pytest.approx(0.5)
    assert found.freedom == 1
    assert near_best_variance(near[:1]) is None
    assert near_best_variance([[8.0], [8.0]]) is None


def test_draws_that_cannot_be_fitted_widen_the_interval() -> None:
    """Where many resamples leave fewer than three batch sizes, or there is one seed, B_crit may be anything."""
    steps = [[100.0, 100, 100], [60.0, 60, inf], [50.0, inf, 50], [inf, inf, inf]]
    for found in (fitted([1, 2, 4, 8], steps), fitted([1, 2, 4, 8], [row[:1] for row in steps])):
        assert (found.critical_batch_size.low, found.critical_batch_size.high) == (0, inf)
        assert found.censored == 1


def test_ends_of_the_model() -> None:
    """Steps that halve with every doubling have an infinite B_crit and a known E_min; steps that stay the same have B_crit 0."""
    scaling = fitted([1, 2, 4, 8], [[800 / size] * 2 for size in (1, 2, 4, 8)])
    assert (scaling.critical_batch_size.value, scaling.s_min.value) == (inf, 0)
    assert scaling.e_min.value == pytest.approx(800, rel=1e-3)
    assert scaling.steps(4) == pytest.approx(200, rel=1e-3)
    flat = fitted([1, 2, 4, 8], [[100.0] * 2] * 4)
    assert (flat.critical_batch_size.value, flat.e_min.value) == (0, 0)
    assert flat.steps(4) == pytest.approx(100, rel=1e-3)


@pytest.mark.parametrize(
    ("sizes", "steps"),
    [([1, 2], [[1.0]]), ([1, 1], [[1.0], [2.0]]), ([1, 2], [[1.0], [0.0]]), ([0, 2], [[1.0], [1.0]])],
)
def test_a_fit_refuses(sizes: list[int], steps: list[list[float]]) -> None:
    """Missing rows, a batch size twice and values that are not positive are errors."""
    with pytest.raises(ValueError, match="expected"):
        fit_hyperbola(sizes, steps)


def test_cells_have_one_class_each() -> None:
    """Half of the seeds diverged is diverged, whatever the others did; later than twice the best that did not is late."""
    assert classified([300, 100, 200, 201, inf, 10], [0, 0, 0, 0.4, 0.1, 0.5]) == (
        RateClass.LATE, RateClass.REACHED, RateClass.REACHED, RateClass.LATE, RateClass.NEVER, RateClass.DIVERGED,
    )  # fmt: skip
    assert classified([inf, inf], [0, 1]) == (RateClass.NEVER, RateClass.DIVERGED)


def test_the_stable_range_has_its_octaves() -> None:
    """From the smallest rate that reaches to the largest below divergence, in whatever order they come; a lucky rate beyond is none."""
    rates = [0.5, 0.125, 0.25, 1.0, 2.0, 4.0]
    reached = [True, False, True, False, False, True]
    assert stable_range(rates, reached, [0, 0, 0, 0.4, 0.5, 0]) == StableRange(0.25, 1.0, 2.0, False, False)
    assert stable_range(rates, reached, [0] * 6) == StableRange(0.25, 4.0, 4.0, False, True)
    assert stable_range(rates[:1], [True], [0.0]) == StableRange(0.5, 0.5, 0.0, True, True)
    assert stable_range(rates, reached, [1.0] * 6) is None
    assert stable_range([0.1, 0.2], [False, False], [0, 0]) is None


def test_the_stable_range_of_a_quadratic() -> None:
    """Gradient descent on λx²/2 reaches |x| < tol in T steps iff |1 - ηλ|^T < tol, and diverges from η = 2 / λ: the range is this."""
    rates = np.geomspace(1e-3, 10, 400)
    factor = np.abs(1 - rates * 4)
    found = stable_range(list(rates), list(factor**100 < 1e-3), list((factor >= 1).astype(float)))
    assert found is not None
    assert found.highest == pytest.approx(2 / 4, rel=0.03)
    assert found.lowest == pytest.approx((1 - 1e-3 ** (1 / 100)) / 4, rel=0.03)
    assert found.octaves == pytest.approx(log2(found.highest / found.lowest))


@pytest.mark.parametrize(
    ("costs", "side"),
    [
        ([3, 2, 4], None),
        ([inf, 2, inf], None),
        ([1, 2, 3], "low"),
        ([inf, 2, 1], "high"),
        ([2, 1, 1], "high"),
        ([3, 1, 1, 4], None),
        ([2, 2], "both"),
        ([5], "both"),
        ([inf, inf], "both"),
    ],
)
def test_the_best_needs_a_worse_neighbour_on_both_sides(costs: list[float], side: str | None) -> None:
    """An end of the rates that is as good as the best is an edge, in whatever order the rates come; infinite is worse."""
    rates = [0.1 * 2**i for i in range(len(costs))]
    assert edge(rates, costs) == side
    assert edge(rates[::-1], costs[::-1]) == side


def of_all_subsets(values: list[float], best: bool) -> list[float]:
    pick = max if best else min
    return [float(np.mean([pick(chosen) for chosen in combinations(values, n)])) for n in range(1, len(values) + 1)]


@pytest.mark.parametrize("maximize", [True, False])
def test_the_expected_best_is_the_mean_over_all_subsets(maximize: bool) -> None:
    """For each n it is the mean, over every choice of n trials, of the best of them; ties included."""
    values = [0.3, 0.9, 0.1, 0.9, 0.5, 0.7, -0.2, 0.4]
    assert list(expected_best(values, maximize)) == pytest.approx(of_all_subsets(values, maximize))


def test_the_expected_best_has_no_bias_and_dodges_is_low() -> None:
    """Over 2,000 searches of 20 uniform trials the mean is n / (n + 1); Dodge's formula is low by .02 of the range at n = 5 to 20."""
    draws = np.random.default_rng(9).uniform(0, 1, (2_000, 20))
    n = np.arange(1, 21)[:, None]
    j = np.arange(1, 21)
    dodge = np.sort(draws, axis=1) @ ((j / 20) ** n - ((j - 1) / 20) ** n).T
    ours = np.mean([expected_best(row, True) for row in draws], axis=0)
    truth = n[:, 0] / (n[:, 0] + 1)
    assert ours == pytest.approx(truth, abs=0.006)
    low = (truth - dodge.mean(0))[4:]
    assert low.min() > 0.01
    assert low.max() < 0.03


def test_many_trials_overflow_nothing() -> None:
    """With 1,500 trials the curve rises from the mean to the best, though C(1500, 750) is no float."""
    values = np.random.default_rng(10).normal(size=1_500)
    curve = expected_best(values.tolist(), True)
    assert np.all(np.diff(curve) >= 0)
    assert (curve[0], curve[-1]) == pytest.approx((values.mean(), values.max()))


def test_diverged_trials_take_part() -> None:
    """A diverged trial has the worst value of the others; a target never reached stays infinite until n trials cannot all be such."""
    assert list(expected_best([0.5, None, 0.9, nan], True)) == pytest.approx(of_all_subsets([0.5, 0.5, 0.9, 0.5], True))
    assert list(expected_best([3.0, inf, 5.0, inf], False)) == [inf, inf, *of_all_subsets([3, 1e9, 5, 1e9], False)[2:]]
    with pytest.raises(ValueError, match="at least one"):
        expected_best([None, nan], True)
    with pytest.raises(ValueError, match="infinitely good"):
        expected_best([1.0, inf], True)


def test_the_expected_best_interval_covers() -> None:
    """Over searches of 30 normal trials the interval of the best of 3 holds the truth, .846 σ, in about 95 %; minimising mirrors it."""
    draws = np.random.default_rng(11).normal(0, 1, (200, 30))
    held = 0
    for row in draws:
        curve = expected_best_interval(row, True, resamples=400)
        held += curve.low[2] <= 0.8463 <= curve.high[2]
    assert 0.89 <= held / 200 <= 0.99
    up = expected_best_interval(draws[0], True)
    down = expected_best_interval(-draws[0], False)
    assert list(down.low) == pytest.approx(list(-up.high), nan_ok=True)
    assert list(down.high) == pytest.approx(list(-up.low), nan_ok=True)


def test_the_best_of_many_has_no_interval() -> None:
    """Of 30 trials the best of up to 10 has an interval, the best of more has none: no draw holds a better trial than the best seen."""
    curve = expected_best_interval(np.random.default_rng(12).normal(size=30).tolist(), True, resamples=400)
    assert np.isfinite(curve.low[:10]).all()
    assert np.isnan(curve.low[10:]).all()
    assert np.isnan(curve.high[10:]).all()
    assert np.isfinite(curve.value).all()


def test_the_share_reaching_is_wilsons() -> None:
    """The share of trials that reach is a share of all trials with Wilson's interval."""
    assert share_reaching([True, False, True, False, False]) == wilson(2, 5)
    with pytest.raises(ValueError, match="case"):
        share_reaching([])


def test_best_within_a_budget() -> None:
    """Only evaluations up to the limit count, the limit included; NaN is no result, and before the first there is none."""
    updates = [10, 20, 30, 40]
    metric = [0.5, nan, 0.8, 0.9]
    assert [best_within(updates, metric, limit, True) for limit in (9, 10, 29, 30, 99)] == [None, 0.5, 0.5, 0.8, 0.9]
    assert best_within(updates, metric, 40, False) == 0.5


def test_saturation_is_that_of_both_losses() -> None:
    """A run is saturated where neither loss fell by a tenth while its updates doubled; the training rows may also be fitted."""
    updates = [1, 10, 50, 100]
    still = [2.0, 1.0, 0.5, 0.49]
    falling = [2.0, 1.0, 0.5, 0.4]
    fitted_rows = [2.0, 0.1, 0.01, 0.001]
    rising = [2.0, 0.4, 0.5, 0.6]
    assert saturated(updates, still, still)
    assert saturated(updates, fitted_rows, rising)
    assert not saturated(updates, falling, still), "the training loss decides"
    assert not saturated(updates, falling, rising)
    assert not saturated(updates, still, falling)
    assert not saturated([100], [0.5], [0.5]), "one evaluation shows nothing"
    assert not saturated(updates, [nan] * 4, [nan] * 4)


def test_the_gap_is_taken_at_one_training_loss() -> None:
    """Two runs along one curve of (training, validation) loss have one gap at the level that both reach, however long they train."""
    training = [1.0, 0.5, 0.25, 0.125]
    validation = [1.0, 0.6, 0.5, 0.7]
    level = matched_level([training, training[:3]])
    assert level == 0.25
    assert gap_at_loss(training, validation, level) == gap_at_loss(training[:3], validation[:3], level) == 0.25
    assert gap_at_loss(training, validation, 0.6) == pytest.approx(0.1)
    assert gap_at_loss(training, validation, 0.1) is None
    assert matched_level([[0.3, nan], [0.2, 0.4]]) == 0.3
    assert matched_level([[nan], [0.2]]) is None
    assert matched_level([]) is None
