"""Numbers, names and hyperparameters in plain words: one spelling for tables, figures and prose.

Numbers have four significant digits, a thousands separator, and their unit behind a space that does not break; the ends of an interval
as many digits as it takes to tell them apart. What rounds to zero has no sign. Every name that came from outside goes through `visible`
before anybody looks at it; escaping for HTML is the page's and the figures' business. Standard library only.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import floor, isfinite, isnan, log10
from typing import Any

from hpsearch.data.metrics import METRICS
from hpsearch.storage import ComparisonRecord, StudyRecord, TrialRecord
from hpsearch.trial import FAILED

SPACE = "\u00a0"  # does not break
# Control characters, line ends, zero-width characters and bidirectional overrides: they hide or reorder what is read.
HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MORE = 7  # digits that are tried to tell two numbers apart


def visible(text: object, most: int = 400) -> str:
    r"""Return text with hidden characters spelled out as `\x1b` and at most `most` characters."""
    shown = HIDDEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), str(text)[: 4 * most])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def readable(name: object, most: int = 400) -> str:
    """Return an identifier as words: `learning_rate` → `learning rate`."""
    return visible(name, most).replace("_", " ")


def number(value: object) -> str:
    """Return a number with four significant digits; text and everything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else visible(value)
    if isinstance(value, int):
        few = f"{value:,}" if abs(value) < 10**15 else f"{value:.3e}" if abs(value) < 10**300 else "more than 10³⁰⁰"
        return few.replace("-", "−")
    if not isfinite(value):
        return "not a number" if isnan(value) else "∞" if value > 0 else "−∞"
    return _real(value)


def _real(value: float, keep: bool = False, more: int = 0) -> str:
    """Four significant digits and so many more; `keep` leaves zeros at the end, for columns of one precision."""
    if value == 0:
        return "0"
    power = floor(log10(abs(value)))
    if not -4 <= power < 9:
        mantissa = f"{value / 10.0**power:.{3 + more}g}" if power > -300 else "0"
        return f"{mantissa}×10{str(power).translate(SUPERSCRIPTS)}".replace("-", "−")
    if power >= 3:
        return fixed(value, max(0, 3 - power + more))
    text = fixed(value, 3 - power + more)
    return text if keep or "." not in text else text.rstrip("0").rstrip(".")


def fixed(value: float, places: int) -> str:
    """Return a number with so many decimals, without a sign where it rounds to zero."""
    text = f"{value:,.{places}f}"
    return text.replace("-", "−" if text.strip("-0.,") else "")


def short(value: object, more: int = 0) -> str:
    """Return a number to four significant digits and so many more as terminals have it, anything else as it is."""
    return f"{value + 0.0:.{4 + more}g}" if isinstance(value, float) else str(value)  # -0.0 + 0.0 is 0.0


def apart(low: float, high: float, write: Callable[[float, int], str]) -> tuple[str, str]:
    """Return two numbers as `write(number, more digits)` has them, with as many digits more as it takes to tell them apart."""
    ends = ((write(low, more), write(high, more)) for more in range(MORE))
    return next((pair for pair in ends if pair[0] != pair[1]), (write(low, 0), write(high, 0)))


def interval(low: float | None, high: float | None, write: Callable[[float, int], str]) -> str:
    """Return `0.31 to 0.35`; an end that is not bounded is –, and ends that are equal are one value."""
    if low is None or high is None:
        return " to ".join("–" if end is None else write(end, 0) for end in (low, high))
    first, second = apart(low, high, write)
    return f"{first} to {second}" if first != second else f"{first} alone, since nothing varied"


def duration(seconds: float | None) -> str:
    """Return seconds as `4.2 s`, `3 min 20 s` or `2 h 5 min`."""
    if seconds is None or not isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.2g}{SPACE}s" if seconds < 10 else f"{seconds:.0f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,}{SPACE}h {minutes}{SPACE}min"
    return f"{minutes}{SPACE}min" + (f" {rest}{SPACE}s" if rest else "")


def share(value: float) -> str:
    """Return 0.254 as `25 %`."""
    return f"{fixed(100 * value, 0)}{SPACE}%"


def shares(low: float, high: float) -> str:
    """Return an interval of shares, `25 % to 31 %`."""
    return interval(low, high, lambda value, more: f"{fixed(100 * value, more)}{SPACE}%")


def count(amount: int, noun: str, many: str = "") -> str:
    """Return `1 trial`, `no trials` or `1,000 trials`."""
    return f"{'no' if amount == 0 else f'{amount:,}'} {noun if amount == 1 else many or noun + 's'}"


def listing(items: Iterable[str], last: str = "and") -> str:
    """Return `a, b and c`."""
    *most, end = list(items) or [""]
    return f"{', '.join(most)} {last} {end}" if most else end


def sentence(text: str) -> str:
    """Return text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def sentences(texts: Iterable[str]) -> str:
    """Return remarks one after the other, each as a sentence."""
    return " ".join(sentence(text if text.endswith((".", "!", "?", "…")) else f"{text}.") for text in texts)


def domain(wanted: Any) -> str:
    """Return a hyperparameter's domain as the study's TOML file gives it, in words."""
    if isinstance(wanted, Mapping) and "low" in wanted and "high" in wanted:
        step = f", steps of {number(wanted['step'])}" if wanted.get("step") else ""
        scale = ", log scale" if wanted.get("log") else ""
        return f"{number(wanted['low'])} to {number(wanted['high'])}{step}{scale}"
    if isinstance(wanted, list | tuple):
        return listing([number(choice) for choice in wanted], "or")
    return f"fixed at {number(wanted)}"


@dataclass(frozen=True, slots=True)
class MetricFormat:
    """The study's metric: how its values are written and which of two is better."""

    name: str  # as labels have it: accuracy, RMSE, log loss
    maximize: bool
    percent: bool
    decimals: int
    whole: bool = False  # its values are counts

    @classmethod
    def of(cls, record: StudyRecord | ComparisonRecord) -> "MetricFormat":
        """Return the metric of a study or a comparison; percentages get a second decimal where the rows can tell it."""
        rows = (record.data.get("rows") or {}).get("validation") or 0
        name = str(record.data.get("metric") or "value")
        return cls.named(name, record.direction == "maximize", 1 if rows < 2000 else 2)

    @classmethod
    def named(cls, name: str, maximize: bool, decimals: int = 1, whole: bool = False) -> "MetricFormat":
        """Return the metric of a name, as tables and files spell it."""
        metric = METRICS.get(name.replace(" ", "_"))
        label = metric.short_title if metric else ""
        return cls(label or readable(name, 40), maximize, bool(metric and metric.is_share), decimals, whole)

    @property
    def plain(self) -> "MetricFormat":
        """The metric as terminals show it: shares are no percentages."""
        return replace(self, percent=False)

    @classmethod
    def each(cls, record: StudyRecord) -> "tuple[MetricFormat, ...]":
        """Return the objectives of a study, the metric first: that alone where there are no others."""
        main = cls.of(record)
        others = [
            cls.named(name, better == "maximize", main.decimals, name == "parameters")
            for name, better in [*record.objectives.items()][1:]
        ]
        return main, *others

    def text(self, value: float | None, decimals: int | None = None) -> str:
        """Return a value of the metric, `97.4 %` or four digits."""
        if value is None or not isfinite(value):
            return "–"
        places = self.decimals if decimals is None else decimals
        return self._written(value, places - self.decimals if self.percent else 0)

    def _written(self, value: float, more: int) -> str:
        """Return a value with so many digits more than usual."""
        if self.whole:
            return number(round(value))
        if self.percent:
            return f"{fixed(100 * value, self.decimals + more)}{SPACE}%"
        return _real(float(value), keep=True, more=more)

    def gap(self, first: float, second: float) -> str:
        """Return how far apart two values are, in points where they are percentages."""
        gap = abs(first - second)
        if not self.percent:
            return number(float(gap))
        if 0 < round(100 * gap, 9) < 0.5 * 10**-self.decimals:
            return f"less than {10**-self.decimals:g} percentage points"
        return (
            f"{fixed(100 * gap, self.decimals)} percentage point{'' if round(100 * gap, self.decimals) == 1 else 's'}"
        )

    def between(self, low: float | None, high: float | None) -> str:
        """Return an interval with its unit once, `95.1 to 96.5 %`; an end that is not bounded is –."""
        ends = interval(low, high, self._written)
        return ends.replace(f"{SPACE}%", "", 1) if ends.count(f"{SPACE}%") > 1 else ends

    def compared(self, first: float, second: float) -> tuple[str, str]:
        """Return two values with enough digits to tell them apart."""
        return apart(first, second, self._written)

    def differences(self, low: float | None, high: float | None) -> str:
        """Return an interval of a difference without its unit: percentage points where values are percentages."""
        return interval(low, high, self._difference)

    def _difference(self, value: float, more: int) -> str:
        return fixed(100 * value, self.decimals + more) if self.percent else _real(float(value), more=more)

    def better(self, first: float, second: float) -> bool:
        """Whether the first value is better than the second."""
        return first > second if self.maximize else first < second


def usable(trial: TrialRecord) -> bool:
    """Whether a trial may be called the best: trained to its end, not failed, with a value of its own."""
    ended = trial.state == "complete" and trial.outcome not in FAILED
    return ended and trial.value is not None and isfinite(trial.value)


USABLE = "A usable trial trained to its end, did not fail, has a value, and repeats no earlier trial's hyperparameters"


def tally(record: StudyRecord) -> str:
    """Return how many trials are usable, in the words that page and terminal share: `9 usable trials`."""
    return count(len(_ranked(record)), "usable trial")


def of_all(record: StudyRecord) -> str:
    """Return how many trials there are, and how many of them are usable where that is another number: `10 trials, 9 of them usable`."""
    trials, own = len(record.trials), len(_ranked(record))
    return count(trials, "trial") + (f", {own:,} of them usable" if own != trials else "")


def ranked(record: StudyRecord) -> list[TrialRecord]:
    """Return the usable trials, best first, repeats of another trial left out; equal ones by their validation loss, as the search does."""
    return [*_ranked(record)]


@lru_cache(maxsize=2)
def _ranked(record: StudyRecord) -> tuple[TrialRecord, ...]:
    own = [trial for trial in record.trials if usable(trial) and trial.repeats is None]
    return tuple(sorted(own, key=lambda trial: trial.rank(record.direction)))


@lru_cache(maxsize=2)
def _seen(record: StudyRecord) -> tuple[str, ...]:
    """Return the names of all hyperparameters that the trials have, as they first come."""
    return tuple(dict.fromkeys(name for trial in record.trials for name in trial.params))


def close_to(trials: Sequence[TrialRecord], metric: MetricFormat) -> float:
    """Return how far from the best value is still close: a percentage point, else a twentieth of what the trials' values span."""
    values = [trial.value for trial in trials if usable(trial) and trial.value is not None]
    return 0.01 if metric.percent else 0.05 * abs(max(values) - min(values))


def judged(record: StudyRecord) -> list[TrialRecord]:
    """Return the trials that may be the best and have a value in each of several objectives, best first; none with one objective."""
    wanted = len(record.objectives)
    return [t for t in ranked(record) if wanted and len(t.values) == wanted and all(map(isfinite, t.values))]


def best(record: StudyRecord) -> TrialRecord | None:
    """Return the trial that the search chose; while it runs, the best so far."""
    number = record.result.get("trial")
    chosen = next((trial for trial in record.trials if trial.number == number), None) if number is not None else None
    return chosen or next(iter(_ranked(record)), None)


def space_of(record: StudyRecord) -> dict[str, Any]:
    """Return each hyperparameter's domain as {low, high, ...}, a list of at least two choices, or a plain value.

    A width per layer (`width_1`, `width_2`, ...) has the domain of `width`.
    """
    space = record.settings.get("space")
    plain = {name: _domain_of(wanted) for name, wanted in space.items()} if isinstance(space, Mapping) else {}
    seen = sorted(_seen(record), key=lambda name: (len(name), name))
    layers = {name: plain["width"] for name in seen if re.fullmatch(r"width_\d{1,3}", name) and "width" in plain}
    if not layers:
        return plain
    return {
        own: wanted for name in plain for own, wanted in (layers.items() if name == "width" else [(name, plain[name])])
    }


def _domain_of(wanted: Any) -> Any:
    if isinstance(wanted, Mapping) and isinstance(wanted.get("values"), list | tuple):
        wanted = wanted["values"]
    if isinstance(wanted, list | tuple):
        return list(wanted) if len(wanted) != 1 else wanted[0]
    ends = [wanted.get("low"), wanted.get("high")] if isinstance(wanted, Mapping) else []
    numeric = [end for end in ends if isinstance(end, int | float) and not isinstance(end, bool) and isfinite(end)]
    return dict(wanted) if len(numeric) == 2 else visible(wanted) if isinstance(wanted, Mapping) else wanted


def hyperparameters(record: StudyRecord) -> list[str]:
    """Return the names of all searched hyperparameters: the study's order first, then what else the trials have."""
    space = space_of(record)
    varied = [name for name, wanted in space.items() if isinstance(wanted, dict | list)]
    return [*varied, *(name for name in _seen(record) if name not in space)]


def network(widths: Iterable[int], activation: str) -> str:
    """Return an architecture in words: `2 hidden layers of 96 units, relu`."""
    sizes = list(widths)
    if not sizes:
        return "a linear model (no hidden layer)"
    units = f"{sizes[0]:,}" if len(set(sizes)) == 1 else listing([f"{size:,}" for size in sizes])
    return f"{count(len(sizes), 'hidden layer')} of {units} units" + (
        f", {visible(activation, 40)}" if activation else ""
    )
