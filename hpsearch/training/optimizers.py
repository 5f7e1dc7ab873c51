"""The optimizers, one row each: the class of `torch.optim` that defines the update, and the same update as coefficients of one formula.

The reference engine trains with torch's class; the engines that write training again use the formula (`Update`), in which a trial's
optimizer is a row of numbers. The formula is optional: an optimizer without one trains in the reference engine. The table is free of
torch, so that a study's file is checked before torch is imported.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from hpsearch.trial import TrialSpec

if TYPE_CHECKING:
    import torch

Coefficients = Mapping[str, float]

# our name of a coefficient → torch's keyword, where they differ; the betas of Adam are one keyword there
KEYWORDS = {"smoothing": "alpha", "epsilon": "eps"}
BETAS = ("beta1", "beta2")


@dataclass(frozen=True, slots=True)
class Update:
    """An optimizer as the coefficients of one formula.

    For each weight w with gradient G, at update t, with `step`, `scale` and `shrink` from `schedules.step_table`:

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
        """Whether the optimizer has a first moment."""
        return self.first_take != 0

    @property
    def second(self) -> bool:
        """Whether the optimizer has a second moment."""
        return self.epsilon != 0 or self.second_take != 0


@dataclass(frozen=True, slots=True)
class Optimizer:
    """A rule of weight updates.

    `torch_class` is its name in `torch.optim`. `learning_rate` is a known-good one for a dense network on standardised inputs; the first
    trial of a search uses it. `coefficients` have their defaults; a name is torch's keyword, or one of `KEYWORDS` and `BETAS`; a study
    can vary those that are also rows of `HYPERPARAMETERS`. `fixed` are keyword arguments that make the variant. `formula` maps all
    coefficients to the same update as coefficients of the one formula. `fused`: torch has one kernel for all tensors of this class, with
    which an Adam update at batch size 1 takes 0.6 of the time.
    """

    torch_class: str
    learning_rate: float
    description: str
    coefficients: Coefficients = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    formula: Callable[[Coefficients], Update] | None = None
    fused: bool = False

    def update(self, coefficients: Coefficients) -> Update:
        """Return the coefficients of the formula; one that is not given has its default."""
        assert self.formula is not None, "an optimizer without a formula trains in the reference engine"
        return self.formula({**self.coefficients, **coefficients})

    def arguments(self, coefficients: Coefficients) -> dict[str, Any]:
        """Return torch's keyword arguments; a coefficient that is not given has its default."""
        values = {**self.coefficients, **coefficients}
        keywords: dict[str, Any] = {
            KEYWORDS.get(name, name): value for name, value in values.items() if name not in BETAS
        }
        if "beta1" in values:
            keywords["betas"] = (values["beta1"], values["beta2"])
        return {**keywords, **self.fixed}

    def build(
        self,
        parameters: "Iterable[torch.Tensor]",
        learning_rate: float,
        weight_decay: float,
        coefficients: Coefficients,
    ) -> "torch.optim.Optimizer":
        """Return the torch optimizer of these parameters."""
        import torch

        tensors = list(parameters)
        arguments = self.arguments(coefficients)
        if self.fused and tensors[0].device.type in ("cpu", "cuda"):
            arguments["fused"] = True
        torch_class: type[torch.optim.Optimizer] = getattr(torch.optim, self.torch_class)
        return torch_class(tensors, lr=learning_rate, weight_decay=weight_decay, **arguments)  # type: ignore[call-arg]


ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}


def _sgd(c: Coefficients) -> Update:
    return Update(direct=1)


def _momentum(c: Coefficients) -> Update:
    return Update(first_keep=c["momentum"], first_take=1, through=1)


def _nesterov(c: Coefficients) -> Update:
    return Update(first_keep=c["momentum"], first_take=1, direct=1, through=c["momentum"])


def _rmsprop(c: Coefficients) -> Update:
    return Update(second_keep=c["smoothing"], second_take=1 - c["smoothing"], direct=1, epsilon=c["epsilon"])


def _adam(c: Coefficients, decoupled: bool = False) -> Update:
    return Update(
        first_keep=c["beta1"],
        first_take=1 - c["beta1"],
        second_keep=c["beta2"],
        second_take=1 - c["beta2"],
        through=1,
        epsilon=c["epsilon"],
        corrected=True,
        decoupled=decoupled,
    )


def _adamw(c: Coefficients) -> Update:
    return _adam(c, decoupled=True)


def _adagrad(c: Coefficients) -> Update:
    return Update(second_keep=1, second_take=1, direct=1, epsilon=c["epsilon"])


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer("SGD", 0.1, "plain gradient descent on batches", formula=_sgd, fused=True),
    "momentum": Optimizer(
        "SGD",
        0.03,
        "descent along a running sum of gradients (Polyak 1964)",
        {"momentum": 0.9},
        formula=_momentum,
        fused=True,
    ),
    "nesterov": Optimizer(
        "SGD",
        0.03,
        "momentum with a look ahead (Sutskever et al. 2013)",
        {"momentum": 0.9},
        fixed={"nesterov": True},
        formula=_nesterov,
        fused=True,
    ),
    "rmsprop": Optimizer(
        "RMSprop",
        1e-3,
        "steps divided by the running size of the gradient (Hinton, lecture 6e, 2012)",
        {"smoothing": 0.99, "epsilon": 1e-8},
        formula=_rmsprop,
    ),
    "adam": Optimizer(
        "Adam",
        1e-3,
        "momentum divided by the running size of the gradient (Kingma, Ba 2015); weight decay adds to the gradient",
        ADAM,
        formula=_adam,
        fused=True,
    ),
    "adamw": Optimizer(
        "AdamW",
        1e-3,
        "Adam with weight decay apart from the gradient (Loshchilov, Hutter 2019)",
        ADAM,
        formula=_adamw,
        fused=True,
    ),
    "adagrad": Optimizer(
        "Adagrad",
        1e-2,
        "steps divided by the size of all gradients so far (Duchi et al. 2011)",
        {"epsilon": 1e-10},
        formula=_adagrad,
        fused=True,
    ),
    "radam": Optimizer(
        "RAdam",
        1e-3,
        "Adam that scales its step by how well the gradient's size is known yet (Liu et al. 2020)",
        ADAM,
    ),
}


class Rule(NamedTuple):
    """A trial's `Update` and its weight decay as plain numbers, as engines that write the update again take them."""

    first: bool
    second: bool
    decay: float
    first_keep: float
    first_take: float
    second_keep: float
    second_take: float
    direct: float
    through: float
    epsilon: float


COEFFICIENTS = Rule._fields[2:]


def make_rule(spec: TrialSpec) -> Rule:
    """Return the rule of a trial, whose optimizer has a formula."""
    update = OPTIMIZERS[spec.optimizer].update(spec.coefficients)
    decay = 0.0 if update.decoupled else spec.weight_decay
    shared = (float(getattr(update, name)) for name in Rule._fields[3:])
    return Rule(update.first, update.second, decay, *shared)


def coefficient_row(rule: Rule) -> list[float]:
    """Return the `COEFFICIENTS` for tables of many trials: epsilon is 1 without a second moment, so that the divisor is."""
    return list(rule[2:]) if rule.second else [*rule[2:-1], 1.0]
