"""SGD, a mini-batch and gradient descent against each other, as numbers with intervals: what the verdicts follow from.

All of them are of the first optimizer, plain SGD where it was compared. They are None where the record has too little.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, log2
from typing import TypeVar

import numpy as np
from scipy.stats import page_trend_test

from hpsearch.comparison.analysis.measured import Entry, Spread, measured_arms
from hpsearch.comparison.analysis.quality import PARTS, ArmQuality, quality
from hpsearch.comparison.analysis.stability import ArmVariability, variabilities
from hpsearch.comparison.analysis.times import (
    ENOUGH,
    PLAIN,
    PRODUCT,
    ArmTimes,
    ended,
    histories,
    optimizers,
    regimes,
    seed_pairs,
    times,
    tuning_luck_of,
    winner_of,
    worst_metric,
)
from hpsearch.comparison.analysis.tuning import ArmRates, rates
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import Variance
from hpsearch.statistics.learning_curves import saturated
from hpsearch.statistics.luck import LEAST, with_luck
from hpsearch.statistics.paired import paired_difference, paired_ratio
from hpsearch.statistics.shared_rows import shared_variance
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord

HALF = 0.5
SATURATED = 0.8  # share of an arm's runs that had stopped to improve, from which the arm had
LEVEL = 0.05  # of tests
LOOPS = {"own": "seconds", "plain": PLAIN}  # units of seconds: in the comparison's engine, in the plain loop of torch
LEAST_SIZES = 3  # batch sizes, for a trend
T = TypeVar("T", ArmTimes, ArmRates, ArmQuality, ArmRecord)
BySeed = Mapping[int, float]


def of_first(record: ComparisonRecord, items: Iterable[T]) -> dict[int, T]:
    """Return the first optimizer's items by batch size; none where there are no arms."""
    if not record.arms:
        return {}
    first = optimizers(record)[0]
    return {item.batch_size: item for item in items if item.optimizer == first}


# ---- times


def three_times(record: ComparisonRecord) -> tuple[ArmTimes, ArmTimes, ArmTimes] | None:
    """Return the times of SGD, a mini-batch and GD.

    None where one of them has fewer than `ENOUGH` runs, or none, or the median run of the mini-batch did not reach the target.
    """
    arms = of_first(record, times(record))
    sizes = regimes(record, optimizers(record)[0]) if arms else None
    if sizes is None or (sizes[0], sizes[2]) != (1, record.rows):
        return None
    one, mini, full = (arms[size] for size in sizes)
    if min(one.runs, mini.runs, full.runs) < ENOUGH or not isfinite(mini.costs["steps"].median.value):
        return None
    return one, mini, full


def cost_ratio(record: ComparisonRecord, arm: ArmTimes, other: ArmTimes, unit: str) -> Estimate | None:
    """Return how many times as much of a unit one arm needs as the other, over the seeds that both have, with their tuning luck.

    Of an arm whose median run never reached the target it is infinite, and at least what its budget was by the other's need.
    """
    if unit not in arm.costs or unit not in other.costs:
        return None
    if arm.costs[unit].median.value == inf:
        return Estimate(inf, budget_ratio(arm, other, unit), inf)
    ours, theirs, divisions = seed_pairs(record, arm.by_seed(unit), other.by_seed(unit))
    if not any(isfinite(min(pair)) for pair in zip(ours, theirs, strict=True)):
        return None
    luck = tuning_luck_of(record, arm.optimizer)
    if unit == PRODUCT:  # updates times epochs: twice as many octaves
        luck *= 2
    return with_luck(paired_ratio(ours, theirs, divisions), luck)


def budget_ratio(arm: ArmTimes, other: ArmTimes, unit: str) -> float:
    """Return how many times the median need of another arm an arm's budget was."""
    return arm.costs[unit].cap / other.costs[unit].median.value


def stopped_short(record: ComparisonRecord, arm: ArmTimes, other: ArmTimes, unit: str, most: float = 2.0) -> bool:
    """Whether an arm never reached the target because its runs ended too soon.

    Its budget was less than `most` times what the other arm needed in a unit, or its runs had not stopped to improve.
    """
    if isfinite(arm.costs[unit].median.value):
        return False
    return budget_ratio(arm, other, unit) < most or not runs_saturated(record, arm.batch_size)


def runs_saturated(record: ComparisonRecord, batch_size: int) -> bool:
    """Whether the runs of an arm that did not reach the target had stopped to improve when they ended."""
    arm = of_first(record, record.arms)[batch_size]
    winner = winner_of(arm)
    short = [run for run in ended(winner.runs if winner else ()) if record.passed(run) == inf]
    known = histories(short)
    stopped = sum(saturated(one.update, one.training_loss, one.validation_loss) for one in known)
    return stopped >= SATURATED * len(known)


# ---- steadiness


@dataclass(frozen=True, slots=True)
class Phase:
    """How much the loss moves from update to update before the target, or after it, over all measured batch sizes.

    `ratio` is the deviation of Δ log L of SGD by that of GD over the seeds of both, `unsteadiest` the batch size with the greatest mean.
    `monotone` says that the means fall with every larger batch size, and more than chance would have it (Page 1963).
    """

    one: ArmVariability
    full: ArmVariability
    ratio: Estimate
    runs: int
    unsteadiest: int
    monotone: bool


def phase(record: ComparisonRecord, unit: str) -> Phase | None:
    """Return the phase of a unit, "before" the target or "updates" after it; None where an end was measured on fewer than `ENOUGH` runs."""
    if not record.arms:
        return None
    first = optimizers(record)[0]
    found = {item.batch_size: item for item in variabilities(record, first) if item.unit == unit}
    deviations = {arm.batch_size: _deviations(arm, unit) for arm in measured_arms(record, first)}
    ends = (1, record.rows)
    if any(size not in found or size not in deviations for size in ends):
        return None
    one, full, divisions = seed_pairs(record, deviations[1], deviations[record.rows])
    if len(one) < ENOUGH:
        return None
    ratio = with_luck(paired_ratio(one, full, divisions), LEAST)  # another rate would move the loss in other steps
    common = sorted(set.intersection(*(set(seeds) for seeds in deviations.values() if len(seeds) >= ENOUGH)))
    sizes = sorted(size for size, seeds in deviations.items() if len(seeds) >= ENOUGH)
    rows = [[log2(deviations[size][seed]) for size in sizes] for seed in common]
    means = [sum(column) / len(column) for column in zip(*rows, strict=True)]
    unsteadiest = sizes[means.index(max(means))] if means else 1
    return Phase(found[1], found[record.rows], ratio, len(one), unsteadiest, _falls(rows, means))


def deviations_of_passes(record: ComparisonRecord) -> tuple[Spread, Spread] | None:
    """Return the deviation from one pass over the rows to the next, after the target, of SGD and of GD (whose passes are updates)."""
    found = {(item.batch_size, item.unit): item.deviation for item in variabilities(record, optimizers(record)[0])}
    one = found.get((1, "epochs"))
    full = found.get((record.rows, "epochs")) or found.get((record.rows, "updates"))
    return (one, full) if one and full else None


def _deviations(arm: ArmRecord, unit: str) -> dict[int, float]:
    """Return the positive deviations of an arm's measured runs by seed."""
    assert arm.fastest is not None, "arms without a fastest winner are not measured"
    entries: dict[int, Entry] = {
        seed: run.get("variability", {}).get(unit, {}) for seed, run in arm.fastest.measured.items()
    }
    return {seed: float(entry["deviation"]) for seed, entry in entries.items() if entry.get("deviation")}


def _falls(rows: Sequence[Sequence[float]], means: Sequence[float]) -> bool:
    if len(means) < LEAST_SIZES or len(rows) < ENOUGH or list(means) != sorted(means, reverse=True):
        return False
    reversed_rows = [row[::-1] for row in rows]
    return float(page_trend_test(reversed_rows, method="asymptotic").pvalue) < LEVEL


# ---- learning rates


def working_octaves(record: ComparisonRecord) -> tuple[Estimate, Estimate] | None:
    """Return the widths, in octaves, of the learning rates that work for SGD and for GD: between bounds, infinite where an end is open."""
    arms = of_first(record, rates(record))
    known = {size: arm.working.octaves for size, arm in arms.items() if arm.working}
    if 1 not in known or record.rows not in known:
        return None
    return known[1], known[record.rows]


def at_edge(record: ComparisonRecord, sizes: Iterable[int], best: bool = False) -> tuple[int, ...]:
    """Return which batch sizes have their fastest (or best) winner at the edge of the learning rates that were tried."""
    arms = of_first(record, rates(record))
    known = [arms[size] for size in sizes if size in arms]
    return tuple(arm.batch_size for arm in known if (arm.best_edge if best else arm.edge))


# ---- quality


def reference_size(record: ComparisonRecord) -> int | None:
    """Return the batch size with which quality is compared."""
    arms = of_first(record, quality(record))
    return next((arm.reference for arm in arms.values()), None)


def _full_batch(record: ComparisonRecord) -> ArmQuality | None:
    arms = of_first(record, quality(record))
    return arms.get(record.rows) if arms else None


def better_than_full(record: ComparisonRecord, where: str) -> Estimate | None:
    """Return how much better the networks of the mini-batch (`reference_size`) are than those of GD, on `where`.

    "training" or "test" rows, by the networks of the best evaluations; "last": by the last networks, on the test rows where those are
    recorded, else on the validation rows; "full" or "updates": within that budget on the validation rows.

    On test rows the interval has what other test rows would change, where the record knows it (`knows_test_rows`).
    """
    if where in PARTS:
        return _difference_of(record, lambda run: _score(run, where), where)
    if where == "last":
        return _difference_of(record, _last_score(record), where if last_part(record) == "test" else "")
    full = _full_batch(record)
    if full is None or full.runs < ENOUGH or where not in full.within:
        return None
    difference = full.within[where].difference  # of GD to the mini-batch
    if difference is None:
        return None
    return _more_is_better(record, difference, -1)


def last_part(record: ComparisonRecord) -> str:
    """Return the rows on which the last networks are compared: "test" where all networks have that score, else "validation"."""
    arms = of_first(record, record.arms)
    winners = [arms[size].best for size in (reference_size(record), record.rows) if size in arms]
    runs = [run for winner in winners if winner for run in winner.runs if run.scores]
    if runs and all("last" in run.scores for run in runs):
        return "test"
    return "validation"


def _last_score(record: ComparisonRecord) -> Callable[[TrialRecord], float | None]:
    if last_part(record) == "test":
        return lambda run: _last_test_metric(record, run)
    return lambda run: _last_metric(record, run)


def _last_test_metric(record: ComparisonRecord, run: TrialRecord) -> float | None:
    """Return the test metric of a run's last network; one that diverged has the worst."""
    return worst_metric(record) if run.failed else _score(run, "last")


def _last_metric(record: ComparisonRecord, run: TrialRecord) -> float | None:
    """Return the last validation metric of a run; one that diverged has the worst."""
    if not run.history or not run.history.metric:
        return None
    value = run.history.metric[-1]
    return value if isfinite(value) else worst_metric(record)


def _score(run: TrialRecord, part: str) -> float | None:
    if part in run.scores:
        return float(run.scores[part]["metric"])
    return None


def _difference_of(
    record: ComparisonRecord, value: Callable[[TrialRecord], float | None], tested: str = ""
) -> Estimate | None:
    """Return the mean difference of a value of the best winners' runs, the mini-batch's less GD's, over the seeds that both have.

    `tested` is the part of the scores that the values are of, where they are of test rows.
    """
    size = reference_size(record)
    if size is None or size == record.rows:
        return None
    return _lead(record, size, record.rows, value, tested)


def lead_on_test_rows(record: ComparisonRecord, size: int, other: int) -> Estimate | None:
    """Return by how much a batch size is better than another on the test rows; None where too few seeds have both."""
    return _lead(record, size, other, lambda run: _score(run, "test"), "test")


def _lead(
    record: ComparisonRecord, size: int, other: int, value: Callable[[TrialRecord], float | None], tested: str
) -> Estimate | None:
    """Return by how much a batch size is better than another in a value of the best winners' runs."""
    arms = of_first(record, record.arms)
    ours, theirs, divisions = seed_pairs(record, _by_seed(arms.get(size), value), _by_seed(arms.get(other), value))
    if len(ours) < ENOUGH or not all(map(isfinite, [*ours, *theirs])):
        return None
    shared = _shared_rows(record, size, other, tested)
    return _more_is_better(record, paired_difference(ours, theirs, divisions, shared), 1)


def knows_test_rows(record: ComparisonRecord) -> bool:
    """Whether the record knows what other test rows would change in the difference of the mini-batch and GD."""
    return _shared_rows(record, reference_size(record) or 0, record.rows, "test") is not None


def _shared_rows(record: ComparisonRecord, size: int, other: int, part: str) -> Variance | None:
    """Return the variance of one batch size's lead over another that is due to test rows which all runs share; None: not known."""
    arms = of_first(record, record.arms)
    left_out = [_left_out(arms.get(one), part) for one in (size, other)]
    ours, theirs, divisions = seed_pairs(record, *left_out)
    counts = set(map(len, [*ours, *theirs]))  # of blocks; 0 where they are not known
    if len(ours) < ENOUGH or len(counts) > 1 or 0 in counts:
        return None
    differences = np.asarray(ours) - np.asarray(theirs)  # [seeds, blocks]
    groups = np.asarray(divisions if len(set(divisions)) > 1 else range(len(ours)))
    return shared_variance([differences[groups == group].mean(0) for group in np.unique(groups)])


def _left_out(arm: ArmRecord | None, part: str) -> dict[int, tuple[float, ...]]:
    """Return by seed what the metric of a network is without each block of test rows; nothing of a seed whose record does not know it."""
    runs = arm.best.runs if arm and arm.best else ()
    return {run.number: run.left_out.get(part, ()) for run in runs if part in run.scores}


def _by_seed(arm: ArmRecord | None, value: Callable[[TrialRecord], float | None]) -> dict[int, float]:
    runs = arm.best.runs if arm and arm.best else ()
    values = {run.number: value(run) for run in runs}
    return {seed: known for seed, known in values.items() if known is not None}


def scored_seeds(record: ComparisonRecord) -> int:
    """Return over how many seeds the test scores of the mini-batch and GD are compared."""
    arms = of_first(record, record.arms)
    seeds = [
        _by_seed(arms.get(size), lambda run: _score(run, "test")).keys()
        for size in (reference_size(record) or 0, record.rows)
    ]
    return len(seeds[0] & seeds[1])


def full_score(record: ComparisonRecord) -> float:
    """Return the median test score of GD, 0 where there is none."""
    full = _full_batch(record)
    if full and "test" in full.scores:
        return full.scores["test"].value
    return 0.0


def unsaturated(record: ComparisonRecord) -> tuple[int, ...]:
    """Return which of the mini-batch and GD had not stopped to improve when their best settings' runs ended."""
    arms = of_first(record, quality(record))
    wanted = [arms[size] for size in (reference_size(record), record.rows) if size in arms]
    return tuple(arm.batch_size for arm in wanted if arm.saturated < SATURATED)


def full_batch_saturated(record: ComparisonRecord) -> bool:
    """Whether most of GD's runs had stopped to improve before their budget's end."""
    full = _full_batch(record)
    return full is not None and full.saturated > HALF


def _more_is_better(record: ComparisonRecord, difference: Estimate, sign: int) -> Estimate:
    """Return a difference of the metric so that more is better, times a sign."""
    factor = sign if record.direction == "maximize" else -sign
    low, high = sorted((factor * difference.low, factor * difference.high))
    return Estimate(factor * difference.value, low, high)
