"""The search: the source that an engine pulls its trials from.

It proposes trials, takes the engine's results, stores them, reveals them to the sampler, and knows when to stop. One process proposes
and stores, and workers keep nothing. A trial that an earlier process finished is not trained again: its stored result is revealed when
its turn comes. One that was left unfinished is trained again under its own number. A trial with the hyperparameters of an earlier one
takes over that one's result, since it would be the same run.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from math import inf
from typing import Any

from hpsearch.errors import StorageError
from hpsearch.progress import SILENT, Observer, Pace, SearchStatus
from hpsearch.searching.early_end import EarlyEnd
from hpsearch.searching.objectives import Objectives
from hpsearch.searching.sampler_view import Proposal, SamplerView, TrialResult
from hpsearch.storage.writing import PreviousTrial, StudyWriter
from hpsearch.training.own import NO_GRADIENT
from hpsearch.trial import History, Outcome, TrainingRun, TrialSpec, at_worst, ranking_key

LOGGER = logging.getLogger(__name__)
WIDER = 3  # times the leaders asked for: among so many best trials unlike ones are looked for
COUNTED_OUTCOMES = {
    "pruned": Outcome.PRUNED,
    "diverged": Outcome.DIVERGED,
    "out_of_memory": Outcome.OUT_OF_MEMORY,
    "killed": Outcome.KILLED,
    "errors": Outcome.ERROR,
    "timed_out": Outcome.TIMED_OUT,
    "out_of_time": Outcome.OUT_OF_TIME,
}


@dataclass(slots=True)
class InFlight:
    """A proposed trial without a result; `repeats` are the trials with the same hyperparameters, which wait for its result."""

    spec: TrialSpec
    started: float
    rungs: dict[int, float] = field(default_factory=dict)  # evaluation → metric
    repeats: list[int] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Seconds since the trial began."""
        return time.monotonic() - self.started


@dataclass(frozen=True, slots=True)
class Completed:
    """A trial with its result: its run, the metric at each rung, its values in the objectives after the first."""

    run: TrainingRun
    rungs: Mapping[int, float]
    others: tuple[float, ...] = ()


class SlotUtilisation:
    """What waiting for the lag costs: slot-seconds without a trial because a result that its proposal needs is not there yet."""

    def __init__(self) -> None:
        self.time = time.monotonic()
        self.idle = 0
        self.slots = 0
        self.idle_seconds = 0.0
        self.total_seconds = 0.0

    def record(self, idle: int, slots: int) -> None:
        """Record how many of how many slots stand empty from now on."""
        now = time.monotonic()
        self.idle_seconds += self.idle * (now - self.time)
        self.total_seconds += self.slots * (now - self.time)
        self.time = now
        self.idle = idle
        self.slots = slots

    @property
    def idle_share(self) -> float:
        """Share of the slot-seconds that were idle, up to the last record."""
        if not self.total_seconds:
            return 0.0
        return self.idle_seconds / self.total_seconds


class Search:
    """A study in progress: the `TrialSource` of an engine."""

    def __init__(
        self,
        view: SamplerView,
        writer: StudyWriter,
        specify: Callable[[Mapping[str, Any], int], TrialSpec],
        *,
        objectives: Objectives,
        trials: int,
        timeout: float | None,
        early_end: EarlyEnd | None = None,
        observer: Observer = SILENT,
        further: float = 0.0,
    ) -> None:
        self.view = view
        self.writer = writer
        self.specify = specify
        self.objectives = objectives
        self.total = trials if view.limit is None else min(trials, view.limit)
        self.asked = self.total
        self.early_end = early_end
        self.observer = observer
        self.started = time.monotonic()
        self.deadline = self.started + (inf if timeout is None else timeout)  # after which nothing new begins
        self.stopping = False
        self.further = further  # trainings to their end that follow the search
        self.pace = Pace()
        self.utilisation = SlotUtilisation()
        self.best: TrainingRun | None = None
        self._previous = dict(enumerate(writer.previous_trials()))
        self._next = 0
        self._least = 0  # trials that count in any case
        self._in_flight: dict[int, InFlight] = {}
        self._completed: dict[int, Completed] = {}  # those that repeat an earlier trial aside
        self._first_with: dict[tuple[tuple[str, Any], ...], int] = {}  # parameters → the first trial that has them
        self._warned: set[str] = set()  # details that were logged
        self._counts = dict.fromkeys((*COUNTED_OUTCOMES, "done", "repeated", "trained"), 0)

    def include_previous_trials(self) -> None:
        """Let every trial that was finished before count, where fewer are asked for; call it before the first `take`."""
        finished = [number for number, trial in self._previous.items() if trial.finished]
        if finished:
            self._least = finished[-1] + 1
            self.total = max(self.total, self._least)
        for number in finished:
            self._end_early(previous_run(number, self._previous[number].run))

    @property
    def remaining(self) -> int:
        """Trials that no earlier process finished."""
        return self.total - sum(trial.finished for number, trial in self._previous.items() if number < self.total)

    @property
    def interrupted(self) -> list[int]:
        """The numbers of the trials that an earlier process began and did not finish."""
        return [number for number, trial in self._previous.items() if not trial.finished]

    @property
    def status(self) -> SearchStatus:
        """The state of the search."""
        best = self.best
        return SearchStatus(
            total=self.total,
            best=best.value if best else None,
            best_number=best.number if best else None,
            seconds=time.monotonic() - self.started,
            left=self._left,
            **self._counts,
        )

    @property
    def _left(self) -> float | None:
        """The seconds to the end of all that is trained, at most those to the deadline; None before there is evidence."""
        left = self.pace.left(self.total - self._counts["done"], self.further)
        if left is None:
            return None
        return min(left, max(0.0, self.deadline - time.monotonic()))

    @property
    def runs(self) -> Mapping[int, TrainingRun]:
        """The runs so far by number, without weights; of trials with equal hyperparameters the first."""
        return {number: trial.run for number, trial in self._completed.items()}

    @property
    def complete(self) -> bool:
        """Whether every trial has a result."""
        return self._counts["done"] >= self.total

    def leaders(self, count: int, *, unlike: bool = False) -> list["Leader"]:
        """Return the best runs, at most `count`, best first, without weights, each with its trial; no two have equal hyperparameters.

        With `unlike` they are the best of each kind among the `WIDER` times as many best, as far as there are kinds: networks that
        err alike gain nothing together.
        """
        among = WIDER * count if unlike else count
        best = nsmallest(among, filter(_usable, self.runs.values()), key=self._rank)
        pairs = [(run, self.spec_of(run.number)) for run in best]
        return unlike_first(pairs, count) if unlike else pairs

    def spec_of(self, number: int) -> TrialSpec:
        """Return a trial that was proposed before."""
        params = self.view.trials[number].params
        return self.specify(self.view.values_of(params), number)

    def take(self, room: int) -> list[TrialSpec]:
        """Return at most `room` trials to train (see `TrialSource`)."""
        specs: list[TrialSpec] = []
        while len(specs) < room and self._may_start():
            spec = self._start_next()
            if spec is not None:
                specs.append(spec)
        free = room - len(specs)
        waiting = self._next < self.total and not self.view.ready(self._next)
        self.utilisation.record(idle=free if waiting else 0, slots=free + len(self._in_flight))
        return specs

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Report a rung's metric and ask the pruner (see `TrialSource`)."""
        self._in_flight[number].rungs[evaluation] = metric
        return self.view.prune(number, evaluation, metric)

    def wants(self, run: TrainingRun) -> bool:
        """Want the weights of the best run so far, and all where further objectives are measured on the network (see `TrialSource`)."""
        return bool(self.objectives.others) or self._better(run)

    def finish(self, run: TrainingRun) -> None:
        """Take an engine's result and store it (see `TrialSource`)."""
        trial = self._in_flight.pop(run.number)
        seconds = trial.seconds
        self.pace.end(run.number, whole=_usable(run))
        completed = Completed(run, trial.rungs, self.objectives.other_values(run, trial.spec))
        self._counts["trained"] += 1
        self._store(completed, seconds)
        self._completed[run.number] = replace(completed, run=replace(run, weights=None))
        for number in trial.repeats:
            self._complete_repeat(number, run.number)
        self.observer.status(self.status)

    def _may_start(self) -> bool:
        """Whether another trial may start: the results that it depends on are known, and it may be trained, or was before."""
        if self._next >= self.total or not self.view.ready(self._next):
            return False
        previous = self._previous.get(self._next)
        if previous is not None and previous.finished:
            return True
        return time.monotonic() < self.deadline and not self.stopping

    def _start_next(self) -> TrialSpec | None:
        """Propose the next trial; return it where it has to be trained."""
        number = self._next
        self._next += 1
        previous = self._previous.get(number)
        proposal = self._propose(number, previous)
        first = self._first_with.setdefault(tuple(sorted(proposal.params.items())), number)
        if previous and previous.finished:
            self._recall(number, previous)
            return None
        spec = self.specify(proposal.values, number)
        if previous is None:
            self.writer.begin(number, proposal.params, proposal.distributions)
        self._in_flight[number] = InFlight(spec, time.monotonic())
        if first == number:
            self.pace.begin(number)
            return spec
        if first in self._completed:
            self._complete_repeat(number, first)
            self.observer.status(self.status)
        else:
            self._in_flight[first].repeats.append(number)
        return None

    def _propose(self, number: int, previous: PreviousTrial | None) -> Proposal:
        proposal = self.view.propose(number, previous.params if previous else None)
        if previous and dict(proposal.params) != dict(previous.params):
            raise StorageError(
                f"trial {number} cannot be proposed again as it is stored: the sampler now proposes {dict(proposal.params)}. "
                "Go on with the versions of optuna and cmaes that began the study, or start another (--name)."
            )
        return proposal

    def _recall(self, number: int, previous: PreviousTrial) -> None:
        """Take the stored result of a trial that an earlier process finished."""
        for evaluation, metric in sorted(previous.rungs.items()):
            self.view.prune(number, evaluation, metric)
        completed = Completed(previous_run(number, previous.run), previous.rungs, previous.values[1:])
        if previous.run.get("repeats") is None:
            self._completed[number] = completed
        else:
            self._counts["repeated"] += 1
        self._count(completed)

    def _complete_repeat(self, number: int, first: int) -> None:
        """Give a trial the result of the first one with its hyperparameters."""
        trial = self._in_flight.pop(number)
        completed = self._completed[first]
        for evaluation, metric in completed.rungs.items():
            self.view.prune(number, evaluation, metric)
        run = replace(completed.run, number=number, detail=f"same hyperparameters as trial {first}")
        self._counts["repeated"] += 1
        self._store(replace(completed, run=run), trial.seconds, repeats=first)

    def _store(self, completed: Completed, seconds: float, repeats: int | None = None) -> None:
        run = completed.run
        if run.detail.startswith(NO_GRADIENT) and run.detail not in self._warned:
            self._warned.add(run.detail)
            LOGGER.warning("trial %d: %s", run.number, run.detail)
        value = self._stored_value(run)
        self.writer.finish(run, value, completed.rungs, seconds, repeats, others=completed.others)
        self._count(completed)

    def _count(self, completed: Completed) -> None:
        """Tell the sampler, count the trial, remember the best."""
        run = completed.run
        self.view.tell(run.number, self._sampler_result(completed))
        self._end_early(run)
        self._counts["done"] += 1
        for name, outcome in COUNTED_OUTCOMES.items():
            self._counts[name] += run.outcome is outcome
        if self._better(run):
            self.best = run

    def _end_early(self, run: TrainingRun) -> None:
        """Ask for no more trials where the rule for an early end is met."""
        if self.early_end is None:
            return
        self.early_end.tell(run.number, run.value if _usable(run) else None)
        if self.early_end.limit is not None:
            self.total = min(self.total, max(self._least, self.early_end.limit))

    def _stored_value(self, run: TrainingRun) -> float:
        """Return the value for the storage: the best metric; of a pruned trial the last one; of a failed one the worst."""
        if run.value is None:
            return self.objectives.worst
        if run.outcome is Outcome.PRUNED:
            return run.history.metric[-1]
        return run.value

    def _sampler_result(self, completed: Completed) -> TrialResult:
        """Return the result for the sampler: no value worse than the worst, which would dwarf all other differences."""
        run = completed.run
        value = at_worst(self._stored_value(run), self.objectives.worst, self.view.direction)
        bounds = zip(completed.others, self.objectives.worst_others, self.view.others, strict=True)
        others = tuple(at_worst(other, least, direction) for other, least, direction in bounds)
        return TrialResult(value, others, pruned=run.outcome is Outcome.PRUNED, failed=run.outcome.failed)

    def _better(self, run: TrainingRun) -> bool:
        """Whether a run is the best so far."""
        return _usable(run) and (self.best is None or self._rank(run) < self._rank(self.best))

    def _rank(self, run: TrainingRun) -> tuple[float, float, float]:
        assert run.value is not None
        return ranking_key(self.view.direction, run.value, run.loss, run.number)


def _usable(run: TrainingRun) -> bool:
    """Whether a run may be the best: it has a value, and no pruner ended it."""
    return run.value is not None and run.outcome is not Outcome.PRUNED


Leader = tuple[TrainingRun, TrialSpec]


def unlike_first(ranked: Sequence[Leader], count: int) -> list[Leader]:
    """Return `count` leaders in their order: the best of each kind, then the best of the rest until there are so many.

    Networks are of one kind that have optimizer, activation, number of layers and encoding of numbers in common.
    """
    first: dict[Any, int] = {}
    for place, (_, spec) in enumerate(ranked):
        first.setdefault(_kind(spec), place)
    others = [place for place in range(len(ranked)) if place not in first.values()]
    chosen = sorted([*first.values(), *others][:count])
    return [ranked[place] for place in chosen]


def _kind(spec: TrialSpec) -> tuple[object, ...]:
    network = spec.architecture
    if network is None:
        return (spec.optimizer,)
    return spec.optimizer, network.activation, len(network.widths), bool(network.pieces)


def previous_run(number: int, stored: Mapping[str, Any]) -> TrainingRun:
    """Return the run of a trial as it is stored, without weights."""
    outcome = Outcome(stored["outcome"])
    columns = {name: tuple(column) for name, column in stored["history"].items()}
    return TrainingRun(
        number=number,
        outcome=outcome,
        history=History(**columns),
        best=stored["best"],
        value=None if outcome.failed else stored["value"],
        loss=stored["validation_loss"],
        detail=stored["detail"],
        parameters=stored["parameters"],
        folds=tuple(stored.get("folds", ())),
    )
