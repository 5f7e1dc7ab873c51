"""Means of a few runs and differences of estimates: against scipy and published figures, and what their intervals promise."""

from math import inf, nan

import numpy as np
import pytest
from scipy import stats

from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import difference, student_mean, wilson


@pytest.mark.parametrize("count", [2, 3, 5, 40])
def test_the_mean_of_a_few_runs_has_students_interval(count: int) -> None:
    """Mean and interval equal scipy's, with n - 1 degrees of freedom."""
    values = np.random.default_rng(count).normal(3, 2, count)
    found = student_mean(list(values))
    expected = stats.t.interval(0.95, count - 1, loc=values.mean(), scale=stats.sem(values))
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), *expected))


def test_no_end_lies_where_no_value_can() -> None:
    """Accuracies near 1 have a mean that is not said to be above it; one run alone bounds nothing but that."""
    found = student_mean([0.99, 1.0], 0.0, 1.0)
    assert found.value == pytest.approx(0.995)
    assert found.low > 0.9
    assert found.high == 1.0
    assert student_mean([0.9], 0.0, 1.0) == Estimate(0.9, 0.0, 1.0)
    assert student_mean([5.0]) == Estimate(5.0, -inf, inf)


@pytest.mark.parametrize("values", [[], [1.0, nan]])
def test_a_mean_of_nothing_is_refused(values: list[float]) -> None:
    """No value, or one that is no number, is an error."""
    with pytest.raises(ValueError, match="at least one"):
        student_mean(values)


@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_a_difference_of_shares_is_newcombes(a: tuple[int, int], b: tuple[int, int], low: float, high: float) -> None:
    """With Wilson's intervals the difference's is that of Newcombe (1998, table II, method 10)."""
    found = difference(wilson(*a), wilson(*b))
    assert found.value == pytest.approx(a[0] / a[1] - b[0] / b[1])
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_a_difference_from_a_number_is_as_wide_as_the_estimate() -> None:
    """A number that is no estimate adds nothing, and swapping the two turns the interval round; unbounded ends stay so."""
    number = Estimate(0.97, 0.97, 0.97)
    mean = Estimate(0.95, 0.93, 0.96)
    found = difference(number, mean)
    assert (found.value, found.low, found.high) == pytest.approx((0.02, 0.01, 0.04))
    back = difference(mean, number)
    assert (back.value, back.low, back.high) == pytest.approx((-0.02, -0.04, -0.01))
    unbounded = difference(number, Estimate(0.9, -inf, inf))
    assert unbounded.value == pytest.approx(0.07)
    assert (unbounded.low, unbounded.high) == (-inf, inf)


def test_a_difference_covers() -> None:
    """The interval of a mean over five runs minus a share of 270 rows holds the true difference in about 95 % of simulations."""
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(2_000):
        mean = student_mean(list(generator.normal(0.95, 0.01, 5)))
        found = difference(mean, wilson(int(generator.binomial(270, 0.93)), 270))
        held += found.low <= 0.02 <= found.high
    assert 0.935 <= held / 2_000 <= 0.975
