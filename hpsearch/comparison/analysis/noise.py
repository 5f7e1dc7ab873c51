"""How noisy the gradients of batches are, and what that does to a run: noise scale, variance and angle, variability, path.

The simple noise scale is tr(Σ)/|G|² in examples (McCandlish et al. 2018, arXiv:1812.06162, §2.2): the batch size at which the noise of
a batch's gradient is as large as the gradient itself. Over several runs numerator and denominator are averaged apart and then divided,
since a mean of ratios is biased (there, appendix A.1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from hpsearch.comparison.analysis.measured import (
    Spread,
    at_moment,
    by_update,
    entries_at,
    measured_arms,
    measured_runs,
    or_infinite,
    spread,
)
from hpsearch.storage import ArmRecord, ComparisonRecord

MOMENTS = ("start", "middle", "target")
ZERO = 1e-9  # of the trace: below it a variance is rounding, as that of all rows must be


@dataclass(frozen=True, slots=True)
class BatchGradients:
    """The gradients of `count` random batches of one size at one moment of a run, beside theory.

    `variance` is the mean squared distance of their gradients to the full one; `expected_variance` tr(Σ)/B·(n - B)/(n - 1), drawn
    without replacement, and `unlimited_variance` tr(Σ)/B, with it (None where the trace is not known). `cosine_low` and `cosine_high`
    hold the middle 90 % of the batches; `expected_cosine` is about 1/√(1 + B_simple/B·(n - B)/(n - 1)).
    """

    moment: str
    batch_size: int
    variance: float
    expected_variance: float
    unlimited_variance: float | None
    cosine: float
    cosine_low: float
    cosine_high: float
    expected_cosine: float
    count: int

    @property
    def vanishes(self) -> bool:
        """Whether the variance is zero up to rounding, as that of all rows must be."""
        return self.variance <= ZERO * (self.unlimited_variance or 0.0)


@dataclass(frozen=True, slots=True)
class ScaleAt:
    """The noise scale (examples) after an update, over the measured runs; `loss` is their mean one, None where it was not finite."""

    update: int
    loss: float | None
    scale: Spread


@dataclass(frozen=True, slots=True)
class ScaleCurve:
    """The noise scale of one batch size's runs, at updates and by moment (start, middle, target)."""

    batch_size: int
    points: tuple[ScaleAt, ...]
    moments: Mapping[str, Spread]


@dataclass(frozen=True, slots=True)
class ArmVariability:
    """How the loss on fixed rows moved after the target, from one update or one pass over the rows (`unit`) to the next.

    `rising` is the share of steps that raised it, `deviation` the standard deviation of Δ log L, `total_variation` Σ|ΔL| by the fall
    (1: it only fell; infinite: it did not fall). None where no run has it. `steps` are those compared in a run, at most.
    """

    batch_size: int
    unit: str
    rising: Spread | None
    deviation: Spread | None
    total_variation: Spread | None
    steps: int

    def measure(self, name: str) -> Spread | None:
        """Return "rising", "deviation" or "total_variation"."""
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


@dataclass(frozen=True, slots=True)
class TwoBatch:
    """The noise scale at a moment as batches of two sizes estimate it, and the exact one; infinite where |G|² is not above 0."""

    moment: str
    small: int
    large: int
    estimate: float
    exact: float


# ---- batches drawn at the moments of a run


def _arms_with_batches(record: ComparisonRecord, optimizer: str) -> list[ArmRecord]:
    return [arm for arm in measured_arms(record, optimizer) if _stored_batches(arm)]


def _stored_batches(arm: ArmRecord) -> Mapping[str, Any]:
    """Return the batches by moment of the first run of an arm that has some."""
    for run in measured_runs(arm):
        batches: Mapping[str, Any] = run.get("batches", {})
        if any(batches.values()):
            return batches
    return {}


def _source(record: ComparisonRecord, optimizer: str) -> ArmRecord | None:
    """Return the arm on whose run batches of all sizes were drawn: of several the middle one."""
    arms = _arms_with_batches(record, optimizer)
    return arms[len(arms) // 2] if arms else None


def drawn_from(record: ComparisonRecord, optimizer: str) -> int | None:
    """Return the batch size of the arm on whose run batches of all sizes were drawn, None if there is none."""
    arm = _source(record, optimizer)
    return arm.batch_size if arm else None


def batch_gradients(record: ComparisonRecord, optimizer: str) -> list[BatchGradients]:
    """Return batches of all sizes, by moment and size: of the first measured run of the arm that has them (`drawn_from`)."""
    arm = _source(record, optimizer)
    if arm is None:
        return []
    stored = _stored_batches(arm)
    result = []
    for moment in MOMENTS:
        result += _at_moment(moment, stored.get(moment, []), record.rows)
    return result


def _at_moment(moment: str, entries: Sequence[Mapping[str, Any]], rows: int) -> list[BatchGradients]:
    ordered = sorted(entries, key=lambda entry: entry["batch_size"])
    below_full = [entry for entry in ordered if entry["batch_size"] < rows]
    trace = _trace(below_full[0], rows) if below_full else None
    return [_batch_gradients(moment, entry, trace) for entry in ordered]


def _trace(entry: Mapping[str, Any], rows: int) -> float:
    """Return tr(Σ), from the expected variance tr(Σ)/B·(n - B)/(n - 1) of a batch size."""
    size = int(entry["batch_size"])
    return float(entry["expected_variance"]) * size * (rows - 1) / (rows - size)


def _batch_gradients(moment: str, entry: Mapping[str, Any], trace: float | None) -> BatchGradients:
    size = int(entry["batch_size"])
    return BatchGradients(
        moment,
        size,
        variance=or_infinite(entry["variance"]),
        expected_variance=float(entry["expected_variance"]),
        unlimited_variance=None if trace is None else trace / size,
        cosine=float(entry["cosine"]),
        cosine_low=float(entry["cosine_low"]),
        cosine_high=float(entry["cosine_high"]),
        expected_cosine=float(entry["expected_cosine"]),
        count=int(entry["count"]),
    )


def two_batch(record: ComparisonRecord, optimizer: str) -> list[TwoBatch]:
    """Return the two-batch estimates, by moment, of the first measured run of the arm on which batches were drawn (`drawn_from`).

    McCandlish et al. 2018, appendix A.1.
    """
    arm = _source(record, optimizer)
    if arm is None:
        return []
    runs = [run for run in measured_runs(arm) if run.get("two_batch")]
    result = []
    for run in runs[:1]:
        for moment in MOMENTS:
            estimate = run["two_batch"].get(moment)
            exact = at_moment(run, "noise", moment)
            if estimate and exact:
                sizes = (estimate["small"], estimate["large"])
                result.append(TwoBatch(moment, *sizes, or_infinite(estimate["scale"]), or_infinite(exact["scale"])))
    return result


# ---- the noise scale over a run


def scale_curves(record: ComparisonRecord, optimizer: str) -> list[ScaleCurve]:
    """Return the noise scale of each measured arm, smallest batch size first; an arm without a measurement of it is left out."""
    curves = [_curve(arm) for arm in measured_arms(record, optimizer)]
    return [curve for curve in curves if curve.points]


def _curve(arm: ArmRecord) -> ScaleCurve:
    runs = by_update([_usable(run.get("noise", [])) for run in measured_runs(arm)])
    at_moments = {moment: _usable(entries_at(arm, "noise", moment)) for moment in MOMENTS}
    return ScaleCurve(
        batch_size=arm.batch_size,
        points=tuple(ScaleAt(update, _mean_loss(entries), _pooled(entries)) for update, entries in runs.items()),
        moments={moment: _pooled(entries) for moment, entries in at_moments.items() if entries},
    )


def _usable(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [entry for entry in entries if None not in (entry.get("trace"), entry.get("squared_norm"))]


def _mean_loss(entries: Sequence[Mapping[str, Any]]) -> float | None:
    losses = [float(entry["loss"]) for entry in entries if entry.get("loss") is not None]
    return sum(losses) / len(losses) if losses else None


def _pooled(entries: Sequence[Mapping[str, Any]]) -> Spread:
    """Return the ratio of the means (McCandlish et al. 2018, appendix A.1), and the range of the runs' own ratios."""
    own = [_ratio(entry["trace"], entry["squared_norm"]) for entry in entries]
    trace = sum(entry["trace"] for entry in entries)
    squared_norm = sum(entry["squared_norm"] for entry in entries)
    return Spread(_ratio(trace, squared_norm), min(own), max(own), len(own))


def _ratio(trace: float, squared_norm: float) -> float:
    return trace / squared_norm if squared_norm > 0 else inf


# ---- variability and path


def variabilities(record: ComparisonRecord, optimizer: str) -> list[ArmVariability]:
    """Return the variability after the target of each measured arm, per update and per pass ("epochs"), smallest batch size first."""
    result = []
    for arm in measured_arms(record, optimizer):
        result += [_variability(arm, unit) for unit in ("updates", "epochs")]
    return [variability for variability in result if variability.steps]


def _variability(arm: ArmRecord, unit: str) -> ArmVariability:
    entries = [run.get("variability", {}).get(unit) for run in measured_runs(arm)]
    known = [entry for entry in entries if entry is not None]
    return ArmVariability(
        arm.batch_size,
        unit,
        rising=spread([float(entry["rising"]) for entry in known]),
        deviation=spread([float(entry["deviation"]) for entry in known if entry["deviation"] is not None]),
        total_variation=spread([or_infinite(entry["total_variation"]) for entry in known]),
        steps=max((int(entry["count"]) for entry in known), default=0),
    )


def paths(record: ComparisonRecord, optimizer: str) -> list[ArmPath]:
    """Return how direct and how long each measured arm's paths were, up to the target and up to the end."""
    result = []
    for arm in measured_arms(record, optimizer):
        result += [_path(arm, moment) for moment in ("target", "end")]
    return [path for path in result if path is not None]


def _path(arm: ArmRecord, moment: str) -> ArmPath | None:
    names = ("distance", "length", "efficiency")
    entries = [run.get("path", {}).get(moment, {}) for run in measured_runs(arm)]
    complete = [entry for entry in entries if all(entry.get(name) is not None for name in names)]
    distance, length, efficiency = (_spread_of(complete, name) for name in names)
    if distance is None or length is None or efficiency is None:
        return None
    return ArmPath(arm.batch_size, moment, distance, length, efficiency)


def _spread_of(entries: Sequence[Mapping[str, Any]], name: str) -> Spread | None:
    return spread([float(entry[name]) for entry in entries])
