"""What the figures of measured runs share: the colours of moments, a mean with its range, which optimizer is drawn."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from hpsearch.comparison.analysis.measured import Spread
from hpsearch.comparison.analysis.times import optimizers
from hpsearch.comparison.figures.look import optimizer_name
from hpsearch.reporting.figures.style import LIGHT
from hpsearch.reporting.formatting import number
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

MOMENT_COLORS = {"start": "soft", "middle": "running", "target": "out of memory", "end": "ink"}
MOMENT_SYMBOLS = {"start": "circle", "middle": "square", "target": "diamond", "end": "circle"}


def brief(value: float | None) -> str:
    """Return a number with three significant digits, whole from 100 on."""
    if value is None or not isfinite(value):
        return number(value)
    return number(round(value)) if abs(value) >= 100 else number(float(f"{value:.3g}"))


def spread_text(value: Spread | None) -> str:
    """Return a mean and, where there are several runs, their range."""
    if value is None:
        return number(None)
    ends = f" ({brief(value.low)} – {brief(value.high)})" if value.runs > 1 and value.low < value.high else ""
    return brief(value.value) + ends


def whiskers(spreads: Sequence[Spread]) -> dict[str, Any]:
    """Return error bars from the lowest to the highest run; an end that is infinite has none."""
    up = [spread.high - spread.value if isfinite(spread.high) else 0.0 for spread in spreads]
    down = [spread.value - spread.low if isfinite(spread.value) else 0.0 for spread in spreads]
    look = {"color": LIGHT["soft"], "thickness": 1.2, "width": 3}
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down} | look


def spread_columns(name: str, value: Spread | None) -> dict[str, object]:
    """Return the columns of a table that hold a mean over runs and its range."""
    if value is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}


def drawn(record: ComparisonRecord) -> str:
    """Return the optimizer whose measurements are drawn: plain SGD where it was compared, else the first."""
    return next(iter(optimizers(record)), "")


def note(record: ComparisonRecord, texts: Texts, *parts: str) -> str:
    """Return a note's sentences, and which optimizer is drawn where several were compared."""
    several = len(optimizers(record)) > 1
    only = texts("measured.only", optimizer=optimizer_name(drawn(record))) if several else ""
    return " ".join(filter(None, [*parts, only]))
