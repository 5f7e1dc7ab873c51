"""How good the networks of each batch size become, at equal epochs, at equal updates, and at an equal training loss.

Equal epochs favour small batches and equal updates large ones (Shallue et al. 2019, §4.8, fig 11), so the sign of "small batches
generalise better" may be the budget's; at one training loss "trained less" is kept apart from "generalises better" (Keskar et al.
2016). Runs of one seed are compared in pairs, with the mini-batch whose size is nearest to 32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, log2

from hpsearch.comparison.analysis.curves import worst
from hpsearch.comparison.analysis.times import ended, learning_rate, times
from hpsearch.statistics import Estimate
from hpsearch.statistics.comparing import (
    holm,
    paired_difference,
    probability_of_improvement,
    sign_flip_p,
)
from hpsearch.statistics.quality import best_within, gap_at_loss, matched_level, saturated
from hpsearch.statistics.targets import median_estimate
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord

REFERENCE = 32
BUDGETS = ("short", "full", "updates")
PARTS = ("training", "validation", "test")


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


def limits(record: ComparisonRecord) -> dict[str, Limit]:
    """Return the budgets that all arms have: twice the epochs of the arm that reached the target in the fewest, all epochs, all updates.

    All means as many as the arm with the least of them had. There is no short one where no median run reached the target.
    """
    lasts = [(arm, max(run.history.update[-1] for run in runs if run.history)) for arm, runs in _arms(record)]
    if not lasts:
        return {}
    epochs = min(last * arm.batch_size / record.rows for arm, last in lasts)
    short = 2 * min((arm.costs["epochs"].median.value for arm in times(record)), default=inf)
    found = {"short": Limit(epochs=short)} if short < epochs else {}
    return found | {"full": Limit(epochs=epochs), "updates": Limit(updates=min(last for _, last in lasts))}


def quality(record: ComparisonRecord) -> list[ArmQuality]:
    """Return the arms whose best winner was trained again, in the record's order.

    None where runs ended at the target: what they would have become is not known.
    """
    if record.settings.get("compare", {}).get("train_until") == "target":
        return []
    arms, budgets = _arms(record), limits(record)
    level = matched_level([run.history.training_loss for _, runs in arms for run in runs if run.history])
    values = {
        (arm.optimizer, arm.batch_size, name): _within(record, arm, runs, limit)
        for arm, runs in arms
        for name, limit in budgets.items()
    }
    compared = _compared(values, budgets, record.direction == "maximize")
    return [
        _quality(record, arm, runs, {name: compared[_key(arm, name)] for name in budgets}, level) for arm, runs in arms
    ]


Key = tuple[str, int, str]  # optimizer, batch size, budget


def _key(arm: ArmRecord, budget: str) -> Key:
    return arm.optimizer, arm.batch_size, budget


def _arms(record: ComparisonRecord) -> list[tuple[ArmRecord, list[TrialRecord]]]:
    found = [(arm, ended(arm.best.runs)) for arm in record.arms if arm.best]
    return [(arm, runs) for arm, runs in found if runs]


def reference(sizes: Sequence[int]) -> int:
    """Return the batch size that the others are compared with: the nearest to 32, in octaves."""
    return min(sizes, key=lambda size: abs(log2(size / REFERENCE)))


def _within(record: ComparisonRecord, arm: ArmRecord, runs: Sequence[TrialRecord], limit: Limit) -> dict[int, float]:
    """Return each seed's best metric within a budget; one that was not evaluated in it, or only diverged, has the worst."""
    most = min(limit.updates, limit.epochs * record.rows / arm.batch_size * (1 + 1e-9))
    maximize = record.direction == "maximize"
    best = {r.number: best_within(r.history.update, r.history.metric, most, maximize) for r in runs if r.history}
    return {seed: worst(record) if value is None else value for seed, value in best.items()}


def _compared(
    values: Mapping[Key, dict[int, float]], budgets: Mapping[str, Limit], maximize: bool
) -> dict[Key, Within]:
    """Return every arm's values in every budget, compared with the reference of its optimizer."""
    found: dict[Key, Within] = {}
    for optimizer in dict.fromkeys(key[0] for key in values):
        for budget in budgets:
            group = {
                size: seeds for (name, size, which), seeds in values.items() if (name, which) == (optimizer, budget)
            }
            found |= {(optimizer, size, budget): within for size, within in _group(group, maximize).items()}
    return found


def _group(values: Mapping[int, dict[int, float]], maximize: bool) -> dict[int, Within]:
    base = values[reference(list(values))]
    pairs = {size: _pairs(seeds, base) for size, seeds in values.items() if seeds is not base}
    usable = {
        size: pair for size, pair in pairs.items() if len(pair[0]) > 1 and all(map(isfinite, [*pair[0], *pair[1]]))
    }
    ps = dict(zip(usable, holm([sign_flip_p(*pair) for pair in usable.values()]), strict=True)) if usable else {}
    return {
        size: Within(
            median_estimate(list(seeds.values())),
            paired_difference(*usable[size]) if size in usable else None,
            float(ps[size]) if size in usable else None,
            _better(*usable[size], maximize) if size in usable else None,
        )
        for size, seeds in values.items()
    }


def _better(ours: list[float], theirs: list[float], maximize: bool) -> Estimate:
    """Return the probability that a run is better than its pair; ties count half."""
    return probability_of_improvement(theirs, ours) if maximize else probability_of_improvement(ours, theirs)


def _pairs(a: Mapping[int, float], b: Mapping[int, float]) -> tuple[list[float], list[float]]:
    common = sorted(a.keys() & b.keys())
    return [a[seed] for seed in common], [b[seed] for seed in common]


def _quality(
    record: ComparisonRecord, arm: ArmRecord, runs: list[TrialRecord], within: Mapping[str, Within], level: float | None
) -> ArmQuality:
    assert arm.best is not None, "arms without a best winner were left out"
    histories = [run.history for run in runs if run.history]
    known = [] if level is None else [gap_at_loss(h.training_loss, h.validation_loss, level) for h in histories]
    gaps = [gap for gap in known if gap is not None and isfinite(gap)]
    return ArmQuality(
        optimizer=arm.optimizer,
        batch_size=arm.batch_size,
        learning_rate=learning_rate(arm, arm.best.params),
        runs=len(runs),
        reference=reference([other.batch_size for other, _ in _arms(record) if other.optimizer == arm.optimizer]),
        saturated=sum(saturated(h.update, h.validation_loss) for h in histories) / len(histories),
        scores=_scores(runs),
        within=within,
        gap=median_estimate(gaps) if gaps else None,
        level=level,
    )


def _scores(runs: Sequence[TrialRecord]) -> dict[str, Estimate]:
    """Return the median metric of the best networks by part of the data, of the runs that have it."""
    values = {part: [float(run.scores[part]["metric"]) for run in runs if part in run.scores] for part in PARTS}
    values["validation"] = [run.value for run in runs if run.value is not None]
    return {part: median_estimate(found) for part, found in values.items() if found}
