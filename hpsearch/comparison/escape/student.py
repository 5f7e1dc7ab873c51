"""A student of rectified units and a teacher of the same kind under x ~ N(0, I): its loss in closed form, and its updates.

The student is Σ_j relu(w_jᵀx), the loss ½ E (student − teacher)². With the arc-cosine kernel of first degree (Cho and Saul 2009, eq. 3-6)

    f(w, v) = E relu(wᵀx) relu(vᵀx) = ‖w‖‖v‖ (sin θ + (π − θ) cos θ) / 2π,    θ the angle between w and v,

the loss is ½ Σ f(w_i, w_j) − Σ f(w_i, v_j) + ½ Σ f(v_i, v_j) (Safran and Shamir 2018, §3, whose minima these are). The updates are
compiled loops: fresh batches (SGD), the whole distribution (GD) with or without Gaussian noise, and a polish. Names in shapes: K units,
D inputs, P = K·D weights, M marks (updates after which the weights are recorded), N examples.
"""

from math import pi, sqrt
from typing import Any

import numpy as np

from hpsearch.comparison.escape.streams import fill_normal
from hpsearch.training.compiled.jit import Array, compiled, inlined

FAR = 1e3  # a weight as large as this has left: the teacher's are at most 1
ROUNDING = 1e-12  # of a loss, summed from terms that cancel
TAN_22_5 = 0.41421356237309503
BLOCK = 1_000  # examples whose gradients are held at once
STILL = 1e-12  # gradient norm below which descent without noise stays where it is
SETTLED = 1e-13  # a weight's change in an update, below which SGD is at a global minimum, where its noise ends
QUIET = 100  # updates in a row of such changes, after which it stays

# ---- closed form


@inlined
def copy(source: Array, factor: float, out: Array) -> None:
    """Write an array [K, D] times a factor; to compile a slice's assignment takes seconds, mostly for its error message."""
    for i in range(source.shape[0]):
        for d in range(source.shape[1]):
            out[i, d] = factor * source[i, d]


@inlined
def arc(across: float, along: float) -> float:
    """Return the angle in [0, π] of a point that lies `across` ≥ 0 beside and `along` ahead, to rounding.

    The rational approximation of the Cephes library (Moshier 1992, atan.c). `math.atan2` takes more time than all else of a pair.
    """
    forward = abs(along)
    short = min(across, forward)
    long = max(across, forward)
    turned = short > TAN_22_5 * long  # by 45°, which leaves |tangent| below tan 22.5°
    tangent = (short - long) / (short + long) if turned else short / long
    z = tangent * tangent
    top = -0.8750608600031904 * z - 16.157537187333652
    top = ((top * z - 75.00855792314705) * z - 122.88666844901361) * z - 64.85021904942025
    below = (z + 24.858464901423063) * z + 165.02700983169885
    below = ((below * z + 432.88106049129027) * z + 485.3903996359137) * z + 194.5506571482614
    angle = tangent + tangent * z * top / below
    if turned:
        angle += 0.25 * pi
    if across > forward:
        angle = 0.5 * pi - angle
    return pi - angle if along < 0 else angle


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
    return length, other, arc(across, wv / length), across / other, wv / (length * other)


@inlined
def fill_products(row: Array, columns: Array, products: Array, squares: Array) -> None:
    """Write wᵀv for a unit w = `row` [D] and each v, a column of `columns` [D, 2K], and the squared length of v's part across w.

    The inner loops run over the units side by side, which is what a processor does several at a time.
    """
    products[:] = 0.0
    squares[:] = 0.0
    total = 0.0
    for d in range(row.size):
        total += row[d] * row[d]
        for j in range(products.size):
            products[j] += row[d] * columns[d, j]
    for d in range(row.size):
        for j in range(products.size):
            across = columns[d, j] - products[j] / total * row[d]
            squares[j] += across * across


@inlined
def slope(weights: Array, teacher: Array, gradient: Array) -> float:
    """Write the gradient [K, D] and return the loss less the teacher's own term.

    ∂f(w, v) / ∂w = (sin θ ‖v‖/‖w‖ w + (π − θ) v) / 2π. Of two units of the student each is w once, and the loss has half of both.
    """
    units, size = weights.shape
    columns = np.empty((size, units + teacher.shape[0]))
    for d in range(size):
        for j in range(units):
            columns[d, j] = weights[j, d]
        for j in range(teacher.shape[0]):
            columns[d, units + j] = teacher[j, d]
    products = np.empty(columns.shape[1])
    others = np.empty(columns.shape[1])  # squared lengths across w, then the factors of v in the gradient
    loss = 0.0
    for i in range(units):
        fill_products(weights[i], columns, products, others)
        length = sqrt(products[i])
        own = 0.5
        for j in range(products.size):
            sign = 1.0 if j < units else -1.0
            sign = 0.0 if j == i else sign
            across = sqrt(others[j])
            angle = pi - arc(across, products[j] / length)
            share = 0.5 if j < units else 1.0
            loss += share * sign * (length * across + angle * products[j]) / (2 * pi)
            own += sign * across / (2 * pi * length)
            others[j] = sign * angle / (2 * pi)
        loss += 0.25 * products[i]
        for d in range(size):
            total = own * weights[i, d]
            for j in range(products.size):
                total += others[j] * columns[d, j]
            gradient[i, d] = total
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


@inlined
def stay(recorded: Array, marks: Array, update: int, weights: Array) -> None:
    """Copy the weights to the slots of all marks from this update on."""
    for i in range(marks.size):
        if marks[i] >= update:
            copy(weights, 1.0, recorded[i])


@compiled
def sample_descent(
    start: Array, teacher: Array, key: Any, learning_rate: float, batch_size: int, marks: Array
) -> Array:
    """Return the weights [M, K, D] after `marks` updates of SGD, each on a fresh batch of x ~ N(0, I); NaN from where a run diverged.

    A run ends where it stays for good: only at a global minimum is every example's gradient 0. A unit that is off for some examples may
    hold a weight still for a while, so that many updates in a row must hold all of them.
    """
    weights = start.copy()
    gradient = np.empty_like(start)
    inputs = np.empty(start.shape[1])
    active = np.empty(max(start.shape[0], teacher.shape[0]))
    recorded = np.full((marks.size, *start.shape), np.nan)
    drawn = 0
    quiet = 0  # updates in a row that moved no weight by more than `SETTLED`
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
        step = learning_rate / batch_size * np.max(np.abs(gradient))
        quiet = quiet + 1 if step < SETTLED else 0
        if quiet == QUIET:
            stay(recorded, marks, update, weights)
            break
    return recorded


@inlined
def fill_noise(factor: Array, normal: Array, noise: Array) -> None:
    """Write the noise [P] that independent normal numbers [P] become with a factor [P, P], whose square FᵀF is the covariance."""
    noise[:] = 0.0
    for row in range(factor.shape[0]):
        for column in range(factor.shape[1]):
            noise[column] += normal[row] * factor[row, column]


@compiled
def noisy_descent(
    start: Array, teacher: Array, key: Any, learning_rate: float, factor: Array, deviation: float, marks: Array
) -> Array:
    """Return the weights [M, K, D] after `marks` updates of GD with Gaussian noise of covariance FᵀF on its gradient; F is `factor`.

    F is [K·D, K·D]. Without rows the noise is independent in all directions, of this `deviation`; where that is 0 there is none, and a
    run ends where its gradient vanishes, since it stays there.
    """
    weights = start.copy()
    gradient = np.empty_like(start)
    noise = np.zeros(start.size)
    normal = np.zeros(start.size)
    recorded = np.full((marks.size, *start.shape), np.nan)
    for update in range(1, np.max(marks) + 1):
        slope(weights, teacher, gradient)
        if factor.shape[0] > 0:
            fill_normal(key, update * (noise.size + 1), normal)
            fill_noise(factor, normal, noise)
        elif deviation > 0:
            fill_normal(key, update * (noise.size + 1), normal)
            noise[:] = deviation * normal
        elif np.sum(gradient**2) < STILL * STILL:
            stay(recorded, marks, update, weights)
            break
        weights -= learning_rate * (gradient + noise.reshape(start.shape))
        if not record(recorded, marks, update, weights):
            break
    return recorded


@compiled
def example_gradients(weights: Array, teacher: Array, key: Any, first: int, count: int) -> Array:
    """Return the gradient [N, P] of the loss of each of `count` fresh examples from number `first` on."""
    gradients = np.zeros((count, *weights.shape))
    inputs = np.empty(weights.shape[1])
    active = np.empty(max(weights.shape[0], teacher.shape[0]))
    width = inputs.size + inputs.size % 2
    for example in range(count):
        fill_normal(key, (first + example) * width, inputs)
        add_example(gradients[example], weights, teacher, inputs, active)
    return gradients.reshape(count, weights.size)


def gradient_covariance(weights: Array, teacher: Array, key: Any, examples: int) -> Array:
    """Return the covariance [P, P] of one example's gradient at a stationary point, estimated from so many fresh examples.

    The mean gradient is 0 there, so that it is the mean of the products.
    """
    total = np.zeros((weights.size, weights.size))
    for first in range(0, examples, BLOCK):
        gradients = example_gradients(weights, teacher, key, first, min(BLOCK, examples - first))
        total += gradients.T @ gradients
    return total / examples


def square_root(covariance: Array) -> Array:
    """Return F [P, P] with FᵀF equal to a covariance, from its eigenvalues; those below 0, by rounding, count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    return np.ascontiguousarray(np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T)


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
