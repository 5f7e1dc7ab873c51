"""From a source's numbers to predictions: preprocessing, networks and the task's head as one torch module.

`predict`, ONNX files and torch's programs share it. B rows, F inputs, C classes, K target columns, P columns of the source.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hpsearch.data.target_form import TargetForm, restored
from hpsearch.data.tasks import TASKS
from hpsearch.data.transform import transform_of
from hpsearch.errors import StorageError
from hpsearch.model.models import Member, Model
from hpsearch.training.network import dense_network
from hpsearch.training.own import own_random_state

CHUNK = 8_192  # rows at a time: activations of a few hundred megabytes at most
MISSING_SHARE = 0.1  # of plausible cells


class Predictor(nn.Module):
    """A model's networks and what makes predictions of their outputs: inputs [B, F] → predictions [B, C] or [B, K].

    Probabilities are in the weights' type, two columns for a binary task; values are in the target's units, float64.
    """

    target_mean: Tensor  # [K]
    target_scale: Tensor  # [K]

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.networks = nn.ModuleList(network_of(member) for member in model.members)
        self.task = TASKS[model.task]
        self.combination = model.combination
        self.register_buffer("target_mean", torch.tensor(model.target_mean, dtype=torch.float64))
        self.register_buffer("target_scale", torch.tensor(model.target_scale, dtype=torch.float64))
        self.output = TargetOutput(model.target_form) if model.target_form else None

    def forward(self, inputs: Tensor) -> Tensor:
        """Return what the networks predict together."""
        each = [self._one(network, inputs) for network in self.networks]
        predictions = self.combination.predict(self.task, each)  # [B, outputs]
        if self.task.has_classes:
            return self.task.decode(predictions)
        learned = predictions.double() * self.target_scale + self.target_mean
        if self.output is None:
            return learned
        values: Tensor = self.output(learned)
        return values

    def _one(self, network: nn.Module, inputs: Tensor) -> Tensor:
        weight = next(network.parameters())
        predictions: Tensor = self.task.head(network(inputs.to(weight.dtype)))  # [B, outputs]
        return predictions


class TargetOutput(nn.Module):
    """What networks learned of a target, not standardised any more → its values within their range, [B, K] float64.

    Limits and shifts are buffers, since numbers of a graph are float32 in ONNX.
    """

    low: Tensor  # [K]
    high: Tensor  # [K]
    shifts: Tensor  # [K]

    def __init__(self, form: TargetForm) -> None:
        super().__init__()
        self.transforms = form.shifts is not None
        for name, numbers in (("low", form.low), ("high", form.high), ("shifts", form.shifts or ())):
            self.register_buffer(name, torch.tensor(numbers, dtype=torch.float64))

    def forward(self, learned: Tensor) -> Tensor:
        """Return values in the target's units."""
        values = restored(learned, self.shifts) if self.transforms else learned
        return torch.minimum(torch.maximum(values, self.low), self.high)


class OwnModule(nn.Module):
    """A network of the user's own, for flat inputs [B, F]."""

    def __init__(self, network: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        self.shape = shape

    def forward(self, inputs: Tensor) -> Tensor:
        """Return raw outputs [B, outputs]."""
        outputs: Tensor = self.network(inputs.reshape(-1, *self.shape))
        return outputs


def network_of(member: Member) -> nn.Module:
    """Return a member's network with its weights, on the CPU, without a gradient."""
    if member.architecture is None:
        assert member.network is not None, "a network without an architecture is of the user's own"
        with own_random_state(member.seed, torch.device("cpu")):
            own = member.network()
        own.load_state_dict(dict(member.weights), assign=True)
        return OwnModule(own, member.network.shape).cpu().requires_grad_(False).eval()
    with torch.device("meta"):  # initial weights would only be thrown away
        network = dense_network(member.architecture)
    network.load_state_dict(dict(member.weights), assign=True)
    return network.requires_grad_(False).eval()


class InferencePipeline(nn.Module):
    """A table's numbers [N, P], or images [N, C, H, W] → probabilities [N, C] (binary: [N, 2]), or values [N, K] float64.

    Raises (when made):
        StorageError: the model's preprocessing is missing or damaged.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.transform = transform_of(model.preprocessing)
        self.predictor = Predictor(model)
        given = self.transform.inputs
        taken = model.members[0].inputs
        if given != taken:
            raise StorageError(
                f"the model's preprocessing gives {given} inputs, its network takes {taken}. Copy its files again."
            )

    def forward(self, numbers: Tensor) -> Tensor:
        """Return predictions of a source's numbers."""
        predictions: Tensor = self.predictor(self.transform(numbers))
        return predictions


def predict(model: Model, inputs: Tensor, device: torch.device | str | None = None) -> Tensor:
    """Return predictions of inputs [N, F], on the CPU: probabilities [N, C] (binary: [N, 2]) or values [N, K] in the target's units.

    The rows go through the networks in chunks, on `device` (that of the inputs if left out); several networks' predictions are averaged.
    """
    device = inputs.device if device is None else torch.device(device)
    predictor = Predictor(model).to(device)
    with torch.no_grad():
        chunks = [predictor(chunk.to(device)).cpu() for chunk in torch.split(inputs, CHUNK)]
    return torch.cat(chunks)


def plausible(model: Model, rows: int) -> Tensor:
    """Return rows such as a source might have: numbers around the training rows', every category, unseen and missing ones.

    A table's are numbers [rows, P], images [rows, C, H, W] bytes on the scale of its own; float64.
    """
    generator = torch.Generator().manual_seed(0)
    given = model.preprocessing
    if given["kind"] == "images":
        largest = int(given["range"][1]) if given.get("bits") == 16 else 255
        pixels: Tensor = torch.randint(0, largest + 1, (rows, *given["shape"]), generator=generator)
        return pixels.double() / float(given["divisor"])
    numbers = torch.stack([_drawn(column, rows, generator) for column in given["columns"]], dim=1)  # [rows, P]
    return numbers.masked_fill(torch.rand(numbers.shape, generator=generator) < MISSING_SHARE, torch.nan)


def _drawn(column: Mapping[str, Any], rows: int, generator: torch.Generator) -> Tensor:
    """Return a column's numbers [rows]."""
    if column["kind"] == "boolean":
        return torch.randint(0, 2, (rows,), generator=generator).double()
    if column["kind"] == "category":
        unseen = len(column["categories"])
        return torch.randint(0, unseen + 1, (rows,), generator=generator).double()
    mean = float(column["mean"][0])  # a date's is that of its days
    spread = float(column["scale"][0])
    return mean + spread * torch.randn(rows, generator=generator, dtype=torch.float64)
