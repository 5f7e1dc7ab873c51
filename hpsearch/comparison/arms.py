"""Arms: an optimizer at a batch size, with the study that tunes it, and which of its trials won.

All arms have the same space, budget and number of trials. Of these one wins for reaching the target in the fewest updates, one for the
best quality.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from math import inf, nextafter
from typing import Any

from optuna.distributions import IntDistribution

from hpsearch.config import StudyConfig, check_config
from hpsearch.space.reading import narrowed
from hpsearch.statistics.learning_curves import first_reached
from hpsearch.trial import Direction, History, TrainingRun, TrialSpec, ranking_key

BATCH_SIZES = (1, 8, 64, 512, "full")
LAG = 2  # of searches whose trials end by what the trials before them needed: trial k knows the results of trials 0 … k - LAG
LATE = 2.0  # times the updates of the best trial before it, after which a trial cannot be the fastest
SEEDS = IntDistribution(0, 1_000_000)
PATIENT_LAG = 100_000  # of searches that learn nothing from their results, so that all trials may be in flight


@dataclass(frozen=True, slots=True)
class Arm:
    """An optimizer at a batch size (rows of an update); `config` is the study of its tuning."""

    optimizer: str
    batch_size: int
    config: StudyConfig

    @property
    def name(self) -> str:
        """The name of the arm's study in the storage."""
        return self.config.study.name

    def with_updates(self, updates: int) -> "Arm":
        """Return the arm with a budget of so many updates."""
        training = self.config.training.model_copy(update={"updates": updates})
        return replace(self, config=self.config.model_copy(update={"training": training}))


def make_arms(config: StudyConfig, rows: int) -> list[Arm]:
    """Return the arms of a comparison on so many training rows: optimizers in the space's order, batch sizes ascending.

    Raises:
        UserError: an arm's space cannot be.
    """
    optimizers = map(str, config.space.domain("optimizer").points())
    sizes = sorted(set(_sizes(config, rows)))
    return [Arm(optimizer, size, arm_config(config, optimizer, size)) for optimizer, size in product(optimizers, sizes)]


def arm_config(config: StudyConfig, optimizer: str, size: int | str) -> StudyConfig:
    """Return the study that tunes an optimizer at a batch size.

    Raises:
        UserError: its space cannot be.
    """
    compare = config.compare
    assert compare is not None, "a comparison has a table [compare]"
    plain = {**config.space.plain(), **compare.space.get(optimizer, {}), "optimizer": optimizer}
    space, _ = narrowed(plain)
    settings: Mapping[str, Any] = config.settings()
    lag = LAG if compare.tune_until == "target" else PATIENT_LAG
    search = {"sampler": config.tuner, "lag": lag, "metric": config.search.metric}
    raw = {
        "study": {**settings["study"], "name": f"{config.study.name}/{optimizer}/{size}"},
        "data": settings["data"],
        "space": {**space, "batch_size": size},
        "training": settings["training"],
        "search": search,
        "compare": {**settings["compare"], "batch_sizes": None, "space": {}},
    }
    return check_config(raw, f"compare.space.{optimizer}")


def _sizes(config: StudyConfig, rows: int) -> list[int]:
    """Return the batch sizes; one above the rows is the full batch."""
    assert config.compare is not None, "a comparison has a table [compare]"
    listed = config.space.domains.get("batch_size")
    sizes = config.compare.batch_sizes or (listed.points() if listed else BATCH_SIZES)
    return [rows if size == "full" else min(int(size), rows) for size in sizes]


def cut(spec: TrialSpec, most: float) -> TrialSpec:
    """Return a trial that ends at the last evaluation up to `most` updates; its schedule runs over the whole budget still."""
    evaluations = tuple(update for update in spec.evaluate_at if update <= most)
    return replace(spec, evaluate_at=evaluations or spec.evaluate_at[:1], planned=spec.planned or spec.updates)


# ---- winners


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """The winners of an arm, by trial number: the `fastest` to the target and the `best` of the metric; None where there is none.

    `rates` are the learning rates of those winners that the second stage found, `edges` the side on which it knows no worse one.
    """

    fastest: int | None
    best: int | None
    rates: Mapping[str, float] = field(default_factory=dict)
    edges: Mapping[str, str] = field(default_factory=dict)

    def winners(self) -> dict[tuple[int, float | None], bool]:
        """Return the settings to train again, ascending, and whether each is the fastest: a trial, and its learning rate if another one."""
        found: dict[tuple[int, float | None], bool] = {}
        for won, number in (("fastest", self.fastest), ("best", self.best)):
            if number is not None:
                found.setdefault((number, self.rates.get(won)), won == "fastest")
        return dict(sorted(found.items(), key=lambda item: (item[0][0], item[0][1] or 0.0)))


def reached(history: History, target: float, direction: Direction) -> float:
    """Return the first update after which the metric is strictly better than the target, infinity if there is none."""
    return first_reached(history.update, history.metric, target, direction == "maximize")


def fastest(runs: Mapping[int, TrainingRun], target: float, direction: Direction) -> int | None:
    """Return the trial that reached the target first; of equals the one with the lowest validation loss. None reached it: None."""
    ranks = {}
    for number, run in runs.items():
        updates = reached(run.history, target, direction)
        if updates < inf:
            loss = inf if run.loss is None else run.loss
            ranks[number] = (updates, loss, number)
    return min(ranks, key=ranks.__getitem__, default=None)


def best(runs: Mapping[int, TrainingRun], direction: Direction) -> int | None:
    """Return the trial of the best metric; of equals the one with the lowest validation loss. None is usable: None."""
    ranks = {}
    for number, run in runs.items():
        if run.value is not None:
            ranks[number] = ranking_key(direction, run.value, run.loss, number)
    return min(ranks, key=ranks.__getitem__, default=None)


def common_target(arms: Iterable[Mapping[int, TrainingRun]], direction: Direction) -> float | None:
    """Return a target that the best trial of every arm with a usable one passes: just below what the worst of them reached.

    It is the next worse value of that trial's own history, so that the target is passed strictly.
    """
    values: list[tuple[float, History]] = []  # of the best trial of each arm
    for runs in arms:
        number = best(runs, direction)
        value = None if number is None else runs[number].value
        if number is not None and value is not None:
            values.append((value, runs[number].history))
    if not values:
        return None
    if direction == "maximize":
        value, history = min(values, key=lambda pair: pair[0])
        return max((metric for metric in history.metric if metric < value), default=nextafter(value, -inf))
    value, history = max(values, key=lambda pair: pair[0])
    return min((metric for metric in history.metric if metric > value), default=nextafter(value, inf))
