"""Where a hyperparameter's values lie on an axis, whatever kind of domain it has."""

from functools import lru_cache
from math import log, log10
from typing import Any

from hpsearch.reporting.figures.style import label, log_ticks, tick_text
from hpsearch.reporting.formatting import number
from hpsearch.reporting.ranking import space_of
from hpsearch.storage import StudyRecord

MOST_CATEGORIES = 13  # that are labelled


@lru_cache(maxsize=64)
def scale_of(name: str, record: StudyRecord) -> "Scale":
    """Return the scale of a hyperparameter, made once a study: it looks at every trial."""
    return Scale(name, record)


class Scale:
    """Where a hyperparameter's values lie on an axis: numbers as they are (or their logarithm), categories at 0, 1, 2, ..."""

    def __init__(self, name: str, record: StudyRecord) -> None:
        given = space_of(record).get(name)
        values = [trial.params[name] for trial in record.trials if name in trial.params]
        self.domain = given if isinstance(given, dict) and "low" in given else {}
        self.categories: list[str] = []
        self.log = False
        if isinstance(given, list) or not all(_numeric(value) for value in values):
            choices = given if isinstance(given, list) else []
            self.categories = list(dict.fromkeys(str(value) for value in [*choices, *values]))
            self.low, self.high = 0.0, float(len(self.categories) - 1)
            self.spread = 0.5  # how far apart equal values are drawn
            return
        ends = [*values, *(self.domain[key] for key in ("low", "high") if key in self.domain)] or [0, 1]
        self.low, self.high = float(min(ends)), float(max(ends))
        self.log = bool(self.domain.get("log")) and self.low > 0
        integers = all(isinstance(value, int) for value in values)
        few = integers and not self.log and self.high - self.low <= 10
        self.spread = 0.3 if few else 0.0

    def position(self, value: Any) -> float:
        """Return where the value lies on the axis (a number on a logarithmic one stays itself)."""
        if self.categories:
            return float(self.categories.index(str(value)))
        return float(value)

    def axis_ends(self) -> tuple[float, float]:
        """Return the ends as plotly wants them: of a logarithmic axis the powers of ten."""
        if self.log:
            return (log10(self.low), log10(self.high))
        return (self.low, self.high)

    def fraction(self, value: Any) -> float:
        """Return where the value lies between the low end, 0, and the high end, 1."""
        if self.low == self.high:
            return 0.5
        at = self.position(value)
        if self.log:
            return (log(at) - log(self.low)) / (log(self.high) - log(self.low))
        return (at - self.low) / (self.high - self.low)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Return positions and their texts."""
        if self.categories:
            named = [(float(i), label(name, 12)) for i, name in enumerate(self.categories)]
            return named[:: 1 + len(named) // MOST_CATEGORIES]
        if self.log:
            return [(tick, tick_text(tick)) for tick in log_ticks(self.low, self.high, most)]
        if self.low < self.high:
            ends = [self.low, self.high]
        else:
            ends = [self.low]
        return [(end, number(float(f"{end:.4g}"))) for end in ends]


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
