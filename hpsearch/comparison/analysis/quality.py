"""How good the networks of each batch size become, at equal epochs, at equal updates, and at an equal training loss.

Equal epochs favour small batches and equal updates large ones (Shallue et al. 2019, §4.8, fig 11), so the sign of "small batches
generalise better" may depend on the budget; at one training loss "trained less" is kept apart from "generalises better" (Keskar et al.
2016). Runs of one seed are compared in pairs, with the mini-batch whose size is nearest to 32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, log2

from hpsearch.comparison.analysis.curves import worst_metric
from hpsearch.comparison.analysis.times import ended, learning_rate, times
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import median_estimate
from hpsearch.statistics.learning_curves import best_within, gap_at_loss, matched_level, saturated
from hpsearch.statistics.paired import holm, paired_difference, probability_of_improvement, sign_flip_p
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord

REFERENCE = 32
ROUNDING = 1e-9  # relative, of a number of updates
PARTS = ("training", "validation", "test")

Runs = list[tuple[ArmRecord, list[TrialRecord]]]  # the ended runs of each arm's best winner
BySeed = Mapping[int, float]  # a metric by seed


@dataclass(frozen=True, slots=True)
class Limit:
    """How much training counts: at most so many epochs, and at most so many updates."""

    epochs: float = inf
    updates: float = inf


@dataclass(frozen=True, slots=True)
class Within:
    """The best validation metric in a budget: the median over seeds, and the mean difference to the reference's same seeds.

    `p` is Holm's p-value among the batch sizes of one optimizer and budget, `better` the probability that a run beats the reference's of
    the same seed. There are none of the reference itself, of a single seed in common, or where a value is infinite.
    """

    metric: Estimate
    difference: Estimate | None
    p: float | None
    better: Estimate | None


@dataclass(frozen=True, slots=True)
class ArmQuality:
    """What an arm's best winner became: `scores` of its best networks by part of the data, `within` each budget, medians over seeds.

    `saturated` is the share of runs whose validation loss had stopped to fall, `gap` the validation loss less the training loss at the
    training loss `level` that every run reached.
    """

    optimizer: str
    batch_size: int
    learning_rate: float | None
    runs: int
    reference: int
    saturated: float
    scores: Mapping[str, Estimate]
    within: Mapping[str, Within]
    gap: Estimate | None
    level: float | None


def quality(record: ComparisonRecord) -> list[ArmQuality]:
    """Return the arms whose best winner was trained again, in the record's order.

    None where runs ended at the target: what they would have become is not known.
    """
    if record.settings.get("compare", {}).get("train_until") == "target":
        return []
    runs = _runs_of_arms(record)
    compared = {budget: _compared(record, runs, limit) for budget, limit in limits(record).items()}
    level = _matched_level(runs)
    result = []
    for index, (arm, own) in enumerate(runs):
        within = {budget: columns[index] for budget, columns in compared.items()}
        result.append(_quality(arm, own, reference(_sizes(runs, arm.optimizer)), within, level))
    return result


def _runs_of_arms(record: ComparisonRecord) -> Runs:
    found = [(arm, ended(arm.best.runs)) for arm in record.arms if arm.best]
    return [(arm, runs) for arm, runs in found if runs]


def _sizes(runs: Runs, optimizer: str) -> list[int]:
    return [arm.batch_size for arm, _ in runs if arm.optimizer == optimizer]


def reference(sizes: Sequence[int]) -> int:
    """Return the batch size that the others are compared with: the nearest to 32, in octaves."""
    return min(sizes, key=lambda size: abs(log2(size / REFERENCE)))


def limits(record: ComparisonRecord) -> dict[str, Limit]:
    """Return the budgets that all arms have: twice the epochs of the arm that reached the target in the fewest, all epochs, all updates.

    All means as many as the arm with the least of them had. There is no short one where no median run reached the target.
    """
    lasts = [(arm, _last_update(runs)) for arm, runs in _runs_of_arms(record)]
    if not lasts:
        return {}
    epochs = min(last * arm.batch_size / record.rows for arm, last in lasts)
    budgets = {"full": Limit(epochs=epochs), "updates": Limit(updates=min(last for _, last in lasts))}
    short = 2 * min((arm.costs["epochs"].median.value for arm in times(record)), default=inf)
    if short < epochs:
        return {"short": Limit(epochs=short), **budgets}
    return budgets


def _last_update(runs: Sequence[TrialRecord]) -> int:
    return max(run.history.update[-1] for run in runs if run.history)


# ---- the metric within a budget


def _compared(record: ComparisonRecord, runs: Runs, limit: Limit) -> list[Within]:
    """Return every arm's metric within a budget, compared with the reference of its optimizer."""
    maximize = record.direction == "maximize"
    values = [(arm, _best_by_seed(record, arm, own, limit)) for arm, own in runs]
    compared: dict[tuple[str, int], Within] = {}
    for optimizer in dict.fromkeys(arm.optimizer for arm, _ in runs):
        by_size = {arm.batch_size: seeds for arm, seeds in values if arm.optimizer == optimizer}
        for size, within in _compare_sizes(by_size, maximize).items():
            compared[optimizer, size] = within
    return [compared[arm.optimizer, arm.batch_size] for arm, _ in runs]


def _best_by_seed(record: ComparisonRecord, arm: ArmRecord, runs: Sequence[TrialRecord], limit: Limit) -> BySeed:
    """Return each seed's best metric within a budget; one that was not evaluated in it, or only diverged, has the worst."""
    most = min(limit.updates, limit.epochs * record.rows / arm.batch_size * (1 + ROUNDING))
    values = {}
    for run in runs:
        if run.history:
            best = best_within(run.history.update, run.history.metric, most, record.direction == "maximize")
            values[run.number] = worst_metric(record) if best is None else best
    return values


def _compare_sizes(values: Mapping[int, BySeed], maximize: bool) -> dict[int, Within]:
    """Compare each batch size of one optimizer with the reference."""
    base = reference(list(values))
    pairs = {size: _pairs(seeds, values[base]) for size, seeds in values.items() if size != base}
    usable = {size: pair for size, pair in pairs.items() if _usable(*pair)}
    p_values = _adjusted_p_values(usable)
    result = {}
    for size, seeds in values.items():
        metric = median_estimate(list(seeds.values()))
        result[size] = Within(metric, None, None, None)
        if size in usable:
            ours, theirs = usable[size]
            difference = paired_difference(ours, theirs)
            result[size] = Within(metric, difference, p_values[size], _better(ours, theirs, maximize))
    return result


def _adjusted_p_values(pairs: Mapping[int, tuple[list[float], list[float]]]) -> dict[int, float]:
    """Return the p-value of each batch size, adjusted for their number."""
    if not pairs:
        return {}
    adjusted = holm([sign_flip_p(ours, theirs) for ours, theirs in pairs.values()])
    return dict(zip(pairs, map(float, adjusted), strict=True))


def _pairs(a: BySeed, b: BySeed) -> tuple[list[float], list[float]]:
    """Return the values of the seeds that both have."""
    common = sorted(a.keys() & b.keys())
    return [a[seed] for seed in common], [b[seed] for seed in common]


def _usable(ours: list[float], theirs: list[float]) -> bool:
    return len(ours) > 1 and all(map(isfinite, [*ours, *theirs]))


def _better(ours: list[float], theirs: list[float], maximize: bool) -> Estimate:
    """Return the probability that a run is better than its pair; ties count half."""
    if maximize:
        return probability_of_improvement(theirs, ours)
    return probability_of_improvement(ours, theirs)


# ---- the ends of the runs


def _quality(
    arm: ArmRecord, runs: list[TrialRecord], reference_size: int, within: Mapping[str, Within], level: float | None
) -> ArmQuality:
    assert arm.best is not None, "arms without a best winner were left out"
    histories = [run.history for run in runs if run.history]
    return ArmQuality(
        optimizer=arm.optimizer,
        batch_size=arm.batch_size,
        learning_rate=learning_rate(arm, arm.best.params),
        runs=len(runs),
        reference=reference_size,
        saturated=sum(saturated(h.update, h.validation_loss) for h in histories) / len(histories),
        scores=_scores(runs),
        within=within,
        gap=None if level is None else _gap(runs, level),
        level=level,
    )


def _matched_level(runs: Runs) -> float | None:
    """Return the training loss that all runs of all arms reach."""
    losses: list[Sequence[float]] = []
    for _, own in runs:
        losses += [run.history.training_loss for run in own if run.history]
    return matched_level(losses)


def _gap(runs: Sequence[TrialRecord], level: float) -> Estimate | None:
    """Return the median validation loss less training loss where runs reach a training loss."""
    histories = [run.history for run in runs if run.history]
    gaps = [gap_at_loss(history.training_loss, history.validation_loss, level) for history in histories]
    known = [gap for gap in gaps if gap is not None and isfinite(gap)]
    return median_estimate(known) if known else None


def _scores(runs: Sequence[TrialRecord]) -> dict[str, Estimate]:
    """Return the median metric of the best networks by part of the data, of the runs that have it."""
    values = {part: [float(run.scores[part]["metric"]) for run in runs if part in run.scores] for part in PARTS}
    values["validation"] = [run.value for run in runs if run.value is not None]
    return {part: median_estimate(found) for part, found in values.items() if found}
