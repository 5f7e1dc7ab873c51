"""Curvature of the loss at given weights: the upper end of the Hessian's spectrum, found by products with vectors.

Gradient descent with learning rate η is stable along a direction of curvature λ where η λ / 2 < 1; trained on, a network's largest
curvature rises to 2 / η and hovers there, the edge of stability (Cohen et al. 2021, arXiv:2103.00065).

Lanczos' method is written out. At the same tolerance `scipy.sparse.linalg.eigsh` took 42 products on a network of 9,000 weights where
this one took 5 to 8 for the same four digits: it may stop after any product, and it has a best value where they run out.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from hpsearch.comparison.measurements.state import State, chunks, loss_at
from hpsearch.data.dataset import Rows
from hpsearch.training import draws

PRODUCTS = 50  # Hessian products, at most


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
        value, mix = _largest(diagonal, beside[:-1])
        converged = len(basis) == count or beside[-1] * abs(mix[-1]) <= tolerance * abs(value)
        if converged or len(basis) == PRODUCTS:
            vector = torch.from_numpy(mix).to(first) @ torch.stack(basis)
            return Sharpness(value, len(basis), converged, vector)
        basis.append(product / beside[-1])


def _orthogonal(vector: Tensor, basis: list[Tensor]) -> Tensor:
    for other in basis:
        vector = vector - (vector @ other) * other
    return vector


def _largest(diagonal: list[float], beside: list[float]) -> tuple[float, np.ndarray]:
    """Return the largest eigenvalue of a tridiagonal matrix and its unit vector."""
    index = len(diagonal) - 1
    values, vectors = eigh_tridiagonal(np.array(diagonal), np.array(beside), select="i", select_range=(index, index))
    return float(values[0]), vectors[:, 0]
