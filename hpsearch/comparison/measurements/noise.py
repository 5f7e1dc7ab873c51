"""How much the gradient of a batch differs from that of all rows: noise scale, variance, angle.

The simple noise scale is tr(Σ) / |G|², Σ the covariance of the rows' gradients and G their mean (McCandlish et al. 2018,
arXiv:1812.06162, §2.2): far below it a batch's gradient is mostly noise, far above it rows are wasted. Two populations are meant:
the distribution that the rows were drawn from (estimated without bias), and the rows themselves, as gradient descent sees them.

A dense layer's gradient of one row is δ aᵀ (δ: the loss's derivative by the layer's sums, a: what enters the layer), so its squared
norm is ‖δ‖²‖a‖², plus ‖δ‖² for the bias: the norms of all rows come from one pass, and no row's gradient is ever formed
(Goodfellow 2015, arXiv:1510.01799).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hpsearch.comparison.measurements.state import State, chunks, forward, loss_at
from hpsearch.data.dataset import Rows
from hpsearch.training import draws


@dataclass(frozen=True, slots=True)
class NoiseScale:
    """`trace` is tr(Σ), `squared_norm` |G|², `scale` their ratio in examples; infinite where the squared norm is not positive.

    The estimate of |G|² is unbiased, and may therefore be 0 or less near a minimum.
    """

    trace: float
    squared_norm: float
    scale: float


@dataclass(frozen=True, slots=True)
class ExactNoise:
    """The noise scale of the distribution that the rows were drawn from, and that of the rows taken as the full population."""

    distribution: NoiseScale
    rows: NoiseScale


@dataclass(frozen=True, slots=True)
class BatchNoise:
    """What random batches of one size measured beside what theory expects.

    `variance` is the mean squared distance to the full gradient, `squared_norm` the mean squared length (what `two_batch_noise` takes);
    `cosine_low` and `cosine_high` hold the middle 90 % of the batches.
    """

    batch_size: int
    squared_norm: float
    variance: float
    expected_variance: float
    cosine_mean: float
    cosine_low: float
    cosine_high: float
    expected_cosine: float


# ---- gradients


def full_gradient(state: State, rows: Rows) -> Tensor:
    """Return the gradient [P] of the mean loss over the rows: the direction of gradient descent."""
    vector = state.vector(rows).requires_grad_()
    total = torch.zeros_like(vector)
    for chunk, share in chunks(rows):
        loss = loss_at(state.architecture, state.task, vector, chunk)
        total += share * torch.autograd.grad(loss, vector)[0]
    return total.detach()


def example_squared_norms(state: State, rows: Rows) -> Tensor:
    """Return the squared norm of each row's own gradient, [N]."""
    return torch.cat([_squared_norms(state, chunk) for chunk, _ in chunks(rows)])


def _squared_norms(state: State, rows: Rows) -> Tensor:
    entering, sums = forward(state.architecture, state.vector(rows).requires_grad_(), rows.inputs)
    total = state.task.loss(sums[-1], rows.targets) * len(rows)  # the sum: a row's derivatives are then its own
    norms = torch.zeros_like(rows.inputs[:, 0])  # [N]
    for delta, a in zip(torch.autograd.grad(total, sums), entering, strict=True):  # [N, H_l], [N, H_(l-1)]
        norms += delta.square().sum(1) * (a.detach().square().sum(1) + 1)
    return norms


def each_batch_gradient(state: State, rows: Rows, batch_size: int, count: int, seed: int) -> Iterator[Tensor]:
    """Return the gradient [P] of one random batch after the other; a batch holds no row twice, a full one has their order."""
    for batch in each_batch(rows, batch_size, count, seed):
        yield full_gradient(state, batch)


def each_batch(rows: Rows, batch_size: int, count: int, seed: int) -> Iterator[Rows]:
    """Return random batches: `batch_size` of the rows without replacement, each batch independent of the others.

    Raises:
        ValueError: the batch size is not between 1 and the number of rows.
    """
    if not 1 <= batch_size <= len(rows):
        raise ValueError(f"batch size {batch_size}: 1 to {len(rows)} expected, as there are so many rows")
    generator = draws.generator("diagnostics", seed, batch_size)
    for _ in range(count):
        if batch_size == len(rows):
            yield rows
            continue
        chosen = torch.randperm(len(rows), generator=generator)[:batch_size].to(rows.inputs.device)
        yield Rows(rows.inputs[chosen], rows.targets[chosen])


# ---- noise scale


def noise_scale(state: State, rows: Rows) -> ExactNoise:
    """Return the exact noise scale over N rows (at least 2).

    Of the distribution: tr(Σ) = (mean ‖g_i‖² - |Ḡ|²)·N/(N - 1), |G|² = |Ḡ|² - tr(Σ)/N (McCandlish et al. 2018, appendix A.1, with
    batches of 1 and N). Of the rows: both without the correction.
    """
    count = len(rows)
    norms = example_squared_norms(state, rows)
    square = float(full_gradient(state, rows).square().sum())
    trace = max(0.0, float(norms.mean()) - square)
    unbiased = trace * count / (count - 1)
    return ExactNoise(_ratio(unbiased, square - unbiased / count), _ratio(trace, square))


def two_batch_noise(small_norms: Sequence[float], large_norms: Sequence[float], small: int, large: int) -> NoiseScale:
    """Return the noise scale of the distribution from squared gradient norms of batches of two sizes, `small` < `large`.

    Trace and squared norm are averaged apart and then divided, since a mean of ratios is biased (appendix A.1). Unbiased for
    batches that share rows, and for batches without replacement from few rows, whose `noise_scale().distribution` it then estimates.
    """
    low = float(np.mean(small_norms))
    high = float(np.mean(large_norms))
    trace = (low - high) / (1 / small - 1 / large)
    return _ratio(trace, (large * high - small * low) / (large - small))


def _ratio(trace: float, squared_norm: float) -> NoiseScale:
    return NoiseScale(trace, squared_norm, trace / squared_norm if squared_norm > 0 else inf)


# ---- batches against all rows


def gradient_variance(gradients: Tensor, full: Tensor) -> float:
    """Return the mean squared distance of gradients [K, P] to the full one [P]: the trace of a batch gradient's covariance."""
    return float((gradients - full).square().sum(1).mean())


def expected_variance(trace: float, batch_size: int, rows: int | None = None) -> float:
    """Return the variance of a batch's gradient: trace / B · (n - B) / (n - 1) without replacement from n rows, 0 for B = n.

    `trace` is that of the rows (`ExactNoise.rows`), whose covariance divides by n. Without `rows`, fresh batches: trace / B.
    """
    return trace / batch_size * _correction(batch_size, rows)


def _correction(batch_size: int, rows: int | None) -> float:
    """Return the finite-population correction (Cochran 1977, theorem 2.2); a single row is always the full batch."""
    if rows is None:
        return 1.0
    return (rows - batch_size) / max(1, rows - 1)


def cosines(gradients: Tensor, full: Tensor) -> Tensor:
    """Return the cosine [K] of the angle between each of gradients [K, P] and the full one [P]; 0 where one of them is 0."""
    exact = gradients.double()
    other = full.double()  # in float32, 100,000 parameters gave a cosine of 1.000004
    similarity = F.cosine_similarity(exact, other[None], dim=1, eps=torch.finfo(other.dtype).tiny)
    return similarity.clamp(-1, 1).to(full)


def expected_cosine(scale: float, batch_size: int, rows: int | None = None) -> float:
    """Return 1 / √(1 + scale / B · (n - B) / (n - 1)), about the mean cosine between a batch's gradient and the full one.

    It takes ‖g_B‖² to be near its mean |G|² + tr(Σ_B) (McCandlish et al. 2018, eq. 2.10), as it is for larger batches. Where a few rows
    hold most of the noise, as late in training, the mean cosine of small batches is higher: most rows are less noisy than the mean.
    `scale` is that of the rows where `rows` is their number n, else of the distribution.
    """
    correction = _correction(batch_size, rows)
    if not correction:
        return 1.0
    return 1 / sqrt(1 + scale / batch_size * correction)


def batch_noise(state: State, rows: Rows, batch_sizes: Sequence[int], count: int, seed: int) -> list[BatchNoise]:
    """Return variance and angle of `count` random batches of each size, in memory of a few gradients."""
    full = full_gradient(state, rows)
    exact = noise_scale(state, rows).rows
    return [_measure(state, rows, size, count, seed, full, exact) for size in batch_sizes]


def _measure(
    state: State, rows: Rows, batch_size: int, count: int, seed: int, full: Tensor, exact: NoiseScale
) -> BatchNoise:
    norms = []
    distances = []
    angles = []
    for gradient in each_batch_gradient(state, rows, batch_size, count, seed):
        norms.append(float(gradient.double().square().sum()))
        distances.append(gradient_variance(gradient[None], full))
        angles.append(float(cosines(gradient[None], full)))
    low, high = np.quantile(angles, [0.05, 0.95])
    return BatchNoise(
        batch_size,
        squared_norm=float(np.mean(norms)),
        variance=float(np.mean(distances)),
        expected_variance=expected_variance(exact.trace, batch_size, len(rows)),
        cosine_mean=float(np.mean(angles)),
        cosine_low=float(low),
        cosine_high=float(high),
        expected_cosine=expected_cosine(exact.scale, batch_size, len(rows)),
    )
