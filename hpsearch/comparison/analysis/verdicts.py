"""What the record says of the textbook's claims: each holds, holds with a condition, is not supported, or has too little evidence.

The claims are about plain descent, so the first optimizer is judged ("sgd" where it was compared). A verdict follows from intervals
(`contrasts`) by the rules below, and is no stronger than its limits allow (`limits`). Its sentence is the text `verdict.CLAIM.REASON`,
filled with `values`.

A claim holds only where intervals say so: what is not known never strengthens it.
"""

from collections.abc import Callable
from math import isfinite

from hpsearch.comparison.analysis.contrasts import (
    LOOPS,
    Phase,
    better_than_full,
    budget_ratio,
    cost_ratio,
    deviations_of_passes,
    full_score,
    knows_test_rows,
    last_part,
    phase,
    reference_size,
    scored_seeds,
    stopped_short,
    three_times,
    unsaturated,
    working_octaves,
)
from hpsearch.comparison.analysis.judgement import Answer, Judgement, Value, Verdict
from hpsearch.comparison.analysis.limits import (
    lacking,
    measured_lacking,
    measured_limits,
    quality_lacking,
    quality_limits,
    time_limits,
)
from hpsearch.comparison.analysis.minima_claims import escapes, stuck
from hpsearch.comparison.analysis.times import ArmTimes, optimizers, scaling
from hpsearch.data.metrics import METRICS
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

SMOOTH = 0.01  # share of rising updates up to which a descent is called smooth
MARGIN = 0.003  # of a metric that is a share: smaller differences are alike
RELATIVE_MARGIN = 0.01  # of other metrics, by GD's value
MORE = "more"  # what an interval says of a ratio
LESS = "less"
EITHER = "either"


Values = dict[str, Value]


def verdicts(record: ComparisonRecord) -> list[Verdict]:
    """Return the verdict on each claim, in the order of `CLAIMS`; without arms only on those about the escape tests."""
    escape_only = bool(record.minima) and not record.arms
    result = []
    for claim, (judge, figures) in CLAIMS.items():
        if escape_only and not any(figure.startswith("escape_") for figure in figures):
            continue
        result.append(Verdict.of(claim, Answer(*judge(record)), figures))
    return result


def sign_of(ratio: Estimate) -> str:
    """Return whether a ratio is more than 1, less, or either, by its interval."""
    if ratio.low > 1:
        return MORE
    return LESS if ratio.high < 1 else EITHER


# ---- steadiness


def stable(record: ComparisonRecord) -> Answer:
    """GD's path is stable: on its way to the target and after it the loss varies less than SGD's; (without a condition) it hardly rises."""
    before = phase(record, "before")
    after = phase(record, "updates")
    if after is None:
        return measured_lacking(record)
    values, remarks = _phase_sentences(record, before, after)
    limits = measured_limits(record, before, after)
    after_sign = sign_of(after.ratio)
    signs = {after_sign, sign_of(before.ratio) if before else after_sign}
    if signs == {MORE}:
        rising = max(one.full.rising.value for one in (before, after) if one)
        if rising <= SMOOTH:
            return Answer(Judgement.HOLDS, "smooth", values, remarks, limits)
        return Answer(Judgement.CONDITION, "edge", values, remarks, limits)
    if after_sign == MORE:
        return Answer(Judgement.CONDITION, "after", values, remarks, limits)
    if LESS in signs:
        return Answer(Judgement.UNSUPPORTED, "restless", values, remarks, limits)
    return Answer(Judgement.THIN, "unclear", values, remarks)


def unsteady(record: ComparisonRecord) -> Answer:
    """Towards SGD convergence gets unstable: the loss varies more with every smaller batch size, and fewer learning rates work."""
    before = phase(record, "before")
    after = phase(record, "updates")
    if after is None:
        return measured_lacking(record)
    known = [one for one in (before, after) if one]
    values, remarks = _phase_sentences(record, before, after)
    tuning, octaves = _harder_to_tune(record)
    values |= octaves
    limits = measured_limits(record, before, after)
    signs = {sign_of(one.ratio) for one in known}
    if signs == {MORE} and all(one.monotone for one in known):
        is_harder = tuning == "harder"
        judgement = Judgement.HOLDS if is_harder else Judgement.CONDITION
        return Answer(judgement, "monotone", values, (*remarks, tuning), limits)
    if MORE in signs:
        places = tuple(f"unsteadiest_{name}" for name in ("before", "after") if f"unsteadiest_{name}" in values)
        return Answer(Judgement.CONDITION, "uneven", values, (*remarks, *places, tuning), limits)
    if LESS in signs:
        return Answer(Judgement.UNSUPPORTED, "steady", values, (*remarks, tuning), limits)
    return Answer(Judgement.THIN, "unclear", values, remarks)


def _phase_sentences(record: ComparisonRecord, before: Phase | None, after: Phase) -> tuple[Values, tuple[str, ...]]:
    """Return the values of sentences on steadiness, and the sentences that have all of theirs: in a study of before not all."""
    values: Values = {}
    remarks = []
    for name, one in (("before", before), ("after", after)):
        if one is not None:
            remarks.append(f"updates_{name}")
            values |= {
                f"one_rising_{name}": one.one.rising,
                f"full_rising_{name}": one.full.rising,
                f"one_deviation_{name}": one.one.deviation,
                f"full_deviation_{name}": one.full.deviation,
                f"ratio_{name}": one.ratio,
                f"unsteadiest_{name}": (one.unsteadiest,),
            }
    passes = deviations_of_passes(record)
    if passes:
        remarks.append("passes")
        values |= {"one_pass": passes[0], "full_pass": passes[1]}
    return values, tuple(remarks)


def _harder_to_tune(record: ComparisonRecord) -> tuple[str, Values]:
    """Return whether fewer learning rates work for SGD than for GD, as the key of a sentence, and its values."""
    octaves = working_octaves(record)
    if octaves is None:
        return "untuned", {}
    one, full = octaves
    values: Values = {"one_octaves": one, "full_octaves": full}
    if one.high < full.low:
        return "harder", values
    if full.high < one.low:
        return "easier", values
    return "tuning_unclear", values


# ---- times


def slow(record: ComparisonRecord) -> Answer:
    """GD is slow: it needs more passes over the data than a mini-batch, and more updates and seconds, else these are a condition."""
    arms = three_times(record)
    if arms is None:
        return lacking(record)
    _, mini, full = arms
    epochs = cost_ratio(record, full, mini, "epochs")
    steps = cost_ratio(record, full, mini, "steps")
    if epochs is None or steps is None:
        return lacking(record)
    values: Values = {"steps": steps, "epochs": epochs, "batch_size": mini.batch_size}
    limits = time_limits(record, (mini, full), weakened_by=(full.batch_size,))
    if not isfinite(epochs.value):
        values |= {
            "cap": round(full.costs["steps"].cap),
            "budget_ratio": budget_ratio(full, mini, "epochs"),
            "reached": full.reached,
            "all_runs": full.runs,
        }
        if stopped_short(record, full, mini, "epochs"):
            return Answer(Judgement.THIN, "unfinished", values)
        return Answer(Judgement.HOLDS, "never", values, (), limits)
    seconds, timing, remarks = _seconds(record, full, mini)
    values |= timing
    signs = (sign_of(steps), sign_of(epochs))
    if signs == (MORE, MORE):
        judgement = Judgement.HOLDS if seconds == MORE else Judgement.CONDITION
        return Answer(judgement, "both", values, remarks, limits)
    if signs == (LESS, MORE):
        return Answer(Judgement.CONDITION, "units", values, remarks, limits)
    if signs == (EITHER, MORE):
        return Answer(Judgement.CONDITION, "data", values, remarks, limits)
    if signs[1] == LESS:
        return Answer(Judgement.UNSUPPORTED, "fewer", values, remarks, limits)
    return Answer(Judgement.THIN, "unclear", values, remarks)


def _seconds(record: ComparisonRecord, full: ArmTimes, mini: ArmTimes) -> tuple[str, Values, tuple[str, ...]]:
    """Return how the seconds of GD compare with the mini-batch's in every engine that was timed, and the sentences on that."""
    ratio = cost_ratio(record, full, mini, LOOPS["own"])
    if ratio is None:
        return EITHER, {}, ()
    values: Values = {"seconds": ratio}
    sign = sign_of(ratio)
    remarks = [f"seconds_{sign}"]
    plain = cost_ratio(record, full, mini, LOOPS["plain"])
    if plain is None:
        return sign, values, tuple(remarks)
    values["plain"] = plain
    if sign_of(plain) == sign:
        return sign, values, (*remarks, "plain_agrees")
    return EITHER, values, (*remarks, "plain_differs")


def compromise(record: ComparisonRecord) -> Answer:
    """Mini-batches are the compromise: the critical batch size lies between the ends, and a mini-batch near it is quicker than both."""
    arms = three_times(record)
    if arms is None:
        return lacking(record)
    fit = scaling(record, optimizers(record)[0])
    one, mini, full = arms
    if fit is None:
        return Answer(Judgement.THIN, "unfitted")
    if any(stopped_short(record, end, mini, "epochs") for end in (one, full)):
        return Answer(Judgement.THIN, "unfinished", {"batch_size": mini.batch_size})
    critical = fit.critical_batch_size
    values: Values = {"critical": critical, "batch_size": mini.batch_size}
    inside = critical.low > 1 and critical.high < record.rows
    outside = critical.high <= 1 or critical.low >= record.rows
    signs, timing, remarks = _both_ends(record, arms)
    values |= timing
    limits = time_limits(record, arms, weakened_by=(1, record.rows))
    if inside and signs == {MORE}:
        return Answer(Judgement.HOLDS, "quickest", values, remarks, limits)
    if inside and LESS in signs:
        return Answer(Judgement.CONDITION, "work_only", values, remarks, limits)
    if inside:
        return Answer(Judgement.CONDITION, "work", values, remarks, limits)
    if signs == {MORE}:
        return Answer(Judgement.CONDITION, "time_only", values, remarks, limits)
    if outside:
        return Answer(Judgement.UNSUPPORTED, "outside", values, remarks, limits)
    if LESS in signs:
        return Answer(Judgement.UNSUPPORTED, "beaten", values, remarks, limits)
    return Answer(Judgement.THIN, "unclear", values, remarks)


def _both_ends(
    record: ComparisonRecord, arms: tuple[ArmTimes, ArmTimes, ArmTimes]
) -> tuple[set[str], Values, tuple[str, ...]]:
    """Return how the seconds of SGD and of GD compare with a mini-batch's, in every engine that was timed, and the sentences on that."""
    one, mini, full = arms
    values: Values = {}
    remarks: list[str] = []
    signs: set[str] = set()
    for loop, unit in LOOPS.items():
        first = cost_ratio(record, one, mini, unit)
        last = cost_ratio(record, full, mini, unit)
        if first is not None and last is not None:
            values |= {f"one_{loop}": first, f"full_{loop}": last}
            signs |= {sign_of(first), sign_of(last)}
            remarks.append(f"seconds_{loop}")
    return signs or {EITHER}, values, tuple(remarks)


# ---- quality


def generalises(record: ComparisonRecord) -> Answer:
    """Small batches generalise better: a tuned mini-batch against GD on the test rows, both trained until more training does not help."""
    if record.settings.get("compare", {}).get("train_until") == "target":
        return Answer(Judgement.THIN, "cut")
    test = better_than_full(record, "test")
    epochs = better_than_full(record, "full")
    updates = better_than_full(record, "updates")
    size = reference_size(record)
    if test is None or epochs is None or updates is None or size is None:
        return quality_lacking(record)
    last = better_than_full(record, "last")
    values: Values = {"test": test, "equal_epochs": epochs, "equal_updates": updates, "batch_size": size, "last": last}
    remarks: tuple[str, ...] = ("budgets",)
    if knows_test_rows(record):
        remarks = ("rows", "budgets")
    if last is not None:
        remarks += (f"last_{last_part(record)}",)
    short = unsaturated(record)
    if short:
        return Answer(Judgement.THIN, "unfinished", values | {"still_improving": short}, remarks)
    limits = quality_limits(record, scored_seeds(record))
    if test.low > 0:
        if last is not None and last.low <= 0:
            return Answer(Judgement.CONDITION, "early", values, remarks, limits)
        if updates.high < 0 or epochs.high < 0:
            return Answer(Judgement.CONDITION, "budget", values, remarks, limits)
        return Answer(Judgement.HOLDS, "better", values, remarks, limits)
    margin = margin_of(record)
    values["margin"] = margin
    if last is not None and last_part(record) == "test" and _contradicted(test, last, margin):
        return Answer(Judgement.THIN, "depends", values, remarks[:-1])
    if test.high < 0:
        return Answer(Judgement.UNSUPPORTED, "worse", values, remarks, limits)
    if _alike(test, margin):
        return Answer(Judgement.UNSUPPORTED, "alike", values, remarks, limits)
    return Answer(Judgement.THIN, "unclear", values, remarks)


def _alike(difference: Estimate, margin: float) -> bool:
    return -margin < difference.low and difference.high < margin


def _contradicted(test: Estimate, last: Estimate, margin: float) -> bool:
    """Whether the last networks are ahead where the best ones are behind, or differ where the best ones are alike."""
    if test.high < 0:
        return last.low > 0
    return _alike(test, margin) and (last.low > margin or last.high < -margin)


def margin_of(record: ComparisonRecord) -> float:
    """Return the difference of the metric below which two arms are alike: `MARGIN` of a share, else so much of GD's value."""
    metric = METRICS.get(str(record.data.get("metric")))
    if metric is not None and metric.is_share:
        return MARGIN
    return RELATIVE_MARGIN * abs(full_score(record))


Judge = Callable[[ComparisonRecord], Answer]

# The rule of each claim, and the figures that show it.
CLAIMS: dict[str, tuple[Judge, tuple[str, ...]]] = {
    "stable": (stable, ("variability", "angle", "sharpness")),
    "slow": (slow, ("steps", "epochs", "seconds", "curves")),
    "unsteady": (unsteady, ("variability", "rates")),
    "escapes": (escapes, ("escape_teacher", "escape_updates", "escape_instability", "escape_thermal", "escape_dead")),
    "stuck": (stuck, ("escape_teacher", "quality", "barrier")),
    "compromise": (compromise, ("tradeoff", "seconds", "noise_scale")),
    "generalises": (generalises, ("quality",)),
}
