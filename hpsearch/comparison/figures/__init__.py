"""The figures of a comparison, in the order of its report. A figure is a row; its sentences are in `hpsearch.reporting.locales`."""

from hpsearch.comparison.figures import (
    curves,
    escape,
    escape_network,
    noise,
    over_updates,
    quality,
    rates,
    steadiness,
    textbook,
    times,
    tradeoff,
    trajectories,
    tuning,
)
from hpsearch.comparison.figures.row import ComparedFigure

__all__ = ["COMPARED", "ORDER", "ComparedFigure"]

_ROOMS = (
    times,
    tradeoff,
    curves,
    rates,
    noise,
    steadiness,
    escape,
    escape_network,
    over_updates,
    trajectories,
    textbook,
    quality,
    tuning,
)
_ROWS = {figure.name: figure for room in _ROOMS for figure in room.ROWS}

ORDER = (  # the claims' evidence first, what explains it after
    *("textbook", "steps", "epochs", "seconds", "tradeoff", "curves", "loss_curves", "rates"),
    *("variance", "angle", "variability", "path"),
    *("escape_instability", "escape_thermal", "escape_teacher", "escape_dead"),
    *("noise_scale", "trajectories", "barrier", "sharpness", "quality", "tuning"),
)
COMPARED: tuple[ComparedFigure, ...] = tuple(_ROWS[name] for name in ORDER)
