"""Which learning rates work at each batch size, from the tuning trials: classes, the stable range, and whether the search saw its ends.

A trial is one seed at one (learning rate, batch size); the classes and the range are those of `hpsearch.statistics.stability`.
"""

from dataclasses import dataclass
from math import inf, log2
from typing import Literal

from hpsearch.comparison.analysis.times import learning_rate, winner_of
from hpsearch.statistics.stability import Cell, StableRange, classified, edge, stable_range
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord
from hpsearch.trial import FAILED, Outcome

UNFIT = (Outcome.OUT_OF_MEMORY, Outcome.KILLED)  # whatever the learning rate was


@dataclass(frozen=True, slots=True)
class RateTrial:
    """One tuning trial: its updates to the target (infinite: never), its class, and the metric that it reached."""

    number: int
    learning_rate: float
    steps: float
    cell: Cell
    value: float | None


@dataclass(frozen=True, slots=True)
class ArmRates:
    """The learning rates of one arm, ascending. `tuned` is the fastest winner's, None where no trial reached the target.

    `edge` says on which side the best has no worse neighbour. `stable` runs up to the highest that does not diverge, `working` from the
    lowest to the highest that reached the target (below the first that diverged), with its width in octaves.
    """

    optimizer: str
    batch_size: int
    trials: tuple[RateTrial, ...]
    tuned: float | None
    edge: Literal["low", "high", "both"] | None
    stable: StableRange | None
    working: tuple[float, float, float] | None


def rates(record: ComparisonRecord) -> list[ArmRates]:
    """Return the arms that have a tuning trial that ended, in the record's order; none while there is no target."""
    found = [_rates(record, arm) for arm in record.arms] if record.target is not None else []
    return [arm for arm in found if arm is not None]


def _rates(record: ComparisonRecord, arm: ArmRecord) -> ArmRates | None:
    known = [(rate, trial) for trial in arm.trials if _over(trial) and (rate := learning_rate(arm, trial.params))]
    if not known:
        return None
    pairs = sorted(known, key=lambda pair: (pair[0], pair[1].number))
    given = [rate for rate, _ in pairs]
    lost = [float(failed(trial)) for _, trial in pairs]
    steps = [inf if failed(trial) else record.passed(trial) for _, trial in pairs]
    cells = classified(steps, lost)
    trials = tuple(
        RateTrial(trial.number, rate, step, cell, None if failed(trial) else trial.value)
        for (rate, trial), step, cell in zip(pairs, steps, cells, strict=True)
    )
    winner = winner_of(arm) if arm.fastest else None
    stable = stable_range(given, [step < inf for step in steps], lost)
    return ArmRates(
        arm.optimizer,
        arm.batch_size,
        trials,
        learning_rate(arm, winner.params) if winner else None,
        edge(given, steps),
        stable,
        _working(trials, stable),
    )


def _working(trials: tuple[RateTrial, ...], stable: StableRange | None) -> tuple[float, float, float] | None:
    if stable is None:
        return None
    reached = [t.learning_rate for t in trials if t.steps < inf and t.learning_rate <= stable.highest]
    return min(reached), max(reached), log2(max(reached) / min(reached))


def _over(trial: TrialRecord) -> bool:
    """Whether a trial says something of its learning rate; one that did not fit into memory, or killed its worker, does not."""
    return trial.state == "complete" and trial.outcome not in UNFIT


def failed(trial: TrialRecord) -> bool:
    """Whether a trial has no usable network: it diverged, did not fit into memory, or killed its worker."""
    return trial.outcome in FAILED
