"""The reference engine: one trial at a time in plain torch. It is the specification of training; every other engine equals it."""

from collections.abc import Callable
from contextlib import nullcontext
from time import perf_counter

import torch
from torch import nn

from hpsearch.data.dataset import Data
from hpsearch.training import TrialSource, draws
from hpsearch.training.batches import Batches
from hpsearch.training.memory import exhausted, out_of_memory, release
from hpsearch.training.network import DNN
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.training.progress import Progress
from hpsearch.training.steps import learning_rates
from hpsearch.training.threads import one_thread
from hpsearch.trial import TrainingRun, TrialSpec

EVALUATED = 8192  # validation rows at a time


def train(spec: TrialSpec, data: Data, source: TrialSource, network: nn.Module | None = None) -> TrainingRun | None:
    """Train one network to the end of its budget, or until it stops early, diverges or is pruned; None if it is dropped.

    `data` decides device and precision. `network` is one of the user's own, in place of the specified `DNN`.
    """
    inputs = data.training.inputs
    network, forward = _network(spec, data, network)
    optimizer = OPTIMIZERS[spec.optimizer].build(
        network.parameters(), spec.learning_rate, spec.weight_decay, spec.coefficients
    )
    batches = Batches(data.training, spec)
    progress = Progress(spec, data.metric.direction == "maximize", sum(p.numel() for p in network.parameters()))
    loss_of = data.trained_task.loss
    score, done, seconds = (0.0, 0.0), 0, 0.0
    for until in spec.evaluate_at:
        losses = inputs.new_empty(until - done)  # [updates since the last evaluation]
        rates = learning_rates(spec, done, until).tolist()
        start = _clock(inputs.device)
        network.train()
        for index, update in enumerate(range(done, until)):
            if source.stopping:
                return None
            rows, targets = batches[update]  # [B, F], [B, ...]
            optimizer.param_groups[0]["lr"] = rates[index]
            optimizer.zero_grad()
            loss = loss_of(forward(rows, draws.Noise(spec.order_seed, update)), targets)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses[index] = loss.detach()
        seconds += _clock(inputs.device) - start
        score = _score(network, forward, data) if until > done else score
        run = progress.record(losses, score, seconds, lambda: _copy(network), source)
        if run is not None:
            return run
        done = until
    raise AssertionError("the last evaluation ends a run")


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
    """Train on the trial's fold; exhausted memory becomes an outcome.

    A network of the user's own gets the trial's seed as its global random state.
    """
    try:
        with one_thread(data), torch.random.fork_rng() if build else nullcontext():
            if build:
                torch.manual_seed(spec.seed)
            return train(spec, data.fold(spec.fold), source, build() if build else None)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
    release(data)
    return exhausted(spec)


Forward = Callable[[torch.Tensor, draws.Noise | None], torch.Tensor]


def _network(spec: TrialSpec, data: Data, own: nn.Module | None) -> tuple[nn.Module, Forward]:
    """Return the network on the data's device, and its forward pass; one of the user's own gets inputs [B, *shape], no noise."""
    device, dtype = data.training.inputs.device, data.training.inputs.dtype
    if own is not None:
        network = own.to(device, dtype)
        return network, lambda rows, noise: network(rows.reshape(-1, *data.shape))
    assert spec.architecture is not None, "without a network of one's own there is an architecture"
    network = DNN.initialized(spec.architecture, spec.seed).to(device, dtype)
    return network, network


def _score(network: nn.Module, forward: Forward, data: Data) -> tuple[float, float]:
    network.eval()
    with torch.no_grad():
        outputs = torch.cat([forward(rows, None) for rows in torch.split(data.validation.inputs, EVALUATED)])
    return data.score(outputs, data.validation)


def _copy(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()
