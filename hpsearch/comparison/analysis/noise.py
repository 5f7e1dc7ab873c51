"""How noisy the gradients of batches are: noise scale, variance and angle.

The simple noise scale is tr(Σ)/|G|² in examples (McCandlish et al. 2018, arXiv:1812.06162, §2.2): the batch size at which the noise of
a batch's gradient is as large as the gradient itself. Over several runs numerator and denominator are averaged apart and then divided,
since a mean of ratios is biased (there, appendix A.1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from hpsearch.comparison.analysis.measured import (
    Entry,
    Spread,
    at_moment,
    by_moment,
    by_update,
    column,
    entries_on,
    measured_arms,
    measured_runs,
    or_infinite,
)
from hpsearch.storage import ArmRecord, ComparisonRecord

MOMENTS = ("start", "middle", "target")
KNOWN = ("trace", "squared_norm")  # what a measurement of the noise scale needs
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
class TwoBatch:
    """The noise scale at a moment as batches of two sizes estimate it, and the exact one; infinite where |G|² is not above 0."""

    moment: str
    small: int
    large: int
    estimate: float
    exact: float


# ---- batches drawn at the moments of a run


def _stored_batches(arm: ArmRecord) -> Mapping[str, Any]:
    """Return the batches by moment of the first run of an arm that has some."""
    for run in measured_runs(arm):
        batches: Mapping[str, Any] = run.get("batches", {})
        if any(batches.values()):
            return batches
    return {}


def _source(record: ComparisonRecord, optimizer: str) -> ArmRecord | None:
    """Return the arm on whose run batches of all sizes were drawn: of several the middle one."""
    arms = [arm for arm in measured_arms(record, optimizer) if _stored_batches(arm)]
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
        entries = sorted(stored.get(moment, []), key=lambda entry: entry["batch_size"])
        trace = _trace(entries, record.rows)
        result += [_batch_gradients(moment, entry, trace) for entry in entries]
    return result


def _trace(entries: Sequence[Entry], rows: int) -> float | None:
    """Return tr(Σ), from the expected variance tr(Σ)/B·(n - B)/(n - 1) of the smallest batch size; None if it is the full batch."""
    size = int(entries[0]["batch_size"]) if entries else rows
    if size >= rows:
        return None
    return float(entries[0]["expected_variance"]) * size * (rows - 1) / (rows - size)


def _batch_gradients(moment: str, entry: Entry, trace: float | None) -> BatchGradients:
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
    run: Entry = next((run for run in measured_runs(arm) if run.get("two_batch")), {"two_batch": {}})
    result = []
    for moment in MOMENTS:
        estimate = run["two_batch"].get(moment)
        exact = at_moment(run, "noise", moment)
        if estimate and exact:
            scales = (or_infinite(estimate["scale"]), or_infinite(exact["scale"]))
            result.append(TwoBatch(moment, estimate["small"], estimate["large"], *scales))
    return result


# ---- the noise scale over a run


def scale_curves(record: ComparisonRecord, optimizer: str) -> list[ScaleCurve]:
    """Return the noise scale of each measured arm, smallest batch size first; an arm without a measurement of it is left out."""
    curves = []
    for arm in measured_arms(record, optimizer):
        shared = by_update(entries_on(run, "noise", *KNOWN) for run in measured_runs(arm))
        named = by_moment(arm, "noise", MOMENTS, *KNOWN)
        points = [ScaleAt(update, _mean_loss(entries), _pooled(entries)) for update, entries in shared.items()]
        moments = {moment: _pooled(entries) for moment, entries in named.items()}
        if points:
            curves.append(ScaleCurve(arm.batch_size, tuple(points), moments))
    return curves


def _mean_loss(entries: Sequence[Entry]) -> float | None:
    losses = column(entries, "loss")
    return sum(losses) / len(losses) if losses else None


def _pooled(entries: Sequence[Entry]) -> Spread:
    """Return the ratio of the means (McCandlish et al. 2018, appendix A.1), and the range of the runs' own ratios."""
    traces = column(entries, "trace")
    squared_norms = column(entries, "squared_norm")
    own = list(map(_ratio, traces, squared_norms))
    return Spread(_ratio(sum(traces), sum(squared_norms)), min(own), max(own), len(own))


def _ratio(trace: float, squared_norm: float) -> float:
    return trace / squared_norm if squared_norm > 0 else inf
