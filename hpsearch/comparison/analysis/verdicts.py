"""What the record says of the textbook's claims: each holds, holds with a condition, is not supported, or has too little evidence.

The claims are about plain descent, so the first optimizer is judged ("sgd" where it was compared). A verdict follows from intervals over
seeds (`contrasts`) by the rules below. Its sentence is the text `verdict.CLAIM.REASON`, filled with `values`.
"""

from collections.abc import Callable

from hpsearch.comparison.analysis.contrasts import (
    better_than_full,
    cost_ratio,
    reference_size,
    steadiness,
    three_times,
    working_octaves,
)
from hpsearch.comparison.analysis.judgement import Answer, Judgement, Value, Verdict
from hpsearch.comparison.analysis.minima_claims import escapes, stuck
from hpsearch.storage import ComparisonRecord

SMOOTH = 0.01  # share of rising updates up to which a descent is called smooth
OCTAVE = 1.0  # ranges of learning rates that differ by less are alike, as fine as the trials lie

FEW: Answer = (Judgement.THIN, "few", {})


def verdicts(record: ComparisonRecord) -> list[Verdict]:
    """Return the verdict on each claim, in the order of `CLAIMS`; without arms only on those about the escape tests."""
    escape_only = bool(record.minima) and not record.arms
    result = []
    for claim, (judge, figures) in CLAIMS.items():
        if escape_only and not any(figure.startswith("escape_") for figure in figures):
            continue
        judgement, reason, values = judge(record)
        result.append(Verdict(claim, judgement, reason, figures, values))
    return result


def stable(record: ComparisonRecord) -> Answer:
    """GD's path is stable: its loss varies less from update to update than SGD's, and (without a condition) hardly ever rises."""
    found = steadiness(record)
    if found is None:
        return FEW
    values = found.values()
    if not found.full_below:
        return Judgement.UNSUPPORTED, "restless", values
    if found.full_rising.value <= SMOOTH:
        return Judgement.HOLDS, "smooth", values
    return Judgement.CONDITION, "edge", values


def slow(record: ComparisonRecord) -> Answer:
    """GD is slow: it needs more passes over the data and more seconds than the quickest mini-batch; fewer updates are a condition."""
    arms = three_times(record)
    if arms is None:
        return FEW
    _, mini, full = arms
    steps = cost_ratio(full, mini, "steps")
    epochs = cost_ratio(full, mini, "epochs")
    seconds = cost_ratio(full, mini, "seconds")
    if steps is None or epochs is None or seconds is None:
        return FEW
    values: dict[str, Value] = {"steps": steps, "epochs": epochs, "seconds": seconds, "batch_size": mini.batch_size}
    if full.reached == 0:
        return Judgement.HOLDS, "never", values
    if seconds.high < 1:
        return Judgement.UNSUPPORTED, "faster", values
    if epochs.low <= 1:
        return Judgement.THIN, "unclear", values
    if seconds.low <= 1:
        return Judgement.CONDITION, "data", values
    if steps.high < 1:
        return Judgement.CONDITION, "units", values
    return Judgement.HOLDS, "both", values


def unsteady(record: ComparisonRecord) -> Answer:
    """Towards SGD convergence gets unstable: the loss varies more, and fewer learning rates work."""
    found = steadiness(record)
    octaves = working_octaves(record)
    if found is None or octaves is None:
        return FEW
    one, full = octaves
    values: dict[str, Value] = {**found.values(), "one_octaves": one, "full_octaves": full}
    if not found.full_below:
        return Judgement.UNSUPPORTED, "steady", values
    if one < full - OCTAVE:
        return Judgement.HOLDS, "both", values
    return Judgement.CONDITION, "noisy", values


def compromise(record: ComparisonRecord) -> Answer:
    """Mini-batches are the compromise: the quickest of them takes less time than both ends."""
    arms = three_times(record)
    if arms is None:
        return FEW
    one, mini, full = arms
    one_ratio = cost_ratio(one, mini, "seconds")
    full_ratio = cost_ratio(full, mini, "seconds")
    if one_ratio is None or full_ratio is None:
        return FEW
    values: dict[str, Value] = {"one": one_ratio, "full": full_ratio, "batch_size": mini.batch_size}
    if one_ratio.low > 1 and full_ratio.low > 1:
        return Judgement.HOLDS, "quickest", values
    if one_ratio.high < 1 or full_ratio.high < 1:
        return Judgement.UNSUPPORTED, "beaten", values
    if one_ratio.low > 1:
        return Judgement.CONDITION, "not_full", values
    if full_ratio.low > 1:
        return Judgement.CONDITION, "not_one", values
    return Judgement.THIN, "unclear", values


def generalises(record: ComparisonRecord) -> Answer:
    """Small batches generalise better: a tuned mini-batch against GD on the test rows, and whether the sign depends on the budget."""
    if record.settings.get("compare", {}).get("train_until") == "target":
        return Judgement.THIN, "cut", {}
    test = better_than_full(record, "test")
    epochs = better_than_full(record, "full")
    updates = better_than_full(record, "updates")
    if test is None or epochs is None or updates is None:
        return FEW
    size = reference_size(record)
    values: dict[str, Value] = {"test": test, "equal_epochs": epochs, "equal_updates": updates, "batch_size": size}
    if epochs.low > 0 > updates.high or updates.low > 0 > epochs.high:
        return Judgement.CONDITION, "budget", values
    if test.low > 0:
        return Judgement.HOLDS, "better", values
    if test.high < 0:
        return Judgement.UNSUPPORTED, "worse", values
    return Judgement.UNSUPPORTED, "alike", values


Judge = Callable[[ComparisonRecord], Answer]

# The rule of each claim, and the figures that show it.
CLAIMS: dict[str, tuple[Judge, tuple[str, ...]]] = {
    "stable": (stable, ("variability", "angle", "sharpness")),
    "slow": (slow, ("steps", "epochs", "seconds", "curves")),
    "unsteady": (unsteady, ("variability", "rates")),
    "escapes": (escapes, ("escape_teacher", "escape_instability", "escape_thermal", "escape_dead")),
    "stuck": (stuck, ("escape_teacher", "quality", "barrier")),
    "compromise": (compromise, ("seconds", "tradeoff", "noise_scale")),
    "generalises": (generalises, ("quality",)),
}
