"""The distributions of initial weights, one row each, by their name in `torch.nn.init`; biases start at zero."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Initialization:
    """A filler of a weight matrix [units, inputs]: `function` of `torch.nn.init` and its arguments."""

    function: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def fill(self, weight: "torch.Tensor", generator: "torch.Generator") -> None:
        """Fill the matrix in place with draws of the generator."""
        from torch.nn import init

        getattr(init, self.function)(weight, generator=generator, **self.arguments)


INITIALIZATIONS: dict[str, Initialization] = {
    "kaiming_normal": Initialization("kaiming_normal_", {"nonlinearity": "relu"}),  # He et al. 2015
    "kaiming_uniform": Initialization("kaiming_uniform_", {"nonlinearity": "relu"}),
    "lecun_normal": Initialization(
        "kaiming_normal_", {"nonlinearity": "linear"}
    ),  # LeCun et al. 1998: variance 1 / inputs
    "xavier_normal": Initialization("xavier_normal_"),  # Glorot, Bengio 2010
    "xavier_uniform": Initialization("xavier_uniform_"),
}
