"""The student's updates as compiled loops: fresh batches (SGD), the whole distribution (GD) with or without isotropic noise, a polish.

Names in shapes: K units, D inputs, M marks (updates after which the weights are recorded).
"""

from math import sqrt
from typing import Any

import numpy as np

from hpsearch.comparison.escape.streams import fill_normal
from hpsearch.comparison.escape.student import curvature, own_term, slope
from hpsearch.training.compiled.jit import Array, compiled, inlined

FAR = 1e3  # a weight as large as this has left: the teacher's are at most 1
ROUNDING = 1e-12  # of a loss, summed from terms that cancel


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
            recorded[i] = weights
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
            gradient[:, :] = moved_gradient
            damping /= 4
        else:
            damping *= 8
    return weights, loss + own_term(teacher), norm, done
