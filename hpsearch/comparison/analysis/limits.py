"""What a comparison lacks for a verdict (an answer that names it), and what limits a verdict that there is (`Limit`)."""

from collections.abc import Iterable, Sequence

from hpsearch.comparison.analysis.contrasts import Phase, at_edge, of_first, reference_size
from hpsearch.comparison.analysis.judgement import ENOUGH_SEEDS, Answer, Judgement, Limit
from hpsearch.comparison.analysis.measured import measured_runs
from hpsearch.comparison.analysis.times import ENOUGH, ArmTimes, times
from hpsearch.storage import ArmRecord, ComparisonRecord

DIVISIONS = 5  # of the rows, from which other data are among what varied


# ---- what is lacking


def lacking(record: ComparisonRecord) -> Answer:
    """Return why SGD, a mini-batch and GD cannot be compared: one of them is missing, has too few runs, or did not reach the target."""
    arms = of_first(record, times(record))
    return _missing(record, list(arms)) or _few(arms.values()) or Answer(Judgement.THIN, "unreached")


def measured_lacking(record: ComparisonRecord) -> Answer:
    """Return why the steadiness of SGD and GD cannot be compared."""
    arms = of_first(record, record.arms)
    missing = _missing(record, [*arms, 2])
    if missing:
        return missing
    runs = {"measured_one": _measured_after(arms[1]), "measured_full": _measured_after(arms[record.rows])}
    return Answer(Judgement.THIN, "unmeasured", {**runs, "least_runs": ENOUGH})


def _measured_after(arm: ArmRecord) -> int:
    """Return how many runs were measured update by update after they had reached the target."""
    return sum("updates" in run.get("variability", {}) for run in measured_runs(arm))


def quality_lacking(record: ComparisonRecord) -> Answer:
    """Return why the networks of a mini-batch and of GD cannot be compared."""
    arms = of_first(record, record.arms)
    trained = {size: len(arm.best.runs) for size, arm in arms.items() if arm.best and arm.best.runs}
    missing = _missing(record, [1, *trained])
    if missing:
        return missing
    few = min((size for size in trained), key=lambda size: trained[size])
    if trained[few] < ENOUGH:
        return Answer(Judgement.THIN, "seeds", {"few_runs": trained[few], "few_size": (few,), "least_runs": ENOUGH})
    return Answer(Judgement.THIN, "unscored")


def _missing(record: ComparisonRecord, sizes: Sequence[int]) -> Answer | None:
    """Return which of SGD, mini-batches and the full batch has no runs on fresh seeds."""
    there = {
        "one": 1 in sizes,
        "mini": any(1 < size < record.rows for size in sizes),
        "full": bool(record.arms) and record.rows in sizes,
    }
    names = tuple(name for name, present in there.items() if not present)
    if names:
        return Answer(Judgement.THIN, "missing", {"missing": names})
    return None


def _few(arms: Iterable[ArmTimes]) -> Answer | None:
    few = min(arms, key=lambda arm: arm.runs)
    if few.runs >= ENOUGH:
        return None
    return Answer(Judgement.THIN, "seeds", {"few_runs": few.runs, "few_size": (few.batch_size,), "least_runs": ENOUGH})


# ---- what limits


def time_limits(record: ComparisonRecord, arms: Sequence[ArmTimes], weakened_by: Iterable[int]) -> list[Limit]:
    """Return what limits a verdict on times: few seeds, one division, and a winner at the edge whose better tuning would weaken it."""
    seeds = len(set.intersection(*(set(arm.seeds) for arm in arms)))
    return [*_seed_limits(seeds), *_division_limits(record), *edge_limits(record, weakened_by)]


def measured_limits(record: ComparisonRecord, before: Phase | None, after: Phase) -> list[Limit]:
    """Return what limits a verdict on steadiness: few measured runs, none before the target, one division, a winner at the edge."""
    limits = []
    runs = min(one.runs for one in (before, after) if one)
    if runs < ENOUGH_SEEDS:
        values = {"measured_runs": runs, "enough_seeds": ENOUGH_SEEDS}
        limits.append(Limit("few_measured", both=True, values=values))
    if before is None:
        limits.append(Limit("unmeasured_before", both=True))
    return [*limits, *_division_limits(record), *edge_limits(record, (1, record.rows))]


def quality_limits(record: ComparisonRecord, seeds: int) -> list[Limit]:
    """Return what limits a verdict on quality: few seeds, few divisions of the rows, a winner at the edge."""
    limits = _seed_limits(seeds)
    if record.divisions < DIVISIONS:
        values = {"divisions": record.divisions, "enough_divisions": DIVISIONS}
        limits.append(Limit("few_divisions", both=True, values=values))
    sizes = tuple(filter(None, (reference_size(record), record.rows)))
    return [*limits, *edge_limits(record, sizes, best=True)]


def edge_limits(record: ComparisonRecord, sizes: Iterable[int], best: bool = False) -> list[Limit]:
    """Return the limit of batch sizes whose winner lies at the edge of the learning rates that were tried."""
    edges = at_edge(record, sizes, best)
    return [Limit("edge", values={"edges": edges})] if edges else []


def _seed_limits(seeds: int) -> list[Limit]:
    if seeds >= ENOUGH_SEEDS:
        return []
    return [Limit("few_seeds", both=True, values={"common_seeds": seeds, "enough_seeds": ENOUGH_SEEDS})]


def _division_limits(record: ComparisonRecord) -> list[Limit]:
    if record.divisions == 1:
        return [Limit("one_division", Judgement.CONDITION)]
    return []
