"""`HYPERPARAMETERS`: the literal table of what may stand in a study's `[space]`, with ranges and known-good defaults."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from hpsearch.errors import shown, suggestion
from hpsearch.space.domains import Value
from hpsearch.training.layers import ACTIVATIONS, INITIALIZATIONS
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.training.schedules import SCHEDULES

LARGE = 1_000_000  # a bound far beyond use, so that no number leads to one that no machine can hold


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A row of `HYPERPARAMETERS`: what a value may be, and the known-good default.

    `kind` is `int`, `float` or `str`; numbers lie in [low, high], with ends left out where `open_low`, `open_high`; names are among
    `names`. `words` are texts that a numeric hyperparameter takes too.
    """

    kind: type
    default: Value
    meaning: str
    low: float = -inf
    high: float = inf
    open_low: bool = False
    open_high: bool = False
    names: Collection[str] = ()
    words: tuple[str, ...] = ()

    @property
    def bounds(self) -> str:
        """The range of numbers (and the words) in words, for an error."""
        number = "a whole number" if self.kind is int else "a number"
        low = f"{'>' if self.open_low else '≥'} {self.low:,}"
        high = f"{'<' if self.open_high else '≤'} {self.high:,}"
        words = "".join(f", or '{word}'" for word in self.words)
        return f"{number} {low} and {high}{words}"

    def problem(self, value: object) -> str | None:
        """Return what is wrong with a value, or None."""
        if isinstance(value, list | dict):
            return f"is {shown(value)}; expected a single value"
        if self.kind is str:
            if value in self.names:
                return None
            return f"is unknown: {shown(value)}. {suggestion(str(value), self.names)}"
        if value in self.words or self._fits(value):
            return None
        return f"is {shown(value)}; expected {self.bounds}"

    def _fits(self, value: object) -> bool:
        """Whether a value is a number of the kind and in the range; NaN is in none."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not self.low <= value <= self.high:
            return False
        if (self.open_low and value == self.low) or (self.open_high and value == self.high):
            return False
        return self.kind is float or value == int(value)


def _named(rows: Mapping[str, Any], default: str, meaning: str) -> Hyperparameter:
    return Hyperparameter(str, default, meaning, names=rows)


HYPERPARAMETERS: dict[str, Hyperparameter] = {
    "depth": Hyperparameter(int, 2, "hidden layers; 0 is a linear model", low=0, high=1_000),
    "width": Hyperparameter(int, 128, "units of a hidden layer (of the first one under a taper)", low=1, high=LARGE),
    "taper": Hyperparameter(float, 1.0, "width of a layer relative to the one before", low=0, open_low=True, high=4),
    "activation": _named(ACTIVATIONS, "relu", "function between the layers"),
    "dropout": Hyperparameter(float, 0.0, "share of hidden units silenced in an update", low=0, high=1, open_high=True),
    "initialization": _named(INITIALIZATIONS, "kaiming_normal", "distribution of the initial weights"),
    "optimizer": _named(OPTIMIZERS, "adam", "rule of the weight updates"),
    "learning_rate": Hyperparameter(float, 1e-3, "step size", low=0, open_low=True, high=1e38),
    "batch_size": Hyperparameter(
        int, 32, "rows of one update; 'full' is gradient descent", low=1, high=LARGE, words=("full",)
    ),
    "weight_decay": Hyperparameter(float, 0.0, "pull of the weights towards zero", low=0, high=LARGE),
    "schedule": _named(SCHEDULES, "constant", "course of the learning rate over the budget"),
    "momentum": Hyperparameter(float, 0.9, "memory of past gradients", low=0, high=1, open_high=True),
    "smoothing": Hyperparameter(
        float, 0.99, "memory of past squared gradients (RMSprop)", low=0, high=1, open_high=True
    ),
    "beta1": Hyperparameter(float, 0.9, "memory of past gradients (Adam)", low=0, high=1, open_high=True),
    "beta2": Hyperparameter(float, 0.999, "memory of past squared gradients (Adam)", low=0, high=1, open_high=True),
    "epsilon": Hyperparameter(float, 1e-8, "guard of the denominator", low=0, open_low=True, high=1),
}

COEFFICIENTS = {name for row in OPTIMIZERS.values() for name in row.coefficients}
NETWORK = ("depth", "width", "taper", "activation", "dropout", "initialization")  # what a user's own network decides
