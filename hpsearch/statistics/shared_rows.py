"""What runs have in common because the same test rows judge them.

Test rows are a sample. Runs on other seeds, or on other divisions of the data, differ by the luck of their training and of the rows that
are theirs alone; the luck of rows that they share moves them all alike, and does not show in how they differ. It shows in how alike
they change when some of the rows are left out: the jackknife over blocks of rows (Kish and Frankel 1974), for any metric.
"""

from collections.abc import Sequence

import numpy as np

from hpsearch.statistics.estimates import Variance


def shared_variance(left_out: Sequence[Sequence[float]]) -> Variance:
    """Return the mean covariance of two runs' values that their test rows in common make; never below 0.

    Args:
        left_out: [U, J], of two runs or more what the value is without each block of rows, the same blocks for all.

    Raises:
        ValueError: fewer than two runs, or blocks.
    """
    values = np.asarray(left_out, np.float64)
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"expected values [runs, blocks], at least two of either, not {list(values.shape)}")
    runs, blocks = values.shape
    away = values - values.mean(1, keepdims=True)
    of_pairs = (away.sum(0) ** 2).sum() - (away**2).sum()  # of all ordered pairs of two runs
    covariance = float(of_pairs) / (runs * (runs - 1)) * (blocks - 1) / blocks
    return Variance(max(0.0, covariance), blocks - 1)
