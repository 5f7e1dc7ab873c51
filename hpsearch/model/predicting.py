"""From inputs to predictions: the networks of a model as one torch module, and its run over rows in chunks.

B rows, F inputs, C classes, K target columns.
"""

import torch
from torch import Tensor, nn

from hpsearch.data.tasks import TASKS
from hpsearch.model.saved import Member, Model
from hpsearch.training.network import DNN

CHUNK = 8_192  # rows at a time: activations of a few hundred megabytes at most


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
        self.register_buffer("target_mean", torch.tensor(model.target_mean, dtype=torch.float64))
        self.register_buffer("target_scale", torch.tensor(model.target_scale, dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the mean of the networks' predictions."""
        each = [self._one(network, inputs) for network in self.networks]
        return each[0] if len(each) == 1 else torch.stack(each).mean(dim=0)  # [B, C] or [B, K]

    def _one(self, network: nn.Module, inputs: Tensor) -> Tensor:
        weight = next(network.parameters())
        predictions = self.task.head(network(inputs.to(weight.dtype)))  # [B, outputs]
        if self.task.has_classes:
            return self.task.decode(predictions)
        return predictions.double() * self.target_scale + self.target_mean


def network_of(member: Member) -> DNN:
    """Return a member's network with its weights, on the CPU, without a gradient."""
    with torch.device("meta"):  # initial weights would only be thrown away
        network = DNN(member.architecture)
    network.load_state_dict(dict(member.weights), assign=True)
    return network.requires_grad_(False).eval()


def predict(model: Model, inputs: Tensor, device: torch.device | str | None = None) -> Tensor:
    """Return predictions of inputs [N, F], on the CPU: probabilities [N, C] (binary: [N, 2]) or values [N, K] in the target's units.

    The rows go through the networks in chunks, on `device` (that of the inputs if left out); several networks' predictions are averaged.
    """
    place = torch.device(device) if device is not None else inputs.device
    predictor = Predictor(model).to(place)
    with torch.no_grad():
        chunks = [predictor(chunk.to(place)).cpu() for chunk in torch.split(inputs, CHUNK)]
    return torch.cat(chunks)
