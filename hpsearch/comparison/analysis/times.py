"""How soon each batch size reaches the target, in updates, epochs and seconds, and its learning curve: the winner's runs on fresh seeds.

After Shallue et al. (JMLR 20(112), 2019) and McCandlish et al. (arXiv:1812.06162): the same runs counted in three units. A run that never
reached the target is infinite in all of them. Seconds are a run's updates times its own median seconds of one update, so that
evaluations and the warm-up cost nothing, and an interval over seeds holds what the machine's noise does to both. Beside them stand the
seconds that the same updates take in the plain loop of torch (`comparison.timing`): what holds in one engine only is no law.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle
from math import inf, isfinite, log2
from statistics import median
from typing import TypeVar

import numpy as np

from hpsearch.comparison.analysis.luck import second_stage_variance
from hpsearch.comparison.analysis.remembered import remembered
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import Variance, median_estimate
from hpsearch.statistics.learning_curves import resolution, step_seconds
from hpsearch.statistics.luck import tuning_luck
from hpsearch.statistics.scaling import Hyperbola, fit_hyperbola, scatter_luck
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord, WinnerRecord
from hpsearch.trial import History

# Cached: figures, readings and verdicts of one report all ask for them.
_median_estimate = lru_cache(maxsize=1024)(median_estimate)
_fit_hyperbola = lru_cache(maxsize=64)(fit_hyperbola)
_scatter_luck = lru_cache(maxsize=64)(scatter_luck)

UNITS = ("steps", "epochs", "seconds")
PRODUCT = "product"  # a unit beside them: updates times epochs
PLAIN = "plain_seconds"  # a unit beside them: seconds in the plain loop
ENOUGH = 3  # seeds, below which nothing is concluded
T = TypeVar("T")
REFERENCE = 32  # rows; the batch size that is nearest to it stands for mini-batches where no critical one is known

# Batch size -> S(1) / S(B), updates to a validation error of 3 % on MNIST; 784-1024-1024-1024-10, plain SGD, learning rate tuned at each
# batch size. Shallue et al. (JMLR 20(112), 2019), figure 3, top left, digitised: within about 4 %.
SHALLUE_MNIST: Mapping[int, float] = {
    1: 1.0,
    16: 13.5,
    64: 47.0,
    128: 84.0,
    256: 134.0,
    512: 168.0,
    1024: 195.0,
    4096: 226.0,
    16384: 244.0,
    55000: 246.0,
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What reaching the target cost in one unit: of each seed (infinite: never), their median, and the whole budget."""

    values: tuple[float, ...]
    median: Estimate
    cap: float


@dataclass(frozen=True, slots=True)
class ArmTimes:
    """How soon one arm reached the target. `costs` are by unit (`UNITS`, `PRODUCT`, `PLAIN`), without seconds where none were timed.

    `seeds` number the runs that ended, `resolution` is the coarsest gap before a reaching evaluation as a share of its updates.
    `update_seconds` are those of one update, by unit ("seconds", `PLAIN`): the median over seeds, or over repeats in the plain loop.
    """

    optimizer: str
    batch_size: int
    learning_rate: float | None
    seeds: tuple[int, ...]
    reached: int
    costs: Mapping[str, Cost]
    resolution: float | None
    update_seconds: Mapping[str, Estimate]

    @property
    def runs(self) -> int:
        """Runs that ended."""
        return len(self.seeds)

    def by_seed(self, unit: str) -> dict[int, float]:
        """Return the cost of each seed in a unit."""
        return dict(zip(self.seeds, self.costs[unit].values, strict=True))


def seed_pairs(record: ComparisonRecord, a: Mapping[int, T], b: Mapping[int, T]) -> tuple[list[T], list[T], list[int]]:
    """Return the values of two arms by seed as pairs: of the seeds that both have, in their order, and each seed's division of the rows.

    Two runs of one seed share initial weights and rows. Seeds of one division are not independent.
    """
    common = sorted(a.keys() & b.keys())
    return [a[seed] for seed in common], [b[seed] for seed in common], [seed % record.divisions for seed in common]


def optimizers(record: ComparisonRecord) -> list[str]:
    """Return the optimizers that were compared, plain SGD first."""
    return sorted(dict.fromkeys(arm.optimizer for arm in record.arms), key=lambda name: name != "sgd")


def winner_of(arm: ArmRecord) -> WinnerRecord | None:
    """Return the winner whose runs are timed: the fastest, or the best where no tuning trial reached the target."""
    return arm.fastest or arm.best


def ended(runs: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the runs that ended and left a history, in the order of their seeds."""
    return sorted((run for run in runs if run.state == "complete" and run.history), key=lambda run: run.number)


def histories(runs: Iterable[TrialRecord]) -> list[History]:
    """Return the histories of the runs that left one."""
    return [run.history for run in runs if run.history]


def learning_rate(arm: ArmRecord, params: Mapping[str, object]) -> float | None:
    """Return a trial's learning rate, the arm's fixed one where it was not searched, None where neither is a number."""
    value = params.get("learning_rate", arm.settings.get("space", {}).get("learning_rate"))
    return float(value) if isinstance(value, int | float) else None


@remembered
def times(record: ComparisonRecord) -> list[ArmTimes]:
    """Return the arms whose winner was trained again, in the record's order; none while there is no target."""
    return list(filter(None, (_times(record, arm) for arm in record.arms)))


def _times(record: ComparisonRecord, arm: ArmRecord) -> ArmTimes | None:
    winner = winner_of(arm)
    if winner is None or record.target is None:
        return None
    runs = ended(winner.runs)
    cap = max((history.update[-1] for history in histories([*arm.trials, *runs])), default=0)
    if not runs or not cap:
        return None
    steps = [record.passed(run) for run in runs]
    timed = _timed(record, arm, runs)
    reaching = [(history, step) for history, step in zip(histories(runs), steps, strict=True) if step < inf]
    gaps = [resolution(history.update, step) for history, step in reaching]
    return ArmTimes(
        optimizer=arm.optimizer,
        batch_size=arm.batch_size,
        learning_rate=learning_rate(arm, winner.params),
        seeds=tuple(run.number for run in runs),
        reached=len(gaps),
        costs=_costs(steps, cap, arm.batch_size / record.rows, timed),
        resolution=max(gaps, default=None),
        update_seconds={unit: _median_estimate(tuple(values)) for unit, values in timed.items()},
    )


def _timed(record: ComparisonRecord, arm: ArmRecord, runs: Sequence[TrialRecord]) -> dict[str, tuple[float, ...]]:
    """Return the seconds of an update by unit: of each run, and of each repeat in the plain loop; without what was not timed."""
    seconds = {
        "seconds": tuple(step_seconds(history.update, history.seconds) for history in histories(runs)),
        PLAIN: record.plain_seconds_of(arm.optimizer).get(arm.batch_size, ()),
    }
    return {unit: values for unit, values in seconds.items() if values and min(values) > 0}


def _costs(steps: Sequence[float], cap: int, share: float, timed: Mapping[str, Sequence[float]]) -> dict[str, Cost]:
    """Return the costs of runs that needed so many steps by unit; a step is this share of an epoch.

    In seconds a run has the time of an update of its own; in the plain loop it has one of the repeats, in turn.
    """
    costs = {
        "steps": _cost(steps, cap),
        "epochs": _cost([step * share for step in steps], cap * share),
        PRODUCT: _cost([step * step * share for step in steps], cap * cap * share),
    }
    for unit, each in timed.items():
        costs[unit] = _cost([step * one for step, one in zip(steps, cycle(each), strict=False)], cap * median(each))
    return costs


def _cost(values: Sequence[float], cap: float) -> Cost:
    return Cost(tuple(values), _median_estimate(tuple(values)), cap)


def seconds_per_update(runs: Sequence[TrialRecord]) -> float | None:
    """Return the median over runs of the seconds of one update, None where nothing was timed."""
    known = [step_seconds(history.update, history.seconds) for history in histories(runs)]
    return median(known) if known else None


def scaling(record: ComparisonRecord, optimizer: str) -> Hyperbola | None:
    """Return the fit of updates against batch size over the seeds that all of the optimizer's arms have, or None where it needs more.

    It needs three batch sizes whose median run reached the target, and a seed in common. McCandlish et al. 2018, eq 2.11.
    """
    sizes, rows = _steps_in_common(record, optimizer)
    if not rows:
        return None
    return _fit_hyperbola(sizes, rows, _second_stage(record, optimizer))


def tuning_luck_of(record: ComparisonRecord, optimizer: str) -> float:
    """Return the tuning luck of an optimizer's arms in octaves, as `scaling` takes it into account."""
    sizes, rows = _steps_in_common(record, optimizer)
    variances = _second_stage(record, optimizer)
    if rows:
        return _scatter_luck(sizes, rows, variances)
    return tuning_luck(*variances)


def _second_stage(record: ComparisonRecord, optimizer: str) -> tuple[Variance, ...]:
    return second_stage_variance(record, (arm for arm in record.arms if arm.optimizer == optimizer))


def _steps_in_common(record: ComparisonRecord, optimizer: str) -> tuple[tuple[int, ...], tuple[tuple[float, ...], ...]]:
    """Return the batch sizes of an optimizer and their updates to the target, of the seeds that all of them have; none without one."""
    arms = [arm for arm in times(record) if arm.optimizer == optimizer]
    if not arms:
        return (), ()
    common = sorted(set.intersection(*(set(arm.seeds) for arm in arms)))
    if not common:
        return (), ()
    rows = []
    for arm in arms:
        steps = arm.by_seed("steps")
        rows.append(tuple(steps[seed] for seed in common))
    return tuple(arm.batch_size for arm in arms), tuple(rows)


def regimes(record: ComparisonRecord, optimizer: str) -> tuple[int, int, int] | None:
    """Return the smallest batch size, the one that stands for mini-batches (`mini_batch`), and the largest; None without three."""
    sizes = sorted(arm.batch_size for arm in times(record) if arm.optimizer == optimizer)
    middle = mini_batch(record, optimizer)
    return None if middle is None else (sizes[0], middle, sizes[-1])


def mini_batch(record: ComparisonRecord, optimizer: str) -> int | None:
    """Return the batch size that stands for mini-batches wherever three are told apart: in verdicts, tables and figures.

    Of those between the smallest and the largest whose median run reached the target (of all of them, where none did) it is the nearest to
    the critical batch size, at which updates and examples are both twice their least (McCandlish et al. 2018); where that is not known,
    to `REFERENCE`. It follows from all batch sizes together, and from no machine: the quickest would be quickest by luck too. None where
    fewer than three were timed.
    """
    arms = sorted((arm for arm in times(record) if arm.optimizer == optimizer), key=lambda arm: arm.batch_size)
    between = arms[1:-1]
    if not between:
        return None
    fit = scaling(record, optimizer)
    critical = fit.critical_batch_size.value if fit else 0.0
    aim = critical if 0 < critical < inf else REFERENCE
    reaching = [arm for arm in between if isfinite(arm.costs["steps"].median.value)]
    return nearest_size((arm.batch_size for arm in reaching or between), aim)


def nearest_size(sizes: Iterable[int], aim: float = REFERENCE) -> int:
    """Return the batch size that is the fewest octaves away from an aim; of two as near the first."""
    return min(sizes, key=lambda size: abs(log2(size / aim)))


def shallue_steps(batch_size: int, steps: float) -> dict[int, float]:
    """Return Shallue's curve scaled so that it passes through so many steps at a batch size (between theirs, straight in logarithms)."""
    sizes = [log2(size) for size in SHALLUE_MNIST]
    speeds = [log2(speed) for speed in SHALLUE_MNIST.values()]
    here = float(np.interp(log2(batch_size), sizes, speeds))
    return {size: steps * float(2.0**here) / speed for size, speed in SHALLUE_MNIST.items()}


# ---- learning curves


@dataclass(frozen=True, slots=True)
class Curve:
    """One arm's curve, a value at each evaluation; `low` to `high` holds the middle half of the seeds.

    A run that ended sooner keeps its last value; one that diverged has the worst metric, or an infinite loss, from there on.
    """

    optimizer: str
    batch_size: int
    runs: int
    updates: tuple[int, ...]
    epochs: tuple[float, ...]
    seconds: tuple[float, ...]
    median: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def axis(self, unit: str) -> tuple[float, ...]:
        """Return the evaluations in a unit: "updates", "epochs" or "seconds"."""
        values: tuple[float, ...] = getattr(self, unit)
        return values


def curve(record: ComparisonRecord, arm: ArmRecord, column: str = "metric") -> Curve | None:
    """Return the curve of one of `COLUMNS` of a history, None where the arm has no run that ended."""
    winner = winner_of(arm)
    runs = ended(winner.runs) if winner else []
    if not runs:
        return None
    updates = max((history.update for history in histories(runs)), key=len)
    failed = worst_metric(record) if column == "metric" else inf
    values = np.array([_extended(run, column, len(updates), failed) for run in runs])  # [N, E]
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0, method="inverted_cdf").tolist()
    seconds = seconds_per_update(runs) or 0.0
    return Curve(
        optimizer=arm.optimizer,
        batch_size=arm.batch_size,
        runs=len(runs),
        updates=updates,
        epochs=tuple(update * arm.batch_size / record.rows for update in updates),
        seconds=tuple(update * seconds for update in updates),
        median=tuple(middle),
        low=tuple(low),
        high=tuple(high),
    )


def worst_metric(record: ComparisonRecord) -> float:
    """Return the metric's worst value, which a run that diverged has."""
    given = record.data.get("worst")
    if given is not None:
        return float(given)
    return -inf if record.direction == "maximize" else inf


def _extended(run: TrialRecord, column: str, length: int, failed: float) -> list[float]:
    """Return a run's values at `length` evaluations."""
    values: list[float] = list(getattr(run.history, column))[:length]
    values = [value if isfinite(value) else failed for value in values]
    last = failed if run.outcome == "diverged" else values[-1]
    return values + [last] * (length - len(values))
