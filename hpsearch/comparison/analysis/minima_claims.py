"""The claims on bad minima: whether SGD's noise helps to leave them, and whether gradient descent ends in them."""

from hpsearch.comparison.analysis.contrasts import better_than_full, full_batch_saturated
from hpsearch.comparison.analysis.escape import leaving_from, teacher
from hpsearch.comparison.analysis.judgement import Answer, Judgement, Value
from hpsearch.storage import ComparisonRecord

COMMON = 0.05  # share of starts that end in a bad minimum from which it is no rarity


def escapes(record: ComparisonRecord) -> Answer:
    """Instability helps to escape local minima: from certified ones SGD escapes more often than GD at the same learning rates."""
    found = teacher(record)
    if found is None:
        return Judgement.THIN, "untested", {}
    if found.sgd is None or found.descent is None:
        return Judgement.THIN, "no_start", {"starts": found.starts}
    made_one = leaving_from(record, 1)  # the learning rates of the test that was made for it
    made_full = leaving_from(record, None)
    sgd = found.sgd.escaped
    isotropic = found.isotropic.escaped if found.isotropic else None
    values: dict[str, Value] = {
        "sgd": sgd,
        "rate": found.sgd.learning_rate,
        "batch_size": found.sgd.batch_size,
        "gd": found.descent,
        "isotropic": isotropic,
        "made_one": made_one,
        "made_full": made_full,
        "runs": found.sgd.seeds,
    }
    if sgd.low > found.descent.high:
        if isotropic is not None and isotropic.high > sgd.low:
            return Judgement.CONDITION, "any_noise", values
        return Judgement.CONDITION, "window", values
    if made_one is None:
        return Judgement.UNSUPPORTED, "no", values
    if made_full is None:
        return Judgement.CONDITION, "made_alone", values
    if made_full <= made_one:
        return Judgement.UNSUPPORTED, "no", values
    return Judgement.CONDITION, "made_only", values


def stuck(record: ComparisonRecord) -> Answer:
    """GD is vulnerable to local minima: in a network that has them, and in how well it fits the study's own training rows.

    A run that was still improving may be slow rather than stuck, so that a worse fit counts only where it had stopped to improve.
    """
    found = teacher(record)
    if found is None:
        return Judgement.THIN, "untested", {}
    difference = better_than_full(record, "training")
    values: dict[str, Value] = {"stuck": found.stuck, "starts": found.starts, "difference": difference}
    if found.stuck.high < COMMON:
        return Judgement.UNSUPPORTED, "rare", values
    if found.stuck.low < COMMON:
        return Judgement.THIN, "unclear", values
    if difference is None:
        return Judgement.CONDITION, "made", values
    if difference.low <= 0:
        return Judgement.CONDITION, "made_only", values
    if full_batch_saturated(record):
        return Judgement.HOLDS, "both", values
    return Judgement.CONDITION, "unfinished", values
