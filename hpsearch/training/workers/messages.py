"""What goes between the writer and a worker: plain frozen values; arrays are NumPy's, so that no tensor is ever shared or pickled."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpsearch.trial import TrainingRun, TrialSpec

Arrays = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Orders:
    """What the writer tells a worker, after it has `heard` so many of its reports, runs and weights.

    `train` are new trials; those of `end` end at their next evaluation; the weights of finished ones are to be sent or forgotten.
    """

    train: tuple[TrialSpec, ...] = ()
    end: tuple[int, ...] = ()
    send: tuple[int, ...] = ()
    forget: tuple[int, ...] = ()
    heard: int = 0


@dataclass(frozen=True, slots=True)
class Began:
    """A worker's process is there; it does not hold its data yet."""

    pid: int
    machine: str  # an identifier of it; empty where all workers are on one


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has room for so many trials."""

    places: int


@dataclass(frozen=True, slots=True)
class Said:
    """Which engine a worker trains with, and why."""

    line: str


@dataclass(frozen=True, slots=True)
class Reported:
    """A trial's metric at a rung."""

    number: int
    evaluation: int
    metric: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A run, its weights left behind; they wait for an order to send or to forget them."""

    run: TrainingRun


@dataclass(frozen=True, slots=True)
class Sent:
    """The weights of a run."""

    number: int
    weights: Arrays


@dataclass(frozen=True, slots=True)
class Alive:
    """A worker that has nothing to say is there; its engine trains on a thread of its own."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A worker's last words: the engine raised."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker is gone, says its crew; `charged`: the trial that it trained may be why."""

    reason: str
    charged: bool = True


Event = Began | Ready | Alive | Said | Reported | Ended | Sent | Broken | Lost
