"""Gradients and their noise, beside torch's own per-example gradients and beside all batches of a tiny data set, one by one."""

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from hpsearch.comparison.measurements import noise
from hpsearch.comparison.measurements import state as states
from hpsearch.comparison.measurements.noise import (
    each_batch,
    each_batch_gradient,
    example_squared_norms,
    full_gradient,
)
from hpsearch.comparison.measurements.state import State, flatten, forward, mean_loss, unflatten
from hpsearch.data import TASKS, Rows
from hpsearch.training.layers import ACTIVATIONS
from hpsearch.trial import Architecture
from tests.support.states import TASK_NAMES, network_of, small_state


def example_gradients(state: State, rows: Rows) -> Tensor:
    """Each row's gradient [N, P], by torch.func over the network itself."""
    network = network_of(state)

    def loss(parameters: dict[str, Tensor], inputs: Tensor, target: Tensor) -> Tensor:
        outputs = torch.func.functional_call(network, parameters, (inputs[None],))
        return state.task.loss(outputs, target[None])

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    gradients = each(dict(network.named_parameters()), rows.inputs, rows.targets)
    return torch.cat([part.detach().reshape(len(rows), -1) for part in gradients.values()], dim=1)


@pytest.mark.parametrize("widths", [(), (6, 4)])
def test_weights_become_a_vector_and_come_back(widths: tuple[int, ...]) -> None:
    """The vector has the parameters in the network's order, and gives the same weights back."""
    state, _ = small_state("multiclass", widths=widths)
    vector = flatten(state.weights)
    assert vector.equal(torch.nn.utils.parameters_to_vector(network_of(state).parameters()))
    again = unflatten(vector, state.architecture)
    assert list(again) == list(state.weights)
    assert all(again[name].equal(weight) for name, weight in state.weights.items())


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("task", TASK_NAMES)
def test_the_forward_pass_is_the_network(task: str, activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs and loss equal those of the network in evaluation, dropout off, over several chunks too."""
    monkeypatch.setattr(states, "CHUNK", 5)
    state, rows = small_state(task, activation=activation, dropout=0.5)
    outputs = network_of(state)(rows.inputs)
    torch.testing.assert_close(forward(state.architecture, state.vector(rows), rows.inputs)[1][-1], outputs)
    expected = float(state.task.loss(outputs, rows.targets).detach())
    assert mean_loss(state.architecture, state.task, state.vector(rows), rows) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("chunk", [5, 4096])
@pytest.mark.parametrize("widths", [(), (6, 4)])
@pytest.mark.parametrize("task", TASK_NAMES)
def test_gradients_are_those_of_each_row(
    task: str, widths: tuple[int, ...], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row's squared norm, and the full gradient, equal torch.func's per-example gradients, whatever the chunks."""
    monkeypatch.setattr(states, "CHUNK", chunk)
    state, rows = small_state(task, widths=widths)
    each = example_gradients(state, rows)
    torch.testing.assert_close(example_squared_norms(state, rows), each.square().sum(1))
    torch.testing.assert_close(full_gradient(state, rows), each.mean(0))


def test_the_precision_is_that_of_the_rows() -> None:
    """Weights in float64 are measured in float32 where the rows are, and global random state is left alone."""
    state, rows = small_state("binary")
    before = torch.get_rng_state()
    single = rows.to("cpu", torch.float32)
    gradients = torch.stack(list(each_batch_gradient(state, single, batch_size=4, count=3, seed=0)))
    assert (gradients.dtype, full_gradient(state, single).dtype) == (torch.float32, torch.float32)
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("task", TASK_NAMES)
def test_the_noise_scale_is_that_of_the_whole_covariance(task: str) -> None:
    """Trace and squared norm equal those of the covariance matrix of all rows' gradients, formed whole by NumPy."""
    state, rows = small_state(task)
    each = example_gradients(state, rows).numpy()
    exact = noise.noise_scale(state, rows)
    mean = each.mean(0)
    unbiased = np.trace(np.cov(each.T))
    assert exact.distribution.trace == pytest.approx(unbiased)
    assert exact.distribution.squared_norm == pytest.approx(mean @ mean - unbiased / len(each))
    assert exact.rows.trace == pytest.approx(np.trace(np.cov(each.T, ddof=0)))
    assert exact.rows.squared_norm == pytest.approx(mean @ mean)
    assert exact.rows.scale == pytest.approx(exact.rows.trace / (mean @ mean))


def test_the_estimated_norm_is_unbiased() -> None:
    """Over all samples of rows with replacement, estimates of tr(Σ) and |G|² average to those of the population drawn from."""
    state, rows = small_state("binary", rows=4)
    population = noise.noise_scale(state, rows).rows
    samples = np.stack(np.meshgrid(*[range(4)] * 3)).reshape(3, -1).T  # all 64 samples of 3
    found = [noise.noise_scale(state, Rows(rows.inputs[s], rows.targets[s])).distribution for s in samples]
    assert np.mean([f.trace for f in found]) == pytest.approx(population.trace)
    assert np.mean([f.squared_norm for f in found]) == pytest.approx(population.squared_norm)


def test_no_signal_is_an_infinite_scale() -> None:
    """Where the estimate of |G|² is not positive, as at a minimum, the scale is infinite; and where no row has a gradient too."""
    architecture = Architecture(1, (), 1)
    state = State(architecture, TASKS["regression"], unflatten(torch.zeros(2), architecture))
    balanced = Rows(torch.tensor([[1.0], [1.0]]), torch.tensor([[1.0], [-1.0]]))
    exact = noise.noise_scale(state, balanced)
    assert exact.distribution.squared_norm < 0
    assert exact.distribution.scale == exact.rows.scale == float("inf")
    silent = noise.noise_scale(state, Rows(balanced.inputs, torch.zeros(2, 1)))
    assert (silent.rows.trace, silent.rows.scale) == (0.0, float("inf"))


@pytest.mark.parametrize("batch_size", range(1, 8))
def test_variance_without_replacement(batch_size: int) -> None:
    """The expected variance equals the mean over all batches of 7 rows, one by one, and is exactly 0 for the full batch."""
    state, rows = small_state("multiclass", rows=7)
    each = example_gradients(state, rows)
    batches = torch.stack([each[list(chosen)].mean(0) for chosen in combinations(range(7), batch_size)])
    expected = noise.expected_variance(noise.noise_scale(state, rows).rows.trace, batch_size, 7)
    measured = noise.gradient_variance(batches, each.mean(0))
    assert expected == pytest.approx(measured, rel=1e-10, abs=1e-25)
    # The squared cosine in the theory is |G|² over the mean squared norm of these batches.
    cosine = noise.expected_cosine(noise.noise_scale(state, rows).rows.scale, batch_size, 7)
    square = each.mean(0).square().sum() / batches.square().sum(1).mean()
    assert cosine**2 == pytest.approx(float(square))


def test_variance_with_replacement() -> None:
    """Without a number of rows the expected variance is that of independent draws: the mean over all 64 ordered batches of 2 of 8."""
    state, rows = small_state("regression", rows=8)
    each = example_gradients(state, rows)
    batches = ((each[:, None] + each[None]) / 2).reshape(64, -1)
    expected = noise.expected_variance(noise.noise_scale(state, rows).rows.trace, 2)
    assert expected == pytest.approx(noise.gradient_variance(batches, each.mean(0)))


def test_the_two_batch_estimate_is_unbiased() -> None:
    """Over all batches of 2 and of 5 of 7 rows, the two-batch estimate is exactly the noise scale of the distribution."""
    state, rows = small_state("binary", rows=7)
    each = example_gradients(state, rows)
    norms = {
        size: [float(each[list(c)].mean(0).square().sum()) for c in combinations(range(7), size)] for size in (2, 5)
    }
    found = noise.two_batch_noise(norms[2], norms[5], 2, 5)
    exact = noise.noise_scale(state, rows).distribution
    assert (found.trace, found.squared_norm) == pytest.approx((exact.trace, exact.squared_norm))
    assert found.scale == pytest.approx(exact.scale)


def test_a_batch_holds_no_row_twice() -> None:
    """Batches are drawn without replacement, all rows equally often, the same for one seed and others for another."""
    rows = Rows(torch.arange(6.0)[:, None], torch.arange(6.0)[:, None])
    drawn = torch.stack([batch.inputs[:, 0] for batch in each_batch(rows, 2, 3000, seed=1)])
    assert (drawn[:, 0] != drawn[:, 1]).all()
    counts = torch.bincount(drawn.flatten().int(), minlength=6)
    assert ((counts - 1000).abs() < 5 * (1000 * 2 / 3) ** 0.5).all()
    again = torch.stack([batch.inputs[:, 0] for batch in each_batch(rows, 2, 3000, seed=1)])
    other = torch.stack([batch.inputs[:, 0] for batch in each_batch(rows, 2, 3000, seed=2)])
    assert drawn.equal(again)
    assert not drawn.equal(other)


@pytest.mark.parametrize("size", [0, 7])
def test_an_impossible_batch_is_refused(size: int) -> None:
    """A batch of no rows, or of more than there are, is refused with the sizes that can be had."""
    rows = Rows(torch.zeros(6, 1), torch.zeros(6, 1))
    with pytest.raises(ValueError, match=f"batch size {size}: 1 to 6 expected"):
        list(each_batch(rows, size, 1, seed=0))


@pytest.mark.parametrize("task", TASK_NAMES)
def test_gradient_descent_has_no_noise(task: str) -> None:
    """The full batch has variance 0 and cosine 1; smaller ones have the variance of theory within its sampling error."""
    state, rows = small_state(task)
    one, some, full = noise.batch_noise(state, rows, [1, 8, 23], count=400, seed=5)
    assert (full.variance, full.expected_variance, full.expected_cosine) == (0.0, 0.0, 1.0)
    assert (full.cosine_low, full.cosine_high) == pytest.approx((1.0, 1.0))
    for found in (one, some):
        assert found.variance == pytest.approx(found.expected_variance, rel=0.15)
        assert -1 <= found.cosine_low < found.cosine_mean < found.cosine_high < 1


def test_streaming_equals_the_whole() -> None:
    """Batch by batch gives what the same batches' gradients give together, by formulas written out."""
    state, rows = small_state("multiclass")
    gradients = torch.stack(list(each_batch_gradient(state, rows, 4, 60, seed=5))).numpy()
    full = full_gradient(state, rows).numpy()
    (found,) = noise.batch_noise(state, rows, [4], 60, seed=5)
    angles = gradients @ full / np.linalg.norm(gradients, axis=1) / np.linalg.norm(full)
    assert found.variance == pytest.approx(np.mean(np.sum((gradients - full) ** 2, axis=1)))
    assert found.cosine_mean == pytest.approx(angles.mean())
    assert (found.cosine_low, found.cosine_high) == pytest.approx(tuple(np.quantile(angles, [0.05, 0.95])))
    whole = noise.cosines(torch.from_numpy(gradients), torch.from_numpy(full))
    np.testing.assert_allclose(whole.numpy(), angles)


def test_a_cosine_is_never_above_one() -> None:
    """In single precision and 300,000 dimensions a vector has cosine 1 with itself, -1 with its opposite, and 0 with none at all."""
    vector = torch.rand(300_000, generator=torch.Generator().manual_seed(0))
    found = noise.cosines(torch.stack([vector, -vector, 0 * vector]), vector)
    assert found.tolist() == [1.0, -1.0, 0.0]


@pytest.mark.parametrize("batch_size", [1, 16, 400])
def test_the_expected_cosine_in_many_dimensions(batch_size: int) -> None:
    """Gradients scattered normally in 20,000 dimensions around a mean have the cosine of theory within 1 %."""
    generator = torch.Generator().manual_seed(1)
    mean = torch.randn(20_000, generator=generator, dtype=torch.float64)
    spread = 4.0  # tr(Σ) / |G|² = 16 examples
    noise_of_batches = torch.randn(50, 20_000, generator=generator, dtype=torch.float64) * spread / batch_size**0.5
    measured = float(noise.cosines(mean + noise_of_batches, mean).mean())
    assert noise.expected_cosine(spread**2, batch_size) == pytest.approx(measured, rel=0.01)
