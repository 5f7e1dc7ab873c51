"""The tuning luck of an optimizer's arms, as far as the second stage of their tuning shows it; see `hpsearch.statistics.luck`."""

from collections.abc import Iterable
from math import inf

from hpsearch.statistics.estimates import Variance
from hpsearch.statistics.luck import near_best_variance
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord


def settings_of(runs: Iterable[TrialRecord]) -> list[list[TrialRecord]]:
    """Return the ended runs of a second stage by setting, each of them on several seeds."""
    result: dict[tuple[tuple[str, object], ...], list[TrialRecord]] = {}
    for run in runs:
        if run.state == "complete":
            result.setdefault(tuple(sorted(run.params.items())), []).append(run)
    return list(result.values())


def steps_of(record: ComparisonRecord, runs: Iterable[TrialRecord]) -> list[float]:
    """Return the updates to the target of runs; infinite where one did not reach it, or has no usable network."""
    return [inf if run.failed else record.passed(run) for run in runs]


def second_stage_variance(record: ComparisonRecord, arms: Iterable[ArmRecord]) -> tuple[Variance, ...]:
    """Return the variance over settings that might be the best, of all arms together; none where no arm had a second stage."""
    found = []
    for arm in arms:
        variance = near_best_variance([steps_of(record, runs) for runs in settings_of(arm.refined)])
        if variance:
            found.append(variance)
    freedom = sum(one.freedom for one in found)
    if not freedom:
        return ()
    return (Variance(sum(one.value * one.freedom for one in found) / freedom, freedom),)
