"""How steady a run was, how direct its path, and how sharp the loss is where it is: stability, as the loss and its curvature show it.

The loss of the batches themselves must not be used for steadiness: at small batch sizes it varies because each is measured on other rows.
Gradient descent with learning rate η is stable along a direction of curvature λ where η λ / 2 < 1; trained on, a network's largest
curvature rises to 2 / η and hovers there, the edge of stability (Cohen et al. 2021, arXiv:2103.00065).

Lanczos' method is written out. At the same tolerance `scipy.sparse.linalg.eigsh` took 42 products on a network of 9,000 weights where
this one took 5 to 8 for the same four digits: it may stop after any product, and it has a best value where they run out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, nan

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from hpsearch.comparison.measurements.state import State, chunks, loss_at
from hpsearch.data.dataset import Rows
from hpsearch.training import draws

PRODUCTS = 50  # Hessian products, at most


# ---- variability and path


@dataclass(frozen=True, slots=True)
class Variability:
    """How a loss moved from update to update.

    `rising` is the share of updates that raised it, `deviation` the standard deviation of Δ log L, `total_variation` Σ|ΔL| divided by
    the fall L_0 - L_T: 1 where it only fell, infinite where it did not fall at all. `jump` is the greatest rise of log L in one update,
    0 where it never rose.
    """

    rising: float
    deviation: float
    total_variation: float
    jump: float


@dataclass(frozen=True, slots=True)
class RunPath:
    """How far a run went (`distance` from start to end), along which `length`, and `efficiency`, their ratio: 1 for a straight line."""

    distance: float
    length: float
    efficiency: float


def variability(losses: Sequence[float]) -> Variability:
    """Return the variability of losses on fixed rows: at the start, then after each update (see `sampled_variability`).

    Raises:
        ValueError: fewer than two losses.
    """
    if len(losses) < 2:
        raise ValueError(f"{len(losses)} losses: at least 2 expected, one before and one after an update")
    return sampled_variability(losses[:-1], losses[1:], len(losses) - 1, losses[0] - losses[-1])


def sampled_variability(before: Sequence[float], after: Sequence[float], updates: int, fall: float) -> Variability:
    """Return the variability from the losses on fixed rows before and after some of so many updates, evenly spread over them.

    `fall` is that of all updates. Their total variation is estimated as their number times the mean |ΔL| of those given. The deviation is
    that of a sample, NaN for fewer than two updates; it and the jump are NaN where a loss is not a positive number. An update to a loss
    that is not finite raises it.

    Raises:
        ValueError: no update, or not as many losses after updates as before.
    """
    if not len(before) or len(before) != len(after):
        raise ValueError(f"{len(before)} losses before and {len(after)} after updates: as many expected, at least one")
    losses = np.array([before, after], dtype=np.float64)  # [2, N]
    losses[~np.isfinite(losses)] = inf
    old, new = losses
    finite = bool(np.isfinite(losses).all())
    total = inf
    deviation = nan
    jump = nan
    if finite and fall > 0:
        total = updates * float(np.abs(new - old).mean()) / fall
    if finite and (losses > 0).all():
        changes = np.log(new / old)
        jump = max(0.0, float(changes.max()))
        deviation = float(changes.std(ddof=1)) if len(changes) > 1 else nan
    return Variability(float((new > old).mean()), deviation, total, jump)


def path_efficiency(start: Tensor, end: Tensor, step_norms: Sequence[float]) -> RunPath:
    """Return the path from `start` [P] to `end` [P] by updates of these lengths; the efficiency is NaN where nothing moved.

    Keskar et al. 2016 (arXiv:1609.04836, §3) compare the distances that small and large batches travel.
    """
    distance = float(torch.linalg.vector_norm(end.double() - start.double()))
    length = float(np.sum(step_norms))
    return RunPath(distance, length, distance / length if length > 0 else nan)


# ---- sharpness


@dataclass(frozen=True, slots=True, eq=False)
class Sharpness:
    """The largest eigenvalue of the Hessian, its unit `vector` [P], and the `products` with the Hessian that it took.

    Where it did not converge, the true value lies further out.
    """

    value: float
    products: int
    converged: bool
    vector: Tensor


def hessian_product(state: State, rows: Rows, vector: Tensor) -> Tensor:
    """Return the Hessian of the mean loss over the rows times `vector` [P], by a gradient of a gradient (Pearlmutter 1994)."""
    weights = state.vector(rows).requires_grad_()
    total = torch.zeros_like(weights)
    for chunk, share in chunks(rows):
        loss = loss_at(state.architecture, state.task, weights, chunk)
        (gradient,) = torch.autograd.grad(loss, weights, create_graph=True)
        total += share * torch.autograd.grad(gradient, weights, vector.to(weights))[0]
    return total.detach()


def sharpness(state: State, rows: Rows, tolerance: float = 1e-2, seed: int = 0) -> Sharpness:
    """Return the largest eigenvalue (algebraic) of the Hessian of the mean loss over the rows.

    It has converged when ‖Hv - λv‖ ≤ tolerance · |λ|, which bounds λ's relative distance to the spectrum; its error is of the order of
    the tolerance squared. The seed draws the first vector. By Lanczos' method, each new vector made orthogonal to all before, twice.
    """
    count = state.architecture.parameters
    first = torch.randn(count, generator=draws.generator("lanczos", seed), dtype=torch.float64).to(rows.inputs)
    basis = [first / torch.linalg.vector_norm(first)]
    diagonal: list[float] = []
    beside: list[float] = []
    while True:
        product = hessian_product(state, rows, basis[-1])  # [P]
        diagonal.append(float(product @ basis[-1]))
        product = _orthogonal(_orthogonal(product, basis), basis)
        beside.append(float(torch.linalg.vector_norm(product)))
        last = len(diagonal) - 1
        spectrum = eigh_tridiagonal(np.array(diagonal), np.array(beside[:-1]), select="i", select_range=(last, last))
        value = float(spectrum[0][0])
        mix = spectrum[1][:, 0]
        converged = len(basis) == count or beside[-1] * abs(mix[-1]) <= tolerance * abs(value)
        if converged or len(basis) == PRODUCTS:
            vector = torch.from_numpy(mix).to(first) @ torch.stack(basis)
            return Sharpness(value, len(basis), converged, vector)
        basis.append(product / beside[-1])


def _orthogonal(vector: Tensor, basis: list[Tensor]) -> Tensor:
    for other in basis:
        vector = vector - (vector @ other) * other
    return vector
