"""The tuning trials of an arm: which learning rates work at each batch size, and how much tuning each arm needs.

A trial of the first stage is one seed at one (learning rate, batch size), a setting of the second has several; the classes are those of
`hpsearch.statistics.tuning`. A learning rate works where it needs at most twice the updates of the arm's own best: budgets, which differ
between arms, play no part in that.

For the expected best of n trials, trial 0 is left out: it is the known-good setting, put there by hand. The others come from a
quasi-random sequence; their order is taken as exchangeable, which understates the best of the first few a little, since such a
sequence spreads them evenly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, log2
from typing import Literal, cast

from hpsearch.comparison.analysis.luck import settings_of, steps_of
from hpsearch.comparison.analysis.remembered import remembered
from hpsearch.comparison.analysis.times import learning_rate
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import medians, numbers
from hpsearch.statistics.tuning import (
    LATE,
    BestCurve,
    RateClass,
    StableRange,
    classified,
    edge,
    expected_best_interval,
    share_reaching,
    stable_range,
)
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord, WinnerRecord
from hpsearch.trial import Outcome

Side = Literal["low", "high", "both"]

Setting = tuple[float, float, bool]  # learning rate, updates to the target, whether it diverged

NOISE = 2**0.35  # times the steps of a run may be another's on another seed
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
    """The lowest and the highest learning rate up to which, from the best on, every one surely needs at most `LATE` times its updates.

    `below` and `above` are the nearest rates tried beyond which none before the first that diverged can do so: the ends of the range
    lie between. None: there is none, so that this end is open.
    """

    lowest: float
    highest: float
    below: float | None
    above: float | None

    @property
    def octaves(self) -> Estimate:
        """The width in octaves: at least from the lowest to the highest, at most between those outside; infinite where an end is open."""
        least = log2(self.highest / self.lowest)
        low_gap = inf if self.below is None else log2(self.lowest / self.below)
        high_gap = inf if self.above is None else log2(self.above / self.highest)
        middle = least + sum(gap / 2 for gap in (low_gap, high_gap) if gap < inf)
        return Estimate(middle, least, least + low_gap + high_gap)


@dataclass(frozen=True, slots=True)
class ArmRates:
    """The learning rates of one arm, ascending. `tuned` is the fastest winner's, None where no trial reached the target.

    `edge` says on which side the fastest has no worse neighbour, `best_edge` the winner of the metric. `stable` runs up to the highest
    that does not diverge.
    """

    optimizer: str
    batch_size: int
    trials: tuple[RateTrial, ...]
    tuned: float | None
    edge: Side | None
    best_edge: Side | None
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


@remembered
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
    diverged = [float(trial.failed) for _, trial in pairs]
    steps = [inf if trial.failed else record.passed(trial) for _, trial in pairs]
    trials = []
    for (rate, trial), step, rate_class in zip(pairs, steps, classified(steps, diverged), strict=True):
        value = None if trial.failed else trial.value
        trials.append(RateTrial(trial.number, rate, step, rate_class, value))
    stable = stable_range(learning_rates, [step < inf for step in steps], diverged)
    tuned = None
    if arm.fastest:
        tuned = learning_rate(arm, arm.fastest.params)
    worst = -inf if record.direction == "maximize" else inf
    sign = -1 if record.direction == "maximize" else 1
    losses = [sign * (worst if trial.value is None else trial.value) for trial in trials]
    return ArmRates(
        optimizer=arm.optimizer,
        batch_size=arm.batch_size,
        trials=tuple(trials),
        tuned=tuned,
        edge=_edge_of(arm, arm.fastest, edge(learning_rates, steps)),
        best_edge=_edge_of(arm, arm.best, edge(learning_rates, losses)),
        stable=stable,
        working=_working_range(record, arm, trials),
    )


def _edge_of(arm: ArmRecord, winner: WinnerRecord | None, first_stage: Side | None) -> Side | None:
    """Return the edge that a winner lies at: that of the second stage where there was one."""
    if winner is not None and arm.refined:
        return cast("Side | None", winner.edge)
    return first_stage


def _working_range(record: ComparisonRecord, arm: ArmRecord, trials: Sequence[RateTrial]) -> WorkingRange | None:
    """Return the range around the best setting of both stages."""
    settings = sorted([*_comparable(arm, trials), *_second_stage(record, arm)])
    if not settings or min(steps for _, steps, _ in settings) == inf:
        return None
    best = min(range(len(settings)), key=lambda place: settings[place][1])
    most = LATE * settings[best][1]
    lowest, below = _end(settings[best::-1], most)
    highest, above = _end(settings[best:], most)
    return WorkingRange(lowest, highest, below, above)


def _comparable(arm: ArmRecord, trials: Sequence[RateTrial]) -> list[Setting]:
    """Return the trials of the first stage, none where they differ in other hyperparameters too and a second stage did not."""
    others = {tuple(sorted((k, v) for k, v in trial.params.items() if k != "learning_rate")) for trial in arm.trials}
    if len(others) > 1 and arm.refined:
        return []
    return [(trial.learning_rate, trial.steps, trial.rate_class is RateClass.DIVERGED) for trial in trials]


def _second_stage(record: ComparisonRecord, arm: ArmRecord) -> list[Setting]:
    """Return the settings of the second stage, each with the median of its seeds."""
    settings = []
    for runs in settings_of(arm.refined):
        rate = learning_rate(arm, runs[0].params)
        if rate:
            steps = float(medians(numbers(steps_of(record, runs))))
            settings.append((rate, steps, all(run.failed for run in runs)))
    return settings


def _end(settings: Sequence[Setting], most: float) -> tuple[float, float | None]:
    """Return, going away from the best, the last rate up to which all surely work, and the first beyond which none can.

    A rate whose steps lie within the noise of `most` may work or not.
    """
    inner = next((place for place, setting in enumerate(settings) if setting[1] * NOISE > most), len(settings)) - 1
    stop = next((place for place, setting in enumerate(settings) if setting[2]), len(settings))
    outer = max(place for place, setting in enumerate(settings[:stop]) if setting[1] <= most * NOISE)
    beyond = settings[outer + 1][0] if outer + 1 < len(settings) else None
    return settings[inner][0], beyond


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
        usable = not trial.failed and trial.value is not None and isfinite(trial.value)
        values.append(trial.value if usable else None)
    if all(value is None for value in values):
        return None
    reaching = None
    if record.target is not None:
        reaching = share_reaching([not trial.failed and record.passed(trial) < inf for trial in trials])
    best = expected_best_interval(values, record.direction == "maximize")
    return ArmTuning(arm.optimizer, arm.batch_size, len(trials), best, reaching)
