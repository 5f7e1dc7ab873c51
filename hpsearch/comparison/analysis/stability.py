"""How steady, how direct and how sharp a run is: variability of the loss, length of the path, and the edge of stability.

On a quadratic with curvature λ plain gradient descent is stable below λ = 2/η, with momentum β below (2 + 2β)/η, with Nesterov's below
(2 + 2β)/(η(1 + 2β)). Full-batch descent on networks climbs to that limit and hovers there, the edge of stability (Cohen et al. 2021,
arXiv:2103.00065, §2, §3 and appendix B); small batches stay below. Optimizers that rescale each weight have no such limit on λ itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from hpsearch.comparison.analysis.measured import (
    Entry,
    Spread,
    by_moment,
    by_update,
    column,
    entries_on,
    measured_arms,
    measured_runs,
    or_infinite,
    spread,
    spread_of,
)
from hpsearch.comparison.analysis.times import learning_rate
from hpsearch.storage import ArmRecord, ComparisonRecord, WinnerRecord

MOMENTS = ("start", "middle", "target", "end")
VARIABILITY_UNITS = ("before", "updates", "epochs")  # updates before the target; updates, then passes, after it
MOMENTUM = 0.9  # where a study does not set it


# ---- variability and path


@dataclass(frozen=True, slots=True)
class ArmVariability:
    """How the loss on fixed rows moved in the steps of a `unit` (`VARIABILITY_UNITS`), from one to the next.

    `rising` is the share of steps that raised it, `deviation` the standard deviation of Δ log L, `jump` its greatest rise in one step,
    `total_variation` Σ|ΔL| by the fall (1: it only fell; infinite: it did not fall). Deviation and jump are None where no run has them.
    `steps` are those compared in a run, at most, out of `total`.
    """

    batch_size: int
    unit: str
    rising: Spread
    deviation: Spread | None
    jump: Spread | None
    total_variation: Spread
    steps: int
    total: int

    def measure(self, name: str) -> Spread | None:
        """Return "rising", "deviation", "jump" or "total_variation"."""
        value: Spread | None = getattr(self, name)
        return value


@dataclass(frozen=True, slots=True)
class ArmPath:
    """How far weights went up to a moment (`distance`), along which `length`, and their ratio `efficiency`: 1 is a straight line."""

    batch_size: int
    moment: str
    distance: Spread
    length: Spread
    efficiency: Spread

    def measure(self, name: str) -> Spread:
        """Return "distance", "length" or "efficiency"."""
        value: Spread = getattr(self, name)
        return value


def variabilities(record: ComparisonRecord, optimizer: str) -> list[ArmVariability]:
    """Return the variability of each measured arm in each unit that it was measured in, smallest batch size first."""
    result = []
    for arm in measured_arms(record, optimizer):
        for unit in VARIABILITY_UNITS:
            entries = [run["variability"][unit] for run in measured_runs(arm) if unit in run.get("variability", {})]
            if entries:
                result.append(_variability(arm, unit, entries))
    return result


def _variability(arm: ArmRecord, unit: str, entries: Sequence[Entry]) -> ArmVariability:
    steps = int(max(column(entries, "count")))
    return ArmVariability(
        arm.batch_size,
        unit,
        rising=spread(column(entries, "rising")),
        deviation=spread_of(entries, "deviation"),
        jump=spread_of(entries, "jump"),
        total_variation=spread([or_infinite(entry["total_variation"]) for entry in entries]),
        steps=steps,
        total=int(max(column(entries, "of"), default=steps)),
    )


def paths(record: ComparisonRecord, optimizer: str) -> list[ArmPath]:
    """Return how direct and how long each measured arm's paths were, up to the target and up to the end."""
    result = []
    for arm in measured_arms(record, optimizer):
        for moment in ("target", "end"):
            entries = [run.get("path", {}).get(moment, {}) for run in measured_runs(arm)]
            columns = [[entry.get(name) for entry in entries] for name in ("distance", "length", "efficiency")]
            complete = [row for row in zip(*columns, strict=True) if None not in row]
            if complete:
                result.append(ArmPath(arm.batch_size, moment, *map(spread, zip(*complete, strict=True))))
    return result


# ---- sharpness


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
    curves = []
    for arm in measured_arms(record, optimizer):
        shared = by_update(entries_on(run, "sharpness", "value") for run in measured_runs(arm))
        named = by_moment(arm, "sharpness", MOMENTS, "value")
        points = [_point(update, entries) for update, entries in shared.items()]
        moments = {moment: _mean_point(entries) for moment, entries in named.items()}
        if points and arm.fastest:
            rate = learning_rate(arm, arm.fastest.params)
            limit = stability_limit(arm, arm.fastest)
            curves.append(SharpnessCurve(arm.batch_size, rate, limit, tuple(points), moments))
    return curves


def _mean_point(entries: Sequence[Entry]) -> SharpnessAt:
    """Return the sharpness of runs at a moment that each reached at its own update, at their mean update."""
    return _point(round(fmean(column(entries, "update"))), entries)


def _point(update: int, entries: Sequence[Entry]) -> SharpnessAt:
    converged = all(entry.get("converged", True) for entry in entries)
    return SharpnessAt(update, spread(column(entries, "value")), converged)


def stability_limit(arm: ArmRecord, winner: WinnerRecord) -> float | None:
    """Return the sharpness up to which an arm's optimizer is stable on a quadratic (Cohen et al. 2021, §2 and appendix B).

    None where it rescales each weight, or its learning rate is not known.
    """
    rate = learning_rate(arm, winner.params)
    if not rate:
        return None
    fixed = arm.settings.get("space", {}).get("momentum")
    momentum = winner.params.get("momentum", fixed)
    beta = MOMENTUM
    if isinstance(momentum, int | float):
        beta = float(momentum)
    limits = {
        "sgd": 2 / rate,
        "momentum": (2 + 2 * beta) / rate,
        "nesterov": (2 + 2 * beta) / (rate * (1 + 2 * beta)),
    }
    return limits.get(arm.optimizer)
