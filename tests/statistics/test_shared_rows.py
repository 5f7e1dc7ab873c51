"""What test rows that runs share do to an interval: the jackknife against the truth, and the coverage that it gives."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import student_mean
from hpsearch.statistics.shared_rows import shared_variance

BLOCKS = 64
SIMULATIONS = 2_000
Array = NDArray[np.float64]


def without_blocks(rows: Array, block: NDArray[np.int64]) -> Array:
    """The mean of the rows [..., N] without those of each block [N]."""
    among = 1 - np.eye(BLOCKS)[block]  # [N, J], whether a row is kept
    kept: Array = rows @ among / among.sum(0)
    return kept


def intervals(leads: Array, left_out: Array) -> tuple[Estimate, Estimate]:
    """The interval of the mean lead [U], and that which knows the rows."""
    return student_mean(leads.tolist()), student_mean(leads.tolist(), shared=shared_variance(left_out.tolist()))


def shares(found: list[tuple[Estimate, Estimate]], truth: float) -> tuple[float, float]:
    held = [[one.low <= truth <= one.high for one in pair] for pair in found]
    alone, together = np.mean(held, axis=0)
    return float(alone), float(together)


@pytest.mark.parametrize("seeds", [6, 10])
def test_intervals_cover_rows_that_all_runs_share(seeds: int) -> None:
    """On test rows that all seeds share, the interval that knows them holds the truth in 93 to 97 %, the other one in under 75 %."""
    generator = np.random.default_rng(seeds)
    block = np.arange(360) % BLOCKS
    found = []
    for _ in range(SIMULATIONS):
        rows = 0.3 + generator.normal(0, 1, 360) + generator.normal(0, 1, (seeds, 360))
        rows += generator.normal(0, 0.05, (seeds, 1))
        found.append(intervals(rows.mean(1), without_blocks(rows, block)))
    alone, together = shares(found, 0.3)
    assert alone < 0.75
    assert 0.93 <= together <= 0.97


def test_intervals_cover_rows_right_or_wrong() -> None:
    """The same of accuracies: two arms, each row right or wrong, hard for both or for one of them in all six runs."""
    generator = np.random.default_rng(3)
    block = np.arange(400) % BLOCKS
    found = []
    for _ in range(SIMULATIONS):
        hard = generator.normal(2.0, 1.5, 400)
        right = []
        for own in (0.5, 0.5):
            ease = hard + generator.normal(0, own, 400)
            right.append((ease + generator.normal(0, 0.5, (6, 400)) > 0).astype(np.float64))
        leads = right[0] - right[1]
        found.append(intervals(leads.mean(1), without_blocks(leads, block)))
    alone, together = shares(found, 0.0)
    assert alone < 0.9
    assert 0.93 <= together <= 0.97


def test_intervals_cover_rows_that_divisions_share_in_part() -> None:
    """Five divisions draw 300 of 1,200 rows each to test: a row is in the same block in all of them, and so the common part is found."""
    generator = np.random.default_rng(5)
    found = []
    for _ in range(SIMULATIONS):
        pool = generator.normal(0.3, 1, 1_200)
        leads = np.empty(5)
        left_out = np.empty((5, BLOCKS))
        for division in range(5):
            chosen = generator.choice(1_200, 300, replace=False)
            rows = pool[chosen] + generator.normal(0, 0.5, 300) + generator.normal(0, 0.02)
            leads[division] = rows.mean()
            left_out[division] = without_blocks(rows, chosen % BLOCKS)
        found.append(intervals(leads, left_out))
    alone, together = shares(found, 0.3)
    assert alone < 0.9
    assert 0.93 <= together <= 0.97


def test_without_rows_in_common_nothing_is_added() -> None:
    """Runs on rows of their own have no covariance but by chance; where chance makes it negative it is 0."""
    generator = np.random.default_rng(6)
    block = np.arange(300) % BLOCKS
    rows = generator.normal(0, 1, (200, 4, 300))
    added = [shared_variance(without_blocks(own, block).tolist()).value for own in rows]
    assert min(added) == 0
    assert np.mean(added) < 0.1 / 300  # of the variance of one run's mean


def test_the_covariance_is_that_of_means() -> None:
    """Of two runs whose rows have a covariance of 0.6 in common it is 0.6 / N on average, with the blocks' degrees of freedom."""
    generator = np.random.default_rng(7)
    block = np.arange(256) % BLOCKS
    rows = np.sqrt(0.6) * generator.normal(0, 1, (2_000, 1, 256)) + np.sqrt(0.4) * generator.normal(
        0, 1, (2_000, 2, 256)
    )
    found = [shared_variance(without_blocks(own, block).tolist()) for own in rows]
    assert np.mean([one.value for one in found]) == pytest.approx(0.6 / 256, rel=0.05)
    assert found[0].freedom == BLOCKS - 1


@pytest.mark.parametrize("left_out", [[[1.0, 2.0]], [[1.0], [2.0]]])
def test_one_run_or_one_block_says_nothing(left_out: list[list[float]]) -> None:
    """A covariance needs two runs and two blocks."""
    with pytest.raises(ValueError, match="at least two"):
        shared_variance(left_out)
