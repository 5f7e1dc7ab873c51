"""`HYPERPARAMETERS`: the literal table of what may stand in a study's `[space]`, with ranges and known-good defaults.

A study gives a hyperparameter a domain: a list of choices, a range of whole numbers, or a range of real numbers.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from math import exp, inf, log
from typing import Any, Protocol

from hpsearch.errors import shown, suggestion
from hpsearch.training.layers import ACTIVATIONS, INITIALIZATIONS
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.training.schedules import SCHEDULES
from hpsearch.trial import PIECEWISE

Value = bool | int | float | str
LARGE = 1_000_000  # a bound far beyond use, so that no number leads to one that no machine can hold


def as_number(value: Any) -> Any:
    """Return the number that a text is, such as '1e-3' or '.5'; every other value as it is, and '1e-400', which would be 0."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        with suppress(ValueError):
            number = kind(value)
            return number if number or not re.match(r"[^eE]*[1-9]", value) else value
    return value


class Suggests(Protocol):
    """The part of an Optuna trial that a space needs."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...  # noqa: D102
    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...  # noqa: D102
    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a list; a list of one is a constant, and no parameter of the search."""

    values: tuple[Value, ...]

    def suggest(self, trial: Suggests, name: str) -> Any:
        """Return the trial's value."""
        if self.constant:
            return self.values[0]
        return trial.suggest_categorical(name, self.values)

    @property
    def constant(self) -> bool:
        """Whether there is nothing to search."""
        return len(self.values) == 1

    def nearest(self, value: Value) -> Value:
        """Return the choice nearest to a value; among names, the value itself or the first."""
        if value in self.values:
            return value
        numbers = [choice for choice in self.values if not isinstance(choice, str)]
        if isinstance(value, str) or not numbers:
            return self.values[0]
        return min(numbers, key=lambda number: abs(number - value))

    def has(self, value: Value) -> bool:
        """Whether a value is one of the domain's."""
        return value in self.values

    def points(self) -> tuple[Value, ...]:
        """Return the points of a grid."""
        return self.values

    def __str__(self) -> str:
        return " or ".join(map(str, self.values))

    def plain(self) -> Any:
        """Return the domain as a study's file writes it."""
        return self.values[0] if self.constant else list(self.values)


@dataclass(frozen=True, slots=True)
class Integer:
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int
    log: bool = False
    step: int = 1
    constant = False

    def suggest(self, trial: Suggests, name: str) -> int:
        """Return the trial's value."""
        return trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log)

    def nearest(self, value: Value) -> int:
        """Return the number of the range nearest to a value."""
        inside = min(max(float(value), self.low), self.high)
        return self.low + round((inside - self.low) / self.step) * self.step

    def has(self, value: Value) -> bool:
        """Whether a value is one of the domain's."""
        return not isinstance(value, str) and self.low <= value <= self.high and (value - self.low) % self.step == 0

    def points(self) -> Sequence[int]:
        """Return the points of a grid: every step, or the powers of two of a logarithmic range and its ends."""
        if not self.log:
            return range(self.low, self.high + 1, self.step)
        powers = [2**exponent for exponent in range(self.high.bit_length())]
        inside = [power for power in powers if self.low < power < self.high]
        return tuple(dict.fromkeys((self.low, *inside, self.high)))

    def plain(self) -> dict[str, Any]:
        """Return the domain as a study's file writes it."""
        return _plain_range(self)

    def __str__(self) -> str:
        every = f", every {self.step:,}" if self.step > 1 else ""
        return f"{self.low:,} to {self.high:,}{every}"


@dataclass(frozen=True, slots=True)
class Real:
    """Real numbers from `low` to `high`; a grid takes `grid` points of them, evenly spaced (on a log scale if `log`)."""

    low: float
    high: float
    log: bool = False
    grid: int = 0
    constant = False

    def suggest(self, trial: Suggests, name: str) -> float:
        """Return the trial's value."""
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def nearest(self, value: Value) -> float:
        """Return the number of the range nearest to a value."""
        return min(max(float(value), self.low), self.high)

    def has(self, value: Value) -> bool:
        """Whether a value is one of the domain's."""
        return not isinstance(value, str) and self.low <= value <= self.high

    def points(self) -> tuple[float, ...]:
        """Return the points of a grid, or none where their number is not stated."""
        points = [self.low, *self._inner_points(), self.high]
        return tuple(dict.fromkeys(points[: self.grid]))  # rounding may have made two points of a narrow range one

    def _inner_points(self) -> list[float]:
        low = log(self.low) if self.log else self.low
        high = log(self.high) if self.log else self.high
        spaced = [low + (high - low) * i / (self.grid - 1) for i in range(1, self.grid - 1)]
        return [self.nearest(exp(value) if self.log else value) for value in spaced]

    def plain(self) -> dict[str, Any]:
        """Return the domain as a study's file writes it."""
        return _plain_range(self)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


Domain = Choice | Integer | Real


def _plain_range(domain: Integer | Real) -> dict[str, Any]:
    """Return a range as a study's file writes it: its ends, and what is not left at its default."""
    values = {field: getattr(domain, field.name) for field in fields(domain)}
    return {field.name: value for field, value in values.items() if value != field.default}


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

    def read(self, value: Any) -> Any:
        """Return a value as it is meant: the text '1e-3' of a hyperparameter that is a number as this number."""
        if self.kind is str or value in self.words:
            return value
        return as_number(value)

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


NUMBER_ENCODINGS = {
    "standard": "standardised",
    PIECEWISE: "and their places in intervals between quantiles (Gorishniy et al. 2022)",
}


def _named(rows: Mapping[str, Any], default: str, meaning: str) -> Hyperparameter:
    return Hyperparameter(str, default, meaning, names=rows)


HYPERPARAMETERS: dict[str, Hyperparameter] = {
    "depth": Hyperparameter(int, 2, "hidden layers; 0 is a linear model", low=0, high=1_000),
    "width": Hyperparameter(int, 128, "units of a hidden layer (of the first one under a taper)", low=1, high=LARGE),
    "taper": Hyperparameter(float, 1.0, "width of a layer relative to the one before", low=0, open_low=True, high=4),
    "activation": _named(ACTIVATIONS, "relu", "function between the layers"),
    "number_encoding": _named(NUMBER_ENCODINGS, "standard", "how the layers see a table's numbers"),
    "dropout": Hyperparameter(float, 0.0, "share of hidden units silenced in an update", low=0, high=1, open_high=True),
    "initialization": _named(INITIALIZATIONS, "kaiming_normal", "distribution of the initial weights"),
    "optimizer": _named(OPTIMIZERS, "adam", "rule of the weight updates"),
    "learning_rate": Hyperparameter(float, 1e-3, "step size", low=0, open_low=True, high=1e38),
    "batch_size": Hyperparameter(
        int, 32, "rows of one update; 'full' is gradient descent", low=1, high=LARGE, words=("full",)
    ),
    "weight_decay": Hyperparameter(float, 0.0, "pull of the weights towards zero", low=0, high=LARGE),
    "label_smoothing": Hyperparameter(
        float, 0.0, "share of a label that the loss gives to all classes alike", low=0, high=1, open_high=True
    ),
    "schedule": _named(SCHEDULES, "constant", "course of the learning rate over the budget"),
    "momentum": Hyperparameter(float, 0.9, "memory of past gradients", low=0, high=1, open_high=True),
    "smoothing": Hyperparameter(
        float, 0.99, "memory of past squared gradients (RMSprop)", low=0, high=1, open_high=True
    ),
    "beta1": Hyperparameter(float, 0.9, "memory of past gradients (Adam)", low=0, high=1, open_high=True),
    "beta2": Hyperparameter(float, 0.999, "memory of past squared gradients (Adam)", low=0, high=1, open_high=True),
    "epsilon": Hyperparameter(float, 1e-8, "guard of the denominator", low=0, open_low=True, high=1),
}


def coefficients_of(optimizers: Iterable[str]) -> set[str]:
    """Return the names of the coefficients that at least one of the optimizers has."""
    return set().union(*(OPTIMIZERS[optimizer].coefficients for optimizer in optimizers))


COEFFICIENTS = coefficients_of(OPTIMIZERS)
# what a user's own network decides
NETWORK = ("depth", "width", "taper", "activation", "number_encoding", "dropout", "initialization")
