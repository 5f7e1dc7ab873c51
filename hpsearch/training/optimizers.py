"""The optimizers, one row each: the class of `torch.optim` that defines the update, and the coefficients of it that may vary.

The table is free of torch, so that a study's file is checked before torch is imported.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# our name of a coefficient → torch's keyword; the betas of Adam are one keyword there
KEYWORDS = {"momentum": "momentum", "smoothing": "alpha", "epsilon": "eps"}


@dataclass(frozen=True, slots=True)
class Optimizer:
    """A rule of weight updates: `torch_class` of `torch.optim`, coefficients with their defaults, arguments that make the variant.

    `learning_rate` is a known-good one for a dense network on standardised inputs; the first trial of a search uses it.
    """

    torch_class: str
    learning_rate: float
    coefficients: Mapping[str, float] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    fused: bool = (
        True  # torch has one kernel for all tensors: at batch size 1 an Adam update then takes 0.6 of the time
    )

    def arguments(self, coefficients: Mapping[str, float]) -> dict[str, Any]:
        """Return torch's keyword arguments; a coefficient that is not given has its default."""
        values = {**self.coefficients, **coefficients}
        keywords: dict[str, Any] = {KEYWORDS[name]: value for name, value in values.items() if name in KEYWORDS}
        if "beta1" in values:
            keywords["betas"] = (values["beta1"], values["beta2"])
        return {**keywords, **self.fixed, **({"fused": True} if self.fused else {})}

    def build(
        self,
        parameters: "Iterable[torch.Tensor]",
        learning_rate: float,
        weight_decay: float,
        coefficients: Mapping[str, float],
    ) -> "torch.optim.Optimizer":
        """Return the torch optimizer of these parameters."""
        import torch

        make: type[torch.optim.Optimizer] = getattr(torch.optim, self.torch_class)
        return make(parameters, lr=learning_rate, weight_decay=weight_decay, **self.arguments(coefficients))  # type: ignore[call-arg]


ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer("SGD", 0.1),
    "momentum": Optimizer("SGD", 0.03, {"momentum": 0.9}),  # Polyak 1964
    "nesterov": Optimizer("SGD", 0.03, {"momentum": 0.9}, {"nesterov": True}),  # Sutskever et al. 2013
    "rmsprop": Optimizer(
        "RMSprop", 1e-3, {"smoothing": 0.99, "epsilon": 1e-8}, fused=False
    ),  # Hinton, lecture 6e, 2012
    "adam": Optimizer("Adam", 1e-3, ADAM),  # Kingma, Ba 2015; weight decay is added to the gradient
    "adamw": Optimizer("AdamW", 1e-3, ADAM),  # Loshchilov, Hutter 2019; weight decay apart from the gradient
    "adagrad": Optimizer("Adagrad", 1e-2, {"epsilon": 1e-10}),  # Duchi et al. 2011
}
