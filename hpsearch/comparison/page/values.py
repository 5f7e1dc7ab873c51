"""Values of the analysis as text, in the words of one language."""

from collections.abc import Mapping

from hpsearch.comparison.analysis.measured import Spread
from hpsearch.comparison.analysis.verdicts import Value
from hpsearch.comparison.figures.appearance import gap_texts, significant
from hpsearch.reporting.formatting import number
from hpsearch.reporting.locales import Texts
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

SHARES = frozenset(  # read as percentages; the spread of a logarithm is about a relative change
    {
        "one_rising",
        "full_rising",
        "one_deviation",
        "full_deviation",
        "one_pass",
        "full_pass",
        "sgd",
        "gd",
        "isotropic",
        "stuck",
    }
)
GAPS = frozenset({"test", "equal_epochs", "equal_updates", "difference"})  # differences of the metric
RATIOS = frozenset({"steps", "epochs", "seconds", "one", "full"})  # how many times as much
FRACTIONS = dict(
    enumerate(("half", "third", "quarter", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"), start=2)
)
NEAR = 0.15  # relative distance from 1/k at which a ratio is called about 1/k


def value_texts(values: Mapping[str, Value], record: ComparisonRecord, texts: Texts) -> dict[str, str]:
    """Return values as they stand in a sentence.

    An estimate has its interval, a share is in percent, a difference of the metric in points, a small ratio a fraction.
    """
    return {name: _text(name, value, record, texts) for name, value in values.items()}


def _text(name: str, value: Value, record: ComparisonRecord, texts: Texts) -> str:
    if value is None:
        return number(None)
    if isinstance(value, Estimate) and name in GAPS:
        return texts("page.interval", **gap_texts(record, value, texts))
    write = percent if name in SHARES else significant
    if not isinstance(value, Estimate | Spread):
        return number(value) if isinstance(value, int) else write(value)
    ends = {"value": write(value.value), "low": write(value.low), "high": write(value.high)}
    if name in RATIOS:
        return _ratio(value.value, ends, texts)
    return texts("page.interval", **ends)


def _ratio(ratio: float, ends: Mapping[str, str], texts: Texts) -> str:
    """Return `3.1 (3 to 3.2) times` or `about a third (0.32, 0.28 to 0.35)`."""
    parts = round(1 / ratio) if ratio > 0 else 0
    if parts < 2 or abs(ratio * parts - 1) > NEAR:
        return texts("ratio.times", **ends)
    if parts in FRACTIONS:
        return texts(f"ratio.{FRACTIONS[parts]}", **ends)
    return texts("ratio.part", parts=number(parts), **ends)


def percent(value: float) -> str:
    """Return a share as a percentage of two digits."""
    if abs(value) >= 0.995:
        digits = f"{100 * value:.0f}"
    else:
        digits = f"{100 * value:.2g}"
    return f"{digits}\u00a0%"
