"""Shares, targets and comparisons: each number against an independent calculation, each interval against what it promises."""

from itertools import combinations
from itertools import product as every
from math import exp, inf, log, nan, sqrt

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from hpsearch.statistics.estimates import Estimate, first_passage, median_estimate, medians, product, wilson
from hpsearch.statistics.learning_curves import first_reached, resolution, step_seconds
from hpsearch.statistics.paired import (
    holm,
    paired_difference,
    paired_p,
    paired_ratio,
    probability_of_improvement,
)

SIMULATIONS = 2_000


def numbers(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def covers(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


@pytest.mark.parametrize(("successes", "count"), [(0, 10), (1, 3), (34, 100), (100, 100)])
def test_wilson_equals_scipy(successes: int, count: int) -> None:
    """Wilson's interval equals scipy's."""
    expected = stats.binomtest(successes, count).proportion_ci(method="wilson")
    found = wilson(successes, count)
    assert (found.value, found.low, found.high) == pytest.approx((successes / count, expected.low, expected.high))


def test_wilson_solves_its_equation() -> None:
    """With half a success for a tie the ends are where the share lies 1.96 standard errors away, which is Wilson's definition."""
    found = wilson(6.5, 10)
    z = stats.norm.ppf(0.975)
    for end in (found.low, found.high):
        assert abs(0.65 - end) == pytest.approx(z * sqrt(end * (1 - end) / 10))


@pytest.mark.parametrize(("successes", "count"), [(1, 0), (-1, 3), (4, 3)])
def test_wilson_refuses_impossible_counts(successes: int, count: int) -> None:
    """More successes than cases, or no cases, are an error."""
    with pytest.raises(ValueError, match="successes"):
        wilson(successes, count)


def test_first_passage_maximises_the_likelihood() -> None:
    """The mean escape time is where the censored exponential likelihood is greatest, found by a search over a grid."""
    times = [3.0, 10.0, 1.5, 10.0, 7.0]
    censored = [False, True, False, True, False]
    means = np.linspace(1, 40, 200_001)
    likelihood = -3 * np.log(means) - sum(times) / means
    assert first_passage(times, censored).value == pytest.approx(means[likelihood.argmax()], abs=2e-4)


def test_first_passage_inverts_the_poisson_count() -> None:
    """The ends are the means under which so few, or so many, escapes in the total time have a probability of 2.5 %."""
    times = [3.0, 10.0, 1.5, 10.0, 7.0]
    censored = [False, True, False, True, False]
    total = sum(times)
    found = first_passage(times, censored)
    low = brentq(lambda mean: stats.poisson.cdf(3, total / mean) - 0.025, 0.1, 1e3)
    high = brentq(lambda mean: stats.poisson.sf(2, total / mean) - 0.025, 0.1, 1e3)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_first_passage_without_escapes() -> None:
    """Where none escapes the mean is infinite and its bound is where none escaping has a probability of 5 %."""
    found = first_passage([10.0] * 4, [True] * 4)
    assert (found.value, found.high) == (inf, inf)
    assert exp(-40 / found.low) == pytest.approx(0.05)


def test_first_passage_covers() -> None:
    """Watching 20 runs for 1.5 times their mean escape time, the interval holds it in at least 95 % of simulations (less 2 σ)."""
    draws = np.random.default_rng(0).exponential(1.0, (2_000, 20))
    held = [covers(first_passage(np.minimum(times, 1.5), times > 1.5), 1.0) for times in draws]
    assert 0.94 <= np.mean(held) <= 0.985


@pytest.mark.parametrize(("times", "censored"), [([1.0], []), ([0.0], [False]), ([inf], [True]), ([], [])])
def test_first_passage_refuses(times: list[float], censored: list[bool]) -> None:
    """A time that cannot have been watched, or columns of two lengths, are an error."""
    with pytest.raises(ValueError, match="expected"):
        first_passage(times, censored)


def test_first_reached_is_strict() -> None:
    """A metric equal to the target has not reached it; the first better one has, later ones do not matter; NaN never does."""
    assert first_reached([1, 2, 3, 4], [0.9, 0.97, 0.98, 0.99], 0.97, True) == 3
    assert first_reached([1, 2, 3], [nan, 0.03, 0.02], 0.03, False) == 3
    assert first_reached([1, 2], [nan, 0.97], 0.97, True) == inf


def test_medians_take_infinity_as_a_value() -> None:
    """With infinities the median is that of very large numbers, as far as it is finite; half and half of both signs give 0."""
    for row in every([1.0, 2.0, 3.0, inf], repeat=5):
        expected = np.median(np.where(np.isinf(row), 1e300, row))
        assert medians(np.array(row)) == (inf if expected > 1e200 else expected)
    assert list(medians(np.array([[1.0, inf], [-inf, 1.0], [-inf, inf], [inf, inf]]))) == [inf, -inf, 0, inf]


def test_the_median_is_that_of_all_seeds() -> None:
    """A run that never reached pulls the median up; with half of them it is infinite, and the interval says how far it may be."""
    assert median_estimate([1, 2, 3, 4, inf]).value == 3
    assert median_estimate([1, 2, inf, inf]).value == inf
    assert median_estimate([100.0] * 9 + [inf]) == Estimate(100, 100, 100)
    assert median_estimate([1.0, 2, 3, 4, 5, 6, inf, inf, inf, inf]).high == inf


@pytest.mark.parametrize(("count", "depth"), [(6, 1), (8, 1), (9, 2), (15, 4), (20, 6)])
def test_the_median_interval_lies_between_sign_test_intervals(count: int, depth: int) -> None:
    """Its ends lie between the order statistics of the last sign-test interval of 95 % or more, by scipy, and the next one's."""
    values = np.sort(np.random.default_rng(count).normal(size=count))
    level = [1 - 2 * stats.binom.cdf(d - 1, count, 0.5) for d in (depth, depth + 1)]
    assert level[0] >= 0.95 > level[1]
    found = median_estimate(values.tolist())
    assert values[depth - 1] <= found.low < values[depth]
    assert values[-depth - 1] < found.high <= values[-depth]
    share = (level[0] - 0.95) / (level[0] - level[1])
    weight = (count - depth) * share / (depth + (count - 2 * depth) * share)
    assert found.high == pytest.approx((1 - weight) * values[-depth] + weight * values[-depth - 1])


def test_the_median_interval_next_to_infinity_is_infinite() -> None:
    """An end between a number and infinity is infinite, never a number; of fewer than six the interval is from least to greatest."""
    assert median_estimate([1.0, 2, 3, 4, 5, inf]).high == inf
    assert median_estimate([1.0, inf, inf, inf, inf, inf]) == Estimate(inf, 1, inf)
    assert median_estimate([1.0, 2.0, 4.0, inf]) == Estimate(3, 1, inf)


def test_one_seed_bounds_nothing() -> None:
    """From one value there is no telling how much the next one differs."""
    assert median_estimate([5.0]) == Estimate(5, -inf, inf)
    assert numbers(paired_ratio([4.0], [2.0])) == pytest.approx((2, 0, inf))
    assert paired_difference([4.0], [2.0]) == Estimate(2, -inf, inf)


@pytest.mark.parametrize("count", [6, 7, 8, 9, 10])
def test_the_median_interval_covers(count: int) -> None:
    """From six to ten seeds the interval holds the true median, some runs infinite, in 93 to 97 % of simulations."""
    draws = np.random.default_rng(count).lognormal(0, 1, (SIMULATIONS, count))
    draws[draws > np.exp(0.8)] = inf  # 21 % never reach
    held = [covers(median_estimate(values), 1.0) for values in draws]
    assert 0.93 <= np.mean(held) <= 0.97


def test_step_seconds_leaves_out_the_warm_up() -> None:
    """Updates of 0.01 s are found whatever the first window took, one slow window or windows without an update."""
    updates = [10, 20, 20, 40, 50, 70]
    seconds = [5.0, 5.1, 5.1, 5.3, 9.3, 9.5]
    assert step_seconds(updates, seconds) == pytest.approx(0.01)
    assert step_seconds([10, 20], [5.0, 5.1]) == pytest.approx(0.01)
    assert step_seconds([10], [5.0]) == 0.5
    with pytest.raises(ValueError, match="no update"):
        step_seconds([], [])


def test_resolution_is_the_gap_before() -> None:
    """Reached at 50 after an evaluation at 40, the update is known to within 20 %; at the first evaluation not at all."""
    assert resolution([20, 40, 40, 50, 50, 90], 50) == pytest.approx(0.2)
    assert resolution([20, 40], 20) == 1
    with pytest.raises(ValueError, match="evaluated update"):
        resolution([20, 40], inf)


def test_a_ratio_is_between_arms_and_swaps() -> None:
    """An arm that always costs 1.5 times as much has this ratio exactly; swapping the arms inverts value and ends."""
    generator = np.random.default_rng(3)
    b = generator.lognormal(0, 2, 11).tolist()
    assert numbers(paired_ratio([1.5 * value for value in b], b)) == pytest.approx((1.5, 1.5, 1.5))
    a = generator.lognormal(0, 2, 11).tolist()
    there = paired_ratio(a, b)
    back = paired_ratio(b, a)
    assert (back.value, back.low, back.high) == pytest.approx(
        (1 / there.value, 1 / there.high, 1 / there.low), rel=1e-9
    )


def test_a_ratio_with_infinite_costs() -> None:
    """Pairs that both never reached are left out; one that one arm alone reached counts for that arm, without bound."""
    a = [2.0, 2.0, inf, inf, inf]
    b = [1.0, 1.0, 1.0, inf, inf]
    assert numbers(paired_ratio(a, b)) == pytest.approx((2, 2, inf))
    assert paired_ratio(a, b) == paired_ratio(a[:3], b[:3])
    assert paired_ratio([1.0, inf], [inf, 1.0]) == Estimate(1, 0, inf)
    with pytest.raises(ValueError, match="finite one"):
        paired_ratio([inf], [inf])
    with pytest.raises(ValueError, match="positive"):
        paired_ratio([0.0], [1.0])


def test_a_ratio_covers() -> None:
    """From six pairs, or ten, the interval holds the true ratio in 93 to 97 % of simulations."""
    generator = np.random.default_rng(4)
    for count in (6, 10):
        b = generator.lognormal(0, 2, (SIMULATIONS, count))
        a = 3 * b * generator.lognormal(0, 0.5, b.shape)
        held = [covers(paired_ratio(x, y), 3.0) for x, y in zip(a, b, strict=True)]
        assert 0.93 <= np.mean(held) <= 0.97


def test_a_difference_equals_scipys_paired_t_interval() -> None:
    """The mean difference has the interval of scipy's paired t-test; infinite values are refused."""
    a, b = np.random.default_rng(5).normal([[1.0], [0.0]], 1, (2, 12))
    found = paired_difference(a, b)
    other = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert numbers(found) == pytest.approx((np.mean(a - b), other.low, other.high))
    with pytest.raises(ValueError, match="paired_ratio"):
        paired_difference([1.0, inf], [1.0, 2.0])


def test_pairs_of_one_group_count_once() -> None:
    """With groups the interval is Student's of the groups' means; where all pairs are of one group, of the pairs."""
    a = [1.0, 3.0, 2.0, 6.0, 5.0]
    zeros = [0.0] * 5
    by_group = paired_difference(a, zeros, [0, 1, 2, 0, 1])
    assert by_group == paired_difference([3.5, 4.0, 2.0], [0.0] * 3)
    assert paired_difference(a, zeros, [0] * 5) == paired_difference(a, zeros)


@pytest.mark.parametrize("count", [6, 10])
def test_a_difference_covers(count: int) -> None:
    """The interval holds the true mean difference in 93 to 97 % of simulations, also where pairs of five groups share a part of it."""
    generator = np.random.default_rng(count)
    own = generator.normal(0.3, 1, (SIMULATIONS, count))
    of_groups = generator.normal(0, 1, (SIMULATIONS, 5))
    groups = [k % 5 for k in range(count)]
    alone = [covers(paired_difference(x, 0 * x), 0.3) for x in own]
    shared = [covers(paired_difference(x, 0 * x, groups), 0.3) for x in own + of_groups[:, groups]]
    assert 0.93 <= np.mean(alone) <= 0.97
    assert 0.93 <= np.mean(shared) <= 0.97


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_share_covers(share: float) -> None:
    """Wilson's interval of 100 to 119 cases holds the true share in 93 to 97 % of cases, by the binomial distribution itself."""
    held = []
    for count in range(100, 120):
        chances = stats.binom.pmf(np.arange(count + 1), count, share)
        held.append(sum(chances[k] for k in range(count + 1) if covers(wilson(k, count), share)))
    assert 0.93 <= np.mean(held) <= 0.97


def test_a_product_is_a_sum_of_logarithms() -> None:
    """The relative distances of the ends add up as squares in logarithms; an infinite value leaves the products of the ends."""
    found = product(Estimate(2.0, 1.0, 4.0), Estimate(3.0, 1.5, 6.0))
    factor = exp(sqrt(2) * log(2))
    assert numbers(found) == pytest.approx((6, 6 / factor, 6 * factor))
    assert product(Estimate(inf, 2.0, inf), Estimate(1.0, 0.5, 2.0)) == Estimate(inf, 1, inf)
    assert product(Estimate(2.0, 0.0, inf), Estimate(1.0, 0.5, 2.0)) == Estimate(2, 0, inf)


def test_probability_of_improvement_counts_ties_half() -> None:
    """It is wins plus half of the ties, and swapping the arms gives the rest."""
    a = [1.0, 2, 3, inf, 5, inf]
    b = [2.0, 2, 1, inf, 6, 7]
    there = probability_of_improvement(a, b)
    back = probability_of_improvement(b, a)
    assert there.value == (2 + 0.5 * 2) / 6
    assert (back.value, back.low, back.high) == pytest.approx((1 - there.value, 1 - there.high, 1 - there.low))


def test_probability_of_improvement_covers() -> None:
    """Ten pairs, A winning 90 %: the interval holds this in at least 90 % of cases, a bootstrap of the pairs in 65 %."""
    wins = np.arange(11)
    chance = stats.binom.pmf(wins, 10, 0.9)
    held = [covers(probability_of_improvement([0.0] * w + [2.0] * (10 - w), [1.0] * 10), 0.9) for w in wins]
    bootstrap = stats.binom.ppf([[0.025], [0.975]], 10, wins / 10) / 10
    assert chance @ held >= 0.9
    assert chance @ ((bootstrap[0] <= 0.9) & (bootstrap[1] >= 0.9)) == pytest.approx(0.65, abs=0.01)


def test_the_p_value_equals_scipys_paired_t_test() -> None:
    """It is scipy's of the pairs, or of the groups' means, and below 5 % exactly where the interval leaves 0 out."""
    generator = np.random.default_rng(7)
    groups = [k % 5 for k in range(12)]
    for a, b in generator.normal([[0.6], [0.0]], 1, (50, 2, 12)):
        assert paired_p(a, b) == pytest.approx(stats.ttest_rel(a, b).pvalue)
        means = [np.mean([a[k] - b[k] for k in range(12) if groups[k] == group]) for group in range(5)]
        assert paired_p(a, b, groups) == pytest.approx(stats.ttest_1samp(means, 0).pvalue)
        assert (paired_p(a, b, groups) < 0.05) == (not covers(paired_difference(a, b, groups), 0.0))
    assert (paired_p([1.0], [0.0]), paired_p([1.0] * 3, [1.0] * 3), paired_p([2.0] * 3, [1.0] * 3)) == (1, 1, 0)


def test_shared_divisions_make_no_difference_of_their_own() -> None:
    """Ten pairs on five divisions that move them alike: without a difference 4 to 6 % of p-values are below 5 %, by pairs over 10 %."""
    generator = np.random.default_rng(9)
    groups = [k % 5 for k in range(10)]
    differences = generator.normal(0, 1, (4_000, 10)) + generator.normal(0, 1, (4_000, 5))[:, groups]
    zeros = [0.0] * 10
    by_pair = np.mean([paired_p(own, zeros) < 0.05 for own in differences])
    by_division = np.mean([paired_p(own, zeros, groups) < 0.05 for own in differences])
    assert by_pair > 0.1
    assert 0.04 <= by_division <= 0.06


@pytest.mark.parametrize(("count", "groups"), [(6, 5), (10, 5), (10, 2), (10, 7)])
def test_a_ratio_covers_with_shared_divisions(count: int, groups: int) -> None:
    """Where the ratio differs from division to division, its interval holds the true one in 93 to 97 %, of few divisions too."""
    generator = np.random.default_rng([count, groups])
    chosen = [k % groups for k in range(count)]
    logs = (
        generator.normal(log(3), 0.3, (SIMULATIONS, count)) + generator.normal(0, 0.4, (SIMULATIONS, groups))[:, chosen]
    )
    held = [covers(paired_ratio(own, np.ones(count), chosen), 3.0) for own in np.exp(logs)]
    assert 0.93 <= np.mean(held) <= 0.97


def test_a_ratio_with_divisions_by_hand() -> None:
    """It is the geometric mean over divisions; with an infinite cost the median over them, which few divisions do not bound."""
    assert numbers(paired_ratio([2.0, 8.0, 16.0], [1.0] * 3, [0, 1, 0]))[0] == pytest.approx((sqrt(32) * 8) ** 0.5)
    a = [2.0, 4.0, 8.0, 16.0, inf, inf]
    assert numbers(paired_ratio(a, [1.0] * 6, [0, 1, 2, 3, 4, 4])) == pytest.approx((8, 2, inf))
    assert numbers(paired_ratio(a, [1.0] * 6, [0, 1, 2, 3, 3, 3])) == pytest.approx((sqrt(32), 0, inf))
    assert paired_ratio(a, [1.0] * 6, [0] * 6) == paired_ratio(a, [1.0] * 6)


def test_holm_by_hand() -> None:
    """.01, .04, .03, .005 of four become .03, .06, .06, .02: times 3, 1, 2, 4, and never below a smaller one's."""
    assert list(holm([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_is_the_closed_bonferroni_test() -> None:
    """An adjusted p-value is the largest Bonferroni p-value over all groups of hypotheses that hold it."""
    generator = np.random.default_rng(8)
    for p_values in generator.uniform(0, 1, (20, 5)) ** 3:
        groups = [g for size in range(1, 6) for g in combinations(range(5), size)]
        bonferroni = {g: min(1.0, len(g) * min(p_values[i] for i in g)) for g in groups}
        expected = [max(p for g, p in bonferroni.items() if i in g) for i in range(5)]
        assert list(holm(p_values)) == pytest.approx(expected)


def test_unequal_columns_are_no_pairs() -> None:
    """Columns of two lengths, empty ones and NaN are errors, never silently cut or dropped."""
    for compare in (paired_ratio, paired_difference, probability_of_improvement, paired_p):
        for a, b in (([1.0], [1.0, 2.0]), ([], []), ([nan], [1.0])):
            with pytest.raises(ValueError, match="expected"):
                compare(a, b)


def test_log_ratio_of_a_median_pair() -> None:
    """The ratio is the exponential of the median log-ratio: for an even number of pairs the geometric middle."""
    assert paired_ratio([1.0, 8.0], [1.0, 1.0]).value == pytest.approx(exp((log(1) + log(8)) / 2))
