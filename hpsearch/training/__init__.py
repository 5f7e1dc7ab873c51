"""Training: a `TrialSpec` goes in, a `TrainingRun` comes out.

The engine's contract
---------------------
An engine *pulls*. It takes as many trials as it has room for, trains all of them to their next evaluation, reports it, drops the
pruned and the finished, and takes again for the free places, until nothing is left to take and nothing is in flight.

1. A run is a function of (specification, data, precision): not of global random state, of the order of trials, or of the trials
   trained beside it.
2. `reference.train` is the specification. The draws (`draws`), the tables of optimizers, activations and schedules, the metrics
   (the data's) and the keeping of the history (`progress`) are one code for every engine; only arithmetic may be written again.
3. A run that is stopped from outside (`source.stopping`) is dropped: it is trained again from its start some other day.
4. A non-finite loss and exhausted memory end in a stated `Outcome`, never in an exception.
5. A run trains on one fold of the data, `spec.fold`; `folds` makes one answer of a trial's folds.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Protocol

from hpsearch.trial import TrainingRun, TrialSpec


class TrialSource(Protocol):
    """Where an engine takes its trials from and hands its answers to: the search."""

    @property
    def stopping(self) -> bool:
        """Whether to drop what is in flight; looked at in every update."""
        ...

    def take(self, room: int) -> Sequence[TrialSpec]:
        """Return at most `room` trials to train; none where all is taken, or where answers must come first."""
        ...

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Report the metric at a rung; True tells the engine to end the trial there."""
        ...

    def wants(self, run: TrainingRun) -> bool:
        """Whether a finished run's weights are of use; an engine that has them on another machine asks before it fetches them."""
        ...

    def finish(self, run: TrainingRun) -> None:
        """Hand over a finished run."""
        ...


class Engine(Protocol):
    """Something that trains."""

    def run(self, source: TrialSource) -> None:
        """Train until the source has nothing left."""
        ...


@dataclass(eq=False)
class Several:
    """The source of listed trials outside a search; a signal or nobody stops them.

    `ask(evaluation, metric)` says at the rungs of each trial whether it ends there; without it none does. `on_begin` gets every trial
    that is taken. `on_finish` gets every answer; without it `runs` keeps them by number, weights included. `wanted` says whether the
    weights of a run are of use. No trial begins after the `deadline` (of `time.monotonic`).
    """

    waiting: list[TrialSpec] = field(default_factory=list)
    ask: Callable[[int, float], bool] = lambda evaluation, metric: False
    on_begin: Callable[[TrialSpec], None] = lambda spec: None
    on_finish: Callable[[TrainingRun], None] | None = None
    wanted: Callable[[TrainingRun], bool] = lambda run: True
    deadline: float = inf
    stopping: bool = False
    runs: dict[int, TrainingRun] = field(default_factory=dict)

    def take(self, room: int) -> Sequence[TrialSpec]:
        """Return the next of the list."""
        if self.stopping or time.monotonic() >= self.deadline:
            return []
        taken = self.waiting[:room]
        self.waiting = self.waiting[room:]
        for spec in taken:
            self.on_begin(spec)
        return taken

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Ask at a rung."""
        return self.ask(evaluation, metric)

    def wants(self, run: TrainingRun) -> bool:
        """Ask whether the weights are of use."""
        return self.wanted(run)

    def finish(self, run: TrainingRun) -> None:
        """Hand on the answer, or keep it."""
        if self.on_finish is None:
            self.runs[run.number] = run
        else:
            self.on_finish(run)


def train_all(
    engine: Engine, specs: Sequence[TrialSpec], ask: Callable[[int, float], bool] = lambda evaluation, metric: False
) -> list[TrainingRun]:
    """Train listed trials outside a search, whatever their numbers; return their runs in the order of the list."""
    source = Several([replace(spec, number=index) for index, spec in enumerate(specs)], ask=ask)
    engine.run(source)
    return [replace(source.runs[index], number=spec.number) for index, spec in enumerate(specs)]
