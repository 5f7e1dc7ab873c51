"""Which batch sizes reach the target at the least cost, as far as the seeds can tell them apart."""

from collections.abc import Sequence
from math import isfinite

from hpsearch.comparison.analysis.contrasts import cost_ratio
from hpsearch.comparison.analysis.times import ArmTimes
from hpsearch.storage import ComparisonRecord


def least_costly(record: ComparisonRecord, arms: Sequence[ArmTimes], unit: str) -> list[ArmTimes]:
    """Return the arm of the least median cost in a unit, then those that the interval of the ratio to it cannot tell from it.

    Arms without the unit, or whose median run never reached the target, are left out; none may remain.
    """
    reaching = [arm for arm in arms if unit in arm.costs and isfinite(arm.costs[unit].median.value)]
    ordered = sorted(reaching, key=lambda arm: arm.costs[unit].median.value)
    return ordered[:1] + [arm for arm in ordered[1:] if _is_alike(record, arm, ordered[0], unit)]


def _is_alike(record: ComparisonRecord, arm: ArmTimes, least: ArmTimes, unit: str) -> bool:
    ratio = cost_ratio(record, arm, least, unit)
    return ratio is None or ratio.low <= 1
