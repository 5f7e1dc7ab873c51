"""Short phrases that several sentences share: how many trials, a network's layers, a hyperparameter with its value or its domain."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from hpsearch.reporting.formatting import number, readable, visible
from hpsearch.reporting.locales import ENGLISH, Texts
from hpsearch.reporting.ranking import ranked
from hpsearch.storage import StudyRecord


def usable_trials(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Return how many trials are usable: `9 usable trials`."""
    return texts.count("usable_trial", len(ranked(record)))


def all_trials(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Return how many trials there are, and how many of them are usable where they differ: `10 trials, 9 of them usable`."""
    trials = texts.count("trial", len(record.trials))
    usable = len(ranked(record))
    if usable == len(record.trials):
        return trials
    return texts("search.phrase.of_them_usable", trials=trials, usable=f"{usable:,}")


def network(widths: Iterable[int], activation: str, texts: Texts = ENGLISH) -> str:
    """Return an architecture in words: `2 hidden layers of 96 units, relu`."""
    sizes = [f"{size:,}" for size in widths]
    if not sizes:
        return texts("search.phrase.linear")
    units = sizes[0] if len(set(sizes)) == 1 else texts.listing(sizes)
    layers = texts("search.phrase.layers", layers=texts.count("hidden_layer", len(sizes)), units=units)
    if activation:
        return f"{layers}, {visible(activation, 40)}"
    return layers


def setting(name: str, value: Any, texts: Texts = ENGLISH) -> str:
    """Return a hyperparameter and its value, short: `learning rate 0.0028`."""
    if name == "batch_size" and value == "full":
        return texts("search.phrase.full_batches")
    is_finite = isinstance(value, float) and isfinite(value)
    return f"{readable(name, 60)} {number(value, digits=2) if is_finite else number(value)}"


def domain(given: Any, texts: Texts = ENGLISH) -> str:
    """Return a hyperparameter's domain, as the study's TOML file gives it, in words."""
    if isinstance(given, Mapping) and "low" in given and "high" in given:
        parts = [texts("search.domain.range", low=number(given["low"]), high=number(given["high"]))]
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
