"""How often, and how soon at a constant rate: intervals that need no resampling."""

from collections.abc import Sequence
from math import inf, sqrt

import numpy as np
from scipy.special import chdtri, ndtri

from hpsearch.statistics.resampling import TAIL, Estimate, numbers

NORMAL_95 = float(ndtri(1 - TAIL))


def wilson(successes: float, count: int) -> Estimate:
    """Return a share of `count` independent cases with Wilson's interval (JASA 1927); a tie may count as half a success.

    Unlike a bootstrap of the cases it has a width where all or none of them succeeded.

    Raises:
        ValueError: there are no cases, or more successes than cases.
    """
    if count < 1 or not 0 <= successes <= count:
        raise ValueError(f"expected 0 to {count} successes of at least one case, not {successes}")
    share, z2 = successes / count, NORMAL_95**2 / count
    centre, half = share + z2 / 2, NORMAL_95 * sqrt(share * (1 - share) / count + z2 / (4 * count))
    return Estimate(share, max(0.0, (centre - half) / (1 + z2)), min(1.0, (centre + half) / (1 + z2)))


def first_passage(times: Sequence[float], censored: Sequence[bool]) -> Estimate:
    """Return the mean time to escape at a constant rate: total time watched / escapes, the censored maximum likelihood.

    A run that did not escape counts with the time for which it was watched. The interval is Garwood's (1936) for the Poisson count
    of escapes in the total time: at least 95 % where all are watched for the same time. Without an escape the value is infinite
    and `low` the one-sided bound: a shorter mean time would have given an escape with a probability of 95 %.

    Raises:
        ValueError: the columns differ in length, or a time is not a positive finite number.
    """
    watched, escapes = numbers(times), len(censored) - int(np.sum(censored))
    if len(censored) != len(watched) or not np.all((watched > 0) & np.isfinite(watched)):
        raise ValueError("expected one positive finite time, and whether it is censored, for each run")
    total = float(watched.sum())
    if not escapes:
        return Estimate(inf, 2 * total / float(chdtri(2, 2 * TAIL)), inf)
    low, high = chdtri(2 * escapes + 2, TAIL), chdtri(2 * escapes, 1 - TAIL)
    return Estimate(total / escapes, 2 * total / float(low), 2 * total / float(high))
