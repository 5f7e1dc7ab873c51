"""How sharp the loss is where a run is, against the sharpness at which its learning rate is still stable.

On a quadratic with curvature λ plain gradient descent is stable below λ = 2/η, with momentum β below (2 + 2β)/η, with Nesterov's below
(2 + 2β)/(η(1 + 2β)). Full-batch descent on networks climbs to that limit and hovers there, the edge of stability (Cohen et al. 2021,
arXiv:2103.00065, §2, §3 and appendix B); small batches stay below. Optimizers that rescale each weight have no such limit on λ itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.comparison.analysis.measured import Spread, by_update, entries_at, measured_arms, measured_runs, spread
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
    """The sharpness of one batch size's runs at updates and by moment; `limit` is where its learning rate becomes unstable, if known."""

    batch_size: int
    learning_rate: float | None
    limit: float | None
    points: tuple[SharpnessAt, ...]
    moments: Mapping[str, SharpnessAt]

    @property
    def last(self) -> SharpnessAt:
        """The latest measurement."""
        return self.points[-1]

    def ratio(self, value: float) -> float | None:
        """Return a sharpness by the limit, ηλ/2 for plain SGD: 1 is the edge of stability."""
        return None if self.limit is None else value / self.limit

    @property
    def highest_ratio(self) -> float | None:
        """The greatest ratio of all measurements."""
        return self.ratio(max(point.value.value for point in self.points))


def sharpness_curves(record: ComparisonRecord, optimizer: str) -> list[SharpnessCurve]:
    """Return the sharpness of each measured arm, smallest batch size first; an arm without a measurement of it is left out."""
    curves = [_curve(arm, arm.fastest) for arm in measured_arms(record, optimizer) if arm.fastest]
    return [curve for curve in curves if curve.points]


def _curve(arm: ArmRecord, winner: WinnerRecord) -> SharpnessCurve:
    runs = by_update([_known(run.get("sharpness", [])) for run in measured_runs(arm)])
    at_moments = {moment: _known(entries_at(arm, "sharpness", moment)) for moment in MOMENTS}
    return SharpnessCurve(
        batch_size=arm.batch_size,
        learning_rate=learning_rate(arm, winner.params),
        limit=stability_limit(arm, winner),
        points=tuple(_point(update, entries) for update, entries in runs.items()),
        moments={moment: _mean_point(entries) for moment, entries in at_moments.items() if entries},
    )


def _known(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [entry for entry in entries if entry.get("value") is not None]


def _mean_point(entries: Sequence[Mapping[str, Any]]) -> SharpnessAt:
    """Return the sharpness of runs at a moment that each reached at its own update, at their mean update."""
    return _point(round(sum(entry["update"] for entry in entries) / len(entries)), entries)


def _point(update: int, entries: Sequence[Mapping[str, Any]]) -> SharpnessAt:
    value = spread([float(entry["value"]) for entry in entries])
    assert value is not None, "there is a run"
    return SharpnessAt(update, value, all(entry.get("converged", True) for entry in entries))


def stability_limit(arm: ArmRecord, winner: WinnerRecord) -> float | None:
    """Return the sharpness up to which an arm's optimizer is stable on a quadratic (Cohen et al. 2021, §2 and appendix B).

    None where it rescales each weight, or its learning rate is not known.
    """
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
