"""Scaling: inputs and targets with mean 0 and standard deviation 1 over the *training* rows, and over no others.

Tables are scaled column by column, images channel by channel: a pixel that is lit in one image of 50,000 would, scaled by itself,
become a number in the hundreds. Columns that are constant in the training rows carry nothing to learn from and are dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.data.cells import Array, Inputs, label
from hpsearch.data.splits import Split
from hpsearch.data.target_form import TargetForm
from hpsearch.errors import UserError, listed


@dataclass(frozen=True, slots=True)
class Scaled:
    """Standardised inputs, float32 [rows, F]: (training, validation) of each division of a split, and the test rows'.

    `tests` are the test rows of each division, where a split has them; `test` those of the first.
    `shape` is that of one input, `preprocessing` turns new rows into such inputs, `notices` are for a reader, and `columns` summarise
    what a table's columns became.
    """

    divisions: tuple[tuple[Tensor, Tensor], ...]
    test: Tensor
    shape: tuple[int, ...]
    notices: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    columns: tuple[Mapping[str, Any], ...] = ()
    tests: tuple[Tensor, ...] = ()


def scale_inputs(inputs: Inputs, split: Split) -> Scaled:
    """Standardise the parts of inputs by the training rows' mean and standard deviation (of the population, as scikit-learn's)."""
    names = inputs.columns
    if len(inputs.shape) == 1:
        inputs, notices = _drop_constant(inputs, split)
    else:
        notices = _constant_channels(inputs, split)
    divisions: list[tuple[Tensor, Tensor]] = []
    fitted: list[tuple[Tensor, Tensor]] = []
    for number, (training, validation) in enumerate(split.divisions):
        others = _part(inputs, validation)
        if number and training is split.training:  # the same rows, which memory holds once
            own, _ = divisions[0]
            mean, scale = fitted[0]
        else:
            values = _part(inputs, training)
            mean, scale = _statistics(values)
            own = _finish(values, mean, scale, inputs)
        divisions.append((own, _finish(others, mean, scale, inputs)))
        fitted.append((mean, scale))
    tests = [
        _finish(_part(inputs, test), mean, scale, inputs)
        for test, (mean, scale) in zip(split.tests, fitted, strict=bool(split.tests))
    ]
    return Scaled(
        tuple(divisions),
        test=tests[0] if tests else _finish(_part(inputs, split.test), *fitted[0], inputs),
        shape=inputs.shape,
        notices=notices,
        preprocessing=_preprocessing(inputs, names, *fitted[0], split.training),
        tests=tuple(tests),
    )


def scale_targets(targets: Array, rows: Array, form: TargetForm) -> tuple[Tensor, Tensor, Tensor]:
    """Return what networks learn of targets [N, K], float64, standardised by the training `rows`, and their mean and scale [K].

    Raises:
        UserError: they do not vary there, or training in float32 would take some of them for infinite.
    """
    values = form.learned(torch.from_numpy(targets))
    training = values[torch.from_numpy(rows)]  # [n, K]
    mean = training.mean(dim=0)
    scale = training.std(dim=0, correction=0)
    if not bool(((scale > 0) & scale.isfinite()).all()):
        raise UserError(
            "target: constant, or too large to square, in the training rows. Check the target or give more rows."
        )
    standardised = (values - mean) / scale
    if not bool(standardised.float().isfinite().all()):
        raise UserError(
            "target: values too large for float32 after standardising. Drop those rows, or rescale it (its logarithm, perhaps)."
        )
    return standardised, mean, scale


def _preprocessing(
    inputs: Inputs, names: tuple[str, ...], mean: Tensor, scale: Tensor, training: Array
) -> dict[str, Any]:
    """Return what was fitted as plain values: a mean and a scale for each column, or each channel of images."""
    means = mean.flatten().tolist()
    scales = scale.flatten().tolist()
    if len(inputs.shape) > 1:
        fitted = {"kind": "images", "version": 1, "shape": list(inputs.shape), "mean": means, "scale": scales}
        return {**fitted, "source": "arrays", "size": None, "divisor": 1}
    values = inputs.values[training]
    ranges = np.stack([values.min(axis=0), values.max(axis=0)], axis=1).astype(np.float64).tolist()
    columns = []
    for name, center, spread, limits in zip(inputs.columns, means, scales, ranges, strict=True):
        fitted = {"fill": None, "indicator": False, "mean": [center], "scale": [spread], "range": limits}
        columns.append({"name": name, "kind": "number", **fitted})
    used = set(inputs.columns)
    dropped = [{"name": name, "reason": "constant"} for name in names if name not in used]
    head = {"kind": "table", "version": 1, "target": None, "reading": {}}
    return {**head, "columns": columns, "dropped": dropped}


def _part(inputs: Inputs, rows: Array) -> Tensor:
    """Return a copy of rows, as float32 where that is exact (pixels), else float64: [rows, columns or channels, values of one]."""
    values = inputs.values[rows]
    exact = values.dtype.itemsize == 1
    numbers = torch.from_numpy(values).to(torch.float32 if exact else torch.float64)
    groups = inputs.shape[0]
    return numbers.reshape(len(rows), groups, values.shape[1] // groups)


def _statistics(training: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each group, [1, G, 1] float64; a group that does not vary has scale 1."""
    mean = training.mean(dim=(0, 2), keepdim=True, dtype=torch.float64)
    centred = training - mean.to(training.dtype)
    scale = torch.linalg.vector_norm(centred, dim=(0, 2), keepdim=True, dtype=torch.float64)
    scale = scale / (training.shape[0] * training.shape[2]) ** 0.5
    # A scale that overflowed would divide to 0: NaN instead is refused.
    return mean, scale.masked_fill(scale == 0, 1.0).masked_fill(scale.isinf(), torch.nan)


def _finish(part: Tensor, mean: Tensor, scale: Tensor, inputs: Inputs) -> Tensor:
    """Standardise in place and return float32 [rows, F]."""
    part.sub_(mean.to(part.dtype)).div_(scale.to(part.dtype))
    flat = part.reshape(len(part), part.shape[1] * part.shape[2]).to(torch.float32)
    if inputs.values.dtype.itemsize > 1 and not bool(flat.isfinite().all()):
        where = label(inputs.columns, int((~flat.isfinite()).any(dim=0).int().argmax()))
        raise UserError(
            f"inputs: {where} has values too large for float32 after standardising. Rescale it (its logarithm, perhaps)."
        )
    return flat


def _drop_constant(inputs: Inputs, split: Split) -> tuple[Inputs, tuple[str, ...]]:
    training = inputs.values[split.seen]
    varies = training.min(axis=0) != training.max(axis=0)  # [F]
    constant = list(compress(inputs.columns, ~varies))
    if not constant:
        return inputs, ()
    if not varies.any():
        raise UserError("inputs: every column is constant in the training rows. Check the inputs.")
    columns = tuple(compress(inputs.columns, varies))
    notice = f"Dropped {len(constant)} of {len(varies)} columns, constant in the training rows: {listed(constant)}."
    return Inputs(inputs.values[:, varies], (len(columns),), columns), (notice,)


def _constant_channels(inputs: Inputs, split: Split) -> tuple[str, ...]:
    channels = inputs.shape[0]
    training = inputs.values[split.seen].reshape(len(split.seen), channels, -1)
    constant = np.flatnonzero(training.min(axis=(0, 2)) == training.max(axis=(0, 2)))
    if len(constant) == channels:
        raise UserError("inputs: every pixel of every training image has one value. Check the inputs.")
    if not len(constant):
        return ()
    return (f"Constant channels, left as zeros: {', '.join(map(str, constant))}.",)
