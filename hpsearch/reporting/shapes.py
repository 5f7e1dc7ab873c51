"""What one learning curve shows, as far as its points can tell: whether it rose after its lowest, still falls, jumps, or is flat.

Medians over a few points stand for single ones, since one evaluation's value jumps; and a change counts only where it is larger than
what a value usually jumps by from one evaluation to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from statistics import median

FEWEST = 8  # evaluations that can show a shape
PART = 5  # the last fifth is compared with what came before
FLAT = 0.03  # relative change that counts as none
RISE = 0.05  # relative rise over the lowest that counts as over-fitting
JUMPY = 0.1  # usual relative jump that hides a trend
JUMPS = 2  # usual jumps that a change must exceed
MOST = 0.95  # of an improvement


class Shape(StrEnum):
    """How a loss ends."""

    FEW = "few"
    RISES = "over_fitting"
    JUMPS = "jumping"
    FALLS = "falling"
    LEVEL = "level"
    NEAR = "near"  # neither level nor risen by as much as counts


@dataclass(frozen=True, slots=True)
class Course:
    """How a loss went: the place of its lowest value, and the change that its shape is about, relative to the level before."""

    shape: Shape
    lowest: int
    change: float = 0.0


def course(losses: Sequence[float]) -> Course:
    """Return how a loss [N] went, N at least 1."""
    known = [value if isfinite(value) else float("inf") for value in losses]
    lowest = min(range(len(known)), key=known.__getitem__)
    size = max(3, len(known) // PART)
    if len(known) < FEWEST or known[lowest] <= 0 or not all(map(isfinite, known)):
        return Course(Shape.FEW, lowest)
    end = median(known[-size:])
    before = median(known[-2 * size : -size])
    first = max(0, min(lowest - size // 2, len(known) - size))
    low = median(known[first : first + size])
    jump = usual_jump(known[len(known) // 2 :])
    rise = end / low - 1
    if rise > RISE and end - low > JUMPS * jump and min(known[-size:]) > known[lowest]:
        return Course(Shape.RISES, lowest, rise)
    if jump > JUMPY * end:
        return Course(Shape.JUMPS, lowest, jump / end)
    if end < (1 - FLAT) * before:
        return Course(Shape.FALLS, lowest, 1 - end / before)
    if abs(end - before) <= FLAT * before and rise <= RISE:
        return Course(Shape.LEVEL, lowest)
    return Course(Shape.NEAR, lowest, max(0.0, rise))


def usual_jump(values: Sequence[float]) -> float:
    """Return the median distance of a value from the middle of its neighbours, 0 for fewer than three: a steady trend has none."""
    between = [
        abs(value - (before + after) / 2) for before, value, after in zip(values, values[1:], values[2:], strict=False)
    ]
    return median(between) if between else 0.0


def gained_most(values: Sequence[float], best: float, least: float) -> int | None:
    """Return the place at which a metric had 95 % of its improvement from its first value to the best one.

    None where that improvement is no larger than `least` or than what the values jump by, so that a share of it says nothing.
    """
    gain = best - values[0]
    if not isfinite(gain) or abs(gain) <= max(least, JUMPS * usual_jump(values[len(values) // 2 :])):
        return None
    return next((place for place, value in enumerate(values) if (value - values[0]) / gain >= MOST), None)
