"""Data on their way to a worker: arrays and plain values. Test rows stay behind, since no worker has any use for them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hpsearch.data.dataset import Data, Fold, Rows
from hpsearch.data.metrics import METRICS
from hpsearch.data.tasks import TASKS

Array = npt.NDArray[np.generic]
Division = tuple[Array, Array, Array, Array, Array, Array]  # training and validation rows, the target's mean and scale


@dataclass(frozen=True, slots=True)
class Parcel:
    """A `Data` as NumPy arrays; task and metric are named, since their functions are found in the tables at the other end."""

    task: str
    metric: str
    divisions: tuple[Division, ...]  # the data's own, then those of the folds
    class_weights: Array | None
    plain: Mapping[str, Any]


def pack(data: Data) -> Parcel:
    """Return data as arrays."""
    plain = {name: getattr(data, name) for name in ("name", "title", "shape", "outputs", "classes")}
    weights = None if data.class_weights is None else _array(data.class_weights)
    parts: list[Data | Fold] = [data, *data.folds]
    divisions = tuple(map(_division, parts))
    return Parcel(data.task.name, data.metric.name, divisions, weights, {**plain, "summary": dict(data.summary)})


def unpack(parcel: Parcel) -> Data:
    """Return the data of a parcel on the CPU, without test rows."""
    own, *folds = map(_fold, parcel.divisions)
    weights = None if parcel.class_weights is None else _tensor(parcel.class_weights)
    return Data(
        task=TASKS[parcel.task],
        metric=METRICS[parcel.metric],
        training=own.training,
        validation=own.validation,
        test=none_of(own.training),
        target_mean=own.target_mean,
        target_scale=own.target_scale,
        folds=tuple(folds),
        class_weights=weights,
        **parcel.plain,
    )


def without_test(data: Data) -> Data:
    """Return data without their test rows."""
    return replace(data, test=none_of(data.training))


def none_of(rows: Rows) -> Rows:
    """Return a part without rows."""
    return Rows(rows.inputs[:0], rows.targets[:0])


def arrays_of(weights: Mapping[str, Tensor]) -> dict[str, Array]:
    """Return weights as arrays."""
    return {name: _array(tensor) for name, tensor in weights.items()}


def tensors_of(arrays: Mapping[str, Array], device: torch.device) -> dict[str, Tensor]:
    """Return weights on a device."""
    return {name: _tensor(array).to(device) for name, array in arrays.items()}


def _division(part: Data | Fold) -> Division:
    rows = (part.training.inputs, part.training.targets, part.validation.inputs, part.validation.targets)
    inputs, targets, others, answers = map(_array, rows)
    return inputs, targets, others, answers, _array(part.target_mean), _array(part.target_scale)


def _fold(division: Division) -> Fold:
    inputs, targets, others, answers, mean, scale = map(_tensor, division)
    return Fold(Rows(inputs, targets), Rows(others, answers), mean, scale)


def _array(tensor: Tensor) -> Array:
    return np.ascontiguousarray(tensor.detach().cpu().numpy())


def _tensor(array: Array) -> Tensor:
    """Return an array as a tensor; one from Ray's store is everybody's and may not be written, so it is copied."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())
