"""What a study's storage says, as frozen values without Optuna: the only input of tables, figures and the report."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from statistics import stdev
from typing import Any

from hpsearch.trial import FAILED as FAILED_OUTCOMES
from hpsearch.trial import History, is_better, ranking_key

AT_HAND = ("arrays", "pandas frame")  # sources of data that came from Python

# Outcomes that trials of other programs have besides: an error or no number, an infinite value, a broken constraint.
FAILED = "failed"
INFINITE = "infinite value"
INFEASIBLE = "infeasible"


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial as the storage has it.

    `state` is Optuna's, in lower case (complete, pruned, running, waiting, fail); `outcome` and `detail` are a `TrainingRun`'s (empty
    while it runs). `value` is the study's metric at the best evaluation; a failed trial has the metric's worst value. `parameters` counts
    the network's trainable numbers. `started` is seconds since the study's first trial; `seconds` is wall time; `rungs` is what
    was reported to the pruner (evaluation → metric). `repeats` is the number of the trial with the same hyperparameters whose
    result was taken over, if any. `scores` has loss and metric of the best network on training and "test" rows, and of the "last" network
    on test rows, where they were taken; `left_out` of both what the metric is without each block of the test rows.
    `folds` has each fold's metric at the best evaluation where the trial was cross-validated: `value` is their mean. `values` are those
    in each of the study's objectives, the first being `value`. `attributes` are the user attributes of a trial that hpsearch did not run.
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
    left_out: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    values: tuple[float, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def standard_error(self) -> float | None:
        """The standard error of `value` over the folds, None without folds.

        A rough figure: folds share training rows, and no estimate from one cross-validation is unbiased (Bengio & Grandvalet 2004).
        """
        if len(self.folds) < 2:
            return None
        return stdev(self.folds) / math.sqrt(len(self.folds))

    @property
    def failed(self) -> bool:
        """Whether the trial ended without a value that it reached itself."""
        return self.outcome in FAILED_OUTCOMES or self.outcome in (FAILED, INFINITE)

    @property
    def usable(self) -> bool:
        """Whether the trial may be called the best: ran to its end, not failed, within its constraints, with a value of its own."""
        ended = self.state == "complete" and not self.failed and self.outcome != INFEASIBLE
        return ended and self.value is not None and math.isfinite(self.value)

    def rank(self, direction: str) -> tuple[float, float, float]:
        """Return the key that sorts the best trial first, as the search ranks them."""
        return ranking_key(direction, self.value or 0.0, self.validation_loss, self.number)


Network = tuple[int, int | None]  # a trial, and the fresh seed of its run; None: its run in the search


@dataclass(frozen=True, slots=True)
class Score:
    """The selected model's metric on some rows with its 95 % interval, over `count` rows or runs; an end that is not known is None."""

    value: Any  # a number, None where the metric is not finite
    low: float | None
    high: float | None
    count: Any

    @classmethod
    def of(cls, table: Mapping[str, Any], count: str) -> "Score | None":
        """Return a stored table as a score, its number of rows or runs being under the key `count`; None if it is empty."""
        if not table:
            return None
        return cls(table.get("value"), table.get("low"), table.get("high"), table.get(count))


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What the result of a study says of the model that it selected, whichever version of hpsearch wrote it.

    `networks` are those of the model, the single network first; none without a result. `test` is its score on the test rows, `mean` its
    mean on the validation rows over seeds that nobody chose, None where they are not known. `over_rows` is the metric there of a run
    that did not train on them, with an interval over rows. `looks` counts how often the test rows were
    used. `tested` has all figures that they gave, by the networks that were scored.

    Since `choice` is stored, an ensemble is selected only where validation rows prefer it to the single network. An earlier version
    selected an ensemble wherever one was asked for, had its test figures in `ensemble` beside the single network's in `test`, and counted
    the two as one of its `scorings`.
    """

    networks: tuple[Network, ...] = ()
    test: Score | None = None
    mean: Score | None = None
    over_rows: Score | None = None
    looks: int = 0
    tested: Mapping[tuple[Network, ...], Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "StudyResult":
        """Return the result that a study's storage has as a table, empty until the search ends."""
        networks = _stored_networks(stored)
        single = stored.get("test") or {}
        together = (stored.get("ensemble") or {}).get("test")
        tested = {networks: together or single}
        if "choice" not in stored:
            tested = {networks[:1]: single, **tested}
        once = int(stored.get("scorings", bool(single))) + bool(together)
        return cls(
            networks=networks,
            test=Score.of(tested[networks], "rows"),
            mean=_stored_mean(stored, len(networks)),
            over_rows=Score.of(stored.get("held_out") or {}, "rows"),
            looks=int(stored.get("looks", once)),
            tested=tested,
        )

    @property
    def trials(self) -> list[int]:
        """The trial of each network, the single network's first."""
        return [trial for trial, _ in self.networks]

    @property
    def is_ensemble(self) -> bool:
        """Whether several networks predict together."""
        return len(self.networks) > 1


def _stored_networks(stored: Mapping[str, Any]) -> tuple[Network, ...]:
    if known := stored.get("networks"):
        return tuple((trial, seed) for trial, seed in known)
    if "trial" in stored:
        return ((stored["trial"], stored.get("seed")),)
    return ()


def _stored_mean(stored: Mapping[str, Any], networks: int) -> Score | None:
    if networks < 2:
        return Score.of(stored.get("fresh") or {}, "runs")
    choice = stored.get("choice")
    if not choice:
        return None
    return Score.of({**choice["ensemble"], "runs": choice["seeds"]}, "runs")


@dataclass(frozen=True, slots=True, eq=False)
class StudyRecord:
    """A study as the storage has it: `settings` as its file says, `data` as the data room sums it up, `result` the confirmed best.

    It is equal to itself alone, so that what is derived from its trials can be kept by it.

    `settings` has the tables study (name, question, seed), data, space, training, search. `result` is empty until the search ends.
    `selected` is what it says of the selected model. `objectives` are the directions of several objectives by name, the first being the
    metric; none where that is the only one. A `foreign` study is any other program's: nothing is known of its data and of what it
    trained, and `attributes` are its user attributes.
    """

    name: str
    direction: str  # "maximize" or "minimize"
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    result: Mapping[str, Any]
    trials: tuple[TrialRecord, ...]
    as_of: str  # local time of the reading, YYYY-MM-DD HH:MM
    objectives: Mapping[str, str] = field(default_factory=dict)
    foreign: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    selected: StudyResult = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "selected", StudyResult.of(self.result))

    @property
    def from_python(self) -> bool:
        """Whether the data were arrays or a frame of a Python program: neither a file nor a name leads to them."""
        table = self.settings.get("data")
        file = table.get("file") if isinstance(table, Mapping) else None
        return file is None and self.data.get("source") in AT_HAND

    @property
    def best_trial(self) -> int | None:
        """The number of the trial that was selected, or of the best one so far; None where none is usable."""
        selected = self.result.get("trial")
        if isinstance(selected, int):
            return selected
        usable = [trial for trial in self.trials if trial.usable]
        if not usable:
            return None
        return min(usable, key=lambda trial: trial.rank(self.direction)).number


@dataclass(frozen=True, slots=True)
class WinnerRecord:
    """A setting that won the tuning of its arm, trained again on fresh seeds.

    `trial` is the one of the first stage from which it comes, `params` are those that won, perhaps with a learning rate of the second
    stage. `edge` says on which side the second stage knows no worse learning rate ("low" or "high").
    `runs` are those runs, their numbers the seeds'; `measured` has what was measured update by update (see `comparison.measuring`)
    of some of them, by number.
    """

    trial: int
    params: Mapping[str, Any]
    runs: tuple[TrialRecord, ...]
    measured: Mapping[int, Mapping[str, Any]]
    edge: str | None = None

    @property
    def learning_rate(self) -> float:
        """The learning rate that won."""
        return float(self.params["learning_rate"])


@dataclass(frozen=True, slots=True)
class ArmRecord:
    """One optimizer at one batch size (rows of an update): its tuning trials, and its winners.

    `fastest` reached the target in the fewest updates, `best` had the best metric of all; both may be one trial, and None until
    the tuning is done or where no trial reached the target, or was usable. `refined` are the runs of the second stage of tuning, around the
    best of the first: several seeds each of settings with learning rates of their own; none where there was no second stage.
    """

    optimizer: str
    batch_size: int
    settings: Mapping[str, Any]
    trials: tuple[TrialRecord, ...]
    fastest: WinnerRecord | None
    best: WinnerRecord | None
    refined: tuple[TrialRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class ComparisonRecord:
    """A comparison as the storage has it; `settings` and `data` as of a `StudyRecord`, with the table `compare`.

    `target` is the value that the metric has to pass, None until it is chosen; `target_given` says that it was chosen before any result.
    `shared` has, by optimizer, what was measured across arms; `textbook` the two-weight model; `minima` the escape tests; `made` the
    device, versions and network; `plain` what updates take in the plain loop (see `comparison.timing`). All may be empty.
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
    plain: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Training rows: the batch size of gradient descent."""
        return int(self.data["rows"]["training"])

    @property
    def engines(self) -> tuple[str, ...]:
        """The names of the engines that train the winners (`training.ENGINES`); none where they are not recorded."""
        tables = self.plain.get("engines", {}).values()
        return tuple(sorted({name for table in tables for name in table.values()}))

    def plain_seconds_of(self, optimizer: str) -> Mapping[int, tuple[float, ...]]:
        """Return seconds of an optimizer's update in the plain loop by batch size, a value a repeat; empty where they were not timed."""
        table = self.plain.get("seconds", {}).get(optimizer, {})
        return {int(size): tuple(map(float, seconds)) for size, seconds in table.items()}

    @property
    def divisions(self) -> int:
        """How many divisions of the rows the winners' seeds run over: seed k is on division k % divisions, whatever the arm."""
        return int(self.data.get("divisions", 1))

    @property
    def own_rows(self) -> bool:
        """Whether the rows on which the winners' runs are judged are others than those on which tuning chose."""
        return bool(self.data.get("own_rows", False))

    def passed(self, trial: TrialRecord) -> float:
        """Return the first update after which a run's metric is strictly better than the target, infinity if there is none."""
        if self.target is None or trial.history is None:
            return inf
        maximize = self.direction == "maximize"
        pairs = zip(trial.history.update, trial.history.metric, strict=True)
        return next((float(update) for update, metric in pairs if is_better(metric, self.target, maximize)), inf)


@dataclass(frozen=True, slots=True)
class StoredStudy:
    """A study as a list of studies has it: its record, whether a process runs it now, and when its last trial ended.

    `ended` is seconds since 1970, None where no trial has ended.
    """

    record: StudyRecord | ComparisonRecord
    running: bool
    ended: float | None
