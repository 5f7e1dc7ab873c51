"""The optimizers, one row each: the class of `torch.optim` that defines the update, and the same update as coefficients of one formula.

The reference engine trains with torch's class; the engines that train many trials at once use the formula (`Update`), in which a trial's
optimizer is a row of numbers. The table is free of torch, so that a study's file is checked before torch is imported.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# our name of a coefficient → torch's keyword; the betas of Adam are one keyword there
KEYWORDS = {"momentum": "momentum", "smoothing": "alpha", "epsilon": "eps"}


@dataclass(frozen=True, slots=True)
class Update:
    """An optimizer as the coefficients of one formula.

    For each weight w with gradient G, at update t, with `step`, `scale` and `shrink` from `steps.step_table`:

    g ← G + decay·w                                         decay is 0 where the decay is decoupled
    m ← first_keep·m + first_take·g                         where the optimizer has a first moment
    v ← second_keep·v + second_take·g²                      where it has a second moment
    d ← √v·scale[t] + epsilon                               1 without a second moment
    w ← shrink[t]·w − step[t]·(direct·g + through·m) / d    shrink is 1 where the decay is coupled
    """

    first_keep: float = 0.0
    first_take: float = 0.0
    second_keep: float = 0.0
    second_take: float = 0.0
    direct: float = 0.0
    through: float = 0.0
    epsilon: float = 0.0
    corrected: bool = False  # step and scale undo the bias of moments that start at zero
    decoupled: bool = False

    @property
    def first(self) -> bool:
        """Whether there is a first moment to keep."""
        return self.first_take != 0

    @property
    def second(self) -> bool:
        """Whether there is a second moment to keep."""
        return self.epsilon != 0 or self.second_take != 0


@dataclass(frozen=True, slots=True)
class Optimizer:
    """A rule of weight updates: `torch_class` of `torch.optim`, coefficients with their defaults, arguments that make the variant.

    `formula` maps all coefficients to the same update as coefficients of the one formula.

    `learning_rate` is a known-good one for a dense network on standardised inputs; the first trial of a search uses it.
    """

    torch_class: str
    learning_rate: float
    formula: Callable[[Mapping[str, float]], Update]
    coefficients: Mapping[str, float] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    fused: bool = (
        True  # torch has one kernel for all tensors: at batch size 1 an Adam update then takes 0.6 of the time
    )

    def update(self, coefficients: Mapping[str, float]) -> Update:
        """Return the coefficients of the formula; one that is not given has its default."""
        return self.formula({**self.coefficients, **coefficients})

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


def _adam(c: Mapping[str, float], decoupled: bool = False) -> Update:
    b1, b2 = c["beta1"], c["beta2"]
    return Update(b1, 1 - b1, b2, 1 - b2, through=1, epsilon=c["epsilon"], corrected=True, decoupled=decoupled)


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer("SGD", 0.1, lambda c: Update(direct=1)),
    "momentum": Optimizer(  # Polyak 1964
        "SGD", 0.03, lambda c: Update(c["momentum"], 1, through=1), {"momentum": 0.9}
    ),
    "nesterov": Optimizer(  # Sutskever et al. 2013
        "SGD",
        0.03,
        lambda c: Update(c["momentum"], 1, direct=1, through=c["momentum"]),
        {"momentum": 0.9},
        {"nesterov": True},
    ),
    "rmsprop": Optimizer(  # Hinton, lecture 6e, 2012
        "RMSprop",
        1e-3,
        lambda c: Update(0, 0, c["smoothing"], 1 - c["smoothing"], direct=1, epsilon=c["epsilon"]),
        {"smoothing": 0.99, "epsilon": 1e-8},
        fused=False,
    ),
    "adam": Optimizer("Adam", 1e-3, _adam, ADAM),  # Kingma, Ba 2015; weight decay is added to the gradient
    "adamw": Optimizer(  # Loshchilov, Hutter 2019; weight decay apart from the gradient
        "AdamW", 1e-3, lambda c: _adam(c, decoupled=True), ADAM
    ),
    "adagrad": Optimizer(  # Duchi et al. 2011
        "Adagrad", 1e-2, lambda c: Update(0, 0, 1, 1, direct=1, epsilon=c["epsilon"]), {"epsilon": 1e-10}
    ),
}
