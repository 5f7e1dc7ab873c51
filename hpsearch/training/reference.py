"""The reference engine: one trial at a time in plain torch. It is the specification of training; every other engine equals it.

The data set lies on the device as a tensor, and a batch is a slice of it: no DataLoader.
"""

from collections.abc import Callable
from contextlib import nullcontext
from time import perf_counter

import torch
from torch import nn

from hpsearch.data.dataset import Data, Rows
from hpsearch.training import TrialSource, draws
from hpsearch.training.network import DNN
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.training.progress import Progress
from hpsearch.training.schedules import SCHEDULES
from hpsearch.trial import Architecture, History, Outcome, TrainingRun, TrialSpec

BLOCK = 8192  # rows gathered at a time: few calls at batch size 1, no second copy of the data set


def train(spec: TrialSpec, data: Data, source: TrialSource, network: nn.Module | None = None) -> TrainingRun | None:
    """Train one network to the end of its budget, or until it stops early, diverges or is pruned; None if it is dropped.

    `data` decides device and precision. `network` is one of the user's own, in place of the specified `DNN`.
    """
    inputs = data.training.inputs
    own = network is not None
    network = (network or DNN.initialized(_architecture(spec), spec.seed)).to(inputs.device, inputs.dtype)
    optimizer = OPTIMIZERS[spec.optimizer].build(
        network.parameters(), spec.learning_rate, spec.weight_decay, spec.coefficients
    )
    factors = SCHEDULES[spec.schedule].factors(spec.updates)
    batches = Batches(data.training, spec)
    progress = Progress(spec, data.metric.direction == "maximize", sum(p.numel() for p in network.parameters()))
    forward = _shaped(network, data.shape) if own else network
    done, seconds = 0, 0.0
    for until in spec.evaluate_at:
        losses = inputs.new_empty(until - done)
        start = _clock(inputs.device)
        network.train()
        for index, update in enumerate(range(done, until)):
            if source.stopping:
                return None
            rows, targets = batches[update]  # [B, F], [B, ...]
            optimizer.param_groups[0]["lr"] = spec.learning_rate * factors[update]
            optimizer.zero_grad()
            outputs = forward(rows) if own else network(rows, draws.Noise(spec.order_seed, update))
            loss = data.task.loss(outputs, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses[index] = loss.detach()
        seconds, done = seconds + _clock(inputs.device) - start, until
        run = progress.record(losses, _score(forward, network, data), seconds, lambda: _copy(network), source)
        if run is not None:
            return run
    raise AssertionError("the last evaluation ends a run")


class Batches:
    """Batches by update: a pass visits the rows in a fresh order; rows that do not fill a last batch wait for another pass."""

    def __init__(self, rows: Rows, spec: TrialSpec) -> None:
        self.rows, self.spec, self.count = rows, spec, len(rows.inputs)
        self.per_pass = self.count // spec.batch_size
        self.per_block = max(1, BLOCK // spec.batch_size)
        self.order = (-1, torch.empty(0, dtype=torch.long))
        self.block = (-1, -1, rows.inputs, rows.targets)

    def __getitem__(self, update: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs [B, F] and targets [B, ...] of an update."""
        size = self.spec.batch_size
        if size == self.count:
            return self.rows.inputs, self.rows.targets
        pass_, index = divmod(update, self.per_pass)
        block, offset = divmod(index, self.per_block)
        if self.block[:2] != (pass_, block):
            self.block = (pass_, block, *self._gather(pass_, block * self.per_block * size))
        part = slice(offset * size, (offset + 1) * size)
        return self.block[2][part], self.block[3][part]

    def _gather(self, pass_: int, start: int) -> tuple[torch.Tensor, torch.Tensor]:
        if self.order[0] != pass_:
            order = draws.batch_order(self.spec.order_seed, self.spec.batch_size, pass_, self.count)
            self.order = (pass_, order.to(self.rows.inputs.device))
        chosen = self.order[1][start : start + self.per_block * self.spec.batch_size]
        return self.rows.inputs.index_select(0, chosen), self.rows.targets.index_select(0, chosen)


class ReferenceEngine:
    """The engine with room for one trial."""

    def __init__(self, data: Data) -> None:
        self.data = data

    def run(self, source: TrialSource) -> None:
        """Train until the source has nothing left."""
        while specs := source.take(1):
            if (run := train_safely(specs[0], self.data, source)) is not None:
                source.finish(run)


def train_safely(
    spec: TrialSpec, data: Data, source: TrialSource, build: Callable[[], nn.Module] | None = None
) -> TrainingRun | None:
    """Train; exhausted memory becomes an outcome. A network of the user's own gets the trial's seed as its global random state."""
    try:
        with torch.random.fork_rng() if build else nullcontext():
            if build:
                torch.manual_seed(spec.seed)
            return train(spec, data, source, build() if build else None)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        detail = f"out of memory with batch size {spec.batch_size}"
    if data.training.inputs.is_cuda:  # outside the except: the traceback would keep the tensors alive
        torch.cuda.empty_cache()
    return TrainingRun(spec.number, Outcome.OUT_OF_MEMORY, History(), detail=detail)


def _architecture(spec: TrialSpec) -> Architecture:
    assert spec.architecture is not None
    return spec.architecture


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def _score(forward: Callable[[torch.Tensor], torch.Tensor], network: nn.Module, data: Data) -> tuple[float, float]:
    network.eval()
    with torch.no_grad():
        outputs = torch.cat([forward(block) for block in torch.split(data.validation.inputs, BLOCK)])
    return data.score(outputs, data.validation)


def _shaped(network: nn.Module, shape: tuple[int, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Give a network of the user's own its inputs in the data set's shape, images as [B, C, H, W]."""
    return lambda rows: network(rows.reshape(-1, *shape))


def _copy(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()
