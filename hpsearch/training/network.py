"""`DNN`: the specification of the forward pass.

The layers sit in an `nn.ModuleList`, which registers them: a plain list would hide them, and the optimizer would train nothing.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from hpsearch.data.dataset import Data
from hpsearch.data.pieces import PiecewiseLinear
from hpsearch.errors import UserError
from hpsearch.training import draws
from hpsearch.training.layers import ACTIVATIONS
from hpsearch.trial import Architecture


class DNN(nn.Module):
    """A dense network of any depth: linear layers with an activation (and dropout) between them, raw outputs at the end.

    The head (identity, sigmoid or softmax) belongs to the task: the losses take raw outputs, which is the stable way.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(architecture.sizes))
        self.activation = ACTIVATIONS[architecture.activation]
        self.dropout = architecture.dropout

    @classmethod
    def initialized(cls, architecture: Architecture, seed: int) -> "DNN":
        """Return the network with the initial weights of a trial's seed and zero biases, in float64."""
        with torch.device("meta"):  # torch's own initial draws would only be thrown away
            network = cls(architecture)
        network = network.to_empty(device="cpu").double()
        for layer, weight in zip(network.layers, draws.initial_weights(architecture, seed), strict=True):
            assert isinstance(layer, nn.Linear)
            layer.weight.data.copy_(weight)
            layer.bias.data.zero_()
        return network

    def forward(self, inputs: torch.Tensor, noise: draws.Noise | None = None) -> torch.Tensor:
        """Return raw outputs [B, outputs] of inputs [B, ...]; `noise` is the dropout of a training update, None evaluates."""
        hidden = inputs.flatten(1)  # [B, inputs]
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden)  # [B, widths[number]], [B, outputs] at the end
            if number + 1 == len(self.layers):
                break
            hidden = self.activation(hidden)
            if noise is not None and self.dropout:
                hidden = hidden * noise.keep(number, self.dropout, hidden)
        return hidden


class EncodedDNN(DNN):
    """A dense network whose layers see the inputs with their pieces; the encoding is part of its state."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        self.encoding = PiecewiseLinear(architecture.pieces)

    def forward(self, inputs: torch.Tensor, noise: draws.Noise | None = None) -> torch.Tensor:
        """Return raw outputs [B, outputs] of inputs [B, F]."""
        return super().forward(self.encoding(inputs), noise)


def dense_network(architecture: Architecture) -> DNN:
    """Return the network that predicts from inputs [B, F], with torch's own initial weights."""
    return EncodedDNN(architecture) if architecture.pieces else DNN(architecture)


def encoding_state(data: Data, architecture: Architecture | None) -> dict[str, torch.Tensor]:
    """Return what the encoding adds to the weights of a network that trained on these data: {} where it is standard."""
    if architecture is None or not architecture.pieces:
        return {}
    assert data.pieces is not None, "a network that sees pieces trains on data that have them"
    return {"encoding.low": data.pieces.low.clone(), "encoding.width": data.pieces.width.clone()}


def registration(architecture: Architecture) -> dict[str, Any]:
    """Return what torch registers of a network, and what of the same one with layers in a plain list.

    `module_list` and `plain_list`: the tensors and numbers that `parameters()` lists; `error`: what the optimizer says to the second.
    `moved`: how far each layer's weights came in ten updates where all but the output layer are in a plain list, and no error is raised.
    """
    network = DNN.initialized(architecture, seed=0)
    hidden = nn.Module()
    hidden.layers = list(network.layers)  # type: ignore[assignment]  # a plain list, which torch does not look into
    cases = (("module_list", network), ("plain_list", hidden))
    found: dict[str, Any] = {
        name: {"tensors": len(list(m.parameters())), "numbers": sum(p.numel() for p in m.parameters())}
        for name, m in cases
    }
    try:
        torch.optim.SGD(hidden.parameters(), lr=0.1)
    except ValueError as error:
        found["error"] = str(error)
    return found | {"moved": _moved(network, architecture)}


def _moved(network: DNN, architecture: Architecture) -> list[float]:
    """Return how far each layer of the network moves in ten updates on random rows, its output layer alone being registered."""
    *_, last = network.layers
    partly = nn.Module()
    partly.hidden = list(network.layers)[:-1]  # type: ignore[assignment]
    partly.output = last
    before = [layer.weight.detach().clone() for layer in network.layers]  # type: ignore[operator]
    rows = torch.randn(8, architecture.sizes[0], generator=draws.generator("registration"), dtype=torch.float64)
    optimizer = torch.optim.Adam(partly.parameters(), lr=0.01)  # its steps are bounded, whatever the network
    for _ in range(10):
        optimizer.zero_grad()
        network(rows).square().mean().backward()
        optimizer.step()
    after = [layer.weight.detach() for layer in network.layers]  # type: ignore[operator]
    return [float((new - old).norm()) for new, old in zip(after, before, strict=True)]


def refuse_hidden_parameters(network: nn.Module) -> None:
    """Refuse a network that keeps modules or parameters in a plain list, tuple or dict.

    torch registers what is an attribute or sits in an `nn.ModuleList`, `nn.ModuleDict` or `nn.ParameterList`. What sits in a plain
    container is absent from `parameters()`: the optimizer never trains it, and no error says so.

    Raises:
        UserError: names the attribute and the container to use; or the network has nothing to train.
    """
    registered = {id(item) for item in (*network.modules(), *network.parameters())}
    for path, module in network.named_modules():
        for name in vars(module).keys() - TORCH_ATTRIBUTES:
            value = vars(module)[name]
            if (hidden := _hidden(value, registered)) is not None:
                where = ".".join(filter(None, (type(network).__name__, path, name)))
                kind = "Module" if isinstance(hidden, nn.Module) else "Parameter"
                container = f"nn.{kind}{'Dict' if isinstance(value, dict) else 'List'}"
                raise UserError(
                    f"{where} is a plain {type(value).__name__} that holds a {type(hidden).__name__}: torch does not "
                    f"register it, so the optimizer would never train it. Use {container} instead."
                )
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UserError(
            f"{type(network).__name__} has no parameter to train. Make its layers attributes of an nn.Module."
        )


TORCH_ATTRIBUTES = frozenset(vars(nn.Module()))  # _modules, _parameters, ...: torch's own containers


def _hidden(value: object, registered: set[int]) -> nn.Module | nn.Parameter | None:
    """Return the first unregistered module or parameter in a plain container, however deep."""
    if not isinstance(value, list | tuple | dict):
        return None
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, nn.Module | nn.Parameter):
            if id(item) not in registered:
                return item
        elif (found := _hidden(item, registered)) is not None:
            return found
    return None
