"""The problem of two weights and the paths down it, beside torch, SciPy, brute force and the closed form of a quadratic."""

import json
from dataclasses import asdict, replace
from functools import cache
from itertools import count, pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from torch import Tensor

from hpsearch.comparison.measurements import descent
from hpsearch.comparison.measurements.descent import TunedPath, descend, starting_point, tuned_paths
from hpsearch.comparison.measurements.textbook import (
    Problem,
    gradient,
    hessian,
    loss,
    loss_grid,
    minimum,
    two_weight_problem,
)
from hpsearch.data import Data, Rows, from_arrays
from hpsearch.data.options import TaskOptions
from hpsearch.errors import UserError
from hpsearch.training.reference import Batches
from tests.support.small import small_data, small_spec
from tests.support.states import TASK_NAMES


@cache
def correlated(task: str, rows: int = 200) -> Data:
    """Six correlated inputs and a noisy target that depends on three of them."""
    generator = np.random.default_rng(1)
    inputs = generator.normal(size=(rows, 6)) @ generator.normal(size=(6, 6))
    score = inputs[:, 0] - 0.8 * inputs[:, 3] + 0.3 * inputs[:, 5] + generator.normal(size=rows)
    cuts = np.quantile(score, {"binary": [0.7], "multiclass": [0.25, 0.8], "regression": []}[task])
    targets = score if task == "regression" else np.digitize(score, cuts)
    return from_arrays(inputs, targets, name=task, task=TaskOptions(task=task)).to("cpu", torch.float64)


def torch_loss(problem: Problem, weights: Tensor) -> Tensor:
    """The loss at two weights, by torch's own functions."""
    sums = torch.from_numpy(problem.inputs) @ weights + problem.offset
    targets = torch.from_numpy(problem.targets)
    if not problem.logistic:
        return F.mse_loss(sums, targets)
    return F.binary_cross_entropy_with_logits(sums, targets) + problem.penalty / 2 * weights.square().sum()


def explained(inputs: np.ndarray, targets: np.ndarray) -> float:
    """The sum of squares that a least-squares fit with an intercept leaves."""
    design = np.column_stack([np.ones(len(inputs)), inputs])
    return float(np.square(targets - design @ np.linalg.lstsq(design, targets, rcond=None)[0]).sum())


@pytest.mark.parametrize("task", TASK_NAMES)
def test_the_two_columns_explain_best(task: str) -> None:
    """The first column leaves the least of the target in a fit by itself, the second the least in a fit beside the first."""
    data = correlated(task)
    inputs = data.training.inputs.numpy()
    targets = data.training.targets.numpy().reshape(len(data.training))
    if task == "multiclass":
        targets = (targets == 1).astype(float)  # 55 % of the rows
    first = min(range(6), key=lambda column: explained(inputs[:, [column]], targets))
    second = min(set(range(6)) - {first}, key=lambda column: explained(inputs[:, [first, column]], targets))
    problem = two_weight_problem(data)
    assert problem.columns == (first, second)
    np.testing.assert_allclose(problem.inputs.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(problem.inputs.std(0), 1)
    if task == "regression":
        np.testing.assert_allclose(problem.targets, (targets - targets.mean()) / targets.std())
    else:
        np.testing.assert_array_equal(problem.targets, targets)
        share = targets.mean()
        assert problem.offset == pytest.approx(np.log(share / (1 - share)))


def test_constant_and_repeated_columns_are_never_chosen() -> None:
    """Pixels that are constant, or a copy of the first choice, are passed over; where no second one is left, that is said."""
    generator = np.random.default_rng(0)
    score, other = generator.normal(size=(2, 80))
    images = np.stack([np.full(80, 3.0), score, 2 * score + 1, other], axis=1).reshape(80, 2, 2)
    targets = score + 0.1 * other + 0.1 * generator.normal(size=80)
    first, second = two_weight_problem(from_arrays(images, targets, task=TaskOptions(task="regression"))).columns
    assert first in (1, 2)
    assert second == 3
    images[:, 1, 1] = 5.0
    with pytest.raises(UserError, match="two inputs that vary independently"):
        two_weight_problem(from_arrays(images, targets, task=TaskOptions(task="regression")))


def test_many_rows_are_thinned_evenly() -> None:
    """At most so many rows are taken, spread evenly over the training rows, first and last included."""
    data = correlated("regression")
    problem = two_weight_problem(data, most=20)
    assert len(problem) == 20
    column = data.training.inputs[:, problem.columns[0]].numpy()
    chosen = column[[int(i * (len(column) - 1) / 19) for i in range(20)]]
    np.testing.assert_allclose(problem.inputs[:, 0], (chosen - chosen.mean()) / chosen.std())


@pytest.mark.parametrize("task", TASK_NAMES)
def test_loss_and_derivatives(task: str) -> None:
    """Loss, gradient, Hessian and grid equal torch's, point by point."""
    problem = two_weight_problem(correlated(task))
    points = np.random.default_rng(0).normal(size=(3, 2))
    for point in points:
        weights = torch.from_numpy(point).requires_grad_()
        value = torch_loss(problem, weights)
        assert float(loss(problem, point)) == pytest.approx(float(value.detach()))
        np.testing.assert_allclose(gradient(problem, point[None])[0], torch.autograd.grad(value, weights)[0].numpy())
        exact = torch.autograd.functional.hessian(lambda w: torch_loss(problem, w), weights)
        np.testing.assert_allclose(hessian(problem, point), exact.numpy(), rtol=1e-6)
    x = [-1.0, 0.5, 2.0]
    y = [0.0, 3.0]
    expected = [[float(torch_loss(problem, torch.tensor([a, b], dtype=torch.float64))) for a in x] for b in y]
    np.testing.assert_allclose(loss_grid(problem, x, y), expected)


@pytest.mark.parametrize("task", TASK_NAMES)
def test_the_minimum(task: str) -> None:
    """The minimum is where SciPy finds it, with a gradient below 1e-10 by torch, and for regression that of least squares."""
    problem = two_weight_problem(correlated(task))
    found = minimum(problem)
    scipy = minimize(lambda w: float(torch_loss(problem, torch.from_numpy(w))), np.ones(2), tol=1e-12)
    np.testing.assert_allclose(found, scipy.x, atol=1e-5)
    weights = torch.from_numpy(found).requires_grad_()
    assert float(torch.autograd.grad(torch_loss(problem, weights), weights)[0].norm()) < 2e-10
    if task == "regression":
        np.testing.assert_allclose(found, np.linalg.lstsq(problem.inputs, problem.targets, rcond=None)[0])


def test_separable_classes_have_a_minimum() -> None:
    """Classes that one column separates, whose plain logistic loss falls for ever, have a finite minimum by the penalty."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(100, 3))
    inputs[:, 0] += 5 * np.sign(inputs[:, 0])
    problem = two_weight_problem(from_arrays(inputs, inputs[:, 0] > 0, task=TaskOptions(task="binary")))
    found = minimum(problem)
    assert float(np.linalg.norm(gradient(problem, found[None]))) < 1e-10
    unpunished = replace(problem, penalty=0.0)
    assert loss(unpunished, 3 * found) < loss(unpunished, 2 * found) < loss(unpunished, found)


def test_the_full_batch_is_gradient_descent() -> None:
    """On a quadratic the path of the full batch is w* + (I - ηH)ᵗ(w_0 - w*), and one rate above 2 / λ diverges without a warning."""
    problem = two_weight_problem(correlated("regression"))
    best = minimum(problem)
    curvature = hessian(problem, np.zeros(2))
    start = np.array([2.0, -1.0])
    path = descend(problem, len(problem), 0.1, 30, start, seed=0)
    assert path.shape == (31, 2)
    for update in (0, 1, 7, 30):
        power = np.linalg.matrix_power(np.eye(2) - 0.1 * curvature, update)
        np.testing.assert_allclose(path[update], best + power @ (start - best))
    assert not np.isfinite(descend(problem, len(problem), 1e3, 500, start, seed=0)[-1]).any()


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("task", TASK_NAMES)
def test_batches_are_those_of_training(task: str, batch_size: int) -> None:
    """A path equals torch's updates on the batches that training has for this seed, over several passes."""
    problem = two_weight_problem(small_data(task))
    rows = Rows(torch.from_numpy(problem.inputs), torch.from_numpy(problem.targets))
    batches = Batches(rows, small_spec(small_data(task), order_seed=9, batch_size=batch_size))
    weights = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    expected = []
    for update in range(100):
        inputs, targets = batches[update]
        batch = replace(problem, inputs=inputs.numpy(), targets=targets.numpy())
        (slope,) = torch.autograd.grad(torch_loss(batch, weights), weights)
        weights = (weights - 0.05 * slope).detach().requires_grad_()
        expected.append(weights.detach().numpy())
    path = descend(problem, batch_size, 0.05, 100, np.array([1.0, -2.0]), seed=9)
    np.testing.assert_allclose(path[1:], expected)


@pytest.mark.parametrize("task", TASK_NAMES)
def test_the_start_is_hard_in_both_directions(task: str) -> None:
    """The start is 3 from the minimum, and by the Hessian there half of its loss is in the steep direction, half in the flat one."""
    problem = two_weight_problem(correlated(task))
    best = minimum(problem)
    away = starting_point(problem) - best
    assert np.linalg.norm(away) == pytest.approx(3)
    values, vectors = np.linalg.eigh(hessian(problem, best))
    flat, steep = values * (vectors.T @ away) ** 2
    assert flat == pytest.approx(steep)


def test_gradient_descent_is_tuned_by_the_closed_form() -> None:
    """The updates that each rate needs follow from the eigenvalues; the rate that needs fewest is found, with its updates."""
    problem = two_weight_problem(correlated("regression"))
    (found,) = tuned_paths(problem, [len(problem)], seed=0)
    best = minimum(problem)
    values, vectors = np.linalg.eigh(hessian(problem, best))
    shares = (vectors.T @ (starting_point(problem) - best)) ** 2 * values
    shares = shares / shares.sum()

    def needed(rate: float) -> int:
        factors = (1 - rate * values) ** 2
        if factors.max() >= 1:
            return 10**6
        return next(update for update in count() if (shares * factors**update).sum() <= descent.NEAR)

    rate = min(descent.RATES, key=needed)
    assert found.learning_rate == rate
    assert found.updates_to_near == needed(rate)
    assert found.examples_to_near == needed(rate) * len(problem)
    assert not found.edge


def arrival(problem: Problem, found: TunedPath, rate: float) -> float:
    """The first kept update from which the loss stays near the minimum, each looked at by torch."""
    path = descend(problem, found.batch_size, rate, found.updates[-1], starting_point(problem), seed=4)
    losses = [
        float(torch_loss(problem, torch.from_numpy(point))) if np.isfinite(point).all() else np.inf
        for point in path[list(found.updates)]
    ]
    least = float(torch_loss(problem, torch.from_numpy(minimum(problem))))
    near = least + 0.05 * (losses[0] - least)
    late = [update for update, value in zip(found.updates, losses, strict=True) if not value <= near]
    return next((update for update in found.updates if update > late[-1]), np.inf)


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_no_other_rate_is_faster(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch size's path is that of its rate, and no rate of the grid, run by itself, comes near the minimum earlier."""
    monkeypatch.setattr(descent, "RATES", tuple(2.0**power for power in range(-6, 4)))
    monkeypatch.setattr(descent, "MOST", 600)
    monkeypatch.setattr(descent, "POINTS", 80)
    problem = two_weight_problem(correlated(task))
    for found in tuned_paths(problem, [1, 16], seed=4):
        earliest = [arrival(problem, found, rate) for rate in descent.RATES]
        assert found.updates_to_near == min(earliest)
        assert earliest[descent.RATES.index(found.learning_rate)] == min(earliest)
        path = descend(
            problem, found.batch_size, found.learning_rate, found.updates[-1], np.array(found.path[0]), seed=4
        )
        np.testing.assert_allclose(found.path, path[list(found.updates)])
        np.testing.assert_allclose(found.losses, loss(problem, np.array(found.path)))
        assert len(found.path) <= 81
        assert all(a < b for a, b in pairwise(found.updates))
        json.dumps(asdict(found), allow_nan=False)


def test_a_goal_out_of_reach_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every rate is too small to arrive, the best of them is shown as an edge of the grid, without a number of updates."""
    monkeypatch.setattr(descent, "RATES", (1e-7, 1e-6))
    problem = two_weight_problem(small_data("regression"))
    (found,) = tuned_paths(problem, [len(problem)], seed=0)
    assert (found.learning_rate, found.updates_to_near, found.examples_to_near, found.edge) == (1e-6, None, None, True)


@pytest.mark.parametrize("size", [0, 1000])
def test_an_impossible_batch_is_refused(size: int) -> None:
    """A batch size that the rows cannot fill is refused before anything is computed."""
    problem = two_weight_problem(small_data("regression"))
    with pytest.raises(ValueError, match=f"batch size {size}: 1 to {len(problem)} expected"):
        tuned_paths(problem, [1, size], seed=0)
