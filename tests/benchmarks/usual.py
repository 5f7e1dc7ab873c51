"""The usual loop: training as a tutorial writes it, with a `DataLoader`, an `nn.Sequential` and an optimizer of torch."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from hpsearch.data import Data
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.trial import Architecture, TrialSpec
from tests.benchmarks.machine import clock


def usual_network(architecture: Architecture) -> nn.Sequential:
    """Return the network as a tutorial writes it."""
    layers: list[nn.Module] = []
    for a, b in pairwise(architecture.sizes):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def usual_loop(specs: Sequence[TrialSpec], data: Data) -> float:
    """Train one trial and return the seconds; the rows lie in main memory, and every batch is sent to the device."""
    (spec,) = specs
    assert spec.architecture is not None
    device = data.training.inputs.device
    rows = TensorDataset(data.training.inputs.cpu(), data.training.targets.cpu())
    loader = DataLoader(rows, batch_size=spec.batch_size, shuffle=True)
    network, loss_function = usual_network(spec.architecture).to(device), nn.CrossEntropyLoss()
    optimizer = OPTIMIZERS[spec.optimizer].build(network.parameters(), spec.learning_rate, 0.0, {})
    left, start = spec.updates, clock(device)
    while left:
        for inputs, targets in loader:  # [B, F], [B]
            loss = loss_function(network(inputs.to(device)), targets.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            left -= 1
            if not left:
                break
    return clock(device) - start
