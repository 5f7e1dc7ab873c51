"""Many trials as bands: the middle half of their values along an axis, their median, and how densely they lie.

From `CROWD` trials on a figure draws these and the best ten instead of every trial.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from hpsearch.reporting.figures.style import LIGHT, rounded
from hpsearch.storage import TrialRecord

CROWD = 500  # trials: as many marks of 8 pixels cover a tenth of a figure of 850 × 380 pixels, and hide each other where they gather
TOP = 10  # of the best, which are drawn one by one
PARTS = 24  # of a band along the width of a figure, at most
FEWEST = 8  # trials of a part
QUARTILES = (0.25, 0.5, 0.75)
BINS = 20  # of a density

Points = Sequence[float | None]


def parts_of(trials: Sequence[TrialRecord], most: int = PARTS) -> list[Sequence[TrialRecord]]:
    """Return ordered trials in parts of equal size, at most so many, each with enough of them for quartiles."""
    count = max(1, min(most, len(trials) // FEWEST))
    return [trials[i * len(trials) // count : (i + 1) * len(trials) // count] for i in range(count)]


def quartiles_of(parts: Sequence[Sequence[TrialRecord]]) -> list[list[float]]:
    """Return the quartiles [3][parts] of the values of each part."""
    if not parts:
        return [[], [], []]
    values = [np.quantile([trial.value for trial in part if trial.value is not None], QUARTILES) for part in parts]
    return [[float(value) for value in row] for row in np.transpose(values)]


def band_traces(x: Points, quartiles: Sequence[Points], names: tuple[str, str], **more: Any) -> list[go.Scatter]:
    """Return the middle half as a band, which is two traces, and the median as a dashed line; `names` are those of band and median."""
    low, middle, high = map(rounded, quartiles)
    quiet = {"x": rounded(x), "mode": "lines", "hoverinfo": "skip", **more}
    bare = {"width": 0, "color": LIGHT["band"]}
    dashed = {"color": LIGHT["pruned"], "width": 1.5, "dash": "dash"}
    return [
        go.Scatter(y=low, line={"width": 0, "color": LIGHT["pale"]}, showlegend=False, **quiet),
        go.Scatter(y=high, name=names[0], fill="tonexty", fillcolor=LIGHT["band"], line=bare, **quiet),
        go.Scatter(y=middle, name=names[1], line=dashed, **quiet),
    ]


def density(heights: Sequence[float], at: float, width: float, ends: tuple[float, float]) -> tuple[Points, Points]:
    """Return the outline (x, y) of a histogram that stands on the vertical line `at`, its longest bar so wide."""
    counts, edges = np.histogram(heights, BINS, ends)
    longest = max(1, int(counts.max()))
    x: list[float | None] = [at]
    y: list[float | None] = [float(edges[0])]
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        far = at + width * int(count) / longest
        x += [far, far]
        y += [float(low), float(high)]
    return [*x, at, None], [*y, float(edges[-1]), None]
