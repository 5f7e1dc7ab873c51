"""The distributions of initial weights, one row each, by their name in `torch.nn.init`; biases start at zero."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Initialization:
    """A filler of a weight matrix [units, inputs]: `function` of `torch.nn.init` and its arguments."""

    function: str
    description: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def fill(self, weight: "torch.Tensor", generator: "torch.Generator") -> None:
        """Fill the matrix in place with draws of the generator."""
        from torch.nn import init

        getattr(init, self.function)(weight, generator=generator, **self.arguments)


RELU = {"nonlinearity": "relu"}
LINEAR = {"nonlinearity": "linear"}

INITIALIZATIONS: dict[str, Initialization] = {
    "kaiming_normal": Initialization("kaiming_normal_", "normal, variance 2 / inputs (He et al. 2015)", RELU),
    "kaiming_uniform": Initialization("kaiming_uniform_", "uniform, variance 2 / inputs (He et al. 2015)", RELU),
    "lecun_normal": Initialization("kaiming_normal_", "normal, variance 1 / inputs (LeCun et al. 1998)", LINEAR),
    "xavier_normal": Initialization("xavier_normal_", "normal, variance 2 / (inputs + units) (Glorot, Bengio 2010)"),
    "xavier_uniform": Initialization("xavier_uniform_", "uniform, variance 2 / (inputs + units) (Glorot, Bengio 2010)"),
}
