"""What a study's storage says, as frozen values without Optuna: the only input of tables, figures and the report."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from statistics import stdev
from typing import Any

from hpsearch.trial import History, ranking_key


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial as the storage has it.

    `state` is Optuna's, in lower case (complete, pruned, running, waiting, fail); `outcome` and `detail` are a `TrainingRun`'s (empty
    while it runs). `value` is the study's metric at the best evaluation; a failed trial has the metric's worst value. `parameters` counts
    the network's trainable numbers. `started` is seconds since the study's first trial; `seconds` is wall time; `rungs` is what
    was reported to the pruner (evaluation → metric). `repeats` is the number of the trial with the same hyperparameters whose
    result was taken over, if any. `scores` has loss and metric of the best network on training and test rows, where they were taken.
    `folds` has each fold's metric at the best evaluation where the trial was cross-validated: `value` is their mean. `values` are those
    in each of the study's objectives, the first being `value`.
    """

    number: int
    state: str
    params: Mapping[str, Any]
    outcome: str = ""
    detail: str = ""
    value: float | None = None
    validation_loss: float | None = None
    best_evaluation: int = 0
    parameters: int | None = None
    started: float | None = None
    seconds: float | None = None
    history: History | None = None
    rungs: Mapping[int, float] | None = None
    repeats: int | None = None
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    folds: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    @property
    def standard_error(self) -> float | None:
        """The standard error of `value` over the folds, None without folds.

        A rough figure: folds share training rows, and no estimate from one cross-validation is unbiased (Bengio & Grandvalet 2004).
        """
        if len(self.folds) < 2:
            return None
        return stdev(self.folds) / math.sqrt(len(self.folds))

    def rank(self, direction: str) -> tuple[float, float, float]:
        """Return the key that sorts the best trial first, as the search ranks them."""
        return ranking_key(direction, self.value or 0.0, self.validation_loss, self.number)


@dataclass(frozen=True, slots=True, eq=False)
class StudyRecord:
    """A study as the storage has it: `settings` as its file says, `data` as the data room sums it up, `result` the confirmed best.

    It is equal to itself alone, so that what is derived from its trials can be kept by it.

    `settings` has the tables study (name, question, seed), data, space, training, search. `result` is empty until the search ends.
    `objectives` are the directions of several objectives by name, the first being the metric; none where that is the only one.
    """

    name: str
    direction: str  # "maximize" or "minimize"
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    result: Mapping[str, Any]
    trials: tuple[TrialRecord, ...]
    as_of: str  # local time of the reading, YYYY-MM-DD HH:MM
    objectives: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WinnerRecord:
    """A trial that won the tuning of its arm, trained again on fresh seeds.

    `runs` are those runs, their numbers the seeds'; `measured` has what was measured update by update (see `comparison.measuring`)
    of some of them, by number.
    """

    trial: int
    params: Mapping[str, Any]
    runs: tuple[TrialRecord, ...]
    measured: Mapping[int, Mapping[str, Any]]

    @property
    def learning_rate(self) -> float:
        """The learning rate that won."""
        return float(self.params["learning_rate"])


@dataclass(frozen=True, slots=True)
class ArmRecord:
    """One optimizer at one batch size (rows of an update): its tuning trials, and its winners.

    `fastest` reached the target in the fewest updates, `best` had the best metric of all; both may be one trial, and None until
    the tuning is done or where no trial reached the target, or was usable.
    """

    optimizer: str
    batch_size: int
    settings: Mapping[str, Any]
    trials: tuple[TrialRecord, ...]
    fastest: WinnerRecord | None
    best: WinnerRecord | None


@dataclass(frozen=True, slots=True)
class ComparisonRecord:
    """A comparison as the storage has it; `settings` and `data` as of a `StudyRecord`, with the table `compare`.

    `target` is the value that the metric has to pass, None until it is chosen; `target_given` says that it was chosen before any result.
    `shared` has, by optimizer, what was measured across arms; `textbook` the two-weight model; `minima` the escape tests; `made` the
    device, versions and network. All may be empty.
    """

    name: str
    direction: str  # "maximize" or "minimize"
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    target: float | None
    target_given: bool
    arms: tuple[ArmRecord, ...]
    shared: Mapping[str, Any]
    textbook: Mapping[str, Any]
    minima: Mapping[str, Any]
    as_of: str
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Training rows: the batch size of gradient descent."""
        return int(self.data["rows"]["training"])

    def passed(self, trial: TrialRecord) -> float:
        """Return the first update after which a run's metric is strictly better than the target, infinity if there is none."""
        if self.target is None or trial.history is None:
            return inf
        sign = 1 if self.direction == "maximize" else -1
        pairs = zip(trial.history.update, trial.history.metric, strict=True)
        return next((float(update) for update, metric in pairs if sign * (metric - self.target) > 0), inf)
