"""A network at given weights: the weights as one vector [P], and the loss as a function of that vector.

Shapes: P parameters, N rows; layer l has weights [H_l, H_(l-1)] and biases [H_l], in the vector one after the other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from hpsearch.data.dataset import Rows
from hpsearch.data.tasks import Task
from hpsearch.training.layers import ACTIVATIONS
from hpsearch.trial import Architecture

CHUNK = 4096  # rows at a time: memory does not grow with the data


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A network at given weights (as `DNN.state_dict()` has them) and the task whose loss it is trained on (`Data.trained_task`)."""

    architecture: Architecture
    task: Task
    weights: Mapping[str, Tensor]

    def vector(self, rows: Rows) -> Tensor:
        """Return the weights as a vector [P] in the precision and on the device of the rows."""
        return flatten(self.weights).to(rows.inputs)


def flatten(weights: Mapping[str, Tensor]) -> Tensor:
    """Return all weights as one vector [P], in the order of `DNN.parameters()`."""
    return torch.cat([weight.detach().reshape(-1) for weight in weights.values()])


def unflatten(vector: Tensor, architecture: Architecture) -> dict[str, Tensor]:
    """Return the weights by name, as `DNN.load_state_dict` takes them: views of the vector [P]."""
    weights = {}
    start = 0
    for layer, (inputs, units) in enumerate(pairwise(architecture.sizes)):
        for name, shape in (("weight", (units, inputs)), ("bias", (units,))):
            count = torch.Size(shape).numel()
            weights[f"layers.{layer}.{name}"] = vector[start : start + count].view(shape)
            start += count
    return weights


def forward(architecture: Architecture, vector: Tensor, inputs: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return the inputs [N, H_(l-1)] and the weighted sums [N, H_l] of each layer; the last sums are the raw outputs.

    The specification is `DNN.forward`; the measurements need its inner values.
    """
    weights = unflatten(vector, architecture)
    entering = [inputs.flatten(1)]
    sums: list[Tensor] = []
    for layer in range(len(architecture.sizes) - 1):
        if layer:
            entering.append(ACTIVATIONS[architecture.activation](sums[-1]))  # [N, H_(l-1)]
        sums.append(F.linear(entering[-1], weights[f"layers.{layer}.weight"], weights[f"layers.{layer}.bias"]))
    return entering, sums


def loss_at(architecture: Architecture, task: Task, vector: Tensor, rows: Rows) -> Tensor:
    """Return the task's loss of the network with the weights `vector` [P], mean over the rows: a scalar with a gradient."""
    return task.loss(forward(architecture, vector, rows.inputs)[1][-1], rows.targets)


def chunks(rows: Rows) -> Iterator[tuple[Rows, float]]:
    """Return the rows in parts of at most `CHUNK`, each with its share of all rows: a mean is the sum of shares times means."""
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        chunk = Rows(rows.inputs[part], rows.targets[part])
        yield chunk, len(chunk) / len(rows)


def mean_loss(architecture: Architecture, task: Task, vector: Tensor, rows: Rows) -> float:
    """Return the loss over all rows at the weights `vector` [P], a chunk at a time."""
    with torch.no_grad():
        return sum(float(loss_at(architecture, task, vector, chunk)) * share for chunk, share in chunks(rows))
