"""Intervals of a mean over rows, against the population that the rows are drawn from."""

from math import isnan

import numpy as np
import pytest
from scipy import stats

from hpsearch.statistics.rows import mean_interval

SAMPLES = 400


def covered(errors: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", true: float) -> float:
    """The share of samples [S, N] of errors whose interval of the root mean square contains the population's."""
    inside = 0
    for sample in errors:
        low, high = mean_interval(sample[:, None] ** 2, root=True, resamples=300)
        inside += low <= true <= high
    return inside / len(errors)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [100, 300])
def test_the_interval_of_a_root_mean_squared_error_covers_95_percent(rows: int) -> None:
    """Of 400 samples of normal errors 93 to 97 % have an interval that contains the population's root mean square."""
    errors = np.random.default_rng(2).normal(size=(SAMPLES, rows))
    assert 0.93 <= covered(errors, 1.0) <= 0.97


@pytest.mark.slow
def test_the_interval_of_a_mean_of_skewed_losses_covers_95_percent() -> None:
    """Of 400 samples of 200 exponential losses 93 to 97 % have an interval that contains the population's mean."""
    losses = np.random.default_rng(3).exponential(size=(SAMPLES, 200))
    inside = 0
    for sample in losses:
        low, high = mean_interval(sample[:, None], resamples=300)
        inside += low <= 1 <= high
    assert 0.93 <= inside / SAMPLES <= 0.97


def test_many_rows_have_the_interval_of_the_central_limit() -> None:
    """Of 20,000 rows the ends are the mean and 1.96 of its standard errors, within the noise of the draws."""
    values = np.random.default_rng(4).gamma(2.0, size=20_000)
    half = stats.norm.ppf(0.975) * values.std() / np.sqrt(len(values))
    assert mean_interval(values[:, None]) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.15 * half
    )


def test_a_weight_is_a_row_that_counts_so_much() -> None:
    """Weights that are all 3 change nothing; rows of weight 0 add no width but what they leave of the others."""
    values = np.random.default_rng(5).gamma(2.0, size=(200, 2))
    assert mean_interval(values, np.full(200, 3.0)) == pytest.approx(mean_interval(values))
    low, high = mean_interval(values, np.repeat([1.0, 0.0], 100))
    other_low, other_high = mean_interval(values[:100])
    assert high - low == pytest.approx(other_high - other_low, rel=0.1)


def test_what_says_nothing_of_the_spread_has_no_interval() -> None:
    """One row, and rows that are all alike, have no ends; errors that are all 0 have no width."""
    assert all(map(isnan, mean_interval(np.ones((1, 1)))))
    assert all(map(isnan, mean_interval(np.ones((9, 1)))))
    assert mean_interval(np.zeros((9, 1))) == (0.0, 0.0)
