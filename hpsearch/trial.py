"""What is asked of an engine (`TrialSpec`) and what it answers (`TrainingRun`): frozen values, standard library only.

A run is a function of (specification, data, precision) alone. Progress is counted in *evaluations*: every trial of a study is
evaluated on the validation rows the same number of times, at the same shares of its budget, whatever its batch size, so that
curves and rungs of full-batch gradient descent and of batch size 1 can be compared one to one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from hashlib import sha256
from itertools import pairwise
from typing import Any, Literal

Direction = Literal["maximize", "minimize"]

PIECEWISE = "piecewise"  # the encoding of numbers that adds their places in intervals


def derive_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2^63) that is a function of the parts (as text, without a slash) alone; if they differ, an unrelated one."""
    return int.from_bytes(sha256("/".join(map(str, parts)).encode()).digest()[:8]) >> 1


def ranking_key(direction: str, value: float, loss: float | None, number: float) -> tuple[float, float, float]:
    """Return the key that sorts the best run first: by its value, of equal ones by the validation loss, then by the number."""
    return (-value if direction == "maximize" else value), loss or 0.0, number


def is_better(value: float, other: float, maximize: bool) -> bool:
    """Whether a metric's value is strictly better than another; no comparison with NaN is."""
    return value > other if maximize else value < other


def at_worst(value: float | None, worst: float, direction: Direction) -> float:
    """Return a value, or the metric's `worst` where there is none or one beyond it, which would dwarf all other differences."""
    if value is None:
        return worst
    if direction == "maximize":
        return max(value, worst)
    return min(value, worst)


class Outcome(StrEnum):
    """How a training run ended."""

    FINISHED = "finished"
    REACHED = "reached the target"
    STOPPED_EARLY = "stopped early"
    TIMED_OUT = "stopped at its time limit"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out of memory"
    KILLED = "killed its worker"
    ERROR = "raised an error"
    OUT_OF_TIME = "out of time"

    @property
    def meaning(self) -> str:
        """One sentence for a reader of the report."""
        return MEANINGS[self]

    @property
    def failed(self) -> bool:
        """Whether the run has no usable value; the sampler is told the worst one instead."""
        return self in UNUSABLE


UNUSABLE = (Outcome.DIVERGED, Outcome.OUT_OF_MEMORY, Outcome.KILLED, Outcome.ERROR, Outcome.OUT_OF_TIME)

MEANINGS = {
    Outcome.FINISHED: "trained to the end of its budget",
    Outcome.REACHED: "its metric passed the target, so it stopped",
    Outcome.STOPPED_EARLY: "stopped after its patience without a better validation metric",
    Outcome.TIMED_OUT: "stopped after training.max_seconds: how far it came depends on the machine, so it cannot be reproduced",
    Outcome.PRUNED: "stopped by the pruner at a rung: others were better there",
    Outcome.DIVERGED: "the loss was no longer a finite number",
    Outcome.OUT_OF_MEMORY: "the network and its batch did not fit into the device's memory",
    Outcome.KILLED: "three workers died while they trained it, the last one training nothing else",
    Outcome.ERROR: "code of the study's own raised an error: its network, its loss or its metric",
    Outcome.OUT_OF_TIME: "training.max_seconds were over before its first evaluation, which depends on the machine",
}
FAILED = frozenset(outcome for outcome in Outcome if outcome.failed)  # as text they equal what a storage keeps


@dataclass(frozen=True, slots=True)
class Architecture:
    """A dense network: `inputs` → each of `widths` with the activation → `outputs`; no widths make a linear model.

    `pieces` are those of each input (`hpsearch.data.pieces`), which the layers see beside the inputs; none where the encoding is standard.
    """

    inputs: int
    widths: tuple[int, ...]
    outputs: int
    activation: str = "relu"
    dropout: float = 0.0
    initialization: str = "kaiming_normal"
    pieces: tuple[int, ...] = ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of every layer, inputs with their pieces and outputs included."""
        return (self.inputs + sum(self.pieces), *self.widths, self.outputs)

    @property
    def parameters(self) -> int:
        """Trainable numbers: weights and biases of all layers."""
        return sum((a + 1) * b for a, b in pairwise(self.sizes))


FINEST = 200  # evaluations of a pass over the rows, at most, where a budget asks for a resolution
BUDGET_UNITS = ("epochs", "updates", "examples")  # in which a study says how long a trial trains; it says one of them
UNSAID = ("epochs", 20)  # what a trial trains for where a study does not say


@dataclass(frozen=True, slots=True)
class Budget:
    """How long one trial may train, the same for every batch size: `amount` of `unit`, evaluated `evaluations` times on the way.

    `patience` is the number of evaluations without a better metric after which a run stops (None: never). A pruner is asked at
    rungs, `reduction_factor` apart: with 27 evaluations and a factor of 3 after the 1st, 3rd and 9th; no factor, no rungs.

    With a `resolution` there are more evaluations: they lie 1 / `FINEST` of a pass apart (at least an update), later by this share of
    the updates so far, so that the update at which something happens is known to within that share, early or late.

    `max_examples` bounds the rows that a trial sees in all, so that one on many rows makes fewer passes. `max_seconds` ends a run wherever
    it is, so that it depends on the machine.
    """

    unit: str  # one of `BUDGET_UNITS`
    amount: int
    evaluations: int
    patience: int | None = None
    reduction_factor: int | None = None
    resolution: float | None = None
    max_seconds: float | None = None
    max_examples: int | None = None

    def updates(self, batch_size: int, rows: int) -> int:
        """Return the weight updates that the budget buys with this batch size on so many training rows; at least one."""
        examples = {"epochs": self.amount * rows, "examples": self.amount, "updates": self.amount * batch_size}
        seen = examples[self.unit] if self.max_examples is None else min(examples[self.unit], self.max_examples)
        return max(1, -(-seen // batch_size))

    def evaluate_at(self, batch_size: int, rows: int) -> tuple[int, ...]:
        """Return the update after which each evaluation comes; equal neighbours where there are fewer updates than evaluations."""
        updates = self.updates(batch_size, rows)
        if self.resolution is not None:
            return _growing(updates, max(1, rows // (FINEST * batch_size)), self.resolution)
        return tuple(-(-updates * (i + 1) // self.evaluations) for i in range(self.evaluations))

    @property
    def rungs(self) -> tuple[int, ...]:
        """Evaluations at which a pruner is asked, in order; the last evaluation is none, since nothing would be saved."""
        if not self.reduction_factor:
            return ()
        rungs = []
        rung = self.evaluations // self.reduction_factor
        while rung >= 1:
            rungs.append(rung)
            rung //= self.reduction_factor
        return tuple(reversed(rungs))


def _growing(last: int, step: int, share: float) -> tuple[int, ...]:
    """Return updates up to the last one, `step` apart or by a share of the updates so far, whichever is more."""
    updates = []
    update = 0
    while update < last:
        update = min(last, max(update + step, int(update * (1 + share))))
        updates.append(update)
    return tuple(updates)


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """Everything that a training run depends on, its data and precision aside.

    `seed` decides the initial weights; `order_seed`, one for the whole study, the order of the batches, so that trials of one batch
    size see the same ones. `evaluate_at` are the updates after which the network is evaluated (the last one is the budget), `rungs`
    the evaluations (counted from 1) at which a pruner is asked, `patience` the evaluations without a better metric after which the
    run stops; a run with a `target` stops once its metric is strictly better, one with `max_seconds` after so many seconds in training,
    which makes it depend on the machine. `fold` says which of the data's folds it trains on. `planned` are the updates over which
    the schedule runs, where the run may end before (None: all of its own). `keep_last` asks for the last network beside the best one.
    `label_smoothing` is the share of a row's label that the loss gives to all classes alike (Szegedy et al. 2016, section 7); of a
    sigmoid's two classes half to each.
    """

    number: int
    seed: int
    order_seed: int
    architecture: Architecture | None  # None: a network of the user's own
    optimizer: str
    learning_rate: float
    batch_size: int
    evaluate_at: tuple[int, ...]
    coefficients: Mapping[str, float] = field(default_factory=dict)
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    schedule: str = "constant"
    rungs: tuple[int, ...] = ()
    patience: int | None = None
    target: float | None = None
    fold: int = 0
    network: Callable[[], Any] | None = None  # makes the user's own network, where there is no architecture
    max_seconds: float | None = None
    planned: int | None = None
    keep_last: bool = False

    @property
    def updates(self) -> int:
        """Weight updates of the whole budget."""
        return self.evaluate_at[-1]

    @property
    def dense_architecture(self) -> Architecture:
        """The architecture of a trial that has one; a network of the user's own trains in the reference engine only."""
        assert self.architecture is not None, "a network of one's own trains in the reference engine"
        return self.architecture


@dataclass(frozen=True, slots=True)
class History:
    """One entry for each evaluation; columns of one length.

    `evaluation` counts from 1; `update` and `examples` are totals so far; `seconds` is the time in training, evaluations excluded;
    `training_loss` is the mean over the batches since the evaluation before; `metric` is the study's metric on the validation rows.
    """

    evaluation: tuple[int, ...] = ()
    update: tuple[int, ...] = ()
    examples: tuple[int, ...] = ()
    seconds: tuple[float, ...] = ()
    training_loss: tuple[float, ...] = ()
    validation_loss: tuple[float, ...] = ()
    metric: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.evaluation)

    @property
    def last(self) -> int:
        """The number of the last evaluation, 0 where there was none; a thinned history has fewer entries."""
        return self.evaluation[-1] if self.evaluation else 0

    def columns(self) -> dict[str, tuple[float, ...]]:
        """Return the columns by name."""
        return {column.name: getattr(self, column.name) for column in fields(self)}

    def append(self, **entry: float) -> "History":
        """Return a history that is one evaluation longer."""
        return History(**{name: (*column, entry[name]) for name, column in self.columns().items()})  # type: ignore[arg-type]

    def thinned(self, most: int) -> "History":
        """Return at most `most` entries (2 or more), evenly spread, first and last included."""
        if len(self) <= most:
            return self
        keep = sorted({round(i * (len(self) - 1) / (most - 1)) for i in range(most)})
        return History(**{name: tuple(column[i] for i in keep) for name, column in self.columns().items()})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """An engine's answer.

    `best` is the evaluation (from 1) with the best metric, of equal ones that with the lowest validation loss; `value`, `loss` and
    `weights` are metric, validation loss and network there; `last_weights` are the network at the last evaluation, where the
    specification asks for it; a run that ended by the clock, between two evaluations, has none. A failed run has nothing of all that:
    `best` is 0, the others are None, `detail` says what happened. A cross-validated trial's run is the mean over its folds: it has no
    weights, and `folds` has each fold's metric at the best evaluation.
    """

    number: int
    outcome: Outcome
    history: History
    best: int = 0
    value: float | None = None
    loss: float | None = None
    detail: str = ""
    parameters: int = 0
    weights: Mapping[str, Any] | None = None  # name → tensor
    folds: tuple[float, ...] = ()
    last_weights: Mapping[str, Any] | None = None
