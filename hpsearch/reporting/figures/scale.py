"""Where a hyperparameter's values lie on an axis, whatever kind of domain it has."""

from functools import lru_cache
from math import log
from typing import Any

from hpsearch.reporting.figures.style import label, log_ticks, tick_text
from hpsearch.reporting.formatting import number, space_of
from hpsearch.storage import StudyRecord


@lru_cache(maxsize=64)
def scale_of(name: str, record: StudyRecord) -> "Scale":
    """Return the scale of a hyperparameter, made once a study: it looks at every trial."""
    return Scale(name, record)


class Scale:
    """Where a hyperparameter's values lie on an axis: numbers as they are (or their logarithm), categories at 0, 1, 2, ..."""

    def __init__(self, name: str, record: StudyRecord) -> None:
        wanted = space_of(record).get(name)
        values = [trial.params[name] for trial in record.trials if name in trial.params]
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        self.domain = wanted if isinstance(wanted, dict) and "low" in wanted else {}
        self.categories: list[str] = []
        self.spread = 0.0  # how far equal values are drawn apart
        if isinstance(wanted, list) or not numeric:
            listed = wanted if isinstance(wanted, list) else []
            self.categories = list(dict.fromkeys(str(value) for value in [*listed, *values]))
            self.low, self.high, self.log, self.spread = 0.0, float(len(self.categories) - 1), False, 0.5
            return
        ends = [*values, *(self.domain[key] for key in ("low", "high") if key in self.domain)] or [0, 1]
        self.low, self.high = float(min(ends)), float(max(ends))
        self.log = bool(self.domain.get("log")) and self.low > 0
        few = not self.log and self.high - self.low <= 10 and all(isinstance(value, int) for value in values)
        self.spread = 0.3 if few else 0.0

    def position(self, value: Any) -> float:
        """Return where the value lies on the axis (a number on a logarithmic one stays itself)."""
        return float(self.categories.index(str(value)) if self.categories else value)

    def fraction(self, value: Any) -> float:
        """Return where the value lies between the low end, 0, and the high end, 1."""
        at, low, high = self.position(value), self.low, self.high
        if self.log:
            at, low, high = log(at), log(low), log(high)
        return 0.5 if low == high else (at - low) / (high - low)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Return positions and their texts."""
        if self.categories:
            return [(float(i), label(name, 12)) for i, name in enumerate(self.categories)][
                :: 1 + len(self.categories) // 13
            ]
        if self.log:
            return [(tick, tick_text(tick)) for tick in log_ticks(self.low, self.high, most)]
        ends = [self.low, self.high] if self.low < self.high else [self.low]
        return [(end, number(float(f"{end:.4g}"))) for end in ends]
