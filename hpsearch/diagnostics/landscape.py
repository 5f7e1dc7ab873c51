"""The loss along lines and on planes through weights: the plane of a run's own path, the barrier between two networks, a profile.

A plane is that of the two principal components of the paths: random planes show almost none of the motion, these 40 to 90 % of it
(Li et al. 2018, arXiv:1712.09913, §7), and the shares belong on the axes. A dent in a slice proves that the loss is not convex; a
slice without one proves nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hpsearch.data.dataset import Rows
from hpsearch.data.tasks import Task
from hpsearch.diagnostics.state import flatten, mean_loss
from hpsearch.training import draws
from hpsearch.trial import Architecture

COLUMNS = 65_536  # of the paths, taken to float64 at a time


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """A plane through weights: `origin` [P], orthonormal `axes` [2, P], the `shares` of the paths' variance along each.

    `coordinates` [T_i, 2] are the paths on the plane. Where all points lie on one line, the second axis is 0.
    """

    origin: Tensor
    axes: Tensor
    shares: tuple[float, float]
    coordinates: list[Tensor]


@dataclass(frozen=True, slots=True)
class Barrier:
    """`height` is what the `losses` at `alphas` between two networks exceed the line between their ends by, at most; never below 0."""

    height: float
    alphas: tuple[float, ...]
    losses: tuple[float, ...]


def principal_plane(trajectories: Sequence[Tensor]) -> Plane:
    """Return the plane of the two principal components of all points of the paths [T_i, P] together, each point counting the same.

    From the products of points with each other, [T, T], never [P, P]. Signs are such that the coordinate furthest out on each axis is
    positive.
    """
    points = torch.cat(list(trajectories))  # [T, P]
    origin = points.mean(0)
    centred = points - origin
    gram = sum(part.double() @ part.double().T for part in centred.split(COLUMNS, dim=1))  # [T, T]
    assert isinstance(gram, Tensor)
    values, vectors = torch.linalg.eigh(gram)
    variances = values.flip(0)[:2].clamp(min=0)
    axes = _axes(centred, vectors.flip(1)[:, :2])
    coordinates = centred @ axes.T  # [T, 2]
    furthest = coordinates.gather(0, coordinates.abs().argmax(0, keepdim=True))[0]  # [2]
    signs = torch.where(furthest < 0, -1, 1).to(axes)
    parts = (coordinates * signs).split([len(t) for t in trajectories])
    first, second = (variances / gram.trace()).tolist()
    return Plane(origin, axes * signs[:, None], (first, second), list(parts))


def _axes(centred: Tensor, mixes: Tensor) -> Tensor:
    """Return orthonormal axes [2, P] as mixtures [T, 2] of the centred points [T, P]; 0 for an axis along which nothing varies."""
    first, second = mixes.to(centred).T @ centred  # [P], [P]
    size = torch.linalg.vector_norm(first)
    first = first / size
    second = second - (second @ first) * first
    rest = torch.linalg.vector_norm(second)
    rounding = len(centred) * torch.finfo(centred.dtype).eps
    second = second / rest if rest > rounding * size else torch.zeros_like(second)
    return torch.stack([first, second])


def surface(
    architecture: Architecture, task: Task, plane: Plane, rows: Rows, x: Sequence[float], y: Sequence[float]
) -> Tensor:
    """Return the loss over the rows at `origin + x·axes[0] + y·axes[1]`, [len(y), len(x)] in float64."""
    points = [[plane.origin + a * plane.axes[0] + b * plane.axes[1] for a in x] for b in y]
    return torch.tensor([_losses(architecture, task, line, rows) for line in points], dtype=torch.float64)


def _losses(architecture: Architecture, task: Task, points: Sequence[Tensor], rows: Rows) -> list[float]:
    return [mean_loss(architecture, task, point.to(rows.inputs), rows) for point in points]


def barrier(
    architecture: Architecture, task: Task, first: Tensor, second: Tensor, rows: Rows, points: int = 25
) -> Barrier:
    """Return the barrier on the straight line between two networks' weights [P]: max of L((1-α)a + αb) - ((1-α)L(a) + αL(b)).

    Goodfellow et al. 2015 (arXiv:1412.6544). Near 0, the two lie in one basin; a barrier on the line does not exclude a way round it.
    """
    alphas = np.linspace(0, 1, points)
    losses = _losses(architecture, task, [(1 - alpha) * first + alpha * second for alpha in alphas.tolist()], rows)
    between = (1 - alphas) * losses[0] + alphas * losses[-1]
    height = max(0.0, float((np.array(losses) - between).max()))
    return Barrier(height, tuple(alphas.tolist()), tuple(losses))


def filter_normalised_direction(weights: Mapping[str, Tensor], seed: int) -> Tensor:
    """Return a random direction [P] in which each neuron's weights have the norm that they have in the network, biases 0.

    Li et al. 2018, §4: otherwise a network with larger weights would look flatter, though rectifiers make it the same function.
    """
    generator = draws.generator("direction", seed)
    return flatten({name: _neurons(weight, generator) for name, weight in weights.items()})


def _neurons(weight: Tensor, generator: torch.Generator) -> Tensor:
    if weight.ndim == 1:  # biases
        return torch.zeros_like(weight)
    random = torch.randn(weight.shape, generator=generator, dtype=torch.float64).to(weight)  # [H, inputs]
    size = torch.linalg.vector_norm(weight, dim=1, keepdim=True)
    return random * size / torch.linalg.vector_norm(random, dim=1, keepdim=True)


def profile(
    architecture: Architecture, task: Task, vector: Tensor, direction: Tensor, rows: Rows, steps: Sequence[float]
) -> Tensor:
    """Return the loss over the rows at `vector + step·direction` for each step, [len(steps)] in float64."""
    points = [vector + step * direction for step in steps]
    return torch.tensor(_losses(architecture, task, points, rows), dtype=torch.float64)
