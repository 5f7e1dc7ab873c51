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
    finite_or_infinite,
    measured_arms,
    measured_runs,
    spread,
)
from hpsearch.storage import ArmRecord, ComparisonRecord

MOMENTS = ("start", "middle", "target")
ZERO = 1e-9  # of the trace: below it a variance is rounding, as that of all rows must be


@dataclass(frozen=True, slots=True)
class Drawn:
    """`count` random batches of one size at one moment of a run, beside theory.

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
class Variability:
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


@dataclass(frozen=True, slots=True)
class Path:
    """How far weights went up to a moment (`distance`), along which `length`, and their ratio `efficiency`: 1 is a straight line."""

    batch_size: int
    moment: str
    distance: Spread
    length: Spread
    efficiency: Spread


@dataclass(frozen=True, slots=True)
class TwoBatch:
    """The noise scale at a moment as batches of two sizes tell it, and the exact one; infinite where |G|² is not told from 0."""

    moment: str
    small: int
    large: int
    estimate: float
    exact: float


def two_batch(record: ComparisonRecord, optimizer: str) -> list[TwoBatch]:
    """Return the two-batch estimates, by moment, of the first measured run of the arm on which batches were drawn (`drawn_from`)."""
    chosen = drawn_from(record, optimizer)
    arm = next((arm for arm in measured_arms(record, optimizer) if arm.batch_size == chosen), None)
    run = next((run for run in measured_runs(arm) if run.get("two_batch")), None) if arm else None
    found = (
        [(moment, run["two_batch"].get(moment), at_moment(run, "noise", moment)) for moment in MOMENTS] if run else []
    )
    return [
        TwoBatch(
            moment, told["small"], told["large"], finite_or_infinite(told["scale"]), finite_or_infinite(look["scale"])
        )
        for moment, told, look in found
        if told and look
    ]


def drawn_from(record: ComparisonRecord, optimizer: str) -> int | None:
    """Return the batch size of the arm on whose run batches of all sizes were drawn: the middle one of those; None if there is none."""
    having = [arm.batch_size for arm in measured_arms(record, optimizer) if _with_batches(arm)]
    return having[len(having) // 2] if having else None


def _with_batches(arm: ArmRecord) -> Mapping[str, Any]:
    found: list[Mapping[str, Any]] = [
        run["batches"] for run in measured_runs(arm) if any(run.get("batches", {}).values())
    ]
    return found[0] if found else {}


def batches(record: ComparisonRecord, optimizer: str) -> list[Drawn]:
    """Return batches of all sizes, by moment and size: of the first measured run of the arm that has them (`drawn_from`)."""
    chosen = drawn_from(record, optimizer)
    arm = next((arm for arm in measured_arms(record, optimizer) if arm.batch_size == chosen), None)
    found = _with_batches(arm) if arm else {}
    return [drawn for moment in MOMENTS if moment in found for drawn in _at(moment, found[moment], record.rows)]


def _at(moment: str, rows: Sequence[Mapping[str, Any]], count: int) -> list[Drawn]:
    ordered = sorted(rows, key=lambda row: row["batch_size"])
    trace = next((_trace(row, count) for row in ordered if row["batch_size"] < count), None)
    return [_drawn(moment, row, trace) for row in ordered]


def _trace(row: Mapping[str, Any], count: int) -> float:
    size = int(row["batch_size"])
    return float(row["expected_variance"]) * size * (count - 1) / (count - size)


def _drawn(moment: str, row: Mapping[str, Any], trace: float | None) -> Drawn:
    size = int(row["batch_size"])
    return Drawn(
        moment,
        size,
        variance=finite_or_infinite(row["variance"]),
        expected_variance=float(row["expected_variance"]),
        unlimited_variance=None if trace is None else trace / size,
        cosine=float(row["cosine"]),
        cosine_low=float(row["cosine_low"]),
        cosine_high=float(row["cosine_high"]),
        expected_cosine=float(row["expected_cosine"]),
        count=int(row["count"]),
    )


def scale_curves(record: ComparisonRecord, optimizer: str) -> list[ScaleCurve]:
    """Return the noise scale of each measured arm, smallest batch size first; an arm without any look is left out."""
    return [curve for arm in measured_arms(record, optimizer) if (curve := _curve(arm)).points]


def _curve(arm: ArmRecord) -> ScaleCurve:
    runs = measured_runs(arm)
    seen = by_update([[look for look in run.get("noise", []) if _usable(look)] for run in runs])
    points = tuple(ScaleAt(update, _loss(looks), _pooled(looks)) for update, looks in seen.items())
    named = {
        moment: [look for run in runs if (look := at_moment(run, "noise", moment)) and _usable(look)]
        for moment in MOMENTS
    }
    return ScaleCurve(arm.batch_size, points, {moment: _pooled(looks) for moment, looks in named.items() if looks})


def _usable(look: Mapping[str, Any]) -> bool:
    return look.get("trace") is not None and look.get("squared_norm") is not None


def _loss(looks: Sequence[Mapping[str, Any]]) -> float | None:
    losses = [float(look["loss"]) for look in looks if look.get("loss") is not None]
    return sum(losses) / len(losses) if losses else None


def _pooled(looks: Sequence[Mapping[str, Any]]) -> Spread:
    """Return the ratio of the means, and the range of the runs' own ratios."""
    own = [_ratio(look["trace"], look["squared_norm"]) for look in looks]
    pooled = _ratio(sum(look["trace"] for look in looks), sum(look["squared_norm"] for look in looks))
    return Spread(pooled, min(own), max(own), len(own))


def _ratio(trace: float, squared_norm: float) -> float:
    return trace / squared_norm if squared_norm > 0 else inf


def variabilities(record: ComparisonRecord, optimizer: str) -> list[Variability]:
    """Return the variability after the target of each measured arm, per update and per pass ("epochs"), smallest batch size first."""
    found = [_variability(arm, unit) for arm in measured_arms(record, optimizer) for unit in ("updates", "epochs")]
    return [one for one in found if one.steps]


def _variability(arm: ArmRecord, unit: str) -> Variability:
    seen = [run["variability"][unit] for run in measured_runs(arm) if unit in run.get("variability", {})]
    return Variability(
        arm.batch_size,
        unit,
        rising=spread([float(one["rising"]) for one in seen]),
        deviation=spread([float(one["deviation"]) for one in seen if one["deviation"] is not None]),
        total_variation=spread([finite_or_infinite(one["total_variation"]) for one in seen]),
        steps=max((int(one["count"]) for one in seen), default=0),
    )


def paths(record: ComparisonRecord, optimizer: str) -> list[Path]:
    """Return how straight and how far each measured arm's runs went, up to the target and up to the end."""
    found = [_path(arm, moment) for arm in measured_arms(record, optimizer) for moment in ("target", "end")]
    return [path for path in found if path is not None]


def _path(arm: ArmRecord, moment: str) -> Path | None:
    seen = [run["path"][moment] for run in measured_runs(arm) if moment in run.get("path", {})]
    whole = [one for one in seen if all(one.get(name) is not None for name in ("distance", "length", "efficiency"))]
    distance, length, efficiency = (
        spread([float(one[n]) for one in whole]) for n in ("distance", "length", "efficiency")
    )
    if distance is None or length is None or efficiency is None:
        return None
    return Path(arm.batch_size, moment, distance, length, efficiency)
