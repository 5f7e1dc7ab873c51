"""When a search ends before its last trial: no better trial came for so many, or the metric reached a value.

The rule looks at the results in the order of the trials' numbers. Where it is met at trial k, the study has trials 0 … k + lag - 1: trial
k + lag is the first whose proposal would know the result of trial k, and those before it may be in training already. So a study ends at
the same trial with one in flight or many, on one machine or several, and after any interruption.
"""

from dataclasses import dataclass, field

from hpsearch.errors import counted
from hpsearch.trial import Direction, is_better


@dataclass
class EarlyEnd:
    """The rule of a study; `reason` says why it was met, `limit` how many trials the study then has."""

    direction: Direction
    lag: int
    patience: int | None = None
    target_value: float | None = None
    limit: int | None = None
    reason: str = ""
    _waiting: dict[int, float | None] = field(default_factory=dict)  # results whose turn has not come
    _next: int = 0
    _best: float | None = None
    _best_number: int = 0

    def tell(self, number: int, value: float | None) -> None:
        """Take a trial's metric, None where it has no usable one, in any order of numbers; a second time it changes nothing."""
        if number < self._next or (self.patience is None and self.target_value is None):
            return
        self._waiting[number] = value
        while self.limit is None and self._next in self._waiting:
            self._take(self._next, self._waiting.pop(self._next))
            self._next += 1

    def _take(self, number: int, value: float | None) -> None:
        """Take the next result in the order of numbers."""
        if value is not None and (self._best is None or self._is_better(value, self._best)):
            self._best = value
            self._best_number = number
            if self._reaches(value):
                self._end(number, f"trial {number} reached the target value {self.target_value:g}")
        elif self.patience is not None and self._best is not None and number - self._best_number >= self.patience:
            trials = counted(self.patience, "trial")
            self._end(number, f"no better value in {trials} after trial {self._best_number}")

    def _reaches(self, value: float) -> bool:
        return self.target_value is not None and not self._is_better(self.target_value, value)

    def _is_better(self, value: float, other: float) -> bool:
        return is_better(value, other, self.direction == "maximize")

    def _end(self, number: int, reason: str) -> None:
        self.limit = number + self.lag
        self.reason = reason
