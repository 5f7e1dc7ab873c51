"""SGD, a mini-batch and gradient descent against each other, as numbers with intervals: what the verdicts follow from.

All of them are of the first optimizer, plain SGD where it was compared. They are None where the record has too little.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import TypeVar

from hpsearch.comparison.analysis.measured import Spread
from hpsearch.comparison.analysis.quality import PARTS, ArmQuality, quality
from hpsearch.comparison.analysis.stability import variabilities
from hpsearch.comparison.analysis.times import ENOUGH, ArmTimes, optimizers, regimes, times
from hpsearch.comparison.analysis.tuning import ArmRates, rates
from hpsearch.statistics import Estimate
from hpsearch.statistics.paired import paired_difference, paired_ratio, seed_pairs
from hpsearch.storage import ArmRecord, ComparisonRecord

HALF = 0.5
T = TypeVar("T", ArmTimes, ArmRates, ArmQuality, ArmRecord)


def of_first(record: ComparisonRecord, items: Iterable[T]) -> dict[int, T]:
    """Return the first optimizer's items by batch size; none where there are no arms."""
    if not record.arms:
        return {}
    first = optimizers(record)[0]
    return {item.batch_size: item for item in items if item.optimizer == first}


def three_sizes(record: ComparisonRecord) -> tuple[int, int, int] | None:
    """Return the batch sizes 1, a mini-batch and the full batch; None where the comparison has not all three."""
    if not record.arms:
        return None
    sizes = regimes(record, optimizers(record)[0])
    if sizes is None or sizes[0] != 1 or sizes[2] != record.rows:
        return None
    return sizes


# ---- steadiness


@dataclass(frozen=True, slots=True)
class Steadiness:
    """The variability of SGD (`one`) and of GD (`full`): the share of rising updates, and the deviation per update and per pass.

    `one_pass` and `full_pass` are None where SGD's runs ended too soon after the target; GD's passes are its updates.
    """

    one_rising: Spread
    full_rising: Spread
    one_deviation: Spread
    full_deviation: Spread
    one_pass: Spread | None
    full_pass: Spread | None
    runs: int

    @property
    def full_below(self) -> bool:
        """Whether the loss of every run of GD varies less than that of every run of SGD."""
        return self.full_deviation.high < self.one_deviation.low

    def values(self) -> dict[str, Spread | int | None]:
        """Return the values that a sentence about steadiness is filled with."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def steadiness(record: ComparisonRecord) -> Steadiness | None:
    """Return the variability of SGD and of GD; None where one was measured on fewer than `ENOUGH` runs."""
    sizes = three_sizes(record)
    if sizes is None:
        return None
    found = {(item.batch_size, item.unit): item for item in variabilities(record, optimizers(record)[0])}
    one = found.get((sizes[0], "updates"))
    full = found.get((sizes[2], "updates"))
    if not (one and one.deviation and full and full.deviation):
        return None
    if min(one.deviation.runs, full.deviation.runs) < ENOUGH:
        return None
    one_pass = found.get((sizes[0], "epochs"))
    full_pass = found.get((sizes[2], "epochs"), full)
    return Steadiness(
        one_rising=one.rising,
        full_rising=full.rising,
        one_deviation=one.deviation,
        full_deviation=full.deviation,
        one_pass=one_pass.deviation if one_pass else None,
        full_pass=full_pass.deviation if one_pass else None,
        runs=full.deviation.runs,
    )


# ---- times


def three_times(record: ComparisonRecord) -> tuple[ArmTimes, ArmTimes, ArmTimes] | None:
    """Return the times of SGD, the quickest mini-batch and GD.

    None where one has fewer than `ENOUGH` runs, or no run of the mini-batch reached the target.
    """
    sizes = three_sizes(record)
    if sizes is None:
        return None
    arms = of_first(record, times(record))
    if any(size not in arms or arms[size].runs < ENOUGH for size in sizes):
        return None
    one, mini, full = (arms[size] for size in sizes)
    return (one, mini, full) if mini.reached else None


def cost_ratio(arm: ArmTimes, other: ArmTimes, unit: str) -> Estimate | None:
    """Return how many times as much of a unit one arm needs as the other, over the seeds that both have."""
    if unit not in arm.costs or unit not in other.costs:
        return None
    ours, theirs = seed_pairs(arm.by_seed(unit), other.by_seed(unit))
    if not any(isfinite(min(pair)) for pair in zip(ours, theirs, strict=True)):
        return None
    return paired_ratio(ours, theirs)


# ---- learning rates


def working_octaves(record: ComparisonRecord) -> tuple[float, float] | None:
    """Return the widths, in octaves, of the learning rates that work for SGD and for GD."""
    sizes = three_sizes(record)
    if sizes is None:
        return None
    arms = of_first(record, rates(record))
    octaves = {size: arm.working.octaves for size, arm in arms.items() if arm.working}
    if sizes[0] not in octaves or sizes[2] not in octaves:
        return None
    return octaves[sizes[0]], octaves[sizes[2]]


# ---- quality


def reference_size(record: ComparisonRecord) -> int | None:
    """Return the mini-batch nearest to 32, with which quality is compared."""
    arms = of_first(record, quality(record))
    return next((arm.reference for arm in arms.values()), None)


def _full_batch(record: ComparisonRecord) -> ArmQuality | None:
    arms = of_first(record, quality(record))
    return arms.get(record.rows) if arms else None


def better_than_full(record: ComparisonRecord, where: str) -> Estimate | None:
    """Return how much better the mini-batch nearest to 32 is than GD: on "training" or "test" rows, or in a budget on validation rows."""
    if where in PARTS:
        return _better_on(record, where)
    full = _full_batch(record)
    if full is None or full.runs < ENOUGH or where not in full.within:
        return None
    difference = full.within[where].difference  # of GD to the mini-batch
    if difference is None:
        return None
    return _more_is_better(record, difference, -1)


def _better_on(record: ComparisonRecord, part: str) -> Estimate | None:
    """Return the mean difference of the scores on a part of the data, over the seeds that both have."""
    size = reference_size(record)
    if size is None or size == record.rows:
        return None
    arms = of_first(record, record.arms)
    mini, full = seed_pairs(_scores(arms.get(size), part), _scores(arms.get(record.rows), part))
    if len(mini) < ENOUGH or not all(map(isfinite, [*mini, *full])):
        return None
    return _more_is_better(record, paired_difference(mini, full), 1)


def _scores(arm: ArmRecord | None, part: str) -> Mapping[int, float]:
    """Return the metric of the best winner's runs on a part of the data, by seed."""
    runs = arm.best.runs if arm and arm.best else ()
    return {run.number: float(run.scores[part]["metric"]) for run in runs if part in run.scores}


def full_batch_saturated(record: ComparisonRecord) -> bool:
    """Whether most of GD's runs had stopped to improve before their budget's end."""
    full = _full_batch(record)
    return full is not None and full.saturated > HALF


def _more_is_better(record: ComparisonRecord, difference: Estimate, sign: int) -> Estimate:
    """Return a difference of the metric so that more is better, times a sign."""
    factor = sign if record.direction == "maximize" else -sign
    low, high = sorted((factor * difference.low, factor * difference.high))
    return Estimate(factor * difference.value, low, high)
