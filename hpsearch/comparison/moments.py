"""When a run is looked at: the moments that runs of all batch sizes share, and the updates between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt

from hpsearch.comparison.winners import reached
from hpsearch.trial import Direction, History, TrialSpec

MARKS = 8  # looks at noise and sharpness between the first and the last update, evenly on a logarithmic scale
WINDOW = 100  # updates after the target whose losses are compared one by one
PASSES = 12  # passes over the rows after the target, likewise


@dataclass(frozen=True, slots=True)
class Moments:
    """Updates of one run: `named` is start, middle, target and end; `marks` where noise and sharpness are measured.

    `window` and `passes` are the updates after which the loss is taken, for its variability from update to update and from pass to pass;
    empty where the target was not reached.
    """

    named: Mapping[str, int]
    marks: tuple[int, ...]
    window: tuple[int, ...] = field(default=())
    passes: tuple[int, ...] = field(default=())

    @property
    def stops(self) -> list[int]:
        """All updates at which something is looked at, in order."""
        return sorted({*self.named.values(), *self.marks, *self.window, *self.passes})


def moments(
    spec: TrialSpec, history: History, target: float, direction: Direction, losses: tuple[float, float], rows: int
) -> Moments:
    """Return the moments of a recorded run.

    `losses` are the validation losses at the start and, usually, at the target: the middle is halfway between on a logarithmic scale, the
    same loss for every batch size, so that what differs there is not how far training has come.
    """
    last = history.update[-1] if len(history) else 0
    named = {"start": 0, "end": last}
    hit = reached(history, target, direction)
    marks = {0, *(round(last ** (k / (MARKS - 1))) for k in range(MARKS))} if last else {0}
    if hit > last:
        return Moments(named, tuple(sorted(marks)))
    at = int(hit)
    halfway = sqrt(losses[0] * losses[1])
    pairs = zip(history.update, history.validation_loss, strict=True)
    named = {"start": 0, "middle": next((u for u, loss in pairs if loss <= halfway), at), "target": at, "end": last}
    per_pass = max(1, rows // spec.batch_size)
    window = tuple(range(at, min(last, at + WINDOW) + 1))
    passes = tuple(u for u in (at + k * per_pass for k in range(PASSES + 1)) if u <= last)
    return Moments(named, tuple(sorted({*marks, *named.values()})), window, passes)
