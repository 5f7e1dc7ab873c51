"""Small networks at given weights for the tests of diagnostics."""

import torch

from hpsearch.comparison.measurements.state import State
from hpsearch.data import TASKS, Rows
from hpsearch.training.network import DNN
from hpsearch.trial import Architecture

TASK_NAMES = ("regression", "binary", "multiclass")


def small_state(
    task: str, rows: int = 23, widths: tuple[int, ...] = (6, 4), activation: str = "tanh", dropout: float = 0.0
) -> tuple[State, Rows]:
    """A network of 5 inputs with random weights and biases, and random rows; regression has two target columns."""
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(rows, 5, generator=generator, dtype=torch.float64)
    targets = {
        "regression": torch.randn(rows, 2, generator=generator, dtype=torch.float64),
        "binary": torch.randint(0, 2, (rows, 1), generator=generator).double(),
        "multiclass": torch.randint(0, 3, (rows,), generator=generator),
    }[task]
    outputs = {"regression": 2, "binary": 1, "multiclass": 3}[task]
    architecture = Architecture(5, widths, outputs, activation, dropout)
    weights = DNN.initialized(architecture, seed=4).state_dict()
    for bias in weights.values():
        if bias.ndim == 1:
            bias.add_(0.3 * torch.randn(bias.shape, generator=generator, dtype=torch.float64))
    return State(architecture, TASKS[task], weights), Rows(inputs, targets)


def network_of(state: State) -> DNN:
    """The network itself, in evaluation: the independent way to outputs, losses and gradients."""
    network = DNN(state.architecture).double()
    network.load_state_dict(dict(state.weights))
    return network
