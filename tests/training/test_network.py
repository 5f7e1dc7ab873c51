"""The network, and the trap of modules that torch does not see."""

import pytest
import torch
from torch import nn

from hpsearch.errors import UserError
from hpsearch.training.network import DNN, refuse_hidden_parameters, registration
from hpsearch.trial import Architecture


@pytest.mark.parametrize("widths", [(), (7,), (9, 4, 3, 8, 2)])
def test_any_depth(widths: tuple[int, ...]) -> None:
    """A network of any depth, a linear model included, registers every layer and has the architecture's count of parameters."""
    architecture = Architecture(6, widths, 3)
    network = DNN(architecture)
    assert len(network.layers) == len(widths) + 1
    assert sum(p.numel() for p in network.parameters()) == architecture.parameters
    assert network(torch.zeros(4, 6)).shape == (4, 3)


def test_images_are_flattened() -> None:
    """Inputs of any shape are flattened."""
    assert DNN(Architecture(12, (5,), 2))(torch.zeros(4, 3, 2, 2)).shape == (4, 2)


def test_outputs_are_raw() -> None:
    """The network ends in a linear layer: its outputs are not squeezed by sigmoid or softmax."""
    network = DNN.initialized(Architecture(6, (), 3), seed=1)
    inputs = torch.randn(4, 6, dtype=torch.float64)
    (layer,) = network.layers
    assert isinstance(layer, nn.Linear)
    torch.testing.assert_close(network(inputs), inputs @ layer.weight.T)


class Hidden(nn.Module):
    again: list[nn.Module]

    def __init__(self, container: object) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.kept = container


@pytest.mark.parametrize(
    ("container", "advice"),
    [
        ([nn.Linear(2, 2)], "nn.ModuleList"),
        ((nn.Linear(2, 2), nn.ReLU()), "nn.ModuleList"),
        ({"a": nn.Linear(2, 2)}, "nn.ModuleDict"),
        ([[nn.Linear(2, 2)]], "nn.ModuleList"),
        ([nn.Parameter(torch.zeros(2))], "nn.ParameterList"),
        ({"a": nn.Parameter(torch.zeros(2))}, "nn.ParameterDict"),
    ],
)
def test_hidden_parameters_are_refused(container: object, advice: str) -> None:
    """Modules and parameters in a plain list, tuple or dict are refused with the attribute's name and the container to use."""
    assert sum(1 for _ in Hidden(container).parameters()) == 2  # torch sees the first layer only
    with pytest.raises(UserError, match=rf"Hidden\.kept is a plain {type(container).__name__}.*{advice}"):
        refuse_hidden_parameters(Hidden(container))


def test_hidden_in_a_part_is_found() -> None:
    """The trap is found in a submodule too, and named by its path."""
    with pytest.raises(UserError, match=r"Sequential\.0\.kept"):
        refuse_hidden_parameters(nn.Sequential(Hidden([nn.Linear(2, 2)])))


def test_registered_networks_pass() -> None:
    """What torch registers passes, lists of numbers and second references to registered layers too."""
    network = Hidden([1, 2, "three"])
    network.again = [network.first]
    network.layers = nn.ModuleList([nn.Linear(2, 2)])
    refuse_hidden_parameters(network)
    refuse_hidden_parameters(DNN(Architecture(2, (3,), 1)))


def test_nothing_to_train_is_refused() -> None:
    """A network without a trainable parameter is refused."""
    with pytest.raises(UserError, match="no parameter to train"):
        refuse_hidden_parameters(nn.Sequential(nn.ReLU()))


def test_what_torch_registers() -> None:
    """Layers in an `nn.ModuleList` are registered, in a plain list they are not: the optimizer refuses, or leaves them as they are."""
    architecture = Architecture(5, (8, 6), 3)
    found = registration(architecture)
    assert found["module_list"] == {"tensors": 6, "numbers": architecture.parameters}
    assert found["plain_list"] == {"tensors": 0, "numbers": 0}
    assert "empty parameter list" in found["error"]
    assert found["moved"][:2] == [0, 0]
    assert found["moved"][2] > 0
