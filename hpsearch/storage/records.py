"""What a study's storage says, as frozen values without Optuna: the only input of tables, figures and the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch.trial import History


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial as the storage has it.

    `state` is Optuna's, in lower case (complete, pruned, running, waiting, fail); `outcome` and `detail` are a `TrainingRun`'s (empty
    while it runs). `value` is the study's metric at the best evaluation; a failed trial has the metric's worst value. `parameters` counts
    the network's trainable numbers. `started` is seconds since the study's first trial; `seconds` is wall time; `rungs` is what
    was reported to the pruner (evaluation → metric). `repeats` is the number of the trial with the same hyperparameters whose
    result was taken over, if any.
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


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study as the storage has it: `settings` as its file says, `data` as the data room sums it up, `result` the confirmed best.

    `settings` has the tables study (name, question, seed), data, space, training, search. `result` is empty until the search ends.
    """

    name: str
    direction: str  # "maximize" or "minimize"
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    result: Mapping[str, Any]
    trials: tuple[TrialRecord, ...]
    as_of: str  # local time of the reading, YYYY-MM-DD HH:MM
