"""The loss along lines and on planes through weights: the plane of a run's own path, the barrier between two networks.

A plane is that of the two principal components of the paths: random planes show almost none of the motion, these 40 to 90 % of it
(Li et al. 2018, arXiv:1712.09913, §7), and the shares belong on the axes. A dent in a slice proves that the loss is not convex; a
slice without one proves nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hpsearch.comparison.measurements.state import chunks, forward, loss_at, mean_loss
from hpsearch.data.dataset import Rows
from hpsearch.data.tasks import Task
from hpsearch.training.layers import ACTIVATIONS
from hpsearch.trial import Architecture

COLUMNS = 65_536  # of the paths, taken to float64 at a time


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """A plane through weights: `origin` [P], orthonormal `axes` [2, P], the `shares` of the paths' variance along each.

    `coordinates` [T_i, 2] are the paths on the plane. Where all points lie on one line, the second axis is 0, and both where nothing moved.
    """

    origin: Tensor
    axes: Tensor
    shares: tuple[float, float]
    coordinates: list[Tensor]

    def place(self, points: Tensor) -> Tensor:
        """Return where points [N, P] lie on the plane, seen at a right angle, [N, 2] in float64."""
        found: Tensor = (points - self.origin).double() @ self.axes.double().T
        return found


@dataclass(frozen=True, slots=True)
class Barrier:
    """`height` is what the `losses` at `alphas` between two networks exceed the line between their ends by, at most; never below 0."""

    height: float
    alphas: tuple[float, ...]
    losses: tuple[float, ...]


def principal_plane(trajectories: Sequence[Tensor]) -> Plane:
    """Return the plane of the two principal components of all points of the paths [T_i, P] together, each point counting the same.

    From the products of points with each other, [T, T], never [P, P]. Signs are such that the first path ends further out on each axis
    than it began.

    Raises:
        ValueError: fewer than two points.
    """
    points = torch.cat(list(trajectories))  # [T, P]
    if len(points) < 2:
        raise ValueError(f"{len(points)} points: at least 2 expected to lay a plane through")
    origin = points.mean(0)
    centred = points - origin
    gram = _gram(centred)
    values, vectors = torch.linalg.eigh(gram)
    variances = values.flip(0)[:2].clamp(min=0)
    axes = _axes(centred, vectors.flip(1)[:, :2])
    coordinates = centred @ axes.T  # [T, 2]
    signs = torch.where(coordinates[len(trajectories[0]) - 1] < coordinates[0], -1, 1).to(axes)  # [2]
    parts = torch.tensor_split(coordinates * signs, np.cumsum([len(t) for t in trajectories])[:-1].tolist())
    first, second = (variances / gram.trace().clamp(min=torch.finfo(gram.dtype).tiny)).tolist()
    return Plane(origin, axes * signs[:, None], (first, second), list(parts))


def _gram(points: Tensor) -> Tensor:
    """Return the products of points [T, P] with each other, [T, T], summed in float64 over a part of the columns at a time."""
    gram = points.new_zeros(len(points), len(points), dtype=torch.float64)
    for start in range(0, points.shape[1], COLUMNS):
        part = points[:, start : start + COLUMNS].double()
        gram += part @ part.T
    return gram


def _axes(centred: Tensor, mixes: Tensor) -> Tensor:
    """Return orthonormal axes [2, P] as mixtures [T, 2] of the centred points [T, P]; 0 for an axis along which nothing varies."""
    first, second = mixes.to(centred).T @ centred  # [P], [P]
    rounding = len(centred) * torch.finfo(centred.dtype).eps * float(torch.linalg.vector_norm(first))
    first = _unit(first, 0.0)
    return torch.stack([first, _unit(second - (second @ first) * first, rounding)])


def _unit(vector: Tensor, rounding: float) -> Tensor:
    size = torch.linalg.vector_norm(vector)
    if size <= rounding:
        return torch.zeros_like(vector)
    unit: Tensor = vector / size
    return unit


def surface(
    architecture: Architecture, task: Task, plane: Plane, rows: Rows, x: Sequence[float], y: Sequence[float]
) -> Tensor:
    """Return the loss over the rows at `origin + x·axes[0] + y·axes[1]`, [len(y), len(x)] in float64.

    A layer's sums are linear in its weights, so those of the first layer, most of the work where inputs are many, are combined from
    the sums of origin and axes: 51 x 51 points of a network 784-128-128-10 on 5,000 rows take a third of the time.
    """
    corners = torch.cat([plane.origin[None], plane.axes]).to(rows.inputs)  # [3, P]
    losses = torch.zeros(len(y), len(x), dtype=torch.float64)
    for chunk, share in chunks(rows):
        losses += share * torch.tensor(_chunk_surface(architecture, task, corners, chunk, x, y), dtype=torch.float64)
    return losses


def _chunk_surface(
    architecture: Architecture, task: Task, corners: Tensor, rows: Rows, x: Sequence[float], y: Sequence[float]
) -> list[list[float]]:
    begin = Architecture(architecture.inputs, (), architecture.sizes[1])  # only the first layer
    origin, first, second = (forward(begin, corner[: begin.parameters], rows.inputs)[1][0] for corner in corners)
    later = corners[:, begin.parameters :]
    losses = []
    with torch.no_grad():
        for b in y:
            sums = origin + b * second  # [N, H_1]
            weights = later[0] + b * later[2]  # [later P]
            losses.append(
                [_rest(architecture, task, weights + a * later[1], sums + a * first, rows.targets) for a in x]
            )
    return losses


def _rest(architecture: Architecture, task: Task, vector: Tensor, sums: Tensor, targets: Tensor) -> float:
    """Return the loss of a network from its first layer's sums [N, H_1] on; `vector` are the weights of the later layers."""
    if not architecture.widths:
        return float(task.loss(sums, targets))
    rest = replace(architecture, inputs=architecture.widths[0], widths=architecture.widths[1:])
    return float(loss_at(rest, task, vector, Rows(ACTIVATIONS[architecture.activation](sums), targets)))


def barrier(
    architecture: Architecture, task: Task, first: Tensor, second: Tensor, rows: Rows, points: int = 25
) -> Barrier:
    """Return the barrier on the straight line between two networks' weights [P]: max of L((1-α)a + αb) - ((1-α)L(a) + αL(b)).

    Goodfellow et al. 2015 (arXiv:1412.6544). Near 0, the two lie in one basin; a barrier on the line does not exclude a path around it.
    """
    alphas = np.linspace(0, 1, points)
    line = ((1 - a) * first + a * second for a in alphas.tolist())
    losses = [mean_loss(architecture, task, point.to(rows.inputs), rows) for point in line]
    between = (1 - alphas) * losses[0] + alphas * losses[-1]
    height = max(0.0, float((np.array(losses) - between).max()))
    return Barrier(height, tuple(alphas.tolist()), tuple(losses))
