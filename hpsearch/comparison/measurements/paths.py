"""How steady a run was, and how direct its path: from losses on fixed rows after each update, and from the updates' lengths.

The loss of the batches themselves must not be used: at small batch sizes it varies because each is measured on other rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, nan

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Variability:
    """How a loss moved from update to update.

    `rising` is the share of updates that raised it, `deviation` the standard deviation of Δ log L, `total_variation` Σ|ΔL| divided by
    the fall L_0 - L_T: 1 where it only fell, infinite where it did not fall at all.
    """

    rising: float
    deviation: float
    total_variation: float


@dataclass(frozen=True, slots=True)
class RunPath:
    """How far a run went (`distance` from start to end), along which `length`, and `efficiency`, their ratio: 1 for a straight line."""

    distance: float
    length: float
    efficiency: float


def variability(losses: Sequence[float]) -> Variability:
    """Return the variability of losses on fixed rows: at the start, then after each update.

    The deviation is that of a sample, NaN for fewer than two updates or where a loss is not a positive number.

    Raises:
        ValueError: fewer than two losses.
    """
    values = np.asarray(losses, dtype=np.float64)  # [T + 1]
    if len(values) < 2:
        raise ValueError(f"{len(values)} losses: at least 2 expected, one before and one after an update")
    changes = np.diff(values)
    fall = values[0] - values[-1]
    total = float(np.abs(changes).sum() / fall) if fall > 0 else inf
    return Variability(float((changes > 0).mean()), _deviation(values), total)


def _deviation(losses: np.ndarray) -> float:
    if len(losses) <= 2 or not ((losses > 0) & np.isfinite(losses)).all():
        return nan
    return float(np.diff(np.log(losses)).std(ddof=1))


def path_efficiency(start: Tensor, end: Tensor, step_norms: Sequence[float]) -> RunPath:
    """Return the path from `start` [P] to `end` [P] by updates of these lengths; the efficiency is NaN where nothing moved.

    Keskar et al. 2016 (arXiv:1609.04836, §3) compare the distances that small and large batches travel.
    """
    distance = float(torch.linalg.vector_norm(end.double() - start.double()))
    length = float(np.sum(step_norms))
    return RunPath(distance, length, distance / length if length > 0 else nan)
