"""Values of a model's JSON, each of the type that it was written in: a text that is a number is none, and nothing is converted.

Raises:
    ValueError: a value is of another type; each function's.
"""

from math import isfinite
from typing import Any

from hpsearch.errors import shown


def number(value: object) -> float:
    """Return a finite number."""
    if type(value) not in (int, float) or not isfinite(value):  # type: ignore[arg-type]
        raise ValueError(f"{shown(value)} is no finite number")
    return float(value)  # type: ignore[arg-type]


def numbers(values: object) -> tuple[float, ...]:
    """Return a list of finite numbers."""
    return tuple(map(number, _items(values)))


def whole(value: object) -> int:
    """Return a whole number."""
    if type(value) is not int:
        raise ValueError(f"{shown(value)} is no whole number")
    return value


def texts(values: object) -> tuple[str, ...]:
    """Return a list of texts."""
    items = _items(values)
    if not all(isinstance(item, str) for item in items):
        raise ValueError(f"{shown(values)} are not texts alone")
    return tuple(items)


def table(value: object) -> dict[str, Any]:
    """Return a table."""
    if not isinstance(value, dict):
        raise ValueError(f"{shown(value)} is no table")
    return value


def _items(values: object) -> list[Any]:
    if not isinstance(values, list | tuple):
        raise ValueError(f"{shown(values)} is no list")
    return [*values]
