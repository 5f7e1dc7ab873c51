"""Training: a `TrialSpec` goes in, a `TrainingRun` comes out.

The engine's contract
---------------------
An engine *pulls*. It takes as many trials as it has slots for, trains all of them to their next evaluation, reports it, drops the
pruned and the finished ones, and takes again for the free slots, until nothing is left to take and nothing is in flight.

1. A run is a function of (specification, data, precision): not of global random state, of the order of trials, or of the trials
   trained beside it.
2. `reference` is the specification. The draws (`draws`), the tables of optimizers, activations and schedules, the metrics (the
   data's) and the bookkeeping of the history (`progress`) are one code for every engine; only arithmetic may be written again.
3. A run that is stopped from outside (`source.stopping`) is dropped: it is trained again from its start another day.
4. A non-finite loss and exhausted memory end in a stated `Outcome`, never in an exception.
5. A run trains on one fold of the data, `spec.fold`; `folds` makes one run of a trial's folds.

Adding a row
------------
An optimizer is a row of `optimizers.OPTIMIZERS`, a schedule of `schedules.SCHEDULES`, an activation of `layers.ACTIVATIONS`, an
initialization of `layers.INITIALIZATIONS`. A row is enough: an engine that does not know it leaves the trial to the next one that can
train it (`engines`), and the reference engine can train them all.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Protocol

from hpsearch.errors import look_up
from hpsearch.trial import TrainingRun, TrialSpec


@dataclass(frozen=True, slots=True)
class EngineRow:
    """An engine that a user can choose."""

    description: str


ENGINES: dict[str, EngineRow] = {
    "auto": EngineRow("the fastest for each trial's device, batch size and network (the default)"),
    "reference": EngineRow("one trial at a time in plain torch: the specification of training"),
    "fused": EngineRow("trials of one batch size as one batched computation; a CUDA graph of it on a GPU"),
    "compiled": EngineRow(
        "on a CPU a compiled kernel, a trial a core; on CUDA launches of kernels that many trials share"
    ),
}
FORMER_NAMES = {"resident": "compiled"}


def engine_name(name: str) -> str:
    """Return the name in `ENGINES` of an engine; a former name is understood.

    Raises:
        UserError: there is no such engine.
    """
    name = FORMER_NAMES.get(name, name)
    look_up(ENGINES, name, "engine")
    return name


class TrialSource(Protocol):
    """Where an engine takes its trials from and hands its runs to: the search."""

    @property
    def stopping(self) -> bool:
        """Whether to drop what is in flight; read before every update."""

    def take(self, room: int) -> Sequence[TrialSpec]:
        """Return at most `room` trials to train; none where all are taken, or where results must come first."""

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Report the metric at a rung; True tells the engine to end the trial there."""

    def wants(self, run: TrainingRun) -> bool:
        """Whether a finished run's weights are of use; an engine that has them on another machine asks before it fetches them."""

    def finish(self, run: TrainingRun) -> None:
        """Take a finished run."""


class Engine(Protocol):
    """Something that trains."""

    def run(self, source: TrialSource) -> None:
        """Train until the source has nothing left."""


Prunes = Callable[[int, float], bool]  # evaluation, metric → whether the trial ends there


@dataclass(eq=False)
class TrialQueue:
    """A source of listed trials, outside a search.

    `prunes` decides at a rung whether a trial ends there (None: never). `on_begin` gets every trial that is taken. `on_finish` gets every
    run; without it `runs` collects them by trial number, weights included. `wanted` says whether the weights of a run are of use (None:
    always). No trial begins after the `deadline` (of `time.monotonic`).
    """

    waiting: Sequence[TrialSpec] = ()
    prunes: Prunes | None = None
    on_begin: Callable[[TrialSpec], None] | None = None
    on_finish: Callable[[TrainingRun], None] | None = None
    wanted: Callable[[TrainingRun], bool] | None = None
    deadline: float = inf
    stopping: bool = False
    runs: dict[int, TrainingRun] = field(default_factory=dict)

    def take(self, room: int) -> Sequence[TrialSpec]:
        """Return the next trials of the list."""
        if self.stopping or time.monotonic() >= self.deadline:
            return []
        taken = self.waiting[:room]
        self.waiting = self.waiting[room:]
        if self.on_begin is not None:
            for spec in taken:
                self.on_begin(spec)
        return taken

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Ask `prunes` at a rung."""
        return self.prunes is not None and self.prunes(evaluation, metric)

    def wants(self, run: TrainingRun) -> bool:
        """Ask whether the weights are of use."""
        return self.wanted is None or self.wanted(run)

    def finish(self, run: TrainingRun) -> None:
        """Collect a run, or hand it on."""
        if self.on_finish is None:
            self.runs[run.number] = run
        else:
            self.on_finish(run)


def train_all(engine: Engine, specs: Sequence[TrialSpec], prunes: Prunes | None = None) -> list[TrainingRun]:
    """Train listed trials outside a search, whatever their numbers; return their runs in the order of the list."""
    source = TrialQueue([replace(spec, number=index) for index, spec in enumerate(specs)], prunes)
    engine.run(source)
    return [replace(source.runs[index], number=spec.number) for index, spec in enumerate(specs)]
