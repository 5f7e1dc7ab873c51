"""The escape tests' closed forms, each against an independent calculation, and the random numbers that the runs draw."""

from itertools import combinations
from math import exp, log, sqrt

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import chisquare, kstest

from hpsearch.comparison.escape import instability, streams, student, thermal
from hpsearch.comparison.escape.cells import DIVERGED, ESCAPED, STUCK, EscapeArm, columns, tally
from hpsearch.comparison.escape.thermal import ThermalSettings

MASK = 2**64 - 1


def splitmix64(key: int, counter: int) -> int:
    mixed = (key + counter * 0x9E3779B97F4A7C15) & MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
    return mixed ^ (mixed >> 31)


def test_the_stream_is_splitmix64() -> None:
    """The draws of seed 1234567 are those of the generator's published test vector, and of Python's integers elsewhere."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [int(streams.bits(np.uint64(1234567), i)) for i in (1, 2, 3)] == published
    assert int(streams.bits(np.uint64(2**63 - 5), 10**9)) == splitmix64(2**63 - 5, 10**9)


def test_keys_depend_on_every_part() -> None:
    """A key is a function of all parts and the seed, not of how many seeds there are."""
    assert streams.keys(5, "a", 0.1)[:3].tolist() == streams.keys(3, "a", 0.1).tolist()
    assert len({*streams.keys(50, "a", 0.1).tolist(), *streams.keys(50, "a", 0.2).tolist()}) == 100


def test_normal_numbers_are_normal() -> None:
    """The normal numbers pass Kolmogorov and Smirnov's test, and an odd count fills all places."""
    values = np.full(20_001, np.nan)
    streams.fill_normal(np.uint64(7), 0, values)
    assert kstest(values, "norm").pvalue > 1e-4


def test_batches_are_uniform_without_replacement() -> None:
    """Each of the 10 pairs out of 5 comes equally often, though every batch starts from what the last one left."""
    values = np.arange(5.0)
    counts = dict.fromkeys(combinations(range(5), 2), 0)
    for batch in range(20_000):
        streams.shuffle_front(np.uint64(3), 2 * batch, values, 2)
        counts[tuple(sorted(int(v) for v in values[:2]))] += 1  # type: ignore[index]
    assert sorted(values) == [0, 1, 2, 3, 4]
    assert chisquare(list(counts.values())).pvalue > 1e-4


@pytest.fixture(scope="module")
def networks() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.normal(size=(4, 3)), generator.normal(size=(2, 3))


@pytest.mark.slow
def test_the_student_loss_is_its_expectation(networks: tuple[np.ndarray, np.ndarray]) -> None:
    """The closed-form loss equals a sample mean of ½ (student − teacher)² within four standard errors."""
    weights, teacher = networks
    inputs = np.random.default_rng(1).normal(size=(400_000, 3))
    errors = np.maximum(inputs @ weights.T, 0).sum(1) - np.maximum(inputs @ teacher.T, 0).sum(1)
    losses = errors**2 / 2
    standard_error = losses.std() / sqrt(len(losses))
    assert abs(student.loss_and_gradient(weights, teacher)[0] - losses.mean()) < 4 * standard_error


def test_derivatives_are_finite_differences(networks: tuple[np.ndarray, np.ndarray]) -> None:
    """Gradient and Hessian equal central differences of loss and gradient."""
    weights, teacher = networks
    gradient = np.empty(12)
    hessian = np.empty((12, 12))
    for i in range(12):
        step = 1e-5 * np.eye(12)[i].reshape(4, 3)
        up, down = (student.loss_and_gradient(weights + s * step, teacher) for s in (1, -1))
        gradient[i] = (up[0] - down[0]) / 2e-5
        hessian[i] = ((up[1] - down[1]) / 2e-5).ravel()
    assert student.loss_and_gradient(weights, teacher)[1].ravel() == pytest.approx(gradient, abs=1e-8)
    assert student.hessian(weights, teacher) == pytest.approx(hessian, abs=1e-8)


def test_an_update_of_sgd_is_autograd_s() -> None:
    """Three updates on batches of 2 equal torch's on the same examples, drawn again by Python's integers."""
    generator = np.random.default_rng(2)
    start = generator.normal(size=(4, 4))
    teacher = generator.normal(size=(3, 4))
    key = np.uint64(99)
    weights = torch.tensor(start, requires_grad=True)
    for update in range(3):
        first = update * 8
        u = [((splitmix64(99, first + i) >> 11) + 0.5) * 2.0**-53 for i in range(8)]
        pairs = [
            (sqrt(-2 * log(u[i])) * np.array([np.cos(t := 2 * np.pi * u[i + 1]), np.sin(t)])) for i in range(0, 8, 2)
        ]
        inputs = torch.tensor(np.concatenate(pairs).reshape(2, 4))
        error = (inputs @ weights.T).relu().sum(1) - (inputs @ torch.tensor(teacher).T).relu().sum(1)
        (gradient,) = torch.autograd.grad((error**2 / 2).mean(), weights)
        weights = (weights - 0.1 * gradient).detach().requires_grad_()
    found = student.sample_descent(start, teacher, key, 0.1, 2, np.array([3, 1]))
    assert found[0] == pytest.approx(weights.detach().numpy(), abs=1e-12)


def test_the_frozen_covariance_is_that_of_the_gradient(networks: tuple[np.ndarray, np.ndarray]) -> None:
    """At a stationary point it equals the covariance of per-example gradients on other examples, and its root squares to it."""
    _, teacher = networks
    weights = student.polish(np.array([[0.3, 0.2, 0.1]]), teacher, 0.3, 5_000, 1e-10)[0]
    inputs = np.random.default_rng(5).normal(size=(200_000, 3))
    value = inputs @ weights[0]
    error = np.maximum(value, 0) - np.maximum(inputs @ teacher.T, 0).sum(1)
    expected = np.cov((inputs * (error * (value > 0))[:, None]).T)
    found = student.gradient_covariance(weights, teacher, np.uint64(1), 200_000)
    assert found == pytest.approx(expected, abs=0.03 * np.trace(expected))
    root = student.square_root(found)
    assert root.T @ root == pytest.approx(found, abs=1e-12)
    assert root.flags.c_contiguous


def test_gaussian_noise_has_the_covariance_of_its_factor(networks: tuple[np.ndarray, np.ndarray]) -> None:
    """One update of GD with noise, over 4,000 keys: the mean is GD's update, the covariance FᵀF times the learning rate's square."""
    start, teacher = networks
    factor = np.random.default_rng(3).normal(size=(12, 12))
    mark = np.array([1])
    plain = student.noisy_descent(start, teacher, np.uint64(0), 0.1, np.empty((0, 12)), 0.0, mark)[0]
    keys = streams.keys(4_000, "noise")
    moved = np.array([student.noisy_descent(start, teacher, key, 0.1, factor, 0.0, mark)[0].ravel() for key in keys])
    expected = 0.01 * factor.T @ factor
    spread = np.sqrt(np.diag(expected) / len(keys))
    assert np.abs((moved.mean(0) - plain.ravel()) / spread).max() < 4.5
    assert np.cov(moved.T) == pytest.approx(expected, abs=0.1 * np.diag(expected).max())


def test_descent_that_has_arrived_stays() -> None:
    """GD ends where its gradient vanishes, with the same weights at every later mark; with noise it goes on."""
    teacher = np.eye(3)
    arrived = student.polish(np.eye(3) + 0.1, teacher, 0.3, 5_000, 1e-10)[0]
    marks = np.array([5, 50])
    still = student.noisy_descent(arrived, teacher, np.uint64(0), 0.1, np.empty((0, 9)), 0.0, marks)
    assert (still == arrived).all()
    moving = student.noisy_descent(arrived, teacher, np.uint64(0), 0.1, 0.01 * np.eye(9), 0.0, marks)
    assert (moving[0] != moving[1]).all()


def test_noise_alike_in_all_directions_needs_no_factor(networks: tuple[np.ndarray, np.ndarray]) -> None:
    """A deviation gives the run that a multiple of the identity gives as a factor, bit for bit."""
    start, teacher = networks
    marks = np.array([1, 30])
    by_factor = student.noisy_descent(start, teacher, np.uint64(4), 0.1, 0.02 * np.eye(12), 0.0, marks)
    by_deviation = student.noisy_descent(start, teacher, np.uint64(4), 0.1, np.empty((0, 12)), 0.02, marks)
    assert np.array_equal(by_factor, by_deviation)


def test_sgd_that_has_arrived_stays() -> None:
    """At a global minimum SGD ends, for every later mark, in a moment what would take years; elsewhere its noise goes on."""
    teacher = np.eye(3)
    marks = np.array([10**12, 2_000, 10**13])
    arrived = student.sample_descent(np.eye(3)[::-1] + 1e-3, teacher, np.uint64(1), 0.1, 4, marks)
    assert np.array_equal(arrived[0], arrived[2])
    assert arrived[1] == pytest.approx(arrived[0], abs=1e-11)
    assert arrived[0] == pytest.approx(np.eye(3)[::-1], abs=1e-11)
    bad = student.polish(np.array([[0.3, 0.2, 0.1]]), teacher, 0.3, 5_000, 1e-10)[0]
    moving = student.sample_descent(bad, teacher, np.uint64(1), 0.01, 4, np.array([1_000, 2_000]))
    assert (moving[0] != moving[1]).all()


def test_the_arc_is_the_angle() -> None:
    """The rational approximation equals the arc tangent of the C library to rounding, on both axes and all around."""
    angles = np.concatenate([np.linspace(0, np.pi, 2_001), [1e-12, 1e-6, np.pi - 1e-9]])
    for angle in angles:
        across, along = 3 * np.sin(angle), 3 * np.cos(angle)
        assert student.arc(abs(across), along) == pytest.approx(np.arctan2(abs(across), along), rel=4e-16, abs=4e-16)


@pytest.mark.parametrize(("batch_size", "lyapunov", "mean_square"), [(1, 0.559, 0.552), (2, 0.866, 0.714)])
def test_the_published_boundaries_come_out(batch_size: int, lyapunov: float, mean_square: float) -> None:
    """With 100 losses the boundaries at batch sizes 1 and 2 are the known numbers."""
    assert instability.lyapunov_boundary(batch_size, 100) == pytest.approx(lyapunov, abs=1e-3)
    assert instability.mean_square_boundary(batch_size, 100) == pytest.approx(mean_square, abs=1e-3)


def test_three_and_more_never_leave() -> None:
    """From batch size 3 on no learning rate below 1 has a positive exponent, though the mean square grows above .836 at 4."""
    rates = np.arange(0.01, 1, 0.01)
    for batch_size in (3, 4, 6, 8, 16, 32, 100):
        assert all(instability.exponent(rate, batch_size, 100) < 0 for rate in rates)
    assert instability.lyapunov_boundary(3, 100) is None
    assert instability.mean_square_boundary(4, 100) == pytest.approx(0.836, abs=1e-3)
    assert instability.mean_square_boundary(100, 100) == 1


@pytest.mark.parametrize("batch_size", [1, 2, 5, 8])
def test_boundaries_are_means_over_all_batches(batch_size: int) -> None:
    """Exponent and mean square equal the plain means over every batch out of 8."""
    weights = [0.1] * 4 + [1.9] * 4
    curvatures = np.array([2 * np.mean(batch) for batch in combinations(weights, batch_size)])
    assert instability.exponent(0.8, batch_size, 8) == pytest.approx(np.log(np.abs(1 - 0.8 * curvatures)).mean())
    edge = instability.mean_square_boundary(batch_size, 8)
    assert np.mean((1 - edge * curvatures) ** 2) == pytest.approx(1)


def test_the_slope_is_the_derivative_of_the_minimum() -> None:
    """The gradient of the instability test equals central differences of the mean of the smaller parabolas."""
    weights = np.array([0.1, 1.9, 1.9])

    def loss(y: float) -> float:
        return float(np.mean(np.minimum((1 + y) ** 2, weights * y**2)))

    for y in (-2.0, -1.2, -0.6, 0.3, 2.0, 5.0):
        assert instability_slope(y, weights) == pytest.approx((loss(y + 1e-6) - loss(y - 1e-6)) / 2e-6, abs=1e-6)


def instability_slope(y: float, weights: np.ndarray) -> float:
    from hpsearch.comparison.escape.instability import slope

    return slope(y, weights, weights.size)


def test_the_wells_are_certified() -> None:
    """At both minima V' is below 1e-8 and V'' positive, the bad one lies above the good one; numbers as published in the plan."""
    good, saddle, bad = thermal.wells()
    assert all(abs(w**3 - w + 0.12) < 1e-12 for w in (good, saddle, bad))
    assert [3 * w**2 > 1 for w in (good, saddle, bad)] == [True, False, True]
    assert thermal.energy(good) < thermal.energy(bad)
    assert thermal.energy(saddle) - thermal.energy(bad) == pytest.approx(0.1411, abs=5e-5)
    assert (good, bad, saddle) == pytest.approx((-1.055, 0.934, 0.122), abs=5e-4)


def test_a_batch_has_the_variance_that_is_stated() -> None:
    """The gradient's variance equals that of the means of all batches of 3 out of 9; the sum's noise is exactly 0."""
    settings = ThermalSettings(examples_in_sum=9)
    noise = thermal.sum_noise(settings)
    assert noise.sum() == pytest.approx(0, abs=1e-12)
    means = [np.mean(batch) for batch in combinations(noise, 3)]
    assert np.var(means) == pytest.approx(thermal.variance(3, settings))
    assert thermal.variance(9, settings) == 0


@pytest.mark.parametrize("good", [False, True])
def test_kramers_is_the_cold_limit_of_the_exact_time(good: bool) -> None:
    """The exact time equals nested quadrature, and Kramers' law comes nearer to it the colder it is."""
    settings = ThermalSettings()
    low, _, high = thermal.wells()
    start, target = (low, high) if good else (high, low)
    temperature = 0.05 * thermal.variance(16, settings)
    away = -np.sign(target - start)

    def inner(y: float) -> float:
        integral = quad(lambda z: exp(-thermal.energy(z) / temperature), away * 2.5, y)[0]
        return exp(thermal.energy(y) / temperature) * abs(float(integral))

    exact = abs(quad(inner, start, target)[0]) / (0.1 * temperature)
    assert thermal.mean_passage(0.1, 16, settings, good) == pytest.approx(exact, rel=1e-4)
    gaps = [
        thermal.mean_passage(0.1, b, settings, good) / thermal.kramers(0.1, b, settings, good) - 1
        for b in (10, 20, 40, 80)
    ]
    assert gaps == sorted(gaps, reverse=True)
    assert 0 < gaps[-1] < 0.03


def test_a_tally_counts_what_happened_within_the_budget() -> None:
    """A run that passed after the budget was stuck in it; time is summed up to the budget; half censored leaves no median."""
    arm = EscapeArm("sgd", "bad", 0.1, 2)
    labels = np.array([ESCAPED, ESCAPED, DIVERGED, STUCK])
    times = np.array([10, 70, 20, 100])
    cell = tally(arm, "updates", 50, labels, times, {"kramers": 1 / 3})
    assert (cell.escaped, cell.stuck, cell.diverged, cell.total_time, cell.median_time) == (
        1,
        2,
        1,
        10 + 50 + 20 + 50,
        None,
    )
    later = tally(arm, "updates", 100, np.array([ESCAPED, ESCAPED, STUCK]), np.array([10, 70, 100]))
    assert (later.escaped, later.median_time) == (2, 70)
    assert columns([cell])["kramers"] == [0.333333]
    assert tally(arm, "updates", 5, labels).total_time is None
