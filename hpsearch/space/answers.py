"""Two stand-ins for an Optuna trial: one answers from given values, one with the known-good defaults."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


class MissingError(Exception):
    """A value was asked for that is not given."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Answers:
    """Answers every suggestion with `answer(name)`, whatever the range."""

    def __init__(self, answer: Callable[[str], Any]) -> None:
        self.answer = answer

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return the value as a float."""
        return float(self.answer(name))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Return the value as an int."""
        return int(self.answer(name))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return the value."""
        return self.answer(name)


def fixed(values: Mapping[str, Any]) -> Answers:
    """Answer from given values.

    Raises (when asked):
        MissingError: names the value that is not given.
    """

    def answer(name: str) -> Any:
        if name not in values:
            raise MissingError(name)
        return values[name]

    return Answers(answer)
