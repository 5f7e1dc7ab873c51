"""Numbers, intervals, times and names as text: one spelling for tables, figures and sentences.

Numbers have four significant digits, a thousands separator, and their unit behind a space that does not break. The ends of an interval
have as many digits as it takes to tell them apart. What rounds to zero has no sign. Every name that came from outside goes through
`visible` before anybody reads it; escaping for HTML is left to the page's templates and the figures.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import floor, isfinite, isnan, log10
from typing import Any
from unicodedata import category

from hpsearch.data.metrics import METRICS
from hpsearch.locales import ENGLISH, Texts
from hpsearch.storage import ComparisonRecord, StudyRecord
from hpsearch.trial import is_better

SPACE = "\u00a0"  # does not break
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
ENDS = {"0", "0.0", "0.00", "100", "100.0", "100.00"}  # shares that are none or all, or round to it
MORE = 7  # digits that are tried to tell two numbers apart


def visible(text: object, most: int | None = 400) -> str:
    r"""Return text with hidden characters spelled out, as `\x1b`, and at most `most` characters.

    Hidden are all characters that do not print: control characters, line ends, zero-width and bidirectional ones, which hide or reorder
    what is read. Spaces of all kinds stay.
    """
    text = str(text) if most is None else str(text)[: 4 * most]
    if not text.isprintable():
        text = "".join(map(_spelled, text))
    if most is None or len(text) <= most:
        return text
    return text[: most - 1] + "…"


def _spelled(character: str) -> str:
    if character.isprintable() or category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")


def printable(text: object) -> str:
    """Return text for a terminal: as `visible`, and with ordinary spaces."""
    return visible(str(text).replace(SPACE, " "), most=None)


def readable(name: object, most: int = 400) -> str:
    """Return an identifier as words: `learning_rate` → `learning rate`."""
    return visible(name, most).replace("_", " ")


def identifier(name: object, most: int = 400) -> str:
    """Return a hyperparameter's name as files and code spell it: `learning_rate`, `lr`."""
    return visible(name, most)


def number(value: object, digits: int = 4) -> str:
    """Return a number with so many significant digits, at most four; text and everything else as it is."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return visible(value)
    if isinstance(value, int):
        return _integer(value)
    if isnan(value):
        return "not a number"
    if not isfinite(value):
        return "∞" if value > 0 else "−∞"
    return _real(float(f"{value:.{digits}g}") if digits < 4 else value)


def precise(value: float, more: int = 0) -> str:
    """Return a finite number with four significant digits and so many more."""
    return _real(value, more=more)


def _integer(value: int) -> str:
    if abs(value) < 10**15:
        text = f"{value:,}"
    elif abs(value) < 10**300:
        return _scientific(float(value), len(str(abs(value))) - 1, 4)
    else:
        text = "more than 10³⁰⁰"
    return text.replace("-", "−")


def _real(value: float, keep_zeros: bool = False, more: int = 0) -> str:
    """Return four significant digits and so many more; `keep_zeros` keeps those at the end, for columns of one precision."""
    if value == 0:
        return "0"
    power = floor(log10(abs(value)))
    if not -4 <= power < 9:
        return _scientific(value, power, 3 + more)
    text = fixed(value, max(0, 3 - power + more))
    if power >= 3 or keep_zeros or "." not in text:
        return text
    return text.rstrip("0").rstrip(".")


def _scientific(value: float, power: int, digits: int) -> str:
    """Return 2.5×10⁻⁷."""
    mantissa = "0"
    if power > -300:
        mantissa = f"{value / 10.0**power:.{digits}g}"
    return f"{mantissa}×10{str(power).translate(SUPERSCRIPTS)}".replace("-", "−")


def fixed(value: float, places: int) -> str:
    """Return a number with so many decimals, without a sign where it rounds to zero."""
    text = f"{value:,.{places}f}"
    return text.replace("-", "−" if text.strip("-0.,") else "")


def short(value: object, more: int = 0) -> str:
    """Return a number to four significant digits and so many more as terminals have it, anything else as it is."""
    if isinstance(value, float):
        return f"{value + 0.0:.{4 + more}g}"
    return str(value)  # -0.0 + 0.0 is 0.0


def apart(low: float, high: float, write: Callable[[float, int], str]) -> tuple[str, str]:
    """Return two numbers as `write(number, more digits)` has them, with as many digits more as it takes to tell them apart."""
    for more in range(MORE):
        first, second = write(low, more), write(high, more)
        if first != second:
            return first, second
    return write(low, 0), write(high, 0)


def interval(low: float | None, high: float | None, write: Callable[[float, int], str], texts: Texts = ENGLISH) -> str:
    """Return `0.31 to 0.35`; an end that is not bounded is –, and ends that are equal are one value."""
    if low is None or high is None:
        return texts.interval(*("–" if end is None else write(end, 0) for end in (low, high)))
    first, second = apart(low, high, write)
    if first != second:
        return texts.interval(first, second)
    return texts("number.unvaried", value=first)


def domain(given: Any, texts: Texts = ENGLISH) -> str:
    """Return a hyperparameter's domain, as the study's TOML file gives it, in words."""
    if isinstance(given, Mapping) and "low" in given and "high" in given:
        parts = [texts.interval(number(given["low"]), number(given["high"]))]
        if given.get("step"):
            parts.append(texts("search.domain.step", step=number(given["step"])))
        if given.get("log"):
            parts.append(texts("search.domain.log"))
        return ", ".join(parts)
    if isinstance(given, list | tuple):
        *first, last = [number(choice) for choice in given] or [""]
        if first:
            return texts("search.domain.choices", first=", ".join(first), last=last)
        return last
    return texts("search.domain.fixed", value=number(given))


def duration(seconds: float | None) -> str:
    """Return seconds as `4.2 s`, `3 min 20 s` or `2 h 5 min`, below a tenth of one as `62 ms` or `4.5 µs`."""
    if seconds is None or not isfinite(seconds):
        return "–"
    if 0 < seconds < 0.1:
        unit, factor = ("ms", 1e3) if seconds >= 1e-4 else ("µs", 1e6)
        return f"{number(float(f'{factor * seconds:.2g}'))}{SPACE}{unit}"
    if seconds < 60:
        digits = f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}"
        return f"{digits}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours:,}{SPACE}h {minutes_left}{SPACE}min"
    if rest:
        return f"{minutes}{SPACE}min {rest}{SPACE}s"
    return f"{minutes}{SPACE}min"


def share(value: float) -> str:
    """Return 0.254 as `25 %`; 0 % is none and 100 % is all, so that 0.998 is `99.8 %`."""
    places = next((places for places in range(3) if value in (0, 1) or fixed(100 * value, places) not in ENDS), 3)
    return f"{fixed(100 * value, places)}{SPACE}%"


def shares(low: float, high: float, texts: Texts = ENGLISH) -> str:
    """Return an interval of shares, `25 % to 31 %`."""
    return interval(low, high, lambda value, more: f"{fixed(100 * value, more)}{SPACE}%", texts)


def sentence(text: str) -> str:
    """Return text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def sentences(texts: Iterable[str]) -> str:
    """Return remarks one after the other, each as a sentence."""
    return " ".join(sentence(text if text.endswith((".", "!", "?", "…")) else f"{text}.") for text in texts)


@dataclass(frozen=True, slots=True)
class MetricFormat:
    """The study's metric: how its values are written and which of two is better."""

    name: str  # as labels have it: accuracy, RMSE, log loss
    maximize: bool
    percent: bool
    decimals: int
    integer: bool = False  # its values are counts
    texts: Texts = field(
        default=ENGLISH, compare=False, repr=False
    )  # the language of the name and of what is said of values

    @classmethod
    def of(cls, record: StudyRecord | ComparisonRecord, texts: Texts = ENGLISH) -> "MetricFormat":
        """Return the metric of a study or a comparison; percentages get a second decimal where the rows can tell it."""
        rows = (record.data.get("rows") or {}).get("validation") or 0
        name = str(record.data.get("metric") or "value")
        if isinstance(record, StudyRecord) and record.foreign:
            return cls.foreign(name, record.direction, texts)
        integer = name == "parameters"  # an objective that counts
        return cls.named(name, record.direction == "maximize", 1 if rows < 2000 else 2, integer, texts)

    @classmethod
    def named(
        cls, name: str, maximize: bool, decimals: int = 1, integer: bool = False, texts: Texts = ENGLISH
    ) -> "MetricFormat":
        """Return the metric of a name, as tables and files spell it."""
        metric = METRICS.get(name.replace(" ", "_"))
        label = metric.short_title if metric else ""
        if metric or integer:
            label = texts.word(label or readable(name))
        return cls(label or readable(name, 40), maximize, bool(metric and metric.is_share), decimals, integer, texts)

    @classmethod
    def foreign(cls, name: str, direction: str, texts: Texts = ENGLISH) -> "MetricFormat":
        """Return the format of an objective of which nothing but its name is known: its values are plain numbers."""
        return cls(readable(name, 40), direction == "maximize", percent=False, decimals=1, texts=texts)

    @property
    def direction(self) -> str:
        """The direction as storages have it: maximize or minimize."""
        return "maximize" if self.maximize else "minimize"

    @classmethod
    def objectives(cls, record: StudyRecord, texts: Texts = ENGLISH) -> "tuple[MetricFormat, ...]":
        """Return the objectives of a study, the metric first: that alone where there are no others."""
        found = [cls.of(record, texts)]
        for name, better in [*record.objectives.items()][1:]:
            if record.foreign:
                found.append(cls.foreign(name, better, texts))
                continue
            found.append(cls.named(name, better == "maximize", found[0].decimals, name == "parameters", texts))
        return tuple(found)

    def named_text(self, value: float | None) -> str:
        """Return a value behind the metric's name: `accuracy 97.4 %`."""
        return f"{self.name} {self.text(value)}"

    def text(self, value: float | None, decimals: int | None = None) -> str:
        """Return a value of the metric, `97.4 %` or four digits."""
        if value is None or not isfinite(value):
            return "–"
        places = self.decimals if decimals is None else decimals
        return self._written(value, places - self.decimals if self.percent else 0)

    def _written(self, value: float, more: int) -> str:
        """Return a value with so many digits more than usual."""
        if self.integer:
            return number(round(value))
        if self.percent:
            return f"{fixed(100 * value, self.decimals + more)}{SPACE}%"
        return _real(float(value), keep_zeros=True, more=more)

    def gap(self, first: float, second: float) -> str:
        """Return how far apart two values are, in points where they are percentages."""
        gap = abs(first - second)
        if not self.percent:
            return number(float(gap))
        if 0 < round(100 * gap, 9) < 0.5 * 10**-self.decimals:
            return self.texts("number.tiny_gap", points=f"{10**-self.decimals:g}")
        is_one = round(100 * gap, self.decimals) == 1
        key = "point" if is_one else "points"
        return self.texts(f"number.{key}", points=fixed(100 * gap, self.decimals))

    def between(self, low: float | None, high: float | None) -> str:
        """Return an interval with its unit once, `95.1 to 96.5 %`; an end that is not bounded is –."""
        ends = interval(low, high, self._written, self.texts)
        if ends.count(f"{SPACE}%") > 1:
            return ends.replace(f"{SPACE}%", "", 1)
        return ends

    def distinct(self, first: float, second: float) -> tuple[str, str]:
        """Return two values with enough digits to tell them apart."""
        return apart(first, second, self._written)

    def differences(self, low: float | None, high: float | None) -> str:
        """Return an interval of a difference without its unit: percentage points where values are percentages."""
        return interval(low, high, self._difference, self.texts)

    def _difference(self, value: float, more: int) -> str:
        if self.percent:
            return fixed(100 * value, self.decimals + more)
        return _real(float(value), more=more)

    def better(self, first: float, second: float) -> bool:
        """Whether the first value is better than the second."""
        return is_better(first, second, self.maximize)
