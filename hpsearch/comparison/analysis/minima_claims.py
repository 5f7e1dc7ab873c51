"""The claims on bad minima: whether SGD's noise helps to leave them, and whether gradient descent ends in them."""

from hpsearch.comparison.analysis.contrasts import better_than_full, full_batch_saturated
from hpsearch.comparison.analysis.escape import HALF, Teacher, contrast, leaving_from, teacher
from hpsearch.comparison.analysis.judgement import Answer, Judgement, Limit, Value
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import difference
from hpsearch.storage import ComparisonRecord

COMMON = 0.05  # share of starts that end in a bad minimum from which it is no rarity
ALIKE = 0.1  # difference of two shares of escapes below which they are as good as equal
UNMATCHED = Limit("unmatched")
# What SGD is beside isotropic noise, each at its best.
AT_ITS_BEST = {"less": "noise_best_more", "alike": "noise_best_alike"}


def escapes(record: ComparisonRecord) -> Answer:
    """Instability helps to escape local minima: from certified ones SGD escapes more often than GD, and than Gaussian noise as strong.

    What helps is told at SGD's own learning rate and batch size, run by run. Without conditions the claim holds only if SGD is ahead of
    isotropic noise there, ahead of it where that is at its own best, and half or more of its runs escape at most settings.
    """
    found = teacher(record)
    if found is None:
        return Answer(Judgement.THIN, "untested", {})
    if found.sgd is None or found.descent is None:
        return Answer(Judgement.THIN, "no_start", {"starts": found.starts})
    values = _escape_values(record, found)
    remarks = (*_helped_by(found), *_escape_remarks(found))
    verdict = _against_descent(found)
    if verdict == "ahead":
        limits = () if found.fresh else (UNMATCHED,)
        isotropic = found.matched.get("isotropic")
        ahead = _ahead_of_noise(found)
        wide = len(found.window.leaving) >= HALF * found.window.tried
        if isotropic and isotropic.difference.low > 0 and wide and ahead and ahead.low > 0:
            return Answer(Judgement.HOLDS, "ahead", values, remarks, limits)
        return Answer(Judgement.CONDITION, "ahead", values, remarks, limits)
    remarks = _escape_remarks(found)
    one = leaving_from(record, 1)  # learning rates of the test that was made for it
    full = leaving_from(record, None)
    if one is not None and full is None:
        return Answer(Judgement.CONDITION, "made_alone", values, remarks)
    if one is not None and full is not None and one < full:
        return Answer(Judgement.CONDITION, "made_only", values, remarks)
    if verdict == "unclear":
        return Answer(Judgement.THIN, "unclear", values)
    return Answer(Judgement.UNSUPPORTED, "no", values, remarks)


def _escape_values(record: ComparisonRecord, found: Teacher) -> dict[str, Value]:
    """Return the values of all sentences on escapes; None where a record of before has none."""
    assert found.sgd is not None, "asked only where SGD ran"
    values: dict[str, Value] = {
        "sgd": found.sgd.escaped,
        "diverged_sgd": found.sgd.share("diverged"),
        "rate": found.sgd.learning_rate,
        "batch_size": found.sgd.batch_size,
        "runs": found.sgd.seeds,
        "updates": found.updates,
        "gd": found.descent,
        "window": len(found.window.leaving),
        "tried": found.window.tried,
        "lost": found.back.lost if found.back else None,
        "good_runs": found.back.seeds if found.back else None,
        "points": round(100 * ALIKE),
        "made_one": leaving_from(record, 1),
        "made_full": leaving_from(record, None),
    }
    for method, one in found.matched.items():
        values |= {method: one.other.escaped, f"{method}_gap": one.difference, f"{method}_p": one.p}
    for name, cell in (("noise", found.isotropic), ("larger", found.larger)):
        if cell:
            values |= {
                f"best_{name}": cell.escaped,
                f"{name}_rate": cell.learning_rate,
                f"{name}_size": cell.batch_size,
            }
            values[f"diverged_{name}"] = cell.share("diverged")
    return values


def _against_descent(found: Teacher) -> str:
    """Return whether SGD is "ahead" of GD, ahead by less than the margin or behind ("alike"), or "unclear"."""
    assert found.sgd is not None, "asked only where SGD ran"
    assert found.descent is not None, "asked only where GD ran"
    ahead = found.ahead or difference(found.sgd.escaped, found.descent)
    if ahead.low > 0:
        return "ahead"
    return "alike" if ahead.high < ALIKE else "unclear"


def _helped_by(found: Teacher) -> tuple[str, ...]:
    """Return the sentences on what helps: SGD against isotropic noise at SGD's own setting, then against its own noise frozen."""
    isotropic = found.matched.get("isotropic")
    frozen = found.matched.get("frozen")
    if isotropic is None:
        return ()
    if frozen is None or isotropic.difference.low <= 0:
        return (f"isotropic_{_standing(isotropic.difference)}",)
    return "isotropic_more", f"frozen_{_standing(frozen.difference)}"


def _standing(ahead: Estimate) -> str:
    """Return whether a difference is "more" than 0, "less", "alike" within the margin, or "unclear", by its interval."""
    if ahead.low > 0:
        return "more"
    if ahead.high < 0:
        return "less"
    return "alike" if ahead.low > -ALIKE and ahead.high < ALIKE else "unclear"


def _ahead_of_noise(found: Teacher) -> Estimate | None:
    """Return by how much SGD at its best setting is ahead of isotropic noise at its own, from the same minima."""
    if found.isotropic is None or found.sgd is None:
        return None
    pairs = contrast(found.sgd, found.isotropic)
    return pairs.difference if pairs else difference(found.sgd.escaped, found.isotropic.escaped)


def _escape_remarks(found: Teacher) -> tuple[str, ...]:
    """Return the sentences on the settings at which SGD escapes, the good minimum, noise at its own best, GD at larger rates."""
    remarks = ["fresh"] if found.fresh else []
    ahead = _ahead_of_noise(found)
    if ahead and found.fresh:
        remarks.append(AT_ITS_BEST.get(_standing(ahead), "noise_best"))
    remarks.append("window" if found.window.leaving else "no_window")
    if found.back and found.fresh:
        remarks.append("good_lost" if found.back.lost.value > 0 else "good_kept")
    if found.larger:
        remarks.append("larger" if found.larger.counts["escaped"] else "larger_none")
    return tuple(remarks)


def stuck(record: ComparisonRecord) -> Answer:
    """GD is vulnerable to local minima: in a network that has them, and in how well it fits the study's own training rows.

    A run that was still improving may be slow rather than stuck. One that had stopped with a worse fit may have had another reason, since
    no minimum is certified on data: so the claim holds with a condition at most.
    """
    found = teacher(record)
    if found is None:
        return Answer(Judgement.THIN, "untested", {})
    ahead = better_than_full(record, "training")
    values: dict[str, Value] = {"stuck": found.stuck, "starts": found.starts, "difference": ahead}
    if found.stuck.high < COMMON:
        return Answer(Judgement.UNSUPPORTED, "rare", values)
    if found.stuck.low < COMMON:
        return Answer(Judgement.THIN, "unclear", values)
    if ahead is None:
        return Answer(Judgement.CONDITION, "made", values)
    if ahead.low <= 0:
        return Answer(Judgement.CONDITION, "made_only", values)
    if full_batch_saturated(record):
        return Answer(Judgement.CONDITION, "both", values)
    return Answer(Judgement.CONDITION, "unfinished", values)
