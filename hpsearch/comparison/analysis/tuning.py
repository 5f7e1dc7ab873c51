"""The tuning trials of an arm: which learning rates work at each batch size, and how much tuning each arm needs.

A trial is one seed at one (learning rate, batch size); the classes and the range are those of `hpsearch.statistics.tuning`.
For the expected best of n trials, trial 0 is left out: it is the known-good setting, put there by hand. The others come from a
quasi-random sequence; their order is taken as exchangeable, which understates the best of the first few a little, since such a
sequence spreads them evenly.
"""

from dataclasses import dataclass
from math import inf, isfinite, log2
from typing import Literal

from hpsearch.comparison.analysis.times import learning_rate
from hpsearch.statistics import Estimate
from hpsearch.statistics.tuning import (
    BestCurve,
    RateClass,
    StableRange,
    classified,
    edge,
    expected_best_interval,
    share_reaching,
    stable_range,
)
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord
from hpsearch.trial import FAILED, Outcome

UNFIT = (Outcome.OUT_OF_MEMORY, Outcome.KILLED)  # whatever the learning rate was


@dataclass(frozen=True, slots=True)
class RateTrial:
    """One tuning trial: its updates to the target (infinite: never), its class, and the metric that it reached."""

    number: int
    learning_rate: float
    steps: float
    rate_class: RateClass
    value: float | None


@dataclass(frozen=True, slots=True)
class WorkingRange:
    """The lowest and the highest learning rate that reached the target below the first that diverged, and its width in octaves."""

    lowest: float
    highest: float

    @property
    def octaves(self) -> float:
        """The width: log2 of the ratio of the ends."""
        return log2(self.highest / self.lowest)


@dataclass(frozen=True, slots=True)
class ArmRates:
    """The learning rates of one arm, ascending. `tuned` is the fastest winner's, None where no trial reached the target.

    `edge` says on which side the best has no worse neighbour. `stable` runs up to the highest that does not diverge.
    """

    optimizer: str
    batch_size: int
    trials: tuple[RateTrial, ...]
    tuned: float | None
    edge: Literal["low", "high", "both"] | None
    stable: StableRange | None
    working: WorkingRange | None


@dataclass(frozen=True, slots=True, eq=False)
class ArmTuning:
    """One arm's tuning: the expected best validation metric of n = 1 ... `trials`, and the share of trials that reached the target."""

    optimizer: str
    batch_size: int
    trials: int
    best: BestCurve
    reaching: Estimate | None


def failed(trial: TrialRecord) -> bool:
    """Whether a trial has no usable network: it diverged, did not fit into memory, or killed its worker."""
    return trial.outcome in FAILED


def rates(record: ComparisonRecord) -> list[ArmRates]:
    """Return the arms that have a tuning trial that ended, in the record's order; none while there is no target."""
    if record.target is None:
        return []
    return list(filter(None, (_rates(record, arm) for arm in record.arms)))


def _rates(record: ComparisonRecord, arm: ArmRecord) -> ArmRates | None:
    pairs = _trials_with_rates(arm)
    if not pairs:
        return None
    learning_rates = [rate for rate, _ in pairs]
    diverged = [float(failed(trial)) for _, trial in pairs]
    steps = [inf if failed(trial) else record.passed(trial) for _, trial in pairs]
    trials = []
    for (rate, trial), step, rate_class in zip(pairs, steps, classified(steps, diverged), strict=True):
        value = None if failed(trial) else trial.value
        trials.append(RateTrial(trial.number, rate, step, rate_class, value))
    stable = stable_range(learning_rates, [step < inf for step in steps], diverged)
    tuned = None
    if arm.fastest:
        tuned = learning_rate(arm, arm.fastest.params)
    working = None
    if stable:
        below = [trial.learning_rate for trial in trials if trial.steps < inf and trial.learning_rate <= stable.highest]
        working = WorkingRange(min(below), max(below))
    return ArmRates(
        optimizer=arm.optimizer,
        batch_size=arm.batch_size,
        trials=tuple(trials),
        tuned=tuned,
        edge=_edge(arm, learning_rates, steps),
        stable=stable,
        working=working,
    )


def _edge(arm: ArmRecord, learning_rates: list[float], steps: list[float]) -> Literal["low", "high", "both"] | None:
    """Return on which side the best learning rate has no worse neighbour, by the second stage of tuning where there was one."""
    if not arm.refined or arm.fastest is None:
        return edge(learning_rates, steps)
    sides: dict[str | None, Literal["low", "high"]] = {"low": "low", "high": "high"}
    return sides.get(arm.fastest.edge)


def _trials_with_rates(arm: ArmRecord) -> list[tuple[float, TrialRecord]]:
    """Return the trials whose outcome depends on their learning rate, by rate and number: none that did not fit into memory."""
    pairs = []
    for trial in arm.trials:
        rate = learning_rate(arm, trial.params)
        if rate and trial.state == "complete" and trial.outcome not in UNFIT:
            pairs.append((rate, trial))
    return sorted(pairs, key=lambda pair: (pair[0], pair[1].number))


def tuning(record: ComparisonRecord) -> list[ArmTuning]:
    """Return the arms with at least one trial that ended in a usable network, trial 0 aside, in the record's order.

    None where trials ended at the target: what they would have become is not known.
    """
    if record.settings.get("compare", {}).get("tune_until") == "target":
        return []
    return list(filter(None, (_tuning(record, arm) for arm in record.arms)))


def _tuning(record: ComparisonRecord, arm: ArmRecord) -> ArmTuning | None:
    trials = [trial for trial in arm.trials if trial.number > 0 and trial.state == "complete"]
    values = []
    for trial in trials:
        usable = not failed(trial) and trial.value is not None and isfinite(trial.value)
        values.append(trial.value if usable else None)
    if all(value is None for value in values):
        return None
    reaching = None
    if record.target is not None:
        reaching = share_reaching([not failed(trial) and record.passed(trial) < inf for trial in trials])
    best = expected_best_interval(values, record.direction == "maximize")
    return ArmTuning(arm.optimizer, arm.batch_size, len(trials), best, reaching)
