"""How good the networks of each batch size become, at equal epochs, at equal updates, and at an equal training loss.

Equal epochs favour small batches and equal updates large ones (Shallue et al. 2019, §4.8, fig 11), so the sign of "small batches
generalise better" may depend on the budget; at one training loss "trained less" is kept apart from "generalises better" (Keskar et al.
2016). Runs of one seed are compared in pairs, with the batch size that stands for mini-batches (`times.mini_batch`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite

from hpsearch.comparison.analysis.remembered import remembered
from hpsearch.comparison.analysis.times import (
    ended,
    histories,
    learning_rate,
    mini_batch,
    nearest_size,
    seed_pairs,
    times,
    worst_metric,
)
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import median_estimate
from hpsearch.statistics.learning_curves import best_within, gap_at_loss, matched_level, saturated
from hpsearch.statistics.paired import holm, paired_difference, paired_p, probability_of_improvement
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord

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

    `saturated` is the share of runs whose losses had stopped to fall (`learning_curves.saturated`), `gap` the validation loss less the
    training loss at the training loss `level` that every run reached.
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


@remembered
def quality(record: ComparisonRecord) -> list[ArmQuality]:
    """Return the arms whose best winner was trained again, in the record's order.

    None where runs ended at the target: what they would have become is not known.
    """
    if record.settings.get("compare", {}).get("train_until") == "target":
        return []
    runs = _runs_of_arms(record)
    compared = {budget: _compared(record, runs, limit) for budget, limit in limits(record).items()}
    losses: list[Sequence[float]] = []
    for _, own in runs:
        losses += [history.training_loss for history in histories(own)]
    level = matched_level(losses)
    result = []
    for arm, own in runs:
        within = {budget: arms[arm.optimizer, arm.batch_size] for budget, arms in compared.items()}
        sizes = [other.batch_size for other, _ in runs if other.optimizer == arm.optimizer]
        base = reference(record, arm.optimizer, sizes)
        result.append(_quality(arm, own, base, within, level))
    return result


def _runs_of_arms(record: ComparisonRecord) -> Runs:
    found = [(arm, ended(arm.best.runs)) for arm in record.arms if arm.best]
    return [(arm, runs) for arm, runs in found if runs]


def reference(record: ComparisonRecord, optimizer: str, sizes: Sequence[int]) -> int:
    """Return which of an optimizer's batch sizes the others are compared with: the mini-batch, or the nearest to `REFERENCE`."""
    middle = mini_batch(record, optimizer)
    if middle is None or middle not in sizes:
        return nearest_size(sizes)
    return middle


def limits(record: ComparisonRecord) -> dict[str, Limit]:
    """Return the budgets that all arms have: twice the epochs of the arm that reached the target in the fewest, all epochs, all updates.

    All means as many as the arm with the least of them had. The short one is no shorter than what each arm's first evaluation took:
    gradient descent makes no update in half an epoch. There is none where no median run reached the target.
    """
    lasts = [(arm, max(one.update[-1] for one in histories(runs))) for arm, runs in _runs_of_arms(record)]
    if not lasts:
        return {}
    epochs = min(last * arm.batch_size / record.rows for arm, last in lasts)
    budgets = {"full": Limit(epochs=epochs), "updates": Limit(updates=min(last for _, last in lasts))}
    first = max(_first_epochs(record, arm, runs) for arm, runs in _runs_of_arms(record))
    short = max(first, 2 * min((arm.costs["epochs"].median.value for arm in times(record)), default=inf))
    if short < epochs:
        return {"short": Limit(epochs=short), **budgets}
    return budgets


def _first_epochs(record: ComparisonRecord, arm: ArmRecord, runs: Sequence[TrialRecord]) -> float:
    """Return after how many epochs all of an arm's runs that were evaluated had been."""
    firsts = [history.update[0] for history in histories(runs) if len(history)]
    return max(firsts, default=0) * arm.batch_size / record.rows


# ---- the metric within a budget


def _compared(record: ComparisonRecord, runs: Runs, limit: Limit) -> dict[tuple[str, int], Within]:
    """Return the metric within a budget, by optimizer and batch size, compared with the reference of the optimizer."""
    result = {}
    for optimizer in dict.fromkeys(arm.optimizer for arm, _ in runs):
        own = [(arm, ended_runs) for arm, ended_runs in runs if arm.optimizer == optimizer]
        values = {arm.batch_size: _best_by_seed(record, arm, ended_runs, limit) for arm, ended_runs in own}
        base = reference(record, optimizer, list(values))
        for size, within in _compare_sizes(record, values, base).items():
            result[optimizer, size] = within
    return result


def _best_by_seed(record: ComparisonRecord, arm: ArmRecord, runs: Sequence[TrialRecord], limit: Limit) -> BySeed:
    """Return each seed's best metric within a budget; one that was not evaluated in it, or only diverged, has the worst."""
    most = min(limit.updates, limit.epochs * record.rows / arm.batch_size * (1 + ROUNDING))
    values = {}
    for run in runs:
        if run.history:
            best = best_within(run.history.update, run.history.metric, most, record.direction == "maximize")
            values[run.number] = worst_metric(record) if best is None else best
    return values


def _compare_sizes(record: ComparisonRecord, values: Mapping[int, BySeed], base: int) -> dict[int, Within]:
    """Compare each batch size of one optimizer with another, over the seeds that both have."""
    pairs = {}
    for size, seeds in values.items():
        pairing = seed_pairs(record, seeds, values[base])
        ours, theirs, _ = pairing
        if size != base and len(ours) > 1 and all(map(isfinite, [*ours, *theirs])):
            pairs[size] = pairing
    p_values: dict[int, float] = {}
    if pairs:
        adjusted = holm([paired_p(*pairing) for pairing in pairs.values()])
        p_values = dict(zip(pairs, adjusted.tolist(), strict=True))
    result = {}
    for size, seeds in values.items():
        metric = median_estimate(list(seeds.values()))
        result[size] = Within(metric, None, None, None)
        if size in pairs:
            ours, theirs, _ = pairs[size]
            costs = (ours, theirs)
            if record.direction == "maximize":
                costs = (theirs, ours)  # the better one costs less
            better = probability_of_improvement(*costs)
            result[size] = Within(metric, paired_difference(*pairs[size]), p_values[size], better)
    return result


# ---- the ends of the runs


def _quality(
    arm: ArmRecord, runs: list[TrialRecord], reference_size: int, within: Mapping[str, Within], level: float | None
) -> ArmQuality:
    assert arm.best is not None, "arms without a best winner were left out"
    known = histories(runs)
    gaps = []
    if level is not None:
        gaps = [gap_at_loss(history.training_loss, history.validation_loss, level) for history in known]
    finite = [gap for gap in gaps if gap is not None and isfinite(gap)]
    scores = {part: [float(run.scores[part]["metric"]) for run in runs if part in run.scores] for part in PARTS}
    scores["validation"] = [run.value for run in runs if run.value is not None]
    return ArmQuality(
        optimizer=arm.optimizer,
        batch_size=arm.batch_size,
        learning_rate=learning_rate(arm, arm.best.params),
        runs=len(runs),
        reference=reference_size,
        saturated=sum(saturated(one.update, one.training_loss, one.validation_loss) for one in known) / len(known),
        scores={part: median_estimate(values) for part, values in scores.items() if values},
        within=within,
        gap=median_estimate(finite) if finite else None,
        level=level,
    )
