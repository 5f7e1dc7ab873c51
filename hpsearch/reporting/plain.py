"""Figures as JSON values, for the page."""

from collections.abc import Mapping
from math import isfinite
from typing import Any


def plain(figure: Any) -> dict[str, Any]:
    """Return a figure as JSON values, without the default template that the house's look replaces; with frames where it has some."""
    found = figure.to_plotly_json()
    found["layout"].pop("template", None)
    frames = [frame.to_plotly_json() for frame in figure.frames]
    parts = {"data": found["data"], "layout": found["layout"], **({"frames": frames} if frames else {})}
    return {name: _clean(part) for name, part in parts.items()}


def _clean(value: Any) -> Any:
    """Return plain JSON values; JSON has no nan, a figure has a gap there."""
    if isinstance(value, Mapping):
        return {key: _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not isfinite(value) else value
