"""`CompiledTrial`: a trial's arrays, and the way from a `TrialSpec` to the kernel and back."""

from collections.abc import Collection, Mapping
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hpsearch.data.dataset import Data
from hpsearch.training import draws
from hpsearch.training.compiled import activations, kernel, losses
from hpsearch.training.compiled.single_row import PART, train_single_row
from hpsearch.training.groups import Capabilities
from hpsearch.training.optimizers import make_rule
from hpsearch.training.progress import Score, Stopping, Weights, named_weights
from hpsearch.training.schedules import step_table
from hpsearch.trial import Architecture, TrialSpec

Floats = npt.NDArray[Any]

CAPABILITIES = Capabilities(
    "the compiled engine", device_types=("cpu",), tasks=losses.CODES, activations=activations.CODES
)
NO_LENGTHS = np.empty(0)
CALL_WORK = 3e9  # multiply-adds of one compiled call: a few hundredths of a second, so that Ctrl-C is answered soon


class CompiledTrial:
    """One trial in a core's cache (a `TrialGroup` of one)."""

    def __init__(self, spec: TrialSpec, data: Data) -> None:
        self.spec = spec
        self.data = data
        self.architecture = spec.dense_architecture
        self.dtype: Any = data.training.inputs.numpy().dtype
        self.single_row = spec.batch_size == 1  # weights lie [units, inputs] then, else [inputs, units]
        self.chunk = min(kernel.CHUNK, max(spec.batch_size, len(data.validation)))
        self.network = _network(spec, data.task.name, self.chunk)
        self.rule = make_rule(spec)
        self.rows = _rows(data, self.dtype)
        self.state = self._state()
        self.scratch = self._scratch()
        self.done = 0  # updates
        self.seconds = 0.0

    def train(self, until: int, stopping: Stopping, lengths: Floats = NO_LENGTHS) -> Mapping[int, torch.Tensor] | None:
        """Train to an update (see `TrialGroup`); the losses after one that is not finite are NaN.

        `lengths` [updates], where given, is filled with how far each update moved the weights (Euclidean).
        """
        start = perf_counter()
        first = self.done
        losses = np.full(until - first, np.nan)
        while self.done < until:
            if stopping():
                return None
            index = self.done - first
            count = self._call(losses[index:], lengths[index:], until)
            self.done += count
            if not np.isfinite(losses[index + count - 1]):
                break
        self.done = until
        self.seconds += perf_counter() - start
        return {self.spec.number: torch.from_numpy(losses)}

    def scores(self) -> Mapping[int, Score]:
        """Return loss and metric on the validation rows (see `TrialGroup`)."""
        rows = self.data.validation
        inputs = rows.inputs.numpy()
        outputs = np.empty((len(inputs), self.architecture.outputs), self.dtype)
        weights = self.state.weights
        if self.single_row:
            weights = self._transposed()
        kernel.predict(self.network, weights, inputs, self.scratch, outputs)
        return {self.spec.number: self.data.score(torch.from_numpy(outputs), rows)}

    def weights(self, number: int) -> Weights:
        """Return a copy of the weights as they are now (see `TrialGroup`)."""
        return named_weights(self._layers(self.state.weights))

    def drop(self, numbers: Collection[int]) -> None:
        """Do nothing: the only trial stays (see `TrialGroup`)."""

    def _call(self, losses: Floats, lengths: Floats, until: int) -> int:
        """Train updates of one pass over the rows in one compiled call; return how many."""
        size = self.spec.batch_size
        rows = len(self.data.training)
        per_pass = rows // size
        pass_, index = divmod(self.done, per_pass)
        work = 3 * size * self.architecture.parameters
        count = min(until - self.done, per_pass - index, max(1, int(CALL_WORK / work)))
        order = draws.batch_order_array(self.spec.order_seed, size, pass_, rows)
        before = self.state.weights[:0]
        if lengths.size:
            before = np.empty_like(self.state.weights)
        feed = kernel.Feed(
            order=order[index * size : (index + count) * size],
            batch_size=size,
            steps=step_table(self.spec, self.done, self.done + count),
            noise_seed=draws.noise_seed(self.spec.order_seed),
            update=self.done,
            losses=losses[:count],
            norms=lengths[:count],
            before=before,
        )
        train = train_single_row if self.single_row else kernel.train
        return int(train(self.network, self.state, self.scratch, self.rows, self.rule, feed))

    def _transposed(self) -> Floats:
        """Return weights that lie [units, inputs] as matrix products take them."""
        flat = self.state.weights.copy()
        in_order = layers_of(torch.from_numpy(flat), self.architecture)
        for (new, _), (old, _) in zip(in_order, self._layers(self.state.weights), strict=True):
            new.copy_(old)
        return flat

    def _layers(self, weights: Floats) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return layers_of(torch.from_numpy(weights), self.architecture, by_unit=self.single_row)

    def _state(self) -> kernel.State:
        count = self.architecture.parameters
        weights = np.zeros(count, self.dtype)
        draws.draw_layers(self._layers(weights), self.spec)
        return kernel.State(
            weights=weights,
            gradient=np.zeros(count, self.dtype),
            first=np.zeros(count if self.rule.first else 0, self.dtype),
            second=np.zeros(count if self.rule.second else 0, self.dtype),
        )

    def _scratch(self) -> kernel.Scratch:
        units = sum(self.architecture.sizes[1:])
        part = max(PART, *self.architecture.sizes)
        if self.spec.batch_size > kernel.CHUNK:
            part = self.architecture.parameters
        return kernel.Scratch(
            inputs=np.empty(self.chunk * self.architecture.sizes[0], self.dtype),
            values=np.empty(self.chunk * units, self.dtype),
            slopes=np.empty(self.chunk * units, self.dtype),
            deltas=np.empty(self.chunk * units, self.dtype),
            part=np.empty(part, self.dtype),
        )


def layers_of(
    flat: torch.Tensor, architecture: Architecture, by_unit: bool = False
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return weight [units, inputs] and bias [units] of each layer, as views into a trial's numbers [P].

    A weight lies there as [inputs, units], or `by_unit` as it is returned.
    """
    layers: list[tuple[torch.Tensor, torch.Tensor]] = []
    start = 0
    for inputs, units in pairwise(architecture.sizes):
        bias = start + inputs * units
        weight = flat[start:bias]
        if by_unit:
            weight = weight.view(units, inputs)
        else:
            weight = weight.view(inputs, units).t()
        layers.append((weight, flat[bias : bias + units]))
        start = bias + units
    return layers


def _network(spec: TrialSpec, task: str, chunk: int) -> kernel.Network:
    architecture = spec.dense_architecture
    counts = [(inputs + 1) * units for inputs, units in pairwise(architecture.sizes)]
    return kernel.Network(
        sizes=np.array(architecture.sizes),
        weights=np.cumsum([0, *counts[:-1]]),
        activations=np.cumsum([0, *architecture.sizes[1:-1]]) * chunk,
        activation=activations.CODES[architecture.activation],
        loss=losses.CODES[task],
        rate=float(architecture.dropout),
        threshold=draws.noise_threshold(architecture.dropout),
        smoothing=spec.label_smoothing,
    )


def _rows(data: Data, dtype: Any) -> losses.Rows:
    targets = data.training.targets.numpy()
    weights = data.row_weights
    labels = targets.ndim == 1
    return losses.Rows(
        inputs=data.training.inputs.numpy(),
        targets=np.empty((0, 0), dtype) if labels else targets,
        labels=targets if labels else np.empty(0, np.int64),
        weights=np.empty(0, dtype) if weights is None else weights.numpy(),
    )
