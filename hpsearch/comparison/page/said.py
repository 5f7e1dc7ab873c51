"""Values of the evidence as text, in the words of one language."""

from collections.abc import Mapping

from hpsearch.comparison.analysis.measured import Spread
from hpsearch.comparison.analysis.verdicts import Value
from hpsearch.comparison.figures.appearance import gap_texts
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


def said(values: Mapping[str, Value], record: ComparisonRecord, texts: Texts) -> dict[str, str]:
    """Return values as they stand in a sentence: an estimate with its interval, a share in percent, a gap of the metric in points."""
    return {name: _one(name, value, record, texts) for name, value in values.items()}


def _one(name: str, value: Value, record: ComparisonRecord, texts: Texts) -> str:
    if value is None:
        return number(None)
    if isinstance(value, Estimate) and name in GAPS:
        return texts("page.interval", **gap_texts(record, value, texts))
    write = percent if name in SHARES else short
    if isinstance(value, Estimate | Spread):
        return texts("page.interval", value=write(value.value), low=write(value.low), high=write(value.high))
    return number(value) if isinstance(value, int) else write(value)


def percent(value: float) -> str:
    """Return a share as a percentage of two digits."""
    digits = f"{100 * value:.0f}" if abs(value) >= 0.995 else f"{100 * value:.2g}"
    return f"{digits}\u00a0%"


def short(value: float) -> str:
    """Return three significant digits: more than an interval over ten seeds can tell."""
    return number(float(f"{value:.3g}"))
