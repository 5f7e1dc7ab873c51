"""The Pareto front: results that cannot be improved in one objective without getting worse in another."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def on_front(values: npt.ArrayLike, maximize: Sequence[bool]) -> npt.NDArray[np.bool_]:
    """Return which rows of values [N, K] no other row dominates; `maximize` [K] says where higher is better.

    A row dominates another if it is at least as good in every objective and better in one (Pareto 1906); equal rows are on it together.
    In lexicographic order a row can only be dominated by one before it, so each is compared with the front so far.
    """
    costs = np.where(maximize, -1.0, 1.0) * np.asarray(values, dtype=np.float64).reshape(-1, len(maximize))  # [N, K]
    found = np.zeros(len(costs), dtype=bool)
    front = np.empty_like(costs)
    size = 0
    for row in np.lexsort(costs.T[::-1]):
        ahead = front[:size]
        if not (np.all(ahead <= costs[row], axis=1) & np.any(ahead < costs[row], axis=1)).any():
            front[size] = costs[row]
            found[row] = True
            size += 1
    return found
