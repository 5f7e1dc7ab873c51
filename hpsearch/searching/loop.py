"""The loop: the source that an engine pulls from. It proposes, hands out, takes answers, tells the storage, and knows when to stop.

One process proposes and tells (contract: one writer, pure workers). Trials that an earlier run finished are walked through with their
stored answers; one that it left running is trained again under its own number; one that repeats earlier hyperparameters takes over
that trial's result, since it would be the same run.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import Any

from optuna.trial import FixedTrial

from hpsearch.errors import StorageError
from hpsearch.progress import SILENT, Observer, SearchStatus
from hpsearch.searching.sampler_view import SamplerView, TrialResult
from hpsearch.searching.secondary_objectives import SecondaryObjectives
from hpsearch.searching.utilisation import SlotUtilisation
from hpsearch.storage.writing import PreviousTrial, StudyWriter
from hpsearch.trial import Direction, History, Outcome, TrainingRun, TrialSpec, ranking_key

COUNTED = {
    "pruned": Outcome.PRUNED,
    "diverged": Outcome.DIVERGED,
    "out_of_memory": Outcome.OUT_OF_MEMORY,
    "killed": Outcome.KILLED,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a trial that has ended: its run, its rungs (evaluation → metric), its values in objectives after the first."""

    run: TrainingRun
    rungs: Mapping[int, float]
    others: tuple[float, ...] = ()


class Search:
    """A study in progress: the `TrialSource` of an engine."""

    def __init__(
        self,
        view: SamplerView,
        writer: StudyWriter,
        specify: Callable[[Mapping[str, Any], int], TrialSpec],
        *,
        trials: int,
        timeout: float | None,
        worst: float,
        observer: Observer = SILENT,
        judge: SecondaryObjectives | None = None,
    ) -> None:
        self.view, self.writer, self.specify, self.worst, self.observer = view, writer, specify, worst, observer
        self.judge = judge
        self.total = min(trials, view.limit) if view.limit is not None else trials
        self.timeout, self.started = timeout, time.monotonic()
        self.stopping = False
        self.idle = SlotUtilisation()
        self.best: TrainingRun | None = None
        self.best_spec: TrialSpec | None = None
        self._stored: list[PreviousTrial] = writer.previous_trials()
        self.left = self.total - sum(
            trial.finished for trial in self._stored[: self.total]
        )  # trials to be told in this run
        self.retrained = [n for n, trial in enumerate(self._stored) if not trial.finished]
        self._next = 0
        self._specs: dict[int, TrialSpec] = {}
        self._begun: dict[int, float] = {}
        self._rungs: dict[int, dict[int, float]] = {}
        self._first: dict[tuple[tuple[str, Any], ...], int] = {}  # parameters → the first trial that has them
        self._answers: dict[int, Answer] = {}  # of each first trial
        self._waiting: dict[int, list[int]] = {}  # first trial → trials that repeat it while it trains
        self._counts = dict.fromkeys((*COUNTED, "done", "repeated", "trained"), 0)

    def keep_told(self) -> None:
        """Let every trial that was told before count, where fewer are asked for; before the first `take`."""
        told = max((number for number, trial in enumerate(self._stored, 1) if trial.finished), default=0)
        self.total = max(self.total, told)
        self.left = self.total - sum(trial.finished for trial in self._stored[: self.total])

    @property
    def status(self) -> SearchStatus:
        """The state of the search."""
        best = self.best
        return SearchStatus(
            total=self.total,
            best=best.value if best else None,
            best_number=best.number if best else None,
            seconds=time.monotonic() - self.started,
            **self._counts,
        )

    @property
    def answers(self) -> Mapping[int, TrainingRun]:
        """The runs told so far by number, weights aside; of trials with equal hyperparameters the first."""
        return {number: answer.run for number, answer in self._answers.items()}

    def leaders(self, most: int) -> list[tuple[TrainingRun, TrialSpec]]:
        """Return at most so many of the best runs, best first and weights aside, with their trials; no two have equal hyperparameters."""
        found = nsmallest(most, filter(_usable, self.answers.values()), key=self._rank)
        params = ((run, self.view.trials[run.number].params) for run in found)
        return [(run, self.specify(self.view.space.suggest(FixedTrial(given)), run.number)) for run, given in params]

    @property
    def complete(self) -> bool:
        """Whether every trial is told."""
        return self._counts["done"] >= self.total

    def take(self, room: int) -> list[TrialSpec]:
        """Return at most `room` trials to train (see `TrialSource`)."""
        specs: list[TrialSpec] = []
        while len(specs) < room and self._open():
            if (spec := self._advance()) is not None:
                specs.append(spec)
        waits = self._next < self.total and not self.view.ready(self._next)
        self.idle.look(room - len(specs) if waits else 0, room - len(specs) + len(self._specs))
        return specs

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Report a rung's metric and ask the pruner (see `TrialSource`)."""
        self._rungs[number][evaluation] = metric
        return self.view.prune(number, evaluation, metric)

    def wants(self, run: TrainingRun) -> bool:
        """Want those of the best so far, and all where networks are judged by more than their metric (see `TrialSource`)."""
        return self.judge is not None or self._better(run)

    def finish(self, run: TrainingRun) -> None:
        """Take an engine's answer and tell it (see `TrialSource`)."""
        self._counts["trained"] += 1
        rungs, spec = self._rungs.pop(run.number), self._specs.pop(run.number)
        seconds = time.monotonic() - self._begun.pop(run.number)
        answer = Answer(run, rungs, self.judge.values(run, spec) if self.judge else ())
        self._tell(answer, spec, seconds, None)
        self._answers[run.number] = replace(answer, run=replace(run, weights=None))
        for repeat in self._waiting.pop(run.number, []):
            self._repeat(repeat, run.number)
        self.observer.status(self.status)

    def _open(self) -> bool:
        """Whether another trial may start: not stopped, not all proposed, time left, and the results it depends on told."""
        time_left = self.timeout is None or time.monotonic() - self.started < self.timeout
        known = self._next < len(self._stored) and self._stored[self._next].finished
        may_train = time_left and not self.stopping
        return self._next < self.total and self.view.ready(self._next) and (may_train or known)

    def _advance(self) -> TrialSpec | None:
        """Propose the next trial; return what is to be trained for it, if anything."""
        number, self._next = self._next, self._next + 1
        stored = self._stored[number] if number < len(self._stored) else None
        proposal = self.view.propose(number, stored.params if stored else None)
        if stored and dict(proposal.params) != dict(stored.params):
            raise StorageError(
                f"trial {number} cannot be proposed again as it is stored: the sampler now answers {dict(proposal.params)}. "
                "Go on with the versions of optuna and cmaes that began the study, or start another (--name)."
            )
        spec = self.specify(proposal.values, number)
        key = tuple(sorted(proposal.params.items()))
        first = self._first.setdefault(key, number)
        if stored and stored.finished:
            self._recall(number, stored, spec)
            return None
        if stored is None:
            self.writer.begin(number, proposal.params, proposal.distributions)
        self._begun[number], self._rungs[number], self._specs[number] = time.monotonic(), {}, spec
        if first != number:
            self._take_over(number, first)
            return None
        return spec

    def _recall(self, number: int, stored: PreviousTrial, spec: TrialSpec) -> None:
        """Walk through a trial that an earlier run told."""
        for evaluation, metric in sorted(stored.rungs.items()):
            self.view.prune(number, evaluation, metric)
        answer = Answer(_run(number, stored), stored.rungs, stored.values[1:])
        repeats = stored.run.get("repeats")
        self._counts["repeated"] += repeats is not None
        if repeats is None:
            self._answers[number] = answer
        self._count(answer, spec)

    def _take_over(self, number: int, first: int) -> None:
        """Give a trial the result of the first one with its hyperparameters, now or once it is there."""
        if first in self._answers:
            self._repeat(number, first)
            self.observer.status(self.status)
        else:
            self._waiting.setdefault(first, []).append(number)

    def _repeat(self, number: int, first: int) -> None:
        answer = self._answers[first]
        run = replace(answer.run, number=number, detail=f"same hyperparameters as trial {first}")
        for evaluation, metric in answer.rungs.items():
            self.view.prune(number, evaluation, metric)
        self._counts["repeated"] += 1
        seconds = time.monotonic() - self._begun.pop(number)
        del self._rungs[number]
        self._tell(replace(answer, run=run), self._specs.pop(number), seconds, first)

    def _tell(self, answer: Answer, spec: TrialSpec, seconds: float, repeats: int | None) -> None:
        """Tell the storage, then count."""
        run = answer.run
        self.writer.finish(run, self._value(run), answer.rungs, seconds, repeats, _folds(run), answer.others)
        self._count(answer, spec)

    def _count(self, answer: Answer, spec: TrialSpec) -> None:
        """Tell the view, count, keep the best."""
        run = answer.run
        self.view.tell(run.number, self._told(answer))
        self._counts["done"] += 1
        for name, outcome in COUNTED.items():
            self._counts[name] += run.outcome is outcome
        if self._better(run):
            self.best, self.best_spec = run, spec

    def _value(self, run: TrainingRun) -> float:
        """Return what the storage is told: the best metric; of a pruned trial the last one; of a failed one the worst."""
        if run.value is None:
            return self.worst
        return run.history.metric[-1] if run.outcome is Outcome.PRUNED else run.value

    def _told(self, answer: Answer) -> TrialResult:
        """Return what the sampler learns: no value worse than the worst, which would dwarf all other differences."""
        run, worst = answer.run, (self.worst, *(self.judge.worst if self.judge else ()))
        directions = (self.view.direction, *self.view.others)
        value, *others = map(_at_worst, (self._value(run), *answer.others), worst, directions)
        return TrialResult(value, tuple(others), pruned=run.outcome is Outcome.PRUNED, failed=run.outcome.failed)

    def _better(self, run: TrainingRun) -> bool:
        """Whether a run is the best so far: by value, then by validation loss, then by number."""
        return _usable(run) and (self.best is None or self._rank(run) < self._rank(self.best))

    def _rank(self, run: TrainingRun) -> tuple[float, float, float]:
        assert run.value is not None
        return ranking_key(self.view.direction, run.value, run.loss, run.number)


def _at_worst(value: float, worst: float, direction: Direction) -> float:
    return max(value, worst) if direction == "maximize" else min(value, worst)


def _usable(run: TrainingRun) -> bool:
    """Whether a run may be the best: it has a value, and was not ended for being behind."""
    return run.value is not None and run.outcome is not Outcome.PRUNED


def _folds(run: TrainingRun) -> Mapping[str, Any]:
    """Return what is kept of a cross-validated trial beside its means."""
    return {"folds": list(run.folds)} if run.folds else {}


def _run(number: int, stored: PreviousTrial) -> TrainingRun:
    """Return a stored trial as the run that it was, its weights aside."""
    outcome = Outcome(stored.run["outcome"])
    return TrainingRun(
        number=number,
        outcome=outcome,
        history=History(**{name: tuple(column) for name, column in stored.run["history"].items()}),
        best=stored.run["best"],
        value=None if outcome.failed else stored.run["value"],
        loss=stored.run["validation_loss"],
        detail=stored.run["detail"],
        parameters=stored.run["parameters"],
        folds=tuple(stored.run.get("folds", ())),
    )
