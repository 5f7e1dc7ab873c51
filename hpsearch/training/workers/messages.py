"""The messages between the coordinator and a worker: plain frozen values; arrays are NumPy's, so that no tensor is ever shared or pickled.

Data travel as a `SerializedDataset`. Test rows stay behind, since no worker has any use for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hpsearch.data.dataset import Data, Fold, Rows
from hpsearch.data.metrics import METRICS
from hpsearch.data.pieces import Pieces
from hpsearch.data.tasks import TASKS
from hpsearch.trial import TrainingRun, TrialSpec

Array = npt.NDArray[np.generic]
PLAIN = ("name", "title", "shape", "outputs", "classes", "labels", "target_form")  # fields of `Data`
# Inputs, targets and weights (None: all alike) of the training and of the validation rows, the target's mean and scale.
Division = tuple[Array | None, ...]


@dataclass(frozen=True, slots=True)
class Commands:
    """What the coordinator tells a worker, which has had so many of its reports, runs and weights `acknowledged`.

    `train` are new trials; those of `end` end at their next evaluation; the weights of finished ones are to be sent or to be dropped.
    """

    train: tuple[TrialSpec, ...] = ()
    end: tuple[int, ...] = ()
    send_weights: tuple[int, ...] = ()
    drop_weights: tuple[int, ...] = ()
    acknowledged: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """A worker's process runs; it does not hold its data yet."""

    pid: int
    machine: str  # an identifier of it; empty where all workers are on one


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker takes so many trials at a time."""

    slots: int


@dataclass(frozen=True, slots=True)
class Logged:
    """What a worker logs, with logging's level: which engine it trains with, and why."""

    line: str
    level: int


@dataclass(frozen=True, slots=True)
class RungReported:
    """A trial's metric at a rung."""

    number: int
    evaluation: int
    metric: float


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run without its weights; they wait for the command to send or to drop them."""

    run: TrainingRun


@dataclass(frozen=True, slots=True)
class WeightsSent:
    """The weights of a run's best network, and of its last one where that is kept."""

    number: int
    weights: Mapping[str, Array]
    last_weights: Mapping[str, Array] | None


@dataclass(frozen=True, slots=True)
class Alive:
    """A worker that has nothing else to say runs; its engine trains on a thread of its own."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The last event of a worker whose engine raised."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker is gone, says its pool; `charged`: a trial that it trained may be the cause."""

    reason: str
    charged: bool = True


Event = Started | Ready | Alive | Logged | RungReported | RunFinished | WeightsSent | Failed | Lost


@dataclass(frozen=True, slots=True)
class SerializedDataset:
    """A `Data` as NumPy arrays; task and metric are named, since their functions are found in the tables at the other end."""

    task: str
    metric: str
    divisions: tuple[Division, ...]  # the data's own, then those of the folds
    class_weights: Array | None
    piece_counts: tuple[int, ...]
    plain: Mapping[str, Any]  # the fields of `Data` that are plain values


def serialize(data: Data) -> SerializedDataset:
    """Return data as arrays."""
    plain = {name: getattr(data, name) for name in PLAIN}
    plain["summary"] = dict(data.summary)
    parts: list[Data | Fold] = [data, *data.folds]
    return SerializedDataset(
        task=data.task.name,
        metric=data.metric.name,
        divisions=tuple(map(_division, parts)),
        class_weights=_array_or_none(data.class_weights),
        piece_counts=data.piece_counts,
        plain=plain,
    )


def deserialize(dataset: SerializedDataset) -> Data:
    """Return serialized data on the CPU, without test rows."""
    own, *folds = (_fold(division, dataset.piece_counts) for division in dataset.divisions)
    return Data(
        task=TASKS[dataset.task],
        metric=METRICS[dataset.metric],
        training=own.training,
        validation=own.validation,
        test=no_rows(own.training),
        target_mean=own.target_mean,
        target_scale=own.target_scale,
        folds=tuple(folds),
        class_weights=_tensor_or_none(dataset.class_weights),
        pieces=own.pieces,
        **dataset.plain,
    )


def without_test(data: Data) -> Data:
    """Return data without their test rows."""
    return replace(data, test=no_rows(data.training))


def no_rows(rows: Rows) -> Rows:
    """Return a part without rows."""
    return rows.take(slice(0))


def weights_sent(run: TrainingRun) -> WeightsSent:
    """Return the weights of a usable run as a message."""
    assert run.weights is not None, "only usable runs have weights to send"
    last = None if run.last_weights is None else _arrays_of(run.last_weights)
    return WeightsSent(run.number, _arrays_of(run.weights), last)


def with_weights(run: TrainingRun, sent: WeightsSent, device: torch.device) -> TrainingRun:
    """Return a run with its weights on a device."""
    last = None if sent.last_weights is None else _tensors_of(sent.last_weights, device)
    return replace(run, weights=_tensors_of(sent.weights, device), last_weights=last)


def without_weights(run: TrainingRun) -> TrainingRun:
    """Return a run as it travels before its weights are asked for."""
    return replace(run, weights=None, last_weights=None)


def _arrays_of(weights: Mapping[str, Tensor]) -> dict[str, Array]:
    return {name: _array(tensor) for name, tensor in weights.items()}


def _tensors_of(arrays: Mapping[str, Array], device: torch.device) -> dict[str, Tensor]:
    return {name: _tensor(array).to(device) for name, array in arrays.items()}


def _division(part: Data | Fold) -> Division:
    training = (part.training.inputs, part.training.targets, part.training.weights)
    validation = (part.validation.inputs, part.validation.targets, part.validation.weights)
    pieces = (part.pieces.low, part.pieces.width) if part.pieces else (None, None)
    tensors = (*training, *validation, part.target_mean, part.target_scale, *pieces)
    return tuple(map(_array_or_none, tensors))


def _fold(division: Division, counts: tuple[int, ...]) -> Fold:
    tensors: list[Any] = list(map(_tensor_or_none, division))
    *rows, mean, scale, low, width = tensors
    pieces = None if low is None else Pieces(counts, low, width)
    return Fold(Rows(*rows[:3]), Rows(*rows[3:]), mean, scale, pieces=pieces)


def _array(tensor: Tensor) -> Array:
    return np.ascontiguousarray(tensor.detach().cpu().numpy())


def _array_or_none(tensor: Tensor | None) -> Array | None:
    return None if tensor is None else _array(tensor)


def _tensor_or_none(array: Array | None) -> Tensor | None:
    return None if array is None else _tensor(array)


def _tensor(array: Array) -> Tensor:
    """Return an array as a tensor; one from Ray's store is shared by all and may not be written, so it is copied."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())
