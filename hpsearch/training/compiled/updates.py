"""The update of all weights, compiled: the formula of `optimizers.Update` in one pass over the numbers."""

from typing import NamedTuple

import numpy as np

from hpsearch.training.compiled.jit import Array, inlined
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.trial import TrialSpec


class Rule(NamedTuple):
    """An `optimizers.Update` as compiled code takes it."""

    first: bool
    second: bool
    decay: float
    first_keep: float
    first_take: float
    second_keep: float
    second_take: float
    direct: float
    through: float
    epsilon: float


def make_rule(spec: TrialSpec) -> Rule:
    """Return the rule of a trial."""
    update = OPTIMIZERS[spec.optimizer].update(spec.coefficients)
    decay = 0.0 if update.decoupled else spec.weight_decay
    shared = (float(getattr(update, name)) for name in Rule._fields[3:])
    return Rule(update.first, update.second, decay, *shared)


@inlined
def update_weights(
    rule: Rule, step: float, scale: float, shrink: float, weights: Array, gradient: Array, first: Array, second: Array
) -> None:
    """Update `weights` [P] and moments by their gradient; `first` and `second` are empty where the rule has none."""
    t = weights.dtype.type
    decay, step, scale, shrink, epsilon = t(rule.decay), t(step), t(scale), t(shrink), t(rule.epsilon)
    first_keep, first_take, through = t(rule.first_keep), t(rule.first_take), t(rule.through)
    second_keep, second_take, direct = t(rule.second_keep), t(rule.second_take), t(rule.direct)
    if rule.first and rule.second:
        for i in range(weights.size):
            g = gradient[i] + decay * weights[i]
            first[i] = first_keep * first[i] + first_take * g
            second[i] = second_keep * second[i] + second_take * g * g
            divisor = np.sqrt(second[i]) * scale + epsilon
            weights[i] = shrink * weights[i] - step * (direct * g + through * first[i]) / divisor
    elif rule.first:
        for i in range(weights.size):
            g = gradient[i] + decay * weights[i]
            first[i] = first_keep * first[i] + first_take * g
            weights[i] = shrink * weights[i] - step * (direct * g + through * first[i])
    elif rule.second:
        for i in range(weights.size):
            g = gradient[i] + decay * weights[i]
            second[i] = second_keep * second[i] + second_take * g * g
            divisor = np.sqrt(second[i]) * scale + epsilon
            weights[i] = shrink * weights[i] - step * direct * g / divisor
    else:
        for i in range(weights.size):
            g = gradient[i] + decay * weights[i]
            weights[i] = shrink * weights[i] - step * direct * g


@inlined
def distance(one: Array, other: Array) -> float:
    """Return the Euclidean distance of two arrays [P], added up in double precision."""
    total = 0.0
    for i in range(one.size):
        step = float(one[i] - other[i])
        total += step * step
    return float(np.sqrt(total))
