"""Losses, compiled: the loss of some rows, and its gradient in place of the outputs. Rows by their names in `TASKS`."""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hpsearch.training.compiled.activations import exp
from hpsearch.training.compiled.jit import Array, inlined

REGRESSION, BINARY, MULTICLASS = range(3)
CODES = {
    "regression": REGRESSION,
    "binary": BINARY,
    "multiclass": MULTICLASS,
    "multilabel": BINARY,  # of several columns
}


class Rows(NamedTuple):
    """The training rows: inputs [N, F]; targets [N, K] and labels [N], one of which is used; weights [N] in the loss, or none."""

    inputs: Array
    targets: Array
    labels: npt.NDArray[np.int64]
    weights: Array


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
def _cross_entropy(row: Array, label: int, smoothing: float, share: float) -> Any:
    """Return the loss of one row of outputs and leave the gradient in its place; `smoothing` as in `TrialSpec.label_smoothing`."""
    most, total = row[0], type(row[0])(0)
    for value in row[1:]:
        most = value if value > most else most
    certain, equal = type(row[0])(1 - smoothing), type(row[0])(smoothing / row.size)
    right = certain * (row[label] - most)
    if equal > 0:
        for value in row:
            right += equal * (value - most)
    for unit in range(row.size):
        row[unit] = exp(row[unit] - most)
    for unit in range(row.size):
        total += row[unit]
    for unit in range(row.size):
        row[unit] = row[unit] * (share / total) - equal * share
    row[label] -= certain * share
    return (math.log(total) - right) * share


@inlined
def loss_and_gradient(
    code: int,
    outputs: Array,
    units: int,
    bias: Array,
    rows: Rows,
    chosen: Array,
    share: float,
    smoothing: float,
) -> float:
    """Return the loss of the chosen [n] rows and leave its gradient in `outputs` [n · units], to which `bias` is added first.

    `share` is one over the numbers that the loss is the mean of; `smoothing` is that of the labels.
    """
    loss = 0.0
    equal = type(outputs[0])(share)
    certain, half = type(outputs[0])(1 - smoothing), type(outputs[0])(smoothing / 2)
    for index in range(chosen.size):
        row = outputs[index * units : (index + 1) * units]
        part = equal
        if rows.weights.size:
            part = equal * rows.weights[chosen[index]]
        for unit in range(units):
            row[unit] += bias[unit]
        if code == MULTICLASS:
            loss += _cross_entropy(row, rows.labels[chosen[index]], smoothing, part)
            continue
        for unit in range(units):
            if code == BINARY:
                target = certain * rows.targets[chosen[index], unit] + half
                value, row[unit] = _binary_cross_entropy(row[unit], target, part)
            else:
                value, row[unit] = _squared_error(row[unit], rows.targets[chosen[index], unit], part)
            loss += value
    return loss
