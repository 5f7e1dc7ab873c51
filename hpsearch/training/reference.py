"""The reference engine: one trial at a time in plain torch. It is the specification of training; every other engine equals it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from time import perf_counter

import torch
from torch import nn

from hpsearch.data.dataset import Data, Rows
from hpsearch.data.tasks import mean_loss
from hpsearch.training import TrialSource, draws
from hpsearch.training.devices import device_of, free_memory, one_thread, out_of_memory
from hpsearch.training.network import DNN, encoding_state
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.training.own import (
    EVALUATED,
    NO_GRADIENT,
    OwnCodeFailed,
    failed_run,
    mark_trained,
    own_errors,
    own_random_state,
    refuse_trained,
    refuse_unlisted,
    refuse_unsaved,
)
from hpsearch.training.progress import Evaluations, Progress, Score, Stopping, Weights, out_of_memory_run
from hpsearch.training.schedules import each_learning_rate
from hpsearch.trial import TrainingRun, TrialSpec

BLOCK = 8192  # rows gathered at a time: few calls at batch size 1, no second copy of the data set

Forward = Callable[[torch.Tensor, draws.Noise | None], torch.Tensor]

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]  # inputs [B, F], targets [B, ...], weights [B]


class Batches:
    """The batches of a trial, as slices of tensors on the device; `batches[update]` is inputs [B, F] and targets [B, ...].

    `weighted` has the weights [B] of the rows too.

    A pass visits the rows in a fresh order, in batches of exactly B; rows that do not fill a last batch wait for another pass.
    """

    def __init__(self, rows: Rows, spec: TrialSpec, weights: torch.Tensor | None = None) -> None:
        self.rows = rows
        self.weights = weights  # in the loss, of all rows [N]; None: all alike
        self.spec = spec
        self.count = len(rows)
        self.per_pass = self.count // spec.batch_size
        self.per_block = max(1, BLOCK // spec.batch_size)
        self._block = (-1, -1)  # the pass and the block that are gathered
        self._gathered: Batch = (rows.inputs, rows.targets, weights)

    def __getitem__(self, update: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the batch of an update; the full batch is the rows themselves."""
        inputs, targets, _ = self.weighted(update)
        return inputs, targets

    def weighted(self, update: int) -> Batch:
        """Return the batch of an update with the weights of its rows, if they have some."""
        size = self.spec.batch_size
        if size == self.count:
            return self.rows.inputs, self.rows.targets, self.weights
        pass_, index = divmod(update, self.per_pass)
        block, offset = divmod(index, self.per_block)
        if self._block != (pass_, block):
            self._gathered = self._gather(update - offset)
            self._block = (pass_, block)
        inputs, targets, weights = self._gathered
        batch = slice(offset * size, (offset + 1) * size)
        return inputs[batch], targets[batch], None if weights is None else weights[batch]

    def _gather(self, start: int) -> Batch:
        """Return the rows of a block of updates, which ends with its pass."""
        end_of_pass = (start // self.per_pass + 1) * self.per_pass
        stop = min(start + self.per_block, end_of_pass)
        chosen = draws.batch_rows(self.spec, start, stop, self.count).flatten().to(self.rows.inputs.device)
        weights = self.weights
        if weights is not None:
            weights = weights.index_select(0, chosen)
        return self.rows.inputs.index_select(0, chosen), self.rows.targets.index_select(0, chosen), weights


class ReferenceTrial:
    """One trial in training (a `TrialGroup` of one).

    `data` decides device and precision. `network` is one of the user's own, in place of the specified `DNN`.
    """

    def __init__(self, spec: TrialSpec, data: Data, network: nn.Module | None = None) -> None:
        self.spec = spec
        self.data = data
        self.device = device_of(data)
        self.network, self.forward = _network(spec, data, network)
        self.optimizer = OPTIMIZERS[spec.optimizer].build(
            self.network.parameters(), spec.learning_rate, spec.weight_decay, spec.coefficients
        )
        self.batches = Batches(data.training, spec, data.row_weights)
        self.is_own = network is not None
        self.untrained: set[str] = set()  # parameters that no gradient has reached so far
        self.done = 0  # updates
        self.seconds = 0.0

    @property
    def parameters(self) -> int:
        """Trainable numbers of the network, and those that are not trained."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def train(self, until: int, stopping: Stopping) -> Mapping[int, torch.Tensor] | None:
        """Train to an update (see `TrialGroup`)."""
        start = _clock(self.device)
        losses = self.data.training.inputs.new_empty(until - self.done)
        self.network.train()
        for index, rate in enumerate(each_learning_rate(self.spec, self.done, until)):
            if stopping():
                return None
            losses[index] = self.update(self.done + index, rate)
        self.done = until
        self.seconds += _clock(self.device) - start
        return {self.spec.number: losses}

    def scores(self) -> Mapping[int, Score]:
        """Return loss and metric on the validation rows (see `TrialGroup`)."""
        rows = self.data.validation
        self.network.eval()
        with torch.no_grad():
            outputs = torch.cat([self.forward(part, None) for part in torch.split(rows.inputs, EVALUATED)])
        return {self.spec.number: self.data.score(outputs, rows)}

    def weights(self, number: int) -> Weights:
        """Return a copy of the weights as they are now (see `TrialGroup`)."""
        return {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}

    def drop(self, numbers: Collection[int]) -> None:
        """Do nothing: the only trial stays (see `TrialGroup`)."""

    def update(self, update: int, learning_rate: float) -> torch.Tensor:
        """Make one update of the weights (counted from 0); return the loss before it."""
        rows, targets, weights = self.batches.weighted(update)  # [B, F], [B, ...], [B]
        self.optimizer.param_groups[0]["lr"] = learning_rate
        self.optimizer.zero_grad()
        outputs = self.forward(rows, draws.Noise(self.spec.order_seed, update))
        loss = mean_loss(self.data.task, outputs, targets, weights, self.spec.label_smoothing)
        if self.is_own and update == self.done:  # the first since the last evaluation
            refuse_unlisted(loss, self.network, rows, self.optimizer.param_groups[0]["params"])
        if self.is_own and update == 0:
            self.untrained = {name for name, one in self.network.named_parameters() if one.requires_grad}
        loss.backward()
        if self.untrained:
            self.untrained -= {name for name, one in self.network.named_parameters() if one.grad is not None}
        self.optimizer.step()
        return loss.detach()


def train(spec: TrialSpec, data: Data, source: TrialSource, network: nn.Module | None = None) -> TrainingRun | None:
    """Train one network to the end of its budget, or until it stops early, diverges or is pruned; None if it is dropped.

    `data` and `network` are those of `ReferenceTrial`.
    """
    trial = ReferenceTrial(spec, data, network)
    encoding = encoding_state(data, spec.architecture)
    progress = Progress(spec, data.metric.direction == "maximize", trial.parameters)
    evaluations = Evaluations(trial, spec.evaluate_at, spec.max_seconds)
    run = None
    while run is None:
        with own_errors(spec, data):
            windows = evaluations.advance(lambda: source.stopping)
        if windows is None:
            return progress.out_of_time() if evaluations.expired else None
        run = progress.record(windows[spec.number], lambda: {**trial.weights(spec.number), **encoding}, source)
    if trial.untrained and not run.detail:
        return replace(run, detail=f"{NO_GRADIENT} {', '.join(sorted(trial.untrained))}")
    return run


def train_safely(spec: TrialSpec, data: Data, source: TrialSource) -> TrainingRun | None:
    """Train on the trial's fold; exhausted memory becomes an outcome, and so does an error of code of the user's own."""
    try:
        with one_thread(device_of(data)):
            return _train(spec, data, source)
    except OwnCodeFailed as error:
        return failed_run(spec, error)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
    free_memory(data)
    return out_of_memory_run(spec)


def _train(spec: TrialSpec, data: Data, source: TrialSource) -> TrainingRun | None:
    """Train on the trial's fold; a network of the user's own gets the trial's seed as its global random state."""
    if spec.network is None:
        return train(spec, data.fold(spec.fold).encoded_for(spec.architecture), source)
    with own_random_state(spec.seed, device_of(data)):
        with own_errors(spec, data):
            network = spec.network()
        run = train(spec, data.fold(spec.fold), source, network)
        if run is not None:
            with own_errors(spec, data):
                refuse_unsaved(spec, data.fold(spec.fold), run)
        return run


class ReferenceEngine:
    """The engine with one slot."""

    def __init__(self, data: Data) -> None:
        self.data = data

    def run(self, source: TrialSource) -> None:
        """Train until the source has nothing left."""
        while specs := source.take(1):
            run = train_safely(specs[0], self.data, source)
            if run is not None:
                source.finish(run)


def _network(spec: TrialSpec, data: Data, own: nn.Module | None) -> tuple[nn.Module, Forward]:
    """Return the network on the data's device, and its forward pass; one of the user's own gets inputs [B, *shape], no noise."""
    device = device_of(data)
    dtype = data.training.inputs.dtype
    if own is not None:
        refuse_trained(own)
        network = own.to(device, dtype)
        mark_trained(network)
        return network, lambda rows, noise: network(rows.reshape(-1, *data.shape))
    dense = DNN.initialized(spec.dense_architecture, spec.seed)
    dense = dense.to(dtype).to(device)  # first the type: Apple's GPU has no float64
    return dense, dense


def _clock(device: torch.device) -> float:
    """Return the time once the device has done what it was given to do."""
    if device.type == "cuda":
        torch.cuda.current_stream(
            device
        ).synchronize()  # to wait for the whole device would spoil another group's recording
    elif device.type == "mps":
        torch.mps.synchronize()
    return perf_counter()
