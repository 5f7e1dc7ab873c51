"""A student of rectified units and a teacher of the same kind under x ~ N(0, I): its loss in closed form, and its updates.

The student is Σ_j relu(w_jᵀx), the loss ½ E (student − teacher)². With the arc-cosine kernel of first degree (Cho and Saul 2009, eq. 3-6)

    f(w, v) = E relu(wᵀx) relu(vᵀx) = ‖w‖‖v‖ (sin θ + (π − θ) cos θ) / 2π,    θ the angle between w and v,

the loss is ½ Σ f(w_i, w_j) − Σ f(w_i, v_j) + ½ Σ f(v_i, v_j) (Safran and Shamir 2018, §3, whose minima these are). The updates are
compiled loops: fresh batches (SGD), the whole distribution (GD) with or without isotropic noise, and a polish. Names in shapes: K units,
D inputs, M marks (updates after which the weights are recorded).
"""

from math import atan2, pi, sqrt
from typing import Any

import numpy as np

from hpsearch.comparison.escape.streams import fill_normal
from hpsearch.training.compiled.jit import Array, compiled, inlined

FAR = 1e3  # a weight as large as this has left: the teacher's are at most 1
ROUNDING = 1e-12  # of a loss, summed from terms that cancel

# ---- closed form


@inlined
def copy(source: Array, factor: float, out: Array) -> None:
    """Write an array [K, D] times a factor; to compile a slice's assignment takes seconds, mostly for its error message."""
    for i in range(source.shape[0]):
        for d in range(source.shape[1]):
            out[i, d] = factor * source[i, d]


@inlined
def pair(w: Array, v: Array) -> tuple[float, float, float, float, float]:
    """Return ‖w‖, ‖v‖, their angle, its sine and cosine; by the part of v across w, since an arc cosine loses half the digits near 0."""
    ww, vv, wv = 0.0, 0.0, 0.0
    for d in range(w.size):
        ww, vv, wv = ww + w[d] * w[d], vv + v[d] * v[d], wv + w[d] * v[d]
    along = wv / ww
    across = 0.0
    for d in range(w.size):
        across += (v[d] - along * w[d]) ** 2
    length = sqrt(ww)
    other = sqrt(vv)
    across = sqrt(across)
    return length, other, atan2(across, wv / length), across / other, wv / (length * other)


@inlined
def add_gradient(gradient: Array, w: Array, v: Array, ratio: float, angle: float, sine: float, sign: float) -> None:
    """Add sign · ∂f(w, v) / ∂w = (sin θ ‖v‖/‖w‖ w + (π − θ) v) / 2π; `ratio` is ‖v‖/‖w‖."""
    own = sign * sine * ratio / (2 * pi)
    other = sign * (pi - angle) / (2 * pi)
    for d in range(w.size):
        gradient[d] += own * w[d] + other * v[d]


@inlined
def slope(weights: Array, teacher: Array, gradient: Array) -> float:
    """Write the gradient [K, D] and return the loss less the teacher's own term."""
    loss = 0.0
    copy(weights, 0.5, gradient)
    for i in range(weights.shape[0]):
        loss += 0.25 * np.sum(weights[i] ** 2)
        for j in range(i + teacher.shape[0]):  # the units before, then the teacher's: one loop to compile, not two
            own = j < i
            other, sign = (weights[j], 1.0) if own else (teacher[j - i], -1.0)
            a, b, angle, sine, cosine = pair(weights[i], other)
            loss += sign * a * b * (sine + (pi - angle) * cosine) / (2 * pi)
            add_gradient(gradient[i], weights[i], other, b / a, angle, sine, sign)
            if own:
                add_gradient(gradient[j], other, weights[i], a / b, angle, sine, 1.0)
    return loss


@inlined
def own_term(teacher: Array) -> float:
    """Return ½ E teacher², the constant that makes the loss zero at the teacher."""
    loss = 0.0
    for i in range(teacher.shape[0]):
        loss += 0.25 * np.sum(teacher[i] ** 2)
        for j in range(i):
            a, b, angle, sine, cosine = pair(teacher[i], teacher[j])
            loss += a * b * (sine + (pi - angle) * cosine) / (2 * pi)
    return loss


@inlined
def add_curvature(hessian: Array, w: Array, v: Array, at: int, across: int, sign: float) -> None:
    """Add sign · the second derivatives of f(w, v): the block of w with itself at `at`, and of w with v at `across` unless negative.

    With unit vectors ŵ, v̂, n across w towards v and m across v towards w, they are (Safran and Shamir 2018, §4.1)
    ‖v‖ sin θ / (2π‖w‖) · (I − ŵŵᵀ + nnᵀ) and (ŵnᵀ + v̂mᵀ + (π − θ) I) / 2π. Parallel vectors leave only the last term.
    """
    a, b, angle, sine, cosine = pair(w, v)
    size = w.size
    safe = max(sine, 1e-12)
    turned = 1.0 if sine > 1e-12 else 0.0
    for p in range(size):
        n_p = turned * (v[p] / b - cosine * w[p] / a) / safe
        for q in range(size):
            same = 1.0 if p == q else 0.0
            n_q = turned * (v[q] / b - cosine * w[q] / a) / safe
            m_q = turned * (w[q] / a - cosine * v[q] / b) / safe
            own = b * sine / (2 * pi * a) * (same - w[p] * w[q] / (a * a) + n_p * n_q)
            hessian[at + p, at + q] += sign * own
            if across >= 0:
                cross = (w[p] / a * n_q + v[p] / b * m_q + (pi - angle) * same) / (2 * pi)
                hessian[at + p, across + q] += sign * cross


@inlined
def curvature(weights: Array, teacher: Array, hessian: Array) -> None:
    """Write the Hessian [K·D, K·D] of the loss."""
    units, size = weights.shape
    hessian[:, :] = 0.0
    for i in range(units):
        for d in range(size):
            hessian[i * size + d, i * size + d] = 0.5
        for j in range(units + teacher.shape[0]):
            own = j < units
            other, sign = (weights[j], 1.0) if own else (teacher[j - units], -1.0)
            if j != i:
                add_curvature(hessian, weights[i], other, i * size, j * size if own else -1, sign)


@compiled
def loss_and_gradient(weights: Array, teacher: Array) -> tuple[float, Array]:
    """Return the loss of a student [K, D] and its gradient [K, D]; each row of either network must differ from zero."""
    gradient = np.empty_like(weights)
    loss = slope(weights, teacher, gradient)
    return loss + own_term(teacher), gradient


@compiled
def hessian(weights: Array, teacher: Array) -> Array:
    """Return the second derivatives [K·D, K·D] of the loss, rows of the student one after the other."""
    out = np.empty((weights.size, weights.size))
    curvature(weights, teacher, out)
    return out


def sharpness(weights: Array, teacher: Array) -> tuple[float, float]:
    """Return the smallest and the largest eigenvalue of the Hessian."""
    values: Any = np.linalg.eigvalsh(hessian(weights, teacher))
    return float(values[0]), float(values[-1])


# ---- updates


@inlined
def outputs(weights: Array, inputs: Array, active: Array) -> float:
    """Return Σ_j relu(w_jᵀx) of inputs [D] and fill `active` [K] with 1 where a unit is on."""
    total = 0.0
    for j in range(weights.shape[0]):
        value = 0.0
        for d in range(inputs.size):
            value += weights[j, d] * inputs[d]
        active[j] = 1.0 if value > 0 else 0.0
        total += max(value, 0.0)
    return total


@inlined
def add_example(gradient: Array, weights: Array, teacher: Array, inputs: Array, active: Array) -> None:
    """Add the gradient [K, D] of the loss of one example, ½ (student − teacher)²."""
    residual = -outputs(teacher, inputs, active)
    residual += outputs(weights, inputs, active)
    for j in range(weights.shape[0]):
        push = residual * active[j]
        for d in range(inputs.size):
            gradient[j, d] += push * inputs[d]


@inlined
def record(recorded: Array, marks: Array, update: int, weights: Array) -> bool:
    """Copy the weights to the slots whose mark is this update; return whether they are still finite and near."""
    for i in range(marks.size):
        if marks[i] == update:
            copy(weights, 1.0, recorded[i])
    return bool(np.max(np.abs(weights)) < FAR)  # False for NaN


@compiled
def sample_descent(
    start: Array, teacher: Array, key: Any, learning_rate: float, batch_size: int, marks: Array
) -> Array:
    """Return the weights [M, K, D] after `marks` updates of SGD, each on a fresh batch of x ~ N(0, I); NaN from where a run diverged."""
    weights = start.copy()
    gradient = np.empty_like(start)
    inputs = np.empty(start.shape[1])
    active = np.empty(max(start.shape[0], teacher.shape[0]))
    recorded = np.full((marks.size, *start.shape), np.nan)
    drawn = 0
    width = inputs.size + inputs.size % 2
    for update in range(1, np.max(marks) + 1):
        gradient[:, :] = 0.0
        for _ in range(batch_size):
            fill_normal(key, drawn, inputs)
            drawn += width
            add_example(gradient, weights, teacher, inputs, active)
        weights -= learning_rate / batch_size * gradient
        if not record(recorded, marks, update, weights):
            break
    return recorded


@compiled
def noisy_descent(
    start: Array, teacher: Array, key: Any, learning_rate: float, deviation: float, marks: Array
) -> Array:
    """Return the weights [M, K, D] after `marks` updates of GD whose gradient has Gaussian noise of this deviation in each weight."""
    weights = start.copy()
    gradient = np.empty_like(start)
    noise = np.zeros(start.size)
    recorded = np.full((marks.size, *start.shape), np.nan)
    for update in range(1, np.max(marks) + 1):
        slope(weights, teacher, gradient)
        if deviation > 0:
            fill_normal(key, update * (noise.size + 1), noise)
        weights -= learning_rate * (gradient + deviation * noise.reshape(start.shape))
        if not record(recorded, marks, update, weights):
            break
    return recorded


@compiled
def noise_trace(weights: Array, teacher: Array, key: Any, examples: int) -> float:
    """Return tr Σ, the summed variance of one example's gradient at a stationary point, estimated from fresh examples."""
    gradient = np.empty_like(weights)
    inputs = np.empty(weights.shape[1])
    active = np.empty(max(weights.shape[0], teacher.shape[0]))
    width = inputs.size + inputs.size % 2
    total = 0.0
    for example in range(examples):
        gradient[:, :] = 0.0
        fill_normal(key, example * width, inputs)
        add_example(gradient, weights, teacher, inputs, active)
        total += np.sum(gradient**2)
    return total / examples


@inlined
def newton_step(weights: Array, teacher: Array, gradient: Array, second: Array, damping: float) -> Array:
    """Return where a Newton step leads whose Hessian has `damping` added to its diagonal."""
    curvature(weights, teacher, second)
    for i in range(weights.size):
        second[i, i] += damping
    return weights - np.linalg.solve(second, gradient.copy().reshape(weights.size)).reshape(weights.shape)


@compiled
def polish(
    start: Array, teacher: Array, learning_rate: float, updates: int, near: float
) -> tuple[Array, float, float, int]:
    """Return the stationary point that noise-free descent from `start` leads to, its loss, gradient norm and the updates of GD.

    GD runs until its gradient's norm is below `near`, or for `updates`; then damped Newton steps (Levenberg 1944), taken only where
    they lower the gradient's norm and do not raise the loss. The Hessian there shows whether it is a minimum.
    """
    weights = start.copy()
    gradient = np.empty_like(start)
    second = np.empty((start.size, start.size))
    done = 0
    while True:
        loss = slope(weights, teacher, gradient)
        if done >= updates or not np.sum(gradient**2) > near * near:
            break
        weights -= learning_rate * gradient
        done += 1
    moved_gradient = np.empty_like(gradient)
    damping = 1e-2
    norm = sqrt(np.sum(gradient**2))
    for _ in range(60):
        if not norm > 1e-13:
            break
        moved = newton_step(weights, teacher, gradient, second, min(damping, norm))
        moved_loss = slope(moved, teacher, moved_gradient)
        moved_norm = sqrt(np.sum(moved_gradient**2))
        if moved_loss < loss + ROUNDING and moved_norm < norm:
            weights = moved
            loss = moved_loss
            norm = moved_norm
            copy(moved_gradient, 1.0, gradient)
            damping /= 4
        else:
            damping *= 8
    return weights, loss + own_term(teacher), norm, done
