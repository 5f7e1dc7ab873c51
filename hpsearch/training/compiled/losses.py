"""Losses, compiled: the loss of some rows, and its gradient in place of the outputs. Rows by their names in `TASKS`."""

import math
from typing import Any

from hpsearch.training.compiled.activations import exp
from hpsearch.training.compiled.jit import Array, inlined

CODES = {"regression": 0, "binary": 1, "multiclass": 2}
REGRESSION, BINARY, MULTICLASS = CODES.values()


@inlined
def _squared_error(output: float, target: float, share: float) -> Any:
    error = output - target
    return error * error * share, type(output)(2) * error * share


@inlined
def _binary_cross_entropy(output: float, target: float, share: float) -> Any:
    zero, one = type(output)(0), type(output)(1)
    small = math.exp(-abs(output))
    loss = (output if output > zero else zero) - output * target + math.log1p(small)
    probability = (one if output >= zero else small) / (one + small)
    return loss * share, (probability - target) * share


@inlined
def _cross_entropy(row: Array, label: int, share: float) -> Any:
    """Return the loss of one row of outputs and leave the gradient in its place."""
    most, total = row[0], type(row[0])(0)
    for value in row[1:]:
        most = value if value > most else most
    right = row[label] - most
    for unit in range(row.size):
        row[unit] = exp(row[unit] - most)
    for unit in range(row.size):
        total += row[unit]
    for unit in range(row.size):
        row[unit] *= share / total
    row[label] -= share
    return (math.log(total) - right) * share


@inlined
def loss_and_gradient(
    code: int,
    outputs: Array,
    units: int,
    bias: Array,
    targets: Array,
    labels: Array,
    weights: Array,
    rows: Array,
    share: float,
) -> float:
    """Return the loss of rows and leave its gradient in `outputs` [n · units], to which `bias` is added first.

    `targets` [N, units] and `labels` [N] are those of all rows (one of the two is used), as are the `weights` [N] of their losses (empty
    where all weigh alike), `rows` [n] the numbers of these, `share` one over the numbers that the loss is the mean of.
    """
    loss, equal = 0.0, type(outputs[0])(share)
    for index in range(rows.size):
        row = outputs[index * units : (index + 1) * units]
        part = equal * weights[rows[index]] if weights.size else equal
        for unit in range(units):
            row[unit] += bias[unit]
        if code == MULTICLASS:
            loss += _cross_entropy(row, labels[rows[index]], part)
            continue
        for unit in range(units):
            if code == BINARY:
                value, row[unit] = _binary_cross_entropy(row[unit], targets[rows[index], unit], part)
            else:
                value, row[unit] = _squared_error(row[unit], targets[rows[index], unit], part)
            loss += value
    return loss
