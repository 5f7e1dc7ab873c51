"""How sharp the loss is where a run is, against the sharpness that its learning rate can bear.

On a quadratic with curvature λ plain gradient descent is stable below λ = 2/η, with momentum β below (2 + 2β)/η, with Nesterov's below
(2 + 2β)/(η(1 + 2β)). Full-batch descent on networks climbs to that limit and hovers there, the edge of stability (Cohen et al. 2021,
arXiv:2103.00065, §2, §3 and appendix B); small batches stay below. Optimizers that rescale each weight have no such limit on λ itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.comparison.analysis.measured import (
    Spread,
    at_moment,
    by_update,
    measured_arms,
    measured_runs,
    spread,
)
from hpsearch.comparison.analysis.times import learning_rate
from hpsearch.storage import ArmRecord, ComparisonRecord, WinnerRecord

MOMENTS = ("start", "middle", "target", "end")
MOMENTUM = 0.9  # where a study does not set it


@dataclass(frozen=True, slots=True)
class SharpnessAt:
    """The greatest eigenvalue of the Hessian after an update over the measured runs; `converged` in all of them."""

    update: int
    value: Spread
    converged: bool


@dataclass(frozen=True, slots=True)
class SharpnessCurve:
    """The sharpness of one batch size's runs at updates and by moment; `limit` is the one that its learning rate can bear, if known."""

    batch_size: int
    learning_rate: float | None
    limit: float | None
    points: tuple[SharpnessAt, ...]
    moments: Mapping[str, SharpnessAt]

    @property
    def last(self) -> SharpnessAt:
        """The latest look."""
        return self.points[-1]

    def ratio(self, value: float) -> float | None:
        """Return a sharpness by the limit, ηλ/2 for plain SGD: 1 is the edge of stability."""
        return None if self.limit is None else value / self.limit

    @property
    def highest_ratio(self) -> float | None:
        """The greatest ratio of all looks."""
        return self.ratio(max(point.value.value for point in self.points))


def sharpness_curves(record: ComparisonRecord, optimizer: str) -> list[SharpnessCurve]:
    """Return the sharpness of each measured arm, smallest batch size first; an arm without any look is left out."""
    return [curve for arm in measured_arms(record, optimizer) if (curve := _curve(arm)) and curve.points]


def _curve(arm: ArmRecord) -> SharpnessCurve | None:
    winner, runs = arm.fastest, measured_runs(arm)
    if winner is None:
        return None
    seen = by_update([[look for look in run.get("sharpness", []) if look.get("value") is not None] for run in runs])
    points = [point for update, looks in seen.items() if (point := _point(update, looks))]
    named = {moment: [look for run in runs if (look := at_moment(run, "sharpness", moment))] for moment in MOMENTS}
    moments = {moment: point for moment, looks in named.items() if (point := _mean_point(looks))}
    return SharpnessCurve(arm.batch_size, learning_rate(arm, winner.params), limit(arm, winner), tuple(points), moments)


def _mean_point(looks: Sequence[Mapping[str, Any]]) -> SharpnessAt | None:
    usable = [look for look in looks if look.get("value") is not None]
    return _point(round(sum(look["update"] for look in usable) / len(usable)), usable) if usable else None


def _point(update: int, looks: Sequence[Mapping[str, Any]]) -> SharpnessAt | None:
    value = spread([float(look["value"]) for look in looks])
    return SharpnessAt(update, value, all(look.get("converged", True) for look in looks)) if value else None


def limit(arm: ArmRecord, winner: WinnerRecord) -> float | None:
    """Return the sharpness up to which an arm's optimizer is stable on a quadratic, None where it rescales each weight."""
    rate = learning_rate(arm, winner.params)
    if not rate:
        return None
    beta = _momentum(arm, winner)
    limits = {
        "sgd": 2 / rate,
        "momentum": (2 + 2 * beta) / rate,
        "nesterov": (2 + 2 * beta) / (rate * (1 + 2 * beta)),
    }
    return limits.get(arm.optimizer)


def _momentum(arm: ArmRecord, winner: WinnerRecord) -> float:
    """Return β: tuned, or fixed by the study, or the default."""
    fixed = arm.settings.get("space", {}).get("momentum")
    value = winner.params.get("momentum", fixed)
    return float(value) if isinstance(value, int | float) else MOMENTUM
