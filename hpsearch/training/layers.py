"""The layers of a dense network: activations, and distributions of initial weights (biases start at zero), one row each."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

RELU = {"nonlinearity": "relu"}
LINEAR = {"nonlinearity": "linear"}


@dataclass(frozen=True, slots=True)
class Activation:
    """An elementwise function: `function` of `torch.nn.functional`."""

    function: str
    description: str

    def __call__(self, inputs: "torch.Tensor") -> "torch.Tensor":
        """Apply the function to every element."""
        import torch.nn.functional as F

        result: torch.Tensor = getattr(F, self.function)(inputs)
        return result


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation("relu", "max(x, 0)"),
    "leaky_relu": Activation("leaky_relu", "x, with slope 0.01 below zero"),
    "tanh": Activation("tanh", "the hyperbolic tangent"),
    "sigmoid": Activation("sigmoid", "1 / (1 + exp(-x))"),
    "gelu": Activation("gelu", "x times the normal distribution function, exact (Hendrycks, Gimpel 2016)"),
    "silu": Activation("silu", "x times the sigmoid, also called swish"),
}


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


INITIALIZATIONS: dict[str, Initialization] = {
    "kaiming_normal": Initialization("kaiming_normal_", "normal, variance 2 / inputs (He et al. 2015)", RELU),
    "kaiming_uniform": Initialization("kaiming_uniform_", "uniform, variance 2 / inputs (He et al. 2015)", RELU),
    "lecun_normal": Initialization("kaiming_normal_", "normal, variance 1 / inputs (LeCun et al. 1998)", LINEAR),
    "xavier_normal": Initialization("xavier_normal_", "normal, variance 2 / (inputs + units) (Glorot, Bengio 2010)"),
    "xavier_uniform": Initialization("xavier_uniform_", "uniform, variance 2 / (inputs + units) (Glorot, Bengio 2010)"),
}
