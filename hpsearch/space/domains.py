"""The domains of hyperparameters: a list of choices, a range of whole numbers, a range of real numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any, Protocol

Value = bool | int | float | str


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

    def points(self) -> tuple[Value, ...]:
        """Return the points of a grid."""
        return self.values

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

    def points(self) -> Sequence[int]:
        """Return the points of a grid: every step, or the powers of two of a logarithmic range and its ends."""
        if not self.log:
            return range(self.low, self.high + 1, self.step)
        powers = [2**exponent for exponent in range(self.high.bit_length())]
        inside = [power for power in powers if self.low < power < self.high]
        return tuple(dict.fromkeys((self.low, *inside, self.high)))

    def plain(self) -> dict[str, Any]:
        """Return the domain as a study's file writes it."""
        plain: dict[str, Any] = {"low": self.low, "high": self.high}
        if self.log:
            plain["log"] = True
        elif self.step != 1:
            plain["step"] = self.step
        return plain


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
        plain: dict[str, Any] = {"low": self.low, "high": self.high}
        if self.log:
            plain["log"] = True
        if self.grid:
            plain["grid"] = self.grid
        return plain


Domain = Choice | Integer | Real
