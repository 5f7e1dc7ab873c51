"""The activations of hidden layers, one row each, by their name in `torch.nn.functional`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


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
