"""The Hessian's products and ends, beside finite differences, torch's own Hessian and NumPy's eigenvalues."""

import numpy as np
import pytest
import torch
from torch import Tensor

from hpsearch.comparison.measurements import stability
from hpsearch.comparison.measurements import state as states
from hpsearch.comparison.measurements.noise import full_gradient
from hpsearch.comparison.measurements.state import State, unflatten
from hpsearch.data import TASKS, Rows
from hpsearch.trial import Architecture
from tests.support.states import TASK_NAMES, network_of, small_state


def whole_hessian(state: State, rows: Rows) -> Tensor:
    """The Hessian [P, P] by torch.autograd.functional over the network itself."""
    network = network_of(state)
    names = list(state.weights)

    def loss(*weights: Tensor) -> Tensor:
        outputs = torch.func.functional_call(network, dict(zip(names, weights, strict=True)), (rows.inputs,))
        return state.task.loss(outputs, rows.targets)

    weights = tuple(state.weights.values())
    blocks = torch.autograd.functional.hessian(loss, weights)
    sizes = [weight.numel() for weight in weights]
    return torch.cat(
        [
            torch.cat([block.reshape(n, m) for block, m in zip(line, sizes, strict=True)], 1)
            for line, n in zip(blocks, sizes, strict=True)
        ]
    )


@pytest.mark.parametrize("task", TASK_NAMES)
def test_products_with_the_hessian(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A product equals central differences of the gradient, and torch's whole Hessian times the vector, over several chunks."""
    monkeypatch.setattr(states, "CHUNK", 10)
    state, rows = small_state(task)
    vector = torch.randn(state.architecture.parameters, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    product = stability.hessian_product(state, rows, vector)
    centre = state.vector(rows)
    step = 1e-5
    ahead, behind = (
        full_gradient(State(state.architecture, state.task, unflatten(centre + s * vector, state.architecture)), rows)
        for s in (step, -step)
    )
    torch.testing.assert_close(product, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(product, whole_hessian(state, rows) @ vector)


@pytest.mark.parametrize("widths", [(), (6, 4)])
@pytest.mark.parametrize("task", TASK_NAMES)
def test_the_upper_end_of_the_spectrum(task: str, widths: tuple[int, ...]) -> None:
    """The sharpness is NumPy's largest eigenvalue of the whole Hessian, and its vector the eigenvector, of length 1."""
    state, rows = small_state(task, widths=widths)
    exact = np.linalg.eigvalsh(whole_hessian(state, rows).numpy())
    found = stability.sharpness(state, rows, tolerance=1e-6)
    assert found.converged
    assert found.value == pytest.approx(exact[-1], rel=1e-9)
    rest = stability.hessian_product(state, rows, found.vector) - found.value * found.vector
    assert float(torch.linalg.vector_norm(found.vector)) == pytest.approx(1)
    assert float(torch.linalg.vector_norm(rest)) <= 1e-6 * abs(found.value) + 1e-12


def test_the_default_tolerance_is_cheap_and_enough() -> None:
    """The default takes fewer products than there are weights, at most 50, and errs by less than its tolerance, whatever the seed."""
    state, rows = small_state("multiclass", widths=(8, 6), rows=60)
    exact = np.linalg.eigvalsh(whole_hessian(state, rows).numpy())[-1]
    for seed in range(5):
        found = stability.sharpness(state, rows, seed=seed)
        assert found.converged
        assert found.products <= 15 < state.architecture.parameters
        assert found.value == pytest.approx(exact, rel=1e-3)


def test_running_out_of_products_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the products run out, the best value so far comes with the word that it did not converge: a bound from inside."""
    state, rows = small_state("multiclass")
    exact = np.linalg.eigvalsh(whole_hessian(state, rows).numpy())[-1]
    monkeypatch.setattr(stability, "PRODUCTS", 3)
    found = stability.sharpness(state, rows, tolerance=1e-9)
    assert (found.products, found.converged) == (3, False)
    assert found.value < exact


def test_largest_means_algebraic() -> None:
    """Where the most negative curvature is the largest in size, the sharpness is still the positive one."""
    architecture = Architecture(1, (1,), 1, "silu")
    vector = torch.tensor([0.0, 0.0, 1.0, -20.0], dtype=torch.float64)
    state = State(architecture, TASKS["regression"], unflatten(vector, architecture))
    rows = Rows(torch.ones(1, 1).double(), torch.zeros(1, 1).double())
    exact = np.linalg.eigvalsh(whole_hessian(state, rows).numpy())
    assert abs(exact[0]) > exact[-1] > 0
    assert stability.sharpness(state, rows).value == pytest.approx(exact[-1], rel=1e-4)


def test_a_dead_network_is_flat() -> None:
    """A network that no row reaches has curvature in its last bias alone, whose second derivative of a squared error is 2."""
    architecture = Architecture(1, (1,), 1)
    state = State(architecture, TASKS["regression"], unflatten(torch.tensor([0.0, -1.0, 1.0, 0.0]), architecture))
    found = stability.sharpness(state, Rows(torch.ones(4, 1), torch.ones(4, 1)))
    assert found.value == pytest.approx(2)
    assert found.converged


def test_the_edge_of_stability() -> None:
    """On a quadratic, gradient descent shrinks the steepest direction where the edge ratio is below 1, and blows it up above."""
    state, rows = small_state("regression", widths=())
    steep = stability.sharpness(state, rows, tolerance=1e-8)
    best = torch.linalg.lstsq(torch.nn.functional.pad(rows.inputs, (0, 1), value=1.0), rows.targets).solution  # [6, 2]
    minimum = torch.cat([best[:5].T.reshape(-1), best[5]])
    for ratio in (0.95, 1.05):
        away = 1e-3 * steep.vector
        learning_rate = ratio * 2 / steep.value
        for _ in range(10):
            here = State(state.architecture, state.task, unflatten(minimum + away, state.architecture))
            away = away - learning_rate * full_gradient(here, rows)
        assert float(torch.linalg.vector_norm(away)) / 1e-3 == pytest.approx(abs(1 - 2 * ratio) ** 10, rel=1e-3)
