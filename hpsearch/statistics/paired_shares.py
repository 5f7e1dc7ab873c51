"""Two arms whose runs succeed or fail, in pairs: whether one succeeds more often, and by how much.

Pairs in which both succeed, or neither, say nothing of which arm is better; those in which one alone does (discordant pairs) decide.
"""

from collections.abc import Callable, Sequence
from math import sqrt

from scipy.optimize import brentq
from scipy.special import bdtr

from hpsearch.statistics.estimates import NORMAL_95, Estimate

EDGE = 1e-12  # of a difference of shares, which lies between -1 and 1


def discordant(a: Sequence[bool], b: Sequence[bool]) -> tuple[int, int]:
    """Return the number of pairs in which A alone succeeded, and that in which B alone did.

    Raises:
        ValueError: not pairs, or none.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"expected pairs, at least one, not {len(a)} and {len(b)} runs")
    only_a = sum(mine and not theirs for mine, theirs in zip(a, b, strict=True))
    only_b = sum(theirs and not mine for mine, theirs in zip(a, b, strict=True))
    return only_a, only_b


def mcnemar_p(a: Sequence[bool], b: Sequence[bool]) -> float:
    """Return the two-sided p-value of McNemar's exact test (1947): each discordant pair is as likely to favour either arm."""
    only_a, only_b = discordant(a, b)
    fewer = min(only_a, only_b)
    return min(1.0, 2 * float(bdtr(fewer, only_a + only_b, 0.5)))


def paired_share_difference(a: Sequence[bool], b: Sequence[bool]) -> Estimate:
    """Return by how much the share of successes of A exceeds that of B, with Tango's score interval (1998, eq 9-13).

    Unlike the usual interval it has a width where no pair is discordant, and covers 95 % near 0 and 1 too.
    """
    only_a, only_b = discordant(a, b)
    count = len(a)
    value = (only_a - only_b) / count

    def excess(difference: float) -> float:
        return _score(only_a, only_b, count, difference)

    low = -1.0
    high = 1.0
    if value > -1:
        low = _root(lambda delta: excess(delta) - NORMAL_95, -1 + EDGE, value)
    if value < 1:
        high = _root(lambda delta: excess(delta) + NORMAL_95, value, 1 - EDGE)
    return Estimate(value, low, high)


def _score(only_a: int, only_b: int, count: int, difference: float) -> float:
    """Return the standardised distance of the counts from a supposed difference of the shares."""
    linear = -only_a - only_b + (2 * count - only_a + only_b) * difference
    constant = -only_b * difference * (1 - difference)
    share = (sqrt(linear**2 - 8 * count * constant) - linear) / (4 * count)  # of pairs in which B alone succeeds
    variance = count * (2 * share + difference * (1 - difference))
    distance = only_a - only_b - count * difference
    return distance / sqrt(variance) if variance > 0 else 0.0


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(brentq(function, low, high))
