"""A student of rectified units and a teacher of the same kind under x ~ N(0, I): loss, gradient and Hessian in closed form.

The student is Σ_j relu(w_jᵀx), the loss ½ E (student − teacher)². With the arc-cosine kernel of first degree (Cho and Saul 2009, eq. 3-6)

    f(w, v) = E relu(wᵀx) relu(vᵀx) = ‖w‖‖v‖ (sin θ + (π − θ) cos θ) / 2π,    θ the angle between w and v,

the loss is ½ Σ f(w_i, w_j) − Σ f(w_i, v_j) + ½ Σ f(v_i, v_j) (Safran and Shamir 2018, §3, whose minima these are). Names in shapes:
K units, D inputs.
"""

from math import atan2, pi, sqrt
from typing import Any

import numpy as np

from hpsearch.training.compiled.jit import Array, compiled, inlined


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
    gradient[:, :] = 0.5 * weights
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
