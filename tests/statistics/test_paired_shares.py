"""Paired shares: McNemar's test and Tango's interval, each against an independent calculation, and what the interval covers."""

from collections.abc import Sequence
from math import comb, sqrt

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from hpsearch.statistics.paired_shares import discordant, mcnemar_p, paired_share_difference


def pairs(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[bool], list[bool]]:
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return a, b


def test_discordant_pairs_are_counted() -> None:
    """Of pairs in which both succeed, A alone, B alone or neither, the middle two are counted."""
    assert discordant(*pairs(5, 3, 2, 7)) == (3, 2)


@pytest.mark.parametrize(("a", "b"), [([True], [True, False]), ([], [])])
def test_runs_that_are_no_pairs_are_refused(a: Sequence[bool], b: Sequence[bool]) -> None:
    """Arms of unequal length, or without a run, are no pairs."""
    with pytest.raises(ValueError, match="expected pairs"):
        discordant(a, b)


@pytest.mark.parametrize(("only_a", "only_b"), [(18, 1), (3, 5), (0, 4)])
def test_mcnemar_s_p_value_is_binomial(only_a: int, only_b: int) -> None:
    """The p-value is twice the chance that so few of the discordant pairs, or fewer, favour the arm that loses."""
    count = only_a + only_b
    tail = sum(comb(count, k) for k in range(min(only_a, only_b) + 1)) / 2**count
    assert mcnemar_p(*pairs(4, only_a, only_b, 9)) == pytest.approx(min(1, 2 * tail))


def test_without_a_discordant_pair_nothing_differs() -> None:
    """Arms that always agree have p = 1 and a difference of 0, whose interval has a width all the same."""
    a, b = pairs(10, 0, 0, 10)
    found = paired_share_difference(a, b)
    assert mcnemar_p(a, b) == 1
    assert found.value == 0
    assert found.low == pytest.approx(-found.high)
    assert 0.1 < found.high < 0.2


@pytest.mark.parametrize("counts", [(36, 12, 2, 0), (5, 17, 1, 80), (0, 3, 9, 20)])
def test_the_interval_s_ends_are_as_far_as_the_score_allows(counts: tuple[int, int, int, int]) -> None:
    """At each end the score is 1.96, the share of the rarer pairs being the most likely one under that difference (found by search)."""
    _, only_a, only_b, _ = counts
    count = sum(counts)
    found = paired_share_difference(*pairs(*counts))
    for end in (found.low, found.high):

        def surprise(share: float, end: float = end) -> float:
            agreeing = (count - only_a - only_b) * np.log(1 - 2 * share - end)
            return -float(only_a * np.log(share + end) + only_b * np.log(share) + agreeing)

        bounds = (max(0.0, -end) + 1e-12, (1 - end) / 2 - 1e-12)
        share = minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
        score = (only_a - only_b - count * end) / sqrt(count * (2 * share + end * (1 - end)))
        assert abs(score) == pytest.approx(1.959964, abs=1e-4)


def test_the_interval_mirrors() -> None:
    """With the arms swapped the difference and its ends change their signs."""
    a, b = pairs(7, 9, 2, 5)
    one = paired_share_difference(a, b)
    other = paired_share_difference(b, a)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


def test_the_ends_stay_within_what_a_difference_can_be() -> None:
    """Where one arm always succeeds and the other never, the difference is 1 and no end lies beyond."""
    found = paired_share_difference(*pairs(0, 8, 0, 0))
    assert (found.value, found.high) == (1, 1)
    assert 0 < found.low < 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(0.5, 0.3), (0.25, 0.25), (0.6, 0.1)])
def test_the_interval_covers(first: float, second: float) -> None:
    """Of 2,000 samples of 100 independent pairs the interval holds the true difference in 93 to 97 %."""
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(2_000):
        a = (generator.random(100) < first).tolist()
        b = (generator.random(100) < second).tolist()
        found = paired_share_difference(a, b)
        held += found.low <= first - second <= found.high
    assert 0.93 <= held / 2_000 <= 0.97
