"""How steady and straight a path is, and the loss on planes and lines, beside closed forms and NumPy's decomposition."""

from math import inf, isnan, log, nan, sqrt

import numpy as np
import pytest
import torch
from torch import Tensor

from hpsearch.comparison.measurements import landscape
from hpsearch.comparison.measurements import state as states
from hpsearch.comparison.measurements.landscape import Plane
from hpsearch.comparison.measurements.stability import path_efficiency, sampled_variability, variability
from hpsearch.comparison.measurements.state import State, flatten, unflatten
from hpsearch.data import TASKS, Rows
from hpsearch.trial import Architecture
from tests.support.states import TASK_NAMES, network_of, small_state


def loss_of(state: State, rows: Rows, vector: Tensor) -> float:
    """The loss at other weights, by the network itself."""
    network = network_of(State(state.architecture, state.task, unflatten(vector, state.architecture)))
    return float(state.task.loss(network(rows.inputs), rows.targets).detach())


def test_a_falling_loss_is_steady() -> None:
    """A loss that falls by the same factor has no rising update, no deviation and the least total variation, 1."""
    found = variability([8.0, 4.0, 2.0, 1.0])
    assert (found.rising, found.total_variation) == (0.0, 1.0)
    assert found.deviation == pytest.approx(0, abs=1e-15)


def test_a_wandering_loss() -> None:
    """By hand: 4, 2, 3, 1 rises once in three updates, moves 5 to fall 3, and its logarithm by -log 2, log 1.5 and -log 3."""
    found = variability([4.0, 2.0, 3.0, 1.0])
    steps = [-log(2), log(1.5), -log(3)]
    mean = sum(steps) / 3
    assert found.rising == pytest.approx(1 / 3)
    assert found.total_variation == pytest.approx(5 / 3)
    assert found.deviation == pytest.approx(sqrt(sum((s - mean) ** 2 for s in steps) / 2))


def test_a_loss_that_did_not_fall() -> None:
    """Without a fall the total variation is infinite; a loss of 0, or one update, has no deviation of the logarithm."""
    assert variability([1.0, 2.0, 1.0]).total_variation == inf
    assert isnan(variability([1.0, 0.5, 0.0]).deviation)
    assert isnan(variability([1.0, 0.5]).deviation)
    with pytest.raises(ValueError, match="1 losses: at least 2"):
        variability([1.0])


def test_the_jump_is_the_greatest_rise_of_the_logarithm() -> None:
    """4, 2, 3, 1 rises once, by log 1.5; a loss that only falls has a jump of 0, one that reaches 0 none that is known."""
    assert variability([4.0, 2.0, 3.0, 1.0]).jump == pytest.approx(log(1.5))
    assert variability([4.0, 2.0, 1.0]).jump == 0
    assert isnan(variability([4.0, 2.0, 0.0]).jump)


def test_some_updates_stand_for_all() -> None:
    """Two of ten updates, which move the loss by 1 and 2, estimate a total of 15, here five times the fall; one of two rises."""
    found = sampled_variability([4.0, 2.0], [3.0, 4.0], updates=10, fall=3.0)
    assert found.total_variation == pytest.approx(5.0)
    assert found.rising == 0.5
    assert found.jump == pytest.approx(log(2))
    with pytest.raises(ValueError, match="2 losses before and 1 after"):
        sampled_variability([4.0, 2.0], [3.0], updates=10, fall=3.0)


def test_an_update_to_a_loss_that_is_not_finite_raises_it() -> None:
    """Of three updates the first falls and the second diverges: one rises, and neither total, deviation nor jump is known."""
    found = variability([2.0, 1.0, inf, nan])
    assert found.rising == pytest.approx(1 / 3)
    assert found.total_variation == inf
    assert isnan(found.deviation)
    assert isnan(found.jump)


def test_path_efficiency() -> None:
    """A straight path has efficiency 1, three sides of a square a third, and one that never moved none."""
    start = torch.zeros(2)
    end = torch.tensor([0.0, 1.0])
    assert path_efficiency(start, end, [0.25, 0.75]).efficiency == 1
    square = path_efficiency(start, end, [1.0, 1.0, 1.0])
    assert (square.distance, square.length) == (1.0, 3.0)
    assert square.efficiency == pytest.approx(1 / 3)
    assert isnan(path_efficiency(start, start, [0.0]).efficiency)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_the_plane_is_that_of_the_singular_values(
    dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Origin, axes, shares and coordinates equal those of NumPy's singular value decomposition of all points, signs aside."""
    monkeypatch.setattr(landscape, "COLUMNS", 7)
    generator = torch.Generator().manual_seed(2)
    paths = [torch.randn(n, 40, generator=generator, dtype=dtype).cumsum(0) + n for n in (9, 14, 3)]
    plane = landscape.principal_plane(paths)
    points = torch.cat(paths).double().numpy()
    centred = points - points.mean(0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    found = plane.axes.double().numpy()
    assert plane.axes.dtype == dtype
    np.testing.assert_allclose(plane.origin.double().numpy(), points.mean(0), atol=tolerance)
    np.testing.assert_allclose(plane.shares, sizes[:2] ** 2 / (sizes**2).sum(), rtol=tolerance)
    np.testing.assert_allclose(np.abs(found @ axes[:2].T), np.eye(2), atol=tolerance)
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=tolerance)
    coordinates = torch.cat(plane.coordinates).double().numpy()
    np.testing.assert_allclose(coordinates, centred @ found.T, atol=100 * tolerance)
    assert [len(c) for c in plane.coordinates] == [9, 14, 3]
    assert (coordinates[8] > coordinates[0]).all()  # the sign: the first path ends further out


def test_axes_stay_orthonormal_in_single_precision() -> None:
    """Where the second component is a thousand times shorter than the first, rounding does not tilt it towards the first."""
    generator = torch.Generator().manual_seed(0)
    long, short = torch.linalg.qr(torch.randn(3000, 2, generator=generator, dtype=torch.float64)).Q.T
    along, across = torch.randn(2, 30, 1, generator=generator, dtype=torch.float64)
    plane = landscape.principal_plane([(1000 * along * long + across * short).float()])
    torch.testing.assert_close(plane.axes @ plane.axes.T, torch.eye(2), rtol=0, atol=1e-6)
    assert abs(float(plane.axes[1].double() @ short)) == pytest.approx(1, abs=1e-3)


def test_a_straight_path_has_one_axis() -> None:
    """Points on a line fill one axis and leave the other 0; points that never moved leave both; one point lays no plane."""
    line = torch.arange(4.0)[:, None] * torch.tensor([[3.0, 4.0, 0.0]])
    plane = landscape.principal_plane([line])
    torch.testing.assert_close(plane.axes, torch.tensor([[0.6, 0.8, 0.0], [0.0, 0.0, 0.0]]))
    assert plane.shares == pytest.approx((1.0, 0.0), abs=1e-12)
    still = landscape.principal_plane([torch.ones(3, 5)])
    assert not still.axes.any()
    assert still.shares == (0.0, 0.0)
    with pytest.raises(ValueError, match="1 points: at least 2"):
        landscape.principal_plane([torch.ones(1, 5)])


@pytest.mark.parametrize("widths", [(), (6,), (6, 4)])
@pytest.mark.parametrize("task", TASK_NAMES)
def test_the_surface_is_the_loss(task: str, widths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where two axes hold the whole path, the surface at its coordinates is the network's own loss at its points."""
    monkeypatch.setattr(states, "CHUNK", 10)
    state, rows = small_state(task, widths=widths)
    centre = flatten(state.weights)
    generator = torch.Generator().manual_seed(6)
    directions = torch.randn(2, len(centre), generator=generator, dtype=torch.float64)
    path = centre + torch.randn(5, 2, generator=generator, dtype=torch.float64) @ directions
    plane = landscape.principal_plane([path])
    assert sum(plane.shares) == pytest.approx(1)
    x, y = plane.coordinates[0].T.tolist()
    surface = landscape.surface(state.architecture, state.task, plane, rows, x, y)
    expected = [loss_of(state, rows, point) for point in path]
    np.testing.assert_allclose(surface.diagonal().numpy(), expected, rtol=1e-10)
    assert surface[3, 1] == pytest.approx(
        loss_of(state, rows, plane.origin + x[1] * plane.axes[0] + y[3] * plane.axes[1])
    )


def test_a_barrier_in_closed_form() -> None:
    """Between v·tanh(w x) and its mirror image -v·tanh(-w x), the same function, the losses and the barrier are those of the formula."""
    architecture = Architecture(1, (1,), 1, "tanh")
    first = torch.tensor([1.5, 0.0, 2.0, 0.0], dtype=torch.float64)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    rows = Rows(x, 2 * torch.tanh(1.5 * x))
    found = landscape.barrier(architecture, TASKS["regression"], first, -first, rows, points=11)
    shrunk = [1 - 2 * alpha for alpha in found.alphas]
    expected = [float(((2 * torch.tanh(1.5 * x) - 2 * s * torch.tanh(1.5 * s * x)) ** 2).mean()) for s in shrunk]
    assert found.alphas == pytest.approx([i / 10 for i in range(11)])
    assert found.losses == pytest.approx(expected, abs=1e-12)
    assert found.height == pytest.approx(float((2 * torch.tanh(1.5 * x)).square().mean()))


def test_a_barrier_is_over_the_line_between_the_ends() -> None:
    """From a bad end to a good one the rise is measured over the straight line of losses, and a convex loss has no barrier."""
    architecture = Architecture(1, (1,), 1, "tanh")
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    rows = Rows(x, 2 * torch.tanh(1.5 * x))
    first, second = torch.tensor([[1.2, 0.1, 1.8, 0.3], [-1.0, 0.2, -1.5, 0.1]], dtype=torch.float64)
    found = landscape.barrier(architecture, TASKS["regression"], first, second, rows, points=5)
    line = [found.losses[0] + (found.losses[-1] - found.losses[0]) * i / 4 for i in range(5)]
    assert found.losses[-1] > found.losses[0] + 0.01 > 0.02
    assert found.height == pytest.approx(max(a - b for a, b in zip(found.losses, line, strict=True)))
    convex, rows = small_state("multiclass", widths=())
    weights = flatten(convex.weights)
    assert landscape.barrier(convex.architecture, convex.task, weights, 1 - 2 * weights, rows).height == 0


def test_a_plane_of_one_precision_and_rows_of_another() -> None:
    """A plane in float64 is drawn in float32 where the rows are."""
    state, rows = small_state("binary")
    origin = flatten(state.weights)
    axes = torch.eye(len(origin), dtype=torch.float64)[:2]
    plane = Plane(origin, axes, (0.5, 0.5), [])
    single = landscape.surface(state.architecture, state.task, plane, rows.to("cpu", torch.float32), [0.5], [1.0])
    assert single[0, 0] == pytest.approx(loss_of(state, rows, origin + 0.5 * axes[0] + axes[1]), rel=1e-5)
