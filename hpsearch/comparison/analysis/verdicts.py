"""What the record says to the claims of the textbook: each holds, holds with a condition, is not supported, or has too little evidence.

The claims are about plain descent, so the first optimizer is judged ("sgd" where it was compared). A verdict follows from intervals over
seeds by the rules below, whatever one would like; the sentence that tells it is the text `verdict.CLAIM.REASON`, filled with `values`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf, isfinite

from hpsearch.comparison.analysis.escape import leaving_from, teacher
from hpsearch.comparison.analysis.measured import Spread
from hpsearch.comparison.analysis.noise import Variability, variabilities
from hpsearch.comparison.analysis.quality import PARTS, quality
from hpsearch.comparison.analysis.rates import ArmRates, rates
from hpsearch.comparison.analysis.times import ENOUGH, ArmTimes, optimizers, regimes, times
from hpsearch.statistics import Estimate
from hpsearch.statistics.comparing import paired_difference, paired_ratio
from hpsearch.storage import ArmRecord, ComparisonRecord

Value = Estimate | Spread | float | int | None
SMOOTH = 0.01  # share of rising updates up to which a descent is called smooth
COMMON = 0.05  # share of starts that end in a bad minimum from which it is no rarity
HALF = 0.5
OCTAVE = 1.0  # ranges of learning rates that differ by less are alike, as fine as the trials lie


class Judgement(StrEnum):
    """What the data say of a claim; the words are texts."""

    HOLDS = "holds"
    CONDITION = "condition"
    UNSUPPORTED = "unsupported"
    THIN = "thin"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim (text `claim.CLAIM`), its judgement, the sentence (`verdict.CLAIM.REASON`) with its values, and the figures that show it."""

    claim: str
    judgement: Judgement
    reason: str
    figures: tuple[str, ...]
    values: Mapping[str, Value] = field(default_factory=dict)


Answer = tuple[Judgement, str, Mapping[str, Value]]
FEW: Answer = (Judgement.THIN, "few", {})


def verdicts(record: ComparisonRecord) -> list[Verdict]:
    """Return the verdict on each claim, in the order of `CLAIMS`; of the escape tests alone only on those that they are about."""
    alone = bool(record.minima) and not record.arms
    found = []
    for claim, (judge, figures) in CLAIMS.items():
        if alone and not any(figure.startswith("escape_") for figure in figures):
            continue
        judgement, reason, values = judge(record)
        found.append(Verdict(claim, judgement, reason, figures, values))
    return found


def _ends(record: ComparisonRecord) -> tuple[int, int, int] | None:
    """Return the batch sizes 1, a mini-batch and the full batch; None where the comparison has not all three."""
    found = regimes(record, optimizers(record)[0]) if record.arms else None
    return found if found and found[0] == 1 and found[2] == record.rows else None


def stable(record: ComparisonRecord) -> Answer:
    """GD's path is stable: its loss varies less from update to update than SGD's, and (without a condition) hardly ever rises."""
    found = _moved(record)
    if not found:
        return FEW
    one, full = found["updates"]
    values = _variation(found)
    if not _below(full.deviation, one.deviation):
        return Judgement.UNSUPPORTED, "restless", values
    smooth = full.rising is not None and full.rising.value <= SMOOTH
    return (Judgement.HOLDS, "smooth", values) if smooth else (Judgement.CONDITION, "edge", values)


def slow(record: ComparisonRecord) -> Answer:
    """GD is slow: it needs more passes over the data and more seconds than the quickest mini-batch; fewer updates are a condition."""
    arms = _timed(record)
    if not arms:
        return FEW
    _, mini, full = arms
    ratios = {unit: _ratio(full, mini, unit) for unit in ("steps", "epochs", "seconds")}
    steps, epochs, seconds = ratios["steps"], ratios["epochs"], ratios["seconds"]
    if steps is None or epochs is None or seconds is None:
        return FEW
    values: dict[str, Value] = {**ratios, "batch_size": mini.batch_size}
    if full.reached == 0:
        return Judgement.HOLDS, "never", values
    if seconds.high < 1:
        return Judgement.UNSUPPORTED, "faster", values
    if epochs.low > 1 and seconds.low > 1:
        return (Judgement.CONDITION, "units", values) if steps.high < 1 else (Judgement.HOLDS, "both", values)
    return (Judgement.CONDITION, "data", values) if epochs.low > 1 else (Judgement.THIN, "unclear", values)


def unsteady(record: ComparisonRecord) -> Answer:
    """Towards SGD convergence gets unstable: the loss varies more, and fewer learning rates work."""
    found, ranges = _moved(record), _ranges(record)
    if not found or not ranges:
        return FEW
    one, full = found["updates"]
    narrow, wide = ranges
    values = {**_variation(found), "one_octaves": narrow, "full_octaves": wide}
    if not _below(full.deviation, one.deviation):
        return Judgement.UNSUPPORTED, "steady", values
    return (Judgement.HOLDS, "both", values) if narrow < wide - OCTAVE else (Judgement.CONDITION, "noisy", values)


def escapes(record: ComparisonRecord) -> Answer:
    """Instability helps to escape local minima: from certified ones SGD escapes more often than GD at the same learning rates."""
    found = teacher(record)
    if found is None:
        return Judgement.THIN, "untested", {}
    if found.sgd is None or found.descent is None:
        return Judgement.THIN, "no_start", {"starts": found.starts}
    made_one, made_full = leaving_from(record, 1), leaving_from(record, None)
    values: dict[str, Value] = {
        "sgd": found.sgd.escaped,
        "rate": found.sgd.learning_rate,
        "batch_size": found.sgd.batch_size,
        "gd": found.descent,
        "isotropic": found.isotropic.escaped if found.isotropic else None,
        "made_one": made_one,
        "made_full": made_full,
        "runs": found.sgd.seeds,
    }
    if found.sgd.escaped.low > found.descent.high:
        any_noise = found.isotropic is not None and found.isotropic.escaped.high > found.sgd.escaped.low
        return Judgement.CONDITION, "any_noise" if any_noise else "window", values
    if made_one is None or (made_full is not None and made_full <= made_one):
        return Judgement.UNSUPPORTED, "no", values
    return Judgement.CONDITION, "made_alone" if made_full is None else "made_only", values


def stuck(record: ComparisonRecord) -> Answer:
    """GD is vulnerable to local minima: in a network that has them, and in how well it fits the study's own training rows.

    A run that was still improving may be slow rather than stuck, so that a worse fit counts only where it had stopped to improve.
    """
    found = teacher(record)
    if found is None:
        return Judgement.THIN, "untested", {}
    worse = _against_full(record, "training")
    values: dict[str, Value] = {"stuck": found.stuck, "starts": found.starts, "difference": worse}
    if found.stuck.high < COMMON:
        return Judgement.UNSUPPORTED, "rare", values
    if found.stuck.low < COMMON:
        return Judgement.THIN, "unclear", values
    if worse is None:
        return Judgement.CONDITION, "made", values
    if worse.low <= 0:
        return Judgement.CONDITION, "made_only", values
    return (
        (Judgement.HOLDS, "both", values) if _ended_improving(record) else (Judgement.CONDITION, "unfinished", values)
    )


def compromise(record: ComparisonRecord) -> Answer:
    """Mini-batches are the compromise: the quickest of them takes less time than both ends."""
    arms = _timed(record)
    if not arms:
        return FEW
    one, mini, full = arms
    low, high = _ratio(one, mini, "seconds"), _ratio(full, mini, "seconds")
    if low is None or high is None:
        return FEW
    values: dict[str, Value] = {"one": low, "full": high, "batch_size": mini.batch_size}
    if low.low > 1 and high.low > 1:
        return Judgement.HOLDS, "quickest", values
    if low.high < 1 or high.high < 1:
        return Judgement.UNSUPPORTED, "beaten", values
    if low.low > 1:
        return Judgement.CONDITION, "not_full", values
    return (Judgement.CONDITION, "not_one", values) if high.low > 1 else (Judgement.THIN, "unclear", values)


def generalises(record: ComparisonRecord) -> Answer:
    """Small batches generalise better: a tuned mini-batch against GD on the test rows, and whether the sign is the budget's."""
    if record.settings.get("compare", {}).get("train_until") == "target":
        return Judgement.THIN, "cut", {}
    test, epochs, updates = (_against_full(record, budget) for budget in ("test", "full", "updates"))
    values: dict[str, Value] = {
        "test": test,
        "equal_epochs": epochs,
        "equal_updates": updates,
        "batch_size": _reference(record),
    }
    if test is None or epochs is None or updates is None:
        return FEW
    if (epochs.low > 0 and updates.high < 0) or (epochs.high < 0 and updates.low > 0):
        return Judgement.CONDITION, "budget", values
    if test.low > 0:
        return Judgement.HOLDS, "better", values
    return Judgement.UNSUPPORTED, "worse" if test.high < 0 else "alike", values


CLAIMS: dict[str, tuple[Callable[[ComparisonRecord], Answer], tuple[str, ...]]] = {
    "stable": (stable, ("variability", "angle", "sharpness")),
    "slow": (slow, ("steps", "epochs", "seconds", "curves")),
    "unsteady": (unsteady, ("variability", "rates")),
    "escapes": (escapes, ("escape_teacher", "escape_instability", "escape_thermal", "escape_dead")),
    "stuck": (stuck, ("escape_teacher", "quality", "barrier")),
    "compromise": (compromise, ("seconds", "tradeoff", "noise_scale")),
    "generalises": (generalises, ("quality",)),
}


Moved = Mapping[str, tuple[Variability, Variability]]  # of SGD and of GD, by unit


def _moved(record: ComparisonRecord) -> Moved | None:
    """Return the variability of SGD and of GD by unit; None where one was measured on fewer than `ENOUGH` runs.

    There is none from pass to pass where SGD's runs ended too soon after the target; GD's passes are its updates.
    """
    ends = _ends(record)
    if ends is None:
        return None
    found = {(v.batch_size, v.unit): v for v in variabilities(record, optimizers(record)[0])}
    one, full = found.get((ends[0], "updates")), found.get((ends[2], "updates"))
    if one is None or full is None or not (_many(one) and _many(full)):
        return None
    one_pass, full_pass = found.get((ends[0], "epochs")), found.get((ends[2], "epochs")) or full
    return {"updates": (one, full)} | ({"epochs": (one_pass, full_pass)} if one_pass else {})


def _many(moved: Variability) -> bool:
    return moved.deviation is not None and moved.rising is not None and moved.deviation.runs >= ENOUGH


def _variation(found: Moved) -> dict[str, Value]:
    one, full = found["updates"]
    one_pass, full_pass = found.get("epochs", (None, None))
    return {
        "one_rising": one.rising,
        "full_rising": full.rising,
        "one_deviation": one.deviation,
        "full_deviation": full.deviation,
        "one_pass": one_pass.deviation if one_pass else None,
        "full_pass": full_pass.deviation if full_pass else None,
        "runs": full.deviation.runs if full.deviation else 0,
    }


def _below(one: Spread | None, other: Spread | None) -> bool:
    """Whether every run of one lies below every run of the other."""
    return one is not None and other is not None and one.high < other.low


def _timed(record: ComparisonRecord) -> tuple[ArmTimes, ArmTimes, ArmTimes] | None:
    """Return the times of SGD, the quickest mini-batch and GD; None where one has fewer than `ENOUGH` runs, or no mini-batch got there."""
    ends = _ends(record)
    found = {arm.batch_size: arm for arm in times(record) if arm.optimizer == optimizers(record)[0]}
    if ends is None or any(size not in found or found[size].runs < ENOUGH for size in ends):
        return None
    one, mini, full = (found[size] for size in ends)
    return (one, mini, full) if mini.reached else None


def _ratio(arm: ArmTimes, other: ArmTimes, unit: str) -> Estimate | None:
    """Return how many times as much of a unit one arm needs as the other, over the seeds that both have."""
    if unit not in arm.costs or unit not in other.costs:
        return None
    ours, theirs = (dict(zip(a.seeds, a.costs[unit].values, strict=True)) for a in (arm, other))
    pairs = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    if not any(min(pair) < inf for pair in pairs):
        return None
    return paired_ratio([a for a, _ in pairs], [b for _, b in pairs])


def _ranges(record: ComparisonRecord) -> tuple[float, float] | None:
    """Return the widths, in octaves, of the learning rates that work for SGD and for GD."""
    ends = _ends(record)
    found = {arm.batch_size: arm for arm in rates(record) if arm.optimizer == optimizers(record)[0]}
    if ends is None:
        return None
    widths = [_width(found.get(ends[0])), _width(found.get(ends[2]))]
    return (widths[0], widths[1]) if widths[0] is not None and widths[1] is not None else None


def _width(arm: ArmRates | None) -> float | None:
    return arm.working[2] if arm is not None and arm.working is not None else None


def _reference(record: ComparisonRecord) -> int | None:
    found = [arm.reference for arm in quality(record) if arm.optimizer == optimizers(record)[0]]
    return found[0] if found else None


def _against_full(record: ComparisonRecord, budget: str) -> Estimate | None:
    """Return how much better the mini-batch nearest to 32 is than GD: on "training" or "test" rows, or in a budget on validation rows."""
    if not record.arms:
        return None
    optimizer, size = optimizers(record)[0], _reference(record)
    if budget not in PARTS:
        own = [a for a in quality(record) if a.optimizer == optimizer and a.batch_size == record.rows]
        within = own[0].within.get(budget) if own and own[0].runs >= ENOUGH else None
        return _signed(record, within.difference, -1) if within and within.difference else None
    arms = {arm.batch_size: _scored(arm, budget) for arm in record.arms if arm.optimizer == optimizer}
    mini, full = arms.get(size or 0, {}), arms.get(record.rows, {})
    seeds = sorted(mini.keys() & full.keys())
    if len(seeds) < ENOUGH or size == record.rows or not all(isfinite(own[s]) for own in (mini, full) for s in seeds):
        return None
    return _signed(record, paired_difference([mini[s] for s in seeds], [full[s] for s in seeds]), 1)


def _scored(arm: ArmRecord, part: str) -> dict[int, float]:
    runs = arm.best.runs if arm.best else ()
    return {run.number: float(run.scores[part]["metric"]) for run in runs if part in run.scores}


def _ended_improving(record: ComparisonRecord) -> bool:
    """Whether most of GD's runs had stopped to improve before their budget's end."""
    own = [a for a in quality(record) if a.optimizer == optimizers(record)[0] and a.batch_size == record.rows]
    return bool(own) and own[0].saturated > HALF


def _signed(record: ComparisonRecord, difference: Estimate, sign: int) -> Estimate:
    """Return a difference of the metric so that more is better, times a sign."""
    factor = sign if record.direction == "maximize" else -sign
    low, high = sorted((factor * difference.low, factor * difference.high))
    return Estimate(factor * difference.value, low, high)
