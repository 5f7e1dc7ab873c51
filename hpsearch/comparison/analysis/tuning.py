"""How much tuning each arm needs: the expected best of n trials against n, and the share of trials that reach the target.

Trial 0 is the known-good setting, put there by hand, so it is left out. The others come from a quasi-random sequence; their order is
taken as exchangeable, which understates the best of the first few a little, since such a sequence spreads them evenly.
"""

from dataclasses import dataclass
from math import inf, isfinite

from hpsearch.comparison.analysis.rates import failed
from hpsearch.statistics import Estimate
from hpsearch.statistics.tuning import BestCurve, expected_best_interval, share_reaching
from hpsearch.storage import ArmRecord, ComparisonRecord


@dataclass(frozen=True, slots=True, eq=False)
class ArmTuning:
    """One arm's tuning: the expected best validation metric of n = 1 ... `trials`, and the share of trials that reached the target."""

    optimizer: str
    batch_size: int
    trials: int
    best: BestCurve
    reaching: Estimate | None


def tuning(record: ComparisonRecord) -> list[ArmTuning]:
    """Return the arms with at least one trial that ended in a usable network, trial 0 aside, in the record's order.

    None where trials ended at the target: what they would have become is not known.
    """
    if record.settings.get("compare", {}).get("tune_until") == "target":
        return []
    found = [_tuning(record, arm) for arm in record.arms]
    return [arm for arm in found if arm is not None]


def _tuning(record: ComparisonRecord, arm: ArmRecord) -> ArmTuning | None:
    trials = [trial for trial in arm.trials if trial.number > 0 and trial.state == "complete"]
    values = [None if failed(t) or t.value is None or not isfinite(t.value) else t.value for t in trials]
    if all(value is None for value in values):
        return None
    reached = [not failed(trial) and record.passed(trial) < inf for trial in trials]
    return ArmTuning(
        arm.optimizer,
        arm.batch_size,
        len(trials),
        expected_best_interval(values, record.direction == "maximize"),
        share_reaching(reached) if record.target is not None else None,
    )
