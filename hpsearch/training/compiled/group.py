"""`ResidentLane`: a trial's arrays, and the way from a `TrialSpec` to the kernel and back."""

from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hpsearch.data.dataset import Data
from hpsearch.training import batch_order, draws
from hpsearch.training.compiled import activations, kernel, losses
from hpsearch.training.compiled.single import PART, train_single
from hpsearch.training.compiled.updates import make_rule
from hpsearch.training.groups import Window
from hpsearch.training.progress import Weights
from hpsearch.training.steps import step_table
from hpsearch.trial import Architecture, TrialSpec

Floats = npt.NDArray[Any]

NOBODY = np.empty(0)
PATIENCE = 3e9  # multiply-adds of one compiled call: a few hundredths of a second, so that Ctrl-C is heard


def fits(spec: TrialSpec, data: Data) -> str | None:
    """Return why `ResidentLane` cannot train a trial, in words; None where it can."""
    assert spec.architecture is not None, "a network of one's own trains in the reference engine"
    if spec.architecture.activation not in activations.CODES:
        return f"the kernel has no activation '{spec.architecture.activation}'"
    return None if data.task.name in losses.CODES else f"the kernel has no task '{data.task.name}'"


class ResidentLane:
    """One trial in a core's cache (a `Lane`)."""

    def __init__(self, spec: TrialSpec, data: Data) -> None:
        assert spec.architecture is not None
        self.spec, self.data, self.architecture = spec, data, spec.architecture
        self.dtype: Any = data.training.inputs.numpy().dtype
        self.single = spec.batch_size == 1  # weights lie [units, inputs] then, else [inputs, units]
        self.chunk = min(kernel.CHUNK, max(spec.batch_size, len(data.validation)))
        self.network = _network(spec.architecture, data.task.name, self.chunk)
        self.rule, self.rows = make_rule(spec), _rows(data, self.dtype)
        self.state = self._state()
        self.room = self._room()
        self.done = self.evaluations = 0
        self.seconds = 0.0
        self.score = (0.0, 0.0)

    def advance(self, stopping: Callable[[], bool]) -> Mapping[int, Window] | None:
        """Train to the next evaluation (see `Lane`)."""
        until = self.spec.evaluate_at[self.evaluations]
        start, first = perf_counter(), self.done
        seen = self.train(until, stopping)
        if seen is None:
            return None
        self.seconds += perf_counter() - start
        if until > first:
            self.score = self.data.score(torch.from_numpy(self._outputs()), self.data.validation)
        self.evaluations += 1
        return {self.spec.number: Window(torch.from_numpy(seen), self.score, self.seconds)}

    def train(self, until: int, stopping: Callable[[], bool], norms: Floats = NOBODY) -> Floats | None:
        """Train to an update and return the losses [updates] on the way, NaN after one that is not finite; None where told to stop.

        `norms` [updates] takes how far each update moved the weights (Euclidean), where somebody asks.
        """
        seen, first = np.full(until - self.done, np.nan), self.done
        while self.done < until:
            if stopping():
                return None
            at = self.done - first
            count = self._call(seen[at:], norms[at:], until)
            self.done += count
            if not np.isfinite(seen[at + count - 1]):
                break
        self.done = until
        return seen

    def weights(self, number: int) -> Weights:
        """Return a copy of the weights (see `Lane`)."""
        named, flat = {}, torch.from_numpy(self.state.weights)
        for layer, (a, b) in enumerate(pairwise(self.architecture.sizes)):
            at = int(self.network.weights[layer])
            weight, bias = flat[at : at + a * b], flat[at + a * b : at + (a + 1) * b]
            weight = weight.view(b, a) if self.single else weight.view(a, b).t()
            named[f"layers.{layer}.weight"] = weight.clone(memory_format=torch.contiguous_format)
            named[f"layers.{layer}.bias"] = bias.clone()
        return named

    def drop(self, numbers: Collection[int]) -> None:
        """Do nothing: the only trial stays (see `Lane`)."""

    def _call(self, seen: Floats, norms: Floats, until: int) -> int:
        """Train updates of one pass over the rows in one compiled call; return how many."""
        size = self.spec.batch_size
        per_pass = len(self.data.training) // size
        pass_, index = divmod(self.done, per_pass)
        work = 3 * size * sum((a + 1) * b for a, b in pairwise(self.architecture.sizes))
        count = min(until - self.done, per_pass - index, max(1, int(PATIENCE / work)))
        order = batch_order.batch_order(self.spec.order_seed, size, pass_, len(self.data.training))
        train = train_single if self.single else kernel.train
        return int(
            train(
                self.network,
                self.state,
                self.room,
                self.rows,
                order[index * size : (index + count) * size],
                size,
                self.rule,
                step_table(self.spec, self.done, self.done + count),
                draws.noise_seed(self.spec.order_seed),
                self.done,
                seen[:count],
                norms[:count],
                np.empty_like(self.state.weights) if norms.size else self.state.weights[:0],
            )
        )

    def _outputs(self) -> Floats:
        inputs = self.data.validation.inputs.numpy()
        outputs = np.empty((len(inputs), self.architecture.outputs), self.dtype)
        kernel.predict(
            self.network, self._transposed() if self.single else self.state.weights, inputs, self.room, outputs
        )
        return outputs

    def _transposed(self) -> Floats:
        """Return weights that lie [units, inputs] as matrix products take them."""
        flat = self.state.weights.copy()
        for at, (a, b) in zip(self.network.weights, pairwise(self.architecture.sizes), strict=True):
            flat[at : at + a * b] = flat[at : at + a * b].reshape(b, a).T.reshape(-1)
        return flat

    def _state(self) -> kernel.State:
        count = self.architecture.parameters
        weights = np.zeros(count, self.dtype)
        drawn = draws.initial_weights(self.architecture, self.spec.seed)
        for at, weight in zip(self.network.weights, drawn, strict=True):
            weights[at : at + weight.numel()] = (weight if self.single else weight.t()).numpy().reshape(-1)
        first, second = (np.zeros(count if kept else 0, self.dtype) for kept in (self.rule.first, self.rule.second))
        return kernel.State(weights, np.zeros(count, self.dtype), first, second)

    def _room(self) -> kernel.Room:
        units = sum(self.architecture.sizes[1:])
        values, slopes, deltas = (np.empty(self.chunk * units, self.dtype) for _ in range(3))
        large = self.spec.batch_size > kernel.CHUNK
        part = np.empty(self.architecture.parameters if large else max(PART, *self.architecture.sizes), self.dtype)
        return kernel.Room(np.empty(self.chunk * self.architecture.inputs, self.dtype), values, slopes, deltas, part)


def _network(architecture: Architecture, task: str, chunk: int) -> kernel.Network:
    counts = [(a + 1) * b for a, b in pairwise(architecture.sizes)]
    return kernel.Network(
        np.array(architecture.sizes),
        np.cumsum([0, *counts[:-1]]),
        np.cumsum([0, *architecture.sizes[1:-1]]) * chunk,
        activations.CODES[architecture.activation],
        losses.CODES[task],
        float(architecture.dropout),
        draws.noise_threshold(architecture.dropout),
    )


def _rows(data: Data, dtype: Any) -> kernel.Rows:
    targets, weights = data.training.targets.numpy(), data.row_weights
    labels = targets.ndim == 1
    return kernel.Rows(
        data.training.inputs.numpy(),
        np.empty((0, 0), dtype) if labels else targets,
        targets if labels else np.empty(0, np.int64),
        np.empty(0, dtype) if weights is None else weights.numpy(),
    )
